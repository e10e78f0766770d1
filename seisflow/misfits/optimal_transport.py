"""Work to move one seismogram into another: the Wasserstein distance in one dimension (Engquist & Froese 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.misfits.analytic import Unit
from seisflow.misfits.base import Band, Comparison, Cut, PerWindow, check_positive, check_taper

__all__ = ["OptimalTransport", "OptimalTransportConfig", "wasserstein"]


FLOOR = 1e-6
"""Mass of a sample however negative: places are unique only where there is mass."""


@dataclass(frozen=True)
class OptimalTransportConfig:
    """Settings of the optimal-transport misfit.

    Parameters
    ----------
    kind : "optimal_transport"
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    steepness : float
        How sharply negative samples are suppressed when the tapered traces are made positive, in units of 1 / root
        mean square; low values see further than half a period, high ones resolve more.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["optimal_transport"] = "optimal_transport"
    taper: float = 0.3
    steepness: float = 1.0

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "steepness")

    def create(self, band: Band | None) -> OptimalTransport:
        """The misfit with these settings."""
        return OptimalTransport(self)


class OptimalTransport(PerWindow):
    """J = 1/2 W^2, W^2 = the mean over mass of (t_s - t_d)^2 in s^2, at equal shares of the mass that came before.

    Both tapered traces, in units of their own root mean square, become densities p = ln(1 + exp(b x)) over their sum,
    constant within a sample (softplus: Qiu, Ramos-Martinez, Valero, Yang & Engquist 2017). Of densities in one
    dimension the best plan keeps the order, so W is exact without any search.
    """

    def __init__(self, config: OptimalTransportConfig) -> None:
        self.config = config

    def compare(self, cut: Cut) -> Comparison:
        """See ``PerWindow.compare``.

        Raises
        ------
        PhysicsError
            If either trace is zero in the window.
        """
        taper, d, s = cut.tapered(self.config.taper)
        scaled, steep = Unit.of(s), self.config.steepness
        mass, observed = (FLOOR + np.logaddexp(0.0, steep * x) for x in (scaled.values, Unit.of(d).values))
        whole = float(mass.sum())
        square, by_share = wasserstein(mass / whole, observed / observed.sum())
        by_mass = (by_share - np.sum(by_share * mass) / whole) / whole
        by_value = by_mass * steep * 0.5 * (1 + np.tanh(0.5 * steep * scaled.values))
        source = 0.5 * cut.interval * taper * scaled.back(by_value)
        return Comparison(0.5 * square * cut.interval**2, source)


def wasserstein(p: FloatArray, q: FloatArray) -> tuple[float, FloatArray]:
    """Squared distance of two densities that are constant within samples, and its derivative by the first.

    With T(t) the place in q of the mass at t in p, the square is the integral of p (t - T)^2, and its first variation
    is a function f with f' = 2 (t - T) (Santambrogio 2015, section 7.2.2); both are integrated exactly, between the
    borders of the samples of p and the places that come from borders of q.

    Parameters
    ----------
    p, q : ndarray (n,)
        Positive, each of sum 1.

    Returns
    -------
    float
        In samples squared.
    ndarray (n,)
        Derivative by p, up to a constant that does not matter while p sums to 1.
    """
    borders = np.arange(len(p) + 1.0)
    sums = [np.concatenate([[0.0], np.cumsum(x)]) for x in (p, q)]
    for cumulated in sums:
        cumulated[-1] = 1.0
    shares = np.concatenate([sums[0], sums[1][1:-1]])
    order = np.argsort(shares, kind="stable")
    place = np.concatenate([borders, np.interp(sums[1][1:-1], sums[0], borders)])[order]
    shares = shares[order]
    gap = place - np.interp(shares, sums[1], borders)
    mass, length = np.diff(shares), np.diff(place)
    square = float(np.sum(mass * (gap[:-1] ** 2 + gap[:-1] * gap[1:] + gap[1:] ** 2)) / 3)
    potential = np.concatenate([[0.0], np.cumsum(length * (gap[:-1] + gap[1:]))])[:-1]
    pieces = length * (potential + length * (2 * gap[:-1] + gap[1:]) / 3)
    samples = np.minimum((place[:-1] + 0.5 * length).astype(np.intp), len(p) - 1)
    return square, np.asarray(np.bincount(samples, weights=pieces, minlength=len(p)), dtype=np.float64)
