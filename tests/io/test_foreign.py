"""Recordings and instruments of other programs: SAC headers, dataless SEED, RESP, ASDF of LASIF and SPECFEM3D."""

import io
from pathlib import Path

import h5py
import numpy as np
import obspy
import pytest
from obspy import UTCDateTime

from seisflow.domain import Event, Force, MomentTensor, Station, TimeSpan
from seisflow.io.asdf import write_observed
from seisflow.io.belonging import settle_ids, sort_by_event
from seisflow.io.collect import collect, sniff
from seisflow.io.events import quakeml
from seisflow.io.provenance import Provenance
from seisflow.io.responses import complete, merge_inventory, read_resp
from seisflow.io.sac import event_place, relative_start, sac_inventory
from seisflow.io.stations import inventory_stations, read_inventory, stationxml

EVENT = Event("e1", 1.0e9, 38.0, -122.0, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
TWIN = Event("e2", 1.0e9, 39.0, -121.0, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
PUSH = Event("XX.P", 946684800.0, 38.0, -122.0, 0.0, Force(0.0, 0.0, 1e10))
EVENTS = {event.id: event for event in (EVENT, TWIN, PUSH)}
SPAN = TimeSpan(-100.0, 300.0)
RESP = """\
#
B050F03     Station:     A
B050F16     Network:     XX
B052F03     Location:    ??
B052F04     Channel:     BHZ
B052F22     Start date:  1990,001,00:00:00
B052F23     End date:    No Ending Time
#
B053F03     Transfer function type:                A [Laplace Transform (Rad/sec)]
B053F04     Stage sequence number:                 1
B053F05     Response in units lookup:              M/S - Velocity
B053F06     Response out units lookup:             V - Volts
B053F07     A0 normalization factor:               1.0
B053F08     Normalization frequency:               1.0
B053F09     Number of zeroes:                      2
B053F14     Number of poles:                       2
B053F10-13    0  0.00000E+00  0.00000E+00  0.00000E+00  0.00000E+00
B053F10-13    1  0.00000E+00  0.00000E+00  0.00000E+00  0.00000E+00
B053F15-18    0 -3.70000E-02  3.70000E-02  0.00000E+00  0.00000E+00
B053F15-18    1 -3.70000E-02 -3.70000E-02  0.00000E+00  0.00000E+00
B058F03     Stage sequence number:                 1
B058F04     Gain:                                  1.2E9
B058F05     Frequency of gain:                     1.0 HZ
B058F06     Number of calibrations:                0
B058F03     Stage sequence number:                 0
B058F04     Gain:                                  1.2E9
B058F05     Frequency of gain:                     1.0 HZ
B058F06     Number of calibrations:                0
"""


def sac(path, channel="BHZ", network="XX", station="A", start=1.0e9, **headers):
    trace = obspy.Trace(np.arange(100, dtype=np.float32), {"delta": 1.0, "starttime": UTCDateTime(start)})
    trace.stats.update({"network": network, "station": station, "channel": channel})
    path.parent.mkdir(parents=True, exist_ok=True)
    from obspy.io.sac import SACTrace

    made = SACTrace.from_obspy_trace(trace)
    for name, value in headers.items():
        setattr(made, name, value)
    made.write(str(path))
    return path


# --- SAC


def test_stations_come_of_sac_headers_where_nothing_describes_them(tmp_path):
    sac(tmp_path / "a.sac", "BHZ", stla=38.5, stlo=238.0, stel=100.0, stdp=20.0, cmpaz=0.0, cmpinc=180.0)
    sac(tmp_path / "b.sac", "BH1", stla=38.5, stlo=238.0, stel=100.0, stdp=20.0, cmpaz=33.0, cmpinc=90.0)
    sac(tmp_path / "c.sac", "BHZ", station="B")
    stream = collect([tmp_path]).stream
    (station,), problems = inventory_stations(sac_inventory(stream, set()))
    assert problems == []
    assert station == Station("XX", "A", 38.5, -122.0, 100.0, 20.0)
    channels = {c.code: c for _, inventory in sac_inventory(stream, set()) for c in inventory[0][0]}
    assert (channels["BHZ"].dip, channels["BH1"].azimuth, channels["BH1"].dip) == (-90.0, 33.0, 0.0)
    assert sac_inventory(stream, {"XX.A"}) == []


def test_origins_of_sac_headers_are_used_where_they_are_near(tmp_path):
    for headers, expected in (({"b": 5.0}, 5.0), ({"b": 5.0, "o": 2.0}, 3.0), ({"b": 5.0, "o": 4.4e7}, 5.0)):
        path = sac(tmp_path / "a.sac", **headers)
        assert relative_start(obspy.read(path)[0]) == pytest.approx(expected)
    trace = obspy.read(sac(tmp_path / "b.sac", evla=34.303, evlo=-119.1868))[0]
    assert event_place(trace) == pytest.approx((34.303, -119.1868), abs=1e-5)
    assert relative_start(obspy.Trace()) is None


def test_ids_become_those_of_the_metadata(tmp_path):
    known = read_inventory(stationxml([Station("TA", "A", 38.5, -122.0), Station("TA", "B", 10.0, 10.0)], ()))
    files = [
        sac(
            tmp_path / "1.sac", network="CI", station="A", stla=38.5, stlo=-122.0
        ),  # another network, the same place
        sac(
            tmp_path / "2.sac", network="CI", station="B", stla=38.5, stlo=-122.0
        ),  # another station of that code
        sac(
            tmp_path / "TA.B.HXZ.sac", network="", station="B", channel=""
        ),  # only the name of the file tells
        sac(tmp_path / "4.sac", network="TA", station="A", channel="z"),
        sac(tmp_path / "5.sac", network="TA", station="A", channel=""),
    ]
    stream = collect(files).stream
    good, problems, changed = settle_ids(stream, known)
    assert sorted(trace.id for trace in good) == ["CI.B..BHZ", "TA.A..BHZ", "TA.A..LXZ", "TA.B..HXZ"]
    assert len(problems) == 1 and "5.sac" in problems[0] and "no channel code" in problems[0]
    assert "CI.A..BHZ is TA.A..BHZ" in changed


# --- which event


def test_recordings_belong_to_the_event_that_their_folder_or_file_is_named_after(tmp_path):
    sac(tmp_path / "e1" / "a.sac")
    sac(tmp_path / "e2" / "deep" / "a.sac")
    sac(tmp_path / "other" / "XX.P.sac", start=946684800.0, b=7.0)
    stream = collect([tmp_path]).stream
    found = sort_by_event(stream, EVENTS, SPAN)
    assert found.problems == [] and found.free == []
    assert {name: len(traces) for name, traces in found.named.items()} == {"e1": 1, "e2": 1, "XX.P": 1}


def test_events_at_one_time_are_told_apart_by_the_place_in_the_header_or_not_at_all(tmp_path):
    sac(tmp_path / "x" / "a.sac", evla=38.98, evlo=-121.01)
    sac(tmp_path / "x" / "b.sac")
    found = sort_by_event(collect([tmp_path]).stream, EVENTS, SPAN)
    assert {name: len(traces) for name, traces in found.named.items()} == {"e2": 1}
    (problem,) = found.problems
    assert "b.sac" in problem and "e1, e2" in problem and "--event" in problem
    only = {"e1": EVENT}
    assert len(sort_by_event(collect([tmp_path]).stream, only, SPAN).free) == 2


def test_times_without_a_date_are_relative_to_the_event(tmp_path):
    sac(tmp_path / "e1" / "epoch.sac", start=0.0, b=-20.0)
    sac(tmp_path / "XX.P" / "any.sac", start=1.2e9, b=3.0)
    sac(tmp_path / "e2" / "wrong.sac", start=1.2e9)
    found = sort_by_event(collect([tmp_path]).stream, EVENTS, SPAN)
    assert found.named["e1"][0].stats.starttime.timestamp == EVENT.time - 20
    assert found.named["XX.P"][0].stats.starttime.timestamp == PUSH.time + 3
    (problem,) = found.problems
    assert "wrong.sac" in problem and "2008-01-10" in problem and "--event e2" in problem
    stream = collect([tmp_path / "e2"]).stream
    chosen = sort_by_event(stream, EVENTS, SPAN, "e1")
    assert chosen.problems == [] and chosen.named["e1"][0].stats.starttime.timestamp == EVENT.time
    assert any("relative to its origin" in remark for remark in chosen.remarks)


def test_a_header_that_places_the_event_elsewhere_is_told(tmp_path):
    sac(tmp_path / "e1" / "a.sac", evla=10.0, evlo=20.0)
    found = sort_by_event(collect([tmp_path]).stream, EVENTS, SPAN)
    assert len(found.named["e1"]) == 1
    assert any("10, 20" in remark and "38, -122" in remark for remark in found.remarks)


# --- instruments


def test_resp_completes_stations_of_another_file(tmp_path):
    (tmp_path / "RESP.XX.A..BHZ").write_text(RESP)
    (tmp_path / "STATIONS").write_text("A XX 38.5 -122.0 10.0 5.0\n")
    assert sniff(tmp_path / "RESP.XX.A..BHZ") == "resp"
    found = collect([tmp_path])
    assert found.problems == [] and len(found.responses) == 1
    assert complete(found.inventory, found.responses[0][1]) == (1, [])
    (channel,) = found.inventory[0][0].channels
    assert (channel.code, channel.latitude, channel.dip) == ("BHZ", 38.5, -90.0)
    assert channel.response.instrument_sensitivity.value == 1.2e9
    assert complete(found.inventory, found.responses[0][1]) == (0, [])
    other = read_inventory(stationxml([Station("XX", "B", 1.0, 2.0)], ()))
    assert complete(other, read_resp(tmp_path / "RESP.XX.A..BHZ")) == (0, ["XX.A"])


def test_dataless_seed_is_read(tmp_path):
    source = Path(obspy.__file__).parent / "signal" / "tests" / "data" / "IUANMO.dataless"
    if not source.is_file():
        pytest.skip("this ObsPy comes without its test data")
    (tmp_path / "anmo").write_bytes(source.read_bytes())
    assert sniff(tmp_path / "anmo") == "seed"
    found = collect([tmp_path])
    assert found.problems == []
    (station,) = found.stations
    assert station.id == "IU.ANMO" and station.latitude == pytest.approx(34.946, abs=1e-3)
    assert any(channel.response.response_stages for channel in found.inventory[0][0])
    (tmp_path / "anmo").write_bytes(source.read_bytes()[:5000])
    (problem,) = collect([tmp_path]).problems
    assert "anmo" in problem


def test_merging_joins_channels_and_leaves_what_was_decoded_alone():
    bare = read_inventory(stationxml([Station("XX", "A", 38.5, -122.0)], ()))
    one = read_inventory(stationxml([Station("XX", "A", 38.5, -122.0)], ("BHZ",)))
    two = read_inventory(stationxml([Station("XX", "A", 38.5, -122.0)], ("BHE", "BHZ")))
    merged = obspy.Inventory([], source="tests")
    for each in (bare, one, two, bare):
        merge_inventory(merged, each)
    assert [channel.code for channel in merged[0][0]] == ["BHZ", "BHE"] and len(merged[0].stations) == 1
    assert [len(each[0][0].channels) for each in (bare, one, two)] == [0, 1, 2]


# --- ASDF of others


def foreign(path, *, tag, start, stationxmls=True, attribute=np.int64):
    """An ASDF file as pyasdf and SPECFEM3D lay it out."""
    with h5py.File(path, "w") as file:
        file.attrs["file_format"], file.attrs["file_format_version"] = "ASDF", "1.0.3"
        file["QuakeML"] = np.frombuffer(quakeml([EVENT]), dtype=np.int8)
        group = file.create_group("Waveforms/XX.A")
        if stationxmls:
            document = stationxml([Station("XX", "A", 38.5, -122.0)], ())
            group["StationXML"] = np.frombuffer(document, dtype=np.int8)
        for channel in "MXE", "MXZ":
            name = f"XX.A.S3.{channel}__2001-09-09T01:46:00__2001-09-09T01:50:00__{tag}"
            data = group.create_dataset(name, data=np.arange(100, dtype=np.float32))
            data.attrs["starttime"], data.attrs["sampling_rate"] = attribute(start * 1e9), 2.0


@pytest.mark.parametrize(("tag", "start"), [("synthetic", -3.5), ("raw_recording", 1.0e9 - 3.5)])
def test_asdf_of_specfem_and_lasif(tmp_path, tag, start):
    foreign(tmp_path / "x.h5", tag=tag, start=start)
    found = collect([tmp_path])
    assert found.problems == [] and found.events == [EVENT] and len(found.stream) == 2
    sorted_ = sort_by_event(found.stream, {"e1": EVENT, "e2": TWIN}, SPAN)
    assert [trace.stats.starttime.timestamp for trace in sorted_.named["e1"]] == [EVENT.time - 3.5] * 2


def test_damaged_parts_of_an_asdf_file_do_not_take_the_rest_along(tmp_path):
    foreign(tmp_path / "x.h5", tag="raw", start=1.0e9)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        group = file["Waveforms"].create_group("XX.B")
        group["StationXML"] = np.frombuffer(b"<no>xml", dtype=np.int8)
        group["XX.B..BHZ__2001-09-09T01:46:00__2001-09-09T01:50:00__raw"] = np.arange(10)
        del file["QuakeML"]
        file["QuakeML"] = np.frombuffer(b"<q:quakeml>", dtype=np.int8)
    found = collect([tmp_path])
    assert len(found.stream) == 2 and [station.id for station in found.stations] == ["XX.A"]
    assert len(found.problems) == 3
    assert sum("XX.B" in problem for problem in found.problems) == 2


def test_a_project_file_read_again_belongs_to_its_event(tmp_path):
    header = {"network": "XX", "station": "A", "channel": "BHZ", "starttime": UTCDateTime(EVENT.time)}
    stream = obspy.Stream([obspy.Trace(np.arange(100, dtype=np.int32), header)])
    inventory = obspy.read_inventory(
        io.BytesIO(stationxml([Station("XX", "A", 38.5, -122.0)], ("BHZ",))), format="STATIONXML"
    )
    write_observed(tmp_path / "any.h5", EVENT, stream, inventory, provenance=Provenance("tests"))
    found = collect([tmp_path])
    assert list(sort_by_event(found.stream, EVENTS, SPAN).named) == ["e1"]
