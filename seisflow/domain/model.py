"""Earth structure, and derivatives of a misfit with respect to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from seisflow.domain.event import SourceDerivatives
from seisflow.domain.geography import Projection
from seisflow.domain.grid import FloatArray, Grid
from seisflow.errors import InputError

__all__ = ["Kernel", "Model"]


def _check_shapes(grid: Grid, fields: dict[str, FloatArray]) -> None:
    for name, values in fields.items():
        if values.shape != grid.shape:
            raise InputError(f"{name} has shape {values.shape}, but the grid has {grid.shape}")


@dataclass(frozen=True, eq=False)
class Model:
    """Isotropic Earth structure on a regular grid, elastic or with attenuation.

    Parameters
    ----------
    grid : Grid
    projection : Projection
        Where the local coordinates are on Earth.
    vp, vs : ndarray (nx, ny, nz)
        Speeds of P and S waves in m/s.
    rho : ndarray (nx, ny, nz)
        Density in kg/m3.
    qkappa, qmu : ndarray (nx, ny, nz), optional
        Quality factors of bulk and shear modulus, both or none; infinite where nothing is lost.
    reference_frequency : float
        Hz; with quality factors speeds depend on frequency, and ``vp`` and ``vs`` are those at this one.
    """

    PARAMETERS: ClassVar[tuple[str, ...]] = ("vp", "vs", "rho")
    QUALITY: ClassVar[tuple[str, ...]] = ("qkappa", "qmu")

    grid: Grid
    projection: Projection
    vp: FloatArray
    vs: FloatArray
    rho: FloatArray
    qkappa: FloatArray | None = None
    qmu: FloatArray | None = None
    reference_frequency: float = 1.0

    def __post_init__(self) -> None:
        _check_shapes(self.grid, self.fields() | self.quality())
        if (self.qkappa is None) != (self.qmu is None):
            raise InputError("a model has both qkappa and qmu, or none of them")

    def fields(self) -> dict[str, FloatArray]:
        """The three fields by name, in the order of ``PARAMETERS``."""
        return {name: getattr(self, name) for name in self.PARAMETERS}

    def quality(self) -> dict[str, FloatArray]:
        """The quality factors by name, none for an elastic model."""
        return {name: getattr(self, name) for name in self.QUALITY if getattr(self, name) is not None}

    def with_fields(self, **fields: FloatArray) -> Model:
        """A new model with some of the fields replaced."""
        return replace(self, **fields)  # type: ignore[arg-type]

    def check(self, where: str = "model") -> None:
        """Refuse values that no rock has.

        Raises
        ------
        InputError
            With the place and the value of the first fault: NaN, infinite, not positive, or vp/vs too small for a
            positive bulk modulus (vp^2 > 4/3 vs^2). Quality factors may be infinite.
        """
        for name, values in self.quality().items():
            bad = np.isnan(values) | (values <= 0)
            if bad.any():
                found = f"{name} = {values[tuple(np.argwhere(bad)[0])]}"
                self._complain(where, bad, found, "positive (infinite without attenuation)")
        if self.quality() and not 0 < self.reference_frequency < np.inf:
            raise InputError(
                f"{where}: reference_frequency = {self.reference_frequency} Hz; it must be positive"
            )
        for name, values in self.fields().items():
            bad = ~np.isfinite(values) | (values <= 0)
            if bad.any():
                self._complain(
                    where, bad, f"{name} = {values[tuple(np.argwhere(bad)[0])]}", "finite and positive"
                )
        bad = self.vp**2 <= 4.0 / 3.0 * self.vs**2
        if bad.any():
            place = tuple(np.argwhere(bad)[0])
            found = f"vp = {self.vp[place]:g} m/s with vs = {self.vs[place]:g} m/s"
            self._complain(where, bad, found, "such that vp/vs is above 1.155")

    def _complain(self, where: str, bad: np.ndarray, found: str, wanted: str) -> None:
        i, j, k = np.argwhere(bad)[0]
        g = self.grid
        raise InputError(
            f"{where}: {found} at x = {g.x[i]:g} m, y = {g.y[j]:g} m, z = {g.z[k]:g} m "
            f"(and {int(bad.sum()) - 1} more nodes); values must be {wanted}"
        )


@dataclass(frozen=True, eq=False)
class Kernel:
    """Derivatives of a misfit with respect to the node values of a model.

    Parameters
    ----------
    grid : Grid
        The grid of the model.
    vp, vs, rho : ndarray (nx, ny, nz)
        dJ/d(node value), in misfit unit per m/s and per kg/m3. Exact partial derivatives of the discrete misfit, not
        densities; ``density`` divides by the volume of a node.
    illumination : ndarray (nx, ny, nz), optional
        sqrt(sum |v|^2 sum |p|^2) of forward and adjoint velocity: the diagonal from which preconditioners are made.
    source : SourceDerivatives, optional
        Of the same misfit with respect to the source, where they were asked for.
    """

    grid: Grid
    vp: FloatArray
    vs: FloatArray
    rho: FloatArray
    illumination: FloatArray | None = None
    source: SourceDerivatives | None = None

    def __post_init__(self) -> None:
        _check_shapes(self.grid, self.fields())

    def fields(self) -> dict[str, FloatArray]:
        """The three derivatives by name, in the order of ``Model.PARAMETERS``."""
        return {name: getattr(self, name) for name in Model.PARAMETERS}

    def density(self) -> Kernel:
        """The kernel per unit volume: node values divided by the volume of the node's cell (half cells at edges)."""
        weights = []
        for number in range(3):
            width = np.full(self.grid.shape[number], self.grid.spacing[number])
            width[[0, -1]] /= 2
            weights.append(width)
        volume = weights[0][:, None, None] * weights[1][None, :, None] * weights[2][None, None, :]
        return replace(self, **{name: values / volume for name, values in self.fields().items()})
