"""Depth slices and vertical sections of models, perturbations, kernels and updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        m; the nearest level of the grid is drawn and named.
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
        page = _Page.plan(field.grid, len(depths), lines, headed=bool(title or overlay))
        figure = new_figure(page.width, page.height, layout=None)
        mappable = colour_scale(field)
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
            right = (page.LEFT + page.across) / page.width
            place = {"loc": "upper right", "bbox_to_anchor": (right, top), "borderaxespad": 0}
            figure.legend(handles=key(overlay, slices=bool(depths)), ncols=3, borderpad=0, **place)
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
    def plan(cls, grid: Grid, slices: int, lines: Sequence[Line], headed: bool) -> _Page:
        columns = {0: 1, 4: 2}.get(slices, min(slices, 3 if slices <= 6 else 4))
        width = {1: 5.2, 2: 3.7, 3: 3.0, 4: 2.6}[columns]
        ratio = (grid.shape[1] * grid.spacing[1]) / (grid.shape[0] * grid.spacing[0])
        panel = (width, width * ratio) if ratio <= 1.5 else (width * 1.5 / ratio, width * 1.5)
        total = columns * panel[0] + (columns - 1) * cls.GAP
        sections = tuple(_section_height(grid, line, total) for line in lines)
        return cls(columns, -(-slices // columns), panel, sections, 0.4 if headed else 0.1)

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
        limit = field.limit or nice_limit(field.values)
        norm = Normalize(-limit, limit)
    return ScalarMappable(norm, mpl.colormaps[SCALES[field.kind]])


def add_colour_bar(figure: Figure, axes: Sequence[Axes], mappable: ScalarMappable, label: str) -> None:
    """Put a colour bar at the right of some axes."""
    _label_bar(
        figure.colorbar(mappable, ax=list(axes), location="right", shrink=0.7, aspect=28, pad=0.02), label
    )


def key(overlay: Overlay, slices: bool = True) -> list[Line2D]:
    """Make the legend entries of what an overlay draws."""
    from matplotlib.lines import Line2D

    entries = [("station", "^", "station")] if overlay.stations else []
    if overlay.events:
        entries += [("event", "o", "event in this slice")]
    if overlay.events and slices:
        entries += [("event elsewhere", "o", "other event")]
    return [
        Line2D([], [], marker=mark, linestyle="none", label=label, **_MARKS[name])
        for name, mark, label in entries
    ]


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
    """Plot the level of a field that is nearest to a depth (m) into axes, in km; ``name`` opens the title."""
    from matplotlib.ticker import MaxNLocator

    grid = field.grid
    if not grid.z[0] - grid.spacing[2] / 2 <= depth <= grid.z[-1] + grid.spacing[2] / 2:
        raise InputError(
            f"depth {depth:g} m is outside the grid, which spans {grid.z[0]:g} to {grid.z[-1]:g} m"
        )
    level = int(np.argmin(np.abs(grid.z - depth)))
    cover = None if field.coverage is None else field.coverage[:, :, level].T
    extent = (*_edges(grid, 0), *_edges(grid, 1))
    _image(axes, field.values[:, :, level].T, cover, mappable, extent)
    axes.set_aspect("equal")
    title = f"depth {grid.z[level] / 1e3:g} km"
    axes.set_title(f"{name}, {title}" if name else title, loc="left", fontsize=9)
    for number, line in enumerate(lines):
        _plot_trace(axes, line, number)
    if overlay is not None:
        stations, events = overlay.station_places() / 1e3, overlay.event_places()
        axes.plot(stations[:, 0], stations[:, 1], "^", **_MARKS["station"])
        near = _nearest_level(grid, events[:, 2]) == level
        axes.plot(events[near, 0] / 1e3, events[near, 1] / 1e3, "o", **_MARKS["event"])
        axes.plot(events[~near, 0] / 1e3, events[~near, 1] / 1e3, "o", **_MARKS["event elsewhere"])
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
        width = 2.5 * max(grid.spacing[:2])
        for places, name, mark in (
            (overlay.station_places(), "station", "v"),
            (overlay.event_places(), "event", "o"),
        ):
            along, across = _project(places, line)
            near = (np.abs(across) <= width) & (along >= 0) & (along <= line.length)
            if near.any():
                axes.plot(along[near] / 1e3, places[near, 2] / 1e3, mark, clip_on=False, **_MARKS[name])
    axes.set_xlim(0, line.length / 1e3)
    axes.set_ylim(grid.z[-1] / 1e3, grid.z[0] / 1e3)
    axes.set_xlabel("distance (km)")
    axes.set_ylabel("depth (km)")
    axes.set_title(letters[0], loc="left", fontsize=9, fontweight="bold")
    _name_exaggeration(axes, line, grid)
    axes.set_title(letters[1], loc="right", fontsize=9, fontweight="bold")


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


_MARKS: dict[str, dict[str, Any]] = {
    "station": {
        "color": COLOURS["station"],
        "markersize": 4,
        "markeredgecolor": "black",
        "markeredgewidth": 0.4,
    },
    "event": {"color": "white", "markersize": 4.5, "markeredgecolor": "black", "markeredgewidth": 0.9},
    "event elsewhere": {"color": "none", "markersize": 3, "markeredgecolor": "black", "markeredgewidth": 0.4},
}


def _letters(number: int) -> tuple[str, str]:
    return f"{chr(65 + number % 26)}", f"{chr(65 + number % 26)}′"


def _edges(grid: Grid, number: int) -> tuple[float, float]:
    """Outer edges in km of the cells around the first and the last node."""
    axis = grid.axis(number)
    half = grid.spacing[number] / 2
    return float(axis[0] - half) / 1e3, float(axis[-1] + half) / 1e3


def _nearest_level(grid: Grid, depths: FloatArray) -> FloatArray:
    levels = np.rint((depths - grid.origin[2]) / grid.spacing[2])
    clipped: FloatArray = np.clip(levels, 0, grid.shape[2] - 1)
    return clipped


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
        alpha=None if cover is None else np.clip(cover, 0.0, 1.0),
    )


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
