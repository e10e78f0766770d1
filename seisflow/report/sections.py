"""Depth slices and vertical sections of models, perturbations, kernels and updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.domain import FloatArray, Grid
from seisflow.errors import InputError
from seisflow.report.fields import Field, Line, Overlay
from seisflow.report.style import COLOURS, SCALES, new_figure, nice_limit, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_SEEN = 0.5
"""Coverage from which values count for the colour scale."""

__all__ = ["add_colour_bar", "colour_scale", "draw_sections", "key", "plot_depth", "plot_section"]


def draw_sections(
    field: Field,
    depths: Sequence[float],
    lines: Sequence[Line] = (),
    overlay: Overlay | None = None,
    title: str = "",
) -> Figure:
    """Draw depth slices side by side and vertical sections below, with one colour scale.

    Parameters
    ----------
    field : Field
    depths : sequence of float
        m; linear between the levels of the grid.
    lines : sequence of Line
        Vertical sections; their ends are lettered on the slices.
    overlay : Overlay, optional
        Stations, and the events near each slice or section.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If nothing is to be drawn, or a depth or line lies outside the grid.
    """
    if not depths and not lines:
        raise InputError("there is nothing to draw: give depths or lines")
    with styled():
        page = _Page.plan(field.grid, len(depths), lines, bool(title), overlay is not None)
        figure = new_figure(page.width, page.height, layout=None)
        mappable = colour_scale(field if lines else _levels(field, depths))
        for number, depth in enumerate(depths):
            axes = figure.add_axes(page.slice_box(number))
            plot_depth(axes, field, depth, mappable, lines, overlay)
            _outer_labels(axes, number, page.columns, len(depths))
        for number, line in enumerate(lines):
            axes = figure.add_axes(page.section_box(number))
            plot_section(axes, field, line, mappable, overlay, _letters(number))
        _label_bar(figure.colorbar(mappable, cax=figure.add_axes(page.bar_box())), field.label)
        left, top = page.LEFT / page.width, 1 - 0.1 / page.height
        if title:
            figure.text(left, top, title, ha="left", va="top", fontsize=11)
        if overlay is not None:
            place: dict[str, Any] = {"loc": "upper right", "borderaxespad": 0}
            place["bbox_to_anchor"] = ((page.LEFT + page.across) / page.width, top)
            if page.narrow and title:
                place |= {"loc": "upper left", "bbox_to_anchor": (left, top - 0.25 / page.height)}
            handles = key(overlay, slices=bool(depths), cover=field.coverage is not None)
            figure.legend(handles=handles, ncols=3, borderpad=0, labelspacing=0.3, **place)
    return figure


@dataclass(frozen=True)
class _Page:
    """Where the panels of ``draw_sections`` stand, in inches."""

    columns: int
    rows: int
    panel: tuple[float, float]
    sections: tuple[float, ...]
    top: float

    LEFT, RIGHT, GAP, HEAD, FOOT = 0.7, 1.05, 0.24, 0.28, 0.5

    @classmethod
    def plan(cls, grid: Grid, slices: int, lines: Sequence[Line], title: bool, legend: bool) -> _Page:
        columns = {0: 1, 4: 2}.get(slices, min(slices, 3 if slices <= 6 else 4))
        width = {1: 5.2, 2: 3.7, 3: 3.0, 4: 2.6}[columns]
        ratio = (grid.shape[1] * grid.spacing[1]) / (grid.shape[0] * grid.spacing[0])
        panel = (width, width * ratio) if ratio <= 1.5 else (width * 1.5 / ratio, width * 1.5)
        total = columns * panel[0] + (columns - 1) * cls.GAP
        sections = tuple(_section_height(grid, line, total) for line in lines)
        page = cls(columns, -(-slices // columns), panel, sections, 0.4 if title or legend else 0.1)
        return replace(page, top=0.65) if page.narrow and title and legend else page

    @property
    def narrow(self) -> bool:
        """Whether title and legend find no room side by side."""
        return self.across < 6.5

    @property
    def across(self) -> float:
        """Width of all slices."""
        return self.columns * self.panel[0] + (self.columns - 1) * self.GAP

    @property
    def width(self) -> float:
        """Width of the figure."""
        return self.LEFT + self.across + self.RIGHT

    @property
    def height(self) -> float:
        """Height of the figure."""
        slices = self.rows * (self.panel[1] + self.HEAD) + (self.FOOT if self.rows else 0.0)
        return self.top + slices + sum(height + self.HEAD + self.FOOT for height in self.sections)

    def _box(
        self, left: float, down: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        below = self.height - down - height
        return left / self.width, below / self.height, width / self.width, height / self.height

    def slice_box(self, number: int) -> tuple[float, float, float, float]:
        row, column = divmod(number, self.columns)
        left = self.LEFT + column * (self.panel[0] + self.GAP)
        down = self.top + row * (self.panel[1] + self.HEAD) + self.HEAD
        return self._box(left, down, *self.panel)

    def section_box(self, number: int) -> tuple[float, float, float, float]:
        slices = self.rows * (self.panel[1] + self.HEAD) + (self.FOOT if self.rows else 0.0)
        before = sum(height + self.HEAD + self.FOOT for height in self.sections[:number])
        return self._box(
            self.LEFT, self.top + slices + before + self.HEAD, self.across, self.sections[number]
        )

    def bar_box(self) -> tuple[float, float, float, float]:
        content = self.height - self.top - self.HEAD - self.FOOT
        length = min(0.85 * content, 3.6)
        down = self.top + self.HEAD + (content - length) / 2
        return self._box(self.LEFT + self.across + 0.2, down, 0.14, length)


def _section_height(grid: Grid, line: Line, width: float) -> float:
    """Height in inches of a section of this width, at a round and legible exaggeration."""
    if line.length <= 0:
        raise InputError(f"a section starts and ends at x = {line.start[0]:g} m, y = {line.start[1]:g} m")
    true = width * (grid.end[2] - grid.origin[2]) / line.length
    factor = next((f for f in (1, 2, 3, 5, 10, 20, 50) if f * true >= 1.2), 100)
    return min(factor * true, 4.0)


def _outer_labels(axes: Axes, number: int, columns: int, count: int) -> None:
    if number % columns:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)
    if number + columns < count:
        axes.set_xlabel("")
        axes.tick_params(labelbottom=False)


def colour_scale(field: Field) -> ScalarMappable:
    """Make the colour scale of a field."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    if field.kind == "absolute":
        finite = field.values[np.isfinite(field.values)]
        low, high = float(finite.min()), float(finite.max())
        norm = Normalize(low, high) if high > low else Normalize(low * 0.99 - 1e-9, high * 1.01 + 1e-9)
    else:
        seen = field.values if field.coverage is None else field.values[field.coverage >= _SEEN]
        limit = field.limit or nice_limit(seen if seen.size else field.values)
        norm = Normalize(-limit, limit)
    return ScalarMappable(norm, mpl.colormaps[SCALES[field.kind]])


