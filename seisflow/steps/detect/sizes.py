"""Magnitudes of located detections, from amplitudes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from seisflow.detection.magnitude import local_magnitude
from seisflow.detection.travel_times import station_positions
from seisflow.domain import Detection, FloatArray, TimeSpan
from seisflow.signal.amplitude import AmplitudeConfig, AmplitudeWindow, cut_out, measure_amplitudes
from seisflow.steps.detect.survey import Survey, reading_lock, spans_of

__all__ = ["amplitude_reach", "sized"]


def sized(
    survey: Survey, detections: Sequence[Detection], progress: Callable[[float], None]
) -> list[Detection]:
    """Detections with local magnitudes, where amplitudes can be measured at enough stations."""
    config = survey.config.amplitudes
    if config is None or not detections:
        return list(detections)
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
