"""Runs that are killed, interrupted or out of space go on where they were, to the same bits."""

from __future__ import annotations

import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny

from seisflow.project import Project

ONE, TWO = ("iterate", "-i", 1), ("iterate", "-i", 1, "--through", 2)


def models(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "models").iterdir())}


def records(root: Path) -> dict[Path, int]:
    """Records of finished steps with the time they were written."""
    return {path: path.stat().st_mtime_ns for path in (root / "iterations").rglob("*.json")}


@pytest.fixture(scope="session")
def after_one(tiny_done_source) -> dict[str, bytes]:
    """Models after an iteration that nothing disturbed."""
    return models(tiny_done_source)


@pytest.fixture(scope="session")
def after_two(tiny_source, tmp_path_factory) -> tuple[dict[str, bytes], float]:
    """Models after two iterations that nothing disturbed, and how long they took."""
    root = tiny.copy(tiny_source, tmp_path_factory.mktemp("two") / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    started = time.monotonic()
    found = tiny.seisflow(*TWO, "-p", root)
    assert found.returncode == 0, found.stderr
    return models(root), time.monotonic() - started


def check_resumed(root: Path, wanted: dict[str, bytes], command: tuple = ONE) -> None:
    """Run the same command again; finished steps stay, nothing is left over, the models are the same."""
    before = records(root)
    found = tiny.seisflow(*command, "-p", root)
    assert found.returncode == 0, found.stderr
    after = records(root)
    assert {path: after[path] for path in before} == before, "a finished step ran again"
    assert tiny.temporary_files(root) == []
    assert models(root) == wanted


def kill_when(root: Path, moment, command: tuple = ONE) -> subprocess.Popen[str]:
    """Start the command, kill it when the moment has come."""
    process = tiny.start(*command, "-p", root)
    try:
        tiny.wait_for(moment, 90, process)
    finally:
        tiny.end(process)
    return process


# --- killed


def living(session: int) -> list[str]:
    """Processes of a session that are not dead."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == session and state not in "ZX":
            found.append(path.parent.name)
    return found


def test_a_run_that_is_killed_amid_its_events_goes_on(project, after_one):
    """Cases 1 and 3: its whole process group at once; nothing lives on, and no lock stays."""
    folder = project / "iterations" / "i01" / "s00"
    process = kill_when(project, lambda: len(list(folder.glob("*.json"))) >= 2)
    assert process.returncode == -signal.SIGKILL
    tiny.wait_for(lambda: not living(process.pid), 10)
    assert Project.open(project).driver is None
    assert not (project / "models" / "m01.nc").exists()
    check_resumed(project, after_one)


@pytest.mark.parametrize(
    "file",
    ["i01/s00/a1.h5", "i01/direction.h5", "i01/s01/model.nc", "i01/s01/a2.json", "i02/s00/a3.kernel.nc"],
)
@pytest.mark.slow
def test_a_run_that_is_killed_at_a_file_goes_on(project, after_two, file):
    kill_when(project, (project / "iterations" / file).exists, TWO)
    check_resumed(project, after_two[0], TWO)


@pytest.mark.slow
def test_a_run_that_is_killed_at_twenty_random_moments_ends_the_same(project, after_two, tmp_path):
    moments, kills, root = random.Random(1906), 0, tiny.copy(project, tmp_path / "run0")
    while kills < 20:
        process = tiny.start(*TWO, "-p", root)
        try:
            process.wait(timeout=moments.uniform(0.15, 0.6) * after_two[1])
        except subprocess.TimeoutExpired:
            kills += 1
        finally:
            tiny.end(process)
        if process.returncode == 0:
            check_resumed(root, after_two[0], TWO)
            root = tiny.copy(project, tmp_path / f"run{kills}")
    check_resumed(root, after_two[0], TWO)


# --- killed at every file that is published, one after the other

STEP = """
import os, signal, sys
from pathlib import Path
import seisflow.io.atomic as atomic
count, last = 0, int(sys.argv[1])
replace = os.replace
def counted(source, target):
    global count
    count += 1
    if count == last:
        if os.environ["WHEN"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
atomic.os.replace = counted
from seisflow.cli import main
sys.argv = ["seisflow", "iterate", "-i", "1", "-p", sys.argv[2]]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_each_publication_in_turn(project, monkeypatch, after_one, when):
    """SQLite's loop: die at the Nth file for N = 1, 2, ... until a run passes untouched."""
    monkeypatch.setenv("WHEN", when)
    root, number, deaths = project, 1, 0
    while True:
        # in one project that goes on: death n comes n files after its start
        found = subprocess.run(
            [sys.executable, "-c", STEP, str(number), str(root)],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if found.returncode == 0:
            break
        assert found.returncode == -signal.SIGKILL, found.stderr
        deaths, number = deaths + 1, number + 1
        assert deaths < 40
    assert deaths >= 4
    assert (root / "models" / "m01.nc").read_bytes() == after_one["m01.nc"]
    assert tiny.temporary_files(root) == []


# --- interrupted


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 75, "stopped", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_ends_at_once_and_goes_on(project, after_one, number, code, word):
    folder = project / "iterations" / "i01" / "s00"
    process = tiny.start(*ONE, "-p", project)
    try:
        tiny.wait_for(lambda: any(folder.glob("*.json")), 90, process)
        started = time.monotonic()
        process.send_signal(number)
        _, error = process.communicate(timeout=20)
        took = time.monotonic() - started
    finally:
        tiny.end(process)
    assert process.returncode == code
    assert error.rstrip().endswith(f"{word}; run the same command again to go on")
    assert "Traceback" not in error
    assert took < 5
    assert tiny.temporary_files(project) == []
    check_resumed(project, after_one)


# --- no space


def limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


def test_a_full_disk_is_a_sentence_and_the_run_goes_on_after(project, after_one):
    found = subprocess.run(
        tiny.command(*ONE, "-p", project),
        capture_output=True, text=True, timeout=120, preexec_fn=limit_file_size, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert found.returncode == 1
    assert "no space is left" in found.stderr and "free space and run again" in found.stderr
    assert "Traceback" not in found.stderr
    assert tiny.temporary_files(project) == []
    check_resumed(project, after_one)


# --- the same bits


@pytest.mark.parametrize("compute", ["{cores: 1}", "{cores: 2, events_at_once: 1}", "{cores: 4}"])
def test_the_model_does_not_depend_on_workers_or_threads(run, project, after_one, compute):
    tiny.change_config(project, "{cores: 2}", compute)
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 0, error
    assert (project / "models" / "m01.nc").read_bytes() == after_one["m01.nc"]


# --- results that were changed or lost


@pytest.mark.parametrize("name", ["i01/s00/a2.kernel.nc", "i01/direction.h5", "i01/s01/model.nc"])
def test_a_damaged_result_is_made_again_to_the_same_bits(run, done, name):
    path = done / "iterations" / name
    whole, model = path.read_bytes(), (done / "models" / "m01.nc").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    code, out, _ = run("iterate", "-i", 1, "-p", done, "--dry-run")
    assert code == 0
    assert re.search(rf"its result iterations/{re.escape(name)} is not what it wrote", out)
    code, _, error = run("iterate", "-i", 1, "-p", done)
    assert code == 0, error
    assert path.read_bytes() == whole
    assert (done / "models" / "m01.nc").read_bytes() == model
