"""Fifty thousand steps: nothing grows.

A small box of random medium (vp / vs from 1.5 to 3.5, contrasts up to 3 from node to node), a source a cell
below the surface, absorbing layers; single precision. After the waves have left, what is left must fall, not
grow.
"""

from __future__ import annotations

import numpy as np
from common import THREADS, Case, new_figure
from layered_truth import EQUATOR, GENERAL

from seisflow.domain import Event, Grid, Model, SourceTimeFunction, Station
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

STEPS = 50_000


def run(quick: bool = False) -> Case:
    """Both orders."""
    steps = 5_000 if quick else STEPS
    rng = np.random.default_rng(7)
    grid = Grid((-700.0, -700.0, 0.0), (100.0,) * 3, (15, 15, 19))
    vs = 1000 * rng.uniform(1.0, 3.0, grid.shape)
    model = Model(
        grid, EQUATOR, vs * rng.uniform(1.5, 3.5, grid.shape), vs, rng.uniform(1800, 3000, grid.shape)
    )
    station = Station("XX", "S", *EQUATOR.to_geographic(410.0, -330.0))
    source = SourceTimeFunction(half_duration=0.5)
    event = Event("e", 0.0, *EQUATOR.to_geographic(0.0, 0.0), 120.0, GENERAL, source)
    case = Case(
        "", ("order", "steps", "peak m/s", "last tenth over peak", "last tenth over the tenth before")
    )
    figure = new_figure(7, 3.2)
    axes = figure.subplots()
    good = True
    for order in (4, 8):
        solver = Elastic3D(Elastic3DConfig(spacing=100.0, order=order), THREADS)
        step = solver.plan(Simulation(model, event, (station,), 1.0, 0.6)).time_step
        gather = solver.forward(Simulation(model, event, (station,), steps * step, 0.6)).gather
        size = np.abs(gather.data[0]).max(axis=0)
        parts = np.array_split(size[: steps // 10 * 10], 10)
        last, before = parts[-1].max() / size.max(), parts[-1].max() / parts[-2].max()
        case.rows.append((order, gather.samples, size.max(), f"{last:.1e}", before))
        good &= last < 1e-4 and before < 1.5
        blocks = size[: size.size // 100 * 100].reshape(-1, 100).max(axis=1)
        axes.semilogy(
            100 * np.arange(blocks.size), blocks / size.max(), linewidth=0.8, label=f"order {order}"
        )
    axes.set_xlabel("step")
    axes.set_ylabel("ground motion over its peak")
    axes.legend(fontsize=8)
    case.figure = figure
    case.headline = "Stable at both orders." if good else "NOT stable: see the table."
    return case
