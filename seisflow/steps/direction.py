"""From event kernels to a search direction: sum, Tikhonov terms, mask, smoothing, memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from seisflow.domain import FloatArray, Kernel, Model
from seisflow.inversion import (
    Direction,
    History,
    InverseHessian,
    InversionConfig,
    change,
    free_nodes,
    gradient,
    illumination_weight,
    load_history,
    point_mask,
    save_history,
    smoothing_lengths,
    sum_kernels,
)
from seisflow.inversion import direction as search_direction
from seisflow.io.hdf5 import put, reading, writing
from seisflow.io.models import read_kernel, write_kernel
from seisflow.project import Project, iteration_name, step_name
from seisflow.records import Task
from seisflow.steps.inputs import event_of, model_of, recording_stations
from seisflow.steps.objective import (
    inversion_config,
    objective_gradient,
    parametrisation,
    penalty,
    search_events,
    total_misfit,
)

__all__ = [
    "DirectionFiles",
    "direction_task",
    "find_direction",
    "inversion_settings",
    "load_direction",
    "trials_made",
]


@dataclass(frozen=True)
class DirectionFiles:
    """Paths of one direction of an iteration; attempt 1 is steepest descent, after a line search that failed."""

    project: Project
    iteration: int
    attempt: int = 0

    @property
    def folder(self) -> Path:
        """That of the iteration."""
        return self.project.iteration_folder(self.iteration)

    @property
    def kernel(self) -> Path:
        """Sum of the event kernels."""
        return self.folder / "kernel.nc"

    @property
    def direction(self) -> Path:
        """The direction itself."""
        return self.folder / ("direction.h5" if self.attempt == 0 else f"direction{self.attempt}.h5")

    @property
    def history(self) -> Path:
        """What the next iteration remembers."""
        return self.folder / "history.h5"

    @property
    def record(self) -> str:
        """Name of the record."""
        return f"{iteration_name(self.iteration)}/direction{self.attempt or ''}"


def inversion_settings(project: Project, iteration: int) -> dict[str, Any]:
    """The settings that decide direction and model of an iteration, plain values."""
    return {"inversion": TypeAdapter(Any).dump_python(inversion_config(project, iteration), mode="json")}


def direction_task(project: Project, iteration: int, attempt: int) -> Task:
    """What decides the search direction of an iteration."""
    _, within = project.stage_of(iteration)
    inputs = {"model": project.model_path(iteration - 1), "start model": project.model_path(0)}
    for event in project.used:
        inputs[f"event {event}"] = project.event_file(iteration, 0, event)
        if project.kernel_path(iteration, event).is_file():
            inputs[f"kernel {event}"] = project.kernel_path(iteration, event)
    if within > 0:  # its speeds decide how long the smoothing is
        inputs["first model of the stage"] = project.model_path(iteration - within - 1)
    if within > 0 and attempt == 0:
        before = DirectionFiles(project, iteration - 1)
        inputs |= {"earlier history": before.history, "earlier kernel": before.kernel}
        inputs["earlier model"] = project.model_path(iteration - 2)
    settings = inversion_settings(project, iteration) | {"attempt": attempt}
    return Task(DirectionFiles(project, iteration, attempt).record, inputs, settings)


def find_direction(project: Project, iteration: int, attempt: int = 0) -> dict[str, Any]:
    """Sum the event kernels in the order of the events and find a search direction.

    Parameters
    ----------
    project : Project
    iteration : int
    attempt : int
        0 with the memory of the stage; 1 steepest descent, after a line search that failed.

    Returns
    -------
    dict
        ``misfit`` (of the data, mean of a window), ``windows``, ``kind``, ``slope``, ``note``; ``events`` that the
        trials simulate, and ``objective`` and ``objective_slope`` over these, Tikhonov terms included.

    Raises
    ------
    PhysicsError
        If there is no window at all, or the gradient is zero or not finite.
    """
    task = direction_task(project, iteration, attempt)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    files, config = DirectionFiles(project, iteration, attempt), inversion_config(project, iteration)
    misfit, windows, weight = total_misfit(project, iteration, 0, project.used)
    model = model_of(project.model_path(iteration - 1))
    outputs = [files.direction]
    if attempt == 0:
        kernel = _summed(project, iteration, project.used, weight)
        write_kernel(files.kernel, kernel, model.projection)
        history = _history(project, iteration, model, kernel, config)
        outputs += [files.kernel, files.history]
    else:
        kernel, history = read_kernel(files.kernel), History()
    slope = objective_gradient(project, iteration, model, kernel, misfit)
    found = search_direction(
        slope,
        history,
        _inverse_hessian(project, iteration, kernel),
        method=config.method if attempt == 0 else "steepest_descent",
        restart_angle=config.restart_angle,
        free=free_nodes(model, slope, parametrisation(project, iteration)),
    )
    if attempt == 0:
        save_history(files.history, found.history)
    _save_direction(files.direction, found)
    results = {
        "misfit": misfit,
        "windows": windows,
        "kind": found.kind,
        "slope": found.slope,
        "note": found.note or history.note,
        **_what_trials_measure(project, iteration, model, found, misfit),
    }
    project.record(task, outputs, results, begun)
    return results


def _summed(project: Project, iteration: int, events: tuple[str, ...], weight: float) -> Kernel:
    """Sum of event kernels, in the order of the events, over the sum of the weights of their windows."""
    paths = ((event, project.kernel_path(iteration, event)) for event in events)
    return sum_kernels((event, 1.0 / weight, read_kernel(path)) for event, path in paths if path.is_file())


def _what_trials_measure(
    project: Project, iteration: int, model: Model, found: Direction, misfit: float
) -> dict[str, Any]:
    """The events of the line search; what they measure at the start of it, and how it falls along the direction."""
    terms, slope_of_terms = penalty(project, iteration, model, misfit)
    everything = {"events": list(project.used), "objective": misfit + terms, "objective_slope": found.slope}
    events = search_events(project, iteration)
    if events == project.used:
        return everything
    part, _, weight = total_misfit(project, iteration, 0, events)
    kernel = _summed(project, iteration, events, weight)
    fall = gradient(model, kernel, parametrisation(project, iteration)) + slope_of_terms
    slope = float(np.sum(fall * found.values))
    if not slope < 0:  # these few events do not gain along the direction, though all together do
        return everything
    return {"events": list(events), "objective": part + terms, "objective_slope": slope}


def _history(
    project: Project, iteration: int, model: Model, kernel: Kernel, config: InversionConfig
) -> History:
    """What is remembered of this stage: pairs of two gradients in the same windows each."""
    _, within = project.stage_of(iteration)
    if within == 0:
        return History()
    before = DirectionFiles(project, iteration - 1)
    history = load_history(before.history)
    changed = _changed_misfit(project, iteration)
    if changed:
        return History((), f"restarted: {changed} since iteration {iteration - 1}")
    if project.windows_iteration(iteration) == iteration:
        return history  # new windows: the two gradients are of slightly different misfits and make no pair
    old_model = model_of(project.model_path(iteration - 2))
    s = change(old_model, model, parametrisation(project, iteration))
    new, old = (
        objective_gradient(project, iteration, each, its_kernel, 0.0)
        for each, its_kernel in ((model, kernel), (old_model, read_kernel(before.kernel)))
    )
    return history.after(s, new - old, config.memory)


def _changed_misfit(project: Project, iteration: int) -> str:
    """What makes the misfit of an iteration another function than that of the one before; empty if nothing does."""
    before = project.record_of(DirectionFiles(project, iteration - 1).record)
    if before is None:
        return "what was done changed"
    if {name for name in before["inputs"] if name.startswith("event ")} != {
        f"event {e}" for e in project.used
    }:
        return "other events are used"
    names = ("parameters", "logarithmic", "tied", "damping", "roughness", "roughness_lengths")
    now = inversion_settings(project, iteration)["inversion"]
    changed = [name for name in names if before["settings"]["inversion"].get(name) != now[name]]
    if changed:
        return f"the setting inversion.{changed[0]} changed"
    for event in project.used:
        numbers = (iteration - 1, iteration)
        records = [project.record_of(f"{iteration_name(n)}/{step_name(0)}/{event}") for n in numbers]
        old, new = (record["settings"] if record else {} for record in records)
        for name in sorted((old.keys() | new.keys()) - {"solver"}):
            if old.get(name) != new.get(name):
                return f"the setting {name} changed"
    return ""


def _inverse_hessian(project: Project, iteration: int, kernel: Kernel) -> InverseHessian:
    config, projection = inversion_config(project, iteration), project.config.region.projection()
    stations = sorted({station for event in project.used for station in recording_stations(project, event)})
    events = [event_of(project, event) for event in project.used]
    sources = np.array([(*projection.to_local(e.latitude, e.longitude), e.depth) for e in events])
    receivers = np.array([(*projection.to_local(s.latitude, s.longitude), s.burial) for s in stations])
    mask = point_mask(kernel.grid, sources[:, 0], sources[:, 1], sources[:, 2], config.source_mask)
    at_receivers = point_mask(
        kernel.grid, receivers[:, 0], receivers[:, 1], receivers[:, 2], config.receiver_mask
    )
    mask = np.minimum(mask, at_receivers)
    weight = None
    if kernel.illumination is not None:
        weight = illumination_weight(kernel.illumination, config.water_level)
    stage, within = project.stage_of(iteration)
    start = model_of(project.model_path(iteration - within - 1))  # the metric stays as it is through a stage
    lengths = smoothing_lengths(config, start, project.config.stages[stage].periods[0])
    return InverseHessian(kernel.grid, lengths, weight, mask, parametrisation(project, iteration).factors)


def trials_made(project: Project, iteration: int, attempt: int) -> list[int]:
    """Numbers of the trials along the directions of an iteration up to an attempt, without those of an earlier run."""
    tried = {
        project.hash_of(DirectionFiles(project, iteration, each).direction) for each in range(attempt + 1)
    }
    most = (attempt + 1) * inversion_config(project, iteration).max_trials
    names = {number: f"{iteration_name(iteration)}/{step_name(number)}" for number in range(1, most + 1)}
    records = {number: project.record_of(name) for number, name in names.items()}
    return [number for number, record in records.items() if record and record["inputs"]["direction"] in tried]


def _save_direction(path: Path, found: Direction) -> None:
    with writing(path) as file:
        put(file, "values", np.asarray(found.values, dtype=np.float64))


def load_direction(path: Path) -> FloatArray:
    """Read the direction that ``find_direction`` wrote: (parameters, nx, ny, nz)."""
    with reading(path) as file:
        values: FloatArray = file["values"][()]
        return values
