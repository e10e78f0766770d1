"""Features of continuous recordings: what a backprojection sums along travel times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.errors import InputError

__all__ = ["Features"]


@dataclass(frozen=True, eq=False)
class Features:
    """One feature per station and phase on one time axis, such as an envelope or a probability of an arrival.

    Parameters
    ----------
    stations : tuple of str
        Ids ``NET.STA``, length ns.
    phases : tuple of str
        Length np, such as ``P S``.
    values : ndarray of float32 (ns, np, nt)
        High where the phase may arrive; finite where they are live.
    live : ndarray of bool (ns, np, nt)
        Which samples come from recordings.
    start : float
        Time of the first sample, s since 1970-01-01 UTC.
    interval : float
        s.
    """

    stations: tuple[str, ...]
    phases: tuple[str, ...]
    values: FloatArray
    live: npt.NDArray[np.bool_]
    start: float
    interval: float

    def __post_init__(self) -> None:
        shape = (len(self.stations), len(self.phases))
        if self.values.ndim != 3 or self.values.shape[:2] != shape or self.values.dtype != np.float32:
            raise InputError(
                f"features of {shape[0]} stations and {shape[1]} phases need float32 values of that shape, found "
                f"{self.values.dtype} {self.values.shape}"
            )
        if self.live.shape != self.values.shape or self.live.dtype != np.bool_:
            raise InputError(
                f"live is {self.live.dtype} {self.live.shape}; it must be bool {self.values.shape} like the features"
            )
        if not self.interval > 0:
            raise InputError(f"sampling interval must be positive, found {self.interval} s")
        if len(set(self.stations)) < shape[0] or len(set(self.phases)) < shape[1]:
            raise InputError(f"a station or phase is named twice in {self.stations}, {self.phases}")

    @property
    def samples(self) -> int:
        """Number of samples of each feature."""
        return int(self.values.shape[2])
