"""One event or day, done by another process: in a job of a batch system, or by a worker of Dask.

An order is plain values. What is done is what the flow itself would have done in a thread, with the same records; so
it does not matter where, how often and by whom an order is carried out.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from seisflow.config import digest
from seisflow.errors import InputError, SeisflowError, Stopped, WorkError
from seisflow.io.atomic import publish
from seisflow.project import Project
from seisflow.records import DETECTION_CODE, Task, code_version
from seisflow.schedulers.order import JobFolder, Order, failed

__all__ = ["call_element", "code_of_workers", "run_element", "run_elements", "trial_done"]

Progress = Callable[[float], None]
_EVERY = 2.0
"""s between two notes of progress."""


FAULTS = (
    SeisflowError,
    OSError,
    MemoryError,
    ArithmeticError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
)
"""What one event or day may fail with, and the others go on; anything else ends the process."""


def _nothing(fraction: float) -> None:
    pass


def _directly(name: str, part: Callable[[], None]) -> None:
    part()


def run_element(
    project: Project, order: Order, name: str, threads: int, progress: Progress = _nothing, round_: str = ""
) -> Any:
    """Do one element of an order in this process; returns its results.

    ``round_`` tells rounds apart: what was opened for one is not used in another.

    Raises
    ------
    WorkError
        If the configuration is not that of whoever ordered: it was changed after that began, or the order is of another
        one, before the change. Its results would be of other settings than those of the other events.
    """
    if order.settings not in ("", digest(project.config)):
        raise WorkError("seisflow.yaml was changed since the driver was started; run the same command again")
    if order.kind == "event":
        from seisflow.workflows.iterate import Evaluation

        evaluation = Evaluation(project, **order.what)
        return evaluation.run(name, threads, _directly, progress)
    if order.kind == "day":
        from seisflow.workflows.detect import run_day_step

        return run_day_step(_survey(project.root, round_), order.what["step"], name, threads, progress)
    if order.kind == "trial":
        return _trial(project, order, name)
    raise InputError(f"{order.kind}: is no kind of work")


@lru_cache(maxsize=1)
def _survey(root: Path, round_: str) -> Any:
    """The survey as the driver sees it; one for all days of a round."""
    from seisflow.steps.detect.survey import Survey

    return Survey.open(Project.open(root), refresh=False)  # the driver has brought the index up to date


def _trial_task(project: Project, order: Order, name: str) -> Task:
    step = int(order.what.get("step", 0))
    inputs = {"configuration": project.root / "seisflow.yaml"}
    return Task(f"detection/trial/{int(name)}.{step}", inputs, dict(order.what), code="trial")


def trial_done(project: Project, order: Order, name: str) -> dict[str, Any] | None:
    """Results of an element that only waits and writes, if its record holds."""
    return project.done(_trial_task(project, order, name))


def _trial(project: Project, order: Order, name: str) -> dict[str, Any]:
    """Wait a while, write a little and leave a record: what the engine is measured and tested with."""
    task = _trial_task(project, order, name)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    time.sleep(float(order.what["seconds"]))
    target = project.detection_folder / "trial" / f"{int(name)}.txt"
    with publish(target) as path:
        path.write_text(f"{name} {order.what.get('step', 0)}\n")
    results = {"host": socket.gethostname(), "process": os.getpid()}
    project.record(task, [], results, begun)
    return results


def call_element(root: str, order_text: str, name: str, threads: int, round_: str) -> dict[str, Any]:
    """Do one element and answer in plain values; what a worker of Dask is asked for."""
    content = json.loads(order_text)
    try:
        found = run_element(_project(root, round_), Order(**content), name, threads, round_=round_)
        return {"state": "done", "results": found}
    except FAULTS as error:
        return failed(error)


@lru_cache(maxsize=2)
def _project(root: str, round_: str) -> Project:
    """The project, opened once a round: hashes of files are then remembered."""
    return Project.open(Path(root))


def code_of_workers() -> str:
    """Version of the code; asked of workers of Dask."""
    return code_version(*DETECTION_CODE)


def run_elements(folder: Path, array: int, index: int) -> int:
    """Do what one element of an array is for; returns the exit code: 0 done, 1 something failed, 75 stopped.

    It stops by itself, and says so, some time before its time limit, and when it gets SIGTERM.
    """
    jobs = JobFolder(folder)
    content = jobs.content()
    order = Order(content["kind"], content["what"], content.get("settings", ""))
    names = content["names"]
    bundles = jobs.bundles(array)
    if not 0 <= index < len(bundles):
        raise InputError(f"{folder}: array {array} has {len(bundles)} elements, {index} is none of them")
    numbers = bundles[index]
    if order.kind != "trial" and content.get("code", code_of_workers()) != code_of_workers():
        error = WorkError("the code changed since the driver was started; run the same command again")
        for number in numbers:  # its records would never hold for the driver
            jobs.answer(number, failed(error))
        return 1
    _stop_at(content["seconds"])
    project = Project.open(folder.parents[2])
    left, code = list(numbers), 0
    try:
        for number in numbers:
            answer = _one(project, order, (number, names[number]), content["threads"], jobs)
            jobs.answer(number, answer)
            left.remove(number)
            code = code or int(answer["state"] == "failed")
            _say(f"{content['title']} {names[number]}: {answer['state']} {answer.get('message', '')}")
    except KeyboardInterrupt:
        for number in left:
            jobs.answer(number, {"state": "stopped", "moved": len(left) < len(numbers)})
        _say(f"stopped, {len(left)} of {len(numbers)} left")
        return 75
    return code


def _one(
    project: Project, order: Order, element: tuple[int, str], threads: int, jobs: JobFolder
) -> dict[str, Any]:
    number, name = element
    last = time.monotonic()

    def progress(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last > _EVERY:
            last = time.monotonic()
            jobs.note_progress(number, fraction)

    try:
        return {"state": "done", "results": run_element(project, order, name, threads, progress)}
    except FAULTS as error:
        return failed(error)


def _stop_at(seconds: float | None) -> None:
    """Raise ``Stopped`` in this thread on SIGTERM, and after so many s."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGALRM, stop)
        if seconds:
            signal.setitimer(signal.ITIMER_REAL, seconds)


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text.rstrip(), flush=True)
