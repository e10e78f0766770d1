"""The numerical layers, their GPU tests and the GPU benchmark need NumPy, SciPy, h5py (and CuPy and pytest) alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = """
import sys
MISSING = {missing}
class Blocked:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in MISSING:
            raise ModuleNotFoundError(f"{{name}} is not on this machine", name=name)
sys.meta_path.insert(0, Blocked())
"""
MISSING = [
    "obspy", "pyasdf", "prov", "pyproj", "yaml", "pydantic", "typer", "rich", "xarray", "pandas", "h5netcdf",
    "matplotlib", "jinja2", "pyarrow", "duckdb", "prefect", "fastapi", "click",
]  # fmt: skip
IMPORTS = """
import seisflow.native.cuda, seisflow.native.cuda_beam, seisflow.native.cuda_matched_filter
import seisflow.native.cuda_elastic3d, seisflow.solvers, seisflow.inversion
import seisflow.detection.backprojection, seisflow.detection.correlation, seisflow.detection.device_matches
import seisflow.detection.threshold, seisflow.detection.matches, seisflow.detection.device_features
import seisflow.native.cuda_signal, seisflow.native.cuda_features, seisflow.signal.continuous
from seisflow.native.cuda import open_device
open_device("auto")
"""


@pytest.fixture
def bare(tmp_path):
    """An environment in which all else cannot be imported."""
    (tmp_path / "sitecustomize.py").write_text(BLOCK.format(missing=set(MISSING)))
    return {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}


def run(environment, *command):
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_numerical_layers_import(bare):
    run(bare, "-c", IMPORTS)
    blocked = subprocess.run(
        [sys.executable, "-c", "import obspy"], env=bare, capture_output=True, check=False
    )
    assert blocked.returncode != 0


def test_the_gpu_tests_are_collected(bare):
    listed = run(
        bare,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        "gpu",
        "--confcutdir",
        "tests/native",
        "tests/native",
    )
    for name in ("beam", "matched_filter", "elastic3d", "signal", "features", "taylor"):
        assert f"test_cuda_{name}" in listed


@pytest.mark.slow
def test_the_benchmark_is_ready(bare):
    table = run(bare, "benchmarks/gpu.py", "--rehearse")
    for what in ("waves, order 4", "gradient", "filter and features", "beam", "matched filter"):
        assert f"| {what}" in table
