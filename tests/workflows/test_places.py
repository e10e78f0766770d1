"""Work that other processes do: they open the project themselves, and may see another one than their driver did."""

from __future__ import annotations

import json
from concurrent.futures import Future
from contextlib import contextmanager

import pytest
import tiny
from seisflow.workflows import detect as flow
from seisflow.workflows.elements import call_element, run_element, run_elements
from seisflow.workflows.iterate import Evaluation, evaluate
from seisflow.workflows.running import PlainRunner

from seisflow.config import digest
from seisflow.errors import WorkError
from seisflow.io import archive
from seisflow.project import Project
from seisflow.schedulers.order import JobFolder, Order, error_of
from seisflow.steps.detect.days import day_name


class Elsewhere:
    """A place that does each event as a worker does, from the order alone."""

    def __init__(self, root):
        self.root, self.rounds = root, 0

    @contextmanager
    def round(self, title, work, watch):
        futures, self.rounds = {}, self.rounds + 1
        for name in work.missing:
            futures[name] = Future()
            answer = call_element(str(self.root), work.order.text(), name, 1, str(self.rounds))
            if answer["state"] == "done":
                futures[name].set_result(answer["results"])
            else:
                futures[name].set_exception(error_of(answer))
        yield futures


def test_workers_do_nothing_with_other_settings_than_their_driver_has(project):
    """The configuration is edited while the driver runs: its events would be of two minds."""
    driver = Project.open(project)
    tiny.change_config(project, "min_correlation: 0.6", "min_correlation: 0.7")
    elsewhere = PlainRunner(place=Elsewhere(project))
    with pytest.raises(WorkError, match=r"a1: seisflow\.yaml was changed since the driver was started"):
        evaluate(driver, 1, 0, ("a1",), elsewhere)
    assert not list(project.glob("iterations/**/*.h5"))
    evaluate(Project.open(project), 1, 0, ("a1",), elsewhere)
    assert (project / "iterations" / "i01" / "s00" / "a1.json").is_file()


def test_jobs_of_a_driver_with_other_settings_are_not_taken_over(project):
    """A killed driver leaves its jobs; after a change of settings what they do is not what is asked for."""

    def folder():
        order = Evaluation(Project.open(project), 1, 0).order
        found = JobFolder.of(project, "i01s00", order, ("a1",), "code")
        found.prepare(order, ("a1",), title="i01s00", threads=1, seconds=None)
        found.write_bundles(0, [[0]])
        return found.path

    first = folder()
    assert folder() == first
    tiny.change_config(project, "min_correlation: 0.6", "min_correlation: 0.7")
    assert folder() != first
    assert run_elements(first, 0, 0) == 1
    answer = json.loads((first / "results" / "0.json").read_text())
    assert answer["kind"] == "WorkError" and "seisflow.yaml was changed" in answer["message"]


def test_a_day_that_fails_by_itself_leaves_the_others_and_elements_do_not_scan_the_archive(
    network, monkeypatch
):
    """An error that nobody foresaw ended the whole search; each element looked through all folders."""
    real = flow.run_day

    def broken(survey, day, threads, progress):
        if day_name(day) == "2026-03-01":
            raise ValueError("an odd day")
        return real(survey, day, threads, progress)

    monkeypatch.setattr(flow, "run_day", broken)
    with pytest.raises(WorkError, match=r"1 of 2 days failed(.|\n)*2026-03-01: ValueError: an odd day"):
        flow.detect(network)
    project = Project.open(network)
    assert project.failure_of("detection/2026-03-01/beam") == "ValueError: an odd day"
    assert project.record_of("detection/2026-02-28/beam")["results"]["detections"] > 0

    monkeypatch.setattr(flow, "run_day", real)
    monkeypatch.setattr(archive, "update_index", None)
    order = Order("day", {"step": "beam"}, digest(project.config))
    assert run_element(project, order, "2026-03-01", 1)["detections"] > 0
    assert project.failure_of("detection/2026-03-01/beam") is None
