"""The project folder: every path in it, and which iteration does what."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from seisflow.config import Config
from seisflow.config_file import load
from seisflow.errors import InputError, MissingError
from seisflow.io.atomic import publish
from seisflow.records import Records

__all__ = ["Project", "iteration_name", "step_name"]

CONFIG_NAME = "seisflow.yaml"
"""The file that makes a folder a project."""
_SAFE = re.compile(r"[A-Za-z0-9._-]+")
_NAMES = "the name of an event may hold letters, digits, `.`, `_` and `-` only"


def iteration_name(iteration: int) -> str:
    """``i05`` for iteration 5."""
    return f"i{iteration:02d}"


def step_name(step: int) -> str:
    """``s00`` for the start of a line search, ``s01`` for its first trial."""
    return f"s{step:02d}"


class Project(Records):
    """A project folder.

    Parameters
    ----------
    root : Path
        The folder.
    config : Config
        Its settings.
    """

    def __init__(self, root: Path, config: Config) -> None:
        super().__init__(root)
        self.config = config

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

    def station_path(self, station: str) -> Path:
        """StationXML file of a station, ``NET.STA``.

        Raises
        ------
        InputError
            If the name could be that of a file elsewhere.
        """
        if not _SAFE.fullmatch(station) or station.startswith("."):
            raise InputError(
                f"station {station!r}: the codes of a station may hold letters, digits, `_` and `-` only"
            )
        return self.stations_folder / f"{station}.xml"

    def imported_event_path(self, event: str) -> Path:
        """QuakeML file of an event as it was imported."""
        return self.root.joinpath("events", f"{self._safe(event)}.xml")

    def event_path(self, event: str) -> Path:
        """QuakeML file of an event that is used: a solution that was adopted, else as it was imported."""
        adopted = self.root.joinpath("sources", self._safe(event), "adopted.xml")
        return adopted if adopted.is_file() else self.imported_event_path(event)

    def source_folder(self, event: str) -> Path:
        """What the inversion for the source of an event made."""
        return self.root / "sources" / self._safe(event)

    def observed_path(self, event: str) -> Path:
        """ASDF file of the recordings of an event."""
        return self.root.joinpath("observed", f"{self._safe(event)}.h5")

    @property
    def time_function_path(self) -> Path | None:
        """File of the source time function, if the configuration names one."""
        source = self.config.source
        return self.root / source.file if source.time_function == "file" and source.file else None

    def model_path(self, number: int) -> Path:
        """NetCDF file of the model after that many iterations."""
        return self.root.joinpath("models", f"m{number:02d}.nc")

    def iteration_folder(self, iteration: int) -> Path:
        """All that belongs to an iteration."""
        return self.root.joinpath("iterations", iteration_name(iteration))

    def step_folder(self, iteration: int, step: int) -> Path:
        """What belongs to one evaluation of the misfit."""
        return self.root.joinpath("iterations", iteration_name(iteration), step_name(step))

    def event_file(self, iteration: int, step: int, event: str) -> Path:
        """ASDF file of an event and iteration: synthetics, windows, adjoint sources, provenance."""
        return self.step_folder(iteration, step) / f"{self._safe(event)}.h5"

    @property
    def window_edits_path(self) -> Path:
        """What people changed of the windows by hand."""
        return self.root / "windows.yaml"

    def kernel_path(self, iteration: int, event: str) -> Path:
        """NetCDF file of an event kernel."""
        return self.step_folder(iteration, 0) / f"{self._safe(event)}.kernel.nc"

    def picture_folder(self, iteration: int) -> Path:
        """Pictures of an iteration."""
        return self.iteration_folder(iteration) / "pictures"

    def measurements_path(self, iteration: int) -> Path:
        """Parquet table of all that was measured in an iteration; made from the event files."""
        return self.iteration_folder(iteration) / "measurements.parquet"

    def candidates_path(self, iteration: int) -> Path:
        """Parquet table of all window candidates of an iteration; made from the event files."""
        return self.iteration_folder(iteration) / "candidates.parquet"

    def report_path(self, iteration: int) -> Path:
        """Page of an iteration."""
        return self.iteration_folder(iteration) / "report.html"

    # ------------------------------------------------------------------ paths of detection

    @property
    def detection_folder(self) -> Path:
        """All that detection makes."""
        return self.root / "detection"

    def day_folder(self, day: str) -> Path:
        """What belongs to a day, ``YYYY-MM-DD``."""
        return self.detection_folder / day

    @property
    def travel_time_folder(self) -> Path:
        """Travel-time tables, kept by the hash of what they depend on; losing them loses nothing."""
        return self.root / ".seisflow" / "travel_times"

    @property
    def archive_index_path(self) -> Path:
        """What the files of continuous recordings hold; losing it loses nothing."""
        return self.root / ".seisflow" / "archive.db"

    # ------------------------------------------------------------------ names

    @staticmethod
    def _safe(name: str) -> str:
        if not _SAFE.fullmatch(name) or name.startswith("."):
            raise InputError(f"event {name!r}: {_NAMES}")
        return name

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

    @cached_property
    def held_out(self) -> tuple[str, ...]:
        """Events that are measured but never inverted, sorted."""
        return tuple(sorted(set(self.config.hold_out) & set(self.event_ids)))

    def held_stations(self, event: str) -> tuple[str, ...]:
        """Stations (``NET.STA``) whose recordings of an event that is used are measured but never inverted, sorted."""
        found = []
        for name in self._held_stations:
            of_event, _, station = name.rpartition("/")
            if of_event in ("", event):
                found.append(station)
        return tuple(sorted(found))

    @cached_property
    def _held_stations(self) -> tuple[str, ...]:
        """What is held out and no event."""
        return tuple(sorted(set(self.config.hold_out) - set(self.event_ids)))

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

    def check_corrections(self, stations: Collection[str]) -> None:
        """Refuse names under ``data.corrections`` that are no station (``NET.STA``) or no event.

        Raises
        ------
        MissingError
            With all of them.
        """
        found = self.config.compared.corrections
        unknown = [name for name in found if name not in stations]
        unknown += [event for what in found.values() for event in what.events if event not in self.event_ids]
        if unknown:
            raise MissingError(
                f"{self.root / CONFIG_NAME}: data.corrections names {', '.join(dict.fromkeys(unknown))}; give stations "
                "of the project as NET.STA, and events of it under `events`"
            )

    @cached_property
    def used(self) -> tuple[str, ...]:
        """Events that are inverted, sorted."""
        held = set(self.held_out)
        return tuple(event for event in self.event_ids if event not in held)

    def station_files(self) -> tuple[Path, ...]:
        """All StationXML files, sorted."""
        if self._glanced is not None:
            return self._stations_at_a_glance
        return tuple(sorted(self.stations_folder.glob("*.xml")))

    @contextmanager
    def glance(self) -> Iterator[None]:
        """See ``Records``; the list of stations and what was held back are looked at once too."""
        self.__dict__.pop("_stations_at_a_glance", None)
        self.__dict__.pop("_held_at_a_glance", None)
        with super().glance():
            yield

    @cached_property
    def _stations_at_a_glance(self) -> tuple[Path, ...]:
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
        return self._noted_held() if self._glanced is None else self._held_at_a_glance

    @cached_property
    def _held_at_a_glance(self) -> dict[int, dict[str, Any]]:
        return self._noted_held()

    def _noted_held(self) -> dict[int, dict[str, Any]]:
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
