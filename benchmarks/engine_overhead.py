"""What the engine adds to the iterations of the shipped example.

Wall time of ``iterate`` (the start of the process excluded: its imports are done before) against the time inside the
numerical work: solver, signal, windows and misfits, summed over the events and divided by how many run at once. Told
apart are the inversion (sum, smoothing, direction), the pictures, and idle cores: the last event of a round has no
neighbour. What is left is the engine: reading, writing, hashes, records, checks, scheduling.

Run ``python benchmarks/engine_overhead.py``; target: the engine below 5 percent of the work, over one iteration of
each period band. About 4 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from seisflow.workflows import iterate as flow
from seisflow.workflows.running import PlainRunner

import seisflow.steps.direction as direction_steps
import seisflow.steps.event as event_steps
import seisflow.steps.update as update_steps
from seisflow.project import Project
from seisflow.solvers import Elastic3D
from seisflow.steps.create import create_project

TARGET = 0.05
SIDE_BY_SIDE = ("solver", "signal", "windows", "misfits")
ALONE = ("idle", "inversion", "pictures")


class Stopwatch:
    """Wall time inside functions, by label, over all threads; the outermost function counts."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.guard, self.local = threading.Lock(), threading.local()

    def wrap(self, owner, name: str, label: str) -> None:
        """Replace a function of a module or class by one that is timed."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*arguments, **options):
            if getattr(self.local, "busy", False):
                return function(*arguments, **options)
            self.local.busy, began = True, time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.local.busy = False
                with self.guard:
                    self.wall[label] += time.perf_counter() - began

        setattr(owner, name, timed)

    def wrap_rounds(self, at_once: int) -> None:
        """Time how long cores have no event while a round of events goes on."""
        each, one = PlainRunner.each, flow.run_event
        inside = [0.0]

        def event(*arguments, **options):
            began = time.perf_counter()
            try:
                return one(*arguments, **options)
            finally:
                with self.guard:
                    inside[0] += time.perf_counter() - began

        def a_round(*arguments, **options):
            inside[0], began = 0.0, time.perf_counter()
            try:
                return each(*arguments, **options)
            finally:
                self.wall["idle"] += time.perf_counter() - began - inside[0] / at_once

        flow.run_event, PlainRunner.each = event, a_round


def instrument(watch: Stopwatch, at_once: int) -> None:
    """Time the work."""
    for name in ("forward", "adjoint"):
        watch.wrap(Elastic3D, name, "solver")
    for name in ("__init__", "apply", "adjoint"):
        watch.wrap(event_steps.Pipeline, name, "signal")
    watch.wrap(event_steps, "prepare_observed", "signal")
    watch.wrap(event_steps, "select", "windows")
    watch.wrap(event_steps, "measure_gather", "misfits")
    for name in ("sum_kernels", "objective_gradient", "search_direction"):
        watch.wrap(direction_steps, name, "inversion")
    for name in ("updated", "within_bounds"):
        watch.wrap(update_steps, name, "inversion")
    watch.wrap(flow, "draw_iteration_pictures", "pictures")
    watch.wrap_rounds(at_once)


def report(iteration: int, seconds: dict[str, float], wall: float, at_once: int) -> tuple[float, float]:
    """Print where the time went; returns that of the work and of the engine."""
    work = sum(seconds[label] for label in SIDE_BY_SIDE) / at_once
    engine = wall - work - sum(seconds[label] for label in ALONE)
    print(f"iteration {iteration}: {wall:.1f} s")
    for label in SIDE_BY_SIDE:
        print(f"  {label:10}{seconds[label] / at_once:8.2f} s")
    for label, value in [*((label, seconds[label]) for label in ALONE), ("engine", engine)]:
        print(f"  {label:10}{value:8.2f} s  {100 * value / work:5.1f} % of the work", flush=True)
    return work, engine


def main() -> int:
    """Run iterations, and print the shares of the first of each stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--example", default="checkerboard")
    parser.add_argument("--pictures", action="store_true", help="draw them too")
    options = parser.parse_args()
    for module in ("prov.model", "obspy", "scipy.signal"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        create_project(root, options.example)
        with (root / "seisflow.yaml").open("a") as file:
            file.write(f"\npictures: {str(options.pictures).lower()}\n")
        config = Project.open(root).config
        at_once, threads = config.compute.share(len(Project.open(root).event_ids))
        firsts = [1 + sum(stage.iterations for stage in config.stages[:n]) for n in range(len(config.stages))]
        watch = Stopwatch()
        instrument(watch, at_once)
        print(f"{options.example}, {at_once} events at once, {threads} threads each")
        sums = []
        for iteration in range(1, max(firsts) + 1):
            watch.wall.clear()
            began = time.perf_counter()
            flow.iterate(root, iteration, iteration)
            wall = time.perf_counter() - began
            if iteration in firsts:
                sums.append(report(iteration, watch.wall, wall, at_once))
    work, engine = (sum(values) for values in zip(*sums, strict=True))
    print(f"the engine adds {100 * engine / work:.1f} % to the work, target {100 * TARGET:.0f} %")
    return 0 if engine < TARGET * work else 1


if __name__ == "__main__":
    raise SystemExit(main())
