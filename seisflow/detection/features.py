"""Characteristic functions: from continuous recordings to what is stacked along travel times.

A feature says, per station, phase and sample, how much an arrival seems to begin there. Every window looks ahead from
its sample, so that the feature is largest at the onset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seisflow.detection.threshold import running_median_mad
from seisflow.domain import Continuous, Features, FloatArray
from seisflow.errors import InputError
from seisflow.fourier import irfft, next_fast_len, rfft

__all__ = [
    "FeatureConfig", "ahead_weights", "energy_ratio", "feature_factor", "kurtosis_rise", "make_features", "mixed",
    "window_sum", "windows_of",
]  # fmt: skip

Kind = Literal["sta_lta", "energy", "envelope", "kurtosis"]
_LEAST_LIVE = 0.5
"""Least share of a long window that must be live."""


@dataclass(frozen=True)
class FeatureConfig:
    """How the arrivals of one phase become a feature.

    Parameters
    ----------
    components : tuple of str
        What the energy is averaged over, such as ``Z`` for P, ``E N`` for S.
    band : tuple of 2 float
        Lowest and highest frequency in Hz.
    kind : {"sta_lta", "energy", "envelope", "kurtosis"}
        ``sta_lta``: logarithm of the energy ahead over that behind (Allen 1982, in the logarithm, so that the beam is
        a product); the window ahead falls linearly, which makes the maximum sharp at the onset. ``energy``,
        ``envelope``: logarithm of its mean ahead, over the running median. ``kurtosis``: rise of the kurtosis of
        the samples behind (Baillard et al. 2014). The last three are in units of their running median absolute
        deviation.
    short, long : float
        Windows ahead and behind in s.
    corners : int
        Of the Butterworth band-pass.
    zero_phase : bool
        Filter forwards and backwards: sharper bands, onsets blurred by half a period of the band.
    floor, ceiling : float
        Limits of a feature (before the logarithm for ``sta_lta``), so that neither a quiet nor a broken channel
        outweighs the others. The ceiling is that of the beam; places are found without it.
    normalise : float
        Window of the running median in s.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    components: tuple[str, ...]
    band: tuple[float, float]
    kind: Kind = "sta_lta"
    short: float = 0.3
    long: float = 5.0
    corners: int = 4
    zero_phase: bool = True
    floor: float = 0.8
    ceiling: float = 1e4
    normalise: float = 600.0

    def __post_init__(self) -> None:
        wanted = {
            f"band = {self.band} Hz": 0 < self.band[0] < self.band[1],
            f"short = {self.short:g} s, long = {self.long:g} s": 0 < self.short < self.long,
            f"components = {self.components}": len(self.components) > 0,
            f"corners = {self.corners}": self.corners >= 1,
        }
        for found, good in wanted.items():
            if not good:
                raise InputError(
                    f"{found}: the band must rise from above 0, the short window be shorter than the long one, "
                    "and a component and a corner be there"
                )

    @property
    def highest(self) -> float:
        """What a beam takes of a feature at most."""
        return float(np.log(self.ceiling)) if self.kind == "sta_lta" else self.ceiling

    @property
    def padding(self) -> float:
        """What a feature needs before and after a sample in s, beside what the filter needs."""
        median = 0.0 if self.kind == "sta_lta" else 0.5 * self.normalise
        return self.short + self.long + median


