"""``windows.yaml``: what people want of the windows, in a file that they can read."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from seisflow.domain import WindowEdit
from seisflow.errors import InputError
from seisflow.io.atomic import publish

__all__ = ["HEAD", "add_edit", "edit_text", "read_edits"]

HEAD = """# Windows changed by hand: applied in this order whenever windows are selected, and to those that are frozen.
#   station: XX.A       needed; with `component: Z` only that one, with `event: NAME` only that event
#   drop: all           or drop: [40, 62], s from the origin: windows that share half of either with it
#   set: [38, 60]       a window, in place of those that overlap it; no limit holds for it; needs `component`
#   why: text           needed; `by: who` beside it. Both are told wherever the entry had an effect
#   periods: [10, 40]   only in this band; from: 5, only from this iteration on
"""
KEYS = ("event", "station", "component", "drop", "set", "periods", "from", "why", "by")


def read_edits(path: str | os.PathLike[str]) -> tuple[WindowEdit, ...]:
    """Read the file; without it nothing was changed.

    Raises
    ------
    InputError
        With a line for each fault.
    """
    place = Path(path)
    if not place.is_file():
        return ()
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: is not YAML; correct or remove it") from None
    if content is None:
        return ()
    if not isinstance(content, list):
        raise InputError(f"{path}: must be a list of entries, each beginning with `- station: NET.STA`")
    edits, faults = [], []
    for number, entry in enumerate(content, 1):
        try:
            edits.append(_edit(entry))
        except InputError as error:
            faults.append(f"  entry {number}: {error}")
    if faults:
        raise InputError("\n".join([f"{path}:", *faults]))
    return tuple(edits)


def _edit(entry: Any) -> WindowEdit:
    if not isinstance(entry, Mapping):
        raise InputError(f"is {entry!r}; give keys such as `station`, `drop`, `why`")
    for key in entry:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, 1)
            raise InputError(
                f"unknown key {key!r}{f'; did you mean {near[0]!r}?' if near else f', known are {KEYS}'}"
            )
    station, why = entry.get("station"), entry.get("why")
    for name, value in (("station", station), ("why", why)):
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"`{name}` is missing; give {'NET.STA' if name == 'station' else 'the reason'}")
    if ("drop" in entry) == ("set" in entry):
        raise InputError("give one of `drop` and `set`")
    drop = "drop" in entry
    wanted = entry["drop"] if drop else entry["set"]
    span = None if drop and wanted == "all" else _span(wanted, "drop" if drop else "set", drop)
    component = entry.get("component")
    if not drop and component is None:
        raise InputError("`set` needs `component`")
    since = entry.get("from", 1)
    if not isinstance(since, int) or since < 1:
        raise InputError(f"from: {since!r} must be the number of an iteration")
    periods = entry.get("periods")
    event = entry.get("event")
    return WindowEdit(
        station=str(station),
        component=None if component is None else str(component),
        event=None if event is None else str(event),
        drop=drop,
        span=span,
        periods=None if periods is None else _span(periods, "periods", False),
        since=since,
        why=str(why).strip(),
        by=str(entry.get("by", "")).strip(),
    )


def _span(value: Any, name: str, all_too: bool) -> tuple[float, float]:
    numbers = isinstance(value, list) and [
        each for each in value if isinstance(each, int | float) and not isinstance(each, bool)
    ]
    if not numbers or len(numbers) != 2 or len(value) != 2 or not numbers[0] < numbers[1]:
        raise InputError(f"{name}: {value!r} must be two rising numbers in s{', or all' if all_too else ''}")
    return float(numbers[0]), float(numbers[1])


def edit_text(edit: WindowEdit) -> str:
    """An entry as the file has it."""
    span = "all" if edit.span is None else list(edit.span)
    fields: list[tuple[str, Any]] = [
        ("event", edit.event),
        ("station", edit.station),
        ("component", edit.component),
        ("drop" if edit.drop else "set", span),
        ("periods", None if edit.periods is None else list(edit.periods)),
        ("from", edit.since if edit.since > 1 else None),
        ("why", edit.why),
        ("by", edit.by or None),
    ]
    lines = [f"{key}: {_scalar(value)}" for key, value in fields if value is not None]
    return "- " + "\n  ".join(lines) + "\n"


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def add_edit(path: str | os.PathLike[str], edits: Sequence[WindowEdit] = ()) -> None:
    """Write entries behind those that are there, whose text stays as it is; made with its explanation if missing."""
    place = Path(path)
    before = place.read_text(encoding="utf-8") if place.is_file() else HEAD
    if before and not before.endswith("\n"):
        before += "\n"
    with publish(place) as temporary:
        temporary.write_text(before + "".join(edit_text(edit) for edit in edits), encoding="utf-8")
