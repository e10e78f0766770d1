import dataclasses
import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from seisflow.domain import (
    Event,
    Gather,
    Measurement,
    MomentTensor,
    Rejection,
    SourceTimeFunction,
    Station,
    Window,
)
from seisflow.errors import InputError, MissingError, PhysicsError
from seisflow.io.asdf import band_code, channel_code, write_observed
from seisflow.io.asdf_reading import read_observed, read_provenance, read_source
from seisflow.io.event_file import EventFile, read_event, write_event
from seisflow.io.provenance import Provenance
from seisflow.io.stations import read_inventory, stationxml

TENSOR = MomentTensor(-1.661e14, -2.931e15, 3.717e15, 8.376e14, -8.608e14, 1.133e15)
EVENT = Event(
    "nc73225421", 1563307861.47, 37.8186, -121.756, 12380.0, TENSOR, SourceTimeFunction(half_duration=0.3)
)
STATIONS = (
    Station("BK", "CVS", 38.3, -122.4, 295.1, 23.2),
    Station("AA", "X_1", 38.7, -121.0 / 3),
    Station("BK", "B", 1, 2),
)
PROVENANCE = Provenance("event_gradient", "c" * 64, "d" * 64, (("observed.h5", "e" * 64), ("a b", "f" * 64)))


def make_gather(
    seed: int, components: tuple[str, ...] = ("R", "T", "Z"), dtype: type = np.float32, **changes
) -> Gather:
    data = np.random.default_rng(seed).standard_normal((3, len(components), 50)).astype(dtype)
    live = np.ones(data.shape[:2], dtype=bool)
    live[1] = False
    live[2, 1] = False
    data[~live] = 0
    return Gather(STATIONS, components, data, -5.1, 1 / 3, "displacement", live, **changes)


def make_content() -> EventFile:
    windows = (
        Window("BK.CVS", "Z", 1 / 3, 9.5, 0.91, -0.25, 0.1, 2.0),
        Window("AA.X_1", "R", 2.0, 4.0),
        Window("BK.CVS", "Z", 10.0, 12.0, 0.8, 0.1, -0.2, 1.5),
    )
    return EventFile(
        event=EVENT,
        provenance=PROVENANCE,
        gathers={
            "synthetic_processed": make_gather(1),
            "observed_processed": make_gather(2, dtype=np.float64),
        },
        windows=windows,
        rejections=(
            Rejection("BK.CVS", "T", "snr", "signal to noise 1.2 is below 3 – naïve", 1.0, 1 / 7, 4),
            Rejection("BK.B", "Z", "trace", "dead"),
        ),
        measurements=(
            Measurement(windows[2], 0.1 + 0.2, 0.1, None, 0.5),
            Measurement(windows[0], 1e-300, None, -0.0, None),
        ),
        adjoints={0: make_gather(3)},
        results={"misfit": 0.1 + 0.2, "windows": 3.0},
    )


def same_gather(one: Gather, other: Gather) -> bool:
    return (
        (one.stations, one.components, one.start, one.interval, one.quantity)
        == (other.stations, other.components, other.start, other.interval, other.quantity)
        and one.data.dtype == other.data.dtype
        and one.data.tobytes() == other.data.tobytes()
        and np.array_equal(one.live, other.live)
    )


def make_observed(path, **changes):
    from obspy import Stream, Trace, UTCDateTime

    stream = Stream()
    for number, station in enumerate(STATIONS[:2]):
        for channel in ("BHZ", "BHN"):
            data = np.random.default_rng(number).integers(-1000, 1000, 400).astype(np.int32)
            header = {
                "network": station.network,
                "station": station.code,
                "location": "00",
                "channel": channel,
            }
            start = UTCDateTime(ns=round(EVENT.time * 1e9) + 123456789)
            stream.append(Trace(data, {**header, "starttime": start, "sampling_rate": 40.0}))
    inventory = read_inventory(stationxml(STATIONS, ("BHN", "BHZ")))
    write_observed(path, EVENT, stream, inventory, provenance=Provenance("import"))
    return stream


def test_event_file_round_trip_is_exact(tmp_path):
    content = make_content()
    write_event(tmp_path / "e.h5", content)
    back = read_event(tmp_path / "e.h5")
    for name in ("event", "provenance", "windows", "rejections", "measurements", "results"):
        assert getattr(back, name) == getattr(content, name), name
    assert back.gathers.keys() == content.gathers.keys()
    assert all(same_gather(back.gathers[tag], gather) for tag, gather in content.gathers.items())
    assert same_gather(back.adjoint, content.adjoint)
    assert back.measured().value == 0.1 + 0.2


