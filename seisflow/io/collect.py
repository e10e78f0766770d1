"""Files of whatever kind, read for import into a project."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seisflow.domain import Event, Model, Station
from seisflow.domain.layers import Layers
from seisflow.errors import SeisflowError
from seisflow.io.asdf import read_asdf_events, read_observed
from seisflow.io.events import read_cmtsolution, scan_quakeml
from seisflow.io.hdf5 import reading
from seisflow.io.layers import read_layers
from seisflow.io.models import read_model
from seisflow.io.specfem import read_forcesolution, read_stations
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
    stream : obspy.Stream
        All recordings, in the order of ids and times.
    models : list of (Path, Model)
    layers : list of (Path, Layers)
    problems : list of str
        One sentence for each thing that could not be used.
    """

    events: list[Event] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    inventory: Any = field(default_factory=_empty_inventory)
    stream: Any = field(default_factory=_empty_stream)
    models: list[tuple[Path, Model]] = field(default_factory=list)
    layers: list[tuple[Path, Layers]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def sniff(path: str | os.PathLike[str]) -> str:
    """Tell the kind of a file from its first bytes.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        ``quakeml``, ``ndk``, ``stationxml``, ``cmtsolution``, ``forcesolution``, ``stations``, ``asdf``,
        ``model`` (NetCDF), ``layers``, ``waveforms`` (anything binary, and text that ObsPy may know) or
        ``unknown``.

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
    if b"\x00" in head:
        return "waveforms"
    text = head.decode("utf-8", errors="replace")
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
    if re.fullmatch(r"\w+\s+\w+(\s+[-+.\deE]+){4}", next(iter(text.strip().splitlines()), "").strip()):
        return "stations"
    if Path(path).suffix.lower() == ".ndk":
        return "ndk"
    return "layers" if _looks_like_layers(path, text) else "waveforms"


def _hdf5_kind(path: str | os.PathLike[str]) -> str:
    with reading(path) as file:
        if "file_format" in file.attrs and "Waveforms" in file:
            return "asdf"
        return "model" if {"vp", "vs", "rho"} & set(file) else "unknown"


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
        QuakeML, ndk, CMTSOLUTION, FORCESOLUTION, StationXML, STATIONS, ASDF, gridded models (NetCDF), layered
        models (text), and recordings in any format that ObsPy knows. Hidden files are passed over.

    Returns
    -------
    Collected
    """
    files, problems = files_below(paths)
    found = Collected(problems=problems)
    inventories: list[tuple[str, Any]] = []
    for path in files:
        try:
            _add(found, inventories, path)
        except SeisflowError as error:
            found.problems.append(str(error))
        except OSError as error:
            found.problems.append(f"{path}: cannot be read ({error.strerror or error})")
    found.stations, torn = inventory_stations(inventories)
    found.problems.extend(torn)
    for _, inventory in inventories:
        _merge(found.inventory, inventory)
    found.stream.traces.sort(key=lambda trace: (trace.id, trace.stats.starttime.ns))
    return found


def _add(found: Collected, inventories: list[tuple[str, Any]], path: Path) -> None:
    """Read one file and add what it holds."""

    def events() -> None:
        _add_events(found, path, *scan_quakeml(path))

    def asdf() -> None:
        _add_events(found, path, *read_asdf_events(path))
        stream, inventory = read_observed(path)
        found.stream.extend(stream)
        inventories.append((str(path), inventory))

    def stations() -> None:
        content = stationxml(read_stations(path), ())
        inventories.append((str(path), read_inventory(content, str(path))))

    def waveforms() -> None:
        stream, problems = read_waveforms(path)
        found.stream.extend(stream)
        found.problems.extend(problems)

    readers: dict[str, Callable[[], None]] = {
        "quakeml": events,
        "ndk": events,
        "cmtsolution": lambda: _add_events(found, path, [read_cmtsolution(path)], []),
        "forcesolution": lambda: _add_events(found, path, [read_forcesolution(path)], []),
        "stations": stations,
        "stationxml": lambda: inventories.append((str(path), read_inventory(path))),
        "asdf": asdf,
        "model": lambda: found.models.append((path, read_model(path))),
        "layers": lambda: found.layers.append((path, read_layers(path))),
        "waveforms": waveforms,
        "unknown": lambda: found.problems.append(f"{path}: is of no kind that seisflow reads"),
    }
    readers[sniff(path)]()


def _add_events(found: Collected, path: Path, events: list[Event], problems: list[str]) -> None:
    known = {event.id: event for event in found.events}
    for event in events:
        if event.id not in known:
            found.events.append(event)
            known[event.id] = event
        elif known[event.id] != event:
            found.problems.append(
                f"{path}: event {event.id} is there already, and differs; the first was taken"
            )
    found.problems.extend(problems)


def _merge(inventory: Any, other: Any) -> None:
    """Add the networks and stations of another inventory; what is there already is not added."""
    for network in other:
        same = next((each for each in inventory if each.code == network.code), None)
        if same is None:
            inventory.networks.append(network)
        else:
            same.stations.extend(station for station in network if station not in same.stations)
