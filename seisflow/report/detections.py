"""Pictures of one detection: its seismograms with the arrivals, the beam in time, and the beam on the grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.domain import Arrival, Beam, Continuous, Detection, FloatArray, Grid, Projection, Station
from seisflow.errors import InputError
from seisflow.report.catalog import label_time_axis, moments
from seisflow.report.style import COLOURS, new_figure, styled
from seisflow.report.views import Box, Views, station_places, three_views

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["draw_beam", "draw_beam_snapshot", "draw_event_waveforms"]

_PHASES = {"P": COLOURS["used"], "S": COLOURS["event"]}
_BEAM_SCALE = "cividis"
_MOST_SAMPLES = 8000
_HALF_HEIGHT = 0.42


# --- seismograms


def draw_event_waveforms(
    recordings: Continuous,
    detection: Detection,
    projection: Projection,
    predicted: Sequence[Arrival] = (),
    title: str = "",
) -> Figure:
    """Draw the seismograms of a detection by distance, with the arrivals that were predicted and picked.

    At the left is the vertical component, at the right of each station the horizontal one that has more energy about
    the predicted S (anywhere, without one). Each trace is drawn on its own scale, less its mean; where nothing was
    recorded it is interrupted.

    Parameters
    ----------
    recordings : Continuous
        Cut out around the detection, filtered as wanted.
    detection : Detection
        Its ``arrivals`` are the picks.
    projection : Projection
        Of the place of the detection.
    predicted : sequence of Arrival
        P and S times from the travel times.
    title : str
        Time and id of the detection, if left out.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If there are no recordings.
    """
    if not recordings.stations or not recordings.components or not recordings.samples:
        raise InputError(f"detection {detection.id}: there are no recordings to draw; cut out more time")
    places = 1e3 * station_places(recordings.stations, projection)
    distances = np.linalg.norm(places - np.array(detection.place), axis=1)
    order = [int(n) for n in np.argsort(distances, kind="stable")]
    columns = _columns(recordings)
    labels = [f"{recordings.stations[n].id}  {distances[n] / 1e3:.1f} km" for n in order]
    with styled():
        figure, panels = _page(labels, len(columns))
        for axes, (name, members) in zip(panels, columns, strict=True):
            axes.set_title(name, fontsize=9.5)
            _plot_traces(axes, recordings, detection, (order, members), predicted)
            _plot_arrivals(axes, recordings, detection, order, predicted)
            axes.set_xlabel("time after the origin (s)")
        title = title or f"{detection.id}, depth {detection.z / 1e3:.1f} km"
        figure.text(0.5, 1 - 0.1 / figure.get_figheight(), title, ha="center", va="top", fontsize=11)
        handles = _arrival_key(predicted, detection)
        figure.legend(handles=handles, loc="lower center", ncols=len(handles))
    return figure


def _page(labels: Sequence[str], columns: int) -> tuple[Figure, list[Axes]]:
    """Make an empty page with a row a label: its places in inches, which takes no measuring of texts."""
    rows = 0.36 * max(len(labels), 4)
    left, gap, each = 0.2 + 0.068 * max(map(len, labels)), 0.3, 4.3
    width, height = left + columns * (each + gap), 1.45 + rows
    figure = new_figure(width, height, layout=None)
    panels = []
    for number in range(columns):
        place = (left + number * (each + gap)) / width, 0.85 / height, each / width, rows / height
        axes = figure.add_axes(place)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_yticks(range(len(labels)), labels if number == 0 else [""] * len(labels), fontsize=7.5)
        panels.append(axes)
    return figure, panels


def _columns(recordings: Continuous) -> list[tuple[str, list[int]]]:
    """Names of the columns and which components they choose from."""
    numbers = list(range(len(recordings.components)))
    vertical = [n for n in numbers if recordings.components[n].endswith("Z")]
    across = [n for n in numbers if n not in vertical]
    found = [("vertical", vertical), ("larger horizontal", across)]
    return [(name, members) for name, members in found if members]


def _plot_traces(
    axes: Axes,
    recordings: Continuous,
    detection: Detection,
    rows: tuple[list[int], list[int]],
    predicted: Sequence[Arrival],
) -> None:
    """Plot one trace a station; rows are the stations in their order and the components to choose from."""
    order, members = rows
    after = recordings.start - detection.time + recordings.interval * np.arange(recordings.samples)
    for row, station in enumerate(order):
        times = [
            each.time - detection.time
            for each in predicted
            if each.phase == "S" and each.station == recordings.stations[station].id
        ]
        about = (after > times[0] - 0.2) & (after < times[0] + 1.0) if times else np.ones(after.shape, bool)
        traces = [_trace(recordings, station, component) for component in members]
        energies = [float(np.nansum(trace[about] ** 2)) for trace in traces]
        best = int(np.argmax(energies))
        trace = traces[best]
        live = np.isfinite(trace)
        axes.axhline(row, color="#e4e4e4", linewidth=0.5, zorder=1)
        if not live.any():
            axes.text(
                0.5,
                row,
                "no recording",
                ha="center",
                va="center",
                fontsize=7,
                style="italic",
                color=COLOURS["muted"],
                transform=axes.get_yaxis_transform(),
            )
            continue
        peak = float(np.max(np.abs(trace[live])))
        axes.plot(
            after,
            row - trace * (_HALF_HEIGHT / peak if peak > 0 else 0.0),
            color="black",
            linewidth=0.55,
            zorder=3,
        )
        if len(members) > 1:
            axes.text(
                1.005,
                row,
                recordings.components[members[best]],
                fontsize=7,
                va="center",
                color=COLOURS["muted"],
                transform=axes.get_yaxis_transform(),
            )
    axes.set_xlim(float(after[0]), float(max(after[-1], after[0] + recordings.interval)))
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)


def _trace(recordings: Continuous, station: int, component: int) -> FloatArray:
    """Samples less their mean; NaN where nothing was recorded."""
    live = recordings.live[station, component]
    trace = np.where(live, recordings.data[station, component], np.nan).astype(np.float64)
    return np.asarray(trace - np.mean(trace[live])) if live.any() else trace


def _plot_arrivals(
    axes: Axes,
    recordings: Continuous,
    detection: Detection,
    order: Sequence[int],
    predicted: Sequence[Arrival],
) -> None:
    row_of = {recordings.stations[station].id: row for row, station in enumerate(order)}
    span = axes.get_xlim()
    looks: tuple[tuple[Sequence[Arrival], dict[str, Any]], ...] = (
        (predicted, {"linestyles": [(0, (2, 1.2))], "linewidth": 1.1}),
        (detection.arrivals, {"linestyles": "solid", "linewidth": 1.8}),
    )
    for arrivals, look in looks:
        for each in arrivals:
            after = each.time - detection.time
            if each.station in row_of and span[0] <= after <= span[1]:
                row = row_of[each.station]
                colour = _PHASES.get(each.phase[:1], COLOURS["station"])
                axes.vlines(after, row - 0.45, row + 0.45, color=colour, zorder=4, **look)


def _arrival_key(predicted: Sequence[Arrival], detection: Detection) -> list[Line2D]:
    from matplotlib.lines import Line2D

    handles: list[Line2D] = []
    kinds: tuple[tuple[Sequence[Arrival], str, dict[str, Any]], ...] = (
        (predicted, "predicted", {"linestyle": (0, (2, 1.2)), "linewidth": 1.1}),
        (detection.arrivals, "picked", {"linestyle": "solid", "linewidth": 1.8}),
    )
    for arrivals, name, look in kinds:
        for phase in dict.fromkeys(each.phase[:1] for each in arrivals):
            colour = _PHASES.get(phase, COLOURS["station"])
            handles.append(Line2D([], [], color=colour, label=f"{phase} {name}", **look))
    handles.append(Line2D([], [], linestyle="none", label="each trace on its own scale"))
    return handles


# --- the beam in time


def draw_beam(
    beam: Beam, threshold: float | FloatArray, detections: Sequence[Detection] = (), title: str = ""
) -> Figure:
    """Draw a piece of a beam with its threshold and the detections.

    Of more samples than a picture has columns the largest and smallest of each column are drawn.

    Parameters
    ----------
    beam : Beam
    threshold : float or ndarray (nt,)
    detections : sequence of Detection
        Those outside the beam are left out.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If the beam is empty or the threshold has another length.
    """
    if np.shape(threshold) not in ((), beam.maximum.shape) or beam.samples == 0:
        raise InputError(
            f"a beam of {beam.samples} samples and a threshold of shape {np.shape(threshold)} cannot be drawn; "
            "give one number, or one a sample"
        )
    levels = np.broadcast_to(np.asarray(threshold, dtype=float), beam.maximum.shape)
    times = beam.start + beam.interval * np.arange(beam.samples)
    values = np.where(beam.node >= 0, beam.maximum.astype(float), np.nan)
    with styled():
        figure = new_figure(9.5, 3.9)
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
        axes.plot(*_thinned(times, values), color="black", linewidth=0.6, label="beam", zorder=3)
        axes.plot(
            *_thinned(times, levels), color=COLOURS["held out"], linewidth=1.4, label="threshold", zorder=2
        )
        axes.set_ylabel("beam")
        shown = [each for each in detections if times[0] <= each.time <= times[-1]]
        if shown:
            _plot_detections(axes, shown, [_height(beam, values, each.time) for each in shown])
        axes.margins(x=0.005, y=0.1)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)
        live = _thinned(times, beam.live.astype(float))
        below.fill_between(live[0], 0, live[1], color=COLOURS["window"], linewidth=0)
        below.set_ylim(0, 1.05)
        below.set_ylabel("share\nlive")
        label_time_axis(below)
        axes.set_title(title, loc="left")
    return figure


def _plot_detections(axes: Axes, shown: Sequence[Detection], tops: Sequence[float]) -> None:
    axes.plot(
        moments(np.array([each.time for each in shown])),
        np.array(tops),
        "v",
        color=COLOURS["event"],
        markersize=6,
        markeredgecolor="black",
        markeredgewidth=0.4,
        label=f"{len(shown)} detection{'' if len(shown) == 1 else 's'}",
        zorder=4,
        clip_on=False,
    )


def _height(beam: Beam, values: FloatArray, time: float) -> float:
    """Maximum of the beam within half a second of a time; NaN where it is not known."""
    reach = max(1, round(0.5 / beam.interval))
    place = round((time - beam.start) / beam.interval)
    near = values[max(place - reach, 0) : place + reach + 1]
    return float(np.nanmax(near)) if np.isfinite(near).any() else float("nan")


def _thinned(times: FloatArray, values: FloatArray) -> tuple[Any, FloatArray]:
    """All samples, or the smallest and the largest of each of a few thousand stretches."""
    if values.size <= _MOST_SAMPLES:
        return moments(times), np.asarray(values)
    size = -(-values.size // (_MOST_SAMPLES // 2))
    count = -(-values.size // size)
    padded = np.concatenate([values, np.full(count * size - values.size, values[-1])]).reshape(count, size)
    known = np.isfinite(padded)
    low = np.where(known, padded, np.inf).min(axis=1)
    high = np.where(known, padded, -np.inf).max(axis=1)
    some = known.any(axis=1)
    pairs = np.column_stack([np.where(some, low, np.nan), np.where(some, high, np.nan)])
    return moments(np.repeat(times[::size], 2)), np.asarray(pairs.ravel())


# --- the beam on the grid


def draw_beam_snapshot(
    values: FloatArray,
    grid: Grid,
    detection: Detection,
    projection: Projection,
    stations: Sequence[Station] = (),
    title: str = "",
) -> Figure:
    """Draw the beam at the origin time: a map and two sections through its maximum.

    Parameters
    ----------
    values : ndarray (nx, ny, nz)
        On the nodes of the grid; NaN where nothing was live.
    grid : Grid
    detection : Detection
        A star where it was located, with the 68 % ellipse.
    projection : Projection
        Of the grid.
    stations : sequence of Station
    title : str
        The id of the detection, if left out.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If the values are not on the grid, or none is finite.
    """
    if values.shape != grid.shape or not np.isfinite(values).any():
        raise InputError(
            f"detection {detection.id}: the beam has shape {values.shape} and the grid {grid.shape}, with "
            f"{int(np.isfinite(values).sum())} finite values; give the beam on this grid"
        )
    i, j, k = (int(n) for n in np.unravel_index(int(np.nanargmax(values)), grid.shape))
    with styled():
        sensors = station_places(stations, projection)
        title = title or f"{detection.id}: beam through its maximum"
        views = three_views(_box(grid, sensors), title)
        slices = ((values[:, :, k].T, 0, 1), (values[i], 2, 1), (values[:, j].T, 0, 2))
        scale: dict[str, Any] = {"cmap": _BEAM_SCALE, "vmin": np.nanmin(values), "vmax": np.nanmax(values)}
        drawn = None
        for (part, across, up), (axes, _, _) in zip(slices, views.panels(), strict=True):
            axes.set_facecolor(COLOURS["no data"])
            drawn = axes.pcolormesh(
                _edges(grid, across),
                _edges(grid, up),
                part,
                zorder=1,
                **scale,
            )
        if len(sensors):
            views.plot_stations(sensors)
        _plot_location(views, detection, (grid.x[i], grid.y[j], grid.z[k]), len(stations))
        if drawn is not None:
            _add_beam_bar(views, drawn)
    return views.figure


def _box(grid: Grid, sensors: FloatArray) -> Box:
    """What holds the cells of a grid, and stations beside it with a margin."""
    sides = []
    for axis in range(3):
        edges = _edges(grid, axis)
        margin = 0.03 * (edges[-1] - edges[0])
        low = min([edges[0], *(sensors[:, axis] - margin)])
        high = max([edges[-1], *(sensors[:, axis] + margin)])
        sides.append((float(low), float(high)))
    return Box(*sides)


def _add_beam_bar(views: Views, drawn: ScalarMappable) -> None:
    axes = views.inset((0.06, 0.16, 0.88, 0.08))
    bar = views.figure.colorbar(drawn, cax=axes, orientation="horizontal")
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(labelsize=7, length=2.5)
    bar.set_label("beam", fontsize=8)


def _edges(grid: Grid, axis: int) -> FloatArray:
    """Edges of the cells around the nodes, km."""
    nodes = grid.axis(axis)
    half = grid.spacing[axis] / 2
    return np.append(nodes - half, nodes[-1] + half) / 1e3


def _plot_location(
    views: Views, detection: Detection, node: tuple[float, float, float], stations: int
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    dark = [withStroke(linewidth=2.6, foreground="black")]
    star: dict[str, Any] = {"marker": "*", "markersize": 12, "color": "white"}
    star |= {"markeredgecolor": "black", "markeredgewidth": 0.7}
    cross: dict[str, Any] = {"marker": "+", "markersize": 8, "color": "white", "markeredgewidth": 1.3}
    cross |= {"path_effects": dark}
    ring: dict[str, Any] = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
    ring |= {"markeredgecolor": "white", "markeredgewidth": 1.3, "path_effects": dark}
    for axes, across, up in views.panels():
        axes.plot(node[across] / 1e3, node[up] / 1e3, linestyle="none", zorder=7, **cross)
        axes.plot(
            detection.place[across] / 1e3, detection.place[up] / 1e3, linestyle="none", zorder=8, **star
        )
    look = {"facecolors": "none", "edgecolors": "white", "linewidths": 1.3, "path_effects": dark}
    views.plot_ellipses([detection], zorder=7, **look)
    entries: list[tuple[str, dict[str, Any]]] = [("location", star)]
    entries += [("68 % error", ring)] if detection.covariance is not None else []
    entries += [("best node", cross)]
    if stations:
        entries.append(("station", {"marker": "^", "color": COLOURS["station"], "markeredgecolor": "black"}))
    views.figure.legend(
        handles=[Line2D([], [], linestyle="none", label=label, **look) for label, look in entries],
        loc="upper left",
        bbox_to_anchor=views.corner,
        borderaxespad=0.1,
        fontsize=7.5,
    )
