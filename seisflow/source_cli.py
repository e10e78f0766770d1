"""The command ``seisflow source``: inversion for the moment tensor, place and origin time of an event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["source"]

HERE = Path(".")


def source(  # noqa: PLR0913 - the options of a command
    context: typer.Context,
    event: Annotated[str, typer.Option(help="Name of the event.")],
    project: Annotated[
        Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")
    ] = HERE,
    model: Annotated[
        int | None, typer.Option(min=0, help="Number of the model.", show_default="the newest")
    ] = None,
    misfit: Annotated[
        str | None, typer.Option(help="Kind of misfit.", show_default="that of the stage")
    ] = None,
    mechanism: Annotated[str, typer.Option(help="full, deviatoric or double-couple.")] = "deviatoric",
    fix: Annotated[
        str | None, typer.Option(help="What stays as it is: place,depth,time.", show_default="nothing")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Most changes of the place.")] = 6,
    scan: Annotated[bool, typer.Option(help="Invert at other depths too.")] = True,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Use the solution from now on, in the tomography too.")
    ] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Use the event as it was imported again, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Invert for the moment tensor, place and origin time of an event; the model stays as it is.

    Under mpiexec all ranks share the simulations.
    """
    from seisflow.project import Project
    from seisflow.steps.source import SourceOptions
    from seisflow.steps.source import discard as discard_solution
    from seisflow.steps.source_change import told
    from seisflow.terminal import Terminal
    from seisflow.workflows.source import invert_source

    found = Project.open(project)
    if discard:
        with found.lock():
            was = discard_solution(found, event)
        print(f"event {event}: {'as it was imported again' if was else 'no solution had been adopted'}")
        return
    fixed: tuple[Any, ...] = tuple(fix.split(",")) if fix else ()
    options = SourceOptions(model, misfit, mechanism, fixed, rounds, scan)  # type: ignore[arg-type]
    with Terminal() as terminal:
        result = invert_source(found.root, event, options, adopted=adopt, monitor=terminal, ranks=context.obj)
    if as_json:
        print(json.dumps(result))
        return
    for line in told(result):
        print(line)
    folder = found.relative(found.source_folder(event))
    print(f"{folder}/solution.xml, {folder}/solution.png")
    if adopt:
        print(f"adopted: {folder}/adopted.xml is used from now on, --discard takes it back")
    else:
        print("the project still uses the event as it was; --adopt uses the solution")
