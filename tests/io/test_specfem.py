import pytest

from seisflow.domain import Force, SourceTimeFunction, Station
from seisflow.errors import InputError, MissingError
from seisflow.io.collect import collect, sniff
from seisflow.io.specfem import FORCE_TIME, read_forcesolution, read_stations, scan_stations

FORCE = """FORCE  001
time shift:     0.5000
f0:             1.0
latorUTM:       34.303000
longorUTM:      -119.186800
depth:          1.0000
factor force source:             1.d15
component dir vect source E:     0.d0
component dir vect source N:     3.d0
component dir vect source Z_UP:  -4.d0
"""
STATIONS = "ADO CI 34.5505 -117.4339 10.0 0.5\n109C TA 32.8889 -117.1051 0.0 0.0\n"


def test_force_is_normalised_and_in_newtons(tmp_path):
    (tmp_path / "FORCESOLUTION_CI.STC").write_text(FORCE)
    event = read_forcesolution(tmp_path / "FORCESOLUTION_CI.STC")
    assert event.id == "CI.STC"
    assert event.source == Force(0.0, 0.6e15, -0.8e15)
    assert (event.latitude, event.longitude, event.depth) == (34.303, -119.1868, 1000.0)
    assert event.time == FORCE_TIME + 0.5
    assert event.utc.isoformat() == "2000-01-01T00:00:00.500000+00:00"
    assert event.time_function == SourceTimeFunction(half_duration=1.0)


def test_stations(tmp_path):
    (tmp_path / "STATIONS").write_text(STATIONS)
    expected = [
        Station("CI", "ADO", 34.5505, -117.4339, 10.0, 0.5),
        Station("TA", "109C", 32.8889, -117.1051),
    ]
    assert read_stations(tmp_path / "STATIONS") == expected


def test_both_are_recognised_and_collected(tmp_path):
    (tmp_path / "STATIONS").write_text(STATIONS)
    (tmp_path / "FORCESOLUTION_CI.STC").write_text(FORCE)
    assert sniff(tmp_path / "STATIONS") == "stations"
    assert sniff(tmp_path / "FORCESOLUTION_CI.STC") == "forcesolution"
    found = collect([tmp_path])
    assert found.problems == []
    assert [station.id for station in found.stations] == ["CI.ADO", "TA.109C"]
    assert [event.id for event in found.events] == ["CI.STC"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("f0:             1.0\n", "", "no line 'f0:'"),
        ("1.d15", "big", "'big' is no number"),
        ("34.303000", "3800000.0", "UTM"),
        ("1.d15", "0.d0", "the force is zero"),
    ],
)
def test_faults_of_forces_are_named(tmp_path, old, new, words):
    assert old in FORCE
    (tmp_path / "FORCESOLUTION").write_text(FORCE.replace(old, new))
    with pytest.raises(InputError, match=words):
        read_forcesolution(tmp_path / "FORCESOLUTION")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ADO CI 34.5 -117.4 0.0\n", "line 1: 'ADO CI"),
        (STATIONS + STATIONS, r"line 3: CI\.ADO is there twice"),
    ],
)
def test_faults_of_stations_are_named(tmp_path, text, words):
    (tmp_path / "STATIONS").write_text(text)
    with pytest.raises(InputError, match=words):
        read_stations(tmp_path / "STATIONS")
    with pytest.raises(MissingError):
        read_stations(tmp_path / "none")


def test_a_table_with_commas_names_its_columns(tmp_path):
    path = tmp_path / "places.csv"
    path.write_text(
        "latitude,station,longitude,network,elevation_m\n-78.1,ST01,-84.0,YG,307\n-78.2,ST02,-84.1,YG\n-78.3,ST03,x,YG,1\n"
    )
    stations, problems = scan_stations(path)
    assert stations == [Station("YG", "ST01", -78.1, -84.0, 307.0)]
    assert ["line 3" in problems[0], "line 4" in problems[1], len(problems)] == [True, True, 2]
    assert sniff(path) == "stations"
