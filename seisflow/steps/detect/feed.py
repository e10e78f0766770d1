"""Events of a catalog become events of a project for tomography, with their recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from seisflow.domain import Catalog, Detection, Event, MomentTensor, Projection
from seisflow.errors import InputError, MissingError
from seisflow.io.catalog_files import load_catalog
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.responses import project_inventory
from seisflow.io.stations import write_inventory
from seisflow.project import CONFIG_NAME, Project
from seisflow.steps.detect.survey import Survey, reading_lock
from seisflow.steps.import_log import ImportLog
from seisflow.steps.importing import Imported
from seisflow.steps.recordings import Recordings

__all__ = ["Choice", "Fed", "feed"]


@dataclass(frozen=True)
class Choice:
    """Which events are taken.

    Parameters
    ----------
    ids : tuple of str
        These; all, if empty.
    magnitude : float, optional
        Least magnitude.
    error : float, optional
        Largest horizontal error in m.
    most : int, optional
        The so many of largest magnitude; without magnitudes, of largest value over threshold.
    """

    ids: tuple[str, ...] = ()
    magnitude: float | None = None
    error: float | None = None
    most: int | None = None

    def of(self, catalog: Catalog) -> list[Detection]:
        """The events that are taken, in the order of their times.

        Raises
        ------
        MissingError
            If an id is not in the catalog.
        InputError
            If nothing is left.
        """
        known = {each.id for each in catalog}
        unknown = [name for name in self.ids if name not in known]
        if unknown:
            raise MissingError(f"{', '.join(unknown)}: no such event in the catalog; its csv lists them")
        found = [each for each in catalog if not self.ids or each.id in self.ids]
        told = [f"{len(found)} events"]
        if self.magnitude is not None:
            least = self.magnitude
            found = [each for each in found if each.magnitude and each.magnitude.value >= least]
            told.append(f"{len(found)} of them with a magnitude of {least:g} or more")
        if self.error is not None:
            largest = self.error
            found = [each for each in found if each.horizontal_error <= largest]
            told.append(f"{len(found)} of these with a horizontal error of {largest / 1e3:g} km or less")
        if not found:
            raise InputError(f"no event is left: {', '.join(told)}; choose others, or other limits")
        if self.most is not None:
            found = sorted(found, key=_rank)[: self.most]
        return sorted(found, key=lambda each: each.time)


def _rank(detection: Detection) -> tuple[float, float, float]:
    size = detection.magnitude.value if detection.magnitude else -np.inf
    score = detection.value / detection.threshold
    return -size, -(score if np.isfinite(score) else -np.inf), detection.time


@dataclass
class Fed(Imported):
    """What was written, and what was not.

    Parameters
    ----------
    events : list of str
        Ids in the project.
    """

    events: list[str] = field(default_factory=list)


def feed(source: Project, target: Project, choice: Choice) -> Fed:
    """Write the events of a catalog into a project and cut their recordings.

    The mechanism is not known: the source is isotropic, with the scalar moment of the magnitude (of magnitude 2 without
    one). An event that is there already keeps its source.

    Raises
    ------
    MissingError, InputError
        If there is no catalog, no such event, or the project has no tomography or is elsewhere.
    """
    axis = target.config.axis()
    catalog = load_catalog(source.detection_folder / "catalog.h5")
    report = Fed()
    chosen = _within(choice.of(catalog), catalog.projection, target, report)
    survey = Survey.open(source)
    _put_stations(source, target, report)
    log = ImportLog(target)
    margin = 2 * max(period for stage in target.config.stages for period in stage.periods)
    events = {}
    recordings = Recordings(target, False, report, log)
    for each in chosen:
        event = _event(each, catalog.projection)
        path = target.imported_event_path(event.id)
        if path.is_file():
            event = read_quakeml(path)[0]
            report.same += 1
        else:
            write_quakeml(path, event)
            report.written.append(f"{target.relative(path)} (event of {event.utc:%Y-%m-%d %H:%M:%S})")
        report.events.append(event.id)
        events[event.id] = event
        with reading_lock:
            stream, problems = survey.archive.read(
                event.time + axis.start - margin, event.time + axis.end + margin
            )
        report.problems += problems
        recordings.put(stream, {event.id: event}, set(), event.id)
    log.save()
    return report


def _within(
    detections: list[Detection], projection: Projection, target: Project, report: Fed
) -> list[Detection]:
    """Events within the region of a project; the others are reported.

    Raises
    ------
    InputError
        If there is none.
    """
    region, inside = target.config.region, []
    grid, other = region.grid(), region.projection()
    for each in detections:
        place = projection.to_geographic(each.x, each.y)
        if grid.contains((*other.to_local(*place), max(each.z, 0.0))):
            inside.append(each)
        else:
            report.problems.append(
                f"{each.id}: left out; {place[0]:.3f} N, {place[1]:.3f} E, {each.z / 1e3:.1f} km deep lies outside "
                "the region"
            )
    if not inside:
        raise InputError(
            f"{target.root / CONFIG_NAME}: region is {region.width / 1e3:g} x {region.height / 1e3:g} km, "
            f"{region.depth / 1e3:g} km deep, around {region.latitude:g} N, {region.longitude:g} E; none of "
            f"{len(detections)} chosen events is in it; set region to where they are"
        )
    return inside


def _event(detection: Detection, projection: Projection) -> Event:
    latitude, longitude = projection.to_geographic(detection.x, detection.y)
    size = detection.magnitude.value if detection.magnitude else 2.0
    moment = 10 ** (1.5 * size + 9.1) * np.sqrt(2 / 3)  # Hanks & Kanamori 1979; each of three equal forces
    tensor = MomentTensor(moment, moment, moment, 0.0, 0.0, 0.0)
    return Event(detection.id, detection.time, latitude, longitude, max(detection.z, 0.0), tensor)


def _put_stations(source: Project, target: Project, report: Fed) -> None:
    """Stations of another project that are not there yet, a file each."""
    if source.root == target.root:
        return
    there = {
        (network.code, station.code)
        for network in project_inventory(target.station_files())
        for station in network
    }
    inventory = project_inventory(source.station_files())
    for network, station in sorted({(net.code, station.code) for net in inventory for station in net}):
        if (network, station) in there:
            report.same += 1
            continue
        goal = target.station_path(f"{network}.{station}")
        write_inventory(goal, inventory.select(network=network, station=station), keep=False)
        report.written.append(f"{target.relative(goal)} (station)")
