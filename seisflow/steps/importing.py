"""Bring files of any kind into a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import Event, Model
from seisflow.domain.layers import Layers, layered_model
from seisflow.errors import InputError, MissingError, SeisflowError
from seisflow.io.belonging import settle_ids
from seisflow.io.collect import Collected, collect
from seisflow.io.earth_grids import EarthGrid
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.models import read_model, write_model
from seisflow.io.placing import place_on_grid
from seisflow.io.responses import complete, merge_inventory, project_inventory
from seisflow.io.sac import sac_inventory
from seisflow.io.stations import inventory_stations, read_inventory, write_inventory
from seisflow.project import CONFIG_NAME, Project
from seisflow.steps.import_log import ImportLog
from seisflow.steps.recordings import REPLACE, Recordings

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
    remarks : list of str
        One sentence for each thing that was decided, or that cannot be used yet.
    """

    written: list[str] = field(default_factory=list)
    same: int = 0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def import_files(
    project: Project, paths: Sequence[Path], *, replace: bool = False, event: str | None = None
) -> Imported:
    """Import events, stations, recordings and models.

    Recordings are cut for the event that they belong to (``io.belonging``), with margins for the response removal,
    and join those that an event has. The file of an event also holds the event and the instruments of its stations; it
    follows when they are replaced. A layered model becomes ``models/m00.nc`` on the grid of the region, with its Q, its
    speeds shifted to the middle of the period bands; models on other grids are interpolated. What was left out is
    kept in ``observed/import_log.json``.

    Parameters
    ----------
    project : Project
    paths : sequence of Path
        Files and folders.
    replace : bool
        Replace what is there and differs; otherwise it is kept and listed.
    event : str, optional
        All recordings belong to this event.

    Returns
    -------
    Imported

    Raises
    ------
    MissingError
        If there is no such event, neither in the project nor among the files.
    """
    found = collect(paths)
    report = Imported(problems=list(found.problems))
    paths_there = sorted(project.events_folder.glob("*.xml"))  # event_ids remembers what was there before
    known: dict[str, Event] = {}
    for path in paths_there:
        try:
            known |= {each.id: each for each in read_quakeml(path) if each.id == path.stem}
        except SeisflowError as error:
            report.problems.append(str(error))
    if event is not None and event not in known.keys() | {each.id for each in found.events}:
        raise MissingError(
            f"--event {event}: there is no such event; events are "
            f"{', '.join(sorted(known.keys() | {each.id for each in found.events})) or 'none'}, import its file first"
        )
    changed = set()
    for each in found.events:
        try:
            if _put_event(project, each, known, replace, report):
                changed.add(each.id)
        except SeisflowError as error:
            report.problems.append(str(error))
    _settle(project, found, report)
    changed |= _put_stations(project, found, replace, report)
    changed |= _put_responses(project, found, report)
    _put_model(project, found, replace, report)
    log = ImportLog(project)
    if not project.config.stages:
        if len(found.stream):
            report.problems.append(
                f"{len(found.stream)} recordings: seisflow.yaml has no `data` and `stages`, which say how recordings "
                "of events are cut; continuous recordings stay where they are, name their folder in `detection.archive`"
            )
    elif len(found.stream) or changed:
        Recordings(project, replace, report, log).put(found.stream, known, changed, event)
    log.files(found.files, report.problems)
    log.save()
    return report


def _put_event(
    project: Project, event: Event, known: dict[str, Event], replace: bool, report: Imported
) -> bool:
    """Write an event; returns whether it took the place of another."""
    replaced = False
    if known.get(event.id) == event:
        report.same += 1
    elif event.id in known and not replace:
        report.problems.append(f"event {event.id} is in the project and differs; {REPLACE}")
    else:
        path, replaced = project.imported_event_path(event.id), event.id in known
        write_quakeml(path, event)
        known[event.id] = event
        report.written.append(f"{project.relative(path)} (event of {event.utc:%Y-%m-%d %H:%M:%S})")
    return replaced


# ---------------------------------------------------------------------- stations


def _settle(project: Project, found: Collected, report: Imported) -> None:
    """Give recordings the ids of the metadata; make stations of SAC headers where nothing else describes them."""
    if not len(found.stream):
        return
    inventory = project_inventory(project.station_files())
    merge_inventory(inventory, found.inventory)
    found.stream, problems, renamed = settle_ids(found.stream, inventory)
    report.problems += problems
    if renamed:
        report.remarks.append(f"recordings are called by the ids of their metadata: {_some(renamed)}")
    known = {f"{network.code}.{station.code}" for network in inventory for station in network}
    made = sac_inventory(found.stream, known)
    stations, torn = inventory_stations(made)
    report.problems += torn
    for _, each in made:
        merge_inventory(found.inventory, each)
    if stations:
        found.stations = [*found.stations, *stations]
        report.remarks.append(
            f"{_some([station.id for station in stations])}: known by SAC headers only; their places are those of "
            "the headers, their responses are not known"
        )


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _put_stations(project: Project, found: Collected, replace: bool, report: Imported) -> set[str]:
    """Write the StationXML; returns the stations that were replaced, as ``NET.STA``."""
    replaced = set()
    for _, responses in found.responses:
        complete(found.inventory, responses)
    for station in found.stations:
        try:
            path = project.station_path(station.id)
        except InputError as error:
            report.problems.append(str(error))
            continue
        inventory = found.inventory.select(network=station.network, station=station.code)
        if path.is_file() and not _channels(inventory) and _channels(read_inventory(path)):
            report.same += 1  # a list of places says nothing new about a station whose channels are known
            continue
        wrote = write_inventory(path, inventory, keep=not replace)
        if wrote == "same":
            report.same += 1
        elif wrote == "kept":
            report.problems.append(f"station {station.id} is in the project and differs; {REPLACE}")
        else:
            report.written.append(f"{project.relative(path)} (station)")
        if wrote == "replaced":
            replaced.add(station.id)
    return replaced


