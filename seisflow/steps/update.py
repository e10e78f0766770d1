"""From a search direction to a new model: line search, look-ahead, the guard of the stages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.errors import InputError, PhysicsError, SeisflowError, WorkError
from seisflow.inversion import (
    Accept,
    Decision,
    Direction,
    Fail,
    LineSearch,
    Next,
    Trial,
    check_bounds,
    updated,
    within_bounds,
)
from seisflow.io.atomic import publish
from seisflow.io.models import write_model
from seisflow.project import Project, iteration_name, step_name
from seisflow.records import Task
from seisflow.steps.direction import (
    DirectionFiles,
    direction_task,
    find_direction,
    inversion_settings,
    load_direction,
    trials_made,
)
from seisflow.steps.event import EventStep
from seisflow.steps.inputs import model_of, solver_config
from seisflow.steps.objective import (
    held_misfit,
    inversion_config,
    parametrisation,
    penalty,
    total_misfit,
    unsafe_share,
)

__all__ = [
    "Search",
    "accept",
    "held_back",
    "looks_ahead",
    "refuse_trial",
    "search_state",
    "trial_task",
    "update_task",
    "write_trial",
]

ATTEMPTS = 2
"""Directions that an iteration tries: its own, then steepest descent."""


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
    events : tuple of str
        Those that trials simulate.
    """

    decision: Decision
    attempt: int
    trial: int
    events: tuple[str, ...]


def trial_task(project: Project, iteration: int, attempt: int, number: int, length: float) -> Task:
    """What decides the model of a trial."""
    files = DirectionFiles(project, iteration, attempt)
    inputs = {"model": project.model_path(iteration - 1), "direction": files.direction}
    settings = inversion_settings(project, iteration) | {"length": length}
    return Task(f"{iteration_name(iteration)}/{step_name(number)}", inputs, settings)


def search_state(project: Project, iteration: int, attempt: int = 0, *, peek: bool = False) -> Search:
    """Replay the trials on disk and say what comes next; with ``peek`` nothing is computed or written."""
    config = inversion_config(project, iteration)
    found = find_direction(project, iteration, attempt)
    values, events = (
        load_direction(DirectionFiles(project, iteration, attempt).direction),
        tuple(found["events"]),
    )
    direction = Direction(values, found["slope"], found["kind"], 1.0)
    line = LineSearch.along(direction, config, found["objective_slope"])
    trials = [Trial(0.0, found["objective"])]
    first = 1 + attempt * config.max_trials
    for number in range(first, first + config.max_trials + 1):
        decision = line.decide(trials)
        if isinstance(decision, Accept):
            taken = next(i for i, trial in enumerate(trials) if trial.step == decision.step)
            return Search(decision, attempt, first + taken - 1, events)
        if isinstance(decision, Fail):
            break
        misfit = _trial_objective(project, iteration, Search(decision, attempt, number, events))
        if misfit is None:
            return Search(decision, attempt, number, events)
        trials.append(Trial(decision.step, misfit))
    if attempt + 1 < ATTEMPTS and found["kind"] != "steepest descent":
        if peek and project.why(direction_task(project, iteration, attempt + 1)):
            return Search(Next(0.0), attempt + 1, first + config.max_trials, events)
        return search_state(project, iteration, attempt + 1, peek=peek)
    return Search(line.decide(trials), attempt, 0, events)


