"""Pictures of a catalog: where and when its earthquakes are, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seisflow.detection.compare import magnitudes
from seisflow.detection.statistics import MagnitudeFrequency, magnitude_frequency, rates
from seisflow.domain import Catalog, FloatArray, Station
from seisflow.io.ellipsoids import AREA_68
from seisflow.report.style import COLOURS, new_figure, styled
from seisflow.report.views import Views, box_of, station_places, three_views

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = [
    "draw_catalog",
    "draw_magnitude_frequency",
    "of_one_kind",
    "draw_seismicity",
    "duration",
    "label_time_axis",
    "moments",
]

_TIME_SCALE = "viridis"
"""Of origin times: even steps for the eye, and for the colour-blind."""
_MOST_ELLIPSES = 3000
_MOST_BARS = 60
_MOST_STEMS = 1000
_WIDTHS = (
    (10, "10 s"), (30, "30 s"), (60, "minute"), (300, "5 minutes"), (600, "10 minutes"), (1800, "30 minutes"),
    (3600, "hour"), (10800, "3 hours"), (21600, "6 hours"), (86400, "day"), (604800, "week"), (2592000, "30 days"),
    (31557600, "year"),
)  # fmt: skip
_UNITS = (("days", 86400.0, 2.0), ("hours", 3600.0, 2.0), ("minutes", 60.0, 2.0), ("s", 1.0, 0.0))


def moments(times: FloatArray) -> npt.NDArray[np.datetime64]:
    """Times (s since 1970-01-01 UTC) as what Matplotlib takes for dates."""
    return np.round(np.asarray(times, dtype=float) * 1e6).astype("int64").astype("datetime64[us]")


def label_time_axis(axes: Axes) -> None:
    """Label the abscissa with dates and times in as few characters as it takes."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlabel("time (UTC)")


def duration(days: float) -> str:
    """Write a length of time in the unit that suits, such as ``19.7 minutes``; ``unknown length`` of NaN."""
    if not np.isfinite(days):
        return "unknown length"
    for name, unit, least in _UNITS:
        if days * 86400 >= least * unit:
            return f"{days * 86400 / unit:.3g} {name}"
    return "0 s"


def _count(number: int) -> str:
    return f"{number} event{'' if number == 1 else 's'}"


# --- where


def draw_catalog(catalog: Catalog, stations: Sequence[Station] = (), title: str = "") -> Figure:
    """Draw a catalog on a map and two sections: coloured by time, sized by magnitude, with 68 % error ellipses.

    Parameters
    ----------
    catalog : Catalog
        May be empty. Ellipses are left out of more than 3000 events.
    stations : sequence of Station
    title : str
        The number of events, if left out.

    Returns
    -------
    Figure
    """
    with styled():
        sensors = station_places(stations, catalog.projection)
        box = box_of(np.vstack([catalog.places / 1e3, sensors, _reach(catalog)]))
        views = three_views(box, title or _count(len(catalog)))
        if len(stations):
            views.plot_stations(sensors)
        if len(catalog):
            if len(catalog) <= _MOST_ELLIPSES:
                strength = float(np.clip(4 / np.sqrt(len(catalog)), 0.15, 0.8))
                views.plot_ellipses(
                    catalog.detections,
                    facecolors="none",
                    edgecolors=COLOURS["muted"],
                    linewidths=0.6,
                    alpha=strength,
                    zorder=4,
                )
            _plot_events(views, catalog)
        else:
            views.plan.text(
                0.5,
                0.5,
                "no events",
                ha="center",
                va="center",
                color=COLOURS["muted"],
                transform=views.plan.transAxes,
            )
        _legend(views, catalog, len(stations))
    return views.figure


