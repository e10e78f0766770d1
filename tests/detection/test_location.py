"""Places and times of detections, and whether the stated errors hold."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt
from scipy.stats import chi2

from seisflow.detection.backprojection import BackprojectionConfig, Delays, backproject
from seisflow.detection.features import FeatureConfig, make_features
from seisflow.detection.location import LocationConfig, locate, stack
from seisflow.detection.onset_delay import with_delays
from seisflow.domain import Continuous, Features, Grid, OnsetDelay, Station
from seisflow.errors import InputError

SPEEDS = np.array([5000.0, 2900.0])
GRID = Grid((-10000.0, -10000.0, 4000.0), (1000.0, 1000.0, 1000.0), (21, 21, 9))
INTERVAL = 0.01
COUNT = 3000


def network(count, random):
    angle, radius = random.uniform(0, 2 * np.pi, count), random.uniform(2e3, 2e4, count)
    return np.c_[radius * np.cos(angle), radius * np.sin(angle), np.zeros(count)]


def travel_times_to(places):
    def times(points):
        lines = points[None] - places[:, None]
        length = np.linalg.norm(lines, axis=2)
        slopes = lines[:, None] / length[:, None, :, None] / SPEEDS[None, :, None, None]
        return length[:, None] / SPEEDS[None, :, None], slopes

    return times


def bumps(times, width=0.15):
    """Features that peak at arrivals (ns, np)."""
    axis = np.arange(COUNT) * INTERVAL
    values = np.maximum(0, 2 - np.abs(axis - times[..., None]) / width).astype(np.float32)
    names = tuple(f"XX.A{n:02d}" for n in range(len(times)))
    return Features(names, ("P", "S"), values, np.ones(values.shape, bool), 0.0, INTERVAL)


def nearest_node(place):
    return int(
        np.ravel_multi_index([int(np.abs(GRID.axis(i) - place[i]).argmin()) for i in range(3)], GRID.shape)
    )


@pytest.mark.parametrize("place", [(1234.0, -2345.0, 7777.0), (0.0, 0.0, 8000.0), (-400.0, 499.0, 6501.0)])
def test_the_spacing_of_the_grid_does_not_show(place):
    travel = travel_times_to(network(10, np.random.default_rng(0)))
    times = travel(np.array([place]))[0][..., 0]
    features = bumps(10 + times)
    found = locate(features, travel, GRID, (10.02, nearest_node(place)), LocationConfig(), np.ones((10, 2)))
    assert np.abs(np.array([found.x, found.y, found.z]) - place).max() < 20
    assert abs(found.time - 10) < 0.004 and not found.edge
    assert len(found.arrivals) == 20 and max(abs(each.residual) for each in found.arrivals) < 0.01


def test_a_source_outside_is_said_to_lie_at_the_edge():
    travel = travel_times_to(network(10, np.random.default_rng(0)))
    place = np.array([0.0, 0.0, 14000.0])
    features = bumps(10 + travel(place[None])[0][..., 0])
    found = locate(features, travel, GRID, (10.2, nearest_node(place)), LocationConfig(), np.ones((10, 2)))
    assert found.edge and found.z == pytest.approx(12000)


def test_stations_that_are_not_live_take_no_part():
    travel = travel_times_to(network(12, np.random.default_rng(1)))
    place = np.array([1200.0, 700.0, 7300.0])
    features = bumps(10 + travel(place[None])[0][..., 0])
    features.live[:3] = False
    features.values[:3] = 1e6
    found = locate(features, travel, GRID, (10.0, nearest_node(place)), LocationConfig(), np.ones((12, 2)))
    assert np.abs(np.array([found.x, found.y, found.z]) - place).max() < 50
    assert {each.station for each in found.arrivals} == {f"XX.A{n:02d}" for n in range(3, 12)}
    features.live[3:10] = False
    few = locate(features, travel, GRID, (10.0, nearest_node(place)), LocationConfig(), np.ones((12, 2)))
    assert few.covariance is None


def test_the_stack_is_the_weighted_mean_over_what_is_live():
    random = np.random.default_rng(2)
    features = bumps(random.uniform(5, 20, (4, 2)))
    features.live[1, 0, 500:900] = False
    times, origins = random.uniform(0, 3, (4, 2, 5)), np.array([4.0, 6.123, 28.5])
    weights = random.uniform(0, 1, (4, 2))
    weights[2] = 0
    found = stack(features, times, origins, weights)
    for node, row in enumerate(found):
        for value, origin in zip(row, origins, strict=True):
            total = share = 0.0
            for s, p in np.ndindex(4, 2):
                where = (origin + times[s, p, node]) / INTERVAL
                below = int(where)
                if below + 1 >= COUNT or not features.live[s, p, below : below + 2].all():
                    continue
                part = where - below
                trace = features.values[s, p].astype(float)
                total += weights[s, p] * ((1 - part) * trace[below] + part * trace[below + 1])
                share += weights[s, p]
            assert value == pytest.approx(total / share if share else 0.0, abs=1e-6)


def test_settings_that_cannot_be_are_refused():
    for changes in ({"divisions": 1}, {"levels": 0}, {"window": 0.0}, {"min_arrivals": 4}):
        with pytest.raises(InputError):
            LocationConfig(**changes)


def test_onsets_are_sought_before_peaks_that_come_late():
    travel = travel_times_to(network(10, np.random.default_rng(0)))
    place = np.array([1234.0, -2345.0, 7777.0])
    late = np.array([0.02, -0.07])
    features = bumps(10 + travel(place[None])[0][..., 0] + late)
    heights = np.array([1.0, 3.0])
    delays = tuple(OnsetDelay(heights, np.full(2, each), np.full(2, 0.01), np.full(2, 0.03)) for each in late)
    arguments = (travel, GRID, (10.02, nearest_node(place)), LocationConfig(), np.ones((10, 2)))
    biased = locate(features, *arguments)
    features = Features(
        features.stations, ("P", "S"), features.values, features.live, 0.0, INTERVAL, delays=delays
    )
    found = locate(features, *arguments)
    assert place[2] - biased.z > 400  # S seems to follow P too soon
    assert np.abs(np.array([found.x, found.y, found.z]) - place).max() < 20
    assert abs(found.time - 10) < 0.004
    assert max(abs(each.residual) for each in found.arrivals) < 0.01
    # an error that all onsets share is one of time alone; one of P against S moves the depth
    assert found.covariance[3, 3] > 0.03**2
    alone = tuple(OnsetDelay(heights, each.delays, np.zeros(2), np.full(2, 0.03)) for each in delays)
    shared = locate(
        Features(features.stations, ("P", "S"), features.values, features.live, 0.0, INTERVAL, delays=alone),
        *arguments,
    )
    assert shared.covariance[3, 3] > 0.03**2
    assert found.covariance[2, 2] > 2 * shared.covariance[2, 2]


def onset(kind, late, frequency, random):
    """Waves of P or S at times ``late`` after the onset: a pulse of Brune's, a decaying one, one that builds up."""
    swing = np.cos(2 * np.pi * frequency * late + random.uniform(0, 6.28))
    if kind == "pulse":
        angle = 2 * np.pi * frequency * late
        return 2 * random.choice([-1, 1]) * (1 - angle) * np.exp(-angle)
    return (1.3 if kind == "decaying" else 22 * late) * np.exp(-8 * late) * swing


