"""The project folder: records, what makes a step run again, and one driver at a time."""

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from seisflow.errors import InputError, MissingError, WorkError
from seisflow.project import Project
from seisflow.records import Task, code_version


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "seisflow.yaml").write_text(tiny.CONFIG)
    (tmp_path / "events").mkdir()
    for name in ("h1", "b", "a"):
        (tmp_path / "events" / f"{name}.xml").write_text(name)
    return tmp_path


@pytest.fixture
def step(folder):
    """A project and a step in it that has run."""
    project = Project.open(folder)
    (folder / "in.txt").write_text("one")
    task = Task("i01/s00/a", {"input": folder / "in.txt"}, {"window": {"length": 2, "kind": "x"}})
    (folder / "out.txt").write_text("result")
    project.record(task, [folder / "out.txt"], {"misfit": 1.5}, project.begin(task))
    return project, task


# --- what is there


def test_the_nearest_folder_above_is_opened(folder):
    assert Project.open(folder / "events").root == folder.resolve()
    with pytest.raises(MissingError, match="seisflow init"):
        Project.open(folder.parent)


def test_events_are_sorted_and_held_out_ones_are_not_used(folder):
    project = Project.open(folder)
    assert project.event_ids == ("a", "b", "h1")
    assert project.used == ("a", "b") and project.held_out == ("h1",)


def test_an_unknown_event_held_out_is_refused_with_those_there_are(folder):
    tiny.change_config(folder, "hold_out: [h1]", "hold_out: [h2]")
    with pytest.raises(MissingError, match=r"hold_out names h2; give events \(a, b, h1\)"):
        Project.open(folder).check_hold_out({"XX.S1"})


def test_stations_are_held_out_for_all_events_or_one(folder):
    tiny.change_config(folder, "hold_out: [h1]", "hold_out: [h1, XX.S1, a/XX.S2]")
    project = Project.open(folder)
    project.check_hold_out({"XX.S1", "XX.S2"})
    assert project.held_out == ("h1",)
    assert project.held_stations("a") == ("XX.S1", "XX.S2") and project.held_stations("b") == ("XX.S1",)
    with pytest.raises(MissingError, match=r"hold_out names a/XX\.S2; give"):
        project.check_hold_out({"XX.S1"})


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", ".hidden", "a b", "a\n", "..", "é"])
def test_names_that_leave_the_folder_are_refused(folder, name):
    project = Project.open(folder)
    for path in (project.event_path, project.observed_path):
        with pytest.raises(InputError, match="may hold letters"):
            path(name)
    with pytest.raises(InputError):
        project.event_file(1, 0, name)


# --- records


def test_a_step_that_is_recorded_is_done(step):
    project, task = step
    assert project.why(task) == []
    assert project.done(task) == {"misfit": 1.5}
    assert Project.open(project.root).done(task) == {"misfit": 1.5}


def test_a_step_without_a_record_has_not_run(step):
    project, task = step
    assert project.why(replace(task, name="i01/s00/b")) == ["it has not run yet"]
    assert project.done(replace(task, name="i01/s00/b")) is None


def test_the_input_that_changed_is_named(step):
    project, task = step
    (project.root / "in.txt").write_text("two")
    assert project.why(task) == ["in.txt changed"]
    (project.root / "in.txt").unlink()
    assert project.why(task) == ["in.txt is not there"]


def test_a_rewrite_of_the_same_content_is_no_change(step):
    project, task = step
    os.utime(project.root / "in.txt", ns=(1, 1))
    assert project.why(task) == []


def test_new_and_dropped_inputs_are_named(step):
    project, task = step
    (project.root / "more.txt").write_text("more")
    assert project.why(replace(task, inputs={"more": project.root / "more.txt"})) == [
        "more.txt is new",
        "input is no longer used",
    ]


def test_the_setting_that_changed_is_named_with_both_values(step):
    project, task = step
    changed = replace(task, settings={"window": {"length": 3, "kind": "x"}})
    assert project.why(changed) == ["setting window.length changed from 2 to 3"]
    dropped = replace(task, settings={"window": {"length": 2}})
    assert project.why(dropped) == ["setting window.kind changed from x to None"]


def test_another_code_is_named(step):
    project, task = step
    assert project.why(replace(task, code="0.0.9+abc")) == [
        f"the code changed from {code_version()} to 0.0.9+abc"
    ]


def test_a_result_that_was_tampered_with_or_lost_makes_the_step_run_again(step):
    project, task = step
    (project.root / "out.txt").write_text("resulT")
    assert project.why(task) == ["its result out.txt is not what it wrote"]
    (project.root / "out.txt").unlink()
    assert project.why(task) == ["its result out.txt is not there"]


