"""Continuous recordings in folders: what is there, and any stretch of it."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seisflow.errors import InputError, MissingError, SeisflowError
from seisflow.io.archive_index import (
    Monitor,
    Scan,
    Span,
    condensed,
    index_problems,
    index_spans,
    update_index,
)
from seisflow.io.hdf5 import CHECKSUM, fetch_all, fetch_number, reading
from seisflow.io.miniseed_parts import stretch
from seisflow.io.waveforms import read_waveforms

__all__ = ["Archive", "Day", "days"]

_DAY = 86400.0


class Day(NamedTuple):
    """One day to work on: it owns origin times from ``start`` until the next one starts.

    Parameters
    ----------
    start : float
        First origin time that the day owns: midnight, or the start of the whole span; s since 1970-01-01 UTC.
    read_from, read_to : float
        What must be read for it: what it owns, and the padding on both sides. It owns origin times up to, and
        without, ``read_to`` less the padding.
    """

    start: float
    read_from: float
    read_to: float


def days(start: float, end: float, padding: float) -> Iterator[Day]:
    """Divide a span into days of UTC, read with overlap, so that each origin time is owned by exactly one.

    Parameters
    ----------
    start, end : float
        Of the origin times, s since 1970-01-01 UTC; ``end`` is not in it.
    padding : float
        s read before and after; the longest travel time and the margin of the filter.

    Yields
    ------
    Day

    Raises
    ------
    InputError
        If the end is not after the start, or the padding negative.
    """
    if not end > start or not padding >= 0:
        raise InputError(
            f"no days from {start} to {end} s with {padding} s of padding: the end must follow the start, and the "
            "padding must not be negative"
        )
    midnight = np.floor(start / _DAY) * _DAY
    while midnight < end:
        first, last = max(start, float(midnight)), min(end, float(midnight) + _DAY)
        yield Day(first, first - padding, last + padding)
        midnight += _DAY


@dataclass(frozen=True)
class Archive:
    """Continuous recordings in MiniSEED (any naming and depth, SDS), SAC, ASDF or other files.

    Made by ``Archive.open``. Holds no open file: it may be used by several threads and processes.

    Parameters
    ----------
    index_path : Path
    scan : Scan or None
        What was found when it was opened; None if the index was taken as it was.
    folder_problems : tuple of str
        One sentence for each folder that could not be listed.
    """

    index_path: Path
    scan: Scan | None = None
    folder_problems: tuple[str, ...] = ()

    @classmethod
    def open(
        cls,
        folders: Iterable[str | os.PathLike[str]],
        index_path: str | os.PathLike[str],
        monitor: Monitor | None = None,
        *,
        refresh: bool = True,
    ) -> Archive:
        """Open an archive; its index is made, or brought up to date from headers of new and changed files.

        Parameters
        ----------
        folders : iterable of paths
            Folders or files; what is no longer below them leaves the index.
        index_path : path
            Where the index is kept.
        monitor : callable, optional
            ``monitor(done, total)`` after each file that was read.
        refresh : bool
            False takes an index that is there as it is, without looking at the folders: for the many tasks of a
            run, after one has brought it up to date.

        Returns
        -------
        Archive

        Raises
        ------
        MissingError
            If a folder is not there.
        WorkError
            If the disk is full; the old index stays.
        """
        target = Path(index_path)
        if not refresh and target.is_file():
            return cls(target)
        scan, problems = update_index(folders, target, monitor)
        return cls(target, scan, tuple(problems))

    def problems(self) -> list[str]:
        """List the files and folders with something wrong, one sentence each with the reason."""
        return [*self.folder_problems, *index_problems(self.index_path)]

    def spans(
        self, start: float | None = None, end: float | None = None, channels: Sequence[str] | None = None
    ) -> list[Span]:
        """Look up what was recorded.

        Parameters
        ----------
        start, end : float, optional
            Only what has samples between, s since 1970-01-01 UTC.
        channels : sequence of str, optional
            Patterns of ``NET.STA.LOC.CHA`` with ``*``, ``?`` and ``[]``; all channels, if left out.

        Returns
        -------
        list of Span
            In the order of ids, paths and times.

        Raises
        ------
        MissingError, InputError
            If the index is gone or damaged.
        """
        found = index_spans(self.index_path, start, end)
        if channels is None:
            return found
        wanted = {
            name: any(fnmatchcase(name, pattern) for pattern in channels)
            for name in {span.id for span in found}
        }
        return [span for span in found if wanted[span.id]]

    def read(self, start: float, end: float, channels: Sequence[str] | None = None) -> tuple[Any, list[str]]:
        """Read what was recorded from one time to another, as it was: nothing is joined or filled.

        Parameters
        ----------
        start, end : float
            First and last time of samples, s since 1970-01-01 UTC.
        channels : sequence of str, optional
            Patterns of ``NET.STA.LOC.CHA``.

        Returns
        -------
        obspy.Stream
            In the order of ids, then of the paths of files (the first file comes first, also where later ones
            begin earlier), then as in the file. Each trace keeps its file as ``stats.file``.
        list of str
            One sentence for each file that could not be read, or only in part, and those that are gone.

        Raises
        ------
        MissingError, InputError
            If the index is gone or damaged.
        """
        from obspy import Stream

        stream, problems = Stream(), []
        spans = sorted(self.spans(start, end, channels), key=lambda span: span.file)
        for _, group in groupby(spans, key=lambda span: span.file):
            traces, complaints = _read_spans(list(group), start, end)
            stream.extend(traces)
            problems.extend(complaints)
        stream.traces.sort(key=lambda trace: str(trace.id))  # stable: the order of files stays
        return stream, problems

    def stations(
        self, start: float, end: float, channels: Sequence[str] | None = None
    ) -> Iterator[tuple[Any, list[str]]]:
        """Read station by station, so that never more than one is in memory.

        Parameters
        ----------
        start, end, channels
            As for ``read``.

        Yields
        ------
        obspy.Stream
            Of one station.
        list of str
            What is wrong with its files.
        """
        spans = self.spans(start, end, channels)
        for network, station in sorted({(span.network, span.station) for span in spans}):
            wanted = [
                span.id for span in spans if (span.network, span.station) == (network, station)
            ]  # ids are plain names: they hold no wildcards
            yield self.read(start, end, sorted(set(wanted)))


def _read_spans(spans: list[Span], start: float, end: float) -> tuple[list[Any], list[str]]:
    """Read spans of one file; traces that begin and end within the times."""
    from obspy import UTCDateTime

    path = spans[0].file
    first, last = UTCDateTime(ns=round(start * 1e9)), UTCDateTime(ns=round(end * 1e9))
    try:
        if not os.path.isfile(path):
            raise MissingError(f"{path}: is gone since the archive was indexed; open the archive anew")
        if spans[0].kind == "asdf":
            traces, problems = _read_asdf(spans, start, end)
        elif spans[0].kind == "other":
            traces, problems = read_waveforms(path)
        else:
            traces, problems = _read_decoded(spans, first, last)
    except SeisflowError as error:
        return [], [" ".join(str(error).splitlines())]
    except OSError as error:
        return [], [f"{path}: cannot be read ({error.strerror or error})"]
    wanted = {span.id for span in spans}
    pieces = [trace.slice(first, last, nearest_sample=False) for trace in traces if trace.id in wanted]
    kept = [piece for piece in pieces if piece.stats.npts > 0]
    for piece in kept:
        piece.stats.file = path
    return kept, problems


def _read_decoded(spans: list[Span], first: Any, last: Any) -> tuple[list[Any], list[str]]:
    path, kind, options = spans[0].file, spans[0].kind, {}
    if kind == "mseed":
        options = {"starttime": first, "endtime": last}
        if len({(span.network, span.station) for span in spans}) == 1:  # others in the file are not decoded
            options["sourcename"] = f"{spans[0].network}.{spans[0].station}.*"
    part = stretch(path, first.timestamp, last.timestamp) if kind == "mseed" else None
    with open(path, "rb") as file:
        if part is not None:
            file.seek(part[0])
        source = file if part is None else io.BytesIO(file.read(part[1] - part[0]))
        traces, said, reason = _decode(source, kind.upper(), options)
    if kind == "mseed" and (reason or any("integrity" in each for each in said)):
        traces, lost = _salvage(path, options)
        if lost and traces:
            return traces, [f"{path}: {lost} damaged records were left out; fetch it again"]
        said = []
    if reason and not traces:
        return [], [f"{path}: cannot be read, it is damaged or was changed since it was indexed ({reason})"]
    return traces, condensed(path, said)


def _decode(file: Any, kind: str, options: dict[str, Any]) -> tuple[list[Any], list[str], str]:
    """Traces, what the library warned of, and why it failed."""
    from obspy import read

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            traces = list(read(file, format=kind, **options))
        except Exception as error:  # the readers of ObsPy raise whatever they please
            return [], [], (str(error) or type(error).__name__).splitlines()[0]
    return traces, [str(each.message) for each in said], ""


def _salvage(path: str, options: dict[str, Any]) -> tuple[list[Any], int]:
    """Read a MiniSEED file with damaged records: halves of it, and halves of those, until the good ones are found.

    Returns the traces and how many records were left out. One bad record would else cost the whole file.
    """
    content = Path(path).read_bytes()
    options = {
        name: value for name, value in options.items() if name != "sourcename"
    }  # it fails if none is there
    heads, _, _ = _decode(io.BytesIO(content), "MSEED", {"headonly": True})
    if not heads:
        return [], 0
    length = min(trace.stats.mseed.record_length for trace in heads)
    good: list[Any] = []
    lost = 0
    stack = [(0, len(content) // length)]
    while stack:
        low, high = stack.pop()
        traces, said, reason = _decode(io.BytesIO(content[low * length : high * length]), "MSEED", options)
        if not reason and not any("integrity" in each for each in said):
            good.extend(traces)
        elif high - low == 1:
            lost += 1
        else:
            middle = (low + high) // 2
            stack += [(middle, high), (low, middle)]
    return good, lost


def _read_asdf(spans: list[Span], start: float, end: float) -> tuple[list[Any], list[str]]:
    """Read only the samples that are wanted."""
    from obspy import Trace, UTCDateTime

    traces, problems = [], []
    with reading(spans[0].file) as file:
        for span in spans:
            try:
                dataset = file["Waveforms"][span.part]
                first = int(fetch_number(dataset.id, "starttime"))
                low = max(0, int(np.floor((start - first * 1e-9) * span.rate)))
                high = max(low, int(np.ceil((end - first * 1e-9) * span.rate)) + 1)
                whole = CHECKSUM.decode() in dataset.attrs  # of the whole only
                samples = (fetch_all(file["Waveforms"], span.part) if whole else dataset)[low:high]
            except (KeyError, OSError, ValueError) as error:
                reason = str(error).splitlines()[0]
                problems.append(f"{span.file}: {span.part} cannot be read, it is damaged or gone ({reason})")
                continue
            header = {
                "network": span.network,
                "station": span.station,
                "location": span.location,
                "channel": span.channel,
                "sampling_rate": span.rate,
                "starttime": UTCDateTime(ns=first + round(low / span.rate * 1e9)),
            }
            traces.append(Trace(np.asarray(samples), header))
    return traces, problems
