"""Which days a project searches: those that were asked for, each as far as something was recorded.

What is asked for is kept beside the results of the day, so that a catalog is that of all days whatever their order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seisflow.errors import InputError
from seisflow.io.archive import Day, days
from seisflow.io.archive_index import Span
from seisflow.io.atomic import publish
from seisflow.project import Project

__all__ = [
    "EVERYTHING",
    "Recorded",
    "Spans",
    "asked",
    "asked_path",
    "day_name",
    "day_parts",
    "joined",
    "note_asked",
]

Spans = dict[str, tuple[float, float]]
"""From when to when, s since 1970-01-01 UTC, by the name of the day."""

EVERYTHING = (-np.inf, np.inf)
"""All that was recorded."""

_MINUTE, _DAY = 60.0, 86400.0


class Recorded:
    """What was recorded, by day: years of many stations are too much to look through for each day.

    Parameters
    ----------
    spans : sequence of Span
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = spans
        self._by_day: dict[int, list[Span]] = {}
        for each in spans:
            for day in range(int(each.start // _DAY), int(each.end // _DAY) + 1):
                self._by_day.setdefault(day, []).append(each)

    def within(self, start: float, end: float) -> list[Span]:
        """What has samples from a time of a day on, and before another one of the same day or its end."""
        there = self._by_day.get(int(start // _DAY), ())
        return [each for each in there if each.end >= start and each.start < end]


def day_name(day: Day) -> str:
    """``2009-01-21`` for a day."""
    return _name(day.start)


def _name(time: float) -> str:
    return str(np.datetime64(int(np.floor(time)), "s").astype("datetime64[D]"))


def asked_path(project: Project, name: str) -> Path:
    """What was asked for of a day."""
    return project.day_folder(name) / "asked.json"


def asked(project: Project) -> Spans:
    """What was asked for before, by day.

    Raises
    ------
    InputError
        If a file that says so is damaged.
    """
    found = {}
    for path in sorted(project.detection_folder.glob("????-??-??/asked.json")):
        try:
            content = json.loads(path.read_text())
            first, last = np.datetime64(content["from"], "us"), np.datetime64(content["to"], "us")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{project.relative(path)}: does not say from when to when the day is searched ({error}); remove "
                f"{path.parent.name} and search it again"
            ) from None
        found[path.parent.name] = (_seconds(first), _seconds(last))
    return found


def note_asked(project: Project, spans: Spans) -> None:
    """Remember what is asked for; files that say so already stay."""
    for name, (start, end) in spans.items():
        path = asked_path(project, name)
        text = json.dumps({"from": _text(start), "to": _text(end)}) + "\n"
        if not path.is_file() or path.read_text() != text:
            with publish(path) as temporary:
                temporary.write_text(text)


def _text(time: float) -> str:
    return str(np.datetime64(round(time * 1e6), "us"))


def _seconds(time: np.datetime64) -> float:
    return float(time.astype(np.int64)) / 1e6


def joined(spans: Spans, span: tuple[float, float], recorded: Recorded) -> Spans:
    """What was asked for before and a span, day by day; days of it on which nothing was recorded are left out.

    Of a day, all between the first and the last time that was ever asked for counts: so the order does not matter.
    """
    result = dict(spans)
    first = max(span[0], min((each.start for each in recorded.spans), default=0.0))
    last = min(span[1], max((each.end for each in recorded.spans), default=0.0) + 1e-3)
    if not first < last:
        return result
    for day in days(first, last, 0.0):
        midnight = np.floor(day.start / _DAY) * _DAY
        start, end = max(span[0], midnight), min(span[1], midnight + _DAY)
        if recorded.within(start, end):
            name = day_name(day)
            before = result.get(name, (start, end))
            result[name] = (min(before[0], start), max(before[1], end))
    return dict(sorted(result.items()))


def day_parts(spans: Mapping[str, tuple[float, float]], recorded: Recorded) -> tuple[Day, ...]:
    """The days that are searched: what was asked for, from the minute of the first sample to that after the last.

    Raises
    ------
    InputError
        If nothing is recorded any more on a day that was asked for.
    """
    found = []
    for name, (start, end) in sorted(spans.items()):
        inside = recorded.within(start, end)
        if not inside:
            raise InputError(
                f"detection/{name}: nothing is recorded any more on this day, which was searched; put its recordings "
                f"back, or remove detection/{name} to take the day out of the catalog"
            )
        first = np.floor(min(each.start for each in inside) / _MINUTE) * _MINUTE
        last = (np.floor(max(each.end for each in inside) / _MINUTE) + 1) * _MINUTE
        begin, stop = max(start, float(first)), min(end, float(last))
        found.append(Day(begin, begin, stop))
    return tuple(found)
