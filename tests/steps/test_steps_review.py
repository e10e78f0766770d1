"""Faults that a fresh reader of the steps found; each test fails without its mend."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import tiny_network
from seisflow.workflows.gain import gain

from seisflow import records
from seisflow.detection.matches import MatchConfig
from seisflow.domain import Rejection, Station
from seisflow.errors import InputError
from seisflow.io.stations import write_stationxml
from seisflow.project import Project
from seisflow.records import Task, code_version
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.steps import event as event_steps
from seisflow.steps import preprocess
from seisflow.steps.datastatus import _newest
from seisflow.steps.detect.catalog import catalog_task
from seisflow.steps.detect.survey import newest_model
from seisflow.steps.direction import direction_task, trials_made
from seisflow.steps.event import EventStep
from seisflow.steps.event_ranks import _listen
from seisflow.steps.importing import import_files
from seisflow.steps.inputs import stations_of
from seisflow.steps.pictures import misfit_rows
from seisflow.steps.status import verify
from seisflow.steps.update import _simulations

ROOT = Path(__file__).parents[2]


def empty(root, config: str = tiny.CONFIG) -> Project:
    """A project that holds nothing but its configuration."""
    (root / "seisflow.yaml").write_text(config)
    return Project.open(root)


def test_a_copy_of_a_model_is_not_the_newest_model(tmp_path):
    """``m01_before.nc`` sorts behind ``m01.nc``, and ``m100.nc`` before ``m99.nc``."""
    project = empty(tmp_path, tiny_network.CONFIG)
    (tmp_path / "models").mkdir()
    for name in ("m00.nc", "m99.nc", "m99_before.nc"):
        (tmp_path / "models" / name).touch()
    assert newest_model(project).name == "m99.nc"
    (tmp_path / "models" / "m100.nc").touch()
    assert newest_model(project).name == "m100.nc"


def test_what_is_verified_includes_sources_and_what_was_preprocessed(tmp_path):
    project = empty(tmp_path)
    for name in ("sources/a1/solution", "processed/stage1/a1"):
        target = tmp_path / f"{name}.out"
        target.parent.mkdir(parents=True)
        target.write_text("as it was written")
        task = Task(name, {}, {})
        project.record(task, [target], {}, project.begin(task))
        target.write_text("something else!!!")
    assert [text.partition(":")[0] for text in verify(project)] == [
        "sources/a1/solution",
        "processed/stage1/a1",
    ]


def test_the_newest_iteration_may_be_one_for_which_a_stage_was_held_back():
    stages = SimpleNamespace(iterations=5)
    project = SimpleNamespace(
        iterations=6, config=stages, event_ids=("a1",), record_of=lambda name: name.startswith("i06") or None
    )
    assert _newest(project) == 6


def test_what_was_left_out_is_what_no_band_uses_and_says_why(project, monkeypatch):
    """Refused in the first band only: used. Refused in all, with an instrument in reserve: that is not the reason."""
    text = tiny.CONFIG.replace(
        "- periods: [6, 20]\n    iterations: 3\n    misfit: {kind: waveform}",
        "- bands:\n      - {periods: [6, 20], misfit: {kind: waveform}}\n      - {periods: [8, 20], misfit: {kind: "
        "waveform}}\n    iterations: 3",
    )
    (project / "seisflow.yaml").write_text(text)
    real, calls = preprocess.prepare_observed, []

    def refusing(*arguments):
        gather, refused = real(*arguments)
        names, live = [each.id for each in gather.stations], np.array(gather.live)
        for name in ["XX.S1"] + ([] if calls else ["XX.S0"]):
            live[names.index(name)] = False
            refused.append(Rejection(name, "Z", "recording", "too noisy"))
        refused.append(Rejection("XX.S1", "*", "duplicate", "of several instruments one is used"))
        calls.append(1)
        return replace(gather, live=live), refused

    monkeypatch.setattr(preprocess, "prepare_observed", refusing)
    found = preprocess.preprocess_event(Project.open(project), "a1")
    assert len(calls) == 2 and found["stations"] == 7
    assert found["left_out"] == ["XX.S1: too noisy"]


def test_lines_of_mpi_that_happen_to_be_json_are_passed_over():
    told = []
    lines = ["3", "[1, 2]", "null", json.dumps({"progress": 0.5}), "hello"]
    step = SimpleNamespace(progress=told.append)
    assert _listen(step, SimpleNamespace(stdout=lines)) is None
    assert told == [0.5]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Copies of the sources, which may be changed; what they are is not remembered."""
    for name in ("seisflow", "kernels"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    found = {"seisflow": tmp_path / "seisflow", "seisflow.kernels": tmp_path / "kernels"}
    monkeypatch.setattr(records, "files", found.__getitem__)
    monkeypatch.setattr(event_steps, "code_version", code_version.__wrapped__)
    return tmp_path


@pytest.mark.parametrize("name", ["cuda/elastic3d.cu", "c/elastic3d.c", "include/elastic3d.h"])
def test_the_version_of_the_code_is_that_of_what_runs_on_a_gpu_too(elsewhere, name):
    before = code_version.__wrapped__()
    with next((elsewhere / "kernels").glob(name)).open("a") as file:
        file.write("/* changed */")
    assert code_version.__wrapped__() != before


@pytest.mark.parametrize("times", ["model", "velocities"])
def test_windows_by_travel_times_of_the_model_depend_on_the_code_that_computes_them(
    project, elsewhere, times
):
    """It lies with detection, whose code the tomography does not depend on else."""
    tiny.change_config(
        project, "travel_times: velocities, min_velocity", f"travel_times: {times}, min_velocity"
    )

    def code():
        return EventStep(Project.open(project), 1, 0, "a1").task.code

    before = code()
    with (elsewhere / "seisflow" / "detection" / "travel_times.py").open("a") as file:
        file.write("# changed")
    assert (code() != before) == (times == "model")


@pytest.mark.parametrize(
    "change",
    [
        {"matches": MatchConfig(same_time=1.0, same_distance=50.0)},
        {"matches": MatchConfig(same_time=1.0, same_similarity=0.9)},
        {"recordings": ContinuousConfig(0.02, (3, 14))},
    ],
    ids=["same_distance", "same_similarity", "band"],
)
def test_a_catalog_depends_on_all_settings_that_join_what_days_found(tmp_path, change):
    """The days may find the same with them, while two of them own an earthquake at midnight."""
    config = empty(tmp_path, tiny_network.CONFIG).config.detection
    survey = SimpleNamespace(
        config=config, stations=(), travel="", code="", inputs=dict, days=list, project=Project.open(tmp_path)
    )

    def settings():
        return catalog_task(survey).settings

    survey.config = replace(config, matching=replace(config.matching, matches=MatchConfig(same_time=1.0)))
    before = settings()
    assert settings() == before
    survey.config = replace(survey.config, matching=replace(survey.config.matching, **change))
    assert settings() != before


@pytest.mark.parametrize(("iteration", "first"), [(1, None), (3, "m01.nc"), (4, "m01.nc")])
def test_a_direction_depends_on_the_model_that_its_stage_began_with(tmp_path, iteration, first):
    """Smoothing goes by its wavelengths."""
    project = empty(
        tmp_path,
        tiny.CONFIG.replace("iterations: 3", "iterations: 1").replace("iterations: 2", "iterations: 4"),
    )
    inputs = direction_task(project, iteration, 0).inputs
    assert getattr(inputs.get("first model of the stage"), "name", None) == first


def test_trials_of_an_earlier_run_are_no_simulations_of_this_one(done):
    """An iteration that is run again may need fewer trials; the records of the others stay."""
    project = Project.open(done)
    wanted = project.record_of("i01/update")["results"]["simulations"]
    assert wanted == round(_simulations(project, 1, 0), 3) > 2
    folder = done / "iterations" / "i01"
    last = max(trials_made(project, 1, 0))
    assert last < 3  # there is room for another
    drawn = [trial.step for trial in misfit_rows(project, 1)[0].trials]
    assert len(drawn) == last + 1
    old = json.loads((folder / "s01.json").read_text())
    old["inputs"]["direction"] = "that of an earlier run"
    (folder / f"s{last + 1:02d}.json").write_text(json.dumps(old))
    shutil.copytree(folder / "s01", folder / f"s{last + 1:02d}")
    assert round(_simulations(project, 1, 0), 3) == wanted
    assert [trial.step for trial in misfit_rows(project, 1)[0].trials] == drawn


@pytest.mark.parametrize(
    ("old", "new"), [({"a": {}}, {}), ({"a": {}}, {"a": None}), ({}, {"a": {"b": None}})]
)
def test_settings_that_differ_are_never_taken_for_the_same(tmp_path, old, new):
    """An empty section has no key that could be told as changed."""
    project = empty(tmp_path)
    task = Task("detection/some/step", {}, old)
    project.record(task, [], {}, project.begin(task))
    assert project.why(task) == []
    assert project.why(Task("detection/some/step", {}, new))


def test_a_gain_without_data_of_what_is_held_out_is_none(project):
    """Its only event has dead recordings."""
    tiny.observe(project, ["h1"], dead=True)
    shutil.copy(project / "models" / "m00.nc", project / "models" / "m01.nc")
    found = gain(project)
    assert found["held_out"] is None and found["used"][0] == found["used"][1] > 0


def test_a_damaged_start_model_does_not_keep_recordings_out(project, tmp_path):
    """An import stopped at it, before any recording was looked at, and without a word in the log."""
    (project / "models" / "m00.nc").write_bytes(b"damaged")
    recordings = (project / "observed" / "a1.h5").rename(tmp_path / "a1.h5")
    (tmp_path / "layers.txt").write_text("# thickness vp vs rho\n30 6.0 3.5 2.7\n0 8.0 4.5 3.3\n")
    found = import_files(Project.open(project), [tmp_path / "layers.txt", recordings])
    assert any("m00.nc" in text for text in found.problems)
    assert (project / "observed" / "a1.h5").is_file()


def test_a_station_that_was_put_there_by_hand_names_no_file_elsewhere(tmp_path):
    """Tables of travel times and pictures are named by stations; an import refuses such a one."""
    project = empty(tmp_path)
    write_stationxml(tmp_path / "stations" / "XX.xml", [Station("XX", "/../../../x", 38.0, 22.0)], ("HHZ",))
    with pytest.raises(InputError, match="may hold letters, digits"):
        stations_of(project)
