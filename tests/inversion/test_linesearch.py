"""The line search, on functions of one variable."""

import math

import numpy as np
import pytest

from seisflow.errors import InputError
from seisflow.inversion import Accept, Direction, Fail, InversionConfig, LineSearch, Next, Trial


def run(function, slope, first, limit=100.0, max_trials=5):
    search = LineSearch(slope, first, limit, max_trials)
    trials = [Trial(0.0, function(0.0))]
    while isinstance(answer := search.decide(trials), Next):
        assert 0 < answer.step <= limit
        trials.append(Trial(answer.step, function(answer.step)))
        assert len(trials) <= max_trials + 1
    return answer, trials


def parabola(minimum, depth=1.0, level=10.0):
    return (lambda a: level + depth * ((a / minimum - 1) ** 2 - 1)), -2 * depth / minimum


@pytest.mark.parametrize("minimum", [0.75, 1.0, 1.3])
def test_step_near_the_minimum_is_taken_at_once(minimum):
    function, slope = parabola(minimum)
    answer, trials = run(function, slope, 1.0)
    assert isinstance(answer, Accept) and answer.step == 1.0 and len(trials) == 2
    assert answer.misfit == function(1.0) and "parabola" in answer.reason


@pytest.mark.parametrize("minimum", [0.3, 2.0, 3.5])
def test_parabola_finds_a_far_minimum_in_two_trials(minimum):
    function, slope = parabola(minimum)
    answer, trials = run(function, slope, 1.0)
    assert isinstance(answer, Accept) and answer.step == pytest.approx(minimum) and len(trials) == 3


def test_growth_is_bounded_and_so_is_the_step():
    function, slope = parabola(50.0)
    answer, trials = run(function, slope, 1.0, limit=10.0)
    assert [trial.step for trial in trials] == [0.0, 1.0, 4.0, 10.0]
    assert answer.step == 10.0


def test_overshoot_is_halved_until_the_misfit_falls():
    def function(a):
        return 10 - a + 400 * a**4

    answer, trials = run(function, -1.0, 1.0)
    assert isinstance(answer, Accept) and answer.misfit < 10
    assert function(answer.step) < 10 - 0.9 * (10 - function(0.0855))
    assert trials[1].step > trials[2].step > trials[3].step


def test_broken_trials_count_as_infinite():
    def function(a):
        return math.nan if a > 0.3 else 10 - a + a**2

    answer, trials = run(function, -1.0, 1.0)
    assert [trial.step for trial in trials[1:]] == [1.0, 0.25, 0.5]
    assert isinstance(answer, Accept) and answer.step == 0.25


def test_linear_fall_goes_to_the_limit():
    answer, _ = run(lambda a: 10 - a, -1.0, 1.0, limit=7.0)
    assert answer.step == 7.0


def test_small_decrease_is_kept_rather_than_lost():
    """The gradient promised a lot, the misfit falls by a millionth: accept when the trials are used up."""
    answer, trials = run(lambda a: 1 - 1e-6 * min(a, 0.01), -1.0, 1.0)
    assert isinstance(answer, Accept) and answer.misfit == pytest.approx(1 - 1e-8, abs=1e-12)
    assert answer.misfit == min(trial.misfit for trial in trials)


@pytest.mark.parametrize("seed", range(40))
def test_never_fails_when_some_trial_decreased(seed):
    rng = np.random.default_rng(seed)

    def function(a):
        return 1.0 if a == 0 else 1.0 + rng.standard_normal() * 10.0 ** rng.integers(-6, 1)

    answer, trials = run(function, -(10.0 ** rng.integers(-6, 1)), 1.0, limit=4.0)
    best = min(trial.misfit for trial in trials[1:])
    if best < 1.0:
        assert isinstance(answer, Accept) and answer.misfit == best
    else:
        assert isinstance(answer, Fail) and len(trials) == 6 and "none of 5 trials" in answer.reason


def test_fall_of_ten_percent_without_a_bracket_is_accepted():
    """The misfit falls at each trial and never rises: no bracket is needed."""
    function, slope = parabola(1000.0, depth=50.0)
    answer, _ = run(function, slope, 1.0, limit=1e6, max_trials=4)
    assert isinstance(answer, Accept) and answer.misfit < function(0.0)


def test_rising_misfit_fails_after_the_trials():
    answer, trials = run(lambda a: 1 + a, -1e-3, 1.0, max_trials=3)
    assert isinstance(answer, Fail) and len(trials) == 4
    assert trials[-1].step <= 0.25 * trials[1].step


def test_decisions_depend_on_the_trials_alone():
    def function(a):
        return 10 - a + 3 * abs(a) ** 1.7

    _, trials = run(function, -1.0, 2.0)
    for count in range(1, len(trials)):
        replay = LineSearch(-1.0, 2.0, 100.0).decide(trials[:count])
        assert replay == Next(trials[count].step)


