"""Profiles: what is refused and how, and what each system is sent."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import tiny
import yaml
from pydantic import TypeAdapter, ValidationError

from seisflow.config_file import load, load_profile
from seisflow.errors import ConfigError, InputError
from seisflow.schedulers.config import BATCH_SYSTEMS, BatchRun, DaskRun, LocalRun, RunConfig
from seisflow.schedulers.rounds import system_of
from seisflow.schedulers.system import Script, shipped_profile

CHECK = TypeAdapter(RunConfig).validate_python


def with_run(folder: Path, text: str) -> Path:
    path = folder / "seisflow.yaml"
    path.write_text(f"{tiny.CONFIG}{text}\n")
    return path


def script(root: Path, run: BatchRun, count: int | None = 7) -> str:
    system = system_of(run, root)
    asked = Script(
        root / "job.sh",
        "i01s00",
        run.resources.of("event"),
        ("-m", "seisflow", "element", str(root)),
        root / "logs",
        count,
    )
    system.write(asked)
    return (root / "job.sh").read_text()


def test_work_runs_here_unless_told_otherwise(tmp_path):
    assert load(with_run(tmp_path, "")).run == LocalRun()
    assert load(with_run(tmp_path, "run: local")).run == LocalRun()
    assert load(with_run(tmp_path, "run: slurm")).run == BatchRun(system="slurm")
    assert load(with_run(tmp_path, "run: dask")).run == DaskRun()


@pytest.mark.parametrize("name", [*BATCH_SYSTEMS, "dask"])
def test_each_shipped_profile_is_whole_and_survives_being_written_out(tmp_path, name):
    (tmp_path / "cluster.yaml").write_text(shipped_profile(name))
    found = load(with_run(tmp_path, "run: cluster.yaml"))
    assert found.run.system == name
    assert CHECK(yaml.safe_load(found.text())["run"]) == found.run


WANTED = {
    "slurm": [
        "#SBATCH --array=0-6", "#SBATCH --cpus-per-task=4", "#SBATCH --mem=8000M", "#SBATCH --time=01:00:00",
        "#SBATCH --partition=standard", "index=${SLURM_ARRAY_TASK_ID:-0}",
    ],
    "pbs": [
        "#PBS -J 0-6", "#PBS -l select=1:ncpus=4:mem=8000mb", "#PBS -l walltime=01:00:00", "#PBS -q workq",
        "index=${PBS_ARRAY_INDEX:-0}",
    ],
    "lsf": [
        '#BSUB -J "i01s00[1-7]"', "#BSUB -n 4", "#BSUB -M 8000MB", "#BSUB -W 60", "#BSUB -q normal",
        "index=$(( ${LSB_JOBINDEX:-0} > 0 ? LSB_JOBINDEX - 1 : 0 ))",
    ],
    "sge": [
        "#$ -t 1-7", "#$ -pe smp 4", "#$ -l h_vmem=2000M", "#$ -l h_rt=3600", "#$ -q all.q",
        "index=$(( ${SGE_TASK_ID//[!0-9]/}0 > 0 ? SGE_TASK_ID - 1 : 0 ))",
    ],
    "htcondor": ["index=${1:-0}"],
}  # fmt: skip


@pytest.mark.parametrize("name", BATCH_SYSTEMS)
def test_each_shipped_profile_makes_a_script_that_a_shell_can_read(tmp_path, name):
    root = tmp_path / "a folder, it's $(touch owned)"
    root.mkdir()
    run = CHECK(yaml.safe_load(shipped_profile(name)))
    lines = script(root, run).splitlines()
    assert lines[0] == "#!/bin/bash"
    for line in WANTED[name]:
        assert line in lines
    assert subprocess.run(["bash", "-n", root / "job.sh"], check=False).returncode == 0
    # the path of the project reaches the command as one word
    told = (root / "job.sh").read_text().replace("exec >>", ": >>").replace("exec ", "printf '%s|' ")
    said = subprocess.run(
        ["bash", "-c", told], capture_output=True, text=True, cwd=tmp_path, check=True
    ).stdout
    assert said.split("|")[1:-1] == ["-m", "seisflow", "element", str(root), "0"]
    assert not (tmp_path / "owned").exists()
    single = script(root, run, None)
    assert "-J 0-" not in single and "--array" not in single and "-t 1-" not in single


def test_htcondor_gets_a_description_beside_the_script(tmp_path):
    script(tmp_path, CHECK(yaml.safe_load(shipped_profile("htcondor"))))
    lines = (tmp_path / "job.sub").read_text().splitlines()
    assert f"arguments = \"'{tmp_path}/job.sh' $(Process)\"" in lines
    assert {"request_cpus = 4", "request_memory = 8000", "queue 7"} <= set(lines)
    assert "periodic_remove = (JobStatus == 2) && ((time() - EnteredCurrentStatus) > 3600)" in lines


def test_everything_that_can_be_asked_for_is_asked_for(tmp_path):
    run = CHECK(
        {
            "system": "slurm",
            "at_once": 3,
            "resources": {
                "account": "me",
                "lines": ["#SBATCH --constraint=hdd"],
                "event": {"gpus": 2, "lines": ["#SBATCH -x n1"]},
            },
            "setup": ["module load gcc"],
            "python": "/opt/my python",
        }
    )
    text = script(tmp_path, run)
    for line in (
        "#SBATCH --array=0-6%3", "#SBATCH --gres=gpu:2", "#SBATCH --account=me", "#SBATCH --constraint=hdd",
        "#SBATCH -x n1", "module load gcc",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert "exec '/opt/my python' -m seisflow" in text


def test_a_template_of_the_project_takes_the_place_of_the_shipped_one(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        'head: "#MINE {{ name }} {{ count }}"\nindex: $MINE\nsubmit: [mine]\nnumber: x\nqueue: [mine]\nelement: x\n'
        "over: []\ncancel: [mine]\n"
    )
    text = script(tmp_path, CHECK({"system": "sge", "template": "mine.yaml"}))
    assert text.startswith("#MINE i01s00 7\n") and "index=$MINE" in text
    (tmp_path / "mine.yaml").write_text("head: x\n")
    with pytest.raises(ConfigError, match="is no template"):
        script(tmp_path, CHECK({"system": "sge", "template": "mine.yaml"}))
    (tmp_path / "mine.yaml").write_text(
        "head: \"{{ ''.__class__.__mro__ }}\"\nindex: x\nsubmit: [x]\nnumber: x\nqueue: [x]\n"
        "element: x\nover: []\ncancel: [x]\n"
    )
    with pytest.raises(ConfigError, match="unsafe"):
        script(tmp_path, CHECK({"system": "sge", "template": "mine.yaml"}))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run: slrm", "line 17: run: 'slrm' is no system; use local, dask, slurm"),
        ("run: none.yaml", "there is no such profile; `seisflow profile slurm` prints one to start from"),
        ("run: {system: slurm, resources: {cors: 2}}", "run.resources.cors: is not known; did you mean `cores`?"),
        ("run: {system: slurm, resources: {memory: 4}}", "memory with its unit, such as 4 GB"),
        ('run: {system: slurm, resources: {time: "10:00"}}', "write a wall time as HH:MM:SS"),
        ("run: {system: slurm, resources: {event: {time: 30}}}", "event: the wall time of 30 s is not longer"),
        ("run: {system: slurm, resources: {queue: 'main; rm -rf /'}}", "run.resources.queue"),
        ('run: {system: slurm, setup: ["a\\nb"]}', "must be one line"),
        ("run: {system: dask, address: tcp://x, start: {system: pbs, interface: lo}}", "give one of them"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, told):
    with pytest.raises(ConfigError) as error:
        load(with_run(tmp_path, text))
    assert told in str(error.value)


def test_faults_of_a_profile_are_told_with_its_own_lines(tmp_path):
    (tmp_path / "cluster.yaml").write_text("system: slurm\nresources:\n  cors: 2\nset: []\n")
    with pytest.raises(ConfigError) as error:
        load_profile(tmp_path / "cluster.yaml")
    assert "line 3: resources.cors: is not known; did you mean `cores`?" in str(error.value)
    assert "line 4: set: is not known; did you mean `setup`?" in str(error.value)


def test_memory_and_times_are_read_as_people_write_them():
    run = CHECK({"system": "slurm", "resources": {"memory": "1.5GB", "time": "1-02:03:04"}})
    assert (run.resources.memory, run.resources.time) == (1500, 93784)
    with pytest.raises(ValidationError):
        CHECK({"system": "slurm", "resources": {"memory": "4 GB; x"}})


def test_a_kind_of_step_asks_for_what_it_names_and_else_for_the_general():
    run = CHECK(
        {"system": "slurm", "resources": {"cores": 4, "lines": ["a"], "day": {"cores": 2, "lines": ["b"]}}}
    )
    assert run.resources.of("event").cores == 4 and run.resources.of("day").cores == 2
    assert run.resources.of("day").lines == ("a", "b")


def test_submit_without_a_batch_system_says_what_to_do(run, project):
    code, _, error = run("submit", "iterate", "-i", 1, "-p", project)
    assert code == 2 and "no batch system under `run`" in error and "seisflow profile slurm" in error


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("plot",), "follow it with iterate, detect, gain"),
        (("iterate", "-i", "x"), "valid integer"),
        (("iterate", "-i", 3, "--through", 2), "comes before"),
        (("iterate", "-i", 2), "models/m01.nc is not there"),
        (("iterate", "-i", 9), "the stages of seisflow.yaml hold 5 iterations"),
    ],
)
def test_submit_refuses_at_once_what_the_command_itself_would_refuse(run, project, words, told):
    tiny.change_config(project, "name: tiny", "run: slurm\nname: tiny")
    code, _, error = run("submit", *words, "-p", project)
    assert code == 2 and told in error
    assert not (project / ".seisflow" / "driver").exists()


def test_a_system_whose_commands_are_not_here_is_named(run, project, monkeypatch):
    tiny.change_config(project, "name: tiny", "run: pbs\nname: tiny")
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, error = run("submit", "iterate", "-i", 1, "-p", project)
    assert code == 1 and "qsub: there is no such command here" in error


def test_a_wall_time_in_which_no_event_ends_is_refused(run, done):
    tiny.change_config(
        done, "name: tiny", "run: {system: slurm, warning: 0, resources: {time: 1}}\nname: tiny"
    )
    from seisflow.project import Project
    from seisflow.steps.inputs import check_project
    from seisflow.steps.pending import check_wall_time

    project = Project.open(done)
    plans = check_project(project, 2)
    records = [path for event in project.used for path in done.glob(f"iterations/i0?/s00/{event}.json")]
    assert len(records) >= len(project.used)
    for path in records:  # as if each had taken ten minutes, those of the look ahead too
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 600.0}))
    with pytest.raises(InputError, match="no event would ever be done; ask for more time"):
        check_wall_time(project, 2, plans)


def blocks() -> list[str]:
    page = Path(__file__).parents[2] / "docs" / "clusters.md"
    return re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_the_blocks_of_the_page_are_accepted(number, tmp_path):
    (tmp_path / "cluster.yaml").write_text(shipped_profile("slurm"))
    text = blocks()[number]
    if text.startswith("system:"):
        (tmp_path / "cluster.yaml").write_text(text)
        assert load_profile(tmp_path / "cluster.yaml").system == "slurm"
        return
    for part in re.split(r"^(?=run:)", text, flags=re.MULTILINE)[1:]:
        assert load(with_run(tmp_path, part)).run
