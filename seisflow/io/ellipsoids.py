"""Uncertainty of a place: from covariances in local coordinates to ellipsoids as catalogs give them, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seisflow.domain import FloatArray

__all__ = [
    "AREA_68",
    "VOLUME_68",
    "Ellipsoid",
    "covariance_of",
    "ellipsoid_of",
    "horizontal_ellipse",
    "metres_per_degree",
    "to_geographic_axes",
    "to_local_axes",
]

AREA_68 = 2.278869
"""Chi-squared of 68 % with 2 degrees of freedom: squared semi-axes of an ellipse over the variances."""

VOLUME_68 = 3.505882
"""Chi-squared of 68 % with 3 degrees of freedom."""

_EQUATOR, _FLATTENING = 6378137.0, 1 / 298.257223563
"""WGS84."""


@dataclass(frozen=True)
class Ellipsoid:
    """A 68 % confidence ellipsoid as QuakeML describes it.

    The angles turn the axes (north, east, down) into (major, minor, intermediate): azimuth about the vertical, plunge,
    then rotation about the major axis (QuakeML 1.2, Basic Event Description, ConfidenceEllipsoid).

    Parameters
    ----------
    major, minor, intermediate : float
        Semi-axes in m.
    azimuth : float
        Of the major axis, degrees clockwise from north, 0 to 360.
    plunge : float
        Of the major axis, degrees below the horizontal, 0 to 90.
    rotation : float
        Of the minor axis about the major axis, degrees from the horizontal, 0 to 180.
    """

    major: float
    minor: float
    intermediate: float
    azimuth: float
    plunge: float
    rotation: float


def _turn(convergence: float) -> FloatArray:
    """Matrix (4, 4) from local (x, y, z, time) to (east, north, down, time)."""
    turn = np.eye(4)
    cosine, sine = np.cos(convergence), np.sin(convergence)
    turn[:2, :2] = [[cosine, sine], [-sine, cosine]]
    return turn


def to_geographic_axes(covariance: FloatArray, convergence: float) -> FloatArray:
    """Turn a covariance of local x, y, z, time to east, north, down, time.

    Parameters
    ----------
    covariance : ndarray (4, 4)
    convergence : float
        ``Projection.convergence`` at the place, radians.

    Returns
    -------
    ndarray (4, 4)
    """
    turn = _turn(convergence)
    turned: FloatArray = turn @ covariance @ turn.T
    return turned


def to_local_axes(covariance: FloatArray, convergence: float) -> FloatArray:
    """Turn a covariance of east, north, down, time to local x, y, z, time: the inverse of ``to_geographic_axes``."""
    return to_geographic_axes(covariance, -convergence)


def ellipsoid_of(covariance: FloatArray) -> Ellipsoid | None:
    """Give the 68 % ellipsoid of a covariance.

    Parameters
    ----------
    covariance : ndarray (4, 4)
        Of east, north, down in m and time.

    Returns
    -------
    Ellipsoid or None
        None where the covariance of the place has NaN or a negative variance along some direction.
    """
    order = [1, 0, 2]
    place = covariance[np.ix_(order, order)]
    if not np.all(np.isfinite(place)):
        return None
    variances, axes = np.linalg.eigh((place + place.T) / 2)
    if variances[2] <= 0 or variances[0] < -1e-9 * variances[2]:
        return None
    minor, intermediate, major = np.sqrt(VOLUME_68 * np.maximum(variances, 0))
    first, second = axes[:, 2], axes[:, 0]
    first = first if first[2] >= 0 else -first
    azimuth, plunge = np.arctan2(first[1], first[0]), np.arcsin(min(first[2], 1.0))
    level, steep = _frame(azimuth, plunge)[1:]
    rotation = np.arctan2(second @ steep, second @ level)
    return Ellipsoid(
        float(major),
        float(minor),
        float(intermediate),
        float(np.degrees(azimuth) % 360),
        float(np.degrees(plunge)),
        float(np.degrees(rotation) % 180),
    )


def _frame(azimuth: float, plunge: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Directions (north, east, down) of the axes after azimuth and plunge: major, horizontal, and their normal."""
    first = np.array([np.cos(plunge) * np.cos(azimuth), np.cos(plunge) * np.sin(azimuth), np.sin(plunge)])
    level = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return first, level, np.cross(first, level)  # north, east, down is right-handed


def covariance_of(ellipsoid: Ellipsoid, time_error: float, chi_squared: float = VOLUME_68) -> FloatArray:
    """Give the covariance of an ellipsoid: the inverse of ``ellipsoid_of``.

    Parameters
    ----------
    ellipsoid : Ellipsoid
    time_error : float
        Standard error of the origin time in s; it is taken as independent of the place.
    chi_squared : float
        Of the level of confidence with 3 degrees of freedom.

    Returns
    -------
    ndarray (4, 4)
        Of east, north, down in m and time in s.
    """
    azimuth, plunge, rotation = np.radians([ellipsoid.azimuth, ellipsoid.plunge, ellipsoid.rotation])
    first, level, steep = _frame(azimuth, plunge)
    second = np.cos(rotation) * level + np.sin(rotation) * steep
    axes = np.array([first, second, np.cross(first, second)])
    variances = np.array([ellipsoid.major, ellipsoid.minor, ellipsoid.intermediate]) ** 2 / chi_squared
    place = axes.T @ (variances[:, None] * axes)
    covariance = np.zeros((4, 4))
    order = [1, 0, 2]
    covariance[:3, :3] = place[np.ix_(order, order)]
    covariance[3, 3] = time_error**2
    return covariance


def horizontal_ellipse(covariance: FloatArray) -> tuple[float, float, float] | None:
    """Give the 68 % ellipse of the first two coordinates.

    Parameters
    ----------
    covariance : ndarray (2 or more, 2 or more)
        Of east and north in m.

    Returns
    -------
    tuple of 3 float, or None
        Larger and smaller semi-axis in m, azimuth of the larger in degrees from 0 to 180 clockwise from north.
        None without a usable covariance.
    """
    part = covariance[:2, :2]
    if not np.all(np.isfinite(part)):
        return None
    variances, axes = np.linalg.eigh((part + part.T) / 2)
    if variances[1] <= 0 or variances[0] < -1e-9 * variances[1]:
        return None
    small, large = np.sqrt(AREA_68 * np.maximum(variances, 0))
    azimuth = float(np.degrees(np.arctan2(axes[0, 1], axes[1, 1])) % 180)
    return float(large), float(small), azimuth


def metres_per_degree(latitude: float) -> tuple[float, float]:
    """Length in m of a degree of latitude and of a degree of longitude on WGS84, at a latitude in degrees."""
    squared = _FLATTENING * (2 - _FLATTENING)
    sine = np.sin(np.radians(latitude))
    bend = 1 - squared * sine**2
    north = _EQUATOR * (1 - squared) / bend**1.5
    east = _EQUATOR / np.sqrt(bend) * np.cos(np.radians(latitude))
    return float(np.radians(north)), max(float(np.radians(east)), 1e-9)
