"""Matches of templates that are found on a GPU: only peaks come back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from seisflow.detection.correlation import Search
from seisflow.detection.device_features import DeviceContinuous
from seisflow.detection.matches import Match, MatchConfig, top_between_samples
from seisflow.detection.threshold import ThresholdConfig, spaced
from seisflow.domain import FloatArray
from seisflow.native.cuda_matched_filter import CudaFilter, DeviceCorrelations, DevicePeaks, Levels
from seisflow.native.device import Device

__all__ = ["OnDevice", "device_matches", "median_stride"]

_SAMPLES = 4000


@dataclass(eq=False)
class OnDevice:
    """Recordings on a GPU: those that were filtered there, or those of a search, uploaded once.

    Parameters
    ----------
    device : Device
    data : DeviceContinuous, optional
    """

    device: Device
    data: DeviceContinuous | None = None
    run: CudaFilter | None = None

    def filter(self, search: Search) -> CudaFilter:
        """Ready for templates; another search of the same recordings takes the same."""
        if self.run is None:
            with self.device.lock:
                given = None if self.data is None else (self.data.data, self.data.live)
                self.run = search.uploaded(self.device, given)
        return self.run


def median_stride(window: float, interval: float) -> int:
    """Every how manieth sample a threshold looks at: the median of thousands does not need them all."""
    return max(1, int(window / interval / _SAMPLES))


def device_matches(
    search: Search, config: MatchConfig, run: CudaFilter, part: float = 1.0
) -> Iterator[tuple[list[Match], float]]:
    """Peaks of the correlations of all templates above a part of their thresholds, batch by batch.

    Parameters
    ----------
    search : Search
    config : MatchConfig
    run : CudaFilter
        Of ``Search.uploaded``.
    part : float

    Yields
    ------
    list of Match
        Of the templates of a batch.
    float
        s in which any of them was searched.
    """
    interval, least = search.data.interval, search.config.min_live
    limits = config.threshold
    if limits.kind == "rate":  # what false alarms reach so often is known when all is searched
        limits = replace(limits, kind="mad")
    stride = median_stride(limits.window, interval)
    separation = max(1, round(config.separation / interval))
    with run.device.lock:
        for numbers, found in search.on_device(run):
            nodes = _nodes(found, limits, interval * stride, stride, least)
            top = found.peaks(nodes, stride, least, part)
            yield (
                [
                    match
                    for place, number in enumerate(numbers)
                    for match in _matches(top, place, number, search, (separation, part))
                ],
                _searched(found, search.data.samples, least) * interval,
            )


def _nodes(
    found: DeviceCorrelations, limits: ThresholdConfig, interval: float, stride: int, least: float
) -> list[tuple[FloatArray, FloatArray]]:
    """Where the threshold of each template is known, and its height; see ``seisflow.detection.threshold``."""
    templates = int(found.out.shape[0])
    if limits.kind == "constant" and limits.constant is not None:
        return [(np.zeros(1), np.array([limits.constant]))] * templates
    window = max(1, round(limits.window / interval))
    hop = max(1, round(window * (1 - limits.overlap)))
    levels = found.levels(window, hop, stride, least)
    return [_of_windows(levels, number, limits) for number in range(templates)]


def _of_windows(levels: Levels, number: int, limits: ThresholdConfig) -> tuple[FloatArray, FloatArray]:
    alive, deviation = levels.alive[number], levels.deviations[number].astype(np.float64)
    use = (alive >= max(1, limits.min_live * levels.window)) & (deviation > 0)
    heights = levels.medians[number].astype(np.float64) + limits.mad * deviation
    return levels.centres[use], heights[use]


def _matches(
    top: DevicePeaks, place: int, number: int, search: Search, settings: tuple[int, float]
) -> Iterator[Match]:
    (separation, part), data = settings, search.data
    first, last = np.searchsorted(top.templates, [place, place + 1])
    samples, values = top.samples[first:last], top.values[first:last]
    for index in np.searchsorted(samples, spaced(samples, values, separation)) + first:
        sample, value = int(top.samples[index]), float(top.values[index])
        beside = np.array([top.before[index], top.values[index], top.after[index]])
        inner = 0 < sample < data.samples - 1
        shift = top_between_samples(beside, 1) * data.interval if inner else 0.0
        limit = float(top.limits[index])
        yield Match(data.start + sample * data.interval, number, value, limit / part, shift)


def _searched(found: DeviceCorrelations, samples: int, least: float) -> float:
    """Most samples of a template that count."""
    most = 0.0
    for live in found.stretches.each():
        lengths = np.diff(np.append(live.starts, samples))
        most = max(most, float(lengths[(live.shares >= least) & (live.shares > 0)].sum()))
    return most
