"""Gaussian smoothing on a grid."""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn, idctn

from seisflow.domain import FloatArray, Grid
from seisflow.errors import InputError

__all__ = ["gaussian_smooth", "gaussian_smooth_root"]


def gaussian_smooth(values: FloatArray, grid: Grid, lengths: tuple[float, float, float]) -> FloatArray:
    """Convolve with a Gaussian, the field continued as its mirror image beyond the edges.

    In the basis of the cosine transform (DCT-II, Neumann edges, k_j = pi j / (n d)) the convolution is the
    multiplier exp(-(sx^2 kx^2 + sy^2 ky^2 + sz^2 kz^2) / 2). The operator is symmetric and positive definite,
    and leaves constants and sums over the nodes as they are.

    Parameters
    ----------
    values : ndarray (..., nx, ny, nz)
    grid : Grid
    lengths : tuple of 3 float
        Standard deviations along x, y, z in m; 0 leaves an axis alone.

    Returns
    -------
    ndarray (..., nx, ny, nz)
        Float64.

    Raises
    ------
    InputError
        If a length is negative or the shape is not that of the grid.
    """
    return _filtered(values, grid, lengths, 0.5)


def gaussian_smooth_root(values: FloatArray, grid: Grid, lengths: tuple[float, float, float]) -> FloatArray:
    """Apply the symmetric square root of ``gaussian_smooth``: twice is one of it."""
    return _filtered(values, grid, lengths, 0.25)


def _filtered(
    values: FloatArray, grid: Grid, lengths: tuple[float, float, float], factor: float
) -> FloatArray:
    if values.shape[-3:] != grid.shape:
        raise InputError(f"a field to smooth has shape {values.shape}, but the grid has {grid.shape}")
    if min(lengths) < 0 or not np.all(np.isfinite(lengths)):
        raise InputError(f"smoothing lengths must be finite and not negative, found {lengths} m")
    axes = [number for number in range(3) if lengths[number] > 0]
    if not axes:
        return np.array(values, dtype=np.float64)
    places = [number - 3 for number in axes]
    spectrum = dctn(np.asarray(values, dtype=np.float64), type=2, axes=places, norm="ortho")
    for number in axes:
        count = grid.shape[number]
        wavenumber = np.pi * np.arange(count) / (count * grid.spacing[number])
        multiplier = np.exp(-factor * (lengths[number] * wavenumber) ** 2)
        spectrum *= multiplier.reshape([count if axis == number else 1 for axis in range(3)])
    result: FloatArray = idctn(spectrum, type=2, axes=places, norm="ortho")
    return result
