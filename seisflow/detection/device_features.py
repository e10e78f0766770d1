"""Recordings and features that lie on a GPU: they are made there, and a beam or a matched filter takes them there.

The functions are those of ``seisflow.detection.features`` and ``seisflow.domain.Features`` with the same meaning; an
array of the device takes the place of one of the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.detection.features import FeatureConfig, ahead_weights, feature_factor, windows_of
from seisflow.domain import Continuous, Features, OnsetDelay, Station
from seisflow.native.cuda_features import FeatureShape, cuda_feature
from seisflow.native.device import Device, DeviceMemoryError

__all__ = ["DeviceContinuous", "DeviceFeatures", "make_device_features"]


def _piece(device: Device, array: Any, first: int, last: int) -> Any:
    """A copy of some samples, one row after the other in memory."""
    result = device.empty((*array.shape[:-1], last - first), array.dtype)
    result[...] = array[..., first:last]
    return result


def _rolled(device: Device, array: Any, shifts: npt.NDArray[np.int64]) -> Any:
    """Stations shifted in a circle."""
    result = device.empty(array.shape, array.dtype)
    for station, shift in enumerate(shifts.tolist()):
        late = shift % array.shape[-1]
        result[station, ..., late:] = array[station, ..., : array.shape[-1] - late]
        result[station, ..., :late] = array[station, ..., array.shape[-1] - late :]
    return result


@dataclass(frozen=True, eq=False)
class DeviceContinuous:
    """As ``Continuous``.

    Parameters
    ----------
    device : Device
    stations : tuple of Station
    components : tuple of str
    data : array of the device, float32 (ns, nc, nt)
    live : array of the device, uint8 (ns, nc, nt)
    start, interval : float
    """

    device: Device
    stations: tuple[Station, ...]
    components: tuple[str, ...]
    data: Any
    live: Any
    start: float
    interval: float

    @property
    def samples(self) -> int:
        """Number of samples of each channel."""
        return int(self.data.shape[2])

    def on_host(self) -> Continuous:
        """A copy on the host."""
        data, live = self.device.download(self.data), self.device.download(self.live)
        return Continuous(
            self.stations, self.components, data, live.view(np.bool_), self.start, self.interval
        )

    def shifted(self, first: int, samples: int, shifts: npt.NDArray[np.int64]) -> DeviceContinuous:
        """Some samples with the stations shifted in a circle; see ``seisflow.detection.shifted``."""
        data, live = (
            _rolled(self.device, array[..., first : first + samples], shifts)
            for array in (self.data, self.live)
        )
        return replace(self, data=data, live=live, start=self.start + first * self.interval)


@dataclass(frozen=True, eq=False)
class DeviceFeatures:
    """As ``Features``.

    Parameters
    ----------
    device : Device
    stations, phases : tuple of str
    values : array of the device, float32 (ns, np, nt)
    live : array of the device, uint8 (ns, np, nt)
    start, interval : float
    ceilings : tuple of float, optional
    delays : tuple of OnsetDelay, optional
    """

    device: Device
    stations: tuple[str, ...]
    phases: tuple[str, ...]
    values: Any
    live: Any
    start: float
    interval: float
    ceilings: tuple[float, ...] | None = None
    delays: tuple[OnsetDelay, ...] | None = None

    @property
    def samples(self) -> int:
        """Number of samples of each feature."""
        return int(self.values.shape[2])

    def part(self, first: int, last: int) -> DeviceFeatures:
        """Samples ``first`` up to ``last``."""
        values, live = (_piece(self.device, array, first, last) for array in (self.values, self.live))
        return replace(self, values=values, live=live, start=self.start + first * self.interval)

    def rolled(self, shifts: npt.NDArray[np.int64]) -> DeviceFeatures:
        """Stations shifted in a circle by so many samples."""
        values, live = (_rolled(self.device, array, shifts) for array in (self.values, self.live))
        return replace(self, values=values, live=live)

    def recorded(self) -> npt.NDArray[np.bool_]:
        """At which samples any feature is live, (nt,) on the host."""
        found: npt.NDArray[np.bool_] = self.device.download(self.live.any(axis=(0, 1)))
        return found

    def capped(self) -> Any:
        """Values as a beam takes them."""
        if self.ceilings is None:
            return self.values
        result = self.device.empty(self.values.shape, np.float32)
        for phase, ceiling in enumerate(self.ceilings):
            result[:, phase] = self.values[:, phase].clip(None, np.float32(ceiling))
        return result

    def on_host(self, first: int = 0, last: int | None = None) -> Features:
        """A copy of some samples on the host; what lies outside is left out."""
        first, last = max(0, first), self.samples if last is None else min(last, self.samples)
        last = max(first, last)
        values, live = (
            self.device.download(_piece(self.device, array, first, last))
            for array in (self.values, self.live)
        )
        start = self.start + first * self.interval
        return Features(
            self.stations, self.phases, values, live.view(np.bool_), start, self.interval, self.ceilings, self.delays
        )  # fmt: skip


def make_device_features(
    recordings: Mapping[str, DeviceContinuous], phases: Mapping[str, FeatureConfig], interval: float
) -> DeviceFeatures:
    """Features of all stations and phases; see ``seisflow.detection.features.make_features``.

    Stations are taken together as far as the memory allows.

    Raises
    ------
    InputError
        If the interval is no multiple.
    DeviceMemoryError
        If the memory does not suffice for a single station.
    """
    data = next(iter(recordings.values()))
    factor, device = feature_factor(data.interval, interval), data.device
    shape = (len(data.stations), len(phases), data.samples // factor)
    values, live = device.zeros(shape, np.float32), device.zeros(shape, np.uint8)
    for number, (phase, config) in enumerate(phases.items()):
        if shape[2]:
            _all_stations(recordings[phase], _shape(config, factor, data.interval), (values, live), number)
    start = data.start + 0.5 * (factor - 1) * data.interval
    names, ceilings = (
        tuple(each.id for each in data.stations),
        tuple(each.highest for each in phases.values()),
    )
    return DeviceFeatures(device, names, tuple(phases), values, live, start, factor * data.interval, ceilings)


def _shape(config: FeatureConfig, factor: int, interval: float) -> FeatureShape:
    short, long, window, hop, least = windows_of(config, interval * factor)
    return FeatureShape(
        config.kind, factor, ahead_weights(short), long, config.floor, config.ceiling, window, hop, least
    )


def _all_stations(data: DeviceContinuous, shape: FeatureShape, result: tuple[Any, Any], row: int) -> None:
    """One feature of all stations, in as many groups as the memory asks for."""
    values, live = result
    count, first = len(data.stations), 0
    each = data.samples * (
        9 * len(data.components) * (2 if shape.kind in ("envelope", "kurtosis") else 1) + 18
    )
    size = max(1, min(count, 65535 // len(data.components), int(0.5 * data.device.free_bytes() / each)))
    while first < count:
        some = slice(first, min(first + size, count))
        try:
            cuda_feature(data.device, data.data[some], data.live[some], shape, values[some], live[some], row)
        except DeviceMemoryError:
            if size == 1:
                raise
            size = max(1, size // 2)
            continue
        first = some.stop
