"""When P and S of an event arrive in the start model of the project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seisflow.detection.lookup import at_points
from seisflow.detection.travel_times import PHASES, station_positions, travel_time_grid, travel_times
from seisflow.domain import Event, FloatArray, Model, Station, TravelTimeTable
from seisflow.project import Project
from seisflow.steps.inputs import model_of
from seisflow.windows import WindowConfig

__all__ = ["model_times", "phase_times"]


def model_times(model: Model, event: Event, stations: Sequence[Station]) -> dict[str, FloatArray]:
    """First arrivals of P and S at stations: one solution of the eikonal equation each, with the event as the source.

    Stations lie on the flat surface of the simulation, or as deep below it as they are buried.

    Parameters
    ----------
    model : Model
    event : Event
    stations : sequence of Station

    Returns
    -------
    dict of str to ndarray (ns,)
        s.

    Raises
    ------
    InputError
        If event or stations lie beside the model.
    """
    flat = [replace(station, elevation=0.0) for station in stations]
    places = station_positions(flat, model.projection)
    x, y = model.projection.to_local(event.latitude, event.longitude)
    source = np.array([x, y, event.depth])
    grid = travel_time_grid(model.grid, np.vstack([places, source]))
    times = np.array([travel_times(model, source, speed, grid) for speed in PHASES.values()])
    hypocentre = Station("", event.id, event.latitude, event.longitude, burial=event.depth)
    table = TravelTimeTable(grid, (hypocentre,), tuple(PHASES), times[None].astype(np.float32), source[None])
    found = at_points(table, places)[0]
    return {phase: np.asarray(found[number], dtype=np.float64) for number, phase in enumerate(PHASES)}


def phase_times(
    project: Project, config: WindowConfig, event: Event, stations: Sequence[Station]
) -> dict[str, FloatArray] | None:
    """Travel times of the start model, if windows are selected with them."""
    if config.travel_times != "model":
        return None
    return model_times(model_of(project.model_path(0)), event, stations)
