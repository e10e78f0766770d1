"""HDF5 files that are written once, with a checksum on every dataset; equal content gives equal files.

They are of the file format of HDF5 1.10 (2016), which checksums its own structure and which later libraries
read. Files are never changed after they were published, so no locks are taken: they fail on some file
systems, and a refused lock has been seen to empty a file.
"""

from __future__ import annotations

import itertools
import os
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

__all__ = ["FORMATS", "attribute_text", "damage", "fetch", "fetch_table", "put", "reading", "writing"]

FORMATS = ("v110", "v110")
"""Oldest and newest HDF5 file formats that may be written (``libver`` of h5py)."""

_GZIP_LEVEL = 4
_BLOCK = 2**22
_COUNTER = itertools.count()


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
    memory = {"driver": "core", "backing_store": False, "block_size": _BLOCK}
    with h5py.File(f"memory {next(_COUNTER)}", "w", libver=FORMATS, locking=False, **memory) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with publish(path) as temporary:
        temporary.write_bytes(image)


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
    with damage(path), h5py.File(path, "r", locking=False) as file:
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
) -> h5py.Dataset:
    """Add a dataset with a checksum.

    Parameters
    ----------
    group : h5py.Group
    name : str
        May hold slashes: groups are made on the way.
    data : ndarray
        Of one or more dimensions; without elements it is stored whole in its (checksummed) header.
    attributes : mapping, optional
        Texts are stored as fixed-length UTF-8, all else as NumPy has it; in the order of the names.
    compress : bool
        Whether to shuffle and gzip.

    Returns
    -------
    h5py.Dataset
    """
    if data.size and data.nbytes < 2**31 and data.ndim and not data.dtype.hasobject:
        dataset = _put_plainly(group, name, np.ascontiguousarray(data), compress)
    else:
        options: dict[str, Any] = {"chunks": True, "fletcher32": True} if data.size else {}
        if data.size and data.nbytes < 2**31:
            options["chunks"] = data.shape
        if data.size and compress:
            options |= {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "shuffle": True}
        dataset = group.create_dataset(name, data=data, **options)
    for key, value in sorted((attributes or {}).items()):
        content = np.asarray(np.bytes_(value.encode() + b"\x00") if isinstance(value, str) else value)
        h5py.h5a.create(dataset.id, key.encode(), _kind(content.dtype), _space(content.shape)).write(content)
    return dataset


def _put_plainly(group: h5py.Group, name: str, data: npt.NDArray[Any], compress: bool) -> h5py.Dataset:
    """Make a dataset in one chunk: what ``create_dataset`` does, in a third of its time."""
    kind, properties = _kind(data.dtype), _properties(data.shape, compress)
    made = h5py.h5d.create(group.id, name.encode(), kind, _space(data.shape), properties, _links())
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
    return h5py.Dataset(made)


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


def fetch_table(
    group: h5py.Group, name: str, dtype: npt.DTypeLike, texts: Sequence[str] = ()
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Read a table of known columns, and some texts among its attributes, in a fifth of h5py's time.

    Parameters
    ----------
    group : h5py.Group
    name : str
    dtype : dtype
        Structured; the columns are found by name.
    texts : sequence of str
        Names of the attributes.

    Returns
    -------
    ndarray
    tuple of str

    Raises
    ------
    KeyError
        If the table or an attribute is not there.
    """
    found = h5py.h5d.open(group.id, name.encode())
    rows = np.empty(found.shape, dtype)
    found.read(h5py.h5s.ALL, h5py.h5s.ALL, rows)
    told = []
    for text in texts:
        attribute = h5py.h5a.open(found, text.encode())
        value = np.empty((), attribute.dtype)
        attribute.read(value)
        told.append(value.item().decode().rstrip("\x00"))
    return rows, tuple(told)


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
