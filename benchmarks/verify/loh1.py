"""LOH.1: a strike-slip point source below a layer (SCEC; Day & Bradley 2001).

A layer of 1 km (vp 4000, vs 2000 m/s, 2600 kg/m3) over a half-space (6000, 3464, 2700); Mxy = 1e18 N m at 2 km,
Brune pulse of 0.1 s; the receiver 6 km east and 8 km north, 9 s. Reference: pyprop8. Source and reference are
low-passed by one Gaussian whose spectrum is 5 percent at 0.4 s (800 m in the layer), so this is 12.5 shortest
wavelengths.
"""

from __future__ import annotations

import numpy as np
from common import THREADS, Case, draw_traces, legend, misfits, new_figure, resampled
from layered_truth import CORNER, EQUATOR, STRIKE_SLIP, columns, truth

from seisflow.domain import Event, Grid, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

LAYERS = [(1000.0, 4000.0, 2000.0, 2600.0), (np.inf, 6000.0, 3464.0, 2700.0)]
PERIOD, BRUNE = 0.4, 0.1
WIDTH = np.sqrt(CORNER) * PERIOD / np.pi
PLACE, DEPTH, DURATION = (6000.0, 8000.0), 2000.0, 9.0


def moment_rate() -> SourceTimeFunction:
    """The Brune pulse t / T^2 exp(-t / T), low-passed."""
    step = 0.002
    times = np.arange(0, 2.0, step)
    lag = np.arange(-5 * WIDTH, 5 * WIDTH, step)
    gaussian = np.exp(-((lag / WIDTH) ** 2)) / (WIDTH * np.sqrt(np.pi))
    pulse = np.convolve(times / BRUNE**2 * np.exp(-times / BRUNE), gaussian) * step
    return SourceTimeFunction("samples", samples=tuple(pulse), start=float(lag[0]), interval=step)


def simulate(order: int, spacing: float, layers=LAYERS, reference: float | None = None):
    """The gather of the receiver."""
    low, high, bottom = (-3000.0, -3000.0), (8500.0, 10500.0), 6500.0
    shape = tuple(int(np.ceil((b - a) / spacing)) + 1 for a, b in zip(low, high, strict=True))
    grid = Grid((*low, 0.0), (spacing, spacing, 10.0), (*shape, int(bottom / 10) + 1))
    model = columns(layers, grid, reference)
    event = Event("e", 0.0, *EQUATOR.to_geographic(0.0, 0.0), DEPTH, STRIKE_SLIP, moment_rate())
    stations = (Station("XX", "S", *EQUATOR.to_geographic(*PLACE)),)
    config = Elastic3DConfig(spacing=spacing, order=order)
    return (
        Elastic3D(config, THREADS).forward(Simulation(model, event, stations, DURATION, PERIOD / 1.25)).gather
    )


def run(quick: bool = False) -> Case:
    """Orders and places of the interface."""
    case = Case("", ("order", "spacing m", "points", "interface", "L2 %", "EM %", "PM %", "amplitude"))
    times, expected = truth(
        LAYERS, STRIKE_SLIP, DEPTH, [PLACE], WIDTH, DURATION, shape=lambda w: 1 / (1 + 1j * w * BRUNE) ** 2
    )
    keep = times < DURATION
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    wanted = ((4, 10.5, "half way"), (8, 7.5, "half way"), (4, 10.0, "on a level"))
    said = []
    for order, cells, interface in wanted[1:2] if quick else wanted:
        spacing = 1000.0 / cells
        found = resampled(simulate(order, spacing), 0, times[keep])
        values = misfits(found, expected[0][:, keep], times[1] - times[0], (PERIOD, 4 * PERIOD))
        case.rows.append((order, spacing, 2000 * PERIOD / spacing, interface, *values))
        said.append(f"{values[0]:.1f} percent at order {order} with {spacing:.0f} m ({interface})")
        if order == 8 and cells == 7.5:
            title = "LOH.1, order 8, 133 m"
            draw_traces(axes, times[keep], found, expected[0][:, keep], "ENZ", title=title)
    legend(figure)
    case.figure = figure
    case.headline = "Relative L2 " + ", ".join(said) + "."
    return case
