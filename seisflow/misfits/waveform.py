"""Least squares of the difference of the waveforms (Tromp, Tape & Liu 2005, eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.errors import PhysicsError
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_taper
from seisflow.signal.taper import hann_taper

__all__ = ["Waveform", "WaveformConfig"]


@dataclass(frozen=True)
class WaveformConfig:
    """Settings of the waveform misfit.

    Parameters
    ----------
    kind : "waveform"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    normalise : bool
        Divide by the energy of the observed trace in the window, so that a synthetic of zeros scores 0.5
        whatever the distance and the magnitude.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["waveform"] = "waveform"
    taper: float = 0.3
    normalise: bool = False

    def __post_init__(self) -> None:
        check_taper(self.taper)

    def create(self, band: Band | None) -> Waveform:
        """The misfit with these settings."""
        return Waveform(self)


class Waveform(PerWindow):
    """J = 1/2 sum (h (s - d))^2 dt, with h a Hann taper over the window; the adjoint source is h^2 (s - d)."""

    def __init__(self, config: WaveformConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``; it needs an observed trace that is not zero only if it is normalised."""
        taper = hann_taper(cut.samples, self.config.taper / 2)
        difference = taper * (cut.synthetic - cut.observed)
        factor = 1.0
        if self.config.normalise:
            energy = float(np.sum((taper * cut.observed) ** 2) * cut.interval)
            if energy == 0:
                raise PhysicsError(
                    f"observed {cut.where} is zero, so the misfit cannot be normalised; take the window out"
                )
            factor /= energy
        value = 0.5 * factor * float(np.sum(difference**2) * cut.interval)
        return Comparison(value, factor * taper * difference)
