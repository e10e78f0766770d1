"""One ASDF file written by many ranks.

Each rank brings stations and traces of its own; the layout is agreed once, in sorted order, and made by all. With an
h5py for parallel HDF5 (`make mpi`) each then writes its samples into the one file, at once. Without it, and where
samples are compressed (HDF5 compresses a dataset that ranks share one chunk at a time), each writes a file of its own
and the first rank joins them, chunk by chunk as they are. Readers need not care.

Whatever fails on a rank, fails on all, with its error; the file is written aside, read back and renamed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from seisflow.domain import Event
from seisflow.errors import InputError, WorkError
from seisflow.io.asdf import check_samples, documents, put_format
from seisflow.io.atomic import publish, room_for, temporary_path
from seisflow.io.hdf5 import CHECKSUM, FORMATS, checksum, fetch_all, put, put_attributes, reading, writing
from seisflow.io.provenance import Provenance
from seisflow.ranks import Ranks

__all__ = ["Part", "parallel_hdf5", "write_asdf"]

_SMALL = 2**14
_HEADER = 1024
"""Bytes that HDF5 keeps beside the samples of a dataset, about."""
_Path = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Part:
    """What one rank brings to a file.

    Parameters
    ----------
    stations : mapping of str to bytes
        StationXML by ``NET.STA``. Of a station that several ranks bring, the first one's is taken.
    traces : mapping of str to (ndarray (nt,), mapping)
        Samples and attributes (``starttime`` in POSIX ns, ``sampling_rate`` in Hz, ids) by the name of the trace
        (``trace_name``). A trace is brought by one rank only.
    """

    stations: Mapping[str, bytes]
    traces: Mapping[str, tuple[npt.NDArray[Any], Mapping[str, object]]]


@dataclass(frozen=True, eq=False)
class _Piece:
    """A dataset: its samples and attributes."""

    data: npt.NDArray[Any]
    attributes: Mapping[str, object]
    compress: bool


@dataclass(frozen=True)
class _Planned:
    """What all ranks know of a dataset: who writes it, and what it is like."""

    rank: int
    shape: tuple[int, ...]
    dtype: str
    attributes: Mapping[str, object]


def parallel_hdf5() -> bool:
    """Whether h5py was built for parallel HDF5."""
    return bool(h5py.get_config().mpi)


def write_asdf(
    path: _Path,
    event: Event | None,
    part: Part,
    ranks: Ranks | None = None,
    *,
    provenance: Provenance,
    compress: bool = False,
    shards: bool = False,
) -> None:
    """Write an ASDF file together; all ranks call this, also those that have nothing.

    Parameters
    ----------
    path : path
        The same on all ranks, on a file system that all of them see.
    event : Event, optional
        None for continuous recordings.
    part : Part
        What this rank brings.
    ranks : Ranks, optional
        None: this process alone.
    provenance : Provenance
    compress : bool
        Whether to gzip the samples.
    shards : bool
        Write a file for each rank and join them also where parallel HDF5 is there.

    Raises
    ------
    InputError
        If a trace comes twice, its station is not described, or its samples are of another kind.
    WorkError
        If the disk is full, or a rank failed otherwise. The old file stays.
    """
    if ranks is None:
        pieces = _pieces(part, documents(event, provenance), compress)
        _check_stations(path, pieces)
        with writing(path) as file:
            _fill(file, pieces)
        return
    head = documents(event, provenance) if ranks.leads else {}
    pieces = _share(path, _pieces(part, head, compress), ranks)
    if compress or shards or not parallel_hdf5():
        _by_shards(Path(path), pieces, ranks)
    else:
        _at_once(Path(path), pieces, ranks)


def _pieces(part: Part, head: Mapping[str, bytes], compress: bool) -> dict[str, _Piece]:
    """The datasets that a rank brings, by their place in the file."""
    texts = dict(head) | {f"Waveforms/{name}/StationXML": text for name, text in part.stations.items()}
    found = {
        name: _Piece(np.frombuffer(text, dtype=np.int8), {}, len(text) > _SMALL)
        for name, text in texts.items()
    }
    for name, (samples, attributes) in part.traces.items():
        found[f"Waveforms/{'.'.join(name.split('.')[:2])}/{name}"] = _Piece(samples, attributes, compress)
    return dict(sorted(found.items()))


def _share(path: _Path, mine: dict[str, _Piece], ranks: Ranks) -> dict[str, _Piece]:
    """Agree on who writes what; the pieces of this rank."""

    def names() -> list[str]:
        for name, piece in mine.items():
            if not _is_document(name):
                check_samples(name.rpartition("/")[2], piece.data)
        return list(mine)

    owners: dict[str, int] = {}
    for rank, brought in enumerate(ranks.together(names)):
        for name in brought:
            if owners.setdefault(name, rank) != rank and not _is_document(name):
                trace = name.rpartition("/")[2]
                raise InputError(
                    f"{path}: ranks {owners[name]} and {rank} both bring {trace}; it belongs to one of them"
                )
    _check_stations(path, owners)
    return {name: piece for name, piece in mine.items() if owners[name] == ranks.rank}


def _is_document(name: str) -> bool:
    return not name.startswith("Waveforms/") or name.endswith("/StationXML")


def _check_stations(path: _Path, names: Mapping[str, object]) -> None:
    lacking = {
        name.split("/")[1] for name in names if not _is_document(name) and _document_of(name) not in names
    }
    if lacking:
        raise InputError(
            f"{path}: no StationXML describes {', '.join(sorted(lacking))}; import it, or leave them out"
        )


def _document_of(name: str) -> str:
    return f"{name.rpartition('/')[0]}/StationXML"


def _fill(file: h5py.File, pieces: Mapping[str, _Piece]) -> None:
    put_format(file)
    for name, piece in pieces.items():
        if not _is_document(name):
            check_samples(name.rpartition("/")[2], piece.data)
        put(file, name, piece.data, piece.attributes, compress=piece.compress)


@contextmanager
def _published(path: Path, ranks: Ranks) -> Iterator[Path]:
    """As ``publish``, for all: the first rank makes the temporary file and renames it."""
    with ExitStack() as stack:
        told = ranks.together(lambda: stack.enter_context(publish(path)) if ranks.leads else path)
        yield told[0]
        ranks.together(stack.close)


# ---------------------------------------------------------------------- all into one file, at once


def _at_once(path: Path, pieces: dict[str, _Piece], ranks: Ranks) -> None:
    plan = _plan(pieces, ranks)
    with _published(path, ranks) as temporary:
        # HDF5 has been seen to end the process where a disk is full: room is looked for before it starts, and taken
        # before samples are written
        ranks.together(lambda: _reserve(path, temporary, _size(plan)) if ranks.leads else None)
        file = _open(temporary, ranks)
        made: dict[str, h5py.h5d.DatasetID] = {}
        try:
            ranks.together(lambda: _layout(file, plan, made))
            ranks.together(lambda: _reserve(path, temporary, 0) if ranks.leads else None)
            ranks.together(lambda: _write(made, pieces))
        except Exception:  # which all ranks have; closing is for all of them too
            made.clear()
            with suppress(OSError, RuntimeError):
                file.close()
            raise
        made.clear()
        ranks.together(file.close)
        ranks.together(lambda: _verify(temporary, pieces))


def _plan(pieces: Mapping[str, _Piece], ranks: Ranks) -> dict[str, _Planned]:
    """All datasets of the file in sorted order, the same on all ranks."""

    def mine() -> dict[str, _Planned]:
        return {
            name: _Planned(
                ranks.rank,
                piece.data.shape,
                piece.data.dtype.str,
                dict(piece.attributes) | {CHECKSUM.decode(): checksum(piece.data)},
            )
            for name, piece in pieces.items()
        }

    found = {name: planned for part in ranks.together(mine) for name, planned in part.items()}
    return dict(sorted(found.items()))


def _open(path: Path, ranks: Ranks) -> h5py.File:
    try:
        return h5py.File(path, "w", driver="mpio", comm=ranks.comm, libver=FORMATS)
    except OSError as error:  # MPI has all ranks know of it
        raise WorkError(
            f"{path}: cannot be opened by all ranks together ({error}); do all machines see its folder?"
        ) from error


def _layout(file: h5py.File, plan: Mapping[str, _Planned], made: dict[str, h5py.h5d.DatasetID]) -> None:
    """Make all groups and datasets: every rank does the same, in the same order."""
    put_format(file)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    for name, planned in plan.items():
        kind = h5py.h5t.py_create(np.dtype(planned.dtype), logical=True)
        space = h5py.h5s.create_simple(planned.shape)
        made[name] = h5py.h5d.create(file.id, name.encode(), kind, space, properties, links)
        put_attributes(made[name], planned.attributes)
    file.flush()


def _size(plan: Mapping[str, _Planned]) -> int:
    """About how many bytes the file will have."""
    samples = sum(int(np.prod(one.shape)) * np.dtype(one.dtype).itemsize for one in plan.values())
    return samples + _HEADER * (1 + len(plan))


def _reserve(path: Path, temporary: Path, size: int) -> None:
    """Take so many bytes of the disk, or as many as the file has."""
    with room_for(path), temporary.open("ab") as file:
        size = size or os.fstat(file.fileno()).st_size
        os.posix_fallocate(file.fileno(), 0, size)


def _write(made: Mapping[str, h5py.h5d.DatasetID], pieces: Mapping[str, _Piece]) -> None:
    for name, piece in pieces.items():
        if piece.data.size:
            made[name].write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(piece.data))


def _verify(path: Path, pieces: Mapping[str, _Piece]) -> None:
    """Read back what this rank brought."""
    if not pieces:
        return
    with reading(path) as file:
        for name, piece in pieces.items():
            if not np.array_equal(fetch_all(file, name), piece.data, equal_nan=piece.data.dtype.kind == "f"):
                raise WorkError(f"{path}: {name} was not stored as it was written; look at the disk")


# ---------------------------------------------------------------------- a file for each rank, then joined


def _by_shards(path: Path, pieces: dict[str, _Piece], ranks: Ranks) -> None:
    shard = temporary_path(path.with_name(f"{path.name}.shard{ranks.rank}"))

    def write() -> Path:
        with writing(shard) as file:
            _fill(file, pieces)
        return shard

    try:
        shards = ranks.together(write)
        owned = ranks.together(lambda: list(pieces))
        with _published(path, ranks) as temporary:
            ranks.together(lambda: _join(temporary, shards, owned) if ranks.leads else None)
            ranks.together(lambda: _verify(temporary, pieces))
    finally:
        shard.unlink(missing_ok=True)


def _join(path: Path, shards: list[Path], owned: list[list[str]]) -> None:
    """Copy all datasets into one file in sorted order; chunks are copied as they are, compressed or not."""
    order = sorted((name, rank) for rank, names in enumerate(owned) for name in names)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    with ExitStack() as stack:
        files = [stack.enter_context(h5py.File(shard, "r", locking=False)) for shard in shards]
        with writing(path) as joined:
            put_format(joined)
            for name, rank in order:
                h5py.h5o.copy(files[rank].id, name.encode(), joined.id, name.encode(), None, links)
