"""One day of recordings: features, beam, peaks, places."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.config import digest
from seisflow.detection.backprojection import Backprojector, row_weights, shift_stations
from seisflow.detection.features import make_features, mixed
from seisflow.detection.location import Location, locate
from seisflow.detection.magnitude import LocalMagnitudeConfig, RelativeMagnitudeConfig
from seisflow.detection.onset_delay import with_delays
from seisflow.detection.threshold import NullPeaks, false_alarms, peaks, threshold
from seisflow.detection_config import NeighbourConfig
from seisflow.domain import Beam, Catalog, Detection, Features, FloatArray
from seisflow.errors import PhysicsError
from seisflow.io.archive import Day
from seisflow.io.beam_files import StoredBeam, write_beam
from seisflow.io.catalog_files import save_catalog
from seisflow.io.catalog_table import detection_names
from seisflow.records import Task
from seisflow.signal.pickers import PickAxis
from seisflow.steps.detect.days import day_name
from seisflow.steps.detect.faults import told_once
from seisflow.steps.detect.survey import Survey, parts_of
from seisflow.steps.device import device_of

__all__ = ["beam_path", "beam_task", "features_of", "found_path", "named", "run_day"]

Progress = Callable[[float], None]
_SLICE = 3600.0
"""s of origin times that are backprojected at a time."""


def beam_path(survey: Survey, day: Day) -> Path:
    """The beam of a day."""
    return survey.project.day_folder(day_name(day)) / "beam.h5"


def found_path(survey: Survey, day: Day) -> Path:
    """What backprojection found on a day, without magnitudes."""
    return survey.project.day_folder(day_name(day)) / "found.h5"


def beam_task(survey: Survey, day: Day) -> Task:
    """What decides the beam of a day and what is found in it."""
    survey = survey.of(day)
    config = survey.config
    settings = {
        "start": day.start,
        "end": survey.end_of(day),
        "region": asdict_of(survey.project.config.region),
        "stations": [each.id for each in survey.stations],
        "detection": digest(replace(config, **_LATER)),
    }
    files = survey.files(*_read_span(survey, day))
    return Task(f"detection/{day_name(day)}/beam", {**survey.inputs(), **files}, settings, survey.code)


_LATER: dict[str, Any] = {
    "matching": None,
    "amplitudes": None,
    "magnitude": LocalMagnitudeConfig(),
    "relocation": None,
    "neighbours": NeighbourConfig(),
    "relative_magnitude": RelativeMagnitudeConfig(),
}
"""What only later steps use."""


def asdict_of(section: Any) -> dict[str, Any]:
    """A section of the configuration as plain values."""
    found: dict[str, Any] = (
        section.model_dump(mode="json") if hasattr(section, "model_dump") else asdict(section)
    )
    return found


def _span(survey: Survey, day: Day) -> tuple[float, float]:
    """From where to where features are needed, on whole samples since 1970."""
    step, config = survey.config.interval, survey.config
    around = 2 * config.separation + config.location.window
    start = np.floor((day.start - around) / step) * step
    end = np.ceil((survey.end_of(day) + around + survey.longest) / step) * step
    return float(start), float(end)


def _read_span(survey: Survey, day: Day) -> tuple[float, float]:
    """From where to where recordings are read, filters and amplitudes included."""
    config, (start, end) = survey.config, _span(survey, day)
    around = max(survey.recordings_margin(phase) + config.phases[phase].padding for phase in config.phases)
    around += config.interval
    return start - around, end + around


@contextmanager
def day_features(survey: Survey, day: Day, progress: Progress) -> Iterator[tuple[Features, list[str]]]:
    """Features of a day, in a file beside the results that goes with the block; and what could not be used."""
    config, (start, end) = survey.config, _span(survey, day)
    count = round((end - start) / config.interval)
    shape = (len(survey.stations), len(survey.phases), count)
    folder = survey.project.day_folder(day_name(day))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(int(np.prod(shape)) * 5)
        values: FloatArray = np.memmap(file, np.float32, "r+", 0, shape)
        live: npt.NDArray[np.bool_] = np.memmap(file, np.bool_, "r+", 4 * int(np.prod(shape)), shape)
        problems: list[list[str]] = []
        offset, ceilings, delays = start, None, None
        parts = parts_of(count, config.chunk / config.interval)
        margin = max(survey.recordings_margin(phase) for phase in survey.phases)
        for first, last in parts:
            begin, stop = (start + edge * config.interval for edge in (first, last))
            if not survey.archive.spans(begin - margin, stop + margin):
                problems.append([])
                continue
            piece, before, faults = features_of(survey, start + first * config.interval, last - first)
            values[..., first:last] = piece.values[..., before : before + last - first]
            live[..., first:last] = piece.live[..., before : before + last - first]
            offset = piece.start + (before - first) * config.interval
            ceilings, delays = piece.ceilings, piece.delays
            problems.append(faults)
            progress(last / count)
        names = tuple(each.id for each in survey.stations)
        features = Features(
            names, survey.phases, values, live, offset, config.interval, ceilings=ceilings, delays=delays
        )
        yield features, told_once(problems)


def features_of(survey: Survey, start: float, samples: int) -> tuple[Features, int, list[str]]:
    """Features of a chunk with what is needed around it; and the number of samples before it."""
    config = survey.config
    around = max(phase.padding for phase in config.phases.values())
    before = int(np.ceil(around / config.interval))
    begin = start - before * config.interval
    end = begin + (samples + 2 * before) * config.interval
    found, problems = survey.recordings(begin, end, [config.recordings(phase) for phase in config.phases])
    features = make_features(dict(zip(config.phases, found, strict=True)), config.phases, config.interval)
    features = with_delays(features, config.phases)
    if config.picker is not None:
        axis = PickAxis(
            features.stations, features.phases, features.start, features.interval, features.samples
        )
        features = mixed(features, survey.probabilities(axis), config.picker.weight)
    return features, before, problems


@dataclass(frozen=True, eq=False)
class _Searched:
    """Beams of a day, true and null."""

    beam: Beam
    null: NullPeaks | None


def run_day(survey: Survey, day: Day, threads: int, progress: Progress) -> dict[str, Any]:
    """Backproject a day, find its peaks and locate them.

    Returns
    -------
    dict
        ``detections``; ``live``, share of the time with a beam; ``null``, peaks of the shifted stations;
        ``problems``, what could not be used.
    """
    survey = survey.of(day)
    project = survey.project
    task = beam_task(survey, day)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    with day_features(survey, day, lambda part: progress(0.3 * part)) as (features, problems):
        searched = _search(survey, features, threads, lambda part: progress(0.3 + 0.5 * part))
        beam = searched.beam
        alive = beam.node >= 0
        if alive.any() and not np.ptp(beam.maximum[alive]) > 0:
            raise PhysicsError(
                f"{day_name(day)}: the beam is the same at all times; no feature tells anything"
            )
        limits = np.full(beam.samples, np.inf, dtype=np.float32)
        if survey.config.threshold.kind == "rate" and searched.null is None:
            problems.append("too little was recorded for a threshold by rate; nothing was detected")
        elif alive.any():
            limits = threshold(beam.maximum, alive, beam.interval, survey.config.threshold, searched.null)
        found = _located(survey, day, features, searched, limits, lambda part: progress(0.8 + 0.2 * part))
    null = searched.null
    heights, duration = (np.zeros(0), 0.0) if null is None else (null.heights, null.duration)
    write_beam(beam_path(survey, day), StoredBeam(beam, limits, heights, duration))
    live_days = float(alive.mean()) * (survey.end_of(day) - day.start) / 86400
    catalog = Catalog(survey.projection, found, day.start, survey.end_of(day), live_days)
    save_catalog(found_path(survey, day), catalog)
    results = {
        "detections": len(found),
        "live": round(float(alive.mean()), 4),
        "null": 0 if searched.null is None else int(searched.null.heights.size),
        "problems": [*survey.whole_problems(day), *problems],
    }
    project.record(task, [beam_path(survey, day), found_path(survey, day)], results, begun)
    return results


def _search(survey: Survey, features: Features, threads: int, progress: Progress) -> _Searched:
    """The beam, slice by slice, and the peaks of beams of shifted stations."""
    config, reach = survey.config, int(survey.delays.samples.max())
    run = Backprojector(survey.delays, config.backprojection, threads, device_of(survey.project))
    count = features.samples - reach
    maximum = np.zeros(count, dtype=np.float32)
    node, live = np.full(count, -1, dtype=np.int32), np.zeros(count, dtype=np.float32)
    heights, duration = [], 0.0
    for first, last in parts_of(count, _SLICE / features.interval):
        piece = _slice(features, first, last + reach)
        if not piece.live.any():
            continue
        beam = run(piece)
        for whole, part in ((maximum, beam.maximum), (node, beam.node), (live, beam.live)):
            whole[first:last] = part[: last - first]
        for number in range(config.nulls):
            found, seconds = _null_peaks(survey, piece, number, run)
            heights.append(found)
            duration += seconds
        progress(last / count)
    maximum[node < 0] = 0
    found = np.concatenate(heights) if heights else np.zeros(0)
    null_peaks = NullPeaks(found, duration) if found.size >= 2 else None
    return _Searched(Beam(features.start, features.interval, maximum, node, live), null_peaks)


def _null_peaks(survey: Survey, piece: Features, number: int, run: Backprojector) -> tuple[FloatArray, float]:
    """Peaks of the beam of shifted stations, and how many s of it were live."""
    config = survey.config
    recorded = np.flatnonzero(piece.live.any(axis=(0, 1)))
    if not recorded.size:
        return np.zeros(0), 0.0
    # where nothing is recorded, a shift would only tear the stations apart
    piece = _slice(piece, int(recorded[0]), int(recorded[-1]) + 1)
    if piece.samples < 2 * len(piece.stations):
        return np.zeros(0), 0.0
    # apart by more than any two arrivals of an event, as far as the data are long enough for that
    apart = min(survey.longest, 0.5 * piece.samples * piece.interval / len(piece.stations))
    shifted = shift_stations(piece, _seed(piece.start, number), apart)
    null = run(shifted)
    alive = null.node >= 0
    if not alive.any():
        return np.zeros(0), 0.0
    series = np.where(alive, null.maximum, 0)
    limit = np.where(alive, float(np.median(series[alive])), np.inf)
    places = peaks(series, limit, max(1, round(config.separation / null.interval)))
    return series[places], float(alive.sum()) * null.interval


def _slice(features: Features, first: int, last: int) -> Features:
    values = np.ascontiguousarray(features.values[..., first:last])
    live = np.ascontiguousarray(features.live[..., first:last])
    start = features.start + first * features.interval
    return replace(features, values=values, live=live, start=start)


def _seed(start: float, number: int) -> int:
    return abs(int(start)) * 100 + number


def _located(
    survey: Survey,
    day: Day,
    features: Features,
    searched: _Searched,
    limits: FloatArray,
    progress: Progress,
) -> tuple[Detection, ...]:
    """Peaks of the beam as located detections that the day owns."""
    config, beam = survey.config, searched.beam
    series = np.where(beam.node >= 0, beam.maximum, 0)
    places = peaks(
        series, np.where(beam.node >= 0, limits, np.inf), max(1, round(config.separation / beam.interval))
    )
    rates = (
        false_alarms(series[places], searched.null)
        if searched.null is not None
        else np.full(places.size, np.nan)
    )
    weights = row_weights(features, survey.delays, config.backprojection, beam.node[places].astype(np.int64))
    found: list[Detection] = []
    for number, (place, rate) in enumerate(zip(places, rates, strict=True)):
        time = beam.start + place * beam.interval
        node = int(beam.node[place])
        location = locate(
            features, survey.travel_times, survey.grid, (time, node), config.location, weights[number]
        )
        if day.start <= location.time < survey.end_of(day):
            found.append(_detection(location, float(series[place]), float(limits[place]), float(rate)))
        progress((number + 1) / places.size)
    return named(found)


def _around(features: Features, time: float, survey: Survey) -> tuple[int, int]:
    """First and last sample that the location of an event needs."""
    slack = survey.config.location.window + survey.config.separation + 0.5 * survey.longest
    first = int((time - slack - features.start) / features.interval)
    last = int((time + survey.longest + slack - features.start) / features.interval)
    return max(0, first), min(features.samples, last)


def _detection(location: Location, value: float, limit: float, rate: float) -> Detection:
    remark = f"beam {value:.3g} above its threshold {limit:.3g}"
    if np.isfinite(rate):
        remark += f"; {rate:.2g} false alarms a day are expected with as much"
    if location.edge:
        remark += "; at the edge of what was searched"
    if location.covariance is None:
        remark += f"; {len(location.arrivals)} onsets are too few for an error"
    return Detection(
        id="",
        time=location.time,
        x=location.x,
        y=location.y,
        z=location.z,
        method="beam",
        value=value,
        threshold=limit,
        false_alarm_rate=rate,
        covariance=location.covariance,
        arrivals=location.arrivals,
        remark=remark,
    )


def named(detections: list[Detection]) -> tuple[Detection, ...]:
    """Detections in the order of their times, with ids made of them."""
    ordered = sorted(detections, key=lambda one: (one.time, one.place))
    names = detection_names([each.time for each in ordered])
    return tuple(replace(each, id=name) for each, name in zip(ordered, names, strict=True))
