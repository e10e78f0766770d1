"""Plain and logarithmic variables, vp/vs, ties, bounds."""

import itertools

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy.optimize import minimize

from seisflow.domain import Grid, Kernel, Model, Projection
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion import (
    Fail,
    History,
    InversionConfig,
    LineSearch,
    Next,
    Parametrisation,
    Trial,
    change,
    check_bounds,
    direction,
    free_nodes,
    gradient,
    updated,
    within_bounds,
)

GRID = Grid((0.0, 0.0, 0.0), (1e3, 1e3, 1e3), (5, 4, 6))


def make_model(seed=0, spread=300.0):
    rng = np.random.default_rng(seed)
    vs = 3000 + spread * rng.standard_normal(GRID.shape)
    vp = (1.75 + 0.05 * rng.standard_normal(GRID.shape)) * vs
    return Model(GRID, Projection(40.0, 10.0), vp, vs, 2500 + 50 * rng.standard_normal(GRID.shape))


CHOICES = [
    InversionConfig(parameters=parameters, logarithmic=logarithmic, tied=tied)
    for (parameters, tied), logarithmic in itertools.product(
        [
            (("vp", "vs"), {}),
            (("vs", "vp", "rho"), {}),
            (("vs",), {"rho": 0.33, "vp": 0.8}),
            (("vs", "vp_vs"), {}),
            (("vp_vs", "vs", "rho"), {}),
            (("vs", "vp_vs"), {"rho": -0.4}),
            (("vp", "vs"), {"rho": 1.0}),
        ],
        [True, False],
    )
]


def label(config):
    return f"{'-'.join(config.parameters)} {config.tied} {'ln' if config.logarithmic else 'plain'}"


def misfit_and_kernel(model):
    """A smooth function of all three fields, and its partial derivatives."""
    vp, vs, rho = model.vp / 5000, model.vs / 3000, model.rho / 2500
    value = np.sum(vp**2 * vs + np.sin(rho * vs) + vp / rho)
    d_vp = 2 * vp * vs + 1 / rho
    d_vs = vp**2 + rho * np.cos(rho * vs)
    d_rho = vs * np.cos(rho * vs) - vp / rho**2
    return value, Kernel(GRID, d_vp / 5000, d_vs / 3000, d_rho / 2500)


@pytest.mark.parametrize("config", CHOICES, ids=label)
def test_gradient_agrees_with_finite_differences(config):
    model, start = make_model(), make_model(9, 100.0)
    variables = config.parametrisation(start)
    derivative = gradient(model, misfit_and_kernel(model)[1], variables)
    rng = np.random.default_rng(1)
    for number in range(len(config.parameters)):
        direction = np.zeros_like(derivative)
        direction[number] = rng.standard_normal(GRID.shape)
        step = 1e-5
        ahead, behind = (
            misfit_and_kernel(updated(model, direction, sign * step, variables))[0] for sign in (1, -1)
        )
        wanted = np.sum(derivative * direction)
        assert (ahead - behind) / (2 * step) == pytest.approx(wanted, rel=1e-6, abs=1e-8)
        assert abs(wanted) > 1e-3


@pytest.mark.parametrize("config", CHOICES, ids=label)
def test_update_and_change_are_inverse_whatever_the_variables(config):
    model = make_model()
    variables = config.parametrisation(model)
    direction = np.random.default_rng(2).standard_normal((len(config.parameters), *GRID.shape))
    new = updated(model, direction.ravel(), 0.03, variables)
    np.testing.assert_allclose(change(model, new, variables), 0.03 * direction, atol=1e-13)


def test_plain_values_move_by_the_same_metres_per_second_everywhere():
    start, model = make_model(9), make_model()
    variables = InversionConfig(parameters=("vs",), logarithmic=False).parametrisation(start)
    new = updated(model, np.ones((1, *GRID.shape)), 0.02, variables)
    np.testing.assert_allclose(new.vs - model.vs, 0.02 * start.vs.mean(), rtol=1e-9)
    np.testing.assert_array_equal(new.vp, model.vp)


