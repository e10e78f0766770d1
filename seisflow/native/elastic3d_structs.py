"""The structures of ``kernels/include/elastic3d.h``, field by field."""

from __future__ import annotations

import ctypes
from typing import ClassVar

__all__ = [
    "GradientStruct",
    "GridStruct",
    "PartStruct",
    "ReceiversStruct",
    "SnapshotsStruct",
    "SourcesStruct",
]


def _numbers(text: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_int64) for name in text.split()]


def _pointers(text: str) -> list[tuple[str, type]]:
    return [(name, ctypes.c_void_p) for name in text.split()]


class GridStruct(ctypes.Structure):
    """``elastic3d_grid``."""

    _fields_: ClassVar = [
        *_numbers("nx ny nz row plane array origin cells bottom depth block sweep threads"),
        *_numbers("first total low high slab0"),
        *_pointers("fields losses relax psi_x psi_y psi_z pml_x pml_y pml_z"),
    ]


class SourcesStruct(ctypes.Structure):
    """``elastic3d_sources``."""

    _fields_: ClassVar = [*_numbers("signals"), *_pointers("first offset signal weight samples")]


class ReceiversStruct(ctypes.Structure):
    """``elastic3d_receivers``."""

    _fields_: ClassVar = [
        *_numbers("count entries"),
        *_pointers("first piece place offset weight velocity stress held out"),
    ]


class SnapshotsStruct(ctypes.Structure):
    """``elastic3d_snapshots``."""

    _fields_: ClassVar = [*_numbers("every phase from x0 x1 y0 y1 z1"), *_pointers("data")]


class GradientStruct(ctypes.Structure):
    """``elastic3d_gradient``."""

    _fields_: ClassVar = [*_numbers("x0 x1 y0 y1 z1 before after"), *_pointers("sums")]


class PartStruct(ctypes.Structure):
    """``elastic3d_part``."""

    _fields_: ClassVar = _numbers("n steps backward from to")
