"""Statistics of a catalog: magnitude-frequency relation and its completeness, times between events, rates.

The relation is log10 N(>= M) = a - b M (Gutenberg & Richter 1944). Magnitudes are rounded to bins of ``width`` first;
the centre of a bin stands for what is in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError

__all__ = [
    "BValue",
    "Intervals",
    "MagnitudeFrequency",
    "StatisticsConfig",
    "b_positive",
    "b_value",
    "completeness_goodness_of_fit",
    "completeness_maximum_curvature",
    "inter_event_times",
    "magnitude_bins",
    "magnitude_frequency",
    "rates",
]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StatisticsConfig:
    """How the magnitude-frequency relation is estimated.

    Parameters
    ----------
    width : float
        Of the bins of magnitude.
    correction : float
        Added to the magnitude of maximum curvature, which is too small on average (Woessner & Wiemer 2005).
    fit_levels : tuple of float
        Goodness of fit in percent; the first that is reached counts (Wiemer & Wyss 2000).
    min_events : int
        At and above the completeness, for a b-value.
    resamples : int
        Bootstrap samples for the error of the completeness.
    seed : int
        Of the bootstrap.
    min_difference : int
        Least difference in bins of successive magnitudes for b-positive (van der Elst 2021).
    """

    width: float = 0.1
    correction: float = 0.2
    fit_levels: tuple[float, ...] = (95.0, 90.0)
    min_events: int = 20
    resamples: int = 200
    seed: int = 0
    min_difference: int = 2

    def __post_init__(self) -> None:
        if not self.width > 0 or self.resamples < 0 or self.min_events < 2 or self.min_difference < 1:
            raise InputError(
                f"width = {self.width:g}, resamples = {self.resamples}, min_events = {self.min_events}, "
                f"min_difference = {self.min_difference}: they must be positive, at least 0, 2 and 1"
            )


@dataclass(frozen=True)
class BValue:
    """Slope of the magnitude-frequency relation.

    Parameters
    ----------
    value, error : float
        NaN if there are too few events.
    events : int
        That it rests on; for b-positive the number of positive differences.
    """

    value: float
    error: float
    events: int


@dataclass(frozen=True, eq=False)
class MagnitudeFrequency:
    """The magnitude-frequency relation of a catalog.

    Parameters
    ----------
    bins : ndarray (n,)
        Centres of the bins of magnitude, none left out between the smallest and the largest.
    counts : ndarray of int (n,)
        Events in each bin.
    completeness : float
        Magnitude of maximum curvature plus the correction; what ``b`` and ``a`` refer to.
    completeness_error : float
        Standard deviation over the bootstrap.
    completeness_fit : float
        By goodness of fit; NaN if no level is reached.
    b : BValue
        Aki (1965), Utsu (1966), with the error of Shi & Bolt (1982).
    b_positive : BValue
        Van der Elst (2021), which does not depend on a changing completeness; its error is that of Shi & Bolt.
    a : float
        log10 of the number of events of magnitude 0 and above; NaN without ``b``.
    """

    bins: FloatArray
    counts: IntArray
    completeness: float
    completeness_error: float
    completeness_fit: float
    b: BValue
    b_positive: BValue
    a: float

    @property
    def cumulative(self) -> IntArray:
        """Events in each bin and above."""
        return np.asarray(np.cumsum(self.counts[::-1])[::-1])


_NO_B = BValue(math.nan, math.nan, 0)


def magnitude_bins(magnitudes: FloatArray, width: float = 0.1) -> tuple[FloatArray, IntArray]:
    """Count magnitudes in bins.

    Parameters
    ----------
    magnitudes : ndarray (n,)
        NaN are left out.
    width : float

    Returns
    -------
    bins : ndarray
        Centres: multiples of the width.
    counts : ndarray of int
    """
    steps = _steps(magnitudes, width)
    if not steps.size:
        return np.empty(0), np.empty(0, dtype=np.int64)
    counts = np.bincount(steps - steps.min()).astype(np.int64)
    return np.round(width * (steps.min() + np.arange(counts.size)), 9), counts


def _steps(magnitudes: FloatArray, width: float) -> IntArray:
    """Magnitudes as whole numbers of the width."""
    finite = np.asarray(magnitudes, dtype=float)
    finite = finite[np.isfinite(finite)]
    steps: IntArray = np.floor(finite / width + 0.5 + 1e-9).astype(np.int64)
    return steps


def completeness_maximum_curvature(
    magnitudes: FloatArray, width: float = 0.1, correction: float = 0.2
) -> float:
    """Magnitude of completeness: the fullest bin, plus a correction (Wiemer & Wyss 2000; Woessner & Wiemer 2005).

    Parameters
    ----------
    magnitudes : ndarray (n,)
    width, correction : float

    Returns
    -------
    float
        NaN without magnitudes. Of equally full bins the smallest counts.
    """
    bins, counts = magnitude_bins(magnitudes, width)
    return round(float(bins[int(np.argmax(counts))]) + correction, 9) if counts.size else math.nan


def completeness_goodness_of_fit(magnitudes: FloatArray, config: StatisticsConfig | None = None) -> float:
    """Magnitude of completeness: the smallest from which a straight line explains the numbers.

    For each candidate the cumulative numbers B of the bins from it on are compared with those, S, of the line that the
    maximum-likelihood b-value gives; R = 100 - 100 sum |B - S| / sum B (Wiemer & Wyss 2000).

    Parameters
    ----------
    magnitudes : ndarray (n,)
    config : StatisticsConfig, optional

    Returns
    -------
    float
        NaN if no candidate with enough events reaches a level.
    """
    config = config or StatisticsConfig()
    bins, counts = magnitude_bins(magnitudes, config.width)
    numbers = np.cumsum(counts[::-1])[::-1]
    fits = []
    for candidate, events in zip(bins, numbers, strict=True):
        if events < config.min_events:
            break
        b = b_value(magnitudes, float(candidate), config).value
        above = bins >= candidate - config.width / 2
        line = events * 10 ** (-b * (bins[above] - candidate))
        fits.append(100 - 100 * float(np.sum(np.abs(numbers[above] - line)) / np.sum(numbers[above])))
    for level in config.fit_levels:
        for candidate, fit in zip(bins, fits, strict=False):
            if fit >= level:
                return float(candidate)
    return math.nan


def b_value(magnitudes: FloatArray, completeness: float, config: StatisticsConfig | None = None) -> BValue:
    """Maximum-likelihood b-value of the events at and above a completeness.

    b = log10(e) / (mean - (Mc - width / 2)) (Aki 1965; Utsu 1966); its standard error is
    2.30 b^2 sqrt(sum (M - mean)^2 / (n (n - 1))) (Shi & Bolt 1982).

    Parameters
    ----------
    magnitudes : ndarray (n,)
    completeness : float
        Centre of the smallest bin that counts.
    config : StatisticsConfig, optional

    Returns
    -------
    BValue
        NaN with fewer than ``min_events`` events.
    """
    config = config or StatisticsConfig()
    if not math.isfinite(completeness):
        return _NO_B
    binned = config.width * _steps(magnitudes, config.width)
    above = binned[binned >= completeness - config.width / 2]
    if above.size < config.min_events:
        return BValue(math.nan, math.nan, above.size)
    value = math.log10(math.e) / float(np.mean(above) - (completeness - config.width / 2))
    return BValue(value, _shi_bolt(value, above), above.size)


def _shi_bolt(b: float, values: FloatArray) -> float:
    spread = float(np.sum((values - values.mean()) ** 2)) / (values.size * (values.size - 1))
    return math.log(10) * b**2 * math.sqrt(spread)


def b_positive(magnitudes: FloatArray, config: StatisticsConfig | None = None) -> BValue:
    """b-value from the positive differences of successive magnitudes.

    Differences of at least m0 = ``min_difference`` bins count; beta = log(1 + width / (mean - m0)) / width, the
    maximum-likelihood estimate for binned values (van der Elst 2021; Tinti & Mulargia 1987).

    Parameters
    ----------
    magnitudes : ndarray (n,)
        In the order of the origin times; events without (NaN) are left out.
    config : StatisticsConfig, optional

    Returns
    -------
    BValue
        NaN with fewer than ``min_events`` such differences.
    """
    config = config or StatisticsConfig()
    differences = np.diff(_steps(magnitudes, config.width))
    positive = config.width * differences[differences >= config.min_difference]
    if positive.size < config.min_events:
        return BValue(math.nan, math.nan, positive.size)
    over = float(np.mean(positive)) - config.width * config.min_difference
    if over <= 0:
        return BValue(math.nan, math.nan, positive.size)
    value = math.log1p(config.width / over) / config.width / math.log(10)
    return BValue(value, _shi_bolt(value, positive), positive.size)


def magnitude_frequency(magnitudes: FloatArray, config: StatisticsConfig | None = None) -> MagnitudeFrequency:
    """Estimate completeness, b-value and a-value of a catalog.

    Parameters
    ----------
    magnitudes : ndarray (n,)
        In the order of the origin times; NaN where an event has none.
    config : StatisticsConfig, optional

    Returns
    -------
    MagnitudeFrequency
        With NaN for what there are too few events for.
    """
    config = config or StatisticsConfig()
    finite = np.asarray(magnitudes, dtype=float)
    finite = finite[np.isfinite(finite)]
    bins, counts = magnitude_bins(finite, config.width)
    completeness = completeness_maximum_curvature(finite, config.width, config.correction)
    b = b_value(finite, completeness, config)
    a = math.log10(b.events) + b.value * completeness if math.isfinite(b.value) else math.nan
    return MagnitudeFrequency(
        bins,
        counts,
        completeness,
        _bootstrap(finite, config),
        completeness_goodness_of_fit(finite, config),
        b,
        b_positive(finite, config),
        a,
    )


def _bootstrap(magnitudes: FloatArray, config: StatisticsConfig) -> float:
    """Standard deviation of the completeness over samples drawn with replacement; NaN of less than 2 events."""
    if magnitudes.size < 2 or config.resamples < 2:
        return math.nan
    chance = np.random.default_rng(config.seed)
    found = [
        completeness_maximum_curvature(
            chance.choice(magnitudes, magnitudes.size), config.width, config.correction
        )
        for _ in range(config.resamples)
    ]
    return float(np.std(found, ddof=1))


@dataclass(frozen=True)
class Intervals:
    """Times between successive events.

    Parameters
    ----------
    seconds : tuple of float
        One less than there are events.
    median, mean : float
        s; NaN of fewer than 2 events.
    variation : float
        Standard deviation over mean: 1 of a Poisson process, more of clusters, less of regular repetition; NaN of
        fewer than 3 events.
    """

    seconds: tuple[float, ...]
    median: float
    mean: float
    variation: float


def inter_event_times(times: FloatArray) -> Intervals:
    """Give the times between successive events.

    Parameters
    ----------
    times : ndarray (n,)
        Origin times in s, in any order.

    Returns
    -------
    Intervals
    """
    gaps = np.diff(np.sort(np.asarray(times, dtype=float)))
    if not gaps.size:
        return Intervals((), math.nan, math.nan, math.nan)
    mean = float(np.mean(gaps))
    variation = float(np.std(gaps, ddof=1)) / mean if gaps.size > 1 and mean > 0 else math.nan
    return Intervals(tuple(gaps.tolist()), float(np.median(gaps)), mean, variation)


def rates(times: FloatArray, start: float, end: float, width: float) -> tuple[FloatArray, IntArray]:
    """Count events in equal stretches of time.

    Parameters
    ----------
    times : ndarray (n,)
        Origin times in s.
    start, end : float
        What was searched, s; the last stretch ends at or after ``end``.
    width : float
        Of a stretch in s: 3600 for rates an hour, 86400 for rates a day.

    Returns
    -------
    edges : ndarray (m + 1,)
        s.
    counts : ndarray of int (m,)

    Raises
    ------
    InputError
        If the width is not positive or the end lies before the start.
    """
    if not width > 0 or not end >= start:
        raise InputError(
            f"rates need a positive width and an end after the start, found {width:g} s, {start} to {end}"
        )
    number = max(1, math.ceil((end - start) / width - 1e-9))
    edges = start + width * np.arange(number + 1)
    inside = np.asarray(times, dtype=float)
    inside = inside[(inside >= start) & (inside <= edges[-1])]
    place = np.minimum(((inside - start) / width).astype(np.int64), number - 1)
    return edges, np.bincount(place, minlength=number).astype(np.int64)
