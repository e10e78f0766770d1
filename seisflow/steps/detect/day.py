"""One day of recordings: features, beam, peaks, places."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from seisflow.config import digest
from seisflow.detection.backprojection import Backprojector, row_weights, shift_stations
from seisflow.detection.device_features import DeviceFeatures, make_device_features
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
from seisflow.native.device import Device, DeviceMemoryError
from seisflow.records import Task
from seisflow.signal.pickers import PickAxis
from seisflow.steps.detect.days import day_name
from seisflow.steps.detect.device_recordings import device_recordings
from seisflow.steps.detect.faults import told_once
from seisflow.steps.detect.survey import Survey, parts_of
from seisflow.steps.device import device_of

__all__ = ["beam_path", "beam_task", "features_of", "found_path", "named", "run_day"]

Progress = Callable[[float], None]
_SLICE = 3600.0
"""s of origin times that are backprojected at a time."""
_SHARE = 0.3
"""Of the free memory of a device, that the features of a day may take."""


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
        "travel": survey.travel,
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
def day_features(
    survey: Survey, day: Day, progress: Progress, device: Device | None = None
) -> Iterator[tuple[Features | DeviceFeatures, list[str]]]:
    """Features of a day, and what could not be used.

    They lie on the device if there is one that holds them; else in a file beside the results that goes with the block.
    """
    config, (start, end) = survey.config, _span(survey, day)
    count = round((end - start) / config.interval)
    shape = (len(survey.stations), len(survey.phases), count)
    folder = survey.project.day_folder(day_name(day))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        room = _room_there(shape, device) if device is not None and config.picker is None else None
        values, live = _room_here(shape, file) if room is None else room
        problems: list[list[str]] = []
        offset, ceilings, delays = start, None, None
        parts = parts_of(count, config.chunk / config.interval)
        margin = max(survey.recordings_margin(phase) for phase in survey.phases)
        for first, last in parts:
            begin, stop = (start + edge * config.interval for edge in (first, last))
            if not survey.archive.spans(begin - margin, stop + margin):
                problems.append([])
                continue
            piece, before, faults = _chunk(survey, (begin, last - first), device, there=room is not None)
            values[..., first:last] = piece.values[..., before : before + last - first]
            live[..., first:last] = piece.live[..., before : before + last - first]
            offset = piece.start + (before - first) * config.interval
            ceilings, delays = piece.ceilings, piece.delays
            problems.append(faults)
            progress(last / count)
        names = tuple(each.id for each in survey.stations)
        axis = (names, survey.phases, values, live, offset, config.interval, ceilings, delays)
        features = Features(*axis) if room is None or device is None else DeviceFeatures(device, *axis)
        yield features, told_once(problems)


def _chunk(
    survey: Survey, span: tuple[float, int], device: Device | None, *, there: bool
) -> tuple[Features | DeviceFeatures, int, list[str]]:
    """Features of a chunk, on the device or made there and brought back."""
    if device is None:
        return features_of(survey, *span)
    made, before, problems = _features_there(survey, *span, device)
    if there:
        return made, before, problems
    with device.lock:
        features = made.on_host()
    return _with_picks(survey, features), before, problems


def _room_here(shape: tuple[int, int, int], file: IO[bytes]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Zeros in a file."""
    size = int(np.prod(shape))
    file.truncate(size * 5)
    values: FloatArray = np.memmap(file, np.float32, "r+", 0, shape)
    return values, np.memmap(file, np.bool_, "r+", 4 * size, shape)


def _room_there(shape: tuple[int, int, int], device: Device) -> tuple[Any, Any] | None:
    """Zeros on the device; None if they would take too much of its memory."""
    with device.lock:
        if int(np.prod(shape)) * 5 > _SHARE * device.free_bytes():
            return None
        try:
            return device.zeros(shape, np.float32), device.zeros(shape, np.uint8)
        except DeviceMemoryError:
            return None