def test_empty_event_file_round_trip(tmp_path):
    write_event(tmp_path / "e.h5", EventFile(EVENT, PROVENANCE))
    back = read_event(tmp_path / "e.h5")
    assert (back.gathers, back.windows, back.rejections, back.measurements, back.results) == (
        {},
        (),
        (),
        (),
        {},
    )
    assert back.adjoint is None
    with pytest.raises(InputError, match="no adjoint source"):
        back.measured()


def test_without_waveforms_the_rest_is_there(tmp_path):
    content = make_content()
    write_event(tmp_path / "e.h5", content)
    back = read_event(tmp_path / "e.h5", waveforms=False)
    assert (back.windows, back.measurements, back.results) == (
        content.windows,
        content.measurements,
        content.results,
    )
    assert back.gathers == {}


@pytest.mark.parametrize("compress", [False, True])
def test_equal_content_gives_equal_bytes(tmp_path, compress):
    write_event(tmp_path / "a.h5", make_content(), compress=compress)
    time.sleep(1.1)  # a time stamp of whole seconds must not hide
    shuffled = make_content()
    gathers = dict(reversed(shuffled.gathers.items()))
    write_event(tmp_path / "b.h5", dataclasses.replace(shuffled, gathers=gathers), compress=compress)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    other = dataclasses.replace(make_content(), results={"misfit": 0.3})
    write_event(tmp_path / "c.h5", other, compress=compress)
    assert (tmp_path / "a.h5").read_bytes() != (tmp_path / "c.h5").read_bytes()


