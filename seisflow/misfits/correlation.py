"""The cross-correlation of two stretches of seismogram as a smooth function of the lag."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray
from seisflow.fourier import irfft, next_fast_len, rfft, rfftfreq
from seisflow.misfits.analytic import ComplexArray

__all__ = ["Correlation"]

FINER = 4
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
        self.squares = self.omega**2
        self.first, self.second = rfft(first, self.padded), rfft(second, self.padded)
        # at the Nyquist frequency a shift by a fraction of a sample has no meaning
        self.first[-1] = self.second[-1] = 0.0
        self.cross = np.conj(self.first) * self.second

    def derivatives(self, lag: float) -> tuple[float, float, float]:
        """Give C and its first and second derivative at a lag in s."""
        terms = self.cross * np.exp(1j * self.omega * lag)
        scale = 2 / self.padded
        return (
            float(scale * (terms.real.sum() - 0.5 * terms[0].real)),
            float(-scale * np.dot(self.omega, terms.imag)),
            float(-scale * np.dot(self.squares, terms.real)),
        )

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
        return float(2 / self.padded * np.dot(self.squares, _power(self.first)))

    def period(self) -> float:
        """Dominant period of the second in s: 2 pi over the root of its mean squared frequency."""
        power = _power(self.second)
        return float(2 * np.pi * np.sqrt(power.sum() / np.dot(self.squares, power)))

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
        peaks = np.flatnonzero((middle > 0) & (middle >= values[:-2]) & (middle >= values[2:]))
        if not len(peaks):
            return None
        guess = float(lags[1 + peaks[middle[peaks].argmax()]] * step)
        return self._stationary(guess, step)

    def _stationary(self, guess: float, step: float) -> float | None:
        lag = guess
        for _ in range(ITERATIONS):
            _, slope, curvature = self.derivatives(lag)
            if curvature >= 0 or abs(lag - guess) > 2 * step:
                return None
            change = -slope / curvature
            lag += change
            if abs(change) < 1e-11 * self.interval:
                return lag
        return None


def _power(spectrum: ComplexArray) -> FloatArray:
    return np.asarray(spectrum.real**2 + spectrum.imag**2)
