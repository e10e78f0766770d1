"""The flow that inverts for the source of an event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seisflow.workflows.running import FlowRun, Monitor, Quiet, Runner, Stage, run_flow

from seisflow.project import Project
from seisflow.ranks import Ranks
from seisflow.steps.inputs import check_project
from seisflow.steps.source import SourceOptions, SourceStep, adopt

__all__ = ["invert_source"]


def invert_source(
    root: Path,
    event: str,
    options: SourceOptions | None = None,
    *,
    adopted: bool = False,
    monitor: Monitor | None = None,
    ranks: Ranks | None = None,
) -> dict[str, Any]:
    """Invert for the source of an event, unless its record holds.

    Parameters
    ----------
    root : Path
        The project folder.
    event : str
    options : SourceOptions, optional
    adopted : bool
        Use the solution in the tomography from now on.
    monitor : Monitor, optional
    ranks : Ranks, optional
        Those that simulate together, of which this is the first.

    Returns
    -------
    dict
        What changed; see ``steps.source_change.change_of``.
    """
    project = Project.open(root)
    with project.lock():
        _, threads = project.config.compute.model_copy(update={"ranks": 1}).share(1)
        threads = threads if ranks is None else max(1, threads // ranks.on_this_machine)
        check_project(project, 1)
        SourceStep(project, event, options or SourceOptions())

        def work(name: str, stage: Stage, progress: Any) -> dict[str, Any]:
            step = SourceStep(project, name, options or SourceOptions(), threads, progress, ranks)
            return step.run(stage)

        def body(runner: Runner) -> dict[str, Any]:
            found: dict[str, Any] = runner.each(f"source of {event}", [event], work, 1)
            return found

        run = FlowRun("source", f"{project.config.name} source of {event}", project.root, 1)
        result: dict[str, Any] = run_flow(run, body, monitor or Quiet())[event]
        if adopted:
            adopt(project, event)
    return result
