"""Phase velocities of Rayleigh and Love waves in layers, against disba.

Three layers, a vertical or a transverse force at the surface, an array of stations along a line 40 to 151 km away.
At each period the spectra along the array are fitted by outgoing waves (Hankel functions): overtones with the phase
velocities of disba (Luu 2021; Herrmann's method), and a fundamental mode whose velocity is what fits best.
"""

from __future__ import annotations

import numpy as np
from common import THREADS, Case, Skipped, new_figure
from layered_truth import EQUATOR, columns
from scipy.optimize import minimize_scalar
from scipy.special import hankel2

from seisflow.domain import Event, Force, Grid, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

VS, SHORTEST = 2400.0, 2.0
LAYERS = [
    (2400.0, 4200.0, 2400.0, 2400.0),
    (4800.0, 5400.0, 3100.0, 2600.0),
    (np.inf, 6300.0, 3600.0, 2800.0),
]
PLACES = np.arange(40_000.0, 151_001.0, 3_000.0)
PERIODS = (2.5, 3.0, 3.6, 4.4, 5.4, 6.6)


def simulate(order: int, force: Force, spacing: float):
    """The gather of the array."""
    low, high, bottom = (-6000.0, -12000.0), (157_000.0, 12000.0), 17_000.0
    shape = tuple(int(np.ceil((b - a) / spacing)) + 1 for a, b in zip(low, high, strict=True))
    grid = Grid((*low, 0.0), (spacing, spacing, 60.0), (*shape, int(bottom / 60) + 1))
    model = columns(LAYERS, grid)
    stations = tuple(Station("XX", f"S{n:02d}", *EQUATOR.to_geographic(x, 0.0)) for n, x in enumerate(PLACES))
    event = Event(
        "e", 0.0, *EQUATOR.to_geographic(0.0, 0.0), 0.0, force, SourceTimeFunction(half_duration=1.2)
    )
    config = Elastic3DConfig(spacing=spacing, order=order, cpml_cells=14)
    return Elastic3D(config, THREADS).forward(Simulation(model, event, stations, 86.0, SHORTEST)).gather


def velocity(
    traces: np.ndarray, times: np.ndarray, period: float, near: float, overtones: list[float]
) -> float:
    """Phase velocity of the fundamental mode that fits an array best, near a guess."""
    spectrum = (traces * np.exp(-2j * np.pi * times / period)).sum(axis=1)
    spectrum = spectrum * np.sqrt(PLACES)  # stations weigh the same

    def wave(speed):
        return hankel2(0, 2 * np.pi / (period * speed) * PLACES) * np.sqrt(PLACES)

    def left(speed):
        modes = np.stack([wave(each) for each in (speed, *overtones)], axis=1)
        return np.linalg.norm(spectrum - modes @ np.linalg.lstsq(modes, spectrum)[0])

    tried = near * np.linspace(0.97, 1.03, 121)
    best = tried[int(np.argmin([left(each) for each in tried]))]
    width = tried[1] - tried[0]
    return minimize_scalar(left, bounds=(best - width, best + width), method="bounded").x


def _overtones(known, wave: str, period: float) -> list[float]:
    """Phase velocities of the first two overtones at a period, of those that are there."""
    found = []
    for mode in (1, 2):
        curve = known(np.array([period]), mode=mode, wave=wave)
        found += list(1e3 * curve.velocity)
    return found


def run(quick: bool = False) -> Case:
    """Both waves at both orders."""
    try:
        from disba import PhaseDispersion
    except ImportError as error:
        raise Skipped("disba is not installed (make verify installs it)") from error
    table = np.array([(min(d, 100e3), vp, vs, rho) for d, vp, vs, rho in LAYERS]).T / 1e3
    known = PhaseDispersion(*table)
    case = Case("", ("wave", "order", "period s", "disba m/s", "elastic3d m/s", "difference %"))
    figure = new_figure(6, 4.0)
    axes = figure.subplots()
    axes_marks = {4: "o", 8: "x"}
    worst = {4: 0.0, 8: 0.0}
    for order, points in ((8, 6.0),) if quick else ((4, 8.0), (8, 6.0)):
        cells = np.floor(2400.0 / (VS * SHORTEST / points)) + 0.5  # interfaces half way between levels
        spacing = 2400.0 / cells
        for wave, component, force in (
            ("rayleigh", 2, Force(0.0, 0.0, 1e15)),
            ("love", 1, Force(0.0, 1e15, 0.0)),
        ):
            gather = simulate(order, force, spacing)
            curve = known(np.array(PERIODS), mode=0, wave=wave)
            for period, expected in zip(curve.period, 1e3 * curve.velocity, strict=True):
                found = velocity(
                    gather.data[:, component], gather.times, period, expected, _overtones(known, wave, period)
                )
                off = 100 * (found / expected - 1)
                case.rows.append((wave, order, period, expected, found, off))
                worst[order] = max(worst[order], abs(off))
                axes.plot(period, found, axes_marks[order], color="#d62728" if component == 2 else "#1f77b4")
            line = known(np.linspace(PERIODS[0], PERIODS[-1], 60), mode=0, wave=wave)
            axes.plot(line.period, 1e3 * line.velocity, color="black", linewidth=0.8)
    axes.set_xlabel("period (s)")
    axes.set_ylabel("phase velocity (m/s)")
    axes.set_title("disba (lines); order 4 (o), order 8 (x); Rayleigh red, Love blue", fontsize=9)
    case.figure = figure
    case.headline = (
        ", ".join(f"order {order}: at most {value:.2f} percent" for order, value in worst.items() if value)
        + "."
    )
    return case
