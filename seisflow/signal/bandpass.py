"""Keep a band of periods, without shifting phases."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray
from seisflow.fourier import irfft, next_fast_len, rfft, rfftfreq

__all__ = ["BandPass"]


class BandPass:
    """Butterworth band-pass applied forwards and backwards, by its gain |H|^2 on the zero-padded trace.

    Away from the ends it equals running the recursive filter both ways. Zero-padding, a real and even gain
    and cutting off the padding make a symmetric matrix: its own transpose.

    Parameters
    ----------
    samples : int
        Of a trace.
    interval : float
        s.
    band : tuple of 2 float
        Shortest and longest period in s, the -6 dB points.
    corners : int
        Order of the one-way filter.
    """

    def __init__(self, samples: int, interval: float, band: tuple[float, float], corners: int) -> None:
        from scipy.signal import butter, freqz_sos  # takes a second, which `seisflow status` need not wait

        shortest, longest = band
        # The slowest pole decays at about the lower of bandwidth and lowest frequency over the order.
        memory = 4 * corners * max(longest, 1 / (1 / shortest - 1 / longest))
        self.samples = samples
        self.padded = int(next_fast_len(samples + int(np.ceil(memory / interval)), real=True))
        sections = butter(corners, [1 / longest, 1 / shortest], "bandpass", output="sos", fs=1 / interval)
        frequencies = rfftfreq(self.padded, interval)
        self.gain = np.abs(freqz_sos(sections, frequencies, fs=1 / interval)[1]) ** 2

    def apply(self, data: FloatArray) -> FloatArray:
        """Filter the samples."""
        spectrum = rfft(data, self.padded, axis=-1) * self.gain
        return np.asarray(irfft(spectrum, self.padded, axis=-1)[..., : self.samples])

    def transpose(self, data: FloatArray) -> FloatArray:
        """Do the same as ``apply``."""
        return self.apply(data)
