"""Bring files of any kind into a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import Event, Model, TimeSpan
from seisflow.domain.layers import Layers, layered_model
from seisflow.errors import InputError, SeisflowError
from seisflow.io.asdf import read_observed, write_observed
from seisflow.io.collect import Collected, collect
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.models import read_model, write_model
from seisflow.io.provenance import Provenance
from seisflow.io.stations import write_inventory
from seisflow.io.waveforms import cut, described
from seisflow.project import CONFIG_NAME, Project

__all__ = ["Imported", "import_files"]

_REPLACE = "use --replace to take the new one"


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

    Recordings are cut for every event of the project, with margins for the response removal, and join those
    that an event has. The file of an event also holds the event and the instruments of its stations; it follows when
    they are replaced. A layered model becomes ``models/m00.nc`` on the grid of the region; with Q its speeds are
    shifted to the middle of the period bands.

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
    paths_there = sorted(project.events_folder.glob("*.xml"))  # event_ids remembers what was there before
    known = {path.stem: read_quakeml(path)[0] for path in paths_there}
    changed = {event.id for event in found.events if _put_event(project, event, known, replace, report)}
    changed |= _put_stations(project, found, replace, report)
    _put_model(project, found, replace, report)
    if len(found.stream) or changed:
        _Recordings(project, replace, report).put(found, list(known.values()), changed)
    return report


def _put_event(
    project: Project, event: Event, known: dict[str, Event], replace: bool, report: Imported
) -> bool:
    """Write an event; returns whether it took the place of another."""
    replaced = False
    if known.get(event.id) == event:
        report.same += 1
    elif event.id in known and not replace:
        report.problems.append(f"event {event.id} is in the project and differs; {_REPLACE}")
    else:
        path, replaced = project.event_path(event.id), event.id in known
        write_quakeml(path, event)
        known[event.id] = event
        report.written.append(f"{project.relative(path)} (event of {event.utc:%Y-%m-%d %H:%M:%S})")
    return replaced


def _put_stations(project: Project, found: Collected, replace: bool, report: Imported) -> set[str]:
    """Write the StationXML; returns the stations that were replaced, as ``NET.STA``."""
    replaced = set()
    for station in found.stations:
        path = project.stations_folder / f"{station.id}.xml"
        inventory = found.inventory.select(network=station.network, station=station.code)
        wrote = write_inventory(path, inventory, keep=not replace)
        if wrote == "same":
            report.same += 1
        elif wrote == "kept":
            report.problems.append(f"station {station.id} is in the project and differs; {_REPLACE}")
        else:
            report.written.append(f"{project.relative(path)} (station)")
        if wrote == "replaced":
            replaced.add(station.id)
    return replaced


# ---------------------------------------------------------------------- the start model


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
        model, remark = _start_model(project, source, content)
    except SeisflowError as error:
        report.problems.append(str(error))
        return
    path = project.model_path(0)
    if path.is_file() and not replace:
        difference = _difference(read_model(path), model)
        if difference:
            report.problems.append(f"{source}: {project.relative(path)} {difference}; {_REPLACE}")
        else:
            report.same += 1
        return
    write_model(path, model)
    report.written.append(f"{project.relative(path)} (start model, {_size(model)} nodes{remark})")


def _start_model(project: Project, source: Path, content: Model | Layers) -> tuple[Model, str]:
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
    periods = np.array([stage.periods for stage in project.config.stages])
    middle = float(np.sqrt(periods.min() * periods.max()))
    grid = region.grid()
    model = layered_model(content, grid, region.projection(), middle)
    model.check(str(source))
    remark = ""
    if np.any(np.isfinite(np.concatenate([content.qp, content.qs]))):
        remark += f"; speeds are those at {middle:.3g} s by its Q"
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
    same = all(np.array_equal(values, new.fields()[name]) for name, values in old.fields().items())
    return "" if same else "is there with other values"


def _size(model: Model) -> str:
    return " x ".join(map(str, model.grid.shape))


# ---------------------------------------------------------------------- recordings


@dataclass
class _Recordings:
    """Puts recordings into the files of the events that they belong to.

    Parameters
    ----------
    project : Project
    replace : bool
    report : Imported
    """

    project: Project
    replace: bool
    report: Imported

    def __post_init__(self) -> None:
        config = self.project.config
        axis = config.axis()
        margin = max(2 * max(stage.periods[1] for stage in config.stages), 30.0)
        self.least = TimeSpan(axis.start, axis.end)
        self.wanted = TimeSpan(axis.start - margin, axis.end + margin)

    def put(self, found: Collected, events: Sequence[Event], changed: set[str]) -> None:
        """Cut, join and write; ``changed`` are events and stations (``NET.STA``) that were replaced."""
        self.inventory: Any = found.inventory
        if self.project.station_files():
            self.inventory = collect(self.project.station_files()).inventory
        spans = [(event.time + self.wanted.start, event.time + self.wanted.end) for event in events]
        near: list[Any] = []
        far: list[Any] = []
        for trace in found.stream:
            first, last = trace.stats.starttime.timestamp, trace.stats.endtime.timestamp
            (near if any(first <= b and last >= a for a, b in spans) else far).append(trace)
        if far:
            self.report.problems.append(_belong_to_none(far))
        stream, missing = described(near, self.inventory)
        self.report.problems += missing
        for event in events:
            try:
                self._put_event(event, stream, changed)
            except SeisflowError as error:
                self.report.problems.append(str(error))

    def _put_event(self, event: Event, stream: Any, changed: set[str]) -> None:
        pieces, problems = cut(stream, event, self.wanted.start, self.wanted.end, self.least)
        self.report.problems += problems
        path = self.project.observed_path(event.id)
        old = self._there(path)
        new = {piece.id: piece for piece in pieces if self._is_wanted(event, old.get(piece.id), piece)}
        refreshed = changed & {f"{trace.stats.network}.{trace.stats.station}" for trace in old.values()}
        if not new and not refreshed and not (old and event.id in changed):
            return
        joined, missing = described([*(old | new).values()], self.inventory)
        self.report.problems += missing
        write_observed(path, event, joined, self.inventory, provenance=Provenance("import"))
        words = [f"{len(joined)} recordings"]
        if old and new:
            words.append(f"{len(new)} of them new")
        if refreshed:
            words.append(f"new instruments of {', '.join(sorted(refreshed))}")
        self.report.written.append(f"{self.project.relative(path)} ({', '.join(words)})")

    def _there(self, path: Path) -> dict[str, Any]:
        """Recordings that an event has, by id; none of a damaged file that is to be replaced."""
        if not path.is_file():
            return {}
        try:
            return {trace.id: trace for trace in read_observed(path)[0]}
        except SeisflowError:
            if self.replace:
                return {}
            raise

    def _is_wanted(self, event: Event, old: Any, new: Any) -> bool:
        """Whether a recording is to be written; one that only goes on where the old one ends is."""
        if old is None:
            return True
        if _equal(old, new):
            self.report.same += 1
            return False
        if self.replace or _equal(old, new.slice(old.stats.starttime, old.stats.endtime)):
            return True
        if _equal(new, old.slice(new.stats.starttime, new.stats.endtime)):
            self.report.same += 1
            return False
        self.report.problems.append(f"{new.id}, event {event.id}: is in the project and differs; {_REPLACE}")
        return False


def _equal(one: Any, other: Any) -> bool:
    """Whether two traces have the same samples at the same times."""
    return (
        one.stats.npts == other.stats.npts
        and one.stats.starttime == other.stats.starttime
        and one.stats.sampling_rate == other.stats.sampling_rate
        and np.array_equal(one.data, other.data)
    )


def _belong_to_none(traces: Sequence[Any]) -> str:
    first, last = (
        datetime.fromtimestamp(time, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
        for time in (
            min(trace.stats.starttime.timestamp for trace in traces),
            max(trace.stats.endtime.timestamp for trace in traces),
        )
    )
    return (
        f"recordings between {first} and {last} belong to no event of the project, {len(traces)} in all; import "
        "their events first (or with them)"
    )
