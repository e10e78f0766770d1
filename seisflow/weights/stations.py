"""Stations whose recordings are wrong in the same way over several events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seisflow.domain import TraceFit
from seisflow.weights.outliers import median_and_scatter

__all__ = ["StationFault", "StationRow", "station_faults", "station_rows"]

LEAST_FIT = 0.6
"""Correlation of either sign from which on a trace is evidence."""
LEAST_EVENTS = 3
MOST = 0.8
"""Share of the events on which a trace must be reversed."""
MARGIN = 0.05
"""By which the reversed trace must fit better."""
APART = 4.0
"""Robust standard deviations that a station must be off the others."""
LEAST_DELAY = 0.1
"""Shortest periods; a smaller delay is named no fault of the clock."""
LEAST_GAIN = float(np.log(3.0))
"""ln of the amplitude ratio from which on a gain is named."""
UNITS = float(np.log(100.0))
"""ln of the amplitude ratio of a whole event that no Earth explains."""


@dataclass(frozen=True)
class StationRow:
    """A channel of a station over all events, against the medians of those events.

    Parameters
    ----------
    station, component : str
    band : int
    events : int
        Whose trace fits well enough, with either sign, to be evidence.
    reversed : int
        Of them, those on which the reversed trace fits better.
    correlation : float
        Median, of the better sign.
    delay : float
        Median lag in s beyond the median of each event.
    delay_scatter : float
        Its robust standard deviation over events.
    dlna : float
        Median ln(amplitude observed / synthetic) beyond the median of each event.
    dlna_scatter : float
        Its robust standard deviation over events.
    """

    station: str
    component: str
    band: int
    events: int
    reversed: int
    correlation: float
    delay: float
    delay_scatter: float
    dlna: float
    dlna_scatter: float


@dataclass(frozen=True)
class StationFault:
    """What seems wrong with a station (``*``: with all of an event's recordings), and what the evidence is.

    Parameters
    ----------
    station : str
    kind : {"polarity", "clock", "gain", "units"}
    evidence : str
        With numbers.
    correction : str
        What to write under ``data.corrections``, or to look at.
    """

    station: str
    kind: str
    evidence: str
    correction: str


def station_rows(events: Mapping[str, Sequence[TraceFit]]) -> list[StationRow]:
    """Bring the traces of several events together by station, component and band.

    Parameters
    ----------
    events : mapping of str to sequence of TraceFit
        By event.

    Returns
    -------
    list of StationRow
        Sorted.
    """
    found: dict[tuple[str, str, int], list[tuple[TraceFit, float, float]]] = {}
    for fits in events.values():
        for band in sorted({fit.band for fit in fits}):
            good = [fit for fit in fits if fit.band == band and fit.best >= LEAST_FIT]
            if not good:
                continue
            lag = float(np.median([fit.lag for fit in good]))
            dlna = float(np.median([fit.dlna for fit in good]))
            for fit in good:
                place = found.setdefault((fit.station, fit.component, band), [])
                place.append((fit, fit.lag - lag, fit.dlna - dlna))
    return [_row(key, values) for key, values in sorted(found.items())]


def _row(key: tuple[str, str, int], values: Sequence[tuple[TraceFit, float, float]]) -> StationRow:
    delay = median_and_scatter(np.array([delay for _, delay, _ in values]))
    dlna = median_and_scatter(np.array([dlna for _, _, dlna in values]))
    turned = sum(fit.opposite > fit.correlation + MARGIN for fit, _, _ in values)
    fit = float(np.median([fit.best for fit, _, _ in values]))
    return StationRow(*key, len(values), turned, fit, *delay, *dlna)


def station_faults(
    events: Mapping[str, Sequence[TraceFit]], periods: Mapping[int, float], quantity: str = "recordings"
) -> list[StationFault]:
    """Name stations whose recordings are reversed, late, or too large or small, over several events.

    A fault is named if at least three events show it. Polarity: the reversed trace of a channel fits better on four
    of five events. Clock: all components are late alike (or early), by more than others are and by more than it
    scatters over events. Gain: likewise for amplitudes. Structure delays waves too, but differently from
    azimuth to azimuth and from P to S; look before you correct.

    Parameters
    ----------
    events : mapping of str to sequence of TraceFit
        By event.
    periods : mapping of int to float
        Shortest period of each band in s.
    quantity : str
        What the recordings are said to hold.

    Returns
    -------
    list of StationFault
    """
    rows = station_rows(events)
    faults: dict[tuple[str, str], StationFault] = {}
    for fault in (*_units(events, quantity), *_polarity(rows), *_clock(rows, periods), *_gain(rows)):
        faults.setdefault((fault.station, fault.kind), fault)
    return list(faults.values())


def _units(events: Mapping[str, Sequence[TraceFit]], quantity: str) -> Iterable[StationFault]:
    """Events whose recordings are of another order of magnitude altogether."""
    medians = {name: float(np.median([fit.dlna for fit in fits])) for name, fits in events.items() if fits}
    wrong = {name: value for name, value in medians.items() if abs(value) > UNITS}
    if wrong:
        typical = float(np.exp(np.median(list(wrong.values()))))
        more = f" and {len(wrong) - 1} more events" if len(wrong) > 1 else ""
        yield StationFault(
            "*",
            "units",
            f"recordings of {next(iter(wrong))}{more} are {typical:.3g} times the synthetics",
            f"wrong units: look at data.observed ({quantity}), at the responses and at the moments",
        )


def _polarity(rows: Sequence[StationRow]) -> Iterable[StationFault]:
    stations: dict[str, list[StationRow]] = {}
    for row in rows:
        if row.events >= LEAST_EVENTS and row.reversed >= MOST * row.events:
            stations.setdefault(row.station, []).append(row)
    for station, found in stations.items():
        channels = sorted({row.component for row in found})
        most = max(found, key=lambda row: row.events)
        yield StationFault(
            station,
            "polarity",
            f"{', '.join(channels)} reversed on {most.reversed} of {most.events} events "
            f"(correlation {most.correlation:.2f} when turned)",
            f"{station}: {{reversed: [{', '.join(channels)}]}}",
        )


def _clock(rows: Sequence[StationRow], periods: Mapping[int, float]) -> Iterable[StationFault]:
    for station, band, row, others in _stand_apart(rows, "delay"):
        least = LEAST_DELAY * periods.get(band, 0.0)
        alike = [each for each in row if abs(each.delay - row[0].delay) < max(least, abs(row[0].delay) / 3)]
        delay = float(np.median([each.delay for each in row]))
        if abs(delay) < least or len(alike) < len(row):
            continue
        events = min(each.events for each in row)
        yield StationFault(
            station,
            "clock",
            f"{abs(delay):.2f} s {'late' if delay > 0 else 'early'} on {events} events, all of "
            f"{', '.join(each.component for each in row)} alike (+- {max(each.delay_scatter for each in row):.2f} s; "
            f"other stations {others[0]:+.2f} +- {others[1]:.2f} s)",
            f"{station}: {{late: {delay:.2f}}}",
        )


def _gain(rows: Sequence[StationRow]) -> Iterable[StationFault]:
    for station, _, row, others in _stand_apart(rows, "dlna"):
        dlna = float(np.median([each.dlna for each in row]))
        if abs(dlna) < LEAST_GAIN:
            continue
        yield StationFault(
            station,
            "gain",
            f"amplitudes {np.exp(dlna):.3g} times those of other stations on {min(each.events for each in row)} events "
            f"(factor within {np.exp(max(each.dlna_scatter for each in row)):.2f}; others within "
            f"{np.exp(others[1]):.2f})",
            f"{station}: {{gain: {np.exp(dlna):.3g}}}",
        )


def _stand_apart(
    rows: Sequence[StationRow], name: str
) -> Iterable[tuple[str, int, list[StationRow], tuple[float, float]]]:
    """Stations whose value is far from those of others, and scatters over events by less than a third of it."""
    for band in sorted({row.band for row in rows}):
        stations: dict[str, list[StationRow]] = {}
        for row in rows:
            if row.band == band and row.events >= LEAST_EVENTS:
                stations.setdefault(row.station, []).append(row)
        values = {
            station: float(np.median([getattr(row, name) for row in found]))
            for station, found in stations.items()
        }
        for station, value in values.items():
            others = [other for key, other in values.items() if key != station]
            if len(others) < LEAST_EVENTS:
                continue
            middle, scatter = median_and_scatter(np.array(others))
            spread = max(getattr(row, f"{name}_scatter") for row in stations[station])
            if abs(value - middle) > APART * scatter and spread < abs(value) / 3:
                yield station, band, stations[station], (middle, scatter)
