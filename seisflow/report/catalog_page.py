"""A catalog on one self-contained page: what was searched, what was found, and why to believe it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.detection.compare import Comparison, comparison_text, magnitudes
from seisflow.detection.statistics import BValue, MagnitudeFrequency, inter_event_times, magnitude_frequency
from seisflow.domain import Catalog, Detection, Station
from seisflow.errors import InputError
from seisflow.io.atomic import publish
from seisflow.io.catalog_quakeml import why_kept
from seisflow.io.catalog_table import catalog_rows, iso_time
from seisflow.report.catalog import (
    draw_catalog,
    draw_magnitude_frequency,
    draw_seismicity,
    duration,
    of_one_kind,
)
from seisflow.report.catalog_comparison import draw_catalog_comparison
from seisflow.report.style import png_base64

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CatalogPage", "FalseAlarmRow", "catalog_html", "false_alarm_table", "write_catalog_page"]

_RATES = (100.0, 10.0, 1.0, 0.1, 0.01, 0.001)
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("id", "id", ""),
    ("time", "time (UTC)", ""),
    ("latitude", "latitude (°)", ".5f"),
    ("longitude", "longitude (°)", ".5f"),
    ("depth_km", "depth (km)", ".2f"),
    ("error_horizontal_km", "error (km)", ".2f"),
    ("error_depth_km", "of depth (km)", ".2f"),
    ("error_time_s", "of time (s)", ".3f"),
    ("magnitude", "magnitude", ".2f"),
    ("value", "value", ".4g"),
    ("threshold", "threshold", ".4g"),
    ("false_alarm_rate", "false alarms a day", ".2g"),
    ("n_arrivals", "arrivals", "d"),
    ("method", "method", ""),
    ("remark", "remark", ""),
)


@dataclass(frozen=True)
class CatalogPage:
    """What stands on the page of a catalog beside the catalog.

    Parameters
    ----------
    title : str
    stations : sequence of Station
        On the map.
    settings : mapping of str to str
        What was searched and how: names and values, shown in their order.
    figures : sequence of (heading, text, Figure)
        More pictures, such as beams of a day.
    events : mapping of str to sequence of (text, Figure)
        Pictures of single detections (seismograms, beam snapshots) by their ids.
    comparison : Comparison, optional
    """

    title: str
    stations: Sequence[Station] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[tuple[str, str, Figure]] = ()
    events: Mapping[str, Sequence[tuple[str, Figure]]] = field(default_factory=dict)
    comparison: Comparison | None = None


@dataclass(frozen=True)
class FalseAlarmRow:
    """How many events are kept up to a false-alarm rate, and how many of them are expected to be false.

    Parameters
    ----------
    rate : float
        False alarms a day.
    events : int
    expected : float
        Rate times length of the recordings; NaN if that is not known.
    """

    rate: float
    events: int
    expected: float


def false_alarm_table(catalog: Catalog) -> list[FalseAlarmRow]:
    """Count events up to false-alarm rates of 100, 10, ... 0.001 a day.

    Parameters
    ----------
    catalog : Catalog

    Returns
    -------
    list of FalseAlarmRow
        From the smallest rate that keeps all events down to the largest that keeps none; none if no event has a rate.
    """
    known = np.array([each.false_alarm_rate for each in catalog])
    known = known[np.isfinite(known)]
    rows: list[FalseAlarmRow] = []
    if not known.size:
        return rows
    for rate in _RATES:
        row = FalseAlarmRow(rate, int(np.sum(known <= rate)), rate * catalog.live_days)
        if rows and rows[-1].events == row.events == known.size:
            rows.pop()
        rows.append(row)
        if row.events == 0:
            break
    return rows


def write_catalog_page(path: str | os.PathLike[str], catalog: Catalog, page: CatalogPage) -> None:
    """Write the page of a catalog: one HTML file that needs nothing else, whole or not at all.

    Parameters
    ----------
    path : path
    catalog : Catalog
        May be empty and without magnitudes.
    page : CatalogPage

    Raises
    ------
    InputError
        If there are pictures of a detection that the catalog does not have.
    WorkError
        If the disk is full; the old file stays.
    """
    content = catalog_html(catalog, page)
    with publish(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def catalog_html(catalog: Catalog, page: CatalogPage) -> str:
    """Make the page of a catalog, see ``write_catalog_page``.

    Parameters
    ----------
    catalog : Catalog
    page : CatalogPage

    Returns
    -------
    str
        HTML.

    Raises
    ------
    InputError
        If there are pictures of a detection that the catalog does not have.
    """
    from jinja2 import Environment, StrictUndefined

    unknown = sorted(set(page.events) - {each.id for each in catalog})
    if unknown:
        raise InputError(
            f"there are pictures of detection {unknown[0]}, which is not in the catalog; give those of its detections"
        )
    _, alike = of_one_kind(catalog)
    frequency = magnitude_frequency(magnitudes(alike))
    table = catalog_rows(catalog)
    known = sum(bool(np.isfinite(each.false_alarm_rate)) for each in catalog)
    source = files("seisflow.report").joinpath("catalog_page.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(source)
    return template.render(
        title=page.title,
        searched=_searched(catalog, page),
        numbers=_numbers(catalog, table, frequency),
        figures=_figures(catalog, page, frequency),
        false_alarms=[
            {
                "rate": f"{row.rate:g}",
                "events": row.events,
                "expected": _rate(row.expected) if np.isfinite(row.expected) else "–",
            }
            for row in false_alarm_table(catalog)
        ],
        unknown=len(catalog) - known,
        comparison=_comparison(page.comparison),
        columns=[{"title": title, "number": bool(style)} for _, title, style in _COLUMNS],
        rows=_rows(catalog, table, page),
        panels=_panels(catalog, page),
    )


def _searched(catalog: Catalog, page: CatalogPage) -> list[tuple[str, str]]:
    told = [
        (name, f"{_moment(value)} UTC")
        for name, value in (("from", catalog.start), ("to", catalog.end))
        if np.isfinite(value)
    ]
    told.append(("recordings", f"{duration(catalog.live_days)} of the whole network"))
    if page.stations:
        told.append(("stations", f"{len(page.stations)}: {', '.join(each.id for each in page.stations)}"))
    return [*told, *((str(name), str(value)) for name, value in page.settings.items())]


def _numbers(
    catalog: Catalog, table: Sequence[Mapping[str, Any]], frequency: MagnitudeFrequency
) -> list[tuple[str, str]]:
    methods = {name: sum(each.method == name for each in catalog) for name in ("beam", "template", "import")}
    by = ", ".join(f"{count} by {name}" for name, count in methods.items() if count)
    told = [("events", f"{len(catalog)} ({by})" if by else "0")]
    if catalog.live_days > 0:
        day = len(catalog) / catalog.live_days
        told.append(("rate", f"{_plain(day)} a day, {_plain(day / 24)} an hour of recordings"))
    gaps = inter_event_times(catalog.times)
    if gaps.seconds:
        told.append(("time between events", f"median {_time(gaps.median)}, mean {_time(gaps.mean)}"))
    if np.isfinite(gaps.variation):
        told.append(
            ("its coefficient of variation", f"{gaps.variation:.2f} (1 random, more clustered, less regular)")
        )
    for name, values in (
        ("horizontal error (68 %)", [row["error_horizontal_km"] for row in table]),
        ("error of the depth", [row["error_depth_km"] for row in table]),
    ):
        finite = [value for value in values if value is not None]
        if finite:
            told.append((name, f"median {_plain(1e3 * float(np.median(finite)))} m"))
    sizes = magnitudes(catalog)
    sizes = sizes[np.isfinite(sizes)]
    if sizes.size:
        told.append(("magnitudes", f"of {sizes.size}, from {sizes.min():.2f} to {sizes.max():.2f}"))
        told += _magnitude_numbers(frequency)
    return [(name, re.sub(r"(^|\s)-(?=\d)", r"\1−", value)) for name, value in told]


def _plain(value: float) -> str:
    """Three digits, without powers of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _time(seconds: float) -> str:
    """A time in a unit that suits it."""
    for name, length in (("days", 86400), ("hours", 3600), ("min", 60)):
        if seconds >= 3 * length:
            return f"{_plain(seconds / length)} {name}"
    return f"{_plain(seconds)} s"


