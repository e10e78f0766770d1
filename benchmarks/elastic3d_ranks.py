"""One process, two threads and two ranks (MPI) on one grid: updates a second, in turn.

    python benchmarks/elastic3d_ranks.py [--shape 240 120 100] [--order 4] [--steps 48] [--rounds 3] [--ranks 2]

Each round times them one after the other; the medians are compared. Needs mpiexec and mpi4py (``make setup`` puts it
beside the environment).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from seisflow.native.elastic3d import Elastic3DGrid, Entries, Material
from seisflow.ranks import world
from seisflow.solvers.absorb import profiles
from seisflow.solvers.decomposition import SharedGrid, Shares
from seisflow.solvers.regrid import Layout

CELLS = 10


def run(shape: tuple[int, int, int], order: int, steps: int, threads: int) -> None:
    """Time some steps of the ranks of this run, or of this process alone; the first rank prints the seconds."""
    ranks = world()
    choices = {
        "cells": CELLS,
        "profiles": profiles(shape, CELLS, 0.4, 0.01, 0.5),
        "order": order,
        "threads": threads,
    }
    if ranks is None:
        grid = Elastic3DGrid(shape, np.float32, **choices)
    else:
        grid = SharedGrid(
            ranks,
            Shares.of(Layout(1.0, (0.0, 0.0), shape, CELLS), order, ranks.size),
            shape,
            np.float32,
            **choices,
        )
    rng = np.random.default_rng(1)
    values = 1 + 0.1 * rng.random(grid.shape)
    grid.set_material(Material.isotropic(2700 * values, 3e10 * values, 3e10 * values), 1e-4)
    none, samples, out = Entries.join([]), np.zeros((96 + steps, 1)), np.zeros((96 + steps, 0))
    driven = (
        grid.sources(none, samples),
        grid.sources(none, samples),
        grid.receivers(none, out),
        grid.snapshots(None),
    )
    computing = [0.0]
    if isinstance(grid, SharedGrid):
        watch(grid, computing)
    tried = 96
    grid.advance(*driven, 0, tried)  # the blocks are found
    computing[0] = 0.0
    began = time.perf_counter(), time.process_time()
    grid.advance(*driven, tried, steps)
    took = time.perf_counter() - began[0], computing[0] or time.process_time() - began[1]
    if isinstance(grid, SharedGrid):
        grid.settle()
    if ranks is not None:
        took = ranks.largest(took[0]), ranks.largest(took[1])
    if ranks is None or ranks.leads:
        print(*took)


def watch(grid: SharedGrid, seconds: list[float]) -> None:
    """Add up the processor time of what is computed, without looking for messages, which a busy machine draws out."""
    passage = grid.passage

    def timed(*given, **named):
        began = time.process_time()
        found = passage(*given, **named)
        seconds[0] += time.process_time() - began
        return found

    grid.passage = timed


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds that a run prints: wall clock, and processor time without messages of the rank that took most."""
    extra = Path(sys.prefix) / "mpi"
    settings = {
        "PYTHONPATH": str(extra), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
    }  # fmt: skip
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    wall, cpu = map(float, done.stdout.split()[-2:])
    return wall, cpu


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(240, 120, 100))
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--steps", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    shape = tuple(given.shape)
    if given.one is not None:
        run(shape, given.order, given.steps, given.one)
        return
    program = [
        sys.executable,
        __file__,
        f"--order={given.order}",
        f"--steps={given.steps}",
        "--shape",
        *map(str, shape),
    ]
    cases = {
        "one process, one thread": [*program, "--one=1"],
        f"one process, {given.ranks} threads": [*program, f"--one={given.ranks}"],
        f"{given.ranks} ranks, one thread each": ["mpiexec", "-n", str(given.ranks), *program, "--one=1"],
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(given.rounds):
        for name, command in cases.items():
            times[name].append(measured(command))
    points = np.prod(shape) * given.steps
    base = [statistics.median(row) for row in zip(*times["one process, one thread"], strict=True)]
    for name, found in times.items():
        wall, cpu = (statistics.median(row) for row in zip(*found, strict=True))
        ranks = f"; by processor time without messages {base[1] / cpu:.2f}" if "ranks" in name else ""
        speed = points / wall / 1e6
        print(f"{name:28s} {speed:7.1f} million points a second, {base[0] / wall:.2f} times one{ranks}")


if __name__ == "__main__":
    main()
