"""What the engine adds to an iteration of the shipped example.

Wall time of ``iterate`` (the start of the process excluded: an iteration before it warms up) against the time inside
the numerical work: solver, signal, windows and misfits, summed over the events and divided by how many run at once.
What is left is the engine: reading, writing, hashes, records, checks, scheduling, and events that wait for each other.
The inversion (sum, smoothing, direction) and the pictures are told apart. The same is told in processor time, which
other load on the machine disturbs less.

Run ``python benchmarks/engine_overhead.py``; target: the engine below 5 percent of the work.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from seisflow.workflows import iterate as flow

import seisflow.steps.event as event_steps
import seisflow.steps.update as update_steps
from seisflow.project import Project
from seisflow.solvers import Elastic3D
from seisflow.steps.create import create_project

TARGET = 0.05
SIDE_BY_SIDE = ("solver", "signal", "windows", "misfits")
ALONE = ("inversion", "pictures")


class Stopwatch:
    """Wall and processor time inside functions, by label, over all threads; the outermost function counts."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.processor: dict[str, float] = defaultdict(float)
        self.guard, self.local = threading.Lock(), threading.local()

    def clear(self) -> None:
        """Begin anew."""
        self.wall.clear()
        self.processor.clear()

    def wrap(self, owner, name: str, label: str) -> None:
        """Replace a function of a module or class by one that is timed."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*arguments, **options):
            if getattr(self.local, "busy", False):
                return function(*arguments, **options)
            self.local.busy = True
            began, used = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                self.local.busy = False
                with self.guard:
                    self.wall[label] += time.perf_counter() - began
                    self.processor[label] += time.thread_time() - used

        setattr(owner, name, timed)


def instrument(watch: Stopwatch) -> None:
    """Time the work."""
    for name in ("forward", "adjoint"):
        watch.wrap(Elastic3D, name, "solver")
    for name in ("__init__", "apply", "adjoint"):
        watch.wrap(event_steps.Pipeline, name, "signal")
    watch.wrap(event_steps, "prepare_observed", "signal")
    watch.wrap(event_steps, "select", "windows")
    watch.wrap(event_steps, "measure_gather", "misfits")
    for name in ("sum_kernels", "gradient", "search_direction", "updated"):
        watch.wrap(update_steps, name, "inversion")
    watch.wrap(flow, "draw_iteration_pictures", "pictures")


def report(title: str, seconds: dict[str, float], total: float, at_once: int) -> float:
    """Print where the time went; returns the share of the engine."""
    work = sum(seconds[label] for label in SIDE_BY_SIDE) / at_once
    engine = total - work - sum(seconds[label] for label in ALONE)
    print(f"{title}: {total:.1f} s")
    for label in SIDE_BY_SIDE:
        print(f"  {label:10}{seconds[label] / at_once:8.2f} s")
    for label, value in [*((label, seconds[label]) for label in ALONE), ("engine", engine)]:
        print(f"  {label:10}{value:8.2f} s  {100 * value / work:5.1f} % of the work")
    return engine / work


def main() -> int:
    """Run iterations and print the shares of the last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--example", default="checkerboard")
    parser.add_argument("--iteration", type=int, default=2)
    parser.add_argument("--events-at-once", type=int, help="as the configuration of the example has it")
    options = parser.parse_args()
    watch = Stopwatch()
    instrument(watch)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        create_project(root, options.example)
        if options.events_at_once:
            with (root / "seisflow.yaml").open("a") as file:
                file.write(f"\ncompute: {{events_at_once: {options.events_at_once}}}\n")
        project = Project.open(root)
        at_once, threads = project.config.compute.share(len(project.event_ids))
        if options.iteration > 1:
            flow.iterate(root, 1, options.iteration - 1)
        watch.clear()
        began, used = time.perf_counter(), time.process_time()
        flow.iterate(root, options.iteration, options.iteration)
        wall, processor = time.perf_counter() - began, time.process_time() - used
    print(
        f"iteration {options.iteration} of {options.example}, {at_once} events at once, {threads} threads each"
    )
    share = report("wall time", watch.wall, wall, at_once)
    if threads == 1:
        report("processor time", watch.processor, processor, 1)
    print(f"the engine adds {100 * share:.1f} % to the work, target {100 * TARGET:.0f} %")
    return 0 if share < TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
