"""Place and origin time of a detection, between the nodes of the grid, with a covariance.

The beam is maximised on a fine box around the best node and its top is taken from a quadratic through the points around
the finest maximum. The covariance comes from the data: the onsets are where the features peak near the predicted
arrivals, less the delay of a peak of that height, their scatter about the prediction is the error of an arrival, and
the slopes of the travel times carry it over to place and time (Aki & Richards 2002, sec. 5.7.3; Tarantola 2005,
eq. 3.53). So they do with the errors that all onsets of a phase, or all onsets, have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import ClassVar

import numpy as np

from seisflow.domain import Arrival, Features, FloatArray, Grid
from seisflow.errors import InputError

__all__ = ["Location", "LocationConfig", "TravelTimes", "locate", "stack"]

TravelTimes = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""From points (n, 3) in m to times (ns, np, n) in s and their derivatives (ns, np, n, 3) in s/m."""


@dataclass(frozen=True)
class LocationConfig:
    """How a detection is located.

    Parameters
    ----------
    divisions : int
        Points of a fine box per spacing of the grid before.
    levels : int
        Boxes, each finer than the one before.
    reach : float
        Half-width of a box in spacings of the grid before.
    window : float
        Half-width in s of where an onset is looked for about its predicted time.
    min_arrivals : int
        Onsets needed for a covariance.
    min_feature : float
        Least feature of an onset.
    least_error : float
        Error of an arrival in s that no scatter goes below.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    divisions: int = 3
    levels: int = 3
    reach: float = 1.0
    window: float = 0.2
    min_arrivals: int = 6
    min_feature: float = 0.5
    least_error: float = 0.002

    def __post_init__(self) -> None:
        if self.divisions < 2 or self.levels < 1 or self.reach < 1 or min(self.window, self.least_error) <= 0:
            raise InputError(
                f"divisions = {self.divisions}, levels = {self.levels}, reach = {self.reach:g}, window = "
                f"{self.window:g} s, least_error = "
                f"{self.least_error:g} s: divisions must be at least 2, levels and reach 1, the others positive"
            )
        if self.min_arrivals < 5:
            raise InputError(
                f"min_arrivals = {self.min_arrivals}: four unknowns need at least 5 arrivals for an error"
            )


@dataclass(frozen=True, eq=False)
class Location:
    """Where and when a detection was.

    Parameters
    ----------
    time : float
        Origin time, s since 1970-01-01 UTC.
    x, y, z : float
        m; z below sea level.
    beam : float
        Value of the beam there.
    covariance : ndarray (4, 4), or None
        Of x, y, z in m and time in s; None with too few arrivals.
    arrivals : tuple of Arrival
    edge : bool
        Whether the maximum lies on the edge of the search grid.
    """

    time: float
    x: float
    y: float
    z: float
    beam: float
    covariance: FloatArray | None
    arrivals: tuple[Arrival, ...]
    edge: bool


def locate(
    features: Features,
    travel_times: TravelTimes,
    grid: Grid,
    start: tuple[float, int],
    config: LocationConfig,
    weights: FloatArray,
) -> Location:
    """Locate a detection.

    Parameters
    ----------
    features : Features
    travel_times : callable
        See ``TravelTimes``; stations and phases of the features.
    grid : Grid
        That was searched.
    start : tuple of float and int
        Origin time and flat number of the best node.
    config : LocationConfig
    weights : ndarray (ns, np)
        Of the rows of the beam.

    Returns
    -------
    Location
    """
    time, node = start
    centre = np.array([grid.axis(i)[n] for i, n in enumerate(np.unravel_index(node, grid.shape))])
    point, time, beam = _maximum(features, travel_times, grid, (centre, time), config, weights)
    times, slopes = (
        values[..., 0] if i == 0 else values[..., 0, :] for i, values in enumerate(travel_times(point[None]))
    )
    arrivals = _arrivals(features, times, time, config, weights)
    covariance, shares = _covariance(arrivals, slopes, config, _common_errors(features, arrivals))
    edge = any(
        not low + 1e-6 * step < value < high - 1e-6 * step
        for low, value, high, step in zip(grid.origin, point, grid.end, grid.spacing, strict=True)
    )
    listed = tuple(
        Arrival(features.stations[s], features.phases[p], found, found - time - times[s, p], share)
        for (s, p, found, _), share in zip(arrivals[0], shares, strict=True)
    )
    x, y, z = (float(value) for value in point)
    return Location(float(time), x, y, z, beam, covariance, listed, edge)


def _box(grid: Grid, centre: FloatArray, steps: FloatArray, config: LocationConfig) -> list[FloatArray]:
    """Axes of a fine box about a point, inside the search grid."""
    count = round(config.reach * config.divisions)
    axes = []
    for number in range(3):
        axis = centre[number] + steps[number] * np.arange(-count, count + 1)
        slack = 1e-6 * steps[number]
        axes.append(axis[(axis >= grid.origin[number] - slack) & (axis <= grid.end[number] + slack)])
    return axes


def stack(features: Features, times: FloatArray, origins: FloatArray, weights: FloatArray) -> FloatArray:
    """The beam at points and origin times, with features interpolated between samples.

    Parameters
    ----------
    features : Features
    times : ndarray (ns, np, n)
        Travel times in s.
    origins : ndarray (m,)
        Origin times, s since 1970-01-01 UTC.
    weights : ndarray (ns, np)

    Returns
    -------
    ndarray (n, m)
        Weighted mean over what is live; 0 where nothing is.
    """
    total = np.zeros((times.shape[2], origins.size))
    share = np.zeros_like(total)
    values, lives = np.asarray(features.values), np.asarray(features.live)
    last = values.shape[2] - 1
    for station, phase in np.argwhere(weights > 0):
        where = (times[station, phase][:, None] + (origins - features.start)[None]) / features.interval
        below = np.clip(np.floor(where).astype(np.int64), 0, last - 1)
        part = where - below
        row, live = values[station, phase], lives[station, phase]
        weight = weights[station, phase]
        if where.min() < 0 or where.max() > last or not live[below.min() : below.max() + 2].all():
            weight = weight * ((where >= 0) & (where <= last) & live[below] & live[below + 1])
        total += weight * (row[below] * (1 - part) + row[below + 1] * part)
        share += weight
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0)


def _maximum(
    features: Features,
    travel_times: TravelTimes,
    grid: Grid,
    start: tuple[FloatArray, float],
    config: LocationConfig,
    weights: FloatArray,
) -> tuple[FloatArray, float, float]:
    """Best point, origin time and beam, from boxes about a node, each finer than the one before."""
    point, time = start
    value = -np.inf
    for level in range(1, config.levels + 1):
        late = _delays(features, travel_times(point[None])[0][..., 0] + time, config, weights)
        axes = _box(grid, point, np.array(grid.spacing) / config.divisions**level, config)
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        times, span = _times_near(travel_times, point, points)
        count = int(np.ceil(span / features.interval)) + 1
        origins = time + features.interval * np.arange(-count, count + 1)
        beams = stack(features, times + late[..., None], origins, weights)
        beams = beams.reshape(*(axis.size for axis in axes), -1)
        best = np.unravel_index(int(beams.argmax()), beams.shape)
        value = max(value, float(beams[best]))
        offsets = _top(beams, best) if level == config.levels else np.zeros(4)
        place = [
            axis[number] + offset * (axis[1] - axis[0] if axis.size > 1 else 0.0)
            for axis, number, offset in zip([*axes, origins], best, offsets, strict=True)
        ]
        point, time = np.clip(place[:3], grid.origin, grid.end), float(place[3])
    last = stack(features, travel_times(point[None])[0] + late[..., None], np.array([time]), weights)[0, 0]
    return point, time, max(value, float(last))


def _delays(
    features: Features, arrivals: FloatArray, config: LocationConfig, weights: FloatArray
) -> FloatArray:
    """How late features peak, (ns, np) in s, by how high they are near predicted arrivals (ns, np)."""
    result = np.zeros(arrivals.shape)
    if features.delays is None:
        return result
    values, live = np.asarray(features.values), np.asarray(features.live)
    reach = max(2, round(config.window / features.interval))
    for station, phase in np.argwhere(weights > 0).tolist():
        middle = round(float(arrivals[station, phase] - features.start) / features.interval)
        first, end = max(0, middle - reach), max(0, middle + reach + 1)
        alive = live[station, phase, first:end]
        if alive.any():
            height = values[station, phase, first:end][alive].max()
            result[station, phase] = features.delays[phase].at(height)
    return result


def _times_near(
    travel_times: TravelTimes, centre: FloatArray, points: FloatArray
) -> tuple[FloatArray, float]:
    """Travel times (ns, np, n) from the points of a box, and how much they differ from those of its centre.

    They are expanded to second order about the centre, with the curvature of a spherical wavefront; where a station is
    too near for that, all are looked up.
    """
    times, slopes = travel_times(centre[None])
    time, slope = times[..., 0].astype(np.float64), slopes[..., 0, :].astype(np.float64)
    offsets = points - centre
    square = (slope**2).sum(axis=-1)
    distance = np.divide(time, np.sqrt(square), out=np.zeros_like(time), where=square > 0)  # 0 at a station
    if distance.min() < 4 * np.sqrt((offsets**2).sum(axis=1).max()):
        result, _ = travel_times(points)
    else:
        along = slope @ offsets.T
        across = square[..., None] * (offsets**2).sum(axis=1) - along**2
        result = time[..., None] + along + across / (2 * time[..., None])
    return result, float(np.abs(result - time[..., None]).max())


def _top(beams: FloatArray, best: tuple[np.intp, ...]) -> FloatArray:
    """Offset in samples of the top of a quadratic fitted to the points around the maximum; within one sample."""
    ranges = [
        np.arange(max(0, int(b) - 1), min(n, int(b) + 2)) for b, n in zip(best, beams.shape, strict=True)
    ]
    offsets = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 4) - np.array(best)
    free = [axis for axis in range(4) if ranges[axis].size == 3]
    columns = [np.ones(len(offsets)), *(offsets[:, axis] for axis in free)]
    pairs = list(combinations_with_replacement(range(len(free)), 2))
    columns += [offsets[:, free[i]] * offsets[:, free[j]] for i, j in pairs]
    values = beams[np.ix_(*ranges)].ravel()
    fit = np.linalg.lstsq(np.stack(columns, axis=1), values, rcond=None)[0]
    slope, hessian = fit[1 : 1 + len(free)], np.zeros((len(free), len(free)))
    for (i, j), value in zip(pairs, fit[1 + len(free) :], strict=True):
        hessian[i, j] += value
        hessian[j, i] += value
    result = np.zeros(4)
    if len(free) and np.linalg.eigvalsh(hessian).max() < 0:
        result[free] = np.clip(-np.linalg.solve(hessian, slope), -1.0, 1.0)
    return result


Onsets = tuple[list[tuple[int, int, float, float]], FloatArray]


def _arrivals(
    features: Features, times: FloatArray, origin: float, config: LocationConfig, weights: FloatArray
) -> Onsets:
    """Onsets (station, phase, time, feature) near predicted arrivals that the beam sums, and their residuals in s."""
    found = []
    values, live = np.asarray(features.values), np.asarray(features.live)
    last = values.shape[2] - 1
    reach = max(2, round(config.window / features.interval))
    for station, phase in np.argwhere(weights > 0).tolist():
        middle = round(float(origin + times[station, phase] - features.start) / features.interval)
        first, end = middle - reach, middle + reach + 1
        if first < 1 or end > last or not live[station, phase, first - 1 : end + 1].all():
            continue
        piece = values[station, phase, first:end]
        peak = first + int(piece.argmax())
        left, top, right = values[station, phase, peak - 1 : peak + 2].astype(np.float64)
        bend = left - 2 * top + right
        sub = float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
        if top >= config.min_feature and first < peak < end - 1:
            onset = features.start + (peak + sub) * features.interval
            if features.delays is not None:
                onset -= float(features.delays[phase].at(top))
            found.append((station, phase, onset, float(top)))
    residuals = np.array([t - origin - times[s, p] for s, p, t, _ in found])
    return found, residuals


def _common_errors(features: Features, onsets: Onsets) -> FloatArray:
    """Errors in s that onsets have in common, (np, np + 1): by phase, one of each phase and one of all.

    They are those of the delay of the middle one of the onsets of a phase.
    """
    count = len(features.phases)
    result = np.zeros((count, count + 1))
    for phase in range(count):
        heights = [top for _, p, _, top in onsets[0] if p == phase]
        if features.delays is not None and heights:
            found = features.delays[phase].errors_at(float(np.median(heights)))
            result[phase, phase], result[phase, -1] = found
    return result


def _covariance(
    onsets: Onsets, slopes: FloatArray, config: LocationConfig, common: FloatArray
) -> tuple[FloatArray | None, FloatArray]:
    """Covariance of x, y, z and time, and the weights of the arrivals in it.

    What errors that onsets have in common, (np, n) in s by phase, do to place and time adds to it.
    """
    found, residuals = onsets
    if len(found) < config.min_arrivals:
        return None, np.zeros(len(found))
    matrix = np.array([[*slopes[s, p], 1.0] for s, p, _, _ in found])
    centred = residuals - np.median(residuals)
    scale = max(1.4826 * float(np.median(np.abs(centred))), config.least_error)
    weights = 1 / (1 + (centred / (2 * scale)) ** 2)  # Cauchy
    freedom = weights.sum() - 4
    if freedom < 1 or np.linalg.matrix_rank(matrix) < 4:
        return None, weights
    variance = max(float((weights * centred**2).sum()) / freedom, config.least_error**2)
    normal = matrix.T @ (weights[:, None] * matrix)
    # few arrivals: the variance is itself uncertain, so that the 68 % region of a Gaussian holds the truth as often
    from scipy.stats import chi2, f  # imported late: it takes most of a second

    stretch = 3 * f.ppf(0.68, 3, freedom) / chi2.ppf(0.68, 3)
    inverse = np.linalg.inv(normal)
    moved = inverse @ matrix.T @ (weights[:, None] * common[[p for _, p, _, _ in found]])
    result: FloatArray = inverse * variance * stretch + moved @ moved.T
    return result, weights
