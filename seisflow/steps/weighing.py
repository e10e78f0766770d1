"""Weights of the windows of an event, as the configuration sets them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from seisflow.config import StageConfig
from seisflow.domain import Rejection, Station, Window
from seisflow.project import Project
from seisflow.steps.inputs import epicentres
from seisflow.weights import Distance, WeightConfig, geographic_weights, weigh

__all__ = ["has_weights", "of_one_place", "source_factor", "weighted"]


def has_weights(stage: StageConfig) -> bool:
    """Whether any weight is other than 1."""
    return stage.weights != WeightConfig() or any(band.weight != 1 for band in stage.compared)


def source_factor(project: Project, event: str, reference: Distance) -> float:
    """Factor of an event among those that are inverted, or among those that are held out."""
    if reference is None:
        return 1.0
    group = project.used if event in project.used else project.held_out
    return geographic_weights(epicentres(project, group), reference)[group.index(event)]


def weighted(
    windows: Sequence[Window],
    stations: Sequence[Station],
    stage: StageConfig,
    source: float,
    held: Collection[str],
) -> dict[Window, Window]:
    """Windows with their weights, by what they were; those of stations that are held out among themselves."""
    known = {station.id: station for station in stations}
    bands = {band.number: band.weight for band in stage.compared}
    found: dict[Window, Window] = {}
    for out in (False, True):
        part = [window for window in windows if (window.station in held) == out]
        found |= zip(part, weigh(part, known, stage.weights, source, bands), strict=True)
    return found


def of_one_place(
    stations: Sequence[Station], traces: Mapping[str, int], apart: float
) -> tuple[set[str], list[Rejection]]:
    """Find stations that stand where another does.

    Parameters
    ----------
    stations : sequence of Station
    traces : mapping of str to int
        How many components of each station can be used.
    apart : float
        m; up to this distance two are one place. 0: none are.

    Returns
    -------
    set of str
        Those that are left out.
    list of Rejection
        Which are used in their stead.
    """
    from pyproj import Geod

    if not apart:
        return set(), []
    geod = Geod(ellps="WGS84")
    order = sorted(
        (station for station in stations if traces[station.id]), key=lambda each: (-traces[each.id], each.id)
    )
    cells: dict[tuple[int, int], list[Station]] = {}
    out: set[str] = set()
    rejections = []
    size = max(apart / 10_000, 1e-6)  # degrees; wider than the distance wherever there are regions
    for station in order:
        cell = round(station.latitude / size), round(station.longitude / size)
        near = [
            other
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            for other in cells.get((cell[0] + i, cell[1] + j), ())
            if abs(other.burial - station.burial) <= apart
            and geod.inv(station.longitude, station.latitude, other.longitude, other.latitude)[2] <= apart
        ]
        if near:
            out.add(station.id)
            reason = f"stands where {near[0].id} does, which is used (data.duplicates)"
            rejections.append(Rejection(station.id, "*", "duplicate", reason))
        else:
            cells.setdefault(cell, []).append(station)
    return out, rejections
