"""What is done, what would run and why, and how long it may take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from seisflow.errors import InputError, SeisflowError
from seisflow.inversion import Accept, Next
from seisflow.project import Project, iteration_name, step_name
from seisflow.schedulers.config import BatchRun
from seisflow.solvers import Plan
from seisflow.solvers.calibration import updates_a_second
from seisflow.steps.direction import direction_task
from seisflow.steps.event import EventStep
from seisflow.steps.objective import inversion_config
from seisflow.steps.pictures import pictures_task
from seisflow.steps.update import Search, search_state, trial_task, update_task

__all__ = ["check_wall_time", "expected_seconds", "finished_iterations", "reasons_for", "what_would_run"]

TYPICAL_RATE = 8e7
"""Point updates a second and thread that a laptop does, for limits before anything was timed."""


def what_would_run(project: Project, iteration: int) -> list[tuple[str, list[str]]]:
    """Steps of an iteration that would run now, each with its reasons; later ones follow from them.

    Nothing is computed or written.
    """
    name = iteration_name(iteration)
    rows = []
    for event in project.event_ids:
        task = EventStep(project, iteration, 0, event).task
        reasons = project.why(task)
        if reasons:
            rows.append((task.name, reasons))
    if rows:
        return [*rows, (f"{name}: sum, direction, line search, new model", ["they follow from the events"])]
    task = direction_task(project, iteration, 0)
    reasons = project.why(task)
    if reasons:
        return [(task.name, reasons), (f"{name}: line search, new model", ["they follow from the direction"])]
    search = search_state(project, iteration, peek=True)
    if isinstance(search.decision, Next):
        return _trial_rows(project, iteration, search)
    if not isinstance(search.decision, Accept):
        return [(f"{name}: new model", [f"the line search found none: {search.decision.reason}"])]
    for event in project.held_out:
        task = EventStep(project, iteration, search.trial, event).task
        reasons = project.why(task)
        if reasons and project.failure_of(task.name) is None:  # else it was tried, and cannot be compared
            rows.append((task.name, reasons))
    later = [update_task(project, iteration, search.trial)]
    if project.config.pictures:
        later.append(pictures_task(project, iteration))
    for task in later:
        reasons = project.why(task)
        if reasons:
            rows.append((task.name, reasons))
    return rows


def _trial_rows(project: Project, iteration: int, search: Search) -> list[tuple[str, list[str]]]:
    """The trial that a line search waits for: its model, or what is missing of its events."""
    name = f"{iteration_name(iteration)}/{step_name(search.trial)}"
    record = project.record_of(name)
    if record is None or not isinstance(search.decision, Next):
        return [(name, ["the line search needs this trial"])]
    task = trial_task(project, iteration, search.attempt, search.trial, search.decision.step)
    reasons = project.why(task)
    if reasons:
        return [(name, reasons)]
    tasks = [EventStep(project, iteration, search.trial, event).task for event in search.events]
    return [(task.name, reasons) for task in tasks if (reasons := project.why(task))]


def finished_iterations(project: Project, first: int, last: int) -> dict[int, dict[str, Any]]:
    """What the leading iterations that are complete have gained, by number; stops at the first that is not."""
    found: dict[int, dict[str, Any]] = {}
    for iteration in range(first, last + 1):
        if not project.model_path(iteration - 1).is_file():
            break
        record = project.record_of(f"{iteration_name(iteration)}/update")
        try:
            with project.glance():
                left = record is None or what_would_run(project, iteration)
            if left or record is None:
                break
        except SeisflowError:
            break  # the run itself says what is wrong
        found[iteration] = record["results"]
    return found


def reasons_for(project: Project, name: str) -> list[str]:
    """Why a step would run; empty if its record holds.

    Parameters
    ----------
    name : str
        ``i05/s00/EVENT``, ``i05/s01`` (a trial), ``i05/direction``, ``i05/update`` or ``i05/pictures``; or one of
        detection, such as ``detection/2009-01-21/beam``.

    Raises
    ------
    InputError
        If there is no step of that name.
    """
    parts = name.strip("/").split("/")
    if parts[0] == "detection":
        from seisflow.steps.detect.pending import detection_reasons  # takes its time to import

        return detection_reasons(project, "/".join(parts))
    try:
        iteration = int(parts[0].removeprefix("i"))
        if len(parts) == 3:
            if parts[2] not in project.event_ids:
                raise InputError(
                    f"{name}: there is no event {parts[2]}; events are {', '.join(project.event_ids)}"
                )
            return project.why(EventStep(project, iteration, int(parts[1].removeprefix("s")), parts[2]).task)
        if re.fullmatch(r"s\d+", parts[1]):
            record = project.record_of(name.strip("/"))
            if record is None:
                return ["it has not run yet"]
            number, length = int(parts[1].removeprefix("s")), record["results"]["length"]
            attempt = int(number > inversion_config(project, iteration).max_trials)
            return project.why(trial_task(project, iteration, attempt, number, length))
        if parts[1] == "direction":
            return project.why(direction_task(project, iteration, 0))
        if parts[1] == "update":
            record = project.record_of(f"{iteration_name(iteration)}/update")
            trial = record["results"]["trial"] if record else 1
            return project.why(update_task(project, iteration, trial))
        if parts[1] == "pictures":
            return project.why(pictures_task(project, iteration))
    except (ValueError, IndexError) as error:
        if isinstance(error, SeisflowError):
            raise
    raise InputError(
        f"{name}: is no step; write i05/s00/EVENT, i05/s01, i05/direction, i05/update or i05/pictures, or one of "
        "detection such as detection/2009-01-21/beam"
    )


def expected_seconds(project: Project, iteration: int, plans: Sequence[Plan]) -> float:
    """Estimate the time of an iteration: a gradient and 1.3 trials an event, at the speed seen before or timed now."""
    work = sum(plan.gradient_work for plan in plans)
    cores = project.config.compute.cores_now()
    rate, measured = _rate(project, iteration)
    if not measured:
        # events side by side share the memory bus as threads do: all cores are timed together
        solver, plan = project.config.solver, max(plans, key=lambda each: each.gradient_work)
        dtype = "float32" if solver.precision == "single" else "float64"
        rate = updates_a_second(plan.shape, solver.cpml_cells, solver.order, dtype, cores) / cores
    return 1.6 * work / (rate * cores)


def _rate(project: Project, iteration: int) -> tuple[float, bool]:
    """Point updates a second and thread, and whether they were measured in this project."""
    for number in range(iteration, 0, -1):
        records = [project.record_of(f"{iteration_name(number)}/s00/{event}") for event in project.used]
        known = [record for record in records if record and "work" in record["results"]]
        if known:
            _, threads = project.config.compute.share(len(project.event_ids))
            took = sum(record["seconds"] for record in known) * threads * project.config.compute.ranks
            return sum(record["results"]["work"] for record in known) / max(took, 1e-3), True
    return TYPICAL_RATE, False


def check_wall_time(project: Project, iteration: int, plans: Sequence[Plan]) -> None:
    """Refuse a wall time in which not even one event can be done.

    Where no event was timed yet, only one that is too short by far.

    Raises
    ------
    InputError
        With both times.
    """
    run = project.config.run
    limit = run.resources.of("event").time if isinstance(run, BatchRun) else None
    if limit is None or not isinstance(run, BatchRun):
        return
    rate, measured = _rate(project, iteration)
    threads = run.resources.of("event").cores or 1
    seconds = max(plan.gradient_work for plan in plans) / (rate * threads)
    allowed = limit - run.warning
    if seconds > (allowed if measured else 3 * allowed):
        told = "as events took here before" if measured else "by a rough estimate"
        raise InputError(
            f"run: resources.event.time is {limit} s, and work stops {run.warning} s before; an event takes "
            f"{seconds:.0f} s ({told}, {threads} threads): no event would ever be done; ask for more time"
        )
