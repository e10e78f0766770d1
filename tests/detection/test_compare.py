"""Comparison of two catalogs."""

import dataclasses
from itertools import permutations

import numpy as np
import pytest

from seisflow.detection.compare import compare, comparison_text, recall_by, wilson_interval
from seisflow.domain import Catalog, Detection, Magnitude, Projection
from seisflow.errors import InputError

PROJECTION = Projection(40.0, 20.0)


def catalog(rows, start=0.0, end=1e4, projection=PROJECTION):
    """Of (time, x, y, z) or (time, x, y, z, magnitude)."""
    found = [
        Detection(
            f"e{n}", *row[:4], "beam", magnitude=Magnitude(row[4], 0.1, "ML", 3) if len(row) > 4 else None
        )
        for n, row in enumerate(sorted(rows))
    ]
    return Catalog(projection, tuple(found), start, end, (end - start) / 86400)


def test_a_moved_copy_is_found_whole_with_its_shift():
    rng = np.random.default_rng(1)
    rows = [(t, *rng.uniform(-5e3, 5e3, 2), 5e3, 1.0) for t in np.sort(rng.uniform(10, 9000, 300))]
    moved = [(t + 0.1, x + 30, y - 40, z + 200, m - 0.25) for t, x, y, z, m in rows]
    found = compare(catalog(moved), catalog(rows), 0.5, 500.0)
    assert found.recall == found.precision == 1.0 and len(found.pairs) == 300
    told = {each.name: each for each in found.differences()}
    for name, value in (
        ("time", 0.1), ("east", 30), ("north", -40), ("horizontal distance", 50), ("depth", 200), ("magnitude", -0.25),
    ):  # fmt: skip
        assert told[name].bias == pytest.approx(value, abs=1e-6), name
        assert told[name].median == pytest.approx(value, abs=1e-6) and told[name].spread < 1e-6


def test_recall_and_precision_count_what_was_dropped_and_added():
    rng = np.random.default_rng(2)
    rows = [(20.0 * n + 5, *rng.uniform(-5e3, 5e3, 2), 5e3) for n in range(100)]
    extra = [(20.0 * n + 15, 0.0, 0.0, 5e3) for n in range(50)]
    found = compare(catalog(rows[20:] + extra), catalog(rows), 1.0, 100.0)
    assert (len(found.pairs), found.missed.size, found.extra.size) == (80, 20, 50)
    assert found.recall == 0.8 and found.precision == pytest.approx(80 / 130)
    np.testing.assert_array_equal(found.missed, np.arange(20))


