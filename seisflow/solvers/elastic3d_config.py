"""Settings of the built-in solver, and the grid and time step that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from seisflow.domain import Model
from seisflow.errors import InputError
from seisflow.solvers.attenuation import attenuation_of

__all__ = ["Elastic3DConfig"]

_COURANT = {4: 0.4949, 8: 0.4488}
"""Largest vp dt / h of the interior scheme by order: 1 / (sqrt(3) sum |c|)."""
_POINTS = {4: 8.0, 8: 5.5}
"""Points per shortest S wavelength by order, unless the user says."""
_SAFETY, _MOST = 0.9, 0.96
_LEAST_POINTS = 4.0


@dataclass(frozen=True)
class Elastic3DConfig:
    """Settings of the built-in solver.

    Parameters
    ----------
    kind : str
        ``elastic3d``.
    order : {4, 8}
        Of the derivatives in space.
    spacing : float, optional
        Spacing of the simulation grid in m; chosen from the shortest wavelength if left out.
    time_step : float, optional
        s; 0.9 of the stable one if left out.
    points_per_wavelength : float, optional
        Grid points per shortest S wavelength (slowest vs times shortest period) when the spacing is chosen; if left
        out 8 at order 4, 5.5 at order 8.
    cpml_cells : int
        Width of the absorbing layers, which lie outside the model.
    absorbed_speed : float, optional
        P speed in m/s that the absorbing layers are made for; the largest of the model if left out. An inversion keeps
        that of its stage: layers that followed each model would add to its misfit what no gradient knows.
    attenuation : bool
        Attenuate waves where the model has quality factors. If not, its speeds are those of the middle of the band.
    precision : {"single", "double"}
        Of the wave fields.
    memory_gb : float
        Most memory (10^9 bytes) that one simulation, or each rank of one, may take; where a gradient needs more, its
        forward run is done twice, the second time in segments.
    snapshots_per_period : float
        Stored snapshots per shortest period, for the gradient; below 4 its error grows fast. ``inf`` stores
        every step: then the gradient is exact.
    snapshot_precision : {"same", "half"}
        Of what is stored for the gradient: as ``precision``, or half precision, which takes half of the memory (a
        quarter of double) and changes the gradient by less than a thousandth.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["elastic3d"] = "elastic3d"
    order: Literal[4, 8] = 4
    spacing: float | None = None
    time_step: float | None = None
    points_per_wavelength: float | None = None
    cpml_cells: int = 10
    absorbed_speed: float | None = None
    attenuation: bool = True
    precision: Literal["single", "double"] = "single"
    memory_gb: float = 4.0
    snapshots_per_period: float = 4.0
    snapshot_precision: Literal["same", "half"] = "same"

    def __post_init__(self) -> None:
        wanted = (
            ("order", self.order in _POINTS, "4 or 8"),
            ("spacing", self.spacing is None or 0 < self.spacing < np.inf, "a positive number of metres"),
            (
                "time_step",
                self.time_step is None or 0 < self.time_step < np.inf,
                "a positive number of seconds",
            ),
            (
                "points_per_wavelength",
                self.points >= _LEAST_POINTS,
                f"at least {_LEAST_POINTS:g}",
            ),
            ("cpml_cells", 0 <= self.cpml_cells <= 100, "from 0 to 100"),
            (
                "absorbed_speed",
                self.absorbed_speed is None or 0 < self.absorbed_speed < np.inf,
                "a positive number of metres a second",
            ),
            ("precision", self.precision in ("single", "double"), "single or double"),
            ("snapshot_precision", self.snapshot_precision in ("same", "half"), "same or half"),
            ("memory_gb", self.memory_gb > 0, "positive"),
            (
                "snapshots_per_period",
                self.snapshots_per_period >= 2,
                "at least 2 (4 or more for a good gradient)",
            ),
        )
        for name, good, remedy in wanted:
            if not good:
                raise InputError(f"elastic3d: {name} = {getattr(self, name)!r}; it must be {remedy}")

    @property
    def points(self) -> float:
        """Points per shortest wavelength."""
        return self.points_per_wavelength or _POINTS.get(self.order, 0.0)

    @property
    def courant(self) -> float:
        """Largest stable vp dt / h."""
        return _COURANT[self.order]

    def extremes(self, model: Model, period: float) -> tuple[float, float]:
        """Slowest S and fastest P speed that a model has in a simulation, m/s.

        Parameters
        ----------
        model : Model
        period : float
            Shortest period in s.

        Raises
        ------
        InputError
            If its quality factors are too small.
        """
        attenuation = attenuation_of(model, period, relaxing=self.attenuation)
        if attenuation is None:
            return float(model.vs.min()), float(model.vp.max())
        return attenuation.extremes(model)

    def steps(self, slowest: float, fastest: float, period: float) -> tuple[float, float]:
        """Choose spacing (m) and time step (s) for slowest vs and fastest vp (m/s) and a shortest period (s).

        Raises
        ------
        InputError
            If those that are set would be unstable or too coarse, with the values that would do.
        """
        wavelength = slowest * period
        spacing = self.spacing or wavelength / self.points
        if wavelength / spacing < _LEAST_POINTS:
            raise InputError(
                f"elastic3d: spacing = {spacing:g} m gives {wavelength / spacing:.1f} points per shortest "
                f"wavelength ({wavelength:g} m: slowest vs {slowest:g} m/s, shortest period {period:g} s); use "
                f"at most {wavelength / _LEAST_POINTS:.4g} m, better "
                f"{wavelength / self.points:.4g} m"
            )
        stable = self.courant * spacing / fastest
        step = self.time_step or _SAFETY * stable
        if step > _MOST * stable:
            raise InputError(
                f"elastic3d: time_step = {step:g} s is unstable with spacing {spacing:g} m and vp up to "
                f"{fastest:g} m/s; use at most {_MOST * stable:.4g} s"
            )
        return spacing, step

    def pinned(self, slowest: float, fastest: float, period: float) -> Elastic3DConfig:
        """Fix spacing, time step and absorbing layers to those for a model; models near it run in the same way.

        Both follow the extreme speeds of the model otherwise, and misfits of two models would differ by that too.
        The time step gets a margin of five percent: speeds may rise by 12 percent before it is unstable.
        """
        spacing, step = self.steps(slowest, fastest, period)
        absorbed = self.absorbed_speed or fastest
        return replace(
            self, spacing=spacing, time_step=self.time_step or 0.95 * step, absorbed_speed=absorbed
        )

    def has_room(self, slowest: float, fastest: float, period: float) -> bool:
        """Whether the spacing and time step of ``pinned`` still suit a model, with half of their margin left."""
        if self.spacing is None or self.time_step is None:
            return False
        fine = slowest * period / self.spacing >= 0.9 * self.points
        return (
            fine and self.time_step <= 0.5 * (_SAFETY * 0.95 + _MOST) * self.courant * self.spacing / fastest
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the wave fields."""
        return np.dtype(np.float32 if self.precision == "single" else np.float64)
