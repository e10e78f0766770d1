"""The beam of a backprojection: its maximum over the grid, per sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.errors import InputError

__all__ = ["Beam"]


@dataclass(frozen=True, eq=False)
class Beam:
    """Maximum of the beam over the grid and the node where it is, per origin time.

    Parameters
    ----------
    start : float
        Origin time of the first sample, s since 1970-01-01 UTC.
    interval : float
        s.
    maximum : ndarray of float32 (nt,)
        Mean feature along the travel times of the best node, over what was live there.
    node : ndarray of int32 (nt,)
        Flat number (C order) of the best node of the grid; the first of equal ones. -1 where nothing was live.
    live : ndarray of float32 (nt,)
        Share of the weights of that node that was live, 0 to 1.
    """

    start: float
    interval: float
    maximum: FloatArray
    node: npt.NDArray[np.int32]
    live: FloatArray

    def __post_init__(self) -> None:
        if not self.maximum.shape == self.node.shape == self.live.shape or self.maximum.ndim != 1:
            raise InputError(
                f"a beam needs a maximum, a node and a live share per sample; found {self.maximum.shape}, "
                f"{self.node.shape}, {self.live.shape}"
            )

    @property
    def samples(self) -> int:
        """Number of origin times."""
        return int(self.maximum.size)
