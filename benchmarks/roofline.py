"""Bytes and operations of a point of the elastic kernel, and its share of this machine's memory and arithmetic.

usage: python benchmarks/roofline.py [--points 100 200] [--steps 16] [--rounds 3]

One core. Bytes: each array read once and each field written once in a passage through the grid, divided by the time
steps of a passage. Operations: additions, multiplications and divisions of an interior point as they stand in
kernels/c/elastic3d_points.h, a fused multiply-add for two. Bandwidth: the best of copies of a large array. Peak: the
best of products of float32 matrices that lie in the cache.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import numpy as np
from elastic3d import problem

DERIVATIVES, REST = 18, 52
PER_DERIVATIVE = {4: 4, 8: 10}
READ, WRITTEN = 14, 9
TRIALS = 96  # steps in which the grid finds out about blocks of rows


def best(run, rounds):
    """Seconds of processor time, the least of some."""
    found = np.inf
    for _ in range(rounds):
        begun = time.process_time()
        run()
        found = min(found, time.process_time() - begun)
    return found


def bandwidth():
    """Bytes a second, read and written, of a copy of 256 MB."""
    source, target = np.ones(1 << 26, np.float32), np.zeros(1 << 26, np.float32)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source), 5)


def peak():
    """Operations a second of a product of matrices of 512 x 512 numbers."""
    left = np.random.default_rng(1).random((512, 512), np.float32)
    out = np.empty_like(left)
    return 2 * 512**3 / best(lambda: np.matmul(left, left, out=out), 20)


def speed(points, steps, order, rounds):
    """Points a second, and the rows and steps of the passage that was found best."""
    grid, forces, moments, receivers, _ = problem(points, TRIALS + steps, order)
    grid.advance(forces, moments, receivers, grid.snapshots(None), 0, TRIALS)
    seconds = best(
        lambda: grid.advance(forces, moments, receivers, grid.snapshots(None), TRIALS, steps), rounds
    )
    return points**3 * steps / seconds, grid._choice.next


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[100, 200])
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    memory, arithmetic = bandwidth(), peak()
    print(f"copy {memory / 1e9:.1f} GB/s, product of matrices {arithmetic / 1e9:.0f} GFlop/s, one core\n")
    names = (
        "order",
        "points",
        "rows, steps",
        "Mpoints/s",
        "bytes",
        "operations",
        "GB/s",
        "of copy",
        "GFlop/s",
        "of peak",
    )
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for order in (4, 8):
        for points in arguments.points:
            rate, (rows, steps) = speed(points, arguments.steps, order, arguments.rounds)
            bytes_, operations = 4 * (READ + WRITTEN) / steps, DERIVATIVES * PER_DERIVATIVE[order] + REST
            print(
                f"| {order} | {points}^3 | {rows}, {steps} | {rate / 1e6:.0f} | {bytes_:.0f} | {operations} "
                f"| {rate * bytes_ / 1e9:.1f} | {rate * bytes_ / memory:.2f} "
                f"| {rate * operations / 1e9:.0f} | {rate * operations / arithmetic:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
