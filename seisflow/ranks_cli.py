"""Commands that several processes run together, started by mpiexec."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["event_step", "lead", "preprocess", "ranks_of_this_run"]

_SERVED = {"simulate", "source", "event-step"}
"""Commands of the first rank, whose solver the others serve."""
_TOGETHER = {"preprocess"}
"""Commands that all ranks run."""
HERE = Path(".")


def _command() -> str:
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")


def ranks_of_this_run() -> Any:
    """The ranks of this run if mpiexec started several, else None."""
    if not any(name.startswith(("OMPI_COMM_WORLD", "PMI", "MPI_LOCALNRANKS")) for name in os.environ):
        return None
    from seisflow.ranks import use_mpi_folder, world

    use_mpi_folder(first=_command() in _TOGETHER)
    return world()


def lead(ranks: Any, app: typer.Typer) -> None:
    """Run the command on the first rank, while the others do what its solver asks for; or on all ranks."""
    from seisflow.errors import InputError

    command = _command()
    if command in _TOGETHER:
        _all_run(ranks, app)
        return
    if command not in _SERVED:
        if ranks.leads:
            raise InputError(
                f"seisflow {command} is started without mpiexec; `compute: {{ranks: {ranks.size}}}` in seisflow.yaml "
                "has each event shared by ranks"
            )
        sys.exit(InputError.exit_code)
    from seisflow.solvers import release, serve

    if not ranks.leads:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        serve(ranks)
        return
    try:
        app(obj=ranks)
    finally:
        release(ranks)


def _all_run(ranks: Any, app: typer.Typer) -> None:
    """Run the command on all ranks; one that fails stops all."""
    if not ranks.leads:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        app(obj=ranks)
    except Exception as error:
        if getattr(error, "on_all_ranks", False):
            ranks.meet()  # all have cleaned up
        ranks.stop_all(error)
    except KeyboardInterrupt as error:
        ranks.stop_all(error)


def preprocess(
    context: typer.Context,
    event: Annotated[str | None, typer.Option(help="Name of an event: as the inversion compares it.")] = None,
    day: Annotated[str | None, typer.Option(help="A day, as 2009-01-21: as detection sees it.")] = None,
    stage: Annotated[int, typer.Option(min=1, help="Stage whose bands an event is treated for.")] = 1,
    project: Annotated[
        Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")
    ] = HERE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write recordings as they are compared or searched, as ASDF. Under mpiexec ranks share the stations."""
    from seisflow.errors import InputError
    from seisflow.project import Project
    from seisflow.steps.preprocess import preprocess_day, preprocess_event

    ranks, found = context.obj, Project.open(project)
    if (event is None) == (day is None):
        raise InputError("preprocess: give either --event or --day")
    if event is not None and stage > len(found.config.stages):
        raise InputError(f"stage {stage}: seisflow.yaml has {len(found.config.stages)}")
    leads = ranks is None or ranks.leads
    with found.lock() if leads else nullcontext():
        if event is not None:
            content = preprocess_event(found, event, stage - 1, ranks)
        else:
            content = preprocess_day(found, day or "", ranks)
    if not leads:
        return
    if as_json:
        print(json.dumps(content))
        return
    print(f"{content['file']}: {content['traces']} traces of {content['stations']} stations")
    for line in content["left_out"]:
        print(f"left out: {line}", file=sys.stderr)


def event_step(
    context: typer.Context,
    project: Path,
    iteration: int,
    step: int,
    event: str,
    threads: int = 1,
    ahead: Path | None = None,
) -> None:
    """Run one event of an iteration for a flow that holds the project; see steps/event_ranks.py."""
    from seisflow.steps.event_ranks import run_for_flow

    run_for_flow(project, (iteration, step, event), threads, ahead, context.obj)
