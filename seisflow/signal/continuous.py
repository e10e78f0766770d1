"""Continuous recordings of a network on one time axis, filtered, with a mask of what is live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seisflow.domain import Continuous, FloatArray, Station
from seisflow.errors import InputError
from seisflow.signal import response
from seisflow.signal.config import SignalConfig
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.observed import SKEW, described_by, orientation
from seisflow.signal.polyphase import resampled
from seisflow.signal.recordings import Recording, Unusable
from seisflow.signal.resample import CUTOFF
from seisflow.signal.stretches import Stretch, stretches

__all__ = ["ContinuousConfig", "ground_motion", "prepare", "prepare_stations"]

Mask = npt.NDArray[np.bool_]

GEOGRAPHIC = "ENZ"
NUMBERED = {"1": "N", "2": "E", "3": "Z"}
"""What channels with numbers are taken for, if no metadata tell their directions."""


@dataclass(frozen=True)
class _Axis:
    """Where results go, and what is read for it."""

    origin: int  # POSIX nanoseconds of the first sample
    samples: int
    config: ContinuousConfig
    inventory: Any

    @property
    def length(self) -> float:
        return self.samples * self.config.interval

    @property
    def span(self) -> tuple[float, float]:
        """What is used, s from the first sample."""
        return -self.config.margin, self.length + self.config.margin


@dataclass(eq=False)
class _Instrument:
    """The channels of one sensor: same location, band and instrument code."""

    location: str
    code: str
    channels: dict[str, list[Any]] = field(default_factory=dict)
    directions: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def prepare(
    stream: Any,
    stations: Sequence[Station],
    config: ContinuousConfig,
    start: float,
    end: float,
    inventory: Any = None,
) -> tuple[Continuous, list[str]]:
    """Bring raw recordings of a network to one time axis, filtered.

    Each stretch without a gap is demeaned, interpolated to the axis with an anti-alias filter, faded in and out over
    the settling length of the band-pass and filtered on its own; that length next to its ends is not live. Nothing
    is filled into gaps, spikes and steps stay. To have ``start`` to ``end`` live throughout, give recordings from
    ``start - config.margin`` to ``end + config.margin``.

    Of each station one sensor is used (a location with a band and an instrument code): the one whose channels have
    recorded most between ``start`` and ``end``, in whole percents summed over its channels; of equal ones by
    ``config.bands``, then ``config.instruments``, then the lower location code. Its channels are turned to E, N, Z by
    the azimuths and dips of the inventory, which sets the polarity of verticals too. Without metadata, channels that
    end in 1, 2, 3 count as N, E, Z, and that is said.

    Pieces that repeat each other are merged; where they disagree, those that come first in the stream are taken.
    Where the sampling rate changes, each stretch is interpolated with its own.

    Parameters
    ----------
    stream : obspy.Stream
        In counts, as recorded; the most trusted first. Is left as it is.
    stations : sequence of Station
        Those of the result, in this order.
    config : ContinuousConfig
    start, end : float
        s since 1970-01-01 UTC. The last sample lies before ``end``, so that days follow each other.
    inventory : obspy.Inventory, optional
        Directions of the channels.

    Returns
    -------
    Continuous
        float32, in counts; zero where not live.
    list of str
        One sentence for each thing that could not be used, or was not as expected.

    Raises
    ------
    InputError
        If the end is not after the start.
    """
    by_station: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for trace in stream:
        by_station[trace.stats.network, trace.stats.station].append(trace)
    parts = ((traces, list[str]()) for traces in by_station.values())
    return prepare_stations(parts, stations, config, start, end, inventory)


def prepare_stations(
    parts: Iterable[tuple[Any, list[str]]],
    stations: Sequence[Station],
    config: ContinuousConfig,
    start: float,
    end: float,
    inventory: Any = None,
) -> tuple[Continuous, list[str]]:
    """Do the same as ``prepare`` with recordings that come station by station, as ``Archive.stations`` reads them.

    Never more than the recordings of one station are in memory beside the result.

    Parameters
    ----------
    parts : iterable of (obspy.Stream, list of str)
        Each all recordings of one station, and what was wrong with its files, which is passed on.
    stations, config, start, end, inventory
        As for ``prepare``.

    Returns
    -------
    Continuous
    list of str

    Raises
    ------
    InputError
        If the end is not after the start, or a station comes twice.
    """
    samples = int(np.ceil((end - start) / config.interval - 1e-6))
    if samples < 1:
        raise InputError(f"no recordings from {start} to {end} s: the end must follow the start")
    axis = _Axis(round(start * 1e9), samples, config, inventory)
    numbers = {(station.network, station.code): number for number, station in enumerate(stations)}
    shape = (len(stations), len(config.components), samples)
    data, live = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    problems: list[str] = []
    seen: set[tuple[str, str]] = set()
    for stream, complaints in parts:
        problems.extend(complaints)
        traces = list(stream)
        if not traces:
            continue
        key = (traces[0].stats.network, traces[0].stats.station)
        if key in seen or any((each.stats.network, each.stats.station) != key for each in traces):
            raise InputError(f"recordings of {'.'.join(key)} do not come in one part of their own")
        seen.add(key)
        if key not in numbers:
            problems.append(
                f"{'.'.join(key)}: no metadata describe it, {len(traces)} recordings were left out; "
                "import its StationXML"
            )
            continue
        found = _station(traces, axis, data[numbers[key]], live[numbers[key]])
        problems.extend(f"{'.'.join(key)}: {each}" for each in found)
    lacking = [station.id for station in stations if (station.network, station.code) not in seen]
    problems.extend(f"{name}: nothing was recorded in this span" for name in lacking)
    result = Continuous(tuple(stations), config.components, data, live, axis.origin * 1e-9, config.interval)
    return result, problems


# --- which channels


def _station(traces: list[Any], axis: _Axis, data: FloatArray, live: Mask) -> list[str]:
    """Fill in one station; returns what was wrong."""
    sensors = _sensors(traces, axis)
    problems = [each for sensor in sensors for each in sensor.problems]
    usable = [sensor for sensor in sensors if sensor.channels]
    if not usable:
        return problems or ["no channel can be used"]
    chosen = min(usable, key=lambda sensor: _rank(sensor, axis))
    rows, masks = {}, {}
    for channel in sorted(chosen.channels):
        rows[channel], masks[channel], found = _channel(chosen.channels[channel], axis)
        problems.extend(f"{chosen.location}.{channel} {each}" for each in found)
    return [*problems, *_turn(chosen, rows, masks, axis.config.components, (data, live))]


def _sensors(traces: list[Any], axis: _Axis) -> list[_Instrument]:
    by_channel: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for trace in traces:
        by_channel[trace.stats.location, trace.stats.channel].append(trace)
    sensors: dict[tuple[str, str], _Instrument] = {}
    slowest = axis.config.band[1] / (0.5 * CUTOFF)
    for (location, channel), pieces in sorted(by_channel.items()):
        sensor = sensors.setdefault((location, channel[:-1]), _Instrument(location, channel[:-1]))
        fast = [piece for piece in pieces if piece.stats.sampling_rate >= slowest * (1 - 1e-6)]
        name = f"{location}.{channel}"
        if not channel:
            sensor.problems.append("recordings without a channel code were left out")
            continue
        if len(fast) < len(pieces):
            rate = min(piece.stats.sampling_rate for piece in pieces)
            sensor.problems.append(
                f"{name} is sampled at {rate:g} Hz, too coarse for {axis.config.band[1]:g} Hz, which needs "
                f"{slowest:g} Hz; it was left out"
            )
        if not fast:
            continue
        try:
            sensor.directions[channel], said = _direction(fast, channel, axis)
        except Unusable as problem:
            sensor.problems.append(f"{location}.{problem}; it was left out")
            continue
        if said:
            sensor.problems.append(f"{name} {said}")
        sensor.channels[channel] = fast
    return [sensors[key] for key in sorted(sensors)]


def _direction(pieces: list[Any], channel: str, axis: _Axis) -> tuple[tuple[float, float, float], str]:
    """East, north and up of a channel, by the metadata at the time of its first sample in the span."""
    from obspy import UTCDateTime

    within = [piece for piece in pieces if piece.stats.endtime.ns >= axis.origin]
    starts = [max(axis.origin, piece.stats.starttime.ns) for piece in within or pieces]
    metadata = described_by(axis.inventory, pieces[0], UTCDateTime(ns=min(starts)))
    if metadata is not None or channel[-1] not in NUMBERED:
        return orientation(channel, metadata), ""
    letter = NUMBERED[channel[-1]]
    return orientation(channel[:-1] + letter, None), f"has no metadata, it was taken for {letter}"


def _rank(sensor: _Instrument, axis: _Axis) -> tuple[int, int, int, str, str]:
    """Sort key: the preferred sensor is the smallest."""
    percents = 0
    for pieces in sensor.channels.values():
        total = 0.0
        for piece in pieces:
            start = (piece.stats.starttime.ns - axis.origin) * 1e-9
            stop = start + piece.stats.npts * piece.stats.delta
            total += max(0.0, min(stop, axis.length) - max(start, 0.0))
        percents += round(100 * min(1.0, total / axis.length))
    padded = f"{sensor.code}??"
    places = [codes.find(letter) % 99 for codes, letter in zip(
        (axis.config.bands, axis.config.instruments), padded[:2], strict=True
    )]  # not found becomes 98  # fmt: skip
    return -percents, places[0], places[1], sensor.location, sensor.code


def _turn(
    sensor: _Instrument,
    rows: dict[str, FloatArray],
    masks: dict[str, Mask],
    components: tuple[str, ...],
    target: tuple[FloatArray, Mask],
) -> list[str]:
    """Turn channels to components. They measure D u with u = E, N, Z; a component is live where all it needs is."""
    channels = sorted(rows)
    matrix = np.array([sensor.directions[channel] for channel in channels])
    inverse = np.linalg.pinv(matrix, rcond=SKEW)
    lost = np.linalg.norm(inverse @ matrix - np.eye(3), axis=0)
    weights = np.round(inverse, 9)  # what rounding leaves of a right angle shall not tie components together
    unknown = []
    for place, component in enumerate(components):
        axis = GEOGRAPHIC.index(component)
        if not lost[axis] < SKEW:
            unknown.append(component)
            continue
        needed = [number for number in range(len(channels)) if weights[axis, number] != 0]
        live = np.logical_and.reduce([masks[channels[number]] for number in needed])
        data = np.zeros(len(live), np.float32)
        for number in needed:
            data += np.float32(weights[axis, number]) * rows[channels[number]]
        data[~live] = 0.0
        target[0][place], target[1][place] = data, live
    if unknown:
        return [f"{sensor.location}.{', '.join(channels)} do not give component {' '.join(unknown)}"]
    return []


# --- samples


def _channel(traces: list[Any], axis: _Axis) -> tuple[FloatArray, Mask, list[str]]:
    """Samples of a channel on the axis, where they are live, and what was found."""
    config = axis.config
    data, live = np.zeros(axis.samples, np.float32), np.zeros(axis.samples, np.bool_)
    found, problems = stretches(traces, axis.origin, axis.span, config.flat)
    short = []
    for stretch in found:
        inside = stretch.start < axis.length and stretch.end >= 0
        length = len(stretch.samples) * stretch.interval
        first, values, kept = _treated(stretch, config) if length >= config.min_stretch else (0, None, (0, 0))
        if inside and (values is None or kept[1] <= kept[0]):
            short.append(length)
        if values is None:
            continue
        low, high = max(0, first + kept[0]), min(axis.samples, first + kept[1])
        if high > low:
            data[low:high] = values[low - first : high - first]
            live[low:high] = True
    if short:
        needed = max(config.min_stretch, 2 * config.margin if config.zero_phase else config.margin)
        problems.append(
            f"has {len(short)} stretches shorter than {needed:.3g} s, in all {sum(short):.3g} s, which were dropped"
        )
    if not found and not problems:
        problems.append("recorded nothing in this span")
    return data, live, problems


def _treated(stretch: Stretch, config: ContinuousConfig) -> tuple[int, FloatArray, tuple[int, int]]:
    """Demean, interpolate and filter a stretch.

    Returns the number of its first sample on the axis, the samples, and from where to where they are live.
    """
    samples = stretch.samples.astype(np.float64)
    samples -= samples.mean()
    first, values = resampled(samples, stretch.start, stretch.interval, config.interval)
    settling = config.settling
    stop = len(values) - (settling if config.zero_phase else 0)
    if stop <= settling:
        return first, values, (0, 0)
    return first, _filtered(values, config), (settling, stop)


def _filtered(values: FloatArray, config: ContinuousConfig) -> FloatArray:
    """Band-pass with faded ends; the filter starts at rest, and rings out over zeros before it turns around."""
    from scipy.signal import sosfilt

    settling = config.settling
    length = len(values)
    work = np.zeros(length + (settling if config.zero_phase else 0))
    work[:length] = values
    ramp = 0.5 * (1 - np.cos(np.pi * (np.arange(settling) + 0.5) / settling))
    work[:settling] *= ramp
    if config.zero_phase:
        work[length - settling : length] *= ramp[::-1]
    work = sosfilt(config.sections, work)
    if config.zero_phase:
        work = sosfilt(config.sections, work[::-1])[::-1]
    return np.asarray(work[:length])


# --- amplitudes


def ground_motion(
    stream: Any,
    inventory: Any,
    band: tuple[float, float],
    quantity: Literal["displacement", "velocity", "acceleration"] = "velocity",
    *,
    taper: float = 0.05,
    water_level: float = 60.0,
) -> tuple[Any, list[str]]:
    """Divide short cut-outs by their instrument responses, for amplitudes; detection works on counts.

    The line is taken off, the ends fade, and a pre-filter of zero phase keeps three quarters of the lowest to four
    times the highest frequency whole.

    Parameters
    ----------
    stream : obspy.Stream
        In counts, without gaps; is left as it is.
    inventory : obspy.Inventory
    band : tuple of 2 float
        Lowest and highest frequency of interest, Hz.
    quantity : {"displacement", "velocity", "acceleration"}
    taper : float
        Fraction of the cut-out that fades at each end, 0 to 0.5.
    water_level : float
        dB below the largest response at which it is held up.

    Returns
    -------
    obspy.Stream
        float64 in m, m/s or m/s^2, along the channels, same times; only those that have a response.
    list of str
        One sentence for each trace that was left out.

    Raises
    ------
    InputError
        If the settings cannot be used.
    """
    from obspy import Stream

    motion, problems = Stream(), []
    for trace in stream:
        stats = trace.stats
        try:
            if np.ma.isMaskedArray(trace.data) or not np.isfinite(trace.data).all() or stats.npts < 2:
                raise Unusable(f"{stats.channel} has gaps or samples that are no numbers")
            if band[1] >= 0.5 * stats.sampling_rate:
                raise Unusable(
                    f"{stats.channel} is sampled at {stats.sampling_rate:g} Hz, too coarse for {band[1]:g} Hz"
                )
            metadata = described_by(inventory, trace, stats.starttime)
            if metadata is None or metadata.response is None or not metadata.response.response_stages:
                raise Unusable(f"{stats.channel} has no response in the station metadata")
            periods = 1 / band[1], 1 / band[0]
            config = SignalConfig(
                periods, float(stats.delta), quantity, taper=taper, water_level=water_level, rotate=False
            )
            samples = np.asarray(trace.data, dtype=np.float64)
            recording = Recording(stats.channel, stats.location, samples, 0.0, float(stats.delta))
            ramp = taper * stats.npts * float(stats.delta)
            result = trace.copy()
            result.data = response.ground_motion(recording, metadata.response, (ramp, ramp), config)
            motion.append(result)
        except Unusable as problem:
            problems.append(f"{stats.network}.{stats.station}: {stats.location}.{problem}; it was left out")
    return motion, problems
