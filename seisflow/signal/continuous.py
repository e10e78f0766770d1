"""Continuous recordings of a network on one time axis, filtered, with a mask of what is live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import Continuous, FloatArray, Station
from seisflow.errors import InputError
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.observed import SKEW, described_by, orientation
from seisflow.signal.polyphase import Interpolation, interpolation
from seisflow.signal.recordings import Unusable
from seisflow.signal.resample import CUTOFF
from seisflow.signal.stretches import Stretch, stretches

__all__ = [
    "ContinuousConfig", "Piece", "StationPieces", "axis_samples", "parts_of", "prepare", "prepare_stations",
    "station_pieces",
]  # fmt: skip

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


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch without a gap that is long enough for the filter.

    Parameters
    ----------
    stretch : Stretch
    plan : Interpolation
        Of its samples onto the axis of the result.
    kept : tuple of 2 int
        From where to where what was interpolated is live once it is filtered.
    """

    stretch: Stretch
    plan: Interpolation
    kept: tuple[int, int]


@dataclass(frozen=True, eq=False)
class StationPieces:
    """Recordings of one station before they are filtered.

    Parameters
    ----------
    number : int
        Of the station.
    channels : tuple of tuple of Piece
        Of each channel of the sensor that is used.
    turn : ndarray of float32 (components, channels)
        Components from channels; a row of zeros where the channels do not give one.
    """

    number: int
    channels: tuple[tuple[Piece, ...], ...]
    turn: FloatArray


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
    return prepare_stations(parts_of(stream), stations, config, start, end, inventory)


def parts_of(stream: Iterable[Any]) -> list[tuple[list[Any], list[str]]]:
    """The traces of a stream station by station, as ``prepare_stations`` takes them."""
    by_station: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for trace in stream:
        by_station[trace.stats.network, trace.stats.station].append(trace)
    return [(traces, []) for traces in by_station.values()]


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
    problems: list[str] = []
    samples = axis_samples(start, end, config)
    shape = (len(stations), len(config.components), samples)
    data, live = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    for each in station_pieces(parts, stations, config, (start, end), inventory, problems):
        _fill(each, config, data[each.number], live[each.number])
    begin = round(start * 1e9) * 1e-9
    return Continuous(tuple(stations), config.components, data, live, begin, config.interval), problems


def axis_samples(start: float, end: float, config: ContinuousConfig) -> int:
    """Samples of the result from one time to another.

    Raises
    ------
    InputError
        If the end is not after the start.
    """
    samples = int(np.ceil((end - start) / config.interval - 1e-6))
    if samples < 1:
        raise InputError(f"no recordings from {start} to {end} s: the end must follow the start")
    return samples


def station_pieces(
    parts: Iterable[tuple[Any, list[str]]],
    stations: Sequence[Station],
    config: ContinuousConfig,
    span: tuple[float, float],
    inventory: Any,
    problems: list[str],
) -> Iterator[StationPieces]:
    """What is to be filtered, station by station.

    Parameters
    ----------
    parts, stations, config, inventory
        As for ``prepare_stations``.
    span : tuple of 2 float
        ``start`` and ``end`` there.
    problems : list of str
        Gets what could not be used, or was not as expected.

    Yields
    ------
    StationPieces
        Of stations of which something can be used.

    Raises
    ------
    InputError
        As ``prepare_stations``.
    """
    axis = _Axis(round(span[0] * 1e9), axis_samples(*span, config), config, inventory)
    numbers = {(station.network, station.code): number for number, station in enumerate(stations)}
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
        station, found = _station(traces, axis, numbers[key])
        problems.extend(f"{'.'.join(key)}: {each}" for each in found)
        if station is not None:
            yield station
    lacking = [station.id for station in stations if (station.network, station.code) not in seen]
    problems.extend(f"{name}: nothing was recorded in this span" for name in lacking)


# --- which channels


def _station(traces: list[Any], axis: _Axis, number: int) -> tuple[StationPieces | None, list[str]]:
    """Pieces of one station, and what was wrong."""
    sensors = _sensors(traces, axis)
    problems = [each for sensor in sensors for each in sensor.problems]
    usable = [sensor for sensor in sensors if sensor.channels]
    if not usable:
        return None, problems or ["no channel can be used"]
    chosen = min(usable, key=lambda sensor: _rank(sensor, axis))
    channels = []
    for channel in sorted(chosen.channels):
        pieces, found = _pieces(chosen.channels[channel], axis)
        channels.append(pieces)
        problems.extend(f"{chosen.location}.{channel} {each}" for each in found)
    turn, found = _turn(chosen, axis.config.components)
    return StationPieces(number, tuple(channels), turn), [*problems, *found]


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


