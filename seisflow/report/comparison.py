"""Fields side by side on one colour scale: a true model and what was recovered of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seisflow.errors import InputError
from seisflow.report.fields import Field, Line, Overlay
from seisflow.report.sections import add_colour_bar, colour_scale, key, plot_depth, plot_section
from seisflow.report.style import new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_comparison"]


def draw_comparison(
    fields: Sequence[tuple[str, Field]],
    depth: float,
    line: Line,
    overlay: Overlay | None = None,
    title: str = "",
) -> Figure:
    """Draw a depth slice and a vertical section of each field, one column a field, on the scale of the first.

    Parameters
    ----------
    fields : sequence of (name, Field)
        On one grid, of one unit.
    depth : float
        Of the slices, m.
    line : Line
        Of the sections.
    overlay : Overlay, optional
        Events and stations.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If there is no field, or they are on different grids.
    """
    if not fields or len({field.grid for _, field in fields}) > 1:
        raise InputError(f"fields to compare must be on one grid, found {len(fields)} fields")
    with styled():
        figure = new_figure(1.0 + 4.6 * len(fields), 6.6)
        grid = figure.add_gridspec(2, len(fields), height_ratios=[4.0, 1.7])
        mappable = colour_scale(fields[0][1])
        everything = []
        for column, (name, field) in enumerate(fields):
            slices, section = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
            plot_depth(slices, field, depth, mappable, (line,), overlay, name)
            plot_section(section, field, line, mappable, overlay)
            everything += [slices, section]
        add_colour_bar(figure, everything, mappable, fields[0][1].label)
        if overlay is not None:
            figure.legend(handles=key(overlay), loc="outside lower center", ncols=3)
        if title:
            figure.suptitle(title)
    return figure