def _magnitude_numbers(found: MagnitudeFrequency) -> list[tuple[str, str]]:
    if not np.isfinite(found.b.value):
        return [
            ("b-value", f"not estimated: {found.b.events} events at or above the completeness are too few")
        ]
    fit = f", {found.completeness_fit:.1f} by goodness of fit" if np.isfinite(found.completeness_fit) else ""
    error = f" ± {found.completeness_error:.2f}" if np.isfinite(found.completeness_error) else ""

    def told(b: BValue, what: str) -> str:
        return f"{b.value:.2f} ± {b.error:.2f} from {b.events} {what}"

    rows = [
        ("completeness", f"{found.completeness:.1f}{error} by maximum curvature + 0.2{fit}"),
        ("b-value", told(found.b, "events")),
    ]
    if np.isfinite(found.b_positive.value):
        rows.append(("b-positive", told(found.b_positive, "differences")))
    return [*rows, ("a-value", f"{found.a:.2f}, of the time searched")]


def _figures(catalog: Catalog, page: CatalogPage, frequency: MagnitudeFrequency) -> list[dict[str, str]]:
    told = [
        (
            "Map and sections",
            "Epicentres and depths, coloured by time, sized by magnitude, with 68 % error ellipses and stations.",
            draw_catalog(catalog, page.stations),
        ),
        (
            "In time",
            "Events in equal stretches of time (bars), events so far (line), and their sizes.",
            draw_seismicity(catalog),
        ),
    ]
    if frequency.bins.size:
        kind, alike = of_one_kind(catalog)
        others = sum(each.magnitude is not None for each in catalog) - len(alike)
        told.append(
            (
                "Magnitude-frequency relation",
                "Events of each magnitude (bars) and of that and above (dots), completeness and b-value; of magnitudes "
                f"{kind}" + (f" alone, {others} of other kinds left out." if others else "."),
                draw_magnitude_frequency(catalog, frequency),
            )
        )
    return [
        {"heading": heading, "text": text, "data": png_base64(figure)}
        for heading, text, figure in (*told, *page.figures)
    ]


