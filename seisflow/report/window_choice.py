"""How the windows of a station were chosen: seismograms, E(t), and what became of every candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import STAGES, CandidateTable, FloatArray, Rejection, Window
from seisflow.report.style import COLOURS, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TraceChoice", "draw_window_choice"]

_TINTS = {
    "kept": "#009e73", "travel time": "#bbbbbb", "length": "#999999", "interior minima": "#cccccc",
    "prominence": "#777777", "phase separation": "#e69f00", "waves": "#f0e442", "signal to noise": "#cc79a7",
    "shift": "#0072b2", "amplitude": "#56b4e9", "correlation": "#d55e00", "overlap": "#88ccaa",
}  # fmt: skip
_MOST = 30
"""Candidates of a stage that are drawn; the legend counts all."""


@dataclass(frozen=True, eq=False)
class TraceChoice:
    """One component: what was compared, and what came of it.

    Parameters
    ----------
    component : str
    times : ndarray (nt,)
        s from the origin time.
    observed, synthetic : ndarray (nt,)
    ratio, level : ndarray (nt,)
        E(t) and the water level.
    arrivals : sequence of (str, float)
        Names and times in s.
    windows : sequence of Window
    candidates : CandidateTable
        Of this trace.
    rejections : sequence of Rejection
        Of this trace.
    """

    component: str
    times: FloatArray
    observed: FloatArray
    synthetic: FloatArray
    ratio: FloatArray
    level: FloatArray
    arrivals: Sequence[tuple[str, float]]
    windows: Sequence[Window]
    candidates: CandidateTable
    rejections: Sequence[Rejection]


def draw_window_choice(title: str, choices: Sequence[TraceChoice]) -> Figure:
    """Draw a column for each component: seismograms with windows, E(t), candidates by what became of them.

    Parameters
    ----------
    title : str
    choices : sequence of TraceChoice

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(4.4 * len(choices) + 1.2, 7.6, None)
        grid = figure.add_gridspec(
            3, len(choices), height_ratios=[1.0, 0.8, 1.5], left=0.05, right=0.99, top=0.9, bottom=0.07, hspace=0.06,
            wspace=0.12,
        )  # fmt: skip
        for column, choice in enumerate(choices):
            above = figure.add_subplot(grid[0, column])
            middle = figure.add_subplot(grid[1, column], sharex=above)
            below = figure.add_subplot(grid[2, column], sharex=above)
            _seismograms(above, choice)
            _ratio(middle, choice)
            _candidates(below, choice)
            for axes in (above, middle):
                axes.tick_params(labelbottom=False)
            for axes in (above, middle, below):
                for window in choice.windows:
                    colour = "#009e73" if window.by_hand else COLOURS["window"]
                    axes.axvspan(window.start, window.end, color=colour, alpha=0.2, lw=0, zorder=0)
                    for border in (window.start, window.end):  # windows may touch
                        axes.axvline(border, color=colour, lw=0.7, zorder=0)
            below.set_xlabel("time after origin (s)")
            above.set_xlim(choice.times[0], choice.times[-1])
        figure.text(0.05, 0.975, title, ha="left", va="top", fontsize=11)
    return figure


def _seismograms(axes: Axes, choice: TraceChoice) -> None:
    largest = max(np.abs(choice.observed).max(), np.abs(choice.synthetic).max(), 1e-300)
    axes.plot(choice.times, choice.observed / largest, color=COLOURS["observed"], lw=0.9, label="observed")
    axes.plot(choice.times, choice.synthetic / largest, color=COLOURS["synthetic"], lw=0.9, label="synthetic")
    axes.set_ylim(-1.35, 1.2)
    axes.set_yticks([])
    axes.set_title(f"{choice.component}: {len(choice.windows)} windows", fontsize=10)
    for window in choice.windows:
        text = f"{window.shift:+.1f} s  {window.correlation:.2f}"
        if window.phases:
            text += f"\n{' '.join(window.phases)}"
        if window.by_hand:
            text += "\nby hand"
        axes.text(window.start, -1.3, text, fontsize=7, va="bottom", ha="left")
    axes.legend(loc="upper right", fontsize=7, ncol=2, frameon=False)


def _ratio(axes: Axes, choice: TraceChoice) -> None:
    axes.plot(choice.times, choice.ratio, color="#333333", lw=0.9)
    axes.plot(choice.times, choice.level, color="#d55e00", lw=0.9, ls="--")
    axes.set_ylim(0, 1.15 * max(choice.ratio.max(), choice.level.max()))
    axes.set_ylabel("E(t), water level", fontsize=8)
    for name, time in choice.arrivals:
        if choice.times[0] <= time <= choice.times[-1]:
            axes.axvline(time, color="#0072b2", lw=0.8)
            height = axes.get_ylim()[1] * (0.88 if name == "surface" else 1.0)  # S is often close to it
            axes.text(time, height, f" {name}", fontsize=8, va="top", color="#0072b2")


def _candidates(axes: Axes, choice: TraceChoice) -> None:
    """A bar a candidate, those of one stage together, the latest stages on top."""
    from matplotlib.collections import LineCollection

    counts = {row.stage: row.count for row in choice.rejections}
    table, place, ticks = choice.candidates, 0.0, []
    stages = ["kept", *reversed(STAGES[1:])]
    for stage in [s for s in stages if s != "duplicate"]:
        rows = table.take(table.stage == STAGES.index(stage))
        spans = np.unique(np.stack([rows.left, rows.right], axis=1), axis=0)
        total = counts.get(stage, len(spans))
        if not total:
            continue
        some = (
            spans[np.linspace(0, len(spans) - 1, min(len(spans), _MOST)).astype(int)] if len(spans) else spans
        )
        height = place + 1 + np.arange(len(some))
        ends = choice.times[some] if len(some) else np.zeros((0, 2))
        lines = [[(a, y), (b, y)] for (a, b), y in zip(ends, height, strict=True)]
        axes.add_collection(LineCollection(lines, colors=_TINTS[stage], linewidths=1.6))
        ticks.append((place + (len(some) + 1) / 2, f"{stage} {total}"))
        place += len(some) + 2
    axes.set_ylim(place + 1, -1)
    axes.set_yticks([])
    for y, text in ticks:
        axes.text(0.995, y, text, transform=axes.get_yaxis_transform(), fontsize=8, ha="right", va="center")
    listed = set(STAGES)
    notes = [f"{row.stage}: {row.reason}" for row in choice.rejections if row.stage not in listed]
    if notes:
        axes.text(0.01, 0.02, "\n".join(notes), transform=axes.transAxes, fontsize=8, va="bottom", wrap=True)
