"""What a machine has for seisflow, and what to install for what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from seisflow.errors import SeisflowError
from seisflow.native import cores, openmp, simd_level
from seisflow.native.cuda import gpu_facts, gpu_problem

__all__ = ["Finding", "examine"]

_SCHEDULERS = (("sbatch", "Slurm"), ("qsub", "PBS or Grid Engine"), ("bsub", "LSF"))
_EXTRAS = (
    ("mpi", ("mpi4py",), "simulations that several processes share"),
    ("gpu", ("cupy-cuda13x",), "waves, beams and matched filters on an NVIDIA GPU"),
    ("ml", ("seisbench",), "trained pickers"),
    ("hpc", ("prefect-dask", "dask-jobqueue"), "Prefect tasks on a cluster"),
    ("examples", ("qopen",), "examples with recordings"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Parameters
    ----------
    name : str
    state : {"ok", "missing", "broken"}
        ``missing`` things are optional, ``broken`` ones are not.
    what : str
        What was found, or why it was not.
    remedy : str
        What to do, where something can be done.
    """

    name: str
    state: str
    what: str
    remedy: str = ""

    def plain(self) -> dict[str, Any]:
        """As it goes into JSON."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at the machine; nothing is changed, and no calculation is started."""
    return [*_base(), *_gpu(), *_parallel(), *_flows(), *_extras()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _base() -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("seisflow", "ok", _version("seisflow") or "not installed, run from its sources")
    try:
        threads = "with threads" if openmp() else "without threads (build with OpenMP for more than one core)"
        yield Finding("compiled kernels", "ok", f"SIMD level {simd_level()}, {threads}")
    except SeisflowError as error:
        yield Finding("compiled kernels", "broken", str(error), "pip install --force-reinstall seisflow")
    yield Finding("cores", "ok", f"{cores()} that this process may use, of {os.cpu_count()}")


def _gpu() -> Iterator[Finding]:
    problem = gpu_problem()
    if problem is not None:
        what, _, remedy = problem.partition("; ")
        yield Finding(
            "GPU", "missing", what, remedy or "a driver for CUDA 13, where the machine has an NVIDIA GPU"
        )
        return
    facts = gpu_facts()
    for number, gpu in enumerate(facts.gpus):
        yield Finding(
            f"GPU {number}" if len(facts.gpus) > 1 else "GPU",
            "ok",
            f"{gpu.name}, compute capability {gpu.capability}, {gpu.free / 1e9:.1f} of {gpu.total / 1e9:.1f} GB free",
        )
    yield Finding(
        "CUDA", "ok", f"CuPy {facts.cupy}, driver for CUDA {facts.driver}, run time {facts.runtime}"
    )


def _parallel() -> Iterator[Finding]:
    bindings, launcher = _version("mpi4py"), shutil.which("mpiexec")
    if bindings and launcher:
        yield Finding("MPI", "ok", f"mpi4py {bindings}, {launcher}")
    else:
        what = "no mpi4py" if not bindings else "no mpiexec on the PATH"
        remedy = "an MPI library of the system (Debian: libopenmpi-dev openmpi-bin)"
        yield Finding(
            "MPI", "missing", what, remedy + ("" if bindings else ", then pip install 'seisflow[mpi]'")
        )
    import h5py

    if h5py.get_config().mpi:
        yield Finding("parallel HDF5", "ok", f"h5py {h5py.__version__} with HDF5 {h5py.version.hdf5_version}")
    else:
        what = f"h5py {h5py.__version__} writes from one process; nothing in seisflow needs more"
        remedy = "HDF5_MPI=ON CC=mpicc pip install --no-binary h5py --no-build-isolation h5py"
        yield Finding("parallel HDF5", "missing", what, remedy)
    for command, name in _SCHEDULERS:
        place = shutil.which(command)
        if place:
            yield Finding("batch system", "ok", f"{name} ({place})")
    if not any(shutil.which(command) for command, _ in _SCHEDULERS):
        names = ", ".join(command for command, _ in _SCHEDULERS)
        yield Finding("batch system", "missing", f"none of {names} on the PATH; flows run on this machine")


def _flows() -> Iterator[Finding]:
    installed, address = _version("prefect"), os.environ.get("PREFECT_API_URL")
    if installed is None:
        yield Finding("Prefect", "broken", "not installed", "pip install 'prefect>=3.8.8,<4' 'fastapi<0.151'")
        return
    if not address:
        what = f"{installed}, no PREFECT_API_URL: flows run without a server"
        yield Finding("Prefect", "ok", what, "prefect server start, and set PREFECT_API_URL, to watch runs")
        return
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=3) as answer:
            good = answer.status == 200
    except (OSError, ValueError, urllib.error.URLError) as error:
        what = f"{installed}, but {address} does not answer ({error})"
        yield Finding("Prefect", "broken", what, "start the server, or unset PREFECT_API_URL")
        return
    state = "ok" if good else "broken"
    yield Finding("Prefect", state, f"{installed}, server {address}")


def _extras() -> Iterator[Finding]:
    for extra, packages, purpose in _EXTRAS:
        found = {package: _version(package) for package in packages}
        if all(found.values()):
            yield Finding(f"extra {extra}", "ok", ", ".join(f"{n} {v}" for n, v in found.items()))
        else:
            missing = ", ".join(package for package, number in found.items() if number is None)
            yield Finding(
                f"extra {extra}", "missing", f"no {missing}: {purpose}", f"pip install 'seisflow[{extra}]'"
            )
