"""The only door to compiled code: C by ctypes. Shapes and types are checked here, once."""

from __future__ import annotations

from seisflow.native.library import cores, library, openmp, pointer, simd_level, use_simd

__all__ = ["cores", "library", "openmp", "pointer", "simd_level", "use_simd"]
