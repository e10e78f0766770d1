"""Stations as StationXML files."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seisflow.domain import Station
from seisflow.errors import InputError, MissingError
from seisflow.io.atomic import publish
from seisflow.io.hdf5 import damage

__all__ = [
    "inventory_stations",
    "read_inventory",
    "read_stationxml",
    "stationxml",
    "write_inventory",
    "write_stationxml",
]

_SAME_PLACE = 1e-3  # degrees, about 100 m
_ORIENTATIONS = {"E": (90.0, 0.0), "N": (0.0, 0.0), "Z": (0.0, -90.0), "R": (0.0, 0.0), "T": (90.0, 0.0)}


def read_stationxml(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Station]:
    """Read the stations of one or several StationXML files.

    Parameters
    ----------
    paths : path or iterable of paths

    Returns
    -------
    list of Station
        By network and code, each once. Burial is the depth that most channels have.

    Raises
    ------
    MissingError
        If a file is not there.
    InputError
        If a file is broken, or a station is said to be in two places (all such stations are named).
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = [(str(path), read_inventory(path)) for path in several]
    stations, problems = inventory_stations(found)
    if problems:
        raise InputError("\n".join(problems))
    return stations


def read_inventory(source: str | os.PathLike[str] | bytes, where: str = "StationXML") -> Any:
    """Read a StationXML file, or its content, with all it says about instruments.

    Parameters
    ----------
    source : path or bytes
    where : str
        Name of the content in messages, if bytes are given.

    Returns
    -------
    obspy.Inventory

    Raises
    ------
    MissingError
        If the file is not there.
    InputError
        If it cannot be decoded.
    """
    from obspy import read_inventory as decode

    if not isinstance(source, bytes):
        where = str(source)
        if not Path(source).is_file():
            raise MissingError(f"{source}: there is no such file")
        source = Path(source).read_bytes()
    with damage(where), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return decode(io.BytesIO(source), format="STATIONXML")
        except Exception as error:  # lxml and ObsPy raise whatever they please
            raise ValueError(str(error) or type(error).__name__) from error


def inventory_stations(inventories: Iterable[tuple[str, Any]]) -> tuple[list[Station], list[str]]:
    """Collect the stations of inventories.

    Parameters
    ----------
    inventories : iterable of (str, obspy.Inventory)
        With the name of each for messages.

    Returns
    -------
    list of Station
        By network and code, each once; those with problems are left out. A station that is described twice
        within 100 m counts as one, the last description is taken.
    list of str
        One sentence for each station in two places.
    """
    places: dict[tuple[str, str], tuple[Station, str]] = {}
    torn: dict[tuple[str, str], str] = {}
    for where, inventory in inventories:
        for network in inventory:
            for entry in network:
                station = _station(network.code, entry)
                key = (station.network, station.code)
                other, there = places.get(key, (station, where))
                if not _same_place(station, other):
                    torn[key] = (
                        f"{station.id} is in two places: {other.latitude}, {other.longitude} in {there} and "
                        f"{station.latitude}, {station.longitude} in {where}; remove the wrong one"
                    )
                places[key] = (station, where)
    stations = [station for key, (station, _) in sorted(places.items()) if key not in torn]
    return stations, [torn[key] for key in sorted(torn)]


def _station(network: str, entry: Any) -> Station:
    depths = Counter(float(channel.depth) for channel in entry if channel.depth is not None)
    burial = min(depths, key=lambda depth: (-depths[depth], depth)) if depths else 0.0
    return Station(
        network,
        entry.code,
        float(entry.latitude),
        float(entry.longitude),
        float(entry.elevation or 0.0),
        burial,
    )


def _same_place(one: Station, other: Station) -> bool:
    aside = abs(one.longitude - other.longitude) % 360
    return abs(one.latitude - other.latitude) < _SAME_PLACE and min(aside, 360 - aside) < _SAME_PLACE


def write_stationxml(
    path: str | os.PathLike[str], stations: Sequence[Station], channels: Sequence[str] = ("MXE", "MXN", "MXZ")
) -> None:
    """Write stations, without instruments, as StationXML. Equal stations give equal bytes.

    Parameters
    ----------
    path : path
    stations : sequence of Station
    channels : sequence of str
        Channel codes that each station gets.

    Raises
    ------
    WorkError
        If the disk is full.
    """
    content = stationxml(stations, channels)
    with publish(path) as temporary:
        temporary.write_bytes(content)


def stationxml(stations: Sequence[Station], channels: Sequence[str]) -> bytes:
    """Encode stations as StationXML.

    Parameters
    ----------
    stations : sequence of Station
    channels : sequence of str
        Channel codes; the last letter is the orientation E, N, Z, R or T.

    Returns
    -------
    bytes
    """
    from obspy import Inventory, UTCDateTime
    from obspy.core.inventory import Network

    networks = []
    for code in sorted({station.network for station in stations}):
        members = sorted(station for station in stations if station.network == code)
        networks.append(Network(code, stations=[_obspy_station(station, channels) for station in members]))
    inventory = Inventory(networks, source="seisflow", sender="seisflow", created=UTCDateTime(0))
    inventory.module, inventory.module_uri = "seisflow", None
    buffer = io.BytesIO()
    inventory.write(buffer, format="STATIONXML")
    return buffer.getvalue()


def _obspy_station(station: Station, channels: Sequence[str]) -> Any:
    from obspy.core.inventory import Channel, Site
    from obspy.core.inventory import Station as ObspyStation

    where = {"latitude": station.latitude, "longitude": station.longitude, "elevation": station.elevation}
    found = []
    for code in channels:
        azimuth, dip = _ORIENTATIONS[code[-1]]
        found.append(Channel(code, "", depth=station.burial, azimuth=azimuth, dip=dip, **where))
    return ObspyStation(station.code, site=Site(station.id), channels=found, **where)


def write_inventory(path: str | os.PathLike[str], inventory: Any, *, keep: bool = True) -> str:
    """Write an ObsPy inventory as StationXML, with everything that it knows (responses).

    Parameters
    ----------
    path : path
    inventory : obspy.Inventory
    keep : bool
        Leave a file alone that is there and differs.

    Returns
    -------
    str
        ``new``, ``same`` (it was there already), ``kept`` (another was there) or ``replaced``.
    """
    buffer = io.BytesIO()
    inventory.write(buffer, format="STATIONXML")
    # the time of writing says nothing about the station, and equal content shall give equal bytes
    content = re.sub(
        rb"<Created>[^<]*</Created>", b"<Created>1970-01-01T00:00:00Z</Created>", buffer.getvalue()
    )
    target = Path(path)
    old = target.read_bytes() if target.is_file() else None
    if old == content:
        return "same"
    if old is not None and keep:
        return "kept"
    with publish(target) as temporary:
        temporary.write_bytes(content)
    return "new" if old is None else "replaced"
