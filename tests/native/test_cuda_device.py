"""What the door to CuPy does about memory, graphs and copies, with a few functions in the place of CuPy."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from seisflow.native import cuda
from seisflow.native.device import DeviceMemoryError


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class FakePool:
    """Memory that is kept for later."""

    def __init__(self):
        self.kept = 0

    def free_bytes(self):
        return self.kept

    def free_all_blocks(self):
        self.kept = 0


class FakeStream:
    """A stream that writes down what happens."""

    def __init__(self, log, name):
        self.log, self.ptr = log, name

    def __enter__(self):
        self.log.append(f"enter {self.ptr}")
        return self

    def __exit__(self, *error):
        self.log.append(f"leave {self.ptr}")

    def begin_capture(self):
        self.log.append("begin")

    def end_capture(self):
        self.log.append("end")
        return SimpleNamespace(launch=lambda: self.log.append("replay"))

    def wait_event(self, event):
        self.log.append(f"{self.ptr} waits for {event.name}")

    def synchronize(self):
        self.log.append(f"sync {self.ptr}")


class FakeCupy:
    """What ``CudaDevice`` asks CuPy for."""

    def __init__(self):
        self.pool, self.log, self.free, self.events = FakePool(), [], 1 << 33, 0
        current = FakeStream(self.log, "current")
        properties = {
            "name": b"FAKE", "multiProcessorCount": 4, "sharedMemPerBlockOptin": 1 << 17, "totalGlobalMem": 1 << 34,
        }  # fmt: skip
        runtime = SimpleNamespace(
            getDeviceCount=lambda: 2, getDeviceProperties=lambda number: properties,
            memGetInfo=lambda: (self.free, 1 << 34), memcpyDeviceToHost=2, memcpyHostToDevice=1,
            memcpyAsync=lambda to, source, size, kind, stream: self.log.append(f"copy {size} {kind} on {stream}"),
            CUDARuntimeError=RuntimeError,
        )  # fmt: skip
        self.cuda = SimpleNamespace(
            runtime=runtime, memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            cufft=SimpleNamespace(CuFFTError=ArithmeticError), Device=lambda number: SimpleNamespace(use=lambda: None),
            Stream=lambda non_blocking: FakeStream(self.log, "side"), Event=self.event,
            get_current_stream=lambda: current, PinnedMemory=self.memory,
            PinnedMemoryPointer=lambda memory, offset: memory,
        )  # fmt: skip

    def event(self, disable_timing):
        self.events += 1
        name = f"event {self.events}"
        return SimpleNamespace(name=name, record=lambda stream: self.log.append(f"{name} on {stream.ptr}"))

    def memory(self, size):
        if size > 1000:
            raise RuntimeError("cudaErrorMemoryAllocation")
        return bytearray(size)

    def get_default_memory_pool(self):
        return self.pool

    def empty(self, shape, dtype):
        if int(np.prod(shape)) > self.free + 0 - self.pool.kept:
            raise OutOfMemoryError("no")
        return np.empty(shape, dtype)


@pytest.fixture
def fake(monkeypatch):
    found = FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", found)
    return found


def test_a_number_beyond_those_there_are_counts_from_the_beginning(fake):
    assert cuda.CudaDevice(5).number == 1
    assert cuda.CudaDevice(0).total_bytes == 1 << 34


def test_what_is_kept_for_later_is_given_back_when_the_last_turn_ends(fake):
    device = cuda.CudaDevice()
    with device.lock, device.lock:
        fake.pool.kept = 1 << 30
    assert fake.pool.kept == 0
    with device.lock:
        with device.lock:
            fake.pool.kept = 1 << 30
        assert fake.pool.kept == 1 << 30
    with device.lock:
        fake.pool.kept = 1000  # not worth it
    assert fake.pool.kept == 1000


def test_memory_is_asked_for_again_without_what_is_kept_and_then_refused(fake):
    device = cuda.CudaDevice()
    fake.free, fake.pool.kept = 1000, 600
    assert device.empty((900,), np.uint8).size == 900
    with pytest.raises(DeviceMemoryError, match=r"FAKE has not the 0\.00 GB"):
        device.empty((2000,), np.uint8)
    with pytest.raises(DeviceMemoryError, match="FAKE has not enough memory"), device.short():
        fake.empty((2000,), np.uint8)
    with pytest.raises(DeviceMemoryError, match="cufft"), device.short():
        raise ArithmeticError("cufft")
    with pytest.raises(ValueError, match="other"), device.short():
        raise ValueError("other")


def test_pinned_memory_is_an_array_or_an_error(fake):
    device = cuda.CudaDevice()
    array = device.pinned((5, 10), np.float32)
    array[...] = 3
    assert array.shape == (5, 10)
    assert device.on_host(array[2])
    with pytest.raises(DeviceMemoryError, match="pinned memory"):
        device.pinned((50, 10), np.float32)


def test_a_graph_is_recorded_on_a_stream_of_its_own_and_replayed_on_the_current_one(fake):
    run = cuda.CudaDevice().graph(lambda: fake.log.append("step"), 2)
    run()
    run()
    assert fake.log == ["enter side", "begin", "step", "step", "end", "leave side", "replay", "replay"]


def test_copies_wait_for_kernels_and_kernels_for_copies(fake):
    device = cuda.CudaDevice()
    there = SimpleNamespace(data=SimpleNamespace(ptr=64))
    host = np.zeros(10, np.float32)
    sent = device.send(there, host)
    device.wait(sent)
    device.wait(None)
    device.fetch(host, there)
    device.synchronize()
    assert fake.log == [
        "event 1 on current", "side waits for event 1", "copy 40 2 on side", "event 2 on side",
        "current waits for event 2",
        "event 3 on current", "side waits for event 3", "copy 40 1 on side", "event 4 on side",
        "sync current", "sync side",
    ]  # fmt: skip
