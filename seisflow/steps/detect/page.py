"""The page of a catalog: maps, seismicity, magnitudes, the beam of each day, and some earthquakes to judge it by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.config import digest
from seisflow.detection.backprojection import beam_at
from seisflow.domain import Arrival, Catalog, Detection, Features
from seisflow.io.beam_files import read_beam
from seisflow.io.catalog_files import load_catalog
from seisflow.io.catalog_table import iso_time
from seisflow.records import Task
from seisflow.report import (
    CatalogPage,
    draw_beam,
    draw_beam_snapshot,
    draw_event_waveforms,
    write_catalog_page,
    write_png,
)
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.steps.detect.catalog import catalog_path
from seisflow.steps.detect.day import beam_path, features_of
from seisflow.steps.detect.days import day_name
from seisflow.steps.detect.survey import Survey

__all__ = ["chosen", "draw_event", "make_page", "page_path", "write_events"]

_MOST_DAYS = 10
"""Days whose beam is shown."""


def page_path(survey: Survey) -> Path:
    """The page of the catalog."""
    return survey.project.detection_folder / "catalog.html"


def page_task(survey: Survey, most: int) -> Task:
    """What decides the page."""
    inputs = {"catalog": catalog_path(survey), **survey.inputs()}
    inputs |= {f"beam {day_name(day)}": beam_path(survey, day) for day in survey.days()[:_MOST_DAYS]}
    settings = {
        "most": most,
        "detection": digest(survey.config),
        "name": survey.project.config.name,
        "start": survey.start,
        "end": survey.end,
        "stations": [each.id for each in survey.stations],
        "travel": survey.travel,
    }
    return Task("detection/page", inputs, settings, survey.code)


def make_page(survey: Survey, most: int, progress: Callable[[float], None]) -> dict[str, Any]:
    """Write the page, with pictures of ``most`` earthquakes found by the beam and as many found by templates alone.

    Returns
    -------
    dict
        ``events``: ids of those that are shown.
    """
    project, task = survey.project, page_task(survey, most)
    done = project.done(task)
    if done is not None:
        return done
    begun = project.begin(task)
    catalog = load_catalog(catalog_path(survey))
    figures = []
    for day in survey.days()[:_MOST_DAYS]:
        stored = read_beam(beam_path(survey, day))
        name = day_name(day)
        within = [each for each in catalog if day.start <= each.time < survey.end_of(day)]
        beams = [each for each in within if each.method == "beam"]
        figures.append((f"Beam of {name}", "", draw_beam(stored.beam, stored.threshold, beams, name)))
    shown = chosen(catalog, most)
    events = {}
    for number, each in enumerate(shown):
        events[each.id] = draw_event(survey, each)
        progress((number + 1) / (len(shown) + 1))
    settings = {
        "nodes": " x ".join(str(count) for count in survey.grid.shape)
        + f", every {' x '.join(f'{step:g}' for step in survey.grid.spacing)} m",
        "model": project.relative(survey.model_path),
        "phases": ", ".join(survey.phases),
    }
    page = CatalogPage(project.config.name, survey.stations, settings, figures, events)
    write_catalog_page(page_path(survey), catalog, page)
    results = {"events": [each.id for each in shown]}
    project.record(task, [page_path(survey)], results, begun)
    progress(1.0)
    return results


def chosen(catalog: Catalog, most: int) -> list[Detection]:
    """The strongest of each method, and as many spread evenly over the rest, in the order of times."""
    found: list[Detection] = []
    for method in ("beam", "template"):
        ranked = sorted(
            (each for each in catalog if each.method == method),
            key=lambda each: (-each.value / each.threshold, each.time),
        )
        strong, rest = ranked[: most // 2], ranked[most // 2 :]
        wanted = min(most - len(strong), len(rest))
        places = np.linspace(0, len(rest) - 1, max(0, wanted)).round().tolist()
        found += strong + [rest[place] for place in dict.fromkeys(int(place) for place in places)]
    return sorted(found, key=lambda each: each.time)


def draw_event(survey: Survey, detection: Detection) -> list[tuple[str, Any]]:
    """Seismograms of a detection and the beam at its origin time."""
    times = survey.travel_times(np.array([detection.place]))[0][..., 0]
    around = max(0.4 * survey.longest, 20 * survey.config.interval)
    start, end = detection.time - 0.3 * around, detection.time + float(times.max()) + around
    bands = np.array([config.band for config in survey.config.phases.values()])
    config = ContinuousConfig(
        interval=survey.config.sampling,
        band=(float(bands[:, 0].min()), float(bands[:, 1].max())),
        components=("E", "N", "Z"),
    )
    (data,), _ = survey.recordings(start, end, [config])
    predicted = [
        Arrival(station.id, phase, detection.time + float(times[row, column]))
        for row, station in enumerate(survey.stations)
        for column, phase in enumerate(survey.phases)
    ]
    title = f"{iso_time(round(detection.time, 3))[:23]}, {detection.method}"
    if detection.magnitude is not None:
        title += f", {detection.magnitude.kind} {detection.magnitude.value:.1f}".replace("-", "−")
    section = draw_event_waveforms(data, detection, survey.projection, predicted, title)
    found = [("seismograms", section)]
    features, sample = features_around(survey, detection)
    values = beam_at(features, survey.delays, np.array([sample]), survey.config.backprojection)
    snapshot = draw_beam_snapshot(
        values[0].reshape(survey.grid.shape),
        survey.grid,
        detection,
        survey.projection,
        survey.stations,
        title,
    )
    found.append(("beam at the origin time", snapshot))
    return found


def features_around(survey: Survey, detection: Detection) -> tuple[Features, int]:
    """Features about a detection, and the sample of its origin time."""
    step = survey.config.interval
    start = np.floor((detection.time - 10 * step) / step) * step
    count = int((survey.longest + 20 * step) / step) + 20
    features, _, _ = features_of(survey, float(start), count)
    return features, round((detection.time - features.start) / step)


def write_events(survey: Survey, detections: Sequence[Detection], folder: Path) -> list[Path]:
    """Pictures of some detections as PNG files."""
    written = []
    for each in detections:
        for name, figure in draw_event(survey, each):
            path = folder / f"{each.id}_{name.split()[0]}.png"
            write_png(figure, path)
            written.append(path)
    return written