def add_colour_bar(figure: Figure, axes: Sequence[Axes], mappable: ScalarMappable, label: str) -> None:
    """Put a colour bar at the right of some axes."""
    _label_bar(
        figure.colorbar(mappable, ax=list(axes), location="right", shrink=0.7, aspect=28, pad=0.02), label
    )


def key(overlay: Overlay, slices: bool = True, cover: bool = False) -> list[Line2D]:
    """Make the legend entries of what an overlay draws."""
    from matplotlib.lines import Line2D

    entries = [("station", "^", "station")] if overlay.stations else []
    if overlay.events:
        entries += [("event", "o", "event in this slice")]
    if any(overlay.is_held_out()):
        entries += [("held out", "o", "event held out")]
    if overlay.events and slices:
        entries += [("event elsewhere", "o", "other event")]
    handles = [
        Line2D([], [], marker=mark, linestyle="none", label=label, **_MARKS[name])
        for name, mark, label in entries
    ]
    if cover:
        edge = {"color": _EDGE["colors"], "linestyle": _EDGE["linestyles"], "linewidth": _EDGE["linewidths"]}
        handles.append(Line2D([], [], label="edge of coverage", **edge))
    return handles


def _label_bar(bar: Colorbar, label: str) -> None:
    from matplotlib.ticker import ScalarFormatter

    bar.set_label(label)
    bar.outline.set_linewidth(0.5)
    formatter = ScalarFormatter(useMathText=True)
    formatter.set_powerlimits((-3, 4))
    bar.ax.yaxis.set_major_formatter(formatter)
    bar.ax.yaxis.set_offset_position("left")