def test_pairs_are_one_to_one_and_the_nearest_first():
    """Two detections of one event: the nearer is its pair, the other is extra; agrees with trying every order."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        a = catalog([(t, x, 0.0, 0.0) for t, x in rng.uniform([0, 0], [2, 200], (6, 2))])
        b = catalog([(t, x, 0.0, 0.0) for t, x in rng.uniform([0, 0], [2, 200], (5, 2))])
        found = compare(a, b, 1.0, 100.0)
        dt = a.times[:, None] - b.times[None]
        dx = a.places[:, None, 0] - b.places[None, :, 0]
        cost = np.where((abs(dt) <= 1) & (abs(dx) <= 100), dt**2 + (dx / 100) ** 2, np.inf)
        left, wanted = cost.copy(), set()
        while np.isfinite(left).any():
            i, j = np.unravel_index(np.argmin(left), left.shape)
            wanted.add((int(i), int(j)))
            left[i], left[:, j] = np.inf, np.inf
        pairs = {(int(i), int(j)) for i, j in found.pairs}
        assert pairs == wanted
        best = max(sum(np.isfinite(cost[list(order), range(5)])) for order in permutations(range(6), 5))
        assert 2 * len(pairs) >= best, "nearest-first matches at least half of what is possible"


def test_limits_hold_and_must_be_positive():
    a, b = catalog([(10.0, 0, 0, 0)]), catalog([(10.5, 0, 300.0, 9e3)])
    assert len(compare(a, b, 0.5, 300.0).pairs) == 1
    assert len(compare(a, b, 0.49, 300.0).pairs) == 0
    assert len(compare(a, b, 0.5, 299.0).pairs) == 0
    for limits in ((0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)):
        with pytest.raises(InputError, match="must be positive"):
            compare(a, b, *limits)


def test_what_was_not_searched_is_not_missed():
    reference = catalog([(float(t), 0, 0, 0) for t in range(0, 100, 10)])
    found = catalog([(t + 0.01, 0, 0, 0) for t in (50.0, 60.0)] + [(200.0, 0, 0, 0)], start=45.0, end=250.0)
    reference = dataclasses.replace(reference, end=100.0)
    result = compare(found, reference, 1.0, 100.0)
    assert len(result.pairs) == 2
    np.testing.assert_array_equal(result.missed, [7, 8, 9])
    assert result.extra.size == 0, "the reference ends before the third detection"
    assert "not counted: 5 reference events" in comparison_text(result)


def test_projections_may_differ():
    other = Projection(40.3, 20.4)
    places = np.random.default_rng(4).uniform(-2e4, 2e4, (50, 2))
    rows = [(10.0 * n + 1, x, y, 1e3) for n, (x, y) in enumerate(places)]
    there = []
    for time, x, y, z in rows:
        there.append((time, *other.to_local(*PROJECTION.to_geographic(x, y)), z))
    result = compare(catalog(rows), catalog(there, projection=other), 1.0, 10.0)
    assert result.recall == 1.0 and result.distances.max() < 0.01


def test_empty_catalogs():
    some, none = catalog([(10.0, 0, 0, 0)]), catalog([])
    assert np.isnan(compare(some, none, 1.0, 1.0).recall) and compare(some, none, 1.0, 1.0).precision == 0
    assert compare(none, some, 1.0, 1.0).recall == 0 and np.isnan(compare(none, some, 1.0, 1.0).precision)
    assert compare(none, none, 1.0, 1.0).differences() == []
    assert "0 pairs" in comparison_text(compare(none, none, 1.0, 1.0))


def test_recall_against_size():
    rows = [(10.0 * n + 1, 0, 0, 0, n / 10) for n in range(100)]
    result = compare(catalog(rows[50:]), catalog(rows), 1.0, 100.0)
    steps = recall_by(result, np.arange(100) / 10, bins=4)
    assert [each.recall for each in steps] == [0, 0, 1, 1] and sum(each.count for each in steps) == 100
    assert steps[0].low == 0 and steps[-1].high == 9.9
    low, high = steps[0].interval
    assert low == 0 and 0.05 < high < 0.2
    assert recall_by(result, np.full(100, np.nan)) == []
    assert [each.count for each in recall_by(result, np.full(100, 3.0))] == [100]
    with pytest.raises(InputError, match="a value for each of 100 reference events"):
        recall_by(result, np.zeros(3))


def test_wilson_interval_covers():
    """It holds the true share about 95 times in 100, also at the ends, where the usual one fails."""
    rng = np.random.default_rng(6)
    for share in (0.5, 0.9, 0.98):
        hits = rng.binomial(40, share, 4000)
        inside = [low <= share <= high for low, high in (wilson_interval(int(n), 40) for n in hits)]
        assert 0.92 < np.mean(inside) < 0.985
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_text_is_aligned():
    rows = [(10.0 * n + 1, 0, 0, 0) for n in range(10)]
    lines = comparison_text(compare(catalog(rows[1:]), catalog(rows), 1.0, 100.0)).splitlines()
    assert lines[0] == "9 pairs within 1 s and 100 m" and "90.0 %" in lines[1] and "100.0 %" in lines[2]
    table = lines[lines.index("") + 1 :]
    assert len(table) == 6 and len({len(line) for line in table}) == 1


def test_a_large_catalog_takes_no_time():
    rng = np.random.default_rng(8)
    times = np.sort(rng.uniform(0, 1e6, 20000))
    places = rng.uniform(-1e4, 1e4, (20000, 2))
    rows = [(t, x, y, 0.0) for t, (x, y) in zip(times, places, strict=True)]
    result = compare(catalog(rows, end=1e6), catalog(rows, end=1e6), 2.0, 1000.0)
    assert result.recall == 1.0 and result.distances.max() == 0
