"""A real Slurm of one node: same bits, refusals, lost elements, time limits, cancelling (tests/cluster/slurm.sh)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import tiny
import yaml

from seisflow.project import Project
from seisflow.schedulers.order import JobFolder, Order, Sent
from seisflow.schedulers.rounds import Asked, BatchRound
from seisflow.schedulers.submission import Submission

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
RUN = {"system": "slurm", "poll": 0.5, "resources": {"cores": 1, "memory": "400 MB", "time": "00:10:00"}}


@pytest.fixture(scope="module", autouse=True)
def slurm():
    if shutil.which("sinfo") is None:
        pytest.skip("Slurm is not installed (Debian: slurm-wlm, munge; then tests/cluster/slurm.sh up)")
    try:
        found = subprocess.run(["sinfo", "-h"], capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        found = None
    if found is None or found.returncode or "main" not in found.stdout:
        pytest.skip("no Slurm answers (tests/cluster/slurm.sh up)")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path):
    """What a test that failed left in the queue would keep the processors of the next ones."""
    yield
    found = subprocess.run(["squeue", "-h", "-o", "%A %o"], capture_output=True, text=True, timeout=60)
    left = {line.split()[0] for line in found.stdout.splitlines() if str(tmp_path) in line}
    if left:
        subprocess.run(["scancel", *left], check=False, timeout=60)


def queue(state: str = "all") -> list[str]:
    words = ["squeue", "-h", "-r", f"--states={state}", "--format=%i"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def alive(root: Path) -> set[str]:
    """Jobs of a project that wait or run."""
    words = ["squeue", "-h", "--states=PENDING,RUNNING,COMPLETING", "--format=%A|%o"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.partition("|")[0] for line in lines if str(root) in line}


def with_run(root: Path, **more: object) -> Path:
    path = root / "seisflow.yaml"
    path.write_text(path.read_text() + yaml.safe_dump({"run": RUN | more}))
    return root


def model(root: Path) -> bytes:
    return (root / "models" / "m01.nc").read_bytes()


def trial(root: Path, count: int, seconds: float = 0.0, **more: object) -> BatchRound:
    """Elements that only wait and write."""
    project = Project.open(with_run(root, **more))
    names = tuple(str(number) for number in range(count))
    work = Sent(Order("trial", {"seconds": seconds}), names, names)
    return BatchRound(project.config.run, root, Asked("trial", work, 1, "code"), lambda name, part: None)


def written(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "detection" / "trial").glob("*.txt"))


def test_an_iteration_in_slurm_gives_the_bits_of_one_here(project, done):
    found = tiny.seisflow("iterate", "-i", 1, "-p", with_run(project), timeout=1200)
    assert found.returncode == 0, found.stderr
    assert model(project) == model(done)
    assert not list((project / ".seisflow" / "jobs").iterdir())
    assert tiny.temporary_files(project) == []


def test_a_search_in_slurm_gives_the_bits_of_one_here(network, network_done):
    found = tiny.seisflow("detect", "-p", with_run(network), timeout=1200)
    assert found.returncode == 0, found.stderr
    assert "12 events" in found.stdout
    for suffix in ("h5", "csv", "xml"):
        name = f"detection/catalog.{suffix}"
        assert (network / name).read_bytes() == (network_done / name).read_bytes()


def test_bundles_and_several_arrays_do_each_element_once(project):
    with trial(project, 11, bundle=2, largest_array=3) as futures:
        hosts = [futures[str(number)].result(timeout=600)["process"] for number in range(11)]
    assert len(set(hosts)) == 6  # one process a bundle
    assert written(project) == sorted(map(str, range(11)))


def test_an_element_that_is_killed_is_sent_again_and_no_other_is(project):
    with trial(project, 4, 6.0) as futures:
        folder = JobFolder(next((project / ".seisflow" / "jobs").glob("trial-*")))
        tiny.wait_for(lambda: any(name.startswith(f"{folder.job(0)}_") for name in queue("RUNNING")), 60)
        name = next(name for name in queue("RUNNING") if name.startswith(f"{folder.job(0)}_"))
        victim = name.partition("_")[2]
        subprocess.run(["scancel", "--signal=KILL", "--full", name], check=True)
        for future in futures.values():
            future.result(timeout=600)
        assert folder.arrays() == [0, 1] and folder.bundles(1) == [[int(victim)]]


def test_one_that_is_always_killed_ends_with_the_reason(project):
    with trial(project, 1, setup=["kill -9 $$"], retries=1) as futures:
        error = str(futures["0"].exception(timeout=400))
    assert "ended without an answer 2 times (FAILED, job" in error and "look at its log" in error


def test_a_failing_event_is_not_sent_again_and_tells_its_own_reason(project):
    tiny.break_trace(project / "observed" / "a2.h5")
    found = tiny.seisflow("iterate", "-i", 1, "-p", with_run(project), timeout=1200)
    assert found.returncode != 0
    assert "1 of 4 events failed" in found.stderr and "a2" in found.stderr
    (folder,) = (project / ".seisflow" / "jobs").iterdir()
    assert JobFolder(folder).arrays() == [0]
    assert (
        "a2"
        in json.loads(tiny.seisflow("status", "-p", project, "--json").stdout)["iterations"][0][
            "failures"
        ].popitem()[0]
    )


def test_elements_stop_before_their_time_limit_and_go_on_in_the_next_job(project):
    # 100 s limit, 85 s warning: stops 15 s after its start; three of 6 s each need two jobs
    limits = RUN["resources"] | {"time": 100}
    with trial(project, 3, 6.0, bundle=3, warning=85, resources=limits) as futures:
        for future in futures.values():
            future.result(timeout=900)
        folder = JobFolder(next((project / ".seisflow" / "jobs").glob("trial-*")))
        assert len(folder.arrays()) == 2 and len(folder.bundles(1)[0]) < 3


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"queue": "nope"}, "slurm would refuse seisflow-event: invalid partition specified: nope"),
        ({"queue": "closed", "account": "outsiders"}, "account"),
        ({"queue": "closed", "time": "05:00:00", "account": "insiders"}, "but would never start it"),
        ({"cores": 500}, "Requested node configuration is not available"),
    ],
)  # fmt: skip
def test_what_slurm_will_not_run_is_told_at_once(project, resources, told):
    found = tiny.seisflow(
        "submit", "iterate", "-i", 1, "-p", with_run(project, resources=RUN["resources"] | resources)
    )
    assert found.returncode == 2, found.stdout
    assert told in found.stderr and "Traceback" not in found.stderr and len(found.stderr.splitlines()) == 1
    assert not alive(project) and Submission(project).content() is None


def test_a_submitted_driver_is_followed_from_another_shell_and_ends_in_the_same_model(project, done):
    found = tiny.seisflow("submit", "iterate", "-i", 1, "-p", with_run(project))
    assert found.returncode == 0, found.stderr
    assert "`seisflow status` follows it" in found.stdout
    again = tiny.seisflow("submit", "iterate", "-i", 1, "-p", project)
    assert again.returncode == 2 and "is submitted already" in again.stderr
    seen = set()
    deadline = time.monotonic() + 1200
    while "done" not in seen and time.monotonic() < deadline:
        content = json.loads(tiny.seisflow("status", "-p", project, "--json").stdout)
        seen.add(content["queue"]["driver"]["state"])
        seen |= {row["title"] for row in content["queue"]["rounds"]}
    assert {"running", "i01s00", "done"} <= seen
    assert model(project) == model(done)
    assert "job" in tiny.seisflow("status", "-p", project).stdout


def test_a_driver_goes_on_in_the_next_job_after_its_time_limit(project, done):
    # a job works for 40 s; each element waits 5 s before it begins, so one of them is never enough
    limits = {"time": 100, "cores": 1, "memory": "400 MB"}
    run = {"warning": 60, "setup": ["sleep 5"], "resources": limits | {"event": {"time": 600}}}
    found = tiny.seisflow("submit", "iterate", "-i", 1, "-p", with_run(project, **run))
    assert found.returncode == 0, found.stderr
    submission = Submission(project)
    tiny.wait_for(lambda: submission.state().get("state") in ("done", "failed", "ended"), 1500)
    assert submission.state()["state"] == "done"
    assert len(submission.content()["jobs"]) > 1
    assert model(project) == model(done)


def test_cancel_ends_driver_and_elements_and_the_command_goes_on_later(project, done):
    with_run(project)
    assert tiny.seisflow("submit", "iterate", "-i", 1, "-p", project).returncode == 0
    folder = project / "iterations" / "i01" / "s00"
    tiny.wait_for(lambda: any(folder.glob("*.json")), 200)
    found = tiny.seisflow("cancel", "-p", project, timeout=600)
    assert found.returncode == 0 and "ended: job" in found.stdout
    tiny.wait_for(lambda: not alive(project), 120)
    assert (
        json.loads(tiny.seisflow("status", "-p", project, "--json").stdout)["queue"]["driver"]["state"]
        == "cancelled"
    )
    assert not (project / "models" / "m01.nc").exists()
    assert "nothing of this project" in tiny.seisflow("cancel", "-p", project).stdout
    found = tiny.seisflow("iterate", "-i", 1, "-p", project, timeout=1200)
    assert found.returncode == 0, found.stderr
    assert model(project) == model(done)


def test_a_killed_driver_leaves_its_elements_and_the_next_takes_them_over(project):
    trial(project, 1)  # the configuration
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\nfrom seisflow.project import Project\n"
        "from seisflow.schedulers.order import Order, Sent\nfrom seisflow.schedulers.rounds import Asked, BatchRound\n"
        "root = Path(sys.argv[1]); names = tuple('0123')\n"
        "asked = Asked('trial', Sent(Order('trial', {'seconds': 8.0}), names, names), 1, 'code')\n"
        "with BatchRound(Project.open(root).config.run, root, asked, lambda name, part: None) as futures:\n"
        "    [each.result() for each in futures.values()]\n"
        "    print('done', len(asked.work.names))\n"
    )
    words = ["python", "-c", code, str(project), str(Path(tiny.__file__).parent)]
    import sys

    words[0] = sys.executable
    first = subprocess.Popen(words, start_new_session=True)
    folder = project / ".seisflow" / "jobs"
    tiny.wait_for(lambda: list(folder.glob("trial-*/array0.job")), 60)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    second = subprocess.run(words, capture_output=True, text=True, timeout=900)
    assert second.stdout == "done 4\n", second.stderr
    assert written(project) == list("0123")
    job = next(iter(folder.glob("trial-*")), None)
    assert job is None  # it went with its round: one array did it all
