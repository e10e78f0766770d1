"""Events shared by ranks: what a flow starts under mpiexec leaves what it would have left itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from mpi_run import environment, missing, mpiexec
from seisflow.workflows import iterate as flow

from seisflow.errors import InputError, WorkError
from seisflow.io.event_file import read_event
from seisflow.io.models import read_kernel
from seisflow.project import Project
from seisflow.steps.event import EventStep
from seisflow.steps.event_ranks import run_on_ranks
from seisflow.steps.event_run import run_event
from seisflow.steps.inputs import check_project

pytestmark = [pytest.mark.mpi, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture
def ranked(tiny_source, tmp_path, monkeypatch) -> Path:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(environment()["PYTHONPATH"].split(os.pathsep)[0])
    root = tiny.copy(tiny_source, tmp_path / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    tiny.change_config(root, "compute: {cores: 2}", "compute: {cores: 2, ranks: 2}")
    return root


def plainly(name, part):
    part()


def test_an_event_by_ranks_leaves_the_same_files(ranked, tmp_path):
    other = Project.open(tiny.copy(ranked, tmp_path / "other"))
    project, told = Project.open(ranked), []
    found = run_on_ranks(EventStep(project, 1, 0, "a1", progress=told.append), plainly)
    expected = run_event(EventStep(other, 1, 0, "a1"))
    assert found == expected
    a, b = (read_kernel(each.kernel_path(1, "a1")) for each in (project, other))
    for name, values in a.fields().items():
        assert np.array_equal(values, b.fields()[name])
    a, b = (read_event(each.event_file(1, 0, "a1")) for each in (project, other))
    assert np.array_equal(a.gathers["synthetic_processed"].data, b.gathers["synthetic_processed"].data)
    assert told == sorted(told)
    assert len(told) > 3
    assert run_on_ranks(EventStep(project, 1, 0, "a1"), plainly) == found  # from its record


@pytest.mark.slow
def test_what_the_first_rank_finds_wrong_is_raised_in_the_flow(ranked):
    project = Project.open(ranked)
    step = EventStep(project, 1, 1, "a1")  # step 0, whose windows a trial takes, has not run
    with pytest.raises(InputError, match="no such file"):
        run_on_ranks(step, plainly)


def test_ranks_that_end_without_a_word_are_told_of(ranked):
    tiny.change_config(ranked, "ranks: 2}", "ranks: 2, mpiexec: 'mpiexec --no-such-option'}")
    with pytest.raises(WorkError, match="event a1: its 2 ranks ended with status"):
        run_on_ranks(EventStep(Project.open(ranked), 1, 0, "a1"), plainly)


def test_ranks_that_cannot_be_started_are_refused_before_the_work(ranked):
    tiny.change_config(ranked, "ranks: 2}", "ranks: 2, mpiexec: no-such-mpiexec}")
    with pytest.raises(InputError, match="no-such-mpiexec"):
        check_project(Project.open(ranked), 1)


def test_simulate_under_mpiexec(ranked, tmp_path):
    def simulated():
        return next((ranked / "simulations").rglob("a2.h5"))

    command = ["-m", "seisflow", "simulate", "--event", "a2", "--project", str(ranked)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    alone = read_event(simulated()).gathers["synthetic"].data
    simulated().unlink()
    done = mpiexec(2, *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("a2.h5") == 1
    assert np.array_equal(read_event(simulated()).gathers["synthetic"].data, alone)


@pytest.mark.slow
def test_wrong_commands_under_mpiexec_are_told_once(ranked):
    wrong = mpiexec(2, "-m", "seisflow", "simulate", "--event", "nobody", "--project", str(ranked))
    assert wrong.returncode == InputError.exit_code
    assert wrong.stderr.count("error: event nobody") == 1
    wrong = mpiexec(2, "-m", "seisflow", "iterate", "-i", "1", "--project", str(ranked))
    assert wrong.returncode == InputError.exit_code
    assert "started without mpiexec" in wrong.stderr


@pytest.mark.slow
def test_iterations_by_ranks_give_the_same_model(ranked, tmp_path):
    other = tiny.copy(ranked, tmp_path / "other")
    tiny.change_config(other, ", ranks: 2", "")
    for root in (ranked, other):
        flow.iterate(root, 1, 2)
    for number in (1, 2):
        assert (
            Project.open(ranked).model_path(number).read_bytes()
            == Project.open(other).model_path(number).read_bytes()
        )


@pytest.mark.slow
def test_ranks_end_with_the_flow_that_started_them(ranked):
    command = [sys.executable, "-m", "seisflow", "iterate", "-i", "1", "--project", str(ranked)]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ranks():
        found = subprocess.run(["pgrep", "-f", f"event-step.*{ranked}"], capture_output=True, text=True)
        return found.stdout.split()

    began = time.monotonic()
    while len(ranks()) < 3 and time.monotonic() - began < 60:
        time.sleep(0.1)
    assert ranks()
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    began = time.monotonic()
    while ranks() and time.monotonic() - began < 30:
        time.sleep(0.2)
    assert not ranks()


def test_a_source_inversion_by_ranks_finds_the_same(tiny_source, tmp_path):
    roots = [tiny.copy(tiny_source, tmp_path / name) for name in ("one", "two")]
    options = ("source", "--event", "a1", "--fix", "place,depth", "--json")
    alone = tiny.seisflow(*options, "-p", roots[0])
    assert alone.returncode == 0, alone.stderr
    shared = mpiexec(2, "-m", "seisflow", *options, "-p", str(roots[1]))
    assert shared.returncode == 0, shared.stderr
    assert shared.stdout == alone.stdout
    one, two = (root / "sources" / "a1" / "solution.xml" for root in roots)
    assert one.read_bytes() == two.read_bytes()
