"""Book-keeping of candidates: which are left, and what took the others away."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from seisflow.domain import STAGES, FloatArray

__all__ = ["IntArray", "Ledger"]

IntArray = npt.NDArray[np.intp]


@dataclass(eq=False)
class Ledger:
    """Candidates of a block of traces, by trace, peak, first and last sample.

    Parameters
    ----------
    trace : ndarray of int (n,)
        Number in the block.
    peak, left, right : ndarray of int (n,)
        Samples of the trace.
    beyond : ndarray of int (traces,)
        Candidates of each trace that were refused for a trough inside without being listed one by one.
    """

    trace: IntArray
    peak: IntArray
    left: IntArray
    right: IntArray
    beyond: IntArray
    stage: npt.NDArray[np.uint8] = field(init=False)
    value: FloatArray = field(init=False)
    limit: FloatArray = field(init=False)
    alive: IntArray = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.trace)
        self.stage = np.zeros(count, dtype=np.uint8)
        self.value, self.limit = np.full(count, np.nan), np.full(count, np.nan)
        self.alive = np.arange(count)

    def judge(
        self,
        stage: str,
        keep: npt.NDArray[np.bool_],
        value: FloatArray | float = np.nan,
        limit: FloatArray | float = np.nan,
    ) -> None:
        """Keep some of those that are left; ``keep``, ``value``, ``limit`` are in the order of ``alive``."""
        if keep.all():
            return
        lost = ~keep
        rows = self.alive[lost]
        self.stage[rows] = STAGES.index(stage)
        self.value[rows] = value[lost] if isinstance(value, np.ndarray) else value
        self.limit[rows] = limit[lost] if isinstance(limit, np.ndarray) else limit
        self.alive = self.alive[keep]
