"""Recordings as they are compared, or searched, written for other programs; by one process or by ranks.

The file of an event holds what the inversion compares with synthetics in the bands of a stage, that of a day what the
features of detection are made of. Each rank reads and treats stations of its own, and all write one ASDF file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter

from seisflow.config import digest
from seisflow.detection_config import DetectionConfig
from seisflow.domain import Continuous, Event, Gather
from seisflow.errors import InputError, PhysicsError
from seisflow.io.archive import Archive
from seisflow.io.asdf import channel_code, trace_name
from seisflow.io.asdf_reading import read_observed
from seisflow.io.contents import recorded_ids
from seisflow.io.events import event_uri
from seisflow.io.parallel_asdf import Part, write_asdf
from seisflow.io.provenance import Provenance, waveform_id
from seisflow.io.responses import project_inventory
from seisflow.io.stations import stationxml
from seisflow.project import Project
from seisflow.ranks import Ranks
from seisflow.records import DETECTION_CODE, Input, Task, code_version
from seisflow.signal import prepare_observed
from seisflow.signal.continuous import prepare
from seisflow.signal.corrections import corrected
from seisflow.signal.observed import RESERVE
from seisflow.steps.bands import OBSERVED, tag_of
from seisflow.steps.detect.survey import detection_of
from seisflow.steps.inputs import corrections_of, event_of, stations_of
from seisflow.steps.weighing import of_one_place

__all__ = ["preprocess_day", "preprocess_event"]

_T = TypeVar("_T")
_DAY = 86400.0
_Traces = dict[str, tuple[Any, dict[str, object]]]


def preprocess_event(
    project: Project, event: str, stage: int = 0, ranks: Ranks | None = None
) -> dict[str, Any]:
    """Write the recordings of an event as the inversion compares them, ``processed/stage1/<event>.h5``.

    Parameters
    ----------
    project : Project
    event : str
    stage : int
        From 0; its bands have a tag each, ``observed_processed``, ``observed_processed_2``, ...
    ranks : Ranks, optional
        Those that do it together; all call this.

    Returns
    -------
    dict
        ``file``; ``traces``, how many; ``stations``; ``left_out``, a sentence for each station without any.
    """
    path = project.root / "processed" / f"stage{stage + 1}" / f"{event}.h5"
    source = _all(ranks, lambda: event_of(project, event))[0]
    task = _all(ranks, lambda: _event_task(project, event, stage))[0]

    def work(provenance: Provenance) -> dict[str, Any]:
        gathers: list[Gather] = []
        told = _all(ranks, lambda: _prepared(project, source, stage, ranks, gathers))
        counts = {name: count for found, _ in told for name, count in found.items()}
        left_out = {name: reason for _, reasons in told for name, reason in reasons.items()}
        alive = [station for station in stations_of(project) if counts.get(station.id)]
        doubles, listed = of_one_place(alive, counts, project.config.compared.duplicates)
        left_out |= {each.station: each.reason for each in listed}
        if not set(counts) - doubles:
            raise PhysicsError(f"event {event}: none of its recordings can be used: {_some(left_out)}")
        part = _part_of_gathers(gathers, source, doubles, provenance)
        write_asdf(path, source, part, ranks, provenance=provenance)
        return {"left_out": [f"{name}: {reason}" for name, reason in sorted(left_out.items())]} | _size(
            part, ranks
        )

    return _run(project, path, task, ranks, work)


def preprocess_day(project: Project, day: str, ranks: Ranks | None = None) -> dict[str, Any]:
    """Write a day of continuous recordings as the features of detection see it, ``processed/<day>.h5``.

    Parameters
    ----------
    project : Project
    day : str
        ``YYYY-MM-DD``.
    ranks : Ranks, optional
        Those that do it together; all call this.

    Returns
    -------
    dict
        ``file``; ``traces``, stretches of a channel without gaps, with a tag for each phase (``continuous_p``);
        ``stations``; ``left_out``, what could not be used.
    """
    config = _all(ranks, lambda: detection_of(project))[0]
    start = _all(ranks, lambda: _start(day))[0]
    archive = _archive(project, config, ranks)
    task = _all(ranks, lambda: _day_task(project, config, archive, day))[0]
    path = project.root / "processed" / f"{day}.h5"

    def work(provenance: Provenance) -> dict[str, Any]:
        parts: list[Part] = []
        told = _all(ranks, lambda: _filtered(project, archive, start, ranks, (provenance, parts)))
        if not any(count for count, _ in told):
            faults = {text: "" for _, found in told for text in found}
            raise InputError(
                f"{day}: nothing was recorded that can be used{': ' if faults else ''}{_some(faults)}"
            )
        write_asdf(path, None, parts[0], ranks, provenance=provenance)
        return {"left_out": [text for _, faults in told for text in faults]} | _size(parts[0], ranks)

    return _run(project, path, task, ranks, work)


# ---------------------------------------------------------------------- together


def _all(ranks: Ranks | None, work: Callable[[], _T]) -> list[_T]:
    """What ``work`` gives on each rank."""
    return [work()] if ranks is None else ranks.together(work)


def _mine(items: Sequence[_T], ranks: Ranks | None) -> list[_T]:
    """Every n-th."""
    return list(items) if ranks is None else list(items[ranks.rank :: ranks.size])


def _run(
    project: Project,
    path: Path,
    task: Task,
    ranks: Ranks | None,
    work: Callable[[Provenance], dict[str, Any]],
) -> dict[str, Any]:
    """Do the work unless its record holds; the first rank keeps the record."""
    leads = ranks is None or ranks.leads
    done = _all(ranks, lambda: project.done(task) if leads else None)[0]
    if done is not None:
        return done
    begun = _all(ranks, lambda: project.begin(task) if leads else None)[0]
    parents = tuple((name, hashed or "") for name, hashed in (begun.inputs if begun else {}).items())
    provenance = Provenance("preprocess", digest(task.settings), "", parents, version=task.code)
    results = {"file": project.relative(path)} | work(provenance)
    _all(ranks, lambda: project.record(task, [path], results, begun) if leads and begun else None)
    return results


def _size(part: Part, ranks: Ranks | None) -> dict[str, int]:
    told = _all(ranks, lambda: (len(part.traces), len(part.stations)))
    return {"traces": sum(count for count, _ in told), "stations": sum(count for _, count in told)}


def _some(reasons: dict[str, str]) -> str:
    lines = [f"{name}{': ' if reason else ''}{reason}" for name, reason in sorted(reasons.items())]
    return "; ".join(lines[:3]) + (f" and {len(lines) - 3} more" if len(lines) > 3 else "")


# ---------------------------------------------------------------------- an event


def _event_task(project: Project, event: str, stage: int) -> Task:
    config = project.config
    inputs: dict[str, Input] = {"event": project.event_path(event), "observed": project.observed_path(event)}
    inputs["stations"] = project.station_files()
    settings = {
        "axis": config.axis(),
        "signals": [config.signal(stage, band.number) for band in config.stages[stage].compared],
        "duplicates": config.compared.duplicates,
        "corrections": corrections_of(project, event),
    }
    plain = TypeAdapter(Any).dump_python(settings, mode="json")
    return Task(f"processed/stage{stage + 1}/{event}", inputs, plain)


def _prepared(
    project: Project, event: Event, stage: int, ranks: Ranks | None, gathers: list[Gather]
) -> tuple[dict[str, int], dict[str, str]]:
    """Treat the stations of this rank in each band; how many traces each has, and why others have none."""
    config, path = project.config, project.observed_path(event.id)
    corrections = corrections_of(project, event.id)
    recorded = sorted({".".join(name.split(".")[:2]) for name in recorded_ids(path)})
    known = {station.id: station for station in stations_of(project)}
    mine = _mine(recorded, ranks)
    reasons = {name: "is not described in stations/" for name in mine if name not in known}
    reasons |= {
        name: "dropped by data.corrections"
        for name, what in corrections.items()
        if what.drop and name in mine
    }
    stations = tuple(known[name] for name in mine if name not in reasons)
    if not stations:
        return {}, reasons
    stream, inventory = read_observed(path, stations={station.id for station in stations})
    stream = corrected(stream, corrections)
    counts = dict.fromkeys([station.id for station in stations], 0)
    for band in config.stages[stage].compared:
        signal = config.signal(stage, band.number)
        gather, rejections = prepare_observed(stream, inventory, event, stations, config.axis(), signal)
        gathers.append(gather)
        for station, live in zip(stations, np.asarray(gather.live), strict=True):
            counts[station.id] += int(live.sum())
        reasons |= {each.station: each.reason for each in rejections if each.stage != RESERVE}
    used = {name: count for name, count in counts.items() if count}
    return used, {name: reason for name, reason in reasons.items() if name not in used}


def _part_of_gathers(
    gathers: Sequence[Gather], event: Event, without: set[str], provenance: Provenance
) -> Part:
    stations: dict[str, bytes] = {}
    traces: _Traces = {}
    for number, gather in enumerate(gathers):
        start = round(event.time * 1e9) + round(gather.start * 1e9)
        head: dict[str, object] = {
            "starttime": start,
            "sampling_rate": np.float64(1 / gather.interval),
            "event_id": event_uri(event),
            "provenance_id": waveform_id(provenance),
        }
        codes = [channel_code(component, gather.interval) for component in gather.components]
        for i, j in np.argwhere(np.asarray(gather.live)):
            station = gather.stations[i]
            if station.id in without:
                continue
            stations[station.id] = stationxml([station], sorted(codes))
            name = f"{station.id}..{codes[j]}"
            name = trace_name(name, start, gather.samples, gather.interval, tag_of(OBSERVED, number))
            traces[name] = np.ascontiguousarray(gather.data[i, j]), head
    return Part(stations, traces)


# ---------------------------------------------------------------------- a day


def _start(day: str) -> float:
    """First second of a day since 1970-01-01 UTC."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
        raise InputError(f"--day {day}: is no day; write it as 2009-01-21")
    try:
        return float(np.datetime64(day, "s").astype(np.int64))
    except ValueError as error:
        raise InputError(f"--day {day}: is no day ({error})") from None


