"""Candidate windows from peaks and troughs of E(t), judged by shape (Maggi et al. 2009, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.windows.arrivals import Arrivals
from seisflow.windows.config import WindowConfig
from seisflow.windows.stalta import extrema, short_over_long
from seisflow.windows.tally import Tally, Verdict

__all__ = ["Landscape", "long_enough", "proposals"]

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Landscape:
    """E(t) of a synthetic with its peaks and troughs, and what windows on it are judged by.

    Parameters
    ----------
    values : ndarray (nt,)
        E(t).
    peaks, troughs : ndarray of int
        Samples, within the limits of travel times.
    start, interval : float
        Time of the first sample and sampling interval, s.
    period : float
        Shortest period of the band in s.
    arrivals : Arrivals
    config : WindowConfig
    """

    values: FloatArray
    peaks: IntArray
    troughs: IntArray
    start: float
    interval: float
    period: float
    arrivals: Arrivals
    config: WindowConfig

    @classmethod
    def of(
        cls,
        synthetic: FloatArray,
        times: tuple[float, float],
        band: tuple[float, float],
        arrivals: Arrivals,
        config: WindowConfig,
    ) -> Landscape:
        """Make it from a synthetic trace; ``times``: start and interval, ``band``: the two periods, in s."""
        start, interval = times
        values = short_over_long(synthetic, interval, band[0])
        peaks, troughs = extrema(values)
        first = (arrivals.first - config.lead(band[0]) - start) / interval
        last = min((arrivals.last + band[1] - start) / interval, len(values) - 1)
        inside = troughs[(troughs >= first) & (troughs <= last)]
        ends = max(int(np.ceil(first)), 0), int(np.floor(last))
        if len(inside) < len(troughs) and ends[0] < ends[1]:
            inside = np.unique(np.concatenate([inside, np.array(ends, dtype=np.intp)]))
        span = (inside[0], inside[-1]) if len(inside) else (0, 0)
        peaks = peaks[(peaks > span[0]) & (peaks < span[1])]
        return cls(values, peaks, inside, start, interval, band[0], arrivals, config)

    def samples(self, periods: float) -> float:
        """Express so many of the shortest period in samples."""
        return periods * self.period / self.interval


@dataclass(frozen=True, eq=False)
class Candidates:
    """Windows around one peak, and the lowest E(t) at troughs strictly inside each."""

    peak: int
    left: IntArray
    right: IntArray
    lowest_inside: FloatArray

    def take(self, keep: npt.NDArray[np.bool_]) -> Candidates:
        """Those that a stage keeps."""
        return replace(
            self, left=self.left[keep], right=self.right[keep], lowest_inside=self.lowest_inside[keep]
        )


Shape = Callable[[Landscape, Candidates], Verdict]


def proposals(land: Landscape, tally: Tally) -> tuple[IntArray, IntArray]:
    """Stages 1 to 11: pairs of troughs around each peak above the water level that pass the tests of shape.

    Returns
    -------
    tuple of 2 ndarray of int
        First and last sample of each window, in order, each pair once.
    """
    found: list[IntArray] = []
    high = land.peaks[land.values[land.peaks] > land.config.water_level]
    for peak in high:
        candidates = _around(land, int(peak))
        for shape in (_in_time, _long, _no_low_inside, _prominent, _one_phase):
            verdict = shape(land, candidates)
            tally.note(verdict, candidates.left, candidates.right)
            candidates = candidates.take(verdict.keep)
        found.append(np.stack(_curtail(land, candidates), axis=1))
    if not len(high):
        top = land.values[land.peaks].max() if len(land.peaks) else 0.0
        tally.trace(
            "candidates", f"no peak of E(t) above {land.config.water_level:g}, the highest is {top:.3g}"
        )
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    unique = np.unique(np.concatenate(found), axis=0)
    left, right = unique[:, 0], unique[:, 1]
    verdict = long_enough(land, left, right)
    tally.note(verdict, left, right)
    return left[verdict.keep], right[verdict.keep]


def _around(land: Landscape, peak: int) -> Candidates:
    left, right = land.troughs[land.troughs < peak], land.troughs[land.troughs > peak]
    # Lowest trough strictly between each end and the peak.
    inner_left = np.append(np.minimum.accumulate(land.values[left][::-1])[::-1][1:], np.inf)[: len(left)]
    inner_right = np.append(np.inf, np.minimum.accumulate(land.values[right])[:-1])[: len(right)]
    return Candidates(
        peak,
        np.repeat(left, len(right)),
        np.tile(right, len(left)),
        np.minimum(inner_left[:, None], inner_right[None, :]).ravel(),
    )


def _in_time(land: Landscape, c: Candidates) -> Verdict:
    end = land.start + land.interval * c.right
    begin = land.start + land.interval * c.left
    keep = (end >= land.arrivals.first - land.period) & (begin <= land.arrivals.last)
    span = f"{land.arrivals.first:.4g} to {land.arrivals.last:.4g} s"
    return Verdict("travel time", keep, begin, f"starts at {{}} s, waves are expected from {span}")


def long_enough(land: Landscape, left: IntArray, right: IntArray) -> Verdict:
    """Stages 5 and 11: windows last at least ``min_length`` shortest periods."""
    length = (right - left) * land.interval
    shortest = land.config.min_length * land.period
    return Verdict("length", length >= shortest * (1 - 1e-9), length, f"lasts {{}} s, under {shortest:.4g} s")


def _long(land: Landscape, c: Candidates) -> Verdict:
    return long_enough(land, c.left, c.right)


def _no_low_inside(land: Landscape, c: Candidates) -> Verdict:
    level = land.config.interior_minima * land.config.water_level
    return Verdict(
        "interior minima",
        c.lowest_inside > level,
        c.lowest_inside,
        f"E(t) falls to {{}} inside, under {level:.3g}",
    )


def _prominent(land: Landscape, c: Candidates) -> Verdict:
    top = land.values[c.peak]
    left, right = land.troughs[land.troughs < c.peak], land.troughs[land.troughs > c.peak]
    rise = min((top - land.values[side]).item() for side in (left[-1:], right[:1])) if len(c.left) else 0.0
    level = land.config.prominence * top
    keep = np.full(len(c.left), land.config.prominence == 0 or rise >= level)
    return Verdict("prominence", keep, np.full(len(c.left), rise), f"peak rises by {{}}, under {level:.3g}")


def _one_phase(land: Landscape, c: Candidates) -> Verdict:
    """Other peaks m: E(m) - E0 <= c3a (E(M) - E0) f(m), with E0 the lowest trough of the window."""
    others = land.peaks[land.peaks != c.peak]
    lowest = np.minimum(c.lowest_inside, np.minimum(land.values[c.left], land.values[c.right]))
    away = np.abs(others - c.peak) / land.samples(1.0)
    soon = max(land.config.separation_time, 1e-12)
    fade = np.where(away < soon, 1.0, np.exp(-(np.clip((away - soon) / soon, 0, 25) ** 2)))
    allowed = land.config.separation_height * fade * (land.values[c.peak] - lowest)[:, None]
    excess = (land.values[others][None, :] - lowest[:, None]) - allowed
    inside = (others[None, :] > c.left[:, None]) & (others[None, :] < c.right[:, None])
    worst = np.where(inside, excess, -np.inf).max(axis=1, initial=-np.inf)
    return Verdict("phase separation", worst <= 0, worst, "another peak of E(t) is too high by {}")


def _curtail(land: Landscape, c: Candidates) -> tuple[IntArray, IntArray]:
    """Stage 9: start at most c4a periods before the first peak inside, end at most c4b after the last."""
    first = land.peaks[np.searchsorted(land.peaks, c.left, side="right")]
    last = land.peaks[np.searchsorted(land.peaks, c.right, side="left") - 1]
    left = np.maximum(c.left, np.ceil(first - land.samples(land.config.curtail_left)).astype(np.intp))
    right = np.minimum(c.right, np.floor(last + land.samples(land.config.curtail_right)).astype(np.intp))
    return left, right
