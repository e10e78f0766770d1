"""L-BFGS directions, and whole minimisations with the line search."""

import numpy as np
import pytest

from seisflow.domain import Grid
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion import (
    Fail,
    History,
    InverseHessian,
    LineSearch,
    Next,
    Trial,
    direction,
    illumination_weight,
    load_history,
    point_mask,
    save_history,
)


def identity(vector):
    return np.array(vector)


def rosenbrock(x):
    value = np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    slope = np.zeros_like(x)
    slope[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    slope[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return float(value), slope


def quadratic(size, condition, seed=0):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    hessian = basis @ np.diag(np.geomspace(1, condition, size)) @ basis.T
    target = rng.standard_normal(size)

    def misfit(x):
        residual = x - target
        return float(0.5 * residual @ hessian @ residual), hessian @ residual

    return misfit, hessian, target


def minimise(misfit, x, iterations, inverse_hessian=identity, memory=5, history=None, limit=1.0):
    """The loop of an inversion: returns the last x, the misfits, the numbers of trials, the history."""
    history = History() if history is None else history
    value, gradient = misfit(x)
    misfits, counts = [value], []
    for _ in range(iterations):
        step = direction(gradient, history, inverse_hessian)
        if step.note:
            history = History()
        longest = limit / np.abs(step.values).max()
        first = min(1.0, longest) if step.kind == "lbfgs" else 0.1 * longest
        search = LineSearch(step.slope, first, longest, 5)
        trials = [Trial(0.0, value)]
        while isinstance(answer := search.decide(trials), Next):
            trials.append(Trial(answer.step, misfit(x + answer.step * step.values)[0]))
        if isinstance(answer, Fail):
            break
        new = x + answer.step * step.values
        value, slope = misfit(new)
        history = history.after(new - x, slope - gradient, memory)
        x, gradient = new, slope
        misfits.append(value)
        counts.append(len(trials) - 1)
        if value < 1e-20:
            break
    return x, np.array(misfits), counts, history


def test_rosenbrock_converges():
    x, misfits, counts, _ = minimise(rosenbrock, np.array([-1.2, 1.0, -1.2, 1.0]), 120, limit=1.0)
    np.testing.assert_allclose(x, 1.0, atol=1e-5)
    assert (np.diff(misfits) < 0).all()
    assert np.mean(counts) < 1.7


def test_quadratic_converges_much_faster_than_steepest_descent():
    misfit, _, target = quadratic(40, 300.0)
    start = np.zeros(40)
    _, slow, _, _ = minimise(misfit, start, 25, memory=0)
    x, fast, counts, _ = minimise(misfit, start, 25, memory=5)
    assert fast[-1] < 0.05 * slow[-1]
    x, _, _, _ = minimise(misfit, start, 150, memory=10)
    np.testing.assert_allclose(x, target, atol=1e-6)
    assert np.mean(counts) <= 1.5


def test_exact_inverse_hessian_gives_the_newton_step():
    misfit, hessian, target = quadratic(20, 50.0)
    inverse = np.linalg.inv(hessian)
    _, gradient = misfit(np.zeros(20))
    step = direction(gradient, History(), lambda v: inverse @ v)
    np.testing.assert_allclose(step.values, target, atol=1e-10)
    assert step.kind == "steepest descent" and step.slope == pytest.approx(gradient @ step.values)
    rng = np.random.default_rng(3)
    s = rng.standard_normal(20)
    history = History().after(s, hessian @ s, 5)
    np.testing.assert_allclose(direction(gradient, history, lambda v: inverse @ v).values, target, atol=1e-10)


def test_direction_is_minus_the_bfgs_matrix_times_the_gradient():
    rng = np.random.default_rng(4)
    _, hessian, _ = quadratic(8, 20.0)
    weights = np.diag(rng.uniform(0.5, 2.0, 8))
    history = History()
    for _ in range(3):
        s = rng.standard_normal(8)
        history = history.after(s, hessian @ s, 5)
    newest = history.pairs[-1]
    matrix = weights * (newest.s @ newest.y) / (newest.y @ weights @ newest.y)
    for s, y in history.pairs:
        rho = 1 / (s @ y)
        left = np.eye(8) - rho * np.outer(s, y)
        matrix = left @ matrix @ left.T + rho * np.outer(s, s)
    gradient = rng.standard_normal(8)
    step = direction(gradient, history, lambda v: weights @ v)
    np.testing.assert_allclose(step.values, -matrix @ gradient, rtol=1e-10)
    assert step.kind == "lbfgs" and step.slope < 0 and step.note == ""


def test_memory_keeps_the_newest_pairs_and_zero_keeps_none():
    history = History()
    for number in range(1, 5):
        history = history.after(np.array([1.0 * number, 0]), np.array([2.0 * number, 0]), 2)
    assert [pair.s[0] for pair in history.pairs] == [3.0, 4.0]
    assert history.after(np.ones(2), np.ones(2), 0).pairs == ()


def test_pair_without_curvature_restarts_and_says_so():
    history = History().after(np.ones(3), np.ones(3), 5).after(np.ones(3), -np.ones(3), 5)
    assert history.pairs == () and "no positive curvature (cosine -1)" in history.note
    step = direction(np.ones(3), history, identity)
    assert step.kind == "steepest descent" and step.note == history.note


def test_direction_that_hardly_descends_restarts():
    """A step almost across the change of the gradient: H turns the gradient by nearly 90 degrees."""
    history = History().after(np.array([1.0, 0.0]), np.array([1e-4, 1.0]), 5)
    gradient = np.array([0.0, 1.0])
    assert history.pairs
    step = direction(gradient, history, identity)
    assert step.kind == "steepest descent" and "hardly descends" in step.note
    np.testing.assert_array_equal(step.values, -gradient)


def test_a_gradient_without_use_is_refused():
    with pytest.raises(PhysicsError, match="NaN or infinite at 1 nodes"):
        direction(np.array([1.0, np.nan]), History(), identity)
    with pytest.raises(PhysicsError, match="zero outside the masks"):
        direction(np.array([1.0, 1.0]), History(), np.zeros_like)


def test_pairs_of_other_shapes_or_with_nan_are_refused():
    history = History().after(np.ones(3), np.ones(3), 5)
    with pytest.raises(InputError, match="shapes"):
        history.after(np.ones(4), np.ones(4), 5)
    with pytest.raises(PhysicsError, match="NaN"):
        history.after(np.ones(3), np.array([1.0, np.nan, 1.0]), 5)


def test_history_comes_back_from_disk_with_every_bit(tmp_path):
    rng = np.random.default_rng(5)
    history = History()
    for _ in range(3):
        s = rng.standard_normal((2, 4, 3, 2))
        history = history.after(s, 2.5 * s, 5)
    path = tmp_path / "history.h5"
    save_history(path, history)
    again = load_history(path)
    assert len(again.pairs) == 3
    for old, new in zip(history.pairs, again.pairs, strict=True):
        assert old.s.tobytes() == new.s.tobytes() and old.y.tobytes() == new.y.tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["history.h5"]
    gradient = rng.standard_normal((2, 4, 3, 2))
    first, second = (direction(gradient, h, identity).values.tobytes() for h in (history, again))
    assert first == second


def test_empty_history_keeps_its_note(tmp_path):
    save_history(tmp_path / "h.h5", History((), "restarted: because"))
    again = load_history(tmp_path / "h.h5")
    assert again.pairs == () and again.note == "restarted: because"


def test_torn_or_flipped_history_is_refused(tmp_path):
    path = tmp_path / "history.h5"
    s = np.random.default_rng(6).standard_normal(4000)
    save_history(path, History().after(s, s, 5))
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"history.h5.*damaged"):
        load_history(path)
    place = whole.find(s.tobytes()[800:816])
    assert place > 0
    whole[place] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"history.h5.*damaged"):
        load_history(path)


