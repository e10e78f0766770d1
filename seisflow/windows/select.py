"""Select the windows of an event: the stages in order, for all traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain import CandidateTable, Event, FloatArray, Gather, Rejection, Window
from seisflow.errors import InputError
from seisflow.signal.alike import check_alike
from seisflow.windows.arrivals import Arrivals, PhaseTimes, expected_arrivals
from seisflow.windows.block import Block
from seisflow.windows.config import WindowConfig

__all__ = ["Selection", "measure_spans", "select", "select_all"]

BLOCK = 200_000
"""Samples of traces that are treated at once: more would not stay in the cache."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What the selection found.

    Parameters
    ----------
    windows : list of Window
        By station, component, time; without overlap within a trace. May be empty.
    rejections : list of Rejection
        One for each stage of each trace that took something away, with how many and an example.
    candidates : CandidateTable
        Every candidate, with the stage and the value that refused it. Of a trace with more than some thousand
        those with a deep trough inside are in ``rejections`` only, counted.
    """

    windows: list[Window]
    rejections: list[Rejection]
    candidates: CandidateTable


def select(
    observed: Gather, synthetic: Gather, event: Event, config: WindowConfig, band: tuple[float, float]
) -> tuple[list[Window], list[Rejection]]:
    """Select windows, see ``select_all``; its first two results."""
    found = select_all(observed, synthetic, event, config, band)
    return found.windows, found.rejections


def select_all(
    observed: Gather,
    synthetic: Gather,
    event: Event,
    config: WindowConfig,
    band: tuple[float, float],
    times: PhaseTimes | None = None,
) -> Selection:
    """Select the stretches of seismograms that can be compared.

    The stages of FLEXWIN (Maggi et al. 2009) in this order: dead traces, quality of the trace, candidates
    around peaks of E(t), travel time, length, interior minima, prominence, phase separation, curtailing,
    duplicates, length, waves, signal to noise, shift, amplitude, correlation, overlap.

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
    times : mapping of str to ndarray (ns,), optional
        Travel times of P and S to the stations in s, for ``travel_times = model``.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        If the gathers differ in axes, the band is not two rising periods, a phase is unknown or ``times`` is missing.
    """
    check_alike(observed, synthetic)
    if not 0 < band[0] < band[1]:
        raise InputError(f"band = {list(band)} s: give the shortest, then the longest period")
    arrivals = expected_arrivals(event, observed.stations, config, times)
    rows: list[tuple[tuple[int, int], Sequence[Window | Rejection]]] = []
    tables = []
    places = []
    for place in np.ndindex(*observed.data.shape[:2]):
        fault = _fault(observed, synthetic, *place)
        if fault is None:
            places.append(place)
        else:
            name = observed.stations[place[0]].id, observed.components[place[1]]
            rows.append((place, [Rejection(*name, *fault)]))
    step = max(1, BLOCK // max(observed.samples, 1))
    for first in range(0, len(places), step):
        some: npt.NDArray[np.intp] = np.array(places[first : first + step])
        block = _block(observed, synthetic, some, arrivals, (config, band))
        found, table = block.select()
        rows += zip((tuple(place) for place in some.tolist()), found, strict=True)
        tables.append(table)
    rows.sort(key=lambda row: row[0])
    results = [each for _, found in rows for each in found]
    return Selection(
        [each for each in results if isinstance(each, Window)],
        [each for each in results if isinstance(each, Rejection)],
        CandidateTable.joined(tables),
    )


def measure_spans(
    observed: Gather,
    synthetic: Gather,
    settings: tuple[Event, WindowConfig, tuple[float, float], PhaseTimes | None],
    windows: Sequence[Window],
    *,
    judge: bool,
) -> tuple[list[Window], list[Rejection]]:
    """Measure windows of which only the bounds are known.

    Parameters
    ----------
    observed, synthetic : Gather
        On the same axes, treated alike.
    settings : tuple
        Event, configuration, shortest and longest period in s, travel times: as in ``select_all``.
    windows : sequence of Window
        Station, component and bounds count.
    judge : bool
        Whether the limits on noise and fit hold for them.

    Returns
    -------
    list of Window
    list of Rejection
        Those that do not pass, and those on traces that cannot be used.
    """
    check_alike(observed, synthetic)
    event, config, band, times = settings
    arrivals = expected_arrivals(event, observed.stations, config, times)
    numbers = {station.id: number for number, station in enumerate(observed.stations)}
    spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
    rejections = []
    for window in windows:
        name, reason = (window.station, window.component), ""
        first, last = (
            round((each - observed.start) / observed.interval) for each in (window.start, window.end)
        )
        if window.station not in numbers or window.component not in observed.components:
            fault = "dead", "no usable recording"
        else:
            place = numbers[window.station], observed.components.index(window.component)
            fault = _fault(observed, synthetic, *place) or ("", "")
            if not 0 <= first < last < observed.samples:
                fault = "dead", f"the seismograms last from {observed.start:g} to {observed.end:g} s"
        stage, reason = fault
        if reason:
            rejections.append(Rejection(*name, stage, reason, window.start, window.end))
        else:
            spans.setdefault(place, []).append((first, last))
    if not spans:
        return [], rejections
    block = _block(observed, synthetic, np.array(sorted(spans)), arrivals, (config, band))
    found, lost = block.measure([sorted(set(spans[place])) for place in sorted(spans)], judge=judge)
    return found, [*rejections, *lost]


def _block(
    observed: Gather,
    synthetic: Gather,
    places: npt.NDArray[np.intp],
    arrivals: list[Arrivals],
    settings: tuple[WindowConfig, tuple[float, float]],
) -> Block:
    def cut(gather: Gather) -> FloatArray:
        return np.ascontiguousarray(gather.data[places[:, 0], places[:, 1]], dtype=np.float64)

    return Block(
        places,
        [(observed.stations[s].id, observed.components[c]) for s, c in places],
        (cut(observed), cut(synthetic)),
        (observed.start, observed.interval),
        [arrivals[s] for s in places[:, 0]],
        settings,
    )


def _fault(observed: Gather, synthetic: Gather, station: int, component: int) -> tuple[str, str] | None:
    if not (observed.is_live(station, component) and synthetic.is_live(station, component)):
        return "dead", "no usable recording"
    for name, gather in (("observed", observed), ("synthetic", synthetic)):
        trace = gather.data[station, component]
        if not np.isfinite(trace).all():
            return "not finite", f"{name} holds NaN or infinite samples"
        if not trace.any():
            return "dead", f"{name} is zero"
    return None
