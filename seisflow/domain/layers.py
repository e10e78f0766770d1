"""Layered Earth models, and gridded models made of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from seisflow.domain.geography import Projection
from seisflow.domain.grid import FloatArray, Grid
from seisflow.domain.model import Model
from seisflow.errors import InputError

__all__ = ["Layers", "layered_model"]


@dataclass(frozen=True, eq=False)
class Layers:
    """Homogeneous layers from the surface down; the last one has no bottom.

    Parameters
    ----------
    thickness : ndarray (n,)
        m; of the last layer it does not count.
    vp, vs : ndarray (n,)
        Speeds of P and S waves in m/s at the reference frequencies.
    rho : ndarray (n,)
        Density in kg/m3.
    qp, qs : ndarray (n,), optional
        Quality factors of P and S; infinite (no attenuation), if left out.
    frequency_p, frequency_s : ndarray (n,), optional
        Reference frequencies of vp and vs in Hz; 1 Hz, if left out.
    """

    thickness: FloatArray
    vp: FloatArray
    vs: FloatArray
    rho: FloatArray
    qp: FloatArray = field(default_factory=lambda: np.empty(0))
    qs: FloatArray = field(default_factory=lambda: np.empty(0))
    frequency_p: FloatArray = field(default_factory=lambda: np.empty(0))
    frequency_s: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        defaults = {"qp": np.inf, "qs": np.inf, "frequency_p": 1.0, "frequency_s": 1.0}
        for name, value in defaults.items():
            if getattr(self, name).size == 0:
                object.__setattr__(self, name, np.full(self.vp.shape, value))
        for name in ("thickness", "vp", "vs", "rho", *defaults):
            values = getattr(self, name)
            if values.shape != (self.vp.size,) or values.size == 0:
                raise InputError(f"layered model: {name} has {values.size} values, vp has {self.vp.size}")
            count = values.size - 1 if name == "thickness" else values.size
            bad = np.flatnonzero(np.isnan(values[:count]) | (values[:count] <= 0))
            if bad.size:
                raise InputError(
                    f"layered model, layer {bad[0] + 1}: {name} = {values[bad[0]]:g} must be positive"
                )

    @property
    def tops(self) -> FloatArray:
        """Depths of the tops of the layers in m, shape (n,); the first is 0."""
        return np.concatenate([[0.0], np.cumsum(self.thickness[:-1])])

    @property
    def losses(self) -> tuple[FloatArray, FloatArray]:
        """1/Q of bulk and of shear modulus, from those of P and S waves, each (n,).

        1/Qp = (1 - L) / Qkappa + L / Qmu with L = 4/3 (vs/vp)^2 (Stein & Wysession 2003, eq. 3.7.9). Where Qp is so
        large that the bulk modulus would gain, it loses nothing.
        """
        share = 4 / 3 * (self.vs / self.vp) ** 2
        bulk = np.maximum(1 / self.qp - share / self.qs, 0.0) / (1 - share)
        return bulk, 1 / self.qs

    def at_period(self, period: float) -> Layers:
        """Shift the speeds to what waves of one period see: physical dispersion of a constant Q.

        v(f) = v0 (1 + ln(f / f0) / (pi Q)) (Aki & Richards 2002, eq. 5.94).

        Parameters
        ----------
        period : float
            s.

        Returns
        -------
        Layers
            With the reference frequency 1 / period.

        Raises
        ------
        InputError
            If the period is not positive, or Q so small that no speed is left.
        """
        if not period > 0:
            raise InputError(f"reference period must be positive, found {period} s")
        frequency = np.full(self.vp.shape, 1.0 / period)
        vp = self.vp * (1.0 + np.log(frequency / self.frequency_p) / (np.pi * self.qp))
        vs = self.vs * (1.0 + np.log(frequency / self.frequency_s) / (np.pi * self.qs))
        if min(vp.min(), vs.min()) <= 0:
            raise InputError(
                f"layered model: Q of {min(self.qp.min(), self.qs.min()):g} is too small for {period} s"
            )
        return replace(self, vp=vp, vs=vs, frequency_p=frequency, frequency_s=frequency)


def _shares(tops: FloatArray, edges: FloatArray) -> FloatArray:
    """Give the share of each layer in each cell between edges, shape (cells, layers); rows sum to 1."""
    bottoms = np.concatenate([tops[1:], [np.inf]])
    starts = np.concatenate([[-np.inf], tops[1:]])
    upper = np.maximum(edges[:-1, None], starts[None, :])
    lower = np.minimum(edges[1:, None], bottoms[None, :])
    shares: FloatArray = np.maximum(lower - upper, 0.0) / np.diff(edges)[:, None]
    return shares


def layered_model(
    layers: Layers, grid: Grid, projection: Projection, reference_period: float | None = None
) -> Model:
    """Put a layered Earth on a grid, averaged exactly over the cell of each node.

    The cell of a node reaches half-way to its neighbours (half cells at the edges of the grid). Over it the
    density is averaged arithmetically, bulk and shear modulus harmonically: thin layers act as their
    effective medium, and an interface may lie between nodes (Moczo et al. 2002). Above z = 0 the first layer
    goes on.

    Parameters
    ----------
    layers : Layers
    grid : Grid
    projection : Projection
    reference_period : float, optional
        s; the speeds are first shifted to this period (``Layers.at_period``). Left out: as they are.

    Returns
    -------
    Model
        float64, the same in every column; with quality factors if the layers have them and a reference period is
        given.

    Raises
    ------
    InputError
        For layers without a positive bulk modulus (vp/vs below 1.155).
    """
    if reference_period is not None:
        layers = layers.at_period(reference_period)
    mu = layers.rho * layers.vs**2
    kappa = layers.rho * layers.vp**2 - 4.0 / 3.0 * mu
    if kappa.min() <= 0:
        worst = int(np.argmin(kappa))
        raise InputError(
            f"layer {worst + 1}: vp = {layers.vp[worst]:g} m/s with vs = {layers.vs[worst]:g} m/s, "
            "but vp/vs must be above 1.155"
        )
    z = grid.z
    edges = np.concatenate([z[:1], 0.5 * (z[:-1] + z[1:]), z[-1:]])
    shares = _shares(layers.tops, edges)
    rho = shares @ layers.rho
    bulk = 1.0 / (shares @ (1.0 / kappa))
    shear = 1.0 / (shares @ (1.0 / mu))
    column = {"vp": np.sqrt((bulk + 4.0 / 3.0 * shear) / rho), "vs": np.sqrt(shear / rho), "rho": rho}
    frequency = 1.0
    if reference_period is not None and np.isfinite(np.concatenate([layers.qp, layers.qs])).any():
        frequency = 1 / reference_period
        losses = zip(("qkappa", "qmu"), layers.losses, (kappa, mu), (bulk, shear), strict=True)
        with np.errstate(divide="ignore"):
            column |= {name: 1 / ((shares @ (loss / each)) * whole) for name, loss, each, whole in losses}
    fields = {name: np.tile(values, (*grid.shape[:2], 1)) for name, values in column.items()}
    return Model(grid, projection, **fields, reference_frequency=frequency)
