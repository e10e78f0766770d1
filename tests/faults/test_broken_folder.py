"""A folder of broken files among good ones: each fault gets its sentence, the good ones are imported."""

import json
import re

import broken_folder
import h5py
import pytest

from seisflow.io.asdf_reading import read_observed
from seisflow.project import Project
from seisflow.steps.create import create_project


def put_together(folder):
    folder.mkdir()
    broken_folder.good(folder)
    expected = broken_folder.broken(folder)
    content = (folder / "good_layers.txt").read_bytes()
    (folder / "cut.h5").write_bytes(_asdf(folder)[:1500])
    (folder / "good_layers.txt").write_bytes(content)
    return {**expected, "cut.h5": "damaged, cut short"}


def _asdf(folder):
    with h5py.File(folder / "cut.h5", "w") as file:
        file.attrs["file_format"] = b"ASDF"
        file.create_group("Waveforms/XX.A")
    return (folder / "cut.h5").read_bytes()


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    import subprocess
    import sys

    root = tmp_path_factory.mktemp("broken")
    expected = put_together(root / "in")
    create_project(root / "project")
    command = [
        sys.executable,
        "-m",
        "seisflow",
        "import",
        str(root / "in"),
        "--project",
        str(root / "project"),
    ]
    runs = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        files = {path: path.read_bytes() for path in (root / "project").rglob("*") if path.is_file()}
        runs.append((done, files))
    return root, expected, runs


def sentences(done):
    return [line.strip() for line in done.stderr.splitlines() if line.strip()]


def test_each_fault_has_one_sentence_with_file_finding_and_remedy(imported):
    _, expected, ((done, _), _) = imported
    assert done.returncode == 0 and "Traceback" not in done.stderr
    said = sentences(done)
    for what, words in expected.items():
        hits = [line for line in said if what in line]
        assert len(hits) == 1, (what, hits)
        assert re.search(words, hits[0]), (what, hits)
    others = [line for line in said if not any(what in line for what in expected)]
    assert len(others) == 1 and re.fullmatch(r"\d+ left out:", others[0])


def test_what_is_good_is_imported(imported):
    root, _, ((done, _), _) = imported
    project = Project.open(root / "project")
    assert project.event_ids == ("good",)
    ids = [trace.id for trace in read_observed(project.observed_path("good"))[0]]
    good = [f"XX.{code}..BH{letter}" for code in "AB" for letter in "ENZ" if code + letter != "BN"]
    assert sorted(set(ids) - {"XX.A..HHZ", "XX.P..BHZ", "XX.EP..BHZ"}) == sorted(good)
    assert {path.stem for path in project.station_files()} == {
        f"XX.{code}" for code in ("A", "B", "P", "EP", "S1")
    }
    assert "models/m00.nc" in done.stdout or "2 models were found" in done.stderr


def test_a_second_import_changes_nothing(imported):
    _, _, ((first, before), (second, after)) = imported
    assert after == before
    assert sentences(second) == sentences(first)
    assert re.fullmatch(r"\d+ were there already\n", second.stdout)


def test_the_faults_are_kept_for_status(imported, run):
    root, expected, _ = imported
    code, out, _ = run("status", "--data", "--project", root / "project")
    assert code == 0
    for what, words in expected.items():
        assert what.split(",")[0] in out, what
        assert re.search(words, out), what
    code, out, _ = run("status", "--data", "--json", "--project", root / "project")
    content = json.loads(out)
    row = content["events"]["good"]
    assert (row["stations"], content["total"]["events"]) == (4, 1)
    reasons = {each["what"]: each["reason"] for each in row["left_out"]}
    for what, words in expected.items():
        if what.startswith("XX.") and what != "XX.NEW":
            assert re.search(words, reasons[what]), what
    assert all(len(texts) >= 1 for texts in content["files"].values())
