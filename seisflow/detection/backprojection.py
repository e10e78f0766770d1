"""Backprojection: features summed along the travel times of every node, and the best node per origin time.

The beam of node k at origin time t is the weighted mean of the features of the stations that k uses, each at
t + travel time, over those that are live (after Frank & Shapiro 2014, doi:10.1093/gji/ggu041, who sum).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seisflow.detection.device_features import DeviceFeatures
from seisflow.domain import Beam, Features, FloatArray, Projection, TravelTimeTable
from seisflow.errors import InputError
from seisflow.native.beam import BeamInput, BeamPlan
from seisflow.native.cuda_beam import CudaBeam
from seisflow.native.device import Device

__all__ = [
    "BackprojectionConfig",
    "Backprojector",
    "Delays",
    "backproject",
    "beam_at",
    "delays_of",
    "row_weights",
    "circular_shifts",
    "shift_stations",
]


@dataclass(frozen=True)
class BackprojectionConfig:
    """Which features the beam of a node sums, and when the node takes part.

    Parameters
    ----------
    bounds : {"strict", "flexible"}
        A node takes part only at origin times for which all its arrivals are inside the data; or also at others,
        with what is outside counting as not live.
    nearest : int, optional
        Each node sums over so many stations nearest to it: by distance, or by travel time of the first phase
        where distances are not known.
    max_distance : float, optional
        m. And over none farther away than this.
    min_live : float
        Share of the weights of a node that must be live for it to take part, above 0 to 1.
    min_stations : int
        Nodes with fewer stations never take part; nor do others while less is live than the share of so many of
        their stations.
    station_weights, phase_weights : dict of str to float
        Positive; 1 for what is not named. The weight of a row is the product.
    precision : {"single", "half"}
        ``half`` rounds features to 11 bits, which halves what a GPU moves; the beam is the same with and without one.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    bounds: Literal["strict", "flexible"] = "strict"
    nearest: int | None = None
    max_distance: float | None = None
    min_live: float = 0.5
    min_stations: int = 4
    station_weights: dict[str, float] = field(default_factory=dict)
    phase_weights: dict[str, float] = field(default_factory=dict)
    precision: Literal["single", "half"] = "single"

    def __post_init__(self) -> None:
        if self.bounds not in ("strict", "flexible"):
            raise InputError(f"bounds = {self.bounds!r}: must be 'strict' or 'flexible'")
        if self.min_stations < 1:
            raise InputError(f"min_stations = {self.min_stations}: must be at least 1")
        if self.nearest is not None and self.nearest < self.min_stations:
            raise InputError(
                f"nearest = {self.nearest}: no node would have min_stations = {self.min_stations}; raise it, or leave "
                "it out"
            )
        if self.max_distance is not None and not self.max_distance > 0:
            raise InputError(f"max_distance = {self.max_distance} m: must be positive, or left out")
        if not 0 < self.min_live <= 1:
            raise InputError(f"min_live = {self.min_live}: must be above 0 and at most 1")
        for name in ("station_weights", "phase_weights"):
            for key, weight in getattr(self, name).items():
                if not (weight > 0 and np.isfinite(weight)):
                    raise InputError(f"{name}: weight of {key} is {weight}; it must be positive")


