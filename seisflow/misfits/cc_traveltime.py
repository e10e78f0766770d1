"""Travel-time difference by cross-correlation, to a fraction of a sample, with its exact derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.errors import PhysicsError
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive, check_taper
from seisflow.misfits.correlation import Correlation

__all__ = ["CCTraveltime", "CCTraveltimeConfig"]


@dataclass(frozen=True)
class CCTraveltimeConfig:
    """Settings of the cross-correlation travel-time misfit.

    Parameters
    ----------
    kind : "cc_traveltime"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    sigma : float
        Standard error of a travel time in s; the misfit counts in units of it.
    max_shift : float, optional
        Largest lag in s that is looked at; if left out, half a dominant period around that of the selection.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["cc_traveltime"] = "cc_traveltime"
    taper: float = 0.3
    sigma: float = 1.0
    max_shift: float | None = None

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "sigma", "max_shift")

    def create(self, band: Band | None) -> CCTraveltime:
        """The misfit with these settings."""
        return CCTraveltime(self)


class CCTraveltime(PerWindow):
    """J = 1/2 (T / sigma)^2, T the lag of the largest correlation, positive if observed is late.

    It is looked for within half a dominant period of the lag that the window was selected with: farther off lie the
    peaks of other cycles.

    T is the stationary point of the interpolated correlation of the tapered windows, so its derivative
    follows from sum s(t) d'(t + T) = 0: dT/ds(t) = -d'(t + T) / sum s d''(t + T). The usual source, with s'
    for d' (Tromp, Tape & Liu 2005, eq. 45), is its limit for waveforms that differ by a shift only.

    The error that is reported (not used) is that of Tape, Liu, Maggi & Tromp (2010), eq. A15: the root of sum
    (d - s~)^2 / sum s~'^2, s~ the synthetic with the lag and the amplitude of the observed.
    """

    def __init__(self, config: CCTraveltimeConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window, or the correlation has no maximum within ``max_shift``.
        """
        taper, d, s = cut.tapered(self.config.taper)
        # Scaled to unit energy: squares of metres would come near the smallest numbers.
        norms = float(np.linalg.norm(d)), float(np.linalg.norm(s))
        correlation = Correlation(s / norms[1], d / norms[0], cut.interval)
        largest = min(self.config.max_shift or np.inf, cut.interval * (cut.samples - 1))
        half = 0.5 * correlation.period()  # the next peak, a period off, is another cycle
        first, last = max(cut.window.shift - half, -largest), min(cut.window.shift + half, largest)
        lag = correlation.best_lag(first, last)
        if lag is None:
            raise PhysicsError(
                f"observed and synthetic {cut.where} have no largest correlation at a lag from {first:.3g} to "
                f"{last:.3g} s; take the window out or raise max_shift"
            )
        outer = lag / self.config.sigma**2
        height, _, curvature = correlation.derivatives(lag)
        source = -outer / (curvature * norms[1] * cut.interval) * taper * correlation.second_slope(lag)
        error = float(np.sqrt(max(0.0, 2 - 2 * height) / correlation.slope_energy()))
        return Comparison(0.5 * outer * lag, source, lag, float(np.log(norms[0] / norms[1])), height, error)
