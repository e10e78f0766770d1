"""Settings of the inversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from seisflow.errors import InputError

__all__ = ["InversionConfig", "Parameter"]

Parameter = Literal["vp", "vs", "rho"]


@dataclass(frozen=True)
class InversionConfig:
    """How a summed kernel becomes a new model. A stage may change any of it with ``dataclasses.replace``.

    Parameters
    ----------
    parameters : tuple of {"vp", "vs", "rho"}
        Fields that are inverted, as relative (logarithmic) perturbations; the others stay as they are.
    smoothing : tuple of 3 float
        Standard deviations of the Gaussian along x, y, z in m; about a quarter to a half of the shortest
        wavelength. 0 leaves an axis alone.
    source_mask, receiver_mask : float
        Standard deviation in m of the Gaussian hole around sources and receivers, where kernels are singular;
        two to three grid spacings of the simulation. 0 masks nothing.
    water_level : float
        Added to the illumination, relative to its maximum, before dividing by it; 0.02 to 0.05. Smaller
        values strengthen updates where few waves pass.
    memory : int
        Pairs that L-BFGS keeps. 0 is preconditioned steepest descent.
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

    def __post_init__(self) -> None:
        names = self.parameters
        if not names or len(set(names)) < len(names) or not set(names) <= {"vp", "vs", "rho"}:
            raise InputError(f"parameters = {names}: name one or more of vp, vs, rho, each once")
        lengths = (*self.smoothing, self.source_mask, self.receiver_mask)
        if len(self.smoothing) != 3 or min(lengths) < 0 or not np.all(np.isfinite(lengths)):
            raise InputError(f"smoothing and masks are lengths in m, none negative, found {lengths}")
        if not 0 < self.water_level < 10:
            raise InputError(
                f"water_level = {self.water_level}: must lie between 0 and 10, usually 0.02 to 0.05"
            )
        if self.memory < 0 or self.max_trials < 1:
            raise InputError(
                f"memory = {self.memory} must be at least 0 and max_trials = {self.max_trials} at least 1"
            )
        if not 0 < self.first_change <= self.max_change <= 0.5:
            raise InputError(
                f"first_change = {self.first_change} must be above 0 and at most max_change = "
                f"{self.max_change}, "
                "and that at most 0.5"
            )
        if not self.min_vp_vs > np.sqrt(4 / 3):
            raise InputError(
                f"min_vp_vs = {self.min_vp_vs}: must exceed 1.1547, where the bulk modulus vanishes"
            )
