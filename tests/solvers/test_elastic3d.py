"""The solver as its users see it: gradients, plans, refusals."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from simulations import FORCE, event, lossy, model, simulation, station, unstable

from seisflow.domain import SourceTimeFunction
from seisflow.errors import InputError, PhysicsError
from seisflow.solvers import Elastic3D, Elastic3DConfig, create

EXACT = {
    "precision": "double",
    "snapshots_per_period": np.inf,
    "cpml_cells": 8,
    "spacing": 1500.0,
    "time_step": 0.105,
    "absorbed_speed": 7000.0,
}
WIDE = (16, 16, 8)


def observed(sim, solver):
    m = sim.model
    return solver.forward(
        replace(sim, model=m.with_fields(vp=m.vp * 1.03, vs=m.vs * 0.98, rho=m.rho * 1.02))
    ).gather


def misfit(gather, data):
    return 0.5 * gather.interval * np.sum((gather.data - data.data) ** 2)


def inner(model_):
    """Nodes that neither absorbing layers nor the mean over seven cells, which limits them, reach."""
    mask = np.zeros(model_.grid.shape)
    mask[5:-5, 5:-5, :-2] = 1
    return mask


@pytest.mark.parametrize(
    ("depth", "order", "loss"),
    [
        (6400.0, 4, False),
        (500.0, 4, False),
        (500.0, 4, True),
        pytest.param(500.0, 8, False, marks=pytest.mark.slow),
        pytest.param(6400.0, 8, True, marks=pytest.mark.slow),
    ],
)
def test_gradient_passes_the_taylor_test(depth, order, loss):
    structure = lossy(model(WIDE)) if loss else model(WIDE)
    sim = simulation(event=event(-2100.0, 3300.0, depth), model=structure)
    solver = Elastic3D(Elastic3DConfig(**EXACT, order=order))
    forward = solver.forward(sim, keep=True)
    data = observed(sim, solver)
    kernel = solver.adjoint(forward, forward.gather.with_data(forward.gather.data - data.data))
    # along the directions of seeds 0 and 1 the second derivative by vs is next to none somewhere: no order to see
    here, rng = misfit(forward.gather, data), np.random.default_rng(2)
    for name, values in sim.model.fields().items():
        direction = inner(sim.model) * rng.standard_normal(values.shape) * values.mean()
        slope = np.sum(kernel.fields()[name] * direction)
        remainders = []
        for size in (1e-3, 5e-4, 2.5e-4):
            there = replace(sim, model=sim.model.with_fields(**{name: values + size * direction}))
            remainders.append(abs(misfit(solver.forward(there).gather, data) - here - size * slope))
        orders = np.log2(np.divide(remainders[:-1], remainders[1:]))
        assert np.all(np.abs(orders - 2) < 0.1), (name, orders)


@pytest.mark.parametrize("depth", [4000.0, 0.0])
def test_gradient_of_a_force_agrees_with_finite_differences(depth):
    sim = simulation(event=event(-2100.0, 3300.0, depth, FORCE), model=model(WIDE))
    solver = Elastic3D(Elastic3DConfig(**EXACT))
    forward = solver.forward(sim, keep=True)
    data = observed(sim, solver)
    kernel = solver.adjoint(forward, forward.gather.with_data(forward.gather.data - data.data))
    direction = inner(sim.model) * np.random.default_rng(1).standard_normal(sim.model.grid.shape)
    for name, values in sim.model.fields().items():
        step = 3e-5 * values.mean() * direction
        both = [
            misfit(
                solver.forward(
                    replace(sim, model=sim.model.with_fields(**{name: values + sign * step}))
                ).gather,
                data,
            )
            for sign in (1, -1)
        ]
        expected = np.sum(kernel.fields()[name] * step)
        assert abs((both[0] - both[1]) / 2 - expected) < 1e-3 * abs(expected)


def test_decimated_single_precision_gradient_is_close_to_the_exact_one():
    sim = simulation()
    kernels = []
    for changes in ({}, {"snapshots_per_period": 4.0}, {"snapshots_per_period": 4.0, "precision": "single"}):
        solver = Elastic3D(Elastic3DConfig(**(EXACT | changes)))
        forward = solver.forward(sim, keep=True)
        source = forward.gather.with_data(np.asarray(forward.gather.data, dtype=float))
        kernels.append(solver.adjoint(forward, source))
    exact = kernels[0]
    for kernel in kernels[1:]:
        for name in ("vp", "vs", "rho", "illumination"):
            a, b = getattr(kernel, name), getattr(exact, name)
            assert np.linalg.norm(a - b) < 5e-3 * np.linalg.norm(b), name
    assert exact.illumination.min() > 0


def test_adjoint_is_linear_in_its_source_to_the_bit_of_a_power_of_two():
    sim = simulation()
    solver = Elastic3D(Elastic3DConfig(spacing=1500.0))
    forward = solver.forward(sim, keep=True)
    one = solver.adjoint(forward, forward.gather)
    small = solver.adjoint(forward, forward.gather.with_data(forward.gather.data * 2.0**-90))
    assert np.array_equal(one.vs * 2.0**-90, small.vs)
    nothing = solver.adjoint(forward, forward.gather.with_data(0 * forward.gather.data))
    assert not nothing.vp.any()
    assert not nothing.illumination.any()


def test_bits_do_not_depend_on_threads():
    sim = simulation()
    results = []
    for threads in (1, 2):
        solver = create(Elastic3DConfig(spacing=1500.0), threads)
        forward = solver.forward(sim, keep=True)
        kernel = solver.adjoint(forward, forward.gather)
        results.append([forward.gather.data, *kernel.fields().values(), kernel.illumination])
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a, b)


def test_gather_and_plan():
    sim, solver = simulation(), Elastic3D()
    plan, told = solver.plan(sim), []
    gather = solver.forward(sim, progress=told.append).gather
    assert plan.spacing == pytest.approx(sim.model.vs.min() * 4.0 / 8)
    assert plan.time_step == pytest.approx(0.9 * 0.4949 * plan.spacing / sim.model.vp.max())
    assert gather.components == ("E", "N", "Z")
    assert gather.stations == sim.stations
    assert gather.interval == plan.time_step
    assert gather.samples == plan.steps
    assert gather.end - gather.interval < sim.duration <= gather.end + 1e-9
    assert gather.start / gather.interval == pytest.approx(round(gather.start / gather.interval))
    quiet = np.abs(gather.data[:, :, gather.times < gather.start + 1]).max()
    assert quiet < 1e-5 * np.abs(gather.data).max()
    assert plan.snapshot_every * plan.time_step <= sim.shortest_period / 4
    assert 0 < plan.forward_bytes < plan.gradient_bytes
    assert plan.gradient_work == pytest.approx(2.3 * np.prod(plan.shape) * plan.steps)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 20


@pytest.mark.parametrize(("order", "loss"), [(4, False), (8, True)])
def test_less_memory_gives_the_same_gradient_by_more_work(order, loss):
    """Cut into segments that are run again, from states kept, twice from one forward run."""
    structure = lossy(model()) if loss else model()
    sim, config = (
        simulation(model=structure),
        Elastic3DConfig(spacing=1500.0, order=order, snapshots_per_period=np.inf),
    )
    plan = Elastic3D(config).plan(sim)
    assert plan.segments == 1
    forward = Elastic3D(config).forward(sim, keep=True)
    expected = Elastic3D(config).adjoint(forward, forward.gather)
    for share in (0.9, 0.81):
        less = replace(config, memory_gb=share * plan.gradient_bytes / 1e9)
        solver = Elastic3D(less, threads=2)
        chosen = solver.plan(sim)
        assert chosen.segments > 1
        assert chosen.gradient_bytes <= less.memory_gb * 1e9
        again = 1 - 1 / chosen.segments
        assert chosen.gradient_work == pytest.approx((1 + again / 2.3) * plan.gradient_work)
        kept = solver.forward(sim, keep=True)
        assert np.array_equal(kept.gather.data, forward.gather.data)
        for _ in range(2):
            found = solver.adjoint(kept, forward.gather)
            for name in ("vp", "vs", "rho", "illumination"):
                assert np.array_equal(getattr(found, name), getattr(expected, name)), (share, name)
    with pytest.raises(InputError, match="raise memory_gb"):
        Elastic3D(replace(config, memory_gb=0.2 * plan.gradient_bytes / 1e9)).plan(sim)


def test_attenuation_is_planned_and_can_be_switched_off():
    structure = lossy(model())
    sim = simulation(model=structure)
    elastic, on = Elastic3D().plan(simulation()), Elastic3D().plan(sim)
    off = Elastic3D(Elastic3DConfig(attenuation=False)).plan(sim)
    # the unrelaxed modulus is stiffer
    assert on.time_step / on.spacing < off.time_step / off.spacing
    assert on.forward_bytes > 1.3 * off.forward_bytes
    assert on.gradient_work / (np.prod(on.shape) * on.steps) > 1.2 * off.gradient_work / (
        np.prod(off.shape) * off.steps
    )
    assert off.forward_bytes < 1.3 * elastic.forward_bytes
    infinite = replace(
        structure, qkappa=np.full_like(structure.vp, np.inf), qmu=np.full_like(structure.vp, np.inf)
    )
    without, same = (
        Elastic3D().forward(simulation()).gather,
        Elastic3D().forward(simulation(model=infinite)).gather,
    )
    assert np.allclose(same.data, without.data, rtol=0, atol=2e-5 * np.abs(without.data).max())


def test_q_that_the_mechanisms_cannot_have_is_refused_by_place():
    structure = lossy(model())
    q = structure.qmu.copy()
    q[3, 2, 1] = 5.0
    with pytest.raises(
        InputError, match=r"qmu = 5 at x = -7500 m, y = -9600 m, z = 2500 m.*attenuation: false"
    ):
        Elastic3D().plan(simulation(model=replace(structure, qmu=q)))


def test_forward_and_adjoint_stop_when_interrupted():
    def stop(fraction):
        if fraction > 0.3:
            raise KeyboardInterrupt

    sim, solver = simulation(), Elastic3D(Elastic3DConfig(spacing=1500.0))
    with pytest.raises(KeyboardInterrupt):
        solver.forward(sim, progress=stop)
    forward = solver.forward(sim, keep=True)
    with pytest.raises(KeyboardInterrupt):
        solver.adjoint(forward, forward.gather, progress=stop)


def test_stations_at_the_very_edge_of_the_model_are_clear_of_the_absorbing_layers():
    low, high = simulation().model.grid.origin, simulation().model.grid.end
    edge = (station(low[0] + 1, low[1] + 1), station(high[0] - 1, high[1] - 1, high[2] - 1, "B"))
    sim = simulation(stations=edge)
    solver = Elastic3D(Elastic3DConfig(spacing=1500.0, precision="double"))
    inside = solver.plan(simulation()).shape
    assert all(a > b for a, b in zip(solver.plan(sim).shape[:2], inside[:2], strict=True))
    wide = Elastic3D(Elastic3DConfig(spacing=1500.0, precision="double", cpml_cells=20))
    a, b = (s.forward(sim).gather.data for s in (solver, wide))
    assert np.linalg.norm(a - b) < 0.02 * np.linalg.norm(b)


@pytest.mark.parametrize(
    ("changes", "config", "message"),
    [
        ({"stations": (station(50e3, 0.0),)}, {}, r"station XX\.A lies at x = 50000 m"),
        ({"stations": (station(0.0, 0.0, -10.0),)}, {}, r"station XX\.A has depth -10 m"),
        ({"stations": ()}, {}, "no stations"),
        ({"event": event(0.0, 90e3, 5e3)}, {}, "event ev1 lies at y = 90000 m"),
        ({"event": event(0.0, 0.0, 99e3)}, {}, "99000 m deep"),
        ({"event": event(0.0, 0.0, -1.0)}, {}, "must be 0 or more"),
        ({"duration": 0.0}, {}, "duration"),
        ({"shortest_period": -1.0}, {}, "shortest_period"),
        ({}, {"spacing": 3500.0}, "points per shortest wavelength"),
        ({}, {"spacing": 1000.0, "time_step": 0.2}, "unstable"),
        ({}, {"memory_gb": 0.001}, "raise memory_gb"),
        ({"model": model(rough=0.0).with_fields(vs=np.full((12, 11, 8), 5000.0))}, {}, "vp/vs"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(changes, config, message):
    solver = Elastic3D(Elastic3DConfig(**config))
    with pytest.raises(InputError, match=message):
        solver.plan(simulation(**changes))


@pytest.mark.parametrize(
    "wrong",
    [
        {"spacing": -1.0}, {"time_step": 0.0}, {"points_per_wavelength": 2.0}, {"cpml_cells": -1},
        {"precision": "half"}, {"memory_gb": 0.0}, {"snapshots_per_period": 1.0},
    ],
    ids=lambda w: next(iter(w)),
)  # fmt: skip
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Elastic3DConfig(**wrong)


def test_the_value_that_a_refusal_names_is_accepted():
    sim = simulation()
    with pytest.raises(InputError) as refusal:
        Elastic3D(Elastic3DConfig(spacing=1000.0, time_step=0.2)).plan(sim)
    step = float(str(refusal.value).split("at most ")[1].split(" s")[0])
    solver = Elastic3D(Elastic3DConfig(spacing=1000.0, time_step=step * 0.999))
    assert np.isfinite(solver.forward(simulation(duration=60.0)).gather.data).all()


def test_wrong_adjoint_sources_are_refused():
    sim, solver = simulation(), Elastic3D(Elastic3DConfig(spacing=1500.0))
    forward = solver.forward(sim, keep=True)
    gather = forward.gather
    with pytest.raises(InputError, match="keep=True"):
        solver.adjoint(solver.forward(sim), gather)
    with pytest.raises(InputError, match="samples"):
        solver.adjoint(forward, gather.with_data(gather.data[:, :, 1:]))
    with pytest.raises(InputError, match="starts"):
        solver.adjoint(forward, gather.with_data(gather.data, start=gather.start + 0.1))
    with pytest.raises(InputError, match="interval"):
        solver.adjoint(forward, gather.with_data(gather.data, interval=0.2))
    with pytest.raises(InputError, match="stations"):
        solver.adjoint(forward, gather.with_data(gather.data, stations=gather.stations[::-1]))
    with pytest.raises(PhysicsError, match="NaN"):
        solver.adjoint(forward, gather.with_data(gather.data * np.nan))


def test_a_source_of_infinite_samples_is_reported():
    function = SourceTimeFunction(kind="samples", samples=(0.0, 1e308, 0.0), start=-1.0, interval=1.0)
    sim = simulation(event=event(0.0, 0.0, 5000.0, FORCE, function))
    forward = Elastic3D(Elastic3DConfig(spacing=1500.0))
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            data = forward.forward(sim).gather.data
        except PhysicsError as error:
            assert "infinite or NaN at step" in str(error)
        else:
            assert np.isfinite(data).all()


BROKEN = r"at step (\d+) of \d+; first after step (\d+) at x = (-?\d+) m, y = (-?\d+) m, depth (\d+) m"


@pytest.mark.parametrize(("order", "point"), [(4, (20, 17, 9)), (8, (31, 14, 0))])
def test_a_run_that_blows_up_is_stopped_soon_and_says_where(order, point):
    solver = unstable(Elastic3D(Elastic3DConfig(spacing=1500.0, order=order)), point)
    sim = simulation()
    layout = solver._setup(sim).layout
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(PhysicsError) as caught:
        solver.forward(sim)
    found = re.search(BROKEN, str(caught.value))
    stopped, first, *place = map(int, found.groups())
    assert 0 <= stopped - first < 100
    wanted = [layout.axis(axis)[number] for axis, number in enumerate(point)]
    assert np.abs(np.subtract(place, wanted)).max() <= 2 * layout.spacing
    assert re.search(r"km from (the source|station XX\.[ABC]), vp \d+ m/s", str(caught.value))


def test_a_blow_up_in_the_absorbing_layer_is_said_to_be_there():
    solver = unstable(Elastic3D(Elastic3DConfig(spacing=1500.0)), (4, 20, 8))
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(PhysicsError, match="layer in the west"):
        solver.forward(simulation())


def test_an_adjoint_run_that_blows_up_says_where():
    sim, point = simulation(), (20, 17, 9)
    solver = Elastic3D(Elastic3DConfig(spacing=1500.0))
    forward = solver.forward(sim, keep=True)
    layout = solver._setup(sim).layout
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(PhysicsError) as caught:
        unstable(solver, point).adjoint(forward, forward.gather)
    place = list(map(int, re.search(BROKEN, str(caught.value)).groups()))[2:]
    wanted = [layout.axis(axis)[number] for axis, number in enumerate(point)]
    assert np.abs(np.subtract(place, wanted)).max() <= 2 * layout.spacing


def test_half_precision_snapshots_take_half_the_memory_and_hardly_change_the_gradient():
    sim, settings = simulation(), EXACT | {"precision": "single", "snapshots_per_period": 4.0}
    exact = Elastic3D(Elastic3DConfig(**EXACT))
    forward = exact.forward(sim, keep=True)
    exact_kernel = exact.adjoint(forward, forward.gather)
    kernels, bytes_ = [], []
    for more in ({}, {"snapshot_precision": "half"}):
        solver = Elastic3D(Elastic3DConfig(**settings | more))
        forward = solver.forward(sim, keep=True)
        kernels.append(solver.adjoint(forward, forward.gather.with_data(forward.gather.data)))
        bytes_.append(solver.plan(sim).gradient_bytes - solver.plan(sim).forward_bytes)
    for name in ("vp", "vs", "rho", "illumination"):
        full, half, true = (np.asarray(getattr(k, name)) for k in (*kernels, exact_kernel))
        scale = np.linalg.norm(true)
        assert 0 < np.linalg.norm(half - full) < 1e-3 * scale, name
        assert np.linalg.norm(half - true) < 5e-3 * scale, name
    assert bytes_[1] < bytes_[0]


def test_half_precision_snapshots_do_not_depend_on_segments():
    sim, settings = (
        simulation(duration=50.0),
        {"spacing": 1500.0, "snapshot_precision": "half", "snapshots_per_period": np.inf},
    )
    whole = Elastic3D(Elastic3DConfig(**settings))
    least = 0.85 * whole.plan(sim).gradient_bytes / 1e9
    cut = Elastic3D(Elastic3DConfig(**settings, memory_gb=least))
    assert cut.plan(sim).segments > 1
    results = []
    for solver in (whole, cut):
        forward = solver.forward(sim, keep=True)
        results.append(solver.adjoint(forward, forward.gather))
    for name, values in results[0].fields().items():
        assert np.array_equal(values, results[1].fields()[name])
