"""Patterns for resolution tests: what is laid on a model to be found again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from seisflow.config import Config
from seisflow.domain import FloatArray, Grid, Model, Projection
from seisflow.errors import InputError

__all__ = ["Checkerboard", "Pattern", "Spikes", "Target", "gaussian", "local_place", "node_limit"]

FADE = (0.05, 0.15)
"""A pattern is zero within the first share of the box from its sides and bottom, whole beyond the second."""


def node_limit(grid: Grid, what: str, lengths: tuple[float, ...]) -> None:
    """Refuse lengths in m (along x, y, z, or one for all) that the nodes of the model cannot hold.

    Raises
    ------
    InputError
        If one is below two node spacings.
    """
    for axis, length, spacing in zip("xyz", (lengths * 3)[:3], grid.spacing, strict=True):
        if not length >= 2 * spacing * (1 - 1e-9):
            raise InputError(
                f"{what} of {length / 1e3:g} km along {axis}: the model has a node every {spacing / 1e3:g} km, "
                f"which holds {2 * spacing / 1e3:g} km and more"
            )


def local_place(
    grid: Grid, projection: Projection, place: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Local x, y, z in m of a place (longitude, latitude in degrees, depth in m) in the model.

    Raises
    ------
    InputError
        If it is outside; how far the model reaches is in the message.
    """
    longitude, latitude, depth = place
    x, y = projection.to_local(latitude, longitude)
    if not grid.contains((x, y, depth)):
        south, west = projection.to_geographic(*grid.origin[:2])
        north, east = projection.to_geographic(*grid.end[:2])
        raise InputError(
            f"--at {longitude:g},{latitude:g},{depth / 1e3:g}: is outside the model, which reaches from "
            f"{west:.3f},{south:.3f},{grid.origin[2] / 1e3:g} to {east:.3f},{north:.3f},{grid.end[2] / 1e3:g} "
            "(longitude,latitude,depth in km)"
        )
    return x, y, depth


class Pattern(Protocol):
    """A perturbation, -1 to 1, on the nodes of a model."""

    def values(self, grid: Grid, projection: Projection) -> FloatArray:
        """Values on the nodes, shape (nx, ny, nz)."""
        ...


@dataclass(frozen=True)
class Checkerboard:
    """Products of sines whose signs alternate; the first cell is centred in the box, at the surface.

    Parameters
    ----------
    cell : tuple of 3 float, optional
        Size of a cell along x, y, z in m: from one change of sign to the next. The uppermost ones reach down half of
        it. If left out, two of the shortest S wavelengths, see ``Target.completed``.
    """

    cell: tuple[float, float, float] | None = None

    def values(self, grid: Grid, projection: Projection) -> FloatArray:
        """See ``Pattern``."""
        if self.cell is None:
            raise InputError("a checkerboard needs the size of its cells")
        node_limit(grid, "a cell", self.cell)
        middle = [(grid.origin[n] + grid.end[n]) / 2 for n in (0, 1)] + [0.0]
        waves = [
            np.sin(np.pi * ((grid.axis(n) - middle[n]) / self.cell[n] + 0.5)) * _fade(grid, n)
            for n in range(3)
        ]
        return np.asarray(
            waves[0][:, None, None] * waves[1][None, :, None] * waves[2][None, None, :], np.float64
        )


@dataclass(frozen=True)
class Spikes:
    """Gaussian anomalies.

    Parameters
    ----------
    places : tuple of (longitude, latitude, depth)
        Degrees and m.
    size : float
        Full width at half of the maximum, m.
    """

    places: tuple[tuple[float, float, float], ...]
    size: float

    def values(self, grid: Grid, projection: Projection) -> FloatArray:
        """See ``Pattern``."""
        node_limit(grid, "a spike", (self.size,))
        total = np.zeros(grid.shape)
        fade = [_fade(grid, n) for n in range(3)]
        edge = fade[0][:, None, None] * fade[1][None, :, None] * fade[2][None, None, :]
        for place in self.places:
            spike = gaussian(grid, local_place(grid, projection, place), self.size) * edge
            if spike.max() < 0.5:
                longitude, latitude, depth = place
                raise InputError(
                    f"--at {longitude:g},{latitude:g},{depth / 1e3:g}: is so near to a side or the bottom of the model "
                    f"that {100 * spike.max():.0f} % of the spike would be left; keep {100 * FADE[1]:.0f} % of its "
                    "width away"
                )
            total += spike
        return total


