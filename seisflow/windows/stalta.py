"""Where a synthetic has energy: short over long term average of its envelope, its peaks and troughs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len

from seisflow.domain import FloatArray

__all__ = ["envelope", "extrema", "short_over_long"]

FLOOR = 1e-5
"""Level, of the largest envelope, that is added everywhere and stands before the first sample."""
LONG = 12.0
"""Ratio of the long to the short averaging time."""


def envelope(trace: FloatArray) -> FloatArray:
    """Modulus of the analytic signal of the trace with as many zeros behind it, shape (nt,)."""
    from scipy.signal import hilbert  # takes a second, which `seisflow status` need not wait

    samples = len(trace)
    return np.asarray(np.abs(hilbert(trace, int(next_fast_len(2 * samples)))[:samples]))


def short_over_long(trace: FloatArray, interval: float, shortest_period: float) -> FloatArray:
    """E(t), the ratio of recursive short and long term averages of the envelope (Maggi et al. 2009, eqs 1-3).

    S_k = C_s S_(k-1) + e_k with C_s = 10^(-dt/T), L_k alike with 12 T. Before the trace stands its floor
    for ever, so the ratio starts at its value for a constant whatever the sampling interval.

    Parameters
    ----------
    trace : ndarray (nt,)
        Not all zero.
    interval, shortest_period : float
        s.

    Returns
    -------
    ndarray (nt,)
    """
    from scipy.signal import lfilter

    height = envelope(trace)
    floor = FLOOR * height.max()
    height = height + floor
    averages = []
    for time in (shortest_period, LONG * shortest_period):
        decay = 10 ** (-interval / time)
        before = floor / (1 - decay)
        averages.append(lfilter([1.0], [1.0, -decay], height, zi=[decay * before])[0])
    return np.asarray(averages[0] / averages[1])


def extrema(values: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the local maxima and minima; of a plateau the first sample, of the ends none.

    Returns
    -------
    tuple of 2 ndarray of int
        Peaks and troughs.
    """
    change = np.flatnonzero(np.diff(values) != 0)
    # Each run of equal samples ends where the value changes; it is an extremum if the signs around it differ.
    signs = np.sign(np.diff(values)[change])
    starts = change[:-1] + 1
    return starts[(signs[:-1] > 0) & (signs[1:] < 0)], starts[(signs[:-1] < 0) & (signs[1:] > 0)]
