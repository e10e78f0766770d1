"""Bring files of any kind into a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import Event, Model, TimeSpan
from seisflow.domain.layers import Layers, layered_model
from seisflow.errors import SeisflowError
from seisflow.io.asdf import write_observed
from seisflow.io.collect import Collected, collect
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.models import read_model, write_model
from seisflow.io.provenance import Provenance
from seisflow.io.stations import write_inventory
from seisflow.io.waveforms import cut
from seisflow.project import Project

__all__ = ["Imported", "import_files"]


@dataclass
class Imported:
    """What an import did.

    Parameters
    ----------
    written : list of str
        Files of the project, with what is in them.
    same : int
        Things that were there already.
    problems : list of str
        One sentence for each thing that was left out.
    """

    written: list[str] = field(default_factory=list)
    same: int = 0
    problems: list[str] = field(default_factory=list)


def import_files(project: Project, paths: Sequence[Path], *, replace: bool = False) -> Imported:
    """Import events, stations, recordings and models.

    Recordings are cut for every event of the project that has none yet, with margins for the response removal.
    A layered model becomes ``models/m00.nc`` on the grid of the region; with Q its speeds are shifted to the middle
    of the period bands.

    Parameters
    ----------
    project : Project
    paths : sequence of Path
        Files and folders.
    replace : bool
        Replace what is there and differs; otherwise it is kept and listed.

    Returns
    -------
    Imported
    """
    found = collect(paths)
    report = Imported(problems=list(found.problems))
    known = {event: read_quakeml(project.event_path(event))[0] for event in project.event_ids}
    for event in found.events:
        _put_event(project, event, known, replace, report)
    _put_stations(project, found, replace, report)
    _put_model(project, found, replace, report)
    if len(found.stream):
        _put_recordings(project, found, list(known.values()), replace, report)
    return report


def _put_event(
    project: Project, event: Event, known: dict[str, Event], replace: bool, report: Imported
) -> None:
    if known.get(event.id) == event:
        report.same += 1
    elif event.id in known and not replace:
        report.problems.append(
            f"event {event.id} is in the project and differs; use --replace to take the new one"
        )
    else:
        path = project.event_path(event.id)
        write_quakeml(path, event)
        known[event.id] = event
        report.written.append(f"{project.relative(path)} (event of {event.utc:%Y-%m-%d %H:%M:%S})")


def _put_stations(project: Project, found: Collected, replace: bool, report: Imported) -> None:
    for station in found.stations:
        path = project.stations_folder / f"{station.id}.xml"
        inventory = found.inventory.select(network=station.network, station=station.code)
        wrote = write_inventory(path, inventory, keep=not replace)
        if wrote == "same":
            report.same += 1
        elif wrote == "kept":
            report.problems.append(
                f"station {station.id} is in the project and differs; use --replace to take the new one"
            )
        else:
            report.written.append(f"{project.relative(path)} (station)")


def _put_model(project: Project, found: Collected, replace: bool, report: Imported) -> None:
    sources: list[tuple[Path, Model | Layers]] = [*found.models, *found.layers]
    if len(sources) > 1:
        names = ", ".join(str(path) for path, _ in sources)
        report.problems.append(
            f"{len(sources)} models were found ({names}); import the one to start from alone"
        )
    if len(sources) != 1:
        return
    source, content = sources[0]
    try:
        model = content if isinstance(content, Model) else _on_grid(project, content)
        model.check(str(source))
    except SeisflowError as error:
        report.problems.append(str(error))
        return
    path = project.model_path(0)
    if path.is_file() and not replace:
        old = read_model(path)
        if old.grid == model.grid and all(
            np.array_equal(a, model.fields()[n]) for n, a in old.fields().items()
        ):
            report.same += 1
        else:
            report.problems.append(f"{source}: {project.relative(path)} is there and differs; use --replace")
        return
    write_model(path, model)
    report.written.append(
        f"{project.relative(path)} (start model, {' x '.join(map(str, model.grid.shape))} nodes)"
    )


def _on_grid(project: Project, layers: Layers) -> Model:
    region = project.config.region
    periods = np.array([stage.periods for stage in project.config.stages])
    middle = float(np.sqrt(periods.min() * periods.max()))
    return layered_model(layers, region.grid(), region.projection(), middle)


def _put_recordings(
    project: Project, found: Collected, events: Sequence[Event], replace: bool, report: Imported
) -> None:
    axis = project.config.data.axis()
    margin = max(2 * max(stage.periods[1] for stage in project.config.stages), 30.0)
    least = TimeSpan(axis.start, axis.end)
    inventory: Any = found.inventory
    if project.station_files():
        inventory = collect(project.station_files()).inventory
    placed = 0
    for event in events:
        stream, problems = cut(found.stream, event, axis.start - margin, axis.end + margin, least)
        report.problems += problems
        if not len(stream):
            continue
        placed += 1
        path = project.observed_path(event.id)
        if path.is_file() and not replace:
            report.same += 1
            continue
        try:
            write_observed(path, event, stream, inventory, provenance=Provenance("import"))
        except SeisflowError as error:
            report.problems.append(str(error))
            continue
        report.written.append(f"{project.relative(path)} ({len(stream)} recordings)")
    if not placed:
        spans = [(trace.stats.starttime, trace.stats.endtime) for trace in found.stream]
        first, last = min(start for start, _ in spans), max(end for _, end in spans)
        report.problems.append(
            f"{len(found.stream)} recordings from {first} to {last} belong to no event of the project; import the "
            "events first (or with them)"
        )
