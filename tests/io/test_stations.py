import pytest

from seisflow.domain import Station
from seisflow.errors import InputError, MissingError
from seisflow.io.stations import (
    inventory_stations,
    read_inventory,
    read_stationxml,
    write_inventory,
    write_stationxml,
)

STATIONS = [
    Station("BK", "CVS", 38.34526, -122.4584, 295.1, 23.2),
    Station("BK", "FARB", 37.69782, -123.0011, -18.5),
    Station("XX", "S01", -0.1 / 3, 179.99999999, 0.0, 1000 / 3),
]


def test_stations_round_trip_is_exact(tmp_path):
    write_stationxml(tmp_path / "s.xml", STATIONS[::-1])
    assert read_stationxml(tmp_path / "s.xml") == STATIONS


def test_equal_stations_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_stationxml(tmp_path / name, STATIONS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_channels_are_as_asked(tmp_path):
    write_stationxml(tmp_path / "s.xml", STATIONS[:1], channels=("LXR", "LXT", "LXZ"))
    channels = read_inventory(tmp_path / "s.xml")[0][0].channels
    assert [channel.code for channel in channels] == ["LXR", "LXT", "LXZ"]
    assert channels[2].dip == -90


def test_a_station_in_several_files_counts_once(tmp_path):
    write_stationxml(tmp_path / "a.xml", STATIONS[:2])
    write_stationxml(tmp_path / "b.xml", STATIONS[1:])
    assert read_stationxml([tmp_path / "b.xml", tmp_path / "a.xml"]) == STATIONS


def test_a_station_in_two_places_is_named(tmp_path):
    moved = Station("BK", "CVS", 38.5, -122.4584)
    write_stationxml(tmp_path / "a.xml", STATIONS)
    write_stationxml(tmp_path / "b.xml", [moved])
    with pytest.raises(InputError, match=r"BK\.CVS is in two places: 38\.34526.*38\.5"):
        read_stationxml([tmp_path / "a.xml", tmp_path / "b.xml"])
    found = [(name, read_inventory(tmp_path / name)) for name in ("a.xml", "b.xml")]
    stations, problems = inventory_stations(found)
    assert stations == STATIONS[1:]
    assert len(problems) == 1


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(MissingError):
        read_stationxml(tmp_path / "none.xml")
    write_stationxml(tmp_path / "s.xml", STATIONS)
    content = (tmp_path / "s.xml").read_bytes()
    (tmp_path / "s.xml").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"s\.xml: cannot be read"):
        read_stationxml(tmp_path / "s.xml")


def test_an_inventory_is_written_once_and_kept(tmp_path):
    write_stationxml(tmp_path / "s.xml", STATIONS[:1])
    write_stationxml(tmp_path / "t.xml", STATIONS[1:2])
    one, other = (read_inventory(tmp_path / name) for name in ("s.xml", "t.xml"))
    target = tmp_path / "out.xml"
    assert write_inventory(target, one) == "new"
    one.created += 1000
    assert write_inventory(target, one) == "same"
    assert write_inventory(target, other) == "kept"
    assert read_stationxml(target) == STATIONS[:1]
    assert write_inventory(target, other, keep=False) == "replaced"
    assert read_stationxml(target) == STATIONS[1:2]


@pytest.mark.realdata
def test_the_bay_area_stations(shared_data):
    stations = read_stationxml(sorted((shared_data / "bayarea_m43" / "stations").glob("*.xml")))
    assert len(stations) == 12
    assert {station.network for station in stations} == {"BK"}
    assert stations[2].id == "BK.CVS"
    assert stations[2].latitude == pytest.approx(38.34526)
