"""Misfit over iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING

from seisflow.errors import InputError
from seisflow.inversion import Trial
from seisflow.report.style import COLOURS, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MisfitRow", "draw_misfit", "plot_misfit"]


_CEILING = 1.3
"""Trials above, and broken ones, are drawn here as triangles."""


@dataclass(frozen=True)
class MisfitRow:
    """The misfit of one model in one stage.

    Parameters
    ----------
    iteration : int
        Number of the model; the starting model is 0.
    stage : str
        Name of the stage or band, as shown. The model at a change of stage has a row in both.
    used : float
        Misfit over the events that are inverted.
    held_out : float, optional
        Misfit over the events that are not.
    trials : sequence of Trial
        Of the line search from this model to the next; step 0 first. Drawn relative to step 0, so they may be
        measured over fewer events.
    """

    iteration: int
    stage: str
    used: float
    held_out: float | None = None
    trials: Sequence[Trial] = ()


def draw_misfit(rows: Sequence[MisfitRow], title: str = "") -> Figure:
    """Draw the misfit over iterations, relative to the first model of each stage.

    Parameters
    ----------
    rows : sequence of MisfitRow
        In order.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If there are no rows, or a stage starts with a misfit that is not positive.
    """
    with styled():
        figure = new_figure(7.2, 3.8)
        axes = figure.subplots()
        plot_misfit(axes, rows)
        if title:
            figure.suptitle(title)
    return figure


def plot_misfit(axes: Axes, rows: Sequence[MisfitRow]) -> None:
    """Plot the curves of ``draw_misfit`` into axes."""
    from matplotlib.ticker import MaxNLocator

    if not rows:
        raise InputError("there is no misfit to draw yet: no iteration is complete")
    stages = [(name, list(group)) for name, group in groupby(rows, key=lambda row: row.stage)]
    top = 1.0
    for number, (name, group) in enumerate(stages):
        top = max(top, _plot_stage(axes, group, first=number == 0))
        _shade(axes, number, name, group, alone=len(stages) == 1)
    last = max(rows[-1].iteration, 1)
    axes.set_xlim(min(row.iteration for row in rows) - 0.4, last + 0.4)
    axes.set_ylim(0, min(top, _CEILING) + 0.16)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("iteration (model number)")
    axes.set_ylabel("misfit / first of the stage")
    axes.legend(loc="lower left", ncols=3)


def _plot_stage(axes: Axes, group: list[MisfitRow], first: bool) -> float:
    """Curves of one stage; returns the largest value drawn."""
    start = group[0].used
    if not start > 0:
        raise InputError(f"stage {group[0].stage}: the first misfit is {start:g}; it must be positive")
    numbers = [row.iteration for row in group]
    used = [row.used / start for row in group]
    top = max(used)
    axes.plot(
        numbers,
        used,
        "o-",
        color=COLOURS["used"],
        markersize=4.5,
        label="events used" if first else None,
        zorder=4,
    )
    held = [(row.iteration, row.held_out) for row in group if row.held_out is not None]
    if held:
        base = held[0][1] or 1.0
        values = [value / base for _, value in held]
        top = max(top, *values)
        label = "events held out" if first else None
        axes.plot(
            [n for n, _ in held],
            values,
            "s--",
            color=COLOURS["held out"],
            markersize=4,
            label=label,
            zorder=3,
        )
    return max(top, _plot_trials(axes, group, start, first))


def _plot_trials(axes: Axes, group: list[MisfitRow], start: float, first: bool) -> float:
    """Mark the trials between a model and the next, in their order; return the largest value drawn."""
    places: list[float] = []
    values: list[float] = []
    for row in group:
        count = len(row.trials)
        for number, trial in enumerate(row.trials[1:], start=1):
            places.append(row.iteration + 0.2 + 0.7 * number / count)
            ratio = trial.misfit / row.trials[0].misfit * row.used / start
            values.append(ratio if isfinite(ratio) else 2 * _CEILING)
    high = [value > _CEILING for value in values]
    inside = [(p, v) for p, v, h in zip(places, values, high, strict=True) if not h]
    above = [p for p, h in zip(places, high, strict=True) if h]
    colour = COLOURS["trial"]
    if inside:
        label = "line search trials" if first else "_trials"
        axes.plot(*zip(*inside, strict=True), "x", color=colour, markersize=4, label=label, zorder=2)
    if above:
        heights = [_CEILING] * len(above)
        axes.plot(above, heights, "^", color=colour, markersize=4, label="_above", zorder=2)
    return _CEILING if above else max((v for _, v in inside), default=0.0)


def _shade(axes: Axes, number: int, name: str, group: list[MisfitRow], alone: bool) -> None:
    left, right = group[0].iteration, group[-1].iteration
    if number % 2 == 0 and not alone:
        axes.axvspan(left, right, color="#f0f0f0", zorder=0, linewidth=0)
    axes.text(
        (left + right) / 2,
        0.985,
        name,
        ha="center",
        va="top",
        color=COLOURS["muted"],
        fontsize=8,
        transform=axes.get_xaxis_transform(),
    )
