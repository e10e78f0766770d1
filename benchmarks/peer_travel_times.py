"""The gradient problem of travel_times.py with other solvers; runs in an environment of theirs, without seisflow.

usage: python benchmarks/peer_travel_times.py ROUNDS
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np

SHAPE, SPACING, V0, SLOPE = (100, 100, 60), 1000.0, 4000.0, 0.06
SOURCES = [(35e3, 48e3, 22e3), (35.37e3, 48.61e3, 22.43e3), (35.5e3, 48.5e3, 22.5e3)]


def report(code, source, grid, solve, rounds):
    """Solve some times; print the best wall clock and processor time and the errors."""
    best = (np.inf, np.inf)
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        times = solve()
        best = (min(best[0], time.perf_counter() - wall), min(best[1], time.process_time() - cpu))
    x, y, z = np.meshgrid(grid.x, grid.y, grid.z, indexing="ij")
    square = (x - source[0]) ** 2 + (y - source[1]) ** 2 + (z - source[2]) ** 2
    exact = np.arccosh(1 + SLOPE**2 * square / (2 * (V0 + SLOPE * source[2]) * (V0 + SLOPE * z))) / SLOPE
    error = 1e3 * (times - exact)
    figures = {
        "wall_s": best[0], "cpu_s": best[1], "rms_ms": np.sqrt(np.mean(error**2)), "max_ms": np.abs(error).max()
    }  # fmt: skip
    print(
        json.dumps({"code": code, "source": source} | {k: round(float(v), 4) for k, v in figures.items()}),
        flush=True,
    )


def pykonal_times(source, speed):
    """The solver of pykonal that refines around the source."""
    import pykonal

    solver = pykonal.solver.PointSourceSolver(coord_sys="cartesian")
    solver.velocity.min_coords = 0, 0, 0
    solver.velocity.node_intervals = (SPACING,) * 3
    solver.velocity.npts = SHAPE
    solver.velocity.values = speed
    solver.src_loc = np.array(source)
    solver.solve()
    return np.array(solver.traveltime.values)


def fteikpy_times(source, sweeps):
    """Fast sweeping on cells: one fewer than nodes, speeds at their middle, z first."""
    from fteikpy import Eikonal3D

    middle = V0 + SLOPE * SPACING * (np.arange(SHAPE[2] - 1) + 0.5)
    cells = middle[:, None, None] * np.ones((1, SHAPE[0] - 1, SHAPE[1] - 1))
    solver = Eikonal3D(cells, gridsize=(SPACING,) * 3)
    return solver.solve(np.array([source[2], source[0], source[1]]), nsweep=sweeps).grid.transpose(1, 2, 0)


def skfmm_times(source, speed, grid):
    """Second-order fast marching from a sphere of 1.5 cells."""
    import skfmm

    x, y, z = np.meshgrid(grid.x, grid.y, grid.z, indexing="ij")
    distance = np.sqrt((x - source[0]) ** 2 + (y - source[1]) ** 2 + (z - source[2]) ** 2)
    radius, slowness = 1.5 * SPACING, 1 / (V0 + SLOPE * source[2])
    outside = skfmm.travel_time(distance - radius, speed, dx=SPACING, order=2)
    return np.where(distance > radius, outside + radius * slowness, distance * slowness)


def main():
    """All peers that are installed."""
    warnings.simplefilter("ignore")
    rounds = int(sys.argv[1])
    axes = {name: SPACING * np.arange(count) for name, count in zip("xyz", SHAPE, strict=True)}
    grid = SimpleNamespace(**axes)
    speed = np.tile(V0 + SLOPE * grid.z, (*SHAPE[:2], 1))
    solvers = {
        "pykonal": lambda s: pykonal_times(s, speed),
        "fteikpy": lambda s: fteikpy_times(s, 2),
        "scikit-fmm": lambda s: skfmm_times(s, speed, grid),
    }
    for name, solve in solvers.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            print(json.dumps({"code": name, "missing": True}))
            continue
        solve(SOURCES[0])
        for source in SOURCES:
            report(f"{name} {version}", source, grid, lambda s=source, f=solve: f(s), rounds)


if __name__ == "__main__":
    main()
