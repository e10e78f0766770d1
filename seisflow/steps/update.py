"""From event kernels to a new model: sum, direction, line search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from seisflow.domain import FloatArray, Kernel, Model
from seisflow.errors import InputError, PhysicsError, SeisflowError, WorkError
from seisflow.inversion import (
    Accept,
    Decision,
    Direction,
    Fail,
    History,
    InverseHessian,
    InversionConfig,
    LineSearch,
    Next,
    Trial,
    check_bounds,
    gradient,
    illumination_weight,
    load_history,
    point_mask,
    save_history,
    sum_kernels,
    updated,
)
from seisflow.inversion import direction as search_direction
from seisflow.inversion.parameters import change
from seisflow.io.atomic import publish
from seisflow.io.event_file import read_event
from seisflow.io.hdf5 import put, reading, writing
from seisflow.io.models import read_kernel, write_kernel, write_model
from seisflow.project import Project, Task, iteration_name, step_name
from seisflow.steps.event import EventStep
from seisflow.steps.inputs import event_of, model_of, solver_config, stations_of

__all__ = [
    "Search",
    "accept",
    "direction_task",
    "find_direction",
    "held_back",
    "looks_ahead",
    "refuse_trial",
    "search_state",
    "total_misfit",
    "unsafe_share",
    "update_task",
    "write_trial",
]

ATTEMPTS = 2
"""Directions that an iteration tries: its own, then steepest descent."""


def total_misfit(project: Project, iteration: int, step: int, events: tuple[str, ...]) -> tuple[float, int]:
    """Mean misfit of a window over some events, and the number of windows.

    Raises
    ------
    PhysicsError
        If there is not a single window.
    WorkError
        If an event has not been evaluated.
    """
    total, windows = 0.0, 0
    for event in events:
        record = project.record_of(f"{iteration_name(iteration)}/{step_name(step)}/{event}")
        if record is None:
            raise WorkError(f"event {event} has no record in {iteration_name(iteration)}{step_name(step)}")
        total += record["results"]["misfit"]
        windows += record["results"]["windows"]
    if windows == 0:
        raise PhysicsError(
            f"iteration {iteration}: no window on any of {len(events)} events; the waveform pages (`seisflow plot "
            f"--iteration {iteration}`) show why. Check what the recordings hold (data.observed, data.duration), the "
            f"band and the limits under `windows`. Refused were:\n{_refusals(project, iteration, events)}"
        )
    return total / windows, windows


def _refusals(project: Project, iteration: int, events: tuple[str, ...]) -> str:
    """What took the windows of some events away: a line for each stage of the selection, the first ones in full."""
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    for event in events:
        path = project.event_file(iteration, 0, event)
        for row in read_event(path, waveforms=False).rejections if path.is_file() else ():
            counts[row.stage] = counts.get(row.stage, 0) + row.count
            examples.setdefault(row.stage, f"{event}, {row.station}.{row.component}: {row.reason}")
    rows = sorted(counts.items(), key=lambda item: -item[1])
    return "\n".join(f"  {count} by {stage}, such as {examples[stage]}" for stage, count in rows)


def held_misfit(project: Project, iteration: int, step: int) -> tuple[float, int]:
    """Mean misfit of a window over events and stations that are held out, and the number of windows (may be 0).

    Raises
    ------
    WorkError
        If an event has not been evaluated.
    """
    total, windows = 0.0, 0
    for event in project.event_ids:
        record = project.record_of(f"{iteration_name(iteration)}/{step_name(step)}/{event}")
        if record is None:
            raise WorkError(f"event {event} has no record in {iteration_name(iteration)}{step_name(step)}")
        kind = "held_" if event in project.used else ""
        total += record["results"][f"{kind}misfit"]
        windows += record["results"][f"{kind}windows"]
    return (total / windows if windows else 0.0), windows


@dataclass(frozen=True)
class _Names:
    """Paths of one direction of an iteration."""

    project: Project
    iteration: int
    attempt: int

    @property
    def folder(self) -> Path:
        return self.project.iteration_folder(self.iteration)

    @property
    def kernel(self) -> Path:
        return self.folder / "kernel.nc"

    @property
    def direction(self) -> Path:
        return self.folder / ("direction.h5" if self.attempt == 0 else f"direction{self.attempt}.h5")

    @property
    def history(self) -> Path:
        return self.folder / "history.h5"

    @property
    def record(self) -> str:
        return f"{iteration_name(self.iteration)}/direction{self.attempt or ''}"


def _inversion(project: Project, iteration: int) -> InversionConfig:
    """Settings of the inversion in an iteration."""
    stage, _ = project.stage_of(iteration)
    return project.config.inversion_of(stage)


def _settings(config: InversionConfig) -> dict[str, Any]:
    return {"inversion": TypeAdapter(Any).dump_python(config, mode="json")}


def direction_task(project: Project, iteration: int, attempt: int) -> Task:
    """What decides the search direction of an iteration."""
    stage, within = project.stage_of(iteration)
    inputs = {"model": project.model_path(iteration - 1)}
    for event in project.used:
        inputs[f"event {event}"] = project.event_file(iteration, 0, event)
        if project.kernel_path(iteration, event).is_file():
            inputs[f"kernel {event}"] = project.kernel_path(iteration, event)
    if within > 0 and attempt == 0:
        before = _Names(project, iteration - 1, 0)
        inputs |= {"earlier history": before.history, "earlier kernel": before.kernel}
        inputs["earlier model"] = project.model_path(iteration - 2)
    settings = _settings(project.config.inversion_of(stage)) | {"attempt": attempt}
    return Task(_Names(project, iteration, attempt).record, inputs, settings)


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
        ``misfit``, ``windows``, ``kind``, ``slope``, ``note``.

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
    names = _Names(project, iteration, attempt)
    stage, _ = project.stage_of(iteration)
    config = project.config.inversion_of(stage)
    misfit, windows = total_misfit(project, iteration, 0, project.used)
    model = model_of(project.model_path(iteration - 1))
    outputs = [names.direction]
    if attempt == 0:
        kernel = sum_kernels(
            (event, 1.0 / windows, read_kernel(project.kernel_path(iteration, event)))
            for event in project.used
            if f"kernel {event}" in task.inputs
        )
        write_kernel(names.kernel, kernel, model.projection)
        history = _history(project, iteration, model, kernel, config)
        outputs += [names.kernel, names.history]
    else:
        kernel, history = read_kernel(names.kernel), History()
    found = search_direction(
        gradient(model, kernel, config.parameters), history, _inverse_hessian(project, kernel, config)
    )
    if attempt == 0:
        save_history(names.history, History() if found.note else history)
    _save_direction(names.direction, found)
    results = {
        "misfit": misfit,
        "windows": windows,
        "kind": found.kind,
        "slope": found.slope,
        "note": found.note or history.note,
    }
    project.record(task, outputs, results, begun)
    return results


def _history(
    project: Project, iteration: int, model: Model, kernel: Kernel, config: InversionConfig
) -> History:
    """What L-BFGS remembers: pairs of this stage, each of two gradients in the same windows."""
    _, within = project.stage_of(iteration)
    if within == 0:
        return History()
    before = _Names(project, iteration - 1, 0)
    history = load_history(before.history)
    changed = _changed_misfit(project, iteration)
    if changed:
        return History((), f"restarted: {changed} since iteration {iteration - 1}")
    if project.windows_iteration(iteration) == iteration:
        return history  # new windows: the two gradients are of slightly different misfits and make no pair
    old_model = model_of(project.model_path(iteration - 2))
    names = config.parameters
    s = change(old_model, model, names)
    y = gradient(model, kernel, names) - gradient(old_model, read_kernel(before.kernel), names)
    return history.after(s, y, config.memory)


def _changed_misfit(project: Project, iteration: int) -> str:
    """What makes the misfit of an iteration another function than that of the one before; empty if nothing does."""
    before = project.record_of(_Names(project, iteration - 1, 0).record)
    events = (
        {name.removeprefix("event ") for name in before["inputs"] if name.startswith("event ")}
        if before
        else set()
    )
    if events != set(project.used):
        return "other events are used"
    for event in project.used:
        records = [
            project.record_of(f"{iteration_name(n)}/{step_name(0)}/{event}")
            for n in (iteration - 1, iteration)
        ]
        old, new = (record["settings"] if record else {} for record in records)
        for name in sorted((old.keys() | new.keys()) - {"solver"}):
            if old.get(name) != new.get(name):
                return f"the setting {name} changed"
    return ""


def _inverse_hessian(project: Project, kernel: Kernel, config: InversionConfig) -> InverseHessian:
    projection = project.config.region.projection()
    stations = stations_of(project)
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
    return InverseHessian(kernel.grid, config.smoothing, weight, mask)


def _save_direction(path: Path, found: Direction) -> None:
    with writing(path) as file:
        put(file, "values", np.asarray(found.values, dtype=np.float64))


def _load_direction(path: Path) -> FloatArray:
    with reading(path) as file:
        values: FloatArray = file["values"][()]
        return values


@dataclass(frozen=True)
class Search:
    """Where the line search of an iteration stands.

    Parameters
    ----------
    decision : Next, Accept or Fail
    attempt : int
        Which direction it goes along.
    trial : int
        For ``Next`` the number of the trial to make, for ``Accept`` that of the trial to take.
    """

    decision: Decision
    attempt: int
    trial: int


def trial_task(project: Project, iteration: int, attempt: int, number: int, length: float) -> Task:
    """What decides the model of a trial."""
    names = _Names(project, iteration, attempt)
    stage, _ = project.stage_of(iteration)
    inputs = {"model": project.model_path(iteration - 1), "direction": names.direction}
    settings = _settings(project.config.inversion_of(stage)) | {"length": length}
    return Task(f"{iteration_name(iteration)}/{step_name(number)}", inputs, settings)


def search_state(project: Project, iteration: int, attempt: int = 0, *, peek: bool = False) -> Search:
    """Replay the trials on disk and say what comes next; with ``peek`` nothing is computed or written."""
    config = _inversion(project, iteration)
    found = find_direction(project, iteration, attempt)
    values = _load_direction(_Names(project, iteration, attempt).direction)
    line = LineSearch.along(Direction(values, found["slope"], found["kind"], 1.0), config)
    trials = [Trial(0.0, found["misfit"])]
    first = 1 + attempt * config.max_trials
    for number in range(first, first + config.max_trials + 1):
        decision = line.decide(trials)
        if isinstance(decision, Accept):
            taken = next(i for i, trial in enumerate(trials) if trial.step == decision.step)
            return Search(decision, attempt, first + taken - 1)
        if isinstance(decision, Fail):
            break
        misfit = _trial_misfit(project, iteration, attempt, number, decision.step)
        if misfit is None:
            return Search(decision, attempt, number)
        trials.append(Trial(decision.step, misfit))
    if attempt + 1 < ATTEMPTS and found["kind"] != "steepest descent":
        if peek and project.why(direction_task(project, iteration, attempt + 1)):
            return Search(Next(0.0), attempt + 1, first + config.max_trials)
        return search_state(project, iteration, attempt + 1, peek=peek)
    return Search(line.decide(trials), attempt, 0)


def _trial_misfit(project: Project, iteration: int, attempt: int, number: int, length: float) -> float | None:
    made = project.done(trial_task(project, iteration, attempt, number, length))
    if made is None:
        return None
    if "refused" in made:
        return math.inf
    for event in project.used:
        if project.why(EventStep(project, iteration, number, event).task):
            return None
    return total_misfit(project, iteration, number, project.used)[0]


def write_trial(project: Project, iteration: int, search: Search) -> bool:
    """Write the model of a trial; False if no rock is like it or the solver cannot run it: the search goes shorter."""
    if not isinstance(search.decision, Next):
        raise WorkError("only a line search that asks for a trial can make one")
    length = search.decision.step
    task = trial_task(project, iteration, search.attempt, search.trial, length)
    done = project.done(task)
    if done is not None:
        return "refused" not in done
    begun = project.begin(task)
    stage, _ = project.stage_of(iteration)
    config = project.config.inversion_of(stage)
    model = model_of(project.model_path(iteration - 1))
    values = _load_direction(_Names(project, iteration, search.attempt).direction)
    trial = updated(model, values, length, config.parameters)
    path = project.step_folder(iteration, search.trial) / "model.nc"
    results: dict[str, Any] = {"length": length, "largest_change": float(np.abs(values).max() * length)}
    try:
        check_bounds(trial, config.min_vp_vs)
        # grid and time step, which go with the windows, must hold it
        speeds = float(trial.vs.min()), float(trial.vp.max())
        solver_config(project, iteration).steps(*speeds, project.config.stages[stage].periods[0])
        write_model(path, trial)
        outputs = [path]
    except (PhysicsError, InputError) as error:
        results["refused"], outputs = str(error), []
    project.record(task, outputs, results, begun)
    return "refused" not in results


def refuse_trial(project: Project, iteration: int, search: Search, reason: str) -> None:
    """Record that a trial cannot be measured (a frozen window lost its correlation peak): the search goes shorter."""
    length = search.decision.step if isinstance(search.decision, Next) else 0.0
    task = trial_task(project, iteration, search.attempt, search.trial, length)
    project.record(task, [], {"length": length, "refused": reason}, project.begin(task))


def looks_ahead(project: Project, iteration: int, search: Search) -> Path | None:
    """The model of a trial that should be run as if the next iteration began with it, or None.

    That costs an adjoint run now and saves forward and adjoint run if the trial is taken, as most are but the first
    along steepest descent, whose length is a guess. The next iteration must be simulated in the same way.
    """
    found = find_direction(project, iteration, search.attempt)
    first = search.trial == 1 + search.attempt * _inversion(project, iteration).max_trials
    guess = first and found["kind"] == "steepest descent" and not isinstance(search.decision, Accept)
    if guess or iteration + 1 > project.iterations:
        return None
    if project.stage_of(iteration + 1)[0] != project.stage_of(iteration)[0]:
        return None
    path = project.step_folder(iteration, search.trial) / "model.nc"
    same = solver_config(project, iteration + 1, path) == solver_config(project, iteration)
    return path if same else None


def unsafe_share(project: Project, iteration: int) -> float:
    """Share of the windows of an iteration's events that could be off by a cycle, 0 to 1."""
    windows = unsafe = 0
    for event in project.used:
        record = project.record_of(f"{iteration_name(iteration)}/{step_name(0)}/{event}")
        if record is not None:
            result = record["results"]
            windows += result["windows"] + result["held_windows"] + result["refused"]
            unsafe += result["unsafe"]
    return unsafe / windows if windows else 0.0


