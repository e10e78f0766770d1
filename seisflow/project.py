"""The project folder: every path in it, who works in it, and records of what is done.

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
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from seisflow import __version__
from seisflow.config import Config, load
from seisflow.errors import InputError, MissingError, WorkError
from seisflow.io.atomic import alive, publish, sha256, sweep

__all__ = ["Begun", "Project", "Task", "code_version", "iteration_name", "step_name"]

CONFIG_NAME = "seisflow.yaml"
"""The file that makes a folder a project."""
_SAFE = re.compile(r"[A-Za-z0-9._-]+")
_NAMES = "the name of an event may hold letters, digits, `.`, `_` and `-` only"
_RECORD = {"inputs", "settings", "code", "outputs", "results", "seconds"}
_DRIVER = re.compile(r"host (?P<host>\S+), process (?P<pid>\d+)")


def iteration_name(iteration: int) -> str:
    """``i05`` for iteration 5."""
    return f"i{iteration:02d}"


def step_name(step: int) -> str:
    """``s00`` for the start of a line search, ``s01`` for its first trial."""
    return f"s{step:02d}"


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version of seisflow and a hash of the code that results depend on."""
    content = hashlib.sha256()
    package = files("seisflow")
    for folder in ("domain", "io", "signal", "windows", "misfits", "solvers", "inversion", "native", "steps"):
        sources = [entry for entry in (package / folder).iterdir() if entry.name.endswith(".py")]
        for entry in sorted(sources, key=lambda entry: entry.name):
            content.update(entry.read_bytes())
    for folder in ("c", "include"):
        for entry in sorted((files("seisflow.kernels") / folder).iterdir(), key=lambda entry: entry.name):
            content.update(entry.read_bytes())
    return f"{__version__}+{content.hexdigest()[:12]}"


@dataclass(frozen=True)
class Task:
    """A step with what decides its result.

    Parameters
    ----------
    name : str
        Place of its record below ``iterations/``, such as ``i05/s00/c201``.
    inputs : mapping of str to Path
        Files that it reads, by the name under which a change is reported.
    settings : mapping
        The part of the configuration that it uses, plain values.
    """

    name: str
    inputs: Mapping[str, Path]
    settings: Mapping[str, Any]
    code: str = field(default_factory=code_version)


@dataclass(frozen=True)
class Begun:
    """A step that runs: hashes of its inputs by name, and the monotonic time at which it began."""

    inputs: Mapping[str, str | None]
    at: float


