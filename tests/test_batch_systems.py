"""What templates of batch systems understand, and what jobs leave behind; as text, no system is needed."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from types import SimpleNamespace

import pytest
from pydantic import TypeAdapter, ValidationError

from seisflow.errors import WorkError
from seisflow.schedulers import rounds
from seisflow.schedulers import system as batch_system
from seisflow.schedulers.config import DaskRun, RunConfig
from seisflow.schedulers.dask_cluster import DaskPlace, job_cluster_settings
from seisflow.schedulers.order import JobFolder, Order, Sent
from seisflow.schedulers.rounds import Asked, BatchRound, system_of
from seisflow.schedulers.submission import Submission, drive
from seisflow.schedulers.system import Element, Script

CHECK = TypeAdapter(RunConfig).validate_python

SGE = """\
job-ID  prior   name       user         state submit/start at     queue                          slots ja-task-ID
-----------------------------------------------------------------------------------------------------------------
    123 0.55500 i01s00     user         r     11/30/2026 10:00:00 all.q@node1                        1 1
    123 0.55500 i01s00     user         dr    11/30/2026 10:00:00 all.q@node2                        4 3
    123 0.00000 i01s00     user         qw    11/30/2026 10:00:00                                    1 4
    123 0.00000 i01s00     user         Eqw   11/30/2026 10:00:00                                    1 5
    124 0.00000 drive      user         qw    11/30/2026 10:00:00                                    4
   1234 0.00000 other      user         qw    11/30/2026 10:00:00                                    1 2
"""


@pytest.mark.parametrize(
    ("job", "wanted"),
    [("123", [(0, "r"), (2, "dr"), (3, "qw"), (4, "Eqw")]), ("124", [(0, "qw")]), ("12", [])],
)
def test_elements_of_an_array_of_grid_engine_are_told_apart(monkeypatch, tmp_path, job, wanted):
    """Each was taken for the first one, so that the others counted as lost and were sent again."""
    answer = type("Answer", (), {"stdout": SGE, "stderr": "", "returncode": 0})
    monkeypatch.setattr(batch_system, "ask", lambda words, text=None: answer)
    found = system_of(CHECK({"system": "sge"}), tmp_path).elements(job)
    assert [(each.index, each.state) for each in found] == wanted
    assert {each.state for each in found if each.over} <= {"Eqw"}
    assert all(each.over for each in found if each.state == "Eqw")  # else it is waited for, for ever


@pytest.mark.parametrize(("time", "minutes"), [("00:01:30", 2), ("01:00:00", 60), ("100:30:01", 6031)])
def test_lsf_gets_at_least_the_time_that_is_asked_for(tmp_path, time, minutes):
    """A job that LSF ends before its own limit cannot stop by itself."""
    run = CHECK({"system": "lsf", "warning": 0, "resources": {"time": time}})
    script = Script(tmp_path / "job.sh", "name", run.resources.of("event"), ("-c", "pass"), tmp_path / "logs")
    assert f"#BSUB -W {minutes}\n" in system_of(run, tmp_path).render(script)
    dask = DaskRun.model_validate(
        {
            "start": {"system": "lsf", "interface": "lo"},
            "resources": {"memory": "1 GB", "time": time},
        }
    )
    hours, rest = job_cluster_settings(dask, tmp_path)[1]["walltime"].split(":")
    assert 60 * int(hours) + int(rest) == minutes


def out_of_time(tmp_path, monkeypatch, work: str) -> Submission:
    """A driver whose command does some work and is stopped at its time limit."""
    submission = Submission(tmp_path)
    submission.folder.mkdir(parents=True)
    content = {"command": ["iterate"], "run": {"system": "slurm"}, "jobs": ["1"], "seconds": 0.5}
    (submission.folder / "submission.json").write_text(json.dumps(content))
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ntrap 'exit 75' TERM\n{work}\nwhile :; do sleep 0.05; done\n")
    python.chmod(0o755)
    monkeypatch.setattr("seisflow.schedulers.submission.sys.executable", str(python))
    monkeypatch.setattr(Submission, "send_next", lambda self: "2")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    try:
        drive(tmp_path)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return submission


@pytest.mark.parametrize(("work", "state"), [("echo again >", "continues"), ("true", "failed")])
def test_a_driver_that_only_makes_records_anew_goes_on_in_the_next_job(tmp_path, monkeypatch, work, state):
    """After a change of settings there are no more records than before, only newer ones."""
    record = tmp_path / "detection" / "2026-03-01" / "beam.json"
    record.parent.mkdir(parents=True)
    record.write_text("before")
    os.utime(record, (1e9, 1e9))
    work = f"{work} '{record}'" if work.endswith(">") else work
    assert out_of_time(tmp_path, monkeypatch, work).state()["state"] == state


def test_progress_that_cannot_be_noted_fails_nothing(tmp_path):
    """It is a shortcut; the round may be over, or the disk full for a moment."""
    folder = JobFolder(tmp_path / "gone")
    folder.note_progress(0, 0.5)
    assert folder.progress(0) == 0.0


class Queue:
    """A batch system in memory."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.listed: list[Element] | None = []

    def submit(self, script: Script) -> str:
        self.sent.append(script.path.name)
        return str(len(self.sent))

    def elements(self, job: str) -> list[Element] | None:
        return self.listed

    def cancel(self, jobs) -> None:
        pass


