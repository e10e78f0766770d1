"""Choose among windows that overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray

__all__ = ["best_combination", "best_schedule", "groups"]


def best_schedule(
    left: npt.NDArray[np.intp], right: npt.NDArray[np.intp], value: FloatArray
) -> npt.NDArray[np.intp]:
    """Weighted interval scheduling: the windows without overlap whose values add up to most.

    Windows may touch: one may start on the last sample of another. Dynamic programming over windows
    sorted by their end (Kleinberg & Tardos 2005, section 6.1); of equal sums the one with earlier windows
    is taken.

    Parameters
    ----------
    left, right : ndarray of int (n,)
        First and last sample.
    value : ndarray (n,)
        Not negative.

    Returns
    -------
    ndarray of int
        Numbers of the chosen windows, in order of time.
    """
    order = np.lexsort((left, right))
    ends = right[order]
    # Number of windows, in that order, that end no later than each one starts.
    before = np.searchsorted(ends, left[order], side="right")
    total = np.zeros(len(order) + 1)
    taken = np.zeros(len(order), dtype=bool)
    for place, number in enumerate(order):
        # A window cannot come before itself, not even one without length.
        with_it = value[number] + total[min(int(before[place]), place)]
        taken[place] = with_it > total[place]
        total[place + 1] = max(with_it, total[place])
    chosen = []
    place = len(order)
    while place > 0:
        if taken[place - 1]:
            chosen.append(order[place - 1])
            place = min(int(before[place - 1]), place - 1)
        else:
            place -= 1
    return np.array(chosen[::-1], dtype=np.intp)


def groups(left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """Windows that hang together by overlaps, of more than a sample, as numbers in the order of time."""
    order = np.lexsort((right, left))
    if not len(order):
        return []
    reach = np.maximum.accumulate(right[order])
    new = np.append(True, left[order][1:] >= reach[:-1])
    return [order[part] for part in np.split(np.arange(len(order)), np.flatnonzero(new)[1:])]


def best_combination(
    left: npt.NDArray[np.intp],
    right: npt.NDArray[np.intp],
    correlation: FloatArray,
    weights: tuple[float, float, float],
) -> npt.NDArray[np.intp]:
    """The windows without overlap with the best score, group by group of those that overlap (Maggi et al. 2009, 2.5).

    The score is the weighted mean of the coverage (length of the windows over that of the group), of their mean
    correlation, and of 1 - number / number in the group. For each number of windows both the first two are sums over
    windows, so the best are found exactly by dynamic programming; of equal scores the fewest, then the earliest.

    Parameters
    ----------
    left, right : ndarray of int (n,)
        First and last sample.
    correlation : ndarray (n,)
    weights : tuple of 3 float
        Of coverage, correlation, number.

    Returns
    -------
    ndarray of int
        Numbers of the chosen windows, in order of time.
    """
    chosen: list[npt.NDArray[np.intp]] = []
    for group in groups(left, right):
        span = right[group].max() - left[group].min()
        best, found = -np.inf, group[:0]
        for count in range(1, len(group) + 1):
            value = (
                weights[0] * (right[group] - left[group]) / max(span, 1)
                + weights[1] * correlation[group] / count
            )
            total, members = _so_many(left[group], right[group], value, count)
            score = total + weights[2] * (1 - count / len(group))
            if score > best + 1e-12:
                best, found = score, group[members]
        chosen.append(found)
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.intp)


def _so_many(
    left: npt.NDArray[np.intp], right: npt.NDArray[np.intp], value: FloatArray, count: int
) -> tuple[float, npt.NDArray[np.intp]]:
    """Exactly so many windows without overlap whose values add up to most; -inf if there are not as many."""
    order = np.lexsort((left, right))
    before = np.searchsorted(right[order], left[order], side="right")
    before = np.minimum(before, np.arange(len(order)))
    total = np.full((count + 1, len(order) + 1), -np.inf)
    total[0] = 0.0
    for place, number in enumerate(order):
        with_it = value[number] + total[:-1, before[place]]
        total[1:, place + 1] = np.maximum(total[1:, place], with_it)
    chosen, place = [], len(order)
    if not np.isfinite(total[count, place]):
        return -np.inf, np.zeros(0, dtype=np.intp)
    for left_over in range(count, 0, -1):
        while total[left_over, place - 1] == total[left_over, place]:
            place -= 1
        chosen.append(order[place - 1])
        place = int(before[place - 1])
    return float(total[count, len(order)]), np.array(chosen[::-1], dtype=np.intp)
