"""One catalog of all days that were searched: whatever their order, what is stale is made again, and said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_network as tn

from seisflow.domain import Arrival, Detection, Event, Gather, MomentTensor, Station
from seisflow.errors import InputError
from seisflow.io.archive_index import Span
from seisflow.io.catalog_files import load_catalog
from seisflow.io.catalog_table import write_csv
from seisflow.io.event_file import EventFile, write_event
from seisflow.io.provenance import Provenance
from seisflow.io.stations import write_stationxml
from seisflow.io.template_files import read_templates
from seisflow.project import Project
from seisflow.steps.detect.days import EVERYTHING, Recorded, day_parts, joined
from seisflow.steps.detect.pending import _tasks
from seisflow.steps.detect.sources import picked
from seisflow.steps.detect.survey import Survey

FIRST, SECOND = "2026-02-28", "2026-03-01"
RESULTS = ("catalog.h5", "catalog.csv", "catalog.xml", "catalog.parquet", "templates.h5")


def results(root: Path) -> dict[str, bytes]:
    return {name: (root / "detection" / name).read_bytes() for name in RESULTS}


def stamps(root: Path) -> dict[str, int]:
    folder = root / "detection"
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*.h5")}


def search(run, root: Path, *arguments: object) -> str:
    code, _, error = run("detect", "-p", root, *arguments)
    assert code == 0, error
    return error


def test_days_in_either_order_and_all_at_once_give_the_same_bits(run, network, network_done, tmp_path):
    other = tiny.copy(network, tmp_path / "other")
    search(run, network, "--day", FIRST)
    one_day = load_catalog(network / "detection" / "catalog.h5")
    assert len(one_day) == sum(quake.time < 0 for quake in tn.QUAKES)
    search(run, network, "--day", SECOND)
    assert len(load_catalog(network / "detection" / "catalog.h5")) == len(tn.QUAKES)
    search(run, other, "--day", SECOND)
    search(run, other, "--day", FIRST)
    assert results(network) == results(other) == results(network_done)


def test_a_day_again_does_nothing_and_a_further_day_leaves_the_beams_of_others(run, network):
    search(run, network, "--day", FIRST)
    before = stamps(network)
    search(run, network, "--day", FIRST)
    assert stamps(network) == before
    search(run, network, "--day", SECOND)
    after = stamps(network)
    for name in ("beam.h5", "found.h5", "sized.h5", "cut.h5"):
        assert after[f"{FIRST}/{name}"] == before[f"{FIRST}/{name}"], name
    assert after["templates.h5"] != before["templates.h5"]


def test_templates_of_named_days_stay_when_days_are_added(run, network, tmp_path):
    tiny.change_config(network, "templates:\n", f"templates:\n      days: ['{FIRST}']\n")
    other = tiny.copy(network, tmp_path / "other")
    search(run, network, "--day", FIRST)
    before = stamps(network)
    search(run, network, "--day", SECOND)
    after = stamps(network)
    for name in ("templates.h5", f"{FIRST}/matched.h5"):
        assert after[name] == before[name]
    search(run, other, "--day", SECOND)  # the day of the templates is searched too
    assert results(network) == results(other)
    assert all(each.time < tn.MIDNIGHT for each in read_templates(network / "detection/templates.h5")[0])


def test_a_station_that_records_on_one_day_only_leaves_the_other_day_as_it_is(run, network, tmp_path):
    aside = tmp_path / "aside"
    aside.mkdir()
    for path in (network / "waveforms").glob(f"XX.T7.*{FIRST}*"):
        path.unlink()
    other = tiny.copy(network, tmp_path / "other")
    search(run, network, "--day", FIRST)
    before = stamps(network)
    search(run, network, "--day", SECOND)
    assert stamps(network)[f"{FIRST}/beam.h5"] == before[f"{FIRST}/beam.h5"]
    search(run, other)
    assert results(network) == results(other)


def test_parts_of_a_day_grow_to_the_whole_between_them(run, network, tmp_path):
    other = tiny.copy(network, tmp_path / "other")
    search(run, network, "--from", f"{SECOND}T00:00", "--to", f"{SECOND}T00:01")
    assert len(load_catalog(network / "detection" / "catalog.h5")) < 6
    search(run, network, "--from", f"{SECOND}T00:03", "--to", f"{SECOND}T00:04")
    search(run, other, "--day", SECOND)
    assert results(network) == results(other)


def test_a_day_is_taken_out_with_its_folder(run, network_done, network):
    shutil.rmtree(network_done / "detection" / FIRST)
    search(run, network_done, "--day", SECOND)
    search(run, network, "--day", SECOND)
    assert results(network_done) == results(network)


def test_a_searched_day_whose_recordings_are_gone_is_refused(run, network_done):
    for path in (network_done / "waveforms").glob(f"*{FIRST}*"):
        path.unlink()
    code, _, error = run("detect", "-p", network_done)
    assert code == 2 and f"remove detection/{FIRST}" in error
    assert len(load_catalog(network_done / "detection" / "catalog.h5")) == len(tn.QUAKES)


def test_status_says_what_is_stale_and_what_was_not_searched(run, network):
    search(run, network, "--day", FIRST)
    code, out, _ = run("status", "-p", network)
    assert code == 0 and f"recorded but not searched: {SECOND}" in out
    assert "out of date" not in out
    tiny.change_config(network, "mad: 9", "mad: 12")
    code, out, _ = run("status", "-p", network)
    assert code == 0 and f"detection/{FIRST}/matches is out of date: setting matching" in out
    assert f"detection/{FIRST}/beam" not in out
    path = next((network / "waveforms").glob(f"XX.T0.*{FIRST}*"))
    path.write_bytes(path.read_bytes()[:-512])
    _, out, _ = run("status", "-p", network, "--json")
    stale = json.loads(out)["detection"]["stale"]
    assert any(path.name in reason for reason in stale[f"detection/{FIRST}/beam"])


def test_why_tells_of_steps_of_detection(run, network_done):
    for step in (
        f"detection/{SECOND}/beam",
        f"detection/{FIRST}/cut",
        "detection/templates",
        "detection/catalog",
    ):
        code, out, error = run("why", step, "-p", network_done)
        assert code == 0 and out.strip() == f"{step}: is done, its record holds", error
    tiny.change_config(network_done, "separation: 3", "separation: 4")
    _, out, _ = run("why", f"detection/{SECOND}/beam", "-p", network_done)
    assert "would run" in out and "setting detection" in out
    _, out, _ = run("why", "detection/templates", "-p", network_done)
    assert "is done" in out  # what it reads has not changed yet
    code, _, error = run("why", "detection/2020-01-01/beam", "-p", network_done)
    assert code == 2 and "no such day" in error and FIRST in error
    code, _, error = run("why", "detection/nothing", "-p", network_done)
    assert code == 2 and "detection/DAY/beam" in error


def test_amplitudes_and_magnitudes_leave_beam_and_templates(run, network_done):
    before = stamps(network_done)
    tiny.change_config(
        network_done, "band: [3, 15], components: [Z, N, E]", "band: [3, 14], components: [Z, N, E]"
    )
    search(run, network_done)
    after = stamps(network_done)
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"catalog.h5", f"{FIRST}/sized.h5", f"{SECOND}/sized.h5"}


def test_a_new_station_that_recorded_nothing_makes_no_day_anew(network_done):
    """Years of days were searched again when a network grew; a day depends on what describes its own stations."""
    path = network_done / "stations" / "YY.xml"

    def reasons():
        project = Project.open(network_done)
        found = {name: project.why(task()) for name, task in _tasks(Survey.open(project)).items()}
        assert len(found) == 10
        return {reason for every in found.values() for reason in every}

    low, high = (Station("YY", "NEW", 38.0, 22.0, elevation=elevation) for elevation in (0.0, 5000.0))
    assert reasons() == set()
    write_stationxml(path, [low], tn.CHANNELS)
    assert reasons() == set()
    write_stationxml(path, [high], tn.CHANNELS)  # the grid of travel times reaches up to it
    assert {reason.partition(" changed")[0] for reason in reasons()} == {"setting travel"}
    path.unlink()
    with (network_done / "stations" / "XX.xml").open("a") as file:
        file.write("<!-- changed -->")
    assert reasons() == {"stations/XX.xml changed"}


# --- which days


def span(start: float, end: float) -> Span:
    return Span("XX", "A", "", "HHZ", start, end, 100.0, 1, "file", "mseed")


def test_what_is_asked_for_is_joined_by_day_and_cut_to_whole_minutes_of_recordings():
    day = 86400.0
    spans = [span(100.5, 700.2), span(day + 10, 2 * day - 0.01), span(3 * day + 50, 3 * day + 60)]
    recorded = Recorded(spans)
    whole = joined({}, EVERYTHING, recorded)
    assert list(whole) == ["1970-01-01", "1970-01-02", "1970-01-04"]
    parts = day_parts(whole, recorded)
    assert [(each.start, each.read_to) for each in parts] == [
        (60, 720),
        (day, 2 * day),
        (3 * day, 3 * day + 120),
    ]
    first = joined(joined({}, (120, 180), recorded), (300, 400), recorded)
    assert (
        first == joined(joined({}, (300, 400), recorded), (120, 180), recorded) == {"1970-01-01": (120, 400)}
    )
    assert joined(first, (2 * day, 3 * day), recorded) == first
    with pytest.raises(InputError, match="remove detection/1970-01-01"):
        day_parts(first, Recorded(spans[1:]))


def test_the_last_sample_before_midnight_leaves_no_hole_between_days():
    recorded = Recorded([span(0.005, 86399.995), span(86400.005, 90000)])
    parts = day_parts(joined({}, EVERYTHING, recorded), recorded)
    assert np.isclose(parts[0].read_to, parts[1].start)


def test_looking_through_what_was_recorded_takes_time_with_its_length_not_with_its_square(monkeypatch):
    """Ten years of a hundred stations are a million spans; each was looked at for each day."""
    looks = 0

    def end(each):
        nonlocal looks
        looks += 1
        return each.start + 86399.99

    count = 400
    recorded = Recorded([span(86400.0 * day, 86400.0 * (day + 1) - 0.01) for day in range(count)])
    monkeypatch.setattr(Span, "end", property(end), raising=False)
    whole = joined({}, EVERYTHING, recorded)
    assert len(whole) == len(day_parts(whole, recorded)) == count
    assert looks < 10 * count


def test_what_lasts_over_midnight_was_recorded_on_both_days():
    recorded = Recorded([span(50000, 3 * 86400.0)])
    assert list(joined({}, EVERYTHING, recorded)) == [
        "1970-01-01", "1970-01-02", "1970-01-03", "1970-01-04",
    ]  # fmt: skip
    assert not recorded.within(0, 40000) and len(recorded.within(86400, 86401)) == 1


# --- templates from elsewhere


def test_templates_from_a_catalog_find_the_repeats_of_its_events(run, network, tmp_path):
    tiny.change_config(network, "templates:\n", "templates:\n      source: catalog\n      path: agency.csv\n")
    agency = tn.truth([quake for quake in tn.QUAKES if quake.strong and quake.time < 0][:2])
    write_csv(network / "agency.csv", agency)
    search(run, network, "--day", SECOND)  # its events are of the day before, which is not searched
    templates, _ = read_templates(network / "detection" / "templates.h5")
    assert {each.id for each in templates} == {each.id for each in agency}
    catalog = load_catalog(network / "detection" / "catalog.h5")
    wanted = np.array([quake.time for quake in tn.QUAKES if quake.time > 0]) + tn.MIDNIGHT
    assert len(catalog) == wanted.size and np.abs(catalog.times - wanted).max() < 0.15
    weak = [each for each in catalog if each.method == "template"]
    assert weak and all(each.template in {one.id for one in agency} for each in weak)
    assert all(each.magnitude is not None for each in weak)  # relative to those of the list
    assert not (network / "detection" / FIRST / "beam.json").exists()


def test_picks_of_a_catalog_say_where_windows_are_cut():
    stations = tn.stations()[:3]
    times = np.array([[1.0, 2.0], [1.5, 2.5], [2.0, 3.5]])
    arrivals = (
        Arrival("XX.T0", "Pg", 100.9),
        Arrival("XX.T0", "Pn", 101.4),
        Arrival("T1", "S", 102.7),
        Arrival("YY.T2", "P", 105.0),
    )
    event = Detection("a", 100.0, 0.0, 0.0, 5000.0, "import", arrivals=arrivals)
    found = picked(event, times, stations, ("P", "S"))
    np.testing.assert_allclose(found, [[0.9, 2.0], [1.5, 2.7], [2.0, 3.5]])


def test_templates_from_synthetics_find_the_earthquakes_that_they_foretell(run, network):
    tiny.change_config(network, "templates:\n", "templates:\n      source: synthetics\n")
    code, _, error = run("detect", "-p", network)
    assert code != 0 and "simulations/m00: no synthetics for templates there; `seisflow simulate" in error
    for family in tn.FAMILIES:
        quake = tn.Quake(0.0, family, 1e-9)  # m/s
        data = tn.seismograms([quake], noise=0.0)
        first = round((tn.BEFORE - 5.0) * tn.RATE)
        gather = Gather(
            tuple(tn.stations()),
            ("E", "N", "Z"),
            data[..., first : first + 1000],
            -5.0,
            1 / tn.RATE,
            "velocity",
        )
        latitude, longitude = tn.projection().to_geographic(*quake.place[:2])
        source = MomentTensor(1e13, 1e13, 1e13, 0.0, 0.0, 0.0)
        event = Event(family, 0.0, float(latitude), float(longitude), float(quake.place[2]), source)
        path = network / "simulations" / "m00" / f"{family}.h5"
        write_event(path, EventFile(event, Provenance("simulate", "", "", ()), {"synthetic": gather}))
    search(run, network)
    templates, _ = read_templates(network / "detection" / "templates.h5")
    assert [each.id for each in templates] == ["A", "B"]
    for day in (FIRST, SECOND):
        for match in load_catalog(network / "detection" / day / "matched.h5"):
            near = min(tn.QUAKES, key=lambda quake: abs(quake.time + tn.MIDNIGHT - match.time))
            assert abs(near.time + tn.MIDNIGHT - match.time) < 0.15 and match.template == near.family
    catalog = load_catalog(network / "detection" / "catalog.h5")
    assert len(catalog) == len(tn.QUAKES)
    assert all(each.magnitude is None for each in catalog if each.method == "template")
