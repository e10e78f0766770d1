"""Variables of the inversion, its settings, and the first guess of the inverse Hessian."""

import dataclasses

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from seisflow.domain import Grid, Kernel, Model, Projection
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion import (
    InverseHessian,
    InversionConfig,
    change,
    check_bounds,
    gradient,
    illumination_weight,
    largest_change,
    point_mask,
    updated,
)

GRID = Grid((0.0, 0.0, 0.0), (1e3, 1e3, 1e3), (9, 8, 7))


def make_model(seed=0):
    rng = np.random.default_rng(seed)
    vs = 3000 + 300 * rng.standard_normal(GRID.shape)
    return Model(GRID, Projection(40.0, 10.0), 1.8 * vs, vs, 2500 + 50 * rng.standard_normal(GRID.shape))


def test_update_and_change_are_inverse():
    model, names = make_model(), ("vp", "vs")
    direction = np.random.default_rng(1).standard_normal((2, *GRID.shape))
    new = updated(model, direction.ravel(), 0.03, names)
    np.testing.assert_allclose(change(model, new, names), 0.03 * direction, atol=1e-14)
    np.testing.assert_array_equal(new.rho, model.rho)
    assert largest_change(direction) == np.abs(direction).max()


def test_gradient_follows_the_chain_rule():
    model, names = make_model(), ("vs", "rho")
    target = make_model(7)

    def misfit(m):
        return 0.5 * np.sum((m.vs - target.vs) ** 2) + np.sum(m.rho**3) * 1e-6

    kernel = Kernel(GRID, np.zeros(GRID.shape), model.vs - target.vs, 3e-6 * model.rho**2)
    derivative = gradient(model, kernel, names)
    direction = np.random.default_rng(2).standard_normal((2, *GRID.shape))
    step = 1e-6
    ahead, behind = (misfit(updated(model, direction, sign * step, names)) for sign in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(np.sum(derivative * direction), rel=1e-7)


def test_bounds_name_the_place_and_the_remedy():
    model = make_model()
    check_bounds(model)
    slow = model.vp.copy()
    slow[3, 2, 1] = 1.1 * model.vs[3, 2, 1]
    with pytest.raises(PhysicsError, match=r"vp/vs = 1.100 at x = 3000 m, y = 2000 m, z = 1000 m.*change"):
        check_bounds(model.with_fields(vp=slow))
    slow[4, 4, 4] = np.inf
    with pytest.raises(PhysicsError, match="vp = inf at x = 4000 m"):
        check_bounds(model.with_fields(vp=slow))


def test_models_on_other_grids_are_refused():
    grid = Grid((1.0, 0.0, 0.0), GRID.spacing, GRID.shape)
    model = make_model()
    with pytest.raises(InputError, match="one grid"):
        change(model, dataclasses.replace(model, grid=grid), ("vs",))


def test_illumination_weight_is_bounded_by_the_water_level():
    light = np.random.default_rng(3).random(GRID.shape)
    light[0, 0, 0] = 0.0
    weight = illumination_weight(light, 0.05)
    assert weight[0, 0, 0] == pytest.approx(20.0) and weight.max() == weight[0, 0, 0]
    assert weight.min() == pytest.approx(1 / 1.05)
    np.testing.assert_allclose(illumination_weight(1e-20 * light, 0.05), weight, rtol=1e-12)


@pytest.mark.parametrize("light", [np.zeros(GRID.shape), -np.ones(GRID.shape), np.full(GRID.shape, np.nan)])
def test_illumination_without_meaning_is_refused(light):
    with pytest.raises(PhysicsError, match="illumination lies between"):
        illumination_weight(light, 0.05)


def test_inverse_hessian_is_symmetric_positive_and_masked():
    rng = np.random.default_rng(4)
    mask = point_mask(GRID, np.array([4e3]), np.array([4e3]), np.array([3e3]), 1.5e3)
    operator = InverseHessian(GRID, (2e3, 1e3, 1e3), illumination_weight(rng.random(GRID.shape), 0.03), mask)
    a, b = rng.standard_normal((2, 2 * GRID.size))
    assert np.sum(operator(a) * b) == pytest.approx(np.sum(a * operator(b)), rel=1e-12)
    assert np.sum(a * operator(a)) > 0
    fields = operator(a).reshape(2, *GRID.shape)
    assert (fields[:, 4, 4, 3] == 0).all() and operator(a).shape == a.shape


def test_inverse_hessian_alone_is_the_identity_and_checks_its_parts():
    a = np.random.default_rng(5).standard_normal(GRID.shape)
    np.testing.assert_array_equal(InverseHessian(GRID, (0.0, 0.0, 0.0))(a), a)
    with pytest.raises(InputError, match="mask has shape"):
        InverseHessian(GRID, (0.0, 0.0, 0.0), mask=a[1:])
    with pytest.raises(PhysicsError, match="weight must be finite"):
        InverseHessian(GRID, (0.0, 0.0, 0.0), weight=-np.ones(GRID.shape))


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": ()},
        {"parameters": ("vs", "vs")},
        {"parameters": ("qmu",)},
        {"smoothing": (1.0, -1.0, 0.0)},
        {"source_mask": float("nan")},
        {"water_level": 0.0},
        {"memory": -1},
        {"max_trials": 0},
        {"first_change": 0.05, "max_change": 0.04},
        {"min_vp_vs": 1.1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong)) if "source_mask" not in wrong else "masks"):
        InversionConfig(**wrong)


def test_settings_can_be_read_by_pydantic_which_refuses_unknown_keys():
    adapter = TypeAdapter(InversionConfig)
    assert adapter.validate_python({"parameters": ["vs"], "memory": 3}).parameters == ("vs",)
    with pytest.raises(ValidationError, match="smothing"):
        adapter.validate_python({"smothing": [1, 1, 1]})
