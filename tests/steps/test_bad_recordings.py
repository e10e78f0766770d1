"""Recordings that cannot be used, or must be corrected: recognised, named, listed; none crashes an event."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from obspy.core.inventory import Response
from seisflow.workflows.iterate import iterate

from seisflow.errors import PhysicsError
from seisflow.io.asdf import write_observed
from seisflow.io.asdf_reading import read_observed
from seisflow.io.event_file import read_event
from seisflow.io.events import read_quakeml
from seisflow.io.provenance import Provenance
from seisflow.io.stations import read_inventory, read_stationxml, write_stationxml
from seisflow.project import Project
from seisflow.steps.datastatus import data_status, left_out_lines
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import run_event
from seisflow.steps.query import ask
from seisflow.steps.station_quality import faults_of


def spoil(root, change, events=tiny.EVENTS, inventory=None) -> None:
    """Change the traces of events; ``change(trace)`` returns a trace, several, or None for what is as it was."""
    for name in events:
        path = root / "observed" / f"{name}.h5"
        stream, there = read_observed(path)
        (event,) = read_quakeml(root / "events" / f"{name}.xml")
        traces = []
        for trace in stream:
            found = change(trace.copy())
            traces += found if isinstance(found, list) else [found or trace]
        write_observed(path, event, type(stream)(traces), inventory or there, provenance=Provenance("tests"))


def with_samples(trace, first, last, values):
    trace.data[first:last] = values
    return trace


def gap(trace):
    start = trace.stats.starttime
    return [trace.slice(start, start + 18), trace.slice(start + 24)]


def late(trace, seconds):
    trace.stats.starttime += seconds
    return trace


FAULTS = {
    ("S0", "HXZ"): (lambda t: with_samples(t, 40, 42, np.nan), "HXZ holds NaN or infinite samples"),
    ("S1", "HXZ"): (gap, "HXZ has a gap from 8 to 14 s"),
    ("S2", "HXZ"): (
        lambda t: with_samples(t, 30, 45, 3 * np.abs(t.data).max()),
        "HXZ is clipped: 15 samples",
    ),
    ("S3", "HXZ"): (lambda t: with_samples(t, 0, None, 7.0), "HXZ is flat: all samples are 7"),
    ("S4", "HXZ"): (lambda t: with_samples(t, 0, None, 0.0), "HXZ is dead: all samples are zero"),
    ("S5", "HXZ"): (
        lambda t: t.slice(endtime=t.stats.starttime + 20),
        "HXZ is too short: recorded -10 to 10 s",
    ),
}


@pytest.fixture(scope="module")
def spoiled(tiny_source, tmp_path_factory):
    """One iteration of a project in which every station has something wrong."""
    root = tiny.copy(tiny_source, tmp_path_factory.mktemp("spoiled") / "project")
    tiny.change_config(root, "name: tiny", "name: tiny\npictures: false")

    def change(trace):
        key = trace.stats.station, trace.stats.channel
        if key in FAULTS:
            return FAULTS[key][0](trace)
        if key == ("S6", "HXZ"):
            trace.data = -trace.data
        if key[0] == "S7":
            return late(trace, 2.5)
        if key[0] == "S5":
            trace.data = 20 * trace.data
        if key == ("S6", "HXE"):  # longer than it need be, and in two pieces that touch
            return [trace.slice(endtime=trace.stats.starttime + 15), trace.slice(trace.stats.starttime + 15)]
        return trace

    spoil(root, change)
    iterate(root, 1, 1)
    return Project.open(root)


@pytest.mark.parametrize("fault", FAULTS, ids="".join)
def test_a_trace_that_cannot_be_used_is_named_and_left_out(spoiled, fault):
    content = read_event(spoiled.event_file(1, 0, "a1"))
    (row,) = [
        each
        for each in content.rejections
        if (each.station, each.component, each.stage) == (f"XX.{fault[0]}", "Z", "recording")
    ]
    assert row.reason.startswith(FAULTS[fault][1])
    gather = content.gathers["observed_processed"]
    assert not gather.is_live(gather.station_number(f"XX.{fault[0]}"), 2)
    assert not [w for w in content.windows if (w.station, w.component) == (f"XX.{fault[0]}", "Z")]
    assert any(
        f"XX.{fault[0]} Z" in what and FAULTS[fault][1][4:] in reason
        for _, what, reason in left_out_lines(data_status(spoiled))
    )


def test_other_components_and_lengths_are_used(spoiled):
    gather = read_event(spoiled.event_file(1, 0, "a1")).gathers["observed_processed"]
    assert np.asarray(gather.live)[:, :2].all() and np.isfinite(gather.data).all()
    assert spoiled.model_path(1).is_file()


@pytest.mark.parametrize(
    ("station", "kind", "told", "correction"),
    [
        ("XX.S6", "polarity", "Z reversed on", "XX.S6: {reversed: [Z]}"),
        ("XX.S7", "clock", "s late on", "XX.S7: {late: 2."),
        ("XX.S5", "gain", "times those of other stations on", "XX.S5: {gain: "),
    ],
)
def test_a_station_that_is_wrong_on_all_events_is_named_with_the_evidence(
    spoiled, station, kind, told, correction
):
    (fault,) = [each for each in faults_of(spoiled, 1) if each.station == station]
    assert fault.kind == kind and told in fault.evidence and fault.correction.startswith(correction)
    with ask(spoiled, f"select distinct fault from station_quality where station = '{station}'") as answer:
        ((text,),) = [tuple(row.values()) for row in answer.read_all().to_pylist()]
    assert text == f"{kind}: {fault.evidence}"
    assert {each.station for each in faults_of(spoiled, 1)} == {"XX.S5", "XX.S6", "XX.S7"}


def test_what_is_named_can_be_corrected_or_dropped(tiny_source, spoiled, tmp_path):
    root = tiny.copy(spoiled.root, tmp_path / "project")
    corrections = (
        "XX.S6: {reversed: [Z]}, XX.S7: {late: 2.5}, XX.S5: {gain: 20}, XX.S0: {drop: true, events: [a1]}"
    )
    tiny.change_config(root, "observed: velocity", f"observed: velocity, corrections: {{{corrections}}}")
    project = Project.open(root)
    assert any("corrections" in reason for reason in project.why(EventStep(project, 1, 0, "a1").task))
    run_event(EventStep(project, 1, 0, "a1"))
    content = read_event(project.event_file(1, 0, "a1"))
    assert ("XX.S0", "dropped by data.corrections") in [(r.station, r.reason) for r in content.rejections]
    clean = Project.open(tiny.copy(tiny_source, tmp_path / "clean"))
    run_event(EventStep(clean, 1, 0, "a1"))
    expected = read_event(clean.event_file(1, 0, "a1")).gathers["observed_processed"]
    found = content.gathers["observed_processed"]
    assert "XX.S0" not in {station.id for station in found.stations}
    for station, component in (("XX.S6", 2), ("XX.S7", 0), ("XX.S7", 2), ("XX.S5", 0)):
        one = found.data[found.station_number(station), component]
        other = expected.data[expected.station_number(station), component]
        assert np.abs(one - other).max() < 0.02 * np.abs(other).max()
    for event in project.used:
        run_event(EventStep(project, 1, 0, event))
    run_event(EventStep(project, 1, 0, "h1"))
    assert faults_of(project, 1) == []


def test_corrections_of_what_is_not_there_are_refused(run, project):
    tiny.change_config(
        project, "observed: velocity", "observed: velocity, corrections: {XX.S99: {drop: true}}"
    )
    code, _, error = run("check", "-p", project)
    assert code == 2 and "data.corrections names XX.S99" in error


def test_wrong_units_of_all_recordings_stop_the_run_and_are_named(project):
    def change(trace):
        trace.data = 1e9 * trace.data
        return trace

    spoil(project, change)
    with pytest.raises(PhysicsError, match=r"times the synthetics.*data\.observed \(velocity\)"):
        iterate(project, 1, 1)


def test_responses_that_are_missing_or_of_another_kind_are_named(project):
    inventory = read_inventory(project / "stations" / "XX.xml")
    for station in inventory[0]:
        for channel in station:
            channel.response = Response.from_paz(
                zeros=[0j], poles=[-1 + 1j, -1 - 1j], stage_gain=1e3, input_units="M/S"
            )
            if station.code == "S1":
                channel.response.instrument_sensitivity.input_units = "PA"
                channel.response.response_stages[0].input_units = "PA"
            if station.code == "S2":
                channel.response = None
    spoil(project, lambda trace: trace, ["a1"], inventory)
    tiny.change_config(project, "observed: velocity", "observed: counts")
    found = Project.open(project)
    run_event(EventStep(found, 1, 0, "a1"))
    rejections = read_event(found.event_file(1, 0, "a1")).rejections
    reasons = {row.station: row.reason for row in rejections if row.stage == "recording"}
    assert "HXZ has a response to PA, not to ground motion" in reasons["XX.S1"]
    assert "HXZ has no response in the station metadata" in reasons["XX.S2"]
    assert set(reasons) == {"XX.S1", "XX.S2"}


def test_of_two_codes_at_one_place_one_is_used(project):
    stations = read_stationxml([project / "stations" / "XX.xml"])
    twin = replace(next(each for each in stations if each.code == "S3"), network="YY", code="TWIN")
    write_stationxml(project / "stations" / "YY.xml", [twin], tiny.CHANNELS)
    both = read_inventory(project / "stations" / "XX.xml") + read_inventory(project / "stations" / "YY.xml")

    def change(trace):
        if trace.stats.station != "S3":
            return trace
        other = trace.copy()
        other.stats.network, other.stats.station = "YY", "TWIN"
        return [trace, other] if trace.stats.channel != "HXZ" else [other]

    spoil(project, change, ["a1"], both)
    found = Project.open(project)
    run_event(EventStep(found, 1, 0, "a1"))
    content = read_event(found.event_file(1, 0, "a1"))
    used = {station.id for station in content.gathers["observed_processed"].stations}
    assert "YY.TWIN" in used and "XX.S3" not in used  # the one with most components
    (row,) = [each for each in content.rejections if each.stage == "duplicate"]
    assert (row.station, row.reason.partition(",")[0]) == ("XX.S3", "stands where YY.TWIN does")
    assert any(
        "XX.S3" in what and "YY.TWIN" in reason for _, what, reason in left_out_lines(data_status(found))
    )
    tiny.change_config(project, "observed: velocity", "observed: velocity, duplicates: 0")
    again = Project.open(project)
    assert {"YY.TWIN", "XX.S3"} <= {station.id for station in EventStep(again, 1, 0, "a1").stations}
