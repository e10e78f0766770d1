"""Fifty thousand steps: nothing grows, in layers, low-speed layers, and random media with contrasts up to 3.

A small box, a source a cell below the surface, absorbing layers; single precision. Layers: S speeds of 300, 600, 1500
and 3464 m/s with vp / vs of 5, 3, 2 and 1.73, the upper ones one and two cells thick. Low-speed layers: 1000, 2000,
1400, 3000, 2200 and 3400 m/s, one to three cells thick. Random media: each node of the model, a cell apart, has speeds,
vp / vs and density of its own, so that neighbours differ by up to 1.5 or 3. After the waves have left, what is left
must not grow; it does not fall below the rounding of single precision.

What that does not reach is told by random layers: one to five cells thick, speeds that rise downwards from 1000 to at
most 3000 m/s, every other one on average slower than that by a factor, and vp / vs of 1.6 to 2.5. How many of twelve
grow in 10,000 steps (the last tenth twice the sixth, or not finite), and the worst of those that stay finite.

Absorbing layers as they are usually set (Komatitsch & Martin 2007) grow among low-speed layers and in the rougher
random medium, as perfectly matched layers do where phase and energy of a wave may travel opposite ways (Becache et al.
2003). `docs/solver.md` says what is done about it, and how far that reaches.
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
DRAWN, SLOWER = 12, (1.3, 1.5, 2.0)
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


def drawn(seed: int, slower: float) -> tuple[Model, float]:
    """Random layers, some of them slower by a factor; as ``medium``."""
    rng = np.random.default_rng(seed)
    count = GRID.shape[2]
    thickness = rng.integers(1, 6, count)
    layer = np.repeat(np.arange(count), thickness)[:count]
    number = layer[-1] + 1
    vs = 1000 * 3 ** np.sort(rng.uniform(0, 1, number)) / np.where(rng.uniform(size=number) < 0.5, slower, 1)
    ratio, rho = rng.uniform(1.6, 2.5, number), rng.uniform(1800, 3000, number)
    vs, ratio, rho = (each[layer] * np.ones(GRID.shape) for each in (vs, ratio, rho))
    return Model(GRID, EQUATOR, vs * ratio, vs, rho), 6 * SPACING / vs.min()


def motion(model: Model, period: float, order: int, steps: int) -> np.ndarray | None:
    """Largest component of ground motion after each step; None if it does not stay finite."""
    station = Station("XX", "S", *EQUATOR.to_geographic(410.0, -330.0))
    source = SourceTimeFunction(half_duration=0.5)
    event = Event("e", 0.0, *EQUATOR.to_geographic(0.0, 0.0), 120.0, GENERAL, source)
    solver = Elastic3D(Elastic3DConfig(spacing=SPACING, order=order), THREADS)
    step = solver.plan(Simulation(model, event, (station,), 1.0, period)).time_step
    try:
        gather = solver.forward(Simulation(model, event, (station,), steps * step, period)).gather
    except PhysicsError:
        return None
    return np.abs(gather.data[0]).max(axis=0)


def tenths(size: np.ndarray) -> list[float]:
    """Largest motion in each tenth of the steps."""
    return [float(part.max()) for part in np.array_split(size, 10)]


def run(quick: bool = False) -> Case:
    """Media and orders."""
    steps = 5_000 if quick else STEPS
    case = Case("", ("medium", "order", "steps", "last tenth over peak", "last tenth over the tenth before"))
    figure = new_figure(7, 3.2)
    axes = figure.subplots()
    good = True
    for name in MEDIA:
        for order in (4, 8):
            size = motion(*medium(name), order, steps)
            if size is None:
                good = False
                case.rows.append((name, order, f"fewer than {steps}", "not finite", ""))
                continue
            parts = tenths(size)
            last, growth = parts[-1] / max(parts), parts[-1] / parts[-2]
            case.rows.append((name, order, size.size, f"{last:.1e}", growth))
            good &= last < 1e-4 and growth < 1.5
            blocks = size[: size.size // 100 * 100].reshape(-1, 100).max(axis=1)
            label = f"{name}, order {order}"
            axes.semilogy(100 * np.arange(blocks.size), blocks / size.max(), linewidth=0.8, label=label)
    growing = []
    for slower in () if quick else SLOWER:
        found = [motion(*drawn(seed, slower), 4, 10_000) for seed in range(DRAWN)]
        parts = [tenths(size) for size in found if size is not None]
        lost = DRAWN - len(parts)
        growing.append(lost + sum(each[-1] > 2 * each[5] for each in parts))
        last, growth = max(p[-1] / max(p) for p in parts), max(p[-1] / p[-2] for p in parts)
        name = (
            f"{DRAWN} of random layers, slower to 1/{slower:g}: {growing[-1]} grow, {lost} of them not finite"
        )
        case.rows.append((name, 4, 10_000, f"{last:.1e}", growth))
    axes.set_xlabel("step")
    axes.set_ylabel("ground motion over its peak")
    axes.legend(fontsize=7, ncols=2, loc="upper right")
    case.figure = figure
    case.headline = "Stable at both orders in all media named" if good else "NOT stable: see the table"
    if growing:
        slower = "; ".join(f"{n} of {DRAWN} (1/{each:g})" for n, each in zip(growing, SLOWER, strict=True))
        case.headline += f". Of random layers with slower ones grow, by how much slower: {slower}"
    case.headline += "."
    return case
