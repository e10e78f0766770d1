"""Records of what is done, and who works in a folder.

A step reads files, writes files and leaves a record: what it read (by content), the settings that it used, the
version of the code, what it wrote. A step whose record still holds is not run again. The records are the truth;
nothing else (no database) is needed to go on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from seisflow import __version__
from seisflow.errors import InputError, WorkError
from seisflow.io.atomic import alive, publish, sha256, sweep

__all__ = ["DETECTION_CODE", "Begun", "Input", "Records", "Task", "code_version"]

_RECORD = {"inputs", "settings", "code", "outputs", "results", "seconds"}
_DRIVER = re.compile(r"host (?P<host>\S+), process (?P<pid>\d+)")
_CODE = ("domain", "io", "signal", "windows", "weights", "misfits", "solvers", "inversion", "native", "steps")
_ELSEWHERE = ("detection/", "sources/", "processed/")
DETECTION_CODE = ("detection", "steps/detect")


@lru_cache(maxsize=8)
def code_version(*more: str) -> str:
    """Version of seisflow and a hash of the code that results depend on; ``more`` names further folders."""
    content = hashlib.sha256()
    package, kernels = files("seisflow"), files("seisflow.kernels")
    sources = (kernels / name for name in ("c", "cuda", "include"))
    for folder in (*(package / name for name in (*_CODE, *more)), *sources):
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith((".py", ".c", ".cu", ".h")):
                content.update(entry.read_bytes())
    return f"{__version__}+{content.hexdigest()[:12]}"


Input = Path | tuple[Path, ...]


@dataclass(frozen=True)
class Task:
    """A step with what decides its result.

    Parameters
    ----------
    name : str
        Place of its record below ``iterations/``, such as ``i05/s00/c201``, or one that begins with ``detection/``,
        ``sources/`` or ``processed/``.
    inputs : mapping of str to Path or tuple of Path
        Files that it reads, by the name under which a change is reported; a tuple of files counts as one, so that a
        record stays small where there are thousands.
    settings : mapping
        The part of the configuration that it uses, plain values.
    """

    name: str
    inputs: Mapping[str, Input]
    settings: Mapping[str, Any]
    code: str = field(default_factory=code_version)


@dataclass(frozen=True)
class Begun:
    """A step that runs: hashes of its inputs by name, and the monotonic time at which it began."""

    inputs: Mapping[str, str | None]
    at: float


class Records:
    """A folder whose files are made by steps that leave records.

    Parameters
    ----------
    root : Path
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._guard = threading.Lock()
        self._new_hashes = False
        self._glanced: dict[Path, str] | None = None
        self._glanced_sets: list[tuple[tuple[Path, ...], str]] = []
        self._sets: dict[str, dict[str, str]] = {}

    def relative(self, path: Path) -> str:
        """A path as it is shown: relative to the folder."""
        text, root = path.as_posix(), self.root.as_posix()  # as text: it is asked of thousands of paths
        return text.removeprefix(f"{root}/") if text != root else "."

    # ------------------------------------------------------------------ hashes and records

    @cached_property
    def _hashes(self) -> dict[str, list[Any]]:
        try:
            found = json.loads((self.root / ".seisflow" / "hashes.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def hash_of(self, path: Path, *, fresh: bool = False) -> str | None:
        """SHA-256 of a file, or None if it is not there; remembered by size, times and inode unless ``fresh``.

        The time of the last change of the inode is among them: ``touch`` cannot set it back.
        """
        if self._glanced is not None and not fresh and path in self._glanced:
            return self._glanced[path]
        try:
            stat = path.stat()
        except OSError:
            return None
        key = self.relative(path)
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns]
        with self._guard:
            known = self._hashes.get(key)
        if not fresh and known is not None and known[:-1] == stamp:
            if self._glanced is not None:
                self._glanced[path] = str(known[-1])
            return str(known[-1])
        found = sha256(path)
        with self._guard:
            if known is None or [*known] != [*stamp, found]:
                self._hashes[key], self._new_hashes = [*stamp, found], True
        return found

    def hash_of_input(self, what: Input, *, fresh: bool = False) -> str | None:
        """Hash of a file, or of names and contents of several; None if one of them is not there."""
        if isinstance(what, Path):
            return self.hash_of(what, fresh=fresh)
        if self._glanced is not None and not fresh:
            # by identity: comparing a thousand paths takes longer than all else that is looked at
            for seen, whole in self._glanced_sets:
                if seen is what:
                    return whole
        members = {}
        for path in what:
            found = self.hash_of(path, fresh=fresh)
            if found is None:
                return None
            members[self.relative(path)] = found
        whole = hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()
        self._sets[whole] = members
        if self._glanced is not None:
            self._glanced_sets.append((what, whole))
        return whole

    def _set_path(self, whole: str) -> Path:
        return self.root / ".seisflow" / "sets" / f"{whole}.json"

    def _keep_set(self, what: Input, whole: str | None) -> None:
        """Keep which files a hash stands for, to name what changed; losing it loses only the names."""
        if isinstance(what, tuple) and whole in self._sets and not self._set_path(whole).is_file():
            with publish(self._set_path(whole)) as path:
                path.write_text(json.dumps(self._sets[whole], indent=1))

    def _changes(self, name: str, what: tuple[Path, ...], old: str | None, new: str | None) -> list[str]:
        """Which of several files changed, a sentence each."""
        gone = [f"{self.relative(path)} is not there" for path in what if new is None and not path.is_file()]
        try:
            before = json.loads(self._set_path(old or "").read_text())
        except (OSError, ValueError):
            return gone or [f"{name} changed" if old else f"{name} are new"]
        now = self._sets.get(new or "", {})
        changed = [
            f"{path} {'changed' if path in before else 'is new'}"
            for path, found in now.items()
            if before.get(path) != found
        ]
        return gone + changed + [f"{path} is no longer used" for path in before if now and path not in now]

    @contextmanager
    def glance(self) -> Iterator[None]:
        """Look at each file once within the block: for many steps that read the same files, and nothing that writes."""
        self._glanced, self._glanced_sets = {}, []
        try:
            yield
        finally:
            self._glanced, self._glanced_sets = None, []

    def save_hashes(self) -> None:
        """Keep the hashes for the next command. They are only a shortcut: losing them loses nothing."""
        sweep(self.root / ".seisflow")  # of a driver that died here, when all was done
        with self._guard:
            if not self._new_hashes:
                return
            text, self._new_hashes = json.dumps(self._hashes), False
        with publish(self.root / ".seisflow" / "hashes.json") as path:
            path.write_text(text)

    def _note(self, name: str, suffix: str) -> Path:
        if name.startswith(_ELSEWHERE):
            return self.root.joinpath(f"{name}.{suffix}")
        return self.root.joinpath("iterations", f"{name}.{suffix}")

    def record_path(self, name: str) -> Path:
        """Record of a step."""
        return self._note(name, "json")

    def record_of(self, name: str) -> dict[str, Any] | None:
        """The record of a step, or None."""
        try:
            found = json.loads(self.record_path(name).read_text())
        except FileNotFoundError:
            return None
        except ValueError:
            return None  # not whole: written by something else; the step runs again
        return found if isinstance(found, dict) and found.keys() >= _RECORD else None

    def why(self, task: Task, *, fresh: bool = False) -> list[str]:
        """Why a step has to run, a reason a line; empty if its record holds."""
        record = self.record_of(task.name)
        if record is None:
            return ["it has not run yet"]
        reasons = []
        for name, what in task.inputs.items():
            old, new = record["inputs"].get(name), self.hash_of_input(what, fresh=fresh)
            if new is not None and old == new:
                continue
            if isinstance(what, tuple):
                reasons += self._changes(name, what, old, new)
            elif new is None:
                reasons.append(f"{self.relative(what)} is not there")
            else:
                reasons.append(f"{self.relative(what)} {'changed' if old else 'is new'}")
        reasons += [f"{name} is no longer used" for name in record["inputs"] if name not in task.inputs]
        if record["settings"] != task.settings:  # else they are plain already
            reasons += _differences(record["settings"], _plain(task.settings))
        if record["code"] != task.code:
            reasons.append(f"the code changed from {record['code']} to {task.code}")
        return reasons + self.damage(record, fresh=fresh)

    def damage(self, record: Mapping[str, Any], *, fresh: bool = False) -> list[str]:
        """Files that a record says were written and that are gone or not as they were written."""
        reasons = []
        for name, old in record["outputs"].items():
            new = self.hash_of(self.root / name, fresh=fresh)
            if new is None:
                reasons.append(f"its result {name} is not there")
            elif old != new:
                reasons.append(f"its result {name} is not what it wrote")
        return reasons

    def done(self, task: Task) -> dict[str, Any] | None:
        """The results of a step whose record holds, else None."""
        if self.why(task):
            return None
        record = self.record_of(task.name)
        return None if record is None else dict(record["results"])

    def begin(self, task: Task) -> Begun:
        """Note what the inputs of a step are, before it reads them; a file changed while it runs makes it run again."""
        hashes = {name: self.hash_of_input(what) for name, what in task.inputs.items()}
        for name, what in task.inputs.items():
            self._keep_set(what, hashes[name])
        return Begun(hashes, time.monotonic())

    def record(self, task: Task, outputs: Iterable[Path], results: Mapping[str, Any], begun: Begun) -> None:
        """Leave the record of a step that has just written its outputs."""
        content = {
            "name": task.name,
            "code": task.code,
            "settings": _plain(task.settings),
            "inputs": dict(begun.inputs),
            "outputs": {self.relative(path): self.hash_of(path, fresh=True) for path in outputs},
            "results": _plain(results),
            "seconds": round(time.monotonic() - begun.at, 3),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with publish(self.record_path(task.name)) as path:
            path.write_text(json.dumps(content, indent=1))
        self.forget_failure(task.name)

    def _failure_path(self, name: str) -> Path:
        return self._note(name, "failed")

    def record_failure(self, name: str, reason: str) -> None:
        """Note why a step failed, for ``seisflow status``; the note goes when it succeeds."""
        with publish(self._failure_path(name)) as path:
            path.write_text(reason)

    def forget_failure(self, name: str) -> None:
        """Take the note of a failure away."""
        self._failure_path(name).unlink(missing_ok=True)

    def failure_of(self, name: str) -> str | None:
        """Why a step failed when it ran last, or None."""
        try:
            return self._failure_path(name).read_text()
        except FileNotFoundError:
            return None

    # ------------------------------------------------------------------ one driver at a time

    @property
    def driver(self) -> str | None:
        """Host and process that work in the folder now, or None; a dead process of this host does not count."""
        try:
            text = (self.root / ".seisflow" / "lock").read_text().strip()
        except OSError:
            return None
        match = _DRIVER.fullmatch(text)
        if match is None or (match["host"] == socket.gethostname() and not alive(int(match["pid"]))):
            return None
        return text

    def driver_here(self) -> int | None:
        """Process of this host that works in the folder now, or None; one that holds the lock, not one that did."""
        match = _DRIVER.fullmatch(self.driver or "")
        if match is None or match["host"] != socket.gethostname():
            return None
        with (self.root / ".seisflow" / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(match["pid"])
        return None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other drivers out of the folder, and sweep what dead ones left.

        Raises
        ------
        InputError
            If another process works here; host and process are named.
        """
        path = self.root / ".seisflow" / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise InputError(
                    f"{self.root}: another seisflow works in this project ({file.read().strip() or 'unknown'}); "
                    "wait for it, or end it, then run the command again"
                ) from None
            except OSError as error:
                raise WorkError(
                    f"{path}: this file system gives no locks ({error.strerror}); keep the project on one that does"
                ) from error
            file.truncate(0)
            file.write(f"host {socket.gethostname()}, process {os.getpid()}\n")
            file.flush()
            sweep(self.root)
            try:
                yield
            finally:
                self.save_hashes()
                file.truncate(0)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _differences(old: Any, new: Any) -> list[str]:
    """Settings that differ, a sentence each."""
    if old == new:
        return []
    before, now = _flat(old), _flat(new)
    found = [
        f"setting {key} changed from {before.get(key)} to {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    return found or [
        "a setting that was left out, or one that was none, is empty now, or the other way round"
    ]


def _flat(plain: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(plain, dict):
        return {prefix.rstrip("."): plain}
    result: dict[str, Any] = {}
    for key, below in plain.items():
        result |= _flat(below, f"{prefix}{key}.")
    return result