def test_bytes_do_not_depend_on_the_process(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_asdf as t; "
        "t.write_event(sys.argv[2], t.make_content())"
    )
    sums = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.h5"
        command = [sys.executable, "-c", program, os.path.dirname(__file__), str(path)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        sums.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert sums[0] == sums[1]


def test_pyasdf_opens_and_validates_it(tmp_path, capsys):
    import pyasdf

    write_event(tmp_path / "e.h5", make_content())
    with pyasdf.ASDFDataSet(str(tmp_path / "e.h5"), mode="r", mpi=False) as data:
        data.validate()
        assert data.asdf_format_version_in_file == "1.0.3"
        assert data.events[0].resource_id.id == "smi:local/seisflow/nc73225421"
        trace = data.waveforms["BK.CVS"].synthetic_processed.select(channel="MXZ")[0]
        np.testing.assert_array_equal(trace.data, make_gather(1).data[0, 2])
        assert trace.stats.starttime.timestamp == pytest.approx(EVENT.time - 5.1, abs=1e-6)
        assert trace.stats.delta == pytest.approx(1 / 3)
        found = data.provenance.get_provenance_document_for_id(trace.stats.asdf.provenance_id.rstrip("\x00"))
        assert found["name"] == "seisflow"
        assert sorted(data.auxiliary_data.list()) == [
            "AdjointSources",
            "Gathers",
            "Measurements",
            "Rejections",
            "Results",
            "Stations",
            "Traces",
            "Windows",
        ]
        assert 1 / 3 in data.auxiliary_data.Windows["table"].data["start"]
        source = data.auxiliary_data.AdjointSources["BK_CVS_MXR"]
        np.testing.assert_array_equal(source.data[:], make_gather(3).data[0, 0])
        assert source.parameters["dt"] == 1 / 3
        assert data.waveforms["BK.CVS"].coordinates["latitude"] == 38.3
        assert str(data.auxiliary_data)
    said = capsys.readouterr().out
    assert "2 good station(s)" in said


def test_observed_round_trip_and_pyasdf(tmp_path, capsys):
    import pyasdf

    stream = make_observed(tmp_path / "o.h5")
    back, inventory = read_observed(tmp_path / "o.h5")
    assert [trace.id for trace in back] == sorted(trace.id for trace in stream)
    for trace in stream:
        (other,) = back.select(id=trace.id)
        assert other.stats.starttime.ns == trace.stats.starttime.ns
        assert other.stats.sampling_rate == 40.0
        assert other.data.dtype == np.int32
        np.testing.assert_array_equal(other.data, trace.data)
    assert [network.code for network in inventory] == ["AA", "BK"]
    assert read_source(tmp_path / "o.h5") == EVENT
    assert read_provenance(tmp_path / "o.h5") == Provenance("import")
    assert len(read_observed(tmp_path / "o.h5", tag="other")[0]) == 0
    with pyasdf.ASDFDataSet(str(tmp_path / "o.h5"), mode="r", mpi=False) as data:
        data.validate()
        assert len(data.waveforms["BK.CVS"].raw_recording) == 2
    assert "2 good station(s)" in capsys.readouterr().out


def test_equal_recordings_give_equal_bytes(tmp_path):
    from obspy import Inventory

    stream = make_observed(tmp_path / "a.h5")
    networks = read_inventory(stationxml(STATIONS, ("BHN", "BHZ"))).networks
    inventory = Inventory(networks, source="elsewhere")  # stamped with the time of now
    for name in ("b.h5", "c.h5"):
        inventory.created += 5
        write_observed(tmp_path / name, EVENT, stream, inventory, provenance=PROVENANCE)
    assert (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()


def test_a_file_by_pyasdf_is_read(tmp_path):
    import pyasdf
    from obspy import Stream, read_events

    stream = make_observed(tmp_path / "o.h5")
    _, inventory = read_observed(tmp_path / "o.h5")
    from seisflow.io.events import write_quakeml

    write_quakeml(tmp_path / "e.xml", EVENT)
    with pyasdf.ASDFDataSet(str(tmp_path / "p.h5"), mode="a", mpi=False) as data:
        data.add_quakeml(read_events(str(tmp_path / "e.xml")))
        data.add_waveforms(Stream(stream.traces), tag="raw_recording")
        data.add_stationxml(inventory)
    back, again = read_observed(tmp_path / "p.h5")
    assert len(back) == 4
    assert len(again.get_contents()["stations"]) == 2


def test_stations_without_stationxml_are_named(tmp_path):
    from obspy import Stream

    stream = make_observed(tmp_path / "o.h5")
    inventory = read_inventory(stationxml(STATIONS[:1], ("BHN", "BHZ")))
    with pytest.raises(InputError, match=r"no StationXML describes AA\.X_1"):
        write_observed(tmp_path / "p.h5", EVENT, stream, inventory, provenance=PROVENANCE)
    with pytest.raises(InputError, match="no recordings"):
        write_observed(tmp_path / "p.h5", EVENT, Stream(), inventory, provenance=PROVENANCE)
    with pytest.raises(InputError, match="same second"):
        write_observed(tmp_path / "p.h5", EVENT, stream[:1] + stream[:1], inventory, provenance=PROVENANCE)
    assert not (tmp_path / "p.h5").exists()


def test_meaningless_numbers_are_not_written(tmp_path):
    content = make_content()
    gather = make_gather(1)
    gather.data[0, 1, 7] = np.nan
    bad = [
        (dataclasses.replace(content, adjoints={0: gather}), r"adjoint_source of BK\.CVS\.T"),
        (dataclasses.replace(content, results={"misfit": np.inf}), "misfit"),
        (
            dataclasses.replace(content, measurements=(Measurement(content.windows[0], np.nan),)),
            r"BK\.CVS\.Z",
        ),
    ]
    for each, words in bad:
        with pytest.raises(PhysicsError, match=words):
            write_event(tmp_path / "e.h5", each)
    assert list(tmp_path.iterdir()) == []


def test_bad_tags_and_torn_stations_are_refused(tmp_path):
    with pytest.raises(InputError, match="tag 'Bad Tag'"):
        write_event(
            tmp_path / "e.h5", dataclasses.replace(make_content(), gathers={"Bad Tag": make_gather(1)})
        )
    moved = (dataclasses.replace(STATIONS[0], latitude=1.0), *STATIONS[1:])
    other = dataclasses.replace(make_gather(2), stations=moved)
    with pytest.raises(InputError, match=r"BK\.CVS is two different stations"):
        write_event(tmp_path / "e.h5", dataclasses.replace(make_content(), gathers={"synthetic": other}))


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(MissingError):
        read_event(tmp_path / "none.h5")
    (tmp_path / "t.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"t\.h5: cannot be read"):
        read_event(tmp_path / "t.h5")
    make_observed(tmp_path / "o.h5")
    with pytest.raises(InputError, match=r"o\.h5"):
        read_event(tmp_path / "o.h5")


@pytest.mark.parametrize(
    ("interval", "code"),
    [
        (0.0005, "F"),
        (0.001, "F"),
        (0.002, "C"),
        (0.01, "H"),
        (0.0125, "H"),
        (0.025, "B"),
        (0.1, "B"),
        (0.5, "M"),
        (1.0, "L"),
        (2.0, "L"),
        (10.0, "V"),
    ],
)
def test_band_codes_are_those_of_seed(interval, code):
    assert band_code(interval) == code
    assert channel_code("T", interval) == f"{code}XT"
