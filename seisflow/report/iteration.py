"""One page that shows where an inversion stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import FloatArray, Model
from seisflow.report.fields import Field, Line, Overlay, perturbation_field
from seisflow.report.misfit import MisfitRow, plot_misfit
from seisflow.report.sections import add_colour_bar, colour_scale, key, plot_depth, plot_section
from seisflow.report.style import new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_iteration"]


def draw_iteration(
    rows: Sequence[MisfitRow],
    models: tuple[Model, Model, Model],
    name: str = "vs",
    *,
    depth: float | None = None,
    line: Line | None = None,
    overlay: Overlay | None = None,
    cover: FloatArray | None = None,
    title: str = "",
) -> Figure:
    """Draw the misfit so far, the model against the starting model, and the last update.

    Parameters
    ----------
    rows : sequence of MisfitRow
    models : tuple of 3 Model
        The starting model, the model before the last update, the newest model; on one grid.
    name : {"vp", "vs", "rho"}
    depth : float, optional
        Of the slices, m; where the newest model differs most from the starting model, if left out.
    line : Line, optional
        Of the vertical sections; west to east through that place, if left out.
    overlay : Overlay, optional
        Events and stations.
    cover : ndarray (nx, ny, nz), optional
        See ``coverage``; where it is below 1 the model fades, and no place is chosen there.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If the grids differ, or depth or line lies outside.
    """
    start, before, newest = models
    symbol = "density" if name == "rho" else name
    fields = [
        replace(field, coverage=cover)
        for field in (
            perturbation_field(newest, start, name, f"{symbol} against the start"),
            perturbation_field(newest, before, name, f"last update of {symbol}"),
        )
    ]
    level, along = _strongest(fields[0])
    depth = level if depth is None else depth
    line = along if line is None else line
    with styled():
        figure = new_figure(10.5, 9.0)
        grid = figure.add_gridspec(3, 2, height_ratios=[2.4, 4.0, 1.8])
        plot_misfit(figure.add_subplot(grid[0, :]), rows)
        for column, field in enumerate(fields):
            mappable = colour_scale(field)
            slices, section = figure.add_subplot(grid[1, column]), figure.add_subplot(grid[2, column])
            plot_depth(slices, field, depth, mappable, (line,), overlay, field.label.removesuffix(" (%)"))
            plot_section(section, field, line, mappable, overlay)
            add_colour_bar(figure, [slices, section], mappable, field.label)
        if overlay is not None:
            figure.legend(handles=key(overlay, cover=cover is not None), loc="outside lower center", ncols=5)
        if title:
            figure.suptitle(title)
    return figure


def _strongest(field: Field) -> tuple[float, Line]:
    """Depth, and west-to-east line, through the place where a field is largest in size."""
    size = np.abs(field.values) * (1.0 if field.coverage is None else field.coverage >= 1)
    place = np.unravel_index(int(np.argmax(size)), field.values.shape)
    grid = field.grid
    y = float(grid.y[place[1]])
    return float(grid.z[place[2]]), Line((float(grid.x[0]), y), (float(grid.x[-1]), y))
