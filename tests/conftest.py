"""Fixtures of all tests: a quiet environment, the real recordings, and a tiny project."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the helpers beside this file

import tiny
import tiny_network


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory):
    """No server, no telemetry, few threads, nothing of the user's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("OMP_NUM_THREADS", "2")
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.getbasetemp() / "matplotlib"))
        patch.setenv("COLUMNS", "120")
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recordings of real earthquakes, which lie beside the repository."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real recordings are not there (shared/data beside the repository)")
    return folder


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory) -> Path:
    """The tiny project as it was made; copy it before use."""
    root = tmp_path_factory.mktemp("tiny") / "project"
    tiny.build(root)
    return root


@pytest.fixture(scope="session")
def tiny_done_source(tiny_source, tmp_path_factory) -> Path:
    """The tiny project after iteration 1, run through the command line; copy it before use."""
    root = tiny.copy(tiny_source, tmp_path_factory.mktemp("done") / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    found = tiny.seisflow("iterate", "-i", 1, "-p", root)
    assert found.returncode == 0, found.stderr
    (root / "stdout.txt").write_text(found.stdout)
    (root / "stderr.txt").write_text(found.stderr)
    return root


@pytest.fixture
def project(tiny_source, tmp_path) -> Path:
    """A fresh tiny project that draws no pictures."""
    root = tiny.copy(tiny_source, tmp_path / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    return root


@pytest.fixture
def done(tiny_done_source, tmp_path) -> Path:
    """A tiny project whose iteration 1 is done, without pictures."""
    return tiny.copy(tiny_done_source, tmp_path / "done")


@pytest.fixture
def run(capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """Run the command line within this process; returns exit code, stdout, stderr."""
    from seisflow.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["seisflow", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, error = capsys.readouterr()
        return int(end.value.code or 0), out, error

    return call


@pytest.fixture(scope="session")
def network_source(tmp_path_factory) -> Path:
    """The project with recordings of a network as it was made; copy it before use."""
    root = tmp_path_factory.mktemp("network") / "project"
    tiny_network.build(root)
    return root


@pytest.fixture(scope="session")
def network_done_source(network_source, tmp_path_factory) -> Path:
    """The same after ``seisflow detect``; copy it before use."""
    root = tiny.copy(network_source, tmp_path_factory.mktemp("found") / "project")
    found = tiny.seisflow("detect", "-p", root)
    assert found.returncode == 0, found.stderr
    (root / "stdout.txt").write_text(found.stdout)
    (root / "stderr.txt").write_text(found.stderr)
    return root


@pytest.fixture
def network(network_source, tmp_path) -> Path:
    """A fresh project with recordings of a network."""
    return tiny.copy(network_source, tmp_path / "network")


@pytest.fixture
def network_done(network_done_source, tmp_path) -> Path:
    """A project with recordings of a network that were searched."""
    return tiny.copy(network_done_source, tmp_path / "searched")
