"""A round of events or days in a batch system: arrays are sent, watched, and what the system ended is sent again."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisflow.errors import SeisflowError, WorkError
from seisflow.schedulers.config import BatchRun
from seisflow.schedulers.order import JobFolder, Sent, answer_of, error_of
from seisflow.schedulers.slurm import Slurm
from seisflow.schedulers.system import Script, System

__all__ = ["BatchRound", "job_folders", "system_of"]

_LOG = logging.getLogger(__name__)
_PATIENCE = 3
"""Looks at the queue that must miss an element without an answer before it counts as lost: file systems lag."""
_REMEDIES = {
    "TIMEOUT": "ask for more `time`",
    "OUT_OF_MEMORY": "ask for more `memory`",
    "stopped": "it stopped before its time limit; ask for more `time`",
}


def system_of(run: BatchRun, root: Path) -> System:
    """The batch system of a profile."""
    return Slurm(run, root) if run.system == "slurm" and run.template is None else System(run, root)


def job_folders(root: Path) -> list[JobFolder]:
    """Folders of all rounds that were begun, sorted."""
    return [JobFolder(path.parent) for path in sorted((root / ".seisflow" / "jobs").glob("*/order.json"))]


@dataclass(frozen=True)
class Asked:
    """What a round is about.

    Parameters
    ----------
    title : str
    work : Sent
    threads : int
        For each event or day.
    code : str
        Version of the code; another one does not take over the jobs of this one.
    """

    title: str
    work: Sent
    threads: int
    code: str


class BatchRound:
    """One round; a context in which jobs are watched.

    Parameters
    ----------
    run : BatchRun
    root : Path
        The project folder.
    asked : Asked
    watch : callable
        Gets the name and the fraction that is done.
    """

    def __init__(self, run: BatchRun, root: Path, asked: Asked, watch: Callable[[str, float], None]) -> None:
        self.run, self.root, self.asked, self.watch = run, root, asked, watch
        self.system = system_of(run, root)
        self.names, self.order = asked.work.names, asked.work.order
        self.folder = JobFolder.of(root, asked.title, self.order, self.names, asked.code)
        self.futures: dict[str, Future[Any]] = {name: Future() for name in asked.work.missing}
        self.open = {number for number, name in enumerate(self.names) if name in self.futures}
        self.tries = dict.fromkeys(self.open, 0)
        self.place: dict[int, tuple[int, int]] = {}
        self.missed: Counter[tuple[int, int]] = Counter()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._follow, name="queue", daemon=True)

    def __enter__(self) -> Mapping[str, Future[Any]]:
        self._cancel_others()
        taken = self._take_over()
        limit = self.resources.time
        self.folder.prepare(
            self.order,
            self.names,
            title=self.asked.title,
            code=self.asked.code,
            run=self.run.model_dump(mode="json"),
            missing=list(self.asked.work.missing),
            threads=self.asked.threads,
            seconds=limit - self.run.warning if limit else None,
        )
        self._send(sorted(self.open - taken))
        self.thread.start()
        return self.futures

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.ended.set()
        self.thread.join()
        if kind is None and not any(future.exception() for future in self.futures.values() if future.done()):
            shutil.rmtree(self.folder.path, ignore_errors=True)
        elif getattr(error, "keeps_jobs", False) is False:
            self.system.cancel(self._jobs())

    @property
    def resources(self) -> Any:
        """What an element asks for; a bundle no more than a single event."""
        return self.run.resources.of(self.order.kind)

    def _jobs(self) -> list[str]:
        return [job for array in self.folder.arrays() if (job := self.folder.job(array)) is not None]

    # ------------------------------------------------------------------ sending

    def _cancel_others(self) -> None:
        """End what earlier drivers sent that is not asked for any more."""
        for folder in job_folders(self.root):
            if folder.path == self.folder.path:
                continue
            jobs = [job for array in folder.arrays() if (job := folder.job(array)) is not None]
            self.system.cancel(jobs)
            shutil.rmtree(folder.path, ignore_errors=True)

    def _take_over(self) -> set[int]:
        """Numbers that jobs of an earlier driver still do; old answers are taken away."""
        for array in self.folder.arrays():
            job = self.folder.job(array)
            found = self.system.elements(job) if job is not None else []
            alive = {each.index for each in found or [] if not each.over}
            for index, numbers in enumerate(self.folder.bundles(array)):
                if (
                    found is None or index in alive
                ):  # what cannot be asked about now may live, and is followed
                    self.place |= dict.fromkeys(numbers, (array, index))
        taken = set(self.place)
        for number in self.open - taken:
            self.folder.result_path(number).unlink(missing_ok=True)
        return taken

    def _send(self, numbers: Sequence[int]) -> None:
        size = self.run.bundle
        bundles = [list(numbers[first : first + size]) for first in range(0, len(numbers), size)]
        most = self.run.largest_array
        for part in (bundles[first : first + most] for first in range(0, len(bundles), most)):
            array = max(self.folder.arrays(), default=-1) + 1
            self.folder.write_bundles(array, part)
            for index, bundle in enumerate(part):
                self.place |= dict.fromkeys(bundle, (array, index))
            self.folder.note_job(array, self.system.submit(self._script(array, len(part))))

    def _script(self, array: int, count: int) -> Script:
        return Script(
            self.folder.path / f"array{array}.sh",
            f"{self.asked.title}",
            self.resources,
            ("-m", "seisflow", "element", str(self.folder.path), str(array)),
            self.folder.logs / str(array),
            count,
        )

    # ------------------------------------------------------------------ watching

    def _follow(self) -> None:
        try:
            last = 0.0
            while self.open and not self.ended.wait(min(self.run.poll, 0.5)):
                self._collect()
                if time.monotonic() - last >= self.run.poll:
                    last = time.monotonic()
                    self._look()
        except (SeisflowError, OSError) as error:
            self._fail_all(error if isinstance(error, SeisflowError) else WorkError(str(error)))
        finally:  # whoever waits must not wait for ever
            self._fail_all(WorkError(f"{self.asked.title}: is no longer watched"))

    def _settle(self, name: str, answer: Mapping[str, Any] | SeisflowError) -> None:
        future = self.futures[name]
        with suppress(InvalidStateError):  # the driver was interrupted, and does not wait for it any more
            if isinstance(answer, SeisflowError):
                future.set_exception(answer)
            elif answer["state"] == "done":
                future.set_result(answer["results"])
            else:
                future.set_exception(error_of(answer))

    def _fail_all(self, error: SeisflowError) -> None:
        for name in self.futures:
            self._settle(name, error)

    def _collect(self) -> None:
        """Take the answers that are there; what was stopped at its time limit is sent again at once."""
        stopped: dict[int, str] = {}
        for number in sorted(self.open):
            path = self.folder.result_path(number)
            answer = answer_of(path)
            if answer is None:
                continue
            if answer["state"] == "stopped":
                path.unlink(missing_ok=True)
                stopped[number] = "stopped"
                self.tries[number] -= bool(answer.get("moved"))
                continue
            self.open.discard(number)
            self.watch(self.names[number], 1.0)
            self._settle(self.names[number], answer)
        self._send_again(stopped)

    def _look(self) -> None:
        """Look at the queue; send again what was lost."""
        places: dict[int, dict[int, list[int]]] = {}
        for number in sorted(self.open):
            array, index = self.place[number]
            places.setdefault(array, {}).setdefault(index, []).append(number)
            if part := self.folder.progress(number):
                self.watch(self.names[number], min(part, 0.99))
        lost: dict[int, str] = {}
        for array, elements in places.items():
            job = self.folder.job(array)
            found = self.system.elements(job) if job is not None else None
            if found is None:
                continue  # the system cannot be asked now
            listed = {each.index: each for each in found}
            for index, numbers in elements.items():
                each = listed.get(index)
                if each is not None and not each.over:
                    self.missed[array, index] = 0
                    continue
                self.missed[array, index] += 1
                if self.missed[array, index] >= _PATIENCE:
                    state = "no longer in the queue" if each is None else each.state
                    lost |= dict.fromkeys(numbers, f"{state}, job {job}_{index}")
        before = dict(self.place)
        self._collect()  # may have answers of them after all, and have sent some again
        self._send_again(
            {
                number: why
                for number, why in lost.items()
                if number in self.open and self.place[number] == before[number]
            }
        )

    def _send_again(self, lost: Mapping[int, str]) -> None:
        again = []
        for number, why in sorted(lost.items()):
            name = self.names[number]
            self.tries[number] += 1
            if self.tries[number] <= self.run.retries:
                _LOG.warning("%s %s: its job ended: %s; it is sent again", self.asked.title, name, why)
                again.append(number)
                continue
            self.open.discard(number)
            remedy = next((text for word, text in _REMEDIES.items() if word in why), "look at its log")
            told = f"its job ended without an answer {self.tries[number]} times ({why}); {remedy}: {self.folder.logs}"
            self._settle(name, WorkError(told))
        if again:
            self._send(again)
