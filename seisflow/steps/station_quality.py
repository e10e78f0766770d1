"""Stations over all events of an iteration: what their traces say of polarity, clock and gain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from seisflow.domain import TraceFit
from seisflow.io.event_file import read_event
from seisflow.project import Project
from seisflow.steps.measured import band_names, is_measured
from seisflow.weights import StationFault, station_faults, station_rows

__all__ = ["faults_of", "newest_selection", "quality_rows", "trace_fits_of"]


def newest_selection(project: Project) -> int | None:
    """The newest iteration in which windows were selected, and with them whole traces compared; None before."""
    for iteration in range(project.iterations, 0, -1):
        if any(is_measured(project, iteration, event) for event in project.event_ids):
            return project.windows_iteration(iteration)
    return None


def trace_fits_of(project: Project, iteration: int) -> dict[str, tuple[TraceFit, ...]]:
    """How the traces of each event compared when the windows of an iteration were selected."""
    selected = project.windows_iteration(iteration)
    return {
        event: read_event(project.event_file(selected, 0, event), waveforms=False).traces
        for event in project.event_ids
        if is_measured(project, selected, event)
    }


def faults_of(project: Project, iteration: int) -> list[StationFault]:
    """Stations whose recordings are wrong in the same way over several events."""
    stage = project.config.stages[project.stage_of(iteration)[0]]
    periods = {band.number: band.periods[0] for band in stage.compared}
    return station_faults(trace_fits_of(project, iteration), periods, project.config.compared.observed)


def quality_rows(project: Project) -> Iterator[dict[str, Any]]:
    """The table ``station_quality``: a row for each station, component and band, from the newest selection.

    Yields
    ------
    dict
        Values by column.
    """
    iteration = newest_selection(project)
    if iteration is None:
        return
    bands = band_names(project, iteration)
    faults: dict[str, list[str]] = {}
    for fault in faults_of(project, iteration):
        faults.setdefault(fault.station, []).append(f"{fault.kind}: {fault.evidence}")
    for row in station_rows(trace_fits_of(project, iteration)):
        told = "; ".join(faults.get(row.station, [])) or None
        yield asdict(row) | {"iteration": iteration, "band": bands[row.band], "fault": told}
