"""What a gradient costs over a plain forward run: a forward run that keeps what is needed, and the adjoint run.

    python benchmarks/gradient.py [--points 120] [--steps 400] [--orders 4 8] [--rounds 2] [--threads 1] [--profile]

A layered model of a cube, absorbing layers included, with the default settings of the solver (four snapshots a shortest
period, 4 GB), with and without attenuation, in single precision; then with half-precision snapshots, and with four
fifths of the memory (segments that are run again, if that helps). Seconds of processor time in turn; ratios of
the medians.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from dataclasses import replace

import numpy as np

from seisflow.domain import Event, Grid, Model, MomentTensor, Projection, SourceTimeFunction, Station
from seisflow.errors import InputError
from seisflow.solvers import Elastic3D, Elastic3DConfig, Simulation

PROJECTION = Projection(36.0, -118.0)
PERIOD, SLOWEST = 2.0, 2000.0
POINTS = {4: 8.0, 8: 5.5}


def problem(points: int, steps: int, order: int, loss: bool) -> Simulation:
    """A cube of so many points, absorbing layers included, and so many time steps."""
    spacing = SLOWEST * PERIOD / POINTS[order]
    width = (points - 21) * spacing
    count = 17
    vs = np.broadcast_to(np.linspace(SLOWEST, 3500.0, count), (count, count, count)).copy()
    vp = 1.75 * vs
    rho = np.full(vs.shape, 2600.0)
    grid = Grid((-width / 2, -width / 2, 0.0), (width / (count - 1),) * 3, vs.shape)
    quality = {"qkappa": np.full(vs.shape, 200.0), "qmu": np.full(vs.shape, 80.0)} if loss else {}
    model = Model(grid, PROJECTION, vp, vs, rho, **quality)
    tensor = MomentTensor(mrr=0.4e16, mtt=-0.9e16, mpp=0.5e16, mrt=0.3e16, mrp=-0.6e16, mtp=0.8e16)
    event = Event(
        "one",
        0.0,
        *PROJECTION.to_geographic(0.0, 0.0),
        0.3 * width,
        tensor,
        SourceTimeFunction(half_duration=PERIOD),
    )
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    stations = tuple(
        Station("XX", f"S{n}", *PROJECTION.to_geographic(0.4 * width * np.cos(a), 0.4 * width * np.sin(a)))
        for n, a in enumerate(angles)
    )
    courant = {4: 0.4949, 8: 0.4488}[order]
    step = 0.9 * courant * spacing / float(vp.max())
    return Simulation(model, event, stations, steps * step, PERIOD)


def seconds(work) -> tuple[float, object]:
    """Processor time of all threads, and what was made."""
    began = time.process_time()
    made = work()
    return time.process_time() - began, made


def gradient(solver: Elastic3D, simulation: Simulation) -> tuple[float, float]:
    """Seconds of the forward run that keeps, and of the adjoint run."""
    forth, forward = seconds(lambda: solver.forward(simulation, keep=True))
    back, _ = seconds(lambda: solver.adjoint(forward, forward.gather))
    return forth, back


def case(given: argparse.Namespace, order: int, *, loss: bool) -> None:
    """Time one case and print its row."""
    simulation = problem(given.points, given.steps, order, loss)
    base = Elastic3DConfig(order=order)
    plan = Elastic3D(base).plan(simulation)
    most = plan.gradient_bytes
    solvers = {"default": Elastic3D(base, given.threads)}
    if not given.only_default:
        solvers["half precision"] = Elastic3D(replace(base, snapshot_precision="half"), given.threads)
        solvers["less memory"] = Elastic3D(replace(base, memory_gb=0.8 * most / 1e9), given.threads)
    kinds = {}
    for name, solver in list(solvers.items()):
        try:
            kinds[name] = f"{name}, {solver.plan(simulation).segments} segments"
        except InputError:  # a run so short that two grids take more than what is stored
            del solvers[name]
    plain, found = [], {name: [] for name in solvers}
    solvers["default"].forward(simulation)  # tiles are found in the first run
    for _ in range(given.rounds):
        plain.append(seconds(lambda: solvers["default"].forward(simulation))[0])
        for name, solver in solvers.items():
            found[name].append(gradient(solver, simulation))
    one = statistics.median(plain)
    speed = np.prod(plan.shape) * plan.steps / one / 1e6
    print(
        f"order {order}{', attenuation' if loss else ''}: {plan.shape} points, {plan.steps} steps, a snapshot every "
        f"{plan.snapshot_every}, {most / 1e9:.2f} GB; forward {one:.2f} s, {speed:.0f} million points a second"
    )
    for name, times in found.items():
        forth, back = (statistics.median(row) for row in zip(*times, strict=True))
        ratios = f"keep {forth / one:.2f}  adjoint {back / one:.2f}  together {(forth + back) / one:.2f}"
        print(f"    {kinds[name]:28s} {ratios}")
    if given.profile:
        profile = cProfile.Profile()
        profile.runcall(gradient, solvers["default"], simulation)
        pstats.Stats(profile).sort_stats("tottime").print_stats(14)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=120)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--orders", type=int, nargs="+", default=(4, 8))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--only-default", action="store_true")
    given = parser.parse_args()
    for order in given.orders:
        for loss in (False, True):
            case(given, order, loss=loss)


if __name__ == "__main__":
    main()
