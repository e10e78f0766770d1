"""A GPU that is none: the CUDA kernels, unchanged, compiled for the CPU; implements seisflow.native.device.Device.

Arrays lie against a page that must not be touched and are filled with NaN, so what is read before it was written
or beyond an end shows.
"""

import ctypes
import hashlib
import mmap
import os
import re
import shutil
import subprocess
import tempfile
import threading
import types
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from seisflow.native.device import DeviceMemoryError, cuda_source

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
FLAGS = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-shared",
    "-fopenmp",
    "-ffp-contract=off",
    "-w",
    "-fno-strict-aliasing",
)
SANITIZE = ("-fsanitize=alignment,bounds,shift,null", "-fno-sanitize-recover=all")
ORDERS = {"forward": 0, "reversed": 1, "shuffled": 2}
_KERNEL = re.compile(r"^KERNEL (?:__launch_bounds__\([^)]*\) )?(\w+)\(const (\w+) \w+\)", re.MULTILINE)
_GUARD = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)


def kernels_of(stem):
    """Names of the kernels of a source, and of their structs."""
    return _KERNEL.findall(cuda_source(stem))


def compiled(stem, options, text=None):
    """Compile a source for the CPU, once for each text."""
    code = text or cuda_source(stem)
    doors = "".join(
        f'extern "C" int shim_launch_{name}(const void *a, const unsigned *g, const unsigned *b, size_t s, int o) {{'
        f"return cushim::launch([](const void *v) {{ {name}(*(const {struct} *)v); }}, a, g, b, s, o); }}\n"
        f'extern "C" long shim_size_{name}() {{ return sizeof({struct}); }}\n'
        for name, struct in _KERNEL.findall(code)
    )
    definitions = [o for o in options if o.startswith("-D")]
    shim = (HERE / "cuda_shim.h").read_text()
    whole = "\n".join([shim, code, doors])
    key = hashlib.sha256("".join([whole, *definitions, *FLAGS, *SANITIZE]).encode()).hexdigest()[:24]
    folder = Path(
        os.environ.get("SEISFLOW_SHIM_CACHE", Path(tempfile.gettempdir()) / f"seisflow-shim-{os.getuid()}")
    )
    folder.mkdir(exist_ok=True, mode=0o700)
    result = folder / f"{stem}-{key}.so"
    if not result.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, made = Path(work) / f"{stem}.cpp", Path(work) / "made.so"
            source.write_text(whole.replace("#pragma once", "", 1))
            subprocess.run([COMPILER, *FLAGS, *SANITIZE, *definitions, "-o", made, source], check=True)
            os.replace(made, result)
    return ctypes.CDLL(str(result))


def guarded(shape, dtype, fill=0xFF):
    """Array whose end lies against a page that must not be touched."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    room = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, room + _GUARD)
    raw = np.frombuffer(memory, np.uint8)
    address = raw.ctypes.data
    if _libc.mprotect(ctypes.c_void_p(address + room), ctypes.c_size_t(_GUARD), 0) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    first = (room - size) // 16 * 16  # as CUDA aligns, at least
    raw = raw[first : first + size]
    raw[:] = fill
    return raw.view(dtype).reshape(shape)


def _plain(value):
    """What a function of NumPy takes for arrays of the device; those of the host are refused, as CuPy does."""
    if isinstance(value, There):
        return value.view(np.ndarray)
    if isinstance(value, list | tuple):
        return type(value)(_plain(each) for each in value)
    if isinstance(value, np.ndarray) and value.ndim > 0:
        raise TypeError("arrays of the host and of the device in one call")
    return value


def _there(value):
    if isinstance(value, np.generic):
        value = np.asarray(value)  # CuPy has arrays without dimensions where NumPy has numbers
    if isinstance(value, tuple):
        return tuple(_there(each) for each in value)
    return value.view(There) if isinstance(value, np.ndarray) else value


class There(np.ndarray):
    """An array of the device."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **named):
        if out is not None:
            named["out"] = tuple(_plain(each) for each in out)
        return _there(getattr(ufunc, method)(*(_plain(each) for each in inputs), **named))

    def __array_function__(self, function, types, given, named):
        return _there(function(*_plain(given), **{name: _plain(value) for name, value in named.items()}))

    def __setitem__(self, where, value):
        self.view(np.ndarray)[_indices(where)] = _plain(value)

    def __getitem__(self, where):
        return _there(self.view(np.ndarray)[_indices(where)])


