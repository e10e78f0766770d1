"""Attenuation of nearly constant Q: mechanisms of relaxation, and the dispersion that goes with them.

The modulus of a point at angular frequency w, over the unrelaxed one, is 1 - phi 8 share_l w_l / (w_l + i w).
Frequencies w_l and shares of eight mechanisms are fitted once, in units of the shortest period; the strength phi of a
point is chosen from its Q. Each point has one of the mechanisms, by the parity of its place, so that any 2 x 2 x 2
points hold all (Day 1998; Day & Bradley 2001). What waves see is the mean of the eight, less what their differences
take.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray, Model
from seisflow.errors import InputError
from seisflow.native.elastic3d import Relaxation

__all__ = ["LEAST_Q", "Attenuation", "attenuation_of"]

LEAST_Q = 10.0
"""Below it one mechanism of eight times its share would take most of the modulus of its point."""
_LOW, _HIGH = 0.02, 1.5
"""The band in which Q is constant, over the highest frequency of interest."""
_BEYOND = 4.0
"""Mechanisms reach beyond the band by this factor."""
_FITTED_Q = 40.0
_SOFTER = 0.65
"""Share of the variance of the moduli of a cell, over their mean, by which it is softer: 0.4 to 0.9 by the direction
and kind of strain (static cells of the staggered grid)."""
_MIDDLE = 0.5
"""Where speeds are brought to, over the highest frequency of interest."""
_ORDER = np.array([[[0, 3], [5, 6]], [[7, 4], [2, 1]]])
"""Number of the mechanism by parity of x, y, z: the faces of the cell have the same sum of numbers and of squares."""


@dataclass(frozen=True, eq=False)
class _Ladder:
    """Mechanisms in units of the highest frequency; strengths and stiffness by 1/Q."""

    rates: FloatArray
    shares: FloatArray
    losses: FloatArray
    strengths: FloatArray
    stiffness: FloatArray

    def modulus(self, omega: FloatArray, strength: float) -> npt.NDArray[np.complex128]:
        """Modulus that waves see, over the unrelaxed one."""
        return _modulus(omega, self.rates, strength * self.shares)


def _modulus(omega: FloatArray, rates: FloatArray, shares: FloatArray) -> npt.NDArray[np.complex128]:
    """Mean over the points of a cell, less what their differences take (the strain gathers where they are soft)."""
    points = 1 - _ORDER.size * shares / (1 + 1j * omega[:, None] / rates)
    mean = points.mean(axis=1)
    result: npt.NDArray[np.complex128] = mean - _SOFTER * ((points**2).mean(axis=1) - mean**2) / mean
    return result


def _loss(modulus: npt.NDArray[np.complex128]) -> FloatArray:
    result: FloatArray = modulus.imag / modulus.real
    return result


@lru_cache(maxsize=1)
def _ladder() -> _Ladder:
    """Fit the mechanisms and tabulate strengths."""
    omega = 2 * np.pi * np.geomspace(_LOW, _HIGH, 60)
    rates = 2 * np.pi * np.geomspace(_LOW / _BEYOND, _HIGH * _BEYOND, _ORDER.size)

    def misfit(shares: FloatArray) -> FloatArray:
        result: FloatArray = np.log(_FITTED_Q * _loss(_modulus(omega, rates, shares / _FITTED_Q)))
        return result

    start = np.full(_ORDER.size, 2 / np.pi * np.log(rates[1] / rates[0]))
    from scipy.optimize import least_squares  # imported late: only where Q is asked for

    shares = least_squares(misfit, start, bounds=(0.1 * start, 3 * start)).x
    strengths = np.concatenate([[0.0], np.geomspace(1e-5, 1.2 / LEAST_Q, 200)])
    moduli = [_modulus(omega, rates, strength * shares) for strength in strengths[1:]]
    losses = np.array([0.0, *(np.exp(np.mean(np.log(_loss(m)))) for m in moduli)])
    middle = np.array([2 * np.pi * _MIDDLE])
    seen = np.array([_modulus(middle, rates, strength * shares)[0] for strength in strengths])
    return _Ladder(rates, shares, losses, strengths, np.real(1 / np.sqrt(seen)) ** 2)


@dataclass(frozen=True)
class Attenuation:
    """Attenuation in a simulation.

    Parameters
    ----------
    highest : float
        Highest frequency of interest in Hz.
    reference : float
        Frequency in Hz for which the model gives speeds.
    relaxing : bool
        False: waves are not attenuated, but speeds are those of the middle of the band.
    """

    highest: float
    reference: float
    relaxing: bool = True

    @property
    def band(self) -> tuple[float, float]:
        """Frequencies in Hz between which Q is nearly constant."""
        return _LOW * self.highest, _HIGH * self.highest

    def strength(self, loss: FloatArray) -> FloatArray:
        """Strength of the relaxation of a modulus for its 1/Q."""
        ladder = _ladder()
        result: FloatArray = np.interp(loss, ladder.losses, ladder.strengths)
        return result

    def stiffness(self, loss: FloatArray) -> FloatArray:
        """What turns a modulus at the reference frequency into that of the simulation, the unrelaxed one.

        From the reference frequency to the middle of the band as for a constant Q, v(f) = v0 (1 + ln(f / f0) / (pi Q))
        (Aki & Richards 2002, eq. 5.94), there by the phase speed of the mechanisms.
        """
        loss = np.asarray(loss, dtype=np.float64)
        middle = (1 + np.log(_MIDDLE * self.highest / self.reference) / np.pi * loss) ** 2
        result: FloatArray = middle
        if self.relaxing:
            ladder = _ladder()
            result = middle * np.interp(loss, ladder.losses, ladder.stiffness)
        return result

    def modulus(self, frequency: FloatArray, loss: float) -> npt.NDArray[np.complex128]:
        """Complex modulus over that of the simulation at some frequencies in Hz, as the mechanisms give it."""
        strength = float(self.strength(np.array(loss)))
        return _ladder().modulus(2 * np.pi * np.asarray(frequency) / self.highest, strength)

    def relaxation(self, step: float) -> Relaxation:
        """The mechanisms for a time step in s."""
        ladder = _ladder()
        return Relaxation(step * self.highest * ladder.rates[_ORDER], _ORDER.size * ladder.shares[_ORDER])

    def extremes(self, model: Model) -> tuple[float, float]:
        """Slowest S speed, and fastest P speed (unrelaxed), in m/s."""
        bulk, shear = (self.stiffness(1 / np.asarray(q, np.float64)) for q in (model.qkappa, model.qmu))
        slowest = float(model.vs.min()) if self.relaxing else float((model.vs * np.sqrt(shear)).min())
        kappa, mu = model.vp**2 - 4 / 3 * model.vs**2, model.vs**2
        # infinite Q leaves vp as it is, to the last bit
        change = (kappa * (bulk - 1) + 4 / 3 * mu * (shear - 1)) / model.vp**2
        return slowest, float((model.vp * np.sqrt(1 + change)).max())


def attenuation_of(model: Model, period: float, *, relaxing: bool) -> Attenuation | None:
    """Choose the attenuation of a model, or None if it has no Q.

    Parameters
    ----------
    model : Model
    period : float
        Shortest period in s.
    relaxing : bool
        Whether waves are attenuated.

    Raises
    ------
    InputError
        Where Q is too small.
    """
    if model.qmu is None or model.qkappa is None:
        return None
    for name, values in (("qkappa", model.qkappa), ("qmu", model.qmu)):
        if values.min() < LEAST_Q:
            place = tuple(np.argwhere(values < LEAST_Q)[0])
            x, y, z = (float(model.grid.axis(a)[i]) for a, i in enumerate(place))
            raise InputError(
                f"elastic3d: {name} = {values[place]:g} at x = {x:g} m, y = {y:g} m, z = {z:g} m; at least {LEAST_Q:g} "
                "is needed: raise it there, or set solver.attenuation: false"
            )
    return Attenuation(1 / period, model.reference_frequency, relaxing)
