"""The elastic kernel on a GPU against the C kernel (CPU in place of a GPU, and a GPU), which has a twin of its own.

Stated tolerance: 1e-5 of the peak in single, 1e-12 in double precision, for fields, records, snapshots and sums.
"""

import numpy as np
import pytest

from seisflow.native.cuda_elastic3d import CudaElastic3D
from seisflow.native.elastic3d import FIELDS, SUMS, Elastic3DGrid, Entries, Relaxation, Snapshots
from tests.elastic3d_cases import RATIO, compiled, entries, initial, medium, profiles
from tests.native.devices import with_devices

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
SHAPES = {"small": ((14, 13, 25), 3), "bare": ((5, 9, 33), 0), "uneven": ((13, 17, 40), 5)}


def grid_of(shape, dtype, cells, order):
    grid = Elastic3DGrid(shape, dtype, cells=cells, profiles=profiles(shape, cells), order=order)
    grid.set_material(medium(shape), RATIO)
    return grid


def attenuated(shape, dtype, cells, order):
    """A grid whose moduli relax, with random fields."""
    grid, rng = grid_of(shape, dtype, cells, order), np.random.default_rng(4)
    rates = 0.05 + 0.4 * rng.random((2, 2, 2))
    grid.attenuate(Relaxation(rates, rng.random((2, 2, 2))), 0.2 * rng.random(shape), 0.3 * rng.random(shape))
    for name, values in initial(shape).items():
        grid.view(name)[...] = values
    return grid


def near(found, expected, dtype):
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found, expected, atol=TOLERANCE[dtype] * scale, rtol=0)


