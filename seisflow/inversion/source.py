"""Inversion for an earthquake: its moment tensor, place and origin time.

Seismograms are linear in the tensor, and nearly so in a small change of place and time. A step minimises the misfit
itself, whichever it is, on seismograms that are linear in all of them; then they are simulated at the new place
(Gauss-Newton, with the misfit's own curvature).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np

from seisflow.domain import FloatArray, MomentTensor
from seisflow.domain.mechanism import NodalPlane, double_couple, nodal_planes

__all__ = ["Linear", "Mechanism", "Objective", "Solved", "jackknife", "solve"]

Mechanism = Literal["full", "deviatoric", "double-couple"]
Objective = Callable[[FloatArray], tuple[float, FloatArray]]
"""Misfit of synthetic samples, and its derivative with respect to each."""
_DAMPING = 1e-6
_ROUNDS = 300


@dataclass(frozen=True, eq=False)
class Linear:
    """Synthetic seismograms as linear functions of the source.

    Parameters
    ----------
    tensor : ndarray (6, ...)
        By N m of mrr, mtt, mpp, mrt, mrp, mtp.
    motion : ndarray (n, ...)
        By the unit of each other parameter, at the tensor that the step starts from.
    bounds : ndarray (n,)
        Largest change of each other parameter.
    """

    tensor: FloatArray
    motion: FloatArray
    bounds: FloatArray


@dataclass(frozen=True, eq=False)
class Solved:
    """A tensor, the change of the other parameters, the misfit on the linear seismograms."""

    tensor: MomentTensor
    change: FloatArray
    misfit: float


class _Form:
    """A tensor as a function of few numbers of order one."""

    def __init__(self, mechanism: Mechanism, tensor: MomentTensor) -> None:
        self.mechanism, self.moment = mechanism, tensor.scalar_moment
        values = np.array(astuple(tensor)) / self.moment
        self.basis = np.eye(6)
        if mechanism == "deviatoric":
            trace = np.array([1.0, 1, 1, 0, 0, 0])[:, None] / np.sqrt(3)
            self.basis = np.linalg.svd(np.eye(6) - trace @ trace.T)[0][:, :5]
        self.start: FloatArray = self.basis.T @ values
        if mechanism == "double-couple":
            plane = nodal_planes(tensor)[0]
            self.start = np.array([*np.radians([plane.strike, plane.dip, plane.rake]), 0.0])

    def values(self, numbers: FloatArray) -> FloatArray:
        """The six components in N m."""
        if self.mechanism != "double-couple":
            linear: FloatArray = self.moment * (self.basis @ numbers)
            return linear
        plane = NodalPlane(*np.degrees(numbers[:3]))
        return np.array(astuple(double_couple(plane, self.moment * float(np.exp(numbers[3])))))

    def slopes(self, numbers: FloatArray) -> FloatArray:
        """Derivatives (6, numbers)."""
        if self.mechanism != "double-couple":
            return self.moment * self.basis
        columns = []
        for number in range(4):
            step = np.zeros(4)
            step[number] = 1e-5
            columns.append((self.values(numbers + step) - self.values(numbers - step)) / 2e-5)
        return np.stack(columns, axis=1)


def solve(objective: Objective, linear: Linear, start: MomentTensor, mechanism: Mechanism) -> Solved:
    """Minimise the misfit of linear seismograms.

    Parameters
    ----------
    objective : callable
    linear : Linear
    start : MomentTensor
    mechanism : {"full", "deviatoric", "double-couple"}
        ``deviatoric``: no change of volume; ``double-couple``: slip on a plane.
    """
    from scipy.optimize import minimize  # imported late, see ``seisflow.fourier``

    form = _Form(mechanism, start)
    count, scale = form.start.size, linear.bounds
    first = np.concatenate([form.start, np.zeros(scale.size)])
    flat = linear.tensor.reshape(6, -1), linear.motion.reshape(scale.size, -1)
    shape = linear.tensor.shape[1:]

    def predicted(x: FloatArray) -> FloatArray:
        found: FloatArray = form.values(x[:count]) @ flat[0] + (x[count:] * scale) @ flat[1]
        return found.reshape(shape)

    unit = objective(predicted(first))[0] or 1.0

    def value_and_slope(x: FloatArray) -> tuple[float, FloatArray]:
        value, slope = objective(predicted(x))
        by_tensor = (flat[0] @ slope.ravel()) @ form.slopes(x[:count])
        by_motion = (flat[1] @ slope.ravel()) * scale
        away = x - first  # what no window sees stays where it is
        gradient = np.concatenate([by_tensor, by_motion]) / unit + 2 * _DAMPING * away
        return value / unit + _DAMPING * float(away @ away), gradient

    bounds = [(None, None)] * count + [(-1.0, 1.0)] * scale.size
    options = {"maxiter": _ROUNDS, "ftol": 1e-12, "gtol": 1e-8, "maxcor": 20}
    found = minimize(value_and_slope, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    tensor = MomentTensor(*(float(value) for value in form.values(found.x[:count])))
    return Solved(tensor, found.x[count:] * scale, objective(predicted(found.x))[0])


def jackknife(values: FloatArray) -> FloatArray:
    """Standard errors from solutions that leave out one station each (Efron & Tibshirani 1993, eq. 11.5).

    Parameters
    ----------
    values : ndarray (stations, ...)
    """
    count = values.shape[0]
    spread: FloatArray = np.sqrt((count - 1) / count * np.sum((values - values.mean(axis=0)) ** 2, axis=0))
    return spread
