"""Double differences of travel times by cross-correlation of stations with each other (Yuan, Simons & Tromp 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seisflow.errors import PhysicsError
from seisflow.misfits.base import Band, Cut
from seisflow.misfits.correlation import Correlation
from seisflow.misfits.pairs import PairDifference, PairSettings, PerPair, Seen

__all__ = ["CCTraveltimeDD", "CCTraveltimeDDConfig"]


@dataclass(frozen=True)
class CCTraveltimeDDConfig(PairSettings):
    """Settings of the double-difference travel-time misfit.

    Parameters
    ----------
    kind : "cc_traveltime_dd"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    sigma : float
        Standard error of a difference of travel times in s; the misfit counts in units of it.
    max_distance : float, optional
        Largest distance of two stations in m; any, if left out.
    max_partners : int
        Number of nearest stations that each is paired with.
    min_velocity : float
        m/s. Windows lie further apart in time by no more than a wave of this speed takes from station to station, and
        half a window.
    min_similarity : float
        Smallest of the largest normalised correlations of the two recordings.
    """

    kind: Literal["cc_traveltime_dd"] = "cc_traveltime_dd"

    def create(self, band: Band | None) -> CCTraveltimeDD:
        """The misfit with these settings."""
        return CCTraveltimeDD(self)


class CCTraveltimeDD(PerPair):
    """J of a pair = 1/2 ((T_s - T_d) / sigma)^2, T the lag of the second station behind the first.

    T_s is that of the synthetics, T_d of the recordings, so errors of the origin time, of the source and of the path
    that both share fall out. T_s is looked for within half a dominant period of what follows from T_d and from the lags
    that the windows were selected with. It is the stationary point of C(T) = sum s1(t) s2(t + T), of which both traces
    are differentiated: dT/ds1(t) = -s2'(t + T) / C'', dT/ds2(t) = s1'(t - T) / C''.
    """

    def compare(self, first: Cut, second: Cut, seen: Seen) -> PairDifference:
        """See ``PerPair.compare``.

        Raises
        ------
        PhysicsError
            If a synthetic is zero or the two have no largest correlation near the lag of the recordings.
        """
        cuts = first, second
        tapers, parts, norms = [], [], []
        for cut in cuts:
            taper, _, s = cut.tapered(self.config.taper)
            norms.append(float(np.linalg.norm(s)))
            tapers.append(taper)
            parts.append(s / norms[-1])
        correlation = Correlation(parts[0], parts[1], first.interval)
        expected = seen.lag - (second.window.shift - first.window.shift)
        half = 0.5 * correlation.period()
        lag = correlation.best_lag(expected - half, expected + half)
        if lag is None:
            raise PhysicsError(
                f"synthetics {first.where} and {second.where} have no largest correlation within {half:.3g} s of "
                f"the lag of the recordings, {expected:.3g} s; take one of the windows out"
            )
        difference = (lag - seen.lag) / self.config.sigma**2
        outer = difference / (correlation.derivatives(lag)[2] * first.interval)
        sources = (
            -outer / norms[0] * tapers[0] * correlation.second_slope(lag),
            outer / norms[1] * tapers[1] * correlation.first_slope(lag),
        )
        return PairDifference(0.5 * difference * (lag - seen.lag), sources)
