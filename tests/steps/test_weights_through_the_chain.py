"""Weights in the whole chain: misfit, gradient, line search, records."""

from __future__ import annotations

import json

import pytest
import tiny
from seisflow.workflows.iterate import iterate

from seisflow.io.event_file import read_event
from seisflow.project import Project
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import run_event
from seisflow.steps.frozen_windows import check_windows
from seisflow.steps.gradient_check import check_gradient
from seisflow.steps.query import ask

WEIGHTS = (
    "weights: {receivers: auto, sources: 12000, components: {T: 3}, balance: true, signal_to_noise: 60}\n"
    "    quality: {max_shift_deviation: 8}"
)


def with_weights(root, weights: str = WEIGHTS) -> Project:
    """The tiny project with weights in its first stage."""
    tiny.change_config(root, "iterations: 3\n", f"iterations: 3\n    {weights}\n")
    return Project.open(root)


def test_the_weighted_gradient_is_exact(project):
    for row in check_gradient(with_weights(project), "a1", change=0.005):
        assert abs(row.orders[-1] - 2) < 0.1 and abs(row.ratio - 1) < 2e-3


def test_weights_are_kept_with_their_factors_and_stay_with_frozen_windows(project):
    found = with_weights(project)
    tiny.change_config(project, "hold_out: [h1]", "hold_out: [h1, a2/XX.S3]")
    found = Project.open(project)
    first, second = iterate(project, 1, 2)
    for event in found.event_ids:
        windows = read_event(found.event_file(1, 0, event), waveforms=False).windows
        assert all(window.weight == window.factors.product for window in windows)
        assert read_event(found.event_file(2, 0, event), waveforms=False).windows == windows
        held = found.held_stations(event)
        used = [window for window in windows if window.station not in held]
        source = used[0].factors.source
        assert sum(window.factors.receiver for window in used) == pytest.approx(len(used))
        by_component = {window.component: 0.0 for window in used}
        for window in used:
            by_component[window.component] += window.weight
        assert by_component["T"] == pytest.approx(3 * by_component["Z"], rel=1e-9)
        assert source != 1 or event == "h1"
    # what the line search compared is the weighted mean, over the same windows before and after
    sql = (
        "select sum(misfit) / sum(weight) as before, sum(misfit_after) / sum(weight) as after, "
        "min(weight) as low, max(weight) as high, "
        "max(abs(weight - weight_source * weight_receiver * weight_category * weight_signal_to_noise)) as off "
        "from measurements where kept and not held_out and iteration = 1"
    )
    with ask(found, sql) as answer:
        (row,) = answer.read_all().to_pylist()
    assert [row["before"], row["after"]] == pytest.approx(first["misfit"], rel=1e-12)
    assert row["off"] < 1e-12 and row["high"] > 2 * row["low"]
    assert second["misfit"][0] == pytest.approx(first["misfit"][1], rel=1e-6)


def test_changed_weights_do_not_go_with_frozen_windows(project):
    found = with_weights(project)
    run_event(EventStep(found, 1, 0, "a1"))
    tiny.change_config(project, "components: {T: 3}", "components: {T: 2}")
    again = Project.open(project)
    with pytest.raises(Exception, match=r"setting weights\.components\.T changed from 3.0 to 2.0"):
        check_windows(again, 2)


def test_without_weights_nothing_changes(project):
    """Settings that ask for nothing give the bits of settings that are left out."""
    plain = Project.open(project)
    run_event(EventStep(plain, 1, 0, "a1"))
    files = [plain.event_file(1, 0, "a1"), plain.kernel_path(1, "a1")]
    before = [path.read_bytes() for path in files]
    record = json.loads(plain.record_path("i01/s00/a1").read_text())
    assert record["results"]["weight"] == record["results"]["windows"]
    for path in (*files, plain.record_path("i01/s00/a1")):
        path.unlink()
    run_event(EventStep(with_weights(project, "weights: {balance: false}"), 1, 0, "a1"))
    assert [path.read_bytes() for path in files] == before
