"""Waveform pages: observed against synthetic, with the windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import Event, FloatArray, Gather, Measurement, Window
from seisflow.errors import InputError
from seisflow.report.style import COLOURS, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_waveforms", "waveform_pages"]

STATIONS_PER_PAGE = 40

_UNITS = {"displacement": "m", "velocity": "m/s", "acceleration": "m/s²"}
_PREFIXES = {0: "", -3: "m", -6: "µ", -9: "n", -12: "p"}
_OUT_OF_PROPORTION = 30.0
_HALF_HEIGHT = 0.31
"""Height of a peak in rows; what is left above holds the labels of the windows."""


def waveform_pages(gather: Gather) -> int:
    """Count the pages that ``draw_waveforms`` needs for a gather."""
    return max(1, -(-len(gather.stations) // STATIONS_PER_PAGE))


def draw_waveforms(
    event: Event,
    observed: Gather,
    synthetic: Gather,
    windows: Sequence[Window | Measurement] = (),
    *,
    band: tuple[float, float] | None = None,
    note: str = "",
    page: int = 0,
) -> Figure:
    """Draw the seismograms of an event, stations by distance downwards and one column a component.

    Both traces of a pair have one scale, that of the larger; its peak stands at the right. Components that no station
    recorded are left out. Where the amplitudes of the recordings are of another kind altogether (noise correlations),
    all synthetics of the event are drawn larger by one factor, which the legend names.

    Parameters
    ----------
    event : Event
    observed, synthetic : Gather
        The same stations, components and quantity; the sampling may differ.
    windows : sequence of Window or Measurement
        Shaded, with lag in s and correlation; those of a measurement where it has them. The misfit in the
        title is the sum over measurements.
    band : tuple of 2 float, optional
        Shortest and longest period in s.
    note : str
        Added to the title, for example the iteration.
    page : int
        Of 40 stations each, from 0.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If the gathers do not hold the same traces, or there is no such page.
    """
    _check(event, observed, synthetic, page)
    distances = _distances(event, observed)
    order = sorted(range(len(distances)), key=lambda n: (distances[n], observed.stations[n].id))
    rows = order[page * STATIONS_PER_PAGE : (page + 1) * STATIONS_PER_PAGE]
    span = _span(observed, synthetic, windows)
    with styled():
        factor = _factor(observed, synthetic)
        synthetic = synthetic.with_data(factor * synthetic.data)
        shown = [n for n in range(len(observed.components)) if np.asarray(observed.live)[:, n].any()]
        shown = shown or list(range(len(observed.components)))
        labels = [f"{observed.stations[n].id}  {distances[n] / 1e3:.0f} km" for n in rows]
        figure, columns = _page(len(rows), len(shown), labels)
        for number, axes in zip(shown, columns, strict=True):
            _plot_column(axes, observed, synthetic, rows, number, span)
            _plot_windows(axes, observed, windows, rows, number)
        title = _title(event, observed, windows, band, note, page)
        figure.text(0.5, 1 - 0.1 / figure.get_figheight(), title, ha="center", va="top", fontsize=10)
        _legend(figure, observed.quantity, factor)
    return figure


def _factor(observed: Gather, synthetic: Gather) -> float:
    """By what synthetics are multiplied to be seen beside the recordings: 1, unless out of all proportion."""
    live = np.asarray(observed.live)
    if not live.any():
        return 1.0
    peaks = [np.abs(gather.data[live]).max(axis=-1) for gather in (observed, synthetic)]
    both = (peaks[0] > 0) & (peaks[1] > 0)
    if not both.any():
        return 1.0
    ratio = float(np.median(peaks[0][both] / peaks[1][both]))
    return ratio if not 1 / _OUT_OF_PROPORTION < ratio < _OUT_OF_PROPORTION else 1.0


def _page(rows: int, columns: int, labels: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Make an empty page: its places in inches, which takes no measuring of texts."""
    width, rows_height = 10.5, 0.31 * max(rows, 4)
    height = 1.35 + rows_height
    figure = new_figure(width, height, layout=None)
    left, gap = 0.2 + 0.062 * max((len(label) for label in labels), default=0), 0.15
    each = (width - left - 0.1 - gap * (columns - 1)) / columns
    found = []
    for number in range(columns):
        place = (left + number * (each + gap)) / width, 0.75 / height, each / width, rows_height / height
        axes = figure.add_axes(place)
        axes.set_ylim(rows - 0.35, -0.75)
        if number == 0:
            axes.set_yticks(range(rows), labels, fontsize=7)
        else:
            axes.set_yticks([])
        found.append(axes)
    return figure, found


