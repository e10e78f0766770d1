"""Where a synthetic has energy: short over long term average of its envelope, its peaks and troughs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.fourier import irfft, next_fast_len, rfft

__all__ = ["envelope", "extrema", "short_over_long"]

FLOOR = 1e-5
"""Level, of the largest envelope, that is added everywhere and stands before the first sample."""
LONG = 12.0
"""Ratio of the long to the short averaging time."""


def envelope(traces: FloatArray) -> FloatArray:
    """Modulus of the analytic signal of traces with as many zeros behind them, shape (..., nt)."""
    samples = traces.shape[-1]
    padded = int(next_fast_len(2 * samples, real=True))
    spectrum = rfft(traces, padded)
    spectrum[..., 0] = 0.0
    if padded % 2 == 0:
        spectrum[..., -1] = 0.0
    quadrature = irfft(-1j * spectrum, padded)[..., :samples]
    return np.asarray(np.hypot(traces, quadrature))


def short_over_long(traces: FloatArray, interval: float, shortest_period: float) -> FloatArray:
    """E(t), the ratio of recursive short and long term averages of the envelope (Maggi et al. 2009, eqs 1-3).

    S_k = C_s S_(k-1) + e_k with C_s = 10^(-dt/T), L_k alike with 12 T. Before the trace stands its floor
    for ever, so the ratio starts at its value for a constant whatever the sampling interval.

    Parameters
    ----------
    traces : ndarray (..., nt)
        None all zero.
    interval, shortest_period : float
        s.

    Returns
    -------
    ndarray (..., nt)
    """
    from scipy.signal import lfilter  # takes a second, which `seisflow status` need not wait

    height = envelope(traces)
    floor = FLOOR * height.max(axis=-1, keepdims=True)
    height += floor
    averages = []
    for time in (shortest_period, LONG * shortest_period):
        decay = 10 ** (-interval / time)
        before = floor / (1 - decay)
        averages.append(lfilter([1.0], [1.0, -decay], height, zi=decay * before)[0])
    return np.asarray(averages[0] / averages[1])


def extrema(values: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the local maxima and minima along the last axis; of a plateau the first sample, of the ends none.

    Parameters
    ----------
    values : ndarray (..., nt)

    Returns
    -------
    tuple of 2 ndarray of int
        Peaks and troughs, as places in the flattened array.
    """
    change = np.diff(values)
    if (change == 0).any():
        rows = values.reshape(-1, values.shape[-1])
        found = [_with_plateaus(row) for row in rows]
        peaks, troughs = (
            np.concatenate([each[kind] + row * values.shape[-1] for row, each in enumerate(found)])
            for kind in (0, 1)
        )
        return peaks, troughs
    up = np.zeros(values.shape, dtype=bool)  # whether the value rises to the next sample
    up[..., :-1] = change > 0
    turn = np.zeros(values.shape, dtype=bool)
    turn[..., 1:-1] = up[..., 1:-1] != up[..., :-2]
    places = np.flatnonzero(turn)
    top = ~up.ravel()[places]
    return places[top], places[~top]


def _with_plateaus(values: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    change = np.flatnonzero(np.diff(values) != 0)
    # Each run of equal samples ends where the value changes; it is an extremum if the signs around it differ.
    signs = np.sign(np.diff(values)[change])
    starts = change[:-1] + 1
    return starts[(signs[:-1] > 0) & (signs[1:] < 0)], starts[(signs[:-1] < 0) & (signs[1:] > 0)]
