"""E(t) of a block of synthetic traces, with the peaks and troughs that may make windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seisflow.domain import FloatArray
from seisflow.windows.arrivals import Arrivals
from seisflow.windows.config import WindowConfig
from seisflow.windows.ledger import IntArray
from seisflow.windows.levels import Level, level_at
from seisflow.windows.stalta import extrema, short_over_long

__all__ = ["Landscape"]


@dataclass(frozen=True, eq=False)
class Landscape:
    """E(t) of some synthetic traces, and what windows on it are judged by.

    Parameters
    ----------
    values : ndarray (traces, nt)
        E(t).
    peaks, troughs : ndarray of int
        Places in the flattened values, rising, within the limits of travel times.
    start, interval : float
        Time of the first sample and sampling interval, s.
    band : tuple of 2 float
        Shortest and longest period in s.
    arrivals : sequence of Arrivals
        For each trace.
    config : WindowConfig
    """

    values: FloatArray
    peaks: IntArray
    troughs: IntArray
    start: float
    interval: float
    band: tuple[float, float]
    arrivals: Sequence[Arrivals]
    config: WindowConfig

    @classmethod
    def of(
        cls,
        synthetic: FloatArray,
        times: tuple[float, float],
        band: tuple[float, float],
        arrivals: Sequence[Arrivals],
        config: WindowConfig,
    ) -> Landscape:
        """Make it from synthetic traces; ``times``: start and interval, ``band``: the two periods, in s."""
        start, interval = times
        values = short_over_long(synthetic, interval, band[0])
        samples = values.shape[1]
        peaks, troughs = extrema(values)
        first = (np.array([each.first for each in arrivals]) - config.lead(band[0]) - start) / interval
        last = (np.array([each.last for each in arrivals]) + band[1] - start) / interval
        last = np.minimum(last, samples - 1)
        trace, sample = np.divmod(troughs, samples)
        inside = (sample >= first[trace]) & (sample <= last[trace])
        count = len(values)
        cut = np.bincount(trace[~inside], minlength=count) > 0
        begin, end = np.maximum(np.ceil(first), 0).astype(np.intp), np.floor(last).astype(np.intp)
        rows = np.flatnonzero(cut & (begin < end))
        ends = np.concatenate([rows * samples + begin[rows], rows * samples + end[rows]])
        troughs = np.unique(np.concatenate([troughs[inside], ends]))
        return cls(
            values, _between(peaks, troughs, samples), troughs, start, interval, band, tuple(arrivals), config
        )

    @property
    def samples(self) -> int:
        """Samples of a trace."""
        return int(self.values.shape[1])

    @property
    def period(self) -> float:
        """Shortest period in s."""
        return self.band[0]

    @cached_property
    def flat(self) -> FloatArray:
        """E(t) of all traces, one behind the other."""
        return np.ascontiguousarray(self.values).ravel()

    @cached_property
    def first(self) -> FloatArray:
        """First arrival of each trace, s."""
        return np.array([each.first for each in self.arrivals])

    @cached_property
    def last(self) -> FloatArray:
        """Last surface wave of each trace, s."""
        return np.array([each.last for each in self.arrivals])

    @cached_property
    def surface(self) -> FloatArray:
        """First surface wave of each trace, s."""
        return np.array([each.surface for each in self.arrivals])

    @cached_property
    def path(self) -> FloatArray:
        """Path to the station of each trace, m."""
        return np.array([each.path for each in self.arrivals])

    def in_samples(self, periods: float) -> float:
        """Express so many of the shortest period in samples."""
        return periods * self.period / self.interval

    def times(self, sample: IntArray | FloatArray) -> FloatArray:
        """Times of samples, s."""
        return np.asarray(self.start + self.interval * sample)

    def level(self, level: Level, trace: IntArray, sample: IntArray | FloatArray) -> FloatArray:
        """A limit at samples of traces."""
        return level_at(level, self.times(sample), self.path[trace])


def _between(peaks: IntArray, troughs: IntArray, samples: int) -> IntArray:
    """Peaks with a trough of the same trace on either side."""
    fenced = np.concatenate([[-samples], troughs, [-samples]])
    before = fenced[np.searchsorted(troughs, peaks)]
    after = fenced[np.searchsorted(troughs, peaks, side="right") + 1]
    trace = peaks // samples
    return np.asarray(peaks[(before // samples == trace) & (after // samples == trace)])
