"""Travel times between the nodes of a table, and their derivatives.

What is interpolated is the ratio of time to straight distance: it is smooth up to the station itself, exact in a
homogeneous medium, and loses nothing to the curvature of wavefronts.
"""

from __future__ import annotations

import numpy as np

from seisflow.detection.interpolation import Curvature, Stencil, ratios
from seisflow.domain import FloatArray, Grid, TravelTimeTable
from seisflow.errors import InputError

__all__ = ["at_points", "on_grid", "resample", "slowness_at_points"]

_CHUNK = 8192
"""Rows and points that are interpolated at once: their 64 nodes stay in the cache."""


def _distance(grid: Grid, position: FloatArray) -> FloatArray:
    """Straight distance of the nodes of a grid from a position, m."""
    x, y, z = (grid.axis(axis) - position[axis] for axis in range(3))
    distance: FloatArray = np.sqrt((x * x)[:, None, None] + (y * y)[None, :, None] + (z * z)[None, None, :])
    return distance


def _covers(grid: Grid, low: FloatArray, high: FloatArray, what: str) -> None:
    slack = 1e-6 * np.array(grid.spacing)
    if (low < grid.origin - slack).any() or (high > grid.end + slack).any():
        raise InputError(
            f"{what} from {low} to {high} m reach beyond the grid of the travel times, {grid.origin} to {grid.end} m; "
            "make the table for a larger grid"
        )


def _positions(table: TravelTimeTable) -> FloatArray:
    if table.positions is None:
        raise InputError(
            "travel times without the positions of their stations cannot be interpolated; "
            "make them with make_table"
        )
    return table.positions


def on_grid(times: FloatArray, grid: Grid, position: FloatArray, wanted: Grid) -> FloatArray:
    """Times of one station at the nodes of another grid inside.

    Parameters
    ----------
    times : ndarray (nx, ny, nz)
        s, on ``grid``.
    grid : Grid
    position : ndarray (3,)
        Of the station, m.
    wanted : Grid

    Returns
    -------
    ndarray of float64, of the shape of ``wanted``
        s.
    """
    values = ratios(np.asarray(times, dtype=np.float64), _distance(grid, position))
    for axis in (2, 1, 0):
        stencil = Stencil.of(wanted.axis(axis), grid.origin[axis], grid.spacing[axis], grid.shape[axis])
        values = np.moveaxis(stencil.along(np.moveaxis(values, axis, 0)), 0, axis)
    return values * _distance(wanted, position)


def resample(table: TravelTimeTable, grid: Grid) -> TravelTimeTable:
    """The same travel times at the nodes of another grid inside, such as a search grid.

    Parameters
    ----------
    table : TravelTimeTable
    grid : Grid

    Returns
    -------
    TravelTimeTable

    Raises
    ------
    InputError
        If the grid reaches beyond that of the table.
    """
    _covers(table.grid, np.array(grid.origin), np.array(grid.end), "the nodes of the wanted grid")
    positions = _positions(table)
    times = np.empty((*table.times.shape[:2], *grid.shape), dtype=np.float32)
    for station, position in enumerate(positions):
        for phase in range(len(table.phases)):
            times[station, phase] = on_grid(table.times[station, phase], table.grid, position, grid)
    return TravelTimeTable(grid, table.stations, table.phases, times, positions)


