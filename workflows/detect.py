"""The detection flow: from continuous recordings to a catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seisflow.workflows.elements import FAULTS
from seisflow.workflows.exhibits import of_catalog
from seisflow.workflows.running import FlowRun, Monitor, Ordered, Quiet, Runner, Stage, run_flow

from seisflow.config import digest
from seisflow.detection_config import MatchingConfig
from seisflow.errors import InputError, SeisflowError, WorkError
from seisflow.project import Project
from seisflow.records import Task
from seisflow.schedulers.order import Order
from seisflow.steps.detect.catalog import catalog_path, make_catalog
from seisflow.steps.detect.day import beam_task, run_day
from seisflow.steps.detect.days import EVERYTHING, day_name, note_asked
from seisflow.steps.detect.faults import told_apart
from seisflow.steps.detect.match import match_day, match_task
from seisflow.steps.detect.page import make_page, page_path
from seisflow.steps.detect.sizes import size_day, size_task
from seisflow.steps.detect.survey import Survey
from seisflow.steps.detect.templates import cut_day, cut_names, cut_task, make_templates

__all__ = ["Detected", "detect", "run_day_step"]


@dataclass(frozen=True)
class Detected:
    """What a search found.

    Parameters
    ----------
    catalog, page : Path
    results : dict
        See ``steps.detect.catalog.make_catalog``.
    problems : dict of str to list of str
        By day: what could not be used.
    """

    catalog: Path
    page: Path
    results: dict[str, Any]
    problems: dict[str, list[str]]


def detect(
    root: Path, span: tuple[float, float] | None = None, monitor: Monitor | None = None, pictures: int = 10
) -> Detected:
    """Search continuous recordings for earthquakes; finished steps are not run again.

    The catalog is that of all days that were ever searched; what became stale on any of them is made again.

    Parameters
    ----------
    root : Path
        The project folder.
    span : tuple of 2 float, optional
        From when to when is searched beside what was searched before, s since 1970-01-01 UTC; all that was recorded,
        if left out.
    monitor : Monitor, optional
    pictures : int
        Earthquakes of each method that the page shows.

    Returns
    -------
    Detected
    """
    watcher = monitor or Quiet()
    project = Project.open(root)
    with project.lock():
        survey = Survey.open(project, span or EVERYTHING, project.config.compute.cores_now())
        note_asked(project, survey.asked)
        days = [day_name(day) for day in survey.days()]
        at_once, _ = project.config.compute.share(len(days))

        def body(runner: Runner) -> Detected:
            return _search(survey, runner, watcher, pictures)

        title = f"{project.config.name} {min(days)}" + (f" to {max(days)}" if len(days) > 1 else "")
        found: Detected = run_flow(
            FlowRun("detect", title, project.root, at_once, project.config.run), body, watcher
        )
    return found


class _Steps:
    """The steps of a search, one method each; a step that fails leaves the reason for later."""

    def __init__(self, survey: Survey, runner: Runner, monitor: Monitor) -> None:
        self.survey, self.runner, self.monitor = survey, runner, monitor
        self.days = {day_name(day): day for day in survey.days()}
        self.at_once, self.threads = survey.project.config.compute.share(len(self.days))

    def days_each(self, title: str, step: str, names: Iterable[str]) -> dict[str, Any]:
        """Run a step of ``run_day_step`` for every day, wherever days are run."""
        order = Order("day", {"step": step}, digest(self.survey.project.config))
        found: dict[str, Any] = self.runner.each(
            title,
            tuple(names),
            lambda name, stage, progress: run_day_step(
                self.survey, step, name, self.threads, progress, stage
            ),
            self.at_once,
            Ordered(order, lambda name: _day_done(self.survey, step, name)),
        )
        return found

    def each(self, title: str, step: str, names: Iterable[str], work: Callable[..., Any]) -> dict[str, Any]:
        """Run ``work(name, progress)`` for every name, as the step ``detection/NAME/step``, in this process."""

        def one(name: str, stage: Stage, progress: Any) -> dict[str, Any]:
            task = f"detection/{name}/{step}" if step != name else f"detection/{name}"
            return _noted(self.survey, task, stage, lambda: work(name, progress))

        found: dict[str, Any] = self.runner.each(title, tuple(names), one, self.at_once)
        return found

    def beams(self) -> dict[str, Any]:
        found = self.days_each("backproject", "beam", self.days)
        total = sum(each["detections"] for each in found.values())
        self.monitor.say(f"backprojection: {total} detections")
        return found

    def sizes(self) -> None:
        if self.survey.config.amplitudes is not None:
            self.days_each("sizes", "sizes", self.days)

    def templates(self, config: MatchingConfig) -> dict[str, Any]:
        self.days_each("cut templates", "cut", cut_names(self.survey))
        made: dict[str, Any] = self.each(
            "templates",
            "templates",
            ("templates",),
            lambda name, progress: make_templates(self.survey, config, progress),
        )["templates"]
        left = f", {made['left']} beyond the most" if made["left"] else ""
        self.monitor.say(
            f"templates: {made['templates']} from {made['events']} events, {len(made['refused'])} events refused{left}"
        )
        return made

    def matches(self) -> dict[str, Any]:
        found = self.days_each("match", "matches", self.days)
        self.monitor.say(f"matched filter: {sum(each['matches'] for each in found.values())} matches")
        return found

    def catalog(self) -> dict[str, Any]:
        made: dict[str, Any] = self.each(
            "catalog", "catalog", ("catalog",), lambda name, progress: make_catalog(self.survey, progress)
        )["catalog"]
        return made

    def page(self, pictures: int) -> None:
        if self.survey.project.config.pictures:
            self.each(
                "page", "page", ("page",), lambda name, progress: make_page(self.survey, pictures, progress)
            )


def _search(survey: Survey, runner: Runner, monitor: Monitor, pictures: int) -> Detected:
    steps = _Steps(survey, runner, monitor)
    for fault in survey.archive.problems():
        monitor.say(f"archive: {fault}")
    if survey.silent:
        monitor.say(f"nothing was recorded in that time at {', '.join(survey.silent)}")
    for _, text in survey.uncovered:
        monitor.say(text)
    number = len(steps.days)
    monitor.say(
        f"{len(survey.stations)} stations, {survey.grid.size} nodes, {number} day{'s' if number > 1 else ''}"
    )
    beams = steps.beams()
    problems = {name: list(beams[name]["problems"]) for name in steps.days}
    steps.sizes()
    if survey.config.matching is not None:
        problems |= _without_templates(steps.templates(survey.config.matching))
        for name, found in steps.matches().items():
            faults = [*found["problems"], *found["refused"].values()]
            problems[name] = told_apart(problems[name], faults)
    results = steps.catalog()
    steps.page(pictures)
    runner.show(lambda: of_catalog(survey.project, results, page_path(survey)))
    return Detected(catalog_path(survey), page_path(survey), results, problems)


def _without_templates(made: dict[str, Any]) -> dict[str, list[str]]:
    """Why no event made a template, if none did."""
    if made["templates"] or not made["refused"]:
        return {}
    lines = [f"{name}: {reason}" for name, reason in made["refused"].items()]
    more = [f"and {len(lines) - 9} others; detection/templates.json lists them"] if len(lines) > 10 else []
    return {"templates": [*lines[: 9 if more else 10], *more]}


def _tasks(survey: Survey, step: str, name: str) -> Task | None:
    """What decides a step of a day."""
    config, days = survey.config, {day_name(day): day for day in survey.days()}
    if step == "cut" and config.matching is not None:
        return cut_task(survey, config.matching, name)
    if step == "beam":
        return beam_task(survey, days[name])
    if step == "sizes" and config.amplitudes is not None:
        return size_task(survey, days[name], config.amplitudes)
    if step == "matches" and config.matching is not None:
        return match_task(survey, config.matching, days[name])
    return None


def _day_done(survey: Survey, step: str, name: str) -> dict[str, Any] | None:
    """Results of a step of a day, if its record holds."""
    task = _tasks(survey, step, name)
    return None if task is None else survey.project.done(task)


def run_day_step(
    survey: Survey,
    step: str,
    name: str,
    threads: int,
    progress: Callable[[float], None],
    stage: Stage = lambda name, part: part(),
) -> dict[str, Any]:
    """Run a step of a day: ``beam``, ``sizes``, ``cut`` or ``matches``.

    Raises
    ------
    InputError
        If there is no such step or day.
    """
    config, days = survey.config, {day_name(day): day for day in survey.days()}
    if step != "cut" and name not in days:
        raise InputError(f"{name}: is no day of this search")
    work: Callable[[], dict[str, Any]]
    if step == "beam":
        work = partial(run_day, survey, days[name], threads, progress)
    elif step == "sizes" and config.amplitudes is not None:
        work = partial(size_day, survey, config.amplitudes, days[name], progress)
    elif step == "cut" and config.matching is not None:
        work = partial(cut_day, survey, config.matching, name, progress)
    elif step == "matches" and config.matching is not None:
        work = partial(match_day, survey, config.matching, days[name], threads, progress)
    else:
        raise InputError(f"{step}: is no step of this search")
    return _noted(survey, f"detection/{name}/{step}", stage, work)


def _noted(survey: Survey, task: str, stage: Stage, work: Any) -> dict[str, Any]:
    """Run a step; if it fails, leave the reason for later."""
    found: list[dict[str, Any]] = []
    project = survey.project
    try:
        stage(task.rpartition("/")[2], lambda: found.append(work()))
    except SeisflowError as error:
        project.record_failure(task, str(error))
        raise
    except FAULTS as error:  # the other days go on
        told = f"{type(error).__name__}: {error}"
        project.record_failure(task, told)
        raise WorkError(told) from error
    project.forget_failure(task)
    return found[0]
