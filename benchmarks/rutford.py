"""Icequakes of the Rutford Ice Stream: scores against the published list, and a picture of twenty new ones.

usage: python benchmarks/rutford.py PROJECT CATALOGUE [--to PICTURE] [--count 20]

PROJECT is a project in which ``seisflow detect`` ran (docs/rutford.md), CATALOGUE the published list. Twenty of the
events that templates alone found are drawn, spread evenly over the list from the highest to the lowest
correlation over threshold: P on the vertical and S on the east component of each station, aligned.

With ``--shifted N`` the templates run N times more with the stations shifted in time against each other: what fits
then fits at no place. Told are all such matches, and those that are left without the stations that see a match of the
catalog at that time (``seisflow.detection.shifted``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from seisflow.detection.compare import compare, comparison_text
from seisflow.domain import Catalog, Detection
from seisflow.io.catalog_files import load_catalog, read_catalog
from seisflow.io.template_files import read_templates
from seisflow.project import Project
from seisflow.report import write_png
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.steps.detect.match import MatchedFilter
from seisflow.steps.detect.survey import Survey
from seisflow.steps.detect.templates import templates_path

TIME, DISTANCE = 0.25, 500.0
"""s and m within which an event is one of the published ones."""
AROUND = 3.0
"""s that are read around the time searched."""
BEFORE, AFTER = 0.3, 0.9
"""s of an alignment that are drawn, around the predicted arrival."""


def stacked(survey: Survey, event: Detection) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Seismograms of an event aligned on its predicted arrivals: times, and by phase one row a station."""
    times = survey.travel_times(np.array([event.place]))[0][..., 0]
    config = ContinuousConfig(interval=0.002, band=(10.0, 90.0))
    start, end = event.time - BEFORE - 0.1, event.time + float(times.max()) + AFTER + 0.1
    (data,), _ = survey.recordings(start, end, [config])
    axis = np.arange(-BEFORE, AFTER, data.interval)
    known = data.start + np.arange(data.samples) * data.interval
    rows: dict[str, np.ndarray] = {}
    for column, phase in enumerate(survey.phases):
        component = data.components.index("Z" if phase == "P" else "E")
        rows[phase] = np.array(
            [
                np.interp(event.time + times[station, column] + axis, known, data.data[station, component])
                for station in range(len(survey.stations))
            ]
        )
    return axis, rows


def sheet(survey: Survey, events: list[Detection]) -> plt.Figure:
    """One small picture an event: P on the vertical (black) and S on the east component (red), a row a station."""
    figure, panels = plt.subplots(4, (len(events) + 3) // 4, figsize=(11, 9), sharex=True, sharey=True)
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, event in zip(panels.flat, events, strict=False):
        axis, rows = stacked(survey, event)
        panel.axvline(0, color="0.8", lw=0.8)
        for shift, (phase, color) in enumerate((("P", "k"), ("S", "tab:red"))):
            for number, row in enumerate(rows[phase]):
                panel.plot(
                    axis, -number - 11 * shift + 0.7 * row / (np.abs(row).max() or 1.0), color=color, lw=0.4
                )
        panel.set_title(f"{event.id[9:]}  {event.value:.2f} / {event.threshold:.2f}", fontsize=7, pad=2)
    figure.suptitle(
        "Found by templates alone: P (black) and S (red) at ten stations, 1.2 s, aligned", fontsize=9
    )
    figure.tight_layout(pad=0.4, rect=(0, 0, 1, 0.97))
    return figure


def shifted_alarms(survey: Survey, catalog: Catalog, rounds: int) -> None:
    """Print how many matches there are on shifted stations, beside those that templates alone found."""
    config = survey.config.matching
    templates, alike = read_templates(templates_path(survey))
    matched = MatchedFilter(templates, alike, config, 1)
    alone = np.array([each.value / each.threshold for each in catalog if each.method == "template"])
    every: list[float] = []
    left: list[float] = []
    least = config.templates.padding + survey.longest
    span, share = survey.end - survey.start, 0.0
    for seed in range(rounds):
        (data,), _ = survey.recordings(survey.start - AROUND, survey.end + AROUND, [config.recordings])
        true = matched.merged(matched.peaks(data).peaks)
        rest, seconds = matched.shifted(data, true, least, seed)
        (data,), _ = survey.recordings(survey.start - AROUND, survey.end + AROUND, [config.recordings])
        every += matched.shifted(data, [], least, seed)[0]
        left += rest
        share += seconds / span / rounds
    print(f"{100 * share:.0f} % of the time has enough stations without a known match")
    for ratio in (1.0, 1.1, 1.2, 1.3, 1.5, 2.0):
        found = int((alone >= ratio).sum())
        shifted = float((np.array(every) >= ratio).sum()) / rounds
        unknown = float((np.array(left) >= ratio).sum()) / rounds / share
        print(
            f"correlation over threshold >= {ratio:.1f}: {found} by templates alone; shifted {shifted:.1f}, without "
            f"known matches {unknown:.1f}"
        )


def main() -> None:
    """Read the arguments; print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--to", type=Path, default=None)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--shifted", type=int, default=0)
    options = parser.parse_args()
    project = Project.open(options.project)
    projection = project.config.region.projection()
    reference = read_catalog(options.catalogue, projection)
    catalog = load_catalog(project.detection_folder / "catalog.h5")
    for method in ("beam", "template"):
        mine = catalog.with_detections(tuple(each for each in catalog if each.method == method))
        print(f"{method}: {len(mine)} events")
        print(comparison_text(compare(mine, reference, TIME, DISTANCE)), "\n")
    if options.shifted:
        shifted_alarms(Survey.open(project), catalog, options.shifted)
    alone = sorted(
        (each for each in catalog if each.method == "template"), key=lambda one: -one.value / one.threshold
    )
    if not alone or options.to is None:
        return
    places = np.linspace(0, len(alone) - 1, min(options.count, len(alone))).round().astype(int)
    write_png(sheet(Survey.open(project), [alone[place] for place in places]), options.to, dots_per_inch=90)
    print(options.to)


if __name__ == "__main__":
    main()
