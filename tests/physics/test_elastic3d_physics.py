"""Nature: elastic3d against closed forms, independent seismograms, reciprocity, and its own absorbing layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from full_space import force_velocity, moment_velocity
from layered_truth import CORNER, EQUATOR, GENERAL, STRIKE_SLIP, compare, simulated
from scipy.interpolate import CubicSpline

from seisflow.domain import Event, Force, Grid, Model, Projection, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

HALF_SPACE = [(np.inf, 6000.0, 3464.0, 2700.0)]
LAYER = [(6200.0, 4000.0, 2000.0, 2600.0), (np.inf, 6000.0, 3464.0, 2700.0)]


def uniform(grid, projection=EQUATOR, rough=0.0):
    rng = np.random.default_rng(4)
    vs = 3464.0 * (1 + rough * rng.uniform(-1, 1, grid.shape))
    return Model(grid, projection, 1.732 * vs, vs, np.full(grid.shape, 2700.0))


def station(x, y, burial=0.0, code="A", projection=EQUATOR):
    return Station("XX", code, *projection.to_geographic(x, y), burial=burial)


def event(x, y, depth, source, function, projection=EQUATOR):
    return Event("e", 0.0, *projection.to_geographic(x, y), depth, source, function)


def error(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("source", [GENERAL, Force(2e12, -1e12, 3e12)], ids=["moment", "force"])
def test_full_space_agrees_with_aki_and_richards(source, order):
    period, width = 0.8, np.sqrt(CORNER) * 0.8 / np.pi
    model = uniform(Grid((-5000.0, -5000.0, 0.0), (1000.0,) * 3, (11, 11, 20)))
    here = np.array([111.0, -57.0, 14030.0])
    there = [(3300.0, 2100.0, 12600.0), (-1900.0, 3600.0, 15500.0), (-200.0, -1400.0, 14800.0)]
    function = SourceTimeFunction(half_duration=1.628 * width)
    sim = Simulation(
        model, event(*here, source, function), tuple(station(*p, code=f"S{i}") for i, p in enumerate(there)),
        2.9, period / 1.6,
    )  # fmt: skip
    gather = Elastic3D(Elastic3DConfig(spacing=3464.0 * period / 8, order=order)).forward(sim).gather
    inside = gather.times <= sim.duration
    for number, place in enumerate(there):
        offset = np.array(place) - here
        closed = (offset, gather.times, width, 6000.0, 3464.0, 2700.0)
        if isinstance(source, Force):
            vector = np.array([source.east, source.north, -source.up])
            expected = force_velocity(offset, vector, *closed[1:])
        else:
            expected = moment_velocity(offset, source.cartesian(), *closed[1:])
        expected[2] *= -1
        far = number < 2
        limit = (
            {4: 0.005, 8: 0.0015}[order] if far else 0.02
        )  # the third station is two cells from the source
        assert error(gather.data[number][:, inside], expected[:, inside]) < limit


def test_half_space_with_a_shallow_source():
    """One cell below the surface, general moment tensor, absolute amplitude included."""
    errors, *_ = compare(
        HALF_SPACE, GENERAL, 690.0, [(3000.0, 4000.0)], period=1.6, points=8, duration=8.0, bottom=9000.0,
        margin=5000.0,
    )  # fmt: skip
    assert errors[0, 0] < 0.02
    assert abs(errors[0, 1] - 1) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("cells", [0.3, 0.5, 1.0, 1.7, 2.0, 3.0, 3.9, 4.0])
@pytest.mark.parametrize("tensor", [GENERAL, STRIKE_SLIP], ids=["general", "strike-slip"])
def test_half_space_source_depths(cells, tensor):
    errors, *_ = compare(
        HALF_SPACE, tensor, cells * 692.8, [(3000.0, 4000.0), (-6000.0, 8000.0)], period=1.6, points=8,
        duration=10.0, bottom=14000.0, margin=8000.0,
    )  # fmt: skip
    assert errors[:, 0].max() < 0.02
    assert np.abs(errors[:, 1] - 1).max() < 0.01


@pytest.mark.slow
def test_half_space_to_ten_wavelengths():
    places = [(8000.0, 2000.0), (20000.0, -3000.0), (38000.0, 3000.0), (55000.0, 0.0)]
    errors, *_ = compare(
        HALF_SPACE,
        GENERAL,
        5000.0,
        places,
        period=1.6,
        points=8,
        duration=24.0,
        bottom=14000.0,
        margin=6000.0,
    )
    assert errors[:, 0].max() < 0.02


@pytest.mark.slow
def test_layer_over_half_space_to_ten_wavelengths():
    """The interface lies half way between two levels; on a level the isotropic averages cost more (docs/solver.md)."""
    places = [(3000.0, 4000.0), (12000.0, -3000.0), (20000.0, 2000.0), (31000.0, 6000.0)]
    errors, *_ = compare(
        LAYER, GENERAL, 9000.0, places, period=1.6, points=8, duration=26.0, bottom=18000.0, margin=6000.0,
        fine=20,
    )  # fmt: skip
    assert errors[:, 0].max() < 0.03
    assert np.abs(errors[:, 1] - 1).max() < 0.01


@pytest.mark.parametrize(
    ("depth", "order", "loss"),
    [(0.0, 4, False), (300.0, 4, False), (2600.0, 4, True), (300.0, 8, False), (0.0, 8, True)],
)
def test_reciprocity(depth, order, loss):
    """Force along z at A seen along x at B equals force along x at B seen along z at A; rough medium, CPML."""
    grid = Grid((-8000.0, -7000.0, 0.0), (1000.0,) * 3, (17, 15, 11))
    model = uniform(grid, rough=0.08)
    if loss:
        rng = np.random.default_rng(7)
        model = replace(model, **{name: 1 / rng.uniform(0.0, 0.06, grid.shape) for name in model.QUALITY})
    function = SourceTimeFunction(half_duration=1.0)
    a, b = (-3210.0, 1020.0, 3333.0), (2750.0, -1490.0, depth)
    solver = Elastic3D(Elastic3DConfig(spacing=700.0, precision="double", order=order))

    def trace(source_place, force, receiver_place, component):
        sim = Simulation(model, event(*source_place, force, function), (station(*receiver_place),), 6.0, 1.5)
        return solver.forward(sim).gather.data[0, component]

    up = trace(a, Force(0.0, 0.0, 1e12), b, 0)
    east = trace(b, Force(1e12, 0.0, 0.0), a, 2)
    assert error(up, east) < 1e-10


def test_absorbing_layers_reflect_little():
    function = SourceTimeFunction(half_duration=1.0)
    stations = (station(3000.0, 2000.0), station(-3500.0, 1000.0, code="B"))
    traces = []
    for reach, depth in ((5000.0, 7000.0), (25000.0, 27000.0)):
        count = int(2 * reach / 1000) + 1
        grid = Grid((-reach, -reach, 0.0), (1000.0,) * 3, (count, count, int(depth / 1000) + 1))
        sim = Simulation(uniform(grid), event(0.0, 0.0, 2500.0, GENERAL, function), stations, 12.0, 1.6)
        traces.append(Elastic3D(Elastic3DConfig(spacing=700.0)).forward(sim).gather.data)
    assert np.abs(traces[0] - traces[1]).max() < 0.005 * np.abs(traces[1]).max()
    assert error(traces[0], traces[1]) < 0.005


@pytest.mark.parametrize("order", [4, 8])
def test_between_layers_of_low_speed_nothing_grows_in_the_absorbing_ones(order):
    """Phase and energy of waves that such layers guide may travel opposite ways; matched layers amplify them."""
    grid = Grid((-700.0, -700.0, 0.0), (100.0,) * 3, (15, 15, 19))
    layers = ((1, 2, 3, 3, 3, 7), (1e3, 2e3, 1.4e3, 3e3, 2.2e3, 3.4e3), (2.5, 2.0, 2.0, 1.8, 1.8, 1.73))
    vs, ratio = (np.repeat(values, layers[0]) * np.ones(grid.shape) for values in layers[1:])
    m = Model(grid, EQUATOR, ratio * vs, vs, np.full(grid.shape, 2000.0))
    source = event(0.0, 0.0, 120.0, GENERAL, SourceTimeFunction(half_duration=0.5))
    sim = Simulation(m, source, (station(410.0, -330.0),), 30.0, 0.6)
    motion = np.abs(Elastic3D(Elastic3DConfig(spacing=100.0, order=order)).forward(sim).gather.data[0]).max(0)
    tenths = [part.max() for part in np.array_split(motion, 10)]
    assert motion.size > 4000
    assert tenths[-1] < 2e-3 * tenths[0]
    assert tenths[-1] < 1.5 * tenths[5]


def test_a_source_at_the_surface_continues_that_below_it():
    grid = Grid((-7000.0, -7000.0, 0.0), (1000.0,) * 3, (15, 15, 10))
    function = SourceTimeFunction(half_duration=1.3)
    traces = [
        Elastic3D(Elastic3DConfig(spacing=700.0))
        .forward(
            Simulation(
                uniform(grid), event(0.0, 0.0, z, source, function), (station(4000.0, 2500.0),), 6.0, 1.6
            )
        )
        .gather.data
        for source in (GENERAL, Force(1e12, 2e12, -1e12))
        for z in (0.0, 10.0)
    ]
    assert error(traces[0], traces[1]) < 0.03
    assert error(traces[2], traces[3]) < 0.03


def test_components_and_tensor_turn_with_the_meridian_convergence(monkeypatch):
    """The same source and stations in local coordinates: without convergence E, N are x, y."""
    projection = Projection(60.0, 10.0)
    grid = Grid((180e3, -20e3, 0.0), (4000.0,) * 3, (11, 11, 7))
    function = SourceTimeFunction(half_duration=4.0)
    sim = Simulation(
        uniform(grid, projection), event(200e3, 0.0, 9000.0, GENERAL, function, projection),
        (station(208e3, 7000.0, projection=projection),), 15.0, 6.0,
    )  # fmt: skip
    solver = Elastic3D(Elastic3DConfig(precision="double"))
    turned = solver.forward(sim).gather.data[0]
    angle_event = projection.convergence(sim.event.latitude, sim.event.longitude)
    angle = projection.convergence(sim.stations[0].latitude, sim.stations[0].longitude)
    assert abs(angle) > 0.03
    monkeypatch.setattr(Projection, "convergence", lambda self, latitude, longitude: 0.0)
    c, s = np.cos(angle_event), np.sin(angle_event)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    m = turn.T @ GENERAL.cartesian() @ turn
    local = replace(GENERAL, mpp=m[0, 0], mtt=m[1, 1], mrr=m[2, 2], mtp=-m[0, 1], mrp=-m[0, 2], mrt=m[1, 2])
    plain = solver.forward(replace(sim, event=replace(sim.event, source=local))).gather.data[0]
    c, s = np.cos(angle), np.sin(angle)
    assert error(turned[0], c * plain[0] + s * plain[1]) < 1e-9
    assert error(turned[1], -s * plain[0] + c * plain[1]) < 1e-9
    assert error(turned[2], plain[2]) < 1e-9


def test_where_an_interface_lies_between_two_levels_hardly_matters():
    """A layer of 3 km of 6 to 6.75 cells: 2.9 and 1.1 percent; 5.7 and 4.7 by harmonic means of both moduli alone."""
    layers = [(3000.0, 4000.0, 2000.0, 2600.0), (np.inf, 6000.0, 3464.0, 2700.0)]
    times = np.linspace(0, 12, 400)

    def found(levels):
        gather = simulated(
            layers, GENERAL, 5000.0, [(12000.0, 4000.0)], period=1.6, points=2000 * 1.6 * levels / 3000.0,
            duration=12.0, bottom=8000.0, margin=3000.0, fine=20, over=1.25,
        ).gather  # fmt: skip
        return CubicSpline(gather.times, gather.data[0], axis=1)(times)

    half_way = found(6.5)
    assert np.abs(half_way).max() > 0
    for levels in (6.0, 6.75):
        assert error(found(levels), half_way) < 0.033, levels
