"""The index of an archive: which channel was recorded when, and in which file.

The index is one SQLite file that appears whole, by rename: it is built in memory, so that no locks are taken (they
fail on the file systems of clusters) and a process that is killed leaves the index of before.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seisflow.errors import InputError, MissingError, SeisflowError
from seisflow.io.atomic import publish
from seisflow.io.hdf5 import attribute_text, damage, fetch_number, reading
from seisflow.io.waveforms import read_waveforms

__all__ = ["Monitor", "Scan", "Span", "condensed", "index_problems", "index_spans", "update_index"]

Monitor = Callable[[int, int], None]
"""Is called with how many files were read, and how many there are to read."""

_Path = str | os.PathLike[str]

_VERSION = 1
_TABLES = """
CREATE TABLE files (number INTEGER PRIMARY KEY, path TEXT UNIQUE, size INTEGER, changed INTEGER, kind TEXT);
CREATE TABLE problems (file INTEGER, sentence TEXT);
CREATE TABLE spans (file INTEGER, network TEXT, station TEXT, location TEXT, channel TEXT,
    first INTEGER, last INTEGER, rate REAL, samples INTEGER, part TEXT);
CREATE INDEX spans_first ON spans (first);
CREATE INDEX spans_length ON spans (last - first);
CREATE INDEX spans_file ON spans (file);
CREATE INDEX problems_file ON problems (file);
"""
_SAVE_EVERY = 60.0
"""s. A long first scan that is killed goes on from where it was a minute before."""
_HEAD = 512
_MINISEED = re.compile(rb"\d{6}[DRQM][ \x00]")
_LARGEST_OTHER = 2**30
"""Bytes. Files of other formats are read as a whole, and what else lies in a folder may fill the memory."""
_TOO_LARGE = "is not MiniSEED, SAC or ASDF, and too large to be tried as another format; convert or remove it"
_SAC_HEADER = 632
_SAC_FOOTER = 176
"""Bytes that version 7 of SAC files adds at the end."""


@dataclass(frozen=True)
class Span:
    """A stretch of one channel in one file.

    Parameters
    ----------
    network, station, location, channel : str
    start, end : float
        Times of the first and last sample, s since 1970-01-01 UTC.
    rate : float
        Sampling rate, Hz.
    samples : int
        Number of samples recorded.
    file : str
        Absolute path.
    kind : str
        ``mseed``, ``sac``, ``asdf`` or ``other``.
    part : str
        Name of the recording within an ASDF file, else empty.
    """

    network: str
    station: str
    location: str
    channel: str
    start: float
    end: float
    rate: float
    samples: int
    file: str
    kind: str
    part: str = ""

    @property
    def id(self) -> str:
        """``NET.STA.LOC.CHA``."""
        return f"{self.network}.{self.station}.{self.location}.{self.channel}"


@dataclass(frozen=True)
class Scan:
    """What an update of the index did.

    Parameters
    ----------
    files : int
        Files found, hidden ones left out.
    read : int
        Of these, new or changed ones, which were read.
    removed : int
        Files of the old index that are not there any more.
    unusable : int
        Files without any recording that can be used.
    """

    files: int
    read: int
    removed: int
    unusable: int


class _Header(NamedTuple):
    network: str
    station: str
    location: str
    channel: str
    first: int  # POSIX nanoseconds
    last: int
    rate: float
    samples: int
    part: str


# --- the index


def update_index(
    folders: Iterable[_Path], index_path: _Path, monitor: Monitor | None = None
) -> tuple[Scan, list[str]]:
    """Bring the index of folders up to date; only headers of files that are new or changed are read.

    A file counts as unchanged while its path, size and time of change stay.

    Parameters
    ----------
    folders : iterable of paths
        Folders of any depth and naming, or files. Links are followed, hidden files passed over.
    index_path : path
        The index, which is made if it is not there or damaged.
    monitor : callable, optional
        ``monitor(done, total)`` after each file that was read.

    Returns
    -------
    Scan
    list of str
        One sentence for each folder that cannot be listed, and if the index had to be built anew. Those about
        files are kept in the index (``index_problems``).

    Raises
    ------
    MissingError
        If a folder is not there; the index stays as it was.
    WorkError
        If the disk is full.
    """
    target = Path(index_path)
    found, problems = _walk(folders)
    found.pop(os.path.abspath(target), None)
    memory, complaint = _load(target)
    with closing(memory):
        known = {path: (size, changed) for path, size, changed in memory.execute(
            "SELECT path, size, changed FROM files"
        )}  # fmt: skip
        gone = [path for path in known if path not in found]
        todo = sorted(path for path, state in found.items() if known.get(path) != state)
        _forget(memory, [*gone, *todo])
        saved = time.monotonic()
        for number, path in enumerate(todo, 1):
            _add(memory, path, found[path])
            if time.monotonic() - saved > _SAVE_EVERY:
                _save(memory, target)
                saved = time.monotonic()
            if monitor is not None:
                monitor(number, len(todo))
        if gone or todo or complaint or not target.is_file():
            _save(memory, target)
        query = "SELECT COUNT(*) FROM files WHERE number NOT IN (SELECT file FROM spans)"
        unusable = int(memory.execute(query).fetchone()[0])
    return Scan(len(found), len(todo), len(gone), unusable), [*problems, *complaint]


def index_spans(index_path: _Path, start: float | None = None, end: float | None = None) -> list[Span]:
    """Look up what was recorded, by channel, file and time.

    Parameters
    ----------
    index_path : path
    start, end : float, optional
        Only what has samples from the one to the other, s since 1970-01-01 UTC; all, if left out.

    Returns
    -------
    list of Span
        In the order of ids, paths and times.

    Raises
    ------
    MissingError
        If there is no index.
    InputError
        If it is damaged.
    """
    columns = "network, station, location, channel, first, last, rate, samples, path, kind, part"
    query = f"SELECT {columns} FROM spans JOIN files ON files.number = spans.file"
    order = " ORDER BY network, station, location, channel, path, first"
    with _opened(index_path) as index:
        longest = index.execute("SELECT MAX(last - first) FROM spans").fetchone()[0] or 0
        first = _nanoseconds(start, -(2**62))
        limits = {
            "first": first,
            "last": _nanoseconds(end, 2**62),
            "earliest": max(first - longest, -(2**62)),
        }
        where = " WHERE first <= :last AND last >= :first AND first >= :earliest"
        rows = index.execute(query + where + order, limits).fetchall()
    return [
        Span(network, station, location, channel, first * 1e-9, last * 1e-9, rate, samples, path, kind, part)
        for network, station, location, channel, first, last, rate, samples, path, kind, part in rows
    ]


def index_problems(index_path: _Path) -> list[str]:
    """List what is wrong with the files of an archive: one sentence each, in the order of paths.

    Raises
    ------
    MissingError
        If there is no index.
    InputError
        If it is damaged.
    """
    query = "SELECT sentence FROM problems JOIN files ON files.number = problems.file ORDER BY path, problems.rowid"
    with _opened(index_path) as index:
        return [str(row[0]) for row in index.execute(query)]


def _nanoseconds(seconds: float | None, otherwise: int) -> int:
    return otherwise if seconds is None else round(seconds * 1e9)


@contextmanager
def _opened(index_path: _Path) -> Iterator[sqlite3.Connection]:
    """Open an index for queries; it never changes, only its name moves on to another, so no lock is needed."""
    path = Path(index_path).absolute()
    if not path.is_file():
        raise MissingError(f"{path}: there is no such index of an archive; open the archive to make it")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as index:
            yield index
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: the index of the archive is damaged ({error}); remove it") from error


def _load(path: Path) -> tuple[sqlite3.Connection, list[str]]:
    """Take the index into memory, or begin one; a sentence if there was one that could not be used."""
    complaint = []
    if path.is_file():
        memory = sqlite3.connect(":memory:")
        try:
            memory.deserialize(path.read_bytes() or b"empty")  # SQLite takes no bytes for a lack of memory
            version = memory.execute("PRAGMA user_version").fetchone()[0]
            sound = memory.execute("PRAGMA quick_check(1)").fetchone()[0]
            if version == _VERSION and sound == "ok":
                return memory, []
            reason = sound if sound != "ok" else f"it is of version {version}"
        except sqlite3.DatabaseError as error:
            reason = str(error)
        memory.close()
        complaint = [f"{path}: the index of the archive could not be used ({reason}); it was built anew"]
    memory = sqlite3.connect(":memory:")
    memory.executescript(_TABLES)
    memory.execute(f"PRAGMA user_version = {_VERSION}")
    return memory, complaint


def _save(memory: sqlite3.Connection, path: Path) -> None:
    memory.commit()
    with publish(path) as temporary:
        temporary.write_bytes(memory.serialize())


def _forget(memory: sqlite3.Connection, paths: list[str]) -> None:
    for path in paths:
        row = memory.execute("SELECT number FROM files WHERE path = ?", (path,)).fetchone()
        if row is not None:
            memory.execute("DELETE FROM spans WHERE file = ?", row)
            memory.execute("DELETE FROM problems WHERE file = ?", row)
            memory.execute("DELETE FROM files WHERE number = ?", row)


def _add(memory: sqlite3.Connection, path: str, state: tuple[int, int]) -> None:
    kind, headers, problems = _read_headers(path)
    row = memory.execute(
        "INSERT INTO files (path, size, changed, kind) VALUES (?, ?, ?, ?)", (path, *state, kind)
    )
    number = row.lastrowid
    memory.executemany("INSERT INTO problems VALUES (?, ?)", [(number, problem) for problem in problems])
    marks = ", ".join("?" * 10)
    memory.executemany(f"INSERT INTO spans VALUES ({marks})", [(number, *header) for header in headers])


# --- the files


def _walk(folders: Iterable[_Path]) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Size and time of change of all files, by absolute path; links are followed, each folder is entered once."""
    found: dict[str, tuple[int, int]] = {}
    problems: list[str] = []
    stack: list[str] = []
    for folder in folders:
        path = os.path.abspath(folder)
        if os.path.isfile(path):
            state = os.stat(path)
            found[path] = (state.st_size, state.st_mtime_ns)
        elif os.path.isdir(path):
            stack.append(path)
        else:
            raise MissingError(
                f"{path}: there is no such folder of continuous data; mount it or correct its path"
            )
    seen: set[tuple[int, int]] = set()
    while stack:
        folder = stack.pop()
        try:
            own = os.stat(folder)
            if (own.st_dev, own.st_ino) in seen:
                continue
            seen.add((own.st_dev, own.st_ino))
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            problems.append(f"{folder}: the folder cannot be read ({error.strerror})")
            continue
        visible = [entry for entry in inside if not entry.name.startswith(".")]
        stack.extend(entry.path for entry in reversed(visible) if entry.is_dir())
        _note_files(visible, found, problems)
    return found, problems