def features_of(survey: Survey, start: float, samples: int) -> tuple[Features, int, list[str]]:
    """Features of a chunk with what is needed around it; and the number of samples before it."""
    config, (before, begin, end) = survey.config, _around_chunk(survey, start, samples)
    found, problems = survey.recordings(begin, end, [config.recordings(phase) for phase in config.phases])
    made = make_features(dict(zip(config.phases, found, strict=True)), config.phases, config.interval)
    return _with_picks(survey, with_delays(made, config.phases)), before, problems


def _features_there(
    survey: Survey, start: float, samples: int, device: Device
) -> tuple[DeviceFeatures, int, list[str]]:
    """As ``features_of`` on a device, without a picker."""
    config, (before, begin, end) = survey.config, _around_chunk(survey, start, samples)
    bands = [config.recordings(phase) for phase in config.phases]
    found, problems = device_recordings(survey, begin, end, bands, device)
    with device.lock:
        made = make_device_features(
            dict(zip(config.phases, found, strict=True)), config.phases, config.interval
        )
    return with_delays(made, config.phases), before, problems


def _around_chunk(survey: Survey, start: float, samples: int) -> tuple[int, float, float]:
    """Samples before a chunk that its features need; from when to when recordings are."""
    config = survey.config
    around = max(phase.padding for phase in config.phases.values())
    before = int(np.ceil(around / config.interval))
    begin = start - before * config.interval
    return before, begin, begin + (samples + 2 * before) * config.interval


def _with_picks(survey: Survey, features: Features) -> Features:
    """Mixed with what the picker says, if there is one."""
    if survey.config.picker is None:
        return features
    axis = PickAxis(features.stations, features.phases, features.start, features.interval, features.samples)
    return mixed(features, survey.probabilities(axis), survey.config.picker.weight)


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
    begun, device = project.begin(task), device_of(project)
    with day_features(survey, day, lambda part: progress(0.3 * part), device) as (features, problems):
        run = Backprojector(survey.delays, survey.config.backprojection, threads, device)
        searched = _search(survey, features, run, lambda part: progress(0.3 + 0.5 * part))
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


def _search(
    survey: Survey, features: Features | DeviceFeatures, run: Backprojector, progress: Progress
) -> _Searched:
    """The beam, slice by slice, and the peaks of beams of shifted stations."""
    config, reach = survey.config, int(survey.delays.samples.max())
    count = features.samples - reach
    maximum = np.zeros(count, dtype=np.float32)
    node, live = np.full(count, -1, dtype=np.int32), np.zeros(count, dtype=np.float32)
    heights, duration = [], 0.0
    for first, last in parts_of(count, _SLICE / features.interval):
        piece = features.part(first, last + reach)
        if not piece.recorded().any():
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


def _null_peaks(
    survey: Survey, piece: Features | DeviceFeatures, number: int, run: Backprojector
) -> tuple[FloatArray, float]:
    """Peaks of the beam of shifted stations, and how many s of it were live."""
    config = survey.config
    recorded = np.flatnonzero(piece.recorded())
    if not recorded.size:
        return np.zeros(0), 0.0
    # where nothing is recorded, a shift would only tear the stations apart
    piece = piece.part(int(recorded[0]), int(recorded[-1]) + 1)
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


def _seed(start: float, number: int) -> int:
    return abs(int(start)) * 100 + number


def _located(
    survey: Survey,
    day: Day,
    features: Features | DeviceFeatures,
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
        near = _near(features, time, survey)
        location = locate(
            near, survey.travel_times, survey.grid, (time, node), config.location, weights[number]
        )
        if day.start <= location.time < survey.end_of(day):
            found.append(_detection(location, float(series[place]), float(limits[place]), float(rate)))
        progress((number + 1) / places.size)
    return named(found)


def _near(features: Features | DeviceFeatures, time: float, survey: Survey) -> Features:
    """Features on the host; of those on a device, what the location of an event may need."""
    if isinstance(features, Features):
        return features
    with features.device.lock:
        return features.on_host(*_around(features, time, survey))


def _around(features: DeviceFeatures, time: float, survey: Survey) -> tuple[int, int]:
    """First and last sample that the location of an event may need."""
    slack = 2 * survey.config.location.window + survey.config.separation + survey.longest
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
