"""Point forces and stations in the text files of SPECFEM3D."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from seisflow.domain import Event, Force, SourceTimeFunction, Station
from seisflow.errors import InputError, MissingError

__all__ = ["FORCE_TIME", "read_forcesolution", "read_stations", "is_station_table", "scan_stations"]

FORCE_TIME = 946684800.0
"""2000-01-01 00:00:00 UTC: the time that forces get, as their files hold none."""

_KEYS = {
    "shift": ("time shift",),
    "half_duration": ("f0", "hdurorf0"),
    "latitude": ("latorutm", "latitude"),
    "longitude": ("longorutm", "longitude"),
    "depth": ("depth",),
    "factor": ("factor force source",),
    "east": ("component dir vect source e",),
    "north": ("component dir vect source n",),
    "up": ("component dir vect source z_up",),
}

_Path = str | os.PathLike[str]


def _lines(path: _Path) -> list[str]:
    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()


def read_forcesolution(path: _Path, time: float = FORCE_TIME) -> Event:
    """Read a FORCESOLUTION file.

    Parameters
    ----------
    path : path
        What follows ``FORCESOLUTION_`` in its name becomes the name of the event.
    time : float
        Origin time, POSIX seconds; the time shift of the file is added.

    Returns
    -------
    Event
        The force in N: the factor times the direction, which is normalised. ``f0`` is the half duration of a
        Gaussian in s.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If a line is missing or is no number, or the place is not in degrees.
    """
    found = {}
    for line in _lines(path):
        key, colon, value = line.partition(":")
        if colon:
            found[key.strip().lower()] = value.strip()
    numbers = {name: _number(path, found, keys) for name, keys in _KEYS.items()}
    if abs(numbers["latitude"]) > 90 or abs(numbers["longitude"]) > 360:
        raise InputError(
            f"{path}: latitude {numbers['latitude']:g}, longitude {numbers['longitude']:g} are no degrees; "
            "convert UTM coordinates to WGS84"
        )
    direction = np.array([numbers["east"], numbers["north"], numbers["up"]])
    if not direction.any() or numbers["factor"] == 0:
        raise InputError(f"{path}: the force is zero; give it a factor and a direction")
    force = numbers["factor"] * direction / np.linalg.norm(direction)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(path).name.removeprefix("FORCESOLUTION").strip("_"))
    return Event(
        id=name or "force",
        time=time + numbers["shift"],
        latitude=numbers["latitude"],
        longitude=numbers["longitude"],
        depth=numbers["depth"] * 1000,
        source=Force(*(float(part) for part in force)),
        time_function=SourceTimeFunction(half_duration=numbers["half_duration"]),
    )


def _number(path: _Path, found: dict[str, str], keys: tuple[str, ...]) -> float:
    key = next((each for each in keys if each in found), None)
    if key is None:
        raise InputError(f"{path}: has no line '{keys[0]}:', which a FORCESOLUTION file must have")
    try:
        return float(found[key].split()[0].lower().replace("d", "e"))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: {key}: {found[key]!r} is no number") from error


def read_stations(path: _Path) -> list[Station]:
    """Read a STATIONS file: station, network, latitude, longitude, elevation and burial in m, a line each.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Station
        In the order of the file.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If lines cannot be understood, or a station is there twice; all such lines are named.
    """
    stations, problems = scan_stations(path)
    if problems:
        raise InputError("\n".join(problems))
    return stations


def scan_stations(path: _Path) -> tuple[list[Station], list[str]]:
    """Read the lines of a STATIONS file that can be used, and say why others cannot.

    A table with commas will do, if its first line names the columns: network, station, latitude, longitude (degrees),
    and perhaps elevation and burial (m), in any order.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Station
        In the order of the file.
    list of str
        One sentence for each line that was left out.

    Raises
    ------
    MissingError
        If there is no such file.
    """
    stations: dict[str, Station] = {}
    problems: list[str] = []
    columns: list[int] | None = None
    for number, line in enumerate(_lines(path), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if number == 1 and is_station_table(line):
            columns = _columns(line)
            continue
        if columns is not None:
            cells = [*(cell.strip() for cell in line.split(",")), "0"]
            words = [cells[column] if column < len(cells) - 1 or column == -1 else "?" for column in columns]
        try:
            station = _station(words)
        except ValueError as error:
            problems.append(f"{path}, line {number}: {line.strip()[:60]!r} {error}; the line was left out")
            continue
        if station.id in stations:
            problems.append(
                f"{path}, line {number}: {station.id} is there twice; the first was taken, remove one"
            )
        stations.setdefault(station.id, station)
    return list(stations.values()), problems


_NAMES = {
    "station": ("station", "sta", "code"),
    "network": ("network", "net"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
    "elevation": ("elevation", "elevation_m", "elev"),
    "burial": ("burial", "burial_m"),
}


def is_station_table(line: str) -> bool:
    """Whether a line names the columns of a table of stations, separated by commas."""
    found = {cell.strip().lower() for cell in line.split(",")}
    return all(found & set(_NAMES[name]) for name in ("station", "network", "latitude", "longitude"))


def _columns(line: str) -> list[int]:
    """Numbers of the columns in the order of a STATIONS file; -1 for one that is not there."""
    cells = [cell.strip().lower() for cell in line.split(",")]
    return [next((cells.index(name) for name in names if name in cells), -1) for names in _NAMES.values()]


def _station(words: list[str]) -> Station:
    try:
        code, network, *rest = words
        latitude, longitude, elevation, burial = (float(word) for word in rest)
    except ValueError as error:
        raise ValueError("is not 'station network latitude longitude elevation burial'") from error
    if abs(latitude) > 90 or abs(longitude) > 360 or not np.isfinite([*map(float, rest)]).all():
        raise ValueError(f"has the place {latitude:g}, {longitude:g}, which are no degrees")
    return Station(network, code, latitude, longitude, elevation, burial)
