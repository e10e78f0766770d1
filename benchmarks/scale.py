"""The engine itself with 1,000 events: elements that only wait and write, here, by Dask, and by Slurm.

Wanted: at most 10 ms an element beyond its waiting (locally), 1,000 events x 3 steps in under 60 s, a finished round
asked again in under 5 s, memory of the driver flat in the number of events.

    python benchmarks/scale.py                 # here and by Dask
    python benchmarks/scale.py --slurm         # also by Slurm, in bundles of 50 (tests/cluster/slurm.sh up)
    python benchmarks/scale.py --prefect       # also with a Prefect server (PREFECT_API_URL), beside its empty task

A step of an element is what a step of an event is to the engine: a record is looked for, inputs are hashed, a file and
a record are published, each synced to the disk.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from seisflow.workflows.elements import run_element, trial_done
from seisflow.workflows.running import FlowRun, Ordered, Quiet, Runner, run_flow

from seisflow.project import Project
from seisflow.schedulers.config import BatchRun, DaskRun, LocalRun, RunConfig
from seisflow.schedulers.order import Order
from seisflow.steps.create import create_project

STEPS = 3
SLEEP = 0.005


def rounds(root: Path, where: RunConfig, count: int, steps: int = STEPS, seconds: float = SLEEP) -> float:
    """Run all steps of all elements as a flow; returns the s that it took."""
    project = Project.open(root)
    names = tuple(f"{number}" for number in range(count))
    at_once, _ = project.config.compute.share(count)

    def body(runner: Runner) -> None:
        for step in range(steps):
            order = Order("trial", {"seconds": seconds, "step": step})
            ordered = Ordered(order, lambda name, order=order: trial_done(project, order, name))
            runner.each(
                f"step {step}",
                names,
                lambda name, stage, progress, order=order: run_element(project, order, name, 1, progress),
                at_once,
                ordered,
            )

    began = time.monotonic()
    with project.lock():
        run_flow(FlowRun("scale", f"{count} events", root, at_once, where), body, Quiet())
    return time.monotonic() - began


def empty_tasks(count: int, at_once: int, sub_flows: bool) -> float:
    """Prefect's own empty task in threads, or an empty sub-flow in such a task, which is what an event is; s each."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.task_runners import ThreadPoolTaskRunner

    @flow(persist_result=False)
    def nothing_below() -> None:
        pass

    @task(cache_policy=NO_CACHE, persist_result=False)
    def nothing(number: int) -> None:
        if sub_flows:
            nothing_below()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=at_once), persist_result=False)
    def many() -> float:
        began = time.monotonic()
        for future in [nothing.submit(number) for number in range(count)]:
            future.result()
        return time.monotonic() - began

    return many() / count


def alone(root: Path, count: int, seconds: float) -> tuple[float, float, float]:
    """One local run in a process of its own, without Prefect: s of wall and processor time, MB at most."""
    began = time.monotonic()
    words = [sys.executable, __file__, "--child", str(root), str(count), str(seconds)]
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} ended with {status}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def fresh(folder: Path, name: str) -> Path:
    """An empty project."""
    root = folder / name
    shutil.rmtree(root, ignore_errors=True)
    create_project(root, "checkerboard")
    return root


def told(what: str, took: float, count: int, waiting: float = SLEEP) -> None:
    """Print a line."""
    tasks = count * STEPS
    beyond = 1000 * took / tasks - 1000 * waiting / (os.cpu_count() or 1)
    print(
        f"{what}: {count} events x {STEPS} steps in {took:.1f} s, {beyond:.1f} ms a step beyond its waiting",
        flush=True,
    )


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--slurm", action="store_true")
    parser.add_argument("--prefect", action="store_true")
    parser.add_argument("--no-dask", action="store_true")
    parser.add_argument("--child", nargs=3)
    asked: Any = parser.parse_args()
    if asked.child:
        rounds(Path(asked.child[0]), LocalRun(), int(asked.child[1]), seconds=float(asked.child[2]))
        return 0
    count = asked.events
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        root = fresh(folder, "local")
        took, cpu, memory = alone(root, count, SLEEP)
        told("here", took, count)
        print(
            f"  {1000 * cpu / count / STEPS:.1f} ms of processor time a step, imports of the command included"
        )
        again, _, _ = alone(root, count, SLEEP)
        print(f"  the same again, all done: {again:.1f} s, start of the command included")
        _, _, small = alone(fresh(folder, "small"), count // 10, SLEEP)
        print(
            f"  memory of the driver: {memory:.0f} MB with {count} events, {small:.0f} MB with {count // 10}"
        )
        if asked.prefect:
            own, below = empty_tasks(300, 2, sub_flows=False), empty_tasks(count // 5, 2, sub_flows=True)
            took = rounds(fresh(folder, "prefect"), LocalRun(), count // 5)
            each = took / (count // 5) / STEPS
            print(
                f"with Prefect: {1000 * each:.0f} ms a step, which is a sub-flow in a task; {1000 * below:.0f} ms an "
                f"empty one of Prefect, {1000 * own:.1f} ms its empty task"
            )
        if not asked.no_dask:
            told("Dask, its start included", rounds(fresh(folder, "dask"), DaskRun(), count), count)
        if asked.slurm:
            limits = {"cores": 1, "time": "00:10:00", "memory": "400 MB"}
            asked_of = {"system": "slurm", "bundle": 50, "poll": 1.0, "resources": limits}
            where = TypeAdapter(BatchRun).validate_python(asked_of)
            told("Slurm, bundles of 50", rounds(fresh(folder, "slurm"), where, count), count)
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
