"""What people changed of the windows: read, checked against the project, counted."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from seisflow.domain import WindowEdit
from seisflow.errors import InputError
from seisflow.io.event_file import read_event
from seisflow.io.window_edits import read_edits
from seisflow.project import Project
from seisflow.steps.inputs import stations_of
from seisflow.steps.measured import finished, is_measured
from seisflow.windows import BY_HAND

__all__ = ["all_edits", "check_edits", "checked_edits", "edits_of", "effects", "next_iteration"]

COMPONENTS = {True: ("R", "T", "Z"), False: ("E", "N", "Z")}


@lru_cache(maxsize=4)
def _read(path: str, mtime: int, size: int) -> tuple[WindowEdit, ...]:
    return read_edits(path)


def all_edits(project: Project) -> tuple[WindowEdit, ...]:
    """Entries of ``windows.yaml``.

    Raises
    ------
    InputError
        If it is wrong.
    """
    path: Path = project.window_edits_path
    if not path.is_file():
        return ()
    stat = path.stat()
    return _read(str(path), stat.st_mtime_ns, stat.st_size)


def edits_of(
    project: Project, event: str, iteration: int, periods: tuple[float, float] | None = None
) -> tuple[WindowEdit, ...]:
    """Entries that hold for an event in an iteration, and in a band if its periods are given."""
    return tuple(
        edit
        for edit in all_edits(project)
        if edit.event in (None, event)
        and edit.since <= iteration
        and (periods is None or edit.periods in (None, tuple(periods)))
    )


def check_edits(project: Project) -> None:
    """Look whether events, stations, components, bands and times of ``windows.yaml`` are there.

    Raises
    ------
    InputError
        With a line for each fault.
    """
    _check(project, all_edits(project))


def _check(project: Project, edits: tuple[WindowEdit, ...]) -> None:
    if not edits:
        return
    known: dict[str, Any] = {
        "event": set(project.event_ids),
        "station": {station.id for station in stations_of(project)},
        "component": set(COMPONENTS[project.config.compared.rotate]),
    }
    bands = {band.periods for stage in project.config.stages for band in stage.compared}
    axis, faults = project.config.axis(), []
    for number, edit in enumerate(edits, 1):
        for name, names in known.items():
            value = getattr(edit, name)
            if value is not None and value not in names:
                told = f"; there are {', '.join(sorted(names))}" if len(names) <= 12 else ""
                faults.append(f"  entry {number}: there is no {name} {value}{told}")
        if not edit.why:
            faults.append(f"  entry {number}: the reason is missing (`why`)")
        if not edit.drop and edit.component is None:
            faults.append(f"  entry {number}: a window that is set needs a component")
        if edit.periods is not None and edit.periods not in bands:
            told = ", ".join(f"[{low:g}, {high:g}]" for low, high in sorted(bands))
            faults.append(f"  entry {number}: no band has the periods {list(edit.periods)}; there are {told}")
        if edit.span and not (axis.start <= edit.span[0] and edit.span[1] <= axis.end):
            faults.append(
                f"  entry {number}: {edit.span[0]:g} to {edit.span[1]:g} s leaves the seismograms, which last from "
                f"{axis.start:g} to {axis.end:g} s"
            )
    if faults:
        raise InputError("\n".join([f"{project.relative(project.window_edits_path)}:", *faults]))


def checked_edits(project: Project, more: WindowEdit | None = None) -> tuple[WindowEdit, ...]:
    """All entries, and one that is to be added, checked against the project."""
    edits = all_edits(project) + (() if more is None else (more,))
    _check(project, edits)
    return edits


def next_iteration(project: Project) -> int:
    """The first iteration that is not done; those that are stay as they are."""
    return min(len(finished(project)) + 1, project.iterations)


def _is_there(project: Project, iteration: int) -> bool:
    return any(is_measured(project, iteration, event) for event in project.event_ids)


def effects(project: Project) -> list[tuple[Any, ...]]:
    """Each entry with how many windows it set and dropped in the last iteration that was measured."""
    edits = all_edits(project)
    measured = [n for n in range(1, project.iterations + 1) if _is_there(project, n)]
    iteration = max(measured, default=0)
    kept: dict[str, int] = {}
    for event in project.event_ids if edits else ():
        path = project.event_file(iteration, 0, event)
        if iteration < 1 or not path.is_file():
            continue
        content = read_event(path, waveforms=False)
        for window in content.windows:
            kept[window.by_hand] = kept.get(window.by_hand, 0) + bool(window.by_hand)
        for row in content.rejections:
            if row.stage == BY_HAND:
                kept[row.reason] = kept.get(row.reason, 0) + 1
    rows = []
    for edit in edits:
        verb = "dropped" if edit.drop else "set"
        count = kept.get(f"{verb}: {edit.reason}", 0)
        span = "" if edit.span is None else f" {edit.span[0]:g} to {edit.span[1]:g} s"
        what = f"{'drop' if edit.drop else 'set'}{span or ' all'}"
        done = f"{count} windows in iteration {iteration}" if iteration >= edit.since else "not yet"
        place = edit.event or "all", edit.station, edit.component or "all"
        rows.append((*place, what, edit.since, done, edit.reason))
    return rows
