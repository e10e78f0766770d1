"""Maps of events, stations and the paths between them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import Event, Model, Station
from seisflow.errors import InputError
from seisflow.report.beachball import plot_source
from seisflow.report.style import COLOURS, new_figure, scale_bar_length, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_map", "lay_out_map", "map_limits", "plot_edge"]

_DEGREE = 111.2e3
"""Length of a degree of latitude in m, for the scale bar and the aspect."""


def draw_map(
    events: Sequence[Event],
    stations: Sequence[Station],
    pairs: Collection[tuple[str, str]] = (),
    *,
    held_out: Collection[str] = (),
    model: Model | None = None,
    title: str = "",
) -> Figure:
    """Draw events with their mechanisms, stations, and the straight paths between pairs that have windows.

    Parameters
    ----------
    events : sequence of Event
    stations : sequence of Station
    pairs : collection of (event id, ``NET.STA``)
        Those with windows.
    held_out : collection of str
        Ids of the events and stations that are not inverted; another colour.
    model : Model, optional
        Its edge is drawn.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If there is neither an event nor a station, or a pair names one that is not there.
    """
    if not events and not stations:
        raise InputError("there is nothing to map: no event and no station")
    with styled():
        west, east, south, north = limits = map_limits(events, stations, model)
        aspect = 1 / np.cos(np.radians((south + north) / 2))
        figure = new_figure(*_size((east - west) / aspect, north - south))
        axes = figure.subplots()
        lay_out_map(axes, limits)
        if model is not None:
            plot_edge(axes, model)
        _plot_paths(axes, events, stations, pairs)
        _plot_stations(axes, stations, held_out)
        for event in sorted(events, key=lambda e: -_diameter(e)):
            colour = COLOURS["held out"] if event.id in held_out else COLOURS["compression"]
            plot_source(axes, event, (event.longitude, event.latitude), _diameter(event), colour)
        _plot_names(axes, figure, stations, events)
        _finish(axes, events, stations, pairs, held_out, title)
    return figure


def map_limits(
    events: Sequence[Event], stations: Sequence[Station], model: Model | None
) -> tuple[float, float, float, float]:
    """West, east, south and north limit in degrees of a map that holds everything, with a margin."""
    places: list[Event | Station] = [*events, *stations]
    longitudes = [thing.longitude for thing in places]
    latitudes = [thing.latitude for thing in places]
    if model is not None:
        edge = _edge(model)
        longitudes += [point[1] for point in edge]
        latitudes += [point[0] for point in edge]
    south, north, west, east = min(latitudes), max(latitudes), min(longitudes), max(longitudes)
    stretch = np.cos(np.radians((south + north) / 2))
    margin = max(0.07 * max(north - south, (east - west) * stretch), 0.02)
    return west - margin / stretch, east + margin / stretch, south - margin, north + margin


def _size(width: float, height: float) -> tuple[float, float]:
    """Size in inches of the figure of a map with this width to height, with room for labels."""
    scale = min(7.2 / width, 7.0 / height)
    return max(width * scale, 3.2) + 0.8, max(height * scale, 2.0) + 1.3


def _edge(model: Model) -> list[tuple[float, float]]:
    """Latitude and longitude along the edge of the grid."""
    x, y = model.grid.x, model.grid.y
    xs = np.concatenate([x, np.full(y.size, x[-1]), x[::-1], np.full(y.size, x[0])])
    ys = np.concatenate([np.full(x.size, y[0]), y, np.full(x.size, y[-1]), y[::-1]])
    return [model.projection.to_geographic(float(a), float(b)) for a, b in zip(xs, ys, strict=True)]


def lay_out_map(axes: Axes, limits: tuple[float, float, float, float]) -> None:
    """Give axes the limits (west, east, south, north) and the aspect of a map, labels in degrees, a scale bar."""
    from matplotlib.ticker import MaxNLocator

    west, east, south, north = limits
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_aspect(1 / np.cos(np.radians((south + north) / 2)))
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    axes.xaxis.set_major_formatter(lambda value, _: _degrees(value, "E", "W"))
    axes.yaxis.set_major_formatter(lambda value, _: _degrees(value, "N", "S"))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.set_xlabel("longitude")
    axes.set_ylabel("latitude")
    _plot_scale(axes)


def plot_edge(axes: Axes, model: Model) -> None:
    """Plot the edge of a model into the axes of a map."""
    edge = np.array(_edge(model))
    axes.plot(
        edge[:, 1],
        edge[:, 0],
        color=COLOURS["muted"],
        linewidth=1.0,
        linestyle=(0, (5, 3)),
        zorder=1,
        label="edge of the model",
    )


def _plot_paths(
    axes: Axes, events: Sequence[Event], stations: Sequence[Station], pairs: Collection[tuple[str, str]]
) -> None:
    from matplotlib.collections import LineCollection

    event_places = {event.id: (event.longitude, event.latitude) for event in events}
    station_places = {station.id: (station.longitude, station.latitude) for station in stations}
    lines = []
    for event, station in sorted(pairs):
        if event not in event_places or station not in station_places:
            raise InputError(
                f"the path from event {event} to station {station} has an end that is not on the map"
            )
        lines.append([event_places[event], station_places[station]])
    if lines:
        alpha = float(np.clip(6 / np.sqrt(len(lines)), 0.08, 0.6))
        axes.add_collection(
            LineCollection(lines, colors=COLOURS["ray"], linewidths=0.5, alpha=alpha, zorder=2), autolim=False
        )


def _plot_stations(axes: Axes, stations: Sequence[Station], held_out: Collection[str]) -> None:
    for colour, out in ((COLOURS["station"], False), (COLOURS["held out"], True)):
        shown = [station for station in stations if (station.id in held_out) == out]
        axes.plot(
            [station.longitude for station in shown],
            [station.latitude for station in shown],
            "^",
            color=colour,
            markersize=6.5,
            markeredgecolor="black",
            markeredgewidth=0.5,
            zorder=4,
        )


def _diameter(event: Event) -> float:
    """Diameter of the symbol in points: 12 at magnitude 4, 18 at 6."""
    magnitude = getattr(event.source, "magnitude", 4.0)
    return float(np.clip(12 + 3 * (magnitude - 4), 9, 26)) if np.isfinite(magnitude) else 12.0


def _plot_names(axes: Axes, figure: Figure, stations: Sequence[Station], events: Sequence[Event]) -> None:
    """Write station codes where they cover no symbol and no other code."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=1.6, foreground="white")]
    figure.draw_without_rendering()
    pixels = figure.dpi / 72
    taken: list[tuple[float, float, float, float]] = []
    symbols: list[tuple[Event | Station, float]] = [(station, 7.0) for station in stations]
    symbols += [(event, _diameter(event)) for event in events]
    for thing, size in symbols:
        x, y = axes.transData.transform((thing.longitude, thing.latitude)) / pixels
        taken.append((x - size / 2, y - size / 2, x + size / 2, y + size / 2))
    for station in sorted(stations):
        x, y = axes.transData.transform((station.longitude, station.latitude)) / pixels
        width, height = 4.3 * len(station.code), 7.0
        for dx, dy in ((6, -3.5), (-6 - width, -3.5), (-width / 2, 5), (-width / 2, -12)):
            box = (x + dx, y + dy, x + dx + width, y + dy + height)
            if not any(_overlap(box, other) for other in taken):
                taken.append(box)
                axes.annotate(
                    station.code,
                    (station.longitude, station.latitude),
                    (dx, dy),
                    fontsize=6.5,
                    textcoords="offset points",
                    va="bottom",
                    zorder=6,
                    color="#1a1a1a",
                    annotation_clip=True,
                    path_effects=halo,
                )
                break


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _plot_scale(axes: Axes) -> None:
    """Draw a scale bar below the lower right corner of the map."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    metres = _DEGREE * np.cos(np.radians((south + north) / 2))
    length = scale_bar_length((east - west) * metres / 1e3)
    share = length * 1e3 / metres / (east - west)
    axes.plot(
        [1 - share, 1],
        [1.015, 1.015],
        color="black",
        linewidth=2.5,
        transform=axes.transAxes,
        clip_on=False,
        solid_capstyle="butt",
    )
    axes.text(
        1 - share / 2, 1.022, f"{length:g} km", ha="center", va="bottom", fontsize=8, transform=axes.transAxes
    )


def _finish(
    axes: Axes,
    events: Sequence[Event],
    stations: Sequence[Station],
    pairs: Collection[tuple[str, str]],
    held_out: Collection[str],
    title: str,
) -> None:
    from matplotlib.lines import Line2D

    out = sum(event.id in held_out for event in events)
    away = sum(station.id in held_out for station in stations)
    counts = [
        ("o", COLOURS["compression"], _count(len(events) - out, "event"), len(events) - out),
        ("o", COLOURS["held out"], _count(out, "event") + " held out", out),
        ("^", COLOURS["station"], _count(len(stations) - away, "station"), len(stations) - away),
        ("^", COLOURS["held out"], _count(away, "station") + " held out", away),
        ("-", COLOURS["ray"], _count(len(pairs), "path") + " with windows", len(pairs)),
    ]
    handles = [
        Line2D(
            [],
            [],
            color=colour,
            label=label,
            markeredgecolor="black",
            markeredgewidth=0.5,
            markersize=7,
            marker="" if mark == "-" else mark,
            linestyle="-" if mark == "-" else "none",
            linewidth=0.8,
        )
        for mark, colour, label, count in counts
        if count
    ]
    handles += [line for line in axes.get_lines() if line.get_label() == "edge of the model"]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=3)
    if title:
        axes.set_title(title, loc="left")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _degrees(value: float, positive: str, negative: str) -> str:
    if abs(value) < 1e-9:
        return "0°"
    return f"{abs(value):.6g}°{positive if value > 0 else negative}"
