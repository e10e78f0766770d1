"""The solver on a GPU (here the CPU in place of one): the gradients of the processor, in free memory."""

from dataclasses import replace

import numpy as np
import pytest
from simulations import simulation

from seisflow.errors import InputError
from seisflow.solvers import Elastic3D, Elastic3DConfig
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


@pytest.mark.slow
def test_little_memory_gives_segments_and_too_little_an_error():
    config = Elastic3DConfig(
        spacing=2400.0, cpml_cells=0, points_per_wavelength=5.0, snapshots_per_period=np.inf
    )
    plan = Elastic3D(config).plan(SIMULATION)
    device = ShimDevice(memory=int(0.9 * plan.gradient_bytes / 0.6))
    solver = Elastic3D(config, device=device)
    assert solver.plan(SIMULATION).segments > 1
    results = []
    for each in (Elastic3D(config), solver):
        forward = each.forward(SIMULATION, keep=True)
        results.append(each.adjoint(forward, forward.gather).fields()["vs"])
    near(results[1], results[0], 1e-4)
    device.memory //= 20
    with pytest.raises(InputError, match=r"CPU in place of a GPU.*may be taken"):
        solver.forward(replace(SIMULATION))
