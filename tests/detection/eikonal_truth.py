"""Closed forms of travel times, and the models they belong to."""

from __future__ import annotations

import numpy as np

from seisflow.domain import Grid, Model, Projection

V0, SLOPE = 4000.0, 0.06
REGION = Projection(46.0, 7.0)


def grid_of(shape, spacing, origin=(0.0, 0.0, 0.0)):
    return Grid(origin, (float(spacing),) * 3, shape)


def mesh(grid):
    return np.meshgrid(grid.x, grid.y, grid.z, indexing="ij")


def model_of(grid, speed):
    """A model with vp of a function of (x, y, z), vs = vp / 1.8."""
    vp = np.broadcast_to(speed(*mesh(grid)), grid.shape).astype(float)
    return Model(grid, REGION, vp, vp / 1.8, np.full(grid.shape, 2700.0))


def distances(grid, place):
    x, y, z = mesh(grid)
    return np.sqrt((x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2)


def gradient_times(distance, z, source_z):
    """Time for v = V0 + SLOPE z (Slotnick 1959)."""
    return np.arccosh(1 + (SLOPE * distance) ** 2 / (2 * (V0 + SLOPE * source_z) * (V0 + SLOPE * z))) / SLOPE


def layered_times(depth, speeds, source_depth, x, z):
    """First arrival for one interface and a source above it, and by how much it leads the other branch."""
    v1, v2 = speeds
    direct = np.hypot(x, z - source_depth) / v1
    leg = 2 * depth - source_depth - z
    head = x / v2 + leg * np.sqrt(1 / v1**2 - 1 / v2**2)
    there = x >= leg * v1 / np.sqrt(v2**2 - v1**2)
    above = np.where(there, np.minimum(direct, head), direct)
    lead = np.where(there & (z <= depth), np.abs(direct - head), np.inf)
    top, bottom = depth - source_depth, np.maximum(z - depth, 0)
    low, high = np.zeros(x.shape), np.full(x.shape, (1 - 1e-15) / v2)
    for _ in range(100):  # ray parameter of the transmitted ray, by bisection
        p = (low + high) / 2
        reach = top * p * v1 / np.sqrt(1 - (p * v1) ** 2) + bottom * p * v2 / np.sqrt(1 - (p * v2) ** 2)
        low, high = np.where(reach < x, p, low), np.where(reach < x, high, p)
    below = p * x + top * np.sqrt(1 / v1**2 - p**2) + bottom * np.sqrt(1 / v2**2 - p**2)
    return np.where(z <= depth, above, below), lead


def bumpy_model(shape=(26, 24, 18), spacing=1e3, origin=(0.0, 0.0, 0.0), seed=3):
    """Smooth lumps of 8 percent on a gradient."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 3)

    def speed(x, y, z):
        lumps = np.sin(x / 3e3 + phases[0]) * np.cos(y / 3.5e3 + phases[1]) * np.cos(z / 4e3 + phases[2])
        return 5000 + 0.04 * z + 400 * lumps

    return model_of(grid_of(shape, spacing, origin), speed)
