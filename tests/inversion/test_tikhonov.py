"""Damping and roughness: values known on paper, exact gradients, independence of the grid."""

import numpy as np
import pytest

from seisflow.domain import Grid, Model, Projection
from seisflow.errors import InputError
from seisflow.inversion import InversionConfig, tikhonov, updated

GRID = Grid((0.0, 0.0, 0.0), (1e3, 2e3, 500.0), (7, 6, 9))


def make_model(grid=GRID):
    z = np.broadcast_to(grid.z, grid.shape)
    vs = 2500 + 0.1 * z
    return Model(grid, Projection(40.0, 10.0), 1.75 * vs, vs, np.full(grid.shape, 2600.0))


def moved(model, *relative):
    return updated(model, np.stack(relative), 1.0, ("vp", "vs"))


def test_uniform_change_costs_half_its_square_and_no_roughness():
    start = make_model()
    model = moved(start, np.full(GRID.shape, 0.02), np.full(GRID.shape, -0.01))
    config = InversionConfig(damping=30.0, roughness=5.0)
    penalty = tikhonov(start, model, ("vp", "vs"), config, 4.0)
    assert penalty.damping == pytest.approx(4 * 30 * 0.5 * (0.02**2 + 0.01**2), rel=1e-10)
    assert penalty.roughness == pytest.approx(0.0, abs=1e-20)
    assert penalty.value == penalty.damping + penalty.roughness


def test_linear_change_costs_half_the_square_of_slope_times_length():
    start = make_model()
    x, y, z = np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij")
    slopes = (1e-6, -2e-6, 3e-6)
    change = slopes[0] * x + slopes[1] * y + slopes[2] * z
    lengths = (10e3, 8e3, 5e3)
    config = InversionConfig(roughness=2.0, roughness_lengths=lengths)
    penalty = tikhonov(start, moved(start, change, np.zeros(GRID.shape)), ("vp", "vs"), config, 1.0)
    wanted = sum((length * slope) ** 2 for length, slope in zip(lengths, slopes, strict=True))
    assert penalty.value == pytest.approx(wanted, rel=1e-9) and penalty.damping == 0.0


def test_value_does_not_depend_on_the_grid():
    config, values = InversionConfig(damping=1.0, roughness=1.0), []
    for factor in (1, 2, 4):
        shape = (12 * factor + 1, 10 * factor + 1, 8 * factor + 1)
        grid = Grid((0.0, 0.0, 0.0), (2e3 / factor, 2e3 / factor, 1e3 / factor), shape)
        x, y, z = np.meshgrid(grid.x / grid.end[0], grid.y / grid.end[1], grid.z / grid.end[2], indexing="ij")
        change = 0.02 * np.sin(2 * x) * np.cos(y) * (1 + z)
        start = make_model(grid)
        penalty = tikhonov(start, moved(start, change, 0.5 * change), ("vp", "vs"), config, 1.0)
        values.append((penalty.damping, penalty.roughness))
    values = np.array(values)
    np.testing.assert_allclose(values[0], values[2], rtol=3e-3)
    np.testing.assert_allclose(values[1], values[2], rtol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"damping": 20.0},
        {"roughness": 7.0},
        {"damping": 3.0, "roughness": 2.0, "roughness_lengths": (4e3, 0.0, 9e3), "logarithmic": False},
    ],
)
def test_gradient_is_the_derivative_of_the_value(settings):
    start = make_model()
    config = InversionConfig(parameters=("vs", "vp_vs"), **settings)
    variables = config.parametrisation(start)
    rng = np.random.default_rng(0)
    model = updated(start, rng.standard_normal((2, *GRID.shape)), 0.03, variables)
    penalty = tikhonov(start, model, variables, config, 2.5)
    direction = rng.standard_normal((2, *GRID.shape))
    ahead, behind = (
        tikhonov(start, updated(model, direction, s, variables), variables, config, 2.5).value
        for s in (1e-3, -1e-3)
    )
    # the terms are parabolas of the variables: the central difference is exact to rounding
    assert (ahead - behind) / 2e-3 == pytest.approx(np.sum(penalty.gradient * direction), rel=1e-9)
    assert penalty.gradient.shape == (2, *GRID.shape) and penalty.value > 0


def test_minimum_of_data_and_damping_is_between_them():
    """J = 1/2 <(u - t)^2> + damping 1/2 <u^2> is least at t / (1 + damping): there the gradients cancel."""
    start, target, damping = make_model(), 0.03, 0.5
    model = moved(start, np.full(GRID.shape, target / 1.5), np.zeros(GRID.shape))
    full = moved(start, np.full(GRID.shape, target), np.zeros(GRID.shape))
    config, unit = InversionConfig(damping=damping), InversionConfig(damping=1.0)
    data = tikhonov(full, model, ("vp", "vs"), unit, 1.0)
    both = data.gradient + tikhonov(start, model, ("vp", "vs"), config, 1.0).gradient
    np.testing.assert_allclose(both, 0.0, atol=1e-12 * np.abs(data.gradient).max())
    assert np.abs(data.gradient).max() > 0


def test_no_weights_cost_nothing_and_a_bad_scale_is_refused():
    start = make_model()
    model = moved(start, np.full(GRID.shape, 0.02), np.full(GRID.shape, -0.01))
    penalty = tikhonov(start, model, ("vp", "vs"), InversionConfig(), 1.0)
    assert penalty.value == 0.0 and not penalty.gradient.any()
    for scale in (-1.0, float("nan")):
        with pytest.raises(InputError, match="relative to"):
            tikhonov(start, model, ("vp", "vs"), InversionConfig(), scale)
