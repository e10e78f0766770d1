"""The compiled library: finding it, and checking what is handed to it.

Every array that crosses into C passes ``pointer``: dtype, C order and shape are checked there, nowhere else.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.errors import InputError, MissingError

__all__ = ["cores", "library", "openmp", "pointer", "simd_level", "use_simd"]

_REMEDY = "build it with `make setup` (or `pip install -e .`), which needs a C compiler"


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Load the compiled kernels.

    Returns
    -------
    ctypes.CDLL

    Raises
    ------
    MissingError
        If the library was not built or cannot be loaded, with what to do.
    """
    try:
        place = files("seisflow.kernels").joinpath("_kernels.so")
    except ModuleNotFoundError as error:
        raise MissingError(f"seisflow is not installed, so it has no compiled kernels; {_REMEDY}") from error
    if not place.is_file():
        raise MissingError(f"the compiled kernels {place} are missing; {_REMEDY}")
    # threads that wait give up their core: spinning costs a factor of several where processes share cores
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        with as_file(place) as path:
            found = ctypes.CDLL(str(path))
    except OSError as error:
        raise MissingError(f"the compiled kernels {place} cannot be loaded ({error}); {_REMEDY}") from error
    found.seisflow_simd_level.restype = ctypes.c_char_p
    found.seisflow_simd_use.restype = ctypes.c_int64
    found.seisflow_openmp.restype = ctypes.c_int64
    return found


def simd_level() -> str:
    """Name the instruction set in use: ``baseline``, or x86-64 ``v3`` (AVX2) or ``v4`` (AVX-512)."""
    return bytes(library().seisflow_simd_level()).decode()


def use_simd(name: str) -> None:
    """Make the kernels use another instruction set: speed changes, results by less than float32 resolves (if at all).

    Raises
    ------
    InputError
        If the library was not built for it or the processor does not have it.
    """
    if library().seisflow_simd_use(name.encode()) != 0:
        raise InputError(f"this processor or build has no SIMD level {name!r}; it uses {simd_level()!r}")


def openmp() -> bool:
    """Whether the kernels were built with threads (OpenMP)."""
    return bool(library().seisflow_openmp())


def cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pointer(array: npt.NDArray[Any], dtype: npt.DTypeLike, shape: tuple[int, ...], name: str) -> int:
    """Address of the first element of an array that compiled code may use.

    Parameters
    ----------
    array : ndarray
    dtype : dtype
        What the compiled code takes.
    shape : tuple of int
        The shape that it must have.
    name : str
        Of the array, for the message.

    Returns
    -------
    int
        Address; keep the array alive as long as it is used.

    Raises
    ------
    InputError
        If the type, the shape or the order in memory is another.
    """
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(dtype):
        found = getattr(array, "dtype", type(array).__name__)
        raise InputError(
            f"{name}: dtype is {found}, compiled code needs {np.dtype(dtype)}; convert it before"
        )
    if array.shape != shape:
        raise InputError(f"{name}: shape is {array.shape}, compiled code needs {shape}")
    if not array.flags.c_contiguous:
        raise InputError(f"{name}: not in C order; pass numpy.ascontiguousarray of it")
    return int(array.ctypes.data)
