"""Thresholds, peaks and false alarms of a detection series (a beam, a network correlation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError, PhysicsError

__all__ = [
    "NullPeaks", "ThresholdConfig", "false_alarms", "peaks", "running_median_mad", "spaced", "threshold",
    "threshold_for_rate",
    "tops_among",
]  # fmt: skip

DAY = 86400.0
_TAIL = 100
_PIECE = 1 << 20


@dataclass(frozen=True)
class ThresholdConfig:
    """Where detections begin.

    Parameters
    ----------
    kind : {"mad", "constant", "rate"}
        Median and median absolute deviation of the series around each time; one number; or the height that false
        alarms reach so often, from data without events (for templates: of what is above ``mad``).
    mad : float
        Median absolute deviations above the median, with ``mad``.
    window : float
        s. Length of the windows of medians.
    overlap : float
        Share of a window that the next one has too, 0 to below 1.
    min_live : float
        Windows with a smaller share of live samples take the values of their neighbours.
    constant : float, optional
        The threshold, with ``constant``.
    rate : float, optional
        Expected false alarms a day, with ``rate``.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["mad", "constant", "rate"] = "mad"
    mad: float = 8.0
    window: float = 1800.0
    overlap: float = 0.75
    min_live: float = 0.25
    constant: float | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("mad", "constant", "rate"):
            raise InputError(f"kind = {self.kind!r}: must be 'mad', 'constant' or 'rate'")
        for name in ("mad", "window"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} = {getattr(self, name)}: must be positive")
        if not 0 <= self.overlap < 1:
            raise InputError(f"overlap = {self.overlap}: must be at least 0 and below 1")
        if not 0 < self.min_live <= 1:
            raise InputError(f"min_live = {self.min_live}: must be above 0 and at most 1")
        if self.kind == "constant" and self.constant is None:
            raise InputError("kind = 'constant' needs constant, the threshold")
        if self.kind == "rate" and not (self.rate is not None and self.rate > 0):
            raise InputError(
                f"kind = 'rate' needs rate, a positive number of false alarms a day, found {self.rate}"
            )


