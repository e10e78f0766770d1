"""Double-difference relocation of neighbouring earthquakes (Waldhauser & Ellsworth 2000).

What two neighbours have in common on the way to a station drops out of the difference of their travel times, so that
places relative to each other come out far sharper than each by itself. Only relative places are determined: each group
of linked events keeps its centroid and its mean origin time. Errors are those of the differential times: a model or a
centroid that is wrong stretches or turns a group as a whole, which no residual shows (a velocity that is 10 % low makes
a group 10 % small).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.detection.differential_times import DifferentialTimes
from seisflow.detection.double_difference import ErrorConfig, System, covariances
from seisflow.detection.location import TravelTimes
from seisflow.domain import FloatArray, Grid
from seisflow.errors import InputError, PhysicsError

__all__ = ["Relocation", "RelocationConfig", "RelocationStage", "relocate"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RelocationStage:
    """Some iterations with one set of weights.

    Parameters
    ----------
    iterations : int
        At most; fewer when no event moves by more than the tolerance.
    correlation_weight, onset_weight : float
        Of differences from waveforms and from onsets; both are already weighted by the scatter of their residuals.
    correlation_distance, onset_distance : float, optional
        m. Weights fall to zero at this distance between the events as (1 - (s / c)^3)^3.
    cutoff : float
        Residuals beyond so many robust standard deviations have no weight (biweight).
    damping : float
        Over the root mean square of the columns of the system.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    iterations: int = 5
    correlation_weight: float = 1.0
    onset_weight: float = 1.0
    correlation_distance: float | None = None
    onset_distance: float | None = None
    cutoff: float = 6.0
    damping: float = 0.1

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.cutoff <= 0 or self.damping < 0:
            raise InputError(
                f"iterations = {self.iterations}, cutoff = {self.cutoff:g}, damping = {self.damping:g}: "
                "iterations and cutoff must be positive, damping not negative"
            )
        for name in ("correlation_distance", "onset_distance"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} = {value:g} m: must be positive, or left out")
        if min(self.correlation_weight, self.onset_weight) < 0:
            raise InputError(
                f"correlation_weight = {self.correlation_weight:g}, onset_weight = {self.onset_weight:g}: "
                "must not be negative"
            )


