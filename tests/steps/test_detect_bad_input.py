"""Recordings and settings with faults: each is named, the rest is searched."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_network as tn
from seisflow.workflows.detect import Detected, detect

from seisflow.domain import Grid
from seisflow.errors import InputError
from seisflow.io.catalog_files import load_catalog, read_catalog
from seisflow.io.models import write_model

STRONG = np.array([quake.time for quake in tn.QUAKES if quake.strong]) + tn.MIDNIGHT
ALL = np.array([quake.time for quake in tn.QUAKES]) + tn.MIDNIGHT


def times_of(found: Detected) -> np.ndarray:
    return load_catalog(found.catalog).times


def has(times: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether all wanted times are among those found."""
    return all(np.abs(times - time).min() < 0.15 for time in wanted)


def said(found: Detected) -> str:
    return "\n".join(line for lines in found.problems.values() for line in lines)


def trace_file(root: Path, name: str, day: str = "2026-03-01") -> Path:
    station, channel = name.split()
    return root / "waveforms" / f"XX.{station}.{channel}.{day}.mseed"


def rewrite(path: Path, change) -> None:
    """Write a recording again, changed."""
    from obspy import read

    stream = read(str(path))
    change(stream)
    stream.write(str(path), format="MSEED", encoding="STEIM2", reclen=512)


@pytest.fixture(scope="module")
def spoiled(network_source, tmp_path_factory) -> tuple[Path, Detected, list[str]]:
    """One day with much that is wrong, after the search."""
    root = tiny.copy(network_source, tmp_path_factory.mktemp("spoiled") / "project")
    path = trace_file(root, "T0 HHE")
    path.write_bytes(path.read_bytes()[:6_000])  # not a whole number of records
    trace_file(root, "T1 HHN").write_bytes(b"this is no recording" * 400)
    (root / "waveforms" / "notes.txt").write_text("battery changed")

    def dead(stream) -> None:
        stream[0].data[:] = 17

    def gap(stream) -> None:
        middle = stream[0].stats.starttime + 50
        late = stream.copy().trim(starttime=middle + 30)
        stream.trim(endtime=middle)
        stream += late

    def unknown(stream) -> None:
        stream[0].stats.station = "NEW"

    rewrite(trace_file(root, "T2 HHZ"), dead)
    for channel in tn.CHANNELS:
        rewrite(trace_file(root, f"T3 {channel}"), gap)
        other = trace_file(root, f"NEW {channel}")
        shutil.copy(trace_file(root, f"T4 {channel}"), other)
        rewrite(other, unknown)
    trace_file(root, "T5 HHZ").unlink()
    lines: list[str] = []

    class Listening:
        def begin(self, title, names):
            pass

        def advance(self, name, fraction):
            pass

        def end(self):
            pass

        def say(self, text):
            lines.append(text)

    return root, detect(root, monitor=Listening()), lines


def test_faults_of_recordings_are_named_and_the_rest_is_searched(spoiled):
    _, found, lines = spoiled
    text = said(found) + "\n" + "\n".join(lines)
    for name in ("XX.T0.HHE.2026-03-01", "XX.T1.HHN.2026-03-01", "XX.T2", "XX.NEW"):
        assert name in text, text
    assert has(times_of(found), STRONG)
    assert times_of(found).size <= ALL.size


def test_a_fault_is_noted_with_its_day(spoiled):
    root, found, _ = spoiled
    assert any("XX.T2" in line for line in found.problems["2026-03-01"])
    note = json.loads((root / "detection" / "2026-03-01" / "beam.json").read_text())
    assert any("XX.T2" in line for line in note["results"]["problems"])


def test_an_event_in_the_gap_of_a_station_has_no_arrival_there(spoiled):
    _, found, _ = spoiled
    catalog = load_catalog(found.catalog)
    event = catalog.detections[int(np.abs(catalog.times - tn.MIDNIGHT - 61.1).argmin())]
    stations = {arrival.station for arrival in event.arrivals}
    assert "XX.T3" not in stations and len(stations) >= 6


def test_days_and_minutes_without_recordings_are_no_fault(network):
    before, after = tn.MIDNIGHT - 3600, tn.MIDNIGHT + 86400 + 3600
    found = detect(network, (before, after))
    assert has(times_of(found), ALL) and times_of(found).size == ALL.size
    catalog = load_catalog(found.catalog)
    assert catalog.live_days * 86400 == pytest.approx(tn.DURATION, rel=0.1)
    assert not (network / "detection" / "2026-03-02").exists()


