"""Weights of sources and receivers by how many others there are nearby (Ruan, Lei, Modrak et al. 2019)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from seisflow.domain import FloatArray
from seisflow.weights.config import Distance

__all__ = [
    "condition_curve",
    "density_weights",
    "geographic_weights",
    "pair_distances",
    "reference_distance",
]

RADIUS = 6371e3
"""m, of the Earth."""
SHARE = 1 / 3
"""How far up the condition number shall be on its way from 1 to its largest value."""
POINTS = 60
"""Reference distances that are tried."""

Places = tuple[tuple[float, float], ...]
"""Latitude and longitude in degrees."""


def pair_distances(places: Places) -> FloatArray:
    """Distances of points along a sphere.

    Parameters
    ----------
    places : tuple of (float, float)
        Latitude and longitude in degrees.

    Returns
    -------
    ndarray (n, n)
        m; exactly symmetric, zero on the diagonal.
    """
    latitude, longitude = np.radians(np.array(places, dtype=np.float64).reshape(-1, 2)).T
    half = np.sin((latitude[:, None] - latitude) / 2) ** 2
    half += np.cos(latitude[:, None]) * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    return np.asarray(2 * RADIUS * np.arcsin(np.sqrt(np.clip(half, 0, 1))))


def density_weights(distances: FloatArray, reference: float) -> FloatArray:
    """Weights 1 / sum_j exp(-(D_ij / D0)^2), j over all points, i among them (Ruan et al. 2019).

    Parameters
    ----------
    distances : ndarray (n, n)
        m.
    reference : float
        D0 in m.

    Returns
    -------
    ndarray (n,)
        Their mean is 1.
    """
    weights = 1 / np.exp(-((distances / reference) ** 2)).sum(axis=1)
    return np.asarray(weights / weights.mean())


def condition_curve(distances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The condition number, largest over smallest weight, for many reference distances.

    It is 1 where the reference is far below all distances (each point stands alone) and where it is far above
    them (all have all others as neighbours), and has its largest value between.

    Returns
    -------
    tuple of 2 ndarray
        Reference distances in m, rising; condition numbers. Both empty if no two points are apart.
    """
    apart = distances[distances > 0]
    if not len(apart):
        return np.zeros(0), np.zeros(0)
    references = np.geomspace(apart.min() / 4, 4 * apart.max(), POINTS)
    found = [density_weights(distances, float(reference)) for reference in references]
    return references, np.array([weights.max() / weights.min() for weights in found])


def reference_distance(distances: FloatArray) -> float | None:
    """Smallest reference distance at which the condition number has gone a third of its way from 1 to the top.

    Larger ones would weigh the densest cluster and the loneliest point further apart, which slows the inversion
    down (Ruan et al. 2019 take about a third of the largest condition number).

    Returns
    -------
    float or None
        m; None if the points are so even that weights would differ by less than 1 percent at the most.
    """
    references, numbers = condition_curve(distances)
    if not len(numbers) or numbers.max() < 1.01:
        return None
    wanted = 1 + SHARE * (numbers.max() - 1)
    place = int(np.argmax(numbers >= wanted))
    if place == 0:
        return float(references[0])
    share = (wanted - numbers[place - 1]) / (numbers[place] - numbers[place - 1])
    ends = np.log(references[place - 1 : place + 1])
    return float(np.exp(ends[0] + share * (ends[1] - ends[0])))


@lru_cache(maxsize=256)
def geographic_weights(places: Places, reference: Distance) -> tuple[float, ...]:
    """Weights of points for a reference distance, or for that which the condition number gives.

    Parameters
    ----------
    places : tuple of (float, float)
        Latitude and longitude in degrees.
    reference : "auto" or float, optional
        m.

    Returns
    -------
    tuple of float
        Their mean is 1. All are exactly 1 without a reference distance.
    """
    if reference is None or len(places) < 2:
        return (1.0,) * len(places)
    distances = pair_distances(places)
    chosen = reference_distance(distances) if reference == "auto" else float(reference)
    if chosen is None:
        return (1.0,) * len(places)
    return tuple(density_weights(distances, chosen).tolist())
