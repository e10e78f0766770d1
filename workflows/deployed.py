"""The flows as a Prefect server knows them: what its button, its schedules and its workers run.

Each takes the folder of a project and what the command of the same name takes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from seisflow.workflows.running import Quiet

from seisflow.errors import InputError
from seisflow.project import Project

__all__ = ["FLOWS", "detect", "gain", "iterate"]


def _name() -> str:
    """Name of a run that people understand: project, what, which iterations or days."""
    values = flow_run.parameters
    project = Path(str(values.get("project", ""))).name or "seisflow"
    if values.get("iteration"):
        first, last = values["iteration"], values.get("through") or values["iteration"]
        return f"{project}: iteration {first}" + (f" to {last}" if last != first else "")
    if values.get("day"):
        return f"{project}: {values['day']}"
    return f"{project}: {flow_run.flow_name}"


@flow(name="iterate", flow_run_name=_name, persist_result=False)
def iterate(project: str, iteration: int, through: int | None = None) -> list[dict[str, Any]]:
    """Run iterations of the tomography; what is done already is not repeated.

    Parameters
    ----------
    project : str
        The project folder.
    iteration : int
        Which iteration.
    through : int, optional
        Go on through this one.
    """
    from seisflow.workflows.iterate import iterate as run

    last = iteration if through is None else through
    if last < iteration:
        raise InputError(f"through {last} comes before iteration {iteration}")
    gained: list[dict[str, Any]] = run(Project.open(project).root, iteration, last, Quiet())
    return gained


@flow(name="detect", flow_run_name=_name, persist_result=False)
def detect(project: str, day: str | None = None) -> dict[str, Any]:
    """Search continuous recordings for earthquakes and write a catalog.

    Parameters
    ----------
    project : str
        The project folder.
    day : str, optional
        Search this day, ``YYYY-MM-DD``, beside what was searched before; all that was recorded, if nothing was yet.
    """
    from seisflow.workflows.detect import detect as run

    span = None
    if day is not None:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
        span = (start, start + 86400)
    found = run(Project.open(project).root, span, Quiet())
    return {"catalog": str(found.catalog), **found.results}


@flow(name="gain", flow_run_name=_name, persist_result=False)
def gain(project: str, model: int | None = None) -> dict[str, Any]:
    """Compare the start model with a later one on whole seismograms.

    Parameters
    ----------
    project : str
        The project folder.
    model : int, optional
        The newest, if left out.
    """
    from seisflow.workflows.gain import gain as run

    found: dict[str, Any] = run(Project.open(project).root, model, None, Quiet())
    return found


FLOWS = {"iterate": iterate, "detect": detect, "gain": gain}