def _turn(sensor: _Instrument, components: tuple[str, ...]) -> tuple[FloatArray, list[str]]:
    """How channels are turned to components, (components, channels). They measure D u with u = E, N, Z."""
    channels = sorted(sensor.channels)
    matrix = np.array([sensor.directions[channel] for channel in channels])
    inverse = np.linalg.pinv(matrix, rcond=SKEW)
    lost = np.linalg.norm(inverse @ matrix - np.eye(3), axis=0)
    weights = np.round(inverse, 9)  # what rounding leaves of a right angle shall not tie components together
    turn = np.zeros((len(components), len(channels)), np.float32)
    unknown = []
    for place, component in enumerate(components):
        axis = GEOGRAPHIC.index(component)
        if lost[axis] < SKEW:
            turn[place] = weights[axis]
        else:
            unknown.append(component)
    if unknown:
        return turn, [f"{sensor.location}.{', '.join(channels)} do not give component {' '.join(unknown)}"]
    return turn, []


# --- samples


def _pieces(traces: list[Any], axis: _Axis) -> tuple[tuple[Piece, ...], list[str]]:
    """What of a channel is long enough to be used, and what was found."""
    config = axis.config
    found, problems = stretches(traces, axis.origin, axis.span, config.flat)
    short, pieces = [], []
    for stretch in found:
        inside = stretch.start < axis.length and stretch.end >= 0
        length = len(stretch.samples) * stretch.interval
        if length >= config.min_stretch:
            plan = interpolation(len(stretch.samples), stretch.start, stretch.interval, config.interval)
            stop = plan.count - (config.settling if config.zero_phase else 0)
            if stop > config.settling:
                pieces.append(Piece(stretch, plan, (config.settling, stop)))
                continue
        if inside:
            short.append(length)
    if short:
        needed = max(config.min_stretch, 2 * config.margin if config.zero_phase else config.margin)
        problems.append(
            f"has {len(short)} stretches shorter than {needed:.3g} s, in all {sum(short):.3g} s, which were dropped"
        )
    if not found and not problems:
        problems.append("recorded nothing in this span")
    return tuple(pieces), problems


def _fill(station: StationPieces, config: ContinuousConfig, data: FloatArray, live: Mask) -> None:
    """Filter the channels of a station that are needed, and turn them; a component is live where all it needs is."""
    samples = data.shape[1]
    rows = {
        channel: _channel(station.channels[channel], config, samples)
        for channel in np.flatnonzero((station.turn != 0).any(axis=0)).tolist()
    }
    for component, weights in enumerate(station.turn):
        needed = np.flatnonzero(weights).tolist()
        if not needed:
            continue
        live[component] = np.logical_and.reduce([rows[channel][1] for channel in needed])
        for channel in needed:
            data[component] += weights[channel] * rows[channel][0]
        data[component][~live[component]] = 0.0


def _channel(pieces: Sequence[Piece], config: ContinuousConfig, samples: int) -> tuple[FloatArray, Mask]:
    """Filtered samples of a channel on the axis, and where they are live."""
    data, live = np.zeros(samples, np.float32), np.zeros(samples, np.bool_)
    for piece in pieces:
        given = piece.stretch.samples.astype(np.float64)
        given -= given.mean()
        values = _filtered(piece.plan.apply(given), config)
        first, kept = piece.plan.first, piece.kept
        low, high = max(0, first + kept[0]), min(samples, first + kept[1])
        if high > low:
            data[low:high] = values[low - first : high - first]
            live[low:high] = True
    return data, live


def _filtered(values: FloatArray, config: ContinuousConfig) -> FloatArray:
    """Band-pass with faded ends; the filter starts at rest, and rings out over zeros before it turns around."""
    from scipy.signal import sosfilt

    settling = config.settling
    length = len(values)
    work = np.zeros(length + (settling if config.zero_phase else 0))
    work[:length] = values
    ramp = config.ramp
    work[:settling] *= ramp
    if config.zero_phase:
        work[length - settling : length] *= ramp[::-1]
    work = sosfilt(config.sections, work)
    if config.zero_phase:
        work = sosfilt(config.sections, work[::-1])[::-1]
    return np.asarray(work[:length])
