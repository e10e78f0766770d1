"""Rarer faults: failing writes and syncs one after the other, stalls, edits while it runs, files of one time.

All of them by `make soak`; see docs/faults.md for the list and what each test there shows.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from test_resume import ONE, after_one, check_resumed, models  # noqa: F401 - a fixture

from seisflow.project import Project
from seisflow.schedulers.order import JobFolder, Order
from seisflow.steps.event import EventStep

FAULT = """
import errno, os, sys
import seisflow.io.atomic as atomic
name, last, code = sys.argv[1], int(sys.argv[2]), getattr(errno, sys.argv[3])
real, count = getattr(os, name), 0
def failing(*arguments):
    global count
    count += 1
    if count == last:
        raise OSError(code, os.strerror(code))
    return real(*arguments)
setattr(atomic.os, name, failing)
from seisflow.cli import main
sys.argv = ["seisflow", *sys.argv[4:]]
main()
"""


def with_fault(call: str, number: int, code: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in which the Nth call fails once."""
    return subprocess.run(
        [sys.executable, "-c", FAULT, call, str(number), code, *map(str, words)],
        capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("call", "code"), [("fsync", "EIO"), ("replace", "EIO"), ("fsync", "ENOSPC")])
def test_the_nth_failing_call_never_becomes_a_success(project, after_one, call, code):  # noqa: F811
    """SQLite's loop: N = 1, 2, ... until a run passes untouched; each failure is a sentence, and the run goes on."""
    number = 0
    while True:
        number += 1
        assert number < 60
        found = with_fault(call, number, code, *ONE, "-p", project)
        assert tiny.temporary_files(project) == []
        if found.returncode == 0:
            break
        assert found.returncode == 1, found.stderr
        assert "Traceback" not in found.stderr and found.stderr.strip()
        assert Project.open(project).driver is None
    assert number > 4
    assert (project / "models" / "m01.nc").read_bytes() == after_one["m01.nc"]


@pytest.mark.slow
def test_the_nth_failing_sync_of_a_search_never_becomes_a_success(network, network_done):
    number = 0
    while True:
        number += 1
        assert number < 80
        found = with_fault("fsync", number, "EIO", "detect", "-p", network)
        assert tiny.temporary_files(network) == []
        if found.returncode == 0:
            break
        assert found.returncode == 1 and "Traceback" not in found.stderr, found.stderr
    assert number > 4
    for suffix in ("h5", "csv", "xml"):
        name = f"detection/catalog.{suffix}"
        assert (network / name).read_bytes() == (network_done / name).read_bytes()


@pytest.mark.slow
def test_many_kills_at_seeded_moments_end_in_the_same_bits(project, after_one, tmp_path):  # noqa: F811
    """As many as SEISFLOW_KILLS says; `make soak` asks for 50."""
    wanted, kills = int(os.environ.get("SEISFLOW_KILLS", "5")), 0
    moments, root = random.Random(2611), tiny.copy(project, tmp_path / "run0")
    longest, runs = 8.0, 0
    while kills < wanted:
        process, began = tiny.start(*ONE, "-p", root), time.monotonic()
        try:
            process.wait(timeout=moments.uniform(0.1, 1.0) * longest)
        except subprocess.TimeoutExpired:
            kills += 1
        finally:
            tiny.end(process)
        if process.returncode == 0:
            longest = 0.9 * (time.monotonic() - began)
            check_resumed(root, after_one)
            runs += 1
            root = tiny.copy(project, tmp_path / f"run{runs}")
        else:
            longest = min(1.3 * longest, 120.0)
    check_resumed(root, after_one)


@pytest.mark.slow
def test_a_driver_that_stalls_goes_on_and_nobody_else_comes_in(project, after_one):  # noqa: F811
    folder = project / "iterations" / "i01" / "s00"
    process = tiny.start(*ONE, "-p", project)
    try:
        tiny.wait_for(lambda: any(folder.glob("*.json")), 300, process)
        os.killpg(process.pid, signal.SIGSTOP)
        began = time.monotonic()
        second = tiny.seisflow(*ONE, "-p", project, timeout=300)
        assert second.returncode == 2
        assert f"host {os.uname().nodename}, process {process.pid}" in second.stderr, second.stderr
        time.sleep(max(0.0, 3 - (time.monotonic() - began)))
        os.killpg(process.pid, signal.SIGCONT)
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
    finally:
        tiny.end(process)
    assert models(project) == after_one


@pytest.mark.slow
def test_a_configuration_that_is_edited_while_it_runs_counts_for_the_next_run(project, after_one, run):  # noqa: F811
    folder = project / "iterations" / "i01" / "s00"
    process = tiny.start(*ONE, "-p", project)
    try:
        tiny.wait_for(lambda: any(folder.glob("*.json")), 300, process)
        tiny.change_config(project, "smoothing: [4000, 4000, 3000]", "smoothing: [8000, 8000, 6000]")
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
    finally:
        tiny.end(process)
    assert models(project) == after_one
    code, out, _ = run("why", "i01/direction", "-p", project)
    assert code == 0 and "smoothing" in out and "8000" in out