def gaussian(grid: Grid, place: tuple[float, float, float], size: float) -> FloatArray:
    """A Gaussian of full width ``size`` (m) at half of its maximum, 1 at a place (x, y, z in m)."""
    squares = [((grid.axis(n) - place[n]) / size) ** 2 for n in range(3)]
    radius = squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
    return np.asarray(np.exp(-4 * np.log(2) * radius), np.float64)


def _fade(grid: Grid, number: int) -> FloatArray:
    """0 at the sides and the bottom of the box, 1 within; 1 at the surface."""
    axis, start, end = grid.axis(number), grid.origin[number], grid.end[number]
    away = end - axis if number == 2 else np.minimum(axis - start, end - axis)
    none, whole = (share * (end - start) for share in FADE)
    return np.asarray(np.clip((away - none) / (whole - none), 0, 1))


@dataclass(frozen=True)
class Target:
    """What is to be found again.

    Parameters
    ----------
    pattern : Checkerboard or Spikes
    anomaly : float
        Largest relative change of the parameters; negative ones make the first cell, or spikes, slow.
    noise : float
        Standard deviation of the noise over the median peak of an event's traces.
    parameters : tuple of {"vp", "vs", "rho"}
        That change; those that the inversion moves, if left empty.
    """

    pattern: Checkerboard | Spikes
    anomaly: float = 0.05
    noise: float = 0.02
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < abs(self.anomaly) < 0.5:
            raise InputError(
                f"--anomaly {self.anomaly:g}: must be a share of the model, above 0 and below 0.5"
            )
        if not 0 <= self.noise <= 1:
            raise InputError(f"--noise {self.noise:g}: must be a share of the median peak, 0 to 1")
        wrong = [name for name in self.parameters if name not in Model.PARAMETERS]
        if wrong or len(set(self.parameters)) < len(self.parameters):
            raise InputError(
                f"--parameter {','.join(self.parameters)}: use {', '.join(Model.PARAMETERS)}, each once"
            )

    def completed(self, config: Config, model: Model) -> Target:
        """The same with all that was left out: parameters, and the size of cells.

        Cells are two S wavelengths of the shortest period wide, at the mean speed, but at most a third of the box
        sideways and two thirds of its depth, and at least four nodes.
        """
        done = replace(self, parameters=self.parameters or tuple(config.inversion.fields))
        if not isinstance(self.pattern, Checkerboard) or self.pattern.cell is not None:
            return done
        grid = model.grid
        wave = 2 * float(np.mean(model.vs)) * min(stage.periods[0] for stage in config.stages)
        cell = []
        for number, most in enumerate((1 / 3, 1 / 3, 2 / 3)):
            box, spacing = grid.end[number] - grid.origin[number], grid.spacing[number]
            size = max(min(wave, most * box), 4 * spacing)
            cell.append(round(size, -3) if size > 2000 else size)
        return replace(done, pattern=Checkerboard((cell[0], cell[1], cell[2])))

    def applied(self, model: Model) -> Model:
        """The true model: the model times 1 + anomaly * pattern.

        Raises
        ------
        InputError
            If the pattern does not fit the model, or makes values that no rock has.
        """
        change = 1 + self.anomaly * self.pattern.values(model.grid, model.projection)
        fields = {name: np.asarray(model.fields()[name], np.float64) * change for name in self.parameters}
        truth = model.with_fields(**fields)
        truth.check("true model")
        return truth
