"""Order of convergence in a full space.

A moment tensor against the closed form at two stations 3.9 and 4.4 km away, with ever finer grids: with the
time step that the solver chooses, and with a quarter of it. Below about 0.1 percent the weights of source and
stations (Kaiser-windowed sinc of radius 4) hold it: order 8 is there with 5 points already.
"""

from __future__ import annotations

import full_space
import numpy as np
from common import Case, new_figure
from layered_truth import GENERAL

POINTS = {4: (5.0, 6.5, 8.0, 10.5, 13.0), 8: (5.0, 5.6, 6.3, 7.2)}


def run(quick: bool = False) -> Case:
    """Errors by points per wavelength, and their slope."""
    case = Case("", ("order", "points", "L2 %, own time step", "L2 %, a quarter of it"))
    figure = new_figure(5.2, 4.0)
    axes = figure.subplots()
    slopes = []
    for order, all_points in POINTS.items():
        points = all_points[:2] if quick else all_points
        errors = np.zeros((2, len(points)))
        for column, each in enumerate(points):
            courant = 0.9 * (0.4949 if order == 4 else 0.4488)
            step = courant * full_space.VS * full_space.PERIOD / each / full_space.VP
            for row, part in enumerate((1.0, 0.25)):
                _, found, expected, _ = full_space.simulate(GENERAL, order, each, part * step)
                difference = found[:2] - expected[:2]
                errors[row, column] = 100 * np.linalg.norm(difference) / np.linalg.norm(expected[:2])
            case.rows.append((order, each, *errors[:, column]))
        colour = "#d62728" if order == 4 else "#1f77b4"
        for row, style in enumerate(("--", "-")):
            slope = -np.polyfit(np.log(points), np.log(errors[row]), 1)[0]
            slopes.append(slope)
            label = f"order {order}, {('own', 'a quarter of the')[row]} time step: {slope:.1f}"
            axes.loglog(points, errors[row], style, color=colour, marker="o", markersize=3, label=label)
    axes.set_xlabel("points per shortest wavelength")
    axes.set_ylabel("relative L2 error (%)")
    axes.legend(fontsize=7, title="slope", title_fontsize=7)
    case.figure = figure
    case.headline = (
        f"Order 4 converges with {slopes[0]:.1f} at its own time step (which is of second order) and {slopes[1]:.1f} "
        f"at a quarter of it; order 8, whose time steps are corrected, with {slopes[2]:.1f} and {slopes[3]:.1f}."
    )
    return case
