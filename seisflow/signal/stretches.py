"""From the traces of a channel to stretches that were recorded without a gap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Stretch", "recorded", "stretches"]

ALIGNED = 0.1
"""Pieces whose samples lie within this share of a sampling interval of one grid are taken to be on it."""
SAME_RATE = 1e-6
"""Largest relative difference of sampling intervals that are taken to be one."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Samples of one channel without a gap.

    Parameters
    ----------
    start : float
        Time of the first sample in s, from a time that all share.
    interval : float
        s.
    samples : ndarray (n,)
        As recorded.
    file : str
        Where it comes from; empty if that is not known.
    """

    start: float
    interval: float
    samples: npt.NDArray[Any]
    file: str = ""

    @property
    def end(self) -> float:
        """Time of the last sample in s."""
        return self.start + self.interval * (len(self.samples) - 1)

    def part(self, first: int, stop: int) -> Stretch:
        """Samples from ``first`` until ``stop``."""
        return replace(self, start=self.start + first * self.interval, samples=self.samples[first:stop])


def stretches(
    traces: Iterable[Any], origin: int, span: tuple[float, float], flat: float
) -> tuple[list[Stretch], list[str]]:
    """Join the traces of a channel to stretches without gaps.

    Pieces join where the next sample is due, within a tenth of the sampling interval. Where pieces repeat each
    other, the samples are taken once; where they disagree, those that come first in ``traces`` are taken. Samples
    that are masked, NaN or infinite, and runs of equal samples as long as ``flat``, are gaps.

    Parameters
    ----------
    traces : iterable of obspy.Trace
        Of one channel; the most trusted first.
    origin : int
        POSIX nanoseconds from which times count.
    span : tuple of 2 float
        What is wanted, s from the origin.
    flat : float
        s.

    Returns
    -------
    list of Stretch
        In order of time, without overlap.
    list of str
        What was found: contradictions, constant runs, samples that are no numbers, changes of rate.
    """
    pieces, problems = [], []
    for trace in traces:
        found, complaints = _finite(trace, origin, span)
        pieces.extend(found)
        problems.extend(complaints)
    pieces, complaints = _disjoint(pieces)
    joined = _joined(pieces)
    rates = [1 / stretch.interval for stretch in joined]
    if rates and max(rates) - min(rates) > SAME_RATE * max(rates):
        listed = ", ".join(f"{rate:g}" for rate in sorted(set(rates)))
        problems.append(f"changes its sampling rate ({listed} Hz); each stretch was taken with its own")
    live, constant = recorded(joined, flat)
    if constant > 0:
        problems.append(
            f"stands still for {constant:.6g} s in runs of {flat:g} s and more; they count as gaps"
        )
    return live, [*problems, *complaints]


def _finite(trace: Any, origin: int, span: tuple[float, float]) -> tuple[list[Stretch], list[str]]:
    """Parts of a trace within the span whose samples are numbers."""
    stats = trace.stats
    interval = float(stats.delta)
    whole = Stretch((stats.starttime.ns - origin) * 1e-9, interval, trace.data, str(stats.get("file", "")))
    first = max(0, int(np.ceil((span[0] - whole.start) / interval - 1e-6)))
    stop = min(len(trace.data), int(np.floor((span[1] - whole.start) / interval + 1e-6)) + 1)
    if stop <= first:
        return [], []
    piece = whole.part(first, stop)
    bad = np.ma.getmaskarray(piece.samples) if np.ma.isMaskedArray(piece.samples) else None
    samples = np.ma.getdata(piece.samples)
    piece = replace(piece, samples=samples)
    problems = []
    if np.issubdtype(samples.dtype, np.floating) and not np.isfinite(samples).all():
        wrong = ~np.isfinite(samples)
        count = np.count_nonzero(wrong if bad is None else wrong & ~bad)
        if count:
            problems.append(f"holds {count} samples that are no numbers; they count as gaps")
        bad = wrong if bad is None else bad | wrong
    if bad is None:
        return [piece], problems
    edges = np.flatnonzero(np.diff(np.concatenate([[True], bad, [True]]).astype(np.int8)))
    return [piece.part(int(low), int(high)) for low, high in edges.reshape(-1, 2)], problems


def _disjoint(pieces: list[Stretch]) -> tuple[list[Stretch], list[str]]:
    """Take off each piece what earlier ones in the list hold already; sorted by time."""
    by_time = sorted(pieces, key=lambda piece: piece.start)
    if all(one.end + 0.5 * one.interval < other.start for one, other in pairwise(by_time)):
        return by_time, []
    kept: list[Stretch] = []
    starts: list[float] = []
    clashes: list[tuple[Stretch, Stretch, int]] = []
    for piece in pieces:
        rest = [piece]
        place = max(0, bisect_right(starts, piece.start) - 1)
        while place < len(kept) and starts[place] < piece.end + 0.5 * piece.interval:
            count = _contradictions(kept[place], piece)
            if count:
                clashes.append((kept[place], piece, count))
            rest = [part for each in rest for part in _without(each, kept[place])]
            place += 1
        for part in rest:
            place = bisect_right(starts, part.start)
            starts.insert(place, part.start)
            kept.insert(place, part)
    return kept, _told(clashes)


def _covered(piece: Stretch, other: Stretch) -> tuple[int, int]:
    """First sample of a piece, and the one after the last, that another covers; times closer than half a sample."""
    first = int(np.ceil((other.start - piece.start) / piece.interval - 0.5 + 1e-6))
    stop = int(np.floor((other.end - piece.start) / piece.interval + 0.5 - 1e-6)) + 1
    length = len(piece.samples)
    return min(max(first, 0), length), min(max(stop, 0), length)


def _without(piece: Stretch, other: Stretch) -> list[Stretch]:
    first, stop = _covered(piece, other)
    if stop <= first:
        return [piece]
    parts = [piece.part(0, first), piece.part(stop, len(piece.samples))]
    return [part for part in parts if len(part.samples)]


def _contradictions(kept: Stretch, piece: Stretch) -> int:
    """How many samples of a piece are covered by others; those on other times cannot be compared and all count."""
    first, stop = _covered(piece, kept)
    if stop <= first:
        return 0
    shift = (piece.start - kept.start) / kept.interval
    same = abs(piece.interval - kept.interval) <= SAME_RATE * kept.interval
    if not same or abs(shift - round(shift)) > ALIGNED:
        return stop - first
    low, high = first + round(shift), stop + round(shift)
    lead = max(0, -low)
    there = kept.samples[low + lead : high]
    return int(np.count_nonzero(there != piece.samples[first + lead : first + lead + len(there)]))


def _told(clashes: list[tuple[Stretch, Stretch, int]]) -> list[str]:
    if not clashes:
        return []
    count = sum(clash[2] for clash in clashes)
    kept, lost, _ = clashes[0]
    where = f" (first: {kept.file} was taken, not {lost.file})" if kept.file and lost.file else ""
    return [f"has overlapping pieces that disagree in {count} samples; the first in order was taken{where}"]


def _joined(pieces: list[Stretch]) -> list[Stretch]:
    groups: list[list[Stretch]] = []
    due = 0.0
    for piece in pieces:
        if groups:
            head = groups[-1][0]
            same = abs(piece.interval - head.interval) <= SAME_RATE * head.interval
            if same and abs(piece.start - due) <= ALIGNED * head.interval:
                groups[-1].append(piece)
                due += head.interval * len(piece.samples)
                continue
        groups.append([piece])
        due = piece.start + piece.interval * len(piece.samples)
    return [
        group[0]
        if len(group) == 1
        else replace(group[0], samples=np.concatenate([piece.samples for piece in group]))
        for group in groups
    ]


def recorded(joined: list[Stretch], flat: float) -> tuple[list[Stretch], float]:
    """Take out what stands still: whole stretches that are constant, and runs as long as ``flat``.

    Parameters
    ----------
    joined : list of Stretch
    flat : float
        s.

    Returns
    -------
    list of Stretch
    float
        s that were taken out.
    """
    live: list[Stretch] = []
    lost = 0.0
    for stretch in joined:
        length = len(stretch.samples)
        # Whether each sample is as the one before; few of them change, so that a day fits in memory.
        same = np.zeros(length + 1, np.bool_)
        np.equal(stretch.samples[1:], stretch.samples[:-1], out=same[1:-1])
        runs = np.flatnonzero(same[1:] != same[:-1]).reshape(-1, 2) + np.array([0, 1])
        lengths = runs[:, 1] - runs[:, 0]
        still = (lengths * stretch.interval >= flat) | (lengths == length)
        place = 0
        for low, high in runs[still].tolist():
            lost += (high - low) * stretch.interval
            if low > place:
                live.append(stretch.part(place, low))
            place = high
        if place < length:
            live.append(stretch.part(place, length))
    return live, lost
