"""What the headers of SAC files say beside the samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from seisflow.domain import Station

__all__ = ["event_place", "relative_start", "sac_inventory", "station_place"]

_LONGEST = 86400.0
"""s; an origin further than this from the samples is no origin."""


def _value(trace: Any, name: str) -> float | None:
    """A number of the SAC header, or None where it is not set."""
    found = trace.stats.get("sac", {}).get(name)
    return None if found is None or not np.isfinite(found) or found == -12345 else float(found)


def _place(trace: Any, latitude: str, longitude: str) -> tuple[float, float] | None:
    found = _value(trace, latitude), _value(trace, longitude)
    if found[0] is None or found[1] is None or abs(found[0]) > 90 or abs(found[1]) > 360:
        return None
    return round(found[0], 6), round((found[1] + 180) % 360 - 180, 6)


def station_place(trace: Any) -> tuple[float, float] | None:
    """Latitude and longitude in degrees of the station by the header, or None."""
    return _place(trace, "stla", "stlo")


def event_place(trace: Any) -> tuple[float, float] | None:
    """Latitude and longitude in degrees of the event by the header, or None."""
    return _place(trace, "evla", "evlo")


def relative_start(trace: Any) -> float | None:
    """Time of the first sample, s after the origin, by the header of a SAC file.

    Parameters
    ----------
    trace : obspy.Trace

    Returns
    -------
    float or None
        ``b - o``, or ``b`` where ``o`` is not set or lies more than a day from the samples; None if the recording is
        not of a SAC file.
    """
    begin = _value(trace, "b")
    if begin is None:
        return None
    origin, end = _value(trace, "o"), begin + trace.stats.npts * trace.stats.delta
    if origin is None or not begin - _LONGEST <= origin <= end + _LONGEST:
        return begin
    return begin - origin


def sac_inventory(traces: Iterable[Any], known: set[str]) -> Any:
    """Make stations of the headers of SAC recordings whose stations nothing else describes.

    Vertical channels, E and N stand as their codes say; channels 1 and 2 get the azimuth of the header.

    Parameters
    ----------
    traces : iterable of obspy.Trace
    known : set of str
        ``NET.STA`` that are described already.

    Returns
    -------
    list of (str, obspy.Inventory)
        One for each file that tells a place, with the name of the file.
    """
    from obspy import Inventory
    from obspy.core.inventory import Channel, Network, Site
    from obspy.core.inventory import Station as ObspyStation

    found = []
    for trace in traces:
        stats, place = trace.stats, station_place(trace)
        if place is None or f"{stats.network}.{stats.station}" in known:
            continue
        station = Station(
            stats.network,
            stats.station,
            *place,
            _value(trace, "stel") or 0.0,
            max(_value(trace, "stdp") or 0.0, 0.0),
        )
        where = {"latitude": place[0], "longitude": place[1], "elevation": station.elevation}
        angles = _angles(trace)
        channels = []
        if angles is not None:
            azimuth, dip = angles
            channels = [
                Channel(
                    stats.channel, stats.location, depth=station.burial, azimuth=azimuth, dip=dip, **where
                )
            ]
        entry = ObspyStation(station.code, site=Site(station.id), channels=channels, **where)
        inventory = Inventory([Network(station.network, stations=[entry])], source="seisflow")
        found.append((str(stats.get("file", "a SAC file")), inventory))
    return found


def _angles(trace: Any) -> tuple[float, float] | None:
    """Azimuth and dip in degrees of a channel, or None where neither code nor header tell."""
    letter = trace.stats.channel[-1:]
    if letter in "ENZ" and letter:
        return {"E": (90.0, 0.0), "N": (0.0, 0.0), "Z": (0.0, -90.0)}[letter]
    azimuth, inclination = _value(trace, "cmpaz"), _value(trace, "cmpinc")
    if azimuth is None or inclination is None:
        return None
    return azimuth % 360, float(np.clip(inclination - 90, -90, 90))
