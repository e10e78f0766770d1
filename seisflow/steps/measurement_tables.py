"""All measurements of an iteration as one Parquet file, made from the event files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seisflow.domain import Measurement, Rejection, Window
from seisflow.io.event_file import read_event
from seisflow.io.measurement_table import write_measurement_table
from seisflow.project import Project, iteration_name, step_name
from seisflow.records import Task
from seisflow.steps.measured import accepted_trial, after, band_names, is_measured
from seisflow.steps.tables import tables

__all__ = ["measurement_rows", "measurement_tables"]


def measurement_tables(project: Project) -> list[Path]:
    """The tables of all iterations in which something was measured; what is missing or out of date is made.

    Returns
    -------
    list of Path
        In the order of the iterations.
    """
    return tables(
        project,
        _task,
        project.measurements_path,
        lambda path, iteration: write_measurement_table(path, measurement_rows(project, iteration)),
    )


def _task(project: Project, iteration: int) -> Task | None:
    """What decides the table of an iteration: the records of its events, which name all that they read and wrote.

    None where nothing was measured.
    """
    name, stage = iteration_name(iteration), project.config.stages[project.stage_of(iteration)[0]]
    inputs = {"model": project.model_path(iteration - 1), "update": project.record_path(f"{name}/update")}
    trial = accepted_trial(project, iteration)
    for event in project.event_ids:
        inputs[f"event {event}"] = project.record_path(f"{name}/{step_name(0)}/{event}")
        if trial is not None:
            inputs[f"after {event}"] = project.record_path(f"{name}/{step_name(trial)}/{event}")
    settings = {
        "bands": list(band_names(project, iteration)),
        "misfits": [band.misfit.kind for band in stage.compared],
        "hold_out": sorted(project.config.hold_out),
    }
    there = {name: path for name, path in inputs.items() if path.is_file()}
    if not any(name.startswith("event ") for name in there):
        return None
    return Task(f"{name}/measurements", there, settings)


def measurement_rows(project: Project, iteration: int) -> Iterator[dict[str, Any]]:
    """What was measured in an iteration and what was refused, event by event; one event is in memory at a time.

    Yields
    ------
    dict
        Values by column of ``seisflow.io.measurement_table.COLUMNS``.
    """
    number, _ = project.stage_of(iteration)
    stage = project.config.stages[number]
    names = band_names(project, iteration)
    bands = [
        {
            "band": names[band.number],
            "shortest_period": band.periods[0],
            "longest_period": band.periods[1],
            "misfit_kind": band.misfit.kind,
        }
        for band in stage.compared
    ]
    shared = {"iteration": iteration, "stage": number + 1}
    trial = accepted_trial(project, iteration)
    for event in project.event_ids:
        if not is_measured(project, iteration, event):
            continue
        content = read_event(project.event_file(iteration, 0, event), waveforms=False)
        later = after(project, iteration, event, len(content.measurements))
        held = event in project.held_out, set(project.held_stations(event))
        known = {**shared, "event": event}
        for index, row in enumerate(content.measurements):
            found = {name: values[index] for name, values in later.items()}
            yield (
                known
                | bands[row.window.band]
                | _place(row.window, held)
                | _kept(row)
                | found
                | ({"step": trial} if later else {})
            )
        for refused in content.rejections:
            yield known | bands[refused.band] | _place(refused, held) | _refused(refused)


def _place(row: Window | Rejection, held: tuple[bool, set[str]]) -> dict[str, Any]:
    return {
        "station": row.station,
        "network": row.station.partition(".")[0],
        "component": row.component,
        "held_out": held[0] or row.station in held[1],
        "window_start": row.start,
        "window_end": row.end,
    }


def _kept(row: Measurement) -> dict[str, Any]:
    return {
        "kept": True,
        "candidates": 1,
        "waves": row.window.waves or None,
        "phases": " ".join(row.window.phases) or None,
        "by_hand": row.window.by_hand or None,
        "weight": row.window.weight,
        **{f"weight_{name}": value for name, value in asdict(row.window.factors).items()},
        "signal_to_noise": row.window.signal_to_noise,
        "misfit": row.value,
        "shift": row.shift,
        "dlna": row.dlna,
        "correlation": row.correlation,
        "error": row.error,
        "selected_shift": row.window.shift,
        "selected_dlna": row.window.dlna,
        "selected_correlation": row.window.correlation,
    }


def _refused(row: Rejection) -> dict[str, Any]:
    return {"kept": False, "rejected_by": row.stage, "reason": row.reason, "candidates": row.count}