def _around(table: TravelTimeTable, stencils: list[Stencil]) -> FloatArray:
    """Ratios at the 64 nodes around each point, shape (4, 4, 4, ns, np, n)."""
    positions = _positions(table)
    i, j, k = (stencil.index for stencil in stencils)
    place = (i[:, None, None], j[None, :, None], k[None, None, :])
    times = np.moveaxis(table.times[(slice(None), slice(None), *place)], (0, 1), (3, 4)).astype(np.float64)
    square = np.zeros((*times.shape[:4], times.shape[5]))
    for axis, part in enumerate(place):
        offset = table.grid.axis(axis)[part][:, :, :, None] - positions[:, axis, None]
        square = square + offset**2
    distance = np.sqrt(square)[:, :, :, :, None]
    ratio: FloatArray = np.divide(times, distance, out=np.zeros(times.shape), where=distance > 0)
    for station in np.flatnonzero((distance == 0).any(axis=(0, 1, 2, 4, 5))):
        position = positions[station]
        node = tuple(int(n) for n in np.rint((position - table.grid.origin) / table.grid.spacing))
        near = tuple(slice(max(n - 1, 0), n + 2) for n in node)
        center = tuple(n - part.start for n, part in zip(node, near, strict=True))
        box = _distance(table.grid, position)[near]
        for phase in range(times.shape[4]):
            value = ratios(table.times[station, phase][near].astype(np.float64), box)[center]
            ratio[:, :, :, station, phase][distance[:, :, :, station, 0] == 0] = value
    return ratio


def _interpolate(values: FloatArray, stencils: list[Stencil]) -> tuple[FloatArray, list[FloatArray]]:
    """Value (ns, np, n) and its derivatives with respect to the fractions, of values (4, 4, 4, ns, np, n)."""
    slopes: list[FloatArray] = []
    for axis in (2, 1, 0):
        stencil = stencils[axis]
        lines = np.moveaxis(values, axis, 0)
        curvature = Curvature.of(lines, stencil.at_start, stencil.at_end)
        slopes = [curvature.value(np.moveaxis(slope, axis, 0), stencil.fraction) for slope in slopes]
        slopes.insert(0, curvature.slope(lines, stencil.fraction))
        values = curvature.value(lines, stencil.fraction)
    return values, slopes


def slowness_at_points(table: TravelTimeTable, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Travel times at points anywhere in the grid, and their derivatives with respect to x, y and z.

    Parameters
    ----------
    table : TravelTimeTable
    points : ndarray (n, 3)
        x, y, z in m.

    Returns
    -------
    times : ndarray (ns, np, n)
        s.
    slowness : ndarray (ns, np, n, 3)
        s/m; the exact derivatives of ``times``. Zero at the station itself.

    Raises
    ------
    InputError
        For points outside the grid, or a table without the positions of its stations.
    """
    points = np.atleast_2d(np.asarray(points, dtype=np.float64))
    positions, grid = _positions(table), table.grid
    if points.shape[0]:
        _covers(grid, points.min(axis=0), points.max(axis=0), "points")
    times = np.empty((*table.times.shape[:2], points.shape[0]))
    slowness = np.empty((*times.shape, 3))
    chunk = max(1, _CHUNK // max(1, times.shape[0] * times.shape[1]))
    for start in range(0, points.shape[0], chunk):
        part = slice(start, start + chunk)
        stencils = [
            Stencil.of(points[part, axis], grid.origin[axis], grid.spacing[axis], grid.shape[axis])
            for axis in range(3)
        ]
        ratio, slopes = _interpolate(_around(table, stencils), stencils)
        offset = (points[part] - positions[:, None, :])[:, None]
        distance = np.sqrt((offset**2).sum(axis=-1))
        times[..., part] = ratio * distance
        for axis in range(3):
            unit = np.divide(offset[..., axis], distance, out=np.zeros(distance.shape), where=distance > 0)
            slowness[..., part, axis] = ratio * unit + distance * slopes[axis] / grid.spacing[axis]
    return times, slowness


def at_points(table: TravelTimeTable, points: FloatArray) -> FloatArray:
    """Travel times at points anywhere in the grid: the first of what ``slowness_at_points`` gives.

    Parameters
    ----------
    table : TravelTimeTable
    points : ndarray (n, 3)
        x, y, z in m.

    Returns
    -------
    ndarray (ns, np, n)
        s.

    Raises
    ------
    InputError
        As ``slowness_at_points``.
    """
    return slowness_at_points(table, points)[0]
