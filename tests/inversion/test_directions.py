"""Conjugate gradients and steepest descent, and what all methods remember."""

import numpy as np
import pytest

from seisflow.errors import InputError, PhysicsError
from seisflow.inversion import (
    Fail,
    History,
    LineSearch,
    Next,
    Trial,
    direction,
    load_history,
    save_history,
)


def identity(vector):
    return np.array(vector)


def quadratic(size, condition, seed=0):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    hessian = basis @ np.diag(np.geomspace(1, condition, size)) @ basis.T
    return hessian, rng.standard_normal(size)


def metric(size, seed=1):
    root = np.eye(size) + 0.3 * np.random.default_rng(seed).standard_normal((size, size))
    return root @ root.T


def exact_steps(hessian, target, inverse, count, method="cg", history=None, x=None):
    """Iterations with exact line searches; returns x, the directions and the history."""
    x = np.zeros(len(target)) if x is None else x
    history, found = History() if history is None else history, []
    gradient = hessian @ (x - target)
    for _ in range(count):
        step = direction(gradient, history, lambda v: inverse @ v, method)
        length = -step.slope / (step.values @ hessian @ step.values)
        s = length * step.values
        new = gradient + hessian @ s
        history = step.history.after(s, new - gradient, 5)
        x, gradient = x + s, new
        found.append(step)
    return x, found, history


def test_conjugate_gradients_solve_a_quadratic_in_as_many_steps_as_it_has_dimensions():
    hessian, target = quadratic(8, 30.0)
    inverse = metric(8)
    x, found, _ = exact_steps(hessian, target, inverse, 8)
    np.testing.assert_allclose(x, target, atol=1e-9)
    assert [step.kind for step in found] == ["steepest descent"] + 7 * ["cg"]
    for number, step in enumerate(found):
        for other in found[:number]:
            product = step.values @ hessian @ other.values
            size = np.sqrt((step.values @ hessian @ step.values) * (other.values @ hessian @ other.values))
            assert abs(product) < 1e-5 * size
    x, _, _ = exact_steps(hessian, target, inverse, 8, "steepest_descent")
    assert np.abs(x - target).max() > 1e-2


def test_direction_is_polak_ribiere_in_the_metric_and_expects_step_one():
    hessian, target = quadratic(6, 10.0)
    inverse = metric(6)
    _, found, history = exact_steps(hessian, target, inverse, 2)
    x, _, _ = exact_steps(hessian, target, inverse, 2)
    gradient, old = hessian @ (x - target), history.last.gradient
    step = direction(gradient, history, lambda v: inverse @ v, "cg")
    beta = gradient @ inverse @ (gradient - old) / (old @ inverse @ old)
    wanted = -inverse @ gradient + beta * history.last.direction
    scale = step.values @ wanted / (wanted @ wanted)
    np.testing.assert_allclose(step.values, scale * wanted, rtol=1e-10)
    assert step.slope == pytest.approx(gradient @ step.values)
    # the last step was exact: step 1 promises, to first order, what that one promised
    assert step.slope == pytest.approx(history.pairs[0].s @ old, rel=1e-9)
    assert history.last.direction @ found[-1].values > 0


def test_length_of_the_step_does_not_change_the_direction_that_is_remembered():
    hessian, target = quadratic(6, 10.0)
    gradient = hessian @ -target
    step = direction(gradient, History(), identity, "cg")
    for length in (1e-3, 0.2):
        s = length * step.values
        history = step.history.after(s, hessian @ s, 5)
        np.testing.assert_allclose(history.last.direction, step.values, rtol=1e-12)


def after_two(seed=2):
    hessian, target = quadratic(6, 10.0, seed)
    x, found, _ = exact_steps(hessian, target, np.eye(6), 2)
    return hessian, target, x, found[-1]


def test_step_along_steepest_descent_is_recognised_after_a_failed_search():
    hessian, target = quadratic(6, 10.0)
    x, _, history = exact_steps(hessian, target, np.eye(6), 2)
    step = direction(hessian @ (x - target), history, identity, "cg")
    s = -0.01 * step.history.last.gradient
    assert abs(s @ step.values) < 0.99 * np.linalg.norm(s) * np.linalg.norm(step.values)
    history = step.history.after(s, hessian @ s, 5)
    np.testing.assert_allclose(history.last.direction, -step.history.last.gradient, rtol=1e-12)


