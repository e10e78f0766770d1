"""Smoothing with lengths that vary with depth, and lengths in wavelengths."""

import numpy as np
import pytest

from seisflow.domain import Grid, Model, Projection
from seisflow.errors import InputError
from seisflow.inversion import (
    InverseHessian,
    InversionConfig,
    gaussian_smooth,
    gaussian_smooth_root,
    smoothing_lengths,
)

GRID = Grid((0.0, 0.0, 0.0), (1e3, 1.2e3, 500.0), (18, 15, 21))
DEPTHS = np.linspace(0, 1, 21)
LENGTHS = (2e3 + 3e3 * DEPTHS, 3e3 * (1 + DEPTHS**2), 800.0 + 1500.0 * DEPTHS)


def scaled(lengths, factor):
    return tuple(factor * np.asarray(length) for length in lengths)


def test_varying_root_and_transpose_are_a_pair_and_give_the_smoothing():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2, *GRID.shape))
    left = np.sum(gaussian_smooth_root(a, GRID, LENGTHS) * b)
    right = np.sum(a * gaussian_smooth_root(b, GRID, LENGTHS, transpose=True))
    assert left == pytest.approx(right, rel=1e-12)
    plain = gaussian_smooth_root(b, GRID, LENGTHS)
    turned = gaussian_smooth_root(b, GRID, LENGTHS, transpose=True)
    assert np.abs(plain - turned).max() > 1e-3  # they do not commute: the order matters
    smoothed = gaussian_smooth(a, GRID, LENGTHS)
    assert np.sum(smoothed * b) == pytest.approx(np.sum(a * gaussian_smooth(b, GRID, LENGTHS)), rel=1e-12)
    norm = np.sum(gaussian_smooth_root(a, GRID, LENGTHS, transpose=True) ** 2)
    assert np.sum(a * smoothed) == pytest.approx(norm, rel=1e-12) and norm > 0


def test_varying_smoothing_keeps_constants_and_sums():
    for lengths in (LENGTHS, (LENGTHS[0], 0.0, LENGTHS[2]), (1e3, 1e3, scaled(LENGTHS, 5.0)[2])):
        for transpose in (False, True):
            flat = gaussian_smooth_root(np.full(GRID.shape, 3.5), GRID, lengths, transpose=transpose)
            np.testing.assert_allclose(flat, 3.5, rtol=1e-12)
        a = np.random.default_rng(1).random(GRID.shape)
        assert np.sum(gaussian_smooth(a, GRID, lengths)) == pytest.approx(np.sum(a), rel=1e-12)


def test_lengths_that_hardly_vary_give_the_constant_result():
    a = np.random.default_rng(2).standard_normal((2, *GRID.shape))
    constant = (3e3, 2e3, 1.2e3)
    wanted = gaussian_smooth(a, GRID, constant)
    tiny = np.ones(21)
    tiny[7] += 1e-15
    nearly = tuple(length * tiny for length in constant)
    assert np.ptp(nearly[2]) > 0
    np.testing.assert_allclose(gaussian_smooth(a, GRID, nearly), wanted, atol=1e-13)
    same = tuple(np.full(21, length) for length in constant)
    assert gaussian_smooth(a, GRID, same).tobytes() == wanted.tobytes()


def test_spike_spreads_by_the_length_of_its_depth():
    grid = Grid((0.0, 0.0, 0.0), (1e3, 1e3, 250.0), (41, 41, 161))
    level = np.linspace(0, 1, 161)
    lengths = (2e3 + 2e3 * level, 3e3 - 1e3 * level, 900.0 + 600.0 * level)
    for depth in (50, 110):
        spike = np.zeros(grid.shape)
        spike[20, 20, depth] = 1.0
        smoothed = gaussian_smooth(spike, grid, lengths)
        for number, axis in enumerate((grid.x, grid.y, grid.z)):
            profile = smoothed.sum(axis=tuple(n for n in range(3) if n != number))
            mean = np.sum(profile * axis)
            spread = np.sqrt(np.sum(profile * (axis - mean) ** 2))
            assert spread == pytest.approx(lengths[number][depth], rel=0.02)
        assert smoothed.min() > -1e-4 * smoothed.max()


def test_vertical_smoothing_is_the_diffusion_with_that_length():
    """Against many small explicit steps of the heat equation on a fine grid."""
    count, spacing = 32, 500.0
    grid = Grid((0.0, 0.0, 0.0), (1e3, 1e3, spacing), (2, 2, count))
    depths = (np.arange(count) + 0.5) / count
    sigma = 1e3 * (1.5 + np.sin(2 * depths))
    field = np.cos(np.pi * depths) + 0.5 * np.cos(3 * np.pi * depths)
    fine, steps = 16, 60_000
    fine_depths = (np.arange(count * fine) + 0.5) / (count * fine)
    values = np.cos(np.pi * fine_depths) + 0.5 * np.cos(3 * np.pi * fine_depths)
    middle = (fine_depths[1:] + fine_depths[:-1]) / 2
    diffusion = (1e3 * (1.5 + np.sin(2 * middle))) ** 2 / (spacing / fine) ** 2
    for _ in range(steps):
        flux = diffusion * np.diff(values)
        values[:-1] += 0.5 / steps * flux
        values[1:] -= 0.5 / steps * flux
    wanted = values.reshape(count, fine).mean(axis=1)
    smoothed = gaussian_smooth(np.broadcast_to(field, grid.shape), grid, (0.0, 0.0, sigma))
    np.testing.assert_allclose(smoothed[0, 0], wanted, atol=3e-3)
    assert np.abs(smoothed[0, 0] - field).max() > 0.1


