"""Tables of travel times that are computed once and kept on disk by what they depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from seisflow.detection.travel_times import PHASES, Plan, TravelTimeConfig, station_times
from seisflow.domain import FloatArray, Grid, Model, Station, TravelTimeTable
from seisflow.errors import InputError
from seisflow.io.travel_time_files import read_times, write_times
from seisflow.native.eikonal import VERSION

__all__ = ["cached_table"]


def _model_hash(model: Model, phases: Sequence[str]) -> str:
    content = hashlib.sha256()
    for phase in phases:
        values = np.ascontiguousarray(getattr(model, PHASES[phase]), dtype="<f8")
        content.update(phase.encode())
        content.update(values.tobytes())
    return content.hexdigest()


def _grid_numbers(grid: Grid) -> list[list[float]]:
    return [list(map(float, part)) for part in (grid.origin, grid.spacing, grid.shape)]


def _key(common: dict[str, object], position: FloatArray) -> str:
    text = json.dumps(common | {"position": position.tolist()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def cached_table(
    folder: str | os.PathLike[str],
    model: Model,
    stations: Sequence[Station],
    phases: Sequence[str] = ("P", "S"),
    grid: Grid | None = None,
    config: TravelTimeConfig | None = None,
    threads: int = 1,
    top: float | None = None,
) -> TravelTimeTable:
    """What ``make_table`` gives, from disk where it was made before.

    There is one file a station, named by the station and by the hash of the speeds, the grids, the position, the
    configuration and the version of the solver. A damaged file is made anew.

    Parameters
    ----------
    folder : path
        Made, if it is missing.
    model, stations, phases, grid, config, threads
        As for ``make_table``.
    top : float, optional
        Depth in m that the grid must reach at least: with that of the highest of all stations, the times of one do
        not depend on which others are asked for.

    Returns
    -------
    TravelTimeTable

    Raises
    ------
    InputError
        As ``make_table``.
    WorkError
        If there is no space for a file.
    """
    plan = Plan.of(model, stations, phases, grid, config, top)
    common: dict[str, object] = {
        "version": VERSION,
        "model": _model_hash(model, plan.phases),
        "phases": plan.phases,
        "grids": [_grid_numbers(each) for each in (model.grid, plan.solved, plan.wanted)],
        "config": asdict(plan.config),
    }
    keys = [_key(common, position) for position in plan.positions]
    paths = [
        Path(folder) / f"{station.id}_{key[:16]}.h5" for station, key in zip(stations, keys, strict=True)
    ]
    times = np.empty((len(stations), len(phases), *plan.wanted.shape), dtype=np.float32)
    missing = []
    for number, (path, key) in enumerate(zip(paths, keys, strict=True)):
        try:
            times[number] = read_times(path, key, plan.phases, plan.wanted.shape)
        except InputError:  # missing or damaged: both are made anew
            missing.append(number)
    if missing:
        for number, values in zip(missing, station_times(model, plan, missing, threads), strict=True):
            times[number] = values
            write_times(paths[number], keys[number], plan.phases, values)
    return TravelTimeTable(plan.wanted, plan.stations, plan.phases, times, plan.positions)
