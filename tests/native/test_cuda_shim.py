"""The CPU in place of a GPU: it runs kernels rightly, and shows what is wrong with them."""

import subprocess
import sys

import numpy as np
import pytest

from seisflow.native.device import struct_type
from tests.cuda_shim.device import COMPILER, ORDERS, ShimDevice, guarded

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler (g++)")
WORK = struct_type([("x", "p"), ("out", "p"), ("n", "n"), ("what", "n")])
SOURCE = r"""
typedef struct { const float *x; float *out; int32_t n, what; } work;
KERNEL __launch_bounds__(128) block_sum(const work p) {
    SHARED_MEMORY(shared);
    float *s = (float *)shared;
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), t = (int)threadIdx.x;
    s[t] = i < p.n ? p.x[i] : 0.0f;
    if (p.what != 1) __syncthreads();
    for (int k = (int)blockDim.x / 2; k > 0; k /= 2) {
        if (t < k) s[t] += s[t + k];
        if (p.what != 2) __syncthreads();
    }
    if (t == 0) p.out[blockIdx.x] = s[0];
}
KERNEL warp_sum(const work p) {
    float v = p.x[threadIdx.x];
    for (int m = 16; m > 0; m /= 2) v += __shfl_xor_sync(ALL_LANES, v, m);
    const unsigned odd = __ballot_sync(ALL_LANES, threadIdx.x % 2);
    p.out[threadIdx.x] = v + (float)__popc(odd) + __shfl_down_sync(ALL_LANES, v, 1) * 0.0f;
    atomicAdd(p.out + 64, 1.0f);
}
KERNEL faulty(const work p) {
    SHARED_MEMORY(shared);
    if (p.what == 3) ((float *)shared)[blockDim.x + threadIdx.x] = 1.0f;
    if (p.what == 4 && threadIdx.x == 0) return;
    if (p.what == 4) __syncthreads();
    if (p.what == 5 && threadIdx.x % 2) __syncthreads(); else __syncwarp();
    if (p.what == 6) p.out[0] = p.x[p.n];
    if (p.what == 7) { float4 v = *(const float4 *)(p.x + 1); p.out[0] = v.x; }
    if (p.what == 8) p.out[threadIdx.x] = ((float *)shared)[threadIdx.x];
}
"""


def shim(order="forward"):
    from seisflow.native.device import cuda_source

    device = ShimDevice(order)
    device.texts["trial"] = (
        cuda_source("beam").split("#ifndef HALF")[0] + SOURCE
    )  # with what all kernels share
    return device


def run(device, name, what=0, threads=128, shared=512, n=1000):
    x = device.upload(np.arange(n, dtype=np.float32))
    out = device.zeros((128,), np.float32)
    work = np.zeros(1, WORK)
    work["x"], work["out"], work["n"], work["what"] = device.address(x), device.address(out), n, what
    device.launch(
        ("trial", name, ()), (-(-n // threads),) if name == "block_sum" else (1,), (threads,), work, shared
    )
    return device.download(out)


@pytest.mark.parametrize("order", ORDERS)
def test_sums_of_blocks_and_warps(order):
    assert run(shim(order), "block_sum")[:8].sum() == 999 * 500
    out = run(shim(order), "warp_sum", threads=64)
    np.testing.assert_array_equal(out[:64], np.repeat([496 + 16, 496 + 1024 + 16], 32))
    assert out[64] == 64


@pytest.mark.parametrize("what", [1, 2])
def test_a_missing_barrier_shows_in_some_order(what):
    sums = [float(run(shim(order), "block_sum", what)[:8].sum()) for order in ORDERS]
    assert any(value != 999 * 500 for value in sums)


def test_fresh_shared_memory_is_not_a_number():
    assert np.isnan(run(shim(), "faulty", 8, threads=32)[:32]).all()


@pytest.mark.parametrize(
    ("what", "message"),
    [(3, "behind the shared memory"), (4, "have left before a barrier"), (5, "different places"),
     (6, None), (7, "misaligned")],
)  # fmt: skip
def test_faults_end_the_process(what, message):
    code = f"from tests.native.test_cuda_shim import run, shim; run(shim(), 'faulty', {what}, threads=32, shared=128)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert message is None or message in done.stderr


def test_launches_beyond_the_limits_are_refused():
    device = shim()
    work = np.zeros(1, WORK)
    for grid, block, shared in (((1, 65536), (32,), 0), ((1,), (2048,), 0), ((1, 1, 70000), (32,), 0)):
        with pytest.raises(AssertionError, match="refused"):
            device.launch(("trial", "faulty", ()), grid, block, work, shared)
    with pytest.raises(AssertionError, match="shared memory"):
        device.launch(("trial", "faulty", ()), (1,), (32,), work, 300_000)


def test_arrays_of_the_host_and_of_the_device_do_not_mix():
    device, here = shim(), np.ones(3, np.float32)
    there = device.upload(here)
    assert device.download(device.xp.where(there > 0, there + 1, 0)).sum() == 6
    for mixed in (
        lambda: there + here, lambda: here * there, lambda: device.xp.maximum(there, here),
        lambda: there.__setitem__(slice(None), here),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="of the host and of the device"):
            mixed()
    for wrong in (lambda: device.address(here), lambda: device.download(here), lambda: device.upload(there)):
        with pytest.raises(AssertionError, match="array of the device"):
            wrong()


def test_guarded_arrays_are_aligned_and_poisoned():
    array = guarded((3, 5), np.float32)
    assert np.isnan(array).all()
    assert array.ctypes.data % 16 == 0