def earthquake(random, places, travel, place, origin, strength, kind):
    """Recordings of three components: P and S with random polarity and frequency, coda, noise; 2 to 15 Hz."""
    arrivals = travel(place[None])[0][..., 0]
    count = len(places)
    data = random.standard_normal((count, 3, COUNT))
    size = strength * np.exp(random.normal(0, 0.5, (count, 3)))
    clock = np.arange(COUNT) * INTERVAL - origin

    def wave(arrival, frequency):
        late = np.maximum(clock - arrival, 0)
        coda = 0.3 * np.exp(-late / 2) * random.standard_normal(COUNT)
        return (onset(kind, late, frequency, random) + coda) * (clock > arrival)

    for s, c in np.ndindex(count, 3):
        own, other = (0, 1) if c == 2 else (1, 0)
        data[s, c] += size[s, c] * wave(arrivals[s, own], random.uniform(4, 8))
        data[s, c] += 0.5 * size[s, c] * wave(arrivals[s, other], 6.0)
    band = butter(4, [2, 15], "bandpass", fs=1 / INTERVAL, output="sos")
    return sosfiltfilt(band, data).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [3.0, 10.0])
def test_the_68_percent_region_holds_the_truth_in_60_to_76_percent(strength):
    """Of place and of time, over onsets of three shapes: what shape one has is part of the error."""
    random = np.random.default_rng(11)
    places = network(12, random)
    travel = travel_times_to(places)
    stations = tuple(Station("XX", f"A{n:02d}", 0, 0) for n in range(12))
    nodes = np.stack(np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij"), -1).reshape(-1, 3)
    samples = np.rint(travel(nodes)[0].transpose(2, 0, 1) / INTERVAL).astype(np.int32)
    delays = Delays(tuple(each.id for each in stations), ("P", "S"), samples, INTERVAL)
    phases = {
        "P": FeatureConfig(("Z",), (2, 15), short=0.3, long=4),
        "S": FeatureConfig(("E", "N"), (2, 15), short=0.5, long=4),
    }
    inside, in_time, total = 0, 0, 0
    for number in range(210):
        kind = ("pulse", "decaying", "building up")[number % 3]
        place = random.uniform([-6000, -6000, 5500], [6000, 6000, 10500])
        data = earthquake(random, places, travel, place, 12.0, strength, kind)

        def part(columns, components, data=data):
            chosen = np.ascontiguousarray(data[:, columns])
            return Continuous(stations, components, chosen, np.ones(chosen.shape, bool), 0.0, INTERVAL)

        features = make_features({"P": part([2], ("Z",)), "S": part([0, 1], ("E", "N"))}, phases, INTERVAL)
        features = with_delays(features, phases)
        beam = backproject(features, delays, BackprojectionConfig())
        best = 800 + int(beam.maximum[800:1600].argmax())
        start = beam.start + best * INTERVAL, int(beam.node[best])
        found = locate(features, travel, GRID, start, LocationConfig(window=0.25), np.ones((12, 2)))
        error = np.array([found.x, found.y, found.z]) - place
        assert np.linalg.norm(error) < 3000 and found.covariance is not None
        inside += error @ np.linalg.solve(found.covariance[:3, :3], error) <= chi2.ppf(0.68, 3)
        in_time += abs(found.time - 12) <= np.sqrt(found.covariance[3, 3])
        total += 1
    print(f"strength {strength}: {inside / total:.3f} of {total} inside, {in_time / total:.3f} in time")
    assert 0.60 <= inside / total <= 0.76
    assert 0.60 <= in_time / total <= 0.76
