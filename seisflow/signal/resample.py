"""From one time axis to another: band-limited interpolation with the anti-alias filter in it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import FloatArray
from seisflow.signal.config import TimeAxis

if TYPE_CHECKING:  # imported late, see ``seisflow.fourier``
    from scipy.sparse import csr_array

__all__ = ["Resample"]

LOBES = 16
"""Zero crossings of the kernel kept on each side."""
CUTOFF = 0.8
"""Cut-off as a fraction of the lower of the two Nyquist frequencies."""
BETA = 8.0
"""Of the Kaiser window: side lobes under -80 dB."""


class Resample:
    """Windowed-sinc interpolation onto other times (Smith & Gossett 1984), a sparse matrix.

    The kernel is a low pass with its -6 dB point at 0.8 of the lower Nyquist frequency of the two axes.
    Samples outside the input are zero.

    Parameters
    ----------
    given, wanted : TimeAxis
        Of the samples that go in and come out.
    """

    def __init__(self, given: TimeAxis, wanted: TimeAxis) -> None:
        from scipy.sparse import csr_array

        self.given, self.wanted = given, wanted
        zero_crossing = max(given.interval, wanted.interval) / CUTOFF
        half = LOBES * zero_crossing
        reach = int(np.ceil(half / given.interval)) + 1
        centre = (wanted.times - given.start) / given.interval
        columns = np.rint(centre).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)[None, :]
        distance = (columns - centre[:, None]) * given.interval
        inside = np.clip(1 - (distance / half) ** 2, 0.0, None)
        weights = np.sinc(distance / zero_crossing) * np.i0(BETA * np.sqrt(inside)) * (inside > 0)
        # Before columns outside the input go: a constant stays one in the middle and fades at the ends.
        weights /= weights.sum(axis=1, keepdims=True)
        keep = (columns >= 0) & (columns < given.samples) & (weights != 0)
        rows = np.broadcast_to(np.arange(wanted.samples)[:, None], columns.shape)
        entries = (weights[keep], (rows[keep], columns[keep]))
        self.matrix = csr_array(entries, shape=(wanted.samples, given.samples))

    @cached_property
    def back(self) -> csr_array:
        """The transpose, which adjoint sources need."""
        transposed: csr_array = self.matrix.T.tocsr()
        return transposed

    def apply(self, data: FloatArray) -> FloatArray:
        """Values at the wanted times."""
        return _times(self.matrix, data)

    def transpose(self, data: FloatArray) -> FloatArray:
        """Transpose of the interpolation matrix."""
        return _times(self.back, data)


def _times(matrix: csr_array, data: FloatArray) -> FloatArray:
    flat = np.ascontiguousarray(data.reshape(-1, data.shape[-1]).T)
    return np.ascontiguousarray((matrix @ flat).T).reshape(*data.shape[:-1], matrix.shape[0])
