"""Dataless SEED and RESP, and instruments that are described apart from their stations."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import Any

from seisflow.errors import MissingError
from seisflow.io.hdf5 import damage
from seisflow.io.stations import read_inventory

__all__ = ["complete", "merge_inventory", "project_inventory", "read_resp", "read_seed"]

_SAME_PLACE = 1e-3  # degrees


def read_seed(path: str | os.PathLike[str]) -> Any:
    """Read the stations and responses of a dataless (or full) SEED volume.

    Parameters
    ----------
    path : path

    Returns
    -------
    obspy.Inventory

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it cannot be decoded.
    """
    return _decode(path, "SEED")


def read_resp(path: str | os.PathLike[str]) -> Any:
    """Read a RESP file. It holds no coordinates: ``complete`` gives the responses to stations that have some.

    Parameters
    ----------
    path : path

    Returns
    -------
    obspy.Inventory
        Stations at 0, 0.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it cannot be decoded.
    """
    return _decode(path, "RESP")


def _decode(path: str | os.PathLike[str], kind: str) -> Any:
    from obspy import read_inventory as decode

    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    with damage(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = decode(io.BytesIO(Path(path).read_bytes()), format=kind)
        except Exception as error:  # the readers of ObsPy raise whatever they please
            raise ValueError(str(error) or type(error).__name__) from error
    stations = [station for network in found for station in network]
    with damage(path):
        if not stations:
            raise ValueError("it describes no station")
    return found


def project_inventory(paths: Iterable[str | os.PathLike[str]]) -> Any:
    """All that several StationXML files say, as one inventory.

    Parameters
    ----------
    paths : iterable of paths

    Returns
    -------
    obspy.Inventory

    Raises
    ------
    InputError
        If a file is broken.
    """
    from obspy import Inventory

    found = Inventory([], source="seisflow")
    for path in paths:
        merge_inventory(found, read_inventory(path))
    return found


def complete(inventory: Any, responses: Any) -> tuple[int, list[str]]:
    """Give responses without coordinates to the stations of an inventory.

    A channel that is described without response gets it; one that is not described is added, at the place of its
    station, with the orientation that its code tells.

    Parameters
    ----------
    inventory : obspy.Inventory
        Is changed.
    responses : obspy.Inventory
        Of RESP files.

    Returns
    -------
    int
        How many responses were given.
    list of str
        ``NET.STA`` that the inventory does not hold.
    """
    given, missing = 0, []
    for network in responses:
        for station in network:
            target = _station(inventory, network.code, station.code)
            if target is None:
                missing.append(f"{network.code}.{station.code}")
                continue
            for channel in station:
                given += _give(target, channel)
    return given, missing


def _station(inventory: Any, network: str, code: str) -> Any:
    for each in inventory:
        if each.code == network:
            return next((station for station in each if station.code == code), None)
    return None


def _give(target: Any, channel: Any) -> int:
    for number, other in enumerate(target.channels):
        if (other.code, other.location_code) != (channel.code, channel.location_code):
            continue
        if other.response is not None and other.response.response_stages:
            if (other.start_date, other.end_date) == (channel.start_date, channel.end_date):
                return 0
        else:
            filled = copy(other)
            filled.response = channel.response
            filled.start_date, filled.end_date = channel.start_date, channel.end_date
            target.channels[number] = filled
            return 1
    depths = [other.depth for other in target if other.depth is not None]
    new = copy(channel)
    new.latitude, new.longitude, new.elevation = target.latitude, target.longitude, target.elevation
    new.depth = depths[0] if depths else 0.0
    angles = {"E": (90.0, 0.0), "N": (0.0, 0.0), "Z": (0.0, -90.0)}.get(new.code[-1:])
    if angles is not None:
        new.azimuth, new.dip = angles
    target.channels.append(new)
    return 1


def merge_inventory(inventory: Any, other: Any) -> None:
    """Add the networks and stations of another inventory.

    What is there already is not added. Of a station that both hold at one place, a description without channels
    gives way, and channels that are not there yet are added.

    Parameters
    ----------
    inventory : obspy.Inventory
        Is changed.
    other : obspy.Inventory
    """
    for network in other:
        same = next((each for each in inventory if each.code == network.code), None)
        if same is None:
            same = copy(network)  # what was decoded may be kept elsewhere, and stays as it is
            same.stations = []
            inventory.networks.append(same)
        for station in network:
            _merge_station(same, station)


def _merge_station(network: Any, station: Any) -> None:
    new = copy(station)
    new.channels = list(station.channels)
    for number, old in enumerate(network.stations):
        aside = abs(old.longitude - station.longitude) % 360
        near = abs(old.latitude - station.latitude) < _SAME_PLACE and min(aside, 360 - aside) < _SAME_PLACE
        if old.code != station.code or not near:
            continue
        if old == station or not station.channels:
            return
        if not old.channels:
            network.stations[number] = new
            return
        if (old.start_date, old.end_date) == (station.start_date, station.end_date):
            old.channels.extend(channel for channel in station if channel not in old.channels)
            return
    network.stations.append(new)
