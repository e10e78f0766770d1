"""The catalog: what the beam and the templates found on all days, as one list, relocated, on disk and on a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.config import digest
from seisflow.detection.differential_times import DifferentialTimes, catalog_times, joined, neighbours
from seisflow.detection.matches import Match, match_covariance, merge_matches
from seisflow.detection.relocation import Relocation, relocate
from seisflow.detection_config import DetectionConfig, MatchingConfig
from seisflow.domain import Catalog, Detection, FloatArray, Magnitude
from seisflow.errors import PhysicsError
from seisflow.io.catalog_files import load_catalog, save_catalog
from seisflow.io.catalog_quakeml import write_quakeml
from seisflow.io.catalog_table import write_csv, write_parquet
from seisflow.io.template_files import read_templates
from seisflow.records import Task
from seisflow.steps.detect.day import named
from seisflow.steps.detect.days import day_name
from seisflow.steps.detect.match import matched_path
from seisflow.steps.detect.sizes import sized_path
from seisflow.steps.detect.sources import catalog_events, catalog_file
from seisflow.steps.detect.survey import Survey
from seisflow.steps.detect.templates import templates_path

__all__ = ["catalog_path", "catalog_task", "make_catalog"]


def catalog_path(survey: Survey, suffix: str = "h5") -> Path:
    """The catalog, as ``h5``, ``csv``, ``parquet`` or ``xml`` (QuakeML)."""
    return survey.project.detection_folder / f"catalog.{suffix}"


def catalog_task(survey: Survey) -> Task:
    """What decides the catalog."""
    config = survey.config
    inputs = survey.inputs()
    for day in survey.days():
        inputs[f"found {day_name(day)}"] = sized_path(survey, day)
        if config.matching is not None:
            inputs[f"matched {day_name(day)}"] = matched_path(survey, day)
    if config.matching is not None:
        inputs["templates"] = templates_path(survey)
        if config.matching.templates.source == "catalog":
            inputs["template catalog"] = catalog_file(survey.project, config.matching.templates)
    settings = {
        "days": [[day.start, survey.end_of(day)] for day in survey.days()],
        "stations": [each.id for each in survey.stations],
        "relocation": digest(config.relocation, config.neighbours),
        "matches": digest(config.matching.matches, config.matching.recordings.band)
        if config.matching
        else None,
        "separation": config.separation,
        "travel": survey.travel,
    }
    return Task("detection/catalog", inputs, settings, survey.code)


def make_catalog(survey: Survey, progress: Callable[[float], None]) -> dict[str, Any]:
    """Join what was found on all days, relocate it, and write it in every format.

    Returns
    -------
    dict
        ``events``; ``beam``, of them found by backprojection; ``template``, by templates alone; ``false``, how many of
        each are expected to be false alarms; ``relocated``; ``dropped``, differential times by reason.
    """
    project, task = survey.project, catalog_task(survey)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    found = [load_catalog(sized_path(survey, day)) for day in survey.days()]
    beams = _apart([each for catalog in found for each in catalog], survey.config.separation)
    live = sum(catalog.live_days for catalog in found)
    matched: list[Catalog] = []
    matches: list[Detection] = []
    if survey.config.matching is not None:
        matched = [load_catalog(matched_path(survey, day)) for day in survey.days()]
        matches = _once([each for catalog in matched for each in catalog], survey, survey.config.matching)
        matches = _with_sizes(matches, _template_sizes(survey, survey.config.matching, found))
    # names before the relocation: templates have them, and they do not change when events move
    joint = list(named(_joint(beams, matches, survey.config)))
    progress(0.2)
    results: dict[str, Any] = {
        "events": len(joint),
        "beam": sum(each.method == "beam" for each in joint),
        "template": sum(each.method == "template" for each in joint),
        "false": {"beam": _expected(joint, "beam", found), "template": _expected(joint, "template", matched)},
    }
    if survey.config.relocation is not None and len(joint) > 1:
        joint, told = _relocated(survey, joint)
        results |= told
    joint = _with_errors(survey, joint)
    progress(0.6)
    ordered = tuple(sorted(joint, key=lambda one: (one.time, one.id)))
    catalog = Catalog(survey.projection, ordered, survey.start, survey.end, live)
    save_catalog(catalog_path(survey), catalog)
    write_csv(catalog_path(survey, "csv"), catalog)
    write_parquet(catalog_path(survey, "parquet"), catalog)
    write_quakeml(catalog_path(survey, "xml"), catalog)
    outputs = [catalog_path(survey, suffix) for suffix in ("h5", "csv", "parquet", "xml")]
    project.record(task, outputs, results, begun)
    progress(1.0)
    return results


def _expected(detections: Sequence[Detection], method: str, days: Sequence[Catalog]) -> float | None:
    """False alarms that are expected among the detections of a method: of each day the rate at the weakest."""
    total, known = 0.0, False
    for day in days:
        rates = [
            each.false_alarm_rate
            for each in detections
            if each.method == method
            and day.start <= each.time < day.end
            and np.isfinite(each.false_alarm_rate)
        ]
        known = known or bool(rates)
        total += max(rates, default=0.0) * day.live_days
    return round(total, 2) if known else None


def _once(matches: list[Detection], survey: Survey, config: MatchingConfig) -> list[Detection]:
    """Without the weaker of two that are one earthquake: what two days or two parts of one both own at their edge."""
    templates, alike = read_templates(templates_path(survey))
    numbers = {each.id: number for number, each in enumerate(templates)}
    places = np.array([[each.x, each.y, each.z] for each in templates]).reshape(-1, 3)
    rows = {
        Match(each.time, numbers[each.template], each.value, each.threshold): each
        for each in matches
        if each.template is not None
    }
    return [rows[each] for each in merge_matches(list(rows), places, alike, config.matches)]


def _template_sizes(survey: Survey, config: MatchingConfig, found: Sequence[Catalog]) -> dict[str, Magnitude]:
    """Magnitudes of the events that templates were made of."""
    known = catalog_events(survey.project, config.templates) if config.templates.source == "catalog" else ()
    events = known if config.templates.source == "catalog" else [each for day in found for each in day]
    return {each.id: each.magnitude for each in events if each.magnitude is not None}


def _with_sizes(matches: list[Detection], sizes: dict[str, Magnitude]) -> list[Detection]:
    """Matches whose magnitudes are those of their templates, and how much larger they are: on the scale of these."""
    result = []
    for each in matches:
        size, ratio = sizes.get(each.template or ""), each.magnitude
        if size is None or ratio is None:
            result.append(replace(each, magnitude=None))
            continue
        error = float(np.hypot(ratio.error, size.error if np.isfinite(size.error) else 0.0))
        whole = replace(ratio, value=size.value + ratio.value, error=error, kind=size.kind)
        result.append(replace(each, magnitude=whole))
    return result


def _apart(detections: list[Detection], separation: float) -> list[Detection]:
    """Without the lower of two that are nearer in time than the separation: what two days both own at midnight."""
    kept: list[Detection] = []
    for each in sorted(detections, key=lambda one: one.time):
        if kept and each.time - kept[-1].time < 0.5 * separation:
            kept[-1] = max(kept[-1], each, key=lambda one: one.value)
        else:
            kept.append(each)
    return kept


def _joint(beams: list[Detection], matches: list[Detection], config: DetectionConfig) -> list[Detection]:
    """Detections of the beam, told which template found them too, and what only templates found."""
    if config.matching is None:
        return beams
    same = config.matching.matches.same_time
    times = np.array([each.time for each in beams])
    best: dict[int, Detection] = {}
    alone: list[Detection] = []
    for match in matches:
        near = int(np.abs(times - match.time).argmin()) if times.size else -1
        if near < 0 or abs(times[near] - match.time) > same:
            alone.append(match)
        elif near not in best or match.value > best[near].value:
            best[near] = match
    joint = list(alone)
    for number, each in enumerate(beams):
        also = best.get(number)
        if also is None:
            joint.append(each)
        else:
            remark = f"{each.remark}; template {also.template} fits with {also.value:.2f}"
            size = each.magnitude or also.magnitude  # relative, where amplitudes do not stand above the noise
            joint.append(replace(each, template=also.template, magnitude=size, remark=remark))
    return sorted(joint, key=lambda one: one.time)


def _with_errors(survey: Survey, detections: list[Detection]) -> list[Detection]:
    """Detections whose matches have the errors of their templates, and those of the relocation against them.

    Where a match was not relocated, how far away from its template it may be stands in for those.
    """
    if survey.config.matching is None:
        return detections
    middle = float(np.sqrt(np.prod(survey.config.matching.recordings.band)))
    known = {each.id: each.covariance for each in detections if each.method == "beam"}
    result = []
    for found in detections:
        each = found
        home = known.get(each.template or "")
        if each.method == "template" and home is not None:
            slopes = survey.travel_times(np.array([each.place]))[1][..., 0, :]
            slowness = float(np.median(np.linalg.norm(slopes, axis=-1).max(axis=1)))
            apart = match_covariance(np.zeros((4, 4)), slowness, middle)
            moved = each.covariance if each.covariance is not None else apart
            each = replace(found, covariance=home + moved)
        result.append(each)
    return result


def _relocated(survey: Survey, detections: list[Detection]) -> tuple[list[Detection], dict[str, Any]]:
    """Detections moved by double differences."""
    config = survey.config.relocation
    if config is None:
        return detections, {}
    places = np.array([each.place for each in detections])
    times = np.array([each.time for each in detections])
    start = times.min()
    stations = [each.id for each in survey.stations]
    near = survey.config.neighbours
    pairs = neighbours(places, near.max_distance, near.most)
    picked = [each if each.method == "beam" else replace(each, arrivals=()) for each in detections]
    links = joined(
        catalog_times(picked, pairs, stations, survey.phases),
        _template_links(survey, detections),
    )
    try:
        moved = relocate(places, times - start, links, survey.travel_times, survey.grid, config)
    except PhysicsError as error:  # too few neighbours: the catalog stays as it was
        return detections, {"relocated": 0, "not_relocated": str(error)}
    told = {
        "relocated": int((moved.groups >= 0).sum()),
        "dropped": moved.dropped,
        "scatter": {kind: [round(value, 6) for value in values] for kind, values in moved.scatter.items()},
    }
    predicted, _ = survey.travel_times(moved.places)
    result = []
    for number, each in enumerate(detections):
        found = _moved(each, number, moved, start)
        if moved.groups[number] >= 0:
            found = _with_residuals(found, predicted[..., number], stations, survey.phases)
        result.append(found)
    return result, told


def _template_links(survey: Survey, detections: list[Detection]) -> DifferentialTimes:
    """Differential times of matches and the events of their templates: the lags of the channels."""
    rows = {each.id: number for number, each in enumerate(survey.stations)}
    columns = {phase: number for number, phase in enumerate(survey.phases)}
    templates, _ = read_templates(templates_path(survey)) if survey.config.matching else ((), None)
    events = {each.id: number for number, each in enumerate(detections) if each.method == "beam"}
    home = {template.id: events[template.id] for template in templates if template.id in events}
    links: list[tuple[int, int, int, int, float, float]] = []
    for number, each in enumerate(detections):
        if each.method != "template" or each.template not in home:
            continue
        other = home[each.template]
        links += [
            (number, other, rows[a.station], columns[a.phase], a.residual, a.weight)
            for a in each.arrivals
            if a.station in rows and a.phase in columns
        ]
    table = np.array(links, dtype=np.float64).reshape(-1, 6)
    first, second, station, phase = table[:, :4].astype(np.int64).T
    correlated = np.ones(len(table), dtype=np.bool_)
    return DifferentialTimes(first, second, station, phase, table[:, 4], table[:, 5], correlated)


def _with_residuals(
    detection: Detection, times: FloatArray, stations: Sequence[str], phases: Sequence[str]
) -> Detection:
    """A detection whose residuals are those of its new place and time."""
    known = []
    for each in detection.arrivals:
        travel = float(times[stations.index(each.station), phases.index(each.phase)])
        known.append(replace(each, residual=each.time - detection.time - travel))
    return replace(detection, arrivals=tuple(known))


def _moved(detection: Detection, number: int, moved: Relocation, start: float) -> Detection:
    """A detection where the relocation put it."""
    if moved.groups[number] < 0:
        return replace(detection, remark=f"{detection.remark}; not relocated: {moved.left_out[number]}")
    x, y, z = (float(value) for value in moved.places[number])
    shift = float(np.linalg.norm(moved.places[number] - np.array(detection.place)))
    remark = f"{detection.remark}; relocated by {shift:.0f} m against {int(moved.links[number])} others"
    relative = moved.covariances[number]
    covariance = detection.covariance
    if covariance is None and np.isfinite(relative).all():
        covariance = relative
    time = float(moved.times[number] + start)
    return replace(detection, time=time, x=x, y=y, z=z, covariance=covariance, remark=remark)