def test_ratio_moves_vp_alone_and_vs_keeps_the_ratio():
    model, direction = make_model(), np.zeros((2, *GRID.shape))
    direction[1] = 1.0
    new = updated(model, direction, 0.02, ("vs", "vp_vs"))
    np.testing.assert_array_equal(new.vs, model.vs)
    np.testing.assert_allclose(new.vp, model.vp * np.exp(0.02), rtol=1e-14)
    new = updated(model, direction[::-1], 0.02, ("vs", "vp_vs"))
    np.testing.assert_allclose(new.vp / new.vs, model.vp / model.vs, rtol=1e-14)


@pytest.mark.parametrize("logarithmic", [True, False])
def test_ties_hold_along_any_path(logarithmic):
    start = model = make_model()
    config = InversionConfig(parameters=("vs",), logarithmic=logarithmic, tied={"rho": 0.33, "vp": 1.0})
    variables = config.parametrisation(start)
    rng = np.random.default_rng(3)
    for _ in range(3):
        model = updated(model, rng.standard_normal((1, *GRID.shape)), 0.05, variables)
    ratio = model.vs / start.vs
    assert np.ptp(ratio) > 0.2
    np.testing.assert_allclose(model.rho / start.rho, ratio**0.33, rtol=1e-13)
    np.testing.assert_allclose(model.vp / start.vp, ratio, rtol=1e-13)


def test_plain_step_below_zero_is_refused_and_not_hidden_by_bounds():
    model = make_model()
    config = InversionConfig(
        parameters=("vs",), logarithmic=False, tied={"rho": 0.33}, bounds={"vs": (1e3, 6e3)}
    )
    variables = config.parametrisation(model)
    direction = np.zeros((1, *GRID.shape))
    direction[0, 1, 2, 3] = -1.5
    trial = updated(model, direction, 1.0, variables)
    assert np.isnan(trial.rho[1, 2, 3])
    held, count = within_bounds(trial, variables)
    assert held is trial and count == 0
    with pytest.raises(PhysicsError, match=r"vs = -.*x = 1000 m, y = 2000 m, z = 3000 m"):
        check_bounds(held)


def poisson(model):
    ratio = (model.vp / model.vs) ** 2
    return (ratio - 2) / (2 * (ratio - 1))


BOUNDS = {"vp": (4500.0, 6000.0), "vs": (2700.0, 3300.0), "poisson": (0.22, 0.28)}


def holds(model, bounds, slack=1e-9):
    fields = model.fields() | {"poisson": poisson(model)}
    return all(
        fields[name].min() >= low - slack * low and fields[name].max() <= high + slack * high
        for name, (low, high) in bounds.items()
    )


@pytest.mark.parametrize(
    ("parameters", "tied", "bounds"),
    [
        (("vp", "vs"), {}, BOUNDS),
        (("vs", "vp_vs"), {}, BOUNDS),
        (("vp", "vs", "rho"), {}, BOUNDS | {"rho": (2450.0, 2550.0)}),
        (("vp", "vs"), {"rho": 0.33}, BOUNDS | {"rho": (2300.0, 2700.0)}),
        (("vp", "vs"), {}, {"vp": (5600.0, 9000.0), "poisson": (0.2, 0.25)}),
        (("vs", "vp_vs"), {}, {"vp": (3000.0, 5000.0), "poisson": (0.26, 0.3)}),
        (("vs",), {"vp": 0.9}, {"vs": (2500.0, 3500.0), "vp": (4000.0, 6300.0)}),
        (("vs",), {"vp": -0.5, "rho": 0.5}, {"vp": (4500.0, 6000.0), "rho": (1900.0, 3100.0)}),
        (("vs",), {}, {"poisson": (0.22, 0.28)}),
        (("vp",), {}, {"poisson": (0.24, 0.26)}),
    ],
)
def test_trial_is_brought_within_the_bounds(parameters, tied, bounds):
    model = make_model(4)
    variables = InversionConfig(parameters=parameters, tied=tied, bounds=bounds).parametrisation(model)
    assert not holds(model, bounds)
    held, count = within_bounds(model, variables)
    assert holds(held, bounds)
    moved = np.zeros(GRID.shape, dtype=bool)
    for name, values in held.fields().items():
        moved |= values != model.fields()[name]
    assert count == moved.sum() and 0 < count < GRID.size
    again, _ = within_bounds(held, variables)
    for name, values in again.fields().items():
        np.testing.assert_allclose(values, held.fields()[name], rtol=1e-13)
    fixed = {"vp", "vs", "rho"} - set(parameters) - set(tied) - ({"vp"} if "vp_vs" in parameters else set())
    for name in fixed:
        np.testing.assert_array_equal(held.fields()[name], model.fields()[name])
    for name, power in tied.items():
        ratio = (held.vs / model.vs) ** power
        np.testing.assert_allclose(held.fields()[name], model.fields()[name] * ratio, rtol=1e-13)


