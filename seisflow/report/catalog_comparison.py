"""Picture of a catalog against a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.detection.compare import Comparison, magnitudes, recall_by
from seisflow.domain import FloatArray
from seisflow.report.style import COLOURS, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

__all__ = ["draw_catalog_comparison"]

_LOOKS = {
    "matched": ("o", COLOURS["used"]),
    "missed": ("s", COLOURS["event"]),
    "extra": ("D", COLOURS["held out"]),
}


def draw_catalog_comparison(
    comparison: Comparison, quality: tuple[str, FloatArray] | None = None, title: str = ""
) -> Figure:
    """Draw matched, missed and extra events on a map, the differences of the pairs, and the recall.

    Parameters
    ----------
    comparison : Comparison
    quality : tuple of str and ndarray (reference events,), optional
        What the recall is drawn against, and its name; the magnitude, else the value of the reference, if left out.
    title : str
        Recall and precision, if left out.

    Returns
    -------
    Figure
    """
    with styled():
        figure = new_figure(11.0, 5.9)
        grid = figure.add_gridspec(3, 4, width_ratios=[1.25, 1.25, 1, 1])
        _plot_map(figure.add_subplot(grid[:, :2]), comparison)
        _plot_differences(figure, grid, comparison)
        _plot_recall(figure.add_subplot(grid[2, 2:]), comparison, quality or _quality(comparison))
        figure.suptitle(title or _headline(comparison))
    return figure


def _headline(comparison: Comparison) -> str:
    parts = [
        f"{name} {100 * value:.0f} %"
        for name, value in (("recall", comparison.recall), ("precision", comparison.precision))
        if np.isfinite(value)
    ]
    limits = f"pairs within {comparison.max_time:g} s and {comparison.max_distance:g} m"
    return ", ".join([*parts, limits])


def _quality(comparison: Comparison) -> tuple[str, FloatArray]:
    sizes = magnitudes(comparison.reference)
    if np.isfinite(sizes).any():
        return "magnitude of the reference", sizes
    return "value of the reference", np.array([each.value for each in comparison.reference])


def _plot_map(axes: Axes, comparison: Comparison) -> None:
    from matplotlib.collections import LineCollection

    found, reference = comparison.found.places[:, :2] / 1e3, comparison.reference_places[:, :2] / 1e3
    first, second = comparison.pairs[:, 0], comparison.pairs[:, 1]
    lines = np.stack([found[first], reference[second]], axis=1)
    axes.add_collection(LineCollection(list(lines), colors=COLOURS["muted"], linewidths=0.7, zorder=3))
    look: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "black", "markeredgewidth": 0.4}
    for name, places, size in (
        ("matched", found[first], 4.5),
        ("extra", found[comparison.extra], 4.5),
        ("missed", reference[comparison.missed], 5.0),
    ):
        mark, colour = _LOOKS[name]
        label = {"extra": "only found", "missed": "missed: only in the reference", "matched": "matched"}[name]
        axes.plot(
            places[:, 0], places[:, 1], mark, color=colour, markersize=size, label=f"{label}: {len(places)}", zorder=4,
            **look,
        )  # fmt: skip
    axes.plot(
        reference[second, 0],
        reference[second, 1],
        ".",
        color="black",
        markersize=2.5,
        label="its reference",
        zorder=5,
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)
    axes.set_xlabel("x, east (km)")
    axes.set_ylabel("y, north (km)")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, fontsize=7.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)


def _plot_differences(figure: Figure, grid: GridSpec, comparison: Comparison) -> None:
    from matplotlib.ticker import MaxNLocator

    away, distances = comparison.place_differences, comparison.distances
    sizes = comparison.magnitude_differences
    unit, metres = ("km", 1e3) if distances.size and distances.max() >= 5000 else ("m", 1.0)
    panels = [
        ("origin time (s)", comparison.time_differences, grid[0, 2]),
        (f"distance ({unit})", distances / metres, grid[0, 3]),
        (f"depth ({unit})", away[:, 2] / metres, grid[1, 2]),
        ("magnitude", sizes, grid[1, 3]),
    ]
    if not np.isfinite(sizes).any():
        panels[3] = (f"east ({unit})", away[:, 0] / metres, grid[1, 3])
    for name, values, place in panels:
        axes = figure.add_subplot(place)
        known = values[np.isfinite(values)]
        axes.set_xlabel(name if name.startswith("distance") else f"{name}, found − reference", fontsize=8)
        axes.set_ylabel("pairs", fontsize=8)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if not known.size:
            axes.text(0.5, 0.5, "no pairs", ha="center", color=COLOURS["muted"], transform=axes.transAxes)
            axes.set_xticks([])
            axes.set_yticks([])
            continue
        axes.hist(known, _bins(known), color="#cfcfcf", edgecolor="white", linewidth=0.4)
        middle = float(np.median(known))
        axes.axvline(middle, color=COLOURS["used"], linewidth=1.3)
        if not name.startswith("distance"):
            axes.axvline(0, color=COLOURS["muted"], linewidth=0.7, linestyle=(0, (4, 3)))
        told = f"median {middle:.3g}".replace("-", "−")
        axes.set_title(told, loc="right", fontsize=7.5, color=COLOURS["used"], pad=2)


def _bins(values: FloatArray) -> int:
    return int(np.clip(np.sqrt(values.size) * 1.5, 5, 40))


def _plot_recall(axes: Axes, comparison: Comparison, quality: tuple[str, FloatArray]) -> None:
    from matplotlib.ticker import LogLocator

    name, values = quality
    found = recall_by(comparison, values, int(np.clip(len(comparison.reference) // 5, 1, 6)))
    axes.set_ylim(0, 105)
    axes.set_ylabel("recall (%)", fontsize=8)
    axes.set_xlabel(name, fontsize=8)
    if not found:
        axes.text(0.5, 0.5, "not known", ha="center", color=COLOURS["muted"], transform=axes.transAxes)
        axes.set_xticks([])
        return
    lows = np.array([each.low for each in found])
    highs = np.array([each.high for each in found])
    if lows[0] > 0 and highs[-1] / lows[0] > 8:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        middles = np.sqrt(lows * highs)
    else:
        middles = (lows + highs) / 2
    shares = 100 * np.array([each.recall for each in found])
    limits = 100 * np.array([each.interval for each in found])
    known = np.isfinite(shares)
    axes.hlines(shares, lows, highs, color=COLOURS["used"], linewidth=2.5)
    axes.vlines(middles[known], limits[known, 0], limits[known, 1], color=COLOURS["used"], linewidth=0.9)
    told = f"{found[0].count} events" if len(found) == 1 else f"about {found[0].count} events in each step"
    axes.set_title(f"{told}, 95 % intervals", loc="right", fontsize=7.5, pad=2)
