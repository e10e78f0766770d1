"""Memory of the compiled 3D elastic kernel: its arrays and their strides."""

from __future__ import annotations

import contextlib
import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.native.elastic3d_slab import Slab

__all__ = [
    "ALIGN",
    "ARRAYS",
    "FIELDS",
    "LOSSES",
    "Relaxation",
    "arena",
    "loss_arena",
    "memory",
    "sizes_of",
    "state_memory",
]

FIELDS = ("vx", "vy", "vz", "sxx", "syy", "szz", "sxy", "sxz", "syz")
ARRAYS = (*FIELDS, "rho", "ratio", "c33", "ixy", "ixz")
LOSSES = ("phi_lam", "phi_mu", "rxx", "ryy", "rzz", "rxy", "rxz", "ryz")
"""Arrays that attenuation adds: two of the material, and the memory variables."""
ALIGN = 16
_STAGGER = 35 * 64
_HUGE = 2 << 20


@dataclass(frozen=True, eq=False)
class Relaxation:
    """One mechanism of attenuation a point, by the parity of its place; see ``kernels/include/elastic3d.h``.

    Parameters
    ----------
    rate : ndarray (2, 2, 2)
        Angular frequency times time step, by x, y and z modulo 2.
    share : ndarray (2, 2, 2)
        Of the modulus, for a strength of 1.
    """

    rate: FloatArray
    share: FloatArray

    def table(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Decay, and gain times share, [x modulo 2][y modulo 2][2][level modulo ALIGN]."""
        half = 0.5 * self.rate
        pair = np.stack([(1 - half) / (1 + half), half / (1 + half) * self.share], axis=2)
        return np.ascontiguousarray(np.tile(pair, (1, 1, 1, ALIGN // 2)), dtype=dtype)


def _rounded(number: int) -> int:
    return (number + ALIGN - 1) // ALIGN * ALIGN


def sizes_of(
    shape: tuple[int, int, int], cells: int, itemsize: int, halo: int, slab: Slab | None = None
) -> dict[str, int]:
    """Strides, the first level of the bottom slab, and lengths of the arrays, in elements."""
    nx, ny, nz = shape
    bottom = max((nz - 1 - cells) // 8 * 8, ALIGN) if cells else _rounded(nz + halo)
    depth = max(0, _rounded(nz) - bottom)  # vectors that begin in the bottom slab end at a multiple of ALIGN
    row = _rounded(nz + halo)
    plane = row * (ny + halo)
    length = (nx + 2 * halo) * plane + 2 * halo * row + 8 * ALIGN
    array = -(-length * itemsize // 4096) * 4096 // itemsize + _STAGGER // itemsize
    slabs = 2 * cells + 1 if cells else 0
    layers = slabs if slab is None else slab.layers(cells)[1]
    return {
        "row": row, "plane": plane, "array": array, "bottom": bottom, "depth": depth,
        "psi_x": layers * ny * 6 * row, "psi_y": nx * slabs * 6 * row, "psi_z": nx * ny * 6 * depth,
    }  # fmt: skip


def memory(
    shape: tuple[int, int, int],
    cells: int,
    itemsize: int,
    order: int,
    slab: Slab | None = None,
    *,
    attenuation: bool = False,
) -> int:
    """Bytes that the fields, the material and the absorbing layer of a grid, or of a slab of one, take."""
    sizes = sizes_of(shape, cells, itemsize, order // 2, slab)
    arrays = len(ARRAYS) + (len(LOSSES) if attenuation else 0)
    elements = sizes["array"] * arrays + sizes["psi_x"] + sizes["psi_y"] + sizes["psi_z"]
    return elements * itemsize + 2 * _HUGE


def state_memory(
    shape: tuple[int, int, int],
    cells: int,
    itemsize: int,
    order: int,
    slab: Slab | None = None,
    *,
    attenuation: bool = False,
) -> int:
    """Bytes of what ``Elastic3DGrid.save`` copies."""
    sizes = sizes_of(shape, cells, itemsize, order // 2, slab)
    arrays = len(FIELDS) + (len(LOSSES) - 2 if attenuation else 0)
    return (sizes["array"] * arrays + sizes["psi_x"] + sizes["psi_y"] + sizes["psi_z"]) * itemsize


def arena(elements: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeroed memory that starts on a huge page, with huge pages where the system has them.

    Private memory: shared memory, what ``mmap`` takes by itself, has huge pages on few systems.
    """
    size = max(elements, 1) * np.dtype(dtype).itemsize
    memory_map = mmap.mmap(-1, size + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(AttributeError, OSError):  # other systems, and kernels made without huge pages
        memory_map.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(memory_map, dtype=np.uint8)
    skip = -raw.ctypes.data % _HUGE
    return raw[skip : skip + size].view(dtype)


def loss_arena(array: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Memory for ``LOSSES``, at other places of the cache than the ``ARRAYS`` of a grid."""
    skip = len(ARRAYS) * _STAGGER // np.dtype(dtype).itemsize
    return arena(array * len(LOSSES) + skip, dtype)[skip:]
