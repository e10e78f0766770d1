"""All window candidates of an iteration as one Parquet file, made from the event files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.domain import STAGES, BandCandidates, Rejection, Window
from seisflow.io.event_candidates import read_candidates
from seisflow.io.event_file import read_event
from seisflow.io.measurement_table import write_candidate_table
from seisflow.project import Project, iteration_name, step_name
from seisflow.records import Task
from seisflow.steps.measured import band_names, is_measured
from seisflow.steps.tables import tables

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["candidate_tables"]


def candidate_tables(project: Project) -> list[Path]:
    """The tables of all iterations in which windows were selected; what is missing or out of date is made.

    Returns
    -------
    list of Path
        In the order of the iterations.
    """
    return tables(
        project,
        _task,
        project.candidates_path,
        lambda path, iteration: write_candidate_table(path, _parts(project, iteration)),
    )


def _task(project: Project, iteration: int) -> Task | None:
    """What decides the table: the records of the events; None where no windows were selected."""
    name = iteration_name(iteration)
    paths = {
        f"event {event}": project.record_path(f"{name}/{step_name(0)}/{event}") for event in project.event_ids
    }
    there = {key: path for key, path in paths.items() if path.is_file()}
    if project.windows_iteration(iteration) != iteration or not there:
        return None
    return Task(f"{name}/candidates", there, {"bands": list(band_names(project, iteration))})


def _parts(project: Project, iteration: int) -> Iterator[pa.Table]:
    """Candidates event by event, band by band; one is in memory at a time."""
    names = band_names(project, iteration)
    for event in project.event_ids:
        if not is_measured(project, iteration, event):
            continue
        path = project.event_file(iteration, 0, event)
        content = read_event(path, waveforms=False)
        for band, found in read_candidates(path).items():
            windows = [row.window for row in content.measurements if row.window.band == band]
            lost = [row for row in content.rejections if row.band == band]
            shared = {"iteration": iteration, "event": event, "band": names[band]}
            yield _table(found, windows, lost, shared)


def _table(
    found: BandCandidates, windows: Sequence[Window], lost: Sequence[Rejection], shared: dict[str, Any]
) -> pa.Table:
    """One event and band. What the selection kept and something later took away is not kept."""
    import pyarrow as pa

    table, count = found.table, len(found.table)
    stages = [*STAGES, *sorted({row.stage for row in lost} - set(STAGES))]
    stage = table.stage.astype(np.int32)
    start, end = found.times(table.left), found.times(table.right)
    used = {(each.station, each.component, each.start, each.end) for each in windows}
    later = {(row.station, row.component, row.start, row.end): row.stage for row in lost}
    for row in np.flatnonzero(stage == 0).tolist():
        trace = found.stations[table.station[row]], found.components[table.component[row]]
        place = (*trace, float(start[row]), float(end[row]))
        if place not in used and place in later:
            stage[row] = stages.index(later[place])

    def text(numbers: Any, names: Sequence[str], mask: Any = None) -> Any:
        places = pa.array(numbers.astype(np.int32), mask=mask)
        return pa.DictionaryArray.from_arrays(places, pa.array(names, pa.string())).cast(pa.string())

    def number(values: Any) -> Any:
        return pa.array(values, mask=np.isnan(values))

    def same(value: Any, kind: Any) -> Any:
        return pa.repeat(pa.scalar(value, kind), count)

    return pa.table(
        {
            "iteration": same(shared["iteration"], pa.int32()),
            "event": same(shared["event"], pa.string()),
            "station": text(table.station, found.stations),
            "component": text(table.component, found.components),
            "band": same(shared["band"], pa.string()),
            "peak": pa.array(found.times(table.peak)),
            "window_start": pa.array(start),
            "window_end": pa.array(end),
            "kept": pa.array(stage == 0),
            "rejected_by": text(stage, stages, stage == 0),
            "value": number(table.value),
            "threshold": number(table.limit),
        }
    )
