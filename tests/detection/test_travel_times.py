"""Tables of travel times: stations, interpolation, search grids, files."""

from __future__ import annotations

import eikonal_truth as truth
import numpy as np
import pytest

from seisflow.detection.lookup import at_points, resample, slowness_at_points
from seisflow.detection.travel_time_cache import cached_table
from seisflow.detection.travel_times import TravelTimeConfig, make_table, station_positions, travel_times
from seisflow.domain import Grid, Station, TravelTimeTable
from seisflow.errors import InputError

STATIONS = (
    Station("XX", "HIGH", 46.02, 7.03, 1850.0),
    Station("XX", "LOW", 45.99, 6.98, 400.0, 50.0),
)
SEARCH = Grid((-5e3, -4.2e3, -300.0), (700.0, 900.0, 800.0), (12, 9, 10))
POINTS = np.random.default_rng(1).uniform([0, 0, 0], [29e3, 27e3, 19e3], (400, 3))


@pytest.fixture(scope="module")
def model():
    return truth.bumpy_model((20, 20, 12), 1e3, (-9.5e3, -9.5e3, 0.0))


@pytest.fixture(scope="module")
def table(model):
    return make_table(model, STATIONS)


def test_stations_are_at_their_true_elevation(model, table):
    positions = station_positions(STATIONS, truth.REGION)
    assert positions[:, 2].tolist() == [-1850.0, -350.0]
    assert table.grid.origin[2] == -2500.0
    assert (table.times[:, 1] > 1.79 * table.times[:, 0]).all()
    below = positions[:1] + np.array([0, 0, 1000.0])
    i, j = (int(np.rint((positions[0][axis] + 9.5e3) / 1e3)) for axis in (0, 1))
    assert at_points(table, below)[0, 0, 0] == pytest.approx(1000 / model.vp[i, j, 0], rel=0.02)


def test_tables_do_not_depend_on_threads(model, table):
    assert table.times.dtype == np.float32
    assert np.array_equal(make_table(model, STATIONS, threads=2).times, table.times)


def test_stations_outside_are_named(model):
    far = Station("XX", "FAR", 47.5, 7.0)
    with pytest.raises(InputError, match=r"does not cover the stations: XX\.FAR"):
        make_table(model, (*STATIONS, far))
    with pytest.raises(InputError, match=r"XX\.DEEP"):
        make_table(model, (Station("XX", "DEEP", 46.0, 7.0, 0.0, 12e3),))


def test_bad_arguments(model):
    with pytest.raises(InputError, match="phases out of P, S"):
        make_table(model, STATIONS, ("Pn",))
    with pytest.raises(InputError, match="at least one station"):
        make_table(model, ())
    with pytest.raises(InputError, match="cover the grid"):
        make_table(model, STATIONS, grid=truth.grid_of((40, 4, 4), 1e3))
    with pytest.raises(InputError, match="refine"):
        TravelTimeConfig(refine=0)
    with pytest.raises(InputError, match="jump"):
        TravelTimeConfig(jump=2.0)
    with pytest.raises(InputError, match="speed 'rho'"):
        travel_times(model, np.zeros(3), "rho")
    with pytest.raises(InputError, match="outside the grid"):
        travel_times(model, np.array([90e3, 0, 0]))


def gradient_table(place):
    grid = truth.grid_of((30, 28, 20), 1e3)
    times = truth.gradient_times(truth.distances(grid, place), grid.z[None, None, :], place[2])
    return TravelTimeTable(
        grid, STATIONS[:1], ("P",), times.astype(np.float32)[None, None], np.array([place])
    )


@pytest.mark.parametrize("place", [(9e3, 8e3, 3e3), (9.2e3, 8.4e3, 3.1e3)], ids=["node", "off"])
def test_interpolation_is_right_also_near_the_station(place):
    near = np.array(place) + np.random.default_rng(2).uniform(-1500, 1500, (200, 3))
    points = np.concatenate([POINTS, near])
    distance = np.sqrt(((points - place) ** 2).sum(axis=1))
    error = at_points(gradient_table(place), points)[0, 0] - truth.gradient_times(
        distance, points[:, 2], place[2]
    )
    assert np.abs(error).max() < 1e-4
    assert at_points(gradient_table(place), np.array([place]))[0, 0, 0] == 0


def test_derivatives_are_those_of_the_times():
    table, step = gradient_table((9.2e3, 8.4e3, 3.1e3)), 1.0
    inside = np.clip(POINTS, 100, [28.9e3, 26.9e3, 18.9e3])
    _, slowness = slowness_at_points(table, inside)
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = step
        numeric = (at_points(table, inside + shift) - at_points(table, inside - shift)) / (2 * step)
        assert np.quantile(np.abs(numeric - slowness[..., axis]), 0.97) < 1e-9  # the others step over a node
    size = np.sqrt((slowness**2).sum(axis=-1))[0, 0]
    np.testing.assert_allclose(size, 1 / (truth.V0 + truth.SLOPE * inside[:, 2]), rtol=5e-3)


def test_search_grids(table):
    found = resample(table, SEARCH)
    points = np.stack([values.ravel() for values in truth.mesh(SEARCH)], axis=1)
    expected = at_points(table, points).reshape(found.times.shape)
    np.testing.assert_allclose(found.times, expected, atol=2e-6)
    assert found.grid == SEARCH
    with pytest.raises(InputError, match="reach beyond"):
        resample(table, truth.grid_of((90, 4, 4), 1e3))
    with pytest.raises(InputError, match="reach beyond"):
        at_points(table, np.array([[0, 0, 1e6]]))
    with pytest.raises(InputError, match="positions"):
        at_points(TravelTimeTable(table.grid, table.stations, table.phases, table.times), np.zeros((1, 3)))


def test_a_table_on_a_search_grid_is_the_resampled_one(model, table):
    made = make_table(model, STATIONS, grid=SEARCH)
    np.testing.assert_allclose(made.times, resample(table, SEARCH).times, atol=2e-6)


def test_cached_tables(model, table, tmp_path, monkeypatch):
    first = cached_table(tmp_path, model, STATIONS)
    assert np.array_equal(first.times, table.times)
    files = sorted(tmp_path.iterdir())
    assert [file.name[:6] for file in files] == ["XX.HIG", "XX.LOW"]
    before = [file.read_bytes() for file in files]
    files[0].write_bytes(before[0][: len(before[0]) // 2])
    damaged = bytearray(before[1])
    damaged[len(damaged) // 2] ^= 0xFF
    files[1].write_bytes(bytes(damaged))
    assert np.array_equal(cached_table(tmp_path, model, STATIONS).times, table.times)
    assert [file.read_bytes() for file in files] == before

    def refuse(*_):
        raise AssertionError("solved again")

    monkeypatch.setattr("seisflow.detection.travel_time_cache.station_times", refuse)
    assert np.array_equal(cached_table(tmp_path, model, STATIONS).times, table.times)
    with pytest.raises(AssertionError, match="solved again"):
        cached_table(tmp_path, model.with_fields(vp=model.vp * 1.001), STATIONS)