def _indices(where):
    parts = where if isinstance(where, tuple) else (where,)
    parts = tuple(part.view(np.ndarray) if isinstance(part, There) else part for part in parts)
    return parts if isinstance(where, tuple) else parts[0]


class Functions:
    """NumPy in the place of CuPy: what it makes are arrays of the device."""

    def __init__(self, module=np):
        self._module = module

    def __getattr__(self, name):
        found = getattr(self._module, name)
        if isinstance(found, types.ModuleType):
            return Functions(found)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *given, **named: _there(
            found(*_plain(given), **{key: _plain(value) for key, value in named.items()})
        )


class Pinned(np.ndarray):
    """Memory of the host that a GPU copies to and from."""


class ShimDevice:
    """Runs kernels on the CPU.

    Parameters
    ----------
    order : {"forward", "reversed", "shuffled"}
        Of the threads of a block.
    memory : int
        Bytes that it pretends to have.
    shared_bytes : int
        Shared memory of a block.
    counting : bool
        Whether arrays that are there take memory from others; else only one alone may be too large.
    """

    name = "CPU in place of a GPU"
    xp = Functions()

    def __init__(self, order="forward", memory=1 << 32, shared_bytes=232448, counting=False):
        self.order, self.memory, self.shared_bytes = ORDERS[order], memory, shared_bytes
        self.processors = 2
        self.launches, self.copies = [], []
        self.counting, self.used, self.on_host_bytes = counting, 0, 0
        self.lock = threading.RLock()
        self.texts = {}

    def upload(self, array):
        assert not isinstance(array, There), "an array of the device is uploaded"
        result = self.empty(array.shape, array.dtype)
        result.view(np.ndarray)[...] = array
        return result

    def download(self, array):
        assert isinstance(array, There | np.generic), f"{type(array)} is not an array of the device"
        return np.array(array.view(np.ndarray) if isinstance(array, There) else array)

    def empty(self, shape, dtype):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size > self.free_bytes():
            raise DeviceMemoryError(f"{size} bytes are needed, there are {self.free_bytes()}")
        array = guarded(shape, dtype)
        if self.counting:
            self.used += size
            base = array
            while isinstance(base.base, np.ndarray):
                base = base.base
            weakref.finalize(base, self._give_back, size)
        return array.view(There)

    def _give_back(self, size):
        self.used -= size

    def zeros(self, shape, dtype):
        result = self.empty(shape, dtype)
        result[...] = 0
        return result

    def pinned(self, shape, dtype):
        self.on_host_bytes += int(np.prod(shape)) * np.dtype(dtype).itemsize
        return guarded(shape, dtype).view(Pinned)

    def on_host(self, array):
        return isinstance(array, Pinned)

    def address(self, array):
        assert isinstance(array, There), f"{type(array)} is not an array of the device"
        return array.ctypes.data

    @contextmanager
    def short(self):
        try:
            yield
        except MemoryError as error:
            raise DeviceMemoryError(str(error)) from error

    def free_bytes(self):
        return self.memory - self.used

    @property
    def total_bytes(self):
        return self.memory

    def launch(self, kernel, grid, block, argument, shared=0):
        stem, name, options = kernel
        library = compiled(stem, options, self.texts.get(stem))
        size = getattr(library, f"shim_size_{name}")()
        assert argument.dtype.itemsize == size, (
            f"{name} takes a struct of {size} bytes, got {argument.dtype.itemsize}"
        )
        assert argument.size == 1 and argument.dtype.names
        three = [(ctypes.c_uint * 3)(*(*extent, 1, 1)[:3]) for extent in (grid, block)]
        call = getattr(library, f"shim_launch_{name}")
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        assert shared <= self.shared_bytes, f"{name} asks for {shared} bytes of shared memory"
        status = call(argument.ctypes.data, three[0], three[1], shared, self.order)
        assert status == 0, f"{name}: launch {grid} x {block} with {shared} bytes is refused ({status})"
        self.launches.append(name)

    def graph(self, launches, times):
        def run():
            for _ in range(times):
                launches()

        return run

    def send(self, array, host):
        return self._later(host, array)

    def fetch(self, host, array):
        return self._later(array, host)

    def _later(self, target, source):
        """A copy that is done as late as may be: when somebody waits for it."""
        copy = [target, source, False]
        self.copies.append(copy)
        return copy

    def wait(self, copy):
        if copy is not None and not copy[2]:
            target, source = (each.view(np.ndarray) for each in copy[:2])
            target[...], copy[2] = source, True

    def synchronize(self):
        for copy in self.copies:
            self.wait(copy)
        self.copies.clear()
