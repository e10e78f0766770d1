"""Double differences: a swarm with known places is found again, whatever the links are spoiled with."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from seisflow.detection.differential_times import (
    CorrelationConfig,
    DifferentialTimes,
    PhaseWindows,
    catalog_times,
    differential_times,
    joined,
    neighbours,
)
from seisflow.detection.double_difference import ErrorConfig, System
from seisflow.detection.lookup import slowness_at_points
from seisflow.detection.relocation import RelocationConfig, RelocationStage, relocate
from seisflow.domain import Arrival, Detection, Grid, Station, TravelTimeTable
from seisflow.errors import InputError, PhysicsError

SPEEDS = np.array([3600.0, 2000.0])
GRID = Grid((-20e3, -20e3, 0.0), (1e3, 1e3, 1e3), (41, 41, 21))


def homogeneous(count=14, seed=1):
    generator = np.random.default_rng(seed)
    sites = np.column_stack([generator.uniform(-15e3, 15e3, (count, 2)), np.zeros(count)])

    def travel_times(points):
        assert (points >= GRID.origin).all() and (points <= GRID.end).all()
        offset = points[None] - sites[:, None]
        distance = np.sqrt((offset**2).sum(axis=2))
        times = distance[:, None] / SPEEDS[None, :, None]
        slopes = (offset / distance[..., None])[:, None] / SPEEDS[None, :, None, None]
        return times, slopes

    return travel_times


TRAVEL_TIMES = homogeneous()


def swarm(count, centre=(0.0, 0.0, 6000.0), size=250.0, seed=2):
    return np.array(centre) + np.random.default_rng(seed).normal(0, size, (count, 3))


def correlations(truth, delays, pairs, error=0.001, seed=3):
    """Differential times from catalog origin times that are `delays` early."""
    times = TRAVEL_TIMES(truth)[0] + delays
    ns, np_ = times.shape[:2]
    first, second = (np.repeat(column, ns * np_) for column in pairs.T)
    station = np.tile(np.repeat(np.arange(ns), np_), len(pairs))
    phase = np.tile(np.arange(np_), len(pairs) * ns)
    time = times[station, phase, first] - times[station, phase, second]
    time += np.random.default_rng(seed).normal(0, error, time.size)
    full = np.ones(time.size)
    return DifferentialTimes(first, second, station, phase, time, 0.9 * full, full.astype(bool))


def picks(truth, delays, pairs, error=0.01, seed=4):
    """Differential times of onsets, each with one error, through the catalog."""
    times = TRAVEL_TIMES(truth)[0] + delays
    times += np.random.default_rng(seed).normal(0, error, times.shape)
    detections = [
        Detection(
            str(event), 1000.0 * event, 0, 0, 0, "beam",
            arrivals=tuple(
                Arrival(f"X.{s}", "PS"[p], 1000.0 * event + times[s, p, event])
                for s in range(times.shape[0]) for p in range(2)
            ),
        )
        for event in range(len(truth))
    ]  # fmt: skip
    return catalog_times(detections, pairs, [f"X.{s}" for s in range(times.shape[0])], "PS")


def relative(places):
    return places - places.mean(axis=0)


def catalog(truth, seed=5, error=150.0):
    """Places and delays of a catalog with errors, mean free so that the centroid is right."""
    generator = np.random.default_rng(seed)
    shift, delays = generator.normal(0, error, truth.shape), generator.normal(0, 0.03, len(truth))
    return truth + shift - shift.mean(axis=0), delays - delays.mean()


def rms(values):
    return float(np.sqrt((values**2).sum(axis=1).mean()))


def test_swarm_is_recovered_to_the_error_of_its_times():
    truth = swarm(40)
    start, delays = catalog(truth)
    pairs = neighbours(start, 2000, 12)
    config = RelocationConfig()
    origin = np.zeros(len(truth))
    coarse = relocate(start, origin, picks(truth, delays, pairs), TRAVEL_TIMES, GRID, config)
    links = joined(picks(truth, delays, pairs), correlations(truth, delays, pairs))
    fine = relocate(start, origin, links, TRAVEL_TIMES, GRID, config)
    before, middle, after = (rms(relative(p) - relative(truth)) for p in (start, coarse.places, fine.places))
    assert before > 200
    assert middle < 0.2 * before
    assert after < 0.15 * middle  # 1 ms of links that do not share errors, against 10 ms of onsets
    assert np.std(fine.times - delays) < 0.001
    np.testing.assert_allclose(fine.places.mean(axis=0), start.mean(axis=0), atol=0.01)
    assert fine.scatter["correlation"][1] < 0.0015 < fine.scatter["correlation"][0]
    assert 0.007 < fine.scatter["onset"][1] < 0.02


@pytest.mark.parametrize("kind", ["picks", "correlations"])
@pytest.mark.parametrize("dense", [100, 0])
def test_errors_hold_the_truth(kind, dense):
    truth = swarm(30)
    squares = []
    for trial in range(4):
        start, delays = catalog(truth, seed=trial, error=30.0)
        pairs = neighbours(truth, 2000, 29)
        make = picks if kind == "picks" else correlations
        links = make(truth, delays, pairs, seed=100 + trial)
        config = RelocationConfig(errors=ErrorConfig(dense_events=dense))
        result = relocate(start, np.zeros(30), links, TRAVEL_TIMES, GRID, config)
        miss = np.column_stack([relative(result.places) - relative(truth), result.times - delays])
        squares.append(np.einsum("ni,nij,nj->n", miss, np.linalg.inv(result.covariances), miss))
    assert 0.75 < np.mean(squares) / 4 < 1.35


def test_many_doublets_are_groups_of_their_own():
    generator = np.random.default_rng(0)
    centres = np.column_stack([generator.uniform(-15e3, 15e3, (200, 2)), generator.uniform(3e3, 12e3, 200)])
    halves = generator.normal(0, 70, (200, 3))
    truth = (centres[:, None] + halves[:, None] * np.array([[1], [-1]])).reshape(-1, 3)
    wrong = generator.normal(0, 70, (200, 3))
    start = (centres[:, None] + wrong[:, None] * np.array([[1], [-1]])).reshape(-1, 3)
    links = correlations(truth, np.zeros(400), np.arange(400).reshape(-1, 2))
    result = relocate(start, np.zeros(400), links, TRAVEL_TIMES, GRID, RelocationConfig())
    np.testing.assert_array_equal(result.groups, np.repeat(np.arange(200), 2))
    miss = np.column_stack([result.places - truth, result.times])[::2]
    square = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(result.covariances[::2]), miss)
    assert 0.8 < square.mean() / 4 < 1.25


def test_both_ways_to_errors_agree():
    truth = swarm(20)
    start, delays = catalog(truth)
    links = correlations(truth, delays, neighbours(start, 3000, 6))
    dense, drawn = (
        relocate(
            start, np.zeros(20), links, TRAVEL_TIMES, GRID,
            RelocationConfig(errors=ErrorConfig(dense_events=n, samples=400)),
        )
        for n in (20, 19)
    )  # fmt: skip
    sizes = [np.sqrt(np.trace(each.covariances[:, :3, :3], axis1=1, axis2=2)) for each in (dense, drawn)]
    np.testing.assert_allclose(sizes[1], sizes[0], rtol=0.15)


def test_outliers_have_no_weight():
    truth = swarm(40)
    start, delays = catalog(truth)
    pairs = neighbours(start, 2000, 12)
    links = joined(picks(truth, delays, pairs), correlations(truth, delays, pairs))
    clean = relocate(start, np.zeros(40), links, TRAVEL_TIMES, GRID, RelocationConfig())
    generator = np.random.default_rng(9)
    wrong = generator.random(len(links)) < 0.05
    spoiled = replace(links, time=links.time + wrong * generator.uniform(-0.5, 0.5, len(links)))
    result = relocate(start, np.zeros(40), spoiled, TRAVEL_TIMES, GRID, RelocationConfig())
    assert rms(relative(result.places) - relative(truth)) < 1.5 * rms(
        relative(clean.places) - relative(truth)
    )
    assert result.dropped["too large a residual"] > 0.8 * wrong.sum()


def test_groups_keep_their_centroids_and_lone_events_their_places():
    truth = np.vstack([swarm(15), swarm(12, (8000.0, 3000.0, 9000.0), seed=7), [[-9000.0, 0.0, 4000.0]]])
    start, delays = catalog(truth, error=80.0)
    pairs = neighbours(start, 3000, 8)
    links = correlations(truth, delays, pairs)
    result = relocate(start, np.zeros(28), links, TRAVEL_TIMES, GRID, RelocationConfig())
    np.testing.assert_array_equal(result.groups, [0] * 15 + [1] * 12 + [-1])
    for part in (slice(0, 15), slice(15, 27)):
        np.testing.assert_allclose(result.places[part].mean(axis=0), start[part].mean(axis=0), atol=0.01)
        assert rms(relative(result.places[part]) - relative(truth[part])) < 8
    np.testing.assert_array_equal(result.places[27], start[27])
    assert result.left_out == {27: "fewer than 4 links with any event"}
    assert np.isnan(result.covariances[27]).all() and np.isfinite(result.covariances[:27]).all()


def test_bad_links_are_counted_and_order_does_not_matter():
    truth = swarm(12)
    start, delays = catalog(truth)
    good = correlations(truth, delays, neighbours(start, 3000, 6))
    expected = relocate(start, np.zeros(12), good, TRAVEL_TIMES, GRID, RelocationConfig())
    again = good.take(np.arange(10))
    turned = replace(
        again, first=again.second, second=again.first, time=3.0 - again.time, weight=0.5 * again.weight
    )
    alone = replace(again, second=again.first)
    broken = replace(good.take(np.arange(20, 23)), time=np.full(3, np.nan))
    weightless = replace(good.take(np.arange(30, 32)), weight=np.zeros(2))
    everything = joined(good, turned, alone, broken, weightless)
    mixed = everything.take(np.random.default_rng(0).permutation(len(everything)))
    result = relocate(start, np.zeros(12), mixed, TRAVEL_TIMES, GRID, RelocationConfig())
    for name in ("places", "times", "covariances"):
        assert getattr(result, name).tobytes() == getattr(expected, name).tobytes()
    counts = {"of an event with itself": 10, "not finite": 3, "without weight": 2, "given more than once": 10}
    assert counts.items() <= result.dropped.items()


def test_no_event_leaves_the_grid():
    truth = swarm(15, (0.0, 0.0, 300.0), size=150.0)
    truth[:, 2] = np.maximum(truth[:, 2], 50.0)
    start, delays = catalog(truth, error=120.0)
    start[:, 2] = 220.0  # flat, so that half of the events want to rise
    start[3], start[4, 2] = [0.0, 0.0, -50.0], 150.0
    links = correlations(truth, delays, neighbours(start, 3000, 10))
    result = relocate(start, np.zeros(15), links, TRAVEL_TIMES, GRID, RelocationConfig(shallowest=200.0))
    assert result.left_out == {3: "outside the grid", 4: "outside the grid"}
    linked = result.groups >= 0
    assert result.places[linked, 2].min() == 200.0
    assert 2 <= result.held.sum() < 11
    np.testing.assert_array_equal(result.held[linked], result.places[linked, 2] == 200.0)
    np.testing.assert_array_equal(result.places[3], start[3])


def test_links_to_what_is_not_there_are_refused():
    truth = swarm(5)
    links = correlations(truth, np.zeros(5), neighbours(truth, 3000, 4))
    with pytest.raises(InputError, match="events 1 to 4 as second; there are 0 to 3"):
        relocate(
            truth[:4],
            np.zeros(4),
            links,
            TRAVEL_TIMES,
            GRID,
            RelocationConfig(),
        )
    with pytest.raises(InputError, match="14 stations"):
        relocate(
            truth,
            np.zeros(5),
            replace(links, station=links.station + 1),
            TRAVEL_TIMES,
            GRID,
            RelocationConfig(),
        )
    with pytest.raises(PhysicsError, match="no two events"):
        relocate(truth, np.zeros(5), links.take(np.arange(3)), TRAVEL_TIMES, GRID, RelocationConfig())
    with pytest.raises(InputError, match="finite"):
        relocate(truth * np.nan, np.zeros(5), links, TRAVEL_TIMES, GRID, RelocationConfig())
    with pytest.raises(InputError, match="min_links = 3"):
        RelocationConfig(min_links=3)
    with pytest.raises(InputError, match="stages is empty"):
        RelocationConfig(stages=())


def test_solution_is_that_of_dense_least_squares():
    truth = swarm(8)
    start, delays = catalog(truth)
    links = correlations(truth, delays, neighbours(start, 3000, 4))
    times, slopes = TRAVEL_TIMES(start)
    residual = links.time - (
        times[links.station, links.phase, links.first] - times[links.station, links.phase, links.second]
    )
    information = np.random.default_rng(0).uniform(1e5, 1e6, len(links))
    system = System.build(links, slopes, information, np.zeros(8, dtype=int))
    root = np.sqrt(information)[:, None]
    matrix = root * system.matrix.toarray()
    centre = np.eye(32) - np.kron(np.full((8, 8), 1 / 8), np.eye(4))
    ridge = 0.1**2 * (matrix**2).sum() / 32
    stacked = np.vstack([matrix @ centre, np.sqrt(ridge) * np.eye(32)])
    expected = np.linalg.lstsq(stacked, np.concatenate([root[:, 0] * residual, np.zeros(32)]), rcond=None)[0]
    found = system.solve(residual, 0.1, 1e-12)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-6 * np.abs(expected).max())


def test_neighbours_are_those_of_a_full_search():
    places = swarm(60, size=500.0)
    distance = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2))
    expected = set()
    for event in range(60):
        nearest = np.argsort(distance[event])[1:6]
        expected |= {tuple(sorted((event, int(n)))) for n in nearest if distance[event, n] <= 600}
    found = neighbours(places, 600.0, 5)
    assert {tuple(pair) for pair in found.tolist()} == expected
    assert len(found) == len(expected)
    twins = neighbours(np.zeros((3, 3)), 1.0, 2)
    np.testing.assert_array_equal(twins, [[0, 1], [0, 2], [1, 2]])
    assert neighbours(places[:1], 1.0, 2).shape == (0, 2)
    with pytest.raises(InputError, match="max_neighbours = 0"):
        neighbours(places, 1.0, 0)


def wavelets(delays, samples=100, interval=0.02, seed=0):
    """Band-limited noise of two components, delayed by fractions of a sample, that decays at the ends."""
    generator = np.random.default_rng(seed)
    frequency, phase = generator.uniform(2, 9, (2, 12)), generator.uniform(0, 6, (2, 12))
    time = interval * np.arange(samples) - delays[:, None] - 0.8
    angle = 2 * np.pi * frequency[:, :, None] * time[:, None, None] + phase[:, :, None]
    return (np.sin(angle).sum(axis=2) * np.exp(-((time / 0.35) ** 2))[:, None]).astype(np.float32)


def test_lags_are_found_to_a_hundredth_of_a_sample():
    delays = np.random.default_rng(1).uniform(-0.05, 0.05, 20)
    scale = 10 ** np.random.default_rng(2).uniform(-6, 3, (20, 1, 1))
    data = (scale * wavelets(delays))[:, None].astype(np.float32)
    moveouts = np.full((20, 1), 2.0) + 0.1 * np.arange(20)[:, None]
    live = np.ones((20, 1, 2), dtype=bool)
    live[3, 0, 1] = False
    live[4] = False
    data[3, 0, 1] = np.nan
    windows = PhaseWindows(data, live, moveouts, 0.02, 1)
    pairs = neighbours(np.random.default_rng(0).normal(size=(20, 3)), np.inf, 19)
    found = differential_times(windows, pairs, CorrelationConfig(max_lag=0.2, min_correlation=0.9))
    assert len(found) == 19 * 18 // 2  # the silent event has no pairs
    truth = delays + moveouts[:, 0]
    np.testing.assert_allclose(found.time, truth[found.first] - truth[found.second], atol=0.0002)
    assert found.weight.min() > 0.99
    assert set(found.phase) == {1}
    short = differential_times(windows, pairs, CorrelationConfig(max_lag=0.04, min_correlation=0.9))
    assert 0 < len(short) < len(found)
    assert np.abs(short.time - 0.1 * (short.first - short.second)).max() < 0.04


def test_correlation_agrees_with_its_plain_definition():
    generator = np.random.default_rng(4)
    data = generator.normal(size=(2, 1, 1, 60)).astype(np.float32)
    windows = PhaseWindows(data, np.ones((2, 1, 1), dtype=bool), np.zeros((2, 1)), 1.0, 0)
    config = CorrelationConfig(max_lag=20.0, min_correlation=0.01)
    found = differential_times(windows, np.array([[0, 1]]), config)
    one, two = (each - each.mean() for each in data[:, 0, 0].astype(np.float64))
    best = (0.0, 0)
    for lag in range(-20, 21):
        a, b = one[max(lag, 0) : 60 + min(lag, 0)], two[max(-lag, 0) : 60 - max(lag, 0)]
        best = max(best, (float(a @ b / np.sqrt((a @ a) * (b @ b))), lag))
    assert abs(found.time[0] - best[1]) < 1
    assert best[0] - 0.01 < found.weight[0] < best[0] + 0.1
    with pytest.raises(InputError, match="windows of 60 samples"):
        differential_times(windows, np.array([[0, 1]]), CorrelationConfig(max_lag=31.0))


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import hashlib, numpy as np
from test_relocation import *
truth = swarm(60)
start, delays = catalog(truth)
links = correlations(truth, delays, neighbours(start, 3000, 12))
result = relocate(start, np.zeros(60), links, TRAVEL_TIMES, GRID, RelocationConfig())
print(hashlib.sha256(result.places.tobytes() + result.times.tobytes()).hexdigest())
np.save(sys.argv[2], result.covariances)
"""


