"""Recordings of a survey on a GPU: what was recorded goes there once, and is filtered there for each band."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from seisflow.detection.device_features import DeviceContinuous
from seisflow.native.cuda_signal import Band, RawPiece, RawStation, RawUploads, band_passed, room_for
from seisflow.native.device import Device, DeviceMemoryError
from seisflow.signal.continuous import StationPieces, axis_samples, parts_of, station_pieces
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.steps.detect.survey import Survey, reading_lock

__all__ = ["device_recordings"]

_HELD = 1 << 30
"""Bytes that a group of stations takes on the device at most: recordings are read station by station."""


def device_recordings(
    survey: Survey, start: float, end: float, configs: list[ContinuousConfig], device: Device
) -> tuple[list[DeviceContinuous], list[str]]:
    """As ``Survey.recordings``, on a GPU.

    Raises
    ------
    DeviceMemoryError
        If the recordings of a single station do not fit beside the result.
    """
    configs = survey.long_enough(configs, end - start)
    margin = max(config.margin for config in configs)
    problems: list[str] = []
    if survey.by_parts(configs, end - start):
        parts: Iterable[Any] = survey.by_station(start - margin, end + margin)
    else:
        with reading_lock:
            stream, problems = survey.archive.read(start - margin, end + margin)
        parts = parts_of(stream)
    uploads, found = RawUploads(device), []
    for config in configs:
        faults: list[str] = []
        pieces = station_pieces(parts, survey.stations, config, (start, end), survey.inventory, faults)
        found.append(_treated(survey, (start, end), config, uploads, pieces))
        problems += faults
    return found, list(dict.fromkeys(problems))


def _treated(
    survey: Survey, span: tuple[float, float], config: ContinuousConfig, uploads: RawUploads,
    pieces: Iterator[StationPieces],
) -> DeviceContinuous:  # fmt: skip
    """All stations in one band; some at a time, as many as the memory holds."""
    device, samples = uploads.device, axis_samples(*span, config)
    shape = (len(survey.stations), len(config.components), samples)
    with device.lock:
        data, live = device.zeros(shape, np.float32), device.zeros(shape, np.uint8)
    band = Band(config.sections, config.ramp, config.zero_phase)
    group: list[RawStation] = []
    size = 0

    def run() -> None:
        with device.lock:
            _in_halves(uploads, group, band, data, live)

    for each in pieces:
        station = _raw(each)
        needed = room_for(station, samples)
        if group and size + needed > min(_HELD, 0.5 * device.free_bytes()):
            run()
            group, size = [], 0
        group.append(station)
        size += needed
    if group:
        run()
    begin = round(span[0] * 1e9) * 1e-9
    return DeviceContinuous(device, survey.stations, config.components, data, live, begin, config.interval)


def _in_halves(uploads: RawUploads, group: list[RawStation], band: Band, data: Any, live: Any) -> None:
    """Filter a group; if the memory is gone meanwhile, half of it at a time."""
    try:
        band_passed(uploads, group, band, data, live)
    except DeviceMemoryError:
        if len(group) == 1:
            raise
        middle = len(group) // 2
        _in_halves(uploads, group[:middle], band, data, live)
        _in_halves(uploads, group[middle:], band, data, live)


def _raw(station: StationPieces) -> RawStation:
    channels = [
        [RawPiece(np.asarray(each.stretch.samples), each.plan, each.kept) for each in channel]
        for channel in station.channels
    ]
    return RawStation(station.number, channels, station.turn)