def _channels(inventory: Any) -> int:
    return sum(len(station.channels) for network in inventory for station in network)


def _put_responses(project: Project, found: Collected, report: Imported) -> set[str]:
    """Give responses of RESP files to stations that are in the project; returns those, as ``NET.STA``."""
    changed: set[str] = set()
    new = {station.id for station in found.stations}
    for where, responses in found.responses:
        names = sorted({f"{network.code}.{station.code}" for network in responses for station in network})
        for name in names:
            path = project.stations_folder / f"{name}.xml"
            if name in new:
                continue
            if "/" in name or not path.is_file():
                report.problems.append(
                    f"{where}: describes the instruments of {name}, but not where it is; import a STATIONS file or "
                    "a StationXML with the place, together with this file"
                )
                continue
            inventory = read_inventory(path)
            given, _ = complete(
                inventory, responses.select(network=name.split(".")[0], station=name.split(".")[1])
            )
            if given and write_inventory(path, inventory, keep=False) != "same":
                report.written.append(f"{project.relative(path)} ({given} responses of {Path(where).name})")
                changed.add(name)
            else:
                report.same += 1
    return changed


# ---------------------------------------------------------------------- the start model


def _put_model(project: Project, found: Collected, replace: bool, report: Imported) -> None:
    sources: list[tuple[Path, Model | EarthGrid | Layers]] = [*found.models, *found.layers]
    if len(sources) > 1:
        names = ", ".join(str(path) for path, _ in sources)
        report.problems.append(
            f"{len(sources)} models were found ({names}); import the one to start from alone"
        )
    if len(sources) != 1:
        return
    source, content = sources[0]
    path = project.model_path(0)
    there = path.is_file() and not replace
    try:
        model, remark = _start_model(project, source, content)
        difference = _difference(read_model(path), model) if there else ""
    except SeisflowError as error:
        report.problems.append(str(error))
        return
    if there:
        if difference:
            report.problems.append(f"{source}: {project.relative(path)} {difference}; {REPLACE}")
        else:
            report.same += 1
        return
    write_model(path, model)
    report.written.append(f"{project.relative(path)} (start model, {_size(model)} nodes{remark})")


def _start_model(project: Project, source: Path, content: Model | EarthGrid | Layers) -> tuple[Model, str]:
    """Make the start model, with a remark on what was done to it."""
    region = project.config.region
    if isinstance(content, Model):
        content.check(str(source))
        if content.projection != region.projection():
            raise InputError(
                f"{source}: its centre is {content.projection.latitude:g}, {content.projection.longitude:g}, that "
                f"of region in {CONFIG_NAME} is {region.latitude:g}, {region.longitude:g}; set region.latitude and "
                "region.longitude to those of the model"
            )
        return content, ""
    if isinstance(content, EarthGrid):
        model, remarks = place_on_grid(content, region.grid(), region.projection(), str(source))
        model.check(str(source))
        return model, "".join(f"; {remark}" for remark in remarks)
    return _layered(project, source, content)


def _layered(project: Project, source: Path, content: Layers) -> tuple[Model, str]:
    region = project.config.region
    periods = [period for stage in project.config.stages for period in stage.periods] or [1.0]
    middle = float(np.sqrt(min(periods) * max(periods)))
    grid = region.grid()
    model = layered_model(content, grid, region.projection(), middle)
    model.check(str(source))
    remark = ""
    if np.any(np.isfinite(np.concatenate([content.qp, content.qs]))):
        remark += f"; with its Q, and speeds of waves of {middle:.3g} s"
    thinnest = float(content.thickness[:-1].min(initial=np.inf))
    if thinnest < 2 * grid.spacing[2]:
        remark += (
            f"; layers of {thinnest:g} m are blurred, nodes are {grid.spacing[2]:g} m apart in z: a quarter of the "
            f"thickness, {thinnest / 4:g} m in region.spacing, keeps them"
        )
    return model, remark


def _difference(old: Model, new: Model) -> str:
    """Say how the model that is there differs, or nothing."""
    if old.projection != new.projection:
        return "is there and is centred on another point"
    if old.grid != new.grid:
        if old.grid.shape != new.grid.shape:
            return f"is there with {_size(old)} nodes, this one has {_size(new)}"
        return "is there and covers another region"
    before, now = old.fields() | old.quality(), new.fields() | new.quality()
    same = before.keys() == now.keys() and old.reference_frequency == new.reference_frequency
    same = same and all(np.array_equal(values, now[name]) for name, values in before.items())
    return "" if same else "is there with other values"


def _size(model: Model) -> str:
    return " x ".join(map(str, model.grid.shape))
