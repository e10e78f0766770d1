"""Correction for time steps of second order (Koene et al. 2018).

The leapfrog scheme turns d/dt into (2 i / dt) sin(omega dt / 2): at frequency omega it answers as the equations do at
Omega = (2 / dt) sin(omega dt / 2). So a source whose spectrum is moved from Omega to omega before the run, and
seismograms whose spectrum is moved back after it, are free of the error of the time steps, whatever the medium. Both
moves are linear; the adjoint uses their transposes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.fourier import irfft, next_fast_len, rfft, rfftfreq

__all__ = ["TimeDispersion"]

_NEGLIGIBLE = 1e-13
_AT_ONCE = 64


class TimeDispersion:
    """Moves the spectrum of time series between frequencies of the scheme and of the equations.

    The output has at each frequency what the input has at a slightly other one. The factor exp(-i shift t) between
    both is a short sum of products of functions of frequency and of time (Jacobi-Anger expansion), each of which is a
    multiplication before a Fourier transform.

    Parameters
    ----------
    times : ndarray (n,)
        Regular, s.
    highest : float
        Hz; what lies above is set to zero.
    forward : bool
        True for sources (from the equations to the scheme), False for seismograms (back).
    tail : int
        Samples at the end of the input that are tapered.
    """

    def __init__(self, times: FloatArray, highest: float, *, forward: bool, tail: int = 0) -> None:
        from scipy.special import jv  # imported late, see ``seisflow.fourier``

        count, step = times.size, float(times[1] - times[0])
        self.count, self.length = count, next_fast_len(2 * count, real=True)
        wanted = 2 * np.pi * rfftfreq(self.length, step)
        inside = wanted <= min(2 * np.pi * highest, 1.9 / step)
        omega = np.where(inside, wanted, 0.0)
        found = 2 / step * (np.sin(omega * step / 2) if forward else np.arcsin(omega * step / 2))
        shift = found - omega
        middle, half = 0.5 * (times[0] + times[-1]), 0.5 * (times[-1] - times[0])
        # the transform sees times from the first sample on: only the shift knows the true ones
        self.start = inside * np.exp(-1j * shift * middle)
        self.argument = shift * half
        terms = int(np.abs(self.argument).max()) + 10
        while np.abs(jv(terms, self.argument)).max() > _NEGLIGIBLE:
            terms += 5
        self.terms = terms
        self.taper = np.ones(count)
        if tail:
            self.taper[-tail:] = np.cos(0.5 * np.pi * (np.arange(tail) + 1) / (tail + 1)) ** 2
        self.place = np.arccos(np.clip((times - middle) / half, -1, 1))

    @cached_property
    def _sum(self) -> list[tuple[FloatArray, npt.NDArray[np.complex128]]]:
        from scipy.special import jv

        return [
            (
                self.taper * np.cos(term * self.place),
                self.start * (2 if term else 1) * (-1j) ** term * jv(term, self.argument),
            )
            for term in range(self.terms + 1)
        ]

    def apply(self, data: FloatArray) -> FloatArray:
        """Move the spectra of series (..., n)."""
        return self._by_rows(data, self._apply)

    def transpose(self, data: FloatArray) -> FloatArray:
        """The transpose of ``apply``, for adjoint sources."""
        return self._by_rows(data, self._transpose)

    def _by_rows(self, data: FloatArray, move: Callable[[FloatArray], FloatArray]) -> FloatArray:
        rows = data.reshape(-1, self.count)
        moved = [move(rows[first : first + _AT_ONCE]) for first in range(0, len(rows), _AT_ONCE)]
        return np.concatenate(moved).reshape(data.shape)

    def _apply(self, data: FloatArray) -> FloatArray:
        spectrum = sum(factor * rfft(wave * data, self.length) for wave, factor in self._sum)
        result: FloatArray = irfft(spectrum, self.length)[..., : self.count]
        return result

    def _transpose(self, data: FloatArray) -> FloatArray:
        spectrum, total = rfft(data, self.length), np.zeros_like(data, dtype=np.float64)
        for wave, factor in self._sum:
            total += wave * irfft(np.conj(factor) * spectrum, self.length)[..., : self.count]
        return total
