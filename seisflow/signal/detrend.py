"""Take off mean and slope."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray

__all__ = ["Detrend"]


class Detrend:
    """Remove the straight line that fits best (least squares): an orthogonal projection, its own transpose.

    Parameters
    ----------
    samples : int
        Of a trace.
    """

    def __init__(self, samples: int) -> None:
        line = np.linspace(-1.0, 1.0, samples)
        self.basis = np.stack([np.full(samples, samples**-0.5), line / np.sqrt(np.sum(line**2))])

    def apply(self, data: FloatArray) -> FloatArray:
        """Subtract the line."""
        return np.asarray(data - (data @ self.basis.T) @ self.basis)

    def transpose(self, data: FloatArray) -> FloatArray:
        """Do the same as ``apply``."""
        return self.apply(data)
