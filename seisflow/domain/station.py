"""Seismic stations."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Station"]


@dataclass(frozen=True, order=True)
class Station:
    """A place where the ground motion is recorded.

    Parameters
    ----------
    network, code : str
        FDSN network and station code.
    latitude, longitude : float
        WGS84 degrees.
    elevation : float
        Of the ground above sea level in m; the flat surface of ``elastic3d`` ignores it.
    burial : float
        Depth of the sensor below the ground in m.
    """

    network: str
    code: str
    latitude: float
    longitude: float
    elevation: float = 0.0
    burial: float = 0.0

    @property
    def id(self) -> str:
        """``NET.STA``."""
        return f"{self.network}.{self.code}"
