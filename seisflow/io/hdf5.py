"""HDF5 files that are written once, with a checksum on every dataset; equal content gives equal files.

They are of the file format of HDF5 1.10 (2016), which checksums its own structure and which later libraries
read. Files are never changed after they were published, so no locks are taken: they fail on some file
systems, and a refused lock has been seen to empty a file.
"""

from __future__ import annotations

import io
import os
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from seisflow.errors import InputError, MissingError, SeisflowError
from seisflow.io.atomic import publish

__all__ = [
    "CHECKSUM",
    "FORMATS",
    "attribute_text",
    "check",
    "checksum",
    "damage",
    "fetch",
    "fetch_all",
    "fetch_number",
    "put",
    "put_attributes",
    "reading",
    "text_table",
    "writing",
]

FORMATS = ("v110", "v110")
"""Oldest and newest HDF5 file formats that may be written (``libver`` of h5py)."""

CHECKSUM = b"crc32"
"""Attribute with the checksum of the samples, where HDF5 keeps none: datasets that ranks write without filters."""
_GZIP_LEVEL = 1
_LARGEST_CHUNK = 2**31
_ONE_AT_A_TIME = threading.RLock()
"""The HDF5 library lets one thread in at a time, call by call; file by file, threads lose less time in turns."""


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open a new HDF5 file that is published when it is complete.

    It is built in memory and goes to the disk in one piece: a disk that fills up under the HDF5 library has
    been seen to end the process.

    Parameters
    ----------
    path : path

    Yields
    ------
    h5py.File
        Open for writing, in memory.

    Raises
    ------
    WorkError
        If it could not be written; the old file stays.
    """
    memory = (
        io.BytesIO()
    )  # HDF5's own files in memory are copied once more, and have a wrong checksum before 1.12
    with _ONE_AT_A_TIME, h5py.File(memory, "w", libver=FORMATS, locking=False) as file:
        yield file
    with publish(path) as temporary:
        temporary.write_bytes(memory.getbuffer())


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open a published HDF5 file for reading.

    Parameters
    ----------
    path : path

    Yields
    ------
    h5py.File

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is no HDF5 file, is truncated, fails a checksum or lacks a part that is asked for inside the
        context.
    """
    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    with damage(path), _ONE_AT_A_TIME, h5py.File(path, "r", locking=False) as file:
        yield file