def window_sum(values: FloatArray, length: int) -> FloatArray:
    """Sums over windows that begin at each sample, ``values[..., i : i + length]``; zeros follow the end.

    Sums of blocks from their ends and from their beginnings are added and nothing is subtracted, so a burst leaves no
    error in the quiet windows behind it.

    Parameters
    ----------
    values : ndarray (..., n)
    length : int

    Returns
    -------
    ndarray of float64 (..., n)
    """
    count = values.shape[-1]
    blocks = -(-count // length) + 1
    padded = np.zeros((*values.shape[:-1], blocks * length))
    padded[..., :count] = values
    padded = padded.reshape(*values.shape[:-1], blocks, length)
    sums = np.cumsum(padded[..., ::-1], axis=-1)[..., ::-1].copy()
    sums[..., :-1, 1:] += np.cumsum(padded, axis=-1)[..., 1:, :-1]
    result: FloatArray = sums.reshape(*values.shape[:-1], -1)[..., :count]
    return result


def make_features(
    recordings: Mapping[str, Continuous], phases: Mapping[str, FeatureConfig], interval: float
) -> Features:
    """Features of all stations and phases.

    Parameters
    ----------
    recordings : mapping of str to Continuous
        By phase: its components in its band, with the stations, the start and the interval of all.
    phases : mapping of str to FeatureConfig
    interval : float
        Of the features in s, a multiple of that of the recordings; energies are averaged in between.

    Returns
    -------
    Features

    Raises
    ------
    InputError
        If the interval is no multiple.
    """
    data = next(iter(recordings.values()))
    factor = feature_factor(data.interval, interval)
    shape = (len(data.stations), len(phases), data.samples // factor)
    values, live = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    for number, (phase, config) in enumerate(phases.items()):
        for station in range(shape[0]):
            values[station, number], live[station, number] = _feature(
                recordings[phase], station, config, factor
            )
    start = data.start + 0.5 * (factor - 1) * data.interval
    names = tuple(station.id for station in data.stations)
    ceilings = tuple(config.highest for config in phases.values())
    return Features(names, tuple(phases), values, live, start, factor * data.interval, ceilings)


def feature_factor(given: float, wanted: float) -> int:
    """Samples of recordings in one of the features, from both intervals in s.

    Raises
    ------
    InputError
        If one interval is no multiple of the other.
    """
    factor = round(wanted / given)
    if factor < 1 or abs(factor * given - wanted) > 1e-6 * wanted:
        raise InputError(
            f"features every {wanted:g} s: must be a multiple of the sampling interval {given:g} s"
        )
    return factor


def windows_of(config: FeatureConfig, interval: float) -> tuple[int, int, int, int, float]:
    """Short and long window, those of the running median and their step, in samples; and the least live share."""
    short, long = (max(1, round(length / interval)) for length in (config.short, config.long))
    window = max(2, round(config.normalise / interval))
    return short, long, window, max(1, window // 2), _LEAST_LIVE


def ahead_weights(length: int) -> FloatArray:
    """Weights of the samples ahead, which fall linearly to zero and sum up to 1, (length,)."""
    weights = 1 - np.arange(length) / length
    result: FloatArray = weights / weights.sum()
    return result


def _feature(
    data: Continuous, station: int, config: FeatureConfig, factor: int
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """One feature and where it is live."""
    count = data.samples // factor
    alive = data.live[station]
    if not alive.any():
        return np.zeros(count, dtype=np.float32), np.zeros(count, dtype=bool)
    traces = data.data[station].astype(np.float64)
    energy = np.where(alive, _power(traces, config.kind), 0.0).sum(axis=0)
    weight = alive.sum(axis=0)
    energy = energy[: count * factor].reshape(count, factor).sum(axis=1)
    weight = weight[: count * factor].reshape(count, factor).sum(axis=1)
    live = weight > 0
    energy = np.divide(energy, weight, out=np.zeros(count), where=live)
    interval = data.interval * factor
    short, long, *_ = windows_of(config, interval)
    if config.kind == "kurtosis":
        result, live = _mean_kurtosis(traces, alive, factor, (short, long))
    else:
        result, live = energy_ratio(energy, live, (short, long), config)
    if config.kind != "sta_lta":
        result = _standardised(result, live, config, interval)
    result = np.maximum(result, -config.ceiling)
    return np.where(live, result, 0.0).astype(np.float32), live


def _power(traces: FloatArray, kind: Kind) -> FloatArray:
    """Energy of traces (n, nt): their squares, or those of their envelopes."""
    if kind != "envelope":
        return traces**2
    count = traces.shape[-1]
    length = next_fast_len(2 * count, real=True)
    spectrum = -1j * rfft(traces, length)
    spectrum[..., 0] = 0
    result: FloatArray = traces**2 + irfft(spectrum, length)[..., :count] ** 2
    return result


def _ahead(values: FloatArray, length: int) -> FloatArray:
    """Mean over the samples ahead with weights that fall linearly to zero."""
    from scipy.ndimage import correlate1d  # imported late, see ``seisflow.fourier``

    weights = np.zeros(2 * length - 1)
    weights[length - 1 :] = ahead_weights(length)
    result: FloatArray = correlate1d(values, weights, mode="constant")
    return result


def _behind(values: FloatArray, length: int) -> FloatArray:
    """Sums over the samples before each one."""
    sums = window_sum(values, length)
    result = np.zeros_like(sums)
    result[length:] = sums[: sums.size - length]
    return result


def energy_ratio(
    energy: FloatArray, live: npt.NDArray[np.bool_], windows: tuple[int, int], config: FeatureConfig
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Logarithm of the energy ahead, over that behind for ``sta_lta``.

    Parameters
    ----------
    energy : ndarray (nt,)
    live : ndarray of bool (nt,)
    windows : tuple of int
        Short and long one in samples.
    config : FeatureConfig
        Its ``floor`` bounds the ratio.

    Returns
    -------
    ndarray (nt,)
    ndarray of bool (nt,)
        Where it is live.
    """
    short, long = windows
    ahead, share = _ahead(energy, short), _ahead(live.astype(np.float64), short)
    good = share > 1 - 1e-9
    if config.kind == "sta_lta":
        behind, counts = _behind(energy, long), _behind(live.astype(np.float64), long)
        good &= (counts >= _LEAST_LIVE * long) & (behind > 0)
        ratio = np.divide(ahead * counts, behind, out=np.ones_like(ahead), where=good)
        ratio = np.maximum(ratio, config.floor)
    else:
        good &= ahead > 0
        ratio = np.where(good, ahead, 1.0)
    return np.log(ratio), good


def _mean_kurtosis(
    traces: FloatArray, alive: npt.NDArray[np.bool_], factor: int, windows: tuple[int, int]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Mean over the components that are live of the rise of their kurtosis, from samples amid each interval."""
    count = traces.shape[-1] // factor
    places = factor * np.arange(count) + factor // 2
    total, share = np.zeros(count), np.zeros(count)
    for trace, live in zip(traces[:, places], alive[:, places], strict=True):
        alone = np.where(live, trace, 0.0)
        rise, good = kurtosis_rise((alone, alone**2, alone**3, alone**4), live, windows)
        total += np.where(good, rise, 0.0)
        share += good
    return np.divide(total, share, out=np.zeros(count), where=share > 0), share > 0


def kurtosis_rise(
    powers: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    live: npt.NDArray[np.bool_],
    windows: tuple[int, int],
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Logarithm of the rise of the kurtosis of the samples behind, over the short window ahead.

    Parameters
    ----------
    powers : tuple of four ndarray (nt,)
        First to fourth power of the samples, or what is expected of them; zero where not live.
    live : ndarray of bool (nt,)
    windows : tuple of int
        Short and long one in samples.

    Returns
    -------
    ndarray (nt,)
    ndarray of bool (nt,)
        Where it is live.
    """
    short, long = windows
    counts = _behind(live.astype(np.float64), long)
    enough = counts >= max(4, _LEAST_LIVE * long)
    safe = np.where(enough, counts, 1.0)
    first, second, third, fourth = (_behind(power, long) / safe for power in powers)
    variance = second - first**2
    moment = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    enough &= variance > 1e-12 * second
    kurtosis = np.divide(moment, variance**2, out=np.full_like(moment, 3.0), where=enough)
    ahead = np.append(kurtosis[1:], kurtosis[-1])  # the next sample enters the window with the one after it
    rise = _ahead(ahead, short) - kurtosis
    good = enough & (_ahead(live.astype(np.float64), short) > 1 - 1e-9)
    good[:-short] &= enough[short:]
    good[-short:] = False
    return np.sign(rise) * np.log1p(np.abs(rise)), good


def _standardised(
    values: FloatArray, live: npt.NDArray[np.bool_], config: FeatureConfig, interval: float
) -> FloatArray:
    """Values above the running median in units of the running median absolute deviation."""
    *_, window, hop, least = windows_of(config, interval)
    centres, medians, deviations = running_median_mad(values, live, window, hop, least)
    if not centres.size:
        return np.zeros_like(values)
    samples = np.arange(values.size)
    median = np.interp(samples, centres, medians)
    deviation = np.interp(samples, centres, deviations)
    return np.maximum((values - median) / (1.4826 * deviation), -1.0)


def mixed(features: Features, probabilities: FloatArray, weight: float) -> Features:
    """Features mixed with the probabilities of a picker.

    Parameters
    ----------
    features : Features
    probabilities : ndarray (ns, np, nt)
        0 to 1, on the time axis of the features; NaN where the picker says nothing (the feature stays alone there).
    weight : float
        Of the probabilities, 0 to 1; they are scaled to the largest feature of each row, or to the ceiling of the
        beam, so that the weight means the same for every kind of feature. The delay of an onset loses it:
        probabilities have none.

    Returns
    -------
    Features

    Raises
    ------
    InputError
        If shapes differ, the weight is not in 0 to 1 or a probability is not.
    """
    if probabilities.shape != features.values.shape:
        raise InputError(
            f"probabilities have shape {probabilities.shape}; the features have {features.values.shape}"
        )
    known = np.isfinite(probabilities)
    if not 0 <= weight <= 1 or (known & ((probabilities < 0) | (probabilities > 1))).any():
        raise InputError(f"weight = {weight:g} of a picker: it and all probabilities must lie in 0 to 1")
    scale = np.where(features.live, features.capped(), 0).max(axis=2, keepdims=True)
    values = np.where(
        known, (1 - weight) * features.values + weight * scale * np.nan_to_num(probabilities), features.values
    )
    delays = features.delays and tuple(
        replace(each, delays=(1 - weight) * each.delays) for each in features.delays
    )
    return replace(features, values=values.astype(np.float32), delays=delays)
