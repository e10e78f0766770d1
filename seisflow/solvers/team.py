"""A solver whose ranks work together: the first one leads, the others do what it asks for.

Code that uses a solver runs on the first rank alone and need not know; the others sit in ``serve``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seisflow.domain import Gather, Kernel
from seisflow.errors import PhysicsError
from seisflow.ranks import Ranks
from seisflow.solvers.base import Forward, Plan, Progress, Simulation
from seisflow.solvers.elastic3d import Elastic3D
from seisflow.solvers.elastic3d_config import Elastic3DConfig
from seisflow.solvers.passes import Elastic3DForward, Held
from seisflow.solvers.source import tensor_of

__all__ = ["Team", "release", "serve"]

_FORWARD, _COLUMNS, _ADJOINT, _END = "forward", "columns", "adjoint", "end"


def _outline(simulation: Simulation, config: Elastic3DConfig) -> Simulation:
    """The same with a model of the same extent and extremes that takes no memory.

    Other ranks are sent the planes that they need. With quality factors the extremes are those of the simulation, and
    the factors infinite.
    """
    model = simulation.model
    slowest, fastest = config.extremes(model, simulation.shortest_period)
    fields = {"vp": fastest, "vs": slowest, "rho": float(model.rho.max())}
    fields |= dict.fromkeys(model.quality(), np.inf)
    flat = {name: np.broadcast_to(np.float64(value), model.grid.shape) for name, value in fields.items()}
    return replace(simulation, model=model.with_fields(**flat))


@dataclass(frozen=True)
class _Task:
    """What the first rank asks of the others."""

    kind: str
    config: Elastic3DConfig | None = None
    threads: int = 1
    simulation: Simulation | None = None
    keep: bool = False
    data: Any = None
    with_source: bool = False
    names: tuple[str, ...] = ()


class Team:
    """The solver as the first rank sees it; implements ``seisflow.solvers.base.Solver``.

    Parameters
    ----------
    config : Elastic3DConfig
    threads : int
        Of each rank.
    ranks : Ranks
    """

    def __init__(self, config: Elastic3DConfig, threads: int, ranks: Ranks) -> None:
        self.config, self.threads, self.ranks = config, threads, ranks
        self.solver = Elastic3D(config, threads, ranks)

    def plan(self, simulation: Simulation, ranks: int | None = None) -> Plan:
        """See ``Solver``; memory is that of the rank that needs most."""
        return self.solver.plan(simulation, ranks)

    def forward(
        self, simulation: Simulation, *, keep: bool = False, progress: Progress | None = None
    ) -> Elastic3DForward:
        """See ``Solver``."""
        self.solver.check_fits(simulation, keep=keep)  # before the others are asked
        outline = _outline(simulation, self.config)
        self.ranks.tell(_Task(_FORWARD, self.config, self.threads, outline, keep))
        try:
            return self.solver.forward(simulation, keep=keep, progress=progress)
        except PhysicsError:
            raise  # of all ranks, at the same step
        except BaseException as error:
            self.ranks.stop_all(error)

    def source_columns(
        self, simulation: Simulation, names: Sequence[str], *, progress: Progress | None = None
    ) -> list[Gather]:
        """See ``Solver``."""
        tensor_of(simulation)
        self.solver.check_fits(simulation, keep=False)
        outline = _outline(simulation, self.config)
        self.ranks.tell(_Task(_COLUMNS, self.config, self.threads, outline, names=tuple(names)))
        try:
            return self.solver.source_columns(simulation, names, progress=progress)
        except PhysicsError:
            raise
        except BaseException as error:
            self.ranks.stop_all(error)

    def adjoint(
        self, forward: Forward, source: Gather, *, with_source: bool = False, progress: Progress | None = None
    ) -> Kernel:
        """See ``Solver``."""
        held = self.solver.check_source(forward, source)
        if with_source:
            tensor_of(held.setup.simulation)
        self.ranks.tell(_Task(_ADJOINT, data=np.asarray(source.data), with_source=with_source))
        try:
            return self.solver.adjoint(forward, source, with_source=with_source, progress=progress)
        except PhysicsError:
            raise
        except BaseException as error:
            self.ranks.stop_all(error)


def release(ranks: Ranks) -> None:
    """Let the others go; by the first rank."""
    ranks.tell(_Task(_END))


def serve(ranks: Ranks) -> None:
    """Do what the first rank asks for until it has no more; for all other ranks.

    A rank that fails on its own ends all, with its error.
    """
    solver: Elastic3D | None = None
    held: Held | None = None
    try:
        while (task := ranks.tell()).kind != _END:
            try:
                if task.kind == _FORWARD:
                    held = None
                    solver = Elastic3D(task.config, task.threads, ranks)
                    _, held = solver.run_forward(task.simulation, keep=task.keep)
                elif task.kind == _COLUMNS:
                    Elastic3D(task.config, task.threads, ranks).run_columns(task.simulation, task.names)
                elif solver is not None and held is not None:
                    solver.run_adjoint(held, task.data, with_source=task.with_source)
            except PhysicsError:
                held = None  # the first rank has it too, and tells it
    except BaseException as error:
        ranks.stop_all(error)