def plot_depth(
    axes: Axes,
    field: Field,
    depth: float,
    mappable: ScalarMappable,
    lines: Sequence[Line] = (),
    overlay: Overlay | None = None,
    name: str = "",
) -> None:
    """Plot a field at a depth (m) into axes, in km; ``name`` opens the title."""
    from matplotlib.ticker import MaxNLocator

    grid = field.grid
    if not grid.z[0] - grid.spacing[2] / 2 <= depth <= grid.z[-1] + grid.spacing[2] / 2:
        raise InputError(
            f"depth {depth / 1e3:g} km is outside the grid, which spans {grid.z[0] / 1e3:g} to {grid.z[-1] / 1e3:g} km"
        )
    cover = None if field.coverage is None else _at_depth(field.coverage, grid, depth).T
    extent = (*_edges(grid, 0), *_edges(grid, 1))
    _image(axes, _at_depth(field.values, grid, depth).T, cover, mappable, extent)
    axes.set_aspect("equal")
    title = f"depth {depth / 1e3:.4g} km"
    axes.set_title(f"{name}, {title}" if name else title, loc="left", fontsize=9)
    for number, line in enumerate(lines):
        _plot_trace(axes, line, number)
    if overlay is not None:
        stations, events = overlay.station_places() / 1e3, overlay.event_places()
        axes.plot(stations[:, 0], stations[:, 1], "^", **_MARKS["station"])
        near, held = np.abs(events[:, 2] - depth) <= grid.spacing[2] / 2, overlay.is_held_out()
        for which, name in ((~near, "event elsewhere"), (near & ~held, "event"), (near & held, "held out")):
            axes.plot(events[which, 0] / 1e3, events[which, 1] / 1e3, "o", **_MARKS[name])
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel("east (km)")
    axes.set_ylabel("north (km)")


def plot_section(
    axes: Axes,
    field: Field,
    line: Line,
    mappable: ScalarMappable,
    overlay: Overlay | None = None,
    letters: tuple[str, str] = ("A", "A′"),
) -> None:
    """Plot a vertical section of a field into axes, distance and depth in km, depth downwards."""
    grid = field.grid
    for x, y in (line.start, line.end):
        if not (grid.origin[0] <= x <= grid.end[0] and grid.origin[1] <= y <= grid.end[1]):
            raise InputError(f"the section ends at x = {x:g} m, y = {y:g} m, outside the grid {grid}")
    count = max(2, round(line.length / min(grid.spacing[:2])) + 1)
    image = _along(field.values, grid, line, count)
    cover = None if field.coverage is None else _along(field.coverage, grid, line, count)
    half = line.length / 1e3 / (count - 1) / 2
    top, bottom = _edges(grid, 2)
    _image(
        axes,
        image.T,
        cover if cover is None else cover.T,
        mappable,
        (-half, line.length / 1e3 + half, top, bottom),
    )
    if overlay is not None:
        _plot_nearby(axes, overlay, line, 2.5 * max(grid.spacing[:2]))
    axes.set_xlim(0, line.length / 1e3)
    axes.set_ylim(grid.z[-1] / 1e3, grid.z[0] / 1e3)
    axes.set_xlabel("distance (km)")
    axes.set_ylabel("depth (km)")
    axes.set_title(letters[0], loc="left", fontsize=9, fontweight="bold")
    _name_exaggeration(axes, line, grid)
    axes.set_title(letters[1], loc="right", fontsize=9, fontweight="bold")


def _plot_nearby(axes: Axes, overlay: Overlay, line: Line, width: float) -> None:
    """Mark stations and events that are nearer than ``width`` (m) to a section."""
    events, held = overlay.event_places(), overlay.is_held_out()
    for places, name, mark in (
        (overlay.station_places(), "station", "v"),
        (events[~held], "event", "o"),
        (events[held], "held out", "o"),
    ):
        along, across = _project(places, line)
        near = (np.abs(across) <= width) & (along >= 0) & (along <= line.length)
        if near.any():
            axes.plot(along[near] / 1e3, places[near, 2] / 1e3, mark, clip_on=False, **_MARKS[name])


def _name_exaggeration(axes: Axes, line: Line, grid: Grid) -> None:
    box, figure = axes.get_position(original=True), axes.get_figure()
    if figure is None or figure.get_layout_engine() is not None:
        return
    width, height = box.width * figure.bbox.width, box.height * figure.bbox.height
    factor = height / width * line.length / (grid.end[2] - grid.origin[2])
    axes.set_title(
        "true scale" if abs(factor - 1) < 0.02 else f"depth × {factor:.2g}",
        fontsize=8,
        color=COLOURS["muted"],
    )


_EDGE: dict[str, Any] = {"colors": COLOURS["muted"], "linewidths": 0.8, "linestyles": "dotted"}
_MARKS: dict[str, dict[str, Any]] = {
    "station": {
        "color": COLOURS["station"],
        "markersize": 4,
        "markeredgecolor": "black",
        "markeredgewidth": 0.4,
    },
    "event": {"color": "white", "markersize": 4.5, "markeredgecolor": "black", "markeredgewidth": 0.9},
    "held out": {
        "color": COLOURS["held out"],
        "markersize": 4.5,
        "markeredgecolor": "black",
        "markeredgewidth": 0.9,
    },
    "event elsewhere": {"color": "none", "markersize": 3, "markeredgecolor": "black", "markeredgewidth": 0.4},
}


