"""What templates of batch systems understand, and what jobs leave behind; as text, no system is needed."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from seisflow.schedulers import system as batch_system
from seisflow.schedulers.config import DaskRun, RunConfig
from seisflow.schedulers.dask_cluster import job_cluster_settings
from seisflow.schedulers.rounds import system_of
from seisflow.schedulers.system import Script

CHECK = TypeAdapter(RunConfig).validate_python

SGE = """\
job-ID  prior   name       user         state submit/start at     queue                          slots ja-task-ID
-----------------------------------------------------------------------------------------------------------------
    123 0.55500 i01s00     user         r     11/30/2026 10:00:00 all.q@node1                        1 1
    123 0.55500 i01s00     user         dr    11/30/2026 10:00:00 all.q@node2                        4 3
    123 0.00000 i01s00     user         qw    11/30/2026 10:00:00                                    1 4
    124 0.00000 drive      user         qw    11/30/2026 10:00:00                                    4
   1234 0.00000 other      user         qw    11/30/2026 10:00:00                                    1 2
"""


@pytest.mark.parametrize(
    ("job", "wanted"), [("123", [(0, "r"), (2, "dr"), (3, "qw")]), ("124", [(0, "qw")]), ("12", [])]
)
def test_elements_of_an_array_of_grid_engine_are_told_apart(monkeypatch, tmp_path, job, wanted):
    """Each was taken for the first one, so that the others counted as lost and were sent again."""
    answer = type("Answer", (), {"stdout": SGE, "stderr": "", "returncode": 0})
    monkeypatch.setattr(batch_system, "ask", lambda words, text=None: answer)
    found = system_of(CHECK({"system": "sge"}), tmp_path).elements(job)
    assert [(each.index, each.state) for each in found] == wanted


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
