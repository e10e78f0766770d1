"""The treatment of recordings: to ground motion on the common axis, then what synthetics go through too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seisflow.domain import Event, FloatArray, Gather, Rejection, Station, TimeSpan
from seisflow.signal.config import SignalConfig, TimeAxis
from seisflow.signal.pipeline import GEOGRAPHIC, RADIAL, conditioning, run
from seisflow.signal.quantity import conversion
from seisflow.signal.recordings import Recording, Unusable, channel_groups, compared_span, usable_stretch
from seisflow.signal.resample import CUTOFF, Resample
from seisflow.signal.response import MOTION, faded, ground_motion
from seisflow.signal.rotate import station_distances

__all__ = ["check_channel", "described_by", "epochs_of", "orientation", "prepare_observed"]

STAGE = "recording"
RESERVE = "duplicate"
"""Stage of what is said of a station of which one instrument of several is used."""
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

    def ramps(self, recording: Recording, compared: TimeSpan) -> tuple[float, float]:
        """Over how many s the ends fade: within the margins, or before and after what is compared."""
        fade = 0.5 * self.config.taper * (self.axis.end - self.axis.start)
        short, needed, tolerance = 0.5 * self.config.band[0], self.needed, self.axis.interval
        before = max(needed.start - recording.start, fade)
        after = max(recording.end - needed.end, fade)
        if recording.start > needed.start + tolerance:
            before = max(compared.start - recording.start, short)
        if recording.end < needed.end - tolerance:
            after = max(recording.end - compared.end, short)
        return before, after

    def partial(self, recording: Recording) -> bool:
        """Whether a recording starts late or ends early."""
        tolerance = self.axis.interval
        return recording.start > self.axis.start + tolerance or recording.end < self.axis.end - tolerance

    def resample(self, given: TimeAxis, samples: FloatArray) -> FloatArray:
        key = given.start, given.interval, given.samples
        if key not in self.resamplers:
            self.resamplers.clear()  # the channels of a station share one; those of a network would fill the memory
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
    and turned to E, N, Z by the orientations in the metadata. A recording that starts late or ends early is used
    if it covers what is compared (``compared_span``); it fades there, and is zero beyond.
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
        One for each trace that is not live, with the reason; then one for each station of which one instrument of
        several is used.

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
    reserves: list[Rejection] = []
    distances = station_distances(event, stations)
    recorded: dict[tuple[str, str], list[Any]] = {}
    for trace in stream:
        recorded.setdefault((trace.stats.network, trace.stats.station), []).append(trace)
    for number, station in enumerate(stations):
        traces = recorded.get((station.network, station.code), [])
        compared = compared_span(float(distances[number]), source.needed, config.band[1])
        data[number], found[number], reason, reserve = _station(source, traces, compared)
        reasons.append(reason)
        if reserve:
            reserves.append(Rejection(station.id, "*", RESERVE, reserve))
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
    gather = Gather(stations, components, data, axis.start, axis.interval, config.quantity, live)
    return gather, rejections + reserves


def _station(source: _Source, traces: Any, compared: TimeSpan) -> tuple[FloatArray, Any, str, str]:
    """Find E, N, Z samples of a station, which of them there are, what hindered the others; instruments in reserve."""
    nothing = np.zeros((3, source.axis.samples))
    best: tuple[FloatArray, Any, str] = nothing, np.zeros(3, dtype=bool), "no recording of this station"
    groups, used = channel_groups(traces), 0
    for number, group in enumerate(groups):
        result = _instrument(source, group, compared)
        if number == 0 or result[1].sum() > best[1].sum():
            best, used = result, number
        if best[1].all():
            break
    names = [_instrument_name(group) for group in groups]
    reserve = "" if len(names) < 2 else f"{names.pop(used)} is used, {', '.join(names)} in reserve"
    return *best, reserve


def _instrument_name(group: dict[str, list[Any]]) -> str:
    """Location and first letters of the channel codes, as ``00.BH``."""
    stats = next(iter(group.values()))[0].stats
    return f"{stats.location}.{stats.channel[:-1]}".lstrip(".")


def _instrument(
    source: _Source, group: dict[str, list[Any]], compared: TimeSpan
) -> tuple[FloatArray, Any, str]:
    rows, directions, reasons = [], [], []
    for channel, traces in group.items():
        try:
            recording = usable_stretch(
                traces, source.origin, source.needed, compared, source.axis.interval, source.config.band
            )
            metadata = described_by(source.inventory, traces[0], source.origin)
            directions.append(orientation(channel, metadata))
            check_channel(recording, metadata, source.config, epochs_of(source.inventory, traces[0]))
            rows.append(_on_axis(source, recording, metadata, compared))
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


def check_channel(recording: Recording, metadata: Any, config: SignalConfig, epochs: str = "") -> None:
    """Refuse a recording that is too coarse for the band, or whose response is needed and not known.

    Parameters
    ----------
    recording : Recording
    metadata : obspy.core.inventory.Channel or None
        By ``described_by``.
    config : SignalConfig
    epochs : str
        What the metadata describe instead, for the message.

    Raises
    ------
    Unusable
    """
    channel = recording.channel
    if config.band[0] * CUTOFF <= 2 * recording.interval:
        raise Unusable(
            f"{channel} is sampled every {recording.interval:g} s, too coarse for periods of {config.band[0]:g} s"
        )
    if config.observed != "counts":
        return
    if metadata is None or metadata.response is None or not metadata.response.response_stages:
        what = f" at the time of the event: they describe {epochs}" if epochs and metadata is None else ""
        raise Unusable(f"{channel} has no response in the station metadata{what}")
    sensitivity = metadata.response.instrument_sensitivity
    units = str(sensitivity.input_units).upper() if sensitivity is not None else "none"
    if units not in MOTION:
        raise Unusable(f"{channel} has a response to {units}, not to ground motion")


def _on_axis(source: _Source, recording: Recording, metadata: Any, compared: TimeSpan) -> FloatArray:
    config = source.config
    given = TimeAxis(recording.start, recording.interval, len(recording.samples))
    ramps = source.ramps(recording, compared)
    if config.observed == "counts":
        return source.resample(given, ground_motion(recording, metadata.response, ramps, config))
    samples = faded(recording, ramps) if source.partial(recording) else recording.samples
    stages, converted = conversion(config.observed, config.quantity, given)
    return source.resample(converted, run(stages, samples[None, None])[0, 0])


def described_by(inventory: Any, trace: Any, time: Any) -> Any:
    """Find the channel of an inventory that describes a trace at a time, or None.

    Where the location code of the trace is not described, and the metadata have one location only for the channel,
    that one is taken.

    Parameters
    ----------
    inventory : obspy.Inventory or None
    trace : obspy.Trace
    time : obspy.UTCDateTime
    """
    channels = [channel for channel in _channels(inventory, trace) if channel.is_active(time=time)]
    exact = [channel for channel in channels if channel.location_code == trace.stats.location]
    if exact:
        return exact[0]
    return channels[0] if len({channel.location_code for channel in channels}) == 1 else None


def _channels(inventory: Any, trace: Any) -> list[Any]:
    """All channels of a station by the code of a trace; of any location and time."""
    stats = trace.stats
    return [
        channel
        for network in inventory or ()
        if network.code == stats.network
        for station in network
        if station.code == stats.station
        for channel in station
        if channel.code == stats.channel
    ]


def epochs_of(inventory: Any, trace: Any) -> str:
    """Times for which the metadata describe a channel."""
    spans = [(channel.start_date, channel.end_date) for channel in _channels(inventory, trace)]
    return ", ".join(
        f"{start.date if start else 'the beginning'} to {end.date if end else 'now'}" for start, end in spans
    )


def orientation(channel: str, metadata: Any) -> tuple[float, float, float]:
    """East, north and up of the direction in which a channel is positive."""
    if metadata is not None and metadata.azimuth is not None and metadata.dip is not None:
        azimuth, dip = float(metadata.azimuth), float(metadata.dip)
    elif channel[-1] in STANDARD:
        azimuth, dip = STANDARD[channel[-1]]
    else:
        raise Unusable(f"{channel} has no azimuth and dip in the station metadata")
    azimuth, dip = np.radians(azimuth), np.radians(dip)
    return float(np.cos(dip) * np.sin(azimuth)), float(np.cos(dip) * np.cos(azimuth)), float(-np.sin(dip))