@dataclass(frozen=True, eq=False)
class Delays:
    """Travel times in whole samples.

    Parameters
    ----------
    stations : tuple of str
        Ids, length ns.
    phases : tuple of str
        Length np.
    samples : ndarray of int32 (nodes, ns, np)
        From the origin time to the arrival; may be negative, such as with station corrections.
    interval : float
        s.
    distances : ndarray (nodes, ns), optional
        m.
    """

    stations: tuple[str, ...]
    phases: tuple[str, ...]
    samples: npt.NDArray[np.int32]
    interval: float
    distances: FloatArray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.stations), len(self.phases))
        if self.samples.ndim != 3 or self.samples.shape[1:] != shape or self.samples.dtype != np.int32:
            raise InputError(
                f"delays of {shape[0]} stations and {shape[1]} phases need int32 (nodes, stations, phases), found "
                f"{self.samples.dtype} {self.samples.shape}"
            )
        if self.distances is not None and self.distances.shape != self.samples.shape[:2]:
            raise InputError(
                f"distances have shape {self.distances.shape}, the delays need {self.samples.shape[:2]}"
            )

    def select(self, stations: tuple[str, ...], phases: tuple[str, ...]) -> Delays:
        """Those of some stations and phases, in their order.

        Raises
        ------
        InputError
            If there are none of one of them.
        """
        if (stations, phases) == (self.stations, self.phases):
            return self
        for kind, wanted, here in (("station", stations, self.stations), ("phase", phases, self.phases)):
            missing = [name for name in wanted if name not in here]
            if missing:
                raise InputError(
                    f"no travel times for {kind} {', '.join(missing)}; compute them too, or leave out its features"
                )
        rows = [self.stations.index(name) for name in stations]
        columns = [self.phases.index(name) for name in phases]
        distances = None if self.distances is None else self.distances[:, rows]
        samples = np.ascontiguousarray(self.samples[:, rows][:, :, columns])
        return replace(self, stations=stations, phases=phases, samples=samples, distances=distances)


def delays_of(table: TravelTimeTable, interval: float, projection: Projection | None = None) -> Delays:
    """Round travel times to samples.

    Parameters
    ----------
    table : TravelTimeTable
        Its nodes become sources by their flat number (C order).
    interval : float
        s.
    projection : Projection, optional
        Of the grid; gives the distances of nodes and stations along straight lines.

    Returns
    -------
    Delays

    Raises
    ------
    InputError
        If a travel time is not finite.
    """
    ns, phases = table.times.shape[:2]
    times = table.times.reshape(ns, phases, -1)
    for s, p in np.ndindex(ns, phases):
        if not np.all(np.isfinite(times[s, p])):
            node = int(np.argmin(np.isfinite(times[s, p])))
            raise InputError(
                f"travel time of {table.phases[p]} from node {node} to {table.stations[s].id} is {times[s, p, node]}; "
                "compute the table again, or leave out the station"
            )
    samples = np.empty((table.grid.size, ns, phases), dtype=np.int32)
    for s, p in np.ndindex(ns, phases):
        samples[:, s, p] = np.rint(times[s, p].astype(np.float64) / interval)
    distances = None if projection is None else _distances(table, projection)
    return Delays(tuple(s.id for s in table.stations), table.phases, samples, interval, distances)


def _distances(table: TravelTimeTable, projection: Projection) -> FloatArray:
    """Straight lines from nodes to stations, (nodes, ns) in m."""
    grid = table.grid
    result = np.empty((grid.size, len(table.stations)))
    for number, station in enumerate(table.stations):
        x, y = projection.to_local(station.latitude, station.longitude)
        z = station.burial - station.elevation
        east, north, down = (grid.x - x) ** 2, (grid.y - y) ** 2, (grid.z - z) ** 2
        result[:, number] = np.sqrt(east[:, None, None] + north[None, :, None] + down[None, None, :]).ravel()
    return result


def _use(delays: Delays, config: BackprojectionConfig) -> npt.NDArray[np.bool_]:
    """Which stations a node sums over, (nodes, ns)."""
    nodes, ns = delays.samples.shape[:2]
    use = np.ones((nodes, ns), dtype=np.bool_)
    if config.nearest is not None and config.nearest < ns:
        far = delays.samples[:, :, 0] if delays.distances is None else delays.distances
        use[:] = False
        order = np.argsort(far, axis=1, kind="stable")[:, : config.nearest]
        np.put_along_axis(use, order, True, axis=1)
    if config.max_distance is not None:
        if delays.distances is None:
            raise InputError("max_distance needs distances; give the projection with the travel times")
        use &= delays.distances <= config.max_distance
    use[use.sum(axis=1) < config.min_stations] = False
    if not use.any():
        raise InputError(
            f"no node has min_stations = {config.min_stations} of {ns} stations; lower it, or raise max_distance"
        )
    return use


