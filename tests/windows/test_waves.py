"""Windows by wave and phase, limits that change, overlaps, and every candidate kept."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from seisflow.domain import STAGES, Station
from seisflow.errors import InputError
from seisflow.windows import LevelConfig, WindowConfig, select, select_all
from seisflow.windows.arrivals import expected_arrivals
from seisflow.windows.candidates import LISTED
from seisflow.windows.schedule import best_combination, groups
from tests.windows.test_select import (
    BAND,
    EVENT,
    INTERVAL,
    START,
    TIMES,
    config,
    gather,
    messy,
    seismogram,
    three,
)


def pair(seed=0):
    observed, synthetic = messy(seed)
    return three(observed), three(synthetic)


@pytest.mark.parametrize("model", ["ak135", "iasp91"])
@pytest.mark.parametrize("depth", [0.0, 12e3, 300e3])
def test_travel_times_of_named_phases_are_those_of_taup(model, depth):
    from obspy.taup import TauPyModel

    degrees = [0.4, 1.1, 5.0, 17.0, 23.5, 60.0, 98.0, 110.0, 150.0]
    far = tuple(Station("XX", f"S{n}", 0.0, each) for n, each in enumerate(degrees))
    names = ("P", "S", "pP", "sS", "PP", "ScS", "PKiKP")
    found = expected_arrivals(
        replace(EVENT, depth=depth), far, WindowConfig(travel_times=model, phases=names)
    )
    earth, compared = TauPyModel(model), 0
    for here, each in zip(found, degrees, strict=True):
        radians = each * 111319.49 / 6371e3
        exact = {}
        for arrival in earth.get_travel_times(depth / 1000, np.degrees(radians), names):
            exact.setdefault(arrival.name, arrival.time)
        for name, time in here.phases:
            if name in exact and name not in ("P", "S"):
                compared += 1
                assert time == pytest.approx(exact[name], abs=0.01)
    assert compared >= 15


def test_the_earth_is_corrected_once_for_an_event(monkeypatch):
    from obspy.taup.tau_model import TauModel

    calls, plain = [], TauModel.depth_correct
    monkeypatch.setattr(
        TauModel, "depth_correct", lambda self, depth: calls.append(depth) or plain(self, depth)
    )
    many = tuple(Station("XX", f"S{n}", 0.0, 1.0 + 0.1 * n) for n in range(200))
    event = replace(EVENT, depth=23456.7)
    expected_arrivals(event, many, WindowConfig(phases=("P", "S", "SS")))
    assert calls == [23.4567]


def test_unknown_phases_are_refused():
    with pytest.raises(InputError, match="no phase 'Qx'"):
        expected_arrivals(EVENT, (Station("XX", "A", 0.0, 3.0),), WindowConfig(phases=("Qx",)))
    with pytest.raises(InputError, match="pP need travel_times"):
        WindowConfig(travel_times="velocities", phases=("pP",))
    with pytest.raises(InputError, match="needs travel times"):
        WindowConfig(travel_times="none", waves="body")
    with pytest.raises(InputError, match="times of the start model"):
        expected_arrivals(EVENT, (Station("XX", "A", 0.0, 3.0),), WindowConfig(travel_times="model"))


def test_windows_carry_what_they_hold():
    """P at 57 s and the surface wave, which passes from 80 s on."""
    times = {"P": np.array([57.0]), "S": np.array([99.0])}
    clean = three(seismogram(1.0, 1.2, 0.01)), three(seismogram())
    settings = config(travel_times="model", min_velocity=2000.0, interior_minima=3.0)
    found = select_all(*clean, EVENT, settings, BAND, times)
    told = {(w.waves, w.phases) for w in found.windows}
    assert told == {("body", ("P",)), ("surface", ("S",))}
    for window in found.windows:
        expected = tuple(n for n, t in (("P", 57.0), ("S", 99.0)) if window.start <= t <= window.end)
        assert window.phases == expected
    for waves in ("body", "surface"):
        only = select_all(*clean, EVENT, replace(settings, waves=waves), BAND, times)
        assert only.windows and {w.waves for w in only.windows} == {waves}
        lost = next(r for r in only.rejections if r.stage == "waves")
        assert f"holds no {waves} waves" in lost.reason
    only = select_all(*clean, EVENT, replace(settings, waves="phases", phases=("P",)), BAND, times)
    assert only.windows and all("P" in w.phases for w in only.windows)
    assert "holds no P" in next(r.reason for r in only.rejections if r.stage == "waves")


def test_limits_change_along_the_seismogram():
    observed, synthetic = three(seismogram(1.0, 1.2, 0.01)), three(seismogram())
    high = LevelConfig("velocity", (2500.0, 3000.0), (9.0, 0.07))  # nothing slower than 2.5 km/s: after 134 s
    windows, rejections = select(observed, synthetic, EVENT, config(water_level=high), BAND)
    free, _ = select(observed, synthetic, EVENT, config(), BAND)
    assert windows and max(w.start for w in windows) < 134
    flat = LevelConfig("time", (0.0,), (0.07,))
    assert select(observed, synthetic, EVENT, config(water_level=flat), BAND)[0] == free
    strict = LevelConfig("time", (100.0, 101.0), (0.7, 1.0))
    found, rejections = select(observed, synthetic, EVENT, config(min_correlation=strict), BAND)
    assert found and all((w.start + w.end) / 2 <= 100.5 for w in found)
    assert "under 1" in next(r.reason for r in rejections if r.stage == "correlation")
    near = LevelConfig("distance", (300e3, 400e3), (0.9, 0.1))  # 0.55 s allowed at 334 km
    late = select(three(seismogram(2.0)), synthetic, EVENT, config(max_shift=near), BAND)
    assert late[0] == [] and any("not within 0.6" in r.reason for r in late[1])


@pytest.mark.parametrize(
    ("at", "values", "words"), [((1.0, 1.0), (1.0, 2.0), "must rise"), ((1.0,), (), "as many")]
)
def test_impossible_levels_are_refused(at, values, words):
    with pytest.raises(InputError, match=words):
        LevelConfig("time", at, values)
    with pytest.raises(InputError, match="water_level"):
        WindowConfig(water_level=LevelConfig("time", (0.0, 1.0), (0.1, 0.0)))


def score(left, right, correlation, members, group, weights):
    span = right[group].max() - left[group].min()
    coverage = sum(right[n] - left[n] for n in members) / max(span, 1)
    parts = coverage, np.mean(correlation[list(members)]), 1 - len(members) / len(group)
    return float(np.dot(weights, parts))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, 1.0, 0.7), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
def test_combinations_have_the_best_score_of_all_subsets(weights):
    rng = np.random.default_rng(3)
    for _ in range(25):
        left = rng.integers(0, 25, 8)
        right = left + rng.integers(1, 9, 8)
        correlation = rng.random(8)
        chosen = best_combination(left, right, correlation, weights).tolist()
        for group in groups(left, right):
            mine = [n for n in chosen if n in group]
            best = max(
                score(left, right, correlation, some, group, weights)
                for size in range(1, len(group) + 1)
                for some in combinations(group.tolist(), size)
                if all(right[a] <= left[b] or right[b] <= left[a] for a, b in combinations(some, 2))
            )
            assert score(left, right, correlation, mine, group, weights) == pytest.approx(best)
    assert best_combination(np.zeros(0, int), np.zeros(0, int), np.zeros(0), weights).tolist() == []


def test_windows_that_overlap_can_be_merged_and_measured_again():
    observed, synthetic = pair(0)
    settings = config(separation_height=0.5, min_correlation=0.5)
    apart = select(observed, synthetic, EVENT, settings, BAND)
    merged = select(observed, synthetic, EVENT, replace(settings, overlaps="merge"), BAND)[0]
    assert any(r.stage == "overlap" for r in apart[1])
    assert merged and all(a.end <= b.start for a, b in pairwise(merged) if a.component == b.component)
    for window in merged:
        part = slice(*(round((t - START) / INTERVAL) for t in (window.start, window.end + INTERVAL)))
        d, s = (g.data[0, g.components.index(window.component), part] for g in (observed, synthetic))
        assert window.dlna == pytest.approx(0.5 * np.log(np.sum(d**2) / np.sum(s**2)))
    assert len(merged) < len(apart[0])


@pytest.mark.parametrize("overlaps", ["schedule", "combination", "merge"])
def test_every_candidate_is_there_with_what_refused_it(overlaps):
    observed, synthetic = pair(2)
    found = select_all(observed, synthetic, EVENT, config(overlaps=overlaps), BAND)
    table = found.candidates
    counts = {}
    for row in found.rejections:
        counts[row.station, row.component, row.stage] = row.count
    for component in range(3):
        for number, stage in enumerate(STAGES[1:], 1):
            rows = (table.component == component) & (table.stage == number)
            expected = counts.get(("XX.A", "RTZ"[component], stage), 0)
            assert stage == "duplicate" or rows.sum() == expected
    refused = table.take((table.stage > 0) & (table.stage != STAGES.index("duplicate")))
    assert np.isfinite(refused.value).all()
    for stage, wrong in (("correlation", np.less), ("interior minima", np.less_equal)):
        rows = refused.take(refused.stage == STAGES.index(stage))
        assert len(rows), stage
        assert wrong(rows.value, rows.limit).all()
    kept = table.take(table.stage == 0)
    spans = {(START + a * INTERVAL, START + b * INTERVAL) for a, b in zip(kept.left, kept.right, strict=True)}
    if overlaps != "merge":
        assert {(w.start, w.end) for w in found.windows} == spans


def test_a_rejected_centre_is_counted_though_another_makes_the_same_window():
    """Peers key a rejection on the two ends, and lose one that another peak passes with."""
    found = select_all(*pair(2), EVENT, config(separation_height=1.0, separation_time=0.5), BAND)
    table = found.candidates.take(found.candidates.component == 0)
    lost = table.stage == STAGES.index("phase separation")
    ends = set(zip(table.left[lost].tolist(), table.right[lost].tolist(), strict=True))
    later = table.take(table.stage > STAGES.index("duplicate"))
    assert len(ends) < lost.sum() or ends & set(zip(later.left.tolist(), later.right.tolist(), strict=True))


def test_crowded_traces_count_what_they_do_not_list(monkeypatch):
    from seisflow.windows import candidates

    few = select_all(*pair(2), EVENT, config(), BAND)
    monkeypatch.setattr(candidates, "LISTED", 10)
    many = select_all(*pair(2), EVENT, config(), BAND)
    assert LISTED > 1000 and many.windows == few.windows and len(many.candidates) < len(few.candidates)
    total = [sum(r.count for r in each.rejections) for each in (few, many)]
    assert total[0] == total[1]
    monkeypatch.setattr(candidates, "MOST", 3)
    none = select_all(*pair(2), EVENT, config(), BAND)
    assert none.windows == [] and all("raise water_level" in r.reason for r in none.rejections)


def test_results_do_not_depend_on_how_traces_are_grouped(monkeypatch):
    import importlib

    traces = [messy(seed % 4) for seed in range(9)]
    live = np.ones((3, 3), dtype=bool)
    live[1, 1] = False
    observed = gather(*[each[0] for each in traces], live=live)
    synthetic = gather(*[each[1] for each in traces])
    whole = select_all(observed, synthetic, EVENT, config(), BAND)
    monkeypatch.setattr(importlib.import_module("seisflow.windows.select"), "BLOCK", len(TIMES))
    single = select_all(observed, synthetic, EVENT, config(), BAND)
    assert single.windows == whole.windows and single.rejections == whole.rejections
    for name in ("station", "component", "left", "right", "stage"):
        assert getattr(single.candidates, name).tolist() == getattr(whole.candidates, name).tolist()
