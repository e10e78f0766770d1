"""A part of a MiniSEED file gives what the whole file gives."""

import io

import numpy as np
import obspy
import pytest

from seisflow.io import archive, miniseed_parts
from seisflow.io.archive_index import Span

START = 1577836800.0


def traces(pieces, rate=100.0, channel="HHZ", station="S00"):
    """Noise with gaps: pieces are (begin in s, length in s)."""
    rng = np.random.default_rng(5)
    header = {"network": "XX", "station": station, "channel": channel, "sampling_rate": rate}
    return [
        obspy.Trace(
            rng.integers(-9000, 9000, round(length * rate)).astype(np.int32),
            header | {"starttime": obspy.UTCDateTime(START + begin)},
        )
        for begin, length in pieces
    ]


@pytest.fixture
def small(monkeypatch):
    """Parts of small files are read too, in blocks of a few records."""
    monkeypatch.setattr(miniseed_parts, "LEAST", 1)
    monkeypatch.setattr(miniseed_parts, "_BLOCK", 8192)


def write(path, found, **options):
    obspy.Stream(found).write(str(path), format="MSEED", **options)


def read(path, found, start, end):
    spans = [
        Span(
            "XX",
            "S00",
            "",
            each.stats.channel,
            *times(each),
            each.stats.sampling_rate,
            each.stats.npts,
            str(path),
            "mseed",
        )
        for each in found
        if times(each)[0] <= end and times(each)[1] >= start
    ]
    return archive._read_spans(spans, start, end) if spans else ([], [])


def times(trace):
    return trace.stats.starttime.timestamp, trace.stats.endtime.timestamp


CASES = {
    "4096": (traces([(0, 600), (700, 900)]), {"reclen": 4096}),
    "512": (traces([(0, 300), (300.004, 400)]), {"reclen": 512}),
    "not in order": (traces([(900, 300), (0, 300), (250, 500)]), {"reclen": 512}),
    "channels": (traces([(0, 500)]) + traces([(100, 500)], channel="HHN"), {"reclen": 512}),
    "slow": (traces([(0, 90000)], rate=0.5), {"reclen": 512}),
    "floats": ([each for each in traces([(0, 400)])], {"reclen": 4096, "encoding": "FLOAT32"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_part_is_like_the_whole(small, monkeypatch, tmp_path, case):
    found, options = CASES[case]
    if options.get("encoding") == "FLOAT32":
        for each in found:
            each.data = each.data.astype(np.float32)
    path = tmp_path / "day.mseed"
    write(path, found, **options)
    last, rng = max(times(each)[1] for each in found), np.random.default_rng(1)
    less = 0
    for _ in range(25):
        start, end = np.sort(rng.uniform(START - 50, last + 50, 2)).tolist()
        part, said = read(path, found, start, end)
        place = miniseed_parts.stretch(str(path), start, end)
        less += place is not None and place[1] - place[0] < path.stat().st_size
        with monkeypatch.context() as whole:
            whole.setattr(archive, "stretch", lambda *words: None)
            wanted, wanted_said = read(path, found, start, end)
        assert said == wanted_said == []
        assert [each.id for each in part] == [each.id for each in wanted]
        for one, other in zip(part, wanted, strict=True):
            assert one.stats.starttime == other.stats.starttime
            np.testing.assert_array_equal(one.data, other.data)
    assert less > 5


def test_corrected_times_count(small, tmp_path):
    found = traces([(0, 600)])
    path = tmp_path / "day.mseed"
    write(path, found, reclen=512)
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 512):  # 300 s late, and not corrected for yet
        content[place + 40 : place + 44] = (3_000_000).to_bytes(4, "big", signed=True)
    path.write_bytes(bytes(content))
    moved = obspy.read(io.BytesIO(bytes(content)))
    assert moved[0].stats.starttime.timestamp == START + 300
    part, _ = read(path, moved, START + 800, START + 850)
    assert part[0].stats.npts == 5001


@pytest.mark.parametrize("fault", ["small", "two lengths", "two stations", "little-endian", "junk", "cut"])
def test_else_the_whole_is_read(small, monkeypatch, tmp_path, fault):
    path = tmp_path / "day.mseed"
    found = traces([(0, 600)])
    write(path, found, reclen=512)
    if fault == "small":
        monkeypatch.setattr(miniseed_parts, "LEAST", 1 << 22)
    elif fault == "two lengths":
        other = tmp_path / "other.mseed"
        write(other, traces([(600, 600)]), reclen=4096)
        path.write_bytes(path.read_bytes() + other.read_bytes())
    elif fault == "two stations":
        write(path, found + traces([(0, 600)], station="S01"), reclen=512)
    elif fault == "little-endian":  # ObsPy takes its fractions for faults
        write(path, found, reclen=512, byteorder="<")
    elif fault == "junk":
        content = bytearray(path.read_bytes())
        content[512 * 40 : 512 * 41] = b"\xff" * 512
        path.write_bytes(bytes(content))
    else:
        path.write_bytes(path.read_bytes()[:-100])
    assert miniseed_parts.stretch(str(path), START + 100, START + 110) is None


def test_a_file_that_is_written_anew_is_looked_at_again(small, tmp_path):
    path = tmp_path / "day.mseed"
    write(path, traces([(0, 600)]), reclen=512)
    before = miniseed_parts.stretch(str(path), START + 500, START + 510)
    write(path, traces([(400, 800)]), reclen=512)
    assert before is not None
    assert before[0] > 0
    assert miniseed_parts.stretch(str(path), START + 410, START + 420)[0] == 0
