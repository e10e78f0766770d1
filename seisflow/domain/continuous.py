"""Continuous recordings of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.domain.station import Station
from seisflow.errors import InputError

__all__ = ["Continuous"]


@dataclass(frozen=True, eq=False)
class Continuous:
    """Continuous recordings of a network on one time axis (station, component, sample).

    Parameters
    ----------
    stations : tuple of Station
        Length ns.
    components : tuple of str
        Length nc, such as ``E N Z`` (Z up).
    data : ndarray of float32 (ns, nc, nt)
        Samples; zero where there is no recording.
    live : ndarray of bool (ns, nc, nt)
        Which samples were recorded. What is not live counts in no sum and no statistic of the chain.
    start : float
        Time of the first sample, s since 1970-01-01 UTC.
    interval : float
        Sampling interval in s.
    """

    stations: tuple[Station, ...]
    components: tuple[str, ...]
    data: FloatArray
    live: npt.NDArray[np.bool_]
    start: float
    interval: float

    def __post_init__(self) -> None:
        shape = (len(self.stations), len(self.components))
        if self.data.ndim != 3 or self.data.shape[:2] != shape:
            raise InputError(
                f"recordings of {shape[0]} stations, {shape[1]} components have data {self.data.shape}"
            )
        if self.live.shape != self.data.shape or self.live.dtype != np.bool_:
            raise InputError(
                f"live is {self.live.dtype} {self.live.shape}; it must be bool {self.data.shape} like the data"
            )
        if self.interval <= 0:
            raise InputError(f"sampling interval must be positive, found {self.interval} s")

    @property
    def samples(self) -> int:
        """Number of samples of each channel."""
        return int(self.data.shape[2])

    @property
    def end(self) -> float:
        """Time of the last sample, s since 1970-01-01 UTC."""
        return self.start + self.interval * (self.samples - 1)
