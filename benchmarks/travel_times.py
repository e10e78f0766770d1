"""Time and accuracy of first-arrival times, ours and those of other solvers, in turn, on one core.

usage: python benchmarks/travel_times.py [--peers-python PATH] [--rounds 3]

The gradient problem: 100 x 100 x 60 nodes at 1 km, v = 4 + 0.06 z km/s, closed form. Ours in 3D, as if the model
varied sideways too (``3d``), and as it is solved for a model that varies with depth only (``plane``). Then two layers
(5.8 and 8 km/s, 15 km): errors where the first arrival leads the other branch by more than 20 ms. PATH is the
Python of an environment with pykonal, fteikpy or scikit-fmm (those that are there are timed).
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from peer_travel_times import SHAPE, SLOPE, SOURCES, SPACING, V0, report

from seisflow.detection.eikonal import first_arrivals, plane_arrivals
from seisflow.domain import Grid
from seisflow.native.eikonal import Medium

HERE = Path(__file__).resolve().parent
TRUTH = SimpleNamespace(**runpy.run_path(str(HERE.parent / "tests" / "detection" / "eikonal_truth.py")))
JUMP = 0.05


def ours(rounds: int) -> None:
    """Solve the gradient problem; nodes of the solution are corners of cells around the 100 x 100 x 60 values."""
    grid = Grid((-SPACING / 2,) * 3, (SPACING,) * 3, tuple(n + 1 for n in SHAPE))
    column = 1 / (V0 + SLOPE * SPACING * np.arange(SHAPE[2]))
    cells = np.tile(column, (*SHAPE[:2], 1))
    start = time.process_time()
    medium = Medium.of(cells, grid.spacing, JUMP)
    print(json.dumps({"code": "seisflow, once for all sources", "cpu_s": time.process_time() - start}))
    for source in SOURCES:
        place = np.array(source)
        report(
            "seisflow 3d",
            source,
            grid,
            lambda p=place: first_arrivals(cells, medium, p - grid.origin),
            rounds,
        )
        report("seisflow plane", source, grid, lambda p=place: plane_arrivals(column, grid, p, JUMP), rounds)


def layered(spacing: float, source: tuple[float, float, float], plane: bool) -> None:
    """Errors with two layers."""
    depth, speeds = 15e3, (5800.0, 8000.0)
    shape = tuple(int(length / spacing) for length in (60e3, 60e3, 40e3))
    grid = Grid((0.0, 0.0, 0.0), (spacing,) * 3, tuple(n + 1 for n in shape))
    column = np.where((np.arange(shape[2]) + 0.5) * spacing < depth, *(1 / v for v in speeds))
    start, place = time.process_time(), np.array(source)
    if plane:
        times = plane_arrivals(column, grid, place, JUMP)
    else:
        cells = np.tile(column, (*shape[:2], 1))
        times = first_arrivals(cells, Medium.of(cells, grid.spacing, JUMP), place)
    seconds = time.process_time() - start
    x, y, z = TRUTH.mesh(grid)
    exact, lead = TRUTH.layered_times(depth, speeds, source[2], np.hypot(x - source[0], y - source[1]), z)
    error = 1e3 * (times - exact)[lead > 0.02]
    above = z[lead > 0.02] < depth
    figures = {
        "rms_ms": np.sqrt(np.mean(error**2)), "rms_above_ms": np.sqrt(np.mean(error[above] ** 2)),
        "max_ms": np.abs(error).max(), "cpu_s": seconds,
    }  # fmt: skip
    name = f"seisflow {'plane' if plane else '3d'}, two layers, {spacing:g} m"
    print(
        json.dumps({"code": name, "source": source} | {k: round(float(v), 3) for k, v in figures.items()}),
        flush=True,
    )


def main() -> None:
    """Run all, the peers between ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers-python", help="Python of an environment with pykonal, fteikpy or scikit-fmm")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    for turn in range(2):
        ours(arguments.rounds)
        if arguments.peers_python and turn == 0:
            command = [arguments.peers_python, str(HERE / "peer_travel_times.py"), str(arguments.rounds)]
            subprocess.run(command, check=True, env=environment)
    for source in ((10.3e3, 12.6e3, 0.0), (10.3e3, 12.6e3, 13.7e3)):
        layered(1e3, source, plane=True)
        for spacing in (1e3, 500.0):
            layered(spacing, source, plane=False)


if __name__ == "__main__":
    main()
