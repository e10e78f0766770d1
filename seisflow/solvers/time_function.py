"""Source time functions on the time steps of a simulation."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray, SourceTimeFunction
from seisflow.errors import InputError

__all__ = ["SampledSource", "sample_source"]

_LEAST_STEPS = 2.0
_LEAST_RICKER = 6.0
_NEGLIGIBLE = 1e-3


class SampledSource:
    """A source time function as the simulation uses it: cut off below, band-limited above.

    Parameters
    ----------
    function : SourceTimeFunction
    step : float
        Time step in s. A gaussian shorter than two steps is widened to two; samples of a file are averaged over each
        step, so that no moment is lost.
    shortest_period : float
        s. Where the spectrum at periods below 0.8 of it exceeds 1e-3 of its largest value, the function is
        filtered: flat (to 0.3 percent) at the shortest period, -50 dB at half of it, no shift in time. The
        grid does not carry shorter waves, and stored snapshots would alias them.

    Raises
    ------
    InputError
        If a Ricker wavelet is too short for the time step.
    """

    def __init__(self, function: SourceTimeFunction, step: float, shortest_period: float) -> None:
        self.function, self.step, self.period = function, step, shortest_period
        self.width = max(function.half_duration, _LEAST_STEPS * step) / 1.628
        if function.kind == "ricker" and function.period < _LEAST_RICKER * step:
            raise InputError(
                f"source time function: a Ricker wavelet of {function.period:g} s is too short for time steps of "
                f"{step:g} s; use at least {_LEAST_RICKER * step:.3g} s, or a gaussian, which may be short"
            )
        self.filtered = self._is_broad()

    def _support(self) -> tuple[float, float]:
        """First and last time of the function without its delay."""
        f = self.function
        if f.kind == "gaussian":
            return -4 * self.width, 4 * self.width
        if f.kind == "ricker":
            reach = np.sqrt(20.0) / np.pi * f.period
            return -reach, reach
        return f.start, f.start + f.interval * (len(f.samples) - 1)

    def _raw(self, times: FloatArray) -> FloatArray:
        f = self.function
        if f.kind == "gaussian":
            pulse: FloatArray = np.exp(-((times / self.width) ** 2)) / (self.width * np.sqrt(np.pi))
            return pulse
        if f.kind == "ricker":
            w = (np.pi * times / f.period) ** 2
            wavelet: FloatArray = (1 - 2 * w) * np.exp(-w)
            return wavelet
        return (self._moment(times + self.step / 2) - self._moment(times - self.step / 2)) / self.step

    def _moment(self, times: FloatArray) -> FloatArray:
        """Integral until some times of the straight lines between the samples of a file."""
        f = self.function
        rates = np.asarray(f.samples, dtype=np.float64)
        until = np.concatenate([[0.0], np.cumsum(0.5 * (rates[1:] + rates[:-1])) * f.interval])
        place = np.clip((times - f.start) / f.interval, 0.0, len(rates) - 1.0)
        before = np.minimum(place.astype(int), max(len(rates) - 2, 0))
        part = place - before
        slope = rates[np.minimum(before + 1, len(rates) - 1)] - rates[before]
        moment: FloatArray = until[before] + f.interval * part * (rates[before] + 0.5 * slope * part)
        return moment

    def _is_broad(self) -> bool:
        low, high = self._support()
        count = max(int((high - low) / self.step) + 2, int(16 * self.period / self.step))
        spectrum = np.abs(np.fft.rfft(self._raw(low + self.step * np.arange(count))))
        short = np.fft.rfftfreq(count, self.step) * self.period > 1.25
        return bool(spectrum[short].max(initial=0.0) > _NEGLIGIBLE * spectrum.max())

    @property
    def start(self) -> float:
        """Time in s before which the function is negligible."""
        early = 4 * self.period if self.filtered else 0.0
        return float(self._support()[0] - early + self.function.delay)

    def __call__(self, times: FloatArray) -> FloatArray:
        """Values at regular times (one step apart), in s from the origin time."""
        times = times - self.function.delay
        if not self.filtered:
            return self._raw(times)
        reach = int(np.ceil(4 * self.period / self.step))
        lag = self.step * np.arange(-reach, reach + 1)
        corner, roll = 1.5 / self.period, 0.25 / self.period
        taps = np.sinc(2 * corner * lag) * np.exp(-((np.pi * roll * lag) ** 2))
        longer = times[0] + self.step * np.arange(-reach, times.size + reach)
        return np.convolve(self._raw(longer), taps / taps.sum(), mode="valid")


def sample_source(
    function: SourceTimeFunction, step: float, shortest_period: float, duration: float
) -> tuple[SampledSource, int, int]:
    """Choose the first and the number of time steps.

    Returns
    -------
    source : SampledSource
    first : int
        The first velocity sample is at ``first * step`` s from the origin time.
    count : int
        Number of steps; the last sample is at or after ``duration``.
    """
    source = SampledSource(function, step, shortest_period)
    first = int(np.floor(min(source.start, 0.0) / step))
    count = int(np.ceil(duration / step - 1e-9)) - first + 1
    return source, first, count
