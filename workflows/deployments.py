"""Deployments in a Prefect server, the server itself, and runs whose process has died."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType
from seisflow.workflows.deployed import FLOWS
from seisflow.workflows.prefect_runner import crash, unfinished_runs

from seisflow.errors import WorkError
from seisflow.project import Project

__all__ = ["POOL", "bury_the_dead", "deploy", "serve"]

POOL = "seisflow"
"""Work pool of all deployments."""
_START = 600.0
"""s in which a server must answer."""
_LOOK = 20.0
"""s between two looks for runs whose process has died."""


def deploy(project: Project, schedules: Mapping[str, str]) -> list[str]:
    """Register the flows of a project in the Prefect server; returns their names, ``FLOW/PROJECT``.

    Parameters
    ----------
    project : Project
    schedules : mapping of str to str
        Cron schedules by flow.
    """
    config = project.config
    wanted = [*(("iterate", "gain") if config.stages else ()), *(("detect",) if config.detection else ())]
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    made = []
    for name in wanted:
        parameters: dict[str, object] = {"project": str(project.root)}
        if name == "iterate":
            parameters["iteration"] = 1
        deployment = FLOWS[name].to_deployment(
            name=config.name,
            parameters=parameters,
            cron=schedules.get(name),
            tags=["seisflow", config.name],
            description=(FLOWS[name].__doc__ or "").strip().splitlines()[0],
            work_pool_name=POOL,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        deployment.apply()
        made.append(f"{name}/{config.name}")
    return made


def bury_the_dead() -> int:
    """Mark runs of drivers on this machine as crashed whose process has died; returns how many.

    A run is dead when nobody holds the lock of the project folder that it is tagged with.
    """
    host, count = f"{socket.gethostname()}:", 0
    with get_client(sync_client=True) as client:
        for run in unfinished_runs(client):
            folders = [Path(tag.removeprefix(host)) for tag in run.tags if tag.startswith(host)]
            dead = [folder for folder in folders if folder.is_dir() and not _is_locked(folder)]
            if dead and (
                run.estimated_run_time.total_seconds() > _LOOK or run.parent_task_run_id is not None
            ):
                crash(client, run)
                count += 1
    return count


def _is_locked(folder: Path) -> bool:
    from seisflow.records import Records

    return Records(folder).driver_here() is not None


def serve(host: str, port: int, worker: bool) -> int:
    """Run a server (and a worker of it) until it is interrupted; returns the exit code.

    PREFECT_API_URL must have been set to its address before Prefect was imported.

    Raises
    ------
    WorkError
        If the server does not come up.
    """
    url, environment = os.environ["PREFECT_API_URL"], dict(os.environ)
    words = [sys.executable, "-m", "prefect"]
    processes = [
        subprocess.Popen([*words, "server", "start", "--host", host, "--port", str(port)], env=environment,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    ]  # fmt: skip
    try:
        _wait_for(url, processes[0])
        print(f"look at {url.removesuffix('/api')}")
        print(f"in other shells: export PREFECT_API_URL={url}", flush=True)
        if worker:
            with get_client(sync_client=True) as client:
                try:
                    client.read_work_pool(POOL)
                except ObjectNotFound:
                    client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
            processes.append(
                subprocess.Popen(
                    [*words, "worker", "start", "--pool", POOL, "--type", "process"],
                    env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                )
            )  # fmt: skip
            print(f"a worker runs what is started there (work pool {POOL})", flush=True)
        while processes[0].poll() is None:
            time.sleep(_LOOK)
            bury_the_dead()
        return int(processes[0].returncode)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise WorkError(f"{url}: the Prefect server ended at once; is the port in use?")
        try:
            urlopen(f"{url}/health", timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.5)
    raise WorkError(f"{url}: no Prefect server answers there after {_START:g} s")
