"""Which recordings belong to which event, by name, by place or by time; and to which station."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from seisflow.domain import Event, TimeSpan
from seisflow.io.asdf import band_code
from seisflow.io.sac import event_place, relative_start, station_place

__all__ = ["Sorted", "settle_ids", "sort_by_event"]

_NEAR = 0.05
"""Degrees within which the place of an event in a SAC header counts as that of the event."""
_AWAY = 0.5
_FOLDERS = 3
_SAME_TIME = 1.0
_CODE = re.compile(r"[._]([A-Z][A-Z][ENZRT123UV])(?=[._]|$)")


@dataclass
class Sorted:
    """Recordings by event.

    Parameters
    ----------
    named : dict of str to list of obspy.Trace
        Recordings that belong to one event, at its time.
    free : list of obspy.Trace
        The others: they belong to every event whose time they cover.
    problems, remarks : list of str
        Sentences on what was left out, and on what was decided.
    """

    named: dict[str, list[Any]] = field(default_factory=dict)
    free: list[Any] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def sort_by_event(
    traces: Sequence[Any], events: Mapping[str, Event], span: TimeSpan, chosen: str | None = None
) -> Sorted:
    """Find the event of each recording.

    In this order: the event that was chosen; the only event of an ASDF file; an event after which the file or one of
    the three folders above it is named; of events at one time, that at the place in the SAC header. All others
    belong by time. Recordings that are named after an event, and whose times are no dates (before 1971, or on
    2000-01-01, or those of a point force, or the event was chosen), are placed relative to its origin: a SAC file by
    ``b`` and ``o``, others by their start.

    Parameters
    ----------
    traces : sequence of obspy.Trace
        With ``stats.file`` and, from ASDF, ``stats.event``. Are left as they are.
    events : mapping of str to Event
    span : TimeSpan
        What is wanted, s from the origin time.
    chosen : str, optional
        The event that all of them belong to.

    Returns
    -------
    Sorted
    """
    found = Sorted()
    shifted: Counter[str] = Counter()
    strange: dict[str, str] = {}
    mixed: dict[tuple[str, ...], list[Any]] = {}
    paired = _paired(events)
    for trace in traces:
        name = chosen or _named(trace, events)
        if name is None:
            twins = _twins(trace, paired, span)
            name = _by_place(trace, [events[twin] for twin in twins])
            if name is None and twins:
                mixed.setdefault(tuple(twins), []).append(trace)
                continue
        if name is None:
            found.free.append(trace)
            continue
        event = events[name]
        _compare_place(trace, event, strange)
        placed, complaint = _placed(trace, event, span, asked=chosen is not None)
        if complaint:
            found.problems.append(complaint)
            continue
        shifted[name] += placed is not trace
        found.named.setdefault(name, []).append(placed)
    found.problems += [_cannot_tell(twins, lost) for twins, lost in mixed.items()]
    found.remarks += [
        f"event {name}: {count} recordings were placed relative to its origin time, by their headers or starts"
        for name, count in sorted(shifted.items())
        if count
    ]
    found.remarks += [strange[key] for key in sorted(strange)]
    return found


def _named(trace: Any, events: Mapping[str, Event]) -> str | None:
    within = trace.stats.get("event")
    if within in events:
        return str(within)
    if "file" not in trace.stats:
        return None
    path = Path(trace.stats.file)
    names = [path.stem, *(folder.name for folder in list(path.absolute().parents)[:_FOLDERS])]
    return next((name for name in names if name in events), None)


def _paired(events: Mapping[str, Event]) -> list[Event]:
    """Events that another has the time of, in the order of time and name."""
    ordered = sorted(events.values(), key=lambda event: (event.time, event.id))
    close = [after.time - before.time < _SAME_TIME for before, after in pairwise(ordered)]
    return [
        event
        for event, before, after in zip(ordered, [False, *close], [*close, False], strict=False)
        if before or after
    ]


def _twins(trace: Any, paired: Sequence[Event], span: TimeSpan) -> list[str]:
    """Events at one time that the recording covers; none, if times tell them apart."""
    if not paired:
        return []
    first, last = trace.stats.starttime.timestamp, trace.stats.endtime.timestamp
    return [
        event.id for event in paired if first <= event.time + span.end and last >= event.time + span.start
    ]


def _by_place(trace: Any, events: Sequence[Event]) -> str | None:
    place = event_place(trace)
    if place is None:
        return None
    near = [event.id for event in events if _distance(place, event) < _NEAR]
    return near[0] if len(near) == 1 else None


def _distance(place: tuple[float, float], event: Event) -> float:
    aside = abs(place[1] - event.longitude) % 360
    return max(abs(place[0] - event.latitude), min(aside, 360 - aside))


def _compare_place(trace: Any, event: Event, strange: dict[str, str]) -> None:
    place = event_place(trace)
    if place is not None and _distance(place, event) > _AWAY:
        strange.setdefault(
            event.id,
            f"{trace.stats.get('file', trace.id)}: its header places the event at {place[0]:g}, {place[1]:g}, event "
            f"{event.id} is at {event.latitude:g}, {event.longitude:g}; the event's own place is used, check that "
            "the recordings are of this event",
        )


def _placed(trace: Any, event: Event, span: TimeSpan, *, asked: bool) -> tuple[Any, str]:
    """The recording at the time of its event, or why it cannot be brought there."""
    from obspy import UTCDateTime

    start, end = trace.stats.starttime, trace.stats.endtime
    if start.timestamp <= event.time + span.end and end.timestamp >= event.time + span.start:
        return trace, ""
    undated = (
        start.year < 1971 or (start.year, start.julday) == (2000, 1) or (end.year, end.julday) == (2000, 1)
    )
    force = not hasattr(event.source, "mrr")
    if not (asked or undated or force):
        return None, (
            f"{trace.stats.get('file', trace.id)}: {trace.id} starts at {start}, but event {event.id}, to which it "
            f"belongs by its name, is at {event.utc:%Y-%m-%d %H:%M:%S}; correct the times, or say --event {event.id} "
            "if they are relative"
        )
    offset = relative_start(trace)
    if offset is None:
        offset = float(start.timestamp) if start.year < 1971 else 0.0
    moved = trace.copy()
    moved.stats.starttime = UTCDateTime(ns=round((event.time + offset) * 1e9))
    return moved, ""


def _cannot_tell(twins: Sequence[str], lost: Sequence[Any]) -> str:
    files = sorted({str(trace.stats.get("file", trace.id)) for trace in lost})
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return (
        f"{files[0]}{more}: {len(lost)} recordings could belong to any of the events {', '.join(twins)}, which have "
        "one time; put those of each event into a folder of its name, or import them with --event"
    )


# ---------------------------------------------------------------------- stations and channels


def settle_ids(traces: Sequence[Any], inventory: Any) -> tuple[list[Any], list[str], list[str]]:
    """Give recordings the ids that the metadata know them by.

    A network code that the metadata do not have for a station gives way to that of the one station of the same code
    at the same place (by the SAC header), or of the name in the file name. Channel codes are put in capitals; one
    letter becomes band code, X and the letter; a missing one is taken from the file name.

    Parameters
    ----------
    traces : sequence of obspy.Trace
        Are left as they are.
    inventory : obspy.Inventory

    Returns
    -------
    list of obspy.Trace
    list of str
        One sentence for each recording without a channel or station code.
    list of str
        ``OLD is NEW`` for each id that was changed.
    """
    places: dict[str, list[tuple[str, Any]]] = {}
    for network in inventory:
        for station in network:
            places.setdefault(station.code, []).append((network.code, station))
    good: list[Any] = []
    problems: list[str] = []
    changed: set[tuple[str, str]] = set()
    for trace in traces:
        stats = trace.stats
        channel, network = _channel(trace), _network(trace, places)
        location = stats.location.strip().replace("-", "")
        if not channel or not stats.station.strip():
            what = "channel" if not channel else "station"
            problems.append(
                f"{stats.get('file', trace.id)}: its header has no {what} code ({trace.id}); write it there"
            )
            continue
        old, new = trace.id, f"{network}.{stats.station.strip()}.{location}.{channel}"
        if old != new:
            changed.add((old, new))
            trace = trace.copy()
            trace.stats.network, trace.stats.station, trace.stats.location, trace.stats.channel = new.split(
                "."
            )
        good.append(trace)
    return (
        good,
        problems,
        [f"{old} is {new}" for old, new in sorted(changed)],
    )


def _channel(trace: Any) -> str:
    code = str(trace.stats.channel).strip().upper().replace(" ", "")
    if not code and "file" in trace.stats:
        match = _CODE.search(Path(trace.stats.file).name.upper())
        code = match[1] if match else ""
    return f"{band_code(trace.stats.delta)}X{code}" if len(code) == 1 else code


def _network(trace: Any, places: Mapping[str, Sequence[tuple[str, Any]]]) -> str:
    network, station = str(trace.stats.network).strip(), str(trace.stats.station).strip()
    known = places.get(station, ())
    if any(code == network for code, _ in known):
        return network
    place = station_place(trace)
    name = Path(trace.stats.file).name if "file" in trace.stats else ""
    near = {
        code
        for code, entry in known
        if (place is not None and max(abs(entry.latitude - place[0]), abs(entry.longitude - place[1])) < 0.01)
        or (place is None and re.search(rf"\b{re.escape(code)}[._]{re.escape(station)}\b", name))
    }
    return near.pop() if len(near) == 1 else network or "XX"