@dataclass(frozen=True, eq=False)
class NullPeaks:
    """Peaks of a series made from data without events.

    Parameters
    ----------
    heights : ndarray (n,)
    duration : float
        s of live series that they come from.
    """

    heights: FloatArray
    duration: float

    def __post_init__(self) -> None:
        if self.heights.size < 2 or not np.all(np.isfinite(self.heights)) or not self.duration > 0:
            raise PhysicsError(
                f"{self.heights.size} null peaks in {self.duration} s cannot tell how often false alarms are; take "
                "longer data or a lower threshold for the null peaks"
            )

    def tail(self) -> tuple[float, float]:
        """Highest peak, and the mean excess of the (at most 100, at most half) highest over the next one."""
        ordered = np.sort(self.heights)[::-1]
        count = min(_TAIL, ordered.size // 2)
        scale = float(np.mean(ordered[:count] - ordered[count], dtype=np.float64))
        if not scale > 0:
            raise PhysicsError(
                f"the {count + 1} highest null peaks are all {ordered[0]}; so they have no tail; check the features"
            )
        return float(ordered[0]), scale


def running_median_mad(
    series: FloatArray, live: npt.NDArray[np.bool_], window: int, step: int, min_live: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Median and median absolute deviation of the live samples in windows.

    Parameters
    ----------
    series : ndarray (nt,)
    live : ndarray of bool (nt,)
    window, step : int
        Samples; the last window ends with the series.
    min_live : float
        Windows with a smaller live share are left out; so are those whose deviation is 0, which tell nothing.

    Returns
    -------
    centres, medians, deviations : ndarray (windows,)
        Centres in samples.
    """
    window = min(window, series.size)
    starts = list(range(0, series.size - window + 1, step))
    if starts[-1] + window < series.size:
        starts.append(series.size - window)
    found = []
    for start in starts:
        part = series[start : start + window]
        alive = live[start : start + window]
        if not alive.all():
            part = part[alive]
        if part.size < max(1, min_live * window):
            continue
        median = np.median(part)
        deviation = np.median(np.abs(part - median))
        if deviation > 0:
            found.append((start + 0.5 * (window - 1), float(median), float(deviation)))
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def threshold(
    series: FloatArray,
    live: npt.NDArray[np.bool_],
    interval: float,
    config: ThresholdConfig,
    null: NullPeaks | None = None,
) -> FloatArray:
    """Height that a detection needs, per sample.

    With ``mad``: median + k MAD in overlapping windows, linear between their centres and constant beyond the first
    and last (Beaucé et al. 2024, doi:10.1785/0220230230; the MAD is not scaled).

    Parameters
    ----------
    series : ndarray (nt,)
    live : ndarray of bool (nt,)
        Samples that are not live count in no median.
    interval : float
        s.
    config : ThresholdConfig
    null : NullPeaks, optional
        Needed with ``rate``.

    Returns
    -------
    ndarray of float32 (nt,)
        Infinite everywhere if no window has enough live samples that differ.

    Raises
    ------
    InputError
        If shapes do not fit, a live sample is not finite, or null peaks are missing.
    """
    if series.ndim != 1 or live.shape != series.shape or not series.size:
        raise InputError(
            f"a series and its live samples must be of one length, found {series.shape}, {live.shape}"
        )
    if not np.all(np.isfinite(series) | ~live):
        raise InputError("the series is not finite at live samples; repair the features")
    if config.kind == "constant":
        return np.full(series.shape, config.constant, dtype=np.float32)
    if config.kind == "rate":
        if null is None or config.rate is None:
            raise InputError("a threshold by rate needs null peaks; make them from shifted stations")
        return np.full(series.shape, threshold_for_rate(config.rate, null), dtype=np.float32)
    window = max(1, round(config.window / interval))
    step = max(1, round(window * (1 - config.overlap)))
    centres, medians, deviations = running_median_mad(series, live, window, step, config.min_live)
    if not centres.size:
        return np.full(series.shape, np.inf, dtype=np.float32)
    levels = medians + config.mad * deviations
    result = np.empty(series.shape, dtype=np.float32)
    for first in range(
        0, series.size, _PIECE
    ):  # a day is long: no arrays of all its samples in double precision
        last = min(first + _PIECE, series.size)
        result[first:last] = np.interp(np.arange(first, last), centres, levels)
    return result


def peaks(series: FloatArray, threshold: FloatArray | float, separation: int) -> npt.NDArray[np.int64]:
    """Local maxima above a threshold: the highest first, then each that is far enough from all before.

    Parameters
    ----------
    series : ndarray (nt,)
        A flat top counts once, in its middle. The ends count as maxima if the series falls off from them.
    threshold : float or ndarray (nt,)
        Peaks are above it.
    separation : int
        Samples; no two peaks are nearer. Of equal ones the first is taken.

    Returns
    -------
    ndarray of int64 (n,)
        Samples, ascending.

    Raises
    ------
    InputError
        If the series is not finite or the separation below 1.
    """
    if series.ndim != 1 or separation < 1:
        raise InputError(
            f"peaks need a series and a separation of 1 or more, found {series.shape}, {separation}"
        )
    if not series.size:
        return np.zeros(0, dtype=np.int64)
    if not np.isfinite(series.sum(dtype=np.float64)):
        raise InputError("the series is not finite; repair the features")
    found = tops_among(series, np.flatnonzero(series > threshold))
    return spaced(found, series[found], separation)


def spaced(found: npt.NDArray[np.int64], heights: FloatArray, separation: int) -> npt.NDArray[np.int64]:
    """The highest of some local maxima first, then each that is far enough from all before.

    Parameters
    ----------
    found : ndarray of int64 (n,)
        Samples, ascending; no two are neighbours.
    heights : ndarray (n,)
    separation : int
        Samples.

    Returns
    -------
    ndarray of int64 (m,)
        Those that stay, ascending.
    """
    if not found.size:
        return found
    # maxima are never neighbours, so their ranks between zeros are a series with the same maxima and no ties;
    # a longer way between two than the separation tells nothing more
    place = np.cumsum(np.minimum(np.diff(found, prepend=-1), separation + 1))
    rank = np.zeros(place[-1] + 2)
    rank[place[np.lexsort((-found, heights))]] = np.arange(1, found.size + 1)
    from scipy.signal import find_peaks  # imported late: configurations are read without it, a second faster

    kept, _ = find_peaks(rank, distance=separation)
    result: npt.NDArray[np.int64] = found[np.searchsorted(place, kept)]
    return result


def tops_among(series: FloatArray, high: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Local maxima of a series among some of its samples; most samples are not looked at.

    Parameters
    ----------
    series : ndarray (nt,)
    high : ndarray of int64 (n,)
        Samples that may be maxima, ascending.

    Returns
    -------
    ndarray of int64 (m,)
        Those that are, ascending; of a flat top its middle.
    """
    heights = series[high]
    before = np.where(high > 0, series[high - 1], -np.inf)
    after = np.where(high < series.size - 1, series[np.minimum(high + 1, series.size - 1)], -np.inf)
    maybe = (heights >= before) & (heights >= after)
    if (heights[maybe] > np.maximum(before, after)[maybe]).all():
        return high[maybe]
    found: npt.NDArray[np.int64] = np.intersect1d(high, _tops(series), assume_unique=True)
    return found  # some are flat


def _tops(series: FloatArray) -> npt.NDArray[np.int64]:
    """Middles of the stretches of equal samples that are higher than what is beside them."""
    found, first = [np.zeros(0, dtype=np.int64)], 0
    while first < series.size:
        last = min(first + _PIECE, series.size)
        while last < series.size:  # a stretch stays whole
            other = series[last : last + _PIECE] != series[last - 1]
            last += int(np.argmax(other)) if other.any() else other.size
            if other.any():
                break
        before, after = min(1, first), min(1, series.size - last)
        middles = _tops_of(series[first - before : last + after]) - before
        found.append(middles[(middles >= 0) & (middles < last - first)] + first)
        first = last
    return np.concatenate(found)


def _tops_of(series: FloatArray) -> npt.NDArray[np.int64]:
    change = np.flatnonzero(series[1:] != series[:-1]) + 1
    first = np.concatenate([[0], change])
    last = np.concatenate([change - 1, [series.size - 1]])
    height = series[first]
    rises = np.ones(first.size + 1, dtype=np.bool_)
    rises[1:-1] = height[1:] > height[:-1]
    rises[-1] = False
    top = rises[:-1] & ~rises[1:]
    middle: npt.NDArray[np.int64] = (first[top] + last[top]) // 2
    return middle


def false_alarms(heights: FloatArray, null: NullPeaks, duration: float = DAY) -> FloatArray:
    """Expected number of false alarms at least as high, in a time.

    Null peaks are counted; above the highest, the number falls off exponentially with the mean excess of the highest.

    Parameters
    ----------
    heights : ndarray (n,)
    null : NullPeaks
    duration : float
        s; a day gives the rate per day.

    Returns
    -------
    ndarray of float64 (n,)
        Never 0; falling with the height.
    """
    highest, scale = null.tail()
    ordered = np.sort(null.heights.astype(np.float64))
    values = np.asarray(heights, dtype=np.float64)
    counted = ordered.size - np.searchsorted(ordered, values, side="left")
    tail = np.exp(-np.maximum(values - highest, 0) / scale)
    number: FloatArray = np.where(values > highest, tail, counted) * (duration / null.duration)
    return number


def threshold_for_rate(rate: float, null: NullPeaks) -> float:
    """Lowest height that false alarms reach at most so often: the inverse of ``false_alarms``.

    Parameters
    ----------
    rate : float
        A day.
    null : NullPeaks

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the rate is not positive, or above that of all null peaks, whose own threshold then decided.
    """
    if not rate > 0:
        raise InputError(f"rate = {rate} false alarms a day: must be positive")
    number = rate * null.duration / DAY
    highest, scale = null.tail()
    if number < 1:
        return highest - scale * float(np.log(number))
    ordered = np.sort(null.heights.astype(np.float64))[::-1]
    if number >= ordered.size:
        raise InputError(
            f"rate = {rate} a day: there are only {ordered.size} null peaks in {null.duration} s; take null peaks "
            "above a lower threshold, or wish fewer false alarms"
        )
    return float(np.nextafter(ordered[int(number)], np.inf))
