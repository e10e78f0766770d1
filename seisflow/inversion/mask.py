"""Masks around sources and receivers, where kernels are singular."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray, Grid
from seisflow.errors import InputError

__all__ = ["point_mask"]

_REACH = 8.0
"""Radii beyond which the mask is 1 exactly; there exp(-r^2 / 2 s^2) is 1e-14."""


def point_mask(grid: Grid, x: FloatArray, y: FloatArray, z: FloatArray, radius: float) -> FloatArray:
    """Make the factor 1 - exp(-r^2 / (2 radius^2)) that is 0 at the points and 1 far away.

    r is the distance from the nearest point, so neither the order of the points nor repeated points matter.

    Parameters
    ----------
    grid : Grid
    x, y, z : ndarray (n,)
        Positions in local coordinates in m, z down.
    radius : float
        Standard deviation of the hole in m; 0 masks nothing.

    Returns
    -------
    ndarray (nx, ny, nz)

    Raises
    ------
    InputError
        If the radius is negative, or positions are not finite arrays of one length.
    """
    points = _positions(x, y, z)
    if radius < 0 or not np.isfinite(radius):
        raise InputError(f"mask radius = {radius} m: must be finite and not negative")
    if radius == 0:
        return np.ones(grid.shape)
    square = np.full(grid.shape, np.inf)
    for point in points:
        boxes = [_near(grid.axis(number), point[number], radius) for number in range(3)]
        if any(box.start == box.stop for box in boxes):
            continue
        part = square[boxes[0], boxes[1], boxes[2]]
        dx, dy, dz = (grid.axis(number)[boxes[number]] - point[number] for number in range(3))
        distance = dx[:, None, None] ** 2 + dy[None, :, None] ** 2 + dz[None, None, :] ** 2
        np.minimum(part, distance, out=part)
    mask: FloatArray = -np.expm1(-square / (2 * radius**2))
    return mask


def _positions(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    columns = [np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (x, y, z)]
    if any(column.ndim != 1 or column.shape != columns[0].shape for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise InputError(f"positions x, y, z must be arrays of one length, found shapes {shapes}")
    points = np.stack(columns, axis=1)
    if not np.isfinite(points).all():
        raise InputError("positions to mask must be finite; a source or receiver has NaN coordinates")
    return points


def _near(axis: FloatArray, centre: float, radius: float) -> slice:
    first = int(np.searchsorted(axis, centre - _REACH * radius, side="left"))
    last = int(np.searchsorted(axis, centre + _REACH * radius, side="right"))
    return slice(first, last)
