"""The compiled kernel against its twin, and its bits against threads, blocks and instruction sets."""

from __future__ import annotations

import numpy as np
import pytest
from elastic3d_twin import NAMES, POSITION, Twin

from seisflow import native
from seisflow.native.elastic3d import Elastic3DGrid, Entries, Snapshots

RATIO = 0.27


def medium(shape, seed=1):
    rng = np.random.default_rng(seed)
    rho, mu = 0.8 + 0.4 * rng.random(shape), 0.6 + 0.4 * rng.random(shape)
    return rho, 0.5 + 0.5 * rng.random(shape), mu


def profiles(shape, cells, seed=2):
    rng = np.random.default_rng(seed)
    result = []
    for axis, n in enumerate(shape):
        p = np.zeros((4, n))
        node, half = np.arange(n), np.arange(n) + 0.5
        for row, place in ((0, node), (2, half)):
            inside = (place > n - 1 - cells) | ((place < cells) & (axis < 2))
            p[row] = np.where(inside, -0.3 * rng.random(n), 0)
            p[row + 1] = np.where(inside, 0.5 + 0.4 * rng.random(n), 0.9)
        result.append(p)
    return tuple(result)


def entries(shape, fields, count, seed, sort=False):
    rng = np.random.default_rng(seed)
    n = 40
    signal = rng.integers(0, count, n)
    return Entries(
        rng.choice(fields, n), *(rng.integers(0, s - 1, n) for s in shape), rng.standard_normal(n),
        np.sort(signal) if sort else signal,
    )  # fmt: skip


def initial(shape, seed=5):
    rng = np.random.default_rng(seed)
    result = {}
    for name in NAMES:
        values = 0.1 * rng.standard_normal(shape)
        for axis, place in enumerate(POSITION[name]):
            if place == "H":
                values[(slice(None),) * axis + (-1,)] = 0
        if name == "szz":
            values[:, :, 0] = 0
        result[name] = values
    return result


def compiled(shape, dtype, cells, steps, *, threads=1, block=0, chunks=(), snapshots=None):
    grid = Elastic3DGrid(
        shape, dtype, cells=cells, profiles=profiles(shape, cells), threads=threads, block=block
    )
    grid.set_material(*medium(shape), RATIO)
    for name, values in initial(shape).items():
        grid.view(name)[...] = values
    rng = np.random.default_rng(7)
    f, m = rng.standard_normal((steps, 3)), rng.standard_normal((steps, 2))
    out = np.zeros((steps, 4))
    forces = grid.sources(entries(shape, [0, 1, 2], 3, 11), f)
    moments = grid.sources(entries(shape, [3, 4, 6, 7, 8], 2, 12), m)
    receivers = grid.receivers(entries(shape, [0, 1, 2], 4, 13, sort=True), out)
    first = 0
    for count in (*chunks, steps - sum(chunks)):
        assert grid.advance(forces, moments, receivers, grid.snapshots(snapshots), first, count) == 0
        first += count
    return grid, out, f, m


def state(grid):
    return b"".join(np.ascontiguousarray(grid.view(name)).tobytes() for name in NAMES)


@pytest.mark.parametrize(
    ("shape", "cells"),
    [((17, 19, 27), 4), ((14, 25, 49), 5), ((11, 9, 16), 0), ((23, 22, 33), 10), ((9, 8, 45), 1)],
)
def test_compiled_agrees_with_the_twin(shape, cells):
    steps = 40
    grid, out, f, m = compiled(shape, np.float64, cells, steps, block=7)
    twin = Twin(*medium(shape), RATIO, profiles(shape, cells))
    twin.fields = {name: values.copy() for name, values in initial(shape).items()}
    expected = twin.run(
        steps, entries(shape, [0, 1, 2], 3, 11), f, entries(shape, [3, 4, 6, 7, 8], 2, 12), m,
        entries(shape, [0, 1, 2], 4, 13, sort=True), 4,
    )  # fmt: skip
    for name in NAMES:
        error = np.abs(grid.view(name) - twin.fields[name]).max() / np.abs(twin.fields[name]).max()
        assert error < 1e-12, (name, error)
    assert np.abs(out - expected).max() < 1e-12 * np.abs(expected).max()


