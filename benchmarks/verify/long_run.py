"""Fifty thousand steps: nothing grows, in layers, low-speed layers and random media with contrasts up to 3 of neighbours.

A small box, a source a cell below the surface, absorbing layers; single precision. Layers: S speeds of 300, 600, 1500
and 3464 m/s with vp / vs of 5, 3, 2 and 1.73, the upper ones one and two cells thick. Low-speed layers: 1000, 2000,
1400, 3000, 2200 and 3400 m/s, one to three cells thick. Random media: each node of the model, a cell apart, has speeds,
vp / vs and density of its own. After the waves have left, what is left must not grow; it does not fall below the
rounding of single precision.

Absorbing layers as they are usually set (Komatitsch & Martin 2007) grow in the last two, as perfectly matched layers do
where phase and energy of a wave may travel opposite ways (Becache et al. 2003): among layers of low speed, and where
neighbours differ much. `docs/solver.md` says what is done about it, and how far that reaches.
"""

from __future__ import annotations

import numpy as np
from common import THREADS, Case, new_figure
from layered_truth import EQUATOR, GENERAL

from seisflow.domain import Event, Grid, Model, SourceTimeFunction, Station
from seisflow.errors import PhysicsError
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

STEPS, SPACING = 50_000, 100.0
GRID = Grid((-700.0, -700.0, 0.0), (SPACING,) * 3, (15, 15, 19))
LAYERS = {
    "layers": ((1, 2, 4, 12), (300.0, 600.0, 1500.0, 3464.0), (5.0, 3.0, 2.0, 1.73)),
    "low-speed layers": (
        (1, 2, 3, 3, 3, 7), (1000.0, 2000.0, 1400.0, 3000.0, 2200.0, 3400.0), (2.5, 2.0, 2.0, 1.8, 1.8, 1.73),
    ),
}  # fmt: skip
RANDOM = {"random, to 1.5": (1.5, 1.7, 2.2), "random, to 3": (3.0, 1.5, 3.5)}
MEDIA = (*LAYERS, *RANDOM)


def medium(name: str) -> tuple[Model, float]:
    """A model, and the shortest period that it is sampled for."""
    rng = np.random.default_rng(7)
    if name in LAYERS:
        thickness, *values = LAYERS[name]
        vs, ratio = (np.repeat(each, thickness) * np.ones(GRID.shape) for each in values)
        rho = np.full(GRID.shape, 2000.0)
    else:
        contrast, low, high = RANDOM[name]
        vs = 1000 * rng.uniform(1.0, contrast, GRID.shape)
        ratio, rho = rng.uniform(low, high, GRID.shape), rng.uniform(1800, 3000, GRID.shape)
    return Model(GRID, EQUATOR, vs * ratio, vs, rho), 6 * SPACING / vs.min()


def run(quick: bool = False) -> Case:
    """Media and orders."""
    steps = 5_000 if quick else STEPS
    station = Station("XX", "S", *EQUATOR.to_geographic(410.0, -330.0))
    source = SourceTimeFunction(half_duration=0.5)
    event = Event("e", 0.0, *EQUATOR.to_geographic(0.0, 0.0), 120.0, GENERAL, source)
    case = Case("", ("medium", "order", "steps", "last tenth over peak", "last tenth over the tenth before"))
    figure = new_figure(7, 3.2)
    axes = figure.subplots()
    good = True
    for name in MEDIA:
        model, period = medium(name)
        for order in (4, 8):
            solver = Elastic3D(Elastic3DConfig(spacing=SPACING, order=order), THREADS)
            step = solver.plan(Simulation(model, event, (station,), 1.0, period)).time_step
            try:
                gather = solver.forward(Simulation(model, event, (station,), steps * step, period)).gather
            except PhysicsError:
                good = False
                case.rows.append((name, order, f"fewer than {steps}", "not finite", ""))
                continue
            size = np.abs(gather.data[0]).max(axis=0)
            parts = [part.max() for part in np.array_split(size, 10)]
            last, growth = parts[-1] / max(parts), parts[-1] / parts[-2]
            case.rows.append((name, order, gather.samples, f"{last:.1e}", growth))
            good &= last < 1e-4 and growth < 1.5
            blocks = size[: size.size // 100 * 100].reshape(-1, 100).max(axis=1)
            label = f"{name}, order {order}"
            axes.semilogy(100 * np.arange(blocks.size), blocks / size.max(), linewidth=0.8, label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("ground motion over its peak")
    axes.legend(fontsize=8)
    case.figure = figure
    case.headline = "Stable at both orders in all media." if good else "NOT stable: see the table."
    return case
