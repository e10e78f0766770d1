"""Search directions: L-BFGS, nonlinear conjugate gradients, steepest descent; all in the metric of H0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion.history import History, Last, Pair, dot, positive_curvature

__all__ = ["Direction", "Method", "direction", "slope"]

Method = Literal["lbfgs", "cg", "steepest_descent"]

Metric = Callable[[FloatArray], FloatArray]

LEAST_ALIGNMENT = 1e-3
"""A direction is kept if the misfit falls along it at least this fraction of how it falls along steepest
descent."""

POWELL = 0.2
"""Conjugate gradients restart if g_new.H0 g_old exceeds this fraction of g_new.H0 g_new (Powell 1977)."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A search direction.

    Parameters
    ----------
    values : ndarray
        d, shape of the gradient; the model moves to m exp(step d).
    slope : float
        dJ/d(step) at step 0, negative.
    kind : {"lbfgs", "cg", "steepest descent"}
        The first two have the length of the step that they expect: 1 is the first to try.
    alignment : float
        Fall of the misfit per length of d, relative to steepest descent (1 for steepest descent itself): the
        cosine of the angle to the gradient over that of -H0 g.
    note : str
        Why the memory was dropped; empty if it was not.
    history : History
        What to remember of this iteration: save it, and call ``after`` on it when the step is taken.
    """

    values: FloatArray
    slope: float
    kind: Literal["lbfgs", "cg", "steepest descent"]
    alignment: float
    note: str = ""
    history: History = field(default_factory=History)


def slope(gradient: FloatArray, values: FloatArray) -> float:
    """Derive the misfit along a direction: the sum of g d, in an order that does not depend on threads."""
    return dot(gradient, values)


def direction(
    gradient: FloatArray,
    history: History,
    inverse_hessian: Metric,
    method: Method = "lbfgs",
    restart_angle: float = 90.0,
    free: npt.NDArray[np.bool_] | None = None,
) -> Direction:
    """Compute the direction in which to look for a better model.

    ``lbfgs``: d = -H g by two loops (Nocedal & Wright 2006, algorithm 7.4); the first guess is H0 scaled by
    s.y / (y.H0 y) of the newest pair (their equation 7.20 in the metric of H0).

    ``cg``: d = -H0 g + beta d_old, beta = max(0, g.H0 (g - g_old) / g_old.H0 g_old) (Polak & Ribiere 1969 with
    the bound of Powell 1986), scaled so that 1 is the first step to try. It restarts where neighbouring gradients
    overlap (Powell 1977), and where no step was added since the last direction.

    Without pairs both are steepest descent -H0 g, which is also taken instead of a direction that hardly
    descends.

    Parameters
    ----------
    gradient : ndarray
        dJ/dx, neither masked nor smoothed.
    history : History
    inverse_hessian : callable
        H0: symmetric, positive; see ``InverseHessian``.
    method : {"lbfgs", "cg", "steepest_descent"}
    restart_angle : float
        Degrees, above 0 to 90: restart when arccos(``alignment``) exceeds it. 90 leaves only the test that the
        misfit falls a thousandth as steeply as along steepest descent.
    free : ndarray of bool, shape of the gradient, optional
        Where the model may move, see ``free_nodes``; everywhere, if left out.

    Returns
    -------
    Direction
        Go on with its ``history``.

    Raises
    ------
    InputError
        If the method is not known or the angle is not in its range.
    PhysicsError
        If the gradient is not finite, or zero wherever H0 lets the model move.
    """
    if method not in ("lbfgs", "cg", "steepest_descent") or not 0 < restart_angle <= 90:
        raise InputError(
            f"method = {method} with restart_angle = {restart_angle}: use lbfgs, cg or steepest_descent and an "
            "angle above 0 up to 90 degrees"
        )
    if not np.isfinite(gradient).all():
        raise PhysicsError(f"the gradient is NaN or infinite at {int((~np.isfinite(gradient)).sum())} nodes")
    gradient = np.asarray(gradient, dtype=np.float64)
    pairs = history.pairs
    if free is not None and not free.all():
        gradient, inverse_hessian = gradient * free, _restricted(inverse_hessian, free)
        pairs = _restricted_pairs(pairs, free)
    steepest = -inverse_hessian(gradient)
    fall = dot(gradient, steepest)
    if not fall < 0:
        raise PhysicsError(
            f"the misfit does not fall along steepest descent (slope {fall:g}): the gradient is zero "
            "outside the masks and bounds"
        )
    least = max(LEAST_ALIGNMENT, float(np.cos(np.radians(restart_angle))))
    if method == "steepest_descent":
        return Direction(steepest, fall, "steepest descent", 1.0)
    if method == "cg":
        return _conjugate(gradient, steepest, history, least, free)
    if not pairs:
        remembered = History(history.pairs)
        return Direction(steepest, fall, "steepest descent", 1.0, history.note, remembered)
    values = -_two_loops(gradient, pairs, inverse_hessian)
    alignment = _alignment(gradient, steepest, values)
    if not alignment >= least:
        note = f"restarted: the L-BFGS direction hardly descends (alignment {alignment:.2g})"
        return Direction(steepest, fall, "steepest descent", 1.0, note)
    return Direction(values, dot(gradient, values), "lbfgs", alignment, "", History(history.pairs))


def _restricted(inverse_hessian: Metric, free: npt.NDArray[np.bool_]) -> Metric:
    return lambda vector: inverse_hessian(vector * free) * free


def _restricted_pairs(pairs: tuple[Pair, ...], free: npt.NDArray[np.bool_]) -> tuple[Pair, ...]:
    """The pairs on the nodes that may move; those without positive curvature there are left out."""
    parts = (Pair(pair.s * free, pair.y * free) for pair in pairs)
    return tuple(pair for pair in parts if positive_curvature(pair.s, pair.y))


def _alignment(gradient: FloatArray, steepest: FloatArray, values: FloatArray) -> float:
    unit = dot(gradient, steepest) / np.sqrt(dot(steepest, steepest))
    length = float(np.sqrt(dot(values, values)))
    alignment = float(dot(gradient, values) / length / unit) if length > 0 else 0.0
    return alignment if np.isfinite(alignment) else 0.0


def _two_loops(gradient: FloatArray, pairs: tuple[Pair, ...], inverse_hessian: Metric) -> FloatArray:
    inverse_curvatures = [1.0 / dot(pair.s, pair.y) for pair in pairs]
    vector = gradient.copy()
    factors: list[float] = []
    for pair, rho in zip(reversed(pairs), reversed(inverse_curvatures), strict=True):
        factors.append(rho * dot(pair.s, vector))
        vector -= factors[-1] * pair.y
    newest = pairs[-1]
    norm = dot(newest.y, inverse_hessian(newest.y))
    vector = inverse_hessian(vector)
    if norm > 0:
        vector = vector * (dot(newest.s, newest.y) / norm)
    for pair, rho, factor in zip(pairs, inverse_curvatures, reversed(factors), strict=True):
        vector = vector + (factor - rho * dot(pair.y, vector)) * pair.s
    return vector


def _conjugate(
    gradient: FloatArray,
    steepest: FloatArray,
    history: History,
    least: float,
    free: npt.NDArray[np.bool_] | None,
) -> Direction:
    last, fall = history.last, dot(gradient, steepest)
    if last is None or not history.pairs:
        remembered = History(last=Last(gradient, -steepest, steepest))
        return Direction(steepest, fall, "steepest descent", 1.0, history.note, remembered)
    pair = history.pairs[-1]
    beta = -dot(steepest, pair.y) / dot(last.gradient, last.preconditioned)
    overlap = dot(gradient, last.preconditioned) / -fall
    values, alignment, note = steepest, 1.0, ""
    if abs(overlap) > POWELL:
        note = f"restarted: this gradient and the last overlap by {overlap:.2g}"
    elif beta > 0:
        values = steepest + beta * (last.direction if free is None else last.direction * free)
        alignment = _alignment(gradient, steepest, values)
        if not alignment >= least:
            note = f"restarted: the conjugate direction hardly descends (alignment {alignment:.2g})"
            values, alignment = steepest, 1.0
    along = dot(gradient, values)
    scale = _expected_step(last, pair, along)
    if not (np.isfinite(scale) and scale > 0):
        remembered = History(last=Last(gradient, -steepest, steepest))
        return Direction(steepest, fall, "steepest descent", 1.0, note, remembered)
    remembered = History(last=Last(gradient, -steepest, values))
    return Direction(scale * values, scale * along, "cg", alignment, note, remembered)


def _expected_step(last: Last, pair: Pair, along: float) -> float:
    """Step that gains as much, to first order, as the best one along the last direction.

    Nocedal & Wright 2006, equation 3.60, with the last step moved to the minimum of the parabola that the slopes at
    its ends define.
    """
    best = -dot(last.gradient, pair.s) / dot(pair.s, pair.y)
    taken = float(np.sqrt(dot(pair.s, pair.s) / dot(last.direction, last.direction)))
    return best * taken * dot(last.gradient, last.direction) / along
