"""Measure all windows of an event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisflow.domain import FloatArray, Gather, Measurement, Measurements, Rejection, Window
from seisflow.errors import InputError, MissingError, PhysicsError
from seisflow.misfits.base import Comparison, Cut, Misfit, window_slice
from seisflow.signal.alike import check_alike

__all__ = ["measure_gather", "measure_traces"]

STAGE = "misfit"
FEWEST_SAMPLES = 5


def measure_gather(
    misfit: Misfit, observed: Gather, synthetic: Gather, windows: Sequence[Window], *, strict: bool = True
) -> Measurements:
    """Measure every window, in the order given.

    Parameters
    ----------
    misfit : Misfit
    observed, synthetic : Gather
        On the same axes, treated alike.
    windows : sequence of Window
        Adjoint sources of windows that overlap add up, as their misfits do.
    strict : bool
        Whether a window that cannot be measured stops it; else it is left out and listed among the rejections.

    Returns
    -------
    Measurements
        The adjoint source is float64 and has the axes of ``synthetic``. Without windows it is zero.

    Raises
    ------
    InputError
        If the gathers differ in axes, or a window lies on a trace that is not live.
    PhysicsError
        If ``strict`` and a misfit or an adjoint source is not finite, or a misfit cannot be measured.
    """
    check_alike(observed, synthetic)
    numbers = {station.id: number for number, station in enumerate(observed.stations)}
    places = [_trace_number(observed, numbers, window) for window in windows]
    cuts = [_cut(observed, synthetic, window, place) for window, place in zip(windows, places, strict=True)]
    adjoint = np.zeros(synthetic.data.shape)
    rows: list[Measurement] = []
    rejections: list[Rejection] = []
    for cut, place, found in zip(cuts, places, _measured(misfit, cuts), strict=True):
        window = cut.window
        if isinstance(found, PhysicsError):
            if strict:
                raise found
            lost = Rejection(window.station, window.component, STAGE, str(found), window.start, window.end)
            rejections.append(lost)
            continue
        rows.append(_row(window, found))
        adjoint[place][cut.span] += found.source
    return Measurements(tuple(rows), synthetic.with_data(adjoint, live=None), tuple(rejections))


def measure_traces(
    misfit: Misfit, traces: tuple[FloatArray, FloatArray], window: Window, start: float, interval: float
) -> tuple[Measurement, FloatArray]:
    """Measure one window of one pair of traces.

    Parameters
    ----------
    misfit : Misfit
    traces : tuple of 2 ndarray (nt,)
        Observed and synthetic.
    window : Window
    start, interval : float
        Time of the first sample and sampling interval in s.

    Returns
    -------
    Measurement
    ndarray (nt,)
        Adjoint source.

    Raises
    ------
    PhysicsError
        If it cannot be measured.
    """
    span = window_slice(window, start, interval, len(traces[1]))
    (found,) = _measured(misfit, [Cut(window, traces, span, interval)])
    if isinstance(found, PhysicsError):
        raise found
    source = np.zeros(len(traces[1]))
    source[span] = found.source
    return _row(window, found), source


def _measured(misfit: Misfit, cuts: Sequence[Cut]) -> list[Comparison | PhysicsError]:
    """What the misfit says; too few samples and NaN on either side of it are faults, and such windows have no part."""
    faults = [_too_short(cut) or _not_finite(cut, cut.observed, cut.synthetic) for cut in cuts]
    good = [cut for cut, fault in zip(cuts, faults, strict=True) if fault is None]
    found = iter(misfit.measure(good))
    results: list[Comparison | PhysicsError] = [fault or next(found) for fault in faults]
    for number, (cut, result) in enumerate(zip(cuts, results, strict=True)):
        if isinstance(result, Comparison):
            results[number] = _not_finite(cut, np.array([result.value]), result.source) or result
    return results


def _too_short(cut: Cut) -> PhysicsError | None:
    if cut.samples >= FEWEST_SAMPLES:
        return None
    return PhysicsError(
        f"window {cut.where} holds {cut.samples} samples; a misfit needs at least {FEWEST_SAMPLES}"
    )


def _not_finite(cut: Cut, *arrays: FloatArray) -> PhysicsError | None:
    if all(np.all(np.isfinite(array)) for array in arrays):
        return None
    return PhysicsError(
        f"misfit of {cut.where} is not finite; look for NaN in the observed or the synthetic seismogram"
    )


def _row(window: Window, found: Comparison) -> Measurement:
    return Measurement(window, found.value, found.shift, found.dlna, found.correlation, found.error)


def _cut(observed: Gather, synthetic: Gather, window: Window, place: tuple[int, int]) -> Cut:
    span = window_slice(window, synthetic.start, synthetic.interval, synthetic.samples)
    traces = observed.data[place], synthetic.data[place]
    return Cut(window, traces, span, synthetic.interval, observed.stations[place[0]])


def _trace_number(observed: Gather, numbers: dict[str, int], window: Window) -> tuple[int, int]:
    name = f"{window.station}.{window.component}"
    if window.station not in numbers or window.component not in observed.components:
        raise MissingError(f"window on {name}, which is not among the seismograms; select windows anew")
    place = numbers[window.station], observed.components.index(window.component)
    if not observed.is_live(*place):
        raise InputError(f"window on {name}, of which there is no recording; select windows anew")
    return place
