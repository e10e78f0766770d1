"""Lamb's problem to forty wavelengths: a vertical force on a half-space.

Vertical motion of the surface of a Poisson solid for a vertical point force on it, in closed form (Pekeris
1955; Mooney 1974): P wave, S wave and Rayleigh pulse. Source: a Gaussian in time. Distances are in shortest S
wavelengths (where the spectrum of the source is 5 percent of its largest). What is seen is mostly the Rayleigh
wave. The error grows with distance as the dispersion of Rayleigh waves in the scheme foretells (column "foretold",
`solvers/accuracy.py`): at order 4 that of space and time steps, at order 8 that of the closure of the free surface
alone, 0.02 percent of the speed.
"""

from __future__ import annotations

import numpy as np
from common import TARGET, THREADS, Case, legend, misfits, new_figure
from layered_truth import CORNER, EQUATOR
from scipy.signal import fftconvolve

from seisflow.domain import Event, Force, Grid, Model, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation
from seisflow.solvers.accuracy import Sampling, expected_error

VS, RHO = 3464.0, 2700.0
VP = np.sqrt(3) * VS
PERIOD = 1.6
WAVELENGTH = VS * PERIOD
WIDTH = np.sqrt(CORNER) * PERIOD / np.pi
RAYLEIGH = 0.5 * np.sqrt(3 + np.sqrt(3))
DISTANCES = (2.5, 10.0, 20.0, 40.0)
POINTS = {4: {8.0: 40.0, 9.5: 40.0}, 8: {5.5: 40.0, 6.5: 40.0, 10.5: 20.0, 14.5: 40.0}}
"""By order: points, and the distance to which they are tried. The last of order 8 are what `seisflow check` recommends
for 10, 20 and 40 wavelengths, 9.5 of order 4 what it recommends for 10."""


def step_response_integral(tau: np.ndarray) -> np.ndarray:
    """Integral from 0 to tau of the vertical displacement after a unit step of force, times pi mu r; tau = vs t / r.

    The closed form (Pekeris 1955, for vp / vs = sqrt 3), integrated term by term.
    """
    p, one = 1 / np.sqrt(3), 1.0
    root = np.sqrt(3 * np.sqrt(3) + 5), np.sqrt(3 * np.sqrt(3) - 5)
    c, b = np.sqrt(0.75 + np.sqrt(3) / 4), np.sqrt(0.75 - np.sqrt(3) / 4)

    def first(t):
        return (
            6 * t
            - np.sqrt(3) * np.arccosh(np.maximum(2 * t, 1))
            - root[0] * np.arcsin(np.clip(t / c, -1, 1))
            + root[1] * np.arccosh(np.maximum(t / b, 1))
        )

    def second(t):
        return 6 * t - root[0] * np.arcsin(np.clip(t / c, -1, 1))

    early, late = np.clip(tau, p, one), np.clip(tau, one, RAYLEIGH)
    total = -(first(early) - first(np.full_like(early, p))) / 32
    total = total - (second(late) - second(np.full_like(late, one))) / 16
    return total - 3 / 8 * np.maximum(tau - RAYLEIGH, 0)


def velocity(times: np.ndarray, distance: float) -> np.ndarray:
    """Upward velocity for an upward force exp(-(t/WIDTH)^2) / (WIDTH sqrt pi) of 1 N."""
    fine = np.arange(0.0, times[-1] + 6 * WIDTH, WIDTH / 400)
    integral = -step_response_integral(VS * fine / distance) * distance / VS
    lag = np.arange(-5 * WIDTH, 5 * WIDTH, WIDTH / 400)
    force = np.exp(-((lag / WIDTH) ** 2)) / (WIDTH * np.sqrt(np.pi))
    third = (12 * lag / WIDTH**4 - 8 * lag**3 / WIDTH**6) * force
    shape = fftconvolve(integral, third * WIDTH / 400)
    start = fine[0] + lag[0]
    found = np.interp(times, start + np.arange(shape.size) * WIDTH / 400, shape)
    # its last part is cut off by the end of ``fine``, beyond the times asked for
    return found / (np.pi * RHO * VS**2 * distance)


