"""What the sampling of the simulation grid costs in accuracy, and what is recommended for the paths of a project."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisflow.project import Project
from seisflow.solvers import Plan
from seisflow.solvers.accuracy import TARGET, Sampling, expected_error, recommended_points, relative_cost
from seisflow.steps.inputs import event_of, model_of, recording_stations

__all__ = ["sampling_lines"]


def sampling_lines(project: Project, iteration: int, plans: Sequence[Plan]) -> list[str]:
    """Say how far waves travel in shortest wavelengths, the error of dispersion there, and what would do.

    Parameters
    ----------
    project : Project
    iteration : int
    plans : sequence of Plan
        Of all events.
    """
    stage, _ = project.stage_of(iteration)
    model = model_of(project.model_path(iteration - 1))
    slowest, fastest = float(model.vs.min()), float(model.vp.max())
    shortest = slowest * project.config.stages[stage].periods[0]
    path, name = max(_longest(project, event) for event in project.event_ids)
    order = project.config.solver.order
    found = Sampling(order, shortest / max(plan.spacing for plan in plans), fastest / slowest)
    wavelengths = path / shortest
    error = expected_error(found, wavelengths)
    lines = [
        f"longest path {path / 1e3:.0f} km ({name}), {wavelengths:.1f} shortest wavelengths; with {found.points:.1f} "
        f"points at order {order} numerical dispersion is about {100 * error:.1g} % there"
    ]
    wanted = {each: recommended_points(each, wavelengths, fastest / slowest) for each in (4, 8)}
    costs = {each: relative_cost(each, points) for each, points in wanted.items()}
    cheapest = min(costs, key=lambda each: costs[each])
    now = relative_cost(order, found.points)
    if error > TARGET or costs[cheapest] < 0.7 * now:
        lines.append(
            f"recommended for {100 * TARGET:g} %: order {cheapest}, points_per_wavelength {wanted[cheapest]:g} "
            f"({costs[cheapest] / now:.2g} times the time)"
        )
    return lines


def _longest(project: Project, event: str) -> tuple[float, str]:
    """Length in m of the longest path of an event, and its name."""
    source = event_of(project, event)
    project_to = project.config.region.projection().to_local
    here = np.array([*project_to(source.latitude, source.longitude), source.depth])
    paths = [
        (float(np.linalg.norm(here - [*project_to(s.latitude, s.longitude), s.burial])), f"{event} to {s.id}")
        for s in recording_stations(project, event)
    ]
    return max(paths)
