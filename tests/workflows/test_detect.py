"""The detection flow: what a watcher hears, and with a real Prefect server what that shows."""

from __future__ import annotations

import os

import pytest
import tiny
from seisflow.workflows.detect import detect
from test_prefect import Server, free_port, server  # noqa: F401 - a fixture

from seisflow.errors import InputError

DAYS = {"2026-02-28", "2026-03-01"}


class Listening:
    """A monitor that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, tuple[str, ...]]] = []
        self.said: list[str] = []
        self.shares: dict[str, list[float]] = {}

    def begin(self, title, names):
        self.begun.append((title, tuple(names)))

    def advance(self, name, fraction):
        self.shares.setdefault(name, []).append(fraction)

    def end(self):
        pass

    def say(self, text):
        self.said.append(text)


def test_a_watcher_hears_of_every_stage(network):
    watcher = Listening()
    found = detect(network, monitor=watcher)
    days = tuple(sorted(DAYS))
    assert watcher.begun == [
        ("backproject", days),
        ("sizes", days),
        ("cut templates", days),
        ("templates", ("templates",)),
        ("match", days),
        ("catalog", ("catalog",)),
    ]
    assert all(0 <= share <= 1.000001 for shares in watcher.shares.values() for share in shares)
    assert watcher.said[0].startswith("8 stations") and "2 days" in watcher.said[0]
    assert "matched filter: 12 matches" in watcher.said and found.results["events"] == 12
    assert not found.page.exists() and found.problems == {day: [] for day in days}


def test_a_second_search_of_the_same_project_at_once_is_refused(network_done):
    from seisflow.project import Project

    with Project.open(network_done).lock(), pytest.raises(InputError, match="another seisflow works"):
        detect(network_done)


def search(server: Server, root, home) -> None:  # noqa: F811
    found = tiny.seisflow(
        "detect", "-p", root, timeout=300, PREFECT_API_URL=server.url, PREFECT_HOME=str(home)
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_the_server_shows_days_and_steps_and_changes_no_bit(server, network, network_done, tmp_path):  # noqa: F811
    search(server, network, tmp_path / "home")
    runs = server.of(network)
    (whole,) = [run for run in runs if run["name"] == "network 2026-02-28 to 2026-03-01"]
    assert whole["state_type"] == "COMPLETED"
    names = {run["name"] for run in runs}
    for day in DAYS:
        assert {f"backproject: {day}", f"match: {day}"} <= names
    assert {"templates: templates", "catalog: catalog"} <= names
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    ids = {run["id"] for run in runs}
    parts = [task["name"] for task in server.all("task_runs") if task["flow_run_id"] in ids]
    assert {"beam", "matches", "templates", "catalog"} <= set(parts)
    for suffix in ("h5", "csv", "xml"):
        name = f"detection/catalog.{suffix}"
        assert (network / name).read_bytes() == (network_done / name).read_bytes()


@pytest.mark.slow
def test_a_search_that_was_killed_is_shown_as_crashed_after_the_next(server, network, tmp_path):  # noqa: F811
    setting = {"PREFECT_API_URL": server.url, "PREFECT_HOME": str(tmp_path / "home")}
    process = tiny.start("detect", "-p", network, **(os.environ | setting))
    try:
        tiny.wait_for(lambda: any(run["state_type"] == "RUNNING" for run in server.of(network)), 120, process)
    finally:
        tiny.end(process)
    search(server, network, tmp_path / "home")
    whole = [run["state_type"] for run in server.of(network) if run["name"].startswith("network ")]
    assert sorted(whole) == ["COMPLETED", "CRASHED"]


def test_a_server_that_does_not_answer_is_named(run, network, monkeypatch):
    url = f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    code, _, error = run("detect", "-p", network)
    assert code == 1 and url in error and "prefect server start" in error
