"""Several small events: one after the other with all threads, or side by side with one thread each.

    python benchmarks/events_at_once.py [--points 30 50 80] [--steps 400] [--threads 2] [--rounds 3]

Forward runs of the solver as a user's ``iterate`` makes them (plan, material, run, seismograms), as many events as
threads in a round: by wall clock, the share of the cores that was busy, and by processor time. The last column is the
speed of the kernel alone on one thread: where a small grid, which lies in the caches, is no faster by point than a
large one, there is nothing to be gained from events that share the material in one run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import gradient
import numpy as np
from elastic3d import ours

from seisflow.solvers import Elastic3D, Elastic3DConfig


def timed(work) -> tuple[float, float]:
    """Seconds of wall clock, and of processor time of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=(30, 50, 80))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    many = given.threads
    print(
        f"{many} threads, {many} events; million points a second (busy cores), and a second of processor time"
    )
    print(
        f"{'points':18}{'in turn':>24}{'side by side':>24}{'ratio, wall':>12}{'processor':>10}{'kernel alone':>13}"
    )
    for points in given.points:
        simulation = gradient.problem(points, given.steps, 4, loss=False)
        together, single = Elastic3D(Elastic3DConfig(), many), Elastic3D(Elastic3DConfig(), 1)
        plan = single.plan(simulation)
        work = many * np.prod(plan.shape) * plan.steps / 1e6

        def in_turn(solver=together, sim=simulation) -> None:
            for _ in range(many):
                solver.forward(sim)

        def side_by_side(solver=single, sim=simulation) -> None:
            with ThreadPoolExecutor(many) as pool:
                list(pool.map(lambda _: solver.forward(sim), range(many)))

        in_turn()
        side_by_side()  # blocks and steps of a passage are found
        turns = [timed(in_turn) for _ in range(given.rounds)]
        sides = [timed(side_by_side) for _ in range(given.rounds)]
        cells = []
        for times in (turns, sides):
            wall, cpu = (statistics.median(row) for row in zip(*times, strict=True))
            cells.append((work / wall, cpu / wall / many, work / cpu))
        kernel = ours(points, 960 * 30 // points, 4, 2, cells=10)[1]
        row = "".join(f"{speed:9.0f} ({busy:4.0%}) {alone:7.0f}" for speed, busy, alone in cells)
        ratios = [cells[1][number] / cells[0][number] for number in (0, 2)]
        print(f"{plan.shape!s:18}{row}{ratios[0]:12.2f}{ratios[1]:10.2f}{kernel:13.0f}")


if __name__ == "__main__":
    main()