def simulate(order: int, points: float, farthest: float):
    """Gather of stations at DISTANCES up to the farthest, in wavelengths."""
    spacing = WAVELENGTH / points
    places = [d * WAVELENGTH for d in DISTANCES if d <= farthest]
    side = min(5.5, farthest) * WAVELENGTH
    low, high = (-2.5 * WAVELENGTH, -side), (places[-1] + 2.0 * WAVELENGTH, side)
    cells = tuple(int(np.ceil((b - a) / spacing)) for a, b in zip(low, high, strict=True))
    depth = int(np.ceil(3.5 * points))
    grid = Grid((*low, 0.0), (spacing,) * 3, (cells[0] + 1, cells[1] + 1, depth + 1))
    model = Model(grid, EQUATOR, *(np.full(grid.shape, value) for value in (VP, VS, RHO)))
    stations = tuple(Station("XX", f"S{i}", *EQUATOR.to_geographic(x, 0.0)) for i, x in enumerate(places))
    function = SourceTimeFunction(half_duration=1.628 * WIDTH)
    event = Event("e", 0.0, *EQUATOR.to_geographic(0.0, 0.0), 0.0, Force(0.0, 0.0, 1e15), function)
    duration = places[-1] / (0.92 * VS) + 3 * PERIOD
    config = Elastic3DConfig(spacing=spacing, order=order, cpml_cells=12)
    return (
        Elastic3D(config, THREADS).forward(Simulation(model, event, stations, duration, PERIOD / 1.25)).gather
    )


def run(quick: bool = False) -> Case:
    """Errors by order, points per wavelength and distance."""
    case = Case("", ("order", "points", "wavelengths", "L2 %", "foretold", "EM %", "PM %", "amplitude"))
    figure = new_figure(9, 4.2)
    left, right = figure.subplots(1, 2)
    best: dict[int, dict[float, float]] = {4: {}, 8: {}}
    for order, sampled in POINTS.items():
        for points, reach in list(sampled.items())[: 1 if quick else None]:
            farthest = 10.0 if quick else reach
            shown = [d for d in DISTANCES if d <= farthest]
            gather = simulate(order, points, farthest)
            errors = []
            for number, distance in enumerate(shown):
                expected = 1e15 * velocity(gather.times, distance * WAVELENGTH)
                until = distance * WAVELENGTH / (0.92 * VS) + 3 * PERIOD
                keep = (gather.times > -2 * PERIOD) & (gather.times < until)
                pair = gather.data[number, 2:3, keep].T.reshape(1, -1), expected[None, keep]
                values = misfits(*pair, gather.interval, (PERIOD, 4 * PERIOD))
                foretold = 100 * expected_error(Sampling(order, points), distance)
                case.rows.append((order, points, distance, values[0], foretold, *values[1:]))
                errors.append(values[0])
                if order == 8 and points == (5.5 if quick else 6.5):
                    axis = gather.times[keep] - distance * WAVELENGTH / VS
                    near = axis > -4 * PERIOD
                    scale = np.abs(pair[1]).max()
                    base = -2.2 * number
                    for trace, colour, width in (
                        (pair[1][0], "black", 1.6), (pair[0][0], "#d62728", 0.7),
                        (10 * (pair[0] - pair[1])[0], "#1f77b4", 0.6),
                    ):  # fmt: skip
                        right.plot(axis[near], base + trace[near] / scale, color=colour, linewidth=width)
                    right.text(-4 * PERIOD, base + 0.4, f"{distance:g}", fontsize=8)
            colour = "#d62728" if order == 4 else "#1f77b4"
            style = ("-", "--", ":", "-.")[list(sampled).index(points)]
            left.loglog(
                shown, errors, style, color=colour, marker="o", markersize=3, label=f"{order}, {points:g}"
            )
            for distance, value in zip(shown, errors, strict=True):
                if value <= TARGET:
                    best[order][points] = distance
    left.axhline(TARGET, color="black", linewidth=0.6)
    left.set_xticks(DISTANCES, [f"{d:g}" for d in DISTANCES])
    left.set_xticks([], minor=True)
    left.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    left.set_yticks([], minor=True)
    left.set_xlabel("distance (shortest S wavelengths)")
    left.set_ylabel("relative L2 error (%)")
    left.legend(title="order, points", fontsize=7)
    right.set_yticks([])
    right.set_xlabel("time after the S wave (s)")
    right.set_title(f"order 8, {5.5 if quick else 6.5:g} points, by distance in wavelengths", fontsize=9)
    legend(figure)
    case.figure = figure
    said = []
    for order, found in best.items():
        reached = ", ".join(
            f"to {distance:g} wavelengths with {points:g} points" for points, distance in found.items()
        )
        said.append(f"order {order} " + (reached or "nowhere"))
    case.headline = "Below 1 percent: " + "; ".join(said) + "."
    return case
