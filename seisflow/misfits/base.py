"""What every misfit offers, and the stretch of a pair of traces that it looks at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from seisflow.domain import FloatArray, Station, Window
from seisflow.errors import InputError, PhysicsError
from seisflow.signal.taper import hann_taper

__all__ = [
    "Band",
    "Comparison",
    "Cut",
    "Misfit",
    "PerWindow",
    "check_positive",
    "check_taper",
    "window_slice",
]

Band = tuple[float, float]
"""Shortest and longest period in s."""


@dataclass(frozen=True, eq=False)
class Cut:
    """One pair of traces, and the samples of it that lie in a window.

    Parameters
    ----------
    window : Window
    traces : tuple of 2 ndarray (nt,)
        The whole observed and synthetic trace.
    span : slice
        Samples of the window.
    interval : float
        Sampling interval in s.
    station : Station, optional
        Where it was recorded.
    """

    window: Window
    traces: tuple[FloatArray, FloatArray]
    span: slice
    interval: float
    station: Station | None = None

    @property
    def samples(self) -> int:
        """Number of samples in the window."""
        return int(self.span.stop - self.span.start)

    @property
    def observed(self) -> FloatArray:
        """Observed samples in the window, shape (samples,)."""
        return np.asarray(self.traces[0][self.span], dtype=np.float64)

    @property
    def synthetic(self) -> FloatArray:
        """Synthetic samples in the window, shape (samples,)."""
        return np.asarray(self.traces[1][self.span], dtype=np.float64)

    @property
    def lag(self) -> int:
        """Samples by which the observed came late when the window was selected, as far as the trace reaches.

        It is frozen with the window, so what is cut with it depends on no model.
        """
        wanted = round(self.window.shift / self.interval)
        return int(min(max(wanted, -self.span.start), len(self.traces[0]) - self.span.stop))

    @property
    def observed_aligned(self) -> FloatArray:
        """Observed samples in the window moved by ``lag``, shape (samples,)."""
        moved = slice(self.span.start + self.lag, self.span.stop + self.lag)
        return np.asarray(self.traces[0][moved], dtype=np.float64)

    @property
    def where(self) -> str:
        """The window in words."""
        window = self.window
        return f"{window.station}.{window.component} from {window.start:g} to {window.end:g} s"

    def tapered(self, fraction: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A Hann taper over the window whose two ends take that fraction of it, and observed and synthetic under it.

        Raises
        ------
        PhysicsError
            If one of them is zero.
        """
        taper = hann_taper(self.samples, fraction / 2)
        observed, synthetic = taper * self.observed, taper * self.synthetic
        self.check_signal(observed, synthetic)
        return taper, observed, synthetic

    def check_signal(self, observed: FloatArray, synthetic: FloatArray) -> None:
        """Refuse traces of zeros, which have neither phase nor travel time nor relative amplitude."""
        for name, trace in (("observed", observed), ("synthetic", synthetic)):
            if not np.any(trace):
                raise PhysicsError(
                    f"{name} {self.where} is zero: it has neither phase, nor travel time, nor relative amplitude; "
                    "take the window out"
                )


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a misfit says of a window.

    Parameters
    ----------
    value : float
    source : ndarray (samples of the window,)
        Exact derivative of the sum of all values by each synthetic sample of the window, over the interval.
    shift, dlna, correlation, error : float, optional
        As in ``Measurement``, where they are measured.
    """

    value: float
    source: FloatArray
    shift: float | None = None
    dlna: float | None = None
    correlation: float | None = None
    error: float | None = None

    def times(self, weight: float) -> Comparison:
        """The same with value and source multiplied."""
        return replace(self, value=weight * self.value, source=weight * self.source)


class Misfit(Protocol):
    """A number that says how far observed and synthetic are apart, and its derivative."""

    def measure(self, cuts: Sequence[Cut]) -> list[Comparison | PhysicsError]:
        """Measure all windows of an event.

        Parameters
        ----------
        cuts : sequence of Cut
            In the order of the windows.

        Returns
        -------
        list
            For each, in that order, the comparison (weight of the window included), or why there is none. What
            has none must have no part in the others.
        """
        ...


class PerWindow(ABC):
    """A misfit whose windows do not know of each other: only ``compare`` is left to write."""

    @abstractmethod
    def compare(self, cut: Cut) -> Comparison:
        """Measure one window, its weight not included.

        Raises
        ------
        PhysicsError
            If it cannot be measured.
        """

    def measure(self, cuts: Sequence[Cut]) -> list[Comparison | PhysicsError]:
        """See ``Misfit.measure``."""
        found: list[Comparison | PhysicsError] = []
        for cut in cuts:
            try:
                found.append(self.compare(cut).times(cut.window.weight))
            except PhysicsError as error:
                found.append(error)
        return found


def check_taper(taper: float) -> None:
    """Refuse an impossible fraction of tapered samples."""
    if not 0 <= taper <= 1:
        raise InputError(f"taper = {taper}: the fraction of the window that is tapered, 0 to 1")


def check_positive(config: object, *names: str) -> None:
    """Refuse settings that are not above 0; those that are left out (None) pass."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not (value > 0 and np.isfinite(value)):
            raise InputError(f"{name} = {value}: must be positive")


def window_slice(window: Window, start: float, interval: float, samples: int) -> slice:
    """Find the samples of a trace that lie in a window, both ends included.

    Raises
    ------
    InputError
        If the window leaves the trace.
    """
    first = round((window.start - start) / interval)
    last = round((window.end - start) / interval)
    where = f"window {window.start:g} to {window.end:g} s of {window.station}.{window.component}"
    if first < 0 or last >= samples:
        end = start + interval * (samples - 1)
        raise InputError(
            f"{where} leaves the trace, which runs from {start:g} to {end:g} s; select windows anew"
        )
    return slice(first, last + 1)
