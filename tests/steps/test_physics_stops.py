"""Results without meaning stop the run and say so; one event that fails does not stop the others."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny

from seisflow.domain import Kernel
from seisflow.errors import PhysicsError
from seisflow.io.models import read_kernel, write_kernel
from seisflow.project import Project
from seisflow.steps.direction import find_direction


def no_window_anywhere(root):
    tiny.change_config(root, "min_correlation: 0.6", "min_correlation: 1.0")


def test_no_window_on_any_event_stops_the_run(run, project):
    no_window_anywhere(project)
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 1
    assert "no window on any of 3 events" in error and "seisflow plot --iteration 1" in error
    assert not (project / "models" / "m01.nc").exists()
    assert run("plot", "--iteration", 1, "-p", project)[0] == 0
    assert (project / "iterations" / "i01" / "pictures" / "waveforms_a1.png").is_file()
    assert "a1: no window" in run("status", "-p", project)[1]
    # and the cure goes on from there
    tiny.change_config(project, "min_correlation: 1.0", "min_correlation: 0.6")
    assert run("iterate", "-i", 1, "-p", project)[0] == 0


def test_observed_that_equal_synthetics_stop_the_run(run, project):
    tiny.observe(project, noise=0.0, anomaly=0.0, period=6.0, as_solved=True)
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 1
    assert "4 of 4 events failed" in error and "observed and synthetic are the same on all" in error
    assert not (project / "models" / "m01.nc").exists()


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, "zero"), (np.nan, "NaN|not finite"), (np.inf, "not finite")]
)
def test_a_gradient_without_meaning_stops_the_run(done, value, told):
    project = Project.open(done)
    for event in project.used:
        path = project.kernel_path(1, event)
        kernel = read_kernel(path)
        fields = {name: np.full(kernel.grid.shape, value) for name in kernel.fields()}
        with np.errstate(invalid="ignore"):
            broken = Kernel(kernel.grid, **fields, illumination=kernel.illumination)
        try:
            write_kernel(path, broken, project.config.region.projection())
        except PhysicsError as error:
            assert not np.isfinite(value) and "kernel" in str(error)
            return  # it cannot even be written
    with pytest.raises(PhysicsError, match=told):
        find_direction(project, 1)
    assert not (done / "iterations" / "i01" / "direction.part").exists()


def test_one_event_that_fails_does_not_stop_the_others(run, project):
    path = project / "observed" / "a2.h5"
    whole = path.read_bytes()
    tiny.break_trace(path)
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 2
    assert "i01s00: 1 of 4 events failed; the others are done and will not be repeated" in error
    assert "a2: " in error and "observed/a2.h5" in error and "damaged" in error
    found = json.loads(run("status", "--json", "-p", project)[1])["iterations"][0]
    assert {event: row["state"] for event, row in found["events"].items()} == {
        "a1": "done", "a2": "failed", "a3": "done", "h1": "done",
    }  # fmt: skip
    assert found["state"] == "failed" and list(found["failures"]) == ["i01/s00/a2"]
    assert "i01/s00/a2 failed: " in run("status", "-p", project)[1]
    # what is mended is done, what was done stays
    folder = project / "iterations" / "i01" / "s00"
    before = {name: (folder / f"{name}.json").stat().st_mtime_ns for name in ("a1", "a3", "h1")}
    path.write_bytes(whole)
    dry = run("iterate", "-i", 1, "--dry-run", "-p", project)[1]
    assert "i01/s00/a2: it has not run yet" in dry and "i01/s00/a1" not in dry
    assert run("iterate", "-i", 1, "-p", project)[0] == 0
    assert {name: (folder / f"{name}.json").stat().st_mtime_ns for name in before} == before
    assert "failed" not in run("status", "-p", project)[1]


def test_an_event_without_a_usable_recording_is_left_out_and_said(run, project):
    tiny.observe(project, events=("a3",), dead=True)
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 0, error
    assert "iteration 1, event a3: no window" in run("status", "-p", project)[1]


def test_a_trial_too_fast_for_the_time_step_is_refused_and_the_search_goes_shorter(done, monkeypatch):
    import seisflow.steps.update as update
    from seisflow.inversion import Next
    from seisflow.project import Project

    real = update.updated

    def fast(model, direction, step, names):
        moved = real(model, direction, step, names)
        return moved.with_fields(vp=1.3 * moved.vp, vs=1.3 * moved.vs)

    monkeypatch.setattr(update, "updated", fast)
    found = Project.open(done)
    assert not update.write_trial(found, 1, update.Search(Next(1e-3), 0, 9, ()))
    assert "unstable" in found.record_of("i01/s09")["results"]["refused"]
    assert not (done / "iterations" / "i01" / "s09" / "model.nc").exists()
