"""What a name, a file or a neighbour on the same machine must not be able to do."""

from __future__ import annotations

import ast
import os
import pickle
import shutil
import warnings
from pathlib import Path

import pytest
import tiny
from seisflow.workflows.running import without_secrets

from seisflow.config_file import load, load_profile
from seisflow.errors import ConfigError, InputError
from seisflow.project import Project
from seisflow.schedulers.config import BatchRun
from seisflow.schedulers.order import JobFolder, Order, Sent
from seisflow.schedulers.rounds import Asked, BatchRound
from seisflow.steps.importing import import_files

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "seisflow").rglob("*.py"), *(ROOT / "workflows").rglob("*.py")])
FORBIDDEN = {
    "pickle.load", "pickle.loads", "cloudpickle.loads", "dill.loads", "joblib.load", "torch.load", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen", "subprocess.getoutput", "pandas.read_pickle",
    "pd.read_pickle", "eval", "exec", "shelve.open", "tempfile.mktemp",
}  # fmt: skip


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def dangers(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            words = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called(node) in FORBIDDEN:
                found.append(called(node))
            if words.get("shell") == "True" or words.get("allow_pickle") == "True":
                found.append(ast.unparse(node))
        if isinstance(node, ast.Constant) and node.value == "0.0.0.0":
            found.append("0.0.0.0")
    return found


def test_the_package_unpickles_nothing_and_calls_no_shell():
    assert len(SOURCES) > 150
    assert {path.name: found for path in SOURCES if (found := dangers(path.read_text()))} == {}
    assert dangers("subprocess.run('x', shell=True)\nyaml.load(x)") == [
        "subprocess.run('x', shell=True)",
        "yaml.load",
    ]


EVIL = "!!python/object/apply:os.system ['touch owned']"


@pytest.mark.parametrize("place", ["seisflow.yaml", "cluster.yaml"])
def test_yaml_that_would_run_something_is_refused(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / place).write_text(f"name: {EVIL}\nsystem: slurm\n")
    with pytest.raises(ConfigError, match="is not YAML"):
        (load if place == "seisflow.yaml" else load_profile)(tmp_path / place)
    assert not (tmp_path / "owned").exists()


class Bomb:
    def __reduce__(self):
        return os.system, ("touch owned",)


def test_a_pickle_among_the_recordings_is_not_opened(project, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recording.pkl").write_bytes(pickle.dumps(Bomb()))
    report = import_files(Project.open(project), [tmp_path / "recording.pkl"])
    assert not (tmp_path / "owned").exists() and report.problems


def test_an_event_with_an_evil_name_is_just_an_event(project, tmp_path, monkeypatch):
    from obspy import read_events
    from obspy.core.event import ResourceIdentifier

    monkeypatch.chdir(tmp_path)
    names = ("smi:local/; touch owned #", "smi:local/$(touch owned2)", "smi:local/../../../../owned")
    for number, name in enumerate(names):
        events = read_events(str(project / "events" / "a1.xml"))
        events[0].resource_id = ResourceIdentifier(name)
        events[0].event_descriptions = []
        events[0].comments = []
        events[0].pop("extra", None)
        for origin in events[0].origins:
            origin.time += 1e6 * (number + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ObsPy says that this is no valid id
            events.write(str(tmp_path / f"{number}.xml"), "QUAKEML")
    before = {path for path in tmp_path.rglob("*")}
    report = import_files(Project.open(project), sorted(tmp_path.glob("?.xml")))
    assert not report.problems
    made = sorted(path.name for path in (project / "events").iterdir())
    assert made == sorted(
        ["touch_owned.xml", "touch_owned2.xml", "owned.xml", *(f"{event}.xml" for event in tiny.EVENTS)]
    )
    outside = {path for path in tmp_path.rglob("*") if project not in path.parents} - before
    assert outside <= {project}


def test_a_station_cannot_be_written_elsewhere(project, tmp_path):
    from obspy import read_inventory

    inventory = read_inventory(str(project / "stations" / "XX.xml"))
    inventory[0][0].code = "../../../escaped"
    inventory.write(str(tmp_path / "evil.xml"), "STATIONXML")
    report = import_files(Project.open(project), [tmp_path / "evil.xml"])
    assert any("'XX.../../../escaped'" in line for line in report.problems)
    assert not list(tmp_path.rglob("escaped.xml"))


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "..", ".hidden", "a\0b", "; rm -rf", "a\nb"])
def test_no_name_makes_a_path_outside_the_project(project, name):
    found = Project.open(project)
    for make in (found.event_path, found.observed_path, found.station_path):
        with pytest.raises(InputError):
            make(name)


def test_names_reach_jobs_in_a_file_and_never_in_a_script(project, tmp_path, monkeypatch):
    """The job of a round is really run, by a shell, with names that a shell would obey."""
    names = ("; touch owned", "$(touch owned)", "`touch owned`", "'\"; touch owned #")
    run = BatchRun(system="pbs")
    asked = Asked("i01; touch owned", Sent(Order("trial", {"seconds": 0}), names, names), 1, "code")
    round_ = BatchRound(run, project, asked, lambda name, part: None)
    round_.folder.prepare(asked.work.order, names, title=asked.title, threads=1, seconds=None)
    round_.folder.write_bundles(0, [[0, 1, 2, 3]])
    script = round_._script(0, 1)
    round_.system.write(script)
    text = script.path.read_text()
    assert "touch owned" not in text
    monkeypatch.chdir(tmp_path)
    found = tiny.subprocess.run(
        ["bash", script.path], capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 1  # those names are no numbers, which this kind of work needs
    answers = [JobFolder(round_.folder.path).result_path(number).read_text() for number in range(4)]
    assert all("invalid literal" in answer for answer in answers)
    assert not list(tmp_path.rglob("owned")) and not list(project.rglob("owned"))
    shutil.rmtree(round_.folder.path)


def test_a_password_in_an_address_is_not_told(run, project, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://me:geheim@127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_geheim")
    code, out, error = run("iterate", "-i", 1, "-p", project)
    assert code == 1 and "127.0.0.1:9" in error and "geheim" not in out + error
    assert without_secrets("https://a:b@host/api") == "https://host/api"
    assert without_secrets("https://host/api?x=a@b") == "https://host/api?x=a@b"
    for path in project.rglob("*"):
        assert not path.is_file() or b"geheim" not in path.read_bytes()