@contextmanager
def damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what libraries raise on a broken file into an InputError that names the file.

    Parameters
    ----------
    path : path
        The file that is read inside the context.

    Raises
    ------
    InputError
        For whatever HDF5, NumPy or the decoders inside could not digest.
    """
    try:
        yield
    except SeisflowError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise InputError(
            f"{path}: cannot be read, it is damaged, cut short or of another kind ({_first_line(error)}); "
            "restore it from a copy, or delete it and make it again"
        ) from error


def put(
    group: h5py.Group,
    name: str,
    data: npt.NDArray[Any],
    attributes: Mapping[str, object] | None = None,
    *,
    compress: bool = False,
    chunk: tuple[int, ...] | None = None,
) -> None:
    """Add a dataset with a checksum: what ``create_dataset`` of h5py does, in a fifth of its time.

    Parameters
    ----------
    group : h5py.Group
    name : str
        May hold slashes: groups are made on the way.
    data : ndarray
        A number, or without elements, it is stored in its (checksummed) header.
    attributes : mapping, optional
        Texts, stored as fixed-length UTF-8, and numbers, as NumPy has them; in the order of the names.
    compress : bool
        Whether to shuffle and gzip.
    chunk : tuple of int, optional
        Shape of the parts that are checked (and compressed) one by one; the whole, if left out.

    Raises
    ------
    ValueError
        If there is something of that name already.
    """
    whole = data.nbytes < _LARGEST_CHUNK or chunk is not None
    if data.size and whole and data.ndim and not data.dtype.hasobject:
        kind, properties = _kind(data.dtype), _properties(chunk or data.shape, compress)
        made = h5py.h5d.create(group.id, name.encode(), kind, _space(data.shape), properties, _links())
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(data), kind)
    else:
        options: dict[str, Any] = (
            {"chunks": chunk or True, "fletcher32": True} if data.size and data.ndim else {}
        )
        if data.size and data.ndim and compress:
            options |= {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "shuffle": True}
        made = group.create_dataset(name, data=data, **options).id
    put_attributes(made, attributes or {})


def put_attributes(dataset: h5py.h5d.DatasetID, attributes: Mapping[str, object]) -> None:
    """Add attributes to a dataset, in the order of their names.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
    attributes : mapping
        Texts and numbers, as of ``put``.
    """
    for key, value in sorted(attributes.items()):
        encoded, kind, space, content = _attribute(key, value)
        h5py.h5a.create(dataset, encoded, kind, space).write(content, kind)


def checksum(data: npt.NDArray[Any]) -> np.uint32:
    """CRC-32 of the bytes of an array in C order."""
    return np.uint32(zlib.crc32(np.ascontiguousarray(data).data.cast("B")) if data.size else 0)


def check(dataset: h5py.h5d.DatasetID, data: npt.NDArray[Any], name: str) -> None:
    """Compare what was read of a whole dataset with its checksum; HDF5 itself checks the others.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
    data : ndarray
        All of it.
    name : str

    Raises
    ------
    OSError
        If it is another.
    """
    if h5py.h5a.exists(dataset, CHECKSUM) and int(fetch_number(dataset, CHECKSUM.decode())) != checksum(data):
        raise OSError(f"{name} does not have the checksum that it was written with")


def fetch_all(group: h5py.Group, name: str) -> npt.NDArray[Any]:
    """Read a whole dataset of any shape, and its checksum.

    Parameters
    ----------
    group : h5py.Group
    name : str

    Returns
    -------
    ndarray

    Raises
    ------
    KeyError
        If it is not there.
    OSError
        If it is damaged.
    """
    dataset = h5py.h5d.open(group.id, name.encode())
    found = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, found)
    check(dataset, found, name)
    return found


@lru_cache(maxsize=1024, typed=True)
def _attribute(key: str, value: Any) -> tuple[bytes, Any, Any, npt.NDArray[Any]]:
    """Name, type, space and content of an attribute; the traces of a file share most of them."""
    content = np.asarray(np.bytes_(value.encode() + b"\x00") if isinstance(value, str) else value)
    return key.encode(), _kind(content.dtype), _space(content.shape), content


@lru_cache(maxsize=256)
def _properties(shape: tuple[int, ...], compress: bool) -> Any:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(shape)
    if compress:
        properties.set_shuffle()
        properties.set_deflate(_GZIP_LEVEL)
    properties.set_fletcher32()
    properties.set_obj_track_times(False)
    return properties


@lru_cache(maxsize=1)
def _links() -> Any:
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    return links


@lru_cache(maxsize=256)
def _kind(dtype: np.dtype[Any]) -> Any:
    return h5py.h5t.py_create(dtype, logical=True)


@lru_cache(maxsize=256)
def _space(shape: tuple[int, ...]) -> Any:
    return h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)


def fetch(group: h5py.Group, name: str, into: npt.NDArray[Any]) -> None:
    """Read a whole dataset into an array: what ``group[name][()]`` gives, in a fifth of its time.

    Parameters
    ----------
    group : h5py.Group
    name : str
    into : ndarray
        Of the shape of the dataset, in C order.

    Raises
    ------
    KeyError
        If it is not there.
    ValueError
        If it has another shape.
    """
    found = h5py.h5d.open(group.id, name.encode())
    if found.shape != into.shape:
        raise ValueError(f"{name} has shape {found.shape}, not {into.shape}")
    found.read(h5py.h5s.ALL, h5py.h5s.ALL, into)
    check(found, into, name)


def fetch_number(dataset: h5py.h5d.DatasetID, name: str, kind: np.dtype[Any] | None = None) -> Any:
    """Read a number among the attributes of a dataset: what ``attrs[name]`` gives, in a fifth of h5py's time.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
    name : str
    kind : dtype, optional
        Of the result; as it was stored, if left out.

    Returns
    -------
    int or float

    Raises
    ------
    KeyError
        If it is not there.
    """
    attribute = h5py.h5a.open(dataset, name.encode())
    value = np.empty(attribute.shape, kind or attribute.dtype)
    attribute.read(value, _kind(value.dtype))
    return value.item()


def attribute_text(attributes: Mapping[str, Any], name: str) -> str:
    """Give a text among the attributes of a dataset, however it was stored.

    Parameters
    ----------
    attributes : mapping
        ``attrs`` of h5py.
    name : str

    Returns
    -------
    str

    Raises
    ------
    KeyError
        If it is not there.
    """
    value = attributes[name]
    if isinstance(value, bytes):
        value = value.decode()
    return str(value).rstrip("\x00")


def text_table(rows: Sequence[Sequence[object]], columns: Sequence[tuple[str, str]]) -> npt.NDArray[Any]:
    """Make a table for HDF5 whose texts lie within the rows, where the checksum covers them.

    Parameters
    ----------
    rows : sequence of sequences
        Values in the order of the columns; None stands for NaN in columns of float.
    columns : sequence of (str, str)
        Name and NumPy type of each; ``S`` for texts of whatever length.

    Returns
    -------
    ndarray (rows,)
        Structured.
    """
    encoded: list[list[Any]] = [[] for _ in columns]
    for row in rows:
        for column, value in zip(encoded, row, strict=True):
            column.append(value.encode() if isinstance(value, str) else np.nan if value is None else value)
    types = []
    for (name, kind), column in zip(columns, encoded, strict=True):
        width = max((len(value) for value in column), default=0) if kind == "S" else 0
        types.append((name, f"S{max(1, width)}" if kind == "S" else kind))
    table = np.zeros(len(rows), dtype=types)
    for (name, _), column in zip(columns, encoded, strict=True):
        table[name] = column
    return table
