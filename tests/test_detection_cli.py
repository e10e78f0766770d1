"""``seisflow detect`` and ``seisflow catalog``, as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_network as tn
import yaml

from seisflow.io.catalog_files import load_catalog, read_catalog
from seisflow.io.models import write_model
from seisflow.io.stations import write_stationxml

STRONG = tuple(quake for quake in tn.QUAKES if quake.strong)
WEAK = tuple(quake for quake in tn.QUAKES if not quake.strong)


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time."""
    return {
        str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".seisflow" not in path.parts
    }


def found_in(root: Path):
    return load_catalog(root / "detection" / "catalog.h5")


def nearest(catalog, quake):
    """The detection of a catalog nearest in time to an earthquake."""
    return catalog.detections[int(np.abs(catalog.times - tn.MIDNIGHT - quake.time).argmin())]


def test_a_session_from_an_empty_folder_to_a_compared_catalog(run, network_source, tmp_path):
    root, files = tmp_path / "mine", tmp_path / "files"
    files.mkdir()
    write_model(files / "earth.nc", tn.model())
    write_stationxml(files / "stations.xml", tn.stations(), tn.CHANNELS)
    assert run("init", root)[0] == 0
    archive = network_source / "waveforms"
    text = tn.CONFIG.replace("[waveforms]", f"[{archive}]")
    (root / "seisflow.yaml").write_text(text.replace("pictures: false", "pictures: true"))
    code, out, error = run("import", files, "-p", root)
    assert code == 0, error
    assert out.count("(station)") == 8 and "start model" in out
    code, out, error = run("detect", "-p", root, "--pictures", 1)
    assert code == 0, error
    assert re.search(r"12 events: 6 by backprojection, 6 by templates alone", out)
    assert str(root / "detection" / "catalog.html") in out
    page = (root / "detection" / "catalog.html").read_text()
    assert all(each.id in page for each in found_in(root))
    code, out, error = run("catalog", "compare", network_source / "truth.csv", "-p", root, "--time", 0.3)
    assert code == 0, error
    assert "12 of 12 reference events found" in out and "12 of 12 detections in the reference" in out
    code, out, error = run("status", "-p", root)
    assert code == 0, error
    assert "catalog: 12 events" in out and len(re.findall(r"^\d{4}-\d\d-\d\d", out, re.MULTILINE)) == 2
    assert run("status", "-p", root, "--verify")[0] == 0
    (root / "detection" / "catalog.csv").write_text("")
    code, out, _ = run("status", "-p", root, "--verify")
    assert code == 1 and "catalog.csv" in out
    assert (root / "detection" / "comparison.png").stat().st_size > 10_000


def test_strong_events_are_found_by_the_beam_within_the_grid_spacing(network_done_source):
    catalog = found_in(network_done_source)
    assert sum(each.method == "beam" for each in catalog) == len(STRONG)
    for quake in STRONG:
        found = nearest(catalog, quake)
        assert found.method == "beam" and found.template is not None
        assert abs(found.time - tn.MIDNIGHT - quake.time) < 0.1
        assert np.linalg.norm(np.array(found.place) - quake.place) < 0.3 * tn.SPACING
        assert {arrival.phase for arrival in found.arrivals} == {"P", "S"}


def test_weak_repeats_are_found_by_templates_of_their_family(network_done_source):
    catalog = found_in(network_done_source)
    homes = {each.id: each for each in load_catalog(network_done_source / "detection/2026-02-28/found.h5")}
    homes |= {each.id: each for each in load_catalog(network_done_source / "detection/2026-03-01/found.h5")}
    assert sum(each.method == "template" for each in catalog) == len(WEAK)
    for quake in WEAK:
        found = nearest(catalog, quake)
        assert found.method == "template"
        assert abs(found.time - tn.MIDNIGHT - quake.time) < 0.1
        assert np.linalg.norm(np.array(homes[found.template].place) - quake.place) < 0.3 * tn.SPACING
        assert found.value > found.threshold and "correlation" in found.remark


def test_magnitudes_differ_as_the_amplitudes_do(network_done_source):
    catalog = found_in(network_done_source)
    zero = np.array([nearest(catalog, quake).magnitude.value - np.log10(quake.size) for quake in tn.QUAKES])
    assert np.ptp(zero) < 0.15