def test_bits_do_not_depend_on_threads(tmp_path):
    hashes, errors = set(), []
    for threads in ("1", "2"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
        path = tmp_path / f"{threads}.npy"
        command = [sys.executable, "-c", PROGRAM, os.path.dirname(__file__), str(path)]
        done = subprocess.run(
            command,
            env=os.environ | dict.fromkeys(names, threads),
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(done.stdout)
        errors.append(np.load(path))
    assert len(hashes) == 1
    np.testing.assert_array_equal(errors[0], errors[1])


def test_stages_weigh_by_distance():
    truth = swarm(20)
    start, delays = catalog(truth)
    links = correlations(truth, delays, neighbours(start, 3000, 8))
    config = RelocationConfig((RelocationStage(3, correlation_distance=400.0),))
    result = relocate(start, np.zeros(20), links, TRAVEL_TIMES, GRID, config)
    assert result.dropped["too far apart"] > 0
    with pytest.raises(InputError, match="onset_distance"):
        RelocationStage(onset_distance=-1.0)


def test_travel_times_of_a_table():
    """Times at 1 km nodes, single precision, give the places that exact times give."""
    generator = np.random.default_rng(1)
    sites = np.column_stack([generator.uniform(-15e3, 15e3, (14, 2)), np.zeros(14)])  # those of `homogeneous`
    nodes = np.stack(np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij"), axis=-1)
    distance = np.sqrt(((nodes[None] - sites[:, None, None, None]) ** 2).sum(axis=-1))
    times = (distance[:, None] / SPEEDS[None, :, None, None, None]).astype(np.float32)
    stations = tuple(Station("X", str(number), 46.0, 7.0) for number in range(14))
    table = TravelTimeTable(GRID, stations, ("P", "S"), times, sites)
    truth = swarm(20)
    start, delays = catalog(truth)
    links = correlations(truth, delays, neighbours(start, 3000, 8))
    found, expected = (
        relocate(start, np.zeros(20), links, each, GRID, RelocationConfig())
        for each in (lambda points: slowness_at_points(table, points), TRAVEL_TIMES)
    )
    np.testing.assert_allclose(found.places, expected.places, atol=0.1)
