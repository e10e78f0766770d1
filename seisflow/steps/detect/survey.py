"""What all steps of detection work with: stations, archive, travel times, the nodes that are searched."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.config import digest
from seisflow.detection.backprojection import Delays, delays_of
from seisflow.detection.lookup import resample, slowness_at_points
from seisflow.detection.travel_time_cache import cached_table
from seisflow.detection_config import DetectionConfig
from seisflow.domain import Continuous, Detection, FloatArray, Grid, Projection, Station, TravelTimeTable
from seisflow.errors import ConfigError, InputError, MissingError
from seisflow.io.archive import Archive, Day, days
from seisflow.io.responses import project_inventory
from seisflow.project import CONFIG_NAME, Project
from seisflow.records import DETECTION_CODE, code_version
from seisflow.signal.continuous import prepare, prepare_stations
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.pickers import PickAxis, load_picker
from seisflow.steps.inputs import model_of, stations_of

__all__ = ["Survey", "counted", "day_name", "parts_of", "reading_lock", "spans_of"]

reading_lock = threading.Lock()
"""Warnings are caught while files are read, which is not safe in threads."""

_LONG = 3600.0
"""s from which on recordings are read station by station."""


def day_name(day: Day) -> str:
    """``2009-01-21`` for a day."""
    return str(np.datetime64(int(day.start), "s").astype("datetime64[D]"))


@dataclass(frozen=True, eq=False)
class Survey:
    """A project as detection sees it.

    Parameters
    ----------
    project : Project
    config : DetectionConfig
    stations : tuple of Station
    archive : Archive
    model_path : Path
    table : TravelTimeTable
        On its own grid, which holds stations and the nodes that are searched.
    start, end : float
        What is searched, s since 1970-01-01 UTC.
    """

    project: Project
    config: DetectionConfig
    stations: tuple[Station, ...]
    archive: Archive
    model_path: Path
    table: TravelTimeTable
    start: float
    end: float

    @classmethod
    def open(
        cls,
        project: Project,
        span: tuple[float, float] | None = None,
        threads: int = 1,
        monitor: Callable[[int, int], None] | None = None,
    ) -> Survey:
        """Look at all that detection reads, bring the index of the archive up to date, and make travel times.

        Without a span, all that was recorded is searched.

        Raises
        ------
        InputError
            If the configuration, the stations or the model do not fit, or nothing was recorded in that time.
        """
        config = detection_of(project)
        if config.picker is not None:
            load_picker(config.picker, project.root)
        stations = stations_of(project)
        model_path = newest_model(project)
        archive = Archive.open(
            [project.root / folder for folder in config.archive], project.archive_index_path, monitor
        )
        start, end = span or _recorded(archive, config)
        recorded = {(found.network, found.station) for found in archive.spans(start, end)}
        used = tuple(each for each in stations if (each.network, each.code) in recorded)
        if not used:
            raise InputError(_nothing(archive, config, start, end))
        grid = search_grid(project)
        table = cached_table(
            project.travel_time_folder,
            model_of(model_path),
            used,
            tuple(config.phases),
            None,
            config.travel_times,
            threads,
        )
        for axis, name in enumerate("xyz"):
            if not (table.grid.origin[axis] <= grid.origin[axis] and grid.end[axis] <= table.grid.end[axis]):
                raise InputError(
                    f"{project.root / CONFIG_NAME}: detection.search reaches from {name} = {grid.origin[axis]:g} to "
                    f"{grid.end[axis]:g} m, {project.relative(model_path)} from {table.grid.origin[axis]:g} to "
                    f"{table.grid.end[axis]:g} m; search less, or use a larger model"
                )
        return cls(project, config, used, archive, model_path, table, start, end)

    @property
    def projection(self) -> Projection:
        """Of the project."""
        return self.project.config.region.projection()

    @property
    def phases(self) -> tuple[str, ...]:
        """That are searched for."""
        return tuple(self.config.phases)

    @cached_property
    def grid(self) -> Grid:
        """The nodes that are searched."""
        return search_grid(self.project)

    @property
    def silent(self) -> tuple[str, ...]:
        """Stations of the project that recorded nothing in that time."""
        return tuple(each.id for each in stations_of(self.project) if each not in self.stations)

    @cached_property
    def delays(self) -> Delays:
        """Travel times from the nodes that are searched, in samples of the features."""
        return delays_of(resample(self.table, self.grid), self.config.interval, self.projection)

    @cached_property
    def longest(self) -> float:
        """Longest travel time from a node that is searched, in s."""
        return float(self.delays.samples.max()) * self.config.interval

    @cached_property
    def inventory(self) -> Any:
        """All that is known about instruments."""
        return project_inventory(self.project.station_files())

    def travel_times(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Times (ns, np, n) in s from points (n, 3) in m, and their derivatives (ns, np, n, 3) in s/m."""
        return slowness_at_points(self.table, points)

    def days(self) -> list[Day]:
        """The days that are searched: those on which something was recorded."""
        found = list(days(self.start, self.end, 0.0))
        return [day for day in found if len(found) == 1 or self.archive.spans(day.start, self.end_of(day))]

    def end_of(self, day: Day) -> float:
        """End of the origin times that a day owns."""
        return day.read_to

    def recordings(
        self, start: float, end: float, configs: list[ContinuousConfig]
    ) -> tuple[list[Continuous], list[str]]:
        """Recordings from one time to another, read once and treated in several ways.

        Returns
        -------
        list of Continuous
            One for each way, with the stations of the survey.
        list of str
            What could not be used.
        """
        margin = max(config.margin for config in configs)
        # short stretches are dropped: what is asked for must not be one
        configs = [
            replace(config, min_stretch=min(config.min_stretch, 0.5 * (end - start))) for config in configs
        ]
        if len(configs) == 1 and end - start > _LONG:  # raw, all stations at once take several GB
            parts = self._by_station(start - margin, end + margin)
            data, faults = prepare_stations(parts, self.stations, configs[0], start, end, self.inventory)
            return [data], list(dict.fromkeys(faults))
        with reading_lock:
            stream, problems = self.archive.read(start - margin, end + margin)
        found = []
        for config in configs:
            data, faults = prepare(stream, self.stations, config, start, end, self.inventory)
            found.append(data)
            problems += faults
        return found, list(dict.fromkeys(problems))

    def _by_station(self, start: float, end: float) -> Iterator[tuple[Any, list[str]]]:
        """Recordings of one station after another."""
        parts = self.archive.stations(start, end)
        while True:
            with reading_lock:
                part = next(parts, None)
            if part is None:
                return
            yield part

    def recordings_margin(self, phase: str) -> float:
        """What is read around a feature of a phase for its filter, in s."""
        return self.config.recordings(phase).margin

    @property
    def travel(self) -> str:
        """Hash of the settings that travel times depend on, beside model and stations."""
        config = self.config
        region = self.project.config.region
        return digest(region, config.search, config.travel_times, config.interval, self.phases)

    def probabilities(self, axis: PickAxis) -> FloatArray:
        """What the picker of the configuration says, (ns, np, nt); NaN where it says nothing."""
        config = self.config.picker
        if config is None:
            return np.full((len(axis.stations), len(axis.phases), axis.samples), np.nan)
        picker = load_picker(config, self.project.root)
        end = axis.start + axis.interval * axis.samples
        with reading_lock:
            stream, _ = self.archive.read(axis.start, end)
        return picker(stream, axis)

    def files(self, start: float, end: float) -> dict[str, Path]:
        """Files with recordings of a time, by the name under which a change is reported."""
        paths = sorted({Path(span.file) for span in self.archive.spans(start, end)})
        return {f"recording {self.project.relative(path)}": path for path in paths}

    def inputs(self) -> dict[str, Path]:
        """Files that every step of detection depends on."""
        stations = {f"station {path.stem}": path for path in self.project.station_files()}
        if self.config.picker is not None and self.config.picker.path is not None:
            path = self.project.root / f"{self.config.picker.path}.pt"
            stations["picker"] = path
        return {"model": self.model_path, **stations}

    @property
    def code(self) -> str:
        """Version of the code of detection."""
        return code_version(*DETECTION_CODE)


