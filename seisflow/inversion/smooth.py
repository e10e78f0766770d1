"""Gaussian smoothing on a grid, with lengths that may vary with depth."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray, Grid, Model
from seisflow.errors import InputError
from seisflow.fourier import dctn, idctn
from seisflow.inversion.config import InversionConfig

__all__ = ["Lengths", "gaussian_smooth", "gaussian_smooth_root", "smoothing_lengths"]

Lengths = tuple[float | FloatArray, float | FloatArray, float | FloatArray]
"""Standard deviations along x, y, z in m, each a number or one at each depth of the grid (nz,)."""


def smoothing_lengths(config: InversionConfig, model: Model, shortest_period: float) -> Lengths:
    """Lengths of the smoothing in m, from metres or from wavelengths.

    Parameters
    ----------
    config : InversionConfig
        ``smoothing`` and ``smoothing_unit``. A wavelength at depth z is the mean vs(z) times the period.
    model : Model
        For the mean vs; the same in all iterations of a stage, or the metric of the directions changes.
    shortest_period : float
        Of the band, in s.

    Returns
    -------
    tuple of 3 float, or of 3 ndarray (nz,)
    """
    if config.smoothing_unit == "m":
        return config.smoothing
    if not (np.isfinite(shortest_period) and shortest_period > 0):
        raise InputError(f"shortest period = {shortest_period} s: a wavelength needs a positive one")
    wavelength = shortest_period * np.mean(np.asarray(model.vs, np.float64), axis=(0, 1))
    x, y, z = config.smoothing
    return x * wavelength, y * wavelength, z * wavelength


def gaussian_smooth(values: FloatArray, grid: Grid, lengths: Lengths) -> FloatArray:
    """Convolve with a Gaussian, the field continued as its mirror image beyond the edges.

    In the basis of the cosine transform (DCT-II, Neumann edges, k_j = pi j / (n d)) the convolution is the
    multiplier exp(-(sx^2 kx^2 + sy^2 ky^2 + sz^2 kz^2) / 2). The operator is symmetric and positive definite,
    and leaves constants and sums over the nodes as they are.

    Where lengths vary with depth, it is A A' with A = H^(1/2) V^(1/2): H that multiplier of x and y at each depth,
    V = exp(D / 2) with D = d/dz (sz(z)^2 d/dz) without flux through the ends, the diffusion whose Gaussian has the
    local length. The derivative is that of the cosine series, so that a constant length gives the multiplier.

    Parameters
    ----------
    values : ndarray (..., nx, ny, nz)
    grid : Grid
    lengths : tuple of 3 float or ndarray (nz,)
        Standard deviations along x, y, z in m, see ``Lengths``; 0 leaves an axis alone.

    Returns
    -------
    ndarray (..., nx, ny, nz)
        Float64.

    Raises
    ------
    InputError
        If a length is negative or not one number or nz, or the shape is not that of the grid.
    """
    constant = _constant(lengths, grid)
    if constant is not None:
        return _filtered(values, grid, constant, 0.5)
    return gaussian_smooth_root(gaussian_smooth_root(values, grid, lengths, transpose=True), grid, lengths)


def gaussian_smooth_root(
    values: FloatArray, grid: Grid, lengths: Lengths, *, transpose: bool = False
) -> FloatArray:
    """Apply the root A of ``gaussian_smooth`` (or its transpose): A A' is one of it.

    With constant lengths A is symmetric. Arguments and errors are those of ``gaussian_smooth``.
    """
    constant = _constant(lengths, grid)
    if constant is not None:
        return _filtered(values, grid, constant, 0.25)
    _check_shape(values, grid)
    along_x, along_y, along_z = (np.broadcast_to(length, grid.shape[2]) for length in lengths)
    root = _vertical_root(along_z, grid.spacing[2])
    result: FloatArray = np.asarray(values, dtype=np.float64)
    if not transpose:
        result = np.einsum("...k,kl->...l", result, root)
    spectrum = dctn(result, type=2, axes=(-3, -2), norm="ortho")
    spectrum *= _horizontal_root(along_x, grid, 0)[:, None, :]
    spectrum *= _horizontal_root(along_y, grid, 1)[None, :, :]
    result = idctn(spectrum, type=2, axes=(-3, -2), norm="ortho")
    if transpose:
        result = np.einsum("...k,kl->...l", result, root)
    return result


def _constant(lengths: Lengths, grid: Grid) -> tuple[float, float, float] | None:
    """The lengths as numbers if none varies; None otherwise."""
    for length in lengths:
        if np.ndim(length) > 1 or np.size(length) not in (1, grid.shape[2]):
            raise InputError(
                f"a smoothing length has shape {np.shape(length)}; give one number, or one at each of the "
                f"{grid.shape[2]} depths of the grid"
            )
        if np.min(length) < 0 or not np.all(np.isfinite(length)):
            raise InputError(f"smoothing lengths must be finite and not negative, found {lengths} m")
    if any(np.ptp(length) > 0 for length in lengths):
        return None
    x, y, z = (float(np.ravel(length)[0]) for length in lengths)
    return x, y, z


def _check_shape(values: FloatArray, grid: Grid) -> None:
    if values.shape[-3:] != grid.shape:
        raise InputError(f"a field to smooth has shape {values.shape}, but the grid has {grid.shape}")


def _filtered(
    values: FloatArray, grid: Grid, lengths: tuple[float, float, float], factor: float
) -> FloatArray:
    _check_shape(values, grid)
    axes = [number for number in range(3) if lengths[number] > 0]
    if not axes:
        return np.array(values, dtype=np.float64)
    places = [number - 3 for number in axes]
    spectrum = dctn(np.asarray(values, dtype=np.float64), type=2, axes=places, norm="ortho")
    for number in axes:
        multiplier = np.exp(-factor * (lengths[number] * _wavenumbers(grid, number)) ** 2)
        spectrum *= multiplier.reshape([-1 if axis == number else 1 for axis in range(3)])
    result: FloatArray = idctn(spectrum, type=2, axes=places, norm="ortho")
    return result


def _wavenumbers(grid: Grid, number: int) -> FloatArray:
    count = grid.shape[number]
    wavenumbers: FloatArray = np.pi * np.arange(count) / (count * grid.spacing[number])
    return wavenumbers


def _horizontal_root(lengths: FloatArray, grid: Grid, number: int) -> FloatArray:
    """Multiplier of the wavenumbers along x or y at each depth, shape (n, nz)."""
    multiplier: FloatArray = np.exp(-0.25 * np.outer(_wavenumbers(grid, number), lengths) ** 2)
    return multiplier


def _vertical_root(lengths: FloatArray, spacing: float) -> FloatArray:
    """exp(D / 4), symmetric (nz, nz), D = -G' s^2 G with G the derivative of the cosine series between the nodes.

    cos(k_m z) at the nodes differentiates to -k_m sin(k_m z) half-way between them; sines and cosines are
    orthonormal bases, so in that of the cosines D = -K S s^2 S' K, and the constant is left out of it.
    """
    count = lengths.size
    order = np.arange(1, count)
    wavenumber = np.pi * order / (count * spacing)
    nodes, between = np.arange(count) + 0.5, np.arange(1, count)
    cosines = np.sqrt(2 / count) * np.cos(np.pi / count * np.outer(order, nodes))
    sines = np.sqrt(2 / count) * np.sin(np.pi / count * np.outer(order, between))
    flux = wavenumber[:, None] * sines * (0.5 * (lengths[1:] + lengths[:-1]))
    decay, modes = np.linalg.eigh(flux @ flux.T)
    shapes = modes.T @ cosines
    root: FloatArray = (shapes.T * np.exp(-0.25 * np.maximum(decay, 0.0))) @ shapes + 1.0 / count
    symmetric: FloatArray = 0.5 * (root + root.T)
    return symmetric
