"""Which steps of detection would run, and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from seisflow.errors import InputError, SeisflowError
from seisflow.project import Project
from seisflow.records import Task
from seisflow.steps.detect.catalog import catalog_task
from seisflow.steps.detect.day import beam_task
from seisflow.steps.detect.days import EVERYTHING, Recorded, asked, day_name, joined
from seisflow.steps.detect.match import match_task
from seisflow.steps.detect.page import page_task
from seisflow.steps.detect.sizes import size_task
from seisflow.steps.detect.survey import Survey
from seisflow.steps.detect.templates import cut_names, cut_task, template_task
from seisflow.steps.inputs import stations_of

__all__ = ["detection_reasons", "detection_status"]


def _tasks(survey: Survey) -> dict[str, Callable[[], Task]]:
    """The steps of a search in their order, by name."""
    config, found = survey.config, dict[str, Callable[[], Task]]()
    days = {day_name(day): day for day in survey.days()}
    for name, day in days.items():
        found[f"detection/{name}/beam"] = partial(beam_task, survey, day)
    if (amplitudes := config.amplitudes) is not None:
        for name, day in days.items():
            found[f"detection/{name}/sizes"] = partial(size_task, survey, day, amplitudes)
    if (matching := config.matching) is not None:
        for name in cut_names(survey):
            found[f"detection/{name}/cut"] = partial(cut_task, survey, matching, name)
        found["detection/templates"] = partial(template_task, survey, matching)
        for name, day in days.items():
            found[f"detection/{name}/matches"] = partial(match_task, survey, matching, day)
    found["detection/catalog"] = partial(catalog_task, survey)
    return found


def detection_reasons(project: Project, name: str) -> list[str]:
    """Why a step of detection would run; empty if its record holds.

    Parameters
    ----------
    name : str
        ``detection/DAY/beam``, ``sizes``, ``cut`` or ``matches``, ``detection/templates``, ``detection/catalog`` or
        ``detection/page``.

    Raises
    ------
    InputError
        If there is no such step or day.
    """
    survey = Survey.open(project)
    if name == "detection/page" and project.config.pictures:
        record = project.record_of(name)
        most = record["settings"].get("most", 10) if record else 10
        return project.why(page_task(survey, most))
    tasks = _tasks(survey)
    if name in tasks:
        return project.why(tasks[name]())
    match = re.fullmatch(r"detection/(\d{4}-\d\d-\d\d)/(beam|sizes|cut|matches)", name)
    days = [day_name(day) for day in survey.days()]
    if match and match[1] not in days:
        raise InputError(
            f"{name}: there is no such day; {', '.join(days[:5])}{', ...' if days[5:] else ''} are searched"
        )
    raise InputError(
        f"{name}: is no step of this search; write detection/DAY/beam, detection/DAY/sizes, detection/DAY/cut, "
        "detection/templates, detection/DAY/matches, detection/catalog or detection/page, as the configuration has them"
    )


def detection_status(project: Project) -> tuple[dict[str, list[str]], list[str]]:
    """Finished steps that are out of date, with reasons, and days that were recorded but not searched.

    Returns
    -------
    dict of str to list of str
    list of str
    """
    if not asked(project):
        return {}, []
    try:
        survey = Survey.open(project)
    except SeisflowError as error:
        return {"detection": [str(error)]}, []
    stale = {}
    for name, task in _tasks(survey).items():
        if project.record_of(name) is not None:
            reasons = project.why(task())
            if reasons:
                stale[name] = reasons
    known = {each.id for each in stations_of(project)} - {station for station, _ in survey.uncovered}
    spans = [each for each in survey.archive.spans() if f"{each.network}.{each.station}" in known]
    return stale, [name for name in joined({}, EVERYTHING, Recorded(spans)) if name not in survey.asked]
