"""The gradient of the solver on a GPU passes the Taylor test (CPU in place of a GPU, and a GPU)."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from seisflow.domain import Event, Grid, Model, MomentTensor, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation
from tests.native.devices import with_devices


@dataclass(frozen=True)
class Flat:
    """A projection that needs no package: degrees of 100 km."""

    def to_local(self, latitude, longitude):
        """East and north in m."""
        return 1e5 * longitude, 1e5 * latitude

    def convergence(self, latitude, longitude):
        """None."""
        return 0.0


def simulation():
    """A rough model, a shallow moment tensor, two stations; ten by ten by seven nodes."""
    rng, shape, spacing = np.random.default_rng(3), (10, 9, 7), (2800.0, 2900.0, 2700.0)
    origin = (-0.5 * spacing[0] * (shape[0] - 1), -0.5 * spacing[1] * (shape[1] - 1), 0.0)
    vs = 3000 * (1 + 0.05 * rng.uniform(-1, 1, shape))
    vp, rho = 1.75 * vs, 2700 * (1 + 0.05 * rng.uniform(-1, 1, shape))
    tensor = MomentTensor(mrr=0.4e16, mtt=-0.9e16, mpp=0.5e16, mrt=0.3e16, mrp=-0.6e16, mtp=0.8e16)
    stations = Station("XX", "A", 0.03, 0.04), Station("XX", "B", -0.035, -0.02, burial=600.0)
    event = Event("ev1", 0.0, 0.012, -0.021, 900.0, tensor, SourceTimeFunction(half_duration=2.0))
    return Simulation(Model(Grid(origin, spacing, shape), Flat(), vp, vs, rho), event, stations, 3.0, 4.0)


def misfit(gather, data):
    return 0.5 * gather.interval * float(np.sum((gather.data - data) ** 2))


@with_devices("shuffled")
@pytest.mark.parametrize("order", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_gradient_passes_the_taylor_test(order, device):
    config = Elastic3DConfig(
        spacing=2300.0, cpml_cells=0, points_per_wavelength=5.0, snapshots_per_period=np.inf, precision="double",
        order=order, time_step=0.15,
    )  # fmt: skip
    solver, sim = Elastic3D(config, device=device), simulation()
    forward = solver.forward(sim, keep=True)
    data = 0.9 * forward.gather.data + 0.1 * np.roll(forward.gather.data, 5, axis=-1)
    kernel = solver.adjoint(forward, forward.gather.with_data(forward.gather.data - data))
    here, rng = misfit(forward.gather, data), np.random.default_rng(0)
    fields = sim.model.fields()
    ways = {name: rng.standard_normal(values.shape) * values.mean() for name, values in fields.items()}
    slope = sum(float(np.sum(kernel.fields()[name] * way)) for name, way in ways.items())
    remainders = []
    for size in (1e-3, 5e-4):
        moved = {name: values + size * ways[name] for name, values in fields.items()}
        there = solver.forward(replace(sim, model=sim.model.with_fields(**moved)))
        remainders.append(abs(misfit(there.gather, data) - here - size * slope))
    assert abs(np.log2(remainders[0] / remainders[1]) - 2) < 0.1
    assert remainders[1] < 0.2 * abs(5e-4 * slope)
