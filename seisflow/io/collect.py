"""Files of whatever kind, read for import into a project."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seisflow.domain import Event, Model, Station
from seisflow.domain.layers import Layers
from seisflow.errors import SeisflowError
from seisflow.io.asdf_reading import read_asdf_events, scan_observed
from seisflow.io.earth_grids import EarthGrid, looks_like_grid, read_netcdf_grid, read_text_grid
from seisflow.io.events import read_cmtsolution, scan_quakeml
from seisflow.io.hdf5 import reading
from seisflow.io.layers import read_layers
from seisflow.io.models import read_model
from seisflow.io.responses import merge_inventory, read_resp, read_seed
from seisflow.io.specfem import is_station_table, read_forcesolution, scan_stations
from seisflow.io.stations import inventory_stations, read_inventory, stationxml
from seisflow.io.waveforms import files_below, read_waveforms

__all__ = ["Collected", "collect", "sniff"]

_HEAD = 4096
_TEXT_MODELS = {".txt", ".csv", ".dat", ".mod", ".model", ".d", ""}


def _empty_stream() -> Any:
    from obspy import Stream

    return Stream()


def _empty_inventory() -> Any:
    from obspy import Inventory

    return Inventory([], source="seisflow")


@dataclass
class Collected:
    """What a set of files holds.

    Parameters
    ----------
    events : list of Event
        Each id once.
    stations : list of Station
        Each once, by network and code; without those in two places.
    inventory : obspy.Inventory
        All that is known about the stations and their instruments.
    inventories : list of (str, obspy.Inventory)
        The same by file.
    responses : list of (str, obspy.Inventory)
        Of RESP files, without places.
    stream : obspy.Stream
        All recordings, in the order of ids and times. Each keeps ``stats.file`` and, from an ASDF file with one
        event, ``stats.event``.
    models : list of (Path, Model or EarthGrid)
    layers : list of (Path, Layers)
    files : list of str
        All that were read, good or bad.
    problems : list of str
        One sentence for each thing that could not be used.
    """

    events: list[Event] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    inventory: Any = field(default_factory=_empty_inventory)
    inventories: list[tuple[str, Any]] = field(default_factory=list)
    responses: list[tuple[str, Any]] = field(default_factory=list)
    stream: Any = field(default_factory=_empty_stream)
    models: list[tuple[Path, Model | EarthGrid]] = field(default_factory=list)
    layers: list[tuple[Path, Layers]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def sniff(path: str | os.PathLike[str]) -> str:
    """Tell the kind of a file from its first bytes.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        ``quakeml``, ``ndk``, ``stationxml``, ``seed``, ``resp``, ``cmtsolution``, ``forcesolution``, ``stations``,
        ``asdf``, ``model`` (NetCDF of seisflow), ``grid`` (NetCDF with latitude and longitude, text columns),
        ``layers``, ``waveforms`` (anything binary, and text that ObsPy may know) or ``unknown``.

    Raises
    ------
    SeisflowError
        If an HDF5 file is damaged.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"\x89HDF"):
        return _hdf5_kind(path)
    if head.startswith((b"CDF\x01", b"CDF\x02")):
        return "grid"
    if re.match(rb"\d{6}V", head):
        return "seed"
    if b"\x00" in head:
        return "waveforms"
    return _text_kind(path, head.decode("utf-8", errors="replace"))


def _text_kind(path: str | os.PathLike[str], text: str) -> str:
    root = (
        re.search(r"<(?:\w+:)?([A-Za-z]\w*)[\s>/]", text)
        if text.lstrip("\ufeff \t\r\n").startswith("<")
        else None
    )
    if root is not None:
        kind = root[1].lower()
        return {"quakeml": "quakeml", "fdsnstationxml": "stationxml"}.get(kind, "unknown")
    if re.search(r"^\s*Mrr\s*:", text, re.MULTILINE | re.IGNORECASE):
        return "cmtsolution"
    if re.search(r"^factor force source\s*:", text, re.MULTILINE):
        return "forcesolution"
    if re.search(r"^B05[02]F0[34]\s", text, re.MULTILINE):
        return "resp"
    first = next(iter(text.strip().splitlines()), "").strip()
    if is_station_table(first) or re.fullmatch(r"\w+\s+\w+(\s+[-+.\deE]+){4}", first):
        return "stations"
    for kind in ("cmtsolution", "forcesolution", "stations"):
        if Path(path).name.lower().startswith(kind) and text.strip():
            return kind
    if Path(path).suffix.lower() == ".ndk":
        return "ndk"
    if Path(path).suffix.lower() in _TEXT_MODELS | {".xyz"} and looks_like_grid(path, text):
        return "grid"
    return "layers" if _looks_like_layers(path, text) else "waveforms"


def _hdf5_kind(path: str | os.PathLike[str]) -> str:
    with reading(path) as file:
        if "file_format" in file.attrs and "Waveforms" in file:
            return "asdf"
        if {"x", "y", "z"} <= set(file) and {"vp", "vs", "rho"} & set(file):
            return "model"
        names = {name.lower() for name in file}
        return (
            "grid" if names & {"latitude", "lat"} else "model" if names & {"vp", "vs", "rho"} else "unknown"
        )


