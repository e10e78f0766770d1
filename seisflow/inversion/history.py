"""What the search directions of a stage remember of the steps before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError, PhysicsError
from seisflow.io.hdf5 import attribute_text, put, reading, writing

__all__ = ["History", "Last", "Pair", "dot", "load_history", "positive_curvature", "save_history"]

LEAST_CURVATURE = 1e-8
"""A pair is kept if s.y > LEAST_CURVATURE |s| |y|; less makes the inverse Hessian useless or indefinite."""

SAME_WAY = 0.5
"""Least cosine between an accepted step and the direction that it is taken to have gone along."""


class Pair(NamedTuple):
    """Change of the variables ``s`` and of the gradient ``y`` over one accepted step, arrays of one shape."""

    s: FloatArray
    y: FloatArray


class Last(NamedTuple):
    """What conjugate gradients keep of the last iteration, arrays of one shape.

    Parameters
    ----------
    gradient, preconditioned, direction : ndarray
        g, H0 g, and the direction -H0 g + beta d that was taken from there.
    """

    gradient: FloatArray
    preconditioned: FloatArray
    direction: FloatArray

    def along(self, s: FloatArray) -> Last | None:
        """The same with the step that was taken, at the length of the direction that it went along.

        That is ``direction``, or steepest descent where the line search fell back on it; None if the step is
        along neither.
        """
        length = float(np.sqrt(dot(s, s)))
        ways = (self.direction, -self.preconditioned)
        sizes = [dot(way, way) for way in ways]
        cosines = [
            dot(s, way) / (length * np.sqrt(size)) if size > 0 and length > 0 else 0.0
            for way, size in zip(ways, sizes, strict=True)
        ]
        nearest = int(np.argmax(cosines))
        if not cosines[nearest] >= SAME_WAY:
            return None
        return self._replace(direction=s * (sizes[nearest] / dot(s, ways[nearest])))


@dataclass(frozen=True, eq=False)
class History:
    """What L-BFGS and conjugate gradients remember.

    Parameters
    ----------
    pairs : tuple of Pair
        Oldest first. For conjugate gradients that of the last step alone.
    note : str
        Why the last call of ``after`` restarted; empty otherwise.
    last : Last, optional
        For conjugate gradients.
    """

    pairs: tuple[Pair, ...] = ()
    note: str = ""
    last: Last | None = None

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
        known = [pair.s for pair in self.pairs] + ([self.last.gradient] if self.last else [])
        if s.shape != y.shape or any(values.shape != s.shape for values in known):
            raise InputError(
                f"a pair has shapes {s.shape} and {y.shape}; they and those of the history must agree"
            )
        curvature, size = dot(s, y), float(np.sqrt(dot(s, s) * dot(y, y)))
        if not np.isfinite(curvature) or not np.isfinite(size):
            raise PhysicsError("the change of the model or of the gradient is NaN or infinite")
        if memory == 0:
            return History()
        if not positive_curvature(s, y):
            cosine = curvature / size if size > 0 else 0.0
            return History((), f"restarted: the last step saw no positive curvature (cosine {cosine:.2g})")
        pair = Pair(np.array(s, dtype=np.float64), np.array(y, dtype=np.float64))
        if self.last is None:
            return History((*self.pairs, pair)[-memory:])
        last = self.last.along(pair.s)
        if last is None:
            return History((), "restarted: the last step did not go along the last direction")
        return History((pair,), last=last)


def dot(a: FloatArray, b: FloatArray) -> float:
    """Sum of a b in double precision, in an order that does not depend on threads."""
    return float(np.sum(np.multiply(a, b, dtype=np.float64)))


def positive_curvature(s: FloatArray, y: FloatArray) -> bool:
    """Whether a pair makes the inverse Hessian positive, with some room for rounding."""
    return dot(s, y) > LEAST_CURVATURE * float(np.sqrt(dot(s, s) * dot(y, y)))


def save_history(path: Path, history: History) -> None:
    """Write a history to an HDF5 file, in double precision and with checksums, whole or not at all."""
    with writing(path) as file:
        file.attrs["pairs"] = len(history.pairs)
        file.attrs["note"] = np.bytes_(history.note.encode() + b"\x00")
        for number, pair in enumerate(history.pairs):
            _put_all(file, f"{number:03d}", pair._asdict())
        if history.last is not None:
            _put_all(file, "last", history.last._asdict())


def _put_all(file: h5py.File, group: str, arrays: dict[str, FloatArray]) -> None:
    for name, values in arrays.items():
        put(file, f"{group}/{name}", np.asarray(values, dtype=np.float64))


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
        last = Last(*(file[f"last/{name}"][()] for name in Last._fields)) if "last" in file else None
        return History(pairs, attribute_text(file.attrs, "note"), last)
