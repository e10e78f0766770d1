"""Recordings in files of the formats that ObsPy reads."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import Event

__all__ = ["cut", "described", "files_below", "join", "read_waveforms"]

_Path = str | os.PathLike[str]


def files_below(paths: Iterable[_Path]) -> tuple[list[Path], list[str]]:
    """Find the files that are meant by files and folders.

    Parameters
    ----------
    paths : iterable of paths

    Returns
    -------
    list of Path
        The files, those of a folder sorted; hidden files and folders are passed over; each once.
    list of str
        One sentence for each path that is not there and each folder without files.
    """
    found: dict[Path, None] = {}
    problems: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = [each for each in sorted(path.rglob("*")) if each.is_file() and not _hidden(each, path)]
            if not inside:
                problems.append(f"{path}: the folder holds no files")
            found.update(dict.fromkeys(inside))
        elif path.is_file():
            found[path] = None
        else:
            problems.append(f"{path}: there is no such file")
    return list(found), problems


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def read_waveforms(paths: _Path | Iterable[_Path]) -> tuple[Any, list[str]]:
    """Read recordings from files and folders; what cannot be read is said and passed over.

    Parameters
    ----------
    paths : path or iterable of paths
        MiniSEED, SAC, GSE2 and whatever else ObsPy recognises.

    Returns
    -------
    obspy.Stream
        In the order of ids and times.
    list of str
        One sentence for each file that could not be read, or only in part. Each trace keeps the name of its file
        as ``stats.file``.
    """
    from obspy import Stream

    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    files, problems = files_below(several)
    stream = Stream()
    for path in files:
        traces, complaints = _read_file(path)
        stream.extend(traces)
        problems.extend(complaints)
    stream.traces.sort(key=lambda trace: (trace.id, trace.stats.starttime.ns))
    return stream, problems


def _read_file(path: Path) -> tuple[list[Any], list[str]]:
    from obspy import read

    try:
        content = path.read_bytes()
    except OSError as error:
        return [], [f"{path}: cannot be read ({error.strerror})"]
    if not content:
        return [], [f"{path}: is empty"]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            kind = _format(content)
            if kind is None:
                return [], [f"{path}: is not of a waveform format that ObsPy knows; convert or remove it"]
            traces = list(read(io.BytesIO(content), format=kind))
        except Exception as error:  # the readers of ObsPy raise whatever they please
            reason = (str(error) or type(error).__name__).splitlines()[0]
            return [], [f"{path}: cannot be read as waveforms, it may be damaged or cut short ({reason})"]
    problems = _cut_short(path, traces, len(content))
    if not problems:  # else the library said the same
        problems = [f"{path}: {str(each.message).splitlines()[0]}" for each in said]
    good = [trace for trace in traces if trace.stats.npts > 0]
    for trace in good:
        trace.stats.file = str(path)
    if not good:
        problems.append(f"{path}: holds no samples")
    return good, problems


def _format(content: bytes) -> str | None:
    """Name of the first format of ObsPy that knows the content; pickles are left out: reading one runs its code."""
    from obspy.core.util.base import ENTRY_POINTS
    from obspy.core.util.misc import buffered_load_entry_point

    for name, entry in ENTRY_POINTS["waveform"].items():
        if name == "PICKLE":
            continue
        knows = buffered_load_entry_point(entry.dist.name, f"obspy.plugin.waveform.{entry.name}", "isFormat")
        if knows(io.BytesIO(content)):
            return str(name)
    return None


def _cut_short(path: Path, traces: list[Any], size: int) -> list[str]:
    """MiniSEED files are whole records; ObsPy drops a torn last one without a word."""
    lengths = {trace.stats.mseed.record_length for trace in traces if "mseed" in trace.stats}
    if len(lengths) == 1 and size % min(lengths):
        return [
            f"{path}: is cut short, its last record is torn; the whole records were taken, fetch it again"
        ]
    return []


def cut(stream: Any, event: Event, start: float, end: float) -> tuple[Any, list[str]]:
    """Cut the recordings of an event out of longer ones.

    Pieces that join are joined, and what is there twice is taken once; nothing is interpolated or filled, so a
    channel with gaps, or with a change of the sampling rate, gives several traces.

    Parameters
    ----------
    stream : obspy.Stream
        Is left as it is.
    event : Event
    start, end : float
        s from the origin time.

    Returns
    -------
    obspy.Stream
        In the order of ids and times; samples as they were.
    list of str
        One sentence for each channel that was left out because pieces overlap and disagree. Channels without any
        sample in the span are passed over silently.
    """
    from obspy import Stream, UTCDateTime

    origin = UTCDateTime(ns=round(event.time * 1e9))
    groups: dict[str, list[Any]] = {}
    for trace in stream:
        piece = trace.slice(origin + start, origin + end, nearest_sample=True)
        if piece.stats.npts > 0:
            groups.setdefault(trace.id, []).append(piece)
    kept, problems = Stream(), []
    for identity in sorted(groups):
        pieces, complaint = join(groups[identity])
        if complaint:
            files = sorted({str(piece.stats.file) for piece in groups[identity] if "file" in piece.stats})
            where = f" ({', '.join(files[:3])})" if files else ""
            problems.append(f"{identity}, event {event.id}: {complaint}{where}; it was left out")
        else:
            kept.extend(pieces)
    return kept, problems


def described(stream: Any, inventory: Any) -> tuple[Any, list[str]]:
    """Keep the recordings of stations that an inventory describes; others cannot be placed.

    Parameters
    ----------
    stream : obspy.Stream
        Is left as it is.
    inventory : obspy.Inventory

    Returns
    -------
    obspy.Stream
    list of str
        One sentence for each station that was left out.
    """
    from obspy import Stream

    known = {(network.code, station.code) for network in inventory for station in network}
    kept = Stream()
    missing: dict[tuple[str, str], list[Any]] = {}
    for trace in stream:
        station = (trace.stats.network, trace.stats.station)
        if station in known:
            kept.append(trace)
        else:
            missing.setdefault(station, []).append(trace)
    return kept, [_undescribed(station, lost) for station, lost in sorted(missing.items())]


def _undescribed(station: tuple[str, str], lost: list[Any]) -> str:
    files = sorted({str(trace.stats.file) for trace in lost if "file" in trace.stats})
    where = f" ({files[0]}{' and others' if len(files) > 1 else ''})" if files else ""
    return (
        f"{'.'.join(station)}: no StationXML describes it, {len(lost)} recordings were left out{where}; "
        "import its StationXML"
    )


def join(pieces: list[Any]) -> tuple[list[Any], str]:
    """Join the pieces of a channel where they touch or repeat each other.

    Parameters
    ----------
    pieces : list of obspy.Trace
        Are left as they are.

    Returns
    -------
    list of obspy.Trace
        In order of time, without overlap at one sampling rate.
    str
        What is wrong, if pieces overlap and disagree.
    """
    from obspy import Stream

    if len(pieces) == 1:
        return list(pieces), ""
    kinds = {piece.data.dtype.newbyteorder("=") for piece in pieces}
    copies = [piece.copy() for piece in pieces]
    for piece in copies:
        piece.stats.calib = 1.0  # it describes a display, and traces that differ in it would not be joined
        if len(kinds) > 1:
            piece.data = piece.data.astype(np.result_type(*kinds))
    joined: list[Any] = []
    for rate in sorted(
        {piece.stats.sampling_rate for piece in copies}
    ):  # ObsPy refuses to look at several rates
        joined += Stream([piece for piece in copies if piece.stats.sampling_rate == rate]).merge(method=-1)
    joined.sort(key=lambda trace: (trace.stats.starttime.ns, trace.stats.sampling_rate))
    ends: dict[float, Any] = {}
    for trace in joined:
        rate, delta = trace.stats.sampling_rate, trace.stats.delta
        if rate in ends and trace.stats.starttime - ends[rate] < 0.5 * delta:
            return joined, f"has overlapping pieces that disagree at {trace.stats.starttime}"
        ends[rate] = trace.stats.endtime
    return joined, ""