def test_single_precision_agrees_with_double():
    single, out32, *_ = compiled((17, 19, 27), np.float32, 4, 30)
    double, out64, *_ = compiled((17, 19, 27), np.float64, 4, 30)
    for name in NAMES:
        scale = np.abs(double.view(name)).max()
        assert 0 < np.abs(single.view(name) - double.view(name)).max() < 1e-5 * scale
    assert np.abs(out32 - out64).max() < 1e-5 * np.abs(out64).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_threads_blocks_chunks_and_instructions(dtype):
    shape, cells, steps = (37, 29, 43), 5, 25

    def run(**choices):
        stored = Snapshots(4, 1, np.zeros((7, 3, 31, 23, 40), dtype))
        grid, out, *_ = compiled(shape, dtype, cells, steps, snapshots=stored, **choices)
        return state(grid) + out.tobytes() + stored.data.tobytes()

    expected = run()
    assert len(set(expected)) > 10
    for choices in (
        {"threads": 2},
        {"threads": 3, "block": 8},
        {"block": 5},
        {"block": 1},
        {"chunks": (1, 7, 3)},
    ):
        assert run(**choices) == expected, choices
    best = native.simd_level()
    try:
        for name in ("baseline", "v3"):
            if name == "v3" and best == "baseline":
                continue
            native.use_simd(name)
            assert run() == expected, name
    finally:
        native.use_simd(best)


def test_snapshots_hold_the_velocity_of_their_step():
    shape, cells = (25, 21, 36), 4
    stored = Snapshots(3, 2, np.full((4, 3, 21, 17, 34), np.nan))
    grid, *_ = compiled(shape, np.float64, cells, 12, snapshots=stored)
    box = (slice(2, 23), slice(2, 19), slice(0, 34))
    for number, name in enumerate(("vx", "vy", "vz")):
        assert np.array_equal(stored.data[3, number], grid.view(name)[box])
    shorter, *_ = compiled(shape, np.float64, cells, 6)
    assert not np.array_equal(stored.data[1, 0], stored.data[3, 0])
    del shorter


def test_energy_is_conserved_without_absorbing_layers():
    shape, steps = (12, 13, 18), 200
    grid = Elastic3DGrid(shape, np.float64)
    twin = Twin(*medium(shape), RATIO, profiles(shape, 0))
    grid.set_material(*medium(shape), RATIO)
    for name, values in initial(shape).items():
        grid.view(name)[...] = values
    none = Entries.join([])
    forces, out = grid.sources(none, np.zeros((steps, 1))), np.zeros((steps, 0))
    receivers, energies = grid.receivers(none, out), []
    for n in range(steps):
        old = {name: grid.view(name).copy() for name in NAMES}
        assert grid.advance(forces, forces, receivers, grid.snapshots(None), n, 1) == 0
        twin.fields = {name: (grid.view(name) if name[0] == "v" else old[name]) for name in NAMES}
        energies.append(twin.energy(old))
    drift = np.ptp(energies) / np.mean(energies)
    assert np.mean(energies) > 0
    assert drift < 1e-12


def test_a_field_that_overflows_is_reported_with_its_step():
    grid = Elastic3DGrid((20, 20, 20), np.float32)
    rho, lam, mu = medium(grid.shape)
    grid.set_material(rho, lam, mu, 1.2)  # far beyond the stable step
    grid.view("vx")[10, 10, 10] = 1
    none = Entries.join([])
    forces, out = grid.sources(none, np.zeros((400, 1))), np.zeros((400, 0))
    step = grid.advance(forces, forces, grid.receivers(none, out), grid.snapshots(None), 0, 400)
    assert 0 < step < 400
