"""Settings of the inversion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from seisflow.domain import Model
from seisflow.errors import InputError
from seisflow.inversion.parameters import scaled_by
from seisflow.inversion.parametrisation import Bound, Parameter, Parametrisation, Tied

__all__ = ["InversionConfig", "Parameter"]

MANY_WAVELENGTHS = 20.0


@dataclass(frozen=True)
class InversionConfig:
    """How a summed kernel becomes a new model. A stage may change any of it with ``dataclasses.replace``.

    Parameters
    ----------
    parameters : tuple of {"vp", "vs", "rho", "vp_vs"}
        What is inverted; the other fields stay as they are, unless tied. ``vp_vs`` goes with ``vs`` and without
        ``vp``: vp = vs * vp_vs.
    logarithmic : bool
        Invert relative (logarithmic) perturbations; else plain values, divided by their mean in the starting model.
    tied : dict {"vp", "rho"} -> float
        Fields that follow vs: {rho: 0.33} is d ln rho = 0.33 d ln vs.
    weights : dict parameter -> float
        How much a parameter moves relative to the others, 1 where left out.
    bounds : dict {"vp", "vs", "rho", "poisson"} -> (least, largest)
        m/s, kg/m3, no unit. A trial model is brought within them.
    method : {"lbfgs", "cg", "steepest_descent"}
        Search directions: L-BFGS, nonlinear conjugate gradients (Polak-Ribiere+), steepest descent.
    restart_angle : float
        Degrees. The memory is dropped when the angle between direction and gradient exceeds it; see ``direction``.
    smoothing : tuple of 3 float
        Standard deviations of the Gaussian along x, y, z; about a quarter to a half of the shortest wavelength. 0
        leaves an axis alone.
    smoothing_unit : {"m", "wavelengths"}
        A wavelength at a depth is the mean vs there times the shortest period of the band.
    source_mask, receiver_mask : float
        Standard deviation in m of the Gaussian hole around sources and receivers, where kernels are singular;
        two to three grid spacings of the simulation. 0 masks nothing.
    water_level : float
        Added to the illumination, relative to its maximum, before dividing by it; 0.02 to 0.05. Smaller
        values strengthen updates where few waves pass.
    damping, roughness : float
        Weights of the mean square change from the starting model, and of its mean square slope, relative to the
        data misfit; 0 leaves them out. See ``tikhonov``.
    roughness_lengths : tuple of 3 float
        Lengths in m along x, y, z by which slopes are multiplied.
    memory : int
        Pairs that L-BFGS keeps. 0 is preconditioned steepest descent.
    line_search : {"bracket", "backtrack"}
        ``bracket`` also goes further where a parabola promises much more; ``backtrack`` takes the first sufficient
        decrease (Armijo) and only ever goes shorter.
    line_search_events : int, optional
        Events that a trial simulates, others in each iteration; all that are used, if left out.
    first_change : float
        Largest relative change of a model parameter in the first trial along steepest descent.
    max_change : float
        Largest relative change of a model parameter that any trial makes.
    max_trials : int
        Trials of a line search (each simulates all its events) before the best decrease is taken.
    min_vp_vs : float
        Smallest vp/vs that a new model may have.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    parameters: tuple[Parameter, ...] = ("vp", "vs")
    smoothing: tuple[float, float, float] = (10_000.0, 10_000.0, 5_000.0)
    source_mask: float = 5_000.0
    receiver_mask: float = 5_000.0
    water_level: float = 0.03
    memory: int = 5
    first_change: float = 0.01
    max_change: float = 0.04
    max_trials: int = 5
    min_vp_vs: float = 1.2
    logarithmic: bool = True
    tied: dict[Tied, float] = field(default_factory=dict)
    weights: dict[Parameter, float] = field(default_factory=dict)
    bounds: dict[Bound, tuple[float, float]] = field(default_factory=dict)
    method: Literal["lbfgs", "cg", "steepest_descent"] = "lbfgs"
    restart_angle: float = 90.0
    smoothing_unit: Literal["m", "wavelengths"] = "m"
    damping: float = 0.0
    roughness: float = 0.0
    roughness_lengths: tuple[float, float, float] = (10_000.0, 10_000.0, 5_000.0)
    line_search: Literal["bracket", "backtrack"] = "bracket"
    line_search_events: int | None = None

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise InputError(complaint)
        least = self._parametrisation().ratio_limits()[0]
        if 0 < least < self.min_vp_vs:
            raise InputError(
                f"bounds: the least poisson {self.bounds['poisson'][0]:g} is vp/vs = {least:.4g}, below min_vp_vs = "
                f"{self.min_vp_vs:g}: raise the one or lower the other"
            )

    def parametrisation(self, start: Model) -> Parametrisation:
        """The variables of the inversion.

        Parameters
        ----------
        start : Model
            The starting model of the project; its means are what plain values are divided by.
        """
        chosen = self._parametrisation()
        return chosen if self.logarithmic else scaled_by(start, chosen)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the model that the parameters move."""
        powers = self._parametrisation().exponents
        return tuple(name for name in Model.PARAMETERS if powers[name])

    def _parametrisation(self) -> Parametrisation:
        return Parametrisation(self.parameters, self.logarithmic, self.tied, self.weights, self.bounds)

    def _complaints(self) -> Iterator[str]:
        lengths = (*self.smoothing, self.source_mask, self.receiver_mask)
        if len(self.smoothing) != 3 or min(lengths) < 0 or not np.all(np.isfinite(lengths)):
            yield f"smoothing and masks are lengths in m, none negative, found {lengths}"
        if self.smoothing_unit not in ("m", "wavelengths"):
            yield f"smoothing_unit = {self.smoothing_unit}: use m or wavelengths"
        if self.smoothing_unit == "wavelengths" and max(self.smoothing) > MANY_WAVELENGTHS:
            yield (
                f"smoothing = {self.smoothing} wavelengths: at most {MANY_WAVELENGTHS:g}, usually 0.25 to 0.5; is "
                "smoothing_unit meant to be m?"
            )
        if not 0 < self.water_level < 10:
            yield f"water_level = {self.water_level}: must lie between 0 and 10, usually 0.02 to 0.05"
        yield from self._complaints_of_the_terms()
        yield from self._complaints_of_the_search()

    def _complaints_of_the_terms(self) -> Iterator[str]:
        lengths, terms = self.roughness_lengths, (self.damping, self.roughness)
        if min(terms) < 0 or not np.all(np.isfinite(terms)):
            yield f"damping = {self.damping} and roughness = {self.roughness} are weights, none negative"
        if len(lengths) != 3 or min(lengths) < 0 or not np.all(np.isfinite(lengths)):
            yield f"roughness_lengths are lengths in m, none negative, found {lengths}"
        elif self.roughness > 0 and max(lengths) == 0:
            yield "roughness_lengths are all 0, so roughness has nothing to weigh; give one in m"

    def _complaints_of_the_search(self) -> Iterator[str]:
        if self.method not in ("lbfgs", "cg", "steepest_descent"):
            yield f"method = {self.method}: use lbfgs, cg or steepest_descent"
        if not 0 < self.restart_angle <= 90:
            yield f"restart_angle = {self.restart_angle}: must be above 0 and at most 90 degrees"
        if self.line_search not in ("bracket", "backtrack"):
            yield f"line_search = {self.line_search}: use bracket or backtrack"
        if self.line_search_events is not None and self.line_search_events < 1:
            yield f"line_search_events = {self.line_search_events}: at least 1, or left out for all"
        if self.memory < 0 or self.max_trials < 1:
            yield f"memory = {self.memory} must be at least 0 and max_trials = {self.max_trials} at least 1"
        if not 0 < self.first_change <= self.max_change <= 0.5:
            yield (
                f"first_change = {self.first_change} must be above 0 and at most max_change = "
                f"{self.max_change}, "
                "and that at most 0.5"
            )
        if not self.min_vp_vs > np.sqrt(4 / 3):
            yield f"min_vp_vs = {self.min_vp_vs}: must exceed 1.1547, where the bulk modulus vanishes"