def _reach(catalog: Catalog) -> FloatArray:
    """Ends of the 68 % errors of all events in km, shape (n, 3); those of the least certain are cut."""
    known = [(each.place, each.covariance) for each in catalog if each.covariance is not None]
    if not known or len(catalog) > _MOST_ELLIPSES:
        return np.empty((0, 3))
    places = np.array([place for place, _ in known])
    variances = np.array([np.diag(covariance)[:3] for _, covariance in known])
    errors = np.sqrt(AREA_68 * np.clip(np.nan_to_num(variances, posinf=0.0), 0, None))
    errors = np.minimum(errors, 2 * np.median(errors, axis=0))
    return np.vstack([places - errors, places + errors]) / 1e3


def _plot_events(views: Views, catalog: Catalog) -> None:
    """Plot all events, the smaller on top of the larger, and the scale of their times."""
    sizes = _areas(magnitudes(catalog))
    after, unit = _elapsed(catalog)
    order = np.lexsort((np.arange(len(catalog)), -sizes))
    places = catalog.places[order] / 1e3
    drawn = None
    for axes, across, up in views.panels():
        drawn = axes.scatter(
            places[:, across],
            places[:, up],
            sizes[order],
            after[order],
            cmap=_TIME_SCALE,
            linewidths=0.35,
            edgecolors="black",
            zorder=5,
        )
    if drawn is not None:
        _time_bar(views, drawn, catalog, unit)


def _areas(sizes: FloatArray) -> FloatArray:
    """Areas of the symbols in square points: 4 to 14 points across from the smallest to the largest magnitude."""
    known = np.isfinite(sizes)
    if not known.any():
        return np.full(sizes.shape, 22.0)
    low, high = float(sizes[known].min()), float(sizes[known].max())
    share = (np.where(known, sizes, low) - low) / max(high - low, 1.0)
    return np.asarray((4 + 10 * share) ** 2)


def _elapsed(catalog: Catalog) -> tuple[FloatArray, str]:
    """Times after the first event in a unit that suits, and its name."""
    after = catalog.times - catalog.times[0]
    name, unit = next((name, unit) for name, unit, least in _UNITS if after[-1] >= least * unit)
    return after / unit, name


def _time_bar(views: Views, drawn: ScalarMappable, catalog: Catalog, unit: str) -> None:
    if len(catalog) < 2:
        return
    axes = views.inset((0.06, 0.12, 0.88, 0.07))
    bar = views.figure.colorbar(drawn, cax=axes, orientation="horizontal")
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(labelsize=7, length=2.5)
    from matplotlib.ticker import MaxNLocator

    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    first = datetime.fromtimestamp(round(catalog.times[0], 3), UTC)
    bar.set_label(f"{unit} after {first:%Y-%m-%d}\n{first:%H:%M:%S} UTC", fontsize=7)


def _legend(views: Views, catalog: Catalog, stations: int) -> None:
    from matplotlib.lines import Line2D

    handles = []
    sizes = magnitudes(catalog)
    known = sizes[np.isfinite(sizes)]
    if known.size:
        shown = np.unique(np.round(np.linspace(known.min(), known.max(), 3), 1))
        areas = _areas(np.concatenate([known, shown]))[known.size :]
        handles += [
            _symbol("o", "white", f"{_kinds(catalog)} {value:.1f}".replace("-", "−"), float(np.sqrt(area)))
            for value, area in zip(shown, areas, strict=True)
        ]
    if len(catalog) <= _MOST_ELLIPSES and any(each.covariance is not None for each in catalog):
        look: dict[str, Any] = {"marker": "o", "markerfacecolor": "none", "markeredgecolor": COLOURS["muted"]}
        handles.append(Line2D([], [], linestyle="none", markersize=9, label="68 % error", **look))
    if stations:
        handles.append(_symbol("^", COLOURS["station"], "station", 6.0))
    if handles:
        left, bottom, width, height = views.corner
        views.figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(left, bottom, width, height),
            borderaxespad=0.1,
            fontsize=7.5,
            labelspacing=0.45,
        )


def _symbol(mark: str, colour: str, label: str, size: float) -> Line2D:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"markeredgecolor": "black", "markeredgewidth": 0.5, "linestyle": "none"}
    return Line2D([], [], marker=mark, color=colour, markersize=size, label=label, **look)


