"""Time the elastic kernel against Devito on the same problem, in turn, on one core.

usage: python benchmarks/elastic3d.py --devito-python PATH [--points 100] [--steps 200] [--order 4]

Both: order 4 or 8, float32, variable material, one explosive source, one receiver, no absorbing layer. Ours has the
free surface on top. Then: ours with absorbing layers, in double precision, and on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from seisflow import native
from seisflow.native.elastic3d import Elastic3DGrid, Entries, Material
from seisflow.solvers.absorb import profiles
from seisflow.solvers.points import Place, entries

SPACING, STEP, VP, VS, RHO = 10.0, 0.0014, 3000.0, 1732.0, 2200.0
PEER = Path(__file__).resolve().with_name("peer_devito.py")


def problem(points, steps, order=4, cells=0, threads=1, dtype=np.float32):
    """The grid, its source and its receiver."""
    shape = (points,) * 3
    layers = profiles(shape, cells, VP * STEP / SPACING, STEP, 15.0)
    grid = Elastic3DGrid(shape, dtype, order=order, cells=cells, profiles=layers, threads=threads)
    full = np.ones(shape)
    mu = RHO * VS**2
    grid.set_material(
        Material.isotropic(RHO * full, (RHO * VP**2 - 2 * mu) * full, mu * full), STEP / SPACING
    )
    middle = points // 2
    parts = [
        entries(name, Place(middle, middle, middle), 0, source=True, order=order)
        for name in ("sxx", "syy", "szz")
    ]
    w = (np.pi * 15.0 * (np.arange(steps) * STEP - 0.1)) ** 2
    out = np.zeros((steps, 1))
    return (
        grid,
        grid.sources(Entries.join([]), np.zeros((steps, 1))),
        grid.sources(Entries.join(parts), 1e6 * ((1 - 2 * w) * np.exp(-w))[:, None]),
        grid.receivers(
            entries("vx", Place(middle + min(20, points // 4), middle, middle), 0, source=False, order=order),
            out,
        ),
        out,
    )


def ours(points, steps, order, repeats, **choices):
    """Best speeds of the repeats, in million points a second of wall clock and of processor time."""
    grid, forces, moments, receivers, out = problem(points, steps, order, **choices)
    grid.advance(forces, moments, receivers, grid.snapshots(None), 0, 2)
    best = (np.inf, np.inf)
    for _ in range(repeats):
        grid.reset()
        wall, cpu = time.perf_counter(), time.process_time()
        if grid.advance(forces, moments, receivers, grid.snapshots(None), 0, steps) != 0:
            raise SystemExit("the wave field overflowed: this is no benchmark")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        best = (min(best[0], wall), min(best[1], cpu))
    if not np.abs(out).max() > 0:
        raise SystemExit("no wave reached the receiver: this is no benchmark")
    return tuple(points**3 * steps / seconds / 1e6 for seconds in best)


def peer(python, points, steps, order, repeats):
    """Run Devito in its own environment."""
    environment = os.environ | {
        "DEVITO_ARCH": "gcc", "DEVITO_LANGUAGE": "C", "DEVITO_LOGGING": "ERROR", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    words = [python, str(PEER), str(points), str(steps), str(repeats), str(order)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"Devito failed:\n{done.stderr[-2000:]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    return result["wall"], result["cpu"]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devito-python", help="python of an environment with Devito")
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--order", type=int, default=4, choices=(4, 8))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    size = (arguments.points, arguments.steps, arguments.order)
    rows, ratios = {}, {}

    def note(name, result):
        rows[name] = tuple(np.maximum(rows.get(name, (0.0, 0.0)), result))
        return result

    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for _ in range(arguments.rounds):
        if available:
            os.sched_setaffinity(0, available[-1:])
        theirs = note("Devito", peer(arguments.devito_python, *size, 3)) if arguments.devito_python else None
        one = note("elastic3d", ours(*size, 3))
        if theirs:
            ratios.setdefault("elastic3d / Devito", []).append(one[1] / theirs[1])
        layers = note("elastic3d, absorbing layers of 10 cells", ours(*size, 3, cells=10))
        ratios.setdefault("with / without absorbing layers", []).append(layers[1] / one[1])
        note("elastic3d, double precision", ours(*size, 2, dtype=np.float64))
        if len(available) > 1:
            os.sched_setaffinity(0, available)
            two = note("elastic3d, 2 threads", ours(*size, 3, threads=2))
            ratios.setdefault("2 threads / 1 thread (wall clock)", []).append(two[0] / one[0])
    report(size, rows, ratios)


def report(size, rows, ratios):
    """Print the table; on one core ratios are of processor time, which a busy machine disturbs less."""
    print(
        f"{size[0]}^3 points, {size[1]} steps, order {size[2]}, SIMD level {native.simd_level()}; best of the rounds\n"
    )
    print(f"{'million points a second':45}{'wall':>8}{'processor':>11}")
    for name, (wall, cpu) in rows.items():
        print(f"{name:45}{wall:8.0f}{cpu:11.0f}")
    print(f"\n{'ratio, round by round, in turn':45}{'median':>8}{'least':>8}{'most':>8}")
    for name, values in ratios.items():
        print(f"{name:45}{np.median(values):8.2f}{min(values):8.2f}{max(values):8.2f}")
    if min(wall / cpu for name, (wall, cpu) in rows.items() if "2 threads" not in name) < 0.95:
        print(
            "\nthe machine is busy (wall clock beyond processor time): do not trust these figures",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
