"""From longitude and latitude to local Cartesian coordinates and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from seisflow.domain.grid import FloatArray

__all__ = ["Projection"]


@lru_cache(maxsize=64)
def _transformer(latitude: float, longitude: float) -> Any:
    from pyproj import Proj

    return Proj(proj="tmerc", lat_0=latitude, lon_0=longitude, k=1, x_0=0, y_0=0, ellps="WGS84")


@dataclass(frozen=True)
class Projection:
    """Transverse Mercator on WGS84 centred on the region; one a project.

    Parameters
    ----------
    latitude, longitude : float
        Centre of the region in degrees; it becomes x = y = 0.
    """

    latitude: float
    longitude: float

    def to_local(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Local coordinates x (east), y (north) in m of a geographic point in degrees."""
        x, y = _transformer(self.latitude, self.longitude)(longitude, latitude)
        return float(x), float(y)

    def to_geographic(self, x: float, y: float) -> tuple[float, float]:
        """Latitude and longitude in degrees of a local point in m."""
        longitude, latitude = _transformer(self.latitude, self.longitude)(x, y, inverse=True)
        return float(latitude), float(longitude)

    def to_local_many(self, latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Local x and y in m of geographic points in degrees: ``to_local`` for arrays of one shape."""
        x, y = _transformer(self.latitude, self.longitude)(longitude, latitude)
        return np.asarray(x), np.asarray(y)

    def to_geographic_many(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Latitude and longitude in degrees of local points in m: ``to_geographic`` for arrays of one shape."""
        longitude, latitude = _transformer(self.latitude, self.longitude)(x, y, inverse=True)
        return np.asarray(latitude), np.asarray(longitude)

    def convergence(self, latitude: float, longitude: float) -> float:
        """Azimuth of the local y axis, clockwise from true north, in radians.

        A vector with local components (vx, vy) has the geographic components
        east = vx cos(c) + vy sin(c), north = -vx sin(c) + vy cos(c).
        """
        factors = _transformer(self.latitude, self.longitude).get_factors(longitude, latitude)
        return float(np.radians(factors.meridian_convergence))