def of_one_kind(catalog: Catalog) -> tuple[str, Catalog]:
    """The kind of magnitude that most events have, and the catalog of these alone: two kinds are no one population."""
    kinds = [each.magnitude.kind for each in catalog if each.magnitude is not None]
    kind = max(sorted(set(kinds)), key=kinds.count, default="M")
    chosen = (each for each in catalog if each.magnitude is not None and each.magnitude.kind == kind)
    return kind, catalog.with_detections(tuple(chosen))


def _kinds(catalog: Catalog) -> str:
    """The kind of magnitude, ``M`` where there are several."""
    kinds = {each.magnitude.kind for each in catalog if each.magnitude is not None}
    return kinds.pop() if len(kinds) == 1 else "M"


# --- when


def draw_seismicity(catalog: Catalog, title: str = "") -> Figure:
    """Draw the number of events in time, as rate and cumulative, and their magnitudes over time.

    Without magnitudes the values over their thresholds are drawn, where they are known.

    Parameters
    ----------
    catalog : Catalog
        May be empty.
    title : str

    Returns
    -------
    Figure
    """
    from matplotlib.ticker import MaxNLocator

    start, end = _span(catalog)
    width, name = next(
        ((width, name) for width, name in _WIDTHS if (end - start) / width <= _MOST_BARS), _WIDTHS[-1]
    )
    edges, counts = rates(catalog.times, start, end, width)
    values, label, signs = _over_time(catalog)
    rows = 2 if values is not None else 1
    with styled():
        figure = new_figure(9.0, 1.4 + 2.1 * rows)
        panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        axes = panels[0]
        lefts = moments(edges)
        axes.bar(
            lefts[:-1],
            counts,
            width=np.diff(lefts),
            align="edge",
            color=COLOURS["window"],
            edgecolor="white",
            linewidth=0.4,
        )
        axes.set_ylabel(f"events in each\n{name}", color="#2b7bb0")
        axes.set_ylim(0, max(1, 1.08 * counts.max()))
        axes.yaxis.set_major_locator(MaxNLocator(7, integer=True))
        total = axes.twinx()
        total.spines["right"].set_visible(True)
        times = np.concatenate([[start], catalog.times, [end]])
        running = np.concatenate([np.arange(len(catalog) + 1), [len(catalog)]])
        total.step(moments(times), running, where="post", color="black", linewidth=1.2)
        total.set_ylabel("events so far")
        total.set_ylim(0, max(1, 1.08 * len(catalog)))
        total.yaxis.set_major_locator(MaxNLocator(7, integer=True))
        if values is not None:
            _plot_values(panels[1], catalog, values, label, signs)
        last = max(end, float(edges[-1]))
        axes.set_xlim(*moments(np.array([start - 0.01 * (last - start), last + 0.01 * (last - start)])))
        label_time_axis(panels[-1])
        figure.suptitle(title or f"{_count(len(catalog))}, {duration(catalog.live_days)} of recordings")
    return figure


def _span(catalog: Catalog) -> tuple[float, float]:
    """What was searched, or what holds all events; an hour at least of a single one."""
    times = catalog.times
    start, end = (value if np.isfinite(value) else 0.0 for value in (catalog.start, catalog.end))
    if times.size:
        start, end = min(start, float(times[0])), max(end, float(times[-1]))
        if not np.isfinite(catalog.start):
            start = float(times[0])
    if end - start < 1.0:
        start, end = start - 1800.0, start + 1800.0
    return start, end


def _over_time(catalog: Catalog) -> tuple[FloatArray | None, str, bool]:
    """What is drawn over time, its label, and whether it is a magnitude; None if nothing is known."""
    sizes = magnitudes(catalog)
    if np.isfinite(sizes).any():
        return sizes, f"magnitude {_kinds(catalog)}", True
    values = np.array([each.value / each.threshold if each.threshold > 0 else np.nan for each in catalog])
    if np.isfinite(values).any():
        return values, "value over\nthreshold", False
    values = np.array([each.value for each in catalog])
    return (values, "value of\nthe detection", False) if np.isfinite(values).any() else (None, "", False)


