"""Magnitude-frequency relation, times between events, rates."""

import math

import numpy as np
import pytest

from seisflow.detection.statistics import (
    StatisticsConfig,
    b_positive,
    b_value,
    completeness_goodness_of_fit,
    completeness_maximum_curvature,
    inter_event_times,
    magnitude_bins,
    magnitude_frequency,
    rates,
)
from seisflow.errors import InputError


def sample(rng, b, count, smallest=0.0):
    """Magnitudes that follow Gutenberg and Richter from the lower edge of the bin of the smallest."""
    return smallest - 0.05 + rng.exponential(1 / (b * math.log(10)), count)


@pytest.mark.parametrize("b", [0.7, 1.0, 1.5])
def test_b_values_are_those_that_were_put_in(b):
    rng = np.random.default_rng(1)
    values, positives = [], []
    for _ in range(60):
        magnitudes = sample(rng, b, 2000)
        values.append(b_value(magnitudes, 0.0))
        positives.append(b_positive(magnitudes))
    for found, tolerance in ((values, 0.01), (positives, 0.01)):
        numbers = np.array([each.value for each in found])
        assert np.mean(numbers) == pytest.approx(b, rel=tolerance)
        assert np.mean([each.error for each in found]) == pytest.approx(np.std(numbers), rel=0.3)


def test_b_positive_does_not_mind_a_changing_completeness():
    """After a large earthquake small ones are missed for a while; b-value suffers, b-positive does not."""
    rng = np.random.default_rng(2)
    magnitudes = sample(rng, 1.0, 60000)
    blind = 1.5 * np.exp(-(np.arange(60000) % 600) / 200)
    seen = magnitudes[magnitudes >= blind]
    assert b_positive(seen).value == pytest.approx(1.0, abs=0.04)
    assert b_value(seen, 0.0).value < 0.9


def test_completeness_of_a_catalog_that_fades_out():
    rng = np.random.default_rng(3)
    magnitudes = sample(rng, 1.0, 40000, -1.0)
    seen = magnitudes[rng.random(magnitudes.size) < 1 / (1 + np.exp(-12 * (magnitudes - 0.2)))]
    found = magnitude_frequency(seen)
    assert 0.2 <= found.completeness <= 0.6 and 0.1 <= found.completeness_fit <= 0.6
    assert 0 < found.completeness_error < 0.15
    assert found.b.value == pytest.approx(1.0, abs=0.06)
    line = 10 ** (found.a - found.b.value * found.completeness)
    above = found.cumulative[np.searchsorted(found.bins, found.completeness - 0.01)]
    assert line == pytest.approx(above) and above == found.b.events


def test_maximum_curvature_is_the_fullest_bin_and_the_correction():
    magnitudes = np.array([0.0, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.5])
    assert completeness_maximum_curvature(magnitudes) == pytest.approx(0.4)
    assert completeness_maximum_curvature(magnitudes, correction=0.0) == pytest.approx(0.2)


def test_goodness_of_fit_by_hand():
    """Against the definition, written out; a magnitude at which the line fits is found."""
    rng = np.random.default_rng(4)
    seen = np.concatenate([sample(rng, 1.0, 3000, 0.5), np.full(30, 0.0)])
    config = StatisticsConfig()
    found = completeness_goodness_of_fit(seen, config)
    assert found == pytest.approx(0.5)
    above = np.round(seen, 1)[np.round(seen, 1) > 0.45]
    b = math.log10(math.e) / (above.mean() - 0.45)
    steps = np.round(np.arange(0.5, above.max() + 0.05, 0.1), 1)
    observed = np.array([np.sum(above > m - 0.05) for m in steps])
    line = observed[0] * 10 ** (-b * (steps - 0.5))
    assert 100 - 100 * np.abs(observed - line).sum() / observed.sum() >= 95


def test_same_input_same_numbers_and_another_seed_others():
    magnitudes = sample(np.random.default_rng(5), 1.0, 300)
    a, b = magnitude_frequency(magnitudes), magnitude_frequency(magnitudes)
    assert a.completeness_error == b.completeness_error
    spread = {
        magnitude_frequency(magnitudes, StatisticsConfig(seed=seed, resamples=20)).completeness_error
        for seed in range(8)
    }
    assert len(spread) > 1


@pytest.mark.parametrize(
    "magnitudes", [[], [1.0], [math.nan, math.nan], [0.5] * 40, [0.1, 0.2, math.nan, 0.9]]
)
def test_few_or_odd_magnitudes(magnitudes):
    found = magnitude_frequency(np.array(magnitudes))
    known = np.isfinite(magnitudes).sum()
    assert found.counts.sum() == known and found.cumulative[:1].sum() == known
    assert math.isnan(found.b.value) and math.isnan(found.a) and math.isnan(found.b_positive.value)
    assert math.isnan(found.completeness) == (known == 0)


def test_bins_have_no_gaps_and_negative_magnitudes_their_place():
    bins, counts = magnitude_bins(np.array([-0.24, -0.26, 0.14, math.nan]))
    np.testing.assert_allclose(bins, [-0.3, -0.2, -0.1, 0.0, 0.1])
    np.testing.assert_array_equal(counts, [1, 1, 0, 0, 1])


def test_settings_are_checked():
    for wrong in ({"width": 0.0}, {"resamples": -1}, {"min_events": 1}, {"min_difference": 0}):
        with pytest.raises(InputError, match="must be"):
            StatisticsConfig(**wrong)


def test_inter_event_times_tell_random_from_clustered_and_regular():
    rng = np.random.default_rng(6)
    random = inter_event_times(rng.uniform(0, 1e5, 5000))
    assert random.variation == pytest.approx(1.0, abs=0.05) and random.mean == pytest.approx(20, rel=0.05)
    assert random.median == pytest.approx(20 * math.log(2), rel=0.1)
    regular = inter_event_times(10.0 * np.arange(100) + rng.uniform(-1, 1, 100))
    assert regular.variation < 0.2 and len(regular.seconds) == 99
    clusters = np.repeat(rng.uniform(0, 1e5, 100), 10) + rng.uniform(0, 5, 1000)
    assert inter_event_times(clusters).variation > 2
    assert math.isnan(inter_event_times(np.array([5.0])).mean)
    assert math.isnan(inter_event_times(np.array([5.0, 5.0, 5.0])).variation)


def test_rates_count_every_event_once():
    times = np.array([0.0, 3599.9, 3600.0, 7200.0, 9000.0])
    edges, counts = rates(times, 0.0, 9000.0, 3600.0)
    np.testing.assert_array_equal(edges, [0, 3600, 7200, 10800])
    np.testing.assert_array_equal(counts, [2, 1, 2])
    edges, counts = rates(times, 0.0, 7200.0, 3600.0)
    np.testing.assert_array_equal(counts, [2, 2])  # the end belongs to the last
    assert rates(np.array([5.0]), 5.0, 5.0, 60.0)[1].tolist() == [1]
    with pytest.raises(InputError, match="positive width"):
        rates(times, 0.0, 10.0, 0.0)
