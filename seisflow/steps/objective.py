"""What the inversion lowers: the misfit over events, and the terms that keep a model near its start."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seisflow.domain import FloatArray, Kernel, Model
from seisflow.errors import PhysicsError, WorkError
from seisflow.inversion import InversionConfig, Parametrisation, gradient, tikhonov
from seisflow.io.event_file import read_event
from seisflow.project import Project, iteration_name, step_name
from seisflow.steps.inputs import model_of
from seisflow.steps.station_quality import faults_of

__all__ = [
    "Total",
    "held_misfit",
    "inversion_config",
    "objective_gradient",
    "parametrisation",
    "penalty",
    "search_events",
    "total_misfit",
    "unsafe_share",
]


def inversion_config(project: Project, iteration: int) -> InversionConfig:
    """Settings of the inversion in an iteration."""
    stage, _ = project.stage_of(iteration)
    return project.config.inversion_of(stage)


def parametrisation(project: Project, iteration: int) -> Parametrisation:
    """The variables of an iteration."""
    return inversion_config(project, iteration).parametrisation(model_of(project.model_path(0)))


# ---------------------------------------------------------------------- misfits


def _results(project: Project, iteration: int, step: int, event: str) -> dict[str, float]:
    record = project.record_of(f"{iteration_name(iteration)}/{step_name(step)}/{event}")
    if record is None:
        raise WorkError(f"event {event} has no record in {iteration_name(iteration)}{step_name(step)}")
    results: dict[str, float] = record["results"]
    return results


class Total(NamedTuple):
    """Misfit of several events: the mean of a window, how many there are, and the sum of their weights."""

    misfit: float
    windows: int
    weight: float


def total_misfit(project: Project, iteration: int, step: int, events: tuple[str, ...]) -> Total:
    """Mean misfit of a window over some events, by the weights of the windows.

    Raises
    ------
    PhysicsError
        If there is not a single window.
    WorkError
        If an event has not been evaluated.
    """
    found = [_results(project, iteration, step, event) for event in events]
    windows = int(sum(result["windows"] for result in found))
    if windows == 0:
        raise PhysicsError(
            f"iteration {iteration}: no window on any of {len(events)} events; the waveform pages (`seisflow plot "
            f"--iteration {iteration}`) show why. Check what the recordings hold (data.observed, data.duration), the "
            f"band and the limits under `windows`. Refused were:\n{_refusals(project, iteration, events)}"
            + "".join(f"\n  {each.evidence}; {each.correction}" for each in faults_of(project, iteration))
        )
    weight = sum(result["weight"] for result in found)
    return Total(sum(result["misfit"] for result in found) / weight, windows, weight)


def _refusals(project: Project, iteration: int, events: tuple[str, ...]) -> str:
    """What took the windows of some events away: a line for each stage of the selection, with an example."""
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    for event in events:
        path = project.event_file(iteration, 0, event)
        for row in read_event(path, waveforms=False).rejections if path.is_file() else ():
            counts[row.stage] = counts.get(row.stage, 0) + row.count
            examples.setdefault(row.stage, f"{event}, {row.station}.{row.component}: {row.reason}")
    rows = sorted(counts.items(), key=lambda item: -item[1])
    return "\n".join(f"  {count} by {stage}, such as {examples[stage]}" for stage, count in rows)


def held_misfit(project: Project, iteration: int, step: int, events: tuple[str, ...]) -> Total:
    """Mean misfit of a window over what is held out of some events; there may be no window.

    Raises
    ------
    WorkError
        If an event has not been evaluated.
    """
    total, windows, weight = 0.0, 0, 0.0
    for event in events:
        result = _results(project, iteration, step, event)
        kind = "held_" if event in project.used else ""
        total += result[f"{kind}misfit"]
        windows += int(result[f"{kind}windows"])
        weight += result[f"{kind}weight"]
    return Total(total / weight if windows else 0.0, windows, weight)


def unsafe_share(project: Project, iteration: int) -> float:
    """Share of the windows of an iteration's events that could be off by a cycle, 0 to 1."""
    found = [_results(project, iteration, 0, event) for event in project.used]
    windows = sum(result["windows"] + result["held_windows"] + result["refused"] for result in found)
    return sum(result["unsafe"] for result in found) / windows if windows else 0.0


def search_events(project: Project, iteration: int) -> tuple[str, ...]:
    """The events that the trials of an iteration simulate: all that are used, or others of them in each iteration."""
    used, wanted = project.used, inversion_config(project, iteration).line_search_events
    if wanted is None or wanted >= len(used):
        return used
    places = {(iteration - 1 + number * len(used) // wanted) % len(used) for number in range(wanted)}
    return tuple(used[place] for place in sorted(places))


# ---------------------------------------------------------------------- Tikhonov terms


def penalty(project: Project, iteration: int, model: Model, misfit: float) -> tuple[float, FloatArray]:
    """Tikhonov terms of a model, and their derivative with respect to the variables.

    Parameters
    ----------
    project : Project
    iteration : int
    model : Model
    misfit : float
        That of the iteration; the weights are relative to it in the first iteration of a stage.
    """
    config, variables = inversion_config(project, iteration), parametrisation(project, iteration)
    if config.damping == 0 and config.roughness == 0:
        return 0.0, np.zeros((len(variables.parameters), *model.grid.shape))
    _, within = project.stage_of(iteration)
    scale = misfit
    if within > 0:
        record = project.record_of(f"{iteration_name(iteration - within)}/direction")
        if record is None:
            raise WorkError(
                f"iteration {iteration - within} has no direction, so the weights of damping have no scale"
            )
        scale = record["results"]["misfit"]
    found = tikhonov(model_of(project.model_path(0)), model, variables, config, scale)
    return found.value, found.gradient


def objective_gradient(
    project: Project, iteration: int, model: Model, kernel: Kernel, misfit: float
) -> FloatArray:
    """Derivative of misfit and Tikhonov terms with respect to the variables."""
    _, slope = penalty(project, iteration, model, misfit)
    result: FloatArray = gradient(model, kernel, parametrisation(project, iteration)) + slope
    return result