def test_no_stations_in_common_is_named(network):
    for path in (network / "stations").iterdir():
        path.unlink()
    other = [replace(each, network="YY") for each in tn.stations()]
    from seisflow.io.stations import write_stationxml

    write_stationxml(network / "stations" / "YY.xml", other, tn.CHANNELS)
    with pytest.raises(InputError, match=r"at stations of the project; the archive holds XX\.T0"):
        detect(network)


def test_an_empty_archive_is_named(network):
    for path in (network / "waveforms").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no recordings in waveforms"):
        detect(network)


def test_a_model_that_does_not_hold_the_search_is_named(network):
    write_model(network / "models" / "m00.nc", tn.model(depth=5000))
    with pytest.raises(InputError, match=r"z = 2000 to 8000 m, models/m00.nc from .* to 5500 m"):
        detect(network)


def smaller_model(root, first, count):
    """A model of the project with so many nodes from a place in the south-west on, 1 km apart."""
    whole = tn.model()
    grid = Grid((first, first, 0.0), whole.grid.spacing, (count, count, 11))
    values = [np.full(grid.shape, value) for value in (tn.VP, tn.VS, 2600.0)]
    write_model(root / "models" / "m00.nc", type(whole)(grid, whole.projection, *values))


def test_stations_beyond_the_model_are_left_out_and_listed(run, network):
    smaller_model(network, -6000.0, 12)  # to 5 km: two of the outer ring lie beyond
    code, _, error = run("detect", "-p", network)
    assert code == 0, error
    note = json.loads((network / "detection" / "2026-03-01" / "beam.json").read_text())
    left_out = [line for line in note["results"]["problems"] if "beyond the model" in line]
    assert sorted(line.split(":")[0] for line in left_out) == ["XX.T1", "XX.T7"]
    assert "beyond the model (models/m00.nc reaches from x = -6000" in error
    catalog = load_catalog(network / "detection" / "catalog.h5")
    assert has(catalog.times, STRONG)
    assert not {"XX.T1", "XX.T7"} & {arrival.station for each in catalog for arrival in each.arrivals}


def test_a_model_that_covers_too_few_stations_is_refused(network):
    smaller_model(network, -2000.0, 5)
    with pytest.raises(
        InputError, match=r"of 8 stations lie within the model, backprojection.min_stations is 4"
    ):
        detect(network)


def test_a_template_longer_than_the_recordings_is_refused_and_the_beam_tells_alone(network):
    tiny.change_config(network, "before: 0.4, length: 3", "before: 0.4, length: 400")
    tiny.change_config(network, "before: 0.4, length: 2}", "before: 0.4, length: 400}")
    found = detect(network)
    assert found.results["template"] == 0
    assert has(times_of(found), STRONG) and times_of(found).size == STRONG.size
    assert "0 channels with a signal-to-noise ratio" in said(found)


def test_noise_gives_an_empty_catalog(run, tmp_path):
    root = tmp_path / "noise"
    tn.build(root, ())
    tiny.change_config(root, "pictures: false", "pictures: true")
    code, out, error = run("detect", "-p", root)
    assert code == 0, error
    assert out.startswith("0 events: 0 by backprojection, 0 by templates alone")
    for suffix in ("h5", "csv", "xml"):
        assert len(read_catalog(root / "detection" / f"catalog.{suffix}", tn.projection())) == 0
    assert "templates: 0 from 0 events" in error
    assert (root / "detection" / "catalog.html").is_file()
    before = (root / "detection" / "catalog.h5").stat().st_mtime_ns
    assert run("detect", "-p", root)[0] == 0
    assert (root / "detection" / "catalog.h5").stat().st_mtime_ns == before
    code, out, error = run("catalog", "compare", root / "truth.csv", "-p", root)
    assert "Traceback" not in error


def test_only_dead_channels_are_said_to_be_dead(network):
    for path in (network / "waveforms").iterdir():
        rewrite(path, lambda stream: stream[0].data.fill(3))
    found = detect(network)
    assert found.results["events"] == 0
    assert all(f"XX.T{number}" in said(found) for number in range(8))
