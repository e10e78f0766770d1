"""The compiled eikonal solver: first-arrival times on a regular grid by fast marching.

The scheme is described in ``kernels/include/eikonal.h``.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError, PhysicsError, WorkError
from seisflow.native.library import library, pointer

__all__ = ["VERSION", "Medium", "Seeds", "Source", "march", "sharp_faces"]

VERSION = 1
"""Number of the scheme: it changes whenever times do, so that what was kept on disk is made anew."""

_Integer = ctypes.c_int64
_Pointer = ctypes.c_void_p
_Double = ctypes.c_double


class _Problem(ctypes.Structure):
    _fields_: ClassVar = [
        ("shape", _Integer * 3),
        ("spacing", _Double * 3),
        ("source", _Double * 3),
        ("source_slowness", _Double),
        ("trend", _Double * 3),
        ("jump", _Double),
        ("cells", _Pointer),
        ("nodes", _Pointer),
        ("sharp", _Pointer),
        ("seeds", _Integer),
        ("seed", _Pointer),
        ("seed_time", _Pointer),
        ("times", _Pointer),
    ]


def sharp_faces(cells: FloatArray, axis: int, jump: float) -> npt.NDArray[np.bool_]:
    """Find the discontinuities between neighbouring cells along an axis.

    A step is one if it is greater than ``jump`` (relative) and at least twice any step of the same sign next to it:
    a steep gradient has steps of one size, an interface stands alone.

    Parameters
    ----------
    cells : ndarray
        Slowness.
    axis : int
    jump : float

    Returns
    -------
    ndarray of bool
        One element less than ``cells`` along the axis.
    """
    line = np.moveaxis(cells, axis, 0)
    step = np.diff(line, axis=0)
    large = np.abs(step) > jump * np.minimum(line[1:], line[:-1])
    if large.any():
        alike = step[1:] * step[:-1] > 0
        size = np.abs(step)
        large[1:] &= ~(alike & (size[:-1] > 0.5 * size[1:]))
        large[:-1] &= ~(alike & (size[1:] > 0.5 * size[:-1]))
    return np.moveaxis(large, 0, axis)


def _pad(cells: FloatArray, axis: int, jump: float) -> FloatArray:
    """Add one cell beyond each edge: the trend goes on where it is smooth."""
    line = np.moveaxis(cells, axis, 0)
    first, last = line[:1], line[-1:]
    if line.shape[0] > 1:
        faces = np.moveaxis(sharp_faces(cells, axis, jump), axis, 0)
        reached = [2 * first - line[1:2], 2 * last - line[-2:-1]]
        ends = (~faces[:1] & (reached[0] > 0.5 * first), ~faces[-1:] & (reached[1] > 0.5 * last))
        first, last = np.where(ends[0], reached[0], first), np.where(ends[1], reached[1], last)
    return np.moveaxis(np.concatenate([first, line, last]), 0, axis)


def _around(cells: npt.NDArray[Any], axes: tuple[int, ...]) -> list[Any]:
    """The neighbours along axes (two for one axis, four for two, eight for three), as views."""
    parts = [cells]
    for axis in axes:
        halves = (slice(None, -1), slice(1, None))
        parts = [part[(slice(None),) * axis + (half,)] for part in parts for half in halves]
    return parts


@dataclass(frozen=True, eq=False)
class Medium:
    """Slowness on the cells of a grid, as the solver needs it; made once for all sources.

    Parameters
    ----------
    cells : ndarray of float64 (nx + 1, ny + 1, nz + 1)
        s/m; with one cell beyond the nodes on each side.
    nodes : ndarray of float64 (nx, ny, nz)
        Means of the eight cells around each node, s/m.
    sharp : ndarray of uint8 (nx, ny, nz)
        1 where a discontinuity lies between two of them (``sharp_faces``).
    spacing : tuple of 3 float
        m.
    jump : float
        Relative difference of neighbouring cells that counts as a discontinuity.
    """

    cells: FloatArray
    nodes: FloatArray
    sharp: npt.NDArray[np.uint8]
    spacing: tuple[float, float, float]
    jump: float

    @classmethod
    def of(cls, cells: FloatArray, spacing: tuple[float, float, float], jump: float) -> Medium:
        """Prepare the cells between the nodes (one fewer than nodes along each axis).

        Parameters
        ----------
        cells : ndarray (nx - 1, ny - 1, nz - 1)
            Slowness in s/m.
        spacing : tuple of 3 float
            m.
        jump : float

        Raises
        ------
        PhysicsError
            If a slowness is not finite and positive.
        """
        if not (np.isfinite(cells).all() and cells.min() > 0):
            bad = cells[~(np.isfinite(cells) & (cells > 0))].ravel()[0]
            raise PhysicsError(f"slowness {bad} s/m; travel times need finite positive speeds everywhere")
        padded: FloatArray = np.asarray(cells, dtype=np.float64)
        for axis in range(3):
            padded = _pad(padded, axis, jump)
        nodes = sum(_around(padded, (0, 1, 2))) / 8
        sharp = np.zeros(nodes.shape, dtype=bool)
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            for part in _around(sharp_faces(padded, axis, jump), others):
                sharp |= part
        return cls(np.ascontiguousarray(padded), nodes, sharp.astype(np.uint8), spacing, jump)


@dataclass(frozen=True, eq=False)
class Seeds:
    """Nodes around the source whose times are known.

    Parameters
    ----------
    nodes : ndarray of int64 (n,)
        Flat numbers, C order.
    times : ndarray of float64 (n,)
        s.
    """

    nodes: npt.NDArray[np.int64]
    times: FloatArray


@dataclass(frozen=True, eq=False)
class Source:
    """A point source.

    Parameters
    ----------
    place : ndarray (3,)
        m from node (0, 0, 0).
    slowness : float
        There, in s/m: times are this times distance times the smooth factor tau that is solved for.
    gradient : ndarray (3,)
        Of the slowness there, s/m2; zero beside an interface.
    """

    place: FloatArray
    slowness: float
    gradient: FloatArray


def march(medium: Medium, source: Source, seeds: Seeds) -> FloatArray:
    """First-arrival times at all nodes.

    Parameters
    ----------
    medium : Medium
    source : Source
    seeds : Seeds

    Returns
    -------
    ndarray of float64 (nx, ny, nz)
        s.

    Raises
    ------
    InputError
        If the grid has too many nodes for one solution, or a seed is none of them.
    """
    shape = medium.nodes.shape
    if medium.nodes.size >= 2**31:
        raise InputError(f"travel times on {shape} nodes: at most 2147483647 at once; use a larger spacing")
    if seeds.nodes.size == 0 or seeds.nodes.min() < 0 or seeds.nodes.max() >= medium.nodes.size:
        raise InputError(f"the seeds of travel times must be some of the {medium.nodes.size} nodes")
    times = np.empty(shape)
    count = seeds.nodes.shape
    problem: Any = _Problem(
        (_Integer * 3)(*shape),
        (_Double * 3)(*medium.spacing),
        (_Double * 3)(*source.place),
        source.slowness,
        (_Double * 3)(*(source.gradient / (2 * source.slowness))),
        medium.jump,
        pointer(medium.cells, np.float64, tuple(n + 1 for n in shape), "cells"),
        pointer(medium.nodes, np.float64, shape, "nodes"),
        pointer(medium.sharp, np.uint8, shape, "sharp"),
        seeds.nodes.size,
        pointer(seeds.nodes, np.int64, count, "seeds"),
        pointer(seeds.times, np.float64, count, "times of the seeds"),
        pointer(times, np.float64, shape, "times"),
    )
    solve = library().eikonal_solve
    solve.restype = _Integer
    status = int(solve(ctypes.byref(problem)))
    if status < 0:
        raise WorkError(f"travel times on {shape} nodes: memory is missing; use fewer threads or nodes")
    if status > 0:
        raise PhysicsError(f"travel times: {status} of {times.size} nodes were not reached from the source")
    return times
