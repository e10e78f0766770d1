"""All that one event gives in one iteration, in one ASDF file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from seisflow.domain import (
    BandCandidates,
    Event,
    Gather,
    Measurement,
    Measurements,
    Rejection,
    Station,
    TraceFit,
    WeightFactors,
    Window,
)
from seisflow.errors import InputError, PhysicsError
from seisflow.io import provenance as prov
from seisflow.io.asdf import channel_code, put_bytes, put_head, put_trace, trace_name
from seisflow.io.asdf_reading import read_provenance, read_source
from seisflow.io.event_candidates import put_candidates
from seisflow.io.events import event_uri
from seisflow.io.hdf5 import attribute_text, fetch, put, reading, text_table, writing
from seisflow.io.provenance import Provenance
from seisflow.io.stations import stationxml

__all__ = ["EventFile", "read_event", "write_event"]

_ADJOINT = "adjoint_source"
_FLOATS = ("start", "end", "correlation", "shift", "dlna", "weight")
_STATION = (
    ("network", "S"),
    ("code", "S"),
    ("latitude", "f8"),
    ("longitude", "f8"),
    ("elevation", "f8"),
    ("burial", "f8"),
)
_TEXTS = ("waves", "phases", "by_hand")
_FACTORS = tuple(each.name for each in fields(WeightFactors))
_WINDOW = (
    ("station", "S"),
    ("component", "S"),
    *((name, "f8") for name in _FLOATS),
    ("signal_to_noise", "f8"),
    *((name, "S") for name in _TEXTS),
    ("band", "i8"),
    *((f"weight_{name}", "f8") for name in _FACTORS),
)
_MEASUREMENT = (
    *_WINDOW,
    ("value", "f8"),
    ("measured_shift", "f8"),
    ("measured_dlna", "f8"),
    ("measured_correlation", "f8"),
    ("measured_error", "f8"),
)
_REJECTION = (
    ("station", "S"),
    ("component", "S"),
    ("stage", "S"),
    ("reason", "S"),
    ("start", "f8"),
    ("end", "f8"),
    ("count", "i8"),
    ("band", "i8"),
)
_TRACE = (
    ("station", "S"),
    ("component", "S"),
    ("band", "i8"),
    *((each.name, "f8") for each in fields(TraceFit)[3:]),
)
_RESULT = (("name", "S"), ("value", "f8"))


@dataclass(frozen=True, eq=False)
class EventFile:
    """What the file of an event holds.

    Parameters
    ----------
    event : Event
    provenance : Provenance
    gathers : mapping of str to Gather
        By tag (lower case letters, digits, underscores), as ``synthetic_processed``, ``observed_processed``.
    windows : tuple of Window
    rejections : tuple of Rejection
    measurements : tuple of Measurement
    adjoints : mapping of int to Gather
        The adjoint source of each band (from 0) in which something was measured, forward time.
    results : mapping of str to float
        Numbers, as ``misfit``.
    traces : tuple of TraceFit
        How whole traces compare, where windows were selected.
    candidates : mapping of int to BandCandidates
        All candidates of each band (from 0) in which windows were selected. ``read_candidates`` reads them,
        ``read_event`` does not.
    """

    event: Event
    provenance: Provenance
    gathers: Mapping[str, Gather] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    adjoints: Mapping[int, Gather] = field(default_factory=dict)
    results: Mapping[str, float] = field(default_factory=dict)
    traces: tuple[TraceFit, ...] = ()
    candidates: Mapping[int, BandCandidates] = field(default_factory=dict)

    @property
    def adjoint(self) -> Gather | None:
        """The adjoint source of the first band, or None."""
        return self.adjoints.get(0)

    def measured(self) -> Measurements:
        """Measurements and adjoint source as one noun.

        Returns
        -------
        Measurements

        Raises
        ------
        InputError
            If there is no adjoint source.
        """
        if self.adjoint is None:
            raise InputError(f"event {self.event.id} has no adjoint source")
        return Measurements(self.measurements, self.adjoint)


# --- writing


def write_event(path: str | os.PathLike[str], content: EventFile, *, compress: bool = False) -> None:
    """Write the file of an event. Equal content gives equal bytes; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        Usually ``.h5``.
    content : EventFile
        Traces that are not live are not stored (their absence is).
    compress : bool
        Whether to gzip the seismograms: about a quarter smaller, several times slower.

    Raises
    ------
    PhysicsError
        If a seismogram, an adjoint source, a measurement or a result is NaN or infinite.
    InputError
        If a tag has other characters, or two different stations have one name.
    WorkError
        If the disk is full.
    """
    gathers = dict(sorted(content.gathers.items()))
    if any(_ADJOINT in tag for tag in gathers):
        raise InputError(f"{path}: the tag {_ADJOINT!r} is kept for the adjoint source; choose another")
    adjoints = dict(sorted(content.adjoints.items()))
    everything = {**gathers, **{_adjoint_tag(band): gather for band, gather in adjoints.items()}}
    _check_finite(path, content, everything)
    stations = _stations(path, everything.values())
    with writing(path) as file:
        put_head(file, content.event, content.provenance)
        auxiliary = file["AuxiliaryData"]
        _put_stations(file, stations, everything.values())
        for tag, gather in everything.items():
            _put_layout(auxiliary, tag, gather, stations)
        for tag, gather in gathers.items():
            _put_gather(file, tag, gather, content, compress)
        for band, gather in adjoints.items():
            _put_adjoint(auxiliary.create_group(_adjoint_group(band)), gather, content, compress)
        put(auxiliary, "Windows/table", text_table([_window_row(each) for each in content.windows], _WINDOW))
        rows = [_measurement_row(each) for each in content.measurements]
        put(auxiliary, "Measurements/table", text_table(rows, _MEASUREMENT))
        put(
            auxiliary,
            "Rejections/table",
            text_table([_rejection_row(each) for each in content.rejections], _REJECTION),
        )
        put(auxiliary, "Traces/table", text_table([astuple(each) for each in content.traces], _TRACE))
        put_candidates(auxiliary, content.candidates)
        put(auxiliary, "Results/table", text_table(sorted(content.results.items()), _RESULT))


def _check_finite(path: str | os.PathLike[str], content: EventFile, gathers: Mapping[str, Gather]) -> None:
    for tag, gather in gathers.items():
        bad = ~np.isfinite(gather.data).all(axis=2) & np.asarray(gather.live)
        if bad.any():
            i, j = np.argwhere(bad)[0]
            where = f"{gather.stations[i].id}.{gather.components[j]}"
            raise PhysicsError(f"{path}: {tag} of {where} is NaN or infinite ({int(bad.sum())} such traces)")
    for row in content.measurements:
        if not np.isfinite(row.value) or any(
            value is not None and np.isnan(value) for value in _measured(row)
        ):
            window = row.window
            raise PhysicsError(
                f"{path}: the misfit {row.value} in the window {window.start:g} to {window.end:g} s of "
                f"{window.station}.{window.component} is not finite"
            )
    for name, value in content.results.items():
        if not np.isfinite(value):
            raise PhysicsError(f"{path}: the result {name!r} is {value}")


def _stations(path: str | os.PathLike[str], gathers: Any) -> list[Station]:
    found: dict[str, Station] = {}
    for gather in gathers:
        if len({station.id for station in gather.stations}) < len(gather.stations):
            raise InputError(f"{path}: a gather holds a station twice")
        for station in gather.stations:
            if found.setdefault(station.id, station) != station:
                raise InputError(
                    f"{path}: {station.id} is two different stations: {found[station.id]} and {station}"
                )
    return [found[name] for name in sorted(found)]


def _put_stations(file: h5py.File, stations: Sequence[Station], gathers: Any) -> None:
    put(
        file["AuxiliaryData"],
        "Stations/table",
        text_table([astuple(station) for station in stations], _STATION),
    )
    channels: dict[str, set[str]] = {}
    for gather in gathers:
        codes = {channel_code(component, gather.interval) for component in gather.components}
        for station in gather.stations:
            channels.setdefault(station.id, set()).update(codes)
    for station in stations:
        group = file["Waveforms"].create_group(station.id)
        put_bytes(group, "StationXML", _station_document(station, tuple(sorted(channels[station.id]))))


@lru_cache(maxsize=4096)
def _station_document(station: Station, channels: tuple[str, ...]) -> bytes:
    """StationXML of a station; the events of a project share their stations, and encoding takes milliseconds."""
    return stationxml([station], channels)


def _put_layout(auxiliary: h5py.Group, tag: str, gather: Gather, stations: Sequence[Station]) -> None:
    """Add what a gather is beside its samples: axes, order of the stations, which traces are live."""
    number = {station.id: index for index, station in enumerate(stations)}
    order = np.array([number[station.id] for station in gather.stations], dtype=np.int32)
    live = np.asarray(gather.live).astype(np.uint8)
    attributes = {
        "components": " ".join(gather.components),
        "quantity": gather.quantity,
        "start": np.float64(gather.start),
        "interval": np.float64(gather.interval),
        "samples": np.int64(gather.samples),
        "dtype": gather.data.dtype.str,
    }
    put(auxiliary, f"Gathers/{tag}/live", live, attributes)
    put(auxiliary, f"Gathers/{tag}/stations", order)


def _names(tag: str, gather: Gather, event: Event) -> tuple[int, dict[tuple[int, int], str]]:
    """Start time in POSIX ns, and the names of the live traces by (station, component) number."""
    start = round(event.time * 1e9) + round(gather.start * 1e9)
    names = {}
    for i, station in enumerate(gather.stations):
        for j, component in enumerate(gather.components):
            if gather.is_live(i, j):
                identity = f"{station.id}..{channel_code(component, gather.interval)}"
                names[i, j] = trace_name(identity, start, gather.samples, gather.interval, tag)
    return start, names


def _put_gather(file: h5py.File, tag: str, gather: Gather, content: EventFile, compress: bool) -> None:
    start, names = _names(tag, gather, content.event)
    attributes: dict[str, object] = {
        "starttime": start,
        "sampling_rate": np.float64(1 / gather.interval),
        "event_id": event_uri(content.event),
        "provenance_id": prov.waveform_id(content.provenance),
    }
    for (i, j), name in names.items():
        put_trace(file, name, gather.data[i, j], attributes, compress=compress)


def _adjoint_name(station: Station, component: str, interval: float) -> str:
    return f"{station.network}_{station.code}_{channel_code(component, interval)}"


def _adjoint_tag(band: int) -> str:
    return _ADJOINT if band == 0 else f"{_ADJOINT}_{band + 1}"


def _adjoint_band(tag: str) -> int:
    return 0 if tag == _ADJOINT else int(tag.rpartition("_")[2]) - 1


def _adjoint_group(band: int) -> str:
    return "AdjointSources" if band == 0 else f"AdjointSources{band + 1}"


def _put_adjoint(group: h5py.Group, adjoint: Gather, content: EventFile, compress: bool) -> None:
    for i, station in enumerate(adjoint.stations):
        for j, component in enumerate(adjoint.components):
            if adjoint.is_live(i, j):
                attributes = {
                    "station_id": station.id,
                    "component": component,
                    "dt": np.float64(adjoint.interval),
                    "starttime": np.float64(adjoint.start),
                    "provenance_id": prov.waveform_id(content.provenance),
                }
                name = _adjoint_name(station, component, adjoint.interval)
                put(group, name, adjoint.data[i, j], attributes, compress=compress)


def _measured(row: Measurement) -> tuple[float | None, ...]:
    return row.shift, row.dlna, row.correlation, row.error


def _window_row(window: Window) -> tuple[object, ...]:
    floats = (getattr(window, name) for name in (*_FLOATS, "signal_to_noise"))
    texts = window.waves, " ".join(window.phases), window.by_hand
    return (window.station, window.component, *floats, *texts, window.band, *astuple(window.factors))


def _measurement_row(row: Measurement) -> tuple[object, ...]:
    return (*_window_row(row.window), row.value, *_measured(row))


def _rejection_row(row: Rejection) -> tuple[object, ...]:
    return (row.station, row.component, row.stage, row.reason, row.start, row.end, row.count, row.band)


# --- reading


def read_event(
    path: str | os.PathLike[str], *, waveforms: bool = True, tags: Collection[str] | None = None
) -> EventFile:
    """Read the file of an event.

    Parameters
    ----------
    path : path
    waveforms : bool
        Without them (``gathers`` empty, ``adjoint`` None) the rest is read in milliseconds.
    tags : collection of str, optional
        Read the gathers of these tags only, and no adjoint source.

    Returns
    -------
    EventFile
        Equal to what was written, bit for bit, without candidates.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged or not written by ``write_event``.
    """
    event, provenance = read_source(path), read_provenance(path)
    with reading(path) as file:
        auxiliary = file["AuxiliaryData"]
        gathers: dict[str, Gather] = {}
        if waveforms:
            stations = [_station(row) for row in _rows(auxiliary["Stations/table"])]
            there = sorted(auxiliary["Gathers"]) if "Gathers" in auxiliary else []
            wanted = [tag for tag in there if tags is None or tag in tags]
            gathers = {tag: _read_gather(file, tag, stations, event) for tag in wanted}
        adjoints = {
            _adjoint_band(tag): gathers.pop(tag) for tag in sorted(gathers) if tag.startswith(_ADJOINT)
        }
        return EventFile(
            event=event,
            provenance=provenance,
            adjoints=adjoints,
            gathers=gathers,
            windows=tuple(_window(row) for row in _rows(auxiliary["Windows/table"])),
            rejections=tuple(_rejection(row) for row in _rows(auxiliary["Rejections/table"])),
            measurements=tuple(_measurement(row) for row in _rows(auxiliary["Measurements/table"])),
            results={name: value for name, value in _rows(auxiliary["Results/table"])},
            traces=tuple(TraceFit(*row) for row in _rows(auxiliary["Traces/table"])),
        )


def _rows(dataset: h5py.Dataset) -> list[tuple[Any, ...]]:
    """Rows of a table as Python values; texts decoded."""
    table: npt.NDArray[Any] = dataset[()]
    return [
        tuple(value.decode() if isinstance(value, bytes) else value for value in row)
        for row in table.tolist()
    ]


def _station(row: tuple[Any, ...]) -> Station:
    return Station(*row)


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else value


def _measurement(row: tuple[Any, ...]) -> Measurement:
    value, *measured = row[len(_WINDOW) :]
    return Measurement(_window(row), value, *(_optional(each) for each in measured))


def _window(row: tuple[Any, ...]) -> Window:
    """The window of a row that begins with one."""
    noise, waves, phases, by_hand, band, *factors = row[2 + len(_FLOATS) : len(_WINDOW)]
    found = Window(*row[: 2 + len(_FLOATS)])
    return replace(
        found,
        signal_to_noise=_optional(noise),
        waves=waves,
        phases=tuple(phases.split()),
        by_hand=by_hand,
        band=band,
        factors=WeightFactors(*factors),
    )


def _rejection(row: tuple[Any, ...]) -> Rejection:
    return Rejection(row[0], row[1], row[2], row[3], _optional(row[4]), _optional(row[5]), *row[6:])


def _read_gather(file: h5py.File, tag: str, stations: Sequence[Station], event: Event) -> Gather:
    layout = file["AuxiliaryData/Gathers"][tag]
    attributes = layout["live"].attrs
    components = tuple(attribute_text(attributes, "components").split())
    live = layout["live"][()].astype(bool)
    data = np.zeros((*live.shape, int(attributes["samples"])), dtype=attribute_text(attributes, "dtype"))
    gather = Gather(
        stations=tuple(stations[number] for number in layout["stations"][()]),
        components=components,
        data=data,
        start=float(attributes["start"]),
        interval=float(attributes["interval"]),
        quantity=attribute_text(attributes, "quantity"),
        live=live,
    )
    if tag.startswith(_ADJOINT):
        group = file["AuxiliaryData"][_adjoint_group(_adjoint_band(tag))]
        for i, j in np.argwhere(live):
            fetch(group, _adjoint_name(gather.stations[i], components[j], gather.interval), data[i, j])
        return gather
    waveforms = file["Waveforms"]
    for (i, j), name in _names(tag, gather, event)[1].items():
        fetch(waveforms, f"{gather.stations[i].id}/{name}", data[i, j])
    return gather
