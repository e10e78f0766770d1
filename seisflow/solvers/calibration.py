"""How fast elastic3d is on this machine: a few steps on a small grid, timed."""

from __future__ import annotations

import time
from functools import lru_cache

import numpy as np

from seisflow.native.elastic3d import Elastic3DGrid, Entries, Material
from seisflow.solvers.absorb import profiles

__all__ = ["updates_a_second"]

_LARGEST = 64
"""Points along an axis, at most."""
_STEPS, _SECONDS = 8, 0.25


@lru_cache(maxsize=16)
def updates_a_second(shape: tuple[int, int, int], cells: int, order: int, dtype: str, threads: int) -> float:
    """Point updates a second of a grid like one of a plan, but small; takes about half a second.

    Parameters
    ----------
    shape : tuple of 3 int
        Of the plan.
    cells : int
        Width of the absorbing layers.
    order : {4, 8}
    dtype : str
        Of the fields.
    threads : int
    """
    small = tuple(min(points, _LARGEST) for points in shape)
    nx, ny, nz = small
    layers = profiles((nx, ny, nz), cells, 0.4, 0.01, 0.5)
    grid = Elastic3DGrid((nx, ny, nz), dtype, cells=cells, profiles=layers, threads=threads, order=order)
    rest = np.full((nx, ny, nz), 3e10)
    grid.set_material(Material.isotropic(np.full(rest.shape, 2700.0), rest, rest), 1e-4)
    none, samples, out = Entries.join([]), np.zeros((10**5, 1)), np.zeros((10**5, 0))
    driven = (
        grid.sources(none, samples),
        grid.sources(none, samples),
        grid.receivers(none, out),
        grid.snapshots(None),
    )
    grid.advance(*driven, 0, _STEPS)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS and done + 2 * _STEPS < samples.shape[0]:
        done += _STEPS
        grid.advance(*driven, done, _STEPS)
    return nx * ny * nz * done / (time.perf_counter() - began)
