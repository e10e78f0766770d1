"""Nodal planes, shares of a double couple, rotations."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from seisflow.domain import MomentTensor
from seisflow.domain.mechanism import (
    NodalPlane,
    double_couple,
    double_couple_share,
    isotropic_share,
    nodal_planes,
    rotation_angle,
)


@pytest.mark.parametrize(
    "plane", [(234, 71, -5), (10, 45, 90), (300, 89.9, 179), (120, 20, -120), (0, 90, 0)]
)
def test_planes_give_the_tensor_back(plane):
    tensor = double_couple(NodalPlane(*plane), 3e15)
    assert tensor.scalar_moment == pytest.approx(3e15)
    assert double_couple_share(tensor) == pytest.approx(1)
    assert isotropic_share(tensor) == pytest.approx(0, abs=1e-12)
    for found in nodal_planes(tensor):
        again = double_couple(found, 3e15)
        assert np.allclose(astuple(again), astuple(tensor), atol=1e-9 * 3e15)


def test_a_published_solution():
    """Strike, dip and rake of the earthquake of docs/bayarea.md, from its tensor."""
    tensor = MomentTensor(-1.661e14, -2.931e15, 3.717e15, 8.376e14, -8.608e14, 1.133e15)
    planes = sorted(tuple(round(a) for a in astuple(plane)) for plane in nodal_planes(tensor))
    assert planes == [(234, 71, -5), (325, 85, -161)] or planes == [(234, 71, -5), (326, 85, -161)]
    assert double_couple_share(tensor) == pytest.approx(0.85, abs=0.07)


def test_a_rotation_about_the_vertical_is_found():
    first, second = (double_couple(NodalPlane(30 + turn, 60, 20), 1e15) for turn in (0, 25))
    assert rotation_angle(first, first) == pytest.approx(0, abs=1e-4)
    assert rotation_angle(first, second) == pytest.approx(25)
    assert rotation_angle(
        MomentTensor(0, 0, 0, 0, 0, 1e15), MomentTensor(0, 0, 0, 0, 0, -1e15)
    ) == pytest.approx(90)


def test_an_explosion_is_isotropic():
    assert isotropic_share(MomentTensor(1e15, 1e15, 1e15, 0, 0, 0)) == pytest.approx(1)
