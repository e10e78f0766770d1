"""How wrong elastic3d is after a number of wavelengths, and which sampling keeps it right.

Two errors add: one that does not grow with distance (interpolation at source and stations, the surface), and numerical
dispersion, which grows with it. Dispersion is that of the scheme along an axis of the grid, where it is largest, summed
over the spectrum of a source; that of Rayleigh waves has the error of the free surface too. In Lamb's problem
(benchmarks/verify/lamb.py) it was as foretold to forty wavelengths, within a tenth at order 8; at order 4 with 9.5
points a sixth less than foretold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from seisflow.domain import FloatArray

__all__ = ["Sampling", "expected_error", "recommended_points", "relative_cost"]

_COEFFICIENTS = {
    4: (9 / 8, -1 / 24),
    8: (1225 / 1024, -245 / 3072, 49 / 5120, -5 / 7168),
}
_POINTS = (
    4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 8.0, 9.0, 10.0, 11.0, 13.0, 16.0, 20.0, 25.0, 32.0, 40.0
)  # fmt: skip
_SURFACE = {
    4: (8.2e-3, 5.37e-3, 3.52e-3, 2.3e-3, 1.5e-3, 9.72e-4, 6.21e-4, 2.28e-4, 4.98e-5, -3.04e-5, -6.47e-5, -7.86e-5,
        -6.39e-5, -4.19e-5, -2.48e-5, -1.28e-5, -6.62e-6),
    8: (5.43e-3, 3.22e-3, 1.85e-3, 1.01e-3, 4.9e-4, 1.75e-4, -1.4e-5, -1.84e-4, -2.25e-4, -2.18e-4, -1.95e-4, -1.44e-4,
        -8.9e-5, -4.98e-5, -2.69e-5, -1.33e-5, -6.87e-6),
}  # fmt: skip
"""Relative error of the speed of Rayleigh waves by the closure of the surface, at ``_POINTS`` a wavelength of S, for
vp / vs of sqrt 3: ``rayleigh_error`` of tests/reference/free_surface_closure.py."""
_RAYLEIGH = 0.9194
"""Speed of Rayleigh waves over that of S."""
_COURANT = {4: 0.4949, 8: 0.4488}
_CORNER = 3.0
"""At the shortest period the spectrum of the source is exp(-3) of its largest, as in docs/verification.md."""
TARGET = 0.01


@dataclass(frozen=True)
class Sampling:
    """A grid: order, points per shortest S wavelength, and time step over the largest stable one.

    Parameters
    ----------
    order : {4, 8}
    points : float
    ratio : float
        vp / vs of the fastest P over the slowest S wave: the time step follows the former.
    safety : float
    """

    order: int
    points: float
    ratio: float = float(np.sqrt(3))
    safety: float = 0.9


def _velocity_error(sampling: Sampling, share: FloatArray) -> FloatArray:
    """Relative error of the S velocity at a share of the highest frequency (Moczo et al. 2000, section 3)."""
    kh = 2 * np.pi * share / sampling.points
    factors = _COEFFICIENTS[sampling.order]
    seen = sum(2 * c * np.sin((m + 0.5) * kh) for m, c in enumerate(factors))
    if sampling.order == 8:  # its time steps are corrected
        return np.asarray(seen / kh - 1)
    step = sampling.safety * _COURANT[sampling.order] / sampling.ratio  # vs dt / h
    return np.asarray(2 / step * np.arcsin(0.5 * step * seen) / kh - 1)


def expected_error(sampling: Sampling, wavelengths: float) -> float:
    """Relative L2 error of an S or a Rayleigh pulse by numerical dispersion, whichever is larger.

    Parameters
    ----------
    sampling : Sampling
    wavelengths : float
        Length of the path in shortest S wavelengths.
    """
    share = np.linspace(0.01, 1.6, 320)
    slower = replace(sampling, points=_RAYLEIGH * sampling.points, ratio=sampling.ratio / _RAYLEIGH)
    surface = np.interp(sampling.points / share, _POINTS, _SURFACE[sampling.order])
    pulses = (
        (1.0, wavelengths, _velocity_error(sampling, share)),
        # a force or a tensor near the surface: its waves in the plane have another half power of the frequency
        (1.5, wavelengths / _RAYLEIGH, _velocity_error(slower, share) + surface),
    )
    errors = []
    for power, cycles, slow in pulses:
        weight = (share**power * np.exp(-_CORNER * share**2)) ** 2
        phase = 2 * np.pi * cycles * share * slow
        errors.append(np.sqrt(np.sum(weight * np.abs(np.exp(1j * phase) - 1) ** 2) / np.sum(weight)))
    return float(max(errors))


def recommended_points(order: int, wavelengths: float, ratio: float, target: float = TARGET) -> float:
    """Fewest points per shortest wavelength, in halves, with which dispersion stays below a target.

    Never fewer than what stations and sources near the surface need: 8 at order 4, 6.5 at order 8.

    Parameters
    ----------
    order : {4, 8}
    wavelengths, ratio : float
        See ``expected_error`` and ``Sampling``.
    target : float
        Relative L2 error.
    """
    points = LEAST[order]
    while expected_error(Sampling(order, points, ratio), wavelengths) > target and points < MOST:
        points += 0.5
    return points


def relative_cost(order: int, points: float) -> float:
    """Time of a simulation for given points per wavelength, over that of order 4 with 8."""
    steps = points * _COURANT[4] / _COURANT[order] / 8
    return (points / 8) ** 3 * steps * (PER_POINT if order == 8 else 1.0)


LEAST = {4: 8.0, 8: 6.5}
MOST = 30.0
PER_POINT = 1.5
"""Time of a point and step at order 8 over that at order 4: measured at 100^3 on a Xeon, 1.47 and 1.53 with absorbing
layers, 1.63 and 1.70 without."""