def _note_files(
    entries: Iterable[os.DirEntry[str]], found: dict[str, tuple[int, int]], problems: list[str]
) -> None:
    for entry in entries:
        try:
            if entry.is_file():
                state = entry.stat()
                found[entry.path] = (state.st_size, state.st_mtime_ns)
            elif entry.is_symlink() and not entry.is_dir():
                problems.append(f"{entry.path}: is a link to a file that is not there")
        except OSError as error:
            problems.append(f"{entry.path}: cannot be read ({error.strerror})")


def _read_headers(path: str) -> tuple[str, list[_Header], list[str]]:
    """Kind of a file, its recordings, and what is wrong with it."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
        size = os.path.getsize(path)
        if not head:
            return "other", [], [f"{path}: is empty"]
        if head.startswith(b"\x89HDF"):
            return "asdf", *_asdf_headers(path)
        if _MINISEED.match(head):
            return "mseed", *_decoded_headers(path, "MSEED", size)
        if _is_sac(head, size):
            return "sac", *_decoded_headers(path, "SAC", size)
        if size > _LARGEST_OTHER:
            return "other", [], [f"{path}: {_TOO_LARGE}"]
        stream, problems = read_waveforms(path)
    except SeisflowError as error:
        return "other", [], [" ".join(str(error).splitlines())]
    except OSError as error:
        return "other", [], [f"{path}: cannot be read ({error.strerror or error})"]
    headers, complaints = _usable(path, stream) if len(stream) else ([], [])
    return "other", headers, [*problems, *complaints]


def _is_sac(head: bytes, size: int) -> bool:
    """Whether the version of the header is one of SAC, and the file is as long as the header says."""
    if len(head) < 308:
        return False
    for order in "<>":
        version = int(np.frombuffer(head, f"{order}i4", 1, 304)[0])
        samples = int(np.frombuffer(head, f"{order}i4", 1, 316)[0])
        if version in (6, 7):
            data = size - _SAC_HEADER - (_SAC_FOOTER if version == 7 else 0)
            return data in (4 * samples, 8 * samples)
    return False


def _decoded_headers(path: str, kind: str, size: int) -> tuple[list[_Header], list[str]]:
    from obspy import read

    with warnings.catch_warnings(record=True) as said, open(path, "rb") as file:
        warnings.simplefilter("always")
        try:
            traces = list(read(file, format=kind, headonly=True))
        except Exception as error:  # the readers of ObsPy raise whatever they please
            reason = (str(error) or type(error).__name__).splitlines()[0]
            return [], [
                f"{path}: cannot be read as waveforms, it may be damaged or cut short ({reason}); fetch it again"
            ]
    headers, problems = _usable(path, traces)
    lengths = {trace.stats.mseed.record_length for trace in traces if "mseed" in trace.stats}
    if len(lengths) == 1 and size % min(lengths):
        torn = "its last record is torn; the whole records are used, fetch it again"
        return headers, [*problems, f"{path}: is cut short, {torn}"]
    return headers, [*problems, *condensed(path, [str(each.message) for each in said])]


def condensed(path: str, said: list[str]) -> list[str]:
    """Make one sentence of what a library said about a file, which may be a line for each 128 bytes of it.

    Parameters
    ----------
    path : str
    said : list of str

    Returns
    -------
    list of str
        Empty if nothing was said.
    """
    if not said:
        return []
    more = f", and {len(said) - 1} more like this" if len(said) > 1 else ""
    return [f"{path}: {said[0].splitlines()[0]}{more}"]


def _usable(path: str, traces: Iterable[Any]) -> tuple[list[_Header], list[str]]:
    headers, problems, now = [], [], time.time_ns()
    for trace in traces:
        stats = trace.stats
        name = (stats.network, stats.station, stats.location, stats.channel)
        if stats.npts < 1 or not stats.sampling_rate > 0:
            problems.append(f"{path}: {trace.id} holds no time series; it was passed over")
        elif stats.starttime.ns > now:
            problems.append(
                f"{path}: {trace.id} starts in the future, at {stats.starttime}; correct its times"
            )
        else:
            rate, samples = float(stats.sampling_rate), int(stats.npts)
            headers.append(_Header(*name, stats.starttime.ns, stats.endtime.ns, rate, samples, ""))
    if not headers and not problems:
        problems.append(f"{path}: holds no samples")
    return headers, problems


def _asdf_headers(path: str) -> tuple[list[_Header], list[str]]:
    headers, problems = [], []
    with reading(path) as file:
        kind = attribute_text(file.attrs, "file_format") if "file_format" in file.attrs else "nothing known"
        if kind != "ASDF" or "Waveforms" not in file:
            raise InputError(f"{path}: is an HDF5 file, but no ASDF file (its format is {kind}); remove it")
        for station, group in sorted(file["Waveforms"].items()):
            for name in sorted(each for each in group if each != "StationXML"):
                part = f"{station}/{name}"
                try:
                    with damage(f"{path}: {part}"):
                        network, code, location, channel = name.split("__")[0].split(".")
                        rate = float(fetch_number(group[name].id, "sampling_rate"))
                        first = int(fetch_number(group[name].id, "starttime"))
                        samples = int(group[name].shape[0])
                        last = first + round((samples - 1) / rate * 1e9)
                        headers.append(
                            _Header(network, code, location, channel, first, last, rate, samples, part)
                        )
                except (SeisflowError, ArithmeticError) as error:
                    problems.append(" ".join(str(error).splitlines()))
    if not headers and not problems:
        problems.append(f"{path}: holds no recordings")
    return headers, problems
