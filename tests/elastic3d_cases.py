"""Media, absorbing layers, sources and receivers for tests of the elastic kernel on the processor and on GPUs."""

import numpy as np

from seisflow.native.elastic3d import Elastic3DGrid, Entries, Material, Relaxation
from tests.reference.elastic3d_twin import NAMES, POSITION

RATIO = 0.27


def medium(shape, seed=1, isotropic=False):
    """A rough transversely isotropic material, stable everywhere, or an isotropic one."""
    rng = np.random.default_rng(seed)
    rho, mu = 0.8 + 0.4 * rng.random(shape), 0.6 + 0.4 * rng.random(shape)
    lam = 0.5 + 0.5 * rng.random(shape)
    if isotropic:
        return Material.isotropic(rho, lam, mu)
    ratio, c33 = 0.2 + 0.3 * rng.random(shape), 1.2 + 0.8 * rng.random(shape)
    return Material(rho, ratio, c33, mu, 1 / (0.5 + 0.4 * rng.random(shape)))


def relaxation():
    rng = np.random.default_rng(8)
    return Relaxation(0.02 + 0.5 * rng.random((2, 2, 2)), 0.2 + 0.3 * rng.random((2, 2, 2)))


def strength(shape):
    rng = np.random.default_rng(9)
    return 0.2 + rng.random(shape), 0.3 + rng.random(shape)


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


def compiled(
    shape, dtype, cells, steps, *, chunks=(), snapshots=None, loss=False, block=64, sweep=4, **choices
):
    layers = profiles(shape, cells)
    grid = Elastic3DGrid(shape, dtype, cells=cells, profiles=layers, tiles=(block, sweep), **choices)
    grid.set_material(medium(shape, isotropic=loss), RATIO)
    if loss:
        grid.attenuate(relaxation(), *strength(shape))
    for name, values in initial(shape).items():
        grid.view(name)[...] = values
    rng = np.random.default_rng(7)
    f, m = rng.standard_normal((steps, 3)), rng.standard_normal((steps, 2))
    out = np.zeros((steps, 4))
    forces = grid.sources(entries(shape, [0, 1, 2], 3, 11), f)
    moments = grid.sources(entries(shape, [3, 4, 6, 7, 8], 2, 12), m)
    receivers = grid.receivers(entries(shape, range(9), 4, 13, sort=True), out)
    first = 0
    for count in (*chunks, steps - sum(chunks)):
        assert grid.advance(forces, moments, receivers, grid.snapshots(snapshots), first, count) == 0
        first += count
    return grid, out, f, m
