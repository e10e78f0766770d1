"""From the grid of the model to the grid of the simulation, and gradients back.

One linear operator, the cell average over a simulation cell of the piecewise-linear interpolant on the model
nodes (constant beyond the edges), applied to density and to the reciprocals of bulk and shear modulus:
arithmetic density and harmonic moduli (Moczo et al. 2002). Its exact transpose, with the chain rule at the
nodes, takes gradients back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError
from seisflow.native.elastic3d_slab import Slab
from seisflow.ranks import Ranks
from seisflow.solvers.attenuation import Attenuation

if TYPE_CHECKING:  # imported late, see ``seisflow.fourier``
    from scipy.sparse import csr_array

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
    from scipy.sparse import csr_array

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
        values = _along(matrices[axis], values, axis)
    return np.ascontiguousarray(values)


def _along(matrix: csr_array, values: FloatArray, axis: int) -> FloatArray:
    moved = np.moveaxis(values, axis, 0)
    flat = matrix @ moved.reshape(moved.shape[0], math.prod(moved.shape[1:]))
    result: FloatArray = np.moveaxis(flat.reshape(matrix.shape[0], *moved.shape[1:]), 0, axis)
    return result


@dataclass(frozen=True)
class Regrid:
    """The linear operator from a model grid to a simulation grid.

    Parameters
    ----------
    grid : Grid
        Of the model.
    layout : Layout
        Of the simulation.
    slab : Slab, optional
        Planes of the simulation grid that this rank has; all, if left out.
    ranks : Ranks, optional
        Those that have the others.
    attenuation : Attenuation, optional
        Of the model.
    """

    grid: Grid
    layout: Layout
    slab: Slab | None = None
    ranks: Ranks | None = None
    attenuation: Attenuation | None = None

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

    def nodes(self, slab: Slab) -> slice:
        """Planes of the model that planes of the simulation grid are averaged from."""
        used = self.matrices[0][slab.first : slab.first + slab.count, :].indices
        return slice(int(used.min()), int(used.max()) + 1)

    @property
    def _here(self) -> tuple[slice, tuple[csr_array, csr_array, csr_array]]:
        """Planes of the model that this rank needs, and averages from them to its points."""
        slab = self.slab or Slab.whole(self.layout.shape[0])
        nodes = self.nodes(slab)
        along_x = self.matrices[0][slab.first : slab.first + slab.count, nodes]
        return nodes, (along_x, *self.matrices[1:])

    def material(self, model: Model) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Density, lambda and mu on the simulation grid (kg/m3, Pa); the model is needed on the first rank alone.

        With attenuation the moduli are unrelaxed.
        """
        nodes, matrices = self._here
        rho, vp, vs = (self._planes(values, nodes) for values in (model.rho, model.vp, model.vs))
        mu = rho * vs**2
        kappa = rho * vp**2 - 4.0 / 3.0 * mu
        dense = _apply(matrices, np.asarray(rho, dtype=np.float64))
        shear = 1 / _apply(matrices, 1 / np.asarray(mu, dtype=np.float64))
        bulk = 1 / _apply(matrices, 1 / np.asarray(kappa, dtype=np.float64))
        if self.attenuation is not None:
            stiff_bulk, stiff_shear = self._stiffness(model)
            bulk, shear = stiff_bulk * bulk, stiff_shear * shear
        return dense, bulk - 2.0 / 3.0 * shear, shear

    def _planes(self, values: FloatArray, nodes: slice) -> FloatArray:
        """Planes of the model that this rank needs; the first rank hands them out."""
        if self.ranks is None:
            return values[nodes]
        wanted = self.ranks.all_of(nodes)
        return self.ranks.hand_out((values[each] for each in wanted) if self.ranks.leads else None)

    def losses(self, model: Model) -> tuple[FloatArray, FloatArray]:
        """1/Q of bulk and shear modulus on the simulation grid.

        Averaged without regard to the moduli: they do not change with them.
        """
        if model.qkappa is None or model.qmu is None:
            raise InputError("a model without quality factors has no losses")
        nodes, matrices = self._here
        losses = [1 / np.asarray(self._planes(q, nodes), np.float64) for q in (model.qkappa, model.qmu)]
        return _apply(matrices, losses[0]), _apply(matrices, losses[1])

    def _stiffness(self, model: Model) -> tuple[FloatArray, FloatArray]:
        """What bulk and shear modulus are multiplied by, from the reference frequency to the simulation."""
        if self.attenuation is None:
            raise InputError("there is no attenuation")
        bulk, shear = self.losses(model)
        return self.attenuation.stiffness(bulk), self.attenuation.stiffness(shear)

    def gradient(
        self,
        model: Model,
        material: tuple[FloatArray, FloatArray, FloatArray],
        derivatives: tuple[FloatArray, FloatArray, FloatArray],
    ) -> Kernel | None:
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
            dJ/d(node value) of the model; None on ranks other than the first.
        """
        _, lam, mu = material
        d_rho, d_lam, d_mu = derivatives
        kappa = lam + 2.0 / 3.0 * mu
        to_bulk, to_shear = kappa**2, mu**2
        if self.attenuation is not None:
            own = (self.slab or Slab.whole(self.layout.shape[0])).inside(self.layout.cells)
            inside = (own, *self.layout.inside[1:])
            stiff_bulk, stiff_shear = (each[inside] for each in self._stiffness(model))
            to_bulk, to_shear = to_bulk / stiff_bulk, to_shear / stiff_shear
        # lambda = kappa - 2/3 mu; the averages act on 1/kappa and 1/mu
        node_shear = self.to_nodes(-to_shear * (d_mu - 2.0 / 3.0 * d_lam))
        node_bulk = self.to_nodes(-to_bulk * d_lam)
        node_rho = self.to_nodes(d_rho)
        if node_shear is None or node_bulk is None or node_rho is None:
            return None
        rho, vp, vs = (np.asarray(a, dtype=np.float64) for a in (model.rho, model.vp, model.vs))
        shear = rho * vs**2
        bulk = rho * vp**2 - 4.0 / 3.0 * shear
        k_kappa, k_mu = -node_bulk / bulk**2, -node_shear / shear**2
        k_mu_vs = k_mu - 4.0 / 3.0 * k_kappa
        return Kernel(
            self.grid,
            vp=2 * rho * vp * k_kappa,
            vs=2 * rho * vs * k_mu_vs,
            rho=node_rho + vp**2 * k_kappa + vs**2 * k_mu_vs,
        )

    def to_nodes(self, values: FloatArray) -> FloatArray | None:
        """Apply the transpose of the operator, from the own points outside the absorbing layers to the model nodes.

        Its result is on the first rank; None on others.
        """
        along_x, *others = self._inner
        own = (self.slab or Slab.whole(self.layout.shape[0])).inside(self.layout.cells)
        expected = (own.stop - own.start, *(m.shape[0] for m in others))
        if values.shape != expected:
            raise InputError(
                f"values have shape {values.shape}, not {expected} as outside the absorbing layers"
            )
        b, c = (m.T.tocsr() for m in others)
        values = _along(c, np.asarray(values, dtype=np.float64), 2)
        values = np.ascontiguousarray(_along(b, values, 1))
        if self.ranks is not None:
            parts = list(self.ranks.collect(values))
            if not parts:
                return None
            values = np.concatenate(parts)
        return np.ascontiguousarray(_along(along_x.T.tocsr(), values, 0))

    def transpose(self, values: FloatArray) -> FloatArray:
        """Apply the transpose of the operator, without ranks."""
        found = self.to_nodes(values)
        if found is None:
            raise InputError("the transpose of the averages is on the first rank alone")
        return found

    def mean(self, values: FloatArray) -> FloatArray | None:
        """Average values of the simulation grid around each model node, with the weights of the transpose."""
        total, weight = self.to_nodes(values), self.to_nodes(np.ones(values.shape))
        if total is None or weight is None:
            return None
        return np.divide(total, weight, out=np.zeros_like(weight), where=weight > 0)