def test_step_along_something_else_restarts():
    hessian, _, _, step = after_two()
    rng = np.random.default_rng(0)
    known = np.stack([step.history.last.gradient, step.history.last.direction])
    s = rng.standard_normal(6)
    s -= known.T @ np.linalg.lstsq(known.T, s, rcond=None)[0]
    history = step.history.after(s, hessian @ s, 5)
    assert history.pairs == () and history.last is None and "did not go along" in history.note
    again = direction(np.ones(6), history, identity, "cg")
    assert again.kind == "steepest descent" and again.note == history.note
    np.testing.assert_array_equal(again.values, -np.ones(6))


def test_overlapping_gradients_restart():
    gradient = np.array([1.0, 0.0, 0.0])
    first = direction(gradient, History(), identity, "cg")
    history = first.history.after(0.1 * first.values, np.array([-0.5, 0.1, 0.0]), 5)
    step = direction(np.array([0.5, 0.1, 0.0]), history, identity, "cg")
    assert "overlap by 1.9" in step.note and step.kind == "cg"
    np.testing.assert_allclose(step.values / step.values[0], [1.0, 0.2, 0.0], rtol=1e-12)
    assert step.history.last is not None  # the next one is conjugate again


def test_negative_beta_is_cut_to_steepest_descent():
    """g.(g - g_old) < 0 with little overlap is impossible, so make it by a metric that has changed since."""
    first = direction(np.array([1.0, 0.0]), History(), identity, "cg")
    history = first.history.after(0.1 * first.values, np.array([-1.0, 0.2]), 5)
    skew = np.array([[1.0, -0.9], [-0.9, 1.0]])
    step = direction(np.array([0.0, 0.2]), history, lambda v: skew @ v, "cg")
    beta = np.array([0.0, 0.2]) @ skew @ np.array([-1.0, 0.2])
    assert beta > 0  # conjugate here
    assert abs(step.values[0] / step.values[1] - (0.18 - beta) / -0.2) < 1e-12
    skew = -skew + 2 * np.eye(2)
    step = direction(np.array([0.0, 0.2]), history, lambda v: skew @ v, "cg")
    np.testing.assert_allclose(step.values / step.values[1], [0.9, 1.0], rtol=1e-12)


def test_without_a_new_pair_conjugate_gradients_start_anew():
    """New windows: the gradients are of different misfits, so ``after`` is not called."""
    _, _, _, step = after_two()
    gradient = np.arange(6.0)
    again = direction(gradient, step.history, identity, "cg")
    assert again.kind == "steepest descent" and again.note == ""
    np.testing.assert_array_equal(again.values, -gradient)


def test_angle_restarts_lbfgs_and_conjugate_gradients():
    s, y = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    history = History().after(s, y, 5)
    gradient = np.array([0.2, 1.0])
    step = direction(gradient, history, identity)
    angle = np.degrees(np.arccos(step.alignment))
    cosine = -gradient @ step.values / np.linalg.norm(gradient) / np.linalg.norm(step.values)
    assert step.kind == "lbfgs" and step.alignment == pytest.approx(cosine) and 20 < angle < 80
    kept = direction(gradient, history, identity, restart_angle=angle + 0.1)
    assert kept.kind == "lbfgs" and kept.history.pairs
    dropped = direction(gradient, history, identity, restart_angle=angle - 0.1)
    assert dropped.kind == "steepest descent" and "hardly descends" in dropped.note
    assert dropped.history.pairs == ()
    hessian, target = quadratic(6, 100.0)
    x, _, history = exact_steps(hessian, target, np.eye(6), 3)
    gradient = hessian @ (x - target)
    step = direction(gradient, history, identity, "cg")
    angle = np.degrees(np.arccos(step.alignment))
    again = direction(gradient, history, identity, "cg", angle - 0.1)
    assert step.note == "" and "hardly descends" in again.note
    np.testing.assert_allclose(again.values / again.values[0], gradient / gradient[0], rtol=1e-12)


def test_steepest_descent_ignores_what_is_remembered():
    history = History().after(np.ones(3), np.array([1.0, 2.0, 3.0]), 5)
    gradient = np.array([3.0, -1.0, 2.0])
    step = direction(gradient, history, identity, "steepest_descent")
    np.testing.assert_array_equal(step.values, -gradient)
    assert step.kind == "steepest descent" and step.history.pairs == () and step.slope == -14.0


