"""Difference of waveforms that are both scaled to unit energy: one minus their correlation (Choi & Alkhalifah 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_taper

__all__ = ["WaveformNormalised", "WaveformNormalisedConfig"]


@dataclass(frozen=True)
class WaveformNormalisedConfig:
    """Settings of the normalised waveform misfit.

    Parameters
    ----------
    kind : "waveform_normalised"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["waveform_normalised"] = "waveform_normalised"
    taper: float = 0.3

    def __post_init__(self) -> None:
        check_taper(self.taper)

    def create(self, band: Band | None) -> WaveformNormalised:
        """The misfit with these settings."""
        return WaveformNormalised(self)


class WaveformNormalised(PerWindow):
    """J = 1/2 sum (s / abs(s) - d / abs(d))^2 = 1 - correlation at lag 0, tapered; 0 to 2, whatever the amplitudes."""

    def __init__(self, config: WaveformNormalisedConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window.
        """
        taper, d, s = cut.tapered(self.config.taper)
        norms = float(np.linalg.norm(d)), float(np.linalg.norm(s))
        d, s = d / norms[0], s / norms[1]
        correlation = float(np.sum(d * s))
        source = taper * (correlation * s - d) / (norms[1] * cut.interval)
        dlna = float(np.log(norms[0] / norms[1]))
        return Comparison(0.5 * float(np.sum((s - d) ** 2)), source, dlna=dlna, correlation=correlation)
