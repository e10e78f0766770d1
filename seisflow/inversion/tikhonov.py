"""Terms of the misfit that keep a model near its start, or its change smooth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seisflow.domain import FloatArray, Grid, Model
from seisflow.errors import InputError
from seisflow.inversion.config import InversionConfig
from seisflow.inversion.parameters import change
from seisflow.inversion.parametrisation import Variables

__all__ = ["Penalty", "tikhonov"]


class Penalty(NamedTuple):
    """What is added to the data misfit and to its gradient.

    Parameters
    ----------
    value : float
        ``damping`` + ``roughness``, in units of the misfit.
    gradient : ndarray (parameters, nx, ny, nz)
        Its derivative with respect to the variables.
    damping, roughness : float
        The two terms, weights included.
    """

    value: float
    gradient: FloatArray
    damping: float
    roughness: float


def tikhonov(
    start: Model, model: Model, variables: Variables, config: InversionConfig, scale: float
) -> Penalty:
    """Compute the Tikhonov terms of a model and their exact derivative.

    With u the change of the variables from the starting model (no unit) and <> the mean over the volume,
    scale * (damping * 1/2 <u^2> + roughness * 1/2 <(lx du/dx)^2 + (ly du/dy)^2 + (lz du/dz)^2>), summed over the
    parameters (Tarantola 2005, section 6.22; first differences between neighbouring nodes). Means do not depend on
    the grid: nodes at the edges count for half a cell.

    Parameters
    ----------
    start, model : Model
        On one grid.
    variables : Parametrisation, or sequence of names
    config : InversionConfig
        ``damping``, ``roughness``, ``roughness_lengths``.
    scale : float
        Data misfit that the weights are relative to: that of the first model of a stage, the same in all its
        iterations and trials.

    Returns
    -------
    Penalty

    Raises
    ------
    InputError
        If the grids differ, or the scale is negative or not finite.
    """
    if not (np.isfinite(scale) and scale >= 0):
        raise InputError(
            f"the data misfit that weights are relative to is {scale}; it must be finite, not negative"
        )
    moved = change(start, model, variables)
    volume = _volume_shares(model.grid)
    weighted = volume * moved
    damping = 0.5 * float(np.sum(weighted * moved))
    gradient = (scale * config.damping) * weighted
    roughness = 0.0
    if config.roughness > 0:
        for axis, length in enumerate(config.roughness_lengths):
            value, slope = _roughness(moved, model.grid, axis, length)
            roughness += value
            gradient += (scale * config.roughness) * slope
    parts = scale * config.damping * damping, scale * config.roughness * roughness
    return Penalty(parts[0] + parts[1], gradient, *parts)


def _volume_shares(grid: Grid) -> FloatArray:
    """Share of each node's cell in the volume of the grid, shape (nx, ny, nz); the sum is 1."""
    x, y, z = (_shares(count) for count in grid.shape)
    shares: FloatArray = x[:, None, None] * y[:, None] * z
    return shares


def _shares(count: int) -> FloatArray:
    shares = np.full(count, 1.0 / (count - 1))
    shares[[0, -1]] /= 2
    return shares


def _roughness(moved: FloatArray, grid: Grid, axis: int, length: float) -> tuple[float, FloatArray]:
    """1/2 <(length du/d(axis))^2> and its derivative with respect to u."""
    place = axis - 3
    shares = [np.full(n - 1, 1.0 / (n - 1)) if k == axis else _shares(n) for k, n in enumerate(grid.shape)]
    volume = shares[0][:, None, None] * shares[1][:, None] * shares[2]
    slope = np.diff(moved, axis=place) * (length / grid.spacing[axis])
    flux = volume * slope * (length / grid.spacing[axis])
    edge = np.zeros_like(np.take(flux, [0], axis=place))
    derivative = -np.diff(np.concatenate([edge, flux, edge], axis=place), axis=place)
    return 0.5 * float(np.sum(volume * slope**2)), derivative
