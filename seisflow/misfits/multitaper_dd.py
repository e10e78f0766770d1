"""Double differences of frequency-dependent travel times of stations to each other (Yuan, Simons & Tromp 2016)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import PhysicsError
from seisflow.misfits.analytic import ComplexArray
from seisflow.misfits.base import Band, Cut, check_positive
from seisflow.misfits.multitaper import (
    MultitaperSettings,
    check_cycles,
    frequencies,
    spectra,
    spectra_back,
    tapers,
)
from seisflow.misfits.pairs import PairDifference, PairSettings, PerPair, Seen

__all__ = ["MultitaperDD", "MultitaperDDConfig"]


@dataclass(frozen=True)
class MultitaperDDConfig(PairSettings):
    """Settings of the double-difference misfit of frequency-dependent travel times.

    Parameters
    ----------
    kind : "multitaper_dd"
    taper, sigma, max_distance, max_partners, min_velocity, min_similarity
        As those of ``cc_traveltime_dd``; ``taper`` is for the similarity.
    time_bandwidth, tapers, min_power, min_cycles
        As those of ``multitaper_phase``.
    """

    kind: Literal["multitaper_dd"] = "multitaper_dd"
    time_bandwidth: float = 2.5
    tapers: int = 4
    min_power: float = 0.01
    min_cycles: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "time_bandwidth", "min_power", "min_cycles")
        self.spectral()

    def spectral(self) -> MultitaperSettings:
        """Settings of the spectra."""
        return MultitaperSettings(
            self.sigma, self.time_bandwidth, self.tapers, self.min_power, self.min_cycles
        )

    def create(self, band: Band | None) -> MultitaperDD:
        """The misfit with these settings."""
        return MultitaperDD(self, band)


class MultitaperDD(PerPair):
    """J of a pair = 1/2 sum over f of W ((tau_s - tau_d) / sigma)^2, tau(f) the delay of the second station.

    tau = -phase of sum over tapers of X2 conj(X1), over omega, of the synthetics and of the recordings. The longer
    window is cut to the length of the other about its middle; recordings are cut where they came at the selection.
    """

    def __init__(self, config: MultitaperDDConfig, band: Band | None) -> None:
        super().__init__(config)
        self.spectral, self.band = config.spectral(), band

    def compare(self, first: Cut, second: Cut, seen: Seen) -> PairDifference:
        """See ``PerPair.compare``.

        Raises
        ------
        PhysicsError
            If a synthetic is zero, the windows are too short, or the lags differ by half a cycle.
        """
        length = min(first.samples, second.samples)
        if length <= 2 * self.spectral.time_bandwidth:
            raise PhysicsError(
                f"window {first.where} is too short for several tapers: it has {length} samples"
            )
        cuts = _middle(first, length), _middle(second, length)
        windows = tapers(length, self.spectral.time_bandwidth, self.spectral.tapers)
        norms = []
        for cut in cuts:
            cut.check_signal(cut.observed_aligned, cut.synthetic)
            norms.append(float(np.linalg.norm(cut.synthetic)))
        observed = [
            spectra(cut.observed_aligned / np.linalg.norm(cut.observed_aligned), windows) for cut in cuts
        ]
        power = np.sqrt(_power(observed[0]) * _power(observed[1]))
        chosen = frequencies(cuts[0], power, self.band, self.spectral)
        x = [
            spectra(cut.synthetic / norm, windows)[:, chosen.band]
            for cut, norm in zip(cuts, norms, strict=True)
        ]
        cross = np.sum(x[1] * np.conj(x[0]), axis=0)
        known = np.sum(observed[1] * np.conj(observed[0]), axis=0)[chosen.band]
        if not np.all(np.abs(cross) > 0):
            raise PhysicsError(
                f"synthetics {first.where} and {second.where} have nothing in common; take one out"
            )
        phase = np.angle(cross * np.conj(known))
        check_cycles(cuts[0], phase, chosen)
        interval = first.interval
        tau = -phase / chosen.omega - (cuts[1].lag - cuts[0].lag) * interval
        by_phase = -chosen.weight * tau / (chosen.omega * self.spectral.sigma**2)
        # d(phase) = Im(d(cross) / cross): of the second conj(X1), of the first X2
        derivatives = 1j * by_phase * x[1] / cross, 1j * by_phase * x[0] / np.conj(cross)
        derivatives = -derivatives[0], derivatives[1]
        sources = []
        for cut, whole, norm, derivative in zip(cuts, (first, second), norms, derivatives, strict=True):
            part = spectra_back(derivative, chosen.band, windows) / (norm * interval)
            source = np.zeros(whole.samples)
            start = cut.span.start - whole.span.start
            source[start : start + length] = part
            sources.append(source)
        value = 0.5 * float(np.sum(chosen.weight * tau**2)) / self.spectral.sigma**2
        return PairDifference(value, (sources[0], sources[1]))


def _middle(cut: Cut, length: int) -> Cut:
    """The middle samples of a window."""
    start = cut.span.start + (cut.samples - length) // 2
    return replace(cut, span=slice(start, start + length))


def _power(spectrum: ComplexArray) -> FloatArray:
    return np.asarray(np.sum(np.abs(spectrum) ** 2, axis=0))
