"""The picture of an inversion for a source: mechanisms, misfit against depth, waveforms before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pyproj import Geod

from seisflow.domain import Event, Gather, MomentTensor, Window
from seisflow.domain.mechanism import nodal_planes
from seisflow.report.beachball import plot_source
from seisflow.report.style import COLOURS, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_source"]

_MOST = 14
_BEFORE = "#8c8c8c"


def draw_source(
    events: tuple[Event, Event],
    depths: Sequence[tuple[float, float, tuple[float, ...]]],
    observed: Gather,
    synthetics: Sequence[Gather],
    windows: Sequence[Window],
) -> Figure:
    """Draw what an inversion for a source changed.

    Parameters
    ----------
    events : tuple of 2 Event
        Before and after.
    depths : sequence of (float, float, tuple of 6 float)
        Depth in m, misfit and tensor of what was tried, sorted.
    observed : Gather
    synthetics : sequence of 2 Gather
        Before and after, on the axes of ``observed``.
    windows : sequence of Window

    Returns
    -------
    Figure
    """
    rows = _nearest(events[1], observed, windows)
    with styled():
        figure = new_figure(9.5, 3.1 + 0.52 * len(rows))
        grid = figure.add_gridspec(2, 1, height_ratios=[2.6, 0.52 * len(rows) + 0.4])
        upper = grid[0].subgridspec(1, 2, width_ratios=[1.0, 1.5])
        _mechanisms(figure.add_subplot(upper[0]), events)
        if len(depths) > 1:
            _depths(figure.add_subplot(upper[1]), events[1], depths)
        lower = grid[1].subgridspec(1, len(observed.components))
        for column, component in enumerate(observed.components):
            axes = figure.add_subplot(lower[column])
            _waveforms(axes, observed, synthetics, windows, (column, rows))
            axes.set_title(component, fontsize=9)
            if column:
                axes.set_yticklabels([])
        from matplotlib.lines import Line2D

        kinds = (("observed", COLOURS["observed"]), ("before", _BEFORE), ("after", COLOURS["synthetic"]))
        lines = [Line2D([], [], color=colour, label=name) for name, colour in kinds]
        figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def _nearest(event: Event, observed: Gather, windows: Sequence[Window]) -> list[int]:
    """Stations with windows by distance, at most so many."""
    used = {window.station for window in windows}
    numbers = [n for n, station in enumerate(observed.stations) if station.id in used]
    geod = Geod(ellps="WGS84")

    def distance(number: int) -> float:
        station = observed.stations[number]
        return float(geod.inv(event.longitude, event.latitude, station.longitude, station.latitude)[2])

    return sorted(numbers, key=distance)[:_MOST]


def _mechanisms(axes: Axes, events: tuple[Event, Event]) -> None:
    axes.set_xlim(0, 2)
    axes.set_ylim(0, 1)
    axes.axis("off")
    for number, (name, event) in enumerate(zip(("before", "after"), events, strict=True)):
        plot_source(axes, event, (0.5 + number, 0.62), 72)
        if isinstance(event.source, MomentTensor):
            planes = "\n".join(str(plane) for plane in nodal_planes(event.source))
            text = f"{name}\nMw {event.source.magnitude:.2f}, {event.depth / 1e3:.1f} km\n{planes}"
            axes.text(0.5 + number, 0.2, text, ha="center", va="top", fontsize=8)


def _depths(axes: Axes, event: Event, depths: Sequence[tuple[float, float, tuple[float, ...]]]) -> None:
    kilometres, values = [depth / 1e3 for depth, *_ in depths], [misfit for _, misfit, _ in depths]
    axes.plot(kilometres, values, color=COLOURS["muted"], linewidth=0.8, zorder=1)
    for (_, misfit, tensor), place in zip(depths, kilometres, strict=True):
        plot_source(axes, replace(event, source=MomentTensor(*tensor)), (place, misfit), 20)
    axes.set_xlabel("depth (km)")
    axes.set_ylabel("misfit")
    axes.margins(0.15, 0.25)
    axes.set_title("tensor and time fitted at each depth", fontsize=9)


def _waveforms(
    axes: Axes,
    observed: Gather,
    synthetics: Sequence[Gather],
    windows: Sequence[Window],
    what: tuple[int, list[int]],
) -> None:
    column, rows = what
    component, times = observed.components[column], observed.times
    mine = [w for w in windows if w.component == component]
    ends = [w.end for w in windows]
    for row, number in enumerate(rows):
        base, station = -row, observed.stations[number].id
        traces = [observed.data[number, column], *(each.data[number, column] for each in synthetics)]
        scale = 2.2 * max(float(np.abs(trace).max()) for trace in (traces[0], traces[2])) or 1.0
        chosen = [w for w in mine if w.station == station]
        for window in chosen:
            axes.fill_between(
                [window.start, window.end],
                base - 0.45,
                base + 0.45,
                color=COLOURS["window"],
                alpha=0.2,
                linewidth=0,
            )
        for trace, colour, width in zip(
            traces, (COLOURS["observed"], _BEFORE, COLOURS["synthetic"]), (1.1, 0.8, 0.8), strict=True
        ):
            height = np.where(np.abs(trace) < 0.9 * scale, trace / scale, np.nan)  # a gap where it is beyond
            axes.plot(times, base + height, color=colour, linewidth=width, alpha=1.0 if chosen else 0.35)
    axes.set_yticks([-row for row in range(len(rows))], [observed.stations[n].id for n in rows], fontsize=7)
    axes.set_xlim(max(times[0], min((w.start for w in windows), default=times[0]) - 15), max(ends) + 15)
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.set_xlabel("time (s)")
