"""Thresholds, peaks and false alarms against slow and obvious versions, and against known distributions."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from seisflow.detection.threshold import (
    NullPeaks,
    ThresholdConfig,
    false_alarms,
    peaks,
    threshold,
    threshold_for_rate,
)
from seisflow.errors import InputError, PhysicsError


def slow_peaks(series, level, separation):
    """One maximum at a time."""
    tops = []
    i = 0
    while i < len(series):
        j = i
        while j + 1 < len(series) and series[j + 1] == series[i]:
            j += 1
        rises = i == 0 or series[i - 1] < series[i]
        falls = j == len(series) - 1 or series[j + 1] < series[i]
        if rises and falls and series[i] > level:
            tops.append((i + j) // 2)
        i = j + 1
    kept = []
    for t in sorted(tops, key=lambda t: (-series[t], t)):
        if all(abs(t - k) >= separation for k in kept):
            kept.append(t)
    return sorted(kept)


@pytest.mark.parametrize("separation", [1, 2, 5, 40])
@pytest.mark.parametrize("kind", ["noise", "ties"])
def test_peaks_agree_with_the_slow_way(separation, kind):
    rng = np.random.default_rng(separation)
    series = rng.standard_normal(1500).astype(np.float32)
    if kind == "ties":
        series = np.round(series)
    assert list(peaks(series, 0.5, separation)) == slow_peaks(series, 0.5, separation)


def test_no_two_peaks_within_the_separation_and_ripples_of_one_ulp():
    series = np.zeros(1000, np.float32)
    series[400:440] = 1
    series[401:440:2] = np.nextafter(np.float32(1), np.float32(2))
    assert list(peaks(series, 0.5, 60)) == [401]
    series[400:440] = 1
    assert list(peaks(series, 0.5, 2)) == [419]
    series[500] = 1
    assert list(peaks(series, 0.5, 81)) == [419, 500]
    assert list(peaks(series, 0.5, 82)) == [419]
    assert list(peaks(np.array([3.0, 1.0, 2.0]), 0.5, 1)) == [0, 2]
    assert peaks(np.zeros(0), 0.5, 1).size == 0


def test_threshold_varies_along_the_series():
    series = np.zeros(100)
    series[[20, 80]] = 1
    level = np.where(np.arange(100) < 50, 0.5, 1.5)
    assert list(peaks(series, level, 3)) == [20]


def test_running_threshold_is_median_and_mad_of_live_samples():
    rng = np.random.default_rng(1)
    series = rng.standard_normal(6000) + np.linspace(0, 3, 6000)
    live = np.ones(6000, bool)
    live[2000:2200] = False
    series[~live] = 1e6
    config = ThresholdConfig(window=100.0, overlap=0.75, mad=8)
    level = threshold(series, live, 0.1, config)
    for start in (0, 1500, 2000, 5000):
        part = series[start : start + 1000][live[start : start + 1000]]
        want = np.median(part) + 8 * np.median(np.abs(part - np.median(part)))
        middle = 0.5 * (level[start + 499] + level[start + 500])
        assert middle == pytest.approx(want, rel=1e-3)
    assert level[0] == level[400]
    between = level[1500 + 500 : 1750 + 499]
    np.testing.assert_allclose(np.diff(between), np.diff(between)[0], atol=1e-5)


def test_dead_windows_take_their_neighbours():
    rng = np.random.default_rng(2)
    series = rng.standard_normal(20000)
    live = np.ones(20000, bool)
    live[5000:12000] = False
    series[~live] = 0
    config = ThresholdConfig(window=10.0)
    level = threshold(series, live, 0.01, config)
    expected = 8 * 0.6745
    assert np.all(np.abs(level - expected) < 0.15 * expected)
    assert np.all(np.isinf(threshold(series, np.zeros(20000, bool), 0.01, config)))
    assert np.all(np.isinf(threshold(np.zeros(20000), live, 0.01, config)))


def test_constant_and_rate():
    series, live = np.zeros(50), np.ones(50, bool)
    assert np.all(
        threshold(series, live, 1.0, ThresholdConfig(kind="constant", constant=0.3)) == np.float32(0.3)
    )
    null = NullPeaks(np.arange(100.0), 86400.0)
    config = ThresholdConfig(kind="rate", rate=10.0)
    level = threshold(series, live, 1.0, config, null)
    assert level[0] == pytest.approx(89.0)
    with pytest.raises(InputError, match="null peaks"):
        threshold(series, live, 1.0, config)


def test_false_alarms_count_and_fall_off_exponentially():
    """Exponential heights have the tail exp(-h) everywhere."""
    rng = np.random.default_rng(3)
    null = NullPeaks(rng.exponential(1.0, 20000), 10 * 86400.0)
    heights = np.array([1.0, 4.0, 12.0, 16.0])
    found = false_alarms(heights, null)
    assert found[0] == (null.heights >= 1).sum() / 10
    np.testing.assert_allclose(found[:2], 2000 * np.exp(-heights[:2]), rtol=0.1)
    assert found[2] / found[3] == pytest.approx(np.exp(4), rel=0.7)
    fine = false_alarms(np.linspace(0, 20, 4000), null)
    assert np.all(np.diff(fine) <= 0) and np.all(fine > 0)
    np.testing.assert_allclose(false_alarms(heights, null, 3600.0), found / 24)


@pytest.mark.parametrize("rate", [100.0, 3.0, 0.1, 0.05, 1e-3])
def test_threshold_for_a_rate_is_the_inverse(rate):
    rng = np.random.default_rng(4)
    null = NullPeaks(rng.exponential(1.0, 5000), 10 * 86400.0)
    level = threshold_for_rate(rate, null)
    at, below = false_alarms(np.array([level, level - 1e-9]), null)
    assert at <= rate * (1 + 1e-9) and below >= rate * (1 - 1e-6)


def test_wished_and_found_false_alarms_agree_on_other_noise():
    rng = np.random.default_rng(5)
    one, other = rng.standard_normal((2, 2_000_000)).astype(np.float32)
    heights = one[peaks(one, 2.0, 10)]
    level = threshold_for_rate(200.0, NullPeaks(heights, 86400.0))
    assert 150 < peaks(other, level, 10).size < 250


def test_faults_are_named():
    with pytest.raises(PhysicsError, match="1 null peaks"):
        NullPeaks(np.ones(1), 10.0)
    with pytest.raises(PhysicsError, match="no tail"):
        threshold_for_rate(1.0, NullPeaks(np.ones(50), 86400.0))
    with pytest.raises(InputError, match="only 50 null peaks"):
        threshold_for_rate(60.0, NullPeaks(np.arange(50.0), 86400.0))
    with pytest.raises(InputError, match="not finite"):
        peaks(np.array([0.0, np.nan, 1.0]), 0.5, 1)
    with pytest.raises(InputError, match="not finite"):
        threshold(np.array([0.0, np.nan]), np.ones(2, bool), 1.0, ThresholdConfig())
    for bad in (
        {"kind": "rms"},
        {"mad": 0},
        {"overlap": 1.0},
        {"kind": "constant"},
        {"kind": "rate"},
        {"min_live": 0},
    ):
        with pytest.raises(InputError):
            ThresholdConfig(**bad)


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_peaks_and_thresholds_do_not_depend_on_the_pieces_that_are_worked_on(piece, monkeypatch):
    rng = np.random.default_rng(5)
    series = np.repeat(rng.integers(0, 6, 400), rng.integers(1, 12, 400)).astype(np.float32)
    noise, live = rng.standard_normal(2000).astype(np.float32), np.ones(2000, bool)
    config = ThresholdConfig(window=50)
    whole = peaks(series, 2.0, 9), threshold(noise, live, 1.0, config)
    monkeypatch.setattr("seisflow.detection.threshold._PIECE", piece)
    np.testing.assert_array_equal(peaks(series, 2.0, 9), whole[0])
    np.testing.assert_array_equal(threshold(noise, live, 1.0, config), whole[1])


def test_peaks_of_a_day_take_little_memory_beside_it():
    series = np.random.default_rng(6).standard_normal(1 << 22).astype(np.float32)
    tracemalloc.start()
    found = peaks(series, 3.0, 100)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.size > 1000
    assert most < 3.5 * series.nbytes