def held_back(project: Project, iteration: int) -> float | None:
    """Hold the stage back that begins with an iteration, if too many of its windows are unsafe.

    Returns
    -------
    float or None
        The share of unsafe windows if it was held back; the iteration is then one more of the stage before.
    """
    stage, within = project.stage_of(iteration)
    guard = project.config.stages[stage].guard
    if (
        within
        or guard is None
        or sum(note["stage"] == stage for note in project.held.values()) >= guard.at_most
    ):
        return None
    unsafe = unsafe_share(project, iteration)
    if unsafe <= guard.max_unsafe:
        return None
    project.hold_back(iteration, stage, unsafe)
    return unsafe


def update_task(project: Project, iteration: int, trial: int) -> Task:
    """What decides the new model and the numbers of an iteration."""
    source = project.step_folder(iteration, trial) / "model.nc"
    inputs = {"model": project.model_path(iteration - 1), "trial": source}
    for event in project.event_ids:
        inputs[f"event {event}"] = project.event_file(iteration, 0, event)
    return Task(
        f"{iteration_name(iteration)}/update",
        inputs,
        {"trial": trial, "hold_out": sorted(project.config.hold_out)},
    )


def _held_out(project: Project, iteration: int, trial: int) -> list[float] | None:
    """Misfit of what is held out before and after; None if there is none or it could not be measured."""
    if any(project.why(EventStep(project, iteration, trial, event).task) for event in project.held_out):
        return None
    try:
        found = [held_misfit(project, iteration, step) for step in (0, trial)]
    except SeisflowError:
        return None  # it could not be measured
    return [misfit for misfit, _ in found] if all(windows for _, windows in found) else None


def accept(project: Project, iteration: int, search: Search) -> dict[str, Any]:
    """Make the model of the accepted trial the new one, and record what the iteration gained.

    Returns
    -------
    dict
        Misfit before and after for used and held-out events (mean of a window, same windows), ``step``, ``trials``.
    """
    if not isinstance(search.decision, Accept):
        raise WorkError(f"iteration {iteration}: {search.decision}")
    source = project.step_folder(iteration, search.trial) / "model.nc"
    stage, _ = project.stage_of(iteration)
    task = update_task(project, iteration, search.trial)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    target = project.model_path(iteration)
    with publish(target) as temporary:
        temporary.write_bytes(source.read_bytes())
    before, windows = total_misfit(project, iteration, 0, project.used)
    results: dict[str, Any] = {
        "stage": stage,
        "periods": list(project.config.stages[stage].periods),
        "trial": search.trial,
        "length": search.decision.step,
        "reason": search.decision.reason,
        "misfit": [before, total_misfit(project, iteration, search.trial, project.used)[0]],
        "windows": windows,
        "direction": find_direction(project, iteration, search.attempt)["kind"],
    }
    results["held_out"] = _held_out(project, iteration, search.trial)
    project.record(task, [target], results, begun)
    return results