def test_no_length_at_some_depths_leaves_them_alone_horizontally():
    lengths = (np.where(DEPTHS < 0.5, 0.0, 3e3), np.where(DEPTHS < 0.5, 0.0, 3e3), 0.0)
    a = np.random.default_rng(3).standard_normal(GRID.shape)
    smoothed = gaussian_smooth(a, GRID, lengths)
    np.testing.assert_allclose(smoothed[..., :10], a[..., :10], atol=1e-13)
    assert np.std(smoothed[..., 11:]) < 0.5 * np.std(a[..., 11:])


def test_inverse_hessian_with_varying_lengths_and_factors_is_symmetric_positive():
    rng = np.random.default_rng(4)
    weight, mask = 1 + 20 * rng.random(GRID.shape), rng.random(GRID.shape)
    operator = InverseHessian(GRID, LENGTHS, weight, mask, (1.0, 2.5))
    a, b = rng.standard_normal((2, 2 * GRID.size))
    assert np.sum(operator(a) * b) == pytest.approx(np.sum(a * operator(b)), rel=1e-11)
    root = gaussian_smooth_root(mask * a.reshape(2, *GRID.shape), GRID, LENGTHS, transpose=True)
    norm = np.sum(weight * root**2 * np.reshape([1.0, 2.5], (2, 1, 1, 1)))
    assert np.sum(a * operator(a)) == pytest.approx(norm, rel=1e-12)


def test_factors_scale_the_parameters_and_ones_change_no_bit():
    a = np.random.default_rng(5).standard_normal((2, *GRID.shape))
    plain = InverseHessian(GRID, (3e3, 2e3, 1e3))
    ones = InverseHessian(GRID, (3e3, 2e3, 1e3), factors=(1.0, 1.0))
    assert plain(a).tobytes() == ones(a).tobytes()
    halves = InverseHessian(GRID, (3e3, 2e3, 1e3), factors=(0.5, 1.0))(a)
    np.testing.assert_allclose(halves[0], 0.5 * plain(a)[0], rtol=1e-14)
    np.testing.assert_array_equal(halves[1], plain(a)[1])
    with pytest.raises(InputError, match="positive"):
        InverseHessian(GRID, (0.0, 0.0, 0.0), factors=(1.0, 0.0))
    with pytest.raises(InputError, match="2 parameters have 3 factors"):
        InverseHessian(GRID, (0.0, 0.0, 0.0), factors=(1.0, 1.0, 1.0))(a)


def test_wavelengths_follow_the_mean_speed_of_each_depth():
    rng = np.random.default_rng(6)
    vs = np.broadcast_to(2000 + 3000 * DEPTHS, GRID.shape) * (1 + 0.1 * rng.standard_normal(GRID.shape))
    model = Model(GRID, Projection(40.0, 10.0), 1.8 * vs, vs, np.full(GRID.shape, 2700.0))
    config = InversionConfig(smoothing=(0.5, 0.5, 0.25), smoothing_unit="wavelengths")
    lengths = smoothing_lengths(config, model, 8.0)
    np.testing.assert_allclose(lengths[0], 0.5 * 8.0 * vs.mean(axis=(0, 1)), rtol=1e-14)
    np.testing.assert_allclose(lengths[2], 0.5 * lengths[1], rtol=1e-14)
    metres = InversionConfig(smoothing=(5e3, 4e3, 3e3))
    assert smoothing_lengths(metres, model, 8.0) == (5e3, 4e3, 3e3)
    with pytest.raises(InputError, match="shortest period"):
        smoothing_lengths(config, model, 0.0)


def test_lengths_that_cannot_be_used_are_refused():
    a = np.zeros(GRID.shape)
    with pytest.raises(InputError, match=r"shape \(5,\)"):
        gaussian_smooth(a, GRID, (np.ones(5), 1.0, 1.0))
    with pytest.raises(InputError, match="negative"):
        gaussian_smooth(a, GRID, (1.0, 1.0, -LENGTHS[2]))
    with pytest.raises(InputError, match="the grid has"):
        gaussian_smooth(a[1:], GRID, LENGTHS)
    with pytest.raises(InputError, match="wavelengths: at most"):
        InversionConfig(smoothing_unit="wavelengths")
