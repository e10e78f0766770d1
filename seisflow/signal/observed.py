"""The treatment of recordings: to ground motion on the common axis, then what synthetics go through too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seisflow.domain import Event, FloatArray, Gather, Rejection, Station, TimeSpan
from seisflow.signal.config import SignalConfig, TimeAxis
from seisflow.signal.pipeline import GEOGRAPHIC, RADIAL, conditioning, run
from seisflow.signal.quantity import conversion
from seisflow.signal.recordings import Recording, Unusable, channel_groups, usable_stretch
from seisflow.signal.resample import CUTOFF, Resample
from seisflow.signal.response import ground_motion

__all__ = ["prepare_observed"]

STAGE = "recording"
STANDARD = {"E": (90.0, 0.0), "N": (0.0, 0.0), "Z": (0.0, -90.0)}
"""Azimuth and dip in degrees of channels that no metadata describe."""
SKEW = 0.1
"""Largest sine of the angle at which a lone channel may depart from E, N or Z and still stand for it."""


@dataclass(frozen=True, eq=False)
class _Source:
    """What all recordings of an event are prepared with."""

    inventory: Any
    origin: Any
    axis: TimeAxis
    config: SignalConfig
    resamplers: dict[tuple[float, float, int], Resample] = field(default_factory=dict)

    @property
    def needed(self) -> TimeSpan:
        return TimeSpan(self.axis.start, self.axis.end)

    def resample(self, given: TimeAxis, samples: FloatArray) -> FloatArray:
        key = given.start, given.interval, given.samples
        if key not in self.resamplers:
            self.resamplers[key] = Resample(given, self.axis)
        return np.asarray(self.resamplers[key].apply(samples[None, None])[0, 0])


def prepare_observed(
    stream: Any,
    inventory: Any,
    event: Event,
    stations: tuple[Station, ...],
    axis: TimeAxis,
    config: SignalConfig,
) -> tuple[Gather, list[Rejection]]:
    """Turn raw recordings into seismograms that can be compared with treated synthetics.

    For each station the preferred instrument with most usable components is taken (BH before HH, high gain
    before accelerometers). Each channel is cut with margins, divided by its response (or converted, if it
    holds ground motion already), brought onto the common axis with the same anti-alias filter as synthetics,
    and turned to E, N, Z by the orientations in the metadata.
    Detrend, taper, band-pass and rotation are those of ``Pipeline``.

    Parameters
    ----------
    stream : obspy.Stream
        Raw recordings; may hold other stations and times. It is not changed.
    inventory : obspy.Inventory, optional
        Responses and orientations. None will do where recordings hold ground motion along E, N, Z.
    event : Event
    stations : tuple of Station
    axis : TimeAxis
        Of the result; a start before the origin keeps noise.
    config : SignalConfig

    Returns
    -------
    Gather
        One trace for each station and component; those without a usable recording are zero and not live.
    list of Rejection
        One for each trace that is not live, with the reason.

    Raises
    ------
    InputError
        If the axis cannot carry the band.
    """
    from obspy import UTCDateTime

    shared = conditioning(config, axis, event, stations)
    source = _Source(inventory, UTCDateTime(event.time), axis, config)
    data: FloatArray = np.zeros((len(stations), 3, axis.samples))
    found = np.zeros((len(stations), 3), dtype=bool)
    reasons: list[str] = []
    for number, station in enumerate(stations):
        traces = stream.select(network=station.network, station=station.code)
        data[number], found[number], reason = _station(source, traces)
        reasons.append(reason)
    live = found.copy()
    if config.rotate:
        live[:, :2] = found[:, :2].all(axis=1, keepdims=True)
    data[~live] = 0.0
    data = run(shared, data)
    data[~live] = 0.0
    components = RADIAL if config.rotate else GEOGRAPHIC
    rejections = [
        Rejection(stations[s].id, components[c], STAGE, reasons[s], axis.start, axis.end)
        for s, c in np.argwhere(~live)
    ]
    return Gather(stations, components, data, axis.start, axis.interval, config.quantity, live), rejections


def _station(source: _Source, traces: Any) -> tuple[FloatArray, Any, str]:
    """Find E, N, Z samples of a station, which of them there are, and what hindered the others."""
    nothing = np.zeros((3, source.axis.samples))
    best: tuple[FloatArray, Any, str] = nothing, np.zeros(3, dtype=bool), "no recording of this station"
    for number, group in enumerate(channel_groups(traces)):
        result = _instrument(source, group)
        if number == 0 or result[1].sum() > best[1].sum():
            best = result
        if best[1].all():
            break
    return best


def _instrument(source: _Source, group: dict[str, list[Any]]) -> tuple[FloatArray, Any, str]:
    rows, directions, reasons = [], [], []
    for channel, traces in group.items():
        try:
            recording = usable_stretch(
                traces, source.origin, source.needed, source.axis.interval, source.config.band[1]
            )
            metadata = _metadata(source, traces[0])
            directions.append(_direction(channel, metadata))
            rows.append(_on_axis(source, recording, metadata))
        except Unusable as problem:
            reasons.append(str(problem))
            del directions[len(rows) :]
    if not reasons:
        reasons.append(f"only {', '.join(group)} recorded")
    if not rows:
        return np.zeros((3, source.axis.samples)), np.zeros(3, dtype=bool), "; ".join(reasons)
    # The channels measure D u with u = E, N, Z; a component is known if its axis lies in their span.
    matrix = np.array(directions)
    inverse = np.linalg.pinv(matrix, rcond=SKEW)
    lost = np.linalg.norm(inverse @ matrix - np.eye(3), axis=0)
    return inverse @ np.array(rows), lost < SKEW, "; ".join(reasons)


def _on_axis(source: _Source, recording: Recording, metadata: Any) -> FloatArray:
    config = source.config
    if config.band[0] * CUTOFF <= 2 * recording.interval:
        raise Unusable(
            f"{recording.channel} is sampled every {recording.interval:g} s, too coarse for periods of "
            f"{config.band[0]:g} s"
        )
    given = TimeAxis(recording.start, recording.interval, len(recording.samples))
    if config.observed == "counts":
        if metadata is None or metadata.response is None:
            raise Unusable(f"{recording.channel} has no response in the station metadata")
        return source.resample(given, ground_motion(recording, metadata.response, source.needed, config))
    stages, converted = conversion(config.observed, config.quantity, given)
    return source.resample(converted, run(stages, recording.samples[None, None])[0, 0])


def _metadata(source: _Source, trace: Any) -> Any:
    """Find the channel of the inventory that describes a trace at the origin time, or None."""
    if source.inventory is None:
        return None
    stats = trace.stats
    chosen = source.inventory.select(
        network=stats.network,
        station=stats.station,
        location=stats.location,
        channel=stats.channel,
        time=source.origin,
    )
    channels = [channel for network in chosen for station in network for channel in station]
    return channels[0] if channels else None


def _direction(channel: str, metadata: Any) -> tuple[float, float, float]:
    """East, north and up of the direction in which a channel is positive."""
    if metadata is not None and metadata.azimuth is not None and metadata.dip is not None:
        azimuth, dip = float(metadata.azimuth), float(metadata.dip)
    elif channel[-1] in STANDARD:
        azimuth, dip = STANDARD[channel[-1]]
    else:
        raise Unusable(f"{channel} has no azimuth and dip in the station metadata")
    azimuth, dip = np.radians(azimuth), np.radians(dip)
    return float(np.cos(dip) * np.sin(azimuth)), float(np.cos(dip) * np.cos(azimuth)), float(-np.sin(dip))
