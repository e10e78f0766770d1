"""Coefficients of the convolutional perfectly matched layer (CPML)."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray

__all__ = ["profiles"]

_REFLECTION = 1e-4


def profiles(
    shape: tuple[int, int, int], cells: int, ratio: float, step: float, frequency: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients a, b at nodes and a, b at half nodes, (4, n) along each axis; none at the surface.

    With x the depth into a layer of width L: sigma = sigma0 (x/L)^2, sigma0 = 3 vp ln(1/R) / (2L), R = 1e-4,
    alpha = pi f (1 - x/L), b = exp(-(sigma + alpha) dt), a = sigma / (sigma + alpha) (b - 1); the memory
    variable follows psi = b psi + a d, and d + psi replaces the derivative d (Komatitsch & Martin 2007, eq.
    21-25).

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
            sigma = 1.5 * ratio * np.log(1 / _REFLECTION) / max(cells, 1) * depth**2  # sigma dt
            alpha = np.pi * frequency * step * (1 - depth)
            b = np.exp(-(sigma + alpha))
            values[row] = np.where(depth > 0, sigma / np.where(depth > 0, sigma + alpha, 1.0) * (b - 1), 0.0)
            values[row + 1] = b
        result.append(values)
    return result[0], result[1], result[2]