def _plot_values(axes: Axes, catalog: Catalog, values: FloatArray, label: str, signs: bool) -> None:
    axes.scatter(
        moments(catalog.times),
        values,
        s=_areas(values) if signs else 16.0,
        color=COLOURS["used"],
        alpha=float(np.clip(8 / np.sqrt(len(catalog)), 0.35, 0.9)),
        linewidths=0.3,
        edgecolors="black",
    )
    axes.margins(y=0.12)
    if signs:
        known = values[np.isfinite(values)]
        reach = 0.15 * max(float(np.ptp(known)), 1.0)
        low, high = float(known.min()) - reach, float(known.max()) + reach
        if known.size <= _MOST_STEMS:
            axes.vlines(moments(catalog.times), low, values, color=COLOURS["muted"], linewidth=0.3, alpha=0.5)
        axes.set_ylim(low, high)
    axes.set_ylabel(label)


# --- how large


def draw_magnitude_frequency(
    catalog: Catalog, frequency: MagnitudeFrequency | None = None, title: str = ""
) -> Figure:
    """Draw how many events there are of each magnitude, with completeness and b-value where there are enough.

    Only the kind of magnitude that most events have is counted.

    Parameters
    ----------
    catalog : Catalog
        May have no magnitudes.
    frequency : MagnitudeFrequency, optional
        Estimated with the default settings, if left out.
    title : str

    Returns
    -------
    Figure
    """
    kind, alike = of_one_kind(catalog)
    found = frequency if frequency is not None else magnitude_frequency(magnitudes(alike))
    with styled():
        figure = new_figure(5.6, 4.2)
        axes = figure.subplots()
        axes.set_xlabel(f"magnitude {kind}")
        axes.set_ylabel("number of events")
        if found.bins.size:
            _plot_frequency(axes, found)
        else:
            axes.text(
                0.5, 0.5, "no magnitudes", ha="center", color=COLOURS["muted"], transform=axes.transAxes
            )
            axes.set_xticks([])
            axes.set_yticks([])
        if title:
            axes.set_title(title, loc="left")
    return figure


def _plot_frequency(axes: Axes, found: MagnitudeFrequency) -> None:
    width = float(found.bins[1] - found.bins[0]) if found.bins.size > 1 else 0.1
    shown = found.counts > 0
    axes.bar(
        found.bins[shown], found.counts[shown], 0.9 * width, color="#cfcfcf", label="in each bin", zorder=1
    )
    axes.plot(
        found.bins,
        found.cumulative,
        "o",
        markersize=4,
        color=COLOURS["used"],
        markeredgecolor="black",
        markeredgewidth=0.3,
        label="this magnitude and above",
        zorder=3,
    )
    axes.set_yscale("log")
    top = 3.0 * float(found.cumulative[0])
    axes.set_ylim(0.7, top)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    margin = max(width, 0.04 * float(np.ptp(found.bins)))
    axes.set_xlim(found.bins[0] - margin, found.bins[-1] + margin)
    if np.isfinite(found.b.value):
        error = f" ± {found.completeness_error:.2f}" if np.isfinite(found.completeness_error) else ""
        label = f"completeness {found.completeness:.1f}{error}".replace("-", "−")
        axes.axvline(found.completeness, color=COLOURS["held out"], linewidth=1.2, label=label, zorder=2)
        if found.completeness_error > 0:
            axes.axvspan(
                found.completeness - found.completeness_error,
                found.completeness + found.completeness_error,
                color=COLOURS["held out"],
                alpha=0.15,
                linewidth=0,
            )
        line = found.bins[found.bins >= found.completeness - width / 2]
        label = f"b = {found.b.value:.2f} ± {found.b.error:.2f}, a = {found.a:.2f}, {found.b.events} events"
        axes.plot(
            line, 10 ** (found.a - found.b.value * line), color=COLOURS["synthetic"], label=label, zorder=4
        )
    axes.legend(loc="upper right", fontsize=7.5)
