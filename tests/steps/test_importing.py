import numpy as np
import pytest

from seisflow.domain import Event, Grid, Model, MomentTensor, Projection, Station
from seisflow.io.asdf_reading import read_observed
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.models import read_model, write_model
from seisflow.io.stations import write_stationxml
from seisflow.project import Project
from seisflow.steps.create import create_project
from seisflow.steps.importing import import_files

obspy = pytest.importorskip("obspy")
EVENT = Event("e1", 1.0e9, 37.9, -121.8, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
LATER = Event("e2", 1.0e9 + 86400, 37.7, -121.8, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
STATIONS = [Station("XX", "A", 38.1, -121.9), Station("XX", "B", 37.5, -121.9)]
GIL = "1.0 3.2 1.5 2.28 600 300\n2.0 4.5 2.4 2.28 600 300\n0.0 6.2 3.4 2.68 600 300\n"


@pytest.fixture
def project(tmp_path):
    create_project(tmp_path / "project")
    return Project.open(tmp_path / "project")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_quakeml(folder / "event.xml", EVENT)
    write_stationxml(folder / "stations.xml", STATIONS, ("BHE", "BHN", "BHZ"))
    for station in STATIONS:
        for channel in ("BHE", "BHZ"):
            record(folder, station.code, channel)
    return folder


def record(folder, station, channel, first=-200.0, last=400.0, event=EVENT, seed=0):
    """A recording from ``first`` to ``last`` s; the samples depend on the time alone, and on the seed."""
    count = round((last - first) * 5) + 1
    samples = np.round(1e4 * np.sin(np.arange(count) * 0.01 + first * 0.05 + seed)).astype(np.int32)
    start = obspy.UTCDateTime(event.time) + first
    header = {
        "network": "XX",
        "station": station,
        "channel": channel,
        "sampling_rate": 5.0,
        "starttime": start,
    }
    path = folder / f"{station}.{channel}.{seed}.{first:g}.mseed"
    obspy.Trace(samples, header).write(str(path), format="MSEED")
    return path


def recordings(project, event="e1"):
    return {trace.id: trace for trace in read_observed(project.observed_path(event))[0]}


def files(project):
    return {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}


def test_everything_finds_its_place_and_a_second_time_nothing_changes(project, source):
    (source / "layers.txt").write_text(GIL)
    report = import_files(project, [source])
    assert report.problems == []
    assert project.event_path("e1").is_file() and project.observed_path("e1").is_file()
    assert sorted(path.name for path in project.station_files()) == ["XX.A.xml", "XX.B.xml"]
    assert sorted(recordings(project)) == ["XX.A..BHE", "XX.A..BHZ", "XX.B..BHE", "XX.B..BHZ"]
    before = files(project)
    again = import_files(Project.open(project.root), [source])
    assert again.written == [] and again.problems == [] and again.same == 1 + 2 + 1 + 4
    assert files(project) == before


def test_recordings_that_come_later_join_the_others(project, source):
    import_files(project, [source])
    report = import_files(project, [record(source, "A", "BHN")])
    assert report.problems == [] and len(report.written) == 1
    assert "5 recordings, 1 of them new" in report.written[0]
    assert len(recordings(project)) == 5


def test_a_recording_that_differs_is_kept_until_told_otherwise(project, source):
    import_files(project, [source])
    old = recordings(project)["XX.A..BHZ"].data
    other = record(source, "A", "BHZ", seed=1)
    report = import_files(project, [other])
    assert report.written == []
    assert (
        len(report.problems) == 1 and "XX.A..BHZ" in report.problems[0] and "--replace" in report.problems[0]
    )
    np.testing.assert_array_equal(recordings(project)["XX.A..BHZ"].data, old)
    report = import_files(project, [other], replace=True)
    assert report.problems == [] and len(report.written) == 1
    found = recordings(project)
    assert len(found) == 4 and not np.array_equal(found["XX.A..BHZ"].data, old)


def test_a_longer_recording_of_the_same_takes_the_place_of_a_shorter_one(project, source):
    short = record(source, "B", "BHN", first=-60.0, last=200.0)
    import_files(project, [source])
    length = recordings(project)["XX.B..BHN"].stats.npts
    assert length == 260 * 5 + 1
    report = import_files(project, [record(source, "B", "BHN")])
    assert report.problems == [] and recordings(project)["XX.B..BHN"].stats.npts > length
    report = import_files(project, [short])
    assert report.written == [] and report.problems == [] and report.same == 1


def test_recordings_are_cut_for_each_event_with_room_for_the_response(project, source):
    write_quakeml(source / "later.xml", LATER)
    record(source, "A", "BHN", last=86400 + 400.0)
    report = import_files(project, [source])
    assert report.problems == []
    assert list(recordings(project, "e2")) == ["XX.A..BHN"] and len(recordings(project)) == 5
    trace = recordings(project, "e2")["XX.A..BHN"]
    axis = project.config.axis()
    before = LATER.time + axis.start - trace.stats.starttime.timestamp
    after = trace.stats.endtime.timestamp - LATER.time - axis.end
    assert before >= 50 and 50 <= after < 300


def test_what_belongs_to_no_event_or_station_is_said_once(project, source):
    record(source, "A", "BHN", first=-9000.0, last=-8000.0)
    record(source, "B", "BHN", first=-9000.0, last=-8000.0)
    record(source, "C", "BHZ")
    report = import_files(project, [source])
    assert len(recordings(project)) == 4
    unknown, none = sorted(report.problems)
    assert "2 in all" in none and "2001-09-08" in none
    assert "XX.C" in unknown and "StationXML" in unknown


def test_a_recording_that_is_too_short_says_what_is_needed(project, source):
    record(source, "A", "BHN", first=0.0, last=50.0)
    (problem,) = import_files(project, [source]).problems
    assert "XX.A..BHN" in problem and "0 to 50 s" in problem and "2.38737 to 115.916 s is needed" in problem


def test_new_instruments_and_events_reach_the_recordings(project, source, tmp_path):
    import_files(project, [source])
    moved = Station("XX", "A", 38.2, -121.9)
    write_stationxml(tmp_path / "moved.xml", [moved], ("BHE", "BHN", "BHZ"))
    report = import_files(project, [tmp_path / "moved.xml"])
    assert report.written == [] and "XX.A" in report.problems[0]
    report = import_files(project, [tmp_path / "moved.xml"], replace=True)
    assert report.problems == [] and len(report.written) == 2
    inventory = read_observed(project.observed_path("e1"))[1]
    assert inventory.select(station="A")[0][0].latitude == pytest.approx(38.2)
    assert inventory.select(station="B")[0][0].latitude == pytest.approx(37.5)
    shallow = Event("e1", EVENT.time, EVENT.latitude, EVENT.longitude, 5e3, EVENT.source)
    write_quakeml(tmp_path / "e1.xml", shallow)
    before = project.observed_path("e1").read_bytes()
    assert "e1" in import_files(project, [tmp_path / "e1.xml"]).problems[0]
    assert project.observed_path("e1").read_bytes() == before
    import_files(project, [tmp_path / "e1.xml"], replace=True)
    assert read_quakeml(project.event_path("e1"))[0].depth == 5e3
    assert project.observed_path("e1").read_bytes() != before and len(recordings(project)) == 4


def test_a_damaged_file_of_recordings_is_named_and_can_be_replaced(project, source):
    import_files(project, [source])
    path = project.observed_path("e1")
    path.write_bytes(path.read_bytes()[:2000])
    report = import_files(project, [source])
    assert path.name in report.problems[0] and path.stat().st_size == 2000
    report = import_files(project, [source], replace=True)
    assert report.problems == [] and len(recordings(project)) == 4


def test_layers_become_a_model_at_the_period_of_the_stages(project, tmp_path):
    (tmp_path / "gil.txt").write_text(GIL)
    report = import_files(project, [tmp_path / "gil.txt"])
    assert report.problems == [] and "31.6 s" in report.written[0]
    assert "blurred" in report.written[0] and "250 m" in report.written[0]
    model = read_model(project.model_path(0))
    assert model.grid == project.config.region.grid()
    expected = 3400 * (1 - np.log(np.sqrt(20 * 50)) / (np.pi * 300))
    assert model.vs[0, 0, -1] == pytest.approx(expected, rel=1e-6)


def test_layers_without_q_stay_as_they_are(project, tmp_path):
    (tmp_path / "two.txt").write_text("20.0 5.0 2.8 2.6\n0.0 7.8 4.5 3.3\n")
    report = import_files(project, [tmp_path / "two.txt"])
    assert report.written == ["models/m00.nc (start model, 21 x 21 x 31 nodes)"]
    assert read_model(project.model_path(0)).vs[0, 0, -1] == pytest.approx(4500, rel=1e-6)


def test_a_model_of_an_earlier_region_is_told_from_the_new_one(project, tmp_path):
    (tmp_path / "gil.txt").write_text(GIL)
    import_files(project, [tmp_path / "gil.txt"])
    settings = project.root / "seisflow.yaml"
    settings.write_text(settings.read_text().replace("width: 200000", "width: 300000"))
    wider = Project.open(project.root)
    before = wider.model_path(0).read_bytes()
    (problem,) = import_files(wider, [tmp_path / "gil.txt"]).problems
    assert "21 x 21 x 31" in problem and "31 x 21 x 31" in problem and "--replace" in problem
    assert wider.model_path(0).read_bytes() == before
    assert import_files(wider, [tmp_path / "gil.txt"], replace=True).problems == []
    assert read_model(wider.model_path(0)).grid.shape == (31, 21, 31)


def test_a_gridded_model_must_be_centred_on_the_region(project, tmp_path):
    grid = Grid((0.0, 0.0, 0.0), (1e4, 1e4, 1e4), (2, 2, 2))
    fields = [np.full(grid.shape, value) for value in (6000.0, 3400.0, 2700.0)]
    write_model(tmp_path / "far.nc", Model(grid, Projection(10.0, 20.0), *fields))
    (problem,) = import_files(project, [tmp_path / "far.nc"]).problems
    assert "far.nc" in problem and "10, 20" in problem and "region.latitude" in problem
    region = project.config.region
    write_model(tmp_path / "near.nc", Model(grid, region.projection(), *fields))
    assert import_files(project, [tmp_path / "near.nc"]).problems == []


def test_of_two_models_none_is_taken(project, tmp_path):
    (tmp_path / "one.txt").write_text(GIL)
    (tmp_path / "two.txt").write_text(GIL)
    report = import_files(project, [tmp_path / "one.txt", tmp_path / "two.txt"])
    assert report.written == [] and "2 models" in report.problems[0]
    assert not project.model_path(0).exists()