def _archive(project: Project, config: DetectionConfig, ranks: Ranks | None) -> Archive:
    """The archive; the first rank brings its index up to date."""
    folders, leads = [project.root / folder for folder in config.archive], ranks is None or ranks.leads

    def update() -> None:
        if leads:
            Archive.open(folders, project.archive_index_path)

    _all(ranks, update)
    return Archive.open(folders, project.archive_index_path, refresh=False)


def _span(config: DetectionConfig, start: float) -> tuple[float, float]:
    margin = max(config.recordings(phase).margin for phase in config.phases)
    return start - margin, start + _DAY + margin


def _day_task(project: Project, config: DetectionConfig, archive: Archive, day: str) -> Task:
    files = sorted({Path(span.file) for span in archive.spans(*_span(config, _start(day)))})
    inputs: dict[str, Input] = {f"recording {project.relative(path)}": path for path in files}
    inputs["stations"] = project.station_files()
    settings = {
        phase: TypeAdapter(Any).dump_python(config.recordings(phase), mode="json") for phase in config.phases
    }
    return Task(f"processed/{day}", inputs, settings, code_version(*DETECTION_CODE))


def _filtered(
    project: Project,
    archive: Archive,
    start: float,
    ranks: Ranks | None,
    target: tuple[Provenance, list[Part]],
) -> tuple[int, list[str]]:
    """Treat the stations of this rank, one after the other; how many traces there are, and what could not be used."""
    config, (provenance, parts) = detection_of(project), target
    first, last = _span(config, start)
    known = {station.id: station for station in stations_of(project)}
    there = sorted({f"{span.network}.{span.station}" for span in archive.spans(start, start + _DAY)})
    inventory = project_inventory(project.station_files())
    stations: dict[str, bytes] = {}
    traces: _Traces = {}
    faults = []
    for name in _mine(there, ranks):
        if name not in known:
            faults.append(f"{name}: no metadata describe it; import its StationXML")
            continue
        stream, problems = archive.read(first, last, [f"{name}.*"])
        faults += problems
        codes: set[str] = set()
        for phase in config.phases:
            treated, said = prepare(
                stream, (known[name],), config.recordings(phase), start, start + _DAY, inventory
            )
            faults += said
            found = dict(_stretches(treated, f"continuous_{phase.lower()}", waveform_id(provenance)))
            codes |= {trace.split("__")[0].rpartition(".")[2] for trace in found}
            traces |= found
        if codes:
            stations[name] = stationxml([known[name]], sorted(codes))
    parts.append(Part(stations, traces))
    return len(traces), list(dict.fromkeys(faults))


def _stretches(
    data: Continuous, tag: str, provenance: str
) -> Iterator[tuple[str, tuple[Any, dict[str, object]]]]:
    """Live stretches of the channels of a station, each a trace."""
    rate = np.float64(1 / data.interval)
    for number, component in enumerate(data.components):
        live = np.concatenate([[False], data.live[0, number], [False]])
        edges = np.flatnonzero(np.diff(live.astype(np.int8)))
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            start = round(data.start * 1e9) + round(low * data.interval * 1e9)
            name = f"{data.stations[0].id}..{channel_code(component, data.interval)}"
            samples = np.ascontiguousarray(data.data[0, number, low:high])
            head: dict[str, object] = {"starttime": start, "sampling_rate": rate, "provenance_id": provenance}
            yield trace_name(name, start, high - low, data.interval, tag), (samples, head)
