"""Select the windows of an event: the stages in order, for every trace."""

from __future__ import annotations

import numpy as np

from seisflow.domain import Event, FloatArray, Gather, Rejection, Window
from seisflow.errors import InputError
from seisflow.signal.alike import check_alike
from seisflow.windows.arrivals import Arrivals, expected_arrivals
from seisflow.windows.candidates import Landscape, proposals
from seisflow.windows.config import WindowConfig
from seisflow.windows.fit import fits, judge_fits, signal_to_noise, trace_quality
from seisflow.windows.schedule import best_schedule
from seisflow.windows.tally import Tally, Verdict

__all__ = ["select"]


def select(
    observed: Gather, synthetic: Gather, event: Event, config: WindowConfig, band: tuple[float, float]
) -> tuple[list[Window], list[Rejection]]:
    """Select the stretches of seismograms that can be compared.

    The stages of FLEXWIN (Maggi et al. 2009) in this order: dead traces, quality of the trace, candidates
    around peaks of E(t), travel time, length, interior minima, prominence, phase separation, curtailing,
    length, signal to noise, shift, amplitude, correlation, overlap.

    Noise is what lies before the first arrival by more than the shortest period; if the seismograms hold
    none, no window is refused for it. So let the time axis start before the origin.

    Parameters
    ----------
    observed, synthetic : Gather
        On the same axes, treated alike.
    event : Event
    config : WindowConfig
    band : tuple of 2 float
        Shortest and longest period of the band-pass in s.

    Returns
    -------
    list of Window
        By station, component, time; without overlap within a trace. May be empty.
    list of Rejection
        One for each stage of each trace that took something away, with how many and an example.

    Raises
    ------
    InputError
        If the gathers differ in axes, or the band is not two rising periods.
    """
    check_alike(observed, synthetic)
    if not 0 < band[0] < band[1]:
        raise InputError(f"band = {list(band)} s: give the shortest, then the longest period")
    windows: list[Window] = []
    rejections: list[Rejection] = []
    arrivals = expected_arrivals(event, observed.stations, config)
    for s, station in enumerate(observed.stations):
        for c, component in enumerate(observed.components):
            tally = Tally(station.id, component, observed.start, observed.interval)
            fault = _fault(observed, synthetic, s, c)
            if fault is not None:
                tally.trace(*fault)
            else:
                d, t = (np.asarray(g.data[s, c], dtype=np.float64) for g in (observed, synthetic))
                windows += _select_trace(d, t, tally, arrivals[s], (config, band))
            rejections += tally.rows.values()
    return windows, rejections


def _fault(observed: Gather, synthetic: Gather, station: int, component: int) -> tuple[str, str] | None:
    if not (observed.is_live(station, component) and synthetic.is_live(station, component)):
        return "dead", "no usable recording"
    for name, gather in (("observed", observed), ("synthetic", synthetic)):
        trace = gather.data[station, component]
        if not np.all(np.isfinite(trace)):
            return "not finite", f"{name} holds NaN or infinite samples"
        if not trace.any():
            return "dead", f"{name} is zero"
    return None


def _select_trace(
    observed: FloatArray,
    synthetic: FloatArray,
    tally: Tally,
    arrivals: Arrivals,
    settings: tuple[WindowConfig, tuple[float, float]],
) -> list[Window]:
    config, band = settings
    times = tally.start + tally.interval * np.arange(len(observed))
    noise_end = arrivals.first - band[0]
    noise = observed[times < noise_end]
    if config.check_trace:
        signal = observed[(times >= noise_end) & (times <= arrivals.last + band[1])]
        complaint = trace_quality(signal, noise, config)
        if complaint is not None:
            tally.trace("trace quality", complaint)
            return []
    land = Landscape.of(synthetic, (tally.start, tally.interval), band, arrivals, config)
    left, right = proposals(land, tally)
    verdict = signal_to_noise(observed, noise, config, left, right)
    tally.note(verdict, left, right)
    left, right = left[verdict.keep], right[verdict.keep]
    found = fits(observed, synthetic, tally.interval, left, right)
    keep = np.ones(len(left), dtype=bool)
    for verdict in judge_fits(found, config, band[0]):
        tally.note(Verdict(verdict.stage, verdict.keep | ~keep, verdict.values, verdict.text), left, right)
        keep &= verdict.keep
    numbers = np.flatnonzero(keep)
    value = (right - left) * tally.interval / band[0] * found.correlation
    chosen = numbers[best_schedule(left[numbers], right[numbers], value[numbers])]
    kept = np.isin(np.arange(len(left)), chosen) | ~keep
    tally.note(
        Verdict("overlap", kept, value, "length times correlation {}, others add up to more"), left, right
    )
    return [
        Window(
            tally.station,
            tally.component,
            float(times[left[n]]),
            float(times[right[n]]),
            correlation=float(found.correlation[n]),
            shift=float(found.shift[n]),
            dlna=float(found.dlna[n]),
        )
        for n in chosen
    ]
