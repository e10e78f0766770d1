"""From the grid of the model to the grid of the simulation, and gradients back.

Averages are those over a simulation cell of piecewise-linear interpolants on the model nodes (constant beyond the
edges): of density, of 1/M and lambda/M, M = lambda + 2 mu, and of 1/mu in cells half a cell below. So horizontal
layers within a cell act on stress across them as they should: c33 = 1/<1/M>, c13/c33 = <lambda/M>, c44 = 1/<1/mu>
(Backus 1962). For shear along them c66 is the mean of mu along z; such columns, side by side, are averaged by 1/c66
(Moczo et al. 2002). c12 follows (``Material``) as if mu and lambda/M of the layers had nothing to do with each other.
The exact transpose, with the chain rule at the nodes, takes gradients back.

Within the absorbing layers moduli and density stay within a tenth of their mean over the neighbouring cells of the
same level, about a wavelength wide: in media that are rougher than that, perfectly matched layers are not stable. What
is layered, or smooth over a wavelength, is not changed by it; gradients leave derivatives through the layers out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError
from seisflow.native.elastic3d_material import Material
from seisflow.native.elastic3d_slab import Slab
from seisflow.ranks import Ranks
from seisflow.solvers.attenuation import Attenuation

if TYPE_CHECKING:  # imported late, see ``seisflow.fourier``
    from scipy.sparse import csr_array

__all__ = ["Layout", "Regrid", "averages"]

_ROUGHEST, _AROUND = 1.1, 3
"""The factor by which material in the absorbing layers may differ from its mean; cells on either side of that mean."""


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


def _moduli(
    rho: FloatArray, vp: FloatArray, vs: FloatArray, stiffness: tuple[FloatArray, FloatArray] | None
) -> tuple[FloatArray, FloatArray]:
    """Lambda and mu, with factors of bulk and shear modulus."""
    mu = rho * vs**2
    if stiffness is None:
        return rho * vp**2 - 2 * mu, mu
    kappa = stiffness[0] * (rho * vp**2 - 4.0 / 3.0 * mu)
    mu = stiffness[1] * mu
    return kappa - 2.0 / 3.0 * mu, mu


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
    def _around(self) -> tuple[csr_array, csr_array]:
        """Averages along x and y over the neighbouring cells; beyond the model over the outermost ones in it."""
        result = []
        for axis in (0, 1):
            nodes, reach = self.grid.axis(axis), (_AROUND + 0.5) * self.layout.spacing
            edge = min(reach, (nodes[-1] - nodes[0]) / 2)
            centre = np.clip(self.layout.axis(axis), nodes[0] + edge, nodes[-1] - edge)
            result.append(averages(nodes, centre - reach, centre + reach))
        return result[0], result[1]

    @cached_property
    def half(self) -> csr_array:
        """Averages along z between levels."""
        levels = self.layout.axis(2)
        return averages(self.grid.axis(2), levels, levels + self.layout.spacing)

    @cached_property
    def _inner(self) -> tuple[csr_array, csr_array, csr_array]:
        a, b, c = (m[s, :] for m, s in zip(self.matrices, self.layout.inside, strict=True))
        return a, b, c

    def nodes(self, slab: Slab) -> slice:
        """Planes of the model that planes of the simulation grid are averaged from."""
        planes = slice(slab.first, slab.first + slab.count)
        used = [matrix[planes, :].indices for matrix in (self.matrices[0], self._around[0])]
        return slice(int(min(each.min() for each in used)), int(max(each.max() for each in used)) + 1)

    @property
    def _here(self) -> tuple[slice, tuple[csr_array, csr_array, csr_array]]:
        """Planes of the model that this rank needs, and averages from them to its points."""
        slab = self.slab or Slab.whole(self.layout.shape[0])
        nodes = self.nodes(slab)
        along_x = self.matrices[0][slab.first : slab.first + slab.count, nodes]
        return nodes, (along_x, *self.matrices[1:])

    def material(self, model: Model) -> Material:
        """The material on the simulation grid; the model is needed on the first rank alone.

        With attenuation the moduli are unrelaxed, and isotropic where bulk and shear modulus relax differently.
        """
        nodes, (along_x, along_y, along_z) = self._here
        rho, vp, vs = (
            np.asarray(self._planes(v, nodes), np.float64) for v in (model.rho, model.vp, model.vs)
        )
        stiffness = self._stiffness(model, nodes)
        lam, mu = _moduli(rho, vp, vs, stiffness)
        m = lam + 2 * mu

        def level(values: FloatArray) -> FloatArray:
            found = np.ascontiguousarray(_along(along_x, _along(along_y, values, 1), 0))
            self._limit(found, values, nodes)
            return found

        dense, stiff, soft = (level(_along(along_z, each, 2)) for each in (rho, 2 * mu / m, 1 / m))
        ratio = 1 - stiff
        c66, across = 1 / level(1 / _along(along_z, mu, 2)), level(_along(self.half, 1 / mu, 2))
        c33, isotropic = 1 / soft, self._isotropic(model)
        if isotropic is not None:
            c33 = np.where(isotropic, 2 * c66 / (1 - ratio), c33)
        return Material(dense, ratio, c33, c66, across)

    def _limit(self, averaged: FloatArray, values: FloatArray, nodes: slice) -> None:
        """Limit how rough averages are within the absorbing layers, from values on columns of the model."""
        slab, cells = self.slab or Slab.whole(self.layout.shape[0]), self.layout.cells
        ny, nz = averaged.shape[1:]
        first, last = (int(np.clip(x - slab.first, 0, slab.count)) for x in (cells, slab.total - cells))
        every, inside = slice(None), slice(cells, ny - cells)
        along_x, along_y = self._around[0][slab.first : slab.first + slab.count, nodes], self._around[1]
        for x, y, z in (
            (slice(0, first), every, every),
            (slice(last, slab.count), every, every),
            (slice(first, last), slice(0, cells), every),
            (slice(first, last), slice(ny - cells, ny), every),
            (slice(first, last), inside, slice(nz - cells, nz)),
        ):
            if averaged[x, y, z].size:
                mean = _along(along_x[x, :], _along(along_y[y, :], values[:, :, z], 1), 0)
                averaged[x, y, z] = np.clip(averaged[x, y, z], mean / _ROUGHEST, mean * _ROUGHEST)

    def _isotropic(self, model: Model) -> npt.NDArray[np.bool_] | None:
        """Where bulk and shear modulus relax differently; all ranks call it."""
        if self.attenuation is None or not self.attenuation.relaxing:
            return None
        bulk, shear = self.losses(model)
        result: npt.NDArray[np.bool_] = bulk != shear
        return result

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

    def _stiffness(self, model: Model, nodes: slice | None) -> tuple[FloatArray, FloatArray] | None:
        """What bulk and shear modulus of the model are multiplied by, from the reference frequency to the simulation.

        At planes of the model that all ranks ask for, or at all of them on this rank.
        """
        if self.attenuation is None or model.qkappa is None or model.qmu is None:
            return None
        bulk, shear = (
            self.attenuation.stiffness(
                1 / np.asarray(q if nodes is None else self._planes(q, nodes), np.float64)
            )
            for q in (model.qkappa, model.qmu)
        )
        return bulk, shear

    def gradient(self, model: Model, material: Material, derivatives: Material) -> Kernel | None:
        """Take derivatives on the simulation grid back to vp, vs and rho at the model nodes.

        Parameters
        ----------
        model : Model
        material : Material
            On the points outside the absorbing layers.
        derivatives : Material
            Derivatives with respect to it there.

        Returns
        -------
        Kernel
            dJ/d(node value) of the model; None on ranks other than the first.
        """
        d_ratio, d_c33, d_c66 = derivatives.ratio, derivatives.c33, derivatives.c66
        isotropic = self._isotropic(model)
        if isotropic is not None:
            own = (self.slab or Slab.whole(self.layout.shape[0])).inside(self.layout.cells)
            isotropic = isotropic[own, *self.layout.inside[1:]]
            through = np.where(isotropic, d_c33 / (1 - material.ratio), 0)
            d_c66 = d_c66 + 2 * through
            d_ratio = d_ratio + through * material.c33
            d_c33 = np.where(isotropic, 0, d_c33)
        node_ratio, node_rho = self.to_nodes(d_ratio), self.to_nodes(derivatives.rho)
        node_soft = self.to_nodes(-(material.c33**2) * d_c33)
        flat, across = (self._to_columns(each) for each in (-(material.c66**2) * d_c66, derivatives.across))
        if node_rho is None or node_ratio is None or node_soft is None or flat is None or across is None:
            return None
        rho, vp, vs = (np.asarray(a, dtype=np.float64) for a in (model.rho, model.vp, model.vs))
        stiffness = self._stiffness(model, None)
        lam, mu = _moduli(rho, vp, vs, stiffness)
        m = lam + 2 * mu
        along_z, half = self._inner[2], self.half[self.layout.inside[2], :]
        node_c66 = _along(along_z.T.tocsr(), -flat / _along(along_z, mu, 2) ** 2, 2)
        d_lam = (2 * mu * node_ratio - node_soft) / m**2
        d_mu = node_c66 - _along(half.T.tocsr(), across, 2) / mu**2
        d_mu -= 2 * (lam * node_ratio + node_soft) / m**2
        k_kappa, k_mu = d_lam, d_mu - 2.0 / 3.0 * d_lam
        if stiffness is not None:
            k_kappa, k_mu = stiffness[0] * k_kappa, stiffness[1] * k_mu
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
        along_z = self._inner[2]
        columns = self._to_columns(values)
        return None if columns is None else np.ascontiguousarray(_along(along_z.T.tocsr(), columns, 2))

    def _to_columns(self, values: FloatArray) -> FloatArray | None:
        """The transpose along x and y: to the columns of the model, at the levels of the simulation."""
        along_x, along_y, along_z = self._inner
        own = (self.slab or Slab.whole(self.layout.shape[0])).inside(self.layout.cells)
        expected = (own.stop - own.start, along_y.shape[0], along_z.shape[0])
        if values.shape != expected:
            raise InputError(
                f"values have shape {values.shape}, not {expected} as outside the absorbing layers"
            )
        values = np.ascontiguousarray(_along(along_y.T.tocsr(), np.asarray(values, dtype=np.float64), 1))
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
