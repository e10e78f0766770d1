"""When waves can be expected at a station."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from seisflow.domain import Event, FloatArray, Station
from seisflow.windows.config import WindowConfig

__all__ = ["Arrivals", "expected_arrivals"]

PHASES = ("P", "p", "Pn", "Pdiff", "PKP", "PKIKP")
MOST_DISTANCES = 64
"""More stations than that share travel times interpolated in distance: off by under 0.05 s."""


@dataclass(frozen=True)
class Arrivals:
    """First arrival and last surface wave, s from the origin time; the last is infinite without limits."""

    first: float
    last: float


@lru_cache(maxsize=4)
def _taup(name: str) -> Any:
    from obspy.taup import TauPyModel

    return TauPyModel(name)


def _first_arrivals(model: str, depth: float, degrees: FloatArray) -> FloatArray:
    """First P arrivals in s by TauP (Crotwell, Owens & Ritsema 1999); depth in m."""
    asked = np.unique(degrees)
    if len(asked) > MOST_DISTANCES:
        asked = np.linspace(asked[0], asked[-1], MOST_DISTANCES)
    earth = _taup(model)
    times = []
    for distance in asked:
        found = earth.get_travel_times(max(depth, 0.0) / 1000, float(distance), phase_list=PHASES)
        times.append(min((arrival.time for arrival in found), default=np.nan))
    known = np.isfinite(times)
    return np.interp(degrees, asked[known], np.array(times)[known]) if known.any() else np.zeros(len(degrees))


def expected_arrivals(event: Event, stations: tuple[Station, ...], config: WindowConfig) -> list[Arrivals]:
    """Give the span of time in which waves of the event pass each station.

    Parameters
    ----------
    event : Event
    stations : tuple of Station
    config : WindowConfig
        Whether by TauP, by velocities or not at all; then waves may come any time after the origin.
    """
    if config.travel_times == "none":
        return [Arrivals(0.0, np.inf)] * len(stations)
    from pyproj import Geod

    here = np.full(len(stations), event.longitude), np.full(len(stations), event.latitude)
    there = [station.longitude for station in stations], [station.latitude for station in stations]
    distance = np.asarray(Geod(ellps="WGS84").inv(*here, *there)[2])
    path = np.hypot(distance, event.depth)
    if config.travel_times == "velocities":
        first = path / config.max_velocity
    else:
        first = _first_arrivals(config.travel_times, event.depth, np.degrees(distance / 6371e3))
    return [Arrivals(float(a), float(b)) for a, b in zip(first, path / config.min_velocity, strict=True)]
