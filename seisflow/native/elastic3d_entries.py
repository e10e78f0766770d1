"""Weighted points of fields, which sources add to and receivers sum over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "Entries", "pieces"]

COLUMNS = ("field", "x", "y", "z", "weight", "signal")


@dataclass(frozen=True, eq=False)
class Entries:
    """Weighted points of fields: what a source adds to or a receiver sums over.

    Parameters
    ----------
    field : ndarray of int (n,)
        Number in ``FIELDS``.
    x, y, z : ndarray of int (n,)
        Point of the grid.
    weight : ndarray (n,)
    signal : ndarray of int (n,)
        Which time series (source) or which record (receiver) the entry belongs to.
    """

    field: npt.NDArray[np.int64]
    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    z: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]
    signal: npt.NDArray[np.int64]

    def select(self, which: npt.NDArray[Any]) -> Entries:
        """Some of the entries."""
        return Entries(*(getattr(self, name)[which] for name in COLUMNS))

    @staticmethod
    def join(parts: list[Entries]) -> Entries:
        """All entries of a list, in order."""
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            return Entries(none, none, none, none, np.zeros(0), none)
        return Entries(*(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))


def pieces(entries: Entries, records: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the entries of one record in one plane begin, and which of these pieces is the first of each record."""
    starts = (np.diff(entries.signal) != 0) | (np.diff(entries.x) != 0)
    piece = np.concatenate([[0], np.flatnonzero(starts) + 1, [entries.x.size]]).astype(np.int64)
    if not entries.x.size:
        piece = np.zeros(1, dtype=np.int64)
    first = np.searchsorted(entries.signal[piece[:-1]], np.arange(records + 1)).astype(np.int64)
    return piece, first
