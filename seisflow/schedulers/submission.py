"""The driver itself in the batch system: sent, followed from any shell, continued after its time limit, cancelled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import TypeAdapter

from seisflow.errors import InputError, WorkError
from seisflow.io.atomic import publish
from seisflow.schedulers.config import BatchRun, DaskRun, RunConfig
from seisflow.schedulers.order import JobFolder
from seisflow.schedulers.rounds import job_folders, system_of
from seisflow.schedulers.system import Element, Script

__all__ = ["Submission", "batch_run", "cancel_all", "drive", "overview", "script_of"]

STOPPED = 75
"""Exit code of a command that was told to stop, and goes on when it is run again."""
_GONE = 60.0
"""s to wait until what is cancelled has ended."""
_IDLE = 5
"""Jobs of a driver in a row in which nothing was finished, although elements ran, before it gives up."""


def batch_run(run: object) -> BatchRun:
    """The batch system that a driver can be sent to.

    Raises
    ------
    InputError
        If the configuration names none.
    """
    if isinstance(run, BatchRun):
        return run
    if isinstance(run, DaskRun) and run.start is not None:
        return BatchRun(system=run.start.system, resources=run.resources, setup=run.setup, python=run.python)
    raise InputError(
        "seisflow.yaml has no batch system under `run`, so there is no queue to submit to; `seisflow profile slurm > "
        "cluster.yaml` and `run: cluster.yaml`, or run the command itself"
    )


@dataclass(frozen=True)
class Submission:
    """The driver that was last submitted in a project.

    Parameters
    ----------
    root : Path
        The project folder.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """What belongs to it."""
        return self.root / ".seisflow" / "driver"

    @property
    def log(self) -> Path:
        """What the driver prints."""
        return self.folder / "logs" / "0.log"

    def content(self) -> dict[str, Any] | None:
        """What was submitted and how, or None."""
        return _read(self.folder / "submission.json")

    def state(self) -> dict[str, Any]:
        """What the driver says of itself: ``state`` and ``code``; empty before it has begun."""
        return _read(self.folder / "state.json") or {}

    def note(self, **values: Any) -> None:
        """Leave what ``state`` reads."""
        with publish(self.folder / "state.json") as path:
            path.write_text(json.dumps(values))

    def check_alone(self) -> None:
        """Refuse to send a command where one is in the batch system already.

        Raises
        ------
        InputError
            With its job.
        """
        if (alive := self.alive()) is not None:
            raise InputError(
                f"{self.root}: {' '.join(self.described())} is submitted already (job {alive}); `seisflow status` "
                "follows it, `seisflow cancel` ends it"
            )

    def send(self, run: BatchRun, command: Sequence[str]) -> str:
        """Send a command of seisflow; returns the number of its job.

        Raises
        ------
        InputError
            If one is there already, or the system refuses it.
        """
        self.check_alone()
        system, limit = system_of(run, self.root), run.resources.of("driver").time
        for name in ("state.json", "cancelled"):
            (self.folder / name).unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        seconds = limit - run.warning if limit else None
        self._remember(run, command, [], seconds)  # the job may begin before its number is known
        try:
            job = system.submit(script_of(run, self.root, "driver"))
        except InputError:
            (self.folder / "submission.json").unlink(missing_ok=True)
            raise
        self._remember(run, command, [job], seconds)
        return job

    def _remember(self, run: BatchRun, command: Sequence[str], jobs: list[str], seconds: int | None) -> None:
        content = {
            "command": list(command),
            "run": run.model_dump(mode="json"),
            "jobs": jobs,
            "seconds": seconds,
            "submitted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with publish(self.folder / "submission.json") as path:
            path.write_text(json.dumps(content, indent=1))

    def described(self) -> list[str]:
        """The words of the command."""
        return list((self.content() or {}).get("command", []))

    def send_next(self) -> str:
        """Send the same once more, after its time limit; called by the driver itself."""
        content = self.content() or {}
        run = _run(content["run"])
        job = system_of(run, self.root).submit(script_of(run, self.root, "driver"))
        self._remember(run, content["command"], [*content["jobs"], job], content["seconds"])
        return job

    def element(self) -> Element | None:
        """What the batch system says of its last job; None if it knows nothing of it."""
        content = self.content()
        if content is None or not content["jobs"]:
            return None
        found = system_of(_run(content["run"]), self.root).elements(content["jobs"][-1])
        return found[0] if found else None

    def alive(self) -> str | None:
        """Number of its job, if that waits or runs."""
        each, content = self.element(), self.content()
        return str(content["jobs"][-1]) if content and each is not None and not each.over else None


def script_of(run: BatchRun, root: Path, kind: str) -> Script:
    """The script of a driver, or one that asks for what an event or a day would."""
    folder = Submission(root).folder
    command = ("-m", "seisflow", "drive", str(root)) if kind == "driver" else ("-c", "pass")
    return Script(
        folder / f"{kind}.sh", f"seisflow-{kind}", run.resources.of(kind), command, folder / "logs", None
    )


def drive(root: Path) -> int:
    """Run the submitted command in this job; near the time limit stop it, and send the next job.

    Returns
    -------
    int
        Its exit code.
    """
    submission = Submission(root)
    content = submission.content()
    if content is None:
        raise WorkError(f"{submission.folder}: nothing was submitted here")
    out_of_time, before, idle = False, _records(root), int(submission.state().get("idle", 0))
    command = [sys.executable, "-m", "seisflow", *content["command"], "--project", str(root)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal out_of_time
        out_of_time = out_of_time or number == signal.SIGALRM
        process.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)
    if content["seconds"]:
        signal.setitimer(signal.ITIMER_REAL, content["seconds"])
    submission.note(state="running")
    code = process.wait()
    cancelled = (submission.folder / "cancelled").exists()
    if code == STOPPED and out_of_time and not cancelled:
        idle, reason = _idle(root, idle) if _records(root) == before else (0, "")
        if reason:
            submission.note(state="failed", code=1, reason=reason)
            return 1
        submission.note(state="continues", code=code, idle=idle)
        submission.send_next()
        return 0
    submission.note(state="cancelled" if cancelled else "done" if code == 0 else "ended", code=code)
    return code


def _idle(root: Path, before: int) -> tuple[int, str]:
    """How many jobs in a row finished nothing, this one too, and why the driver gives up; empty if it goes on.

    What its events and days do in the queue meanwhile is not lost: the next job takes them over.
    """
    rounds = [_round(folder, root) for folder in job_folders(root)]
    if not any(each["running"] for each in rounds):
        if any(each["waiting"] for each in rounds):
            return before, ""  # the queue is full, which says nothing against the time limits
        return before + 1, "nothing was finished within its time limit, and nothing of it runs or waits"
    count = before + 1
    return count, f"nothing was finished in {count} jobs in a row" if count >= _IDLE else ""


def _records(root: Path) -> set[tuple[str, int]]:
    """Notes of finished steps, and when they were written: a job that only makes old ones anew got somewhere too."""
    found = [*(root / "iterations").rglob("*.json"), *(root / "detection").rglob("*.json")]
    found += (root / ".seisflow" / "jobs").rglob("results/*.json")
    notes = set()
    for path in found:
        with suppress(FileNotFoundError):  # a round that ends takes its answers away
            notes.add((str(path), path.stat().st_mtime_ns))
    return notes


def overview(root: Path) -> dict[str, Any] | None:
    """What is in the batch system for a project, for people and JSON; None if nothing was ever sent.

    Returns
    -------
    dict
        ``driver``: None or ``command``, ``job``, ``state``, ``reason``, ``submitted``, ``jobs`` (how many it took),
        ``log``; ``rounds``: a list with ``title``, ``elements``, ``done``, ``failed``, ``running``, ``waiting``.
    """
    submission = Submission(root)
    content, rounds = submission.content(), [_round(folder, root) for folder in job_folders(root)]
    if content is None and not rounds:
        return None
    driver = None
    if content is not None:
        each, told = submission.element(), submission.state()
        state, reason = told.get("state", ""), told.get("reason", "")
        if each is not None and not each.over:
            state, reason = each.state.lower(), "" if each.reason == "None" else each.reason
        elif state in ("", "running", "continues"):
            state = "lost"
            reason = f"its job is over ({each.state if each else 'forgotten by the system'}); submit it again"
        driver = {
            "command": " ".join(content["command"]),
            "job": content["jobs"][-1] if content["jobs"] else "-",
            "state": state,
            "reason": reason,
            "code": told.get("code"),
            "submitted": content["submitted"],
            "jobs": len(content["jobs"]),
            "log": submission.log.relative_to(root).as_posix(),
        }
    return {"driver": driver, "rounds": rounds}


def _round(folder: JobFolder, root: Path) -> dict[str, Any]:
    content = folder.content()
    answers = [_read(path) or {} for path in (folder.path / "results").glob("*.json")]
    states = [answer.get("state") for answer in answers]
    system, running, waiting = system_of(_run(content["run"]), root), 0, 0
    for job in _jobs(folder):
        for each in system.elements(job) or []:
            running += not each.over and each.state in ("RUNNING", "R", "RUN", "r", "2")
            waiting += not each.over and each.state not in ("RUNNING", "R", "RUN", "r", "2")
    return {
        "title": content["title"],
        "elements": len(content["missing"]),
        "done": states.count("done"),
        "failed": states.count("failed"),
        "running": running,
        "waiting": waiting,
    }


def _jobs(folder: JobFolder) -> list[str]:
    return [job for array in folder.arrays() if (job := folder.job(array)) is not None]


def cancel_all(root: Path) -> list[str]:
    """End the driver and all elements of a project in the batch system; returns the numbers of jobs that were alive.

    The driver goes first, so that it sends nothing more.
    """
    submission, ended = Submission(root), []
    content = submission.content()
    if content is not None and (alive := submission.alive()) is not None:
        (submission.folder / "cancelled").touch()
        system_of(_run(content["run"]), root).cancel([alive])
        ended.append(alive)
        deadline = time.monotonic() + _GONE
        while submission.alive() is not None and time.monotonic() < deadline:
            time.sleep(0.5)
        if submission.state().get("state") in (None, "running"):
            submission.note(state="cancelled", code=STOPPED)
    for folder in job_folders(root):
        system = system_of(_run(folder.content()["run"]), root)
        alive_jobs = [
            job for job in _jobs(folder) if any(not each.over for each in system.elements(job) or [])
        ]
        system.cancel(alive_jobs)
        ended += alive_jobs
    return ended


def _run(values: Any) -> BatchRun:
    return batch_run(TypeAdapter(RunConfig).validate_python(values))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
