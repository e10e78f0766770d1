"""The derivatives of the compiled 3D elastic kernel, and the weights of its levels."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.native.elastic3d_memory import ALIGN
from seisflow.native.library import library

__all__ = ["Stencils", "level_weights", "stencils"]

_Integer = ctypes.c_int64
_Pointer = ctypes.c_void_p


def level_weights(levels: npt.NDArray[np.int64], *, half: bool, order: int) -> FloatArray:
    """Weights of the summation-by-parts rule at integer levels, or at half levels; 1 below the closure."""
    tables = np.ones((2, ALIGN))
    find = getattr(library(), f"elastic3d_weights_o{order}_f64")
    find(_Pointer(tables[0].ctypes.data), _Pointer(tables[1].ctypes.data))
    result: FloatArray = tables[int(half)][np.minimum(levels, ALIGN - 1)]
    return result


@dataclass(frozen=True, eq=False)
class Stencils:
    """Derivatives of velocity, by grid unit.

    Parameters
    ----------
    interior : ndarray (order / 2,)
        Coefficients of the pairs of points around the place, the nearest first.
    half, node : ndarray (rows, ALIGN)
        Along z near the surface: at half levels of vx and vy, at integer levels of vz; row k has the weights of levels.
    """

    interior: FloatArray
    half: FloatArray
    node: FloatArray


def stencils(order: int) -> Stencils:
    """The stencils that compiled code has."""
    tables, interior = np.zeros((2, ALIGN, ALIGN)), np.zeros(order // 2)
    find = getattr(library(), f"elastic3d_stencils_o{order}_f64")
    find.restype = _Integer
    rows = find(*(_Pointer(table.ctypes.data) for table in (*tables, interior)))
    return Stencils(interior, tables[0, :rows], tables[1, :rows])
