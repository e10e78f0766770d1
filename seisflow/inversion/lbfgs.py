"""Search directions by L-BFGS, as functions of an explicit history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError, PhysicsError
from seisflow.io.hdf5 import attribute_text, put, reading, writing

__all__ = ["Direction", "History", "Pair", "direction", "load_history", "save_history", "slope"]

LEAST_CURVATURE = 1e-8
"""A pair is kept if s.y > LEAST_CURVATURE |s| |y|; less makes the inverse Hessian useless or indefinite."""

LEAST_ALIGNMENT = 1e-3
"""A direction is kept if the misfit falls along it at least this fraction of how it falls along steepest "
"descent."""


class Pair(NamedTuple):
    """Change of the variables ``s`` and of the gradient ``y`` over one accepted step, arrays of one shape."""

    s: FloatArray
    y: FloatArray


@dataclass(frozen=True, eq=False)
class History:
    """What L-BFGS remembers.

    Parameters
    ----------
    pairs : tuple of Pair
        Oldest first.
    note : str
        Why the last call of ``after`` restarted; empty otherwise.
    """

    pairs: tuple[Pair, ...] = ()
    note: str = ""

    def after(self, s: FloatArray, y: FloatArray, memory: int) -> History:
        """Add an accepted step; without positive curvature the history comes back empty (a restart).

        Parameters
        ----------
        s : ndarray
            x_new - x_old.
        y : ndarray
            dJ/dx at x_new minus dJ/dx at x_old, of the same misfit (same band, same windows and weights).
        memory : int
            Pairs to keep.

        Raises
        ------
        InputError
            If the shapes differ.
        PhysicsError
            If one of the two is not finite.
        """
        if s.shape != y.shape or any(pair.s.shape != s.shape for pair in self.pairs):
            raise InputError(
                f"a pair has shapes {s.shape} and {y.shape}; they and those of the history must agree"
            )
        curvature, size = _dot(s, y), float(np.sqrt(_dot(s, s) * _dot(y, y)))
        if not np.isfinite(curvature) or not np.isfinite(size):
            raise PhysicsError("the change of the model or of the gradient is NaN or infinite")
        if memory == 0:
            return History()
        if curvature <= LEAST_CURVATURE * size:
            cosine = curvature / size if size > 0 else 0.0
            return History((), f"restarted: the last step saw no positive curvature (cosine {cosine:.2g})")
        pair = Pair(np.array(s, dtype=np.float64), np.array(y, dtype=np.float64))
        return History((*self.pairs, pair)[-memory:])


@dataclass(frozen=True, eq=False)
class Direction:
    """A search direction.

    Parameters
    ----------
    values : ndarray
        d, shape of the gradient; the model moves to m exp(step d).
    slope : float
        dJ/d(step) at step 0, negative.
    kind : {"lbfgs", "steepest descent"}
    alignment : float
        Fall of the misfit per length of d, relative to steepest descent (1 for steepest descent itself).
    note : str
        Why the memory was dropped; empty if it was not.
    """

    values: FloatArray
    slope: float
    kind: Literal["lbfgs", "steepest descent"]
    alignment: float
    note: str = ""


def slope(gradient: FloatArray, values: FloatArray) -> float:
    """Derive the misfit along a direction: the sum of g d, in an order that does not depend on threads."""
    return _dot(gradient, values)


def direction(
    gradient: FloatArray, history: History, inverse_hessian: Callable[[FloatArray], FloatArray]
) -> Direction:
    """Compute the direction d = -H g of L-BFGS by two loops (Nocedal & Wright 2006, algorithm 7.4).

    The first guess is H0 scaled by s.y / (y.H0 y) of the newest pair (their equation 7.20 in the metric of
    H0). Without pairs it is steepest descent -H0 g, which is also taken instead of a direction that hardly
    descends.

    Parameters
    ----------
    gradient : ndarray
        dJ/dx, neither masked nor smoothed.
    history : History
        If the returned ``note`` is not empty, go on with an empty one.
    inverse_hessian : callable
        H0: symmetric, positive; see ``InverseHessian``.

    Returns
    -------
    Direction

    Raises
    ------
    PhysicsError
        If the gradient is not finite, or zero wherever H0 lets the model move.
    """
    if not np.isfinite(gradient).all():
        raise PhysicsError(f"the gradient is NaN or infinite at {int((~np.isfinite(gradient)).sum())} nodes")
    steepest = -inverse_hessian(np.asarray(gradient, dtype=np.float64))
    fall = _dot(gradient, steepest)
    if not fall < 0:
        raise PhysicsError(
            f"the misfit does not fall along steepest descent (slope {fall:g}): the gradient is zero "
            "outside the masks"
        )
    if not history.pairs:
        return Direction(steepest, fall, "steepest descent", 1.0, history.note)
    values = -_two_loops(np.asarray(gradient, dtype=np.float64), history.pairs, inverse_hessian)
    along = _dot(gradient, values)
    unit = fall / np.sqrt(_dot(steepest, steepest))
    length = float(np.sqrt(_dot(values, values)))
    alignment = float(along / length / unit) if length > 0 else 0.0
    if not (np.isfinite(alignment) and alignment >= LEAST_ALIGNMENT):
        note = f"restarted: the L-BFGS direction hardly descends (alignment {alignment:.2g})"
        return Direction(steepest, fall, "steepest descent", 1.0, note)
    return Direction(values, along, "lbfgs", alignment)


def _two_loops(
    gradient: FloatArray, pairs: tuple[Pair, ...], inverse_hessian: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    inverse_curvatures = [1.0 / _dot(pair.s, pair.y) for pair in pairs]
    vector = gradient.copy()
    factors: list[float] = []
    for pair, rho in zip(reversed(pairs), reversed(inverse_curvatures), strict=True):
        factors.append(rho * _dot(pair.s, vector))
        vector -= factors[-1] * pair.y
    newest = pairs[-1]
    norm = _dot(newest.y, inverse_hessian(newest.y))
    vector = inverse_hessian(vector)
    if norm > 0:
        vector = vector * (_dot(newest.s, newest.y) / norm)
    for pair, rho, factor in zip(pairs, inverse_curvatures, reversed(factors), strict=True):
        vector = vector + (factor - rho * _dot(pair.y, vector)) * pair.s
    return vector


def _dot(a: FloatArray, b: FloatArray) -> float:
    return float(np.sum(np.multiply(a, b, dtype=np.float64)))


def save_history(path: Path, history: History) -> None:
    """Write a history to an HDF5 file, in double precision and with checksums, whole or not at all."""
    with writing(path) as file:
        file.attrs["pairs"] = len(history.pairs)
        file.attrs["note"] = np.bytes_(history.note.encode() + b"\x00")
        for number, pair in enumerate(history.pairs):
            for name, values in pair._asdict().items():
                put(file, f"{number:03d}/{name}", values)


def load_history(path: Path) -> History:
    """Read a history written by ``save_history``, every bit as it was.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged. It can be deleted: an empty history restarts with steepest descent.
    """
    with reading(path) as file:
        pairs = tuple(
            Pair(file[f"{number:03d}/s"][()], file[f"{number:03d}/y"][()])
            for number in range(int(file.attrs["pairs"]))
        )
        return History(pairs, attribute_text(file.attrs, "note"))
