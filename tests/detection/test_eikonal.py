"""The eikonal solver against closed forms and what nature demands."""

from __future__ import annotations

import eikonal_truth as truth
import numpy as np
import pytest

from seisflow.detection.eikonal import first_arrivals, refine
from seisflow.detection.lookup import at_points
from seisflow.detection.travel_times import TravelTimeConfig, make_table, travel_time_grid, travel_times
from seisflow.domain import Grid, Station, TravelTimeTable
from seisflow.errors import InputError, PhysicsError
from seisflow.native.eikonal import Medium, Seeds, Source, march, sharp_faces

JUMP = 0.05
PLACES = [(12e3, 16e3, 8e3), (12.4e3, 16.7e3, 8.3e3), (12.5e3, 16.5e3, 8.5e3), (12.2e3, 16e3, 0.0)]


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def gradient_error(spacing, place, tilt):
    """Errors in s in the gradient medium; a tilt too small to matter keeps it out of the plane."""
    shape = tuple(int(length / spacing) for length in (40e3, 36e3, 24e3))
    model = truth.model_of(
        truth.grid_of(shape, spacing, (spacing / 2,) * 3),
        lambda x, y, z: truth.V0 + truth.SLOPE * z + tilt * x,
    )
    place = np.array(place)
    grid = travel_time_grid(model.grid, place[None])
    return travel_times(model, place) - truth.gradient_times(
        truth.distances(grid, place), grid.z[None, None, :], place[2]
    )


@pytest.mark.parametrize("place", PLACES, ids=["node", "off", "middle", "top"])
def test_gradient_medium_within_a_millisecond_at_1_km(place):
    assert rms(gradient_error(1e3, place, tilt=1e-9)) < 1e-3


def test_gradient_medium_in_the_plane():
    assert rms(gradient_error(1e3, PLACES[1], tilt=0.0)) < 2e-4


def test_order_of_convergence():
    errors = [rms(gradient_error(h, PLACES[1], tilt=1e-9)) for h in (2e3, 1e3)]
    assert np.log2(errors[0] / errors[1]) > 1.5


@pytest.mark.parametrize("place", [(5e3, 6.3e3, 4e3), (5.3e3, 6.01e3, 3.999e3)], ids=["node", "off"])
def test_homogeneous_medium_is_exact(place):
    cells = np.full((12, 11, 13), 1 / 5000.0)
    grid = Grid((0, 0, 0), (1e3, 900.0, 800.0), (13, 12, 14))
    times = first_arrivals(cells, Medium.of(cells, grid.spacing, JUMP), np.array(place))
    np.testing.assert_allclose(times, truth.distances(grid, place) / 5000.0, rtol=1e-13, atol=1e-15)


def layered_error(spacing, place, plane):
    """Errors in s with two layers, where the first arrival leads by 20 ms, and whether they are above."""
    depth, speeds = 15e3, (5800.0, 8000.0)
    shape = tuple(int(length / spacing) for length in (50e3, 40e3, 30e3))
    model = truth.model_of(
        truth.grid_of(shape, spacing, (spacing / 2,) * 3), lambda x, y, z: np.where(z < depth, *speeds)
    )
    grid = travel_time_grid(model.grid, np.array([place]))
    if plane:
        times = travel_times(model, np.array(place))
    else:
        times = first_arrivals(1 / model.vp, Medium.of(1 / model.vp, grid.spacing, JUMP), np.array(place))
    x, y, z = truth.mesh(grid)
    exact, lead = truth.layered_times(depth, speeds, place[2], np.hypot(x - place[0], y - place[1]), z)
    return (times - exact)[lead > 0.02], z[lead > 0.02] < depth


@pytest.mark.parametrize("depth", [0.0, 8.2e3, 13.7e3])
def test_layered_medium_closed_form(depth):
    error, _ = layered_error(1e3, (10.3e3, 12.6e3, depth), plane=True)
    assert np.abs(error).max() < 2e-3
    assert rms(error) < 1e-3


