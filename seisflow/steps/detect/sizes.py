"""Magnitudes of what the beam found on a day, from amplitudes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.config import digest
from seisflow.detection.magnitude import local_magnitude
from seisflow.detection.travel_times import station_positions
from seisflow.domain import Detection, FloatArray, TimeSpan
from seisflow.io.archive import Day
from seisflow.io.catalog_files import load_catalog, save_catalog
from seisflow.records import Task
from seisflow.signal.amplitude import AmplitudeConfig, AmplitudeWindow, cut_out, measure_amplitudes
from seisflow.steps.detect.day import found_path
from seisflow.steps.detect.days import day_name
from seisflow.steps.detect.survey import Survey, reading_lock, spans_of

__all__ = ["amplitude_reach", "size_day", "size_task", "sized_path"]


def sized_path(survey: Survey, day: Day) -> Path:
    """What backprojection found on a day, with magnitudes, if amplitudes are measured."""
    if survey.config.amplitudes is None:
        return found_path(survey, day)
    return survey.project.day_folder(day_name(day)) / "sized.h5"


def size_task(survey: Survey, day: Day, config: AmplitudeConfig) -> Task:
    """What decides the magnitudes of a day."""
    survey = survey.of(day)
    around = amplitude_reach(survey, config)
    settings = {
        "stations": [each.id for each in survey.stations],
        "amplitudes": digest(config),
        "magnitude": digest(survey.config.magnitude),
        "travel": survey.travel,
        "chunk": survey.config.chunk,
    }
    files = survey.files(day.start - around, survey.end_of(day) + around)
    inputs = {**survey.inputs(), **files, "found": found_path(survey, day)}
    return Task(f"detection/{day_name(day)}/sizes", inputs, settings, survey.code)


def size_day(
    survey: Survey, config: AmplitudeConfig, day: Day, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Measure amplitudes of the events of a day.

    Returns
    -------
    dict
        ``sized``, number of events with a magnitude.
    """
    survey = survey.of(day)
    project, task = survey.project, size_task(survey, day, config)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    catalog = load_catalog(found_path(survey, day))
    found = sized(survey, config, tuple(catalog), progress)
    save_catalog(sized_path(survey, day), catalog.with_detections(tuple(found)))
    results = {"sized": sum(each.magnitude is not None for each in found)}
    project.record(task, [sized_path(survey, day)], results, begun)
    return results


def sized(
    survey: Survey,
    config: AmplitudeConfig,
    detections: Sequence[Detection],
    progress: Callable[[float], None],
) -> list[Detection]:
    """Detections with local magnitudes, where amplitudes can be measured at enough stations."""
    positions = station_positions(survey.stations, survey.projection)
    around = amplitude_reach(survey, config)
    known: dict[str, Detection] = {}
    spans = spans_of(detections, around, min(survey.config.chunk, 300.0))
    for number, (start, end, members) in enumerate(spans):
        with reading_lock:
            stream, _ = survey.archive.read(start, end)
        for each in members:
            known[each.id] = _sized(survey, each, stream, positions, config)
        progress((number + 1) / len(spans))
    return [known[each.id] for each in detections]


def amplitude_reach(survey: Survey, config: AmplitudeConfig) -> float:
    """What is read around an origin time in s."""
    return 2.5 * survey.longest + 4 / config.band[0]


def _sized(
    survey: Survey, detection: Detection, stream: Any, positions: FloatArray, config: AmplitudeConfig
) -> Detection:
    times = survey.travel_times(np.array([detection.place]))[0][..., 0]
    settle = 2 / config.band[0]
    windows = {}
    for station, row in zip(survey.stations, times, strict=True):
        first, last = detection.time + row.min(), detection.time + row.max()
        length = max(2 * (last - first), settle)
        signal = TimeSpan(first - 0.1 * length, last + 0.5 * length)
        noise = TimeSpan(first - 0.6 * length - settle, first - 0.2 * length)
        windows[station.id] = AmplitudeWindow(signal, noise)
    begin = min(window.noise.start for window in windows.values() if window.noise) - settle
    end = max(window.signal.end for window in windows.values()) + settle
    amplitudes = measure_amplitudes(cut_out(stream, begin, end), survey.inventory, windows, config)
    distances = np.linalg.norm(positions - np.array(detection.place), axis=1)
    return replace(detection, magnitude=local_magnitude(amplitudes, distances, survey.config.magnitude))
