"""Ragged networks through the import: other rates, codes, gaps, missing and turned components; what became of them."""

import json

import numpy as np
import pytest
import tiny

from seisflow.domain import Event, MomentTensor, Station
from seisflow.io.asdf_reading import read_observed
from seisflow.io.events import write_quakeml
from seisflow.io.stations import read_stationxml, write_stationxml
from seisflow.project import Project
from seisflow.signal import prepare_observed
from seisflow.steps.create import create_project
from seisflow.steps.datastatus import data_status
from seisflow.steps.importing import import_files
from seisflow.steps.inputs import event_of, stations_of

obspy = pytest.importorskip("obspy")
EVENT = Event("e1", 1.0e9, 37.9, -121.8, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
STATIONS = [Station("XX", code, 37.5 + 0.1 * number, -121.9) for number, code in enumerate("ABCDEF")]


@pytest.fixture
def project(tmp_path):
    create_project(tmp_path / "project")
    path = tmp_path / "project" / "seisflow.yaml"
    path.write_text(path.read_text().replace("observed: counts", "observed: velocity"))
    return Project.open(tmp_path / "project")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_quakeml(folder / "event.xml", EVENT)
    write_stationxml(folder / "stations.xml", STATIONS, ())
    return folder


def record(folder, station, channel, *, first=-200.0, last=400.0, rate=5.0, kind="MSEED", location=""):
    times = first + np.arange(round((last - first) * rate) + 1) / rate
    samples = 1e-6 * np.sin(2 * np.pi * times / 27) * np.exp(-(((times - 60) / 50) ** 2))
    header = {
        "network": "XX",
        "station": station,
        "channel": channel,
        "location": location,
        "sampling_rate": rate,
    }
    trace = obspy.Trace(samples, {**header, "starttime": obspy.UTCDateTime(EVENT.time) + first})
    name = f"{station}.{location}.{channel}.{first:g}.{kind.lower()}"
    trace.write(str(folder / name), format=kind)
    return folder / name


def prepared(project):
    stream, inventory = read_observed(project.observed_path("e1"))
    config = project.config
    stations = tuple(s for s in stations_of(project) if stream.select(station=s.code))
    return prepare_observed(
        stream, inventory, event_of(project, "e1"), stations, config.axis(), config.signal(0)
    )


def test_what_can_be_used_of_a_ragged_network_is_used(project, source):
    for channel in ("HXE", "HXN", "HXZ"):
        record(source, "A", channel, rate=20.0)
    record(source, "B", "LHZ", rate=1.0, kind="SAC")  # the vertical alone
    record(source, "C", "BHZ", first=-60, last=70)  # a gap of a second is bridged
    record(source, "C", "BHZ", first=71, last=300)
    record(source, "D", "BHZ", first=1.0, last=140.0)  # starts late, ends early
    record(source, "E", "BHN")
    record(source, "E", "BHZ", first=-60, last=40)
    record(source, "E", "BHZ", first=50, last=300)  # a gap of ten seconds
    record(source, "F", "HHZ", rate=20.0)
    record(source, "F", "BHZ", location="10")
    record(source, "F", "BHZ", location="00")
    report = import_files(project, [source])
    (problem,) = report.problems
    assert "XX.E..BHZ, event e1: BHZ has a gap from 40 to 50 s" in problem
    assert any("XX.F uses 00.BHZ, in reserve 10.BHZ, HHZ" in remark for remark in report.remarks)
    gather, rejections = prepared(project)
    live = {s.id: "".join(np.array(gather.components)[gather.live[n]]) for n, s in enumerate(gather.stations)}
    assert live == {"XX.A": "RTZ", "XX.B": "Z", "XX.C": "Z", "XX.D": "Z", "XX.E": "", "XX.F": "Z"}
    reasons = {(r.station, r.component): r.reason for r in rejections}
    assert "only BHN recorded" in reasons["XX.E", "R"]
    times = gather.times
    inside = (times > 20) & (times < 110)
    z = gather.data[:, 2]
    for number, name in enumerate("ABCD"):
        expected = z[0, inside]
        assert np.abs(z[number, inside] - expected).max() < 0.04 * np.abs(expected).max(), name


def test_a_gap_that_is_filled_later_joins_and_the_log_forgets_it(project, source):
    record(source, "E", "BHZ", first=-60, last=40)
    record(source, "E", "BHZ", first=50, last=300)
    assert len(import_files(project, [source]).problems) == 1
    assert [row["stage"] for row in data_status(project)["events"]["e1"]["left_out"]] == ["import", "import"]
    record(source, "E", "BHZ", first=40, last=50)
    report = import_files(project, [source])
    assert report.problems == []
    assert data_status(project)["events"]["e1"]["left_out"] == []
    assert (
        not (project.root / "observed" / "import_log.json").exists()
        or json.loads((project.root / "observed" / "import_log.json").read_text())["events"] == {}
    )


def test_recordings_without_response_wait_for_it(project, source):
    path = project.root / "seisflow.yaml"
    path.write_text(path.read_text().replace("observed: velocity", "observed: counts"))
    project = Project.open(project.root)
    record(source, "A", "BHZ")
    report = import_files(project, [source])
    assert report.problems == [] and any("no response" in remark for remark in report.remarks)
    (row,) = data_status(project)["events"]["e1"]["left_out"]
    assert (row["what"], row["stage"]) == ("XX.A..BHZ", "metadata")
    path.write_text(path.read_text().replace("observed: counts", "observed: velocity"))
    assert data_status(Project.open(project.root))["events"]["e1"]["left_out"] == []


def test_a_named_event_gets_all_recordings(project, source, run, tmp_path):
    late = Event("e2", 1.0e9 + 0.5, 37.6, -121.8, 1e4, EVENT.source)
    write_quakeml(source / "e2.xml", late)
    (tmp_path / "w").mkdir()
    record(tmp_path / "w", "A", "BHZ")
    code, _, error = run("import", source, tmp_path / "w", "--project", project.root)
    assert code == 0 and "could belong to any of the events e1, e2" in error
    code, out, _ = run("import", tmp_path / "w", "--event", "e2", "--project", project.root)
    assert code == 0 and out == "observed/e2.h5 (1 recordings)\n"
    code, _, error = run("import", tmp_path / "w", "--event", "e3", "--project", project.root)
    assert code == 2 and "--event e3: there is no such event; events are e1, e2" in error


def test_status_tells_what_an_iteration_used(done, run):
    code, out, _ = run("status", "--data", "--json", "--project", done)
    content = json.loads(out)
    assert code == 0 and content["iteration"] >= 1
    row = content["events"]["a1"]
    assert (row["stations"], row["used_stations"], row["used_traces"]) == (tiny.STATIONS, tiny.STATIONS, 24)
    assert row["channels"] == {"HX": 24} and row["windows"] > 0 and row["left_out"] == []
    code, out, _ = run("status", "--data", "--project", done)
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[0][:3] == ["event", "stations", "used"] and lines[-1][0] == "total"
    assert all(len(line) == len(lines[0]) for line in lines)


@pytest.mark.realdata
def test_noise_correlations_of_several_virtual_sources(shared_data, tmp_path):
    create_project(tmp_path / "noise")
    project = Project.open(tmp_path / "noise")
    report = import_files(project, [shared_data / "socal_noise"])
    assert report.problems == []
    project = Project.open(tmp_path / "noise")
    counts = {event: len(read_observed(project.observed_path(event))[0]) for event in project.event_ids}
    assert counts == {"CI.STC": 26, "TA.109C": 6, "TA.U11A": 3}
    assert len(project.station_files()) == len(read_stationxml(project.station_files())) == 147
    text = (project.root / "seisflow.yaml").read_text()
    for old, new in (("observed: counts", "observed: velocity"), ("duration: 150", "duration: 300")):
        assert old in text
        text = text.replace(old, new)
    (project.root / "seisflow.yaml").write_text(text)
    project = Project.open(project.root)
    again = import_files(project, [shared_data / "socal_noise"])  # longer seismograms are wanted now
    assert len(again.written) == 3 and all(line.startswith("observed/") for line in again.written)
    for event in project.event_ids:
        stream, inventory = read_observed(project.observed_path(event))
        stations = tuple(s for s in stations_of(project) if stream.select(network=s.network, station=s.code))
        config = project.config
        gather, _ = prepare_observed(
            stream, inventory, event_of(project, event), stations, config.axis(), config.signal(0)
        )
        assert gather.live[:, 2].all() and not gather.live[:, :2].any()
    assert import_files(project, [shared_data / "socal_noise"]).written == []
