"""Double differences: which windows make pairs, what falls out, derivatives by both traces, shares and weights."""

from dataclasses import replace

import numpy as np
import pytest
from pulses import INTERVAL, TIMES, noise, pulse

from seisflow.domain import Gather, Station, Window
from seisflow.errors import InputError, PhysicsError
from seisflow.misfits import CCTraveltimeConfig, create, measure_gather, measure_traces
from seisflow.misfits.cc_traveltime_dd import CCTraveltimeDDConfig
from seisflow.misfits.multitaper_dd import MultitaperDDConfig

KINDS = (CCTraveltimeDDConfig, MultitaperDDConfig)
BAND = (5.0, 20.0)
STATIONS = tuple(Station("XX", f"S{n}", 0.0, 0.1 * n) for n in range(4))  # 11 km from one to the next
DELAYS = (0.0, 0.3, -0.4, 0.1)
"""Of the recordings, s; the waves take 3 s from station to station."""


def gather(traces):
    return Gather(STATIONS, ("Z",), np.array(traces)[:, None, :], 0.0, INTERVAL, "displacement")


def network(late=0.0, period=9.0):
    """Observed and synthetic at four stations, and their windows."""
    observed = gather(
        [pulse(40 + 3 * n + late + DELAYS[n], period) + noise(n, 0.01) for n in range(len(STATIONS))]
    )
    synthetic = gather([2 * pulse(40 + 3 * n, period) + noise(10 + n, 0.01) for n in range(len(STATIONS))])
    windows = [Window(f"XX.S{n}", "Z", 20 + 3 * n, 60 + 3 * n + 0.5 * n, shift=late) for n in range(4)]
    return observed, synthetic, windows


def measured(config, late=0.0, windows=None, synthetic=None):
    observed, known, chosen = network(late)
    misfit = create(config, BAND)
    return measure_gather(misfit, observed, synthetic or known, windows or chosen)


@pytest.mark.parametrize("kind", KINDS)
def test_the_value_is_the_mean_over_partners_of_the_squared_double_difference(kind):
    found = measured(kind(sigma=0.5))
    for number, row in enumerate(found.rows):
        others = [DELAYS[n] - DELAYS[number] for n in range(4) if n != number]
        assert row.value == pytest.approx(0.5 * np.mean(np.square(others)) / 0.5**2, rel=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_a_delay_of_all_stations_falls_out(kind):
    """An error of the origin time, or of the source; here more than half a period."""
    once, late = measured(kind()), measured(kind(), late=5.0)
    assert late.value == pytest.approx(once.value, rel=0.1)
    direct = measure_gather(create(CCTraveltimeConfig(), BAND), *network(5.0))
    assert direct.value > 100 * late.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"max_partners": 1}, {"max_distance": 12e3}, {"sigma": 0.2}])
def test_derivative_by_all_traces(kind, settings):
    observed, synthetic, windows = network()
    windows = [
        replace(window, weight=weight) for window, weight in zip(windows, (1, 2.5, 0.3, 1), strict=True)
    ]
    misfit = create(kind(**settings), BAND)
    adjoint = measure_gather(misfit, observed, synthetic, windows).adjoint.data
    for seed in range(3):
        direction = np.array([noise(100 + 10 * seed + n, 1.0) for n in range(4)])[:, None, :]

        def slope(h, direction=direction):
            values = [
                measure_gather(
                    misfit, observed, gather((synthetic.data + x * h * direction)[:, 0]), windows
                ).value
                for x in (1, -1, 2, -2)
            ]
            return (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)

        predicted = np.sum(adjoint * direction) * INTERVAL
        size = np.linalg.norm(adjoint) * np.linalg.norm(direction) * INTERVAL
        assert abs(slope(3e-4) - predicted) < 1e-7 * size
    for station, sample in ((1, 230), (1, 231), (2, 460), (3, 704)):  # a window's first samples, middle, last
        direction = np.zeros((4, 1, len(TIMES)))
        direction[station, 0, sample] = 1.0
        assert slope(1e-4, direction) / INTERVAL == pytest.approx(
            adjoint[station, 0, sample], abs=1e-6 * np.abs(adjoint).max()
        )


@pytest.mark.parametrize("kind", KINDS)
def test_partners_are_the_nearest_within_the_distance(kind):
    observed, synthetic, windows = network()

    def partners(**settings):
        misfit = create(kind(**settings), BAND)
        found = measure_gather(misfit, observed, synthetic, windows, strict=False)
        return len(found.rows), found.rejections

    assert partners()[0] == 4
    count, rejections = partners(max_distance=5e3)
    assert count == 0 and len(rejections) == 4
    assert all("no partner" in row.reason and "within 5 km" in row.reason for row in rejections)
    assert partners(max_distance=12e3)[0] == 4


