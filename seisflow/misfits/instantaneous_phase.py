"""Difference of the instantaneous phases (Bozdag, Trampert & Tromp 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from seisflow.misfits.analytic import Unit, analytic, analytic_back
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive, check_taper
from seisflow.misfits.phases import weighted_phase

__all__ = ["InstantaneousPhase", "InstantaneousPhaseConfig"]


@dataclass(frozen=True)
class InstantaneousPhaseConfig:
    """Settings of the instantaneous-phase misfit.

    Parameters
    ----------
    kind : "instantaneous_phase"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    water_level : float
        Envelope, in root mean squares of the tapered trace in the window, under which samples count for less.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["instantaneous_phase"] = "instantaneous_phase"
    taper: float = 0.3
    water_level: float = 0.5

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "water_level")

    def create(self, band: Band | None) -> InstantaneousPhase:
        """The misfit with these settings."""
        return InstantaneousPhase(self)


class InstantaneousPhase(PerWindow):
    """J = sum V g(phi) dt, phi the difference of the phases of the analytic signals of the tapered windows.

    g(phi) = phi^2 / 2, levelled off towards half a cycle; V fades where either is weak: see ``phases.weighted_phase``.
    """

    def __init__(self, config: InstantaneousPhaseConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window, or they are about half a cycle apart.
        """
        taper, d, s = cut.tapered(self.config.taper)
        scaled, level = Unit.of(s), self.config.water_level
        total, by_a, _ = weighted_phase(
            analytic(Unit.of(d).values), analytic(scaled.values), (level, level), cut
        )
        source = taper * scaled.back(analytic_back(by_a))
        return Comparison(total * cut.interval, source)