@pytest.mark.parametrize(("depth", "limit", "limit_above"), [(0.0, 8e-3, 1e-3), (13.7e3, 5e-3, 8e-3)])
def test_layered_medium_without_the_plane(depth, limit, limit_above):
    error, above = layered_error(1e3, (10.3e3, 12.6e3, depth), plane=False)
    assert rms(error) < limit
    assert rms(error[above]) < limit_above


def test_a_model_with_interfaces_is_refined_where_it_varies_sideways():
    """Two layers that differ sideways by less than matters: within 2 ms at 1 km, kept at the corners of the cells."""
    depth, speeds, place = 15e3, (5800.0, 8000.0), np.array([10.3e3, 12.6e3, 0.0])
    model = truth.model_of(
        truth.grid_of((50, 40, 30), 1e3, (500.0,) * 3),
        lambda x, y, z: np.where(z < depth, *speeds) + 1e-9 * x,
    )
    grid = travel_time_grid(model.grid, place[None])
    x, y, z = truth.mesh(grid)
    exact, lead = truth.layered_times(depth, speeds, 0.0, np.hypot(x - place[0], y - place[1]), z)
    times = travel_times(model, place)
    assert times.shape == grid.shape
    assert rms((times - exact)[lead > 0.02]) < 2e-3
    plain = travel_times(model, place, config=TravelTimeConfig(refine=1))
    assert rms((plain - exact)[lead > 0.02]) > 3e-3
    station = Station("XX", "A", *model.projection.to_geographic(*place[:2]))
    table = make_table(model, (station,), ("P",))
    assert table.grid == grid
    np.testing.assert_allclose(table.times[0, 0], times, atol=1e-3)


def test_reciprocity():
    model = truth.bumpy_model()
    ends = np.array([[3.2e3, 4.4e3, 0.3e3], [20.1e3, 17.6e3, 12.8e3]])
    differences = []
    for parts in (1, 2):
        there = []
        for here, other in (ends, ends[::-1]):
            times = travel_times(model, here, config=TravelTimeConfig(refine=parts))[None, None]
            grid = travel_time_grid(model.grid, here[None], parts)
            table = TravelTimeTable(grid, (Station("XX", "A", 46, 7),), ("P",), times, here[None])
            there.append(at_points(table, other[None])[0, 0, 0])
        differences.append(abs(there[0] - there[1]))
    assert differences[0] < 5e-3
    assert differences[1] < 1.2e-3


def test_causality():
    """Every node but those beside the source has an earlier neighbour, and no wave outruns the fastest rock."""
    model = truth.bumpy_model(seed=5)
    place = np.array([3.2e3, 4.4e3, 2.3e3])
    times, grid = travel_times(model, place), travel_time_grid(model.grid, place[None])
    padded = np.pad(times, 1, constant_values=np.inf)
    core = (slice(1, -1),) * 3
    neighbours = [np.roll(padded, step, axis)[core] for axis in range(3) for step in (1, -1)]
    distance = truth.distances(grid, place)
    assert (np.min(neighbours, axis=0) < times)[distance > 1.8e3].all()
    assert (times >= distance / model.vp.max() * (1 - 1e-9)).all()


def test_refinement_keeps_means_and_interfaces():
    cells = 1 / np.array([4.0, 4.1, 4.25, 6.0, 6.1, 6.15])[:, None, None] * np.ones((1, 2, 2))
    fine = refine(cells, 4, JUMP)
    np.testing.assert_allclose(fine.reshape(6, 4, 2, 4, 2, 4).mean(axis=(1, 3, 5)), cells, rtol=1e-14)
    assert np.flatnonzero(sharp_faces(fine, 0, JUMP)[:, 0, 0]).tolist() == [11]
    steep = 1 / np.linspace(2.0, 4.0, 9)[:, None, None]
    assert not sharp_faces(steep, 0, JUMP).any()


def test_what_cannot_be_solved_is_refused():
    with pytest.raises(PhysicsError, match="slowness 0"):
        Medium.of(np.zeros((3, 3, 3)), (1.0,) * 3, JUMP)
    medium = Medium.of(np.ones((3, 3, 3)), (1.0,) * 3, JUMP)
    with pytest.raises(InputError, match="seeds"):
        march(medium, Source(np.zeros(3), 1.0, np.zeros(3)), Seeds(np.array([64]), np.zeros(1)))
