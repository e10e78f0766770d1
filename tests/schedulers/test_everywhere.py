"""The example project gives the same models by threads, by Dask, by Slurm and by ranks under mpiexec."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import tiny
from mpi_run import environment, missing

from seisflow.steps.create import create_project

pytestmark = pytest.mark.slow
SLURM = (
    "{system: slurm, warning: 10, poll: 1.0, resources: {cores: 1, memory: 600 MB, time: '00:20:00', "
    "driver: {time: '01:00:00'}}}"
)


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("example") / "checkerboard"
    create_project(root, "checkerboard")
    text = (root / "seisflow.yaml").read_text()
    assert "compute:" not in text and "run:" not in text and "pictures:" not in text
    (root / "seisflow.yaml").write_text(f"{text}\npictures: false\n")
    return root


def after(root: Path, *settings: str, **environment: str) -> bytes:
    """The model after an iteration."""
    with (root / "seisflow.yaml").open("a") as file:
        file.writelines(f"{line}\n" for line in settings)
    found = tiny.seisflow("iterate", "-i", 1, "-p", root, timeout=1500, **environment)
    assert found.returncode == 0, found.stderr
    return (root / "models" / "m01.nc").read_bytes()


@pytest.fixture(scope="module")
def by_threads(example, tmp_path_factory) -> bytes:
    return after(tiny.copy(example, tmp_path_factory.mktemp("threads") / "project"), "compute: {cores: 2}")


def test_dask(example, by_threads, tmp_path):
    pytest.importorskip("distributed")
    assert after(tiny.copy(example, tmp_path / "project"), "run: dask", "compute: {cores: 2}") == by_threads


@pytest.mark.slurm
def test_slurm(example, by_threads, tmp_path):
    if shutil.which("sinfo") is None:
        pytest.skip("Slurm is not installed")
    if "main" not in subprocess.run(["sinfo", "-h"], capture_output=True, text=True, timeout=60).stdout:
        pytest.skip("no Slurm answers (tests/cluster/slurm.sh up)")
    assert (
        after(tiny.copy(example, tmp_path / "project"), f"run: {SLURM}", "compute: {cores: 2}") == by_threads
    )


@pytest.mark.mpi
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_ranks(example, by_threads, tmp_path):
    words = ("compute: {cores: 2, ranks: 2}",)
    assert after(tiny.copy(example, tmp_path / "project"), *words, **environment()) == by_threads
