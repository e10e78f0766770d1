"""Kernels of impedances and moduli are the derivatives with respect to them."""

from __future__ import annotations

import numpy as np
import pytest
import simulations as small

from seisflow.domain import Kernel
from seisflow.domain.kernels import UNITS, kernel_fields
from seisflow.errors import InputError


def rocks(parameters, values):
    """vp, vs, rho of three parameters."""
    a, b, rho = values
    if parameters == "impedances":
        return a / rho, b / rho, rho
    if parameters == "moduli":
        return np.sqrt((a + 4 / 3 * b) / rho), np.sqrt(b / rho), rho
    return a, b, rho


@pytest.mark.parametrize("parameters", ["velocities", "impedances", "moduli"])
def test_chain_rule_agrees_with_finite_differences(parameters):
    model = small.model()
    rng = np.random.default_rng(3)
    fields = [rng.standard_normal(model.grid.shape) for _ in range(3)]
    kernel = Kernel(model.grid, *fields)
    found = kernel_fields(kernel, model, parameters)
    assert set(found) <= set(UNITS)
    vp, vs, rho = model.vp, model.vs, model.rho
    mu = rho * vs**2
    start = {
        "velocities": (vp, vs, rho),
        "impedances": (rho * vp, rho * vs, rho),
        "moduli": (rho * vp**2 - 4 / 3 * mu, mu, rho),
    }[parameters]
    for number, values in enumerate(found.values()):
        step = 1e-5 * start[number]
        ends = []
        for sign in (1, -1):
            moved = [v + sign * step * (n == number) for n, v in enumerate(start)]
            ends.append(sum(k * r for k, r in zip(fields, rocks(parameters, moved), strict=True)))
        assert np.allclose(
            (ends[0] - ends[1]) / (2 * step), values, rtol=1e-5, atol=1e-8 * np.abs(values).max()
        )


def test_unknown_parameters_are_refused():
    model = small.model()
    kernel = Kernel(model.grid, model.vp, model.vs, model.rho)
    with pytest.raises(InputError, match="velocities, impedances, moduli"):
        kernel_fields(kernel, model, "colours")
