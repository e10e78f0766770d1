"""Fifty thousand steps: nothing grows, in layers, and in random media with contrasts up to 1.5 between neighbours.

A small box, a source a cell below the surface, absorbing layers; single precision. Layers: S speeds of 300, 600, 1500
and 3464 m/s with vp / vs of 5, 3, 2 and 1.73, the upper ones one and two cells thick. Random media: each node of the
model, a cell apart, has speeds, vp / vs and density of its own, and so they go on through the absorbing layers. After
the waves have left, what is left must not grow; it does not fall below the rounding of single precision.

Contrasts of 2 to 3 from cell to cell are beyond what absorbing layers bear: laminae of such contrast are strongly
anisotropic, and perfectly matched layers are not stable in media whose slowness and group velocity may point to
opposite sides of a layer (Becache et al. 2003). That is so at any time step; the run is stopped where the wave field
is no longer finite.
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
LAYERS = (("vs", (300.0, 600.0, 1500.0, 3464.0)), ("ratio", (5.0, 3.0, 2.0, 1.73)))
MEDIA = {"layers": None, "random, to 1.5": (1.5, 1.7, 2.2), "random, to 3": (3.0, 1.5, 3.5)}


def medium(name: str) -> tuple[Model, float]:
    """A model, and the shortest period that it is sampled for."""
    rng = np.random.default_rng(7)
    if MEDIA[name] is None:
        layer = np.repeat([0, 1, 2, 3], [1, 2, 4, 12])
        vs, ratio = (np.array(values)[layer] * np.ones(GRID.shape) for _, values in LAYERS)
        rho = np.full(GRID.shape, 2000.0)
    else:
        contrast, low, high = MEDIA[name]
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
    good, ended = True, []
    for name in MEDIA:
        model, period = medium(name)
        for order in (4, 8):
            solver = Elastic3D(Elastic3DConfig(spacing=SPACING, order=order), THREADS)
            step = solver.plan(Simulation(model, event, (station,), 1.0, period)).time_step
            try:
                gather = solver.forward(Simulation(model, event, (station,), steps * step, period)).gather
            except PhysicsError:
                ended.append(f"order {order}")
                case.rows.append((name, order, f"fewer than {steps}", "not finite", ""))
                continue
            size = np.abs(gather.data[0]).max(axis=0)
            parts = [part.max() for part in np.array_split(size, 10)]
            last, growth = parts[-1] / max(parts), parts[-1] / parts[-2]
            case.rows.append((name, order, gather.samples, f"{last:.1e}", growth))
            if name != "random, to 3":
                good &= last < 1e-4 and growth < 1.5
            blocks = size[: size.size // 100 * 100].reshape(-1, 100).max(axis=1)
            label = f"{name}, order {order}"
            axes.semilogy(100 * np.arange(blocks.size), blocks / size.max(), linewidth=0.8, label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("ground motion over its peak")
    axes.legend(fontsize=8)
    case.figure = figure
    bounded = (
        "Stable at both orders in layers and to contrasts of 1.5" if good else "NOT stable: see the table"
    )
    case.headline = bounded + ("; at 3 not finite: " + ", ".join(ended) if ended else "") + "."
    return case