def moved(device, shape, dtype, cells, steps, order, stored=None, events=1, seeds=(0,)):
    """As ``compiled``: random fields, sources and records."""
    host = grid_of(shape, dtype, cells, order)
    for name, values in initial(shape).items():
        host.view(name)[...] = values
    grid = CudaElastic3D(device, host, events)
    start = np.array(host._fields[: grid.state])
    for event in range(events):
        grid.arrays["fields"][event][...] = device.upload(start)
    rng = np.random.default_rng(7)
    f, m = rng.standard_normal((steps, 3)), rng.standard_normal((steps, 2))
    out = [np.zeros((steps, 4)) for _ in range(events)]
    forces = [entries(shape, [0, 1, 2], 3, 11 + seed) for seed in seeds]
    moments = [entries(shape, [3, 4, 6, 7, 8], 2, 12 + seed) for seed in seeds]
    wanted = [entries(shape, range(9), 4, 13, sort=True)] * events
    receivers = grid.receivers(wanted, out)
    driven = grid.sources(forces, [f] * events), grid.sources(moments, [m] * events), receivers
    assert grid.advance(*driven, grid.snapshots(stored), 0, steps // 2) == 0
    assert grid.advance(*driven, grid.snapshots(stored), steps // 2, steps - steps // 2) == 0
    grid.collect(receivers)
    return grid, out


@with_devices("forward", "shuffled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("case", SHAPES)
def test_fields_records_and_snapshots_are_those_of_the_processor(case, order, dtype, device):
    shape, cells = SHAPES[case]
    steps, every = 9, 4
    host, expected, _, _ = compiled(shape, dtype, cells, 1, order=order)
    slots = len(range(1, steps, every))
    kept = Snapshots(every, 1, np.zeros(host.snapshot_shape(slots), dtype))
    host, expected, _, _ = compiled(shape, dtype, cells, steps, order=order, snapshots=kept)
    room = device.zeros(host.snapshot_shape(slots), dtype)
    grid, (out,) = moved(device, shape, dtype, cells, steps, order, Snapshots(every, 1, room))
    fields = grid.fields()
    for number, name in enumerate(FIELDS):
        near(fields[number], host.view(name), dtype)
    near(out, expected, dtype)
    near(device.download(room), kept.data, dtype)


@with_devices("reversed")
def test_events_in_one_launch_are_each_as_alone(device):
    shape, cells, steps = (14, 13, 25), 3, 6
    together, outs = moved(device, shape, np.float32, cells, steps, 4, events=3, seeds=(0, 20, 40))
    for event, seed in enumerate((0, 20, 40)):
        alone, (out,) = moved(device, shape, np.float32, cells, steps, 4, seeds=(seed,))
        np.testing.assert_array_equal(together.fields(event), alone.fields())
        np.testing.assert_array_equal(outs[event], out)
    assert not np.array_equal(outs[0], outs[1])


@with_devices("shuffled")
@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("loss", [False, True])
def test_transpose_passes_the_dot_product_test(loss, order, device):
    """Forces at A recorded at B, and forces at B reversed in time recorded at A: one the transpose of the other."""
    shape, cells, steps = (15, 14, 28), 0, 40  # an absorbing layer is no transpose of itself
    host = attenuated(shape, np.float64, cells, order) if loss else grid_of(shape, np.float64, cells, order)
    grid, rng = CudaElastic3D(device, host), np.random.default_rng(9)
    rho, axes = medium(shape).rho, np.eye(3, dtype=int)

    def points(count):
        """Components of velocity deeper than the closure, where a force is over the density of its point."""
        field = rng.integers(0, 3, count)
        place = np.stack([rng.integers(2, n - 3, count) for n in (shape[0], shape[1], shape[2] - 12)])
        place[2] += 10
        beside = tuple(place + axes[field].T)
        mass = 0.5 * (rho[tuple(place)] + rho[beside])
        number = np.arange(count)
        force = Entries(field, *place, 1 / mass, number)
        return force, Entries(field, *place, np.ones(count), number)

    ends, none = (points(5), points(4)), Entries.join([])
    given = [rng.standard_normal((steps, len(force.signal))) for force, _ in ends]
    found = []
    for (force, _), (_, record), samples in (
        (ends[0], ends[1], given[0]), (ends[1], ends[0], given[1][::-1]),
    ):  # fmt: skip
        grid.reset()
        out = np.zeros((steps, len(record.signal)))
        receivers = grid.receivers(record, out)
        driven = grid.sources(force, samples), grid.sources(none, samples)
        assert grid.advance(*driven, receivers, None, 0, steps) == 0
        grid.collect(receivers)
        found.append(out)
    there, back = np.sum(found[0] * given[1]), np.sum(given[0] * found[1][::-1])
    size = np.linalg.norm(found[0]) * np.linalg.norm(given[1])
    assert abs(there - back) < 1e-12 * size
    assert abs(there) > 1e-4 * size


@with_devices("forward", "reversed")
@pytest.mark.parametrize("events", [1, 3])
def test_velocity_in_memory_of_the_host_is_the_same(events, device):
    """Two buffers on the way there and back; several events store each for itself."""
    shape, cells, dtype, steps, every = (14, 13, 25), 3, np.float32, 11, 2
    kept, sums = [], []
    slots = len(range(1, steps, every))
    for room in (device.zeros, device.pinned):
        host = grid_of(shape, dtype, cells, 4)
        grid = CudaElastic3D(device, host, events)
        shaped = grid.snapshot_shape(slots)
        stored = [Snapshots(every, 1, room(shaped, dtype)) for _ in range(events)]
        out = [np.zeros((steps, 1)) for _ in range(events)]
        forces = [entries(shape, [0, 1, 2], 3, 11 + event) for event in range(events)]
        none = [Entries.join([])] * events
        f = np.random.default_rng(7).standard_normal((steps, 3))
        receivers = grid.receivers([entries(shape, range(9), 1, 13, sort=True)] * events, out)
        driven = grid.sources(forces, [f] * events), grid.sources(none, [f] * events), receivers
        assert grid.advance(*driven, stored, 0, steps) == 0
        grid.collect(receivers)
        kept.append(
            [
                np.array(device.download(each.data)) if room == device.zeros else each.data.copy()
                for each in stored
            ]
        )
        found = grid.new_sums()
        for slot in reversed(range(slots)):
            for after in (False, True):
                grid.correlate(stored, slot, found, after=after)
        device.synchronize()
        sums.append(grid.fetched(found))
    np.testing.assert_array_equal(kept[1], kept[0])
    np.testing.assert_array_equal(sums[1], sums[0])
    assert np.abs(kept[0]).max() > 0
    assert events == 1 or not np.array_equal(kept[0][0], kept[0][1])


@with_devices("shuffled")
@pytest.mark.parametrize("order", [4, 8])
def test_sums_of_a_gradient_are_those_of_the_processor(order, device):
    shape, cells, dtype = (20, 19, 34), 3, np.float64
    host, _, _, _ = compiled(shape, dtype, cells, 5, order=order)
    rng = np.random.default_rng(3)
    data = 0.1 * rng.standard_normal(host.snapshot_shape(2))
    sums = np.zeros((len(SUMS), *host.box))
    kept = Snapshots(1, 0, data)
    grid, _ = moved(device, shape, dtype, cells, 5, order)
    mine, stored = grid.new_sums(), Snapshots(1, 0, device.upload(data))
    for slot, after in ((0, False), (0, True), (1, False)):
        host.correlate(host.snapshots(kept), slot, sums, after=after)
        grid.correlate(grid.snapshots(stored), slot, mine, after=after)
    mine = device.download(mine)
    for number in range(len(SUMS)):
        near(mine[number], sums[number], dtype)


@with_devices("reversed")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [4, 8])
def test_attenuation_is_that_of_the_processor(order, dtype, device):
    (shape, cells), steps = SHAPES["small"], 12
    host, start = attenuated(shape, dtype, cells, order), attenuated(shape, dtype, cells, order)
    grid = CudaElastic3D(device, start)
    grid.arrays["fields"][0][...] = device.upload(np.array(start._fields[: grid.state]))
    rng = np.random.default_rng(7)
    series = rng.standard_normal((steps, 3)), rng.standard_normal((steps, 2))
    sources = [entries(shape, fields, n, 10 + n) for fields, n in (([0, 1, 2], 3), ([3, 4, 6, 7, 8], 2))]
    wanted, found = entries(shape, range(9), 4, 13, sort=True), []
    for each in (host, grid):
        out = np.zeros((steps, 4))
        receivers = each.receivers(wanted, out)
        driven = [each.sources(some, samples) for some, samples in zip(sources, series, strict=True)]
        assert each.advance(*driven, receivers, each.snapshots(None), 0, steps) == 0
        if each is grid:
            grid.collect(receivers)
        found.append(out)
    fields = grid.fields()
    for number, name in enumerate(FIELDS):
        near(fields[number], host.view(name), dtype)
    near(found[1], found[0], dtype)


@with_devices("forward")
def test_infinite_fields_are_found_and_states_come_back(device):
    shape = (6, 8, 20)
    grid = CudaElastic3D(device, grid_of(shape, np.float32, 0, 4))
    out = np.zeros((60, 1))
    nothing = entries(shape, [0], 1, 1).select(np.zeros(0, dtype=int))
    none = grid.sources(nothing, np.zeros((60, 1)))
    force = grid.sources(entries(shape, [0], 1, 1), np.ones((60, 1)))
    receivers = grid.receivers(nothing, out)
    assert grid.advance(force, none, receivers, None, 0, 3) == 0
    saved, before = grid.save(), grid.fields()
    grid.reset()
    assert not grid.fields().any()
    grid.restore(saved)
    np.testing.assert_array_equal(grid.fields(), before)
    force.arrays["samples"][...] = np.inf
    assert grid.advance(force, none, receivers, None, 3, 57) == 48
