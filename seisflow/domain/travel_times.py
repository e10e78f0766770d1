"""Travel times from the nodes of a grid to stations."""

from __future__ import annotations

from dataclasses import dataclass

from seisflow.domain.grid import FloatArray, Grid
from seisflow.domain.station import Station
from seisflow.errors import InputError

__all__ = ["TravelTimeTable"]


@dataclass(frozen=True, eq=False)
class TravelTimeTable:
    """First-arrival times from every node of a grid to every station.

    Parameters
    ----------
    grid : Grid
        The nodes; depths are below sea level, so those above it are negative.
    stations : tuple of Station
        Length ns.
    phases : tuple of str
        Length np, such as ``P S``.
    times : ndarray of float32 (ns, np, nx, ny, nz)
        s.
    positions : ndarray of float64 (ns, 3), optional
        Where the stations are: x, y, z in m on the axes of the grid. Needed to interpolate between nodes.
    """

    grid: Grid
    stations: tuple[Station, ...]
    phases: tuple[str, ...]
    times: FloatArray
    positions: FloatArray | None = None

    def __post_init__(self) -> None:
        wanted = (len(self.stations), len(self.phases), *self.grid.shape)
        if self.times.shape != wanted:
            raise InputError(
                f"travel times have shape {self.times.shape}; stations, phases and grid need {wanted}"
            )
        if self.positions is not None and self.positions.shape != (len(self.stations), 3):
            raise InputError(
                f"{len(self.stations)} stations of travel times have positions of shape {self.positions.shape}"
            )
