"""Sum, mask and smoothing of kernels."""

import numpy as np
import pytest

from seisflow.domain import Grid, Kernel
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion import gaussian_smooth, gaussian_smooth_root, point_mask, sum_kernels

GRID = Grid((-10e3, 5e3, 0.0), (1e3, 2e3, 500.0), (24, 17, 13))


def random_kernel(seed, grid=GRID, illumination=True):
    rng = np.random.default_rng(seed)
    fields = {name: rng.standard_normal(grid.shape) for name in ("vp", "vs", "rho")}
    return Kernel(grid, **fields, illumination=rng.random(grid.shape) if illumination else None)


def test_sum_is_the_weighted_sum_from_a_generator():
    kernels = [random_kernel(seed) for seed in range(4)]
    weights = [1.0, 0.5, 2.0, -1.0]
    total = sum_kernels((f"e{n}", w, k) for n, (w, k) in enumerate(zip(weights, kernels, strict=True)))
    wanted = sum(w * k.vs for w, k in zip(weights, kernels, strict=True))
    np.testing.assert_allclose(total.vs, wanted, rtol=1e-14, atol=1e-14)
    light = sum(abs(w) * k.illumination for w, k in zip(weights, kernels, strict=True))
    np.testing.assert_allclose(total.illumination, light, rtol=1e-14)


def test_sum_repeats_bit_for_bit_and_adds_single_precision_in_double():
    kernels = [random_kernel(seed) for seed in range(3)]
    single = [Kernel(GRID, k.vp.astype("f4"), k.vs.astype("f4"), k.rho.astype("f4")) for k in kernels]
    first, again = (sum_kernels([(str(n), 1.0, k) for n, k in enumerate(single)]) for _ in range(2))
    assert first.vp.dtype == np.float64 and first.vp.tobytes() == again.vp.tobytes()
    exact = sum(k.vp.astype("f8") for k in single)
    np.testing.assert_array_equal(first.vp, exact)


def test_sum_keeps_illumination_only_if_every_kernel_has_it():
    kernels = [("a", 1.0, random_kernel(1)), ("b", 1.0, random_kernel(2, illumination=False))]
    assert sum_kernels(kernels).illumination is None
    assert sum_kernels(kernels[::-1]).illumination is None


def test_sum_names_the_event_whose_kernel_is_broken():
    broken = random_kernel(3)
    broken.vs[2, 3, 4] = np.nan
    with pytest.raises(PhysicsError, match=r"event second.*vs is NaN or infinite at 1 nodes"):
        sum_kernels([("first", 1.0, random_kernel(1)), ("second", 1.0, broken)])


def test_sum_refuses_nothing_other_grids_and_zero():
    with pytest.raises(InputError, match="no event kernel"):
        sum_kernels([])
    other = Grid(GRID.origin, GRID.spacing, (24, 17, 12))
    with pytest.raises(InputError, match="event b is on"):
        sum_kernels([("a", 1.0, random_kernel(1)), ("b", 1.0, random_kernel(1, other))])
    with pytest.raises(PhysicsError, match="zero everywhere"):
        sum_kernels([("a", 0.0, random_kernel(1))])


def test_mask_has_the_gaussian_profile_around_a_point():
    x0, y0, z0, radius = -1e3, 19e3, 2e3, 2.5e3
    mask = point_mask(GRID, np.array([x0]), np.array([y0]), np.array([z0]), radius)
    x, y, z = np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij")
    square = (x - x0) ** 2 + (y - y0) ** 2 + (z - z0) ** 2
    np.testing.assert_allclose(mask, 1 - np.exp(-square / (2 * radius**2)), atol=1e-13)
    assert mask[9, 7, 4] == 0.0 and mask.min() == 0.0 and mask.max() <= 1.0


def test_mask_does_not_depend_on_order_or_repetition_and_takes_the_nearest_point():
    rng = np.random.default_rng(0)
    x, y, z = rng.uniform(-10e3, 13e3, 12), rng.uniform(5e3, 37e3, 12), np.zeros(12)
    mask = point_mask(GRID, x, y, z, 3e3)
    order = np.concatenate([rng.permutation(12), [0, 0, 5]])
    again = point_mask(GRID, x[order], y[order], z[order], 3e3)
    assert mask.tobytes() == again.tobytes()
    singles = [point_mask(GRID, x[i : i + 1], y[i : i + 1], z[i : i + 1], 3e3) for i in range(12)]
    np.testing.assert_allclose(mask, np.min(singles, axis=0), atol=1e-13)


