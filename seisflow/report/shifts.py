"""Travel-time shifts before and after: histograms by band and component, and on the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.domain import Event, FloatArray, Model, Station
from seisflow.errors import InputError
from seisflow.report.maps import lay_out_map, map_limits, plot_edge
from seisflow.report.style import COLOURS, new_figure, nice_limit, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["ShiftRow", "draw_shift_histograms", "draw_shift_map", "spread"]

_COMPONENTS = "ZRTNE"
_BINS = 40
_SIDES = ("before", "after")


@dataclass(frozen=True)
class ShiftRow:
    """The lag of one window before and after.

    Parameters
    ----------
    event, station, component : str
        The station as ``NET.STA``.
    band : str
        As shown.
    before, after : float, optional
        s, positive where the observed comes late; left out where there is no such measurement.
    held_out : bool
        Whether it is measured only.
    """

    event: str
    station: str
    component: str
    band: str
    before: float | None = None
    after: float | None = None
    held_out: bool = False

    def side(self, name: str) -> float | None:
        """``before`` or ``after``."""
        return self.before if name == "before" else self.after


def spread(values: FloatArray) -> float:
    """Half of the range from 16 to 84 percent: the standard deviation of a normal distribution, deaf to outliers."""
    low, high = np.percentile(values, [15.865, 84.135])
    return float(high - low) / 2


def draw_shift_histograms(
    rows: Sequence[ShiftRow], title: str = "", names: tuple[str, str] = ("before", "after")
) -> Figure:
    """Draw histograms of the lags, a column a component, a pair of rows a band: what is used and what is held out.

    Parameters
    ----------
    rows : sequence of ShiftRow
        Bands are drawn in the order in which they come.
    title : str
    names : tuple of 2 str
        What ``before`` and ``after`` are, as ``m03``.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If no row has a lag.
    """
    _check(rows)
    components = [name for name in _COMPONENTS if any(row.component == name for row in rows)]
    groups = [
        (band, held)
        for band in dict.fromkeys(row.band for row in rows)
        for held in (False, True)
        if any(row.band == band and row.held_out == held for row in rows)
    ]
    with styled():
        figure = new_figure(1.0 + 2.9 * len(components), 1.0 + 1.75 * len(groups))
        panels = figure.subplots(len(groups), len(components), squeeze=False, sharey="row")
        for number, (band, held) in enumerate(groups):
            every = [value for row in rows if row.band == band for value in _sides(row)]
            limit = nice_limit(np.array(every), 99)
            for axes, component in zip(panels[number], components, strict=True):
                here = [
                    row for row in rows if (row.band, row.held_out, row.component) == (band, held, component)
                ]
                _plot_histogram(axes, here, limit, names)
                axes.set_title(component if number == 0 else "", fontweight="bold")
                if number == len(groups) - 1:
                    axes.set_xlabel("lag (s), positive: observed late")
            whose = "held out" if held else "used"
            panels[number][0].set_ylabel(f"{band}\n{whose}\nwindows")
        if title:
            figure.suptitle(title)
        figure.supxlabel(
            "median ± half of the range from 16 to 84 percent; what lies beyond is in the outermost bins",
            fontsize=7.5,
            color=COLOURS["muted"],
        )
    return figure


def _check(rows: Sequence[ShiftRow]) -> None:
    if not any(_sides(row) for row in rows):
        raise InputError("there is no lag to draw: no window was measured, or the misfit measures no lag")


def _sides(row: ShiftRow) -> list[float]:
    return [value for value in (row.before, row.after) if value is not None]


def _centre(values: FloatArray) -> str:
    """Median and spread, as shown."""
    return f"{round(float(np.median(values)), 2) + 0.0:+.2f} ± {spread(values):.2f} s".replace("-", "−")


def _plot_histogram(axes: Axes, rows: Sequence[ShiftRow], limit: float, names: tuple[str, str]) -> None:
    edges = np.linspace(-limit, limit, _BINS + 1)
    after = COLOURS["held out"] if any(row.held_out for row in rows) else COLOURS["used"]
    axes.axvline(0, color=COLOURS["muted"], linewidth=0.6, linestyle=(0, (4, 3)), zorder=1)
    looks: tuple[dict[str, Any], ...] = (
        {"histtype": "stepfilled", "facecolor": "#d9d9d9", "edgecolor": "#8c8c8c", "linewidth": 0.8},
        {"histtype": "step", "edgecolor": after, "linewidth": 1.6},
    )
    count = 0
    for side, name, look in zip(_SIDES, names, looks, strict=True):
        values = np.array([value for row in rows if (value := row.side(side)) is not None])
        count = max(count, values.size)
        if values.size:
            axes.hist(
                np.clip(values, -limit, limit), edges.tolist(), label=f"{name}: {_centre(values)}", **look
            )
    axes.set_xlim(-limit, limit)
    axes.margins(y=0.32)
    axes.tick_params(labelleft=True)
    if axes.get_legend_handles_labels()[0]:
        style: dict[str, Any] = {"frameon": True, "edgecolor": "none", "framealpha": 1.0, "borderpad": 0.2}
        axes.legend(loc="upper left", fontsize=7.5, borderaxespad=0.1, handlelength=1.2, **style)
    axes.text(
        0.99,
        0.5,
        f"{count} windows",
        ha="right",
        fontsize=7.5,
        color=COLOURS["muted"],
        transform=axes.transAxes,
    )


# --- on the map


def draw_shift_map(
    rows: Sequence[ShiftRow],
    events: Sequence[Event],
    stations: Sequence[Station],
    *,
    model: Model | None = None,
    title: str = "",
    names: tuple[str, str] = ("before", "after"),
) -> Figure:
    """Draw paths, stations and events coloured by their lags, before on the left and after on the right.

    A path has the mean over its windows, a station and an event the median over its paths. A row a band, with its own
    scale about 0: red where the observed comes late, so where the Earth is slower than the model.

    Parameters
    ----------
    rows : sequence of ShiftRow
    events : sequence of Event
    stations : sequence of Station
    model : Model, optional
        Its edge is drawn.
    title : str
    names : tuple of 2 str
        What ``before`` and ``after`` are.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If no row has a lag, or one names an event or a station that is not there.
    """
    _check(rows)
    known = {event.id for event in events}, {station.id for station in stations}
    for row in rows:
        if row.event not in known[0] or row.station not in known[1]:
            raise InputError(
                f"the path from event {row.event} to station {row.station} has an end that is not on the map"
            )
    bands = list(dict.fromkeys(row.band for row in rows))
    sides = [side for side in _SIDES if any(row.side(side) is not None for row in rows)]
    west, east, south, north = limits = map_limits(events, stations, model)
    ratio = (north - south) / ((east - west) * np.cos(np.radians((south + north) / 2)))
    width = min(5.0, 6.0 / ratio)
    with styled():
        figure = new_figure(1.6 + width * len(sides), 0.9 + (width * ratio + 0.35) * len(bands))
        panels = figure.subplots(len(bands), len(sides), squeeze=False)
        for number, band in enumerate(bands):
            mappable = _scale([row for row in rows if row.band == band])
            for axes, side in zip(panels[number], sides, strict=True):
                lay_out_map(axes, limits)
                if model is not None:
                    plot_edge(axes, model)
                paths = _paths([row for row in rows if row.band == band], side)
                _plot_shifts(axes, paths, events, stations, mappable)
                whole = np.array([value for value, _ in paths.values()])
                told = f"{_centre(whole)}, " if whole.size else ""
                axes.set_title(
                    f"{names[_SIDES.index(side)]}, {band}: {told}{whole.size} paths", loc="left", fontsize=9
                )
                _trim_labels(axes, left=side == sides[0], below=number == len(bands) - 1)
            bar = figure.colorbar(mappable, ax=list(panels[number]), shrink=0.7, aspect=26, pad=0.02)
            bar.set_label("mean lag of a path (s), positive: observed late")
            bar.outline.set_linewidth(0.5)
        figure.legend(handles=_key(rows), loc="outside lower center", ncols=4)
        if title:
            figure.suptitle(title)
    return figure


def _trim_labels(axes: Axes, *, left: bool, below: bool) -> None:
    if not left:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)
    if not below:
        axes.set_xlabel("")
        axes.tick_params(labelbottom=False)


def _scale(rows: Sequence[ShiftRow]) -> ScalarMappable:
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    means = [value for side in _SIDES for value, _ in _paths(rows, side).values()]
    limit = nice_limit(np.array(means), 95)
    return ScalarMappable(Normalize(-limit, limit), mpl.colormaps["RdBu_r"])


def _paths(rows: Sequence[ShiftRow], side: str) -> dict[tuple[str, str], tuple[float, bool]]:
    """Mean lag and whether held out, by event and station."""
    found: dict[tuple[str, str], list[float]] = {}
    held: dict[tuple[str, str], bool] = {}
    for row in rows:
        value = row.side(side)
        if value is not None:
            found.setdefault((row.event, row.station), []).append(value)
            held[row.event, row.station] = row.held_out
    return {path: (float(np.mean(values)), held[path]) for path, values in found.items()}


def _plot_shifts(
    axes: Axes,
    paths: dict[tuple[str, str], tuple[float, bool]],
    events: Sequence[Event],
    stations: Sequence[Station],
    mappable: ScalarMappable,
) -> None:
    from matplotlib.collections import LineCollection

    everything: list[Event | Station] = [*events, *stations]
    place = {each.id: (each.longitude, each.latitude) for each in everything}
    ordered = sorted(paths.items(), key=lambda item: (abs(item[1][0]), item[0]))  # the largest on top
    width = float(np.clip(18 / np.sqrt(max(len(ordered), 1)), 0.5, 1.6))
    lines = LineCollection(
        [[place[event], place[station]] for (event, station), _ in ordered],
        colors=mappable.to_rgba(np.array([value for _, (value, _) in ordered])),
        linewidths=width,
        linestyles=[(0, (3, 1.5)) if held else "solid" for _, (_, held) in ordered],
        alpha=0.75,
        zorder=2,
    )
    axes.add_collection(lines, autolim=False)
    for thing in everything:
        is_event = isinstance(thing, Event)
        here = [found for path, found in paths.items() if path[0 if is_event else 1] == thing.id]
        values, held = [value for value, _ in here], bool(here) and all(out for _, out in here)
        axes.plot(
            *place[thing.id],
            "o" if is_event else "^",
            color=tuple(mappable.to_rgba(np.array([np.median(values)]))[0]) if values else "white",
            markersize=8.5 if is_event else 6.5,
            markeredgecolor=COLOURS["held out"] if held else "black",
            markeredgewidth=1.8 if held else 0.7,
            zorder=5 if is_event else 4,
        )


def _key(rows: Sequence[ShiftRow]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "white", "markeredgecolor": "black"}
    entries = [
        Line2D([], [], marker="^", markersize=6.5, label="station: median", **style),
        Line2D([], [], marker="o", markersize=8, label="event: median", **style),
    ]
    if any(row.held_out for row in rows):
        style |= {"markeredgecolor": COLOURS["held out"], "markeredgewidth": 1.8}
        entries += [
            Line2D([], [], marker="o", markersize=8, label="held out", **style),
            Line2D([], [], color="black", linewidth=1.0, linestyle=(0, (3, 1.5)), label="its paths"),
        ]
    return entries