def test_first_step_follows_the_kind_of_direction():
    config = InversionConfig(first_change=0.01, max_change=0.04)
    values = np.array([0.5, -2.0, 1.0])
    steepest = LineSearch.along(Direction(values, -1.0, "steepest descent", 1.0), config)
    assert steepest.first == pytest.approx(0.005) and steepest.limit == pytest.approx(0.02)
    newton = LineSearch.along(Direction(0.01 * values, -1.0, "lbfgs", 0.5), config, slope=-0.25)
    assert newton.first == 1.0 and newton.limit == pytest.approx(2.0) and newton.slope == -0.25
    assert LineSearch.along(Direction(values, -1.0, "lbfgs", 0.5), config).first == pytest.approx(0.02)


def test_wrong_use_is_refused():
    with pytest.raises(InputError, match="misfit falls"):
        LineSearch(0.0, 1.0, 1.0)
    with pytest.raises(InputError, match="within the limit"):
        LineSearch(-1.0, 2.0, 1.0)
    for trials in ([], [Trial(1.0, 1.0)], [Trial(0.0, math.nan)]):
        with pytest.raises(InputError, match="first trial must be step 0"):
            LineSearch(-1.0, 1.0, 1.0).decide(trials)


def backtrack(function, slope, first, max_trials=5):
    search = LineSearch(slope, first, 100.0, max_trials, "backtrack")
    trials = [Trial(0.0, function(0.0))]
    while isinstance(answer := search.decide(trials), Next):
        assert 0 < answer.step < (trials[-1].step if len(trials) > 1 else 101)
        trials.append(Trial(answer.step, function(answer.step)))
        assert len(trials) <= max_trials + 1
    return answer, trials


def test_backtracking_takes_the_first_sufficient_decrease():
    function, slope = parabola(10.0)
    answer, trials = backtrack(function, slope, 1.0)
    assert answer.step == 1.0 and len(trials) == 2 and "sufficient" in answer.reason
    assert run(function, slope, 1.0)[0].step > 4  # where the bracket goes further


def test_backtracking_finds_the_minimum_of_a_parabola_in_its_second_trial():
    function, slope = parabola(0.4)
    answer, trials = backtrack(function, slope, 1.0)
    assert answer.step == pytest.approx(0.4) and len(trials) == 3


def test_backtracking_finds_the_minimum_of_a_cubic_in_its_third_trial():
    """The first trial is far too long, the second rises still; the cubic through both is the function."""

    def function(a):
        return 10 - a + 2 * a**2 + 600 * a**3

    answer, trials = backtrack(function, -1.0, 1.0)
    assert [trial.step for trial in trials[:3]] == [0.0, 1.0, 0.1] and len(trials) == 4
    assert answer.step == pytest.approx((-4 + math.sqrt(16 + 4 * 1800)) / 3600, rel=1e-9)


def test_backtracking_counts_broken_trials_as_infinite():
    def function(a):
        return math.nan if a > 0.3 else 10 - a + a**2

    answer, trials = backtrack(function, -1.0, 1.0)
    assert [trial.step for trial in trials[1:]] == [1.0, 0.25] and answer.step == 0.25


def test_backtracking_keeps_a_small_decrease_at_the_end_rather_than_fail():
    answer, trials = backtrack(lambda a: 1 - 1e-6 * min(a, 1e-9) / 1e-9, -1.0, 1.0)
    assert isinstance(answer, Accept) and len(trials) == 6 and "best of 5" in answer.reason
    answer, trials = backtrack(lambda a: 1 + a, -1e-3, 1.0, max_trials=3)
    assert isinstance(answer, Fail) and len(trials) == 4


@pytest.mark.parametrize("seed", range(20))
def test_backtracking_never_fails_when_some_trial_decreased_and_replays(seed):
    rng = np.random.default_rng(seed)

    def function(a):
        return 1.0 if a == 0 else 1.0 + rng.standard_normal() * 10.0 ** rng.integers(-6, 1)

    slope = -(10.0 ** rng.integers(-3, 3))
    answer, trials = backtrack(function, slope, 1.0)
    if min(trial.misfit for trial in trials[1:]) < 1.0:
        assert isinstance(answer, Accept)
    else:
        assert isinstance(answer, Fail)
    for count in range(1, len(trials)):
        replay = LineSearch(slope, 1.0, 100.0, 5, "backtrack").decide(trials[:count])
        assert replay == Next(trials[count].step)


def test_strategy_comes_from_the_settings_and_conjugate_gradients_start_at_one():
    config = InversionConfig(line_search="backtrack")
    search = LineSearch.along(Direction(np.array([0.01]), -1.0, "cg", 0.5), config)
    assert search.strategy == "backtrack" and search.first == 1.0
    with pytest.raises(InputError, match="wolfe"):
        LineSearch(-1.0, 1.0, 1.0, 5, "wolfe")


def test_after_a_trial_that_broke_the_search_stays_below_it():
    """A parabola may promise more beyond; the step that broke is not tried again, one between is."""
    search = LineSearch(slope=-1.0, first=1.0, limit=4.0)
    trials = [Trial(0.0, 10.0), Trial(1.0, np.inf), Trial(0.25, 9.75)]
    decision = search.decide(trials)
    assert isinstance(decision, Next) and 0.25 < decision.step < 1.0
