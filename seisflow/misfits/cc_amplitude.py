"""Logarithmic ratio of amplitudes in the window (Dahlen & Baig 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.errors import PhysicsError
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive, check_taper

__all__ = ["CCAmplitude", "CCAmplitudeConfig"]


@dataclass(frozen=True)
class CCAmplitudeConfig:
    """Settings of the amplitude misfit.

    Parameters
    ----------
    kind : "cc_amplitude"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    sigma : float
        Standard error of a logarithmic amplitude; the misfit counts in units of it.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["cc_amplitude"] = "cc_amplitude"
    taper: float = 0.3
    sigma: float = 1.0

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "sigma")

    def create(self, band: Band | None) -> CCAmplitude:
        """The misfit with these settings."""
        return CCAmplitude(self)


class CCAmplitude(PerWindow):
    """J = 1/2 (dlnA / sigma)^2, dlnA = 1/2 ln(sum (h d)^2 / sum (h s)^2).

    The observed is cut where it came at the selection, to the sample, so that a late one is not cut off. The error
    that is reported (not used) is that of Tape, Liu, Maggi & Tromp (2010), eq. A16: the root of sum (d - s~)^2 / sum
    s~^2, s~ the synthetic with the amplitude of the observed.
    """

    def __init__(self, config: CCAmplitudeConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window.
        """
        taper, _, s = cut.tapered(self.config.taper)
        d = taper * cut.observed_aligned
        norms = float(np.linalg.norm(d)), float(np.linalg.norm(s))
        if norms[0] == 0:
            raise PhysicsError(
                f"observed {cut.where} is zero where it came at the selection; take the window out"
            )
        dlna = float(np.log(norms[0] / norms[1]))
        outer = dlna / self.config.sigma**2
        source = -outer * taper * (s / norms[1]) / (norms[1] * cut.interval)
        error = float(np.linalg.norm(d / norms[0] - s / norms[1]))
        return Comparison(0.5 * outer * dlna, source, dlna=dlna, error=error)
