"""The solver on a GPU (here the CPU in place of one): the gradients of the processor, in free memory."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from simulations import event, simulation

from seisflow.errors import InputError, PhysicsError
from seisflow.native.device import DeviceMemoryError
from seisflow.solvers import Elastic3D, Elastic3DConfig, together
from seisflow.solvers.together import Meeting
from tests.cuda_shim.device import COMPILER, ShimDevice

pytestmark = pytest.mark.skipif(
    COMPILER is None, reason="no C++ compiler (g++) for the CPU in place of a GPU"
)
SIMULATION = simulation(duration=5.0)


def near(found, expected, tolerance):
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max(), rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("order", "precision", "tolerance"), [(4, "single", 1e-5), (8, "double", 1e-11)])
def test_seismograms_and_gradient_are_those_of_the_processor(order, precision, tolerance):
    config = Elastic3DConfig(
        spacing=2400.0 if order == 8 else 1800.0, order=order, precision=precision, cpml_cells=4
    )
    device = ShimDevice("shuffled")
    kernels, gathers = [], []
    for solver in (Elastic3D(config), Elastic3D(config, device=device)):
        forward = solver.forward(SIMULATION, keep=True)
        gathers.append(forward.gather.data)
        kernels.append(solver.adjoint(forward, forward.gather, with_source=True))
    assert {"elastic_velocity", "elastic_keep", "elastic_correlate"} <= set(device.launches)
    near(gathers[1], gathers[0], tolerance)
    for name, values in kernels[0].fields().items():
        near(kernels[1].fields()[name], values, 10 * tolerance)


SMALL = Elastic3DConfig(spacing=2400.0, cpml_cells=0, points_per_wavelength=5.0, snapshots_per_period=np.inf)


@pytest.mark.slow
def test_little_memory_gives_segments_and_too_little_an_error():
    plan = Elastic3D(SMALL).plan(SIMULATION)
    device = ShimDevice(memory=int(2 * plan.forward_bytes))
    solver = Elastic3D(replace(SMALL, memory_gb=1e-3), device=device)
    assert solver.plan(SIMULATION).segments > 1
    results = []
    for each in (Elastic3D(SMALL), solver):
        forward = each.forward(SIMULATION, keep=True)
        results.append(each.adjoint(forward, forward.gather).fields()["vs"])
    near(results[1], results[0], 1e-4)
    device.memory //= 4
    with pytest.raises(InputError, match=r"CPU in place of a GPU.*may be taken"):
        solver.forward(replace(SIMULATION))


@pytest.mark.slow
def test_velocity_that_the_device_does_not_hold_goes_to_the_host():
    plan = Elastic3D(SMALL).plan(SIMULATION)
    kernels = []
    for memory in (1 << 32, int(1.7 * plan.forward_bytes)):
        device = ShimDevice(memory=memory, counting=True)
        solver = Elastic3D(SMALL, device=device)
        assert solver.plan(SIMULATION).segments == 1
        forward = solver.forward(SIMULATION, keep=True)
        kernels.append(solver.adjoint(forward, forward.gather).vs)
        assert (device.on_host_bytes > 0) == (memory < 1 << 32)
    limited = Elastic3D(replace(SMALL, memory_gb=1e-3), device=device)  # nor may the host hold it
    assert limited.plan(SIMULATION).segments > 1
    np.testing.assert_array_equal(kernels[1], kernels[0])


def at_once(device, calls):
    """Calls of threads that all wait while the device is busy."""
    meeting, found = Meeting.of(device), [None] * len(calls)

    def run(number):
        try:
            found[number] = calls[number]()
        except BaseException as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    with device.lock:
        for thread in threads:
            thread.start()
        while len(meeting.waiting) < len(calls):
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    return found


def events(count):
    """Events of one model at different places, with different stations."""
    return [
        simulation(
            duration=2.0, event=event(-2100.0 + 300 * n, 1300.0, 6400.0 - 500 * n),
            stations=SIMULATION.stations[n:],
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.slow
def test_events_that_wait_run_together_with_the_bits_of_each_alone():
    solver = Elastic3D(SMALL, device=ShimDevice())
    some = events(3)
    alone = []
    for each in some:
        forward = solver.forward(each, keep=True)
        alone.append((forward.gather.data, solver.adjoint(forward, forward.gather)))
    meeting = Meeting.of(solver.device)
    meeting.sizes.clear()
    told = []
    forwards = at_once(
        solver.device,
        [lambda each=each: solver.forward(each, keep=True, progress=told.append) for each in some],
    )
    kernels = at_once(
        solver.device, [lambda each=each: solver.adjoint(each, each.gather) for each in reversed(forwards)]
    )
    assert meeting.sizes == [3, 3]
    assert told.count(1.0) == 3
    for (data, kernel), forward, found in zip(alone, forwards, reversed(kernels), strict=True):
        np.testing.assert_array_equal(forward.gather.data, data)
        for name, values in kernel.fields().items():
            np.testing.assert_array_equal(found.fields()[name], values)


def test_what_is_not_alike_or_fails_runs_alone():
    solver = Elastic3D(SMALL, device=ShimDevice())
    some = events(2)
    other = replace(some[1], model=some[1].model.with_fields(vs=some[1].model.vs * 0.99))
    forwards = at_once(solver.device, [lambda each=each: solver.forward(each) for each in (some[0], other)])
    assert Meeting.of(solver.device).sizes == [1, 1]
    assert not np.array_equal(forwards[0].gather.data, forwards[1].gather.data)

    def work(requests):
        if len(requests) > 1:
            raise DeviceMemoryError("too many")
        if requests == ["bad"]:
            raise PhysicsError("bad")
        return [each.upper() for each in requests]

    meeting = Meeting.of(solver.device)
    calls = [lambda word=word: meeting.run("key", word, work, 8) for word in ("a", "bad", "b", "c")]
    a, bad, b, c = at_once(solver.device, calls)
    assert (a, b, c) == ("A", "B", "C")
    assert isinstance(bad, PhysicsError)


def test_memory_that_others_take_is_waited_for(monkeypatch):
    monkeypatch.setattr(together, "_PATIENCE", (0.0, 0.0))
    meeting, left = Meeting.of(ShimDevice()), [2]

    def work(requests):
        if left[0]:
            left[0] -= 1
            raise DeviceMemoryError("taken")
        return requests

    assert meeting.run("key", 1, work, 1) == 1
    left[0] = 3
    with pytest.raises(DeviceMemoryError):
        meeting.run("key", 1, work, 1)
    assert not meeting.waiting
