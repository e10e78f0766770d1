"""Travel time and amplitude against frequency, by several tapers (Zhou et al. 2004; Tape et al. 2010)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError, PhysicsError
from seisflow.fourier import irfft, next_fast_len, rfft
from seisflow.misfits.analytic import ComplexArray
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive

__all__ = [
    "Frequencies",
    "MultitaperAmplitude",
    "MultitaperAmplitudeConfig",
    "MultitaperPhase",
    "MultitaperPhaseConfig",
    "MultitaperSettings",
    "check_cycles",
    "frequencies",
    "spectra",
    "spectra_back",
    "tapers",
]

FINER = 4
"""Frequencies are computed so many times closer than the window resolves."""


@dataclass(frozen=True)
class MultitaperSettings:
    """What the misfits by several tapers share.

    Parameters
    ----------
    sigma : float
        Standard error; the misfit counts in units of it.
    time_bandwidth : float
        Half the width of the spectral window in units of 1 / length of the time window.
    tapers : int
        Number of Slepian tapers; more than twice ``time_bandwidth`` leak.
    min_power : float
        Frequencies count around the largest observed power, until it falls under this fraction of it.
    min_cycles : float
        Frequencies count of which the window holds at least so many cycles.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sigma: float = 1.0
    time_bandwidth: float = 2.5
    tapers: int = 4
    min_power: float = 0.01
    min_cycles: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "sigma", "time_bandwidth", "min_power", "min_cycles")
        if not 1 <= self.tapers <= 2 * self.time_bandwidth:
            raise InputError(
                f"tapers = {self.tapers}: from 1 to twice time_bandwidth ({2 * self.time_bandwidth:g})"
            )
        if self.min_power >= 1:
            raise InputError(f"min_power = {self.min_power}: a fraction of the largest power, under 1")


@dataclass(frozen=True)
class MultitaperPhaseConfig(MultitaperSettings):
    """Settings of the frequency-dependent travel-time misfit.

    Parameters
    ----------
    kind : "multitaper_phase"
    sigma : float
        Standard error of a travel time in s; the misfit counts in units of it.
    time_bandwidth : float
        Half the width of the spectral window in units of 1 / length of the time window.
    tapers : int
        Number of Slepian tapers; more than twice ``time_bandwidth`` leak.
    min_power : float
        Frequencies count around the largest observed power, until it falls under this fraction of it.
    min_cycles : float
        Frequencies count of which the window holds at least so many cycles.
    """

    kind: Literal["multitaper_phase"] = "multitaper_phase"

    def create(self, band: Band | None) -> MultitaperPhase:
        """The misfit with these settings."""
        return MultitaperPhase(self, band)


@dataclass(frozen=True)
class MultitaperAmplitudeConfig(MultitaperSettings):
    """Settings of the frequency-dependent amplitude misfit.

    Parameters
    ----------
    kind : "multitaper_amplitude"
    sigma : float
        Standard error of a logarithmic amplitude; the misfit counts in units of it.
    time_bandwidth, tapers, min_power, min_cycles
        As those of ``multitaper_phase``.
    """

    kind: Literal["multitaper_amplitude"] = "multitaper_amplitude"

    def create(self, band: Band | None) -> MultitaperAmplitude:
        """The misfit with these settings."""
        return MultitaperAmplitude(self, band)


# ---------------------------------------------------------------------- spectra


@lru_cache(maxsize=256)
def tapers(samples: int, time_bandwidth: float, count: int) -> FloatArray:
    """Slepian tapers (Slepian 1978) of unit energy, shape (count, samples)."""
    from scipy.signal.windows import dpss

    return np.asarray(dpss(samples, time_bandwidth, count))


def padded_length(samples: int) -> int:
    """Length of the transforms of a window."""
    return int(next_fast_len(FINER * samples, real=True))


def spectra(samples: FloatArray, windows: FloatArray) -> ComplexArray:
    """Spectra of a stretch under each taper, shape (tapers, frequencies)."""
    return np.asarray(rfft(windows * samples, padded_length(len(samples)), axis=1))