def _check(event: Event, observed: Gather, synthetic: Gather, page: int) -> None:
    if observed.stations != synthetic.stations or observed.components != synthetic.components:
        raise InputError(
            f"event {event.id}: observed and synthetic seismograms are not of the same stations and "
            "components; "
            "draw gathers that went through the same selection"
        )
    if not 0 <= page < waveform_pages(observed):
        raise InputError(
            f"page {page} is not there; event {event.id} has {waveform_pages(observed)} pages, from 0"
        )


def _distances(event: Event, gather: Gather) -> list[float]:
    """Distances of the stations along the ellipsoid, in m."""
    from pyproj import Geod

    count = len(gather.stations)
    _, _, distances = Geod(ellps="WGS84").inv(
        [event.longitude] * count,
        [event.latitude] * count,
        [station.longitude for station in gather.stations],
        [station.latitude for station in gather.stations],
    )
    return [float(distance) for distance in distances]


def _title(
    event: Event,
    gather: Gather,
    windows: Sequence[Window | Measurement],
    band: tuple[float, float] | None,
    note: str,
    page: int,
) -> str:
    parts = [f"event {event.id}", f"{event.utc:%Y-%m-%d %H:%M:%S} UTC, depth {event.depth / 1e3:.0f} km"]
    if band is not None:
        parts.append(f"{band[0]:g}–{band[1]:g} s")
    if note:
        parts.append(note)
    parts.append(f"{len(windows)} windows")
    values = [row.value for row in windows if isinstance(row, Measurement)]
    if values:
        parts.append(f"misfit {sum(values):.4g}")
    if waveform_pages(gather) > 1:
        parts.append(f"page {page + 1} of {waveform_pages(gather)}")
    return "   |   ".join(parts)


