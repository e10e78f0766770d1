"""Write recordings of an event to an ASDF file, and the parts that all ASDF files share; ``asdf_reading`` reads them.

The format is ASDF 1.0.3 (Krischer et al. 2016), written through h5py with a checksum on every dataset; pyasdf
reads it.
"""

from __future__ import annotations

import io
import os
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from seisflow.domain import Event
from seisflow.errors import InputError
from seisflow.io import provenance as prov
from seisflow.io.events import event_uri, quakeml
from seisflow.io.hdf5 import put, writing
from seisflow.io.provenance import Provenance

__all__ = [
    "band_code",
    "channel_code",
    "check_samples",
    "documents",
    "put_bytes",
    "put_format",
    "put_head",
    "put_trace",
    "trace_name",
    "write_observed",
]

RAW = "raw_recording"
"""Tag of recordings as they came."""
PROVENANCE = "seisflow"
"""Name of our document in the group ``Provenance``."""

_BANDS = ((1000, "F"), (250, "C"), (80, "H"), (10, "B"), (1 + 1e-6, "M"), (0.1 + 1e-6, "L"))
_DTYPES = {np.dtype(code) for code in ("i2", "i4", "i8", "f4", "f8")}
_TAG = re.compile(r"[a-z_0-9]+")
_SMALL = 2**14
_Path = str | os.PathLike[str]


def band_code(interval: float) -> str:
    """Band code of SEED for broadband data (SEED manual 2.4, appendix A).

    Parameters
    ----------
    interval : float
        Sampling interval in s.

    Returns
    -------
    str
        F, C, H, B, M, L or V, from 1000 Hz and more down to 0.1 Hz and less.
    """
    for lowest_rate, code in _BANDS:
        if 1 / interval >= lowest_rate * (1 - 1e-9):
            return code
    return "V"


def channel_code(component: str, interval: float) -> str:
    """Channel code of a synthetic or processed trace: band, X for no instrument, component.

    Parameters
    ----------
    component : str
        E, N, Z, R or T.
    interval : float
        s.

    Returns
    -------
    str
        For example MXZ.
    """
    return f"{band_code(interval)}X{component}"


# --- writing


def put_head(file: h5py.File, event: Event, provenance: Provenance) -> None:
    """Add what every ASDF file starts with: the format, the groups, the event, where it comes from.

    Parameters
    ----------
    file : h5py.File
        New.
    event : Event
    provenance : Provenance
    """
    put_format(file)
    put_bytes(file, "QuakeML", quakeml([event]))
    put_bytes(file["Provenance"], PROVENANCE, prov.encode(provenance))


def put_format(file: h5py.File) -> None:
    """Add the format and the groups of an ASDF file.

    Parameters
    ----------
    file : h5py.File
        New.
    """
    file.attrs["file_format"] = np.bytes_(b"ASDF\x00")
    file.attrs["file_format_version"] = np.bytes_(b"1.0.3\x00")
    for name in ("AuxiliaryData", "Provenance", "Waveforms"):
        file.create_group(name)


def documents(event: Event | None, provenance: Provenance) -> dict[str, bytes]:
    """The documents of an ASDF file by their place in it, as ``put_head`` adds them.

    Parameters
    ----------
    event : Event, optional
        None for continuous recordings: an empty catalog.
    provenance : Provenance
    """
    events = [] if event is None else [event]
    return {"QuakeML": quakeml(events), f"Provenance/{PROVENANCE}": prov.encode(provenance)}


def put_bytes(group: h5py.Group, name: str, content: bytes) -> None:
    """Add a document, byte by byte as ASDF wants it.

    Parameters
    ----------
    group : h5py.Group
    name : str
    content : bytes
    """
    put(group, name, np.frombuffer(content, dtype=np.int8), compress=len(content) > _SMALL)


def trace_name(identity: str, start: int, samples: int, interval: float, tag: str) -> str:
    """Name of a trace within the group of its station.

    Parameters
    ----------
    identity : str
        ``NET.STA.LOC.CHA``.
    start : int
        Time of the first sample, POSIX nanoseconds.
    samples : int
    interval : float
        s.
    tag : str
        Lower case letters, digits, underscores.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the tag has other characters.
    """
    if not _TAG.fullmatch(tag):
        raise InputError(
            f"tag {tag!r} of waveforms: only lower case letters, digits and underscores are allowed"
        )
    return f"{identity}__{_time_span(start, samples, interval)}__{tag}"