def _check_interval(features: Features | DeviceFeatures, delays: Delays) -> None:
    if abs(delays.interval - features.interval) > 1e-9 * features.interval:
        raise InputError(
            f"delays are in samples of {delays.interval} s, the features have {features.interval} s; round the travel "
            "times to the interval of the features"
        )


def _checked(
    features: Features | DeviceFeatures, delays: Delays, config: BackprojectionConfig
) -> tuple[Delays, npt.NDArray[np.bool_]]:
    """Delays of the rows of the features, and which stations a node sums over."""
    _check_interval(features, delays)
    for kind, named, here in (
        ("station_weights", config.station_weights, delays.stations),
        ("phase_weights", config.phase_weights, delays.phases),
    ):
        unknown = [name for name in named if name not in here]
        if unknown:
            raise InputError(f"{kind} names {', '.join(unknown)}; known are {', '.join(here)}")
    chosen = delays.select(features.stations, features.phases)
    return chosen, _use(chosen, config)


def _given(
    features: Features | DeviceFeatures, use: npt.NDArray[np.bool_], config: BackprojectionConfig
) -> BeamInput:
    station = [config.station_weights.get(name, 1.0) for name in features.stations]
    phase = [config.phase_weights.get(name, 1.0) for name in features.phases]
    count = np.maximum(use.sum(axis=1), 1)
    least = np.minimum(np.maximum(config.min_live, config.min_stations / count), 1.0)
    weights, strict = np.outer(station, phase), config.bounds == "strict"
    if isinstance(features, DeviceFeatures):
        return BeamInput(features.capped(), features.live.view(np.bool_), weights, least, strict)
    values, live = np.ascontiguousarray(features.capped()), np.ascontiguousarray(features.live)
    if config.precision == "half":
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused as not finite
            values = values.astype(np.float16).astype(np.float32)
    return BeamInput(values, live, weights, least, strict)


def row_weights(
    features: Features | DeviceFeatures,
    delays: Delays,
    config: BackprojectionConfig,
    nodes: npt.NDArray[np.integer],
) -> FloatArray:
    """Weights of the rows in the beams of some nodes.

    Parameters
    ----------
    features : Features or DeviceFeatures
    delays : Delays
    config : BackprojectionConfig
    nodes : ndarray of int (n,)
        Flat numbers.

    Returns
    -------
    ndarray (n, ns, np)
        0 for stations that a node does not sum over.
    """
    chosen = delays.select(features.stations, features.phases)
    if not nodes.size:
        return np.zeros((0, len(features.stations), len(features.phases)))
    distances = None if chosen.distances is None else chosen.distances[nodes]
    use = _use(replace(chosen, samples=chosen.samples[nodes], distances=distances), config)
    station = [config.station_weights.get(name, 1.0) for name in features.stations]
    phase = [config.phase_weights.get(name, 1.0) for name in features.phases]
    result: FloatArray = use[:, :, None] * np.outer(station, phase)[None]
    return result


