"""What every solver of the wave equation offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from seisflow.domain import Event, Gather, Kernel, Model, Station

__all__ = ["Forward", "Plan", "Progress", "Simulation", "Solver"]

Progress = Callable[[float], None]
"""Called now and then with the fraction of the run that is done, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """What is asked of a solver: the ground motion of one event at some stations.

    Parameters
    ----------
    model : Model
    event : Event
    stations : tuple of Station
    duration : float
        Last time that is needed, s after the origin time.
    shortest_period : float
        Shortest period that must be right, s; grid spacing and snapshots are chosen from it.
    """

    model: Model
    event: Event
    stations: tuple[Station, ...]
    duration: float
    shortest_period: float


@dataclass(frozen=True)
class Plan:
    """What a simulation will take, known before it starts.

    Parameters
    ----------
    spacing : float
        Spacing of the simulation grid in m.
    time_step : float
        s.
    steps : int
    shape : tuple of 3 int
        Points of the simulation grid, absorbing layers included.
    snapshot_every : int
        Steps between stored snapshots of a forward run that an adjoint run follows.
    forward_bytes, gradient_bytes : int
        Memory of a forward run, and of forward with stored snapshots and adjoint.
    gradient_work : float
        Point updates of a gradient (forward and adjoint), for estimates of time.
    segments : int
        Parts that the forward run is cut into; above 1 it is run once more, part by part, to save memory.
    ranks : int
        Processes that share the simulation; bytes are those of the one that needs most.
    """

    spacing: float
    time_step: float
    steps: int
    shape: tuple[int, int, int]
    snapshot_every: int
    forward_bytes: int
    gradient_bytes: int
    gradient_work: float
    segments: int = 1
    ranks: int = 1


class Forward(Protocol):
    """A forward run: its seismograms, and what its solver kept for the adjoint run.

    ``gather`` holds E, N, Z (Z up) velocity at the time steps of the solver, stations in the order asked for.
    """

    @property
    def gather(self) -> Gather:
        """The synthetic seismograms."""
        ...


class Solver(Protocol):
    """A solver of the wave equation with its adjoint."""

    def plan(self, simulation: Simulation, ranks: int | None = None) -> Plan:
        """Choose grid and steps, and check that the simulation can be run.

        Parameters
        ----------
        simulation : Simulation
        ranks : int, optional
            Processes that will share it; those of this solver, if left out.

        Raises
        ------
        InputError
            If it cannot (unstable, undersampled, source or receiver outside or in the absorbing layer, too little
            memory), with the value that would do.
        """
        ...

    def forward(
        self, simulation: Simulation, *, keep: bool = False, progress: Progress | None = None
    ) -> Forward:
        """Simulate; with ``keep`` store what ``adjoint`` needs."""
        ...

    def source_columns(
        self, simulation: Simulation, names: Sequence[str], *, progress: Progress | None = None
    ) -> list[Gather]:
        """Derivatives of the seismograms with respect to parameters of the source, by N m, m or s.

        Parameters
        ----------
        simulation : Simulation
        names : sequence of str
            Of ``SourceDerivatives.NAMES``.
        progress : callable, optional
        """
        ...

    def adjoint(
        self,
        forward: Forward,
        source: Gather,
        *,
        with_source: bool = False,
        progress: Progress | None = None,
    ) -> Kernel:
        """Derivatives of a misfit J with respect to the model.

        Parameters
        ----------
        forward : Forward
            Of this solver, run with ``keep=True``.
        source : Gather
            dJ/d(sample of ``forward.gather``) / interval, on the axes of ``forward.gather``.
        with_source : bool
            Differentiate with respect to the source too.

        Returns
        -------
        Kernel
            On the grid of ``simulation.model``.
        """
        ...
