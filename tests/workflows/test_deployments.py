"""Deployments with a real server and a real worker."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from test_prefect import Server, free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """`seisflow ui --worker`."""
    home, port = tmp_path_factory.mktemp("ui"), free_port()
    found = Server(port)
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    with (home / "log").open("w+") as log:
        process = subprocess.Popen(
            tiny.command("ui", "--port", port, "--worker"),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=environment | {"PREFECT_HOME": str(home)},
        )  # fmt: skip
        try:
            tiny.wait_for(lambda: "a worker runs" in (home / "log").read_text(), 900)
            yield found, home
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def settings(ui) -> dict[str, str]:
    server, home = ui
    return {"PREFECT_API_URL": server.url, "PREFECT_HOME": str(home)}


def start(server: Server, name: str, parameters: dict[str, object]) -> str:
    """What the button of the page does."""
    (deployment,) = [each for each in server.all("deployments") if each["entrypoint"].endswith(name)]
    run = server.ask(f"/deployments/{deployment['id']}/create_flow_run", parameters=parameters)
    return run["id"]


def ended(server: Server, run: str, seconds: float = 900.0) -> dict:
    deadline = time.monotonic() + seconds
    while True:
        found = server.ask(f"/flow_runs/{run}")
        if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(1)


def test_a_deployed_iteration_is_run_by_a_worker_and_shows_what_came_out(ui, project, done):
    server, _ = ui
    tiny.change_config(project, "pictures: false", "pictures: true")
    found = tiny.seisflow(
        "deploy", "-p", project, "--schedule", "gain=0 6 * * *", timeout=300, **settings(ui)
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[:2] == ["iterate/tiny", "gain/tiny, at 0 6 * * *"]
    run = ended(server, start(server, "iterate", {"project": str(project), "iteration": 1}))
    assert run["state_type"] == "COMPLETED" and run["name"] == f"{project.name}: iteration 1"
    assert (project / "models" / "m01.nc").read_bytes() == (done / "models" / "m01.nc").read_bytes()
    artifacts = {each["key"]: each for each in server.ask("/artifacts/filter", limit=200) if each["key"]}
    assert {"tiny-i01-misfits", "tiny-i01-waveforms", "tiny-i01-model"} <= set(artifacts)
    assert "data:image/png;base64," in artifacts["tiny-i01-waveforms"]["data"]
    assert any(
        each["type"] == "progress" and float(each["data"]) == 100
        for each in server.ask("/artifacts/filter", limit=200)
    )


def test_a_deployed_run_whose_process_dies_shows_as_crashed(ui, project):
    server, _ = ui
    found = tiny.seisflow("deploy", "-p", project, timeout=300, **settings(ui))
    assert found.returncode == 0, found.stderr
    run = start(server, "iterate", {"project": str(project), "iteration": 1})
    from seisflow.project import Project

    tiny.wait_for(lambda: Project.open(project).driver_here() is not None, 600)
    os.kill(Project.open(project).driver_here(), signal.SIGKILL)
    assert ended(server, run)["state_type"] == "CRASHED"


def test_a_killed_command_shows_as_crashed_without_another_run(ui, project):
    server, _ = ui
    process = tiny.start("iterate", "-i", 1, "-p", project, **(os.environ | settings(ui)))
    try:
        tiny.wait_for(lambda: any(run["state_type"] == "RUNNING" for run in server.of(project)), 300, process)
    finally:
        tiny.end(process)
    tiny.wait_for(lambda: {run["state_type"] for run in server.of(project)} == {"CRASHED"}, 300)


def test_the_repository_deploys_by_prefect_itself(ui):
    root = Path(__file__).parents[2]
    words = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    found = subprocess.run(
        words,
        capture_output=True,
        text=True,
        cwd=root,
        timeout=600,
        env=os.environ | settings(ui),
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    server, _ = ui
    names = {each["name"] for each in server.all("deployments")}
    assert "seisflow" in names


def test_each_page_opens_in_a_browser(ui, project, tmp_path):
    """The run and each artifact, in headless Chromium, with nothing from elsewhere."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium (Debian: chromium)")
    server, _ = ui
    tiny.change_config(project, "pictures: false", "pictures: true")
    found = tiny.seisflow("iterate", "-i", 1, "-p", project, timeout=600, **settings(ui))
    assert found.returncode == 0, found.stderr
    (run,) = [each for each in server.of(project) if each["parent_task_run_id"] is None]
    pages = {f"/runs/flow-run/{run['id']}": "iteration 1"}
    for each in server.ask("/artifacts/filter", limit=200):
        if each["key"] and each["flow_run_id"] == run["id"]:
            pages[f"/artifacts/artifact/{each['id']}"] = (
                "data:image/png" if "misfits" not in each["key"] else "held out"
            )
    assert len(pages) >= 4
    for page, wanted in pages.items():
        words = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'browser'}",
        ]
        words += ["--virtual-time-budget=20000", "--dump-dom", server.url.removesuffix("/api") + "/v2" + page]
        shown = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False).stdout
        assert wanted in shown, (page, shown[-2000:])
        assert "Can't connect" not in shown
