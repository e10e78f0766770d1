"""An iteration of an inversion on one self-contained page: what was measured, what was gained, what was dropped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import FloatArray
from seisflow.io.atomic import publish
from seisflow.report.style import COLOURS, new_figure, png_base64, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["IterationPage", "PageTable", "WindowTraces", "draw_window_traces", "write_iteration_page"]

_COLUMNS = 3


@dataclass(frozen=True)
class PageTable:
    """A table of the page: headings and rows; numbers are given as such, None is empty.

    Parameters
    ----------
    columns : tuple of str
    rows : sequence of tuple
        Texts, numbers and None.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str | float | None, ...]]

    def cells(self) -> list[list[tuple[str, bool]]]:
        """Texts as shown, and whether each is a number."""
        return [[(_shown(value), isinstance(value, int | float)) for value in row] for row in self.rows]

    def numbers(self) -> list[bool]:
        """Whether each column holds numbers."""
        return [
            any(isinstance(row[place], int | float) for row in self.rows)
            for place in range(len(self.columns))
        ]


def _shown(value: str | float | None) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if isinstance(value, str) else text.replace("-", "−")


@dataclass(frozen=True)
class IterationPage:
    """What stands on the page of an iteration.

    Parameters
    ----------
    title : str
    facts : sequence of (name, value)
        Band, models, misfit.
    misfit : PageTable
        Before and after; what is used and what is held out in rows of their own.
    categories : PageTable
        What each band and component contributes.
    events : PageTable
    largest : PageTable
        The windows with the largest misfit.
    figures : sequence of (heading, text, Figure)
    dropped : PageTable
        Counts by stage.
    refused : PageTable
        One by one.
    stations : PageTable
        What seems wrong with stations over several events.
    not_shown : int
        Rows that the list of what was dropped lacks.
    links : sequence of (text, address)
        Pictures, relative to the page.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    misfit: PageTable
    categories: PageTable
    events: PageTable
    largest: PageTable
    figures: Sequence[tuple[str, str, Figure]]
    dropped: PageTable
    refused: PageTable
    stations: PageTable
    not_shown: int = 0
    links: Sequence[tuple[str, str]] = ()


def write_iteration_page(path: str | os.PathLike[str], page: IterationPage) -> None:
    """Write the page of an iteration: one HTML file that needs no network, whole or not at all.

    Parameters
    ----------
    path : path
    page : IterationPage

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    from jinja2 import Environment, StrictUndefined

    source = files("seisflow.report").joinpath("iteration_page.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(source)
    figures = [
        {"heading": heading, "text": text, "data": png_base64(figure)}
        for heading, text, figure in page.figures
    ]
    content = template.render(page=page, figures=figures)
    with publish(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


# --- single windows


@dataclass(frozen=True, eq=False)
class WindowTraces:
    """Observed and synthetic around one window.

    Parameters
    ----------
    label : str
        Event, station and component.
    told : str
        What was measured, below the label.
    times : ndarray (n,)
        s from the origin time.
    observed, synthetic : ndarray (n,)
        In one unit.
    window : tuple of 2 float
        Its start and end.
    held_out : bool
    """

    label: str
    told: str
    times: FloatArray
    observed: FloatArray
    synthetic: FloatArray
    window: tuple[float, float]
    held_out: bool = False


def draw_window_traces(panels: Sequence[WindowTraces], title: str = "") -> Figure:
    """Draw single windows, observed over synthetic, each pair on one scale.

    Parameters
    ----------
    panels : sequence of WindowTraces
        At least one.
    title : str

    Returns
    -------
    Figure
    """
    rows = -(-len(panels) // _COLUMNS)
    with styled():
        figure = new_figure(11.0, 0.6 + 1.75 * rows)
        grid = figure.subplots(rows, _COLUMNS, squeeze=False)
        for number, axes in enumerate(grid.flat):
            if number < len(panels):
                _plot_window(axes, panels[number])
            else:
                axes.set_axis_off()
        for axes in grid[-1]:
            axes.set_xlabel("s after the origin")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        if title:
            figure.suptitle(title)
    return figure


def _plot_window(axes: Axes, panel: WindowTraces) -> None:
    start, end = panel.window
    margin = 0.6 * (end - start)
    near = (panel.times >= start - margin) & (panel.times <= end + margin)
    shade = COLOURS["held out" if panel.held_out else "window"]
    axes.axvspan(start, end, color=shade, alpha=0.22, linewidth=0, label="window (yellow: held out)")
    for values, name in ((panel.observed, "observed"), (panel.synthetic, "synthetic")):
        axes.plot(panel.times[near], values[near], color=COLOURS[name], linewidth=1.1, label=name)
    peak = max(float(np.abs(values[near]).max(initial=0.0)) for values in (panel.observed, panel.synthetic))
    if peak > 0:
        axes.set_ylim(-1.15 * peak, 1.15 * peak)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.margins(x=0)
    axes.set_title(f"{panel.label}\n{panel.told}", fontsize=8, loc="left")
