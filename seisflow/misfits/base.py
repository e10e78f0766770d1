"""What every misfit offers, and the part of a trace that it looks at."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from seisflow.domain import FloatArray, Measurement, Window
from seisflow.errors import InputError

__all__ = ["Misfit", "window_slice"]

FEWEST_SAMPLES = 5


class Misfit(Protocol):
    """A number that says how far observed and synthetic are apart in a window, and its derivative."""

    def measure(
        self, observed: FloatArray, synthetic: FloatArray, window: Window, start: float, interval: float
    ) -> tuple[Measurement, FloatArray]:
        """Measure one window.

        Parameters
        ----------
        observed, synthetic : ndarray (nt,)
            The whole traces.
        window : Window
        start, interval : float
            Time of the first sample and sampling interval in s.

        Returns
        -------
        Measurement
            With the misfit, weight of the window included.
        ndarray (nt,)
            Adjoint source: the exact dJ/d(sample of synthetic) / interval, zero outside the window.
        """
        ...


def window_slice(window: Window, start: float, interval: float, samples: int) -> slice:
    """Find the samples of a trace that lie in a window, both ends included.

    Raises
    ------
    InputError
        If the window leaves the trace or holds under five samples.
    """
    first = round((window.start - start) / interval)
    last = round((window.end - start) / interval)
    where = f"window {window.start:g} to {window.end:g} s of {window.station}.{window.component}"
    if first < 0 or last >= samples:
        end = start + interval * (samples - 1)
        raise InputError(
            f"{where} leaves the trace, which runs from {start:g} to {end:g} s; select windows anew"
        )
    if last - first + 1 < FEWEST_SAMPLES:
        raise InputError(
            f"{where} holds {last - first + 1} samples; a window needs at least {FEWEST_SAMPLES}"
        )
    return slice(first, last + 1)


def full_trace(part: FloatArray, span: slice, samples: int) -> FloatArray:
    """Put the samples of a window into a trace of zeros, shape (samples,)."""
    trace = np.zeros(samples)
    trace[span] = part
    return trace