def detection_of(project: Project) -> DetectionConfig:
    """The section ``detection`` of the configuration.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if project.config.detection is None:
        raise ConfigError(
            f"{project.root / CONFIG_NAME}: has no section `detection`; `seisflow init DIR --example swarm` shows one"
        )
    return project.config.detection


def search_grid(project: Project) -> Grid:
    """The nodes that are searched."""
    region = project.config.region
    return detection_of(project).search.grid(region.width, region.height)


def newest_model(project: Project) -> Path:
    """The model after the last iteration, or the one that the configuration names.

    Raises
    ------
    MissingError
        If there is none.
    """
    wanted = detection_of(project).model
    found = sorted((project.root / "models").glob("m[0-9]*.nc"))
    path = project.model_path(wanted) if wanted is not None else (found or [project.model_path(0)])[-1]
    if not path.is_file():
        raise MissingError(
            f"{project.relative(path)}: there is no such model; `seisflow import FILE` brings in m00, a gridded or a "
            "layered one"
        )
    return path


def _recorded(archive: Archive, config: DetectionConfig) -> tuple[float, float]:
    """From the first sample of the archive to the last."""
    spans = archive.spans()
    if not spans:
        raise InputError(_nothing(archive, config, 0.0, 0.0))
    return min(each.start for each in spans), max(each.end for each in spans)


def _nothing(archive: Archive, config: DetectionConfig, start: float, end: float) -> str:
    spans = archive.spans()
    when = [str(np.datetime64(round(time * 1000), "ms")) for time in (start, end)]
    if not spans:
        faults = "\n".join(f"  {fault}" for fault in archive.problems()[:10])
        return f"detection.archive: no recordings in {', '.join(config.archive)}" + (
            f"\n{faults}" if faults else ""
        )
    known = ", ".join(sorted({f"{span.network}.{span.station}" for span in spans})[:5])
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    there = [str(np.datetime64(round(time * 1000), "ms")) for time in (first, last)]
    return (
        f"nothing was recorded from {when[0]} to {when[1]} at stations of the project; the archive holds {known} and "
        f"others, from {there[0]} to {there[1]}"
    )


def parts_of(count: int, most: float) -> list[tuple[int, int]]:
    """First and end of equal parts of a series; a short rest would have no statistics of its own."""
    edges = (
        np.linspace(0, count, max(1, int(np.ceil(count / max(1.0, most)))) + 1).round().astype(int).tolist()
    )
    return list(pairwise(edges))


def counted(problems: Counter[str], parts: int) -> list[str]:
    """What could not be used, each once; with how often, where only some parts of the day have it."""
    return [
        text if times >= parts else f"{text} (in {times} of {parts} parts of the day)"
        for text, times in problems.items()
    ]


def spans_of(
    detections: Sequence[Detection], around: float, longest: float
) -> list[tuple[float, float, list[Detection]]]:
    """Stretches of time that are read at once, each with the detections that it holds.

    Detections whose surroundings overlap or nearly do are read together, as long as the stretch stays shorter than
    ``longest`` s.
    """
    spans: list[tuple[float, float, list[Detection]]] = []
    for each in sorted(detections, key=lambda one: one.time):
        start, end = each.time - around, each.time + around
        if spans and start - spans[-1][1] < around and end - spans[-1][0] < max(longest, 2 * around):
            first, last, members = spans[-1]
            spans[-1] = (first, max(last, end), [*members, each])
        else:
            spans.append((start, end, [each]))
    return spans
