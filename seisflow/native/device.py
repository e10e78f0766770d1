"""A GPU as the kernels see it: sources, structs passed by value, and what one that runs them must offer.

Kernels take one struct by value (``kernels/include``); here it is a NumPy structured array with the same layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seisflow.errors import MissingError, SeisflowError

__all__ = ["Device", "DeviceMemoryError", "Extent", "Options", "cuda_source", "options", "struct_type"]

Extent = tuple[int, ...]
Options = tuple[str, ...]
_INCLUDE = re.compile(r'^\s*#include "([a-z0-9_]+\.h)"\s*$', re.MULTILINE)
_KINDS = {"i": np.int64, "n": np.int32, "d": np.float64, "f": np.float32, "p": np.uint64}


class DeviceMemoryError(SeisflowError, MemoryError):
    """A GPU has not enough free memory; a smaller plan may do."""


class Device(Protocol):
    """One GPU."""

    name: str
    processors: int
    lock: AbstractContextManager[Any]
    """Who runs something longer holds it, again if need be: threads take turns, so that each can plan with the free
    memory. Whoever lets it go gives back what was kept for later, which other processes may need."""
    shared_bytes: int
    """Most shared memory of a block."""
    total_bytes: int
    """Memory in all."""
    xp: Any
    """NumPy, or what has its functions for arrays of the device."""

    def upload(self, array: npt.NDArray[Any]) -> Any:
        """Copy of an array of the host."""

    def download(self, array: Any) -> npt.NDArray[Any]:
        """Copy of an array of the device."""

    def empty(self, shape: Extent, dtype: npt.DTypeLike) -> Any:
        """Array of the device whose values are not set. Raises ``DeviceMemoryError``."""

    def zeros(self, shape: Extent, dtype: npt.DTypeLike) -> Any:
        """Array of zeros. Raises ``DeviceMemoryError``."""

    def pinned(self, shape: Extent, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Array of the host that the device copies to and from without a detour."""

    def on_host(self, array: Any) -> bool:
        """Whether an array is one of ``pinned``, or a part of it."""

    def address(self, array: Any) -> int:
        """Of the first element of an array of the device."""

    def short(self) -> AbstractContextManager[None]:
        """Within, memory that runs out in functions of ``xp`` is a ``DeviceMemoryError`` too."""

    def free_bytes(self) -> int:
        """Memory that can still be taken."""

    def launch(
        self,
        kernel: tuple[str, str, Options],
        grid: Extent,
        block: Extent,
        argument: npt.NDArray[Any],
        shared: int = 0,
    ) -> None:
        """Run a kernel: its stem, its name, and options of its compilation."""

    def graph(self, launches: Callable[[], None], times: int) -> Callable[[], None]:
        """Record launches, so many times over, as one call; kernels must have run before, no memory may be taken."""

    def send(self, array: Any, host: npt.NDArray[Any]) -> Any:
        """Begin to copy an array of the device, as it will be after what was launched, to pinned memory."""

    def fetch(self, host: npt.NDArray[Any], array: Any) -> Any:
        """Begin to copy pinned memory to an array of the device, after what was launched."""

    def wait(self, copy: Any) -> None:
        """What is launched from now on waits for a copy (of ``send`` or ``fetch``; None is done)."""

    def synchronize(self) -> None:
        """Wait for what was launched, and for copies."""


def struct_type(fields: Sequence[tuple[str, str]]) -> np.dtype[Any]:
    """Layout of a C struct from names and kinds: i int64, n int32, d double, f float, p pointer."""
    return np.dtype([(name, _KINDS[kind]) for name, kind in fields], align=True)


@lru_cache(maxsize=32)
def cuda_source(stem: str) -> str:
    """The source of ``kernels/cuda/<stem>.cu`` with its own headers in place, so that it needs no other file.

    Caches of compiled code know a source by its text: what a header says is part of it.

    Raises
    ------
    MissingError
        If the file is not there.
    """
    root = files("seisflow.kernels")
    seen: set[str] = set()

    def text(name: str) -> str:
        for folder in ("cuda", "include"):
            place = root.joinpath(folder, name)
            if place.is_file():
                return place.read_text()
        raise MissingError(f"the CUDA source {name} is missing from the installation; install seisflow again")

    def expand(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in seen:
            return ""
        seen.add(name)
        return _INCLUDE.sub(expand, text(name))

    return _INCLUDE.sub(expand, text(f"{stem}.cu"))


def options(**definitions: int) -> Options:
    """Options of the compiler: C++17, and macros."""
    return ("--std=c++17", *(f"-D{name}={value}" for name, value in sorted(definitions.items())))
