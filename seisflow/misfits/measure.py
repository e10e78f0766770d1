"""Measure all windows of an event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisflow.domain import Gather, Measurement, Measurements, Window
from seisflow.errors import InputError, MissingError, PhysicsError
from seisflow.misfits.base import Misfit
from seisflow.signal.alike import check_alike

__all__ = ["measure_gather"]


def measure_gather(
    misfit: Misfit, observed: Gather, synthetic: Gather, windows: Sequence[Window]
) -> Measurements:
    """Measure every window, in the order given.

    Parameters
    ----------
    misfit : Misfit
    observed, synthetic : Gather
        On the same axes, treated alike.
    windows : sequence of Window
        Adjoint sources of windows that overlap add up, as their misfits do.

    Returns
    -------
    Measurements
        The adjoint source is float64 and has the axes of ``synthetic``. Without windows it is zero.

    Raises
    ------
    InputError
        If the gathers differ in axes, or a window lies on a trace that is not live.
    PhysicsError
        If a misfit or an adjoint source is not finite, or a misfit cannot be measured.
    """
    check_alike(observed, synthetic)
    adjoint = np.zeros(synthetic.data.shape)
    rows: list[Measurement] = []
    for window in windows:
        station, component = _trace_number(observed, window)
        d, s = (gather.data[station, component].astype(np.float64) for gather in (observed, synthetic))
        row, source = misfit.measure(d, s, window, synthetic.start, synthetic.interval)
        if not (np.isfinite(row.value) and np.all(np.isfinite(source))):
            raise PhysicsError(
                f"misfit of {window.station}.{window.component} from {window.start:g} to {window.end:g} s is "
                f"not finite ({row.value}); look for NaN in the observed or the synthetic seismogram"
            )
        rows.append(row)
        adjoint[station, component] += source
    return Measurements(tuple(rows), synthetic.with_data(adjoint, live=None))


def _trace_number(observed: Gather, window: Window) -> tuple[int, int]:
    name = f"{window.station}.{window.component}"
    try:
        station = observed.station_number(window.station)
        component = observed.components.index(window.component)
    except (KeyError, ValueError):
        raise MissingError(
            f"window on {name}, which is not among the seismograms; select windows anew"
        ) from None
    if not observed.is_live(station, component):
        raise InputError(f"window on {name}, of which there is no recording; select windows anew")
    return station, component
