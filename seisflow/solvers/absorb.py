"""Coefficients of the convolutional perfectly matched layer (CPML)."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray

__all__ = ["profiles"]

_REFLECTION = 1e-12


def profiles(
    shape: tuple[int, int, int], cells: int, ratio: float, step: float, frequency: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients a, b at nodes and a, b at half nodes, (4, n) along each axis; none at the surface.

    With x the depth into a layer of width L: sigma = sigma0 (x/L)^3, sigma0 = 2 vp ln(1/R) / L, R = 1e-12,
    alpha = pi f, b = exp(-(sigma + alpha) dt), a = sigma / (sigma + alpha) (b - 1); the memory variable follows
    psi = b psi + a d, and d + psi replaces the derivative d (Komatitsch & Martin 2007, eq. 21-25).

    In that paper alpha falls to zero across the layer. Then guided waves grow whose phase and energy travel opposite
    ways (Becache et al. 2003), as layers of low speed have them. With a constant alpha they hardly do; periods well
    above 1/f are damped less, for which R makes up.

    Parameters
    ----------
    shape : tuple of 3 int
    cells : int
        L in cells.
    ratio : float
        Largest P speed times time step over spacing.
    step : float
        s.
    frequency : float
        f in Hz, about the dominant one.
    """
    result = []
    for axis, count in enumerate(shape):
        values = np.zeros((4, count))
        for row, place in ((0, np.arange(count)), (2, np.arange(count) + 0.5)):
            depth = np.maximum(0.0, place - (count - 1 - cells))
            if axis < 2:
                depth = np.maximum(depth, cells - place)
            depth = np.minimum(depth / max(cells, 1), 1.0)
            sigma = 2 * ratio * np.log(1 / _REFLECTION) / max(cells, 1) * depth**3  # sigma dt
            alpha = np.pi * frequency * step
            b = np.exp(-(sigma + alpha))
            values[row] = np.where(depth > 0, sigma / np.where(depth > 0, sigma + alpha, 1.0) * (b - 1), 0.0)
            values[row + 1] = b
        result.append(values)
    return result[0], result[1], result[2]
