"""How a catalog compares with a reference: pairs of the same earthquake, what was missed, what is new."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from seisflow.domain import Catalog, FloatArray
from seisflow.errors import InputError

__all__ = [
    "Comparison",
    "Difference",
    "RecallBin",
    "compare",
    "comparison_text",
    "magnitudes",
    "recall_by",
    "wilson_interval",
]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """How found and reference differ in one quantity: found minus reference, over the pairs.

    Parameters
    ----------
    name, unit : str
    count : int
        Pairs in which both have it.
    bias : float
        Mean.
    median : float
    spread : float
        Half of the range from 16 to 84 percent: the standard deviation of a normal distribution, deaf to outliers.
    p5, p95 : float
        Percentiles.
    """

    name: str
    unit: str
    count: int
    bias: float
    median: float
    spread: float
    p5: float
    p95: float


@dataclass(frozen=True)
class RecallBin:
    """Recall of the reference events between two values, with its 95 % interval (Wilson 1927)."""

    low: float
    high: float
    matched: int
    count: int
    interval: tuple[float, float]

    @property
    def recall(self) -> float:
        """Share that was found; NaN in an empty bin."""
        return self.matched / self.count if self.count else float("nan")


@dataclass(frozen=True, eq=False)
class Comparison:
    """A found catalog against a reference.

    Parameters
    ----------
    found, reference : Catalog
    max_time : float
        Largest difference of the origin times of a pair, s.
    max_distance : float
        Largest distance of the epicentres of a pair, m.
    pairs : ndarray of int (n, 2)
        Number in found, number in reference; in the order of the reference.
    missed : ndarray of int
        Numbers in the reference of what was searched for and not found.
    extra : ndarray of int
        Numbers in found of what the reference covers and does not have.
    reference_places : ndarray (n, 3)
        x, y, z of the reference in the projection of found, m.
    """

    found: Catalog
    reference: Catalog
    max_time: float
    max_distance: float
    pairs: IntArray
    missed: IntArray
    extra: IntArray
    reference_places: FloatArray

    @property
    def recall(self) -> float:
        """Share of the reference that was found, of what lies in the time that was searched; NaN without any."""
        total = len(self.pairs) + self.missed.size
        return len(self.pairs) / total if total else float("nan")

    @property
    def precision(self) -> float:
        """Share of found that the reference has, of what lies in its time; NaN without any.

        A reference that is not complete makes this too small: an extra detection may be an earthquake.
        """
        total = len(self.pairs) + self.extra.size
        return len(self.pairs) / total if total else float("nan")

    @property
    def time_differences(self) -> FloatArray:
        """Origin time of found minus reference, s, per pair."""
        differences: FloatArray = self.found.times[self.pairs[:, 0]] - self.reference.times[self.pairs[:, 1]]
        return differences

    @property
    def place_differences(self) -> FloatArray:
        """x, y, z of found minus reference, m, shape (pairs, 3)."""
        differences: FloatArray = (
            self.found.places[self.pairs[:, 0]] - self.reference_places[self.pairs[:, 1]]
        )
        return differences

    @property
    def distances(self) -> FloatArray:
        """Distance of the epicentres, m, per pair."""
        away = self.place_differences
        return np.asarray(np.hypot(away[:, 0], away[:, 1]))

    @property
    def magnitude_differences(self) -> FloatArray:
        """Magnitude of found minus reference per pair; NaN where one has none."""
        found, reference = magnitudes(self.found), magnitudes(self.reference)
        differences: FloatArray = found[self.pairs[:, 0]] - reference[self.pairs[:, 1]]
        return differences

    def differences(self) -> list[Difference]:
        """Statistics of the differences in time, east, north, horizontal distance, depth and magnitude.

        A quantity that no pair has is left out.
        """
        away = self.place_differences
        values = [
            ("time", "s", self.time_differences),
            ("east", "m", away[:, 0]),
            ("north", "m", away[:, 1]),
            ("horizontal distance", "m", self.distances),
            ("depth", "m", away[:, 2]),
            ("magnitude", "", self.magnitude_differences),
        ]
        return [_difference(name, unit, column) for name, unit, column in values if np.isfinite(column).any()]


def magnitudes(catalog: Catalog) -> FloatArray:
    """Give the magnitudes of a catalog.

    Parameters
    ----------
    catalog : Catalog

    Returns
    -------
    ndarray (n,)
        NaN where there is none.
    """
    return np.array([np.nan if each.magnitude is None else each.magnitude.value for each in catalog])


def _difference(name: str, unit: str, column: FloatArray) -> Difference:
    values = column[np.isfinite(column)]
    p5, p16, p50, p84, p95 = (float(p) for p in np.percentile(values, [5, 15.865, 50, 84.135, 95]))
    return Difference(name, unit, values.size, float(np.mean(values)), p50, (p84 - p16) / 2, p5, p95)


def compare(found: Catalog, reference: Catalog, max_time: float, max_distance: float) -> Comparison:
    """Match two catalogs one to one.

    Two events may be a pair if their origin times differ by at most ``max_time`` and their epicentres by at most
    ``max_distance``; depth, the least certain, is compared but does not decide. Of all such pairs the nearest one, by
    (dt / max_time)^2 + (distance / max_distance)^2, is taken first, then the nearest of those whose members are still
    free, and so on; ties go to the earlier event. What lies outside the time that the other catalog covers counts
    neither as missed nor as extra.

    Parameters
    ----------
    found, reference : Catalog
        With any projections; distances are measured in that of ``found``.
    max_time : float
        s.
    max_distance : float
        m.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If a limit is not positive.
    """
    if not (max_time > 0 and max_distance > 0):
        raise InputError(
            f"max_time = {max_time:g} s and max_distance = {max_distance:g} m must be positive; events further apart "
            "are not the same"
        )
    places = _places_in(reference, found)
    first, second, cost = _candidates(found, reference.times, places, max_time, max_distance)
    free = np.ones(len(found), bool), np.ones(len(reference), bool)
    pairs = []
    for number in np.lexsort((second, first, cost)):
        i, j = int(first[number]), int(second[number])
        if free[0][i] and free[1][j]:
            free[0][i] = free[1][j] = False
            pairs.append((i, j))
    pairs.sort(key=lambda pair: (pair[1], pair[0]))
    missed = np.flatnonzero(free[1] & _within(reference.times, found))
    extra = np.flatnonzero(free[0] & _within(found.times, reference))
    matched = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Comparison(found, reference, max_time, max_distance, matched, missed, extra, places)


def _places_in(catalog: Catalog, other: Catalog) -> FloatArray:
    """x, y, z of a catalog in the projection of another."""
    places = catalog.places
    if catalog.projection != other.projection and len(places):
        geographic = catalog.projection.to_geographic_many(places[:, 0], places[:, 1])
        x, y = other.projection.to_local_many(*geographic)
        places = np.column_stack([x, y, places[:, 2]])
    return places


def _within(times: FloatArray, catalog: Catalog) -> npt.NDArray[np.bool_]:
    """Which times a catalog covers; all, where it does not say."""
    if not (np.isfinite(catalog.start) and np.isfinite(catalog.end)):
        return np.ones(times.shape, bool)
    return np.asarray((times >= catalog.start) & (times <= catalog.end), bool)


def _candidates(
    found: Catalog, times: FloatArray, places: FloatArray, max_time: float, max_distance: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """Numbers in found and reference of all that may be pairs, and how far apart they are."""
    margin = max_time * (1 + 1e-6)
    low = np.searchsorted(found.times, times - margin, "left")
    high = np.searchsorted(found.times, times + margin, "right")
    counts = high - low
    second = np.repeat(np.arange(times.size), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(low, counts) + within
    away = found.places[first, :2] - places[second, :2]
    late = np.abs(found.times[first] - times[second])
    distance = np.hypot(away[:, 0], away[:, 1])
    near = (late <= max_time) & (distance <= max_distance)
    cost = (late / max_time) ** 2 + (distance / max_distance) ** 2
    return first[near], second[near], cost[near]


def wilson_interval(matched: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); 0 to 1 of nothing.

    Parameters
    ----------
    matched, count : int

    Returns
    -------
    tuple of 2 float
    """
    if count == 0:
        return 0.0, 1.0
    z = 1.959964
    share, squared = matched / count, z**2 / count
    middle = (share + squared / 2) / (1 + squared)
    half = z / (1 + squared) * np.sqrt(share * (1 - share) / count + squared / (4 * count))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def recall_by(comparison: Comparison, values: FloatArray, bins: int = 6) -> list[RecallBin]:
    """Recall against a quantity of the reference events, in bins that hold about as many events each.

    Parameters
    ----------
    comparison : Comparison
    values : ndarray (reference events,)
        Such as magnitude or coalescence; events with NaN are left out.
    bins : int
        At most.

    Returns
    -------
    list of RecallBin
        Ascending; none if no reference event in the time searched has a value.

    Raises
    ------
    InputError
        If there is not one value for each reference event, or no bin is asked for.
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (len(comparison.reference),) or bins < 1:
        raise InputError(
            f"recall needs a value for each of {len(comparison.reference)} reference events and at least 1 bin; "
            f"found {values.shape} and {bins}"
        )
    hit = comparison.pairs[:, 1]
    numbers = np.concatenate([hit, comparison.missed])
    matched = np.concatenate([np.ones(hit.size, bool), np.zeros(comparison.missed.size, bool)])
    known = np.isfinite(values[numbers])
    sizes, matched = values[numbers[known]], matched[known]
    if not sizes.size:
        return []
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, bins + 1)))
    if edges.size == 1:
        edges = np.array([edges[0], edges[0]])
    place = np.clip(np.searchsorted(edges, sizes, "right") - 1, 0, edges.size - 2)
    found = []
    for number, (low, high) in enumerate(pairwise(edges)):
        inside = place == number
        hits, count = int(matched[inside].sum()), int(inside.sum())
        found.append(RecallBin(float(low), float(high), hits, count, wilson_interval(hits, count)))
    return found


def comparison_text(comparison: Comparison) -> str:
    """Tell a comparison in aligned lines for a terminal.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        Several lines, without a last line feed.
    """
    matched, missed, extra = len(comparison.pairs), comparison.missed.size, comparison.extra.size
    lines = [
        f"{matched} pairs within {comparison.max_time:g} s and {comparison.max_distance:g} m",
        f"recall     {_share(comparison.recall)}  {matched} of {matched + missed} reference events found, "
        f"{missed} missed",
        f"precision  {_share(comparison.precision)}  {matched} of {matched + extra} detections in the reference, "
        f"{extra} extra",
    ]
    outside = len(comparison.reference) - matched - missed, len(comparison.found) - matched - extra
    if any(outside):
        lines.append(
            f"not counted: {outside[0]} reference events outside the time searched, {outside[1]} detections outside "
            "that of the reference"
        )
    rows: list[tuple[str, ...]] = [("found - reference", "pairs", "bias", "median", "spread", "5 %", "95 %")]
    for each in comparison.differences():
        numbers = (f"{value:.4g}" for value in (each.bias, each.median, each.spread, each.p5, each.p95))
        rows.append((f"{each.name} ({each.unit})" if each.unit else each.name, str(each.count), *numbers))
    if len(rows) > 1:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines.append("")
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells))
    return "\n".join(lines)


def _share(value: float) -> str:
    return "    - " if np.isnan(value) else f"{100 * value:5.1f} %"
