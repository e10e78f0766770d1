"""Put recordings into the files of the events that they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seisflow.domain import Event, Station, TimeSpan
from seisflow.errors import SeisflowError
from seisflow.io.asdf import write_observed
from seisflow.io.asdf_reading import read_observed
from seisflow.io.belonging import sort_by_event
from seisflow.io.provenance import Provenance
from seisflow.io.responses import project_inventory
from seisflow.io.stations import inventory_stations
from seisflow.io.waveforms import cut, described, join
from seisflow.project import Project
from seisflow.signal.examine import unusable
from seisflow.signal.recordings import channel_groups
from seisflow.steps.import_log import ImportLog

__all__ = ["REPLACE", "Recordings"]

REPLACE = "use --replace to take the new one"


class _Report(Protocol):
    written: list[str]
    same: int
    problems: list[str]
    remarks: list[str]


class Recordings:
    """Cuts, examines, joins and writes recordings.

    Parameters
    ----------
    project : Project
    replace : bool
    report : Imported
    log : ImportLog
    """

    def __init__(self, project: Project, replace: bool, report: _Report, log: ImportLog) -> None:
        self.project, self.replace, self.report, self.log = project, replace, report, log
        config = project.config
        self.axis = config.axis()
        self.signals = config.signals()
        margin = max(2 * max(stage.periods[1] for stage in config.stages), 30.0)
        self.wanted = TimeSpan(self.axis.start - margin, self.axis.end + margin)
        self.inventory: Any = project_inventory(project.station_files())
        found, _ = inventory_stations([("stations", self.inventory)])
        self.stations: dict[str, Station] = {station.id: station for station in found}
        self.waiting: dict[str, list[str]] = {}
        self.reserve: dict[str, list[str]] = {}

    def put(
        self, stream: Any, events: Mapping[str, Event], changed: set[str], chosen: str | None = None
    ) -> None:
        """Sort, cut and write.

        Parameters
        ----------
        stream : iterable of obspy.Trace
        events : mapping of str to Event
        changed : set of str
            Events and stations (``NET.STA``) that were replaced.
        chosen : str, optional
            The event that all recordings belong to.
        """
        found = sort_by_event(list(stream), events, self.wanted, chosen)
        self.report.problems += found.problems
        self.report.remarks += found.remarks
        origins = np.array([each.time for each in events.values()])
        near: list[Any] = []
        far: list[Any] = []
        for trace in found.free:
            first, last = trace.stats.starttime.timestamp, trace.stats.endtime.timestamp
            touched = (first <= origins + self.wanted.end) & (last >= origins + self.wanted.start)
            (near if touched.any() else far).append(trace)
        if far:
            self.report.problems.append(_belong_to_none(far))
        traces = [*near, *(trace for some in found.named.values() for trace in some)]
        known, missing = described(traces, self.inventory)
        self.report.problems += missing
        placed = {id(trace) for trace in known}
        free = [trace for trace in near if id(trace) in placed]
        starts = np.array([trace.stats.starttime.timestamp for trace in free])
        ends = np.array([trace.stats.endtime.timestamp for trace in free])
        for event in events.values():
            own = [trace for trace in found.named.get(event.id, []) if id(trace) in placed]
            covered = (starts <= event.time + self.wanted.end) & (ends >= event.time + self.wanted.start)
            try:
                self._put_event(event, own + [free[number] for number in np.flatnonzero(covered)], changed)
            except SeisflowError as error:
                self.report.problems.append(str(error))
        self._remark()

    def _put_event(self, event: Event, traces: Sequence[Any], changed: set[str]) -> None:
        pieces, problems = cut(traces, event, self.wanted.start, self.wanted.end)
        left_out = {text.split(",")[0]: text for text in problems}
        path = self.project.observed_path(event.id)
        old = self._there(path)
        groups: dict[str, list[Any]] = {}
        for piece in pieces:
            groups.setdefault(piece.id, []).append(piece)
        new: dict[str, list[Any]] = {}
        waiting: dict[str, str] = {}
        for identity, group in groups.items():
            joined = self._joined(event, identity, old.get(identity), group)
            if joined is None:
                continue
            kind, reason = self._examine(event, joined)
            if kind == "samples":
                left_out[identity] = f"{identity}, event {event.id}: {reason}; it was left out"
                continue
            if kind == "metadata":
                waiting[identity] = reason
            if not _equal(joined, old.get(identity, [])):
                new[identity] = joined
            else:
                self.report.same += 1
        self.report.problems += left_out.values()
        for identity, reason in waiting.items():
            self.waiting.setdefault(reason.partition(" ")[2], []).append(f"{identity} of event {event.id}")
        self.log.channels(event.id, groups.keys() | left_out.keys(), left_out=left_out, waiting=waiting)
        self._instruments(event, [piece for group in (old | new).values() for piece in group])
        self._write(event, path, (old, new), changed)

    def _write(
        self,
        event: Event,
        path: Path,
        parts: tuple[dict[str, list[Any]], dict[str, list[Any]]],
        changed: set[str],
    ) -> None:
        old, new = parts
        there = {f"{piece.stats.network}.{piece.stats.station}" for group in old.values() for piece in group}
        refreshed = changed & there
        if not new and not refreshed and not (old and event.id in changed):
            return
        together = old | new
        joined, missing = described([piece for group in together.values() for piece in group], self.inventory)
        self.report.problems += missing
        write_observed(path, event, joined, self.inventory, provenance=Provenance("import"))
        words = [f"{len({piece.id for piece in joined})} recordings"]
        if old and new:
            words.append(f"{len(new)} of them new")
        if refreshed:
            words.append(f"new instruments of {', '.join(sorted(refreshed))}")
        self.report.written.append(f"{self.project.relative(path)} ({', '.join(words)})")

    def _there(self, path: Path) -> dict[str, list[Any]]:
        """Recordings that an event has, by id; none of a damaged file that is to be replaced."""
        if not path.is_file():
            return {}
        try:
            found: dict[str, list[Any]] = {}
            for trace in read_observed(path)[0]:
                found.setdefault(trace.id, []).append(trace)
            return found
        except SeisflowError:
            if self.replace:
                return {}
            raise

    def _joined(self, event: Event, identity: str, old: list[Any] | None, new: list[Any]) -> list[Any] | None:
        """What is there and what is new as one; None if they disagree and the old is kept."""
        if old is None or _equal(old, new):
            return new
        joined, complaint = join([*old, *new])
        if not complaint:
            return joined
        if self.replace:
            return new
        self.report.problems.append(f"{identity}, event {event.id}: is in the project and differs; {REPLACE}")
        return None

    def _examine(self, event: Event, pieces: list[Any]) -> tuple[str, str]:
        stats = pieces[0].stats
        station = self.stations[f"{stats.network}.{stats.station}"]
        return unusable(pieces, self.inventory, event, station, self.axis, self.signals)

    def _remark(self) -> None:
        """One sentence for each reason why stored recordings cannot be used yet, and on instruments in reserve."""
        for reason, names in self.waiting.items():
            remedy = "import its metadata"
            if "response" in reason:
                remedy = "import the response, or say in data.observed what the recordings hold"
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self.report.remarks.append(f"{names[0]}{more}: {reason}; stored, but not used until you {remedy}")
        told = [
            f"{what} (event {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''})"
            for what, names in self.reserve.items()
        ]
        if told:
            more = f" and {len(told) - 3} more stations" if len(told) > 3 else ""
            self.report.remarks.append(f"of several instruments one is used: {'; '.join(told[:3])}{more}")

    def _instruments(self, event: Event, pieces: Sequence[Any]) -> None:
        """Note which instrument of a station is used where there are several."""
        by_station: dict[str, list[Any]] = {}
        for piece in pieces:
            by_station.setdefault(f"{piece.stats.network}.{piece.stats.station}", []).append(piece)
        for station, traces in sorted(by_station.items()):
            names = [_instrument(group) for group in channel_groups(traces)]
            if len(names) > 1:
                what = f"{station} uses {names[0]}, in reserve {', '.join(names[1:])}"
                self.reserve.setdefault(what, []).append(event.id)


def _instrument(group: Mapping[str, list[Any]]) -> str:
    traces = next(iter(group.values()))
    location = traces[0].stats.location
    letters = "".join(code[-1] for code in group)
    return f"{location + '.' if location else ''}{traces[0].stats.channel[:-1]}{letters}"


def _equal(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two channels have the same samples at the same times."""
    return len(one) == len(other) and all(
        a.stats.npts == b.stats.npts
        and a.stats.starttime == b.stats.starttime
        and a.stats.sampling_rate == b.stats.sampling_rate
        and np.array_equal(a.data, b.data)
        for a, b in zip(one, other, strict=True)
    )


def _belong_to_none(traces: Sequence[Any]) -> str:
    first, last = (
        datetime.fromtimestamp(time, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
        for time in (
            min(trace.stats.starttime.timestamp for trace in traces),
            max(trace.stats.endtime.timestamp for trace in traces),
        )
    )
    files = Counter(str(trace.stats.file) for trace in traces if "file" in trace.stats)
    names = sorted(files)
    named = (
        f" ({', '.join(names[:3])}{f' and {len(names) - 3} more files' if len(names) > 3 else ''})"
        if names
        else ""
    )
    return (
        f"recordings between {first} and {last} belong to no event of the project, {len(traces)} in all{named}; "
        "import their events first (or with them)"
    )
