"""A GPU by CuPy: memory, kernels compiled at run time by NVRTC and cached, launches."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.errors import InputError, MissingError
from seisflow.native.device import Device, DeviceMemoryError, Extent, Options, cuda_source

__all__ = ["CudaDevice", "GpuFacts", "gpu_facts", "gpu_problem", "open_device"]

_REMEDY = "install it with `pip install seisflow[gpu]`"
_SMALL_SHARED = 48 << 10
_TO_DEVICE, _TO_HOST = 1, 2
"""Of ``cudaMemcpyKind``."""
_KEPT = 256 << 20
"""Bytes that CuPy may keep for later while nobody runs anything."""
_RESERVE = 256 << 20
"""Bytes of a device that are left alone: for the driver, and for other processes that grow a little."""


@lru_cache(maxsize=1)
def gpu_problem() -> str | None:
    """Why no GPU can be used, or None."""
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is not there ({error}); {_REMEDY}"
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no GPU ({error})"
    if count == 0:
        return "CuPy finds no GPU"
    return None


@dataclass(frozen=True)
class _Gpu:
    """One GPU: bytes free and in all."""

    name: str
    capability: str
    free: int
    total: int


@dataclass(frozen=True)
class GpuFacts:
    """What CuPy sees: versions, and the GPUs."""

    cupy: str
    driver: str
    runtime: str
    gpus: tuple[_Gpu, ...]


def gpu_facts() -> GpuFacts:
    """Look at the GPUs; call it only where ``gpu_problem`` finds none."""
    import cupy

    def number(value: int) -> str:
        return f"{value // 1000}.{value % 1000 // 10}"

    runtime, gpus = cupy.cuda.runtime, []
    for device in range(runtime.getDeviceCount()):
        properties = runtime.getDeviceProperties(device)
        with cupy.cuda.Device(device):
            free, total = runtime.memGetInfo()
        capability = f"{properties['major']}.{properties['minor']}"
        gpus.append(_Gpu(properties["name"].decode(), capability, int(free), int(total)))
    versions = (number(runtime.driverGetVersion()), number(runtime.runtimeGetVersion()))
    return GpuFacts(cupy.__version__, *versions, tuple(gpus))


@lru_cache(maxsize=8)
def _opened(number: int) -> Device:
    return CudaDevice(number)


@lru_cache(maxsize=1)
def _number() -> int:
    """Which GPU this process takes: the one it is told, that of its place on the machine, or the emptiest."""
    for name in ("SEISFLOW_GPU", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"):
        told = os.environ.get(name, "")
        if told.isdecimal():
            return int(told)
        if told and name == "SEISFLOW_GPU":
            raise InputError(f"SEISFLOW_GPU = {told!r}: must be the number of a GPU, such as 0")
    gpus = gpu_facts().gpus
    return max(range(len(gpus)), key=lambda number: gpus[number].free)


def open_device(device: str) -> Device | None:
    """The GPU to use, or None for the processor.

    Parameters
    ----------
    device : {"auto", "cpu", "gpu"}
        ``auto`` is the GPU where there is one that can be used. With several, a process takes the one of its number:
        ``SEISFLOW_GPU``, or its place among the tasks of Slurm or MPI on a machine; without one, the emptiest. Only
        those in ``CUDA_VISIBLE_DEVICES`` count.

    Raises
    ------
    InputError
        For another word.
    MissingError
        If a GPU is demanded and none can be used, with the reason.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise InputError(f"device = {device!r}: must be auto, cpu or gpu")
    if device == "cpu":
        return None
    problem = gpu_problem()
    if problem is None:
        return _opened(_number())
    if device == "gpu":
        raise MissingError(f"device = gpu: {problem}; or set device = cpu")
    return None


class _Turn(AbstractContextManager[None]):
    """A lock that a thread may take several times; when it lets go, memory that CuPy keeps for later is given back."""

    def __init__(self, device: CudaDevice) -> None:
        self.device, self.lock, self.depth = device, threading.RLock(), 0

    def __enter__(self) -> None:
        self.lock.acquire()
        self.depth += 1

    def __exit__(self, *error: object) -> None:
        try:
            if self.depth == 1:
                self.device.trim()
        finally:
            self.depth -= 1
            self.lock.release()


