"""Optimal transport: against linear programming, known shifts, its convexity, edges."""

from dataclasses import replace

import numpy as np
import pytest
from pulses import TIMES, WINDOW, check_derivative, measure, noise, pulse

from seisflow.errors import PhysicsError
from seisflow.misfits.optimal_transport import OptimalTransportConfig, wasserstein


def test_the_distance_against_its_integral():
    """W^2 = integral over shares of mass of the squared distance of both places, by brute force."""
    rng = np.random.default_rng(5)
    p, q = (x / x.sum() for x in rng.random((2, 12)) + 0.05)
    shares = (np.arange(2_000_000) + 0.5) / 2_000_000
    places = [np.interp(shares, np.append(0, np.cumsum(x)), np.arange(13.0)) for x in (p, q)]
    square, _ = wasserstein(p, q)
    assert square == pytest.approx(np.mean((places[0] - places[1]) ** 2), rel=1e-7)


def test_its_derivative_by_mass():
    rng = np.random.default_rng(6)
    p, q = (x / x.sum() for x in rng.random((2, 30)) + 0.05)
    _, slope = wasserstein(p, q)
    for seed in range(3):
        direction = np.random.default_rng(seed).standard_normal(30)
        direction -= direction.mean()
        found = (wasserstein(p + 1e-7 * direction, q)[0] - wasserstein(p - 1e-7 * direction, q)[0]) / 2e-7
        assert found == pytest.approx(np.sum(slope * direction), rel=1e-6)
    assert wasserstein(p, p)[0] == pytest.approx(0, abs=1e-25)


def test_a_moved_block_costs_the_square_of_its_way():
    p, q = np.full(60, 1e-9), np.full(60, 1e-9)
    p[10:20] = q[33:43] = 0.1
    assert wasserstein(p / p.sum(), q / q.sum())[0] == pytest.approx(23.0**2, rel=1e-6)


def test_it_sees_further_than_half_a_period():
    """The pulse of period 9 s has other cycles at 9 and 18 s; the misfit grows all the way."""
    values = [
        measure(OptimalTransportConfig(steepness=1.0), pulse(50.0 + lag, width=5.0), pulse(50.0, width=5.0))[
            0
        ].value
        for lag in np.arange(0.0, 13.0, 0.5)
    ]
    assert np.all(np.diff(values) > 0)


@pytest.mark.parametrize(
    "settings", [{}, {"taper": 0.0}, {"taper": 1.0}, {"steepness": 0.1}, {"steepness": 10.0}]
)
def test_derivative_at_all_windows(settings):
    observed, synthetic = 3 * pulse(50.7) + noise(1, 0.3), pulse(50.0) + noise(2, 0.1)
    for window in (WINDOW, replace(WINDOW, start=0.0, end=60.1), replace(WINDOW, start=40.0, end=99.9)):
        check_derivative(OptimalTransportConfig(**settings), observed, synthetic, window, rel=1e-5)


def test_traces_of_zeros_are_refused():
    zero = np.zeros(len(TIMES))
    with pytest.raises(PhysicsError, match=r"synthetic .* is zero"):
        measure(OptimalTransportConfig(), pulse(50.0), zero)
    with pytest.raises(PhysicsError, match=r"observed .* is zero"):
        measure(OptimalTransportConfig(), zero, pulse(50.0))
