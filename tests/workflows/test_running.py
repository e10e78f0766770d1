"""Events side by side without a server: order, failures, and the end of work that is interrupted."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
import tiny
from seisflow.workflows import running
from seisflow.workflows.iterate import iterate
from seisflow.workflows.running import PREFECT_DEFAULTS, FlowRun, PlainRunner, run_flow

from seisflow.errors import InputError, MissingError, PhysicsError, WorkError
from seisflow.project import Project
from seisflow.steps import event as event_steps

NAMES = ("a", "b", "c", "d")


def test_results_come_by_name_and_not_more_run_at_once_than_asked():
    guard, now, most = threading.Lock(), 0, 0

    def work(name, stage, progress):
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with guard:
            now -= 1
        return name.upper()

    found = PlainRunner().each("title", NAMES, work, 2)
    assert found == {"a": "A", "b": "B", "c": "C", "d": "D"} and list(found) == list(NAMES)
    assert most == 2


def test_the_parts_of_an_event_run_in_order():
    parts: list[str] = []

    def work(name, stage, progress):
        for part in ("simulate", "measure"):
            stage(part, lambda part=part: parts.append(f"{name} {part}"))

    PlainRunner().each("title", ("a", "b"), work, 1)
    assert parts == ["a simulate", "a measure", "b simulate", "b measure"]


def test_all_that_fail_are_named_after_the_others_are_done():
    done = []

    def work(name, stage, progress):
        if name in "bd":
            raise PhysicsError(f"{name} is broken")
        done.append(name)

    with pytest.raises(PhysicsError) as error:
        PlainRunner().each("i01s00", NAMES, work, 2)
    assert str(error.value).splitlines() == [
        "i01s00: 2 of 4 events failed; the others are done and will not be repeated",
        "  b: b is broken",
        "  d: d is broken",
    ]
    assert sorted(done) == ["a", "c"]


def test_failures_of_different_kinds_are_a_failure_of_the_work():
    def work(name, stage, progress):
        raise (InputError if name == "a" else MissingError)(name)

    with pytest.raises(WorkError, match="4 of 4 events failed"):
        PlainRunner().each("title", NAMES, work, 2)


def test_a_bug_in_one_event_ends_the_run_and_the_others():
    reports = []

    def work(name, stage, progress):
        if name == "a":
            time.sleep(0.05)
            raise KeyError("a bug")
        for number in range(1000):
            time.sleep(0.01)
            progress(number / 1000)
            reports.append(name)

    started = time.monotonic()
    with pytest.raises(KeyError, match="a bug"):
        PlainRunner().each("title", ("a", "b"), work, 2)
    assert time.monotonic() - started < 3 and len(reports) < 300


def test_progress_reaches_the_monitor():
    class Monitor(running.Quiet):
        def __init__(self):
            self.seen = []

        def begin(self, title, names):
            self.seen.append(("begin", title, tuple(names)))

        def advance(self, name, fraction):
            self.seen.append((name, fraction))

        def end(self):
            self.seen.append("end")

    monitor = Monitor()

    def work(name, stage, progress):
        progress(0.5)
        progress(1.0)

    PlainRunner(monitor).each("title", ("a",), work, 1)
    assert monitor.seen == [("begin", "title", ("a",)), ("a", 0.5), ("a", 1.0), "end"]


def test_without_a_server_prefect_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert run_flow(
        FlowRun("iterate", "title", tmp_path, 1), lambda runner: type(runner), running.Quiet()
    ) is (PlainRunner)


def test_prefect_tells_nobody():
    assert PREFECT_DEFAULTS["DO_NOT_TRACK"] == "1"
    assert PREFECT_DEFAULTS["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


# --- trials that cannot be measured


def test_a_trial_that_cannot_be_measured_is_refused_and_the_search_goes_shorter(project, monkeypatch, run):
    measure = event_steps.EventStep.measure

    def broken(self):
        if self.step == 1 and self.event == "a2":
            raise PhysicsError("the window lost its peak")
        measure(self)

    monkeypatch.setattr(event_steps.EventStep, "measure", broken)
    (gained,) = iterate(project, 1, 1)
    assert gained["trial"] > 1 and gained["misfit"][1] < gained["misfit"][0]
    assert "failed" not in run("status", "-p", project)[1]
    assert run("iterate", "-i", 1, "-p", project)[1].startswith("iteration 1 is done")


def test_a_held_out_event_that_cannot_be_compared_does_not_stop_the_iteration(project, monkeypatch, run):
    measure = event_steps.EventStep.measure

    def broken(self):
        if self.step > 0 and self.event == "h1":
            raise PhysicsError("the window lost its peak")
        measure(self)

    monkeypatch.setattr(event_steps.EventStep, "measure", broken)
    (gained,) = iterate(project, 1, 1)
    assert gained["held_out"] is None
    assert run("iterate", "-i", 1, "-p", project)[1].startswith("iteration 1 is done")


def test_held_out_events_that_can_be_compared_are(project, monkeypatch):
    """One of two is lost on the way: the other is compared with itself."""
    tiny.change_config(project, "hold_out: [h1]", "hold_out: [a3, h1]")
    measure = event_steps.EventStep.measure

    def broken(self):
        if self.step > 0 and self.event == "a3":
            raise PhysicsError("the window lost its peak")
        measure(self)

    monkeypatch.setattr(event_steps.EventStep, "measure", broken)
    (gained,) = iterate(project, 1, 1)
    found = Project.open(project)
    results = found.record_of("i01/s00/h1")["results"]
    assert gained["held_out"][0] == pytest.approx(results["misfit"] / results["weight"], rel=1e-12)
    assert gained["held_out_events"] == [1, 2]


def test_a_line_search_without_gain_says_so_and_keeps_the_model(project, monkeypatch, run):
    real = event_steps.EventStep.finish

    def worse(self, started):
        for band in self.bands if self.step > 0 else ():
            if band.measurements is not None:
                rows = tuple(replace(row, value=10 * row.value) for row in band.measurements.rows)
                band.measurements = replace(band.measurements, rows=rows)
        return real(self, started)

    monkeypatch.setattr(event_steps.EventStep, "finish", worse)
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 1
    assert "none of 3 trials decreased the misfit" in error and "The model stays" in error
    assert not (project / "models" / "m01.nc").exists()
    out = run("iterate", "-i", 1, "--dry-run", "-p", project)[1]
    assert "the line search found none" in out
