"""Weights of sources and receivers on the map, and how their reference distance was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.domain import Event, Station
from seisflow.report.maps import lay_out_map, map_limits
from seisflow.report.style import COLOURS, new_figure, styled
from seisflow.weights import Distance, condition_curve, pair_distances, reference_distance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_weights"]


def draw_weights(
    events: Sequence[Event],
    stations: Sequence[Station],
    factors: Mapping[str, float],
    references: tuple[Distance, Distance] = (None, None),
    title: str = "",
) -> Figure:
    """Draw the geographic factor of each event and station, and the condition number against the reference distance.

    Parameters
    ----------
    events : sequence of Event
    stations : sequence of Station
    factors : mapping of str to float
        By name of event or station; those without one are white.
    references : tuple of 2
        Reference distances of sources and of receivers: m, ``auto`` or None.
    title : str

    Returns
    -------
    Figure
    """
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    limits = map_limits(events, stations, None)
    reach = max(1.5, *(max(value, 1 / value) for value in factors.values())) if factors else 1.5
    mappable = ScalarMappable(LogNorm(1 / reach, reach), mpl.colormaps["PuOr_r"])
    with styled():
        figure = new_figure(11.0, 4.8)
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        lay_out_map(left, limits)
        things: list[Event | Station] = [*stations, *events]
        for thing in things:
            factor = factors.get(thing.id)
            left.plot(
                thing.longitude,
                thing.latitude,
                "o" if isinstance(thing, Event) else "^",
                color="white" if factor is None else tuple(mappable.to_rgba(np.array([factor]))[0]),
                markersize=8.5 if isinstance(thing, Event) else 7,
                markeredgecolor="black",
                markeredgewidth=0.7,
                zorder=5 if isinstance(thing, Event) else 4,
            )
        bar = figure.colorbar(mappable, ax=left, shrink=0.8, pad=0.02)
        bar.set_label("factor of the weight (circles: events, triangles: stations)")
        ticks = [tick for tick in (0.1, 0.25, 0.5, 0.7, 1, 1.4, 2, 4, 10) if 1 / reach <= tick <= reach]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.minorticks_off()
        groups: list[list[Event | Station]] = [list(events), list(stations)]
        for name, group, reference in zip(("events", "stations"), groups, references, strict=True):
            places = tuple((each.latitude, each.longitude) for each in group if each.id in factors)
            _plot_condition(right, places, reference, name)
        right.set_xscale("log")
        right.set_xlabel("reference distance (km)")
        right.set_ylabel("largest over smallest factor")
        right.set_ylim(1, max(1.5, 1.18 * right.get_ylim()[1]))
        right.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        if title:
            figure.suptitle(title)
    return figure


def _plot_condition(
    axes: Axes, places: tuple[tuple[float, float], ...], reference: Distance, name: str
) -> None:
    """The curve of one group, and the distance that was taken, by itself or by the settings."""
    if len(places) < 2:
        return
    distances = pair_distances(places)
    references, numbers = condition_curve(distances)
    if not len(references):
        return
    style: dict[str, Any] = {"color": COLOURS["event" if name == "events" else "station"]}
    axes.plot(references / 1e3, numbers, label=f"{len(places)} {name}", **style)
    taken = reference_distance(distances) if reference == "auto" else reference
    if taken is not None:
        height = float(np.interp(np.log(taken), np.log(references), numbers))
        how = "a third of the way up" if reference == "auto" else "as set"
        label = f"{name}: {taken / 1e3:.3g} km, {how}"
        axes.plot(taken / 1e3, height, "o", markersize=7, label=label, **style)