class Project:
    """A project folder.

    Parameters
    ----------
    root : Path
        The folder.
    config : Config
        Its settings.
    """

    def __init__(self, root: Path, config: Config) -> None:
        self.root = root.resolve()
        self.config = config
        self._guard = threading.Lock()
        self._new_hashes = False

    @classmethod
    def open(cls, root: Path | str = ".") -> Project:
        """Open the project in a folder, or in the nearest folder above that holds a ``seisflow.yaml``.

        Raises
        ------
        MissingError
            If there is none.
        ConfigError
            If its configuration is wrong.
        """
        start = Path(root).resolve()
        if not start.is_dir():
            raise MissingError(f"{start}: there is no such folder; `seisflow init DIR` makes a project")
        for folder in (start, *start.parents):
            if (folder / CONFIG_NAME).is_file():
                return cls(folder, load(folder / CONFIG_NAME))
        raise MissingError(f"{start}: no {CONFIG_NAME} here or above; `seisflow init DIR` makes a project")

    # ------------------------------------------------------------------ paths

    @property
    def events_folder(self) -> Path:
        """QuakeML, one file an event."""
        return self.root / "events"

    @property
    def stations_folder(self) -> Path:
        """StationXML."""
        return self.root / "stations"

    def event_path(self, event: str) -> Path:
        """QuakeML file of an event."""
        return self.events_folder / f"{self._safe(event)}.xml"

    def observed_path(self, event: str) -> Path:
        """ASDF file of the recordings of an event."""
        return self.root / "observed" / f"{self._safe(event)}.h5"

    @property
    def time_function_path(self) -> Path | None:
        """File of the source time function, if the configuration names one."""
        source = self.config.source
        return self.root / source.file if source.time_function == "file" and source.file else None

    def model_path(self, number: int) -> Path:
        """NetCDF file of the model after that many iterations."""
        return self.root / "models" / f"m{number:02d}.nc"

    def iteration_folder(self, iteration: int) -> Path:
        """All that belongs to an iteration."""
        return self.root / "iterations" / iteration_name(iteration)

    def step_folder(self, iteration: int, step: int) -> Path:
        """What belongs to one evaluation of the misfit."""
        return self.iteration_folder(iteration) / step_name(step)

    def event_file(self, iteration: int, step: int, event: str) -> Path:
        """ASDF file of an event and iteration: synthetics, windows, adjoint sources, provenance."""
        return self.step_folder(iteration, step) / f"{self._safe(event)}.h5"

    def kernel_path(self, iteration: int, event: str) -> Path:
        """NetCDF file of an event kernel."""
        return self.step_folder(iteration, 0) / f"{self._safe(event)}.kernel.nc"

    def picture_folder(self, iteration: int) -> Path:
        """Pictures of an iteration."""
        return self.iteration_folder(iteration) / "pictures"

    @staticmethod
    def _safe(name: str) -> str:
        if not _SAFE.fullmatch(name) or name.startswith("."):
            raise InputError(f"event {name!r}: {_NAMES}")
        return name

    def relative(self, path: Path) -> str:
        """A path as it is shown: relative to the project folder."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    # ------------------------------------------------------------------ what is there

    @cached_property
    def event_ids(self) -> tuple[str, ...]:
        """All events, sorted.

        Raises
        ------
        InputError
            If a file has a name that an event cannot have.
        """
        paths = sorted(self.events_folder.glob("*.xml"))
        for path in paths:
            if not _SAFE.fullmatch(path.stem) or path.name.startswith("."):
                raise InputError(f"{self.relative(path)}: {_NAMES}; rename the file")
        return tuple(sorted(path.stem for path in paths))

    @property
    def held_out(self) -> tuple[str, ...]:
        """Events that are measured but never inverted, sorted."""
        return tuple(sorted(set(self.config.hold_out) & set(self.event_ids)))

    def held_stations(self, event: str) -> tuple[str, ...]:
        """Stations (``NET.STA``) whose recordings of an event that is used are measured but never inverted, sorted."""
        found = []
        for name in set(self.config.hold_out) - set(self.event_ids):
            of_event, _, station = name.rpartition("/")
            if of_event in ("", event):
                found.append(station)
        return tuple(sorted(found))

    def check_hold_out(self, stations: Collection[str]) -> None:
        """Refuse names under ``hold_out`` that are no event, no station (``NET.STA``) and no pair of both.

        Raises
        ------
        MissingError
            With all of them.
        """
        unknown = []
        for name in self.config.hold_out:
            event, _, station = name.rpartition("/")
            if name not in self.event_ids and (station not in stations or event not in ("", *self.event_ids)):
                unknown.append(name)
        if unknown:
            raise MissingError(
                f"{self.root / CONFIG_NAME}: hold_out names {', '.join(unknown)}; give events "
                f"({', '.join(self.event_ids[:5]) or 'there are none'}{', ...' if len(self.event_ids) > 5 else ''}), "
                "stations as NET.STA, or a station for one event as EVENT/NET.STA"
            )

    @property
    def used(self) -> tuple[str, ...]:
        """Events that are inverted, sorted."""
        held = set(self.held_out)
        return tuple(event for event in self.event_ids if event not in held)

    def station_files(self) -> tuple[Path, ...]:
        """All StationXML files, sorted."""
        return tuple(sorted(self.stations_folder.glob("*.xml")))

    # ------------------------------------------------------------------ which iteration does what

    @property
    def _held_path(self) -> Path:
        return self.root / "iterations" / "held.json"

    @property
    def held(self) -> dict[int, dict[str, Any]]:
        """Iterations at which a stage was to begin and was held back, with what was found; see ``hold_back``.

        A note counts as long as it is about the model that is there, and the limit of today would hold the stage back.
        """
        try:
            notes = json.loads(self._held_path.read_text())
        except (OSError, ValueError):
            return {}
        found = {}
        for number, note in sorted((int(key), value) for key, value in notes.items()):
            stage = note["stage"]
            guard = self.config.stages[stage].guard if stage < len(self.config.stages) else None
            stands = guard is not None and note["unsafe"] > guard.max_unsafe
            if stands and note["model"] == self.hash_of(self.model_path(number - 1)):
                found[number] = note
        return found

    def hold_back(self, iteration: int, stage: int, unsafe: float) -> None:
        """Note that a stage was to begin at an iteration, but that this share of its windows was unsafe."""
        notes = {str(number): note for number, note in self.held.items()}
        model = self.hash_of(self.model_path(iteration - 1))
        notes[str(iteration)] = {"stage": stage, "unsafe": unsafe, "model": model}
        with publish(self._held_path) as path:
            path.write_text(json.dumps(notes, indent=1))

    def stage_of(self, iteration: int) -> tuple[int, int]:
        """Stage number (from 0) and iteration within it (from 0) of an iteration (from 1).

        Raises
        ------
        InputError
            If the stages hold fewer iterations.
        """
        return self.config.stage_of(iteration, self.held)

    def windows_iteration(self, iteration: int) -> int:
        """The iteration whose windows an iteration uses: itself, or an earlier one of its stage."""
        stage, within = self.stage_of(iteration)
        return iteration - within % self.config.stages[stage].reselect

    def first_iteration(self, stage: int) -> int:
        """The iteration with which a stage begins."""
        before = sum(each.iterations for each in self.config.stages[:stage])
        return 1 + before + len([note for note in self.held.values() if note["stage"] <= stage])

    @property
    def iterations(self) -> int:
        """Iterations of all stages together, with those for which stages were held back."""
        return self.config.iterations + len(self.held)

    # ------------------------------------------------------------------ hashes and records

    @cached_property
    def _hashes(self) -> dict[str, list[Any]]:
        try:
            found = json.loads((self.root / ".seisflow" / "hashes.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def hash_of(self, path: Path, *, fresh: bool = False) -> str | None:
        """SHA-256 of a file, or None if it is not there; remembered by size, time and inode unless ``fresh``."""
        try:
            stat = path.stat()
        except OSError:
            return None
        key, stamp = self.relative(path), [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        with self._guard:
            known = self._hashes.get(key)
        if not fresh and known is not None and known[:3] == stamp:
            return str(known[3])
        found = sha256(path)
        with self._guard:
            if known is None or [*known] != [*stamp, found]:
                self._hashes[key], self._new_hashes = [*stamp, found], True
        return found

    def save_hashes(self) -> None:
        """Keep the hashes for the next command. They are only a shortcut: losing them loses nothing."""
        sweep(self.root / ".seisflow")  # of a driver that died here, when all was done
        with self._guard:
            if not self._new_hashes:
                return
            text, self._new_hashes = json.dumps(self._hashes), False
        with publish(self.root / ".seisflow" / "hashes.json") as path:
            path.write_text(text)

    def record_path(self, name: str) -> Path:
        """Record of a step."""
        return self.root / "iterations" / f"{name}.json"

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
        for name, path in task.inputs.items():
            old, new = record["inputs"].get(name), self.hash_of(path, fresh=fresh)
            if new is None:
                reasons.append(f"{self.relative(path)} is not there")
            elif old != new:
                reasons.append(f"{self.relative(path)} {'changed' if old else 'is new'}")
        reasons += [f"{name} is no longer used" for name in record["inputs"] if name not in task.inputs]
        old_settings, new_settings = _flat(record["settings"]), _flat(task.settings)
        for key in sorted(old_settings.keys() | new_settings.keys()):
            old, new = old_settings.get(key), new_settings.get(key)
            if old != new:
                reasons.append(f"setting {key} changed from {old} to {new}")
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
        return Begun({name: self.hash_of(path) for name, path in task.inputs.items()}, time.monotonic())

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
        return self.root / "iterations" / f"{name}.failed"

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


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    plain = _plain(value)
    if not isinstance(plain, dict):
        return {prefix.rstrip("."): plain}
    result: dict[str, Any] = {}
    for key, below in plain.items():
        result |= _flat(below, f"{prefix}{key}.")
    return result
