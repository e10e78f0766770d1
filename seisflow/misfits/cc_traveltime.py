"""Travel-time difference by cross-correlation, to a fraction of a sample, with its exact derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from seisflow.domain import FloatArray, Measurement, Window
from seisflow.errors import InputError, PhysicsError
from seisflow.misfits.base import full_trace, window_slice
from seisflow.signal.taper import hann_taper

__all__ = ["CCTraveltime", "CCTraveltimeConfig"]

FINER = 8
"""Lags per sample among which the largest correlation is looked for before Newton's method."""
ITERATIONS = 50


@dataclass(frozen=True)
class CCTraveltimeConfig:
    """Settings of the cross-correlation travel-time misfit.

    Parameters
    ----------
    kind : "cc_traveltime"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    sigma : float
        Standard error of a travel time in s; the misfit counts in units of it.
    max_shift : float, optional
        Largest lag in s that is looked at; if left out, half a dominant period around that of the selection.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["cc_traveltime"] = "cc_traveltime"
    taper: float = 0.3
    sigma: float = 1.0
    max_shift: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.taper <= 1:
            raise InputError(f"taper = {self.taper}: the fraction of the window that is tapered, 0 to 1")
        if not self.sigma > 0:
            raise InputError(f"sigma = {self.sigma} s: must be positive")
        if self.max_shift is not None and not self.max_shift > 0:
            raise InputError(f"max_shift = {self.max_shift} s: must be positive, or left out")


class Correlation:
    """C(lag) = sum over t of s(t) d(t + lag), as a smooth function of the lag.

    Between samples d is its trigonometric interpolation on the zero-padded window, so C and its derivatives
    are exact for every lag and C is linear in each sample of s.

    Parameters
    ----------
    synthetic, observed : ndarray (n,)
        Tapered windows s and d.
    interval : float
        s.
    """

    def __init__(self, synthetic: FloatArray, observed: FloatArray, interval: float) -> None:
        self.samples, self.interval = len(synthetic), interval
        self.padded = 2 * int(next_fast_len(self.samples, real=True))
        self.omega = 2 * np.pi * rfftfreq(self.padded, interval)
        self.observed = rfft(observed, self.padded)
        self.observed[-1] = 0.0  # at the Nyquist frequency a shift by a fraction of a sample has no meaning
        self.cross = np.conj(rfft(synthetic, self.padded)) * self.observed

    def derivative(self, lag: float, order: int) -> float:
        """Give the derivative of C of that order (0, 1, 2) at a lag in s."""
        terms = self.cross * (1j * self.omega) ** order * np.exp(1j * self.omega * lag)
        return float((terms[0].real + 2 * np.sum(terms[1:].real)) / self.padded)

    def observed_slope(self, lag: float) -> FloatArray:
        """d'(t + lag) at the samples of the window, shape (n,)."""
        spectrum = self.observed * 1j * self.omega * np.exp(1j * self.omega * lag)
        return np.asarray(irfft(spectrum, self.padded)[: self.samples])

    def period(self) -> float:
        """Dominant period of the observed in s: 2 pi over the root of its mean squared frequency."""
        power = np.abs(self.observed) ** 2
        return float(2 * np.pi * np.sqrt(power.sum() / np.sum(power * self.omega**2)))

    def best_lag(self, first: float, last: float) -> float | None:
        """Lag in s, from ``first`` to ``last``, of the highest local maximum of C; None if there is none."""
        fine = irfft(self.cross, FINER * self.padded) * FINER
        step, most = self.interval / FINER, len(fine) // 2 - 2
        ends = max(int(np.ceil(first / step)), -most), min(int(last / step), most)
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


class CCTraveltime:
    """J = weight / 2 * (T / sigma)^2, T the lag of the largest correlation, positive if observed is late.

    It is looked for within half a dominant period of the lag that the window was selected with: farther off lie the
    peaks of other cycles.

    T is the stationary point of the interpolated correlation of the tapered windows, so its derivative
    follows from sum s(t) d'(t + T) = 0: dT/ds(t) = -d'(t + T) / sum s d''(t + T). The usual source, with s'
    for d' (Tromp, Tape & Liu 2005, eq. 45), is its limit for waveforms that differ by a shift only.
    """

    def __init__(self, config: CCTraveltimeConfig) -> None:
        self.config = config

    def measure(
        self, observed: FloatArray, synthetic: FloatArray, window: Window, start: float, interval: float
    ) -> tuple[Measurement, FloatArray]:
        """Measure one window; see ``Misfit.measure``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window, or the correlation has no maximum within ``max_shift``.
        """
        span = window_slice(window, start, interval, len(synthetic))
        length = span.stop - span.start
        taper = hann_taper(length, self.config.taper / 2)
        s, d = taper * synthetic[span], taper * observed[span]
        energies = float(np.sum(s**2)), float(np.sum(d**2))
        where = f"{window.station}.{window.component} from {window.start:g} to {window.end:g} s"
        if min(energies) == 0:
            name = "synthetic" if energies[0] == 0 else "observed"
            raise PhysicsError(f"{name} {where} is zero: it has no travel time; take the window out")
        # Scaled to unit energy: squares of metres would come near the smallest numbers.
        s, d = s / energies[0] ** 0.5, d / energies[1] ** 0.5
        correlation = Correlation(s, d, interval)
        largest = min(self.config.max_shift or np.inf, interval * (length - 1))
        half = 0.5 * correlation.period()  # the next peak, a period off, is another cycle
        first, last = max(window.shift - half, -largest), min(window.shift + half, largest)
        lag = correlation.best_lag(first, last)
        if lag is None:
            raise PhysicsError(
                f"observed and synthetic {where} have no largest correlation at a lag from {first:.3g} to "
                f"{last:.3g} s; take the window out or raise max_shift"
            )
        outer = window.weight / self.config.sigma**2
        curvature = correlation.derivative(lag, 2) * energies[0] ** 0.5
        slope = -taper * correlation.observed_slope(lag) / (curvature * interval)
        dlna = 0.5 * float(np.log(energies[1] / energies[0]))
        row = Measurement(window, 0.5 * outer * lag**2, lag, dlna, correlation.derivative(lag, 0))
        return row, full_trace(outer * lag * slope, span, len(synthetic))