def spectra_back(derivative: ComplexArray, band: slice, windows: FloatArray) -> FloatArray:
    """From dJ/d(spectrum) at the frequencies of a band to dJ/d(sample), shape (samples,).

    The band must hold neither frequency 0 nor the Nyquist frequency.
    """
    samples = windows.shape[1]
    length = padded_length(samples)
    whole = np.zeros((len(windows), length // 2 + 1), dtype=np.complex128)
    whole[:, band] = derivative
    inverse = irfft(whole, length, axis=1)[:, :samples]
    return np.asarray(0.5 * length * np.sum(windows * inverse, axis=0))


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Those at which a window is compared.

    Parameters
    ----------
    band : slice
        Of the frequencies of the spectra.
    omega : ndarray (f,)
        rad/s.
    weight : ndarray (f,)
        Sums to 1, fades to the ends.
    """

    band: slice
    omega: FloatArray
    weight: FloatArray


def frequencies(cut: Cut, power: FloatArray, band: Band | None, settings: MultitaperSettings) -> Frequencies:
    """Choose frequencies by the observed power and the periods of the stage; the synthetic has no part in it.

    Parameters
    ----------
    cut : Cut
    power : ndarray
        Observed, at all frequencies.
    band : tuple of 2 float, optional
        Periods in s; the window and the sampling interval limit them too.
    settings : MultitaperSettings

    Raises
    ------
    PhysicsError
        If the window is too short for them.
    """
    step = 1 / (padded_length(cut.samples) * cut.interval)
    length = cut.samples * cut.interval
    lowest = max(settings.min_cycles / length, 1 / band[1] if band else 0.0)
    highest = min(0.45 / cut.interval, 1 / band[0] if band else np.inf)
    first, last = max(1, int(np.ceil(lowest / step))), min(int(highest / step), len(power) - 2)
    if last > first:
        peak = first + int(np.argmax(power[first : last + 1]))
        weak = np.flatnonzero(power < settings.min_power * power[peak])
        place = int(np.searchsorted(weak, peak))
        first = max(first, int(weak[place - 1]) + 1) if place > 0 else first
        last = min(last, int(weak[place]) - 1) if place < len(weak) else last
    if (last - first) * step * length < 1:
        raise PhysicsError(
            f"window {cut.where} is too short for several tapers: between periods of {_period(highest)} and "
            f"{_period(lowest)} it resolves less than two frequencies with power; take the window out, or use a "
            "misfit in time"
        )
    numbers = np.arange(first, last + 1)
    weight = 1 - np.cos(np.pi * (numbers - first + 0.5) / len(numbers)) ** 10
    return Frequencies(slice(first, last + 1), 2 * np.pi * step * numbers, weight / weight.sum())


def _period(frequency: float) -> str:
    return f"{1 / frequency:.3g} s"


def check_cycles(cut: Cut, phase: FloatArray, chosen: Frequencies) -> None:
    """Refuse a phase that passes half a cycle between neighbouring frequencies: which cycle it is, is not known.

    Raises
    ------
    PhysicsError
        With the period.
    """
    jumps = np.flatnonzero(np.abs(np.diff(phase)) > np.pi)
    if len(jumps):
        period = 2 * np.pi / chosen.omega[jumps[0]]
        raise PhysicsError(
            f"observed and synthetic {cut.where} are half a cycle apart at {period:.3g} s, beyond the lag of the "
            "selection: the cycle is not known; take the window out, or begin with longer periods"
        )


# ---------------------------------------------------------------------- misfits


@dataclass(frozen=True, eq=False)
class _Pair:
    """Spectra of a window under each taper, at the frequencies that count; both traces scaled to unit energy."""

    windows: FloatArray
    chosen: Frequencies
    observed: ComplexArray
    synthetic: ComplexArray
    norms: tuple[float, float]

    @property
    def cross(self) -> ComplexArray:
        """Sum over tapers of observed times conjugate synthetic."""
        return np.asarray(np.sum(self.observed * np.conj(self.synthetic), axis=0))

    def without(self, power: bool) -> tuple[ComplexArray, FloatArray]:
        """Cross-spectrum and synthetic power with each taper left out in turn, shape (tapers, f)."""
        terms = self.observed * np.conj(self.synthetic)
        powers = np.abs(self.synthetic) ** 2 if power else np.ones(terms.shape)
        return terms.sum(axis=0) - terms, powers.sum(axis=0) - powers

    def back(self, derivative: ComplexArray, interval: float) -> FloatArray:
        """From dJ/d(synthetic spectra) to the adjoint source, shape (samples,)."""
        return spectra_back(derivative, self.chosen.band, self.windows) / (self.norms[1] * interval)


class _Multitaper(PerWindow):
    def __init__(self, config: MultitaperSettings, band: Band | None) -> None:
        self.config, self.band = config, band

    def pair(self, cut: Cut) -> _Pair:
        """Cut the observed where it came late at the selection, and transform both."""
        d, s = cut.observed_aligned, cut.synthetic
        cut.check_signal(d, s)
        if cut.samples <= 2 * self.config.time_bandwidth:
            raise PhysicsError(
                f"window {cut.where} is too short for several tapers: it has {cut.samples} samples"
            )
        norms = float(np.linalg.norm(d)), float(np.linalg.norm(s))
        windows = tapers(cut.samples, self.config.time_bandwidth, self.config.tapers)
        observed, synthetic = (spectra(x / n, windows) for x, n in zip((d, s), norms, strict=True))
        chosen = frequencies(cut, _power(observed), self.band, self.config)
        power = _power(synthetic)
        weak = power[chosen.band] < 0.01 * self.config.min_power * power.max()
        if weak.any():
            period = 2 * np.pi / chosen.omega[np.argmax(weak)]
            raise PhysicsError(
                f"synthetic {cut.where} has no power at {period:.3g} s, where the observed has; take the window out"
            )
        result = _Pair(windows, chosen, observed[:, chosen.band], synthetic[:, chosen.band], norms)
        if not np.all(np.abs(result.cross) > 0):
            raise PhysicsError(
                f"observed and synthetic {cut.where} have nothing in common; take the window out"
            )
        return result


class MultitaperPhase(_Multitaper):
    """J = 1/2 sum over f of W (tau / sigma)^2, tau(f) = lag of the cut - phase of sum D conj(S) / omega.

    D, S: spectra of observed and synthetic under each taper; tau is positive where the observed is late. The observed
    is cut where the selection saw it, to the sample, and W follows from the observed spectrum: both are frozen, so
    the derivative needs only that of the phase. The error that is reported is that by leaving out each taper in turn
    (jackknife), the root of its mean square under W.
    """

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero, the window is too short, or the traces are half a cycle apart.
        """
        pair = self.pair(cut)
        cross, omega, weight = pair.cross, pair.chosen.omega, pair.chosen.weight
        phase = np.angle(cross)
        check_cycles(cut, phase, pair.chosen)
        tau = cut.lag * cut.interval - phase / omega
        value = 0.5 * float(np.sum(weight * tau**2)) / self.config.sigma**2
        by_phase = -weight * tau / (omega * self.config.sigma**2)
        source = pair.back(-1j * by_phase * pair.observed / cross, cut.interval)
        crosses, _ = pair.without(power=False)
        error = _jackknife(np.angle(crosses * np.conj(cross)) / omega, weight)
        return Comparison(value, source, shift=float(np.sum(weight * tau)), error=error)


class MultitaperAmplitude(_Multitaper):
    """J = 1/2 sum over f of W (dlnA / sigma)^2, dlnA(f) = ln abs(sum D conj(S)) - ln sum abs(S)^2.

    As ``MultitaperPhase``; the amplitude is that of the transfer function from synthetic to observed.
    """

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero, or the window is too short.
        """
        pair = self.pair(cut)
        cross, weight = pair.cross, pair.chosen.weight
        power = np.sum(np.abs(pair.synthetic) ** 2, axis=0)
        ratio = np.log(np.abs(cross) / power) + np.log(pair.norms[0] / pair.norms[1])
        value = 0.5 * float(np.sum(weight * ratio**2)) / self.config.sigma**2
        by_ratio = weight * ratio / self.config.sigma**2
        derivative = by_ratio * (pair.observed / cross - 2 * pair.synthetic / power)
        crosses, powers = pair.without(power=True)
        error = None
        if len(crosses) > 1:
            error = _jackknife(np.log(np.abs(crosses) / powers) - np.log(np.abs(cross) / power), weight)
        return Comparison(
            value, pair.back(derivative, cut.interval), dlna=float(np.sum(weight * ratio)), error=error
        )


def _power(spectrum: ComplexArray) -> FloatArray:
    return np.asarray(np.sum(np.abs(spectrum) ** 2, axis=0))


def _jackknife(changes: FloatArray, weight: FloatArray) -> float | None:
    """Standard error from estimates that leave out one taper each, minus that of all (Thomson & Chave 1991)."""
    count = len(changes)
    if count < 2:
        return None
    spread = np.sum((changes - changes.mean(axis=0)) ** 2, axis=0) * (count - 1) / count
    return float(np.sqrt(np.sum(weight * spread)))
