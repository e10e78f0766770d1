"""One step of the inversion for a source, on seismograms that are linear in it."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from seisflow.domain import MomentTensor
from seisflow.domain.mechanism import NodalPlane, double_couple, double_couple_share, rotation_angle
from seisflow.inversion.source import Linear, jackknife, solve

TRUE = double_couple(NodalPlane(234, 71, -5), 4e15)


def problem(tensor=TRUE, change=(0.3, -0.8)):
    rng = np.random.default_rng(8)
    columns = (
        rng.standard_normal((6, 5, 3, 40)) * np.array([1, 1, 1, 0.3, 0.3, 1])[:, None, None, None] / 1e15
    )
    motion = rng.standard_normal((2, 5, 3, 40))
    data = np.tensordot(astuple(tensor), columns, 1) + np.tensordot(change, motion, 1)

    def objective(found):
        rest = found - data
        return 0.5 * float(np.sum(rest**2)), rest

    return objective, Linear(columns, motion, np.array([1.0, 2.0]))


def test_a_full_tensor_and_the_motion_are_found():
    true = MomentTensor(1e15, -2e15, 3e15, 0.5e15, -1e15, 2e15)
    objective, linear = problem(true)
    solved = solve(objective, linear, TRUE, "full")
    assert np.allclose(astuple(solved.tensor), astuple(true), atol=1e-3 * 3e15)
    assert np.allclose(solved.change, (0.3, -0.8), atol=1e-3)
    assert solved.misfit < 1e-4


def test_a_double_couple_stays_one():
    objective, linear = problem()
    start = double_couple(NodalPlane(210, 60, 15), 2e15)
    solved = solve(objective, linear, start, "double-couple")
    assert double_couple_share(solved.tensor) == pytest.approx(1, abs=1e-9)
    assert rotation_angle(solved.tensor, TRUE) < 0.2
    assert solved.tensor.scalar_moment == pytest.approx(4e15, rel=2e-3)


def test_a_deviatoric_tensor_changes_no_volume():
    objective, linear = problem(MomentTensor(2e15, 1e15, 3e15, 0, 0, 1e15))
    solved = solve(objective, linear, MomentTensor(1e15, 1e15, 1e15, 1e14, 0, 0), "deviatoric")
    assert abs(sum(astuple(solved.tensor)[:3])) < 1e-6 * solved.tensor.scalar_moment
    assert solved.tensor.mtp == pytest.approx(1e15, rel=0.3)


def test_bounds_hold():
    objective, linear = problem(change=(5.0, -0.1))
    assert solve(objective, linear, TRUE, "full").change[0] == pytest.approx(1.0)


def test_what_no_seismogram_sees_stays():
    objective, linear = problem(change=(0.0, 0.0))
    blind = Linear(
        linear.tensor * np.array([1, 1, 1, 0, 1, 1])[:, None, None, None], linear.motion, linear.bounds
    )
    start = MomentTensor(*(value + 1e14 for value in astuple(TRUE)))
    assert solve(objective, blind, start, "full").tensor.mrt == pytest.approx(start.mrt, rel=1e-6)


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(2).standard_normal(30)
    means = np.array([np.delete(values, n).mean() for n in range(30)])
    assert jackknife(means) == pytest.approx(values.std(ddof=1) / np.sqrt(30))