def a_round(tmp_path, monkeypatch, queue: Queue) -> BatchRound:
    monkeypatch.setattr(rounds, "system_of", lambda run, root: queue)
    work = Sent(Order("trial"), ("0",), ("0",))
    found = BatchRound(CHECK({"system": "pbs"}), tmp_path, Asked("trial", work, 1, "code"), print)
    monkeypatch.setattr(found.thread, "start", lambda: None)
    return found


def test_jobs_that_cannot_be_asked_about_are_not_sent_a_second_time(tmp_path, monkeypatch):
    queue = Queue()
    a_round(tmp_path, monkeypatch, queue).__enter__()  # its driver is killed
    queue.listed = None
    a_round(tmp_path, monkeypatch, queue).__enter__()
    assert queue.sent == ["array0.sh"]
    queue.listed = []
    a_round(tmp_path, monkeypatch, queue).__enter__()
    assert queue.sent == ["array0.sh", "array1.sh"]


def test_an_answer_that_comes_while_its_element_counts_as_lost_sends_it_once(tmp_path, monkeypatch):
    queue = Queue()
    found = a_round(tmp_path, monkeypatch, queue)
    found.__enter__()
    for _ in range(2):
        found._look()
    found.folder.answer(0, {"state": "stopped", "moved": True})
    found._look()
    assert queue.sent == ["array0.sh", "array1.sh"] and found.tries == {0: 0}


@pytest.mark.parametrize(
    ("system", "line", "wanted"),
    [
        ("slurm", "#SBATCH --constraint=hdd", ["#SBATCH --constraint=hdd", "#SBATCH --gres=gpu:2"]),
        ("pbs", "#PBS -W umask=077", ["#PBS -W umask=077", "#PBS -l select=1:ncpus=4:mem=1000mb:ngpus=2"]),
        ("lsf", "#BSUB -R rusage[tmp=10]", ["#BSUB -R rusage[tmp=10]", '#BSUB -gpu "num=2"']),
        ("sge", "#$ -l hdd", ["#$ -l hdd", "#$ -l gpu=2"]),
        ("htcondor", "rank = Memory", ["rank = Memory", "request_gpus = 2"]),
    ],
)
def test_jobs_with_dask_workers_get_the_gpus_and_lines_that_are_asked_for(tmp_path, system, line, wanted):
    """GPUs and lines for HTCondor were dropped without a word, other lines had their beginning twice."""
    dask_jobqueue = pytest.importorskip("dask_jobqueue")
    resources = {"cores": 4, "memory": "1 GB", "gpus": 2, "lines": [line]}
    run = DaskRun.model_validate({"start": {"system": system, "interface": "lo"}, "resources": resources})
    name, settings = job_cluster_settings(run, tmp_path)
    with getattr(dask_jobqueue, name)(**(settings | {"n_workers": 0})) as cluster:
        text = [each.strip() for each in cluster.job_script().splitlines()]
    assert set(wanted) <= set(text)


class Remote:
    """A future of Dask that is over."""

    status = "finished"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def result(self) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def add_done_callback(self, call) -> None:
        with suppress(RuntimeError):  # Dask logs it
            call(self)

    def done(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "wanted"), [({"state": "done", "results": 7}, 7), (OSError("the line is cut"), None)]
)
def test_a_driver_of_dask_does_not_wait_for_ever_if_nobody_can_be_told_or_the_answer_is_lost(
    tmp_path, answer, wanted
):
    def watch(name: str, fraction: float) -> None:
        raise RuntimeError("the server of Prefect is gone")

    client = SimpleNamespace(submit=lambda *words, **more: Remote(answer), cancel=lambda *words, **more: None)
    work = Sent(Order("trial"), ("a",), ("a",))
    with DaskPlace(client, tmp_path, print, 1).round("t", work, watch) as futures:
        if wanted is not None:
            assert futures["a"].result(1) == wanted
        else:
            with pytest.raises(WorkError, match="the line is cut"):
                futures["a"].result(1)


def test_a_limit_that_htcondor_keeps_by_hiding_elements_is_refused(tmp_path):
    """Those that wait for their turn are not in its queue: they would count as lost, and be sent again."""
    with pytest.raises(ValidationError, match="`at_once` cannot be kept by HTCondor"):
        CHECK({"system": "htcondor", "at_once": 10})
    assert CHECK({"system": "htcondor", "at_once": 10, "template": "mine.yaml"}).at_once == 10