def _letters(number: int) -> tuple[str, str]:
    return f"{chr(65 + number % 26)}", f"{chr(65 + number % 26)}′"


def _edges(grid: Grid, number: int) -> tuple[float, float]:
    """Outer edges in km of the cells around the first and the last node."""
    axis = grid.axis(number)
    half = grid.spacing[number] / 2
    return float(axis[0] - half) / 1e3, float(axis[-1] + half) / 1e3


def _at_depth(values: FloatArray, grid: Grid, depth: float) -> FloatArray:
    """Values at a depth (m), shape (nx, ny); linear between the levels, those of the outermost ones beyond."""
    place = float(np.clip((depth - grid.origin[2]) / grid.spacing[2], 0, grid.shape[2] - 1))
    level = min(int(place), grid.shape[2] - 2)
    share = place - level
    if share in (0, 1):
        return values[:, :, level + int(share)]
    result: FloatArray = (1 - share) * values[:, :, level] + share * values[:, :, level + 1]
    return result


def _levels(field: Field, depths: Sequence[float]) -> Field:
    """The part of a field that slices at some depths show, for their colour scale."""
    near = [bool(np.any(np.abs(np.array(depths) - z) < field.grid.spacing[2])) for z in field.grid.z]
    first, last = (near.index(True), len(near) - near[::-1].index(True)) if any(near) else (0, len(near))
    if last - first < 2:
        first, last = max(last - 2, 0), max(last, 2)
    grid = replace(
        field.grid,
        origin=(*field.grid.origin[:2], float(field.grid.z[first])),
        shape=(*field.grid.shape[:2], last - first),
    )
    cover = None if field.coverage is None else field.coverage[:, :, first:last]
    return replace(field, grid=grid, values=field.values[:, :, first:last], coverage=cover)


def _image(
    axes: Axes,
    values: FloatArray,
    cover: FloatArray | None,
    mappable: ScalarMappable,
    extent: tuple[float, float, float, float],
) -> None:
    axes.set_facecolor(COLOURS["no data"])
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    axes.imshow(
        np.ma.masked_invalid(values),
        origin="lower",
        extent=extent,
        cmap=mappable.get_cmap(),
        norm=mappable.norm,  # type: ignore[arg-type]
        aspect="auto",
        interpolation="bilinear",  # as the model is between its nodes
        alpha=None if cover is None else np.clip(cover, 0.0, 1.0) ** 2,
    )
    if cover is not None and cover.min() < 1 <= cover.max():
        (left, right, low, high), (rows, columns) = extent, cover.shape
        x = left + (np.arange(columns) + 0.5) * (right - left) / columns
        y = low + (np.arange(rows) + 0.5) * (high - low) / rows
        axes.contour(x, y, cover, levels=[1.0], **_EDGE)


def _plot_trace(axes: Axes, line: Line, number: int) -> None:
    xs, ys = line.points(2)
    axes.plot(xs / 1e3, ys / 1e3, color="black", linewidth=0.8, linestyle=(0, (4, 2)))
    middle = (xs.mean(), ys.mean())
    for letter, x, y in zip(_letters(number), xs, ys, strict=True):
        inward = (middle[0] - x, middle[1] - y)
        size = np.hypot(*inward) or 1.0
        shift = (8 * inward[0] / size, 8 * inward[1] / size)
        axes.annotate(
            letter,
            (x / 1e3, y / 1e3),
            shift,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )


def _along(values: FloatArray, grid: Grid, line: Line, count: int) -> FloatArray:
    """Values on a vertical section by bilinear interpolation, shape (count, nz)."""
    xs, ys = line.points(count)
    a = np.clip((xs - grid.origin[0]) / grid.spacing[0], 0, grid.shape[0] - 1)
    b = np.clip((ys - grid.origin[1]) / grid.spacing[1], 0, grid.shape[1] - 1)
    i = np.minimum(a.astype(int), grid.shape[0] - 2)
    j = np.minimum(b.astype(int), grid.shape[1] - 2)
    u, v = (a - i)[:, None], (b - j)[:, None]
    result: FloatArray = (
        (1 - u) * (1 - v) * values[i, j]
        + u * (1 - v) * values[i + 1, j]
        + (1 - u) * v * values[i, j + 1]
        + u * v * values[i + 1, j + 1]
    )
    return result


def _project(places: FloatArray, line: Line) -> tuple[FloatArray, FloatArray]:
    """Distance along and across a line in m, of places (n, 3)."""
    dx, dy = (line.end[0] - line.start[0]) / line.length, (line.end[1] - line.start[1]) / line.length
    x, y = places[:, 0] - line.start[0], places[:, 1] - line.start[1]
    return x * dx + y * dy, y * dx - x * dy
