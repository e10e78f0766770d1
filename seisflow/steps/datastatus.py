"""Which data a project has, what is used of them, and what is left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seisflow.domain import Rejection
from seisflow.errors import SeisflowError
from seisflow.io.contents import recorded_ids
from seisflow.io.event_file import read_event
from seisflow.project import Project, iteration_name
from seisflow.steps.bands import OBSERVED
from seisflow.steps.import_log import ImportLog
from seisflow.steps.station_quality import faults_of

__all__ = ["data_status", "left_out_lines", "table_rows"]

_OF_DATA = ("recording", "station", "duplicate")
"""Stages of rejections that say why a recording is not used; the others are about windows."""


def data_status(project: Project) -> dict[str, Any]:
    """Recordings by event; plain values for JSON.

    Returns
    -------
    dict
        ``name``; ``iteration``: the newest whose events have run, or None; ``events``: by id a dict of ``stations``
        and ``recordings`` (numbers in the file of the event), ``channels`` (numbers by band and instrument code),
        ``used_stations``, ``used_traces`` and ``windows`` (in that iteration; None before), ``left_out`` (list of dict
        with ``what``, ``stage``, ``reason``); ``files``: sentences on files that could not be imported, by file;
        ``general``: other sentences of the last import; ``stations``: what seems wrong with a station over several
        events (dict of ``station``, ``kind``, ``evidence``, ``correction``); ``total``: sums, and the number of
        different stations.
    """
    log = ImportLog(project)
    newest = _newest(project)
    events = {event: _event(project, log, event, newest) for event in project.event_ids}
    stations = {name for row in events.values() for name in row.pop("_stations")}
    used = {name for row in events.values() for name in row.pop("_used")}
    channels: Counter[str] = Counter()
    for row in events.values():
        channels.update(row["channels"])
    return {
        "name": project.config.name,
        "iteration": newest,
        "events": events,
        "files": log.by_file,
        "general": log.general,
        "stations": [asdict(fault) for fault in faults_of(project, newest)] if newest else [],
        "total": {
            "events": len(events),
            "stations": len(stations),
            "recordings": sum(row["recordings"] for row in events.values()),
            "channels": dict(sorted(channels.items())),
            "used_stations": len(used) if newest else None,
            "used_traces": sum(row["used_traces"] or 0 for row in events.values()) if newest else None,
            "left_out": sum(len(row["left_out"]) for row in events.values()),
            "files_left_out": len(log.by_file),
        },
    }


def _newest(project: Project) -> int | None:
    """The newest iteration that has a record of any event."""
    for iteration in range(project.iterations, 0, -1):
        names = (f"{iteration_name(iteration)}/s00/{event}" for event in project.event_ids)
        if any(project.record_of(name) for name in names):
            return iteration
    return None


def _event(project: Project, log: ImportLog, event: str, newest: int | None) -> dict[str, Any]:
    rows: list[dict[str, str]] = []
    ids: Sequence[str] = ()
    path = project.observed_path(event)
    if not path.is_file():
        rows.append(_row(event, "import", "no recordings were imported"))
    else:
        try:
            ids = recorded_ids(path)
        except SeisflowError as error:
            rows.append(_row(project.relative(path), "file", str(error)))
    kinds = [("import", "left_out")]
    if newest is None:  # later the event step itself has said what it lacks
        kinds.append(("metadata", "waiting"))
    for stage, kind in kinds:
        for identity, text in log.of(event, kind).items():
            if stage == "metadata" and "response" in text and project.config.compared.observed != "counts":
                continue
            reason = text.partition(f"event {event}: ")[2] or text
            rows.append(_row(identity, stage, reason.removesuffix("; it was left out")))
    stations = {_station(identity) for identity in ids}
    row: dict[str, Any] = {
        "stations": len(stations),
        "recordings": len(ids),
        "channels": dict(sorted(Counter(identity.split(".")[3][:-1] for identity in ids).items())),
        "used_stations": None,
        "used_traces": None,
        "windows": None,
        "left_out": rows,
        "_stations": sorted(stations),
        "_used": [],
    }
    if newest is not None:
        _add_used(row, project.event_file(newest, 0, event))
    return row


def _row(what: str, stage: str, reason: str) -> dict[str, str]:
    return {"what": what, "stage": stage, "reason": reason}


def _station(identity: str) -> str:
    return ".".join(identity.split(".")[:2])


def _add_used(row: dict[str, Any], path: Path) -> None:
    """Add what an event step used, and what it rejected before windows were looked for."""
    if not path.is_file():
        return
    try:
        content = read_event(path)
    except SeisflowError as error:
        row["left_out"].append(_row(path.name, "file", str(error)))
        return
    live = {
        (station.id, component)
        for tag, gather in content.gathers.items()
        if tag.startswith(OBSERVED)
        for s, station in enumerate(gather.stations)
        for c, component in enumerate(gather.components)
        if gather.is_live(s, c)
    }
    row["_used"] = sorted({station for station, _ in live})
    row["used_stations"], row["used_traces"], row["windows"] = (
        len(row["_used"]),
        len(live),
        len(content.windows),
    )
    row["left_out"] += _rejected(content.rejections)


def _rejected(rejections: Sequence[Rejection]) -> list[dict[str, str]]:
    """One row for each station, stage and reason, with its components."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for each in rejections:
        if each.stage in _OF_DATA:
            components = found.setdefault((each.station, each.stage, each.reason), [])
            if each.component not in components:  # a band after the other may refuse it
                components.append(each.component)
    return [
        _row(f"{station} {' '.join(components)}".removesuffix(" *"), stage, reason)
        for (station, stage, reason), components in found.items()
    ]


def table_rows(content: Mapping[str, Any]) -> list[list[str]]:
    """The table for people: names of the columns, a row an event, the total.

    Parameters
    ----------
    content : mapping
        By ``data_status``.

    Returns
    -------
    list of list of str
    """
    total = content["total"]
    windows = [row["windows"] for row in content["events"].values() if row["windows"] is not None]
    together = {**total, "left_out": range(total["left_out"]), "windows": sum(windows) if windows else None}
    rows = [["event", "stations", "used", "records", "traces", "windows", "left out", "channels"]]
    for name, row in [*content["events"].items(), ("total", together)]:
        channels = " ".join(f"{code or '?'}:{number}" for code, number in row["channels"].items())
        numbers = [row[key] for key in ("stations", "used_stations", "recordings", "used_traces", "windows")]
        cells = [name, *numbers, len(row["left_out"]), channels]
        rows.append(["-" if cell is None or cell == "" else str(cell) for cell in cells])
    return rows


def left_out_lines(content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What was left out, for people: event or file, what, and why; equal reasons of an event in one line.

    Parameters
    ----------
    content : mapping
        By ``data_status``.

    Returns
    -------
    list of (str, str, str)
    """
    lines = []
    for event, row in content["events"].items():
        reasons: dict[str, list[str]] = {}
        for each in row["left_out"]:
            reason = each["reason"]
            code = each["what"].rpartition(".")[2]
            reasons.setdefault(reason.removeprefix(f"{code} "), []).append(each["what"])
        for reason, names in reasons.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            lines.append((event, f"{names[0]}{more}", reason))
    for each in content["stations"]:
        advice = each["correction"] if each["kind"] == "units" else f"data.corrections: {each['correction']}"
        lines.append(
            ("-", f"{each['station']}, {each['kind']}", f"not left out: {each['evidence']}; {advice}")
        )
    for file, texts in content["files"].items():
        lines += [("-", file, text.removeprefix(file).lstrip(":, ")) for text in texts]
    return lines + [("-", "-", text) for text in content["general"]]
