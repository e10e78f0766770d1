"""The backprojection kernel against its twin, and what a beam must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seisflow import native
from seisflow.detection.backprojection import (
    BackprojectionConfig,
    Delays,
    backproject,
    beam_at,
    delays_of,
    shift_stations,
)
from seisflow.domain import Features, Grid, Projection, Station, TravelTimeTable
from seisflow.errors import InputError
from seisflow.native.beam import BeamPlan
from tests.beam_cases import CASES, geometry, make
from tests.reference import beam_twin

NAMES = ["baseline", "v3", "v4"]
LEVELS = NAMES[: NAMES.index(native.simd_level()) + 1]


@pytest.fixture(params=LEVELS)
def level(request):
    """Every instruction set that this processor has."""
    native.use_simd(request.param)
    yield request.param
    native.use_simd(LEVELS[-1])


def agree(delays, use, given, threads=2):
    plan = BeamPlan(delays, use)
    found = plan.maximum(given, threads)
    mean, share = beam_twin.beam(
        delays, use, given.values, given.live, given.weights, given.least, given.strict
    )
    value, node, live = beam_twin.maximum(mean, share)
    np.testing.assert_array_equal(found.node, node)
    np.testing.assert_array_equal(found.maximum, value)
    np.testing.assert_allclose(found.share, live, atol=1e-6)
    return plan, found


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_twin(case, level):
    delays, _ = geometry()
    plan, found = agree(delays, *make(delays, **CASES[case]))
    assert plan.table_rows > 0
    assert sum(found.tiles[:4]) == 11


@pytest.mark.parametrize(
    "options",
    [{"random": True}, {"phases": 1}, {"phases": 3}, {"earliest": -40}, {"shape": (12, 12, 8)}],
    ids=str,
)
@pytest.mark.parametrize("case", ["noise", "ties", "spikes", "gaps and weights"])
def test_agrees_with_twin_for_other_delays(options, case, level):
    delays, _ = geometry(**options)
    agree(delays, *make(delays, **CASES[case]))


@pytest.mark.parametrize("case", ["noise", "weights", "gaps", "gaps and weights", "ties"])
def test_agrees_with_twin_where_sources_use_some_stations(case, level):
    delays, far = geometry(ns=9)
    use = far < 7.0
    use[:3] = False
    agree(delays, *make(delays, use=use, **CASES[case]))


@pytest.mark.parametrize("case", ["noise", "ties", "spikes", "signed", "weights", "gaps"])
@pytest.mark.parametrize("offset", [0, 3e4])
def test_agrees_with_twin_where_sources_use_as_many_but_other_stations(case, offset, level):
    delays, far = geometry(ns=9)
    use = np.zeros(far.shape, bool)
    np.put_along_axis(use, np.argsort(far, axis=1)[:, :5], True, axis=1)
    use, given = make(delays, nt=900, use=use, **CASES[case])
    given.values[:] += np.float32(offset)
    agree(delays, use, given)


def test_more_stations_than_bytes_hold(level):
    delays, _ = geometry(ns=255, shape=(4, 4, 3))
    delays //= 8
    assert agree(delays, *make(delays, nt=400))[1].tiles[4] == 0


def test_each_path_is_taken():
    delays, _ = geometry()
    plan = BeamPlan(delays)
    assert plan.maximum(make(delays)[1]).tiles[0] >= 9
    for options in ({}, {"kind": "signed"}):
        assert plan.maximum(make(delays, **options)[1], 1).tiles[4] >= 8
    spikes = plan.maximum(make(delays, kind="spikes")[1], 1).tiles
    assert spikes[4] < spikes[0] + spikes[1]
    assert plan.maximum(make(delays, kind="zeros")[1]).tiles[3] >= 3
    assert plan.maximum(make(delays, gaps=40)[1]).tiles[2] >= 8
    assert BeamPlan(geometry(random=True)[0]).table_rows == 0


def test_more_pairs_of_delays_than_a_table_holds():
    delays, _ = geometry(ns=12, shape=(16, 16, 12))
    delays *= 16
    _, given = make(delays, nt=3600)
    plan = BeamPlan(delays)
    found = plan.maximum(given, 2)
    assert found.tiles[0] > 5
    times = np.arange(40, 700, 61)
    values = plan.values(given, times)
    np.testing.assert_array_equal(np.argmax(values, axis=1), found.node[times])
    np.testing.assert_array_equal(values.max(axis=1), found.maximum[times])


def test_bits_do_not_depend_on_threads_or_instruction_set():
    delays, _ = geometry()
    use, given = make(delays, gaps=5, even=False, nt=3000)
    plan = BeamPlan(delays, use)
    seen = set()
    for name in LEVELS:
        native.use_simd(name)
        for threads in (1, 2, 3):
            r = plan.maximum(given, threads)
            seen.add((r.maximum.tobytes(), r.node.tobytes(), r.share.tobytes()))
    native.use_simd(LEVELS[-1])
    assert len(seen) == 1


def test_values_agree_with_twin():
    delays, far = geometry()
    use, given = make(delays, gaps=6, even=False, use=far < 9, least=0.6)
    times = np.array([0, 5, 300, 333, 699])
    mean, _ = beam_twin.beam(delays, use, given.values, given.live, given.weights, given.least, True)
    np.testing.assert_allclose(BeamPlan(delays, use).values(given, times, 2), mean[:, times].T, rtol=1e-6)
    with pytest.raises(InputError, match="origin time 700"):
        BeamPlan(delays, use).values(given, np.array([700]))


def test_a_plan_stays_small():
    delays, _ = geometry(ns=10, shape=(20, 20, 10), random=True)
    assert BeamPlan(delays).nbytes < 2 * delays.nbytes


def features(delays, far, nt=2000, seed=4):
    rng = np.random.default_rng(seed)
    _, ns, phases = delays.shape
    values = np.abs(rng.standard_normal((ns, phases, nt))).astype(np.float32)
    names = tuple(f"XX.S{i}" for i in range(ns))
    data = Features(names, ("P", "S"), values, np.ones(values.shape, bool), 1e9, 0.04)
    return data, Delays(data.stations, data.phases, delays, 0.04, far * 1000)


def event(data, delays, source, origin, height=6):
    for s, p in np.ndindex(delays.shape[1:]):
        at = origin + delays[source, s, p]
        data.values[s, p, at : at + 2] += height


def test_finds_an_event_at_its_node_and_time():
    delays, far = geometry(ns=8)
    data, table = features(delays, far)
    event(data, delays, 101, 1234)
    for config in (
        BackprojectionConfig(),
        BackprojectionConfig(nearest=5),
        BackprojectionConfig(max_distance=1e4),
    ):
        beam = backproject(data, table, config, 2)
        assert int(np.argmax(beam.maximum)) in (1234, 1235) and beam.node[1234] == 101
        at = beam_at(data, table, np.array([1234]), config)
        assert np.nanargmax(at[0]) == 101 and np.nanmax(at) == beam.maximum[1234]
        assert beam.start == 1e9 and beam.interval == 0.04


def test_a_dead_station_counts_in_no_mean():
    delays, far = geometry(ns=8)
    data, table = features(delays, far)
    data.values[3], data.live[3] = np.nan, False
    rest = [0, 1, 2, 4, 5, 6, 7]
    names = tuple(data.stations[i] for i in rest)
    fewer = Features(names, data.phases, data.values[rest], data.live[rest], 1e9, 0.04)
    a = backproject(data, table, BackprojectionConfig(bounds="flexible"), 1)
    b = backproject(fewer, table, BackprojectionConfig(bounds="flexible"), 1)
    both = slice(0, 2000 - int(delays.max()))
    np.testing.assert_array_equal(a.node[both], b.node[both])
    np.testing.assert_array_equal(a.maximum[both], b.maximum[both])
    np.testing.assert_allclose(a.live[both], 7 / 8)


def test_too_few_live_stations_give_no_node():
    delays, far = geometry(ns=8)
    data, table = features(delays, far)
    data.live[:5, :, 500:900] = False
    beam = backproject(data, table, BackprojectionConfig(min_stations=4), 1)
    dead = slice(500, 900 - int(delays.max()))
    assert (beam.node[dead] == -1).all() and (beam.maximum[dead] == 0).all() and (beam.live[dead] == 0).all()
    beam = backproject(data, table, BackprojectionConfig(min_stations=3, min_live=0.1), 1)
    assert (beam.node[dead] >= 0).all()


def test_strict_and_flexible_ends():
    delays, far = geometry(ns=8)
    data, table = features(delays, far)
    last = 2000 - int(delays.max(axis=(1, 2)).min())
    strict = backproject(data, table, BackprojectionConfig(), 1)
    assert (strict.node[last:] == -1).all() and (strict.node[:last] >= 0).all()
    config = BackprojectionConfig(bounds="flexible", min_live=0.01, min_stations=1)
    flexible = backproject(data, table, config, 1)
    assert (flexible.node[:-20] >= 0).all() and (flexible.live[-30:] < 1).all()


def test_weights_move_the_beam():
    delays, far = geometry(ns=8)
    data, table = features(delays, far)
    config = BackprojectionConfig(station_weights={"XX.S2": 1e6}, phase_weights={"S": 1e-6})
    values = beam_at(data, table, np.array([700]), config)[0]
    np.testing.assert_allclose(values, data.values[2, 0, 700 + delays[:, 2, 0]], rtol=1e-3, atol=1e-3)


def test_shifted_stations_hide_the_event():
    delays, far = geometry(ns=8)
    data, table = features(delays, far, nt=6000)
    event(data, delays, 101, 1234)
    null = shift_stations(data, 7, 5.0)
    assert np.array_equal(null.values, shift_stations(data, 7, 5.0).values)
    assert not np.array_equal(null.values, shift_stations(data, 8, 5.0).values)
    shifts = []
    for s in range(8):
        shift = np.flatnonzero(null.values[s, 0] == data.values[s, 0, 0])[0]
        np.testing.assert_array_equal(np.roll(data.values[s], shift, axis=-1), null.values[s])
        shifts.append(shift)
    assert np.diff(sorted(shifts), append=min(shifts) + 6000).min() >= 125
    config = BackprojectionConfig()
    assert (
        backproject(null, table, config).maximum.max() < 0.6 * backproject(data, table, config).maximum.max()
    )
    with pytest.raises(InputError, match="min_shift"):
        shift_stations(data, 7, 100.0)


def test_travel_times_become_samples():
    grid = Grid((0.0, 0.0, -1000.0), (1000.0, 1000.0, 1000.0), (2, 3, 4))
    stations = (Station("XX", "A", 40.0, 30.0, elevation=500.0), Station("XX", "B", 40.1, 30.0))
    times = np.arange(2 * 2 * 24, dtype=np.float32).reshape(2, 2, 2, 3, 4) * np.float32(0.026)
    table = TravelTimeTable(grid, stations, ("P", "S"), times)
    found = delays_of(table, 0.02, Projection(40.0, 30.0))
    assert found.stations == ("XX.A", "XX.B")
    assert found.samples[5, 1, 0] == round(float(times[1, 0].ravel()[5]) / 0.02)
    assert found.distances[3, 0] == pytest.approx(2500.0)
    times[1, 0, 0, 0, 3] = np.nan
    with pytest.raises(InputError, match=r"travel time of P from node 3 to XX\.B"):
        delays_of(table, 0.02)


def test_faults_are_named():
    delays, far = geometry(ns=8)
    data, table = features(delays, far)
    config = BackprojectionConfig()
    data.values[2, 1, 77] = np.nan
    with pytest.raises(InputError, match="station 2, phase 1 is not finite at sample 77"):
        backproject(data, table, config)
    data.values[2, 1, 77] = 0
    with pytest.raises(InputError, match=r"XX\.S9"):
        backproject(data, table, BackprojectionConfig(station_weights={"XX.S9": 2.0}))
    with pytest.raises(InputError, match=r"samples of 0\.05 s"):
        backproject(data, replace(table, interval=0.05), config)
    with pytest.raises(InputError, match=r"no travel times for station XX\.S0"):
        backproject(data, Delays(("a",), ("P", "S"), delays[:, :1].copy(), 0.04), config)
    with pytest.raises(InputError, match="needs distances"):
        backproject(data, replace(table, distances=None), BackprojectionConfig(max_distance=1.0))
    with pytest.raises(InputError, match="no node has"):
        backproject(data, table, BackprojectionConfig(max_distance=1.0))
    with pytest.raises(InputError, match="min_stations"):
        BackprojectionConfig(nearest=2)
    with pytest.raises(InputError, match="positive"):
        BackprojectionConfig(phase_weights={"P": 0.0})
