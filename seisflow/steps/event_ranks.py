"""One event by several ranks: a flow starts them under mpiexec, as processes of their own, and listens.

The first rank does all of the step and writes its record; what it says is one JSON object a line. When the flow dies
its end of the pipe closes, and the ranks end too.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from seisflow import errors
from seisflow.errors import SeisflowError, WorkError
from seisflow.project import Project
from seisflow.ranks import Ranks
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import Stage, run_event

__all__ = ["run_for_flow", "run_on_ranks"]

_LINES = 12
"""Last lines of what failed that are told."""
_PATIENCE = 10.0
"""Seconds between asking ranks to end and making them."""


def run_on_ranks(step: EventStep, stage: Stage, ahead: EventStep | None = None) -> dict[str, Any]:
    """As ``run_event``, by as many ranks as the configuration says.

    Raises
    ------
    SeisflowError
        What the first rank raised, or ``WorkError`` with what another one said.
    """
    done = step.project.done(step.task)
    if done is None:
        stage(f"on {step.project.config.compute.ranks} ranks", lambda: _run(step, ahead))
        done = step.project.done(step.task)
        if done is None:
            raise WorkError(f"event {step.event}: its ranks ended, but left no record that holds")
    step.progress(1.0)
    return done


def _run(step: EventStep, ahead: EventStep | None) -> None:
    compute = step.project.config.compute
    command = [
        *shlex.split(compute.mpiexec), "-n", str(compute.ranks), sys.executable, "-m", "seisflow", "event-step",
        f"--threads={step.threads}", *([f"--ahead={ahead.newest}"] if ahead is not None else []), "--",
        str(step.project.root), str(step.iteration), str(step.step), step.event,
    ]  # fmt: skip
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        complaints: deque[str] = deque(maxlen=_LINES)
        listener = threading.Thread(target=lambda: complaints.extend(process.stderr or ()), daemon=True)
        listener.start()
        try:
            fault = _listen(step, process)
            process.wait()
        except BaseException:
            _end(process)
            raise
        listener.join(_PATIENCE)
    if fault is not None:
        raise fault
    if process.returncode != 0:
        said = [line.strip() for line in complaints if line.startswith("error")]
        raise WorkError(
            f"event {step.event}: its {compute.ranks} ranks ended with status {process.returncode}: "
            + ("; ".join(said) or " ".join("".join(complaints).split()) or "they said nothing")
        )


def _listen(step: EventStep, process: subprocess.Popen[str]) -> SeisflowError | None:
    """Pass progress on until the ranks end; the error that the first one told of."""
    fault: SeisflowError | None = None
    for line in process.stdout or ():
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            continue  # of MPI, not of seisflow
        if "progress" in said:
            step.progress(float(said["progress"]))
        elif "error" in said:
            kind = getattr(errors, str(said["error"]), WorkError)
            fault = kind(str(said["message"]))
    return fault


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def run_for_flow(
    root: Path, step: tuple[int, int, str], threads: int, ahead: Path | None, ranks: Ranks | None
) -> None:
    """The other end of ``run_on_ranks``: what the first rank does; the others serve its solver.

    Parameters
    ----------
    root : Path
        The project folder, which the flow has locked.
    step : tuple
        Iteration, step, event.
    threads : int
        Of each rank.
    ahead : Path, optional
        Model of the trial, if the next iteration's first evaluation is done in the same simulations.
    ranks : Ranks, optional
    """
    threading.Thread(target=_end_with_flow, args=(ranks,), daemon=True).start()
    project, (iteration, number, event) = Project.open(root), step
    asked = EventStep(project, iteration, number, event, threads, _tell_progress, ranks=ranks)
    following = None
    if ahead is not None:
        following = EventStep(project, iteration + 1, 0, event, threads, _tell_progress, ahead, ranks)
    try:
        run_event(asked, ahead=following)
    except SeisflowError as error:
        _say({"error": type(error).__name__, "message": str(error)})
        raise


def _tell_progress(fraction: float) -> None:
    _say({"progress": round(fraction, 4)})


def _say(content: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):
        print(json.dumps(content), flush=True)


def _end_with_flow(ranks: Ranks | None) -> None:
    """Wait for the flow to close the pipe; then nobody wants the result."""
    while os.read(0, 4096):
        pass
    if ranks is not None:
        ranks.stop_all(WorkError("the flow that wanted this event has ended"))
    os._exit(1)
