"""Candidates of the window selection, each with what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.errors import InputError

__all__ = ["STAGES", "BandCandidates", "CandidateTable"]

STAGES = (
    "kept", "travel time", "length", "interior minima", "prominence", "phase separation", "duplicate", "waves",
    "signal to noise", "shift", "amplitude", "correlation", "overlap",
)  # fmt: skip
"""What became of a candidate: kept, or the stage of the selection that refused it, in their order."""


@dataclass(frozen=True, eq=False)
class CandidateTable:
    """Every candidate window of some traces, as columns of one length.

    Parameters
    ----------
    station, component : ndarray of int
        Numbers in the gather.
    peak, left, right : ndarray of int
        Samples: the peak that made it, its first and last sample (curtailed, if it came so far).
    stage : ndarray of int
        Place in ``STAGES``.
    value, limit : ndarray
        What was decided on and what it was compared with; NaN where there is none.
    """

    station: npt.NDArray[np.int32]
    component: npt.NDArray[np.int32]
    peak: npt.NDArray[np.int32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    stage: npt.NDArray[np.uint8]
    value: FloatArray
    limit: FloatArray

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(set(lengths.values())) > 1:
            raise InputError(f"columns of candidates differ in length: {lengths}")

    def __len__(self) -> int:
        return len(self.stage)

    @classmethod
    def joined(cls, parts: list[CandidateTable]) -> CandidateTable:
        """Some tables as one."""
        if not parts:
            none, nothing = np.zeros(0, dtype=np.int32), np.zeros(0)
            return cls(none, none, none, none, none, np.zeros(0, dtype=np.uint8), nothing, nothing)
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__)
        )

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> CandidateTable:
        """Some of the rows."""
        return CandidateTable(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class BandCandidates:
    """All candidates of an event in one band, with what their numbers stand for.

    Parameters
    ----------
    table : CandidateTable
    stations, components : tuple of str
        Names (``NET.STA``, ``Z``) by number.
    start, interval : float
        Time of sample 0 in s from the origin time, and s between samples.
    """

    table: CandidateTable
    stations: tuple[str, ...]
    components: tuple[str, ...]
    start: float
    interval: float

    def times(self, samples: npt.NDArray[np.int32]) -> FloatArray:
        """Seconds from the origin time of samples: the bits that windows have."""
        return self.start + self.interval * samples.astype(np.float64)
