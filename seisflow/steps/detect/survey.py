"""What all steps of detection work with: stations, archive, travel times, the nodes that are searched."""

from __future__ import annotations

import threading
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
from seisflow.detection.travel_times import beyond, station_positions
from seisflow.detection_config import DetectionConfig
from seisflow.domain import (
    Continuous,
    Detection,
    FloatArray,
    Grid,
    Model,
    Projection,
    Station,
    TravelTimeTable,
)
from seisflow.errors import ConfigError, InputError, MissingError
from seisflow.io.archive import Archive, Day
from seisflow.io.archive_index import Span
from seisflow.io.responses import project_inventory
from seisflow.project import CONFIG_NAME, Project
from seisflow.records import DETECTION_CODE, Input, code_version
from seisflow.signal.continuous import prepare, prepare_stations
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.pickers import PickAxis, load_picker
from seisflow.steps.detect.days import EVERYTHING, Recorded, Spans, asked, day_name, day_parts, joined
from seisflow.steps.detect.sources import source_days
from seisflow.steps.inputs import files_of_stations, model_of, stations_of

__all__ = ["Survey", "day_name", "parts_of", "reading_lock", "spans_of"]

reading_lock = threading.Lock()
"""Warnings are caught while files are read, which is not safe in threads."""

_LONG = 3600.0
"""s from which on recordings are read station by station."""