class CudaDevice:
    """One GPU; implements ``seisflow.native.device.Device``.

    Parameters
    ----------
    number : int
        Of the GPU among those that are visible; taken modulo their count.
    """

    def __init__(self, number: int = 0) -> None:
        import cupy

        self.xp = cupy
        self.number = number % max(1, int(cupy.cuda.runtime.getDeviceCount()))
        self._device = cupy.cuda.Device(self.number)
        self._device.use()
        self.lock: AbstractContextManager[Any] = _Turn(self)
        properties = cupy.cuda.runtime.getDeviceProperties(self.number)
        self.name = properties["name"].decode()
        self.processors = int(properties["multiProcessorCount"])
        self.total_bytes = int(properties["totalGlobalMem"])
        self.shared_bytes = int(properties.get("sharedMemPerBlockOptin", _SMALL_SHARED))
        self._copies: Any = None
        with suppress(ImportError):  # part of CuPy, but not of all that it loads at once
            import_module("cupy.cuda.cufft")
        transforms = getattr(getattr(cupy.cuda, "cufft", None), "CuFFTError", None)
        self._shortages = tuple(e for e in (cupy.cuda.memory.OutOfMemoryError, transforms) if e is not None)
        self._kernels: dict[tuple[str, str, Options], Any] = {}
        self._modules: dict[tuple[str, Options], Any] = {}

    def upload(self, array: npt.NDArray[Any]) -> Any:
        """Copy of an array of the host."""
        return self._allocated(lambda: self.xp.asarray(np.ascontiguousarray(array)), array.nbytes)

    def download(self, array: Any) -> npt.NDArray[Any]:
        """Copy of an array of the device."""
        self._device.use()
        result: npt.NDArray[Any] = self.xp.asnumpy(array)
        return result

    def empty(self, shape: Extent, dtype: npt.DTypeLike) -> Any:
        """Array of the device whose values are not set."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self._allocated(lambda: self.xp.empty(shape, dtype), size)

    def zeros(self, shape: Extent, dtype: npt.DTypeLike) -> Any:
        """Array of zeros."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self._allocated(lambda: self.xp.zeros(shape, dtype), size)

    def pinned(self, shape: Extent, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Array of the host in pages that stay where they are."""
        kind = np.dtype(dtype)
        count = int(np.prod(shape))
        self._device.use()
        try:
            # not from CuPy's pool, which rounds up to a power of two and keeps what is given back
            memory = self.xp.cuda.PinnedMemoryPointer(
                self.xp.cuda.PinnedMemory(max(1, count) * kind.itemsize), 0
            )
        except (self.xp.cuda.runtime.CUDARuntimeError, self.xp.cuda.memory.OutOfMemoryError) as error:
            size = count * kind.itemsize / 1e9
            raise DeviceMemoryError(
                f"the host has not the {size:.2f} GB of pinned memory that are needed ({error}); run fewer events at "
                "once (compute.events_at_once), or take fewer snapshots_per_period"
            ) from error
        return np.frombuffer(memory, kind, count).reshape(shape)

    def on_host(self, array: Any) -> bool:
        """Whether an array is one of ``pinned``, or a part of it."""
        return isinstance(array, np.ndarray)

    def address(self, array: Any) -> int:
        """Of the first element."""
        return int(array.data.ptr)

    def free_bytes(self) -> int:
        """Memory that can still be taken, with what CuPy keeps for later; a reserve is left."""
        self._device.use()
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return max(0, int(free) + int(self.xp.get_default_memory_pool().free_bytes()) - _RESERVE)

    def trim(self) -> None:
        """Give back what CuPy keeps for later, if it is much: to other processes it seems taken."""
        self._device.use()
        pool = self.xp.get_default_memory_pool()
        if pool.free_bytes() > _KEPT:
            pool.free_all_blocks()

    @contextmanager
    def short(self) -> Iterator[None]:
        """Within, memory that runs out in functions of CuPy (cuFFT too) is a ``DeviceMemoryError``."""
        try:
            yield
        except self._shortages as error:
            self.xp.get_default_memory_pool().free_all_blocks()
            raise DeviceMemoryError(
                f"{self.name} has not enough memory ({error}; {self.free_bytes() / 1e9:.2f} GB are free); end other "
                "programs on it, use smaller batches, or set device = cpu"
            ) from error

    def launch(
        self,
        kernel: tuple[str, str, Options],
        grid: Extent,
        block: Extent,
        argument: npt.NDArray[Any],
        shared: int = 0,
    ) -> None:
        """Run a kernel on the current stream; it is compiled the first time, or read from CuPy's cache of files."""
        self._device.use()  # CUDA remembers it for each thread
        found = self._kernels.get(kernel) or self._kernel(kernel)
        if shared > _SMALL_SHARED:
            found.max_dynamic_shared_size_bytes = shared
        found(grid, block, (argument,), shared_mem=shared)

    def graph(self, launches: Callable[[], None], times: int) -> Callable[[], None]:
        """Record launches as a CUDA graph; kernels must have run before: compiling cannot be part of it."""
        self._device.use()
        with self.xp.cuda.Stream(non_blocking=True) as stream:
            stream.begin_capture()  # in CuPy's relaxed mode: what other threads do meanwhile is theirs
            try:
                for _ in range(times):
                    launches()
            finally:
                found = stream.end_capture()

        def run() -> None:
            self._device.use()
            found.launch()

        return run

    def send(self, array: Any, host: npt.NDArray[Any]) -> Any:
        """Copy to pinned memory on a stream of its own, after what was launched."""
        return self._copy(host.ctypes.data, self.address(array), host.nbytes, _TO_HOST)

    def fetch(self, host: npt.NDArray[Any], array: Any) -> Any:
        """Copy from pinned memory on a stream of its own, after what was launched."""
        return self._copy(self.address(array), host.ctypes.data, host.nbytes, _TO_DEVICE)

    def _copy(self, target: int, source: int, size: int, kind: int) -> Any:
        self._device.use()
        cuda = self.xp.cuda
        if self._copies is None:
            self._copies = cuda.Stream(non_blocking=True)
        ready, done = cuda.Event(disable_timing=True), cuda.Event(disable_timing=True)
        ready.record(cuda.get_current_stream())
        self._copies.wait_event(ready)
        cuda.runtime.memcpyAsync(target, source, size, kind, self._copies.ptr)
        done.record(self._copies)
        return done

    def wait(self, copy: Any) -> None:
        """Make the current stream wait for a copy."""
        if copy is not None:
            self.xp.cuda.get_current_stream().wait_event(copy)

    def synchronize(self) -> None:
        """Wait for the current stream and for copies."""
        self._device.use()
        self.xp.cuda.get_current_stream().synchronize()
        if self._copies is not None:
            self._copies.synchronize()

    def _kernel(self, kernel: tuple[str, str, Options]) -> Any:
        stem, name, chosen = kernel
        module = self._modules.get((stem, chosen))
        if module is None:
            module = self.xp.RawModule(code=cuda_source(stem), options=chosen, backend="nvrtc")
            self._modules[stem, chosen] = module
        self._kernels[kernel] = module.get_function(name)
        return self._kernels[kernel]

    def _allocated(self, make: Any, size: int) -> Any:
        """What is made; if memory is short, once more without what CuPy keeps for later."""
        self._device.use()
        out_of_memory = self.xp.cuda.memory.OutOfMemoryError
        try:
            return make()
        except out_of_memory:
            self.xp.get_default_memory_pool().free_all_blocks()
        try:
            return make()
        except out_of_memory as error:
            raise DeviceMemoryError(
                f"{self.name} has not the {size / 1e9:.2f} GB that are needed ({self.free_bytes() / 1e9:.2f} GB are "
                "free); end other programs on it, use smaller batches, or set device = cpu"
            ) from error
