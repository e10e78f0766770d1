"""Running programs under mpiexec in tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

EXTRA = Path(sys.prefix) / "mpi"
"""Where `make setup` puts mpi4py, and `make mpi` the parallel h5py: out of the way of processes without MPI."""


def missing() -> str | None:
    """Why programs cannot be run under mpiexec here; None if they can."""
    if shutil.which("mpiexec") is None:
        return "mpiexec is not installed (Debian: apt-get install openmpi-bin)"
    if not (EXTRA / "mpi4py").is_dir() and find_spec("mpi4py") is None:
        return "mpi4py is not installed (make setup)"
    return None


def environment() -> dict[str, str]:
    """Environment of programs that mpiexec starts."""
    path = os.pathsep.join(filter(None, (str(EXTRA), os.environ.get("PYTHONPATH"))))
    return os.environ | {
        "PYTHONPATH": path,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",  # there may be more ranks than cores
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
    }


def mpiexec(ranks: int, *command: str, seconds: float = 240, **options) -> subprocess.CompletedProcess[str]:
    """Run a Python program on so many ranks."""
    return subprocess.run(
        ["mpiexec", "-n", str(ranks), sys.executable, *command],
        env=environment(), capture_output=True, text=True, timeout=seconds, check=False, **options,
    )  # fmt: skip
