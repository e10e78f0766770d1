"""The cross-correlation of two stretches of seismogram as a smooth function of the lag."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from seisflow.domain import FloatArray

__all__ = ["Correlation"]

FINER = 8
"""Lags per sample among which the largest correlation is looked for before Newton's method."""
ITERATIONS = 50


class Correlation:
    """C(lag) = sum over t of first(t) second(t + lag).

    Between samples both are their trigonometric interpolation on the zero-padded stretch, so C and its
    derivatives are exact for every lag, and C is linear in each sample of both.

    Parameters
    ----------
    first, second : ndarray (n,), (m,)
        Tapered; t counts from the first sample of each.
    interval : float
        s.
    """

    def __init__(self, first: FloatArray, second: FloatArray, interval: float) -> None:
        self.lengths, self.interval = (len(first), len(second)), interval
        self.padded = 2 * int(next_fast_len(max(self.lengths), real=True))
        self.omega = 2 * np.pi * rfftfreq(self.padded, interval)
        self.first, self.second = rfft(first, self.padded), rfft(second, self.padded)
        # at the Nyquist frequency a shift by a fraction of a sample has no meaning
        self.first[-1] = self.second[-1] = 0.0
        self.cross = np.conj(self.first) * self.second

    def derivative(self, lag: float, order: int) -> float:
        """Give the derivative of C of that order (0, 1, 2) at a lag in s."""
        terms = self.cross * (1j * self.omega) ** order * np.exp(1j * self.omega * lag)
        return float((terms[0].real + 2 * np.sum(terms[1:].real)) / self.padded)

    def second_slope(self, lag: float) -> FloatArray:
        """second'(t + lag) at the samples of the first, shape (n,)."""
        spectrum = self.second * 1j * self.omega * np.exp(1j * self.omega * lag)
        return np.asarray(irfft(spectrum, self.padded)[: self.lengths[0]])

    def first_slope(self, lag: float) -> FloatArray:
        """first'(t - lag) at the samples of the second, shape (m,)."""
        spectrum = self.first * 1j * self.omega * np.exp(-1j * self.omega * lag)
        return np.asarray(irfft(spectrum, self.padded)[: self.lengths[1]])

    def slope_energy(self) -> float:
        """Sum of first'(t)^2 in 1/s^2."""
        return float(2 * np.sum(np.abs(self.first * self.omega) ** 2) / self.padded)

    def period(self) -> float:
        """Dominant period of the second in s: 2 pi over the root of its mean squared frequency."""
        power = np.abs(self.second) ** 2
        return float(2 * np.pi * np.sqrt(power.sum() / np.sum(power * self.omega**2)))

    def best_lag(self, first: float = -np.inf, last: float = np.inf) -> float | None:
        """Lag in s, from ``first`` to ``last``, of the highest local maximum of C; None if there is none."""
        fine = irfft(self.cross, FINER * self.padded) * FINER
        step, most = self.interval / FINER, len(fine) // 2 - 2
        low, high = max(first / step, -most), min(last / step, most)
        ends = int(np.ceil(low)), int(np.floor(high))
        if ends[0] > ends[1]:
            return None
        lags = np.arange(ends[0] - 1, ends[1] + 2)
        values = fine[lags]
        middle = values[1:-1]
        peaks = (middle > 0) & (middle >= values[:-2]) & (middle >= values[2:])
        if not peaks.any():
            return None
        guess = float(lags[1:-1][peaks][np.argmax(middle[peaks])] * step)
        return self._stationary(guess, step)

    def _stationary(self, guess: float, step: float) -> float | None:
        lag = guess
        for _ in range(ITERATIONS):
            curvature = self.derivative(lag, 2)
            if curvature >= 0 or abs(lag - guess) > 2 * step:
                return None
            change = -self.derivative(lag, 1) / curvature
            lag += change
            if abs(change) < 1e-11 * self.interval:
                return lag
        return None
