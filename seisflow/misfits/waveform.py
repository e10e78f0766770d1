"""Least squares of the difference of the waveforms (Tromp, Tape & Liu 2005, eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray, Measurement, Window
from seisflow.errors import InputError, PhysicsError
from seisflow.misfits.base import full_trace, window_slice
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
        if not 0 <= self.taper <= 1:
            raise InputError(f"taper = {self.taper}: the fraction of the window that is tapered, 0 to 1")


class Waveform:
    """J = weight / 2 * sum (h (s - d))^2 dt, with h a Hann taper over the window."""

    def __init__(self, config: WaveformConfig) -> None:
        self.config = config

    def measure(
        self, observed: FloatArray, synthetic: FloatArray, window: Window, start: float, interval: float
    ) -> tuple[Measurement, FloatArray]:
        """Measure one window; see ``Misfit.measure``. The adjoint source is weight h^2 (s - d).

        Raises
        ------
        PhysicsError
            If it is to be normalised and the observed trace is zero in the window.
        """
        span = window_slice(window, start, interval, len(synthetic))
        taper = hann_taper(span.stop - span.start, self.config.taper / 2)
        difference = taper * (synthetic[span] - observed[span])
        factor = window.weight
        if self.config.normalise:
            energy = float(np.sum((taper * observed[span]) ** 2) * interval)
            if energy == 0:
                raise PhysicsError(
                    f"observed {window.station}.{window.component} is zero from {window.start:g} to "
                    f"{window.end:g} s, so the misfit cannot be normalised; take the window out"
                )
            factor /= energy
        value = 0.5 * factor * float(np.sum(difference**2) * interval)
        return Measurement(window, value), full_trace(factor * taper * difference, span, len(synthetic))
