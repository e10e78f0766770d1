"""Solvers of the wave equation. A new one: its module, and one line in each of the two places below."""

from __future__ import annotations

from seisflow.errors import InputError
from seisflow.solvers.base import Forward, Plan, Progress, Simulation, Solver
from seisflow.solvers.elastic3d import Elastic3D, Elastic3DConfig

__all__ = [
    "Elastic3D", "Elastic3DConfig", "Forward", "Plan", "Progress", "Simulation", "Solver", "SolverConfig",
    "create",
]  # fmt: skip

SolverConfig = Elastic3DConfig
"""Settings of any solver; a union once there are several."""


def create(config: SolverConfig, threads: int = 1) -> Solver:
    """Make the solver that settings ask for.

    Parameters
    ----------
    config : SolverConfig
    threads : int
        Threads that it may use.

    Raises
    ------
    InputError
        If the settings belong to no solver.
    """
    if isinstance(config, Elastic3DConfig):
        return Elastic3D(config, threads)
    raise InputError(f"no solver takes settings of type {type(config).__name__}; use Elastic3DConfig")