def test_every_format_holds_the_same_catalog(network_done_source):
    folder, catalog = network_done_source / "detection", found_in(network_done_source)
    for suffix in ("csv", "parquet", "xml"):
        path = folder / f"catalog.{suffix}"
        assert path.stat().st_size > 1000
        if suffix == "parquet":
            import pandas

            table = pandas.read_parquet(path)
            assert table["id"].tolist() == [each.id for each in catalog]
            continue
        again = read_catalog(path, tn.projection())
        np.testing.assert_allclose(again.times, catalog.times, atol=1e-6)
        np.testing.assert_allclose(again.places, catalog.places, atol=0.5)


def test_a_second_run_does_nothing(run, network_done):
    before = snapshot(network_done)
    code, out, error = run("detect", "-p", network_done)
    assert code == 0, error
    assert snapshot(network_done) == before
    assert out.splitlines()[0] == (network_done / "stdout.txt").read_text().splitlines()[0]


def test_a_changed_setting_repeats_only_what_it_touches(run, network_done):
    before = snapshot(network_done)
    tiny.change_config(network_done, "mad: 9", "mad: 12")
    code, _, error = run("detect", "-p", network_done)
    assert code == 0, error
    changed = {name for name, stamp in snapshot(network_done).items() if before.get(name) != stamp}
    assert "detection/2026-03-01/matched.h5" in changed and "detection/catalog.csv" in changed
    assert (
        not {"detection/2026-03-01/found.h5", "detection/2026-03-01/beam.h5", "detection/templates.h5"}
        & changed
    )


def test_one_day_alone_holds_its_own_events(run, network):
    code, out, error = run("detect", "-p", network, "--day", "2026-03-01", "--json")
    assert code == 0, error
    told = json.loads(out)
    catalog = found_in(network)
    after = [quake for quake in tn.QUAKES if quake.time > 0]
    assert told["results"]["events"] == len(catalog) == len(after)
    np.testing.assert_allclose(catalog.times - tn.MIDNIGHT, [quake.time for quake in after], atol=0.1)
    assert not (network / "detection" / "2026-02-28").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--from", "2026-03-01"), "--from and --to belong together"),
        (("--day", "2026-03-01", "--to", "2026-03-02"), "give it alone"),
        (("--day", "today"), "is no time"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "must follow"),
        (("--day", "2025-01-01"), "nothing was recorded from 2025-01-01"),
    ],
)
def test_times_that_make_no_sense_are_refused(run, network, options, words):
    code, _, error = run("detect", "-p", network, *options)
    assert code == 2 and words in error
    assert not (network / "detection").exists()


def test_a_project_without_the_section_is_told_where_to_see_one(run, project):
    code, _, error = run("detect", "-p", project)
    assert code == 2 and "no section `detection`" in error and "--example swarm" in error


def test_events_are_drawn(run, network_done):
    name = found_in(network_done).detections[0].id
    code, out, error = run("catalog", "plot", name, "-p", network_done, "--to", network_done / "drawn")
    assert code == 0, error
    paths = [Path(line) for line in out.splitlines()]
    assert paths and all(path.read_bytes()[:4] == b"\x89PNG" for path in paths)
    code, _, error = run("catalog", "plot", "20200101T000000.000", "-p", network_done)
    assert code == 2 and "20200101T000000.000: no such event" in error


def test_events_go_to_tomography_with_their_recordings(run, network_done, project):
    before = {path.name for path in (project / "events").iterdir()}
    code, out, error = run("catalog", "to-project", "-p", network_done, "--to", project, "--most", 2)
    assert code == 0, error
    added = {path.name for path in (project / "events").iterdir()} - before
    biggest = sorted(found_in(network_done), key=lambda each: -each.magnitude.value)[:2]
    assert added == {f"{each.id}.xml" for each in biggest}, out
    for each in biggest:
        assert (project / "observed" / f"{each.id}.h5").is_file(), error
    code, _, error = run("catalog", "to-project", "-p", network_done)
    assert code == 2 and "tomography" in error
    code, _, error = run("catalog", "to-project", "-p", network_done, "--to", project, "--magnitude", 9)
    assert code == 2 and "0 of them with a magnitude of 9 or more" in error


def test_events_beyond_the_region_of_a_project_stay_away(run, network_done, project):
    settings, before = project / "seisflow.yaml", sorted((project / "events").iterdir())
    text = settings.read_text()
    known = yaml.safe_load(text)
    known["region"]["latitude"] += 20
    settings.write_text(yaml.safe_dump(known))
    code, _, error = run("catalog", "to-project", "-p", network_done, "--to", project)
    settings.write_text(text)
    assert code == 2 and "region is" in error and "chosen events is in it" in error
    assert sorted((project / "events").iterdir()) == before
