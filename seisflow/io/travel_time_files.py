"""Travel times of one station, kept on disk: one HDF5 file for all its phases."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError
from seisflow.io.hdf5 import fetch, put, reading, writing

__all__ = ["read_times", "write_times"]


def write_times(path: str | os.PathLike[str], key: str, phases: Sequence[str], times: FloatArray) -> None:
    """Write the times of a station; the file appears whole or not at all.

    Parameters
    ----------
    path : path
    key : str
        Hash of all that the times depend on.
    phases : sequence of str
    times : ndarray of float32 (np, nx, ny, nz)
        s.

    Raises
    ------
    WorkError
        If there is no space for it.
    """
    with writing(path) as file:
        for phase, values in zip(phases, times, strict=True):
            put(file, phase, np.ascontiguousarray(values, dtype=np.float32), {"key": key, "unit": "s"})


def read_times(
    path: str | os.PathLike[str], key: str, phases: Sequence[str], shape: tuple[int, int, int]
) -> FloatArray:
    """Read the times of a station.

    Parameters
    ----------
    path : path
    key : str
        The hash that the file must carry.
    phases : sequence of str
    shape : tuple of 3 int
        Of the grid.

    Returns
    -------
    ndarray of float32 (np, nx, ny, nz)
        s.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged or holds other times.
    """
    times = np.empty((len(phases), *shape), dtype=np.float32)
    with reading(path) as file:
        for phase, into in zip(phases, times, strict=True):
            found = file[phase].attrs["key"]
            if (found.decode() if isinstance(found, bytes) else str(found)) != key:
                raise InputError(f"{path}: holds other travel times than wanted ({found}); delete it")
            fetch(file, phase, into)
    if not np.isfinite(times).all():
        raise InputError(f"{path}: holds times that are not finite; delete it")
    return times
