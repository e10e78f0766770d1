"""A trial that is taken has prepared the next iteration; a stage waits until its windows are safe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from seisflow.workflows import iterate as flow

from seisflow.io.event_file import read_event
from seisflow.project import Project
from seisflow.solvers import Elastic3D
from seisflow.steps.update import held_back


@pytest.fixture
def small(tiny_source, tmp_path) -> Path:
    root = tiny.copy(tiny_source, tmp_path / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")
    return root


def count_runs(monkeypatch) -> dict[str, int]:
    counts = {"forward": 0, "adjoint": 0}
    for name in counts:
        whole = getattr(Elastic3D, name)

        def counted(self, *arguments, _name=name, _whole=whole, **options):
            counts[_name] += 1
            return _whole(self, *arguments, **options)

        monkeypatch.setattr(Elastic3D, name, counted)
    return counts


def test_looking_ahead_changes_no_bit_and_saves_simulations(small, tmp_path, monkeypatch):
    plain = tiny.copy(small, tmp_path / "plain")
    counts = count_runs(monkeypatch)
    flow.iterate(small, 1, 2)
    ahead = dict(counts)
    monkeypatch.setattr(flow, "looks_ahead", lambda *arguments: None)
    flow.iterate(plain, 1, 2)
    without = {name: counts[name] - ahead[name] for name in counts}
    for number in range(3):
        assert (
            Project.open(small).model_path(number).read_bytes()
            == Project.open(plain).model_path(number).read_bytes()
        )
    assert sum(ahead.values()) < sum(without.values())
    events = len(tiny.EVENTS)
    assert ahead["forward"] <= without["forward"] - events  # of at least one iteration they were all there


def test_a_stage_waits_until_its_windows_are_safe_but_not_for_ever(small):
    guarded = "    iterations: 2\n    guard: {max_unsafe: 0.0, at_most: 2}"
    tiny.change_config(small, "    iterations: 2", guarded)
    tiny.change_config(small, "    iterations: 3", "    iterations: 1")
    project = Project.open(small)
    said: list[str] = []

    class Listener:
        def begin(self, title, names):
            pass

        def advance(self, name, fraction):
            pass

        def end(self):
            pass

        def say(self, text):
            said.append(text)

    flow.iterate(small, 1, 1)
    flow.iterate(small, 2, 2, Listener())
    assert project.held and project.stage_of(2)[0] == 0
    assert any("stage 2 is held back" in text for text in said)
    assert project.iterations == 3 + len(project.held)
    note = json.loads((small / "iterations" / "held.json").read_text())["2"]
    assert note["stage"] == 1 and 0 < note["unsafe"] <= 1
    # a limit that lets it through makes the note void
    tiny.change_config(small, "max_unsafe: 0.0", "max_unsafe: 1.0")
    assert not Project.open(small).held and Project.open(small).stage_of(2) == (1, 0)
    assert held_back(Project.open(small), 2) is None


def test_a_station_held_out_is_measured_and_moves_nothing(small, tmp_path):
    """The gradient without a station is that of its absence; its windows are counted apart."""
    names = [f"XX.S{n}" for n in range(3)]
    tiny.change_config(small, "hold_out: [h1]", f"hold_out: [h1, {', '.join(names)}]")
    gained = flow.iterate(small, 1, 1)[0]
    project = Project.open(small)
    results = {event: project.record_of(f"i01/s00/{event}")["results"] for event in project.used}
    assert all(result["held_windows"] > 0 and result["windows"] > 0 for result in results.values())
    held = (
        sum(r["held_misfit"] for r in results.values()) + project.record_of("i01/s00/h1")["results"]["misfit"]
    )
    count = (
        sum(r["held_windows"] for r in results.values())
        + project.record_of("i01/s00/h1")["results"]["windows"]
    )
    assert gained["held_out"][0] == pytest.approx(held / count, rel=1e-12)
    for event in project.used:
        content = read_event(project.event_file(1, 0, event))
        stations = [station.id for station in content.adjoint.stations]
        for name in names:
            assert not content.adjoint.data[stations.index(name)].any()
        assert {row.window.station for row in content.measurements} > set(names)
