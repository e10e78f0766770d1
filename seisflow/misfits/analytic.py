"""Envelope and phase of a stretch of seismogram, with what carries derivatives back to its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.fourier import fft, ifft, next_fast_len

__all__ = ["ComplexArray", "Unit", "analytic", "analytic_back"]

ComplexArray = npt.NDArray[np.complex128]
"""A derivative by a complex number z is kept as g = dJ/d(Re z) + i dJ/d(Im z), so that dJ = Re(conj(g) dz)."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A stretch of seismogram divided by its root mean square: what is made of it knows no amplitude.

    Parameters
    ----------
    values : ndarray (n,)
    size : float
        The root mean square.
    """

    values: FloatArray
    size: float

    @classmethod
    def of(cls, samples: FloatArray) -> Unit:
        """Scale samples that are not all zero."""
        size = float(np.linalg.norm(samples) / np.sqrt(len(samples)))
        return cls(samples / size, size)

    def back(self, derivative: FloatArray) -> FloatArray:
        """From dJ/d(scaled sample) to dJ/d(sample), shape (n,)."""
        along = float(np.mean(derivative * self.values))
        return (derivative - along * self.values) / self.size


@lru_cache(maxsize=64)
def _one_sided(samples: int) -> FloatArray:
    """Gain that leaves twice the positive frequencies, of a stretch with as many zeros behind it."""
    padded = int(next_fast_len(2 * samples))
    gain = np.zeros(padded)
    gain[0] = 1.0
    gain[1 : (padded + 1) // 2] = 2.0
    if padded % 2 == 0:
        gain[padded // 2] = 1.0
    return gain


def analytic(samples: FloatArray) -> ComplexArray:
    """The samples plus i times their Hilbert transform, shape (n,)."""
    gain = _one_sided(len(samples))
    return np.asarray(ifft(gain * fft(samples, len(gain)))[: len(samples)])


def analytic_back(derivative: ComplexArray) -> FloatArray:
    """From dJ/d(analytic signal) to dJ/d(sample): the transpose of ``analytic``, shape (n,)."""
    gain = _one_sided(len(derivative))
    return np.asarray(ifft(gain * fft(derivative, len(gain)))[: len(derivative)].real)
