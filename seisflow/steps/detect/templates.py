"""Templates from the best detections of all days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.config import digest
from seisflow.detection.templates import cut_template, group, select, similarity, stack_group
from seisflow.detection_config import MatchingConfig
from seisflow.domain import FloatArray, Template
from seisflow.io.catalog_files import load_catalog
from seisflow.io.template_files import write_templates
from seisflow.records import Task
from seisflow.steps.detect.day import found_path
from seisflow.steps.detect.survey import Survey, day_name, spans_of

__all__ = ["make_templates", "template_task", "templates_path"]


def templates_path(survey: Survey) -> Path:
    """All templates."""
    return survey.project.detection_folder / "templates.h5"


def template_task(survey: Survey, config: MatchingConfig) -> Task:
    """What decides the templates."""
    found = {f"found {day_name(day)}": found_path(survey, day) for day in survey.days()}
    settings = {
        "start": survey.start,
        "end": survey.end,
        "stations": [each.id for each in survey.stations],
        "recordings": digest(config.recordings),
        "templates": digest(config.templates),
        "travel": survey.travel,
    }
    around = config.templates.padding + survey.longest + config.recordings.margin
    files = survey.files(survey.start - around, survey.end + around)
    inputs = {**survey.inputs(), **found, **files}
    return Task("detection/templates", inputs, settings, survey.code)


def make_templates(
    survey: Survey, config: MatchingConfig, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Cut templates, group those that repeat each other, stack the groups.

    Returns
    -------
    dict
        ``templates``; ``events`` that were cut; ``refused``, reasons and how often.
    """
    project, task = survey.project, template_task(survey, config)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    detections = [each for day in survey.days() for each in load_catalog(found_path(survey, day))]
    chosen, refused = select(detections, config.templates)
    cut: list[Template] = []
    ranks = {each.id: rank for rank, each in enumerate(chosen)}
    spans = spans_of(chosen, config.templates.padding + survey.longest, survey.config.chunk)
    for number, (start, end, members) in enumerate(spans):
        (data,), _ = survey.recordings(start, end, [config.recordings])
        for each in members:
            times = survey.travel_times(np.array([each.place]))[0][..., 0]
            made = cut_template(data, each, times, survey.phases, config.templates)
            if isinstance(made, str):
                refused[each.id] = made
            else:
                cut.append(made)
        progress(0.7 * (number + 1) / len(spans))
    cut.sort(key=lambda template: ranks[template.id])
    templates, alike = _stacked(cut, config)
    write_templates(templates_path(survey), templates, alike)
    results = {
        "templates": len(templates),
        "events": len(cut),
        "refused": dict(sorted(refused.items())),
    }
    project.record(task, [templates_path(survey)], results, begun)
    return results


def _stacked(cut: Sequence[Template], config: MatchingConfig) -> tuple[list[Template], FloatArray]:
    """One template for each group, the best first, and their similarity."""
    if not cut:
        return [], np.zeros((0, 0))
    correlation, lags = similarity(cut, config.templates.max_lag)
    groups = group(correlation, config.templates.similarity)[: config.templates.most]
    templates = [
        stack_group([cut[number] for number in members], lags[members[0], members], config.templates)
        for members in groups
    ]
    alike, _ = similarity(templates, config.templates.max_lag)
    return templates, alike
