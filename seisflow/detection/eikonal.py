"""First arrivals of a point source: refinement of a gridded medium, and the march from fine to coarse.

A medium is slowness on cells. Around the source, where wavefronts bend most within a cell, the times come from finer
grids nested into one another; each hands its times to the next coarser one as a start.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt

from seisflow.detection.interpolation import Stencil, ratios
from seisflow.domain import FloatArray, Grid
from seisflow.native.eikonal import Medium, Seeds, Source, march, sharp_faces

__all__ = ["first_arrivals", "plane_arrivals", "refine"]

_FACTOR = 4
_REACH = 2
_REACH_SHARP = 6
_LEVELS = 2
_SNAP = 1e-6
_Integers = npt.NDArray[np.int64]
_PLANE_NODES = 500_000
_FINEST = 16


def refine(cells: FloatArray, factor: int, jump: float) -> FloatArray:
    """Divide each cell into ``factor`` parts along each axis.

    The parts follow the trend between the neighbours of a cell, but not across a discontinuity (``sharp_faces``), so
    that it stays where it is. Means of cells are kept.

    Parameters
    ----------
    cells : ndarray (nx, ny, nz)
        Slowness.
    factor : int
    jump : float

    Returns
    -------
    ndarray (nx factor, ny factor, nz factor)
    """
    if factor == 1:
        return cells
    offset = (np.arange(factor) + 0.5) / factor - 0.5
    for axis in range(3):
        line = np.moveaxis(cells, axis, 0)
        step = np.diff(line, axis=0)
        smooth = ~np.moveaxis(sharp_faces(cells, axis, jump), axis, 0)
        total, count = np.zeros_like(line), np.zeros(line.shape, dtype=np.int8)
        for part in (slice(None, -1), slice(1, None)):
            total[part] += np.where(smooth, step, 0.0)
            count[part] += smooth
        slope = total / np.maximum(count, 1)
        parts = line[:, None] + slope[:, None] * offset.reshape(1, -1, *(1,) * (line.ndim - 1))
        cells = np.moveaxis(parts.reshape(-1, *line.shape[1:]), 0, axis)
    return np.ascontiguousarray(cells)


def _bounds(position: FloatArray, shape: tuple[int, ...]) -> tuple[FloatArray, list[tuple[int, int]]]:
    """The position in units of the grid, on a node where it is close to one; first and last node of what holds it."""
    nearest = np.round(position)
    position = np.where(np.abs(position - nearest) < _SNAP, nearest, position)
    position = np.clip(position, 0, np.array(shape) - 1)
    return position, [(int(np.floor(p)), int(np.ceil(p))) for p in position]


def _numbers(bounds: list[tuple[int, int]], shape: tuple[int, ...]) -> tuple[_Integers, _Integers]:
    """Indices (n, 3) of the nodes of a box, and their flat numbers."""
    index = np.array(list(product(*(range(a, b + 1) for a, b in bounds))), dtype=np.int64)
    flat: _Integers = np.ravel_multi_index(tuple(index.T), shape).astype(np.int64)
    return index, flat


def _gradient(nodes: FloatArray, position: FloatArray, spacing: tuple[float, ...]) -> FloatArray:
    """Gradient at a position of values interpolated linearly between nodes."""
    result = np.zeros(3)
    for axis, count in enumerate(nodes.shape):
        cell = min(int(position[axis]), count - 2)
        if cell < 0:  # a plane has one node along y
            continue
        ends = []
        for end in (cell, cell + 1):
            place = position.copy()
            place[axis] = end
            ends.append(_linear(nodes, place))
        result[axis] = (ends[1] - ends[0]) / spacing[axis]
    return result


def _linear(nodes: FloatArray, position: FloatArray) -> float:
    index, flat = _numbers([(int(np.floor(p)), int(np.ceil(p))) for p in position], nodes.shape)
    return float(np.prod(1 - np.abs(index - position), axis=1) @ nodes.ravel()[flat])


def _straight(medium: Medium, position: FloatArray, bounds: list[tuple[int, int]]) -> tuple[Source, Seeds]:
    """The source, and straight rays within what holds it: its cell, or less where it lies on nodes."""
    index, flat = _numbers(bounds, medium.nodes.shape)
    distance = np.sqrt((((index - position) * medium.spacing) ** 2).sum(axis=1))
    place = position * medium.spacing
    if medium.sharp.ravel()[flat].any():
        slowness = float(medium.cells[tuple(slice(b, a + 2) for a, b in bounds)].min())
        return Source(place, slowness, np.zeros(3)), Seeds(flat, distance * slowness)
    slowness = _linear(medium.nodes, position)
    source = Source(place, slowness, _gradient(medium.nodes, position, medium.spacing))
    return source, Seeds(flat, distance * 0.5 * (slowness + medium.nodes.ravel()[flat]))


def _medium(cells: FloatArray, spacing: tuple[float, ...], jump: float) -> Medium:
    """Prepare cells; a single one along y means a vertical plane with one row of nodes."""
    medium = Medium.of(cells, (spacing[0], spacing[1], spacing[2]), jump)
    if cells.shape[1] > 1:
        return medium
    rows = (slice(None), slice(0, 1))
    return replace(
        medium,
        cells=np.ascontiguousarray(medium.cells[:, :2]),
        nodes=np.ascontiguousarray(medium.nodes[rows]),
        sharp=np.ascontiguousarray(medium.sharp[rows]),
    )


def _box(bounds: list[tuple[int, int]], reach: int, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(max(a - reach, 0), min(b + reach, n - 1)) for (a, b), n in zip(bounds, shape, strict=True)]


def _nested(
    cells: FloatArray, medium: Medium, position: FloatArray, bounds: list[tuple[int, int]], levels: int
) -> tuple[Source, Seeds]:
    """The source, and times of the nodes around it from a finer grid."""
    shape = medium.nodes.shape
    box = _box(bounds, _REACH_SHARP, shape)
    if not medium.sharp[tuple(slice(a, b + 1) for a, b in box)].any():
        box = _box(bounds, _REACH, shape)
    part = refine(cells[tuple(slice(a, max(b, a + 1)) for a, b in box)], _FACTOR, medium.jump)
    if shape[1] == 1:
        part = np.ascontiguousarray(part[:, :1])
    fine = _medium(part, tuple(h / _FACTOR for h in medium.spacing), medium.jump)
    inner = (position - [a for a, _ in box]) * _FACTOR
    source, times = _arrivals(part, fine, inner, levels - 1)
    _, flat = _numbers(box, shape)
    source = replace(source, place=position * medium.spacing)
    return source, Seeds(flat, times[::_FACTOR, ::_FACTOR, ::_FACTOR].ravel())


def _arrivals(
    cells: FloatArray, medium: Medium, position: FloatArray, levels: int
) -> tuple[Source, FloatArray]:
    position, bounds = _bounds(position, medium.nodes.shape)
    if levels > 0:
        source, seeds = _nested(cells, medium, position, bounds, levels)
    else:
        source, seeds = _straight(medium, position, bounds)
    return source, march(medium, source, seeds)


def first_arrivals(cells: FloatArray, medium: Medium, source: FloatArray) -> FloatArray:
    """First-arrival times from a source to the corners of cells.

    Parameters
    ----------
    cells : ndarray (nx - 1, ny - 1, nz - 1)
        Slowness in s/m.
    medium : Medium
        ``Medium.of(cells, ...)``: the same for all sources.
    source : ndarray (3,)
        m from node (0, 0, 0); inside the grid.

    Returns
    -------
    ndarray of float64 (nx, ny, nz)
        s.
    """
    return _arrivals(cells, medium, np.asarray(source) / medium.spacing, _LEVELS)[1]


def plane_arrivals(column: FloatArray, grid: Grid, source: FloatArray, jump: float) -> FloatArray:
    """First-arrival times in a medium that varies with depth only.

    They depend on depth and horizontal distance, which solve the same equation as x and z: it is solved in that
    plane on a much finer grid, and read off at the distances of the nodes.

    Parameters
    ----------
    column : ndarray (nz - 1,)
        Slowness between the nodes in s/m.
    grid : Grid
    source : ndarray (3,)
        x, y, z in m on the axes of the grid; inside it.
    jump : float
        As ``Medium.jump``.

    Returns
    -------
    ndarray of float64 (nx, ny, nz)
        s.
    """
    east, north = np.abs(grid.x - source[0]), np.abs(grid.y - source[1])
    width, step = min(grid.spacing[:2]), grid.spacing[2]
    steps = int(np.ceil(np.hypot(east.max(), north.max()) / width)) + 1
    factor = int(np.clip(np.sqrt(_PLANE_NODES / (steps * column.size)), 1, _FINEST))
    column = refine(np.tile(column, (2, 2, 1)), factor, jump)[:1, :1]
    cells = np.tile(column, (steps * factor, 1, 1))
    spacing = (width / factor, width / factor, step / factor)
    place = np.array([0.0, 0.0, source[2] - grid.origin[2]])
    times = _arrivals(cells, _medium(cells, spacing, jump), place / spacing, _LEVELS)[1][:, 0, ::factor]
    radii = spacing[0] * np.arange(times.shape[0])
    ratio = ratios(times, np.hypot(radii[:, None], (grid.z - source[2])[None, :]))
    result = np.empty(grid.shape)
    for number, distance in enumerate(east):
        radius = np.hypot(distance, north)
        stencil = Stencil.of(radius, 0.0, spacing[0], radii.size)
        values = stencil.along(ratio)
        result[number] = values * np.hypot(radius[:, None], (grid.z - source[2])[None, :])
    return result