def test_a_changed_file_of_the_same_size_and_time_is_noticed(done):
    """Case 19: hashes decide, not times; what is remembered of a file knows when its inode changed too."""
    project = Project.open(done)
    task = EventStep(project, 1, 0, "a2").task
    assert project.why(task) == []
    project.save_hashes()
    path = done / "observed" / "a2.h5"
    before = path.stat()
    tiny.break_trace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
    )
    assert Project.open(done).why(EventStep(Project.open(done), 1, 0, "a2").task) == [
        "observed/a2.h5 changed"
    ]


@pytest.mark.slow
def test_an_element_that_runs_twice_at_once_does_no_harm(project, after_one):  # noqa: F811
    """Case 7: a requeued element while its old copy lives."""
    folder = JobFolder(project / ".seisflow" / "jobs" / "twice")
    order = Order("event", {"iteration": 1, "step": 0, "ahead": None})
    folder.prepare(order, ("a1", "a2"), title="i01s00", threads=1, seconds=None)
    folder.write_bundles(0, [[0, 1]])
    words = tiny.command("element", folder.path, 0, 0)
    both = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in both:
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
    assert json.loads(folder.result_path(1).read_text())["state"] == "done"
    shutil.rmtree(folder.path)
    check_resumed(project, after_one)


def test_an_element_with_another_code_than_its_driver_does_nothing(project):
    """Case 10: the code was edited while a driver waits; records of the new code would never hold for it."""
    from seisflow.workflows.elements import run_elements

    folder = JobFolder(project / ".seisflow" / "jobs" / "other")
    order = Order("event", {"iteration": 1, "step": 0, "ahead": None})
    folder.prepare(order, ("a1",), title="i01s00", threads=1, seconds=None, code="another")
    folder.write_bundles(0, [[0]])
    assert run_elements(folder.path, 0, 0) == 1
    assert "the code changed since the driver was started" in folder.result_path(0).read_text()
    assert not (project / "iterations").exists()


@pytest.mark.slow
def test_a_file_system_without_locks_is_refused(project, tmp_path):
    """Case 16: flock answers ENOLCK; locking is never silently off."""
    compiler = shutil.which("cc")
    if compiler is None or ctypes.util.find_library("c") is None:
        pytest.skip("no C compiler")
    (tmp_path / "nolock.c").write_text(
        "#include <errno.h>\nint flock(int f, int o) { errno = ENOLCK; return -1; }\n"
    )
    library = tmp_path / "nolock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "nolock.c"], check=True)
    found = tiny.seisflow(*ONE, "-p", project, timeout=300, LD_PRELOAD=str(library))
    assert found.returncode == 1 and "this file system gives no locks" in found.stderr
    assert not (project / "iterations").exists()


@pytest.mark.slow
def test_an_input_output_error_of_the_system_is_a_sentence(project, after_one, tmp_path):  # noqa: F811
    """Case 12: the kernel itself answers EIO from the fifth fsync on."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    words = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(tmp_path / "trace"),
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:error=EIO:when=5+",
    ]
    found = subprocess.run(
        [*words, *tiny.command(*ONE, "-p", project)], capture_output=True, text=True, timeout=900,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if "ptrace" in found.stderr:
        pytest.skip("strace may not trace here")
    assert found.returncode == 1 and "Input/output error" in found.stderr and "Traceback" not in found.stderr
    assert tiny.temporary_files(project) == []
    check_resumed(project, after_one)


@pytest.mark.slow
def test_too_little_memory_is_a_sentence_and_the_run_goes_on_after(project, after_one):  # noqa: F811
    """Case 8, as far as an address limit goes: an allocation that fails is told, with the event."""
    code = (
        "import resource, sys\n"
        "from seisflow.cli import main\n"
        "import seisflow.steps.event, seisflow.workflows.iterate, seisflow.steps.update\n"
        "from seisflow.steps.event import EventStep\n"
        "real = EventStep.simulate\n"
        "def simulate(self):\n"
        "    if self.event == 'a2':\n"
        "        import numpy as np\n"
        "        np.empty(1 << 46)\n"
        "    real(self)\n"
        "EventStep.simulate = simulate\n"
        f"sys.argv = ['seisflow', 'iterate', '-i', '1', '-p', {str(project)!r}]\n"
        "main()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )
    assert found.returncode == 1 and "a2" in found.stderr and "1 of 4 events failed" in found.stderr
    assert "MemoryError" in found.stderr and "Traceback" not in found.stderr
    check_resumed(project, after_one)


def test_the_faults_of_the_list_name_tests_that_exist():
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    sources = "\n".join(path.read_text() for path in (Path(__file__).parents[1]).rglob("test_*.py"))
    names = set(re.findall(r"`(test_\w+)`", page))
    assert len(names) > 20
    assert [name for name in sorted(names) if f"def {name}(" not in sources] == []
