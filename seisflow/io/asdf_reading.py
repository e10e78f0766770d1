"""Read recordings, instruments, events and provenance of ASDF files, by seisflow or others."""

from __future__ import annotations

import os
from collections.abc import Collection
from copy import copy
from typing import Any

import h5py
import numpy as np

from seisflow.domain import Event
from seisflow.errors import InputError
from seisflow.io import provenance as prov
from seisflow.io.asdf import PROVENANCE
from seisflow.io.events import quakeml_events
from seisflow.io.hdf5 import attribute_text, check, damage, fetch_all, fetch_number, reading
from seisflow.io.provenance import Provenance
from seisflow.io.stations import read_inventory

__all__ = ["read_asdf_events", "read_observed", "read_provenance", "read_source", "scan_observed"]

_REAL, _WHOLE = np.dtype("f8"), np.dtype("i8")
_Path = str | os.PathLike[str]


def read_observed(
    path: _Path, tag: str | None = None, stations: Collection[str] | None = None
) -> tuple[Any, Any]:
    """Read recordings and instruments of an ASDF file, by seisflow or others.

    Parameters
    ----------
    path : path
    tag : str, optional
        Only recordings with this tag.
    stations : collection of str, optional
        Only these, ``NET.STA``.

    Returns
    -------
    obspy.Stream
        In the order of ids and times.
    obspy.Inventory
        All stations; those of one network together.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged or no ASDF file.
    """
    stream, inventory, problems = scan_observed(path, tag, stations)
    if problems:
        raise InputError("; ".join(problems))
    return stream, inventory


def scan_observed(
    path: _Path, tag: str | None = None, stations: Collection[str] | None = None
) -> tuple[Any, Any, list[str]]:
    """Read what can be read of an ASDF file, by seisflow or others (LASIF, SPECFEM3D), and say what cannot.

    Parameters
    ----------
    path : path
    tag : str, optional
        Only recordings with this tag.
    stations : collection of str, optional
        Only these, ``NET.STA``.

    Returns
    -------
    obspy.Stream
        In the order of ids and times.
    obspy.Inventory
        All stations; those of one network together.
    list of str
        One sentence for each recording or station that is damaged.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is no ASDF file, or so damaged that it cannot be opened.
    """
    from obspy import Inventory, Stream

    stream, problems = Stream(), []
    networks: dict[str, Any] = {}
    with reading(path) as file:
        _check_format(path, file)
        for station in sorted(file["Waveforms"]):
            if stations is not None and station not in stations:
                continue
            group = file["Waveforms"][station]
            for name in sorted(group):
                if name != "StationXML" and tag is not None and not name.endswith(f"__{tag}"):
                    continue
                try:
                    with damage(f"{path}: {name if name != 'StationXML' else f'StationXML of {station}'}"):
                        if name == "StationXML":
                            document = fetch_all(group, name).tobytes().rstrip(b"\x00")
                            where = f"{path}: StationXML of {station}"
                            _gather_networks(networks, _inventory(document, where))
                        else:
                            stream.append(_trace(name, group))
                except InputError as error:
                    problems.append(str(error))
    return stream, Inventory([networks[code] for code in sorted(networks)], source="seisflow"), problems


def _check_format(path: _Path, file: h5py.File) -> None:
    kind = attribute_text(file.attrs, "file_format") if "file_format" in file.attrs else "nothing known"
    if kind != "ASDF" or "Waveforms" not in file:
        raise InputError(f"{path}: is an HDF5 file, but no ASDF file (its format is {kind})")


_PARSED: dict[bytes, Any] = {}
_MOST_PARSED = 2000


def _inventory(document: bytes, where: str) -> Any:
    """Decode StationXML; the events of a project share their stations, and decoding takes milliseconds."""
    found = _PARSED.get(document)
    if found is None:
        found = read_inventory(document, where)
        if len(_PARSED) < _MOST_PARSED:
            _PARSED[document] = found
    return found


def _gather_networks(networks: dict[str, Any], inventory: Any) -> None:
    for network in inventory:
        if network.code in networks:
            networks[network.code].stations.extend(network.stations)
        else:
            networks[network.code] = copy(network)  # what was decoded is kept, and stays as it is
            networks[network.code].stations = list(network.stations)


def _trace(name: str, group: h5py.Group) -> Any:
    from obspy import Trace, UTCDateTime

    dataset = h5py.h5d.open(group.id, name.encode())
    samples = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, samples)
    check(dataset, samples, name)
    network, station, location, channel = name.split("__")[0].split(".")
    header = {
        "network": network,
        "station": station,
        "location": location,
        "channel": channel,
        "sampling_rate": float(fetch_number(dataset, "sampling_rate", _REAL)),
        "starttime": UTCDateTime(ns=int(fetch_number(dataset, "starttime", _WHOLE))),
    }
    return Trace(samples, header)


def read_asdf_events(path: _Path) -> tuple[list[Event], list[str]]:
    """Read the events of an ASDF file, by seisflow or others, and why some cannot be used.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Event
    list of str
        One sentence for each event that cannot be used.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged or no ASDF file.
    """
    with reading(path) as file:
        _check_format(path, file)
        if "QuakeML" not in file:
            return [], [f"{path}: holds no event"]
        return quakeml_events(fetch_all(file, "QuakeML").tobytes(), str(path))


def read_source(path: _Path) -> Event:
    """Read the one event of an ASDF file.

    Parameters
    ----------
    path : path

    Returns
    -------
    Event

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged, or does not hold exactly one event that can be used.
    """
    events, problems = read_asdf_events(path)
    if problems or len(events) != 1:
        raise InputError("; ".join([f"{path}: holds {len(events)} events, needs exactly one", *problems]))
    return events[0]


def read_provenance(path: _Path) -> Provenance:
    """Read where an ASDF file of seisflow comes from.

    Parameters
    ----------
    path : path

    Returns
    -------
    Provenance

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged or holds no provenance of seisflow.
    """
    with reading(path) as file:
        _check_format(path, file)
        return prov.decode(fetch_all(file["Provenance"], PROVENANCE).tobytes())
