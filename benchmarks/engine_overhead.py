"""What the engine adds to the iterations of the shipped example.

Wall time of ``iterate`` (the start of the process excluded: its imports are done before) against the time inside the
numerical work: solver, signal, windows and misfits, summed over the events and divided by how many run at once. Told
apart are the inversion (sum, smoothing, direction), the pictures, and idle cores: the last event of a round has no
neighbour. What is left is the engine: reading, writing, hashes, records, checks, scheduling.

An event left over at the end of a round gets all cores: its time counts by its threads.

Run ``python benchmarks/engine_overhead.py``; targets: the engine below 5 percent of the work over the first iteration
of each period band, which selects windows, and less than 10 percent of the wall clock outside the solver over all
iterations that were run. About 4 minutes on 2 cores; ``--all`` runs every iteration.
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

import seisflow.steps.bands as band_steps
import seisflow.steps.direction as direction_steps
import seisflow.steps.event as event_steps
import seisflow.steps.update as update_steps
from seisflow.project import Project
from seisflow.solvers import Elastic3D
from seisflow.steps.create import create_project

TARGET, TARGET_OUTSIDE = 0.05, 0.1
SIDE_BY_SIDE = ("solver", "signal", "windows", "misfits")
ALONE = ("idle", "inversion", "pictures")


class Stopwatch:
    """Core time inside functions, by label; the outermost function counts."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.guard, self.local = threading.Lock(), threading.local()

    def wrap(self, owner, name: str, label: str, cores=lambda *arguments: 1) -> None:
        """Replace a function of a module or class by one that is timed; ``cores`` tells how many it uses."""
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
                    self.wall[label] += cores(*arguments) * (time.perf_counter() - began)

        setattr(owner, name, timed)

    def wrap_rounds(self, cores: int) -> None:
        """Time how long cores have no event while a round of events goes on."""
        each, one = PlainRunner.each, flow.run_event
        inside = [0.0]

        def event(step, *arguments, **options):
            began = time.perf_counter()
            try:
                return one(step, *arguments, **options)
            finally:
                with self.guard:
                    inside[0] += step.threads * (time.perf_counter() - began)

        def a_round(*arguments, **options):
            inside[0], began = 0.0, time.perf_counter()
            try:
                return each(*arguments, **options)
            finally:
                self.wall["idle"] += time.perf_counter() - began - inside[0] / cores

        flow.run_event, PlainRunner.each = event, a_round


def instrument(watch: Stopwatch, cores: int) -> None:
    """Time the work."""
    for name in ("forward", "adjoint"):
        watch.wrap(Elastic3D, name, "solver", lambda solver, *arguments: solver.threads)
    for name in ("__init__", "apply", "adjoint"):
        watch.wrap(band_steps.Pipeline, name, "signal")
    watch.wrap(event_steps, "prepare_observed", "signal")
    watch.wrap(band_steps, "trace_fits", "signal")
    watch.wrap(band_steps, "select_all", "windows")
    watch.wrap(band_steps, "measure_gather", "misfits")
    for name in ("sum_kernels", "objective_gradient", "search_direction"):
        watch.wrap(direction_steps, name, "inversion")
    for name in ("updated", "within_bounds"):
        watch.wrap(update_steps, name, "inversion")
    watch.wrap(flow, "draw_iteration_pictures", "pictures")
    watch.wrap_rounds(cores)


def report(iteration: int, seconds: dict[str, float], wall: float, cores: int) -> tuple[float, float, float]:
    """Print where the time went; returns that of the work, of the engine, and outside the solver."""
    work = sum(seconds[label] for label in SIDE_BY_SIDE) / cores
    engine = wall - work - sum(seconds[label] for label in ALONE)
    outside = wall - seconds["solver"] / cores
    print(f"iteration {iteration}: {wall:.1f} s, {100 * outside / wall:.1f} % of it outside the solver")
    for label in SIDE_BY_SIDE:
        print(f"  {label:10}{seconds[label] / cores:8.2f} s")
    for label, value in [*((label, seconds[label]) for label in ALONE), ("engine", engine)]:
        print(f"  {label:10}{value:8.2f} s  {100 * value / work:5.1f} % of the work", flush=True)
    return work, engine, outside


def main() -> int:
    """Run iterations, and print the shares of the first of each stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--example", default="checkerboard")
    parser.add_argument("--pictures", action="store_true", help="draw them too")
    parser.add_argument("--all", action="store_true", help="run all iterations of all stages")
    options = parser.parse_args()
    for module in ("prov.model", "obspy", "scipy.signal"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        create_project(root, options.example)
        with (root / "seisflow.yaml").open("a") as file:
            file.write(f"\npictures: {str(options.pictures).lower()}\n")
        config = Project.open(root).config
        cores = config.compute.cores_now()
        firsts = [1 + sum(stage.iterations for stage in config.stages[:n]) for n in range(len(config.stages))]
        last = sum(stage.iterations for stage in config.stages) if options.all else max(firsts)
        watch = Stopwatch()
        instrument(watch, cores)
        print(f"{options.example}, {cores} cores")
        first_sums, walls, outsides = [], [], []
        for iteration in range(1, last + 1):
            watch.wall.clear()
            began = time.perf_counter()
            flow.iterate(root, iteration, iteration)
            walls.append(time.perf_counter() - began)
            work, engine, outside = report(iteration, watch.wall, walls[-1], cores)
            outsides.append(outside)
            if iteration in firsts:
                first_sums.append((work, engine))
    work, engine = (sum(values) for values in zip(*first_sums, strict=True))
    outside = sum(outsides) / sum(walls)
    print(f"the engine adds {100 * engine / work:.1f} % to the work, target {100 * TARGET:.0f} %")
    print(
        f"{100 * outside:.1f} % of the wall clock is outside the solver, target {100 * TARGET_OUTSIDE:.0f} %"
    )
    return 0 if engine < TARGET * work and outside < TARGET_OUTSIDE else 1


if __name__ == "__main__":
    raise SystemExit(main())
