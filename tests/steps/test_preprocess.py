"""Recordings as they are compared or searched, written by one process or by ranks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from mpi_run import environment, missing, mpiexec

from seisflow.io.asdf import channel_code
from seisflow.io.asdf_reading import read_observed
from seisflow.io.event_file import read_event

DAY = "2026-02-28"
needs_mpi = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def samples(path: Path) -> list[tuple[str, int, bytes]]:
    return [(each.id, each.stats.starttime.ns, each.data.tobytes()) for each in read_observed(path)[0]]


def by_ranks(ranks: int, *words: object):
    return mpiexec(ranks, "-m", "seisflow", "preprocess", *map(str, words))


def test_an_event_is_written_as_the_inversion_compares_it(run, done):
    code, out, error = run("preprocess", "--event", "a1", "-p", done)
    assert code == 0, error
    path = done / "processed" / "stage1" / "a1.h5"
    assert out.startswith("processed/stage1/a1.h5: ") and "stations" in out
    compared = read_event(done / "iterations" / "i01" / "s00" / "a1.h5").gathers["observed_processed"]
    found = {each.id: each for each in read_observed(path)[0]}
    assert len(found) == compared.live.sum()
    for i, j in np.argwhere(compared.live):
        trace = found[f"{compared.stations[i].id}..{channel_code(compared.components[j], compared.interval)}"]
        assert np.array_equal(trace.data, compared.data[i, j])
    wrote = path.stat().st_mtime_ns
    assert run("preprocess", "--event", "a1", "-p", done)[0] == 0
    assert path.stat().st_mtime_ns == wrote
    tiny.break_trace(done / "observed" / "a1.h5")
    assert run("preprocess", "--event", "a1", "-p", done)[0] == 2  # its recordings are read again


def test_a_day_is_written_as_detection_sees_it(run, network):
    code, out, error = run("preprocess", "--day", DAY, "-p", network)
    assert code == 0, error
    assert out.startswith(f"processed/{DAY}.h5: 24 traces of 8 stations")
    stream, inventory = read_observed(network / "processed" / f"{DAY}.h5", tag="continuous_p")
    assert stream and all(str(each.stats.starttime).startswith(DAY) for each in stream)
    assert {each.stats.channel[-1] for each in stream} == {"Z"}
    assert sum(len(each) for each in inventory) == 8


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give either --event or --day"),
        (("--event", "a1", "--day", DAY), "give either --event or --day"),
        (("--event", "nobody"), "nobody"),
        (("--event", "a1", "--stage", 9), "stage 9: seisflow.yaml has"),
        (("--day", DAY), "detection"),
    ],
)
def test_what_cannot_be_is_told(run, project, words, told):
    code, _, error = run("preprocess", *words, "-p", project)
    assert code == 2 and told in error and "Traceback" not in error
    assert not (project / "processed").exists()


@pytest.mark.parametrize(
    ("day", "told"),
    [("2026-02-31", "is no day"), ("28.2.2026", "is no day"), ("2001-01-01", "nothing was recorded")],
)
def test_a_day_that_is_none_is_told(run, network, day, told):
    code, _, error = run("preprocess", "--day", day, "-p", network)
    assert code == 2 and told in error and "Traceback" not in error


@pytest.mark.mpi
@needs_mpi
@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_ranks_write_the_same_samples(run, project, ranks):
    assert run("preprocess", "--event", "a1", "-p", project)[0] == 0
    path = project / "processed" / "stage1" / "a1.h5"
    alone = samples(path)
    shutil.rmtree(project / "processed")
    found = by_ranks(ranks, "--event", "a1", "-p", project)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("traces of") == 1
    assert samples(path) == alone
    assert tiny.temporary_files(project) == []
    assert run("preprocess", "--event", "a1", "-p", project)[0] == 0  # the record of ranks holds


@pytest.mark.mpi
@pytest.mark.slow
@needs_mpi
def test_ranks_write_the_same_day(run, network):
    assert run("preprocess", "--day", DAY, "-p", network)[0] == 0
    path = network / "processed" / f"{DAY}.h5"
    alone = samples(path)
    shutil.rmtree(network / "processed")
    found = by_ranks(3, "--day", DAY, "-p", network)
    assert found.returncode == 0, found.stderr
    assert samples(path) == alone


@pytest.mark.mpi
@needs_mpi
def test_what_cannot_be_is_told_once_by_ranks(project):
    found = by_ranks(2, "--event", "nobody", "-p", project)
    assert found.returncode == 2
    assert found.stderr.count("event nobody:") == 1 and "Traceback" not in found.stderr, found.stderr


@pytest.mark.mpi
@pytest.mark.slow
@needs_mpi
def test_a_rank_that_is_killed_ends_all_and_the_command_goes_on(project):
    """Killed while others wait for it: mpiexec ends them, nothing half is left, and the same command finishes."""
    code = (
        "import os, signal, sys\n"
        "from seisflow.ranks import use_mpi_folder\n"
        "use_mpi_folder(first=True)\n"
        "import seisflow.steps.preprocess as steps\n"
        "real = steps.prepare_observed\n"
        "def dying(*arguments):\n"
        "    if os.environ['OMPI_COMM_WORLD_RANK'] == '1':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*arguments)\n"
        "steps.prepare_observed = dying\n"
        "from seisflow.cli import main\n"
        f"sys.argv = ['seisflow', 'preprocess', '--event', 'a1', '-p', {str(project)!r}]\n"
        "main()\n"
    )
    words = ["mpiexec", "-n", "2", sys.executable, "-c", code]
    found = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=240, check=False)
    assert found.returncode == 137, found.stderr
    assert not list((project / "processed").rglob("*.h5"))
    again = by_ranks(2, "--event", "a1", "-p", project)
    assert again.returncode == 0, again.stderr
    assert tiny.temporary_files(project) == []
    assert os.access(project / "processed" / "stage1" / "a1.h5", os.R_OK)