@dataclass(frozen=True)
class RelocationConfig:
    """How events are relocated.

    Parameters
    ----------
    stages : tuple of RelocationStage
        One after the other.
    min_links : int
        Stations and phases that two events must have in common to count as linked.
    least_error : float
        Error of a differential time in s that no scatter goes below.
    max_step : float
        m. No event moves further in one iteration.
    tolerance : float
        m. A stage ends when no event moves further.
    shallowest : float, optional
        Depth in m below sea level that no event rises above; top of the grid, if left out.
    errors : ErrorConfig
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    stages: tuple[RelocationStage, ...] = (
        RelocationStage(5, cutoff=8.0, damping=0.1),
        RelocationStage(8, cutoff=5.0, damping=0.01),
    )
    min_links: int = 4
    least_error: float = 0.0005
    max_step: float = 2000.0
    tolerance: float = 0.1
    shallowest: float | None = None
    errors: ErrorConfig = field(default_factory=ErrorConfig)

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("stages is empty: a relocation needs at least one stage")
        if self.min_links < 4:
            raise InputError(f"min_links = {self.min_links}: four unknowns need at least 4")
        if min(self.least_error, self.max_step, self.tolerance) <= 0:
            raise InputError(
                f"least_error = {self.least_error:g} s, max_step = {self.max_step:g} m, tolerance = "
                f"{self.tolerance:g} m: must be positive"
            )


@dataclass(frozen=True, eq=False)
class Relocation:
    """Events relocated by double differences.

    Parameters
    ----------
    places : ndarray (n, 3)
        x, y, z in m; as they came for events that were left out.
    times : ndarray (n,)
        Origin times in s, on the clock on which they came.
    covariances : ndarray (n, 4, 4)
        Of x, y, z in m and time in s, relative to the centroid of the group; NaN where there is none.
    groups : ndarray of int (n,)
        Number of the group of linked events; -1 for events that were left out.
    links : ndarray of int (n,)
        Differential times of each event that had weight at the end.
    held : ndarray of bool (n,)
        Whether the event was held back at the edge of the grid; its covariance says nothing then.
    left_out : dict of int to str
        Events that kept their place, and why.
    dropped : dict of str to int
        Numbers of differential times that had no weight at the end, by reason.
    scatter : dict of str to tuple of two float
        Weighted root mean square residual in s at the start and at the end, for ``correlation`` and ``onset``.
    """

    places: FloatArray
    times: FloatArray
    covariances: FloatArray
    groups: IntArray
    links: IntArray
    held: BoolArray
    left_out: dict[int, str]
    dropped: dict[str, int]
    scatter: dict[str, tuple[float, float]]


@dataclass(eq=False)
class _State:
    """Where the iterations are."""

    places: FloatArray
    delays: FloatArray
    lost: BoolArray
    held: BoolArray


@dataclass(frozen=True, eq=False)
class _Linearised:
    """What follows from the present places and the weights of a stage."""

    system: System
    used: IntArray
    residuals: FloatArray
    stretch: tuple[float, float]
    reasons: dict[str, int]


def relocate(
    places: FloatArray,
    times: FloatArray,
    links: DifferentialTimes,
    travel_times: TravelTimes,
    grid: Grid,
    config: RelocationConfig,
) -> Relocation:
    """Relocate events relative to each other (Waldhauser & Ellsworth 2000, eqs 4-15).

    The order of the links does not matter. Links of an event with itself, not finite, without weight, given twice
    (the one of largest weight stays) and of events outside the grid are dropped and counted. Weights are found anew
    in every iteration from residuals and distances. An event that loses all links keeps the place it came with.

    Parameters
    ----------
    places : ndarray (n, 3)
        m.
    times : ndarray (n,)
        Origin times in s.
    links : DifferentialTimes
    travel_times : callable
        See ``seisflow.detection.location.TravelTimes``.
    grid : Grid
        Where travel times are known; no event leaves it.
    config : RelocationConfig

    Returns
    -------
    Relocation

    Raises
    ------
    InputError
        If shapes do not fit, a place or time is not finite, or links name events, stations or phases that are not
        there.
    PhysicsError
        If no two events are linked.
    """
    low, high = _limits(grid, config)
    _check(places, times, links)
    outside: BoolArray = np.any((places < low) | (places > high), axis=1)
    clean, dropped = _cleaned(links, outside)
    state = _State(np.clip(places, low, high), np.zeros(len(places)), outside.copy(), np.zeros_like(outside))
    for stage in config.stages:
        for _ in range(stage.iterations):
            now = _linearised(clean, state, travel_times, stage, config)
            _lose(state, now.system.groups, places)
            if _moved(state, now, (low, high), stage.damping, config) < config.tolerance:
                break
    now = _linearised(clean, state, travel_times, config.stages[-1], config)
    _lose(state, now.system.groups, places)
    used = clean.take(now.used)
    start = _residuals(used, np.clip(places, low, high), np.zeros(len(places)), travel_times)[0]
    result = covariances(now.system, used, now.residuals, now.stretch, config.errors)
    counts = np.bincount(np.concatenate([used.first, used.second]), minlength=len(places))
    final, linked = places.astype(np.float64), now.system.groups >= 0
    final[linked] = state.places[linked]
    left_out = {
        int(event): "outside the grid"
        if outside[event]
        else f"fewer than {config.min_links} links with any event"
        for event in np.flatnonzero(~linked)
    }
    return Relocation(
        places=final,
        times=times + np.where(linked, state.delays, 0.0),
        covariances=result,
        groups=now.system.groups,
        links=counts,
        held=state.held & linked,
        left_out=left_out,
        dropped={name: count for name, count in (dropped | now.reasons).items() if count},
        scatter=_scatter(used, start, now),
    )


def _limits(grid: Grid, config: RelocationConfig) -> tuple[FloatArray, FloatArray]:
    """Corners of what events may not leave."""
    low, high = np.array(grid.origin, dtype=np.float64), np.array(grid.end, dtype=np.float64)
    if config.shallowest is not None:
        low[2] = max(low[2], config.shallowest)
    return low, high


def _check(places: FloatArray, times: FloatArray, links: DifferentialTimes) -> None:
    if places.ndim != 2 or places.shape[1] != 3 or times.shape != places.shape[:1]:
        raise InputError(f"places are {places.shape} and times {times.shape}; they must be (n, 3) and (n,)")
    if not (np.isfinite(places).all() and np.isfinite(times).all()):
        raise InputError("places and origin times must be finite; take events without a place out first")
    for name in ("first", "second"):
        events = getattr(links, name)
        if len(links) and not 0 <= events.min() <= events.max() < len(places):
            raise InputError(
                f"differential times name events {events.min()} to {events.max()} as {name}; "
                f"there are 0 to {len(places) - 1}"
            )
    if len(links) and min(links.station.min(), links.phase.min()) < 0:
        raise InputError("differential times have a negative number of a station or phase")


def _cleaned(links: DifferentialTimes, outside: BoolArray) -> tuple[DifferentialTimes, dict[str, int]]:
    """Links that can be used, sorted, smaller event first, and how many were dropped and why."""
    alone = links.first == links.second
    broken = ~alone & ~(np.isfinite(links.time) & np.isfinite(links.weight))
    weightless = ~alone & ~broken & (links.weight <= 0)
    good = ~(alone | broken | weightless)
    beyond = good & (outside[links.first] | outside[links.second])
    part = links.take(good & ~beyond)
    turned = part.first > part.second
    part = DifferentialTimes(
        np.where(turned, part.second, part.first),
        np.where(turned, part.first, part.second),
        part.station,
        part.phase,
        np.where(turned, -part.time, part.time),
        np.minimum(part.weight, 1.0),
        part.correlated,
    )
    keys = (part.correlated, part.phase, part.station, part.second, part.first)
    part = part.take(np.lexsort((part.time, -part.weight, *keys)))
    keys = (part.correlated, part.phase, part.station, part.second, part.first)
    new = np.ones(len(part), dtype=np.bool_)
    if len(part):
        new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    counts = {
        "of an event with itself": int(alone.sum()),
        "not finite": int(broken.sum()),
        "without weight": int(weightless.sum()),
        "of an event outside the grid": int(beyond.sum()),
        "given more than once": int((~new).sum()),
    }
    return part.take(new), counts


def _residuals(
    links: DifferentialTimes, places: FloatArray, delays: FloatArray, travel_times: TravelTimes
) -> tuple[FloatArray, FloatArray]:
    """Observed less predicted differences in s, and the derivatives of all travel times."""
    times, slopes = travel_times(places)
    if len(links) and (links.station.max() >= times.shape[0] or links.phase.max() >= times.shape[1]):
        raise InputError(
            f"differential times name station {links.station.max()} and phase {links.phase.max()}; the travel times "
            f"have {times.shape[0]} stations and {times.shape[1]} phases, counted from 0"
        )
    first = times[links.station, links.phase, links.first] + delays[links.first]
    second = times[links.station, links.phase, links.second] + delays[links.second]
    return links.time - (first - second), slopes


def _linearised(
    links: DifferentialTimes,
    state: _State,
    travel_times: TravelTimes,
    stage: RelocationStage,
    config: RelocationConfig,
) -> _Linearised:
    """Residuals, weights, groups and the linear system at the present places."""
    residuals, slopes = _residuals(links, state.places, state.delays, travel_times)
    usable = np.isfinite(residuals) & ~state.lost[links.first] & ~state.lost[links.second]
    for events in (links.first, links.second):
        usable &= np.isfinite(slopes[links.station, links.phase, events]).all(axis=1)
    residuals = np.where(usable, residuals, 0.0)
    information, distant, stretch = _weights(links, residuals, usable, state.places, stage, config)
    weighted = information > 0
    paired = _paired(links, weighted, config.min_links)
    used = np.flatnonzero(weighted & paired)
    if not used.size:
        raise PhysicsError(
            f"no two events have {config.min_links} differential times in common; raise max_distance, lower "
            "min_correlation or look at the residuals"
        )
    groups = _groups(links.take(used), len(state.places))
    system = System.build(links.take(used), slopes, information[used], groups)
    reasons = {
        "without a travel time or of a lost event": int((~usable).sum()),
        "too far apart": int((usable & distant).sum()),
        "too large a residual": int((usable & ~distant & ~weighted).sum()),
        "of events with too few in common": int((weighted & ~paired).sum()),
    }
    return _Linearised(system, used, residuals[used], stretch, reasons)


def _weights(
    links: DifferentialTimes,
    residuals: FloatArray,
    usable: BoolArray,
    places: FloatArray,
    stage: RelocationStage,
    config: RelocationConfig,
) -> tuple[FloatArray, BoolArray, tuple[float, float]]:
    """Weight of each link over its squared error in 1/s2, whether its events are too far apart, and the stretch.

    The stretch is that of ``covariances``, for correlated links and for others.
    """
    distance = np.sqrt(((places[links.first] - places[links.second]) ** 2).sum(axis=1))
    result, distant = np.zeros(len(links)), np.zeros(len(links), dtype=np.bool_)
    stretch = [1.0, 1.0]
    kinds = (
        (links.correlated, stage.correlation_weight, stage.correlation_distance),
        (~links.correlated, stage.onset_weight, stage.onset_distance),
    )
    for number, (mask, weight, limit) in enumerate(kinds):
        share = np.ones(len(links)) if limit is None else np.maximum(0.0, 1 - (distance / limit) ** 3) ** 3
        distant |= mask & (share * weight == 0)
        base = np.where(mask & usable, weight * share * links.weight, 0.0)
        live = base > 0
        if not live.any():
            continue
        error = max(1.4826 * float(np.median(np.abs(residuals[live]))), config.least_error)
        inner = np.maximum(
            0.0, 1 - (residuals / (stage.cutoff * error)) ** 2
        )  # biweight: weight is its square
        influence = float((base * inner * (5 * inner - 4)).sum())
        base *= inner**2
        stretch[number] = float(base.sum()) / influence if influence > 0 else float("nan")
        result += base / error**2
    return result, distant, (stretch[0], stretch[1])


def _paired(links: DifferentialTimes, weighted: BoolArray, least: int) -> BoolArray:
    """Whether the two events of a link have enough stations and phases in common; links are sorted."""
    result = np.zeros(len(links), dtype=np.bool_)
    rows = np.flatnonzero(weighted)
    if not rows.size:
        return result
    keys = np.stack([links.first, links.second, links.station, links.phase], axis=1)[rows]
    changed = np.ones((rows.size, 2), dtype=np.bool_)
    changed[1:, 0] = (keys[1:, :2] != keys[:-1, :2]).any(axis=1)
    changed[1:, 1] = (keys[1:] != keys[:-1]).any(axis=1)
    pair = np.cumsum(changed[:, 0]) - 1
    counts = np.bincount(pair, changed[:, 1])
    result[rows] = counts[pair] >= least
    return result


def _groups(links: DifferentialTimes, count: int) -> IntArray:
    """Number of the group of linked events, by its first event; -1 without links."""
    from scipy.sparse import coo_matrix  # imported late, see ``seisflow.fourier``
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(links), dtype=np.int8)
    graph = coo_matrix((ones, (links.first, links.second)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    linked = np.zeros(count, dtype=np.bool_)
    linked[links.first] = linked[links.second] = True
    result = np.full(count, -1, dtype=np.int64)
    names, starts, inverse = np.unique(labels[linked], return_index=True, return_inverse=True)
    order = np.empty(names.size, dtype=np.int64)
    order[np.argsort(starts, kind="stable")] = np.arange(names.size)
    result[linked] = order[inverse]
    return result


def _lose(state: _State, groups: IntArray, places: FloatArray) -> None:
    """Put events without links back, for good."""
    gone = (groups < 0) & ~state.lost
    state.places[gone], state.delays[gone] = places[gone], 0.0
    state.lost |= gone


def _moved(
    state: _State,
    now: _Linearised,
    limits: tuple[FloatArray, FloatArray],
    damping: float,
    config: RelocationConfig,
) -> float:
    """Move all linked events by one iteration; give the largest shift in m.

    What would leave the grid goes to its edge, and the rest is solved again with that given.
    """
    shift = _shifts(now.system, now.residuals, damping, config)
    linked = now.system.groups >= 0
    wanted = state.places + shift[:, :3]
    beyond = linked[:, None] & ((wanted < limits[0]) | (wanted > limits[1]))
    state.held = np.any(beyond, axis=1)
    if state.held.any():
        given = np.zeros_like(shift)
        given[:, :3] = np.where(beyond, np.clip(wanted, *limits) - state.places, 0.0)
        system, residuals = now.system.given(given, beyond, now.residuals)
        shift = _shifts(system, residuals, damping, config)
        shift[:, :3] = np.where(beyond, given[:, :3], shift[:, :3])
        wanted = state.places + shift[:, :3]
    before = state.places[linked]
    state.places[linked] = np.clip(wanted[linked], *limits)
    state.delays += shift[:, 3] / now.system.velocity
    return float(np.abs(state.places[linked] - before).max())


def _shifts(system: System, residuals: FloatArray, damping: float, config: RelocationConfig) -> FloatArray:
    """Solution of the system with the length of each step limited."""
    shift = system.solve(residuals, damping)
    length = np.sqrt((shift[:, :3] ** 2).sum(axis=1))
    return system.centred(shift * np.minimum(1.0, config.max_step / np.maximum(length, 1e-9))[:, None])


def _scatter(links: DifferentialTimes, start: FloatArray, now: _Linearised) -> dict[str, tuple[float, float]]:
    """Weighted root mean square residuals before and after."""
    result = {}
    weight = now.system.information
    for name, mask in (("correlation", links.correlated), ("onset", ~links.correlated)):
        if mask.any():
            total = weight[mask].sum()
            before, after = (
                float(np.sqrt((weight[mask] * each[mask] ** 2).sum() / total))
                for each in (start, now.residuals)
            )
            result[name] = before, after
    return result
