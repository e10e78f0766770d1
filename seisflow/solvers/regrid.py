"""From the grid of the model to the grid of the simulation, and gradients back.

One linear operator, the cell average over a simulation cell of the piecewise-linear interpolant on the model
nodes (constant beyond the edges), applied to density and to the reciprocals of bulk and shear modulus:
arithmetic density and harmonic moduli (Moczo et al. 2002). Its exact transpose, with the chain rule at the
nodes, takes gradients back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError

__all__ = ["Layout", "Regrid", "averages"]


@dataclass(frozen=True)
class Layout:
    """The grid of a simulation: cubic cells, absorbing layers on four sides and at the bottom.

    Parameters
    ----------
    spacing : float
        m.
    origin : tuple of 2 float
        x and y of the first point, absorbing layers included, in m; the first level is z = 0.
    shape : tuple of 3 int
        Points, absorbing layers included.
    cells : int
        Width of the absorbing layers.
    """

    spacing: float
    origin: tuple[float, float]
    shape: tuple[int, int, int]
    cells: int

    def axis(self, number: int) -> FloatArray:
        """Coordinates of the points along an axis in m."""
        start = (*self.origin, 0.0)[number]
        return start + self.spacing * np.arange(self.shape[number], dtype=np.float64)

    @property
    def inside(self) -> tuple[slice, slice, slice]:
        """The points outside the absorbing layers."""
        nx, ny, nz = self.shape
        cells = self.cells
        return slice(cells, nx - cells), slice(cells, ny - cells), slice(0, nz - cells)

    @property
    def points(self) -> int:
        """Number of points."""
        return self.shape[0] * self.shape[1] * self.shape[2]


def averages(nodes: FloatArray, low: FloatArray, high: FloatArray) -> csr_array:
    """Averages over intervals of the piecewise-linear interpolant of values on regular nodes.

    Parameters
    ----------
    nodes : ndarray (m,)
        Coordinates, regularly spaced; beyond the ends the interpolant is constant.
    low, high : ndarray (n,)
        Ends of the intervals.

    Returns
    -------
    sparse array (n, m)
        Rows sum to 1.
    """
    width = nodes[1] - nodes[0]

    def integral(ends: FloatArray) -> FloatArray:
        u = np.clip((ends[:, None] - nodes[None, :]) / width, -1, 1)
        area = width * np.where(u < 0, 0.5 * (1 + u) ** 2, 1 - 0.5 * (1 - u) ** 2)
        area[:, 0] += np.minimum(ends - nodes[0], 0) - width * np.clip(0.5 * (1 + u[:, 0]) ** 2, 0, 0.5)
        area[:, -1] += np.maximum(ends - nodes[-1], 0) - width * (
            0.5 - 0.5 * (1 - np.maximum(u[:, -1], 0)) ** 2
        )
        result: FloatArray = area
        return result

    weights = (integral(high) - integral(low)) / (high - low)[:, None]
    weights[np.abs(weights) < 1e-14] = 0
    return csr_array(weights)


def _apply(matrices: tuple[csr_array, csr_array, csr_array], values: FloatArray) -> FloatArray:
    """Apply one matrix along each axis, in the fixed order z, y, x."""
    for axis in (2, 1, 0):
        moved = np.moveaxis(values, axis, 0)
        flat = matrices[axis] @ moved.reshape(moved.shape[0], -1)
        values = np.moveaxis(flat.reshape(-1, *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(values)


@dataclass(frozen=True)
class Regrid:
    """The linear operator from a model grid to a simulation grid.

    Parameters
    ----------
    grid : Grid
        Of the model.
    layout : Layout
        Of the simulation.
    """

    grid: Grid
    layout: Layout

    @cached_property
    def matrices(self) -> tuple[csr_array, csr_array, csr_array]:
        """Averages along x, y, z; the uppermost cell is the half cell below the surface."""
        result = []
        for axis in range(3):
            centre, half = self.layout.axis(axis), self.layout.spacing / 2
            low = np.maximum(centre - half, 0) if axis == 2 else centre - half
            result.append(averages(self.grid.axis(axis), low, centre + half))
        return result[0], result[1], result[2]

    @cached_property
    def _inner(self) -> tuple[csr_array, csr_array, csr_array]:
        a, b, c = (m[s, :] for m, s in zip(self.matrices, self.layout.inside, strict=True))
        return a, b, c

    def material(self, model: Model) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Density, lambda and mu on the simulation grid (kg/m3, Pa)."""
        mu = model.rho * model.vs**2
        kappa = model.rho * model.vp**2 - 4.0 / 3.0 * mu
        rho = _apply(self.matrices, np.asarray(model.rho, dtype=np.float64))
        shear = 1 / _apply(self.matrices, 1 / np.asarray(mu, dtype=np.float64))
        bulk = 1 / _apply(self.matrices, 1 / np.asarray(kappa, dtype=np.float64))
        return rho, bulk - 2.0 / 3.0 * shear, shear

    def gradient(
        self,
        model: Model,
        material: tuple[FloatArray, FloatArray, FloatArray],
        derivatives: tuple[FloatArray, FloatArray, FloatArray],
    ) -> Kernel:
        """Take derivatives on the simulation grid back to vp, vs and rho at the model nodes.

        Parameters
        ----------
        model : Model
        material : tuple of 3 ndarray
            Density, lambda and mu on the points outside the absorbing layers.
        derivatives : tuple of 3 ndarray
            dJ/d(density), dJ/d(lambda), dJ/d(mu) there.

        Returns
        -------
        Kernel
            dJ/d(node value) of the model.
        """
        _, lam, mu = material
        d_rho, d_lam, d_mu = derivatives
        kappa = lam + 2.0 / 3.0 * mu
        # lambda = kappa - 2/3 mu; the averages act on 1/kappa and 1/mu
        node_shear = self.transpose(-(mu**2) * (d_mu - 2.0 / 3.0 * d_lam))
        node_bulk = self.transpose(-(kappa**2) * d_lam)
        rho, vp, vs = (np.asarray(a, dtype=np.float64) for a in (model.rho, model.vp, model.vs))
        shear = rho * vs**2
        bulk = rho * vp**2 - 4.0 / 3.0 * shear
        k_kappa, k_mu = -node_bulk / bulk**2, -node_shear / shear**2
        k_mu_vs = k_mu - 4.0 / 3.0 * k_kappa
        return Kernel(
            self.grid,
            vp=2 * rho * vp * k_kappa,
            vs=2 * rho * vs * k_mu_vs,
            rho=self.transpose(d_rho) + vp**2 * k_kappa + vs**2 * k_mu_vs,
        )

    def transpose(self, values: FloatArray) -> FloatArray:
        """Apply the transpose of the operator, from the points outside the absorbing layers to the model nodes."""
        expected = tuple(m.shape[0] for m in self._inner)
        if values.shape != expected:
            raise InputError(
                f"values have shape {values.shape}, not {expected} as outside the absorbing layers"
            )
        a, b, c = (m.T.tocsr() for m in self._inner)
        return _apply((a, b, c), np.asarray(values, dtype=np.float64))

    def mean(self, values: FloatArray) -> FloatArray:
        """Average values of the simulation grid around each model node, with the weights of the transpose."""
        weight = self.transpose(np.ones(values.shape))
        return np.divide(self.transpose(values), weight, out=np.zeros_like(weight), where=weight > 0)
