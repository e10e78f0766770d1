"""What can be drawn on depth slices and vertical sections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seisflow.domain import Event, FloatArray, Grid, Kernel, Model, Projection, Station
from seisflow.errors import InputError

__all__ = ["Field", "Line", "Overlay", "coverage", "kernel_field", "model_field", "perturbation_field"]

_SYMBOLS = {"vp": "vp", "vs": "vs", "rho": "density"}


@dataclass(frozen=True, eq=False)
class Field:
    """Something on a grid that can be drawn.

    Parameters
    ----------
    grid : Grid
    values : ndarray (nx, ny, nz)
        In the unit of the label.
    label : str
        What it is, with the unit.
    kind : {"absolute", "perturbation", "kernel"}
        The colour scale; the last two are symmetric about 0.
    coverage : ndarray (nx, ny, nz), optional
        0 (fades to grey) to 1 and more (full colour), see ``coverage``; a line is drawn at 1.
    limit : float, optional
        End of a symmetric scale; a round number that few values exceed, if left out.
    """

    grid: Grid
    values: FloatArray
    label: str
    kind: Literal["absolute", "perturbation", "kernel"]
    coverage: FloatArray | None = None
    limit: float | None = None

    def __post_init__(self) -> None:
        for name, values in (("field", self.values), ("coverage", self.coverage)):
            if values is not None and values.shape != self.grid.shape:
                raise InputError(f"{name} has shape {values.shape}, but the grid has {self.grid.shape}")


@dataclass(frozen=True)
class Line:
    """A vertical section from ``start`` to ``end``, each x and y in m."""

    start: tuple[float, float]
    end: tuple[float, float]

    @property
    def length(self) -> float:
        """Length in m."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    def within(self, grid: Grid) -> Line:
        """The part of the line that lies over a grid.

        Raises
        ------
        InputError
            If no part of it does.
        """
        first, last = 0.0, 1.0
        for axis in (0, 1):
            start, step = self.start[axis], self.end[axis] - self.start[axis]
            low, high = grid.origin[axis] - start, grid.end[axis] - start
            if step:
                first = max(first, min(low / step, high / step))
                last = min(last, max(low / step, high / step))
            elif low > 0 or high < 0:
                last = -1.0
        if last <= first:
            raise InputError(f"the line from {self.start} to {self.end} m does not cross the grid {grid}")
        (x, y), (dx, dy) = self.start, (self.end[0] - self.start[0], self.end[1] - self.start[1])
        ends = [(x + share * dx, y + share * dy) for share in (first, last)]
        bounds = [(grid.origin[axis], grid.end[axis]) for axis in (0, 1)]
        a, b = (tuple(float(np.clip(p, *bound)) for p, bound in zip(e, bounds, strict=True)) for e in ends)
        return Line((a[0], a[1]), (b[0], b[1]))

    def points(self, count: int) -> tuple[FloatArray, FloatArray]:
        """Coordinates x and y in m of points at equal distances from start to end."""
        share = np.linspace(0, 1, count)
        return (
            self.start[0] + share * (self.end[0] - self.start[0]),
            self.start[1] + share * (self.end[1] - self.start[1]),
        )


@dataclass(frozen=True)
class Overlay:
    """Events and stations to draw on the sections; the events that are held out in another colour."""

    projection: Projection
    events: Sequence[Event] = ()
    stations: Sequence[Station] = ()
    held_out: Collection[str] = ()

    def is_held_out(self) -> npt.NDArray[np.bool_]:
        """Which events are held out, shape (n,)."""
        return np.array([event.id in self.held_out for event in self.events], dtype=bool)

    def event_places(self) -> FloatArray:
        """Places x, y, z of the events in m, shape (n, 3)."""
        rows = [(*self.projection.to_local(e.latitude, e.longitude), e.depth) for e in self.events]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def station_places(self) -> FloatArray:
        """Places x, y, z of the stations in m, shape (n, 3)."""
        rows = [(*self.projection.to_local(s.latitude, s.longitude), s.burial) for s in self.stations]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)


def model_field(model: Model, name: str) -> Field:
    """Take a field of a model as it is: speeds in km/s, density in kg/m3."""
    values = np.asarray(model.fields()[name], dtype=np.float64)
    unit, scale = ("kg/m³", 1.0) if name == "rho" else ("km/s", 1e-3)
    return Field(model.grid, values * scale, f"{_SYMBOLS[name]} ({unit})", "absolute")


def perturbation_field(model: Model, reference: Model, name: str, what: str = "") -> Field:
    """Compare a field of a model with a reference, in percent.

    Parameters
    ----------
    model, reference : Model
        On one grid. The reference is the starting model, or the model before an update.
    name : {"vp", "vs", "rho"}
    what : str
        Label instead of ``vs perturbation``; the unit is added.
    """
    if model.grid != reference.grid:
        raise InputError(f"model and reference are on different grids: {model.grid} and {reference.grid}")
    values = 100 * (np.asarray(model.fields()[name], np.float64) / reference.fields()[name] - 1)
    return Field(model.grid, values, f"{what or _SYMBOLS[name] + ' perturbation'} (%)", "perturbation")


def kernel_field(kernel: Kernel, model: Model, name: str, volume: FloatArray | None = None) -> Field:
    """Take a kernel per relative change and volume: m dJ/dm per km3, in misfit units.

    Parameters
    ----------
    kernel : Kernel
    model : Model
        Where it was computed.
    name : {"vp", "vs", "rho"}
    volume : ndarray (nx, ny, nz), optional
        m3 for which each node stands. A node at the edge also stands for what the simulation holds beyond it, so the
        volume of its cell (taken if this is left out) makes the edge too bright.
    """
    values = kernel.fields()[name] / volume if volume is not None else kernel.density().fields()[name]
    return Field(
        kernel.grid, 1e9 * values * model.fields()[name], f"kernel dJ/d ln {_SYMBOLS[name]} (1/km³)", "kernel"
    )


def coverage(kernel: Kernel, share: float) -> FloatArray | None:
    """How well waves have seen each node: illumination over a share of its maximum.

    Parameters
    ----------
    kernel : Kernel
        The sum over events.
    share : float
        Of the maximum; with the water level of the preconditioner, what is below 1 was lifted by less than the
        inverse of its illumination.

    Returns
    -------
    ndarray (nx, ny, nz) or None
        1 and more is full colour; None if the kernel has no illumination.

    Raises
    ------
    InputError
        If the share is not positive.
    """
    if not share > 0:
        raise InputError(f"coverage: the share of the largest illumination is {share:g}; it must be positive")
    if kernel.illumination is None or not np.any(kernel.illumination):
        return None
    light: FloatArray = np.asarray(kernel.illumination, dtype=np.float64)
    return light / (share * float(light.max()))