def test_windows_of_other_waves_make_no_pair():
    """Too far apart in time for the distance, or not alike; and the most alike windows find each other."""
    observed, synthetic, windows = network()
    early = replace(windows[0], start=0.0, end=15.0)
    misfit = create(CCTraveltimeDDConfig(), BAND)
    found = measure_gather(misfit, observed, synthetic, [early, *windows[1:]], strict=False)
    assert [row.window for row in found.rows] == windows[1:]
    assert [row.station for row in found.rejections] == ["XX.S0"]
    both = measure_gather(misfit, observed, synthetic, [early, *windows], strict=False)
    assert [row.window for row in both.rows] == windows
    other = observed.data.copy()
    other[2, 0] = pulse(46.0, period=4.0, width=3.0)
    unlike = measure_gather(misfit, gather(other[:, 0]), synthetic, windows, strict=False)
    assert [row.station for row in unlike.rejections] == ["XX.S2"]


def test_a_synthetic_that_cannot_be_measured_leaves_the_others():
    observed, synthetic, windows = network()
    data = synthetic.data.copy()
    data[2] = 0.0
    for kind in KINDS:
        found = measure_gather(create(kind(), BAND), observed, gather(data[:, 0]), windows, strict=False)
        assert [row.window.station for row in found.rows] == ["XX.S0", "XX.S1", "XX.S3"]
        assert "synthetic XX.S2.Z" in found.rejections[0].reason
        assert not found.adjoint.data[2].any()
        again = measure_gather(
            create(kind(), BAND), observed, gather(data[:, 0]), [row.window for row in found.rows]
        )
        assert again.value == found.value and np.array_equal(again.adjoint.data, found.adjoint.data)


@pytest.mark.parametrize("kind", KINDS)
def test_windows_that_are_left_make_the_same_pairs_alone(kind):
    """A recording like no other takes the place of a neighbour's second partner; without it there is another one."""
    observed, synthetic, windows = network()
    other = observed.data.copy()
    other[1, 0] = pulse(43.0, period=4.0, width=3.0)
    misfit = create(kind(max_partners=2), BAND)
    found = measure_gather(misfit, gather(other[:, 0]), synthetic, windows, strict=False)
    kept = [row.window for row in found.rows]
    assert [row.station for row in found.rejections] == ["XX.S1"] and len(kept) == 3
    again = measure_gather(misfit, gather(other[:, 0]), synthetic, kept)
    assert again.value == found.value and np.array_equal(again.adjoint.data, found.adjoint.data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_that_fails_among_frozen_windows_stops_it(kind):
    """Else a trial would compare other pairs than the model before."""
    observed, synthetic, windows = network()
    measure_gather(create(kind(), BAND), observed, synthetic, windows)
    data = synthetic.data.copy()
    data[2] = 0.0
    with pytest.raises(PhysicsError, match=r"XX\.S2\.Z"):
        measure_gather(create(kind(), BAND), observed, gather(data[:, 0]), windows)


def test_short_windows_and_single_pairs_are_refused():
    observed, synthetic, windows = network()
    short = [replace(window, start=window.start + 19, end=window.start + 24) for window in windows]
    with pytest.raises(PhysicsError, match="too short"):
        measure_gather(create(MultitaperDDConfig(), BAND), observed, synthetic, short)
    with pytest.raises(PhysicsError, match="no partner"):
        measure_gather(create(CCTraveltimeDDConfig()), observed, synthetic, windows[:1])
    traces = observed.data[0, 0], synthetic.data[0, 0]
    with pytest.raises(InputError, match="needs the stations"):
        measure_traces(create(CCTraveltimeDDConfig()), traces, windows[0], 0.0, INTERVAL)


def test_the_order_of_windows_does_not_matter():
    observed, synthetic, windows = network()
    for kind in KINDS:
        misfit = create(kind(), BAND)
        forward = measure_gather(misfit, observed, synthetic, windows)
        backward = measure_gather(misfit, observed, synthetic, windows[::-1])
        assert backward.value == pytest.approx(forward.value, rel=1e-10)
        assert np.allclose(backward.adjoint.data, forward.adjoint.data, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("settings", [{"max_partners": 0}, {"min_similarity": 1.5}, {"max_distance": -1.0}])
@pytest.mark.parametrize("kind", KINDS)
def test_impossible_settings_are_refused(kind, settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        kind(**settings)
