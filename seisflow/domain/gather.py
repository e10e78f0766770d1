"""Seismograms of one event, aligned in time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.domain.station import Station
from seisflow.errors import InputError

__all__ = ["Gather", "TimeSpan"]


@dataclass(frozen=True)
class TimeSpan:
    """A stretch of time: ``start`` and ``end`` in s."""

    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Gather:
    """An aligned array of seismograms (station, component, sample).

    Parameters
    ----------
    stations : tuple of Station
        Length ns.
    components : tuple of str
        Length nc: ``E N Z`` (Z up) or ``R T Z`` (radial away from the source, transverse clockwise seen from above:
        T is 90 degrees clockwise of R).
    data : ndarray (ns, nc, nt)
        Ground motion in SI units.
    start : float
        Time of the first sample, s from the origin time.
    interval : float
        Sampling interval in s.
    quantity : {"displacement", "velocity", "acceleration"}
    live : ndarray of bool (ns, nc), optional
        Which traces hold a recording; the others are zero. All, if left out.
    """

    stations: tuple[Station, ...]
    components: tuple[str, ...]
    data: FloatArray
    start: float
    interval: float
    quantity: str = "velocity"
    live: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.stations), len(self.components))
        if self.data.ndim != 3 or self.data.shape[:2] != shape:
            raise InputError(
                f"gather of {shape[0]} stations, {shape[1]} components has data {self.data.shape}"
            )
        if self.interval <= 0:
            raise InputError(f"sampling interval must be positive, found {self.interval} s")
        if self.live is None:
            object.__setattr__(self, "live", np.ones(shape, dtype=bool))
        elif self.live.shape != shape:
            raise InputError(f"gather of {shape} traces has a live mask of shape {self.live.shape}")

    @property
    def samples(self) -> int:
        """Number of samples of each trace."""
        return int(self.data.shape[2])

    @property
    def times(self) -> FloatArray:
        """Times of the samples in s from the origin time, shape (nt,)."""
        return self.start + self.interval * np.arange(self.samples)

    @property
    def end(self) -> float:
        """Time of the last sample in s from the origin time."""
        return self.start + self.interval * (self.samples - 1)

    def is_live(self, station: int, component: int) -> bool:
        """Whether the trace of that station and component (numbers) holds a recording."""
        return self.live is not None and bool(self.live[station, component])

    def station_number(self, station_id: str) -> int:
        """Number of a station by its ``NET.STA``.

        Raises
        ------
        KeyError
            If the gather does not hold it.
        """
        for number, station in enumerate(self.stations):
            if station.id == station_id:
                return number
        raise KeyError(station_id)

    def with_data(self, data: FloatArray, **changes: object) -> Gather:
        """The same gather with other samples (and other attributes)."""
        return replace(self, data=data, **changes)  # type: ignore[arg-type]
