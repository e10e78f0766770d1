"""Windows of a block of traces, whose candidates go through the stages together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from seisflow.domain import STAGES, CandidateTable, FloatArray, Rejection, Window
from seisflow.windows.arrivals import Arrivals
from seisflow.windows.candidates import proposals
from seisflow.windows.config import WindowConfig
from seisflow.windows.fit import Fits, fits, noise_level, signal_to_noise, trace_quality
from seisflow.windows.landscape import Landscape
from seisflow.windows.ledger import IntArray, Ledger
from seisflow.windows.schedule import best_combination, best_schedule, groups

__all__ = ["Block"]

_Span = tuple[int, int, int]
"""Trace, first and last sample of a window."""

TEXTS = {
    "length": "lasts {value} s, under {limit} s",
    "interior minima": "E(t) falls to {value} inside, under {limit}",
    "prominence": "peak rises by {value}, under {limit}",
    "phase separation": "another peak of E(t) is too high by {value}",
    "duplicate": "another peak makes the same window",
    "signal to noise": "signal to noise {value}, under {limit}",
    "correlation": "correlation {value}, under {limit}",
    "overlap": "length times correlation {value}, others add up to more",
}


@dataclass(eq=False)
class Block:
    """Some pairs of traces.

    Parameters
    ----------
    places : ndarray of int (n, 2)
        Station and component number of each.
    names : sequence of (str, str)
        Station and component.
    traces : tuple of 2 ndarray (n, nt)
        Observed and synthetic.
    times : tuple of 2 float
        Time of the first sample and sampling interval, s.
    arrivals : sequence of Arrivals
    settings : tuple
        Configuration, and shortest and longest period in s.
    """

    places: npt.NDArray[np.intp]
    names: Sequence[tuple[str, str]]
    traces: tuple[FloatArray, FloatArray]
    times: tuple[float, float]
    arrivals: Sequence[Arrivals]
    settings: tuple[WindowConfig, tuple[float, float]]

    @property
    def config(self) -> WindowConfig:
        """How windows are selected."""
        return self.settings[0]

    @property
    def samples(self) -> int:
        """Samples of a trace."""
        return int(self.traces[0].shape[1])

    @cached_property
    def land(self) -> Landscape:
        """E(t) of the synthetics."""
        return Landscape.of(self.traces[1], self.times, self.settings[1], self.arrivals, self.config)

    @cached_property
    def noise(self) -> list[tuple[int, FloatArray]]:
        """Of each trace the number of samples before the first arrival, and the observed there."""
        ends = self.land.first - self.land.period
        counts = np.clip(np.ceil((ends - self.times[0]) / self.times[1] - 1e-9), 0, self.samples)
        return [(count, self.traces[0][n, :count]) for n, count in enumerate(counts.astype(int).tolist())]

    def select(self) -> tuple[list[list[Window | Rejection]], CandidateTable]:
        """Windows and rejections of each trace, and all candidates."""
        complaints = self._quality() if self.config.check_trace else {}
        ledger, faults = proposals(self.land)
        self._leave_out(ledger, complaints)
        self._judge_waves(ledger)
        ratio = self._judge_noise(ledger)
        found = self._judge_fit(ledger)
        chosen = self._choose(ledger, found, ratio)
        results: list[list[Window | Rejection]] = [[] for _ in self.names]
        for number, text in complaints.items():
            results[number].append(Rejection(*self.names[number], "trace quality", text))
        for number, text in faults.items():
            if number not in complaints:
                results[number].append(Rejection(*self.names[number], "candidates", text))
        for number, lost in self._rejections(ledger, set(complaints)):
            results[number].append(lost)
        for number, left, right in chosen:
            results[number].append(self._window(number, left, right, found, ratio))
        keep = ~np.isin(ledger.trace, list(complaints))
        return results, self._table(ledger).take(keep)

    def measure(
        self, spans: Sequence[Sequence[tuple[int, int]]], *, judge: bool
    ) -> tuple[list[Window], list[Rejection]]:
        """Windows with given first and last samples of each trace; all, or those that pass stages 12 and 13."""
        trace = np.repeat(np.arange(len(spans)), [len(each) for each in spans])
        left, right = np.array([span for each in spans for span in each], dtype=np.intp).reshape(-1, 2).T
        ledger = Ledger(trace, left, left.copy(), right.copy(), np.zeros(len(spans), dtype=np.intp))
        ratio, found = self._judge_noise(ledger, judge=judge), self._judge_fit(ledger, judge=judge)
        windows = [self._window(*key, found, ratio) for key in self._keys(ledger, ledger.alive)]
        return windows, [self._refusal(ledger, row) for row in np.flatnonzero(ledger.stage > 0).tolist()]

    # ------------------------------------------------------------------ stages

    def _quality(self) -> dict[int, str]:
        """Stage 4."""
        found = {}
        for number, (count, noise) in enumerate(self.noise):
            last = (self.arrivals[number].last + self.settings[1][1] - self.times[0]) / self.times[1]
            end = int(min(np.floor(last + 1e-9) + 1, self.samples))
            text = trace_quality(self.traces[0][number, count:end], noise, self.config)
            if text is not None:
                found[number] = text
        return found

    @staticmethod
    def _leave_out(ledger: Ledger, traces: dict[int, str]) -> None:
        if traces:
            ledger.alive = ledger.alive[~np.isin(ledger.trace[ledger.alive], list(traces))]

    def _judge_waves(self, ledger: Ledger) -> None:
        """Keep windows of the waves that are wanted."""
        if self.config.waves == "all":
            return
        rows = ledger.alive
        spans = zip(
            ledger.trace[rows].tolist(),
            self.land.times(ledger.left[rows]).tolist(),
            self.land.times(ledger.right[rows]).tolist(),
            strict=True,
        )
        told = [self._waves(*span) for span in spans]
        if self.config.waves == "phases":
            keep = np.array([bool(phases) for _, phases in told], dtype=bool)
        else:
            keep = np.array([waves == self.config.waves for waves, _ in told], dtype=bool)
        ledger.judge("waves", keep, self.land.times(ledger.left[rows]))

    def _waves(self, number: int, start: float, end: float) -> tuple[str, tuple[str, ...]]:
        """What a window holds: ``body`` or ``surface`` waves, and which phases."""
        here = self.arrivals[number]
        phases = tuple(name for name, time in here.phases if start <= time <= end)
        if not np.isfinite(here.surface):
            return "", phases
        last = here.last + self.settings[1][1]
        overlap = min(end, last) - max(start, here.surface)
        return ("surface" if overlap >= 0.5 * (end - start) else "body"), phases

    def _judge_noise(self, ledger: Ledger, *, judge: bool = True) -> dict[_Span, float]:
        """Stage 12; the ratio of each window that is left."""
        rows, kind = ledger.alive, self.config.signal_to_noise
        level = np.array([noise_level(noise, kind) for _, noise in self.noise])
        first, length = self._cuts(rows, ledger)
        trace = ledger.trace[rows]
        ratio = signal_to_noise(self.traces[0].ravel(), first, length, level[trace], kind)
        least = self.land.level(self.config.min_signal_to_noise, trace, self._centre(ledger))
        keep = (ratio >= least) | (not judge)
        ledger.judge("signal to noise", keep, ratio, least)
        keys = self._keys(ledger, ledger.alive)
        return dict(zip(keys, ratio[keep].tolist(), strict=True))

    def _judge_fit(self, ledger: Ledger, *, judge: bool = True) -> dict[_Span, tuple[float, float, float]]:
        """Stage 13: lag, amplitude and correlation of the windows that are left."""
        found = self._fits(ledger, ledger.alive)
        config = self.config
        limits = (config.largest_shift(self.land.period), config.max_dlna, config.min_correlation)
        for stage, limit in zip(("shift", "amplitude", "correlation"), limits, strict=True):
            level = self.land.level(limit, ledger.trace[ledger.alive], self._centre(ledger))
            if stage == "shift":
                value, keep = found.shift, np.abs(found.shift - config.shift_reference) < level
            elif stage == "amplitude":
                value, keep = found.dlna, np.abs(found.dlna - config.dlna_reference) < level
            else:
                value, keep = found.correlation, found.correlation >= level
            keep = keep | (not judge)
            ledger.judge(stage, keep, value, level)
            found = Fits(found.shift[keep], found.correlation[keep], found.dlna[keep])
        rows = zip(found.shift.tolist(), found.correlation.tolist(), found.dlna.tolist(), strict=True)
        return dict(zip(self._keys(ledger, ledger.alive), rows, strict=True))

    def _choose(
        self, ledger: Ledger, found: dict[_Span, tuple[float, float, float]], ratio: dict[_Span, float]
    ) -> list[_Span]:
        """Stage 14: windows without overlap, as trace, first and last sample."""
        rows, chosen = ledger.alive, []
        keep = np.zeros(len(rows), dtype=bool)
        correlation = np.array([found[key][1] for key in self._keys(ledger, rows)])
        left, right = ledger.left[rows], ledger.right[rows]
        value = (right - left) * self.times[1] / self.land.period * correlation
        borders = np.searchsorted(ledger.trace[rows], np.arange(len(self.names) + 1)).tolist()
        for number, (first, end) in enumerate(pairwise(borders)):
            if first == end:
                continue
            part = slice(first, end)
            if self.config.overlaps == "merge":
                joined, members = self._merged(number, (left[part], right[part]), value[part], (found, ratio))
                keep[first + members] = True
                chosen += joined
                continue
            if self.config.overlaps == "combination":
                weights = self.config.overlap_weights
                members = best_combination(left[part], right[part], correlation[part], weights)
            else:
                members = best_schedule(left[part], right[part], value[part])
            keep[first + members] = True
            spans = zip(left[part][members].tolist(), right[part][members].tolist(), strict=True)
            chosen += [(number, *span) for span in spans]
        ledger.judge("overlap", keep, value)
        return chosen

    def _merged(
        self,
        number: int,
        spans: tuple[IntArray, IntArray],
        value: FloatArray,
        known: tuple[dict[_Span, tuple[float, float, float]], dict[_Span, float]],
    ) -> tuple[list[_Span], IntArray]:
        """Windows that overlap as one, if it passes the limits of fit; else the best of them."""
        left, right = spans
        chosen: list[_Span] = []
        members: list[IntArray] = []
        for group in groups(left, right):
            first, last = int(left[group].min()), int(right[group].max())
            union = Ledger(*(np.array([each]) for each in (number, first, first, last, 0)))
            ratio = self._judge_noise(union)
            found = self._judge_fit(union)
            if found:
                known[0].update(found)
                known[1].update(ratio)
                chosen.append((number, first, last))
                members.append(group)
                continue
            best = group[best_schedule(left[group], right[group], value[group])]
            chosen += [(number, int(left[n]), int(right[n])) for n in best]
            members.append(best)
        return chosen, np.concatenate(members)

    # ------------------------------------------------------------------ what is told

    def _window(
        self,
        number: int,
        left: int,
        right: int,
        found: dict[_Span, tuple[float, float, float]],
        ratio: dict[_Span, float],
    ) -> Window:
        shift, correlation, dlna = found[number, left, right]
        start, end = (float(self.times[0] + self.times[1] * each) for each in (left, right))
        waves, phases = self._waves(number, start, end)
        noise = ratio.get((number, left, right))
        return Window(
            *self.names[number],
            start,
            end,
            correlation=correlation,
            shift=shift,
            dlna=dlna,
            signal_to_noise=noise if noise is not None and np.isfinite(noise) else None,
            waves=waves,
            phases=phases,
        )

    def _rejections(self, ledger: Ledger, without: set[int]) -> list[tuple[int, Rejection]]:
        """For each trace and stage how many candidates were refused, and the first of them."""
        lost = np.flatnonzero(ledger.stage > 0)
        lost = lost[ledger.stage[lost] != STAGES.index("duplicate")]  # its window is there
        key = ledger.trace[lost] * len(STAGES) + ledger.stage[lost]
        codes, first, counts = np.unique(key, return_index=True, return_counts=True)
        many = {(code // len(STAGES), code % len(STAGES)): n for n, code in enumerate(codes.tolist())}
        inner = STAGES.index("interior minima")
        beyond = {int(n): int(ledger.beyond[n]) for n in np.flatnonzero(ledger.beyond)}
        for number in beyond:
            many.setdefault((number, inner), -1)
        rows = []
        for (number, stage), place in sorted(many.items()):
            if number in without:
                continue
            station, component = self.names[number]
            extra = beyond.get(number, 0) if stage == inner else 0
            if place < 0:
                text = "E(t) falls under the level inside"
                rows.append((number, Rejection(station, component, STAGES[stage], text, count=extra)))
                continue
            lost_one = self._refusal(ledger, int(lost[first[place]]))
            rows.append((number, replace(lost_one, count=int(counts[place]) + extra)))
        return rows

    def _refusal(self, ledger: Ledger, row: int) -> Rejection:
        """A single candidate that was refused."""
        start, end = (float(self.land.times(each[row])) for each in (ledger.left, ledger.right))
        station, component = self.names[ledger.trace[row]]
        stage = STAGES[ledger.stage[row]]
        return Rejection(station, component, stage, self._reason(ledger, row), start, end)

    def _reason(self, ledger: Ledger, row: int) -> str:
        """Why a candidate was refused, in words."""
        stage = STAGES[ledger.stage[row]]
        value, limit = f"{ledger.value[row]:.4g}", f"{ledger.limit[row]:.4g}"
        here = self.arrivals[ledger.trace[row]]
        if stage == "travel time":
            return f"starts at {value} s, waves are expected from {here.first:.4g} to {here.last:.4g} s"
        if stage == "waves":
            wanted = ", ".join(self.config.phases) if self.config.waves == "phases" else self.config.waves
            return (
                f"starts at {value} s, holds no {wanted}{'' if self.config.waves == 'phases' else ' waves'}"
            )
        if stage == "shift":
            return f"lag {value} s, not within {limit} s of {self.config.shift_reference:g} s"
        if stage == "amplitude":
            return f"dlnA {value}, not within {limit} of {self.config.dlna_reference:g}"
        return TEXTS[stage].format(value=value, limit=limit)

    def _table(self, ledger: Ledger) -> CandidateTable:
        return CandidateTable(
            self.places[ledger.trace, 0].astype(np.int32),
            self.places[ledger.trace, 1].astype(np.int32),
            ledger.peak.astype(np.int32),
            ledger.left.astype(np.int32),
            ledger.right.astype(np.int32),
            ledger.stage,
            ledger.value,
            ledger.limit,
        )

    # ------------------------------------------------------------------ parts

    @staticmethod
    def _keys(ledger: Ledger, rows: IntArray) -> list[_Span]:
        columns = (each[rows].tolist() for each in (ledger.trace, ledger.left, ledger.right))
        return list(zip(*columns, strict=True))

    @staticmethod
    def _centre(ledger: Ledger) -> FloatArray:
        rows = ledger.alive
        return np.asarray(0.5 * (ledger.left[rows] + ledger.right[rows]))

    def _cuts(self, rows: IntArray, ledger: Ledger) -> tuple[IntArray, IntArray]:
        """First sample in the flattened traces, and number of samples."""
        first = ledger.trace[rows] * self.samples + ledger.left[rows]
        return first, ledger.right[rows] - ledger.left[rows] + 1

    def _fits(self, ledger: Ledger, rows: IntArray) -> Fits:
        observed, synthetic = (each.ravel() for each in self.traces)
        return fits(observed, synthetic, self.times[1], *self._cuts(rows, ledger))
