"""Dask: a cluster that is started here, one that runs already, and workers on a batch system."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import tiny
import yaml
from pydantic import TypeAdapter

from seisflow.errors import InputError
from seisflow.schedulers.config import BATCH_SYSTEMS, DaskRun

pytest.importorskip("distributed", reason="Dask is not installed (the extra hpc)")


def with_run(root: Path, run: object) -> Path:
    path = root / "seisflow.yaml"
    path.write_text(path.read_text() + yaml.safe_dump({"run": run}))
    return root


def model(root: Path) -> bytes:
    return (root / "models" / "m01.nc").read_bytes()


@pytest.mark.slow
def test_an_iteration_on_workers_of_this_machine_gives_the_same_bits(project, done):
    found = tiny.seisflow("iterate", "-i", 1, "-p", with_run(project, "dask"), timeout=400)
    assert found.returncode == 0, found.stderr
    assert model(project) == model(done)


@pytest.mark.slow
def test_an_iteration_on_a_cluster_that_runs_gives_the_same_bits(project, done):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        run = {"system": "dask", "address": cluster.scheduler_address}
        found = tiny.seisflow("iterate", "-i", 1, "-p", with_run(project, run), timeout=400)
    assert found.returncode == 0, found.stderr
    assert model(project) == model(done)


@pytest.mark.slow
def test_an_event_that_fails_on_a_worker_tells_why_and_the_others_are_done(project):
    tiny.break_trace(project / "observed" / "a2.h5")
    found = tiny.seisflow("iterate", "-i", 1, "-p", with_run(project, "dask"), timeout=400)
    assert found.returncode != 0
    assert "1 of 4 events failed" in found.stderr and "a2" in found.stderr


@pytest.mark.slow
@pytest.mark.slurm
def test_workers_that_are_started_on_slurm_give_the_same_bits(project, done):
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("no Slurm answers (tests/cluster/slurm.sh up)")
    run = {
        "system": "dask",
        "start": {"system": "slurm", "interface": "lo"},
        "resources": {"cores": 2, "memory": "1500 MB", "time": "00:10:00", "event": {"cores": 1}},
    }
    found = tiny.seisflow("iterate", "-i", 1, "-p", with_run(project, run), timeout=500)
    assert found.returncode == 0, found.stderr
    assert model(project) == model(done)


def test_a_scheduler_that_does_not_answer_is_named(project, run, monkeypatch):
    from seisflow.schedulers import dask_cluster

    monkeypatch.setattr(dask_cluster, "_WAIT", 1.0)
    with_run(project, {"system": "dask", "address": "tcp://127.0.0.1:1"})
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 1 and "tcp://127.0.0.1:1: no Dask scheduler answers there" in error


@pytest.mark.parametrize("system", BATCH_SYSTEMS)
def test_workers_on_each_batch_system_are_asked_for(system, tmp_path):
    import dask_jobqueue

    from seisflow.schedulers.dask_cluster import job_cluster_settings

    run = TypeAdapter(DaskRun).validate_python(
        {
            "start": {"system": system, "interface": "lo", "jobs": 3},
            "resources": {
                "cores": 8,
                "memory": "16 GB",
                "time": "02:00:00",
                "queue": "fast",
                "account": "me",
                "event": {"cores": 4},
            },
            "setup": ["module load gcc"],
            "python": "/opt/python",
        }
    )
    name, settings = job_cluster_settings(run, tmp_path)
    assert settings["processes"] == 2 and settings["n_workers"] == 6
    settings["n_workers"] = 0
    with getattr(dask_jobqueue, name)(**settings) as cluster:
        text = cluster.job_script()
    assert "module load gcc" in text and "/opt/python -m distributed.cli.dask_worker" in text
    assert "me" in text and "--nworkers 2" in text and "--nthreads 1" in text
    if system != "htcondor":
        assert "fast" in text and ("02:00" in text)
    wanted = {
        "slurm": "#SBATCH --cpus-per-task=8",
        "pbs": "select=1:ncpus=8:mem=16000mb",
        "lsf": "#BSUB -n 8",
    }
    assert wanted.get(system, "") in text


def test_jobs_without_memory_are_refused(tmp_path):
    from seisflow.schedulers.dask_cluster import job_cluster_settings

    run = TypeAdapter(DaskRun).validate_python({"start": {"system": "pbs", "interface": "lo"}})
    with pytest.raises(InputError, match=r"resources\.memory is missing"):
        job_cluster_settings(run, tmp_path)