def test_mask_of_far_points_no_points_and_no_radius_is_one():
    far = np.array([1e6]), np.array([1e6]), np.array([0.0])
    none = np.zeros(0), np.zeros(0), np.zeros(0)
    for mask in (point_mask(GRID, *far, 3e3), point_mask(GRID, *none, 3e3), point_mask(GRID, *far, 0.0)):
        assert (mask == 1).all() and mask.shape == GRID.shape


def test_mask_refuses_bad_positions():
    good = np.zeros(2)
    with pytest.raises(InputError, match="one length"):
        point_mask(GRID, good, good, np.zeros(3), 1.0)
    with pytest.raises(InputError, match="NaN"):
        point_mask(GRID, good, good, np.array([0.0, np.nan]), 1.0)
    with pytest.raises(InputError, match="radius"):
        point_mask(GRID, good, good, good, -1.0)


LENGTHS = (3e3, 4.5e3, 900.0)


def test_smoothing_is_symmetric():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, *GRID.shape))
    for operator in (gaussian_smooth, gaussian_smooth_root):
        left = np.sum(operator(a, GRID, LENGTHS) * b)
        right = np.sum(a * operator(b, GRID, LENGTHS))
        assert abs(left - right) < 1e-13 * np.sqrt(np.sum(a**2) * np.sum(b**2))


def test_smoothing_is_positive_and_its_root_twice_is_itself():
    rng = np.random.default_rng(2)
    a = rng.standard_normal(GRID.shape)
    smoothed = gaussian_smooth(a, GRID, LENGTHS)
    assert np.sum(a * smoothed) > 0
    twice = gaussian_smooth_root(gaussian_smooth_root(a, GRID, LENGTHS), GRID, LENGTHS)
    np.testing.assert_allclose(twice, smoothed, atol=1e-14)


def test_smoothing_keeps_constants_and_sums():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((2, *GRID.shape))
    np.testing.assert_allclose(gaussian_smooth(np.full(GRID.shape, 3.5), GRID, LENGTHS), 3.5, rtol=1e-14)
    assert np.sum(gaussian_smooth(a, GRID, LENGTHS)) == pytest.approx(np.sum(a), rel=1e-11)


def test_smoothing_spreads_a_spike_by_the_length_in_metres():
    grid = Grid((0.0, 0.0, 0.0), (1e3, 500.0, 250.0), (81, 101, 121))
    spike = np.zeros(grid.shape)
    spike[40, 50, 60] = 1.0
    lengths = (4e3, 3e3, 1.5e3)
    smoothed = gaussian_smooth(spike, grid, lengths)
    for number, axis in enumerate((grid.x, grid.y, grid.z)):
        profile = smoothed.sum(axis=tuple(n for n in range(3) if n != number))
        mean = np.sum(profile * axis)
        spread = np.sqrt(np.sum(profile * (axis - mean) ** 2))
        assert spread == pytest.approx(lengths[number], rel=1e-6)


def test_smoothing_equals_convolution_with_the_mirrored_gaussian():
    grid = Grid((0.0, 0.0, 0.0), (100.0, 100.0, 100.0), (20, 3, 2))
    sigma, count = 250.0, 20
    rng = np.random.default_rng(4)
    a = rng.standard_normal(grid.shape)
    offsets = np.arange(-60, 61)
    weights = np.exp(-0.5 * (offsets * 100.0 / sigma) ** 2)
    weights /= weights.sum()
    mirrored = np.pad(a, ((3 * count, 3 * count), (0, 0), (0, 0)), mode="symmetric")
    wanted = sum(w * mirrored[3 * count + o : 4 * count + o] for o, w in zip(offsets, weights, strict=True))
    np.testing.assert_allclose(gaussian_smooth(a, grid, (sigma, 0.0, 0.0)), wanted, atol=1e-12)


def test_smoothing_with_zero_length_is_the_identity_and_bad_input_is_refused():
    a = np.random.default_rng(5).standard_normal(GRID.shape)
    same = gaussian_smooth(a, GRID, (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(same, a)
    assert same is not a
    with pytest.raises(InputError, match="shape"):
        gaussian_smooth(a[1:], GRID, LENGTHS)
    with pytest.raises(InputError, match="negative"):
        gaussian_smooth(a, GRID, (1.0, -1.0, 0.0))
