"""Phase velocities of Rayleigh and Love waves in layers, against disba.

Three layers; an array of stations along a line. The phase velocity at each period is that at which the array
adds up best, of vertical (Rayleigh) and transverse (Love) motion; disba (Luu 2021; Herrmann's method) gives
that of the fundamental mode.
"""

from __future__ import annotations

import numpy as np
from common import THREADS, Case, Skipped, new_figure
from layered_truth import EQUATOR, STRIKE_SLIP, columns
from scipy.optimize import minimize_scalar

from seisflow.domain import Event, Grid, MomentTensor, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

VS, SHORTEST = 2400.0, 2.0
LAYERS = [
    (2400.0, 4200.0, 2400.0, 2400.0),
    (4800.0, 5400.0, 3100.0, 2600.0),
    (np.inf, 6300.0, 3600.0, 2800.0),
]
PLACES = np.arange(14_000.0, 62_001.0, 3_000.0)
PERIODS = (2.5, 3.0, 3.6, 4.4, 5.4, 6.6)


def simulate(order: int, points: float, tensor: MomentTensor, spacing: float):
    """The gather of the array."""
    low, high, bottom = (-6000.0, -12000.0), (68_000.0, 12000.0), 17_000.0
    shape = tuple(int(np.ceil((b - a) / spacing)) + 1 for a, b in zip(low, high, strict=True))
    grid = Grid((*low, 0.0), (spacing, spacing, 60.0), (*shape, int(bottom / 60) + 1))
    model = columns(LAYERS, grid)
    stations = tuple(Station("XX", f"S{n:02d}", *EQUATOR.to_geographic(x, 0.0)) for n, x in enumerate(PLACES))
    event = Event(
        "e", 0.0, *EQUATOR.to_geographic(0.0, 0.0), 1500.0, tensor, SourceTimeFunction(half_duration=1.2)
    )
    config = Elastic3DConfig(spacing=spacing, order=order, cpml_cells=14)
    return Elastic3D(config, THREADS).forward(Simulation(model, event, stations, 34.0, SHORTEST)).gather


def velocity(traces: np.ndarray, times: np.ndarray, period: float, near: float) -> float:
    """Phase velocity at which the array adds up best, near a guess."""
    spectrum = (traces * np.exp(-2j * np.pi * times / period)).sum(axis=1)
    spectrum = spectrum / np.abs(spectrum)

    def less(slow):
        return -np.abs(np.sum(spectrum * np.exp(2j * np.pi / period * slow * PLACES)))

    tried = np.linspace(1 / (1.06 * near), 1 / (0.94 * near), 121)
    best = tried[int(np.argmin([less(s) for s in tried]))]
    width = tried[1] - tried[0]
    return 1 / minimize_scalar(less, bounds=(best - width, best + width), method="bounded").x


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
    dip_slip = MomentTensor(1e17, 0.0, -1e17, 0.0, 0.0, 0.0)
    for order, points in ((8, 6.0),) if quick else ((4, 8.0), (8, 6.0)):
        cells = np.floor(2400.0 / (VS * SHORTEST / points)) + 0.5  # interfaces half way between levels
        spacing = 2400.0 / cells
        for wave, component, tensor in (("rayleigh", 2, dip_slip), ("love", 1, STRIKE_SLIP)):
            gather = simulate(order, points, tensor, spacing)
            curve = known(np.array(PERIODS), mode=0, wave=wave)
            for period, expected in zip(curve.period, 1e3 * curve.velocity, strict=True):
                found = velocity(gather.data[:, component], gather.times, period, expected)
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
