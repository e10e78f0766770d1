"""Half-space and layer over half-space to ten wavelengths, against pyprop8.

General moment tensor, all components, absolute amplitudes. pyprop8 (Valentine & Sambridge 2021) integrates over
wavenumbers in a layered half-space. The interface lies half way between two levels of the grid, or on one. A cell that
it cuts is replaced by one transversely isotropic medium (Backus 1962; see `docs/solver.md`), so that it hardly matters
which. What is left is of second order in the spacing at either order: in layers order 8 needs nearly the points of
order 4.
"""

from __future__ import annotations

import numpy as np
from common import THREADS, Case, draw_traces, legend, misfits, new_figure, resampled
from layered_truth import GENERAL, compare

HALF_SPACE = [(np.inf, 6000.0, 3464.0, 2700.0)]
VS, PERIOD = 2000.0, 1.6
MEDIA = (
    ("half-space", HALF_SPACE, 5000.0, [(8000.0, 2000.0), (20000.0, -3000.0), (55000.0, 0.0)], 24.0, 14000.0),
    ("layer", None, 9000.0, [(3000.0, 4000.0), (12000.0, -3000.0), (31000.0, 6000.0)], 26.0, 18000.0),
)


def run(quick: bool = False) -> Case:
    """Both media, both orders."""
    case = Case("", ("medium", "order", "points", "interface", "km", "L2 %", "EM %", "PM %", "amplitude"))
    figure = new_figure(9, 4.2)
    axes = figure.subplots(1, 2)
    worst: dict[str, float] = {}
    for column, (name, layers, depth, places, duration, bottom) in enumerate(MEDIA[: 1 if quick else 2]):
        for order, points in ((4, 8.0), (8, 5.5)):
            for interface in ("",) if layers else ("half way", "on a level"):
                there = layers or layered(points, interface)
                _, forward, (times, expected) = compare(
                    there, GENERAL, depth, places, period=PERIOD, points=points, duration=duration, bottom=bottom,
                    margin=6000.0, fine=20 if not layers else 1, threads=THREADS, order=order, over=1.25,
                )  # fmt: skip
                keep = times < duration
                for number, place in enumerate(places):
                    found = resampled(forward.gather, number, times[keep])
                    values = misfits(
                        found, expected[number][:, keep], times[1] - times[0], (PERIOD, 4 * PERIOD)
                    )
                    distance = np.hypot(*place) / 1e3
                    case.rows.append((name, order, points, interface, distance, *values))
                    key = f"{name}{', interface ' + interface if interface else ''}, order {order}"
                    worst[key] = max(worst.get(key, 0.0), values[0])
                if order == 8 and interface != "on a level":
                    title = f"{name}, order 8, {distance:.0f} km"
                    draw_traces(axes[column], times[keep], found, expected[-1][:, keep], "ENZ", title=title)
    legend(figure)
    case.figure = figure
    case.headline = (
        "At most " + "; ".join(f"{value:.1f} percent ({key})" for key, value in worst.items()) + "."
    )
    return case


def layered(points: float, interface: str):
    """Give a layer of about 6.2 km whose bottom lies half way between two levels, or on one."""
    spacing = VS * PERIOD / points
    level = np.round(6200.0 / spacing)
    thickness = (level + (0.5 if interface == "half way" else 0.0)) * spacing
    return [(thickness, 4000.0, 2000.0, 2600.0), (np.inf, 6000.0, 3464.0, 2700.0)]