@lru_cache(maxsize=4096)
def _time_span(start: int, samples: int, interval: float) -> str:
    """First and last time in the name of a trace; all traces of a gather share them."""
    times = [start, start + round((samples - 1) * interval * 1e9)]
    texts = [datetime.fromtimestamp(time // 10**9, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S") for time in times]
    if texts[0] == texts[1]:
        texts = [f"{text}.{time % 10**9:09d}" for text, time in zip(texts, times, strict=True)]
    return "__".join(texts)


def put_trace(
    file: h5py.File,
    name: str,
    data: npt.NDArray[Any],
    attributes: dict[str, object],
    *,
    compress: bool = False,
) -> None:
    """Add a trace to the waveforms.

    Parameters
    ----------
    file : h5py.File
    name : str
        By ``trace_name``.
    data : ndarray (nt,)
        Integers, float32 or float64.
    attributes : dict
        ``starttime`` (POSIX ns), ``sampling_rate`` (Hz), ids.
    compress : bool

    Raises
    ------
    InputError
        If a trace of that name is there already, or the samples are of another kind.
    """
    check_samples(name, data)
    station = ".".join(name.split(".")[:2])
    try:
        put(file, f"Waveforms/{station}/{name}", data, attributes, compress=compress)
    except ValueError as error:
        if "exists" not in str(error):
            raise
        raise InputError(
            f"{name}: two recordings of one channel start and end in the same second; remove one"
        ) from None


def check_samples(name: str, data: npt.NDArray[Any]) -> None:
    """Refuse samples that ASDF cannot hold.

    Parameters
    ----------
    name : str
        Of the trace.
    data : ndarray

    Raises
    ------
    InputError
    """
    if isinstance(data, np.ma.MaskedArray) or data.dtype.newbyteorder("=") not in _DTYPES or data.ndim != 1:
        kind = (
            "samples that are masked (gaps)"
            if isinstance(data, np.ma.MaskedArray)
            else f"samples {data.dtype}"
        )
        raise InputError(f"{name}: has {kind}; integers, float32 or float64 without gaps can be stored")


def write_observed(path: _Path, event: Event, stream: Any, inventory: Any, *, provenance: Provenance) -> None:
    """Write the recordings of an event as they came, with all that is known about their instruments.

    Parameters
    ----------
    path : path
    event : Event
    stream : obspy.Stream
        Without gaps; stored bit for bit, in the order of ids and times.
    inventory : obspy.Inventory
        Must describe every station of the stream; stations without recordings are not stored.
    provenance : Provenance

    Raises
    ------
    InputError
        If there are no recordings, some have gaps, or some stations are not described (all are named).
    WorkError
        If the disk is full.
    """
    traces = sorted(stream, key=lambda trace: (trace.id, trace.stats.starttime.ns))
    stations = sorted({(trace.stats.network, trace.stats.station) for trace in traces})
    if not traces:
        raise InputError(f"{path}: there are no recordings of event {event.id} to write")
    documents = {station: _station_document(inventory, station) for station in stations}
    missing = [".".join(station) for station, document in documents.items() if document is None]
    if missing:
        raise InputError(
            f"{path}: no StationXML describes {', '.join(missing)}; import it, or leave them out"
        )
    ids = {"event_id": event_uri(event), "provenance_id": prov.waveform_id(provenance)}
    with writing(path) as file:
        put_head(file, event, provenance)
        for (network, station), document in documents.items():
            put_bytes(file["Waveforms"].create_group(f"{network}.{station}"), "StationXML", document or b"")
        for trace in traces:
            stats = trace.stats
            start = int(stats.starttime.ns)
            name = trace_name(trace.id, start, stats.npts, stats.delta, RAW)
            rate = np.float64(stats.sampling_rate)
            put_trace(
                file, name, trace.data, {"starttime": start, "sampling_rate": rate, **ids}, compress=True
            )


def _station_document(inventory: Any, station: tuple[str, str]) -> bytes | None:
    """StationXML of one station, or None if the inventory does not know it."""
    from obspy import UTCDateTime

    selected = inventory.select(network=station[0], station=station[1])
    if not any(len(network) for network in selected):
        return None
    selected.created = UTCDateTime(0)  # when it was written says nothing about the station
    selected.networks = [network for network in selected if len(network)]
    buffer = io.BytesIO()
    selected.write(buffer, format="STATIONXML")
    return buffer.getvalue()


# --- reading