def _looks_like_layers(path: str | os.PathLike[str], text: str) -> bool:
    """Whether a text has the head of MODEL.01, or starts with rows of 4 to 6 numbers, perhaps below names."""
    if text.lstrip().upper().startswith("MODEL.0"):
        return True
    if Path(path).suffix.lower() not in _TEXT_MODELS:
        return False
    lines = [line.split("#")[0].strip() for line in text.splitlines()[:12]]
    lines = [line for line in lines if line]
    if lines and re.search(r"\bvs", lines[0], re.IGNORECASE):
        lines = lines[1:]
    row = re.compile(r"([-+.\deEdD]+[,;\s]*){4,6}")
    return bool(lines) and all(row.fullmatch(line) for line in lines[:3])


def collect(paths: Iterable[str | os.PathLike[str]]) -> Collected:
    """Read files and folders of whatever kind; a broken file gives a sentence, never an exception.

    Parameters
    ----------
    paths : iterable of paths
        QuakeML, ndk, CMTSOLUTION, FORCESOLUTION, StationXML, dataless SEED, RESP, STATIONS, ASDF, gridded models
        (NetCDF, text columns), layered models (text), and recordings in any format that ObsPy knows. Hidden files are
        passed over.

    Returns
    -------
    Collected
    """
    files, problems = files_below(paths)
    found = Collected(problems=problems, files=[str(path) for path in files])
    for path in files:
        try:
            _add(found, path)
        except SeisflowError as error:
            found.problems.append(" ".join(str(error).splitlines()))
        except OSError as error:
            found.problems.append(f"{path}: cannot be read ({error.strerror or error})")
    found.stations, torn = inventory_stations(found.inventories)
    found.problems.extend(torn)
    for _, inventory in found.inventories:
        merge_inventory(found.inventory, inventory)
    found.stream.traces.sort(key=lambda trace: (trace.id, trace.stats.starttime.ns))
    return found


def _add(found: Collected, path: Path) -> None:
    """Read one file and add what it holds."""

    def grid() -> None:
        with open(path, "rb") as file:
            binary = file.read(4).startswith((b"CDF", b"\x89HDF"))
        found.models.append((path, read_netcdf_grid(path) if binary else read_text_grid(path)))

    readers: dict[str, Callable[[], None]] = {
        "quakeml": lambda: _add_events(found, path, *scan_quakeml(path)),
        "ndk": lambda: _add_events(found, path, *scan_quakeml(path)),
        "cmtsolution": lambda: _add_events(found, path, [read_cmtsolution(path)], []),
        "forcesolution": lambda: _add_events(found, path, [read_forcesolution(path)], []),
        "stations": lambda: _add_stations(found, path),
        "stationxml": lambda: found.inventories.append((str(path), read_inventory(path))),
        "seed": lambda: _add_seed(found, path),
        "resp": lambda: found.responses.append((str(path), read_resp(path))),
        "asdf": lambda: _add_asdf(found, path),
        "model": lambda: found.models.append((path, read_model(path))),
        "grid": grid,
        "layers": lambda: found.layers.append((path, read_layers(path))),
        "waveforms": lambda: _add_waveforms(found, path),
        "unknown": lambda: found.problems.append(
            f"{path}: is of no kind that seisflow reads; docs/import.md lists them"
        ),
    }
    readers[sniff(path)]()


def _add_stations(found: Collected, path: Path) -> None:
    stations, problems = scan_stations(path)
    found.problems.extend(problems)
    if stations:
        found.inventories.append((str(path), read_inventory(stationxml(stations, ()), str(path))))


def _add_seed(found: Collected, path: Path) -> None:
    """A dataless volume, or a full one, which holds recordings too."""
    found.inventories.append((str(path), read_seed(path)))
    stream, problems = read_waveforms(path)
    if not problems:
        found.stream.extend(stream)


def _add_waveforms(found: Collected, path: Path) -> None:
    stream, problems = read_waveforms(path)
    now = time.time()
    early = [trace for trace in stream if trace.stats.starttime.timestamp <= now]
    for trace in stream:
        if trace.stats.starttime.timestamp > now:
            problems.append(
                f"{path}: {trace.id} starts in the future, at {trace.stats.starttime}; correct its times"
            )
    found.stream.extend(early)
    found.problems.extend(problems)


def _add_asdf(found: Collected, path: Path) -> None:
    """Recordings and stations, also where the event of the file cannot be used."""
    stream, inventory, problems = scan_observed(path)
    try:
        events, complaints = read_asdf_events(path)
    except SeisflowError as error:
        events, complaints = [], [str(error)]
    _add_events(found, path, events, complaints)
    for trace in stream:
        trace.stats.file = str(path)
        if len(events) == 1:
            trace.stats.event = events[0].id
    found.stream.extend(stream)
    found.inventories.append((str(path), inventory))
    found.problems.extend(problems)


def _add_events(found: Collected, path: Path, events: list[Event], problems: list[str]) -> None:
    known = {event.id: event for event in found.events}
    for event in events:
        if event.time > time.time():
            found.problems.append(
                f"{path}: event {event.id} is in the future, at {event.utc:%Y-%m-%d %H:%M:%S}; correct its time"
            )
        elif event.id not in known:
            found.events.append(event)
            known[event.id] = event
        elif known[event.id] != event:
            found.problems.append(
                f"{path}: event {event.id} is there already, and differs; the first was taken, give this one "
                "another id or remove it"
            )
    found.problems.extend(problems)