def test_interrupted_minimisation_goes_on_bit_for_bit(tmp_path):
    misfit, _, _ = quadratic(30, 100.0)
    whole, _, _, _ = minimise(misfit, np.zeros(30), 12)
    half, _, _, history = minimise(misfit, np.zeros(30), 5)
    save_history(tmp_path / "h.h5", history)
    rest, _, _, _ = minimise(misfit, half, 7, history=load_history(tmp_path / "h.h5"))
    assert whole.tobytes() == rest.tobytes()


GRID = Grid((0.0, 0.0, 0.0), (2e3, 2e3, 2e3), (16, 14, 10))


def smooth_problem():
    """Sparse rays through a grid: travel times of a smooth anomaly, with uneven cover."""
    rng = np.random.default_rng(8)
    x, y, z = np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij")
    target = 0.05 * np.exp(-((x - 12e3) ** 2 + (y - 14e3) ** 2 + (z - 6e3) ** 2) / (2 * 7e3**2))
    rows = np.zeros((150, GRID.size))
    for row in rows:
        start, end = rng.uniform(0, 1, (2, 3)) * (np.array(GRID.shape) - 1) * (1, 1, 0.8)
        points = np.rint(start + np.linspace(0, 1, 60)[:, None] * (end - start)).astype(int)
        np.add.at(row, np.ravel_multi_index(tuple(points.T), GRID.shape), 1.0)
    data = rows @ target.ravel()

    def misfit(x):
        residual = rows @ x - data
        return float(0.5 * residual @ residual), rows.T @ residual

    return misfit, rows, target


def test_the_metric_recovers_a_smooth_anomaly_and_leaves_masked_nodes_alone():
    misfit, rows, target = smooth_problem()
    light = np.sum(rows**2, axis=0).reshape(GRID.shape)
    mask = point_mask(GRID, np.array([28e3]), np.array([2e3]), np.array([0.0]), 3e3)
    metric = InverseHessian(GRID, (5e3, 5e3, 5e3), illumination_weight(light, 0.05), mask)
    x, misfits, counts, _ = minimise(misfit, np.zeros(GRID.size), 15, metric, limit=0.04)
    rough, _, _, _ = minimise(misfit, np.zeros(GRID.size), 15, limit=0.04)

    def similarity(model):
        return np.corrcoef(model, target.ravel())[0, 1]

    assert misfits[-1] < 0.01 * misfits[0]
    assert similarity(x) > 0.85 and similarity(x) > similarity(rough) + 0.1
    assert x.reshape(GRID.shape)[14, 1, 0] == 0.0
    assert np.mean(counts) <= 1.6
