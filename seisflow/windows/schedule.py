"""Choose among windows that overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray

__all__ = ["best_schedule"]


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
