"""The compiled kernel against its twin, and its bits against threads, blocks and instruction sets."""

from __future__ import annotations

import numpy as np
import pytest
from elastic3d_twin import NAMES, STENCILS, Twin, matrices

from seisflow import native
from seisflow.native.elastic3d import ORDERS, Elastic3DGrid, Entries, Snapshots
from seisflow.native.elastic3d_stencils import level_weights
from seisflow.solvers.absorb import profiles as damping_profiles
from tests.elastic3d_cases import RATIO, compiled, entries, initial, medium, profiles, relaxation, strength


def state(grid):
    return b"".join(part.tobytes() for part in grid.save())


@pytest.mark.parametrize("loss", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("shape", "cells"),
    [((17, 19, 27), 4), ((14, 25, 49), 5), ((11, 9, 16), 0), ((23, 22, 33), 10), ((9, 8, 45), 1)],
)
def test_compiled_agrees_with_the_twin(shape, cells, order, loss):
    steps = 40
    grid, out, f, m = compiled(shape, np.float64, cells, steps, block=7, order=order, loss=loss)
    with_loss = (relaxation(), strength(shape)) if loss else ()
    twin = Twin(medium(shape, isotropic=loss), RATIO, profiles(shape, cells), order, *with_loss)
    twin.fields = {name: values.copy() for name, values in initial(shape).items()}
    expected = twin.run(
        steps, entries(shape, [0, 1, 2], 3, 11), f, entries(shape, [3, 4, 6, 7, 8], 2, 12), m,
        entries(shape, range(9), 4, 13, sort=True), 4,
    )  # fmt: skip
    for name in NAMES:
        error = np.abs(grid.view(name) - twin.fields[name]).max() / np.abs(twin.fields[name]).max()
        assert error < 1e-12, (name, error)
    assert np.abs(out - expected).max() < 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("loss", [False, True])
@pytest.mark.parametrize(
    ("levels", "cells"), [(27, 4), (45, 1), (41, 10), (58, 14), (73, 10), (48, 0), (43, 0)]
)
def test_single_precision_agrees_with_double(levels, cells, loss):
    """Also where rows end within a vector, and the layer at the bottom begins within one."""
    shape = (2 * cells + 9, 2 * cells + 8, levels)
    single, out32, *_ = compiled(shape, np.float32, cells, 30, loss=loss)
    double, out64, *_ = compiled(shape, np.float64, cells, 30, loss=loss)
    for name in NAMES:
        scale = np.abs(double.view(name)).max()
        assert 0 < np.abs(single.view(name) - double.view(name)).max() < 1e-5 * scale
    assert np.abs(out32 - out64).max() < 1e-5 * np.abs(out64).max()