class Backprojector:
    """Backprojection of many stretches of features with the same delays: what these alone decide is made once.

    Parameters
    ----------
    delays : Delays
    config : BackprojectionConfig
    threads : int
        The result does not depend on it by a bit.
    device : Device, optional
        A GPU to do it on, with the same bits.
    """

    def __init__(
        self, delays: Delays, config: BackprojectionConfig, threads: int = 1, device: Device | None = None
    ) -> None:
        self.delays, self.config, self.threads, self.device = delays, config, threads, device
        self._rows: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._use = np.zeros((0, 0), dtype=np.bool_)
        self._plan: BeamPlan | None = None
        self._on_device: CudaBeam | None = None

    def __call__(self, features: Features | DeviceFeatures) -> Beam:
        """Best node per origin time; see ``backproject``. Features that lie on the device are taken there."""
        rows = (features.stations, features.phases)
        if self._plan is None or rows != self._rows:
            chosen, self._use = _checked(features, self.delays, self.config)
            self._plan, self._rows = BeamPlan(chosen.samples, self._use), rows
            half = self.config.precision == "half"
            self._on_device = None if self.device is None else CudaBeam(self.device, self._plan, half=half)
        _check_interval(features, self.delays)
        there = isinstance(features, DeviceFeatures)
        if self._on_device is None or self.device is None:
            here = features.on_host() if isinstance(features, DeviceFeatures) else features
            given = _given(here, self._use, self.config)
            found = self._plan.maximum(given, self.threads)
        else:
            with self.device.lock:
                given = _given(features, self._use, self.config)
                found = self._on_device.maximum(given, there=there)
        return Beam(features.start, features.interval, found.maximum, found.node, found.share)


def backproject(features: Features, delays: Delays, config: BackprojectionConfig, threads: int = 1) -> Beam:
    """Best node per origin time, at every sample of the features.

    Parameters
    ----------
    features : Features
    delays : Delays
        For all stations and phases of the features; others are left out.
    config : BackprojectionConfig
    threads : int
        The result does not depend on it by a bit.

    Returns
    -------
    Beam
        The maximum is a mean, so it does not grow with the number of stations.

    Raises
    ------
    InputError
        If delays or weights do not fit the features, or a live feature is not finite.
    """
    return Backprojector(delays, config, threads)(features)


def beam_at(
    features: Features,
    delays: Delays,
    times: npt.NDArray[np.int64],
    config: BackprojectionConfig,
    threads: int = 1,
) -> FloatArray:
    """Beam of every node at a few origin times, for location and for pictures.

    Parameters
    ----------
    features : Features
    delays : Delays
    times : ndarray of int (n,)
        Samples of the features.
    config : BackprojectionConfig
    threads : int

    Returns
    -------
    ndarray of float32 (n, nodes)
        NaN where a node does not take part.

    Raises
    ------
    InputError
        As ``backproject``.
    """
    chosen, use = _checked(features, delays, config)
    plan, given = BeamPlan(chosen.samples, use), _given(features, use, config)
    return plan.values(given, np.atleast_1d(times), threads)


def circular_shifts(stations: int, samples: int, gap: int, seed: int) -> npt.NDArray[np.int64]:
    """Shifts of stations in samples, any two at least a gap apart, round the circle too; by chance otherwise."""
    rng = np.random.default_rng(seed)
    free = samples - stations * gap
    steps = np.sort(rng.integers(0, free + 1, stations)) + gap * np.arange(stations)
    result: npt.NDArray[np.int64] = rng.permutation(steps)
    return result


def shift_stations(
    features: Features | DeviceFeatures, seed: int, min_shift: float
) -> Features | DeviceFeatures:
    """Shift the features of each station in a circle: data without events but with the noise of the true ones.

    Phases of a station move together, so what one station sees of an event stays; that several agree does not.

    Parameters
    ----------
    features : Features or DeviceFeatures
    seed : int
    min_shift : float
        s. Any two stations differ by at least this, round the circle too; take more than the longest travel time.

    Returns
    -------
    Features or DeviceFeatures
        As what was given.

    Raises
    ------
    InputError
        If the data are too short for so many stations.
    """
    ns, nt = len(features.stations), features.samples
    gap = int(np.ceil(min_shift / features.interval))
    free = nt - ns * gap
    if free < 0 or gap < 1:
        raise InputError(
            f"min_shift = {min_shift} s: {ns} stations need {ns * min_shift} s of data and a positive shift, found "
            f"{nt * features.interval} s; lower it or take longer data"
        )
    return features.rolled(circular_shifts(ns, nt, gap, seed))
