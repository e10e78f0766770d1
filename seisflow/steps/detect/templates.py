"""Templates: cut day by day, then grouped and stacked over all days."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.config import digest
from seisflow.detection.families import STACKED, Family, families, similarity
from seisflow.detection.templates import TemplateConfig, cut_template, select, stack_group
from seisflow.detection_config import MatchingConfig
from seisflow.domain import Detection, FloatArray, Station, Template
from seisflow.io.archive import Day
from seisflow.io.catalog_files import load_catalog
from seisflow.io.template_files import read_templates, write_templates
from seisflow.records import Task
from seisflow.steps.detect.day import found_path
from seisflow.steps.detect.days import day_name
from seisflow.steps.detect.sources import (
    catalog_events,
    catalog_file,
    picked,
    synthetic,
    synthetic_files,
)
from seisflow.steps.detect.survey import Survey, spans_of

__all__ = [
    "cut_day",
    "cut_names",
    "cut_path",
    "cut_task",
    "make_templates",
    "template_task",
    "templates_path",
]

SYNTHETICS = "synthetics"
"""Name of what is cut out of synthetics, where others have the name of a day."""

_GROUPING: dict[str, Any] = {"similarity": 0.5, "most": 1000, "explained": 0.4, "rank": 5, "days": None}
"""What cutting does not use."""

Progress = Callable[[float], None]


def templates_path(survey: Survey) -> Path:
    """All templates."""
    return survey.project.detection_folder / "templates.h5"


def cut_names(survey: Survey) -> dict[str, Day | None]:
    """What templates are cut out of, by name: days, or the synthetics."""
    matching = survey.config.matching
    if matching is not None and matching.templates.source == SYNTHETICS:
        return {SYNTHETICS: None}
    return {day_name(day): day for day in survey.sources}


def cut_path(survey: Survey, name: str) -> Path:
    """Waveforms of the events of a day (or of all synthetics) that may become templates."""
    return survey.project.day_folder(name) / "cut.h5"


def cut_task(survey: Survey, config: MatchingConfig, name: str) -> Task:
    """What decides what is cut."""
    day = cut_names(survey)[name]
    survey = survey if day is None else survey.of(day)
    templates = replace(config.templates, **_GROUPING)
    settings = {
        "stations": [each.id for each in survey.stations],
        "recordings": digest(config.recordings),
        "templates": digest(templates),
        "travel": survey.travel,
        "chunk": survey.config.chunk,
    }
    inputs = survey.inputs()
    if day is None:
        files = synthetic_files(survey.project, config.templates, survey.model_path)
        inputs |= {f"synthetics {path.stem}": path for path in files}
    else:
        settings |= {"start": day.start, "end": survey.end_of(day)}
        around = config.templates.padding + survey.longest + config.recordings.margin
        inputs |= survey.files(day.start - around, survey.end_of(day) + around)
        beam = config.templates.source == "beam"
        known = found_path(survey, day) if beam else catalog_file(survey.project, config.templates)
        inputs["found" if beam else "catalog"] = known
    return Task(f"detection/{name}/cut", inputs, settings, survey.code)


def cut_day(survey: Survey, config: MatchingConfig, name: str, progress: Progress) -> dict[str, Any]:
    """Cut the windows of the events of a day, or of all synthetics.

    Returns
    -------
    dict
        ``cut``, number of events; ``refused``, reasons by event; ``problems``, what could not be used.
    """
    project, task = survey.project, cut_task(survey, config, name)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    day = cut_names(survey)[name]
    if day is None:
        cut, refused = _of_synthetics(survey, config, progress)
    else:
        cut, refused = _of_day(survey.of(day), config, day, progress)
    path = cut_path(survey, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_templates(path, cut, np.zeros((0, 0)))
    results = {"cut": len(cut), "refused": dict(sorted(refused.items()))}
    project.record(task, [path], results, begun)
    return results


def _events(survey: Survey, config: TemplateConfig, day: Day) -> list[Detection]:
    """Events of a day that may become templates."""
    if config.source == "beam":
        return list(load_catalog(found_path(survey, day)))
    return [
        each for each in catalog_events(survey.project, config) if day.start <= each.time < survey.end_of(day)
    ]


def _of_day(
    survey: Survey, config: MatchingConfig, day: Day, progress: Progress
) -> tuple[list[Template], dict[str, str]]:
    chosen, refused = select(_events(survey, config.templates, day), config.templates)
    inside = [each for each in chosen if survey.table.grid.contains(each.place)]
    refused |= {each.id: "lies outside the model" for each in chosen if each not in inside}
    cut: list[Template] = []
    spans = spans_of(inside, config.templates.padding + survey.longest, survey.config.chunk)
    for number, (start, end, members) in enumerate(spans):
        (data,), _ = survey.recordings(start, end, [config.recordings])
        for each in members:
            times = survey.travel_times(np.array([each.place]))[0][..., 0]
            if config.templates.source == "catalog":
                times = picked(each, times, survey.stations, survey.phases)
            made = cut_template(data, each, times, survey.phases, config.templates)
            if isinstance(made, str):
                refused[each.id] = made
            else:
                cut.append(made)
        progress((number + 1) / len(spans))
    return cut, refused


def _of_synthetics(
    survey: Survey, config: MatchingConfig, progress: Progress
) -> tuple[list[Template], dict[str, str]]:
    files = synthetic_files(survey.project, config.templates, survey.model_path)
    cut: list[Template] = []
    refused: dict[str, str] = {}
    for number, path in enumerate(files):
        event, data = synthetic(path, survey.stations, config.recordings, survey.projection)
        if survey.table.grid.contains(event.place):
            times = survey.travel_times(np.array([event.place]))[0][..., 0]
            made = cut_template(data, event, times, survey.phases, config.templates, noise=False)
        else:
            made = "lies outside the model"
        if isinstance(made, str):
            refused[event.id] = made
        else:
            cut.append(made)
        progress((number + 1) / len(files))
    return cut, refused


def template_task(survey: Survey, config: MatchingConfig) -> Task:
    """What decides the templates."""
    inputs = {f"cut {name}": cut_path(survey, name) for name in cut_names(survey)}
    if config.templates.source == "beam":
        inputs |= {f"found {day_name(day)}": found_path(survey, day) for day in survey.sources}
    elif config.templates.source == "catalog":
        inputs["catalog"] = catalog_file(survey.project, config.templates)
    return Task("detection/templates", inputs, {"templates": digest(config.templates)}, survey.code)


def make_templates(survey: Survey, config: MatchingConfig, progress: Progress) -> dict[str, Any]:
    """Group what was cut on all days, and stack what repeats.

    Returns
    -------
    dict
        ``templates``; ``events`` that were cut; ``left``, those that are like none of the templates while there are
        ``most`` already; ``refused``, reasons by event.
    """
    project, task = survey.project, template_task(survey, config)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    refused: dict[str, str] = {}
    for name in cut_names(survey):
        record = project.record_of(f"detection/{name}/cut")
        refused |= record["results"]["refused"] if record else {}
    chosen = None
    if config.templates.source != SYNTHETICS:
        known = [each for day in survey.sources for each in _events(survey, config.templates, day)]
        ranked, reasons = select(known, config.templates)  # across midnight too
        refused |= reasons
        chosen = [each.id for each in ranked]
    with _cut(survey, chosen) as cut:
        groups, left = families(cut, config.templates, lambda part: progress(0.8 * part))
        templates = [_stack(cut, each, config.templates) for each in groups]
        events = len(cut)
    alike = similarity(templates, config.templates.max_lag)[0] if templates else np.zeros((0, 0))
    write_templates(templates_path(survey), templates, alike)
    results = {
        "templates": len(templates),
        "events": events,
        "left": left,
        "refused": dict(sorted(refused.items())),
    }
    project.record(task, [templates_path(survey)], results, begun)
    return results


def _stack(cut: Sequence[Template], family: Family, config: TemplateConfig) -> Template:
    """The template of a family, from its best members."""
    members = [cut[number] for number in family.members[:STACKED]]
    stack = stack_group(members, np.array(family.lags[:STACKED]), config)
    return replace(
        stack,
        waveforms=np.array(stack.waveforms),
        quality=dict(stack.quality) | {"members": float(len(family.members))},
    )


@contextmanager
def _cut(survey: Survey, chosen: Sequence[str] | None) -> Iterator[list[Template]]:
    """What was cut on all days, the best first, on the same stations; waveforms in a file that goes with the block."""
    found: list[Template] = []
    stations, components, longest, most = _extent(survey)
    ranks = None if chosen is None else {name: rank for rank, name in enumerate(chosen)}
    survey.project.detection_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=survey.project.detection_folder) as file:
        shape = (max(most, 1), len(stations), len(components), longest)
        file.truncate(4 * int(np.prod(shape)))
        rows: FloatArray = np.memmap(file, np.float32, "r+", 0, shape)
        for name in cut_names(survey):
            for each in read_templates(cut_path(survey, name))[0]:
                if ranks is None or each.id in ranks:
                    spread = _spread(each, stations, longest)
                    rows[len(found)] = spread.waveforms
                    found.append(replace(spread, waveforms=rows[len(found)]))
        if ranks is not None:
            found.sort(key=lambda each: ranks[each.id])
        yield found


def _extent(survey: Survey) -> tuple[tuple[Station, ...], tuple[str, ...], int, int]:
    """Stations of all that was cut, in their order, components, samples of the longest window, and their number."""
    there: set[Station] = set()
    components: tuple[str, ...] = ("Z",)
    longest = number = 0
    for name in cut_names(survey):
        found, _ = read_templates(cut_path(survey, name))
        number += len(found)
        for each in found:
            there |= set(each.stations)
            components, longest = each.components, max(longest, each.waveforms.shape[2])
    stations = tuple(each for each in survey.stations if each in there)
    return stations or survey.stations[:1], components, max(longest, 1), number


def _spread(template: Template, stations: Sequence[Station], longest: int) -> Template:
    """A template with more stations, which have no weight, and longer rows."""
    if template.stations == tuple(stations) and template.waveforms.shape[2] == longest:
        return template
    rows = [stations.index(each) for each in template.stations]
    shape = (len(stations), len(template.components))
    waveforms = np.zeros((*shape, longest), dtype=np.float32)
    waveforms[rows, :, : template.waveforms.shape[2]] = template.waveforms
    arrays: dict[str, Any] = {}
    for name in ("lengths", "moveouts", "weights", "phases"):
        old = getattr(template, name)
        arrays[name] = np.zeros(shape, dtype=old.dtype)
        arrays[name][rows] = old
    return replace(template, stations=tuple(stations), waveforms=waveforms, **arrays)