@pytest.mark.parametrize("loss", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_threads_blocks_chunks_and_instructions(dtype, order, loss):
    shape, cells, steps = (37, 29, 43), 5, 25

    def run(**choices):
        stored = Snapshots(4, 1, np.zeros((7, 3, 27 + order, 19 + order, 38 + order // 2), dtype))
        grid, out, *_ = compiled(
            shape, dtype, cells, steps, snapshots=stored, order=order, loss=loss, **choices
        )
        return state(grid) + out.tobytes() + stored.data.tobytes()

    expected = run()
    assert len(set(expected)) > 10
    for choices in (
        {"threads": 2},
        {"threads": 3, "block": 8},
        {"block": 5},
        {"block": 1},
        {"chunks": (1, 7, 3)},
        {"sweep": 1},
        {"sweep": 8},
        {"sweep": 3, "threads": 3, "chunks": (5, 2)},
        {"sweep": 2, "threads": 2, "block": 5},
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


@pytest.mark.parametrize("levels", range(33, 49))
def test_vectors_that_end_below_the_grid_spoil_nothing(levels):
    """The layer at the bottom begins at a multiple of 8, a vector of single precision may hold 16 levels."""
    shape, cells = (22, 22, levels), 8
    single, *_ = compiled(shape, np.float32, cells, 12)
    double, *_ = compiled(shape, np.float64, cells, 12)
    for name in NAMES:
        exact = double.view(name)
        assert np.abs(single.view(name) - exact).max() < 2e-5 * np.abs(exact).max(), name


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


@pytest.mark.parametrize(("threads", "sweep"), [(1, 1), (2, 4)])
def test_snapshots_without_absorbing_layers_hold_zeros_around_the_grid(threads, sweep):
    shape = (20, 21, 30)
    stored = Snapshots(2, 1, np.full((2, 3, 24, 25, 32), np.nan, np.float32))
    grid, *_ = compiled(shape, np.float32, 0, 4, snapshots=stored, threads=threads, sweep=sweep)
    inside = stored.data[1, 0, 2:-2, 2:-2, :-2]
    assert np.array_equal(inside, grid.view("vx"))
    assert np.abs(stored.data).sum() == pytest.approx(np.abs(stored.data[:, :, 2:-2, 2:-2, :-2]).sum())


@pytest.mark.parametrize("order", ORDERS)
def test_energy_is_conserved_without_absorbing_layers(order):
    shape, steps = (12, 13, 18), 200
    grid = Elastic3DGrid(shape, np.float64, order=order)
    twin = Twin(medium(shape), RATIO, profiles(shape, 0), order)
    grid.set_material(medium(shape), RATIO)
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
    grid.set_material(medium(grid.shape), 1.2)  # far beyond the stable step
    grid.view("vx")[10, 10, 10] = 1
    none = Entries.join([])
    forces, out = grid.sources(none, np.zeros((400, 1))), np.zeros((400, 0))
    step = grid.advance(forces, forces, grid.receivers(none, out), grid.snapshots(None), 0, 400)
    assert 0 < step < 400


@pytest.mark.parametrize("order", ORDERS)
def test_closure_is_exact_for_quadratics_and_traction_free(order):
    n, far = 32, order - 1
    to_half, to_node, stress_node, stress_half, node, half = matrices(n, True, order)
    zi, zh, rows = np.arange(n), np.arange(n) + 0.5, slice(0, n - far)
    for power in range(3):
        slope = power * zh ** max(power - 1, 0)
        assert np.allclose((to_half @ zi**power)[rows], slope[rows], atol=1e-9)
        slope = power * zi ** float(max(power - 1, 0))
        assert np.allclose((to_node @ zh**power)[1 : n - far], slope[1 : n - far], atol=1e-9)
        if power:
            assert np.allclose((stress_node @ zh**power)[rows], slope[rows], atol=1e-9)
            assert np.allclose((stress_half @ zi**power)[rows], (power * zh ** (power - 1))[rows], atol=1e-9)
    assert min(node.min(), half.min()) > 0.3
    assert np.allclose(node[:, None] * stress_node, -(half[:, None] * to_half).T)


@pytest.mark.parametrize(
    ("order", "points"),
    [*((4, p) for p in (6, 7, 8, 9, 9.3, 10, 12)), *((8, p) for p in (5.5, 6, 7, 8, 9.3, 12))],
)
def test_closure_holds_no_trapped_waves(order, points):
    """S waves from below: motion at the first levels and phase of reflection, for any points per wavelength."""
    n, k, far = 34, 2 * np.pi / points, order - 1
    to_half, _, stress_node, *_ = matrices(60, True, order)
    operator, z = (stress_node @ to_half)[:n, :n], np.arange(n)
    omega = 2 * sum(c * np.sin((m + 0.5) * k) for m, c in enumerate(STENCILS[order]))
    a, right = np.zeros((n + 1, n + 1)), np.zeros(n + 1)
    a[: n - far, :n] = operator[: n - far] + omega**2 * np.eye(n)[: n - far]
    for row, place in enumerate(range(n - far - 1, n), n - far):
        a[row, place], a[row, n], right[row] = 1, -np.sin(k * z[place]), np.cos(k * z[place])
    solution = np.linalg.solve(a, right)
    assert np.abs(solution[:n] - np.cos(k * z)).max() < 0.03
    assert abs(solution[n]) < 0.02


@pytest.mark.parametrize("loss", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_kernel_is_its_own_adjoint(dtype, limit, order, loss):
    """Forces through the kernel to receivers, and records back to the sources, reversed in time."""
    shape, cells, steps = (30, 28, 33), 5, 120
    material = medium(shape, isotropic=loss)
    rho = material.rho
    rng = np.random.default_rng(3)
    layers = damping_profiles(shape, cells, 0.5, 1.0, 0.02)
    grid = Elastic3DGrid(shape, dtype, cells=cells, profiles=layers, order=order)
    grid.set_material(material, RATIO)
    if loss:
        grid.attenuate(relaxation(), *strength(shape))

    def points(seed, count):
        r = np.random.default_rng(seed)
        n = 12 * count
        place = [r.integers(cells + 1, s - cells - 2, n) for s in shape[:2]]
        levels = r.integers(0, shape[2] - cells - 2, n)
        return Entries(
            r.integers(0, 3, n), *place, levels, r.standard_normal(n), np.repeat(np.arange(count), 12)
        )

    def force(e):
        one = rho[e.x + (e.field == 0), e.y + (e.field == 1), e.z + (e.field == 2)]
        level = np.where(
            e.field == 2, *(level_weights(e.z, half=half, order=order) for half in (True, False))
        )
        return Entries(e.field, e.x, e.y, e.z, e.weight * 2 / (rho[e.x, e.y, e.z] + one) / level, e.signal)

    def through(sources, samples, receivers, count):
        grid.reset()
        out, none = np.zeros((steps, count)), Entries.join([])
        f = grid.sources(force(sources), samples)
        m = grid.sources(none, samples)
        assert grid.advance(f, m, grid.receivers(receivers, out), grid.snapshots(None), 0, steps) == 0
        return out

    here, there = points(21, 2), points(22, 3)
    f, r = rng.standard_normal((steps, 2)), rng.standard_normal((steps, 3))
    left = np.sum(through(here, f, there, 3) * r)
    right = np.sum(f * through(there, r[::-1], here, 2)[::-1])
    scale = np.linalg.norm(through(here, f, there, 3)) * np.linalg.norm(r)
    assert abs(left - right) < limit * abs(left)
    assert abs(left) > 1e-3 * scale
