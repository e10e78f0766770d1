"""The Taylor test of the whole chain on the user's own project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from seisflow.domain import FloatArray, Kernel, Model
from seisflow.errors import InputError, PhysicsError, WorkError
from seisflow.inversion import gaussian_smooth
from seisflow.project import Project
from seisflow.solvers import Forward, Solver, create
from seisflow.steps.event import EventStep
from seisflow.steps.inputs import model_of, simulation_of

__all__ = ["TaylorRow", "check_gradient"]

HALVINGS = 4


@dataclass(frozen=True)
class TaylorRow:
    """Taylor remainders along a random smooth relative perturbation of one parameter.

    Parameters
    ----------
    parameter : str
    lengths : tuple of float
        Largest relative change of each trial.
    remainders : tuple of float
        abs(J(m + e d) - J(m) - e dJ.d), relative to J(m).
    ratio : float
        Central finite difference at the shortest length over the adjoint's directional derivative; 1 is exact.
    """

    parameter: str
    lengths: tuple[float, ...]
    remainders: tuple[float, ...]
    ratio: float

    @property
    def orders(self) -> tuple[float, ...]:
        """log2 of the ratio of neighbouring remainders; 2 where the gradient is exact."""
        return tuple(float(np.log2(a / b)) for a, b in pairwise(self.remainders))


class _Chain:
    """Simulation to misfit of one event, windows frozen."""

    def __init__(self, step: EventStep, solver: Solver) -> None:
        self.step, self.solver = step, solver
        step.__dict__["solver"] = solver  # in place of that of the settings
        step.with_kernel = True

    def forward(self, model: Model, *, keep: bool = False) -> Forward:
        step = self.step
        simulation = simulation_of(step.project.config, model, step.source, step.stations, step.stage)
        return self.solver.forward(simulation, keep=keep)

    def misfit(self, model: Model) -> float:
        self.step.take_forward(self.forward(model))
        for band in self.step.bands:
            band.measure(strict=True)
        return self.step.misfit

    def gradient(self, model: Model) -> tuple[float, Kernel]:
        step = self.step
        step.take_forward(self.forward(model, keep=True))
        step.select_windows()
        step.measure()
        if not step.used_rows:
            raise PhysicsError(
                f"event {step.event}: no window, so there is nothing to check; try another event"
            )
        step.adjoint()
        if step.kernel is None:
            raise WorkError(f"event {step.event}: the adjoint run gave no kernel")
        return step.misfit, step.kernel


def check_gradient(
    project: Project,
    event: str,
    iteration: int = 1,
    change: float = 0.01,
    say: Callable[[str], None] = lambda text: None,
) -> list[TaylorRow]:
    """Compare the gradient of one event with finite differences, in double precision and with every step stored.

    Parameters
    ----------
    project : Project
    event : str
    iteration : int
        Whose model, band, windows and misfit are used.
    change : float
        Largest relative change of the longest trial.
    say : callable
        Told what is being done.

    Returns
    -------
    list of TaylorRow
        For vp, vs, rho.

    Raises
    ------
    InputError
        If the solver cannot run exactly within its memory limit; the number that would do is named.
    """
    if not 0 < change <= 0.1:
        raise InputError(f"change = {change}: the largest relative change must be above 0 and at most 0.1")
    _, threads = project.config.compute.share(1)
    step = EventStep(project, iteration, 0, event, threads)
    model = model_of(project.model_path(iteration - 1))
    chain = _Chain(step, _exact_solver(step, model, threads))
    say("gradient by the adjoint")
    value, kernel = chain.gradient(model)
    rows = []
    for number, name in enumerate(Model.PARAMETERS):
        direction = _direction(model, number)
        slope = float(np.sum(kernel.fields()[name] * model.fields()[name] * direction))
        lengths = [change / 2**k for k in range(HALVINGS)]
        remainders = []
        for length in lengths:
            say(f"{name} changed by up to {100 * length:g} %")
            up = chain.misfit(_moved(model, name, direction, length))
            remainders.append(abs(up - value - length * slope) / value)
        down = chain.misfit(_moved(model, name, direction, -lengths[-1]))
        ratio = (up - down) / (2 * lengths[-1]) / slope
        rows.append(TaylorRow(name, tuple(lengths), tuple(remainders), float(ratio)))
    return rows


def _exact_solver(step: EventStep, model: Model, threads: int) -> Solver:
    """Every step stored, in double precision, on the grid and with the time step of the model that is checked.

    Both are chosen from the extreme speeds: a changed model must not move them, or the misfit would jump.
    """
    if not step.stations:
        raise PhysicsError(f"event {step.event}: it has no usable recording, so there is nothing to check")
    period = step.project.config.stages[step.stage].periods[0]
    speeds = step.project.config.solver.extremes(model, period)
    config = replace(step.project.config.solver.pinned(*speeds, period), precision="double")
    return create(replace(config, snapshots_per_period=float("inf")), threads=threads)


def _direction(model: Model, seed: int) -> FloatArray:
    """Random, smooth over three nodes, largest value 1, zero at the edges of the box (beyond which they are copied)."""
    grid = model.grid
    noise = np.random.default_rng(seed).standard_normal(grid.shape)
    smooth = gaussian_smooth(noise, grid, tuple(1.5 * s for s in grid.spacing))  # type: ignore[arg-type]
    edge = np.zeros(grid.shape)
    edge[2:-2, 2:-2, :-2] = 1.0
    found = smooth * edge
    result: FloatArray = found / np.abs(found).max()
    return result


def _moved(model: Model, name: str, direction: FloatArray, length: float) -> Model:
    """The linear step m (1 + e d), so that the second term of the Taylor series is that of the misfit alone."""
    return model.with_fields(
        **{name: np.asarray(model.fields()[name], np.float64) * (1 + length * direction)}
    )
