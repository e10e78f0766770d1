"""Small simulations for the tests of elastic3d."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seisflow.domain import (
    Event,
    Force,
    Grid,
    Model,
    MomentTensor,
    Projection,
    SourceTimeFunction,
    Station,
)
from seisflow.solvers import Simulation

PROJECTION = Projection(36.0, -118.0)
TENSOR = MomentTensor(mrr=0.4e16, mtt=-0.9e16, mpp=0.5e16, mrt=0.3e16, mrp=-0.6e16, mtp=0.8e16)


def station(x, y, burial=0.0, code="A", projection=PROJECTION):
    latitude, longitude = projection.to_geographic(x, y)
    return Station("XX", code, latitude, longitude, burial=burial)


def event(x, y, depth, source=TENSOR, function=None, projection=PROJECTION):
    latitude, longitude = projection.to_geographic(x, y)
    function = function or SourceTimeFunction(half_duration=2.0)
    return Event("ev1", 0.0, latitude, longitude, depth, source, function)


def model(shape=(12, 11, 8), spacing=(3000.0, 3200.0, 2500.0), rough=0.05, seed=3, vs=3000.0, origin=None):
    rng = np.random.default_rng(seed)
    origin = origin or (-spacing[0] * (shape[0] - 1) / 2, -spacing[1] * (shape[1] - 1) / 2, 0.0)
    vs = vs * (1 + rough * rng.uniform(-1, 1, shape))
    vp = 1.75 * vs * (1 + 0.5 * rough * rng.uniform(-1, 1, shape))
    rho = 2700 * (1 + rough * rng.uniform(-1, 1, shape))
    return Model(Grid(origin, spacing, shape), PROJECTION, vp, vs, rho)


def lossy(elastic, seed=6):
    """A model with rough quality factors, speeds given at 1 Hz."""
    rng = np.random.default_rng(seed)
    q = [1 / rng.uniform(0.0, 0.05, elastic.grid.shape) for _ in range(2)]
    return replace(elastic, qkappa=q[0], qmu=q[1])


def simulation(**changes):
    values = {
        "model": model(),
        "event": event(-2100.0, 3300.0, 6400.0),
        "stations": (
            station(7000.0, -5000.0),
            station(-6100.0, -4000.0, code="B"),
            station(1500.0, 8300.0, 700.0, "C"),
        ),
        "duration": 14.0,
        "shortest_period": 4.0,
    }
    values.update(changes)
    return Simulation(**values)


def unstable(solver, point, factor=9.0):
    """Make a solver (Elastic3D) unstable: the moduli of a few points about ``point`` of the simulation grid rise."""
    made = solver._grid

    def grid(setup):
        found, material = made(setup)
        host = getattr(found, "host", found)
        box = tuple(slice(max(0, p - 1), p + 2) for p in (point[0] - setup.slab.first, *point[1:]))
        if point[0] - setup.slab.first + 2 > 0:
            host.view("c33")[box] *= factor
            for name in ("ixy", "ixz"):
                host.view(name)[box] /= factor
        return found, material

    solver._grid = grid
    return solver


FORCE = Force(1e10, -2e10, 3e10)
