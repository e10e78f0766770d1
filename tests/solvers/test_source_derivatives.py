"""Derivatives with respect to the source: by the adjoint run, by forward runs, by finite differences."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
import simulations as small

from seisflow.domain import MomentTensor, SourceDerivatives, SourceTimeFunction
from seisflow.errors import InputError
from seisflow.solvers import Elastic3D, Elastic3DConfig

NAMES = SourceDerivatives.NAMES
SCALES = (1e15,) * 6 + (300.0, 300.0, 300.0, 0.2)


def solver(order=4, **config):
    return Elastic3D(Elastic3DConfig(precision="double", snapshots_per_period=np.inf, order=order, **config))


def moved(simulation, change):
    """The simulation with a source that is changed by a vector in the order of NAMES."""
    event, project = simulation.event, simulation.model.projection
    x, y = project.to_local(event.latitude, event.longitude)
    latitude, longitude = project.to_geographic(x + change[6], y + change[7])
    tensor = MomentTensor(*(np.array(astuple(event.source)) + change[:6]))
    function = replace(event.time_function, delay=event.time_function.delay + change[9])
    changed = replace(
        event, latitude=latitude, longitude=longitude, depth=event.depth + change[8], source=tensor,
        time_function=function,
    )  # fmt: skip
    return replace(simulation, event=changed)


def residual(gather):
    rng = np.random.default_rng(5)
    smooth = np.cumsum(np.cumsum(rng.standard_normal(gather.data.shape), axis=-1), axis=-1)
    return gather.with_data(smooth / np.abs(smooth).max() * np.abs(gather.data).max() * 0.5)


@pytest.mark.parametrize("attenuated", [False, True])
def test_derivative_along_all_parameters_at_once_is_that_of_finite_differences(attenuated):
    event, model = small.event(-2120.0, 3310.0, 350.0), small.model()
    start = small.simulation(event=event, model=small.lossy(model) if attenuated else model)
    run = solver()
    forward = run.forward(start, keep=True)
    source = residual(forward.gather)
    found = np.array(astuple(run.adjoint(forward, source, with_source=True).source))
    along = np.array(SCALES) * [0.3, -0.4, 0.5, 0.2, -0.7, 0.6, 1.0, -1.0, 1.0, 1.0]
    ends = [run.forward(moved(start, sign * 1e-3 * along)).gather.data for sign in (1, -1)]
    difference = np.sum((ends[0] - ends[1]) * source.data) * source.interval / 2e-3
    assert difference == pytest.approx(found @ along, rel=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "order"), [(6400.0, 4), (1700.0, 4), (350.0, 4), (6400.0, 8)])
def test_derivatives_pass_the_taylor_test(depth, order):
    """J = 1/2 sum |u - d|^2 dt along each parameter: the remainder of the first order falls by four."""
    start = small.simulation(event=small.event(-2120.0, 3310.0, depth))
    run = solver(order)
    forward = run.forward(start, keep=True)
    target = forward.gather.with_data(forward.gather.data + residual(forward.gather).data)

    def misfit(simulation):
        difference = run.forward(simulation).gather.data - target.data
        return 0.5 * np.sum(difference**2) * target.interval

    source = forward.gather.with_data(forward.gather.data - target.data)
    found = run.adjoint(forward, source, with_source=True).source
    value = misfit(start)
    for number, name in enumerate(NAMES):
        direction = np.zeros(len(NAMES))
        direction[number] = SCALES[number]
        slope = getattr(found, name) * SCALES[number]
        up, down = (misfit(moved(start, sign * 1e-3 * direction)) for sign in (1, -1))
        assert (up - down) / 2e-3 == pytest.approx(slope, rel=2e-5, abs=1e-6 * value), name
        if name in ("x", "depth", "time", "mrt"):
            rest = [
                abs(misfit(moved(start, length * direction)) - value - length * slope)
                for length in (0.2, 0.1, 0.05)
            ]
            orders = np.log2(np.array(rest[:-1]) / rest[1:])
            assert np.all(np.abs(orders - 2) < 0.15), (name, orders)


@pytest.mark.parametrize(
    ("order", "case"),
    [
        (4, "deep"),
        (4, "shallow and attenuated"),
        pytest.param(4, "attenuated", marks=pytest.mark.slow),
        pytest.param(8, "deep", marks=pytest.mark.slow),
        pytest.param(8, "shallow and attenuated", marks=pytest.mark.slow),
    ],
)
def test_forward_columns_and_the_adjoint_are_transposes(order, case):
    lossy = {"model": small.lossy(small.model())} if "attenuated" in case else {}
    shallow = {"event": small.event(-2120.0, 3310.0, 350.0)} if "shallow" in case else {}
    simulation = small.simulation(**lossy, **shallow)
    run = solver(order)
    forward = run.forward(simulation, keep=True)
    source = residual(forward.gather)
    found = run.adjoint(forward, source, with_source=True).source
    columns = run.source_columns(simulation, NAMES)
    for name, column in zip(NAMES, columns, strict=True):
        expected = np.sum(column.data * source.data) * source.interval
        scale = np.linalg.norm(column.data) * np.linalg.norm(source.data) * source.interval
        assert abs(getattr(found, name) - expected) < 1e-11 * scale, name
    whole = sum(
        m * column.data for m, column in zip(astuple(simulation.event.source), columns[:6], strict=True)
    )
    assert np.abs(whole - forward.gather.data).max() < 1e-12 * np.abs(whole).max()


def test_asking_for_the_source_leaves_the_kernel_as_it_is():
    run = Elastic3D(Elastic3DConfig())
    forward = run.forward(small.simulation(), keep=True)
    source = residual(forward.gather)
    plain, asked = run.adjoint(forward, source), run.adjoint(forward, source, with_source=True)
    assert plain.source is None
    for name, values in plain.fields().items():
        assert np.array_equal(values, asked.fields()[name])


def test_single_precision_and_segments_give_close_derivatives():
    simulation = small.simulation()
    exact, quick = solver(), Elastic3D(Elastic3DConfig())
    found = []
    for run in (exact, quick):
        forward = run.forward(simulation, keep=True)
        found.append(run.adjoint(forward, residual(forward.gather), with_source=True).source)
    exact_values, quick_values = (np.array(astuple(each)) * SCALES for each in found)
    assert np.abs(exact_values - quick_values).max() < 1e-3 * np.abs(exact_values).max()


def test_a_force_is_refused():
    simulation = small.simulation(event=small.event(0.0, 0.0, 6000.0, source=small.FORCE))
    with pytest.raises(InputError, match="a force has no derivatives of a moment tensor"):
        solver().source_columns(simulation, ["depth"])
    run = Elastic3D(Elastic3DConfig())
    forward = run.forward(simulation, keep=True)
    with pytest.raises(InputError, match="a force has no derivatives of a moment tensor"):
        run.adjoint(forward, forward.gather, with_source=True)


def test_a_delay_shifts_the_source():
    simulation = small.simulation()
    function = simulation.event.time_function
    late = replace(simulation, event=replace(simulation.event, time_function=replace(function, delay=1.5)))
    gathers = [Elastic3D().forward(each).gather for each in (simulation, late)]
    shift = 1.5 / gathers[0].interval
    whole = np.interp(gathers[0].times - 1.5, gathers[0].times, gathers[0].data[0, 2], left=0.0)
    found = np.interp(gathers[0].times, gathers[1].times, gathers[1].data[0, 2], left=0.0)
    assert shift > 1
    assert np.abs(whole - found).max() < 0.01 * np.abs(whole).max()
    with pytest.raises(InputError, match="delay"):
        SourceTimeFunction(delay=np.nan)
