"""The events that templates are made of: detections of the beam, a catalog, synthetics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from seisflow.detection.templates import TemplateConfig
from seisflow.detection_config import DetectionConfig
from seisflow.domain import Catalog, Continuous, Detection, FloatArray, Projection, Station
from seisflow.errors import MissingError
from seisflow.io.archive import Day, days
from seisflow.io.catalog_files import read_catalog
from seisflow.io.event_file import read_event
from seisflow.project import CONFIG_NAME, Project
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.synthetics import as_recordings
from seisflow.steps.detect.days import Recorded, day_name

__all__ = ["catalog_events", "catalog_file", "picked", "source_days", "synthetic", "synthetic_files"]


def catalog_file(project: Project, config: TemplateConfig) -> Path:
    """The catalog whose events make templates.

    Raises
    ------
    MissingError
        If it is not there.
    """
    path = project.root / (config.path or "")
    if not path.is_file():
        raise MissingError(
            f"{project.root / CONFIG_NAME}: detection.matching.templates.path = {config.path}: there is no such file; "
            "give a catalog (QuakeML, CSV or one of seisflow), relative to the project"
        )
    return path


def catalog_events(project: Project, config: TemplateConfig) -> Catalog:
    """The events of that catalog.

    Raises
    ------
    MissingError, InputError
        If the file is not there or cannot be read.
    """
    path = catalog_file(project, config)
    stat = path.stat()
    region = project.config.region.projection()
    return _catalog(path, stat.st_mtime_ns, stat.st_size, (region.latitude, region.longitude))


@lru_cache(maxsize=2)
def _catalog(path: Path, mtime: int, size: int, centre: tuple[float, float]) -> Catalog:
    return read_catalog(path, Projection(*centre))


def source_days(
    project: Project, config: DetectionConfig, parts: Sequence[Day], recorded: Recorded
) -> tuple[Day, ...]:
    """The days whose events make templates: searched ones, or those of a catalog on which something was recorded."""
    matching = config.matching
    if matching is None or matching.templates.source == "synthetics":
        return ()
    if matching.templates.source == "beam":
        chosen = matching.templates.days
        return tuple(day for day in parts if chosen is None or day_name(day) in chosen)
    times = catalog_events(project, matching.templates).times
    midnights = np.unique(np.floor(times / 86400) * 86400).tolist()
    whole = [day for midnight in midnights for day in days(midnight, midnight + 86400, 0.0)]
    return tuple(day for day in whole if recorded.within(day.start, day.read_to))


def picked(
    detection: Detection, times: FloatArray, stations: Sequence[Station], phases: Sequence[str]
) -> FloatArray:
    """Travel times (ns, np) in s of an event of a catalog: those of its picks, where it has some.

    Of several picks of a phase (Pg, Pn) the first counts. Stations may be named without their network.
    """
    result: FloatArray = times.copy()
    known: dict[tuple[str, str], float] = {}
    for each in detection.arrivals:
        key = (each.station, each.phase[:1].upper())
        known[key] = min(each.time, known.get(key, np.inf))
    for row, station in enumerate(stations):
        for column, phase in enumerate(phases):
            time = known.get((station.id, phase), known.get((station.code, phase)))
            if time is not None:
                result[row, column] = time - detection.time
    return result


def synthetic_files(project: Project, config: TemplateConfig, model: Path) -> list[Path]:
    """Files of synthetics, as ``seisflow simulate`` writes them, sorted.

    Raises
    ------
    MissingError
        If there are none.
    """
    folder = project.root / (config.path or f"simulations/{model.stem}")
    found = sorted(folder.glob("*.h5"))
    if not found:
        raise MissingError(
            f"{project.relative(folder)}: no synthetics for templates there; `seisflow simulate --event EVENT --model "
            f"{model.stem.removeprefix('m').lstrip('0') or '0'}` makes them"
        )
    return found


def synthetic(
    path: Path, stations: Sequence[Station], config: ContinuousConfig, projection: Projection
) -> tuple[Detection, Continuous]:
    """A simulated event, and its seismograms treated as recordings, largest amplitude 1.

    It has no magnitude: recordings are in counts, synthetics in m/s, so that their ratio is no size.

    Raises
    ------
    InputError
        If the file holds no synthetics.
    """
    content = read_event(path, tags=("synthetic",))
    event = content.event
    data = as_recordings(content.gathers["synthetic"], event.time, stations, config)
    x, y = projection.to_local(event.latitude, event.longitude)
    known = Detection(event.id, event.time, float(x), float(y), event.depth, "import", remark="simulated")
    return known, data
