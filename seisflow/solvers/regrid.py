"""From the grid of the model to the grid of the simulation, and gradients back.

Averages are those over a simulation cell of piecewise-linear interpolants on the model nodes (constant beyond the
edges): of density, and of what horizontal layers within a cell need to be replaced by one transversely isotropic medium
(Backus 1962): of mu, 1/mu, lambda/M, 1/M and mu (3 lambda + 2 mu)/M along z, with M = lambda + 2 mu. The columns of a
cell, side by side, are averaged by their compliances (Moczo et al. 2002): of 1/c66, 1/c44, and, with
p = (c11 + c12)/2 - c13^2/c33, of 1/p, c13/(c33 p) and 1/c33 + (c13/c33)^2/p. 1/c44 is averaged over cells half a cell
below. The exact transpose, with the chain rule between the averages, takes gradients back.
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


@dataclass(frozen=True, eq=False)
class _Columns:
    """Columns of a cell: c66, 1/c44, c13/c33, 1/c33, (c11 + c12)/2 - c13^2/c33 of their layers."""

    c66: FloatArray
    across: FloatArray
    ratio: FloatArray
    soft: FloatArray
    plane: FloatArray

    @classmethod
    def of(cls, moduli: tuple[FloatArray, FloatArray], along_z: csr_array, half: csr_array) -> _Columns:
        lam, mu = moduli
        m = lam + 2 * mu
        means = [_along(along_z, each, 2) for each in (mu, lam / m, 1 / m, mu * (3 * lam + 2 * mu) / m)]
        return cls(means[0], _along(half, 1 / mu, 2), *means[1:])

    @property
    def compliances(self) -> list[FloatArray]:
        """What is averaged laterally."""
        part = self.ratio / self.plane
        return [1 / self.c66, self.across, 1 / self.plane, part, self.soft + self.ratio * part]

    def back(
        self,
        level: list[FloatArray],
        moduli: tuple[FloatArray, FloatArray],
        along_z: csr_array,
        half: csr_array,
    ) -> tuple[FloatArray, FloatArray]:
        """Derivatives with respect to lambda and mu at the nodes from those with respect to ``compliances``."""
        lam, mu = moduli
        m = lam + 2 * mu
        by_c66, by_across, by_plane, by_part, by_soft = level
        ratio, plane = self.ratio, self.plane
        down = along_z.T.tocsr()
        d_c66 = _along(down, -by_c66 / self.c66**2, 2)
        d_ratio = _along(down, (by_part + 2 * ratio * by_soft) / plane, 2)
        d_soft = _along(down, by_soft, 2)
        d_plane = _along(down, -(by_plane + ratio * by_part + ratio**2 * by_soft) / plane**2, 2)
        d_across = _along(half.T.tocsr(), by_across, 2)
        d_lam = (2 * mu * d_ratio - d_soft + 4 * mu**2 * d_plane) / m**2
        d_mu = (-2 * lam * d_ratio - 2 * d_soft + (3 * lam**2 + 4 * lam * mu + 4 * mu**2) * d_plane) / m**2
        return d_lam, d_mu + d_c66 - d_across / mu**2


def _joined(
    rho: FloatArray, compliances: list[FloatArray], isotropic: npt.NDArray[np.bool_] | None
) -> Material:
    """The material of lateral means of ``_Columns.compliances``; where isotropic, of the same c66 and plane stress."""
    by_c66, across, by_plane, part, soft = compliances
    c66, plane, ratio = 1 / by_c66, 1 / by_plane, part / by_plane
    c33 = 1 / (soft - ratio * part)
    c13 = ratio * c33
    c12 = plane - c66 + ratio * c13
    if isotropic is not None:
        young = plane + c66
        lam = 2 * c66 * (young - 2 * c66) / (4 * c66 - young)
        c12, c13, c33 = (
            np.where(isotropic, one, other) for one, other in ((lam, c12), (lam, c13), (lam + 2 * c66, c33))
        )
    return Material(rho, c12, c13, c33, c66, across)


def _joined_back(
    material: Material, d: Material, isotropic: npt.NDArray[np.bool_] | None
) -> list[FloatArray]:
    """Derivatives with respect to ``_Columns.compliances`` from those with respect to the material."""
    c33, c66 = material.c33, material.c66
    ratio, plane = material.c13 / c33, material.c12 + c66 - material.c13**2 / c33
    d_ratio = c33 * (d.c13 + 2 * ratio * d.c12)
    by_soft = -(c33**2) * (d.c33 + ratio * d.c13 + ratio**2 * d.c12)
    by_part = plane * d_ratio - 2 * ratio * by_soft
    by_plane = -(plane**2) * d.c12 - plane * ratio * d_ratio + ratio**2 * by_soft
    by_c66 = -(c66**2) * (d.c66 - d.c12)
    if isotropic is not None:
        young = plane + c66
        d_lam, soft = d.c12 + d.c13 + d.c33, (4 * c66 - young) ** 2
        d_plane = d_lam * 4 * c66**2 / soft
        d_c66 = d.c66 + 2 * d.c33 + d_plane - d_lam * (2 + 8 * c66 * (young - 2 * c66) / soft)
        none = np.zeros_like(c66)
        by_c66, by_plane, by_part, by_soft = (
            np.where(isotropic, one, other)
            for one, other in (
                (-(c66**2) * d_c66, by_c66), (-(plane**2) * d_plane, by_plane), (none, by_part), (none, by_soft),
            )
        )  # fmt: skip
    return [by_c66, d.across, by_plane, by_part, by_soft]


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
        used = self.matrices[0][slab.first : slab.first + slab.count, :].indices
        return slice(int(used.min()), int(used.max()) + 1)

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
        columns = _Columns.of(_moduli(rho, vp, vs, stiffness), along_z, self.half)

        def level(values: FloatArray) -> FloatArray:
            return np.ascontiguousarray(_along(along_x, _along(along_y, values, 1), 0))

        dense = level(_along(along_z, rho, 2))
        return _joined(dense, [level(each) for each in columns.compliances], self._isotropic(model))

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
        isotropic = self._isotropic(model)
        if isotropic is not None:
            own = (self.slab or Slab.whole(self.layout.shape[0])).inside(self.layout.cells)
            isotropic = isotropic[own, *self.layout.inside[1:]]
        level = [self._to_columns(each) for each in _joined_back(material, derivatives, isotropic)]
        node_rho = self.to_nodes(derivatives.rho)
        if node_rho is None:
            return None
        rho, vp, vs = (np.asarray(a, dtype=np.float64) for a in (model.rho, model.vp, model.vs))
        stiffness = self._stiffness(model, None)
        lam, mu = _moduli(rho, vp, vs, stiffness)
        inner = self.layout.inside[2]
        along_z, half = self._inner[2], csr_array(self.half[inner, :])
        columns = _Columns.of((lam, mu), along_z, half)
        d_lam, d_mu = columns.back([each for each in level if each is not None], (lam, mu), along_z, half)
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