def test_lbfgs_gives_back_what_to_save():
    history = History().after(np.ones(3), np.array([1.0, 2.0, 3.0]), 5)
    step = direction(np.array([3.0, -1.0, 2.0]), history, identity)
    assert step.history.pairs == history.pairs and step.history.last is None


def test_wrong_settings_and_gradients_are_refused():
    with pytest.raises(InputError, match="newton"):
        direction(np.ones(2), History(), identity, "newton")
    with pytest.raises(InputError, match="restart_angle = 91"):
        direction(np.ones(2), History(), identity, restart_angle=91.0)
    for method in ("cg", "steepest_descent"):
        with pytest.raises(PhysicsError, match="zero outside the masks"):
            direction(np.ones(2), History(), np.zeros_like, method)
    step = direction(np.ones(2), History(), identity, "cg")
    with pytest.raises(InputError, match="shapes"):
        step.history.after(np.ones(3), np.ones(3), 5)


def search(misfit, x, iterations, method, history=None, strategy="bracket"):
    """Iterations with the line search of the package."""
    history = History() if history is None else history
    value, gradient = misfit(x)
    values, trials_made = [value], 0
    for _ in range(iterations):
        step = direction(gradient, history, identity, method)
        longest = 1.0 / np.abs(step.values).max()
        first = 0.1 * longest if step.kind == "steepest descent" else min(1.0, longest)
        line = LineSearch(step.slope, first, longest, 5, strategy)
        trials = [Trial(0.0, value)]
        while isinstance(answer := line.decide(trials), Next):
            trials.append(Trial(answer.step, misfit(x + answer.step * step.values)[0]))
        if isinstance(answer, Fail):
            break
        new = x + answer.step * step.values
        value, slope = misfit(new)
        history = step.history.after(new - x, slope - gradient, 5)
        x, gradient = new, slope
        values.append(value)
        trials_made += len(trials) - 1
    return x, np.array(values), trials_made, history


def problem(size=40, condition=300.0):
    hessian, target = quadratic(size, condition)

    def misfit(x):
        return float(0.5 * (x - target) @ hessian @ (x - target)), hessian @ (x - target)

    return misfit


def test_conjugate_gradients_beat_steepest_descent_with_few_trials():
    misfit = problem()
    _, slow, _, _ = search(misfit, np.zeros(40), 25, "steepest_descent")
    _, fast, trials, _ = search(misfit, np.zeros(40), 25, "cg")
    assert fast[-1] < 0.15 * slow[-1] and (np.diff(fast) < 0).all() and trials < 45
    _, armijo, trials, _ = search(misfit, np.zeros(40), 25, "cg", strategy="backtrack")
    assert armijo[-1] < 0.5 * slow[-1] and (np.diff(armijo) < 0).all() and trials < 40


def test_interrupted_conjugate_gradients_go_on_bit_for_bit(tmp_path):
    misfit = problem()
    whole, _, _, _ = search(misfit, np.zeros(40), 9, "cg")
    half, _, _, history = search(misfit, np.zeros(40), 4, "cg")
    save_history(tmp_path / "h.h5", history)
    again = load_history(tmp_path / "h.h5")
    assert again.last.direction.tobytes() == history.last.direction.tobytes()
    rest, _, _, _ = search(misfit, half, 5, "cg", again)
    assert whole.tobytes() == rest.tobytes()


def test_histories_of_another_method_can_be_taken_up():
    misfit = problem()
    for first, second in (("cg", "lbfgs"), ("lbfgs", "cg"), ("steepest_descent", "cg")):
        x, values, _, history = search(misfit, np.zeros(40), 4, first)
        _, more, _, _ = search(misfit, x, 4, second, history)
        assert more[-1] < values[-1]


@pytest.mark.parametrize("method", ["lbfgs", "cg", "steepest_descent"])
def test_nodes_that_are_not_free_do_not_move_whatever_was_remembered(method):
    hessian, target = quadratic(6, 10.0)
    x, _, history = exact_steps(hessian, target, np.eye(6), 2, method)
    gradient = hessian @ (x - target)
    free = np.array([True, False, True, True, False, True])
    step = direction(gradient, history, lambda v: metric(6) @ v, method, free=free)
    np.testing.assert_array_equal(step.values[~free], 0.0)
    assert np.abs(step.values[free]).min() > 0 and step.slope == pytest.approx(gradient @ step.values)
    everywhere = direction(gradient, history, identity, method, free=np.ones(6, dtype=bool))
    assert everywhere.values.tobytes() == direction(gradient, history, identity, method).values.tobytes()
