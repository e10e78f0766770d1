"""Difference of phase in time and frequency (Fichtner, Kennett, Igel & Bunge 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import PhysicsError
from seisflow.fourier import irfft, next_fast_len, rfft
from seisflow.misfits.analytic import ComplexArray, Unit
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive, check_taper
from seisflow.misfits.phases import weighted_phase

__all__ = ["Gabor", "TimeFrequencyPhase", "TimeFrequencyPhaseConfig"]

REACH = 4.0
"""Standard deviations to which the Gaussian windows go."""
STEPS = 4.0
"""Windows in a standard deviation."""


@dataclass(frozen=True)
class TimeFrequencyPhaseConfig:
    """Settings of the time-frequency phase misfit.

    Parameters
    ----------
    kind : "time_frequency_phase"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    width : float, optional
        Standard deviation in s of the Gaussian that moves over the window; one dominant period of the observed, if left
        out.
    water_level : float
        Amplitude, as a fraction of the largest in time and frequency, under which phases count for less.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["time_frequency_phase"] = "time_frequency_phase"
    taper: float = 0.3
    width: float | None = None
    water_level: float = 0.2

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "width", "water_level")

    def create(self, band: Band | None) -> TimeFrequencyPhase:
        """The misfit with these settings."""
        return TimeFrequencyPhase(self, band)


class Gabor:
    """Spectra under a Gaussian that moves over a stretch of seismogram, and the transpose.

    Parameters
    ----------
    samples : int
        Of the stretch.
    width : float
        Standard deviation of the Gaussian in samples.
    band : tuple of 2 float
        Lowest and highest frequency that is kept, in cycles a sample.
    """

    def __init__(self, samples: int, width: float, band: tuple[float, float]) -> None:
        reach, self.samples = int(np.ceil(REACH * width)), samples
        self.step = max(1, int(width / STEPS))
        self.starts = np.arange(
            -reach, samples - reach - 1 + self.step, self.step
        )  # first samples of the windows
        self.gauss = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        self.length = int(next_fast_len(2 * len(self.gauss), real=True))
        first = max(1, int(np.ceil(band[0] * self.length)))
        last = min(int(band[1] * self.length), (self.length - 1) // 2)
        self.band = slice(first, last + 1)
        self.before = reach
        self.whole = samples + 2 * reach + self.step

    @property
    def empty(self) -> bool:
        """Whether no frequency lies in the band."""
        return self.band.stop <= self.band.start

    def apply(self, values: FloatArray) -> ComplexArray:
        """Shape (windows, frequencies)."""
        padded = np.zeros(self.whole)
        padded[self.before : self.before + self.samples] = values
        parts = np.lib.stride_tricks.sliding_window_view(padded, len(self.gauss))
        chosen = parts[self.starts + self.before] * self.gauss
        return np.asarray(rfft(chosen, self.length, axis=1)[:, self.band])

    def transpose(self, derivative: ComplexArray) -> FloatArray:
        """From dJ/d(spectra) to dJ/d(sample), shape (samples,)."""
        whole = np.zeros((len(self.starts), self.length // 2 + 1), dtype=np.complex128)
        whole[:, self.band] = derivative
        parts = 0.5 * self.length * irfft(whole, self.length, axis=1)[:, : len(self.gauss)] * self.gauss
        padded = np.zeros(self.whole)
        for start, part in zip(self.starts + self.before, parts, strict=True):
            padded[start : start + len(part)] += part
        return padded[self.before : self.before + self.samples]


class TimeFrequencyPhase(PerWindow):
    """J = sum V g(phi) / sum V_d over time and frequency, phi the difference of phase of the spectra there.

    Spectra are taken under a Gaussian that moves over the tapered window (Gabor transform), from the longest to the
    shortest period of the stage. V = V_d V_s fades where observed or synthetic are weak, V_d is the observed part;
    g(phi) = phi^2 / 2, levelled off towards half a cycle: see ``phases.weighted_phase``. So J is half a mean square
    phase in rad^2.
    """

    def __init__(self, config: TimeFrequencyPhaseConfig, band: Band | None) -> None:
        self.config, self.band = config, band

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window, they are about half a cycle apart, or no frequency is left.
        """
        taper, d, s = cut.tapered(self.config.taper)
        scaled, observed = Unit.of(s), Unit.of(d).values
        width = (self.config.width or _period(observed) * cut.interval) / cut.interval
        periods = self.band or (2 * cut.interval / 0.9, cut.samples * cut.interval)
        gabor = Gabor(cut.samples, width, (cut.interval / periods[1], cut.interval / periods[0]))
        if gabor.empty:
            raise PhysicsError(
                f"window {cut.where} is too short for a spectrum between {periods[0]:g} and {periods[1]:g} s; take it "
                "out, or raise width"
            )
        b = gabor.apply(observed)
        level = self.config.water_level * float(np.abs(b).max())
        total, by_a, weight = weighted_phase(b, gabor.apply(scaled.values), (level, level), cut)
        whole = float(np.sum(weight))
        source = taper * scaled.back(gabor.transpose(by_a)) / (whole * cut.interval)
        return Comparison(total / whole, source)


def _period(samples: FloatArray) -> float:
    """Dominant period in samples: 2 pi over the root of the mean squared frequency."""
    power = np.abs(rfft(samples, 2 * len(samples))) ** 2
    omega = np.pi * np.arange(len(power)) / len(samples)
    return float(2 * np.pi * np.sqrt(power.sum() / np.sum(power * omega**2)))
