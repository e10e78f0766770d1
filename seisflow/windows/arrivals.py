"""When waves can be expected at a station."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import Event, FloatArray, Station
from seisflow.errors import InputError
from seisflow.windows.config import WindowConfig

__all__ = ["Arrivals", "PhaseTimes", "expected_arrivals"]

FIRST = {
    "P": ("P", "p", "Pn", "Pdiff", "PKP", "PKIKP"),
    "S": ("S", "s", "Sn", "Sdiff", "SKS", "SKIKS"),
}
"""What may come first of each kind."""
PhaseTimes = Mapping[str, FloatArray]
"""Travel times in s of each phase at the stations (ns,), NaN where it does not arrive."""


@dataclass(frozen=True)
class Arrivals:
    """When waves of an event pass a station, s from the origin time.

    Parameters
    ----------
    first, last : float
        First arrival and last surface wave; the last is infinite without limits.
    surface : float
        First surface wave; infinite without limits.
    path : float
        Straight path from the source in m.
    phases : tuple of (str, float)
        Names and times of the arrivals that are told apart.
    """

    first: float
    last: float
    surface: float = np.inf
    path: float = np.nan
    phases: tuple[tuple[str, float], ...] = ()


@lru_cache(maxsize=4)
def _taup(name: str) -> Any:
    from obspy.taup import TauPyModel

    return TauPyModel(name).model


@lru_cache(maxsize=8)
def _corrected(name: str, depth: float) -> Any:
    """The Earth for sources at a depth in m."""
    return _taup(name).depth_correct(max(depth, 0.0) / 1000)


def _taup_times(model: str, depth: float, names: tuple[str, ...], radians: FloatArray) -> FloatArray:
    """Earliest arrival of some phases at each distance; the Earth is corrected once for an event.

    TauP (Crotwell, Owens & Ritsema 1999) gives time, distance and slope of the time (the ray parameter) of some rays;
    in between is the cubic that has all three.
    """
    from obspy.taup.seismic_phase import SeismicPhase

    times = np.full(len(radians), np.inf)
    for name in names:
        try:
            rays = SeismicPhase(name, _corrected(model, depth))
        except ValueError:
            raise InputError(
                f"phases: TauP knows no phase {name!r}; names are like P, S, pP, SS, ScS"
            ) from None
        if len(rays.dist) > 1:
            times = np.minimum(times, _along(rays.dist, rays.time, rays.ray_param, radians))
    return times


def _along(distance: FloatArray, time: FloatArray, slope: FloatArray, wanted: FloatArray) -> FloatArray:
    """Earliest time at each distance of a travel-time curve with many branches, infinite where it has none."""
    found = np.full(len(wanted), np.inf)
    step = np.diff(distance)
    # of more than one ray, two with the same parameter are the ends of a shadow
    real = (step != 0) & ((np.diff(slope) != 0) | (len(distance) == 2))
    start, step = np.flatnonzero(real), step[real]
    low, high = (
        np.minimum(distance[start], distance[start + 1]),
        np.maximum(distance[start], distance[start + 1]),
    )
    for turns in range(int(distance.max() // (2 * np.pi)) + 1):
        for targets in (2 * np.pi * turns + wanted, 2 * np.pi * (turns + 1) - wanted):
            ray, station = np.nonzero((low[:, None] <= targets) & (targets <= high[:, None]))
            first, last = start[ray], start[ray] + 1
            u = (targets[station] - distance[first]) / step[ray]
            between = time[first] * (1 + 2 * u) * (1 - u) ** 2 + time[last] * (3 - 2 * u) * u**2
            between += step[ray] * (slope[first] * u * (1 - u) ** 2 - slope[last] * (1 - u) * u**2)
            np.minimum.at(found, station, between)
    return found


def _phase_times(
    event: Event, config: WindowConfig, distance: FloatArray, path: FloatArray, times: PhaseTimes | None
) -> dict[str, FloatArray]:
    """Times of P, and of the other phases that are told apart, at each station."""
    names = dict.fromkeys(("P", *config.phases))
    if config.travel_times == "velocities":
        return {"P": path / config.max_velocity}
    if config.travel_times == "model":
        if times is None:
            raise InputError("travel_times = model: the times of the start model were not given")
        return {name: np.asarray(times[name]) for name in names}
    radians = distance / 6371e3
    return {
        name: _taup_times(config.travel_times, event.depth, FIRST.get(name, (name,)), radians)
        for name in names
    }


def expected_arrivals(
    event: Event, stations: tuple[Station, ...], config: WindowConfig, times: PhaseTimes | None = None
) -> list[Arrivals]:
    """Give the span of time in which waves of the event pass each station.

    Parameters
    ----------
    event : Event
    stations : tuple of Station
    config : WindowConfig
        Whether by TauP, by the start model, by velocities or not at all; then waves may come any time after the origin.
    times : mapping of str to ndarray (ns,), optional
        Travel times of P and S in s, with ``travel_times = model``.

    Raises
    ------
    InputError
        If a phase is unknown, or ``times`` is missing.
    """
    from pyproj import Geod

    here = np.full(len(stations), event.longitude), np.full(len(stations), event.latitude)
    there = [station.longitude for station in stations], [station.latitude for station in stations]
    distance = np.asarray(Geod(ellps="WGS84").inv(*here, *there)[2], dtype=np.float64)
    path = np.hypot(distance, event.depth)
    if config.travel_times == "none":
        return [Arrivals(0.0, np.inf, path=float(each)) for each in path]
    found = _phase_times(event, config, distance, path, times)
    known: dict[str, npt.NDArray[np.bool_]] = {name: np.isfinite(each) for name, each in found.items()}
    first = np.where(known["P"], found["P"], _filled(distance, found["P"], known["P"]))
    return [
        Arrivals(
            float(first[n]),
            float(path[n] / config.min_velocity),
            float(path[n] / config.surface_velocity),
            float(path[n]),
            tuple(
                (name, float(found[name][n])) for name in config.phases if name in found and known[name][n]
            ),
        )
        for n in range(len(stations))
    ]


def _filled(distance: FloatArray, times: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """First arrivals where there is none (a shadow): from the stations around."""
    order = np.flatnonzero(known)[np.argsort(distance[known])]
    return np.interp(distance, distance[order], times[order]) if len(order) else np.zeros(len(times))
