"""One period band of an event: seismograms treated for it, windows in it, what is measured there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property

from seisflow.config import Band
from seisflow.domain import (
    BandCandidates,
    Event,
    Gather,
    Measurement,
    Measurements,
    Rejection,
    TraceFit,
    Window,
    WindowEdit,
)
from seisflow.misfits import create as create_misfit
from seisflow.misfits import measure_gather
from seisflow.signal import Pipeline, SignalConfig, TimeAxis
from seisflow.signal.trace_fits import trace_fits
from seisflow.weights import QualityConfig, outliers
from seisflow.windows import Pair, carried_over, check_not_identical, edited, select_all
from seisflow.windows.arrivals import PhaseTimes

__all__ = ["OBSERVED", "SYNTHETIC", "BandStep", "observed_tags", "tag_of"]

SYNTHETIC, OBSERVED = "synthetic_processed", "observed_processed"
"""Tags of the first band in the file of an event."""


def tag_of(kind: str, band: int) -> str:
    """Tag of the seismograms of a band (from 0): ``observed_processed``, then ``observed_processed_2``."""
    return kind if band == 0 else f"{kind}_{band + 1}"


def observed_tags(bands: int) -> tuple[str, ...]:
    """Tags of the observed seismograms of so many bands."""
    return tuple(tag_of(OBSERVED, number) for number in range(bands))


class BandStep:
    """What is done in one band of an event.

    Parameters
    ----------
    band : Band
    signal : SignalConfig
    observed : Gather
        Treated recordings.
    held : collection of str
        Stations that are measured only.
    """

    def __init__(
        self, band: Band, signal: SignalConfig, observed: Gather, held: Collection[str] = ()
    ) -> None:
        self.band, self.signal, self.observed, self.held = band, signal, observed, held
        self.windows: tuple[Window, ...] = ()
        self.rejections: tuple[Rejection, ...] = ()
        self.measurements: Measurements | None = None
        self.held_rows: tuple[Measurement, ...] = ()
        self.traces: tuple[TraceFit, ...] = ()
        self.candidates: BandCandidates | None = None
        self.raw: Gather | None = None
        self.event: Event | None = None

    def treat(self, raw: Gather, event: Event) -> None:
        """Take the seismograms of the solver."""
        self.forget()
        self.raw, self.event = raw, event

    def forget(self) -> None:
        """Drop the synthetic seismograms, and the candidates that were selected from."""
        self.raw = self.candidates = None
        for name in ("pipeline", "synthetic"):
            self.__dict__.pop(name, None)

    @cached_property
    def pipeline(self) -> Pipeline:
        """From raw to treated synthetic seismograms, and back for adjoint sources."""
        if self.raw is None or self.event is None:
            raise ValueError("no synthetic seismograms were taken")
        axis = TimeAxis.of(self.observed)
        return Pipeline(
            self.signal, TimeAxis.of(self.raw), axis, self.event, self.raw.stations, self.raw.quantity
        )

    @cached_property
    def synthetic(self) -> Gather:
        """The treated synthetic seismograms."""
        if self.raw is None:
            raise ValueError("no synthetic seismograms were taken")
        return self.pipeline.apply(self.raw)

    def pair(self, event: Event, times: PhaseTimes | None) -> Pair:
        """What is compared, and how."""
        return Pair(self.observed, self.synthetic, event, self.band.windows, self.signal.band, times)

    def select(self, pair: Pair) -> None:
        """Select windows."""
        check_not_identical(self.observed, self.synthetic)
        found = select_all(pair.observed, pair.synthetic, pair.event, pair.config, pair.band, pair.times)
        names, axis = tuple(station.id for station in self.observed.stations), self.observed
        self.candidates = BandCandidates(found.candidates, names, axis.components, axis.start, axis.interval)
        self.take(found.windows, (*self.rejections, *found.rejections))

    def carry_over(self, pair: Pair, windows: Sequence[Window]) -> None:
        """Take windows over from another stage, as far as they pass the limits of this one."""
        check_not_identical(self.observed, self.synthetic)
        kept, lost = carried_over(windows, pair)
        self.take(kept, (*self.rejections, *lost))

    def edit(self, pair: Pair, edits: Sequence[WindowEdit]) -> bool:
        """Do what people asked for; whether anything changed."""
        before = self.windows
        kept, lost = edited(self.windows, edits, pair)
        self.take(kept, (*self.rejections, *lost))
        return self.windows != before

    def judge(self, quality: QualityConfig, event: Event) -> None:
        """Leave out windows that stand apart from the others, and compare whole traces."""
        kept, lost = outliers(self.windows, quality, self.band.periods[0])
        self.windows, self.rejections = tuple(kept), (*self.rejections, *lost)
        longest = self.band.periods[1]
        self.traces = tuple(trace_fits(self.observed, self.synthetic, event, longest, self.band.number))

    def take(self, windows: Sequence[Window], rejections: Sequence[Rejection]) -> None:
        """Take windows, and what was refused; both get the number of the band."""
        number = self.band.number
        self.windows = tuple(replace(each, band=number) for each in windows)
        self.rejections = tuple(replace(each, band=number) for each in rejections)

    def measure(self, *, strict: bool) -> tuple[Rejection, ...]:
        """Measure the misfit in all windows; those of stations that are held out make no adjoint source.

        Parameters
        ----------
        strict : bool
            Whether a window that cannot be measured stops it: it is frozen, so the model went astray. Else it is left
            out.

        Returns
        -------
        tuple of Rejection
            What could not be measured.
        """
        misfit = create_misfit(self.band.misfit, self.band.periods)
        used = tuple(window for window in self.windows if window.station not in self.held)
        held = tuple(window for window in self.windows if window.station in self.held)
        self.measurements, self.held_rows = None, ()
        lost: tuple[Rejection, ...] = ()
        if used:
            self.measurements = measure_gather(misfit, self.observed, self.synthetic, used, strict=strict)
            lost += self.measurements.rejections
        if held:
            found = measure_gather(misfit, self.observed, self.synthetic, held, strict=strict)
            self.held_rows = found.rows
            lost += found.rejections
        kept = {row.window for row in (*self.used_rows, *self.held_rows)}
        self.windows = tuple(window for window in self.windows if window in kept)
        lost = tuple(replace(each, band=self.band.number) for each in lost)
        self.rejections += lost
        return lost

    @property
    def used_rows(self) -> tuple[Measurement, ...]:
        """What was measured and is inverted."""
        return self.measurements.rows if self.measurements is not None else ()

    @property
    def rows(self) -> tuple[Measurement, ...]:
        """What was measured, in the order of the windows."""
        measured = {row.window: row for row in (*self.used_rows, *self.held_rows)}
        return tuple(measured[window] for window in self.windows)

    @property
    def source(self) -> Gather | None:
        """Adjoint source on the samples of the solver; None if nothing was measured."""
        return None if self.measurements is None else self.pipeline.adjoint(self.measurements.adjoint)

    def unsafe(self) -> tuple[int, int]:
        """How many traces were refused for their fit, and how many windows lag by over half the shortest period.

        Both may be off by a cycle.
        """
        most, reference = self.band.periods[0] / 2, self.band.windows.shift_reference
        shifts = [row.window.shift if row.shift is None else row.shift for row in self.rows]
        late = sum(abs(shift - reference) > most for shift in shifts)
        misfits = {
            (row.station, row.component) for row in self.rejections if row.stage in ("shift", "correlation")
        }
        refused = len(misfits - {(window.station, window.component) for window in self.windows})
        return refused, late