@dataclass(frozen=True, eq=False)
class Survey:
    """A project as detection sees it.

    Parameters
    ----------
    project : Project
    config : DetectionConfig
    stations : tuple of Station
        That recorded something on the days of the survey, within the model.
    archive : Archive
    model_path : Path
    table : TravelTimeTable
        On its own grid, which holds stations and the nodes that are searched.
    asked : dict of str to (float, float)
        From when to when is searched, by day, s since 1970-01-01 UTC.
    parts : tuple of Day
        The days that are searched, as far as something was recorded.
    sources : tuple of Day
        The days whose events make templates.
    uncovered : tuple of (str, str)
        Stations that the model does not cover, and a sentence that says so.
    whole : Survey, optional
        That of all days, for one of a single day.
    """

    project: Project
    config: DetectionConfig
    stations: tuple[Station, ...]
    archive: Archive
    model_path: Path
    table: TravelTimeTable
    asked: Spans
    parts: tuple[Day, ...]
    sources: tuple[Day, ...] = ()
    uncovered: tuple[tuple[str, str], ...] = ()
    whole: Survey | None = None

    @classmethod
    def open(
        cls,
        project: Project,
        span: tuple[float, float] | None = None,
        threads: int = 1,
        monitor: Callable[[int, int], None] | None = None,
        *,
        refresh: bool = True,
    ) -> Survey:
        """Look at all that detection reads, bring the index of the archive up to date, and make travel times.

        Searched is what was searched before, and the span; without a span and a search before, all that was recorded.
        Without ``refresh`` the index is taken as it is.

        Raises
        ------
        InputError
            If the configuration, the stations or the model do not fit, or nothing was recorded in that time.
        """
        config = detection_of(project)
        if config.picker is not None:
            load_picker(config.picker, project.root)
        model_path = newest_model(project)
        folders = [project.root / folder for folder in config.archive]
        archive = Archive.open(folders, project.archive_index_path, monitor, refresh=refresh)
        model = model_of(model_path)
        stations, uncovered = _covered(project, model, model_path)
        recorded = Recorded(_of_stations(archive.spans(), stations))
        before = asked(project)
        spans = before
        for more in _wanted(config, span, before):
            grown = joined(spans, more, recorded)
            if not joined({}, more, recorded):
                raise InputError(_nothing(archive, config, more))
            spans = grown
        parts = day_parts(spans, recorded)
        sources = source_days(project, config, parts, recorded)
        used = _recording(stations, recorded, (*parts, *sources))
        table = cached_table(
            project.travel_time_folder,
            model,
            used,
            tuple(config.phases),
            None,
            config.travel_times,
            threads,
            float(station_positions(stations, model.projection)[:, 2].min()),
        )
        survey = cls(project, config, used, archive, model_path, table, spans, parts, sources, uncovered)
        survey.check_search()
        return survey

    def check_search(self) -> None:
        """Refuse nodes beyond the travel times.

        Raises
        ------
        InputError
            Naming the axis and both extents.
        """
        grid, inside = self.grid, self.table.grid
        for axis, name in enumerate("xyz"):
            if not (inside.origin[axis] <= grid.origin[axis] and grid.end[axis] <= inside.end[axis]):
                raise InputError(
                    f"{self.project.root / CONFIG_NAME}: detection.search reaches from {name} = "
                    f"{grid.origin[axis]:g} to {grid.end[axis]:g} m, {self.project.relative(self.model_path)} from "
                    f"{inside.origin[axis]:g} to {inside.end[axis]:g} m; search less, or use a larger model"
                )

    def of(self, day: Day) -> Survey:
        """The survey of one of its days alone: with the stations that recorded something then."""
        if self.whole is not None:
            return self
        spans = self.archive.spans(day.start, self.end_of(day))
        used = _recording(self.stations, Recorded(spans), (day,))
        table = self.table if used == self.stations else _rows(self.table, used)
        name = day_name(day)
        of_day = {name: self.asked[name]} if name in self.asked else {}
        return replace(self, stations=used, table=table, asked=of_day, parts=(day,), whole=self)

    @property
    def start(self) -> float:
        """From when on is searched, s since 1970-01-01 UTC."""
        return self.parts[0].start

    @property
    def end(self) -> float:
        """Until when is searched, s since 1970-01-01 UTC."""
        return self.end_of(self.parts[-1])

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
        """Stations within the model that recorded nothing in that time."""
        known = {each.id for each in self.stations} | {name for name, _ in self.uncovered}
        return tuple(each.id for each in stations_of(self.project) if each.id not in known)

    def whole_problems(self, day: Day) -> list[str]:
        """Stations that recorded on a day and that the model does not cover, a sentence each."""
        spans = self.archive.spans(day.start, self.end_of(day)) if self.uncovered else []
        there = {f"{each.network}.{each.station}" for each in spans}
        return [text for name, text in self.uncovered if name in there]

    @cached_property
    def delays(self) -> Delays:
        """Travel times from the nodes that are searched, in samples of the features."""
        if self.whole is not None:
            return self.whole.delays.select(tuple(each.id for each in self.stations), self.phases)
        return delays_of(resample(self.table, self.grid), self.config.interval, self.projection)

    @cached_property
    def reach(self) -> dict[str, int]:
        """Longest travel time from a node that is searched to each station, in samples of the features."""
        if self.whole is not None:
            return {each.id: self.whole.reach[each.id] for each in self.stations}
        most = self.delays.samples.max(axis=(0, 2))
        return {each.id: int(value) for each, value in zip(self.stations, most, strict=True)}

    @property
    def longest(self) -> float:
        """Longest travel time from a node that is searched, in s."""
        return max(self.reach.values()) * self.config.interval

    @cached_property
    def inventory(self) -> Any:
        """All that is known about instruments."""
        return project_inventory(self.project.station_files())

    def travel_times(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Times (ns, np, n) in s from points (n, 3) in m, and their derivatives (ns, np, n, 3) in s/m."""
        return slowness_at_points(self.table, points)

    def days(self) -> list[Day]:
        """The days that are searched."""
        return list(self.parts)

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
        configs = self.long_enough(configs, end - start)
        margin = max(config.margin for config in configs)
        if self.by_parts(configs, end - start):
            parts = self.by_station(start - margin, end + margin)
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

    @staticmethod
    def long_enough(configs: list[ContinuousConfig], seconds: float) -> list[ContinuousConfig]:
        """Short stretches are dropped; what is asked for must not be one."""
        return [replace(config, min_stretch=min(config.min_stretch, 0.5 * seconds)) for config in configs]

    @staticmethod
    def by_parts(configs: list[ContinuousConfig], seconds: float) -> bool:
        """Whether recordings are read station by station: raw, all stations at once take several GB."""
        return len(configs) == 1 and seconds > _LONG

    def by_station(self, start: float, end: float) -> Iterator[tuple[Any, list[str]]]:
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
        """Hash of what travel times depend on beside model and stations; their grid ends at the highest of all."""
        config = self.config
        region = self.project.config.region
        return digest(
            region, config.search, config.travel_times, config.interval, self.phases, self.table.grid
        )

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

    def inputs(self) -> dict[str, Input]:
        """Files that every step of detection depends on."""
        files = files_of_stations(self.project, self.stations)  # others recorded nothing
        found: dict[str, Input] = {"model": self.model_path, "stations": files}
        if self.config.picker is not None and self.config.picker.path is not None:
            path = self.project.root / f"{self.config.picker.path}.pt"
            found["picker"] = path
        return found

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
    names = [path.stem[1:] for path in (project.root / "models").glob("m*.nc")]
    newest = max((int(name) for name in names if name.isdigit()), default=0)  # others are copies of the user
    path = project.model_path(newest if wanted is None else wanted)
    if not path.is_file():
        raise MissingError(
            f"{project.relative(path)}: there is no such model; `seisflow import FILE` brings in m00, a gridded or a "
            "layered one"
        )
    return path


def _covered(
    project: Project, model: Model, path: Path
) -> tuple[tuple[Station, ...], tuple[tuple[str, str], ...]]:
    """Stations within the model, and of the others the id and why they are left out.

    Raises
    ------
    InputError
        If too few are left.
    """
    stations = stations_of(project)
    positions = station_positions(stations, model.projection)
    outside = beyond(positions, model.grid)
    low, high = model.grid.origin, model.grid.end
    extent = (
        f"{project.relative(path)} reaches from x = {low[0]:.0f}, y = {low[1]:.0f} to x = {high[0]:.0f}, y = "
        f"{high[1]:.0f} m and down to z = {high[2]:.0f} m"
    )
    reasons = tuple(
        (
            each.id,
            f"{each.id}: left out; it lies at x = {x:.0f}, y = {y:.0f}, z = {z:.0f} m, beyond the model",
        )
        for each, (x, y, z), is_outside in zip(stations, positions, outside, strict=True)
        if is_outside
    )
    left = tuple(each for each, is_outside in zip(stations, outside, strict=True) if not is_outside)
    least = detection_of(project).backprojection.min_stations
    if reasons and len(left) < least:
        lines = "\n".join(f"  {text}" for _, text in reasons)
        raise InputError(
            f"{len(left)} of {len(stations)} stations lie within the model, backprojection.min_stations is {least}; "
            f"{extent}; use a larger model\n{lines}"
        )
    return left, tuple((name, f"{text} ({extent})") for name, text in reasons)


def _recording(stations: Sequence[Station], recorded: Recorded, parts: Sequence[Day]) -> tuple[Station, ...]:
    """Stations that recorded something on some days, in their order."""
    there = {
        (each.network, each.station) for day in parts for each in recorded.within(day.start, day.read_to)
    }
    return tuple(each for each in stations if (each.network, each.code) in there)


def _of_stations(recorded: Sequence[Span], stations: Sequence[Station]) -> list[Span]:
    """Recordings of some stations."""
    names = {(each.network, each.code) for each in stations}
    return [each for each in recorded if (each.network, each.station) in names]


def _rows(table: TravelTimeTable, stations: Sequence[Station]) -> TravelTimeTable:
    """Travel times of some of the stations."""
    rows = [table.stations.index(each) for each in stations]
    positions = None if table.positions is None else table.positions[rows]
    return replace(table, stations=tuple(stations), times=table.times[rows], positions=positions)


def _wanted(
    config: DetectionConfig, span: tuple[float, float] | None, before: Spans
) -> list[tuple[float, float]]:
    """Spans that are searched beside what was searched before."""
    wanted = [span] if span is not None else [] if before else [EVERYTHING]
    if config.matching is not None and config.matching.templates.source == "beam":
        starts = [float(np.datetime64(day, "s").astype(int)) for day in config.matching.templates.days or ()]
        wanted += [(start, start + 86400) for start in starts]
    return wanted


def _nothing(archive: Archive, config: DetectionConfig, span: tuple[float, float]) -> str:
    spans = archive.spans()
    if not spans:
        faults = "\n".join(f"  {fault}" for fault in archive.problems()[:10])
        return f"detection.archive: no recordings in {', '.join(config.archive)}" + (
            f"\n{faults}" if faults else ""
        )
    known = ", ".join(sorted({f"{span.network}.{span.station}" for span in spans})[:5])
    first, last = min(each.start for each in spans), max(each.end for each in spans)
    begin, end = max(span[0], first), min(span[1], last)
    if begin > end:
        begin, end = span
    when = [str(np.datetime64(round(time * 1000), "ms")) for time in (begin, end, first, last)]
    return (
        f"nothing was recorded from {when[0]} to {when[1]} at stations of the project; the archive holds {known} and "
        f"others, from {when[2]} to {when[3]}"
    )


def parts_of(count: int, most: float) -> list[tuple[int, int]]:
    """First and end of equal parts of a series; a short rest would have no statistics of its own."""
    edges = (
        np.linspace(0, count, max(1, int(np.ceil(count / max(1.0, most)))) + 1).round().astype(int).tolist()
    )
    return list(pairwise(edges))


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
