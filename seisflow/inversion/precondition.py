"""The first guess of the inverse Hessian: mask, smoothing and illumination in one symmetric operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seisflow.domain import FloatArray, Grid
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion.smooth import Lengths, gaussian_smooth_root

__all__ = ["InverseHessian", "illumination_weight"]


def illumination_weight(illumination: FloatArray, water_level: float) -> FloatArray:
    """Weight that lifts what few waves have seen: P = 1 / (I / max I + water level).

    Parameters
    ----------
    illumination : ndarray (nx, ny, nz)
        Not negative, any unit: ``Kernel.illumination`` summed over events. It is about the diagonal of the
        Hessian (Modrak & Tromp 2016, GJI 206, 1864).
    water_level : float
        Relative to the maximum; 0.02 to 0.05.

    Returns
    -------
    ndarray (nx, ny, nz)
        Between about 1 (at the maximum) and 1 / water_level (in the dark).

    Raises
    ------
    InputError
        If the water level is not positive.
    PhysicsError
        If the illumination is negative, not finite or zero everywhere.
    """
    if not water_level > 0:
        raise InputError(f"water_level = {water_level}: must be positive, usually 0.02 to 0.05")
    values = np.asarray(illumination, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high == 0:
        raise PhysicsError(
            f"illumination lies between {low:g} and {high:g}; it must be finite, not negative and not zero "
            "everywhere"
        )
    weight: FloatArray = 1.0 / (values / high + water_level)
    return weight


@dataclass(frozen=True, eq=False)
class InverseHessian:
    """H0 = W M A P A' M, symmetric and positive: the metric in which directions are sought.

    A A' is the smoothing (A = S^(1/2) where lengths do not vary with depth) and W a factor for each parameter. With
    H0 = L L', L = W^(1/2) M A P^(1/2), L-BFGS started from H0 is plain L-BFGS in the variables u of x = L u. So
    every update is smooth, is zero at the masked points, and descends; gradients go in as they are.

    Parameters
    ----------
    grid : Grid
    smoothing : tuple of 3 float or ndarray (nz,)
        Standard deviations in m, see ``gaussian_smooth`` and ``smoothing_lengths``.
    weight : ndarray (nx, ny, nz), optional
        P, see ``illumination_weight``; 1 if left out.
    mask : ndarray (nx, ny, nz), optional
        M, see ``point_mask``; 1 if left out.
    factors : tuple of float, optional
        W, one for each parameter, see ``Parametrisation.factors``; 1 if left out.
    """

    grid: Grid
    smoothing: Lengths
    weight: FloatArray | None = None
    mask: FloatArray | None = None
    factors: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name, values in (("weight", self.weight), ("mask", self.mask)):
            if values is not None and values.shape != self.grid.shape:
                raise InputError(f"{name} has shape {values.shape}, but the grid has {self.grid.shape}")
            if values is not None and (not np.isfinite(values).all() or values.min() < 0):
                raise PhysicsError(
                    f"{name} must be finite and not negative, its least value is {values.min():g}"
                )
        if self.factors is not None and not (np.isfinite(self.factors).all() and min(self.factors) > 0):
            raise InputError(f"factors of the parameters must be finite and positive, found {self.factors}")

    def __call__(self, vector: FloatArray) -> FloatArray:
        """Apply H0 to variables (parameters, nx, ny, nz), or to the same as a vector; the shape is kept.

        Raises
        ------
        InputError
            If there are not as many parameters as factors.
        """
        fields: FloatArray = np.asarray(vector, dtype=np.float64).reshape(-1, *self.grid.shape)
        if self.factors is not None and len(self.factors) != len(fields):
            raise InputError(f"{len(fields)} parameters have {len(self.factors)} factors")
        if self.mask is not None:
            fields = fields * self.mask
        fields = gaussian_smooth_root(fields, self.grid, self.smoothing, transpose=True)
        if self.weight is not None:
            fields *= self.weight
        fields = gaussian_smooth_root(fields, self.grid, self.smoothing)
        if self.mask is not None:
            fields *= self.mask
        if self.factors is not None and set(self.factors) != {1.0}:
            fields *= np.reshape(self.factors, (-1, 1, 1, 1))
        return fields.reshape(vector.shape)
