"""The tomography flow: iterations from a model to a better one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisflow.workflows.elements import FAULTS
from seisflow.workflows.exhibits import of_iteration
from seisflow.workflows.running import FlowRun, Monitor, Ordered, Quiet, Runner, Stage, run_flow

from seisflow.config import digest
from seisflow.errors import PhysicsError, SeisflowError, WorkError
from seisflow.inversion import Fail, Next
from seisflow.project import Project, iteration_name, step_name
from seisflow.schedulers.order import Order
from seisflow.steps.direction import find_direction
from seisflow.steps.event import EventStep
from seisflow.steps.event_ranks import run_on_ranks
from seisflow.steps.event_run import run_event
from seisflow.steps.frozen_windows import check_windows
from seisflow.steps.inputs import check_project, stations_of
from seisflow.steps.objective import total_misfit, unsafe_share
from seisflow.steps.pictures import draw_iteration_pictures, pictures_task
from seisflow.steps.update import (
    Search,
    accept,
    held_back,
    looks_ahead,
    refuse_trial,
    search_state,
    write_trial,
)

__all__ = ["Evaluation", "evaluate", "iterate"]


def iterate(root: Path, first: int, last: int, monitor: Monitor | None = None) -> list[dict[str, Any]]:
    """Run iterations ``first`` to ``last`` of a project; finished steps are not run again.

    Parameters
    ----------
    root : Path
        The project folder.
    first, last : int
    monitor : Monitor, optional

    Returns
    -------
    list of dict
        What each iteration gained, see ``steps.update.accept``.
    """
    watcher = monitor or Quiet()
    project = Project.open(root)
    at_once, _ = project.config.compute.share(len(project.event_ids))
    title = f"{project.config.name} iteration {first}" + (f" to {last}" if last > first else "")

    def body(runner: Runner) -> list[dict[str, Any]]:
        if project.station_files() and any(station.elevation for station in stations_of(project)):
            watcher.say("the surface of elastic3d is flat: the elevations of the stations are ignored")
        return [_noted(project, number, runner, watcher) for number in range(first, last + 1)]

    with project.lock():
        results: list[dict[str, Any]] = run_flow(
            FlowRun("iterate", title, project.root, at_once, project.config.run), body, watcher
        )
    return results


def _noted(project: Project, iteration: int, runner: Runner, monitor: Monitor) -> dict[str, Any]:
    """Run one iteration; if it fails, leave the reason for ``seisflow status``."""
    name = f"{iteration_name(iteration)}/iteration"
    try:
        gained = run_iteration(project, iteration, runner, monitor)
    except (PhysicsError, WorkError) as error:  # wrong input is refused before anything is written
        project.record_failure(name, str(error))
        raise
    project.forget_failure(name)
    return gained


def run_iteration(project: Project, iteration: int, runner: Runner, monitor: Monitor) -> dict[str, Any]:
    """Run one iteration: events, sum and direction, line search, new model, pictures."""
    check_project(project, iteration)
    check_windows(project, iteration)
    name = iteration_name(iteration)
    # the long runs first, so that none of them is left over at the end
    evaluate(project, iteration, 0, (*project.used, *project.held_out), runner)
    total = total_misfit(project, iteration, 0, project.used)
    unsafe = held_back(project, iteration)
    if unsafe is not None:
        stage, _ = project.stage_of(iteration)
        monitor.say(
            f"{name}: stage {stage + 2} is held back, {100 * unsafe:.0f} % of its windows could be off by a cycle; "
            f"stage {stage + 1} goes on"
        )
        return run_iteration(project, iteration, runner, monitor)
    told = f"{total.windows} windows on {len(project.used)} events"
    share = unsafe_share(project, iteration)
    monitor.say(
        f"{name}: misfit {total.misfit:.4g} a window, {told}, {100 * share:.1f} % could be off by a cycle"
    )
    found = find_direction(project, iteration)
    monitor.say(f"{name}: direction by {found['kind']}{'; ' + found['note'] if found['note'] else ''}")
    search = search_state(project, iteration)
    while isinstance(search.decision, Next):
        _try(project, iteration, search, runner, monitor)
        search = search_state(project, iteration)
    if isinstance(search.decision, Fail):
        raise WorkError(
            f"iteration {iteration}: {search.decision.reason}, along steepest descent too. The model stays; go on "
            "to a shorter period band (lower `iterations` of this stage), or look at the windows and the smoothing"
        )
    try:
        ahead = looks_ahead(project, iteration, search)
        evaluate(project, iteration, search.trial, project.held_out, runner, ahead)
    except PhysicsError as error:
        monitor.say(f"{name}: not all held-out events are compared: {error}")
    gained = accept(project, iteration, search)
    monitor.say(f"{name}: {_summary(gained)}")
    if project.config.pictures and project.why(pictures_task(project, iteration)):
        drawn = draw_iteration_pictures(project, iteration)
        monitor.say(f"{name}: {len(drawn)} pictures in {project.relative(project.picture_folder(iteration))}")
    runner.show(lambda: of_iteration(project, iteration))
    project.save_hashes()
    return gained


def _try(project: Project, iteration: int, search: Search, runner: Runner, monitor: Monitor) -> None:
    """Make and measure a trial of the line search; one that cannot be measured is refused."""
    if not write_trial(project, iteration, search):
        return
    name = f"{iteration_name(iteration)}{step_name(search.trial)}"
    try:
        ahead = looks_ahead(project, iteration, search)
        evaluate(project, iteration, search.trial, search.events, runner, ahead)
    except PhysicsError as error:
        monitor.say(f"{name}: refused: {error}")
        refuse_trial(project, iteration, search, str(error))
        for event in search.events:  # a step too long is no failure of the event
            project.forget_failure(EventStep(project, iteration, search.trial, event).task.name)
        return
    total = total_misfit(project, iteration, search.trial, search.events)
    monitor.say(f"{name}: misfit {total.misfit:.4g}")


def evaluate(
    project: Project,
    iteration: int,
    step: int,
    events: tuple[str, ...],
    runner: Runner,
    ahead: Path | None = None,
) -> None:
    """Evaluate the misfit (and at step 0 the kernels) of some events.

    With ``ahead``, the model of a trial, the next iteration's first evaluation is done in the same simulations.
    """
    if not events:
        return
    compute = project.config.compute
    at_once, each = compute.share(len(events))
    last = events[len(events) // at_once * at_once :]  # they would leave cores idle: these get more threads
    evaluation = Evaluation(project, iteration, step, None if ahead is None else project.relative(ahead))

    def work(event: str, stage: Stage, progress: Any) -> dict[str, Any]:
        threads = compute.share(len(last))[1] if event in last else each
        return evaluation.run(event, threads, stage, progress)

    order = Ordered(evaluation.order, evaluation.done)
    runner.each(f"{iteration_name(iteration)}{step_name(step)}", events, work, at_once, order)


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model, event by event.

    Parameters
    ----------
    project : Project
    iteration, step : int
    ahead : str, optional
        Model of a trial with which the next iteration's first evaluation is done in the same simulations.
    """

    project: Project
    iteration: int
    step: int
    ahead: str | None = None

    @property
    def order(self) -> Order:
        """As another process is told."""
        what = {"iteration": self.iteration, "step": self.step, "ahead": self.ahead}
        return Order("event", what, digest(self.project.config))

    def done(self, event: str) -> dict[str, Any] | None:
        """What the event gave, if its record holds."""
        return self.project.done(EventStep(self.project, self.iteration, self.step, event).task)

    def run(
        self, event: str, threads: int, stage: Stage, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """Do one event; if it fails, leave the reason for later."""
        project, following = self.project, None
        event_step = EventStep(project, self.iteration, self.step, event, threads, progress)
        if self.ahead is not None:
            newest = project.root / self.ahead
            following = EventStep(project, self.iteration + 1, 0, event, threads, progress, newest)
        try:
            run = run_event if project.config.compute.ranks == 1 else run_on_ranks
            done = run(event_step, stage, following)
            project.forget_failure(
                event_step.task.name
            )  # of a look-ahead that failed after the step was done
            return done
        except SeisflowError as error:
            project.record_failure(event_step.task.name, str(error))
            raise
        except FAULTS as error:
            project.record_failure(event_step.task.name, f"{type(error).__name__}: {error}")
            raise WorkError(f"{type(error).__name__}: {error}") from error
        finally:  # an error that waits to be told would keep the snapshots of its event
            event_step.drop()
            if following is not None:
                following.drop()


def _summary(gained: dict[str, Any]) -> str:
    before, after = gained["misfit"]
    text = f"misfit {before:.4g} -> {after:.4g} ({100 * (after / before - 1):+.1f} %)"
    if gained["held_out"]:
        held_before, held_after = gained["held_out"]
        text += f", held-out {held_before:.4g} -> {held_after:.4g} ({100 * (held_after / held_before - 1):+.1f} %)"
    return text
