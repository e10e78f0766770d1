"""Solvers of the wave equation. A new one: its module, and one line in each of the two places below."""

from __future__ import annotations

from seisflow.errors import InputError
from seisflow.native.device import Device
from seisflow.ranks import Ranks
from seisflow.solvers.base import Forward, Plan, Progress, Simulation, Solver
from seisflow.solvers.elastic3d import Elastic3D
from seisflow.solvers.elastic3d_config import Elastic3DConfig
from seisflow.solvers.team import Team, release, serve

__all__ = [
    "Elastic3D", "Elastic3DConfig", "Forward", "Plan", "Progress", "Simulation", "Solver", "SolverConfig",
    "Team", "create", "release", "serve",
]  # fmt: skip

SolverConfig = Elastic3DConfig
"""Settings of any solver; a union once there are several."""


def create(
    config: SolverConfig, threads: int = 1, ranks: Ranks | None = None, device: Device | None = None
) -> Solver:
    """Make the solver that settings ask for.

    Parameters
    ----------
    config : SolverConfig
    threads : int
        Threads that it may use, each rank.
    ranks : Ranks, optional
        Of which this is the first; the others are in ``serve``.
    device : Device, optional
        A GPU that it may use; ranks do not.

    Raises
    ------
    InputError
        If the settings belong to no solver.
    """
    if isinstance(config, Elastic3DConfig):
        return Elastic3D(config, threads, device=device) if ranks is None else Team(config, threads, ranks)
    raise InputError(f"no solver takes settings of type {type(config).__name__}; use Elastic3DConfig")