def test_tampering_that_keeps_size_and_time_is_found_by_a_fresh_look(step):
    project, task = step
    path = project.root / "out.txt"
    stat = path.stat()
    with path.open("r+") as file:
        file.write("R")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert project.why(task, fresh=True) == ["its result out.txt is not what it wrote"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"inputs": {}}', "\x00"])
def test_a_record_that_is_not_whole_is_none(step, text):
    project, task = step
    project.record_path(task.name).write_text(text)
    assert project.why(task) == ["it has not run yet"]


def test_an_input_that_changes_while_a_step_runs_makes_it_run_again(step):
    project, task = step
    begun = project.begin(task)
    path = next(iter(task.inputs.values()))
    path.write_text("changed while it ran")
    project.record(task, [], {}, begun)
    assert project.why(task) == [f"{project.relative(path)} changed"]


def test_failures_are_kept_until_the_step_succeeds(step):
    project, task = step
    project.record_failure(task.name, "out of luck")
    assert project.failure_of(task.name) == "out of luck"
    project.record(task, [], {}, project.begin(task))
    assert project.failure_of(task.name) is None


# --- hashes


def test_a_file_is_hashed_once(folder, monkeypatch):
    import seisflow.records as module

    project, path = Project.open(folder), folder / "in.txt"
    path.write_text("one")
    count, real = [], module.sha256

    def counting(path):
        count.append(path)
        return real(path)

    monkeypatch.setattr(module, "sha256", counting)
    first = project.hash_of(path)
    assert project.hash_of(path) == first and len(count) == 1
    project.save_hashes()
    assert Project.open(folder).hash_of(path) == first and len(count) == 1
    path.write_text("two")
    assert project.hash_of(path) != first and len(count) == 2
    assert project.hash_of(folder / "none") is None


@pytest.mark.parametrize("text", ["{", "[1]", '{"in.txt": null}', '{"in.txt": [1, 2]}'])
def test_damaged_memory_of_hashes_is_no_harm(folder, text):
    (folder / "in.txt").write_text("one")
    right = Project.open(folder).hash_of(folder / "in.txt")
    (folder / ".seisflow").mkdir()
    (folder / ".seisflow" / "hashes.json").write_text(text)
    assert Project.open(folder).hash_of(folder / "in.txt") == right


def test_nothing_is_written_when_nothing_new_was_hashed(folder):
    project = Project.open(folder)
    project.save_hashes()
    assert not (folder / ".seisflow").exists()


# --- one driver


HOLD = """
import sys, time
from seisflow.project import Project
with Project.open(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_driver(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=10)


def test_a_second_driver_is_refused_by_name_and_a_dead_one_is_forgotten(folder, other_driver):
    project = Project.open(folder)
    named = f"host {socket.gethostname()}, process {other_driver.pid}"
    with pytest.raises(InputError, match=named), project.lock():
        pytest.fail("two drivers in one folder")
    assert project.driver == named
    other_driver.kill()
    other_driver.wait(timeout=10)
    assert project.driver is None
    with project.lock():
        assert project.driver == f"host {socket.gethostname()}, process {os.getpid()}"
    assert project.driver is None


def test_what_a_dead_driver_left_is_swept(folder):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(timeout=10)
    host = socket.gethostname().replace(".", "-")
    left = folder / "models" / f".m01.nc.{host}.{dead.pid}.3.part"
    left.parent.mkdir()
    left.write_text("half")
    with Project.open(folder).lock():
        assert not left.exists()


def test_a_file_system_without_locks_is_refused(folder, monkeypatch):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("seisflow.records.fcntl.flock", no_locks)
    with pytest.raises(WorkError, match="gives no locks"), Project.open(folder).lock():
        pytest.fail("worked without a lock")


def test_threads_may_record_side_by_side(folder):
    project = Project.open(folder)
    tasks = [Task(f"i01/s00/e{n}", {"x": folder / "seisflow.yaml"}, {}) for n in range(16)]
    threads = [
        threading.Thread(target=project.record, args=(task, [], {"n": n}, project.begin(task)))
        for n, task in enumerate(tasks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [project.done(task) for task in tasks] == [{"n": n} for n in range(16)]
    assert tiny.temporary_files(folder) == []
    for path in Path(folder).rglob("i01/s00/*.json"):
        assert json.loads(path.read_text())["outputs"] == {}


def test_a_glance_looks_at_each_file_once_and_ends(step):
    project, _ = step
    path = project.root / "out.txt"
    with project.glance():
        before = project.hash_of(path)
        project.hash_of(path)
        path.write_text("another content")
        assert project.hash_of(path) == before
    assert project.hash_of(path) != before
