"""Sources and receivers between the points of the staggered grid.

Along x and y, and at depth, Kaiser-windowed sinc weights (Hicks 2002, radius 4, b = 6.31); above four cells
of depth polynomial weights along z on the levels below the surface, which keep moments up to degree 3.

Vertical motion has no level at the surface. There, and above the second level, it is that of the polynomial of degree 4
through the first four levels whose slope at the surface is what the vanishing traction asks for:
dvz/dz = -lambda / (lambda + 2 mu) (dvx/dx + dvy/dy). ``strain_entries`` are the second part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.native.elastic3d import FIELDS, Entries
from seisflow.native.elastic3d_stencils import level_weights

__all__ = ["RADIUS", "Place", "entries", "strain_entries"]

RADIUS = 4
_CLOSED = 1.5
"""Depth in cells above which the free surface helps to find vertical motion."""
_KAISER = 6.31
_HALF = {
    "vx": (1, 0, 0), "vy": (0, 1, 0), "vz": (0, 0, 1), "sxx": (0, 0, 0), "syy": (0, 0, 0), "szz": (0, 0, 0),
    "sxy": (1, 1, 0), "sxz": (1, 0, 1), "syz": (0, 1, 1),
}  # fmt: skip
_Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """A position in units of the grid: x and y from the first point, z from the surface."""

    x: float
    y: float
    z: float


def _sinc(position: float) -> tuple[_Indices, FloatArray]:
    """Points and weights along one axis (Hicks 2002, eq. 9-11)."""
    from scipy.special import i0  # imported late, see ``seisflow.fourier``

    nearest = round(position)
    if abs(position - nearest) < 1e-9:
        return np.array([nearest], dtype=np.int64), np.ones(1)
    points = np.arange(-RADIUS + 1, RADIUS + 1, dtype=np.int64) + int(np.floor(position))
    x = points - position
    window = i0(_KAISER * np.sqrt(np.clip(1 - (x / RADIUS) ** 2, 0, None))) / i0(_KAISER)
    return points, np.sinc(x) * window


def _sinc_slope(position: float) -> tuple[_Indices, FloatArray]:
    """Derivatives of the weights of ``_sinc`` with respect to the position."""
    from scipy.special import i0, i1

    nearest = round(position)
    position = nearest if abs(position - nearest) < 1e-9 else position
    points = np.arange(-RADIUS + 1, RADIUS + 1, dtype=np.int64) + int(np.floor(position))
    x = points - position
    root = np.sqrt(np.clip(1 - (x / RADIUS) ** 2, 0, None))
    bessel = np.where(root > 1e-6, i1(_KAISER * root) / np.where(root > 1e-6, root, 1), 0.5 * _KAISER)
    window, slope = i0(_KAISER * root), -_KAISER * x / RADIUS**2 * bessel
    wave = np.divide(np.cos(np.pi * x) - np.sinc(x), x, out=np.zeros(x.shape), where=x != 0)
    return points, -(wave * window + np.sinc(x) * slope) / i0(_KAISER)


def _polynomial_slope(position: float, count: int) -> tuple[_Indices, FloatArray]:
    """Derivatives of the weights of ``_polynomial`` with respect to the position."""
    points, _ = _polynomial(position, count)
    slopes = np.zeros(count)
    for i in range(count):
        others = [j for j in range(count) if j != i]
        below = np.prod([points[i] - points[j] for j in others])
        slopes[i] = sum(np.prod([position - points[j] for j in others if j != k]) for k in others) / below
    return points, slopes


def _polynomial(position: float, count: int) -> tuple[_Indices, FloatArray]:
    """Lagrange weights on ``count`` levels around a position, none above level 0."""
    first = max(int(np.floor(position)) - 1, 0)
    points = np.arange(first, first + count, dtype=np.int64)
    weights = np.ones(count)
    for i, j in product(range(count), range(count)):
        if i != j:
            weights[i] *= (position - points[j]) / (points[i] - points[j])
    return points, weights


def _levels(depth: float, half: int) -> tuple[_Indices, FloatArray]:
    if depth >= RADIUS:
        return _sinc(depth - 0.5 * half)
    return _polynomial(depth - 0.5 * half, 4)


def _closed(depth: float) -> tuple[FloatArray, float]:
    """Weights of vz on the first four half levels, and of its slope at the surface (a cell)."""
    levels, powers = np.arange(4) + 0.5, np.arange(5)
    conditions = np.column_stack([levels[None, :] ** powers[:, None], powers == 1])
    weights = np.linalg.solve(conditions, depth**powers)
    return weights[:4], float(weights[4])


def _level_slopes(depth: float, half: int) -> tuple[_Indices, FloatArray]:
    position = depth - 0.5 * half
    return _sinc_slope(position) if depth >= RADIUS else _polynomial_slope(position, 4)


def entries(
    name: str, place: Place, signal: int, *, source: bool, order: int = 4, slope: int | None = None
) -> Entries:
    """List the points of one field that a source adds to, or a receiver sums over, with their weights.

    Parameters
    ----------
    name : str
        Of the field.
    place : Place
    signal : int
        Which time series or record they belong to.
    source : bool
        Divide by the weight of the level, as the adjoint of recording needs.
    order : {4, 8}
        Of the derivatives.
    slope : int, optional
        Give the derivatives of the weights with respect to the place along this axis, in grid units, instead.
    """
    half = _HALF[name]
    ix, wx = (_sinc_slope if slope == 0 else _sinc)(place.x - 0.5 * half[0])
    iy, wy = (_sinc_slope if slope == 1 else _sinc)(place.y - 0.5 * half[1])
    iz, wz = (_level_slopes if slope == 2 else _levels)(place.z, half[2])
    if name == "vz" and place.z < _CLOSED and slope != 2:
        iz, wz = np.arange(4, dtype=np.int64), _closed(place.z)[0]
    if source:
        wz = wz / level_weights(iz, half=bool(half[2]), order=order)
    weight = (wx[:, None, None] * wy[None, :, None] * wz[None, None, :]).ravel()
    x, y, z = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(ix, iy, iz, indexing="ij"))
    constant = np.ones(weight.size, dtype=np.int64)
    return Entries(FIELDS.index(name) * constant, x, y, z, weight, signal * constant)


def strain_entries(place: Place, signal: int, *, source: bool, order: int = 4) -> Entries:
    """List what the free surface adds to vz: for a unit of lambda / (lambda + 2 mu), by horizontal motion there.

    None below one and a half cells. Parameters as of ``entries``.
    """
    if place.z >= _CLOSED:
        return Entries.join([])
    slope = _closed(place.z)[1]
    parts = []
    for axis, name in enumerate(("vx", "vy")):
        part = entries(name, replace(place, z=0.0), signal, source=source, order=order, slope=axis)
        parts.append(replace(part, weight=-slope * part.weight).select(part.weight != 0))
    return Entries.join(parts)
