"""Commands that several processes run together, started by mpiexec."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import typer

__all__ = ["event_step", "lead", "ranks_of_this_run"]

_BY_RANKS = {"simulate", "source", "event-step"}
"""Commands that several processes run together."""


def ranks_of_this_run() -> Any:
    """The ranks of this run if mpiexec started several, else None."""
    if not any(name.startswith(("OMPI_COMM_WORLD", "PMI", "MPI_LOCALNRANKS")) for name in os.environ):
        return None
    from seisflow.ranks import world

    return world()


def lead(ranks: Any, app: typer.Typer) -> None:
    """Run the command on the first rank; the others do what its solver asks for."""
    from seisflow.errors import InputError
    from seisflow.solvers import release, serve

    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if command not in _BY_RANKS:
        if ranks.leads:
            raise InputError(
                f"seisflow {command} is started without mpiexec; `compute: {{ranks: {ranks.size}}}` in seisflow.yaml "
                "has each event shared by ranks"
            )
        sys.exit(InputError.exit_code)
    if not ranks.leads:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        serve(ranks)
        return
    try:
        app(obj=ranks)
    finally:
        release(ranks)


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
