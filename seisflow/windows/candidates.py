"""Candidate windows from peaks and troughs of E(t), judged by shape (Maggi et al. 2009, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.windows.landscape import Landscape
from seisflow.windows.ledger import IntArray, Ledger

__all__ = ["proposals"]

LISTED = 4000
"""A trace with more candidates has those listed whose troughs inside all lie above the level; the rest is counted."""
MOST = 1_000_000
"""More candidates than that of one trace are not looked at."""


@dataclass(frozen=True, eq=False)
class _Seeds:
    """Peaks above the water level, and the troughs (places in the list) that windows on them may start and end at."""

    trace: IntArray
    peak: IntArray
    water: FloatArray
    first: IntArray
    middle: IntArray
    end: IntArray

    def take(self, keep: npt.NDArray[np.bool_]) -> _Seeds:
        """Some of them."""
        return _Seeds(
            self.trace[keep],
            self.peak[keep],
            self.water[keep],
            self.first[keep],
            self.middle[keep],
            self.end[keep],
        )

    @property
    def counts(self) -> IntArray:
        """Candidates of each peak."""
        return np.asarray((self.middle - self.first) * (self.end - self.middle))


def proposals(land: Landscape) -> tuple[Ledger, dict[int, str]]:
    """Stages 1 to 11: pairs of troughs around each peak above the water level that pass the tests of shape.

    Returns
    -------
    Ledger
        Of all candidates; those that are left are in the order of trace, first and last sample, each pair once.
    dict of int to str
        Why a whole trace has no candidates.
    """
    seeds, beyond, faults = _seeds(land)
    counts = seeds.counts
    number = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
    wide = (seeds.end - seeds.middle)[number]
    left_place, right_place = seeds.first[number] + place // wide, seeds.middle[number] + place % wide
    samples = land.samples
    ledger = Ledger(
        seeds.trace[number],
        seeds.peak[number] % samples,
        land.troughs[left_place] % samples,
        land.troughs[right_place] % samples,
        beyond,
    )
    _in_time(land, ledger)
    _long_enough(land, ledger)
    lowest = _lowest_inside(land, left_place, right_place)
    _no_low_inside(land, ledger, seeds, number, lowest)
    _prominent(land, ledger, seeds, number)
    ends = np.minimum(land.flat[land.troughs[left_place]], land.flat[land.troughs[right_place]])
    _one_phase(land, ledger, np.minimum(lowest, ends))
    _curtail(land, ledger)
    _without_repeats(land, ledger)
    _long_enough(land, ledger)
    return ledger, faults


def _seeds(land: Landscape) -> tuple[_Seeds, IntArray, dict[int, str]]:
    """Stage 1, with what is not listed one by one, and traces without candidates."""
    samples, traces = land.samples, len(land.values)
    trace = land.peaks // samples
    water = land.level(land.config.water_level, trace, land.peaks % samples)
    height = land.flat[land.peaks]
    high = height > water
    faults = {}
    for number in np.flatnonzero(np.bincount(trace[high], minlength=traces) == 0).tolist():
        faults[number] = _no_peak(height[trace == number], water[trace == number], land)
    trace, peak, water = trace[high], land.peaks[high], water[high]
    middle = np.searchsorted(land.troughs, peak)
    first = np.searchsorted(land.troughs, trace * samples)
    end = np.searchsorted(land.troughs, (trace + 1) * samples)
    all_counts = (middle - first) * (end - middle)
    total = np.bincount(trace, all_counts, minlength=traces)
    crowded = total[trace] > LISTED
    for n in np.flatnonzero(crowded).tolist():
        low = land.config.interior_minima * water[n]
        before = np.flatnonzero(land.flat[land.troughs[first[n] : middle[n]]] <= low)
        after = np.flatnonzero(land.flat[land.troughs[middle[n] : end[n]]] <= low)
        end[n] = middle[n] + after[0] + 1 if len(after) else end[n]
        first[n] += before[-1] if len(before) else 0
    seeds = _Seeds(trace, peak, water, first, middle, end)
    listed = np.bincount(trace, seeds.counts, minlength=traces)
    fine = np.ones(len(trace), dtype=bool)
    for number in np.flatnonzero(listed > MOST).tolist():
        faults[number] = f"{listed[number]:.0f} candidates, over {MOST}; raise water_level"
        fine &= trace != number
    beyond = np.where(listed > MOST, 0, total - listed).astype(np.intp)
    return seeds.take(fine), beyond, faults


def _no_peak(height: FloatArray, water: FloatArray, land: Landscape) -> str:
    if not len(height):
        return "no peak of E(t) between two troughs where waves are expected"
    best = int(np.argmax(height - water))
    return f"no peak of E(t) above {water[best]:g}, the highest is {height[best]:.3g}"


def _in_time(land: Landscape, ledger: Ledger) -> None:
    """Stage 2."""
    trace = ledger.trace
    begin, end = land.times(ledger.left), land.times(ledger.right)
    late = begin > land.last[trace]
    keep = (end >= land.first[trace] - land.period) & ~late
    ledger.judge("travel time", keep, begin, np.where(late, land.last[trace], land.first[trace]))


def _long_enough(land: Landscape, ledger: Ledger) -> None:
    """Stages 5 and 11: windows last at least ``min_length`` shortest periods."""
    length = (ledger.right - ledger.left)[ledger.alive] * land.interval
    shortest = land.config.min_length * land.period
    ledger.judge("length", length >= shortest * (1 - 1e-9), length, shortest)


def _lowest_inside(land: Landscape, left: IntArray, right: IntArray) -> FloatArray:
    """Lowest E(t) at troughs strictly between two (places in the list); infinite if there is none."""
    if not len(left):
        return np.zeros(0)
    height = land.flat[land.troughs]
    lowest = np.minimum.reduceat(height, np.stack([left + 1, right], axis=1).ravel())[::2]
    return np.where(right > left + 1, lowest, np.inf)


def _no_low_inside(
    land: Landscape, ledger: Ledger, seeds: _Seeds, number: IntArray, lowest: FloatArray
) -> None:
    """Stage 6."""
    level = land.config.interior_minima * seeds.water[number[ledger.alive]]
    found = lowest[ledger.alive]
    ledger.judge("interior minima", found > level, found, level)


def _prominent(land: Landscape, ledger: Ledger, seeds: _Seeds, number: IntArray) -> None:
    """Stage 7."""
    if land.config.prominence == 0:
        return
    top, height = land.flat[seeds.peak], land.flat[land.troughs]
    rise = top - np.maximum(height[seeds.middle - 1], height[seeds.middle])
    mine = number[ledger.alive]
    level = land.config.prominence * top
    ledger.judge("prominence", (rise >= level)[mine], rise[mine], level[mine])


def _one_phase(land: Landscape, ledger: Ledger, lowest: FloatArray) -> None:
    """Stage 8: other peaks m, E(m) - E0 <= c3a (E(M) - E0) f(m), with E0 the lowest trough of the window."""
    rows = ledger.alive
    if not len(rows):
        return
    offset = ledger.trace[rows] * land.samples
    peak, ground = offset + ledger.peak[rows], lowest[rows]
    first = np.searchsorted(land.peaks, offset + ledger.left[rows], side="right")
    count = np.searchsorted(land.peaks, offset + ledger.right[rows], side="left") - first
    starts = np.cumsum(count) - count
    mine = np.repeat(np.arange(len(rows)), count)
    other = land.peaks[first[mine] + np.arange(len(mine)) - starts[mine]]
    away = np.abs(other - peak[mine]) / land.in_samples(1.0)
    soon = max(land.config.separation_time, 1e-12)
    fade = np.where(away < soon, 1.0, np.exp(-(np.clip((away - soon) / soon, 0, 25) ** 2)))
    allowed = land.config.separation_height * fade * (land.flat[peak] - ground)[mine]
    excess = (land.flat[other] - ground[mine]) - allowed
    excess[other == peak[mine]] = -np.inf
    worst = np.maximum.reduceat(excess, starts)  # the peak itself is always inside
    ledger.judge("phase separation", worst <= 0, worst, 0.0)


def _curtail(land: Landscape, ledger: Ledger) -> None:
    """Stage 9: start at most c4a periods before the first peak inside, end at most c4b after the last."""
    rows = ledger.alive
    offset = ledger.trace[rows] * land.samples
    left, right = ledger.left[rows], ledger.right[rows]
    first = land.peaks[np.searchsorted(land.peaks, offset + left, side="right")] - offset
    last = land.peaks[np.searchsorted(land.peaks, offset + right, side="left") - 1] - offset
    earliest = np.ceil(first - land.in_samples(land.config.curtail_left)).astype(np.intp)
    latest = np.floor(last + land.in_samples(land.config.curtail_right)).astype(np.intp)
    ledger.left[rows] = np.maximum(left, earliest)
    ledger.right[rows] = np.minimum(right, latest)


def _without_repeats(land: Landscape, ledger: Ledger) -> None:
    """Stage 10: each pair once, with the first of its peaks; what is left gets the order of time."""
    rows = ledger.alive
    size = land.values.size
    key = (ledger.trace[rows] * land.samples + ledger.left[rows]) * size + ledger.right[rows]
    _, first = np.unique(key, return_index=True)
    keep = np.zeros(len(rows), dtype=bool)
    keep[first] = True
    ledger.judge("duplicate", keep)
    ledger.alive = rows[first]
