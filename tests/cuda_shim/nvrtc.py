"""Compile CUDA sources as CuPy does at run time (NVRTC), without a driver, and read what they take of a GPU."""

import ctypes
import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from seisflow.native.device import cuda_source

_FUNCTION = re.compile(r"Compiling entry function '(\w+)' for")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")


def library():
    """NVRTC of the Python package, or a reason why there is none."""
    try:
        found = [Path(str(f.locate())) for f in files("nvidia-cuda-nvrtc") or [] if ".so" in f.name]
    except PackageNotFoundError:
        return None, "nvidia-cuda-nvrtc is not installed (it is part of the extra dev)"
    builtins = [f for f in found if "builtins.so" in f.name]
    main = [f for f in found if f.name.startswith("libnvrtc.so")]
    if not builtins or not main:
        return None, "nvidia-cuda-nvrtc holds no library for this system"
    ctypes.CDLL(str(builtins[0]), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(main[0])), None


def compile_for(stem, architecture, options=()):
    """Compile; what each kernel takes: {name: (registers, stack bytes, spill stores, spill loads)}, and the cubin."""
    nvrtc, reason = library()
    if nvrtc is None:
        raise RuntimeError(reason)
    program = ctypes.c_void_p()
    source = cuda_source(stem).encode()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, f"{stem}.cu".encode(), 0, None, None) == 0
    # as CuPy adds; it may or may not take functions without a word for those of the device, so none must need that
    flags = [*options, "-ftz=true", f"--gpu-architecture=sm_{architecture}", "--ptxas-options=-v"]
    flags = [flag.encode() for flag in flags]
    status = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
    log = _text(nvrtc, program, "Log")
    if status != 0:
        raise RuntimeError(f"{stem}.cu does not compile for sm_{architecture}:\n{log}")
    return _usage(log), _text(nvrtc, program, "CUBIN", raw=True)


def _text(nvrtc, program, what, raw=False):
    size = ctypes.c_size_t()
    name = "nvrtcGetCUBIN" if raw else "nvrtcGetProgramLog"
    getattr(nvrtc, name + "Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, name)(program, buffer)
    return buffer.raw if raw else buffer.value.decode()


def _usage(log):
    result, name, spills = {}, None, (0, 0, 0)
    for line in log.splitlines():
        if found := _FUNCTION.search(line):
            name = found.group(1)
        elif found := _SPILLS.search(line):
            spills = tuple(int(n) for n in found.groups())
        elif (found := _REGISTERS.search(line)) and name:
            result[name] = (int(found.group(1)), *spills)
    return result
