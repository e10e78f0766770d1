"""The commands ``seisflow submit``, ``cancel`` and ``profile``, and what jobs call."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["add_cluster_commands", "cancel", "deploy", "drive", "element", "profile", "submit", "ui"]

HERE = Path(".")
Project_ = Annotated[
    Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")
]
COMMANDS = ("iterate", "detect", "gain")


def submit(context: typer.Context, project: Project_ = HERE) -> None:
    """Send a command to the batch system and return: seisflow submit iterate --iteration 5 --through 12."""
    from seisflow.errors import InputError
    from seisflow.project import Project
    from seisflow.schedulers.rounds import system_of
    from seisflow.schedulers.submission import Submission, batch_run, script_of

    words = list(context.args)
    if not words or words[0] not in COMMANDS:
        raise InputError(f"seisflow submit: follow it with {', '.join(COMMANDS)} and their options")
    found = Project.open(project)
    run = batch_run(found.config.run)
    parameters = _parsed(context, words)
    kind = "day" if words[0] == "detect" else "event"
    if words[0] == "iterate":
        _check_iterations(found, parameters)
    Submission(found.root).check_alone()  # its driver may work here already
    if found.driver is not None:
        raise InputError(
            f"{found.root}: seisflow works in this project now ({found.driver}); wait for it, or end it"
        )
    system = system_of(run, found.root)
    system.check(script_of(run, found.root, kind))
    job = Submission(found.root).send(run, words)
    print(f"job {job}: seisflow {' '.join(words)}")
    print("`seisflow status` follows it, from any shell; `seisflow cancel` ends it")


def _parsed(context: typer.Context, words: list[str]) -> dict[str, Any]:
    """Options of the command, refused now if they are wrong."""
    parent = context.parent
    command = parent.command.get_command(parent, words[0]) if parent is not None else None  # type: ignore[attr-defined]
    if command is None:
        return {}
    parameters: dict[str, Any] = command.make_context(words[0], words[1:], parent=parent).params
    return parameters


def _check_iterations(project: Any, parameters: dict[str, Any]) -> None:
    """All that `seisflow iterate` would refuse, and a wall time in which no event can be done."""
    from seisflow.errors import InputError
    from seisflow.steps.frozen_windows import check_windows
    from seisflow.steps.inputs import check_project
    from seisflow.steps.pending import check_wall_time

    first, last = parameters["iteration"], parameters["through"] or parameters["iteration"]
    if last < first:
        raise InputError(f"--through {last} comes before --iteration {first}")
    project.stage_of(last)
    if not project.model_path(first - 1).is_file():
        raise InputError(
            f"{project.relative(project.model_path(first - 1))} is not there; begin with an earlier iteration"
        )
    plans = check_project(project, first)
    check_windows(project, first)
    check_wall_time(project, first, plans)


def cancel(project: Project_ = HERE) -> None:
    """End what was submitted, and all its jobs; what is done stays, the same command goes on later."""
    from seisflow.project import Project
    from seisflow.schedulers.submission import cancel_all

    found = Project.open(project)
    ended = cancel_all(found.root)
    pid = found.driver_here()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        print(f"process {pid} of this machine is told to stop")
    elif not ended:
        print("nothing of this project runs or waits")
    if ended:
        print(f"ended: {', '.join(f'job {job}' for job in ended)}")


def profile(
    system: Annotated[str, typer.Argument(help="slurm, pbs, lsf, sge, htcondor or dask.")],
) -> None:
    """Print a profile to start from: seisflow profile slurm > cluster.yaml."""
    from seisflow.schedulers.system import shipped_profile

    sys.stdout.write(shipped_profile(system))


def deploy(
    project: Project_ = HERE,
    schedule: Annotated[
        list[str] | None, typer.Option(help="FLOW=CRON, such as detect='30 0 * * *'. May be repeated.")
    ] = None,
) -> None:
    """Register the flows of a project in the Prefect server, to be run from its pages, by schedules, by workers."""
    from seisflow.errors import InputError
    from seisflow.project import Project
    from seisflow.workflows.running import ready_server

    wanted = {}
    for text in schedule or ():
        name, _, cron = text.partition("=")
        if not cron or name not in COMMANDS:
            raise InputError(f"--schedule {text}: write FLOW=CRON with one of {', '.join(COMMANDS)}")
        wanted[name] = cron
    found = Project.open(project)
    ready_server()
    from seisflow.workflows.deployments import POOL
    from seisflow.workflows.deployments import deploy as register

    for name in register(found, wanted):
        at = wanted.get(name.partition("/")[0])
        print(f"{name}, at {at}" if at else name)
    print(f"a worker runs them: prefect worker start --pool {POOL}, or `seisflow ui --worker`")


def ui(
    host: Annotated[
        str, typer.Option(help="Where the server listens; others than this machine can then use it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 4200,
    worker: Annotated[
        bool, typer.Option("--worker", help="Also run what is started from its pages.")
    ] = False,
) -> None:
    """Start a Prefect server on this machine with settings that suit, and print its address."""
    from seisflow.workflows.running import quiet_prefect, server_address

    if host not in ("127.0.0.1", "localhost", "::1") and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        print(
            "note: whoever reaches this address can run flows as you; set "
            "PREFECT_SERVER_API_AUTH_STRING to NAME:PASSWORD",
            file=sys.stderr,
        )
    server_address(host, port)
    quiet_prefect()
    from seisflow.workflows.deployments import serve

    raise typer.Exit(serve(host, port, worker))


def element(folder: Path, array: int, index: int) -> None:
    """Do one element of an array; jobs call this."""
    from seisflow.workflows.elements import run_elements

    raise typer.Exit(run_elements(folder, array, index))


def drive(project: Path, index: Annotated[int, typer.Argument()] = 0) -> None:
    """Run what was submitted; its job calls this."""
    from seisflow.schedulers.submission import drive as run

    raise typer.Exit(run(project.resolve()))


def add_cluster_commands(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(submit)
    app.command()(cancel)
    app.command()(profile)
    app.command()(deploy)
    app.command()(ui)
    app.command(hidden=True)(element)
    app.command(hidden=True)(drive)
