"""What is foretold about dispersion, against what simulations were found to do."""

from __future__ import annotations

import pytest

from seisflow.solvers.accuracy import Sampling, expected_error, recommended_points, relative_cost


def test_errors_grow_with_distance_and_fall_with_points():
    assert expected_error(Sampling(8, 5.5), 40) > 3 * expected_error(Sampling(8, 5.5), 10)
    assert expected_error(Sampling(8, 6.5), 40) < 0.8 * expected_error(Sampling(8, 5.5), 40)
    # order 4 is held back by its time steps: of second order in the spacing
    fine = expected_error(Sampling(4, 64), 10)
    assert fine == pytest.approx(expected_error(Sampling(4, 32), 10) / 4, rel=0.2)
    # fast rock elsewhere makes the time steps of slow waves tiny: the error of space is left, which they offset
    assert expected_error(Sampling(4, 8, ratio=10.0), 10) > expected_error(Sampling(4, 8), 10)


@pytest.mark.parametrize(("order", "wavelengths"), [(4, 10), (4, 40), (8, 10), (8, 40)])
def test_the_recommendation_keeps_to_the_target_and_no_less_would(order, wavelengths):
    points = recommended_points(order, wavelengths, 1.8)
    assert expected_error(Sampling(order, points, 1.8), wavelengths) <= 0.01
    assert (
        points == {4: 8.0, 8: 6.5}[order]
        or expected_error(Sampling(order, points - 0.5, 1.8), wavelengths) > 0.01
    )


def test_order_8_is_cheaper_at_equal_accuracy():
    for wavelengths in (10, 40):
        costs = [relative_cost(order, recommended_points(order, wavelengths, 1.8)) for order in (4, 8)]
        assert costs[1] < 0.6 * costs[0]


@pytest.mark.parametrize(
    ("order", "points", "wavelengths", "simulated"),
    [
        (4, 8, 20, 2.80), (4, 8, 40, 5.47), (4, 10, 20, 1.50), (4, 10, 40, 3.01),
        (8, 5.5, 20, 2.33), (8, 5.5, 40, 4.31), (8, 6.5, 20, 1.63), (8, 6.5, 40, 3.16),
    ],
)  # fmt: skip
def test_what_is_foretold_is_what_lambs_problem_showed(order, points, wavelengths, simulated):
    """Percent, of docs/verification.md; dispersion of S waves alone foretold 0.6 where 3.2 came out."""
    found = 100 * expected_error(Sampling(order, points), wavelengths)
    assert found == pytest.approx(simulated, rel=0.3)
