"""Logarithmic ratio of envelopes (Bozdag, Trampert & Tromp 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.misfits.analytic import Unit, analytic, analytic_back
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive, check_taper

__all__ = ["Envelope", "EnvelopeConfig"]


@dataclass(frozen=True)
class EnvelopeConfig:
    """Settings of the envelope misfit.

    Parameters
    ----------
    kind : "envelope"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    water_level : float
        Envelope, in root mean squares of the tapered observed trace in the window, under which samples count for less.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["envelope"] = "envelope"
    taper: float = 0.3
    water_level: float = 0.2

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "water_level")

    def create(self, band: Band | None) -> Envelope:
        """The misfit with these settings."""
        return Envelope(self)


class Envelope(PerWindow):
    """J = 1/2 sum (ln(E_d / E_s))^2 dt, E = sqrt(abs(a)^2 + level^2), a the analytic signal of the tapered window.

    Both levels are that of the observed, so a synthetic that is too weak everywhere scores.
    """

    def __init__(self, config: EnvelopeConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window.
        """
        taper, d, s = cut.tapered(self.config.taper)
        observed = Unit.of(d)
        a, b = analytic(s / observed.size), analytic(observed.values)
        level = self.config.water_level**2
        power = np.abs(a) ** 2 + level
        ratio = 0.5 * np.log((np.abs(b) ** 2 + level) / power)
        value = 0.5 * float(np.sum(ratio**2)) * cut.interval
        return Comparison(value, taper * analytic_back(-ratio * a / power) / observed.size)
