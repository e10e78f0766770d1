"""Devices that tests of the CUDA kernels run on: the CPU in place of a GPU, in several orders, and a GPU."""

import os

import numpy as np
import pytest

from seisflow.native.cuda import CudaDevice, gpu_problem
from tests.cuda_shim.device import COMPILER, ORDERS, ShimDevice


def with_devices(*orders):
    """Run a test on the shim with threads in some orders, and on a GPU where one is."""
    shim = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler (g++) for the CPU in place of a GPU")
    gpu = gpu_problem()
    return pytest.mark.parametrize(
        "device",
        [
            *(pytest.param(order, marks=shim) for order in orders or ORDERS),
            pytest.param(
                "gpu", marks=[pytest.mark.gpu, pytest.mark.skipif(gpu is not None, reason=str(gpu))]
            ),
        ],
        indirect=True,
    )


def open_test_device(name, **options):
    """A device by its name; the shim takes options."""
    if name == "gpu":
        return CudaDevice(int(os.environ.get("SEISFLOW_GPU", "0")))
    return ShimDevice(name, **options)


def poisoned(shape, dtype=np.float32):
    """An array of NaN."""
    return np.full(shape, np.nan, dtype=dtype)
