import numpy as np
import pytest

from seisflow.domain import Event, Grid, Model, MomentTensor, Projection, Station
from seisflow.io.collect import collect, sniff
from seisflow.io.events import write_quakeml
from seisflow.io.models import write_model
from seisflow.io.stations import write_stationxml
from seisflow.io.waveforms import cut

obspy = pytest.importorskip("obspy")
EVENT = Event("e1", 1.0e9, 38.0, -122.0, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
STATIONS = [Station("XX", "A", 38.5, -122.0), Station("XX", "B", 37.5, -122.0)]
CMT = """ PDE 2011  8 23 17 51  4.60  37.9400  -77.9300   6.0 5.9 5.8 VIRGINIA
event name:     201108231751A
time shift:      3.2700
half duration:   1.8000
latitude:       37.9100
longitude:     -77.9300
depth:          12.0000
Mrr:       4.710000e+24
Mtt:       3.810000e+22
Mpp:      -4.740000e+24
Mrt:       3.990000e+23
Mrp:      -8.050000e+23
Mtp:      -1.230000e+24
"""


def fill(folder):
    """One file of each kind."""
    folder.mkdir()
    write_quakeml(folder / "event.xml", EVENT)
    (folder / "CMTSOLUTION_1").write_text(CMT)
    write_stationxml(folder / "a.xml", STATIONS[:1])
    write_stationxml(folder / "b.xml", STATIONS[1:])
    (folder / "layers.txt").write_text("1.0 3.2 1.5 2.2\n0.0 6.0 3.4 2.7\n")
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (2, 2, 2))
    fields = (np.full(grid.shape, value) for value in (6000.0, 3400.0, 2700.0))
    write_model(folder / "model.nc", Model(grid, Projection(38.0, -122.0), *fields))
    for station in STATIONS:
        header = {"network": "XX", "station": station.code, "channel": "BHZ", "sampling_rate": 10.0}
        data = np.arange(1000, dtype=np.int32)
        trace = obspy.Trace(data, {**header, "starttime": obspy.UTCDateTime(EVENT.time)})
        trace.write(str(folder / f"{station.code}.mseed"), format="MSEED")


KINDS = {
    "event.xml": "quakeml",
    "CMTSOLUTION_1": "cmtsolution",
    "a.xml": "stationxml",
    "layers.txt": "layers",
    "model.nc": "model",
    "A.mseed": "waveforms",
}


def test_each_kind_is_recognised(tmp_path):
    fill(tmp_path / "in")
    assert {name: sniff(tmp_path / "in" / name) for name in KINDS} == KINDS


def test_everything_is_collected(tmp_path):
    from seisflow.io.asdf import write_observed
    from seisflow.io.provenance import Provenance

    fill(tmp_path / "in")
    found = collect([tmp_path / "in"])
    assert found.problems == []
    assert sorted(event.id for event in found.events) == ["201108231751A", "e1"]
    assert found.stations == STATIONS
    assert [trace.id for trace in found.stream] == ["XX.A..BHZ", "XX.B..BHZ"]
    assert found.models[0][1].vp[0, 0, 0] == 6000
    assert found.layers[0][1].vs[1] == 3400
    assert [network.code for network in found.inventory] == ["XX"]
    write_observed(tmp_path / "o.h5", EVENT, found.stream, found.inventory, provenance=Provenance("import"))
    again = collect([tmp_path / "o.h5"])
    assert again.problems == []
    assert (again.events, again.stations, len(again.stream)) == ([EVENT], STATIONS, 2)


def test_every_broken_file_gives_one_sentence(tmp_path):
    fill(tmp_path / "in")
    write_model(tmp_path / "in" / "model2.nc", collect([tmp_path / "in" / "model.nc"]).models[0][1])
    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in names:
        content = (tmp_path / "in" / name).read_bytes()
        # A table that is cut between two rows is a shorter table: cut it within the first.
        (broken / name).write_bytes(content[: 11 if name == "layers.txt" else len(content) // 2])
    (broken / "notes.md").write_text("a diary\n")
    (broken / "page.html").write_text("<html><body>not found</body></html>")
    (broken / "empty.xml").write_text("")
    found = collect([broken, tmp_path / "none"])
    assert (found.events, found.stations, found.models, found.layers) == ([], [], [], [])
    assert all("\n" not in problem for problem in found.problems)
    for name in [*names, "notes.md", "page.html", "empty.xml", "none"]:
        assert any(name in problem for problem in found.problems), name


def test_a_station_in_two_files_is_there_once(tmp_path):
    write_stationxml(tmp_path / "a.xml", STATIONS)
    write_stationxml(tmp_path / "b.xml", STATIONS[1:])
    found = collect([tmp_path])
    assert [station.code for station in found.inventory[0]] == ["A", "B"]


def test_conflicting_events_are_named(tmp_path):
    import dataclasses

    write_quakeml(tmp_path / "a.xml", EVENT)
    write_quakeml(tmp_path / "b.xml", EVENT)
    write_quakeml(tmp_path / "c.xml", dataclasses.replace(EVENT, depth=5.0))
    found = collect([tmp_path])
    assert found.events == [EVENT]
    assert len(found.problems) == 1
    assert "c.xml: event e1 is there already, and differs" in found.problems[0]


@pytest.mark.realdata
def test_the_bay_area(shared_data, tmp_path):
    folder = shared_data / "bayarea_m43"
    names = ["event.xml", "gil7.txt", "stations", "waveforms"]
    found = collect([folder / name for name in names])
    assert found.problems == []
    assert [len(each) for each in (found.events, found.stations, found.stream, found.layers)] == [
        1,
        12,
        36,
        1,
    ]
    stream, problems = cut(found.stream, found.events[0], -50.0, 290.0)
    assert problems == []
    assert len(stream) == 36

    from seisflow.io.asdf import write_observed
    from seisflow.io.asdf_reading import read_observed
    from seisflow.io.provenance import Provenance

    write_observed(
        tmp_path / "o.h5", found.events[0], stream, found.inventory, provenance=Provenance("import")
    )
    back, inventory = read_observed(tmp_path / "o.h5")
    for one, other in zip(stream, back, strict=True):
        assert (one.id, one.stats.starttime, one.stats.delta) == (
            other.id,
            other.stats.starttime,
            other.stats.delta,
        )
        np.testing.assert_array_equal(one.data, other.data)
        response = inventory.get_response(other.id, other.stats.starttime)
        assert response.instrument_sensitivity.value > 0
