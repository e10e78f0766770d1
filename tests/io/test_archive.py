"""The continuous archive: its index, its faults, reading from it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from seisflow.errors import InputError, MissingError, WorkError
from seisflow.io import archive_index
from seisflow.io.archive import Archive, days

T0 = float(UTCDateTime(2020, 3, 1, 23, 59, 0).timestamp)


def trace(station="A01", channel="HHZ", start=T0, samples=1000, rate=100.0, location="", seed=0):
    data = np.random.default_rng(seed).integers(-1000, 1000, samples).astype(np.int32)
    names = {"network": "XX", "station": station, "location": location, "channel": channel}
    return Trace(data, {**names, "starttime": UTCDateTime(ns=round(start * 1e9)), "sampling_rate": rate})


def write(path: Path, *traces, kind="MSEED", **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "MSEED":
        options = {"reclen": 512, "encoding": "STEIM2", **options}
    Stream(list(traces)).write(str(path), format=kind, **options)
    return path


def write_asdf(path: Path, *traces) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = np.bytes_(b"ASDF")
        for each in traces:
            station = f"{each.stats.network}.{each.stats.station}"
            data = file.create_dataset(f"Waveforms/{station}/{each.id}__a__b__raw", data=each.data)
            data.attrs["starttime"] = np.int64(each.stats.starttime.ns)
            data.attrs["sampling_rate"] = np.float64(each.stats.sampling_rate)
    return path


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def index(tmp_path) -> Path:
    return tmp_path / "project" / "archive.sqlite"


def sentence(problems, name):
    found = [each for each in problems if name in each]
    assert len(found) == 1, problems
    return found[0]


def test_formats_and_names(data, index):
    write(data / "2020/XX/A01/HHZ.D/XX.A01..HHZ.D.2020.061", trace())
    write(data / "any name [1]" / "x.bin", trace("A02"), trace("A03", start=T0 + 5))
    write(data / "a.sac", trace("A04"), kind="SAC")
    write(data / "a.gse", trace("A05"), kind="GSE2")
    write_asdf(data / "all.h5", trace("A06"), trace("A06", "HHN"))
    write(data / ".hidden" / "x.mseed", trace("A07"))
    archive = Archive.open([data], index)
    assert archive.problems() == []
    spans = archive.spans()
    assert [(span.station, span.channel) for span in spans] == [
        ("A01", "HHZ"), ("A02", "HHZ"), ("A03", "HHZ"), ("A04", "HHZ"), ("A05", "HHZ"), ("A06", "HHN"), ("A06", "HHZ"),
    ]  # fmt: skip
    for span in spans:
        late = 5 if span.station == "A03" else 0
        assert span.start == pytest.approx(T0 + late, abs=1e-3)
        assert span.end == pytest.approx(T0 + late + 9.99, abs=1e-3)
        assert (span.rate, span.samples) == (pytest.approx(100.0), 1000)
    stream, problems = archive.read(T0, T0 + 100)
    assert problems == [] and len(stream) == 7
    for each in stream:
        np.testing.assert_array_equal(each.data, trace().data)


def test_linked_folders_are_entered_once(data, index, tmp_path):
    write(tmp_path / "disk" / "a.mseed", trace())
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk")
    data.mkdir()
    (data / "link").symlink_to(tmp_path / "disk")
    (data / "gone.mseed").symlink_to(tmp_path / "nowhere")
    archive = Archive.open([data], index)
    assert len(archive.spans()) == 1
    assert "link to a file that is not there" in sentence(archive.problems(), "gone.mseed")


def test_only_new_and_changed_files_are_read(data, index):
    for number in range(4):
        write(data / f"{number}.mseed", trace(f"A{number:02d}"))
    seen = []
    first = Archive.open([data], index, lambda done, total: seen.append((done, total)))
    assert (first.scan.files, first.scan.read, seen[-1]) == (4, 4, (4, 4))
    content = index.read_bytes()
    assert Archive.open([data], index).scan.read == 0
    assert index.read_bytes() == content
    write(data / "1.mseed", trace("A01", samples=3000))
    (data / "2.mseed").unlink()
    write(data / "4.mseed", trace("A04"))
    again = Archive.open([data], index)
    assert (again.scan.files, again.scan.read, again.scan.removed) == (4, 2, 1)
    assert [span.samples for span in again.spans()] == [1000, 3000, 1000, 1000]
    assert [span.station for span in again.spans()] == ["A00", "A01", "A03", "A04"]
    write(data / "5.mseed", trace("A05"))
    assert len(Archive.open([data], index, refresh=False).spans()) == 4


def test_faulty_files_are_named_and_the_rest_is_used(data, index):
    write(data / "good.mseed", trace())
    whole = write(data / "torn.mseed", trace("A02", samples=5000)).read_bytes()
    (data / "torn.mseed").write_bytes(whole[:-100])
    (data / "head.mseed").write_bytes(whole[:40])
    (data / "empty.mseed").touch()
    (data / "notes.txt").write_text("nothing here\n" * 100)
    (data / "noise.bin").write_bytes(np.random.default_rng(1).bytes(5000))
    write(data / "sac.sac", trace("A03"), kind="SAC")
    (data / "sac.sac").write_bytes((data / "sac.sac").read_bytes()[:-10])
    write_asdf(data / "bad.h5", trace("A04"))
    (data / "bad.h5").write_bytes((data / "bad.h5").read_bytes()[:1500])
    with h5py.File(data / "other.h5", "w") as file:
        file["x"] = [1.0]
    write(data / "future.mseed", trace("A05", start=time.time() + 1e6))
    archive = Archive.open([data], index)
    problems = archive.problems()
    assert "cut short" in sentence(problems, "torn.mseed")
    assert "empty" in sentence(problems, "empty.mseed")
    assert "in the future" in sentence(problems, "future.mseed")
    assert "no ASDF file" in sentence(problems, "other.h5")
    for name in ("head.mseed", "notes.txt", "noise.bin", "sac.sac", "bad.h5"):
        sentence(problems, name)
    assert archive.scan.unusable == 8
    assert [span.station for span in archive.spans()] == ["A01", "A02"]
    stream, _ = archive.read(T0, T0 + 100)
    torn = stream.select(station="A02")[0].data
    assert 0 < len(torn) < 5000
    np.testing.assert_array_equal(torn, trace("A02", samples=5000).data[: len(torn)])


def test_large_files_of_unknown_formats_are_not_taken_into_memory(data, index, monkeypatch):
    data.mkdir()
    with open(data / "film.mp4", "wb") as file:
        file.write(b"x" * 1000)
        file.truncate(2**31)  # takes no space
    monkeypatch.setattr(archive_index, "read_waveforms", None)
    assert "too large" in sentence(Archive.open([data], index).problems(), "film.mp4")


def test_channels_without_time_series_are_named(data, index, monkeypatch):
    write(data / "a.mseed", trace())
    traces = [trace(), trace(channel="LOG", rate=0.0)]
    headers, problems = archive_index._usable("f", traces)
    assert len(headers) == 1 and "XX.A01..LOG holds no time series" in problems[0]


def test_reading_across_midnight_and_by_pattern(data, index):
    midnight = T0 + 60
    write(data / "day1", trace(samples=6000), trace(channel="HHN", samples=6000))
    write(data / "day2", trace(start=midnight, samples=6000, seed=1), trace("B01", start=midnight))
    archive = Archive.open([data], index)
    stream, problems = archive.read(midnight - 1.005, midnight + 1, ["XX.A01.*.HHZ"])
    assert problems == []
    assert [each.id for each in stream] == ["XX.A01..HHZ"] * 2
    assert [Path(each.stats.file).name for each in stream] == ["day1", "day2"]
    assert [each.stats.npts for each in stream] == [100, 101]
    np.testing.assert_array_equal(stream[0].data, trace(samples=6000).data[-100:])
    np.testing.assert_array_equal(stream[1].data, trace(samples=6000, seed=1).data[:101])
    parts = list(archive.stations(midnight - 1, midnight + 1))
    assert [part[0][0].stats.station for part in parts] == ["A01", "B01"]
    assert sorted({each.id for each in parts[0][0]}) == ["XX.A01..HHN", "XX.A01..HHZ"]
    assert [len(part[0]) for part in parts] == [3, 1]
    assert archive.spans(midnight + 60, midnight + 70) == []


def test_asdf_is_read_in_part(data, index):
    data.mkdir()
    whole = trace(samples=6000)
    write_asdf(data / "a.h5", whole)
    archive = Archive.open([data], index)
    stream, _ = archive.read(T0 + 10.001, T0 + 20)
    assert stream[0].stats.starttime == UTCDateTime(T0) + 10.01
    np.testing.assert_array_equal(stream[0].data, whole.data[1001:2001])


def test_overlapping_records_stay_for_the_treatment(data, index):
    write(data / "b.mseed", trace(samples=2000, seed=1))
    write(data / "a.mseed", trace(start=T0 + 5, samples=2000))
    stream, _ = Archive.open([data], index).read(T0, T0 + 100)
    assert [Path(each.stats.file).name for each in stream] == ["a.mseed", "b.mseed"]


def test_overlapping_records_within_a_file(data, index):
    one = write(data / "a", trace(samples=5000)).read_bytes()
    two = write(data / "b", trace(start=T0 + 30, samples=5000, seed=1)).read_bytes()
    (data / "a").unlink()
    (data / "b").write_bytes(one + two)
    archive = Archive.open([data], index)
    assert [span.samples for span in archive.spans()] == [5000, 5000]
    stream, problems = archive.read(T0, T0 + 100)
    assert problems == [] and [each.stats.npts for each in stream] == [5000, 5000]
    np.testing.assert_array_equal(stream[0].data, trace(samples=5000).data)


@pytest.mark.parametrize("fault", ["record", "frames", "bits"])
def test_one_damaged_record_costs_one_record(data, index, fault):
    file = write(data / "a.mseed", trace(samples=20000), trace("B01"))
    content = bytearray(file.read_bytes())
    low, high = {"record": (0, 512), "frames": (128, 300), "bits": (264, 265)}[fault]
    content[40 * 512 + low : 40 * 512 + high] = np.random.default_rng(3).bytes(high - low)
    file.write_bytes(content)
    archive = Archive.open([data], index)
    assert [span.station for span in archive.spans()][-1] == "B01"
    stream, problems = archive.read(T0, T0 + 300, ["*.A01.*"])
    assert len(problems) == 1 and "a.mseed" in problems[0]
    assert 19000 < sum(each.stats.npts for each in stream) < 20000
    for each in stream:
        first = round((each.stats.starttime.timestamp - T0) * 100)
        np.testing.assert_array_equal(each.data, trace(samples=20000).data[first : first + each.stats.npts])
    assert archive.read(T0, T0 + 20, ["*.A01.*"])[1] == ([problems[0]] if fault == "record" else [])


def test_a_file_that_vanishes_or_changes_after_the_index(data, index):
    write(data / "a.mseed", trace())
    write(data / "b.mseed", trace("A02"))
    write(data / "c.mseed", trace("A03"))
    archive = Archive.open([data], index)
    (data / "a.mseed").unlink()
    (data / "b.mseed").write_bytes(b"no recording any more" * 50)
    stream, problems = archive.read(T0, T0 + 10)
    assert [each.stats.station for each in stream] == ["A03"]
    assert "is gone since" in sentence(problems, "a.mseed")
    sentence(problems, "b.mseed")
    parts = list(archive.stations(T0, T0 + 10))
    assert [len(part[0]) for part in parts] == [0, 0, 1]


def test_a_folder_that_is_not_there_leaves_the_index(data, index):
    write(data / "a.mseed", trace())
    Archive.open([data], index)
    with pytest.raises(MissingError, match="no such folder of continuous data"):
        Archive.open([data, data / "unmounted"], index)
    assert len(Archive.open([data], index, refresh=False).spans()) == 1


def test_a_damaged_index_is_built_anew(data, index):
    write(data / "a.mseed", trace())
    Archive.open([data], index)
    whole = index.read_bytes()
    for content in (b"", b"nonsense" * 100, whole[: len(whole) // 2]):
        index.write_bytes(content)
        archive = Archive.open([data], index)
        assert "built anew" in sentence(archive.problems(), index.name)
        assert len(archive.spans()) == 1
    index.write_bytes(b"nonsense" * 1000)
    with pytest.raises(InputError, match="damaged"):
        Archive(index).spans()
    index.unlink()
    with pytest.raises(MissingError, match="no such index"):
        Archive(index).spans()


def test_an_index_that_is_killed_while_written(data, index):
    for number in range(6):
        write(data / f"{number}.mseed", trace(f"A{number:02d}"))
    program = (
        "import os, signal, sys\n"
        "from seisflow.io import archive_index\n"
        "archive_index._SAVE_EVERY = 0.0\n"
        "def stop(done, total):\n"
        "    if done == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "archive_index.update_index([sys.argv[1]], sys.argv[2], stop)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(data), str(index)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    archive = Archive.open([data], index)
    assert (archive.scan.files, archive.scan.read) == (6, 2)
    assert len(archive.spans()) == 6


def test_a_full_disk_keeps_the_old_index(data, index, monkeypatch):
    write(data / "a.mseed", trace())
    Archive.open([data], index)
    content = index.read_bytes()
    write(data / "b.mseed", trace("A02"))

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WorkError, match="no space"):
        Archive.open([data], index)
    assert index.read_bytes() == content
    assert [each.name for each in index.parent.iterdir()] == [index.name]


def test_a_large_index_answers_fast(index, monkeypatch):
    """100,000 day files: 100 channels over 1000 days."""
    files = {f"/d/{day:04d}/{channel:03d}": (1, 1) for day in range(1000) for channel in range(100)}

    def headers(path):
        day, channel = int(path[3:7]), int(path[8:])
        first = day * 86400 * 10**9
        name = ("XX", f"A{channel // 3:02d}", "", f"HH{channel % 3}")
        return "mseed", [archive_index._Header(*name, first, first + 86399990000000, 100.0, 8640000, "")], []

    monkeypatch.setattr(archive_index, "_walk", lambda folders: (dict(files), []))
    monkeypatch.setattr(archive_index, "_read_headers", headers)
    archive_index.update_index(["/d"], index)
    archive = Archive.open(["/d"], index, refresh=False)
    started = time.perf_counter()
    for day in (0, 500, 999):
        assert len(archive.spans(day * 86400 + 10, day * 86400 + 20)) == 100
    assert time.perf_counter() - started < 1.0
    assert len(archive.spans(500 * 86400 - 10, 500 * 86400 + 10, ["XX.A00.*"])) == 6


def test_days_own_every_origin_time_once():
    start = float(UTCDateTime(2020, 2, 28, 4).timestamp)
    end = float(UTCDateTime(2020, 3, 2).timestamp)
    found = list(days(start, end, 30.0))
    assert [str(UTCDateTime(day.start))[:13] for day in found] == [
        "2020-02-28T04", "2020-02-29T00", "2020-03-01T00",
    ]  # fmt: skip
    for one, other in pairwise(found):
        assert one.read_to - 30 == other.start == other.read_from + 30
    assert found[0].read_from == start - 30 and found[-1].read_to == end + 30
    with pytest.raises(InputError, match="end must follow"):
        list(days(end, start, 0.0))


@pytest.mark.realdata
def test_real_icequakes(shared_data, index):
    archive = Archive.open([shared_data / "rutford_icequakes"], index)
    assert len(archive.spans()) == 30
    assert {Path(each.split(":")[0]).name for each in archive.problems()} == {"catalogue.csv", "stations.csv"}
    start = float(UTCDateTime(2009, 1, 21, 4, 10).timestamp)
    stream, problems = archive.read(start, start + 1.0, ["YG.ST0?..EHZ"])
    assert problems == [] and len(stream) == 9
    assert {each.stats.npts for each in stream} == {1001}


def test_copying_an_archive_reads_it_again(data, index, tmp_path):
    write(data / "a.mseed", trace())
    Archive.open([data], index)
    shutil.copytree(data, tmp_path / "copy")
    scan = Archive.open([tmp_path / "copy"], index).scan
    assert (scan.read, scan.removed) == (1, 1)
