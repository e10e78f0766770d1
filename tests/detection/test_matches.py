"""Matches of many templates become one list of earthquakes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from seisflow.detection.matches import (
    Match,
    MatchConfig,
    match_covariance,
    merge_matches,
    top_between_samples,
)
from seisflow.errors import InputError

CONFIG = MatchConfig(same_time=1.0, same_distance=1000.0, same_similarity=0.3)
PLACES = np.array([[0.0, 0, 5000], [600, 0, 5000], [9000, 0, 5000], [9000, 5000, 5000]])
APART = np.eye(4)


def match(time, template, value):
    return Match(time, template, value, 0.2)


def merged(matches, similarity=APART, config=CONFIG):
    return merge_matches(matches, PLACES, similarity, config)


def like(a, b, similarity):
    near = np.linalg.norm(PLACES[a.template] - PLACES[b.template]) <= CONFIG.same_distance
    return abs(a.time - b.time) <= CONFIG.same_time and (
        near or similarity[a.template, b.template] >= CONFIG.same_similarity
    )


def test_the_best_of_close_templates_is_kept():
    first, second = match(10.0, 0, 0.5), match(10.3, 1, 0.7)
    assert merged([first, second]) == [second]


def test_templates_that_are_far_apart_and_unlike_are_two_earthquakes():
    first, second = match(10.0, 0, 0.5), match(10.3, 2, 0.7)
    assert merged([second, first]) == [first, second]


def test_templates_that_are_alike_are_one_earthquake_however_far():
    similarity = APART.copy()
    similarity[0, 2] = similarity[2, 0] = 0.3
    assert merged([match(10.0, 0, 0.5), match(10.3, 2, 0.7)], similarity) == [match(10.3, 2, 0.7)]


@pytest.mark.parametrize(("later", "count"), [(0.999, 1), (1.001, 2)])
def test_time_decides(later, count):
    assert len(merged([match(10.0, 0, 0.5), match(10.0 + later, 1, 0.7)])) == count


def test_what_was_taken_away_takes_nothing_away():
    # the middle one belongs to the best; the last is near the middle one alone, and stays
    chain = [match(10.0, 0, 0.9), match(10.8, 0, 0.8), match(11.6, 0, 0.7)]
    assert merged(chain) == [chain[0], chain[2]]


def test_equal_values_are_settled_by_time_and_number():
    assert merged([match(10.2, 0, 0.5), match(10.0, 1, 0.5)]) == [match(10.0, 1, 0.5)]
    assert merged([match(10.0, 1, 0.5), match(10.0, 0, 0.5)]) == [match(10.0, 0, 0.5)]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_gives_the_same_and_no_two_are_alike(seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(0, 0.4, (4, 4)), 1)
    similarity = upper + upper.T + np.eye(4)
    matches = [
        match(float(time), int(template), float(value))
        for time, template, value in zip(
            rng.uniform(0, 60, 200).round(2), rng.integers(0, 4, 200), rng.uniform(0.2, 1, 200).round(1),
            strict=True,
        )
    ]  # fmt: skip
    kept = merged(matches, similarity)
    shuffled = matches.copy()
    random.Random(seed).shuffle(shuffled)
    assert merged(shuffled, similarity) == kept
    assert [each.time for each in kept] == sorted(each.time for each in kept)
    for number, one in enumerate(kept):
        assert not any(like(one, other, similarity) for other in kept[:number])
    for lost in set(matches) - set(kept):
        assert any(like(lost, other, similarity) and other.value >= lost.value for other in kept)


def test_nothing_gives_nothing():
    assert merged([]) == []


def test_negative_limits_are_refused():
    with pytest.raises(InputError, match="same_distance = -1 m"):
        MatchConfig(same_distance=-1)


@pytest.mark.parametrize("shift", [-0.45, -0.2, 0.0, 0.13, 0.4])
def test_the_top_of_a_correlation_lies_between_samples(shift):
    axis = np.arange(-40, 41) - shift
    values = np.cos(2 * np.pi * 0.15 * axis) * np.exp(-((axis / 15) ** 2))  # five samples a period and a half
    place = int(values.argmax())
    assert place - 40 + top_between_samples(values, place) == pytest.approx(shift, abs=0.06)
    assert top_between_samples(values, 0) == top_between_samples(values, 80) == 0.0


def test_a_match_lies_anywhere_within_a_quarter_of_a_wavelength_of_its_template():
    home = np.diag([100.0, 100.0, 200.0, 0.02]) ** 2
    found = match_covariance(home, slowness=1 / 3000, frequency=5.0)
    ball = np.random.default_rng(0).uniform(-150, 150, (100_000, 3))
    ball = ball[np.linalg.norm(ball, axis=1) < 150]
    np.testing.assert_allclose(np.sqrt(np.diag(found - home))[:3], ball.std(axis=0), rtol=0.02)
    assert (found - home)[3, 3] == pytest.approx((found - home)[0, 0] / 3000**2)
