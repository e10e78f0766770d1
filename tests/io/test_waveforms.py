import os
import pickle

import numpy as np
import pytest

from seisflow.domain import Event, MomentTensor, Station
from seisflow.io.stations import read_inventory, stationxml
from seisflow.io.waveforms import cut, described, read_waveforms

obspy = pytest.importorskip("obspy")
EVENT = Event("e1", 1.0e9, 0, 0, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))


def trace(start: float, count: int, channel: str = "BHZ", rate: float = 10.0, scale: int = 1, dtype=np.int32):
    """Samples whose values are their number since the origin time: pieces of one recording agree."""
    first = round(start * rate)
    data = (scale * np.arange(first, first + count)).astype(dtype)
    header = {"network": "XX", "station": "A", "channel": channel, "sampling_rate": rate}
    return obspy.Trace(data, {**header, "starttime": obspy.UTCDateTime(EVENT.time) + first / rate})


def cut_one(*traces, start=0.0, end=60.0):
    return cut(obspy.Stream(list(traces)), EVENT, start, end)


def test_pieces_are_joined_and_duplicates_dropped():
    stream, problems = cut_one(trace(-50, 800), trace(30, 500), trace(30, 500), trace(-20, 300))
    assert problems == []
    assert len(stream) == 1
    np.testing.assert_array_equal(stream[0].data, np.arange(0, 601))
    assert stream[0].stats.starttime.timestamp == EVENT.time


def test_input_is_left_as_it_is():
    before = obspy.Stream([trace(-50, 800), trace(30, 500)])
    copy = before.copy()
    cut(before, EVENT, 0.0, 60.0)
    assert before == copy


def test_gaps_and_changes_of_the_rate_give_several_traces():
    for parts in ([trace(-50, 700), trace(30, 500)], [trace(-50, 700), trace(20, 1000, rate=20.0)]):
        stream, problems = cut_one(*parts)
        assert problems == [] and len(stream) == 2
        for found, given in zip(stream, parts, strict=True):
            assert found.stats.sampling_rate == given.stats.sampling_rate
            assert set(found.data) <= set(given.data)


def test_pieces_that_overlap_and_disagree_are_named_and_left_out():
    stream, problems = cut_one(trace(-50, 700), trace(0, 800, scale=2), trace(-10, 1000, "BHN"))
    assert [each.stats.channel for each in stream] == ["BHN"]
    (problem,) = problems
    assert problem.startswith("XX.A..BHZ, event e1: ") and "disagree" in problem


def test_channels_outside_the_span_are_passed_over():
    stream, problems = cut_one(trace(-500, 100), trace(-10, 1000, "BHN"))
    assert len(stream) == 1
    assert problems == []


def test_pieces_of_different_types_are_joined():
    stream, problems = cut_one(trace(-50, 700), trace(20, 700, dtype=np.float64))
    assert problems == []
    np.testing.assert_array_equal(stream[0].data, np.arange(0, 601))


def test_files_and_folders_are_read_and_broken_ones_named(tmp_path):
    folder = tmp_path / "day"
    folder.mkdir()
    trace(0, 3000).write(str(folder / "b.mseed"), format="MSEED", reclen=512)
    trace(0, 100, "BHE").write(str(folder / "a.sac"), format="SAC")
    content = (folder / "b.mseed").read_bytes()
    (folder / "torn.mseed").write_bytes(content[:-100])
    (folder / "stub.mseed").write_bytes(content[:300])
    (folder / "empty.mseed").write_bytes(b"")
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 10)
    (folder / ".hidden").write_bytes(b"x")
    stream, problems = read_waveforms([folder, tmp_path / "none"])
    assert [each.stats.channel for each in stream] == ["BHE", "BHZ", "BHZ"]
    said = {problem.split(":")[0].rsplit("/", 1)[-1]: problem for problem in problems}
    assert set(said) == {"torn.mseed", "stub.mseed", "empty.mseed", "noise.bin", "none"}
    assert "cut short" in said["torn.mseed"]
    assert all("\n" not in problem for problem in problems)


def test_stations_that_nothing_describes_are_left_out():
    other = trace(0, 10)
    other.stats.station = "B"
    inventory = read_inventory(stationxml([Station("XX", "A", 1.0, 2.0)], ("MXZ",)))
    stream, problems = described(obspy.Stream([trace(0, 10), other, other]), inventory)
    assert [each.stats.station for each in stream] == ["A"]
    assert problems == ["XX.B: no StationXML describes it, 2 recordings were left out; import its StationXML"]


def test_one_file(tmp_path):
    trace(0, 100).write(str(tmp_path / "a.mseed"), format="MSEED")
    stream, problems = read_waveforms(tmp_path / "a.mseed")
    assert len(stream) == 1
    assert problems == []


def test_a_pickle_is_never_opened(tmp_path):
    """Reading a pickle runs what it holds; ObsPy would."""

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    for protocol in (0, 2, 4):
        (tmp_path / "evil.mseed").write_bytes(pickle.dumps(Bomb(), protocol=protocol))
        stream, problems = read_waveforms(tmp_path / "evil.mseed")
        assert len(stream) == 0 and len(problems) == 1 and "no" in problems[0]
        assert not (tmp_path / "exploded").exists()
