"""Windows by first arrivals of P and S in the start model of a project."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from pyproj import Geod

from seisflow.io.event_candidates import read_candidates
from seisflow.io.event_file import read_event
from seisflow.project import Project
from seisflow.steps.arrival_times import phase_times
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import run_event
from seisflow.steps.inputs import event_of, stations_of

BEFORE = (
    "misfit: {kind: waveform}\n    windows: {travel_times: velocities, min_velocity: 1500, max_velocity: 7000"
)
AFTER = "misfit: {kind: waveform}\n    windows: {travel_times: model, min_velocity: 1500, waves: phases, phases: [S]"


@pytest.fixture
def by_model(project):
    tiny.change_config(project, BEFORE, AFTER)
    return Project.open(project)


def exact(event, stations, gradient, top):
    """Times in v = top + gradient z from the event to the surface, s."""
    geod = Geod(ellps="WGS84")
    away = np.array([geod.inv(event.longitude, event.latitude, s.longitude, s.latitude)[2] for s in stations])
    speeds = top * (top + gradient * event.depth)
    return np.arccosh(1 + gradient**2 * (away**2 + event.depth**2) / (2 * speeds)) / gradient


def test_times_are_those_of_the_start_model(by_model):
    event, stations = event_of(by_model, "a1"), stations_of(by_model)
    found = phase_times(by_model, by_model.config.stages[0].compared[0].windows, event, stations)
    for phase, factor in (("P", 1.75), ("S", 1.0)):
        truth = exact(event, stations, factor * 700 / 16_000, factor * 2900)
        np.testing.assert_allclose(found[phase], truth, rtol=0.01)


def test_windows_hold_the_phase_that_is_wanted_and_follow_the_start_model(by_model):
    run_event(EventStep(by_model, 1, 0, "a1"))
    path = by_model.event_file(1, 0, "a1")
    content, (found,) = read_event(path, waveforms=False), read_candidates(path).values()
    stations = {station.id: number for number, station in enumerate(stations_of(by_model))}
    times = phase_times(
        by_model, by_model.config.stages[0].compared[0].windows, content.event, stations_of(by_model)
    )
    assert len(content.windows) > 5
    for window in content.windows:
        assert window.phases == ("S",)
        assert window.start <= times["S"][stations[window.station]] <= window.end
    ends = found.times(found.table.right)
    first = times["P"][[stations[found.stations[number]] for number in found.table.station]]
    kept = found.table.stage == 0
    assert (ends[kept] >= first[kept] - 6).all()
    assert not by_model.why(EventStep(by_model, 1, 0, "a1").task)
    tiny.change_config(by_model.root, "phases: [S]", "phases: [P]")
    again = Project.open(by_model.root)
    assert any("windows" in reason for reason in again.why(EventStep(again, 1, 0, "a1").task))
    run_event(EventStep(again, 1, 0, "a1"))
    assert {w.phases for w in read_event(path, waveforms=False).windows} == {("P",)}