def _comparison(comparison: Comparison | None) -> dict[str, str] | None:
    if comparison is None:
        return None
    return {"words": comparison_text(comparison), "data": png_base64(draw_catalog_comparison(comparison))}


def _link(page: CatalogPage, order: Mapping[str, int], name: str) -> str:
    return f"event-{order[name]}" if name in page.events else ""


def _rows(catalog: Catalog, table: Sequence[Mapping[str, Any]], page: CatalogPage) -> list[dict[str, Any]]:
    order = {each.id: number for number, each in enumerate(catalog)}
    rows = []
    for row in table:
        cells = []
        for name, _, style in _COLUMNS:
            value = row[name]
            if name == "time":
                text, key = iso_time(value)[:-4].replace("T", " "), f"{value:.6f}"
            elif value is None:
                text, key = ("–" if style else ""), ""
            elif name == "false_alarm_rate":
                text, key = _rate(value), str(value)
            else:
                text = format(value, style).replace("-", "−") if style else str(value)
                key = str(value)
            if name == "magnitude" and row["magnitude_kind"]:
                text = f"{row['magnitude_kind']} {text}"
            cells.append({"text": text, "key": key, "number": bool(style)})
        rows.append({"cells": cells, "link": _link(page, order, row["id"])})
    return rows


def _moment(time: float) -> str:
    """A time to the second, for people."""
    return iso_time(time)[:19].replace("T", " ")


def _panel_title(event: Detection) -> str:
    size = "" if event.magnitude is None else f"{event.magnitude.kind} {event.magnitude.value:.1f}, "
    return f"{_moment(event.time)}, {event.method}, {size}depth {event.z / 1e3:.1f} km".replace(" -", " −")


def _rate(value: float) -> str:
    """A rate without powers of ten."""
    if value < 0.001:
        return "< 0.001"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _panels(catalog: Catalog, page: CatalogPage) -> list[dict[str, Any]]:
    order = {each.id: number for number, each in enumerate(catalog)}
    return [
        {
            "link": _link(page, order, each.id),
            "title": _panel_title(each),
            "why": why_kept(each),
            "figures": [{"text": text, "data": png_base64(figure)} for text, figure in page.events[each.id]],
        }
        for each in catalog
        if each.id in page.events
    ]
