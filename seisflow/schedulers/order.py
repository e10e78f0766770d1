"""What another process is told to do, and what it answers: plain values in files, nothing else."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seisflow import errors
from seisflow.errors import SeisflowError, WorkError
from seisflow.io.atomic import publish

__all__ = ["JobFolder", "Order", "Sent", "answer_of", "error_of", "failed"]

_ERRORS = {
    name: getattr(errors, name)
    for name in errors.__all__
    if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), SeisflowError)
}


@dataclass(frozen=True)
class Order:
    """The same kind of work for many events or days.

    Parameters
    ----------
    kind : {"event", "day", "trial"}
        Kind of step, which has resources of its own.
    what : mapping
        Plain values that tell a process what to do; see ``workflows.elements``.
    settings : str
        Hash of the configuration of whoever orders; a process that finds another one does nothing.
    """

    kind: str
    what: Mapping[str, Any] = field(default_factory=dict)
    settings: str = ""

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Sent:
    """A round of work.

    Parameters
    ----------
    order : Order
    names : tuple of str
        All events or days of the round.
    missing : tuple of str
        Those that are not done yet.
    """

    order: Order
    names: tuple[str, ...]
    missing: tuple[str, ...]


def failed(error: BaseException) -> dict[str, Any]:
    """The answer of an element that failed."""
    kind = type(error).__name__
    message = str(error) if isinstance(error, SeisflowError) else f"{kind}: {error}"
    return {"state": "failed", "kind": kind, "message": message}


def error_of(answer: Mapping[str, Any]) -> SeisflowError:
    """The error that an answer tells of."""
    found: SeisflowError = _ERRORS.get(str(answer.get("kind")), WorkError)(str(answer.get("message")))
    return found


def answer_of(path: Path) -> dict[str, Any] | None:
    """What an element answered, or None if there is nothing, or nothing whole, yet."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("state") in ("done", "failed", "stopped") else None


class JobFolder:
    """What the driver and its elements tell each other, below ``.seisflow/jobs``.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, root: Path, title: str, order: Order, names: Sequence[str], code: str) -> JobFolder:
        """The folder of an order; the same one for the same work."""
        key = hashlib.sha256("\n".join([order.text(), code, *names]).encode()).hexdigest()[:12]
        short = "".join(letter if letter.isalnum() else "-" for letter in title)[:30]
        return cls(root / ".seisflow" / "jobs" / f"{short}-{key}")

    @property
    def order_path(self) -> Path:
        """What is to be done."""
        return self.path / "order.json"

    @property
    def logs(self) -> Path:
        """What elements print."""
        return self.path / "logs"

    def prepare(self, order: Order, names: Sequence[str], **more: Any) -> None:
        """Write the order."""
        for name in ("results", "progress", "logs"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        with publish(self.order_path) as path:
            path.write_text(json.dumps({**json.loads(order.text()), "names": list(names), **more}))

    def content(self) -> dict[str, Any]:
        """The order as it was written.

        Raises
        ------
        WorkError
            If it is not there.
        """
        try:
            found: dict[str, Any] = json.loads(self.order_path.read_text())
        except (OSError, ValueError) as error:
            raise WorkError(f"{self.order_path}: cannot be read ({error})") from None
        return found

    def result_path(self, number: int) -> Path:
        """Answer of the event or day of that number."""
        return self.path / "results" / f"{number}.json"

    def answer(self, number: int, content: Mapping[str, Any]) -> None:
        """Leave an answer, unless the round is over."""
        if not self.order_path.is_file():
            return
        with publish(self.result_path(number)) as path:
            path.write_text(json.dumps(content))

    def note_progress(self, number: int, fraction: float) -> None:
        """Leave how much is done; a shortcut that may be lost."""
        target = self.path / "progress" / str(number)
        own = target.with_name(f".{number}.{os.getpid()}")
        with suppress(OSError):
            own.write_text(f"{fraction:.4f}")
            os.replace(own, target)

    def progress(self, number: int) -> float:
        """How much of an event or day is done."""
        try:
            return float((self.path / "progress" / str(number)).read_text())
        except (OSError, ValueError):
            return 0.0

    # ------------------------------------------------------------------ jobs that were sent

    def bundles(self, array: int) -> list[list[int]]:
        """What the elements of an array do: numbers of events or days."""
        found: list[list[int]] = json.loads((self.path / f"array{array}.json").read_text())
        return found

    def write_bundles(self, array: int, bundles: Sequence[Sequence[int]]) -> None:
        """See ``bundles``."""
        with publish(self.path / f"array{array}.json") as path:
            path.write_text(json.dumps(bundles))

    def arrays(self) -> list[int]:
        """Arrays that were written, in their order."""
        found = [path.stem.removeprefix("array") for path in self.path.glob("array*.json")]
        return sorted(int(name) for name in found if name.isdigit())

    def job(self, array: int) -> str | None:
        """Number of the job of an array in the batch system, if it was sent."""
        try:
            return (self.path / f"array{array}.job").read_text().strip() or None
        except OSError:
            return None

    def note_job(self, array: int, job: str) -> None:
        """Remember the number of a job."""
        with publish(self.path / f"array{array}.job") as path:
            path.write_text(job)
