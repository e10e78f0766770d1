"""Let the ends of a trace fade."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError

__all__ = ["Taper", "hann_taper"]


def hann_taper(samples: int, fraction: float) -> FloatArray:
    """Ones with half a Hann bell at each end.

    Parameters
    ----------
    samples : int
    fraction : float
        Of the length that each end takes, 0 to 0.5. The first and last value are 0 if any sample is tapered.

    Returns
    -------
    ndarray (samples,)
    """
    if not 0 <= fraction <= 0.5:
        raise InputError(f"taper fraction {fraction}: each end may take 0 to 0.5 of the trace")
    length = int(np.floor(fraction * samples))
    taper = np.ones(samples)
    if length:
        ramp = 0.5 * (1 - np.cos(np.pi * np.arange(length) / length))
        taper[:length] = ramp
        taper[samples - length :] = ramp[::-1]
    return taper


class Taper:
    """Multiply by a Hann taper: diagonal, its own transpose.

    Parameters
    ----------
    samples : int
        Of a trace.
    fraction : float
        Of the trace tapered at each end.
    """

    def __init__(self, samples: int, fraction: float) -> None:
        self.values = hann_taper(samples, fraction)

    def apply(self, data: FloatArray) -> FloatArray:
        """Fade the ends."""
        return np.asarray(data * self.values)

    def transpose(self, data: FloatArray) -> FloatArray:
        """Do the same as ``apply``."""
        return self.apply(data)
