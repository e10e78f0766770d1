"""From the recordings of a station to usable stretches: which channels, and what is wrong with them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from seisflow.domain import FloatArray, TimeSpan

__all__ = ["Recording", "Unusable", "channel_groups", "usable_stretch"]

INSTRUMENTS = "HLGN"
"""SEED instrument codes, the preferred first: high gain, low gain, gravimeter, accelerometer."""
BANDS = "BHCESDLMFGVU"
"""SEED band codes, the preferred first."""
MARGIN = 5.0
"""Longest periods kept on each side of what is needed, where recorded."""


class Unusable(Exception):
    """A recording cannot be used; the message says why."""


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


def channel_groups(traces: Any) -> list[dict[str, list[Any]]]:
    """Sort the traces of a station into instruments, the preferred first.

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
        if len(trace.stats.channel) == 3 and trace.stats.npts > 1:
            groups[trace.stats.location, trace.stats.channel[:2]][trace.stats.channel].append(trace)

    def rank(key: tuple[str, str]) -> tuple[int, int, str, str]:
        location, code = key
        place = INSTRUMENTS.find(code[1]) % 99, BANDS.find(code[0]) % 99  # not found becomes 98
        return (*place, location, code)

    return [dict(sorted(groups[key].items())) for key in sorted(groups, key=rank)]


def usable_stretch(
    traces: list[Any], origin: Any, needed: TimeSpan, tolerance: float, longest: float
) -> Recording:
    """Join the traces of a channel and cut out the continuous stretch that is needed, with margins.

    Parameters
    ----------
    traces : list of obspy.Trace
        Of one channel.
    origin : obspy.UTCDateTime
    needed : TimeSpan
        s from the origin time.
    tolerance : float
        How much may lack at either end, s.
    longest : float
        Longest period of interest in s, the unit of the margins.

    Raises
    ------
    Unusable
        If the stretch is not covered, has a gap, or holds NaN, zeros or a constant.
    """
    from obspy import Stream

    channel = traces[0].stats.channel
    if len({trace.stats.sampling_rate for trace in traces}) > 1:
        raise Unusable(f"{channel} changes its sampling rate")
    first, last = origin + needed.start - MARGIN * longest, origin + needed.end + MARGIN * longest
    cut = Stream([trace.slice(first, last).copy() for trace in traces])
    for trace in cut:
        trace.data = trace.data.astype(np.float64)
        trace.stats.calib = 1.0  # it describes a display, and traces that differ in it would not be joined
        if not np.all(np.isfinite(np.ma.compressed(trace.data))):
            raise Unusable(f"{channel} holds NaN or infinite samples")
    pieces = cut.merge(method=1).split()
    spans = sorted((float(p.stats.starttime - origin), float(p.stats.endtime - origin)) for p in pieces)
    for piece in pieces:
        start, end = float(piece.stats.starttime - origin), float(piece.stats.endtime - origin)
        if start <= needed.start + tolerance and end >= needed.end - tolerance:
            samples = np.asarray(piece.data, dtype=np.float64)
            stats = piece.stats
            recording = Recording(channel, stats.location, samples, start, float(stats.delta))
            _check_alive(recording, needed)
            return recording
    raise Unusable(f"{channel} {_what_lacks(spans, needed, tolerance)}")


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
