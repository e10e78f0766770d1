"""What an inversion has gained: whole seismograms of two models, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from seisflow.domain import FloatArray, Grid, Model
from seisflow.errors import InputError
from seisflow.project import Project
from seisflow.records import Task
from seisflow.solvers import create
from seisflow.steps.device import device_of
from seisflow.steps.event import EventStep
from seisflow.steps.inputs import common_config, event_of, model_of, recording_stations, simulation_of

__all__ = ["compare_with_truth", "ray_coverage", "residual", "truth_path"]


def residual(
    project: Project,
    model: int,
    others: Sequence[int],
    stage: int,
    event: str,
    threads: int,
    progress: Callable[[float], None],
) -> dict[str, float]:
    """Energy of the residual and of the data of one event, whole seismograms in the bands of a stage.

    No window is selected, and all models are simulated on one grid, so they are compared on exactly the same samples.

    Parameters
    ----------
    project : Project
    model : int
    others : sequence of int
        Models that this one is compared with.
    stage : int
    event : str
    threads : int
    progress : callable

    Returns
    -------
    dict
        ``residual`` and ``data``: sums of squares.
    """
    step = EventStep(project, project.first_iteration(stage), 0, event, threads)
    step.windows_from = None
    step.model_path, step.with_kernel = project.model_path(model), False
    solver = common_config(project, stage, [project.model_path(each) for each in {model, *others}])
    settings = {**step.task.settings, "solver": TypeAdapter(Any).dump_python(solver, mode="json")}
    task = Task(f"gain/m{model:02d}-stage{stage + 1}/{event}", step.task.inputs, settings)
    done = project.done(task)
    if done is None:
        begun = project.begin(task)
        if not step.stations:  # nothing to compare; both sums leave it out
            return {"residual": 0.0, "data": 0.0}
        simulation = simulation_of(
            project.config, model_of(step.model_path), step.source, step.stations, stage
        )
        made = create(solver, threads=threads, device=device_of(project))
        step.take_forward(made.forward(simulation, progress=progress))
        done = {"residual": 0.0, "data": 0.0}
        for band in step.bands:
            observed, live = band.observed, np.asarray(band.observed.live)
            done["residual"] += float(np.sum((band.synthetic.data - observed.data)[live] ** 2))
            done["data"] += float(np.sum(observed.data[live] ** 2))
        project.record(task, [], done, begun)
    progress(1.0)
    return {"residual": done["residual"], "data": done["data"]}


def ray_coverage(project: Project, grid: Grid) -> FloatArray:
    """Number of straight rays from the inverted events to the stations that pass each node of a grid.

    A ray passes a node if it comes within half a spacing of it along each axis; bent rays would dive deeper.

    Returns
    -------
    ndarray (nx, ny, nz)
    """
    projection = project.config.region.projection()
    counts = np.zeros(grid.shape)
    origin, spacing = np.array(grid.origin), np.array(grid.spacing)
    for name in project.used:
        event = event_of(project, name)
        source = np.array((*projection.to_local(event.latitude, event.longitude), event.depth))
        for each in recording_stations(project, name):
            station = (*projection.to_local(each.latitude, each.longitude), each.burial)
            share = np.linspace(0, 1, 4 * max(grid.shape))[:, None]
            nodes = np.rint((source + share * (np.array(station) - source) - origin) / spacing).astype(int)
            inside = np.all((nodes >= 0) & (nodes < grid.shape), axis=1)
            passed = np.unique(nodes[inside], axis=0)
            counts[passed[:, 0], passed[:, 1], passed[:, 2]] += 1
    return counts


def compare_with_truth(
    project: Project, start: Model, found: Model, truth: Model, rays: int = 3
) -> dict[str, Any]:
    """Correlation and amplitude of recovered against true relative perturbations, where rays cross.

    Parameters
    ----------
    project : Project
    start, found, truth : Model
        On one grid.
    rays : int
        Least number of rays at a node.

    Returns
    -------
    dict
        By parameter: ``correlation``, ``amplitude`` (slope of recovered on true), ``share`` of the nodes compared.
    """
    if truth.grid != start.grid:
        raise InputError(
            f"the true model is on {truth.grid}, the project's on {start.grid}; put it on that grid"
        )
    covered = ray_coverage(project, start.grid) >= rays
    result: dict[str, Any] = {}
    for name in project.config.inversion.fields:
        old = start.fields()[name]
        a = np.log(truth.fields()[name] / old)[covered]
        b = np.log(found.fields()[name] / old)[covered]
        size = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
        result[name] = {
            "correlation": float(np.sum(a * b)) / size if size > 0 else 0.0,
            "amplitude": float(np.sum(a * b) / np.sum(a**2)) if a.any() else 0.0,
            "share": float(covered.mean()),
        }
    return result


def truth_path(project: Project) -> Path:
    """Where an example keeps its true model."""
    return project.root / "truth" / "model.nc"
