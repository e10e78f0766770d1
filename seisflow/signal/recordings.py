"""From the recordings of a station to usable stretches: which channels, and what is wrong with them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from seisflow.domain import FloatArray, TimeSpan

__all__ = [
    "Clipped",
    "Recording",
    "Unusable",
    "channel_groups",
    "compared_span",
    "cut",
    "usable_stretch",
]

INSTRUMENTS = "HLGN"
"""SEED instrument codes, the preferred first: high gain, low gain, gravimeter, accelerometer."""
BANDS = "BHCESDLMFGVU"
"""SEED band codes, the preferred first."""
MARGIN = 5.0
"""Longest periods kept on each side of what is needed, where recorded."""
FASTEST, SLOWEST = 10e3, 1.5e3
"""m/s; no wave of a region arrives before the one, and what is slower than the other is not compared."""
BRIDGE = 0.1
"""Gaps up to this share of the shortest period are bridged by a straight line."""
PLATEAU = 3
"""Samples in a row that stand at the largest value of a clipped trace, at least."""


class Unusable(Exception):
    """A recording cannot be used; the message says why."""


class Clipped(Unusable):
    """A recording reached the limit of its digitizer."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One continuous stretch of one channel.

    Parameters
    ----------
    channel : str
        SEED channel code.
    location : str
    samples : ndarray (n,)
        As recorded, float64.
    start : float
        s from the origin time.
    interval : float
        s.
    """

    channel: str
    location: str
    samples: FloatArray
    start: float
    interval: float

    @property
    def end(self) -> float:
        """Time of the last sample in s."""
        return self.start + self.interval * (len(self.samples) - 1)


def compared_span(distance: float, needed: TimeSpan, longest: float) -> TimeSpan:
    """Say which part of a seismogram must be recorded: from the first possible arrival to the slowest wave.

    Parameters
    ----------
    distance : float
        From event to station along the surface, m.
    needed : TimeSpan
        The common time axis, s from the origin time.
    longest : float
        Longest period in s; twice this is added after the slowest wave.

    Returns
    -------
    TimeSpan
        Within ``needed``: from distance over 10 km/s to distance over 1.5 km/s and two longest periods.
    """
    first, last = max(0.0, distance / FASTEST), distance / SLOWEST + 2 * longest
    start = min(max(needed.start, first), needed.end)
    return TimeSpan(start, max(start, min(needed.end, last)))


def channel_groups(traces: Any) -> list[dict[str, list[Any]]]:
    """Sort the traces of a station into instruments, the preferred first.

    High gain before low gain, gravimeter, accelerometer, others; BH before HH, CH, EH, SH, DH, LH, MH, ...; lower
    location first.

    Parameters
    ----------
    traces : iterable of obspy.Trace

    Returns
    -------
    list of dict
        For each location and band and instrument code, the traces by channel code.
    """
    groups: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for trace in traces:
        if trace.stats.channel and trace.stats.npts > 1:
            groups[trace.stats.location, trace.stats.channel[:-1]][trace.stats.channel].append(trace)

    def rank(key: tuple[str, str]) -> tuple[int, int, str, str]:
        location, code = key
        padded = f"{code}??"
        place = INSTRUMENTS.find(padded[1]) % 99, BANDS.find(padded[0]) % 99  # not found becomes 98
        return (*place, location, code)

    return [dict(sorted(groups[key].items())) for key in sorted(groups, key=rank)]


def cut(trace: Any, first: Any, last: Any) -> Any:
    """Do what ``trace.slice`` does, without its history of processing, which takes longer to copy than the samples.

    Parameters
    ----------
    trace : obspy.Trace
    first, last : obspy.UTCDateTime
        The samples nearest to them are the outermost ones.

    Returns
    -------
    obspy.Trace
        Shares the samples.
    """
    from obspy import Trace

    stats = trace.stats
    names = "network", "station", "location", "channel", "sampling_rate"
    header = {name: stats[name] for name in names}
    low = max(0, _rounded(float(first - stats.starttime) * stats.sampling_rate))
    stop = stats.npts + min(0, _rounded(float(last - stats.endtime) * stats.sampling_rate))
    return Trace(
        trace.data[low : max(low, stop)], header | {"starttime": stats.starttime + low * stats.delta}
    )


def _rounded(value: float) -> int:
    """The nearest integer; of two the one farther from zero."""
    return int(np.copysign(np.floor(abs(value) + 0.5), value))


def usable_stretch(
    traces: list[Any],
    origin: Any,
    needed: TimeSpan,
    compared: TimeSpan,
    tolerance: float,
    band: tuple[float, float],
) -> Recording:
    """Join the traces of a channel and cut out the continuous stretch that is needed, with margins.

    Gaps up to a tenth of the shortest period are bridged by a straight line. Where the sampling rate changes,
    the rate that covers what is needed is taken.

    Parameters
    ----------
    traces : list of obspy.Trace
        Of one channel.
    origin : obspy.UTCDateTime
    needed : TimeSpan
        What is wanted (the common time axis), s from the origin time.
    compared : TimeSpan
        What must be covered, by ``compared_span``.
    tolerance : float
        How much may lack at either end, s.
    band : tuple of 2 float
        Shortest and longest period in s: the units of gaps and margins.

    Raises
    ------
    Unusable
        If the stretch is not covered, has a gap, is clipped, or holds NaN, zeros or a constant.
    """
    channel = traces[0].stats.channel
    first, last = origin + needed.start - MARGIN * band[1], origin + needed.end + MARGIN * band[1]
    by_rate: dict[float, list[Any]] = defaultdict(list)
    for trace in traces:
        by_rate[float(trace.stats.sampling_rate)].append(cut(trace, first, last))
    reasons: list[str] = []
    for rate in sorted(by_rate, key=lambda rate: (-sum(t.stats.npts / rate for t in by_rate[rate]), -rate)):
        pieces = _pieces(by_rate[rate], channel, BRIDGE * band[0])
        times = [(float(p.stats.starttime - origin), float(p.stats.endtime - origin)) for p in pieces]
        covering = [
            (end - start, piece)
            for (start, end), piece in zip(times, pieces, strict=True)
            if start <= compared.start + tolerance and end >= compared.end - tolerance
        ]
        if covering:
            piece = max(covering, key=lambda pair: pair[0])[1]
            samples, stats = np.asarray(piece.data, dtype=np.float64), piece.stats
            recording = Recording(
                channel, stats.location, samples, float(stats.starttime - origin), float(stats.delta)
            )
            _check_alive(recording, needed)
            return recording
        reasons.append(_what_lacks(sorted(times), compared, tolerance))
    if len(by_rate) > 1:
        rates = ", ".join(f"{rate:g}" for rate in sorted(by_rate))
        raise Unusable(f"{channel} changes its sampling rate ({rates} Hz) where it is needed")
    raise Unusable(f"{channel} {reasons[0]}")


def _pieces(traces: list[Any], channel: str, bridge: float) -> list[Any]:
    """Join what joins, bridge gaps up to so many seconds; float64, in order of time. Changes the traces."""
    from obspy import Stream

    cut_out = Stream([trace for trace in traces if trace.stats.npts > 0])
    for trace in cut_out:
        trace.data = trace.data.astype(np.float64)
        trace.stats.calib = 1.0  # it describes a display, and traces that differ in it would not be joined
        if not np.all(np.isfinite(np.ma.compressed(trace.data))):
            raise Unusable(f"{channel} holds NaN or infinite samples")
    pieces = sorted(_merged(cut_out), key=lambda piece: piece.stats.starttime.ns)
    joined: list[Any] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        delta = piece.stats.delta
        lacking = (
            float(piece.stats.starttime - before.stats.endtime) - delta if before is not None else np.inf
        )
        if before is None or lacking > bridge + 1e-6 * delta:
            joined.append(piece)
            continue
        count = max(0, round(lacking / delta))
        line = np.linspace(before.data[-1], piece.data[0], count + 2)[1:-1]
        before.data = np.concatenate([before.data, line, piece.data])
    return joined


def _merged(stream: Any) -> Any:
    """Traces without overlaps and gaps; a single one without gaps is that already."""
    if len(stream) == 1 and not np.ma.isMaskedArray(stream[0].data):
        return stream
    return stream.merge(method=1).split()


def _what_lacks(spans: list[tuple[float, float]], needed: TimeSpan, tolerance: float) -> str:
    wanted = f"{needed.start:g} to {needed.end:g} s is needed"
    if not spans or spans[-1][1] < needed.start or spans[0][0] > needed.end:
        return f"has no samples where {wanted}"
    if spans[0][0] > needed.start + tolerance or spans[-1][1] < needed.end - tolerance:
        return f"is too short: recorded {spans[0][0]:.6g} to {spans[-1][1]:.6g} s from the origin, {wanted}"
    for (_, end), (start, _) in pairwise(spans):
        if start > needed.start and end < needed.end:
            return f"has a gap from {end:.6g} to {start:.6g} s"
    return f"is not continuous where {wanted}"


def _check_alive(recording: Recording, needed: TimeSpan) -> None:
    times = recording.start + recording.interval * np.arange(len(recording.samples))
    inside = recording.samples[(times >= needed.start) & (times <= needed.end)]
    if not inside.any():
        raise Unusable(f"{recording.channel} is dead: all samples are zero")
    if np.ptp(inside) == 0:
        raise Unusable(f"{recording.channel} is flat: all samples are {inside[0]:g}")
    for value in (float(inside.max()), float(inside.min())):
        count = _clipped(inside, value)
        if count:
            raise Clipped(f"{recording.channel} is clipped: {count} samples stand at {value:g}")


def _clipped(samples: FloatArray, value: float) -> int:
    """How many samples stand at an extreme value in rows that begin or end with a step; 0 if it is a smooth peak.

    A peak of a slow wave in whole counts is flat too, but is entered by the smallest step that the trace has.
    """
    at = np.concatenate([[False], samples == value, [False]])
    edges = np.flatnonzero(np.diff(at.astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= PLATEAU
    if not long.any():
        return 0
    steps = np.abs(np.diff(samples))
    quantum = float(steps[steps > 0].min())
    rows = list(zip(starts[long].tolist(), ends[long].tolist(), strict=True))
    entered = [
        (start > 0 and steps[start - 1] > 10 * quantum)
        or (end < len(samples) and steps[end - 1] > 10 * quantum)
        for start, end in rows
    ]
    count = sum(end - start for (start, end), sharp in zip(rows, entered, strict=True) if sharp)
    return count if count > PLATEAU or sum(entered) > 1 else 0
