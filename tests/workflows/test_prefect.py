"""The flows with a real Prefect server: what it shows, and that it changes nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

PARTS = {"simulate", "select windows", "measure", "adjoint"}


class Server:
    """A Prefect server of this test, seen through its API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api"

    def ask(self, path: str, **body: object) -> object:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(
            self.url + path, data=data, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def all(self, kind: str) -> list[dict]:
        found: list[dict] = []
        while True:
            page = self.ask(f"/{kind}/filter", sort="NAME_ASC", limit=200, offset=len(found))
            found += page
            if len(page) < 200:
                return found

    def of(self, project: Path) -> list[dict]:
        """Flow runs of a project folder."""
        return [
            run for run in self.all("flow_runs") if any(tag.endswith(str(project)) for tag in run["tags"])
        ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    home, port = tmp_path_factory.mktemp("server"), free_port()
    found = Server(port)
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": found.url,
        "PREFECT_UI_API_URL": found.url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                found.ask("/health")
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (home / "log").read_text()[-3000:]
                assert time.monotonic() < deadline, (home / "log").read_text()[-3000:]
                time.sleep(0.5)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=15)


def iterate(server: Server, root: Path, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Iteration 1 with the server set."""
    return tiny.seisflow(
        "iterate",
        "-i",
        1,
        "-p",
        root,
        timeout=300,
        PREFECT_API_URL=server.url,
        PREFECT_HOME=str(home),
        **more,
    )


@pytest.mark.slow
def test_the_server_shows_events_and_their_parts_and_changes_no_bit(server, project, done, tmp_path):
    found = iterate(server, project, tmp_path / "home")
    assert found.returncode == 0, found.stderr
    (whole,) = [run for run in server.of(project) if run["name"] == "tiny iteration 1"]
    assert whole["state_type"] == "COMPLETED"
    events = {run["name"]: run for run in server.of(project) if run["name"].startswith("i01s00: ")}
    assert set(events) == {f"i01s00: {event}" for event in tiny.EVENTS}
    tasks = server.all("task_runs")
    for name, run in events.items():
        assert run["state_type"] == "COMPLETED"
        parts = {task["name"]: task for task in tasks if task["flow_run_id"] == run["id"]}
        assert set(parts) == (PARTS - {"adjoint"} if name.endswith("h1") else PARTS)
        assert {task["state_type"] for task in parts.values()} == {"COMPLETED"}
        order = [parts[part]["start_time"] for part in ("simulate", "select windows", "measure")]
        assert order == sorted(order)
        assert run["parent_task_run_id"] is not None
    assert (project / "models" / "m01.nc").read_bytes() == (done / "models" / "m01.nc").read_bytes()


@pytest.mark.slow
def test_an_event_that_fails_shows_as_failed_and_the_others_as_done(server, project, tmp_path):
    tiny.change_config(project, "name: tiny", "name: broken")
    tiny.break_trace(project / "observed" / "a2.h5")
    found = iterate(server, project, tmp_path / "home")
    assert found.returncode != 0
    assert "a2" in found.stderr and "1 of 4 events failed" in found.stderr
    (whole,) = [run for run in server.of(project) if run["name"] == "broken iteration 1"]
    assert whole["state_type"] == "FAILED"
    states = {run["name"]: run["state_type"] for run in server.of(project) if run["name"].startswith("i01")}
    assert states == {f"i01s00: {event}": "COMPLETED" for event in ("a1", "a3", "h1")} | {
        "i01s00: a2": "FAILED"
    }


@pytest.mark.slow
def test_a_run_that_was_killed_is_shown_as_crashed_after_the_next(server, project, tmp_path):
    tiny.change_config(project, "name: tiny", "name: killed")
    setting = {"PREFECT_API_URL": server.url, "PREFECT_HOME": str(tmp_path / "home")}
    process = tiny.start("iterate", "-i", 1, "-p", project, **setting)
    try:
        tiny.wait_for(lambda: any(run["state_type"] == "RUNNING" for run in server.of(project)), 120, process)
    finally:
        tiny.end(process)
    found = iterate(server, project, tmp_path / "home")
    assert found.returncode == 0, found.stderr
    whole = [run["state_type"] for run in server.of(project) if run["name"] == "killed iteration 1"]
    assert sorted(whole) == ["COMPLETED", "CRASHED"]
    assert {run["state_type"] for run in server.of(project)} == {"COMPLETED", "CRASHED"}


def test_a_server_that_does_not_answer_is_named(run, project, monkeypatch):
    url = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    code, _, error = run("iterate", "-i", 1, "-p", project)
    assert code == 1 and url in error and "prefect server start" in error
    assert not (project / "iterations").exists()
