"""Difference of the exponentiated phases (Yuan, Bozdag, Ciardelli, Gao & Simons 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.misfits.analytic import Unit, analytic, analytic_back
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive, check_taper

__all__ = ["ExponentiatedPhase", "ExponentiatedPhaseConfig"]


@dataclass(frozen=True)
class ExponentiatedPhaseConfig:
    """Settings of the exponentiated-phase misfit.

    Parameters
    ----------
    kind : "exponentiated_phase"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    water_level : float
        Envelope, in root mean squares of the tapered trace in the window, under which samples count for less.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["exponentiated_phase"] = "exponentiated_phase"
    taper: float = 0.3
    water_level: float = 0.2

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "water_level")

    def create(self, band: Band | None) -> ExponentiatedPhase:
        """The misfit with these settings."""
        return ExponentiatedPhase(self)


class ExponentiatedPhase(PerWindow):
    """J = 1/2 sum abs(z_s - z_d)^2 dt, z = a / sqrt(abs(a)^2 + level^2), a the analytic signal of the tapered window.

    z is exp(i phase) where there is signal and fades with it, so no phase is ever unwrapped. The level counts in root
    mean squares of the trace itself (they are differentiated too), so J does not change with amplitude.
    """

    def __init__(self, config: ExponentiatedPhaseConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window.
        """
        taper, d, s = cut.tapered(self.config.taper)
        scaled = Unit.of(s)
        a, b = analytic(scaled.values), analytic(Unit.of(d).values)
        level = self.config.water_level**2
        size = np.sqrt(np.abs(a) ** 2 + level)
        difference = a / size - b / np.sqrt(np.abs(b) ** 2 + level)
        value = 0.5 * float(np.sum(np.abs(difference) ** 2)) * cut.interval
        by_a = difference / size - a * (np.conj(difference) * a).real / size**3
        return Comparison(value, taper * scaled.back(analytic_back(by_a)))
