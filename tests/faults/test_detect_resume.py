"""A search that is killed goes on where it was, to the same bits; workers, threads and midnight change nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_network as tn

from seisflow.io.catalog_files import load_catalog

FORMATS = ("h5", "csv", "parquet", "xml")


def results(root: Path) -> dict[str, bytes]:
    """All that a search leaves for the user and for its later steps, but the records, which hold times."""
    folder = root / "detection"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".json"
    }


@pytest.fixture(scope="session")
def undisturbed(network_done_source) -> dict[str, bytes]:
    found = results(network_done_source)
    assert {f"catalog.{suffix}" for suffix in FORMATS} < found.keys()
    return found


def records(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (root / "detection").rglob("*.json")}


def check_resumed(root: Path, wanted: dict[str, bytes]) -> None:
    """Search again: finished steps stay, nothing is left over, all results are the same."""
    before = records(root)
    found = tiny.seisflow("detect", "-p", root)
    assert found.returncode == 0, found.stderr
    after = records(root)
    assert {path: after[path] for path in before} == before, "a finished step ran again"
    assert tiny.temporary_files(root) == []
    assert results(root) == wanted


def kill_at(root: Path, name: str) -> None:
    """Start a search, kill it when a file is there."""
    process = tiny.start("detect", "-p", root)
    try:
        tiny.wait_for((root / "detection" / name).exists, 90, process)
    finally:
        tiny.end(process)
    assert process.returncode in (-signal.SIGKILL, 0)


@pytest.mark.parametrize(
    "name",
    [
        "2026-02-28/beam.json",
        pytest.param("2026-03-01/beam.h5", marks=pytest.mark.slow),
        pytest.param("templates.h5", marks=pytest.mark.slow),
        pytest.param("2026-02-28/matches.json", marks=pytest.mark.slow),
        pytest.param("catalog.csv", marks=pytest.mark.slow),
    ],
)
def test_a_search_that_is_killed_at_a_file_goes_on(network, undisturbed, name):
    kill_at(network, name)
    check_resumed(network, undisturbed)


@pytest.mark.slow
def test_a_search_that_is_killed_at_random_moments_ends_the_same(network_source, undisturbed, tmp_path):
    root = tiny.copy(network_source, tmp_path / "timed")
    started = time.monotonic()
    check_resumed(root, undisturbed)
    whole, moments, kills, runs = time.monotonic() - started, random.Random(2603), 0, 0
    root = tiny.copy(network_source, tmp_path / "run0")
    while kills < 10:
        process = tiny.start("detect", "-p", root)
        try:
            process.wait(timeout=moments.uniform(0.3, 0.8) * whole)
        except subprocess.TimeoutExpired:
            kills += 1
        finally:
            tiny.end(process)
        if process.returncode == 0:
            assert results(root) == undisturbed
            runs += 1
            root = tiny.copy(network_source, tmp_path / f"run{runs}")
    check_resumed(root, undisturbed)


STEP = """
import os, signal, sys
import seisflow.io.atomic as atomic
count, last, replace = 0, int(sys.argv[1]), os.replace
def counted(source, target):
    global count
    count += "detection" in str(target)
    if count == last and os.environ["WHEN"] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if count == last:
        os.kill(os.getpid(), signal.SIGKILL)
atomic.os.replace = counted
from seisflow.cli import main
sys.argv = ["seisflow", "detect", "-p", sys.argv[2]]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_search_that_is_killed_at_each_publication_in_turn_ends_the_same(network, undisturbed, when):
    deaths = 0
    while True:
        # in one project that goes on: death n comes n files after its start
        found = subprocess.run(
            [sys.executable, "-c", STEP, str(deaths + 1), str(network)],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env=os.environ | {"WHEN": when},
        )  # fmt: skip
        if found.returncode == 0:
            break
        assert found.returncode == -signal.SIGKILL, found.stderr
        deaths += 1
        assert deaths < 40
    assert deaths >= 4
    assert results(network) == undisturbed
    assert tiny.temporary_files(network) == []


@pytest.mark.parametrize("compute", ["{cores: 1}", "{cores: 2, events_at_once: 1}"])
def test_the_catalog_does_not_depend_on_workers_or_threads(run, network, undisturbed, compute):
    tiny.change_config(network, "{cores: 2}", compute)
    code, _, error = run("detect", "-p", network)
    assert code == 0, error
    assert results(network) == undisturbed


def test_a_damaged_result_is_made_again_to_the_same_bits(run, network_done, undisturbed):
    for name in ("2026-03-01/found.h5", "templates.h5", "catalog.csv"):
        path = network_done / "detection" / name
        path.write_bytes(path.read_bytes()[:100])
    code, _, error = run("detect", "-p", network_done)
    assert code == 0, error
    assert results(network_done) == undisturbed


def test_a_changed_recording_repeats_its_day(run, network_done):
    path = network_done / "waveforms" / "XX.T0.HHZ.2026-02-28.mseed"
    before = records(network_done)
    path.unlink()
    code, _, error = run("detect", "-p", network_done)
    assert code == 0, error
    after = records(network_done)
    changed = {path.parent.name + "/" + path.name for path in after if after[path] != before.get(path)}
    assert "2026-02-28/beam.json" in changed and "detection/catalog.json" in changed
    assert has_all(network_done)


# --- midnight


def has_all(root: Path, shift: float = 0.0) -> bool:
    """Whether every earthquake is there once."""
    times = load_catalog(root / "detection" / "catalog.h5").times - tn.MIDNIGHT - shift
    wanted = np.array([quake.time for quake in tn.QUAKES])
    return times.size == wanted.size and bool(np.abs(np.sort(times) - wanted).max() < 0.15)


@pytest.mark.parametrize(
    "shift",
    [
        31.2,  # a weak repeat at midnight: found by templates at one sample or the next
        pytest.param(31.22, marks=pytest.mark.slow),
        pytest.param(31.18, marks=pytest.mark.slow),
        pytest.param(0.8, marks=pytest.mark.slow),  # a strong one
        pytest.param(0.74, marks=pytest.mark.slow),
        pytest.param(0.76, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_lost_or_found_twice_at_midnight(run, tmp_path, shift):
    root = tmp_path / "shifted"
    tn.build(root, shift=shift)
    code, _, error = run("detect", "-p", root)
    assert code == 0, error
    assert has_all(root, shift)


def test_two_days_alone_have_what_both_have_together(run, network_done, network):
    """A day owns the events whose origin time it holds."""
    together = load_catalog(network_done / "detection" / "catalog.h5")
    for day, low, high in (("2026-02-28", -np.inf, 0.0), ("2026-03-01", 0.0, np.inf)):
        found = load_catalog(network_done / "detection" / day / "found.h5")
        times = found.times - tn.MIDNIGHT
        assert times.size and (times >= low).all() and (times < high).all()
        matched = load_catalog(network_done / "detection" / day / "matched.h5")
        times = matched.times - tn.MIDNIGHT
        assert times.size and (times >= low).all() and (times < high).all()
    assert len(together) == len(tn.QUAKES)
