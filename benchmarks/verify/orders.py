"""What one percent costs, by order of the derivatives.

A general moment tensor in a full space (4 wavelengths), a half-space and a layer over a half-space (10
wavelengths, as in the cases of these names; L2 of all stations together), with ever finer grids, each order with
its own time step. Time is that of one core: points times steps over the updates a second that the solver measures
of its kernel on a grid like this.
"""

from __future__ import annotations

import full_space
import layers
import numpy as np
from common import TARGET, Case, new_figure, resampled
from layered_truth import CORNER, GENERAL, simulated, truth
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from seisflow.solvers.calibration import updates_a_second

POINTS = {
    "full space": {4: (5.0, 6.5, 8.0), 8: (5.25, 5.75, 6.25)},
    "half-space": {4: (6.5, 8.0, 9.5, 11.0), 8: (5.25, 5.75, 6.25, 6.75)},
    "layer": {4: (8.0, 9.5, 11.0), 8: (5.5, 6.5, 8.0)},
}


def _full_space(order: int, points: float):
    """L2 in percent of the two far stations, and the plan."""
    _, found, expected, _, plan = full_space.simulate(GENERAL, order, points, planned=True)
    return 100 * np.linalg.norm(found[:2] - expected[:2]) / np.linalg.norm(expected[:2]), plan


def _layered(medium: str, order: int, points: float, known: dict):
    _, there, depth, places, duration, bottom = layers.MEDIA[("half-space", "layer").index(medium)]
    there = there or layers.layered(points, "half way")
    forward = simulated(
        there, GENERAL, depth, places, period=layers.PERIOD, points=points, duration=duration, bottom=bottom,
        margin=6000.0, fine=20 if medium == "layer" else 1, order=order, over=1.25,
    )  # fmt: skip
    if (key := there[0][0]) not in known:
        width = np.sqrt(CORNER) * layers.PERIOD / np.pi
        known[key] = truth(there, GENERAL, depth, places, width, duration)
    times, expected = known[key]
    keep = times < duration
    found = np.stack([resampled(forward.gather, n, times[keep]) for n in range(len(places))])
    expected = expected[:, :, keep]
    size = np.linalg.norm(expected, axis=(1, 2))[:, None, None]  # stations weigh the same
    return 100 * np.linalg.norm((found - expected) / size) / np.sqrt(len(places)), forward.held.setup.plan


def run(quick: bool = False) -> Case:
    """All media and orders."""
    case = Case("", ("medium", "order", "points", "L2 %", "Mpoints", "steps", "G updates", "s on one core"))
    figure = new_figure(9, 3.6)
    axes = figure.subplots(1, 3, sharey=True)
    best: dict[tuple[str, int], tuple[float, float]] = {}
    for panel, (medium, orders) in zip(axes, POINTS.items(), strict=True):
        known: dict = {}
        for order, sweep in orders.items():
            rows = []
            for points in sweep[:1] if quick else sweep:
                error, plan = (
                    _full_space(order, points) if panel is axes[0] else _layered(medium, order, points, known)
                )
                count = float(np.prod(plan.shape))
                rate = updates_a_second(plan.shape, 10, order, "float32", 1)
                rows.append((error, count * plan.steps / rate))
                case.rows.append(
                    (
                        medium,
                        order,
                        points,
                        error,
                        count / 1e6,
                        plan.steps,
                        count * plan.steps / 1e9,
                        rows[-1][1],
                    )
                )
                if error <= TARGET and (medium, order) not in best:
                    best[medium, order] = (points, rows[-1][1])
            colour = "#d62728" if order == 4 else "#1f77b4"
            panel.loglog(
                *np.array(rows).T[::-1], color=colour, marker="o", markersize=3, label=f"order {order}"
            )
        panel.axhline(TARGET, color="black", linewidth=0.6)
        panel.set_title(medium, fontsize=9)
        panel.set_xlabel("s on one core")
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("relative L2 error (%)")
    axes[0].legend(fontsize=8)
    said = []
    for medium in POINTS:
        parts = [
            f"order {order} with {best[medium, order][0]:g} points, {best[medium, order][1]:.1f} s"
            if (medium, order) in best
            else f"order {order} with none of those tried"
            for order in (4, 8)
        ]
        said.append(f"{medium}: " + "; ".join(parts))
    case.figure = figure
    case.headline = "One percent: " + ". ".join(said) + "."
    return case
