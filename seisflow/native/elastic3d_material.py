"""The material of the compiled 3D elastic kernel."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from seisflow.domain import FloatArray

__all__ = ["Material"]


@dataclass(frozen=True, eq=False)
class Material:
    """Density and moduli of layers that are thin within a cell (Backus 1962), each (nx, ny, nz).

    A transversely isotropic medium with a vertical axis, of four moduli: c12 = ratio (2 c66 + c13), c11 = c12 + 2 c66.

    Parameters
    ----------
    rho : ndarray
        Density at the nodes in kg/m3.
    ratio : ndarray
        c13 / c33 at the nodes; lambda / (lambda + 2 mu) where isotropic.
    c33, c66 : ndarray
        Moduli at the nodes in Pa.
    across : ndarray
        1/c44 half a cell below the nodes in 1/Pa; not used at the last level.
    """

    rho: FloatArray
    ratio: FloatArray
    c33: FloatArray
    c66: FloatArray
    across: FloatArray

    @classmethod
    def isotropic(cls, rho: FloatArray, lam: FloatArray, mu: FloatArray) -> Material:
        """Of density and Lame moduli at the nodes; half way between levels 1/mu is the mean of both."""
        across = 1 / mu
        across[..., :-1] = 0.5 * (across[..., :-1] + across[..., 1:])
        return cls(rho, lam / (lam + 2 * mu), lam + 2 * mu, mu, across)

    def __getitem__(self, place: Any) -> Material:
        """A part of it, contiguous."""
        return Material(*(np.ascontiguousarray(getattr(self, each.name)[place]) for each in fields(self)))
