"""How long after an onset a feature peaks.

A feature compares what is ahead of a sample with what is behind, so its peak is where the two differ most, not where
the waves begin: waves that build up or last draw it behind the onset, a filter of zero phase puts waves before it,
which a strong onset shows. The delay follows from the definition of the feature and the height of its peak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from seisflow.detection.device_features import DeviceFeatures
from seisflow.detection.features import FeatureConfig, energy_ratio, kurtosis_rise
from seisflow.domain import Features, FloatArray, OnsetDelay

__all__ = ["onset_delay", "with_delays"]

_Made = TypeVar("_Made", Features, DeviceFeatures)

_PERIODS = 2.0
"""Periods of the middle of the band in which the energy of the waves after an onset falls to 1 / e ..."""
_LIMITS = (0.5, 8.0)
"""... and what it may be: from a pulse to waves that go on."""
_RISE = 0.75
"""Periods in which the amplitude of an onset that builds up reaches its maximum."""
_PHASES = 8
"""Places of the onset between two samples that are averaged."""
_SIGNALS = np.geomspace(0.3, 3e4, 40)
"""Energy of the waves at their highest, over that of the noise."""
_LEAST_LENGTH = 6.0
"""Periods of the lowest frequency after which a filter is quiet."""


def with_delays(features: _Made, phases: Mapping[str, FeatureConfig]) -> _Made:
    """Features together with the delays of their onsets.

    Parameters
    ----------
    features : Features or DeviceFeatures
    phases : mapping of str to FeatureConfig
        What they were made with.

    Returns
    -------
    Features or DeviceFeatures
        As what was given.
    """
    delays = tuple(onset_delay(phases[phase], features.interval) for phase in features.phases)
    return replace(features, delays=delays)


@lru_cache(maxsize=64)
def onset_delay(config: FeatureConfig, interval: float) -> OnsetDelay:
    """Delay of the peak of a feature after an onset, by its height.

    The onset is that of random waves of all frequencies, begun at once, whose energy decays within two periods of the
    middle of the band, in stationary noise; both pass the filter of the band. What is expected of their energy is the
    squared impulse response of the filter, convolved with the decay. The feature of this expectation is computed
    as that of a recording is, for signals of all sizes. The error is the standard deviation of delays that are as
    likely anywhere between those of waves that decay within half a period and within eight. An onset that builds up
    within three quarters of a period peaks later; that any part of this may be so is the error of all phases.

    Parameters
    ----------
    config : FeatureConfig
    interval : float
        Of the feature, s.

    Returns
    -------
    OnsetDelay
        ``energy`` and ``envelope`` have one delay for all heights.
    """
    step = interval / (_PHASES * max(1, int(np.ceil(16 * config.band[1] * interval / _PHASES))))
    response = _energy_response(config, step)
    heights, delays = _curve(response, step, interval, config, _PERIODS)
    curves = [_curve(response, step, interval, config, periods) for periods in _LIMITS]
    curves.append(_curve(response, step, interval, config, _RISE, builds_up=True))
    pulse, long, late = (np.interp(heights, *curve) for curve in curves)
    errors = np.abs(long - pulse) / np.sqrt(12)  # of what is as likely anywhere between two limits ...
    rises = np.maximum(late - delays, 0) / np.sqrt(3)  # ... and its root mean square, from zero on
    if config.kind == "kurtosis":
        middle, scale = _noise(config, interval, step)
        heights = (heights - middle) / scale
    return OnsetDelay(heights, delays, errors, rises)


def _curve(
    response: FloatArray,
    step: float,
    interval: float,
    config: FeatureConfig,
    periods: float,
    builds_up: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Heights of peaks, rising, and their delays in s, for waves that decay, or build up, within some periods."""
    from scipy.signal import fftconvolve  # takes a second, which `seisflow status` need not wait

    middle = np.sqrt(config.band[0] * config.band[1])
    after = np.arange(response.size) * step * middle / periods
    waves = (after * np.exp(1 - after)) ** 2 if builds_up else np.exp(-after)
    energy = np.maximum(fftconvolve(response, waves)[: response.size], 0)
    energy /= energy.max()
    signals = _SIGNALS if config.kind in ("sta_lta", "kurtosis") else _SIGNALS[-1:]
    onset = response.size // 2
    found = np.array([_peak(1 + signal * energy, onset, step, interval, config) for signal in signals])
    heights, delays = found.T
    rising = np.concatenate([[True], heights[1:] > np.maximum.accumulate(heights)[:-1] + 1e-6])
    return heights[rising], delays[rising]


def _filtered(values: FloatArray, config: FeatureConfig, step: float) -> FloatArray:
    from scipy.signal import butter, sosfilt, sosfiltfilt

    sections = butter(config.corners, config.band, "bandpass", fs=1 / step, output="sos")
    if config.zero_phase:
        return np.asarray(sosfiltfilt(sections, values, padlen=0))
    return np.asarray(sosfilt(sections, values))


def _energy_response(config: FeatureConfig, step: float) -> FloatArray:
    """Energy of the response of the filter to an impulse at the middle sample; of its envelope for ``envelope``."""
    length = config.long + 3 * config.short + _LEAST_LENGTH / config.band[0]
    impulse = np.zeros(2 * int(np.ceil(length / step)) + 1)
    impulse[impulse.size // 2] = 1.0
    response = _filtered(impulse, config, step)
    if config.kind == "envelope":
        from scipy.signal import hilbert

        return np.asarray(np.abs(hilbert(response)) ** 2)
    result: FloatArray = response**2
    return result


def _peak(
    energy: FloatArray, onset: int, step: float, interval: float, config: FeatureConfig
) -> tuple[float, float]:
    """Height of the peak of the feature of an expected energy, and how long after the onset it is in s."""
    factor = round(interval / step)
    short, long = (max(1, round(length / interval)) for length in (config.short, config.long))
    tops, delays = [], []
    for first in range(0, factor, max(1, factor // _PHASES)):
        count = (energy.size - first) // factor
        blocks = energy[first : first + count * factor].reshape(count, factor)
        live = np.ones(count, dtype=np.bool_)
        if config.kind == "kurtosis":  # of normal samples whose variance is the energy
            middle = blocks[:, factor // 2]
            nothing = np.zeros(count)
            row, good = kurtosis_rise((nothing, middle, nothing, 3 * middle**2), live, (short, long))
        else:
            row, good = energy_ratio(blocks.mean(axis=1), live, (short, long), config)
        row = np.where(good, row, -np.inf)
        top = int(row[1:-1].argmax()) + 1
        left, height, right = row[top - 1 : top + 2]
        bend = left - 2 * height + right
        part = float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if -np.inf < bend < 0 else 0.0
        tops.append(float(height))
        delays.append(((top + part) * factor + first + 0.5 * (factor - 1) - onset) * step)
    return float(np.mean(tops)), float(np.mean(delays))


def _noise(config: FeatureConfig, interval: float, step: float) -> tuple[float, float]:
    """Median of the rise of the kurtosis in noise, and its scatter in robust standard deviations."""
    factor = round(interval / step)
    short, long = (max(1, round(length / interval)) for length in (config.short, config.long))
    random = np.random.default_rng(0)
    noise = _filtered(random.standard_normal(40 * long * factor), config, step)[::factor]
    powers = (noise, noise**2, noise**3, noise**4)
    rise, good = kurtosis_rise(powers, np.ones(noise.size, dtype=np.bool_), (short, long))
    middle = float(np.median(rise[good]))
    return middle, 1.4826 * float(np.median(np.abs(rise[good] - middle)))
