import dataclasses

import numpy as np
import pytest

from seisflow.domain import Event, Force, MomentTensor, SourceTimeFunction
from seisflow.errors import InputError, MissingError
from seisflow.io.events import read_cmtsolution, read_quakeml, scan_quakeml, write_quakeml

TENSOR = MomentTensor(-1.661e14, -2.931e15, 3.717e15, 8.376e14, -8.608e14, 1.133e15 / 3)
EVENT = Event(
    "nc73225421",
    1563307861.470003,
    37.818667,
    -121.756833,
    12380.1,
    TENSOR,
    SourceTimeFunction(half_duration=0.3),
)

CMT = """ PDEW2011  8 23 17 51  4.60  37.9400  -77.9300   6.0 5.9 5.8 VIRGINIA
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


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        dataclasses.replace(EVENT, time=1563307861.1234567),
        dataclasses.replace(EVENT, time=-86400.25, id="before-1970"),
        dataclasses.replace(EVENT, time_function=SourceTimeFunction("ricker", period=2.5)),
        dataclasses.replace(
            EVENT,
            time_function=SourceTimeFunction("samples", samples=(0.0, 1 / 3, 0.0), start=-0.1, interval=0.1),
        ),
        dataclasses.replace(EVENT, source=Force(0.1, -0.2, 1e15), depth=0.0),
    ],
    ids=["gaussian", "odd-time", "old", "ricker", "samples", "force"],
)
def test_event_round_trip_is_exact(tmp_path, event):
    write_quakeml(tmp_path / "e.xml", event)
    assert read_quakeml(tmp_path / "e.xml") == [event]


def test_equal_events_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_quakeml(tmp_path / name, EVENT)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_obspy_reads_time_tensor_and_duration(tmp_path):
    from obspy import read_events

    write_quakeml(tmp_path / "e.xml", EVENT)
    found = read_events(str(tmp_path / "e.xml"))[0]
    assert found.preferred_origin().time.timestamp == pytest.approx(EVENT.time, abs=1e-6)
    tensor = found.preferred_focal_mechanism().moment_tensor
    assert tensor.tensor.m_rp == TENSOR.mrp
    assert tensor.source_time_function.duration == 0.6
    assert found.preferred_magnitude().mag == pytest.approx(TENSOR.magnitude, abs=1e-3)


def test_edits_of_the_file_win(tmp_path):
    write_quakeml(tmp_path / "e.xml", EVENT)
    text = (tmp_path / "e.xml").read_text().replace("20:11:01.470003", "20:11:05.000000")
    (tmp_path / "e.xml").write_text(text.replace("12380.1", "9000.0"))
    (event,) = read_quakeml(tmp_path / "e.xml")
    assert event.time == 1563307865.0
    assert event.depth == 9000.0


def test_centroid_of_the_tensor_is_preferred_to_the_hypocentre(tmp_path):
    from obspy import UTCDateTime, read_events
    from obspy.core.event import Origin, ResourceIdentifier

    write_quakeml(tmp_path / "e.xml", EVENT)
    catalogue = read_events(str(tmp_path / "e.xml"))
    found = catalogue[0]
    del found.extra
    found.event_descriptions = []
    found.resource_id = ResourceIdentifier(
        "quakeml:us.anss.org/event/query?eventid=us70004lr0&format=quakeml"
    )
    hypocentre = Origin(time=UTCDateTime(0), latitude=1, longitude=2, depth=3e3)
    found.origins.insert(0, hypocentre)
    found.preferred_origin_id = hypocentre.resource_id
    catalogue.write(str(tmp_path / "f.xml"), format="QUAKEML")
    (event,) = read_quakeml(tmp_path / "f.xml")
    assert (event.id, event.depth, event.time_function.half_duration) == ("us70004lr0", 12380.1, 0.3)
    found.focal_mechanisms[0].moment_tensor.derived_origin_id = None
    catalogue.write(str(tmp_path / "g.xml"), format="QUAKEML")
    assert read_quakeml(tmp_path / "g.xml")[0].depth == 3e3


def test_events_without_tensor_are_named_and_the_others_taken(tmp_path):
    from obspy import read_events

    write_quakeml(
        tmp_path / "e.xml",
        [EVENT, dataclasses.replace(EVENT, id="bare"), dataclasses.replace(EVENT, id="b2")],
    )
    catalogue = read_events(str(tmp_path / "e.xml"))
    catalogue[1].focal_mechanisms = []
    catalogue.write(
        str(tmp_path / "f.xml"), format="QUAKEML", nsmap={"seisflow": "https://seisflow.org/quakeml/1"}
    )
    events, problems = scan_quakeml(tmp_path / "f.xml")
    assert [event.id for event in events] == ["nc73225421", "b2"]
    assert len(problems) == 1
    with pytest.raises(InputError, match="event bare has no moment tensor"):
        read_quakeml(tmp_path / "f.xml")


def test_cmtsolution_values(tmp_path):
    (tmp_path / "CMTSOLUTION").write_text(CMT)
    event = read_cmtsolution(tmp_path / "CMTSOLUTION")
    assert event.id == "201108231751A"
    assert event.utc.isoformat() == "2011-08-23T17:51:07.870000+00:00"
    assert (event.latitude, event.longitude, event.depth) == (37.91, -77.93, 12000.0)
    assert event.time_function == SourceTimeFunction(half_duration=1.8)
    expected = MomentTensor(4.71e17, 3.81e15, -4.74e17, 3.99e16, -8.05e16, -1.23e17)
    np.testing.assert_allclose(event.source.cartesian(), expected.cartesian(), rtol=1e-12)
    assert event.source.magnitude == pytest.approx(5.75, abs=0.03)
    write_quakeml(tmp_path / "e.xml", event)
    assert read_quakeml(tmp_path / "e.xml") == [event]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Mrt:       3.990000e+23\n", "", "no line 'mrt:'"),
        ("4.710000e+24", "large", "'large' is no number"),
        (" PDEW2011  8 23", " PDEW", "has no date"),
        ("PDEW2011  8 23", "PDEW2011  13 23", "2011-13-23"),
        ("37.9100", "4712345.0", "UTM"),
    ],
)
def test_cmtsolution_faults_are_named(tmp_path, old, new, words):
    assert old in CMT
    (tmp_path / "CMTSOLUTION").write_text(CMT.replace(old, new))
    with pytest.raises(InputError, match=words):
        read_cmtsolution(tmp_path / "CMTSOLUTION")


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(MissingError):
        read_quakeml(tmp_path / "none.xml")
    (tmp_path / "cut.xml").write_text(
        '<?xml version="1.0"?><q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"><a'
    )
    with pytest.raises(InputError, match=r"cut\.xml"):
        read_quakeml(tmp_path / "cut.xml")


@pytest.mark.realdata
def test_the_bay_area_event(shared_data):
    (event,) = read_quakeml(shared_data / "bayarea_m43" / "event.xml")
    assert event.id == "11076275"
    assert abs(np.linalg.eigvalsh(event.source.cartesian())).max() == pytest.approx(4.03e15, rel=1e-3)
    assert event.depth == 12380.0
    assert event.utc.isoformat() == "2019-07-16T20:11:01.470000+00:00"