def _legend(figure: Figure, quantity: str, factor: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    synthetic = "synthetic" if factor == 1 else f"synthetic, times {factor:.2g}"
    handles = [
        Line2D([], [], color=COLOURS["observed"], label="observed"),
        Line2D([], [], color=COLOURS["synthetic"], label=synthetic),
        Patch(color=COLOURS["window"], alpha=0.3, label="window: lag of the observed (s), correlation"),
        Line2D([], [], linestyle="none", label=f"at the right: peak {quantity}"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, fontsize=8)


def _plot_column(
    axes: Axes,
    observed: Gather,
    synthetic: Gather,
    rows: list[int],
    component: int,
    span: tuple[float, float],
) -> None:
    from matplotlib.ticker import MaxNLocator

    name = observed.components[component]
    axes.set_title(name, fontweight="bold", fontsize=10, pad=3)
    axes.set_xlim(*span)
    axes.xaxis.set_major_locator(MaxNLocator(6, prune="both"))  # columns stand close to each other
    axes.set_xlabel("time after the origin (s)")
    _plot_pairs(axes, observed, synthetic, rows, component)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)


def _span(
    observed: Gather, synthetic: Gather, windows: Sequence[Window | Measurement]
) -> tuple[float, float]:
    """Stretch of time to draw: what both have, until somewhat after the last window."""
    start, end = max(observed.start, synthetic.start), min(observed.end, synthetic.end)
    if not end > start:
        raise InputError(
            f"observed ({observed.start:g} to {observed.end:g} s) and synthetic seismograms "
            f"({synthetic.start:g} to "
            f"{synthetic.end:g} s) have no time in common"
        )
    last = max((_window(row).end for row in windows), default=end)
    return start, min(end, last + 0.3 * max(last - start, 0.0)) if last > start else end


def _window(row: Window | Measurement) -> Window:
    return row.window if isinstance(row, Measurement) else row


def _plot_pairs(axes: Axes, observed: Gather, synthetic: Gather, rows: list[int], component: int) -> None:
    """Draw both traces of every row on one scale, in a few collections: one by one they take four times as long."""
    from matplotlib.collections import LineCollection

    lines: dict[tuple[str, bool], list[FloatArray]] = {}
    for place, station in enumerate(rows):
        live = observed.is_live(station, component)
        traces = [(synthetic, "synthetic")] + ([(observed, "observed")] if live else [])
        peak = max(_peak(gather, station, component, axes.get_xlim()) for gather, _ in traces)
        for gather, which in traces:
            heights = place - gather.data[station, component] * (_HALF_HEIGHT / peak if peak > 0 else 0.0)
            lines.setdefault((which, live), []).append(np.column_stack([gather.times, heights]))
        axes.text(
            1.0,
            place - 0.1,
            _with_prefix(peak, _UNITS.get(observed.quantity, "")) if live else "no recording",
            ha="right",
            va="bottom",
            fontsize=5.5,
            color=COLOURS["muted"],
            style="normal" if live else "italic",
            transform=axes.get_yaxis_transform(),
            zorder=6,
        )
    axes.hlines(
        range(len(rows)), 0, 1, "#e4e4e4", linewidth=0.5, transform=axes.get_yaxis_transform(), zorder=1
    )
    for (which, live), members in lines.items():
        width = 0.9 if which == "observed" else 0.8
        shade = 1.0 if live else 0.35
        axes.add_collection(
            LineCollection(
                members, colors=COLOURS[which], linewidths=width, alpha=shade, label=which, zorder=4
            ),
            autolim=False,
        )


def _peak(gather: Gather, station: int, component: int, span: tuple[float, float]) -> float:
    inside = (gather.times >= span[0]) & (gather.times <= span[1])
    trace: FloatArray = gather.data[station, component][inside]
    return float(np.abs(trace).max(initial=0.0))


def _plot_windows(
    axes: Axes, gather: Gather, windows: Sequence[Window | Measurement], rows: list[int], component: int
) -> None:
    from matplotlib.collections import PolyCollection

    places = {gather.stations[station].id: place for place, station in enumerate(rows)}
    boxes = []
    for row in windows:
        window = _window(row)
        if window.component != gather.components[component] or window.station not in places:
            continue
        top = places[window.station] - 0.35
        left, right, bottom = window.start, window.end, top + 0.7
        boxes.append([(left, top), (right, top), (right, bottom), (left, bottom)])
        axes.text(
            left,
            top,
            _told(row),
            ha="left",
            va="bottom",
            fontsize=5.5,
            color="#1f5f8b",
            clip_on=True,
            zorder=7,
        )
    axes.add_collection(
        PolyCollection(
            boxes, facecolors=COLOURS["window"], alpha=0.28, linewidths=0, label="windows", zorder=2
        ),
        autolim=False,
    )


def _told(row: Window | Measurement) -> str:
    """Lag and correlation of a window, those of its measurement where it has them."""
    window = _window(row)
    shift, correlation = window.shift, window.correlation
    if isinstance(row, Measurement):
        shift = row.shift if row.shift is not None else shift
        correlation = row.correlation if row.correlation is not None else correlation
    return f"{shift:+.1f} s  {correlation:.2f}"


def _with_prefix(value: float, unit: str) -> str:
    """Write a value in SI with the prefix that leaves one to three digits before the point."""
    power = int(np.floor(np.log10(value) / 3 + 1e-12)) * 3 if value > 0 else 0
    power = min(max(power, min(_PREFIXES)), 0)
    return f"{value / 10.0**power:.3g} {_PREFIXES[power]}{unit}"