def _trial_objective(project: Project, iteration: int, search: Search) -> float | None:
    """Misfit and Tikhonov terms of a trial: infinite if it was refused, None if it was not measured yet."""
    length = search.decision.step if isinstance(search.decision, Next) else 0.0
    made = project.done(trial_task(project, iteration, search.attempt, search.trial, length))
    if made is None:
        return None
    if "refused" in made:
        return math.inf
    for event in search.events:
        if project.why(EventStep(project, iteration, search.trial, event).task):
            return None
    terms: float = made["penalty"]
    return total_misfit(project, iteration, search.trial, search.events).misfit + terms


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
    model, variables = model_of(project.model_path(iteration - 1)), parametrisation(project, iteration)
    values = load_direction(DirectionFiles(project, iteration, search.attempt).direction)
    path = project.step_folder(iteration, search.trial) / "model.nc"
    results: dict[str, Any] = {"length": length, "largest_change": float(np.abs(values).max() * length)}
    try:
        trial, held = within_bounds(updated(model, values, length, variables), variables)
        if variables.bounds:
            results["nodes_at_bounds"] = held
        check_bounds(trial, inversion_config(project, iteration).min_vp_vs)
        # grid and time step, which go with the windows, must hold it
        solver, period = solver_config(project, iteration), project.config.stages[stage].periods[0]
        solver.steps(*solver.extremes(trial, period), period)
        misfit = find_direction(project, iteration, search.attempt)["misfit"]
        results["penalty"] = penalty(project, iteration, trial, misfit)[0]
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
    first = search.trial == 1 + search.attempt * inversion_config(project, iteration).max_trials
    guess = first and found["kind"] == "steepest descent" and not isinstance(search.decision, Accept)
    if guess or iteration + 1 > project.iterations:
        return None
    if project.stage_of(iteration + 1)[0] != project.stage_of(iteration)[0]:
        return None
    path = project.step_folder(iteration, search.trial) / "model.nc"
    same = solver_config(project, iteration + 1, path) == solver_config(project, iteration)
    return path if same else None


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


def _held_out(
    project: Project, iteration: int, search: Search, compared: tuple[str, ...]
) -> list[float] | None:
    """Misfit of what is held out before and after; None if there is none or it could not be measured."""
    events = (*search.events, *compared)
    try:
        found = [held_misfit(project, iteration, step, events) for step in (0, search.trial)]
    except SeisflowError:
        return None  # it could not be measured
    return [total.misfit for total in found] if all(total.windows for total in found) else None


def _simulations(project: Project, iteration: int, attempt: int) -> float:
    """Forward and adjoint runs of an iteration, per event that is used; not those of trials of an earlier run of it."""
    steps = [0, *trials_made(project, iteration, attempt)]
    records = [
        project.record_of(f"{iteration_name(iteration)}/{step_name(step)}/{event}")
        for step in steps
        for event in project.used
    ]
    return float(sum(record["results"].get("runs", 0) for record in records if record)) / len(project.used)


def accept(project: Project, iteration: int, search: Search) -> dict[str, Any]:
    """Make the model of the accepted trial the new one, and record what the iteration gained.

    Returns
    -------
    dict
        ``misfit`` before and after (mean of a window, the same windows and events) and ``held_out`` alike, over those
        held-out events that could be measured at both (``held_out_events``: of them, how many, and of all); ``trial``,
        ``length`` and ``reason``; ``windows``, ``direction``; ``events`` that the line search simulated;
        ``simulations``, forward and adjoint runs for each used event; ``penalty`` of the Tikhonov terms.
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
    before, after = (total_misfit(project, iteration, step, search.events) for step in (0, search.trial))
    found = find_direction(project, iteration, search.attempt)
    compared = tuple(
        event
        for event in project.held_out
        if not project.why(EventStep(project, iteration, search.trial, event).task)
    )
    results: dict[str, Any] = {
        "stage": stage,
        "periods": list(project.config.stages[stage].periods),
        "trial": search.trial,
        "length": search.decision.step,
        "reason": search.decision.reason,
        "misfit": [before.misfit, after.misfit],
        "windows": found["windows"],
        "direction": found["kind"],
        "events": len(search.events),
        "simulations": round(_simulations(project, iteration, search.attempt), 3),
        "held_out": _held_out(project, iteration, search, compared),
        "held_out_events": [len(compared), len(project.held_out)],
    }
    if found["objective"] != before.misfit:
        results["penalty"] = [found["objective"] - before.misfit, search.decision.misfit - after.misfit]
    project.record(task, [target], results, begun)
    return results
