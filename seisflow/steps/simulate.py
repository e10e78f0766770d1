"""Synthetic seismograms of one event."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seisflow.config import digest
from seisflow.domain import Gather
from seisflow.io.event_file import EventFile, write_event
from seisflow.io.provenance import Provenance
from seisflow.project import Project
from seisflow.ranks import Ranks
from seisflow.records import code_version
from seisflow.solvers import create
from seisflow.steps.device import device_of
from seisflow.steps.inputs import event_of, model_of, simulation_of, stations_of

__all__ = ["simulate_event"]


def simulate_event(
    project: Project,
    event: str,
    model: int = 0,
    stage: int = 0,
    progress: Callable[[float], None] = lambda fraction: None,
    ranks: Ranks | None = None,
) -> tuple[Path, Gather]:
    """Simulate one event at all stations and write the seismograms.

    Parameters
    ----------
    project : Project
    event : str
    model : int
        Number of the model.
    stage : int
        Whose band sets the grid.
    progress : callable
    ranks : Ranks, optional
        Those that simulate together, of which this is the first.

    Returns
    -------
    Path
        ``simulations/m00/<event>.h5``: ASDF, E N Z velocity in m/s at the time steps of the solver.
    Gather
        What is in it.
    """
    config = project.config
    model_path = project.model_path(model)
    source = event_of(project, event)
    simulation = simulation_of(config, model_of(model_path), source, stations_of(project), stage)
    _, threads = config.compute.model_copy(update={"ranks": 1}).share(1)
    threads = threads if ranks is None else max(1, threads // ranks.on_this_machine)
    device = device_of(project) if ranks is None else None
    gather = create(config.solver, threads, ranks, device).forward(simulation, progress=progress).gather
    path = project.root / "simulations" / f"m{model:02d}" / f"{event}.h5"
    provenance = Provenance(
        "simulate",
        digest(config.solver, config.stages[stage].periods),
        project.hash_of(model_path) or "",
        (("event", project.hash_of(project.event_path(event)) or ""),),
        version=code_version(),
    )
    write_event(path, EventFile(source, provenance, {"synthetic": gather}))
    return path, gather
