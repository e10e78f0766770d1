"""What can be drawn on depth slices and vertical sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seisflow.domain import Event, FloatArray, Grid, Kernel, Model, Projection, Station
from seisflow.errors import InputError

__all__ = ["Field", "Line", "Overlay", "kernel_field", "model_field", "perturbation_field"]

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
        0 (fades to grey) to 1 (full colour).
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

    def points(self, count: int) -> tuple[FloatArray, FloatArray]:
        """Coordinates x and y in m of points at equal distances from start to end."""
        share = np.linspace(0, 1, count)
        return (
            self.start[0] + share * (self.end[0] - self.start[0]),
            self.start[1] + share * (self.end[1] - self.start[1]),
        )


@dataclass(frozen=True)
class Overlay:
    """Events and stations to draw on the sections."""

    projection: Projection
    events: Sequence[Event] = ()
    stations: Sequence[Station] = ()

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


def kernel_field(kernel: Kernel, model: Model, name: str) -> Field:
    """Take a kernel per relative change and volume: m dJ/dm per km3, in misfit units."""
    values = 1e9 * kernel.density().fields()[name] * model.fields()[name]
    return Field(kernel.grid, values, f"kernel dJ/d ln {_SYMBOLS[name]} (1/km³)", "kernel")