def test_model_within_the_bounds_stays_as_it_is_bit_for_bit():
    model = make_model(4)
    wide = InversionConfig(bounds={"vp": (100.0, 9e4), "vs": (100.0, 9e4), "poisson": (-0.5, 0.49)})
    held, count = within_bounds(model, wide.parametrisation(model))
    assert count == 0
    for name, values in held.fields().items():
        assert values.tobytes() == model.fields()[name].tobytes()
    assert within_bounds(model, InversionConfig().parametrisation(model))[0] is model


def test_nodes_that_are_pushed_against_a_bound_are_not_free():
    model = make_model(4)
    variables = InversionConfig(parameters=("vs", "vp_vs"), bounds=BOUNDS).parametrisation(model)
    held, _ = within_bounds(model, variables)
    slopes = np.random.default_rng(0).standard_normal((2, *GRID.shape))
    free = free_nodes(held, slopes, variables)
    assert 0.2 < free.mean() < 0.9
    step = 1e-4
    for number in range(2):
        only = np.zeros_like(slopes)
        only[number] = -np.sign(slopes[number])
        moved = updated(held, only, step, variables)
        projected, _ = within_bounds(moved, variables)
        stays = np.abs(change(held, projected, variables) - step * only).max(axis=0) < 1e-9
        np.testing.assert_array_equal(free[number], stays)
    assert free_nodes(model, slopes, InversionConfig().parametrisation(model)) is None


def bounded_run(method, use_free, iterations=40):
    """Least squares of ln vs between bounds: the misfit reached, and that of an independent solver."""
    start = make_model(0, 0.0)
    config = InversionConfig(parameters=("vs",), bounds={"vs": (2900.0, 3060.0)}, method=method)
    variables, rng = config.parametrisation(start), np.random.default_rng(5)
    matrix = rng.standard_normal((80, GRID.size)) / np.sqrt(GRID.size) + 0.1
    data = matrix @ (0.03 * rng.standard_normal(GRID.size))

    def misfit(x):
        residual = matrix @ x.ravel() - data
        return float(0.5 * residual @ residual), (residual @ matrix).reshape(x.shape)

    limits = np.log(np.array([2900.0, 3060.0]) / 3000.0)
    answer = minimize(misfit, np.zeros(GRID.size), jac=True, method="L-BFGS-B", bounds=[limits] * GRID.size)
    model, history = start, History()
    value, slopes = misfit(change(start, model, variables))
    first = value
    for _ in range(iterations):
        free = free_nodes(model, slopes, variables) if use_free else None
        found = direction(slopes, history, np.array, method, free=free)
        line, trials, models = LineSearch.along(found, config), [Trial(0.0, value)], {}
        while isinstance(decision := line.decide(trials), Next):
            models[decision.step], _ = within_bounds(
                updated(model, found.values, decision.step, variables), variables
            )
            trials.append(Trial(decision.step, misfit(change(start, models[decision.step], variables))[0]))
        if isinstance(decision, Fail):
            break
        new = models[decision.step]
        value, after = misfit(change(start, new, variables))
        history = found.history.after(change(model, new, variables), after - slopes, 5)
        model, slopes = new, after
    return first, value, answer.fun


