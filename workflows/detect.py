"""The detection flow: from continuous recordings to a catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisflow.workflows.running import FlowRun, Monitor, Quiet, Runner, Stage, run_flow

from seisflow.errors import SeisflowError
from seisflow.io.archive import Day
from seisflow.project import Project
from seisflow.steps.detect.catalog import catalog_path, make_catalog
from seisflow.steps.detect.day import run_day
from seisflow.steps.detect.match import match_day
from seisflow.steps.detect.page import make_page, page_path
from seisflow.steps.detect.survey import Survey, day_name
from seisflow.steps.detect.templates import make_templates

__all__ = ["Detected", "detect"]


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

    Parameters
    ----------
    root : Path
        The project folder.
    span : tuple of 2 float, optional
        From when to when, s since 1970-01-01 UTC; all that was recorded, if left out.
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
        survey = Survey.open(project, span, project.config.compute.cores_now())
        days = {day_name(day): day for day in survey.days()}
        at_once, _ = project.config.compute.share(len(days))

        def body(runner: Runner) -> Detected:
            return _search(survey, days, runner, watcher, pictures)

        title = f"{project.config.name} {min(days)}" + (f" to {max(days)}" if len(days) > 1 else "")
        found: Detected = run_flow(FlowRun("detect", title, project.root, at_once), body, watcher)
    return found


def _search(
    survey: Survey, days: dict[str, Day], runner: Runner, monitor: Monitor, pictures: int
) -> Detected:
    at_once, threads = survey.project.config.compute.share(len(days))
    for fault in survey.archive.problems():
        monitor.say(f"archive: {fault}")
    if survey.silent:
        monitor.say(f"nothing was recorded in that time at {', '.join(survey.silent)}")
    stations, nodes = len(survey.stations), survey.grid.size
    monitor.say(f"{stations} stations, {nodes} nodes, {len(days)} day{'s' if len(days) > 1 else ''}")

    def backproject(name: str, stage: Stage, progress: Any) -> dict[str, Any]:
        return _noted(
            survey, f"detection/{name}/beam", stage, lambda: run_day(survey, days[name], threads, progress)
        )

    beams = runner.each("backproject", tuple(days), backproject, at_once)
    problems = {name: list(beams[name]["problems"]) for name in days}
    total = sum(found["detections"] for found in beams.values())
    monitor.say(f"backprojection: {total} detections")
    matching = survey.config.matching
    if matching is not None:

        def templates(name: str, stage: Stage, progress: Any) -> dict[str, Any]:
            return _noted(
                survey, "detection/templates", stage, lambda: make_templates(survey, matching, progress)
            )

        made = runner.each("templates", ("templates",), templates, 1)["templates"]
        monitor.say(
            f"templates: {made['templates']} from {made['events']} events, {len(made['refused'])} events refused"
        )
        problems |= _without_templates(made)

        def match(name: str, stage: Stage, progress: Any) -> dict[str, Any]:
            def work() -> dict[str, Any]:
                return match_day(survey, matching, days[name], threads, progress)

            return _noted(survey, f"detection/{name}/matches", stage, work)

        matches = runner.each("match", tuple(days), match, at_once)
        for name in days:
            faults = [*matches[name]["problems"], *matches[name]["refused"].values()]
            problems[name] = list(dict.fromkeys([*problems[name], *faults]))
        total = sum(found["matches"] for found in matches.values())
        monitor.say(f"matched filter: {total} matches")

    def catalog(name: str, stage: Stage, progress: Any) -> dict[str, Any]:
        return _noted(survey, "detection/catalog", stage, lambda: make_catalog(survey, progress))

    results = runner.each("catalog", ("catalog",), catalog, 1)["catalog"]

    def page(name: str, stage: Stage, progress: Any) -> dict[str, Any]:
        return _noted(survey, "detection/page", stage, lambda: make_page(survey, pictures, progress))

    if survey.project.config.pictures:
        runner.each("page", ("page",), page, 1)
    return Detected(catalog_path(survey), page_path(survey), results, problems)


def _without_templates(made: dict[str, Any]) -> dict[str, list[str]]:
    """Why no event made a template, if none did."""
    if made["templates"] or not made["refused"]:
        return {}
    lines = [f"{name}: {reason}" for name, reason in made["refused"].items()]
    more = [f"and {len(lines) - 9} others; detection/templates.json lists them"] if len(lines) > 10 else []
    return {"templates": [*lines[: 9 if more else 10], *more]}


def _noted(survey: Survey, task: str, stage: Stage, work: Any) -> dict[str, Any]:
    """Run a step; if it fails, leave the reason for later."""
    found: list[dict[str, Any]] = []
    project = survey.project
    try:
        stage(task.rpartition("/")[2], lambda: found.append(work()))
    except SeisflowError as error:
        project.record_failure(task, str(error))
        raise
    project.forget_failure(task)
    return found[0]
