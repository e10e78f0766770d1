"""East and north to radial and transverse."""

from __future__ import annotations

import numpy as np

from seisflow.domain import Event, FloatArray, Station

__all__ = ["Rotate", "outward_azimuths", "station_distances"]


def outward_azimuths(event: Event, stations: tuple[Station, ...]) -> FloatArray:
    """Azimuth at each station of the direction away from the event: back-azimuth + 180 degrees, in radians.

    Geodesics of WGS84 (Karney 2013). Shape (stations,); clockwise from north.
    """
    back_azimuth = _geodesics(event, stations)[1]
    return np.asarray(np.radians(np.asarray(back_azimuth) + 180.0))


def station_distances(event: Event, stations: tuple[Station, ...]) -> FloatArray:
    """Length in m of the geodesics from the event to the stations, shape (stations,)."""
    return np.asarray(_geodesics(event, stations)[2])


def _geodesics(event: Event, stations: tuple[Station, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Azimuths at the event and back-azimuths at the stations in degrees, lengths in m."""
    from pyproj import Geod

    latitude = np.array([station.latitude for station in stations])
    longitude = np.array([station.longitude for station in stations])
    there = np.full(len(stations), event.longitude), np.full(len(stations), event.latitude)
    azimuth, back_azimuth, length = Geod(ellps="WGS84").inv(*there, longitude, latitude)
    return azimuth, back_azimuth, length


class Rotate:
    """E, N, Z to R, T, Z: R away from the source, T 90 degrees clockwise of R seen from above. Orthogonal.

    Parameters
    ----------
    azimuths : ndarray (stations,)
        Azimuth of R at each station in radians.
    """

    def __init__(self, azimuths: FloatArray) -> None:
        self.sin, self.cos = np.sin(azimuths)[:, None], np.cos(azimuths)[:, None]

    def apply(self, data: FloatArray) -> FloatArray:
        """R = E sin(a) + N cos(a), T = E cos(a) - N sin(a)."""
        east, north, up = data[:, 0], data[:, 1], data[:, 2]
        return np.stack([east * self.sin + north * self.cos, east * self.cos - north * self.sin, up], axis=1)

    def transpose(self, data: FloatArray) -> FloatArray:
        """Rotate back."""
        radial, transverse, up = data[:, 0], data[:, 1], data[:, 2]
        east = radial * self.sin + transverse * self.cos
        return np.stack([east, radial * self.cos - transverse * self.sin, up], axis=1)
