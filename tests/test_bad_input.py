"""Input that cannot be used: a sentence with file, value and remedy, exit code 2, and nothing written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny

from seisflow.domain import Station
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.stations import read_stationxml, write_stationxml


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def truncated_observed(root: Path) -> None:
    cut(root / "observed" / "a2.h5", 0.6)


def empty_observed(root: Path) -> None:
    (root / "observed" / "a2.h5").write_bytes(b"")


def no_observed(root: Path) -> None:
    (root / "observed" / "a2.h5").unlink()


def no_model(root: Path) -> None:
    (root / "models" / "m00.nc").unlink()


def truncated_model(root: Path) -> None:
    cut(root / "models" / "m00.nc", 0.5)


def change_model(root: Path, name: str, value: float) -> None:
    with h5py.File(
        root / "models" / "m00.nc", "r+", locking=False
    ) as file:  # seisflow itself writes no such model
        file[name][2, 3, 1] = value


def nan_in_model(root: Path) -> None:
    change_model(root, "vs", np.nan)


def negative_in_model(root: Path) -> None:
    change_model(root, "rho", -5.0)


def slow_p_in_model(root: Path) -> None:
    change_model(root, "vp", 3000.0)


def change_event(root: Path, **changes: object) -> None:
    path = root / "events" / "a2.xml"
    (event,) = read_quakeml(path)
    write_quakeml(path, replace(event, **changes))


def event_outside(root: Path) -> None:
    change_event(root, latitude=39.5)


def event_too_deep(root: Path) -> None:
    change_event(root, depth=16_500.0)


def event_in_the_air(root: Path) -> None:
    change_event(root, depth=-200.0)


def another_event(root: Path) -> None:
    (root / "events" / "a2.xml").write_bytes((root / "events" / "a1.xml").read_bytes())


def truncated_event(root: Path) -> None:
    cut(root / "events" / "a2.xml", 0.5)


def event_of_bad_name(root: Path) -> None:
    (root / "events" / "a2.xml").rename(root / "events" / "a 2.xml")


def no_events(root: Path) -> None:
    for path in (root / "events").iterdir():
        path.unlink()


def change_station(root: Path, **changes: object) -> None:
    path = root / "stations" / "XX.xml"
    first, *others = read_stationxml([path])
    stations: list[Station] = [replace(first, **changes), *others]
    write_stationxml(path, stations, ("HXE", "HXN", "HXZ"))


def station_outside(root: Path) -> None:
    change_station(root, longitude=25.0)


def negative_burial(root: Path) -> None:
    change_station(root, burial=-30.0)


def truncated_stations(root: Path) -> None:
    cut(root / "stations" / "XX.xml", 0.5)


def no_stations(root: Path) -> None:
    (root / "stations" / "XX.xml").unlink()


def unknown_held_out(root: Path) -> None:
    tiny.change_config(root, "hold_out: [h1]", "hold_out: [h9]")


def all_held_out(root: Path) -> None:
    tiny.change_config(root, "hold_out: [h1]", "hold_out: [a1, a2, a3, h1]")


def band_too_long(root: Path) -> None:
    tiny.change_config(root, "periods: [6, 20]", "periods: [6, 60]")


def band_too_short(root: Path) -> None:
    tiny.change_config(root, "periods: [6, 20]", "periods: [0.5, 20]")


def corrupt_yaml(root: Path) -> None:
    tiny.change_config(root, "name: tiny", "name: 'tiny")


def time_step_unstable(root: Path) -> None:
    tiny.change_config(root, "cpml_cells: 8", "cpml_cells: 8, time_step: 2.0")


def grid_too_coarse(root: Path) -> None:
    tiny.change_config(root, "cpml_cells: 8", "cpml_cells: 8, spacing: 9000")


def too_little_memory(root: Path) -> None:
    tiny.change_config(root, "cpml_cells: 8", "cpml_cells: 8, memory_gb: 0.001")


CASES = [
    (truncated_observed, r"observed/a2\.h5.*(damaged|cut short).*restore it"),
    (empty_observed, r"observed/a2\.h5.*(damaged|cut short)"),
    (no_observed, r"event a2: no recordings, observed/a2\.h5 is not there; import them"),
    (no_model, r"models/m00\.nc: no model there; `seisflow import"),
    (truncated_model, r"models/m00\.nc.*(damaged|cut short)"),
    (nan_in_model, r"models/m00\.nc: vs = nan at x = .* y = .* z = 4000 m.*finite and positive"),
    (negative_in_model, r"models/m00\.nc: rho = -5\.0 at x = "),
    (slow_p_in_model, r"models/m00\.nc: vp = 3000 m/s with vs = .*above 1\.155"),
    (
        event_outside,
        r"events/a2\.xml: event a2 lies at y = 16\d{4} m, the model reaches from -20000 to 20000 m",
    ),
    (event_too_deep, r"events/a2\.xml: event a2 lies 16500 m deep, the model ends at 16000 m; use a deeper"),
    (event_in_the_air, r"events/a2\.xml: event a2 has depth -200 m.*must be 0 or more"),
    (another_event, r"events/a2\.xml: should hold the event a2 alone, holds a1; import it again"),
    (truncated_event, r"events/a2\.xml"),
    (event_of_bad_name, r"events/a 2\.xml: .*may hold letters.*rename"),
    (no_events, r"events: no events there; `seisflow import"),
    (station_outside, r"stations/XX\.xml: station XX\.S\d lies at x = .*leave it out or use a larger model"),
    (negative_burial, r"stations/XX\.xml: station XX\.S\d has depth -30 m.*must be 0 or more"),
    (truncated_stations, r"stations/XX\.xml"),
    (no_stations, r"stations: no StationXML there; `seisflow import"),
    (
        unknown_held_out,
        r"seisflow\.yaml: hold_out names h9; give events \(a1, a2, a3, h1\), stations as NET\.STA",
    ),
    (all_held_out, r"seisflow\.yaml: hold_out names every event"),
    (band_too_long, r"seisflow\.yaml.*\n.*line \d.*60 s needs at least 90 s of seismogram"),
    (band_too_short, r"seisflow\.yaml.*\n.*line \d.*cannot hold a period of 0\.5 s.*set interval to 0\.05 s"),
    (corrupt_yaml, r"seisflow\.yaml line \d+: is not YAML"),
    (time_step_unstable, r"time_step = 2 s is unstable.*use at most 0\.\d+ s"),
    (grid_too_coarse, r"spacing = 9000 m.*use at most \d+ m"),
    (too_little_memory, r"needs 0\.\d+ GB, memory_gb = 0\.001; raise memory_gb"),
]


@pytest.mark.parametrize(("spoil", "told"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_bad_input_is_a_sentence_and_nothing_is_written(run, project, spoil, told):
    spoil(project)
    before = sorted(project.rglob("*"))
    code, out, error = run("iterate", "-i", 1, "-p", project)
    assert code == 2, error
    assert out == ""
    assert error.startswith("error: ") and "Traceback" not in error
    assert re.search(told, error), error
    # of the lock alone an empty file stays
    new = [
        path for path in sorted(project.rglob("*")) if path not in before and ".seisflow" not in path.parts
    ]
    assert new == []


def test_all_faults_of_all_events_are_told_at_once(run, project):
    truncated_observed(project)
    (project / "observed" / "a3.h5").unlink()
    event = project / "events" / "h1.xml"
    (held,) = read_quakeml(event)
    write_quakeml(event, replace(held, depth=99_000.0))
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 2
    assert "observed/a2.h5" in error and "observed/a3.h5" in error and "events/h1.xml" in error


def test_the_same_checks_serve_check_and_dry_run(run, project):
    nan_in_model(project)
    for command in (("check",), ("iterate", "-i", 1, "--dry-run"), ("check-gradient",)):
        code, _, error = run(*command, "-p", project)
        assert code == 2 and "m00.nc: vs = nan" in error


def test_debug_shows_where(run, project, monkeypatch):
    from seisflow import cli
    from seisflow.errors import InputError

    no_model(project)
    monkeypatch.setattr("sys.argv", ["seisflow", "--debug", "iterate", "-i", "1", "-p", str(project)])
    with pytest.raises(InputError):
        cli.main()


def test_a_folder_that_is_no_project(run, tmp_path):
    for command in (
        ("iterate", "-i", 1),
        ("status",),
        ("check",),
        ("plot",),
        ("gain",),
        ("why", "i01/s00/a"),
    ):
        code, _, error = run(*command, "-p", tmp_path)
        assert code == 2 and "seisflow init" in error