@pytest.mark.parametrize("method", ["lbfgs", "cg"])
def test_bounded_minimisation_reaches_the_bounded_minimum(method):
    first, reached, least = bounded_run(method, True)
    assert 0 < least < 0.7 * first
    assert reached - least < 2e-3 * (first - least)
    _, stuck, _ = bounded_run(method, False)
    assert stuck - least > 10 * (reached - least)  # what knowing the free nodes is for


def test_bounds_that_leave_a_node_nothing_name_it():
    model = make_model()
    vp = model.vp.copy()
    vp[1, 2, 3] = 9000.0
    variables = Parametrisation(("vs",), bounds={"vs": (2000.0, 4000.0), "poisson": (0.2, 0.3)})
    with pytest.raises(
        InputError, match=r"vs would have to lie between 48\d\d.* and 4000 at x = 1000 m, y = 2000"
    ):
        within_bounds(model.with_fields(vp=vp), variables)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"parameters": ("vp_vs",)}, "vp_vs goes with vs"),
        ({"parameters": ("vp", "vs", "vp_vs")}, "vp_vs goes with vs"),
        ({"tied": {"vp": 1.0}}, "tied: vp"),
        ({"parameters": ("vs", "vp_vs"), "tied": {"vp": 1.0}}, "tied: vp"),
        ({"parameters": ("vp",), "tied": {"rho": 0.3}}, "tied: rho"),
        ({"tied": {"vs": 0.3}}, "tied: vs"),
        ({"tied": {"rho": float("nan")}}, "tied: rho"),
        ({"weights": {"rho": 1.0}}, "weights: rho"),
        ({"weights": {"vs": 0.0}}, "weights: vs"),
        ({"bounds": {"rho": (2000.0, 3000.0)}}, "rho is not moved"),
        (
            {"parameters": ("vs",), "tied": {"vp": 1.0}, "bounds": {"poisson": (0.2, 0.3)}},
            "poisson is not moved",
        ),
        ({"bounds": {"vs": (3000.0, 2000.0)}}, "bounds: vs"),
        ({"bounds": {"poisson": (0.1, 0.6)}}, "bounds: poisson"),
        ({"bounds": {"vp": (7e3, 8e3), "vs": (1e3, 2e3), "poisson": (0.2, 0.3)}}, "leave no vp/vs"),
        ({"bounds": {"poisson": (-0.9, 0.3)}}, "below min_vp_vs"),
        ({"smoothing_unit": "km"}, "smoothing_unit"),
        ({"method": "newton"}, "method"),
        ({"restart_angle": 0.0}, "restart_angle"),
        ({"line_search": "wolfe"}, "line_search"),
        ({"damping": -1.0}, "damping"),
        ({"roughness": float("inf")}, "roughness"),
        ({"roughness": 1.0, "roughness_lengths": (0.0, 0.0, 0.0)}, "nothing to weigh"),
        ({"roughness_lengths": (1.0, -1.0, 0.0)}, "roughness_lengths"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong, complaint):
    with pytest.raises(InputError, match=complaint):
        InversionConfig(**wrong)


def test_plain_values_without_a_reference_are_refused():
    model = make_model()
    with pytest.raises(InputError, match="starting model"):
        change(model, model, Parametrisation(("vs",), logarithmic=False))


def test_new_settings_can_be_read_and_written_by_pydantic():
    adapter = TypeAdapter(InversionConfig)
    given = {
        "parameters": ["vs", "vp_vs"],
        "tied": {"rho": 0.33},
        "weights": {"vp_vs": 0.5},
        "bounds": {"vs": [1000, 5000], "poisson": [0.1, 0.4]},
        "smoothing": [0.5, 0.5, 0.25],
        "smoothing_unit": "wavelengths",
        "method": "cg",
        "line_search": "backtrack",
    }
    config = adapter.validate_python(given)
    assert config.bounds == {"vs": (1000.0, 5000.0), "poisson": (0.1, 0.4)}
    assert config.parametrisation(make_model()).factors == (1.0, 0.5)
    assert adapter.validate_python(adapter.dump_python(config, mode="json")) == config
    with pytest.raises(ValidationError, match="qmu"):
        adapter.validate_python({"tied": {"qmu": 0.3}})
