"""The built-in solver: 3D isotropic elastic waves under a flat free surface, with the exact discrete adjoint.

Velocity and stress on a staggered grid, order 4 or 8 in space, summation-by-parts free surface, CPML; see
docs/solver.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from seisflow.domain import FloatArray, Gather, Kernel
from seisflow.errors import InputError, PhysicsError
from seisflow.native.cuda_elastic3d import CudaElastic3D
from seisflow.native.device import Device
from seisflow.native.elastic3d import Elastic3DGrid, Entries, Material, Snapshots
from seisflow.ranks import Ranks
from seisflow.solvers import surface
from seisflow.solvers.absorb import profiles
from seisflow.solvers.attenuation import attenuation_of
from seisflow.solvers.base import Plan, Progress, Simulation
from seisflow.solvers.budget import budget
from seisflow.solvers.decomposition import SharedGrid, Shares
from seisflow.solvers.derivatives import model_kernel
from seisflow.solvers.elastic3d_config import Elastic3DConfig
from seisflow.solvers.passes import AdjointPass, Elastic3DForward, ForwardPass, Held
from seisflow.solvers.regrid import Regrid
from seisflow.solvers.run import Drive, Run
from seisflow.solvers.setup import (
    Setup,
    box,
    moment_rate,
    receiver_entries,
)
from seisflow.solvers.source import SourceRecords, direction, source_derivatives
from seisflow.solvers.stored import AT_ONCE, Packed, Stored, segments
from seisflow.solvers.time_function import sample_source
from seisflow.solvers.together import (
    SHARE,
    Meeting,
    adjoint_several,
    forward_several,
    likeness,
    most_together,
)

__all__ = ["Elastic3D", "Elastic3DForward"]

_Method = TypeVar("_Method", bound=Callable[..., Any])
_KEPT = 2e9
"""Bytes of a simulation up to which its material is kept for the next event."""
_LOSS_WORK = 1.4
"""What a point costs with attenuation, over what it costs without: 1.33 to 1.43 was measured."""
_GRADIENT_WORK = 2.3
"""What a gradient costs over a forward run: 2.2 to 2.4 was measured (benchmarks/gradient.py)."""


def _in_turn(method: _Method) -> _Method:
    """Threads that share a GPU take turns, so that each can plan with the memory that is free."""

    @wraps(method)
    def alone(self: Elastic3D, *given: Any, **named: Any) -> Any:
        with nullcontext() if self.device is None else self.device.lock:
            return method(self, *given, **named)

    return cast(_Method, alone)


class Elastic3D:
    """The built-in 3D elastic solver; implements ``seisflow.solvers.base.Solver``.

    Parameters
    ----------
    config : Elastic3DConfig
    threads : int
        Threads of the compiled kernel; results do not depend on it by a bit.
    ranks : Ranks, optional
        Those that share the grid; all of them call the same methods, see ``seisflow.solvers.team``.
    device : Device, optional
        A GPU to run on: its free memory then takes the place of ``memory_gb``. Threads take turns on it.
    """

    def __init__(
        self,
        config: Elastic3DConfig | None = None,
        threads: int = 1,
        ranks: Ranks | None = None,
        device: Device | None = None,
    ) -> None:
        if threads < 1:
            raise InputError(f"threads = {threads}: at least 1 is needed")
        self.config = config or Elastic3DConfig()
        if ranks is not None and device is not None:
            raise InputError(
                "a simulation is shared by ranks or runs on a GPU, not both; set compute.device: cpu"
            )
        self.threads, self.ranks, self.device = threads, ranks, device

    def plan(self, simulation: Simulation, ranks: int | None = None) -> Plan:
        """Choose grid and steps, and check that forward and adjoint run fit.

        Raises
        ------
        InputError
            If not, with the value that would do.
        """
        return self.check_fits(simulation, keep=True, ranks=ranks)

    def check_fits(self, simulation: Simulation, *, keep: bool, ranks: int | None = None) -> Plan:
        """As ``plan``, with what is kept for the adjoint run or without."""
        plan = self._setup(simulation, ranks).plan
        on_gpu = self.device is not None  # where stored velocity may go to the host
        self._check_memory(plan.gradient_bytes if keep and not on_gpu else plan.forward_bytes, keep=keep)
        return plan

    def forward(
        self, simulation: Simulation, *, keep: bool = False, progress: Progress | None = None
    ) -> Elastic3DForward:
        """Simulate the ground motion of an event; with ``keep`` store what ``adjoint`` needs.

        Raises
        ------
        InputError
            If the simulation cannot be run as asked.
        PhysicsError
            If the wave field becomes infinite.
        DeviceMemoryError
            If the memory of the GPU is taken by other programs for long.
        """
        if self.device is None:
            return self._forward(simulation, keep, progress)
        setup = self._setup(simulation)
        self._check_memory(setup.plan.forward_bytes, keep=keep)
        found: Elastic3DForward = Meeting.of(self.device).run(
            likeness(setup, self.config, keep),
            (setup, progress),
            lambda some: (
                [self._forward(some[0][0].simulation, keep, some[0][1])]
                if len(some) == 1
                else forward_several(self._several, some, keep)
            ),
            most_together(setup, self.device),
        )
        return found

    def _forward(self, simulation: Simulation, keep: bool, progress: Progress | None) -> Elastic3DForward:
        gather, held = self.run_forward(simulation, keep=keep, progress=progress)
        if gather is None:
            raise InputError("seismograms are on the first rank alone")
        return Elastic3DForward(gather, held)

    def run_forward(
        self, simulation: Simulation, *, keep: bool = False, progress: Progress | None = None
    ) -> tuple[Gather | None, Held]:
        """As ``forward``, by all ranks; seismograms are on the first rank, None on others."""
        setup = self._setup(simulation)
        plan = setup.plan
        needed = plan.gradient_bytes if keep and self.device is None else plan.forward_bytes
        self._check_memory(needed, keep=keep)
        grid, material = self._grid(setup)
        stored = None
        if keep:
            parts = segments(plan.steps, plan.snapshot_every, setup.phase, plan.segments)
            slots, half = max(part.count for part in parts), self._half
            data = grid.room(AT_ONCE if half else slots)
            packed = Packed(grid.snapshot_shape(slots)) if half else None
            stored = Stored(Snapshots(plan.snapshot_every, setup.phase, data), parts, packed)
        this = ForwardPass.of(setup, material, keep, self.ranks)
        del material
        run = Run(grid, setup, this.drive, this.recorded, self.ranks)
        run.simulate(stored, progress)
        return this.result(run.all_records(), stored)

    @_in_turn
    def source_columns(
        self, simulation: Simulation, names: Sequence[str], *, progress: Progress | None = None
    ) -> list[Gather]:
        """Derivatives of the seismograms with respect to parameters of the source, one forward run for each.

        Parameters
        ----------
        simulation : Simulation
            Of an event with a moment tensor.
        names : sequence of str
            Of ``SourceDerivatives.NAMES``.
        progress : callable, optional

        Returns
        -------
        list of Gather
            E, N, Z velocity by N m, m or s.

        Raises
        ------
        InputError
            As ``forward``; and if the source is a force.
        """
        columns = self.run_columns(simulation, names, progress=progress)
        if columns is None:
            raise InputError("seismograms are on the first rank alone")
        return columns

    def run_columns(
        self, simulation: Simulation, names: Sequence[str], *, progress: Progress | None = None
    ) -> list[Gather] | None:
        """As ``source_columns``, by all ranks; seismograms are on the first rank, None on others."""
        setup = self._setup(simulation)
        self._check_memory(setup.plan.forward_bytes, keep=False)
        grid, material = self._grid(setup)
        ratios = surface.ratios(setup, material, self.ranks)
        columns = []
        for number, name in enumerate(names):
            rate = setup.rate_slope() if name == "time" else moment_rate(setup)
            added = direction(setup, material, name)
            drive, scale = Drive(Entries.join([]), added, rate[:, None]).scaled(self.ranks)
            grid.reset()
            run = Run(grid, setup, drive, receiver_entries(setup, ratios), self.ranks)
            run.simulate(None, _share(progress, number, len(names)))
            columns.append(run.gather(scale))
        return [column for column in columns if column is not None] if setup.rank == 0 else None

    def adjoint(
        self,
        forward: Any,
        source: Gather,
        *,
        with_source: bool = False,
        progress: Progress | None = None,
    ) -> Kernel:
        """Differentiate a misfit with respect to vp, vs and rho at the model nodes.

        The same kernel runs with forces at the receivers, reversed in time. Derivatives that pass through the
        absorbing layers, which hold the values of the model's edge, are left out.

        Parameters
        ----------
        forward : Elastic3DForward
            Of ``forward(..., keep=True)``.
        source : Gather
            dJ/d(sample) / interval on the axes of ``forward.gather``.
        with_source : bool
            Differentiate with respect to the source too; it needs a moment tensor.

        Returns
        -------
        Kernel
            dJ/d(node value), and the illumination.
        """
        held = self.check_source(forward, source)
        if self.device is None:
            return self._adjoint(held, source.data, with_source, progress)
        most = 1 if with_source else most_together(held.setup, self.device)
        kernel: Kernel = Meeting.of(self.device).run(
            likeness(held.setup, self.config, "adjoint", with_source),
            (held, source.data, progress),
            lambda some: (
                [self._adjoint(some[0][0], some[0][1], with_source, some[0][2])]
                if len(some) == 1
                else adjoint_several(self._several, some)
            ),
            most,
        )
        return kernel

    def _adjoint(self, held: Held, data: FloatArray, with_source: bool, progress: Progress | None) -> Kernel:
        kernel = self.run_adjoint(held, data, with_source=with_source, progress=progress)
        if kernel is None:
            raise InputError("kernels are on the first rank alone")
        return kernel

    def _several(self, setups: Sequence[Setup]) -> tuple[CudaElastic3D, Material]:
        """Fields of several events in one model on the GPU."""
        if self.device is None:
            raise InputError("several events in one launch need a GPU")
        grid, material = self._known_grid(setups[0], self.device)
        each = self.config.memory_gb * 1e9 / len(setups)
        return CudaElastic3D(self.device, grid, len(setups), host_bytes=each), material

    def check_source(self, forward: Any, source: Gather) -> Held:
        """Refuse an adjoint source that does not suit a forward run; gives what the adjoint run needs of that."""
        if not isinstance(forward, Elastic3DForward) or forward.held.stored is None:
            raise InputError("the adjoint needs a forward run of elastic3d with keep=True")
        _check_source(forward.gather, source)
        return forward.held

    def run_adjoint(
        self, held: Held, data: FloatArray, *, with_source: bool = False, progress: Progress | None = None
    ) -> Kernel | None:
        """As ``adjoint``, by all ranks, from samples (stations, 3, steps); the kernel is on the first rank."""
        setup, plan = held.setup, held.setup.plan
        if held.stored is None:
            raise InputError("the adjoint needs a forward run of elastic3d with keep=True")
        grid, material = self._grid(setup)
        this = AdjointPass.of(held, material, data, self.ranks)
        recorded, count = this.recorded, this.count
        wanted = SourceRecords(setup) if with_source else None
        if wanted is not None:
            more = wanted.entries
            recorded = Entries.join([recorded, replace(more, signal=more.signal + count)])
        run = Run(grid, setup, this.drive, recorded, self.ranks)
        sums = grid.new_sums()
        again = self._again(setup) if plan.segments > 1 else None
        run.correlate(held.stored, again, sums, progress)
        sums = grid.fetched(sums)
        del again
        terms = this.terms(grid, material, run.records, run.all_records(), self.ranks)
        found = None
        if wanted is not None:
            ratio, records = wanted.ratio(material, self.ranks), run.all_records()
            if records is not None:
                strain = wanted.strain(records[:, count : count + wanted.count] * this.scale, ratio)
                found = source_derivatives(setup, strain)
        del grid, run
        kernel = model_kernel(setup, material, sums, held.scale * this.scale, terms, self.ranks)
        return kernel if kernel is None or found is None else replace(kernel, source=found)

    def _again(self, setup: Setup) -> Run:
        """The forward run, to repeat segments of it."""
        grid, material = self._grid(setup)
        this = ForwardPass.of(setup, material, False, self.ranks)
        return Run(grid, setup, this.drive, Entries.join([]), self.ranks)

    def _setup(self, simulation: Simulation, planned: int | None = None) -> Setup:
        """Choose everything; refuse what cannot be run."""
        _check_simulation(simulation)
        config, model = self.config, simulation.model
        model.check()
        attenuation = attenuation_of(model, simulation.shortest_period, relaxing=config.attenuation)
        loss = attenuation is not None and attenuation.relaxing
        slowest, fastest = config.extremes(model, simulation.shortest_period)
        spacing, step = config.steps(slowest, fastest, simulation.shortest_period)
        layout = box(simulation, spacing, config.cpml_cells)
        source, first, steps = sample_source(
            simulation.event.time_function, step, simulation.shortest_period, simulation.duration
        )
        tail = int(np.ceil(simulation.shortest_period / step)) if config.order == 8 else 0
        steps += tail
        every = max(1, int(simulation.shortest_period / config.snapshots_per_period / step))
        size, rank = (1, 0) if self.ranks is None else (self.ranks.size, self.ranks.rank)
        size = planned or size
        shares = Shares.of(layout, config.order, size)
        counts = (steps, len(range(every // 2, steps, every)))
        found = budget(
            simulation, layout, shares, order=config.order, itemsize=config.dtype.itemsize, counts=counts,
            limit=self._allowed(), attenuation=loss, half=self._half,
        )  # fmt: skip
        runs = _GRADIENT_WORK + 1 - 1 / found.segments  # the last segment is not run again
        work = runs * layout.points * steps * (_LOSS_WORK if loss else 1.0)
        plan = Plan(
            spacing,
            step,
            steps,
            layout.shape,
            every,
            found.forward,
            found.gradient,
            work,
            found.segments,
            size,
        )
        return Setup(
            simulation,
            plan,
            layout,
            source,
            first,
            every // 2,
            fastest,
            config.order,
            tail,
            shares,
            rank,
            attenuation,
        )

    @property
    def _half(self) -> bool:
        """Whether velocities are stored in half precision; a GPU stores them as they are."""
        return self.config.snapshot_precision == "half" and self.device is None

    def _allowed(self) -> float:
        """Bytes that a simulation may take: of a GPU a part of what is free, or velocity goes to the host's memory."""
        here = self.config.memory_gb * 1e9
        return here if self.device is None else max(here, SHARE * self.device.free_bytes())

    def _check_memory(self, needed: int, *, keep: bool) -> None:
        """Refuse what will never fit; what other programs take of a GPU may be free later."""
        if self.device is not None:
            allowed = 0.9 * self.device.total_bytes
            if needed > allowed:
                raise InputError(
                    f"elastic3d: the simulation needs {needed / 1e9:.2f} GB, of {self.device.name} {allowed / 1e9:.2f} "
                    "GB may be taken; set compute.device: cpu, use a longer shortest period, a smaller model or a "
                    "shorter duration"
                )
            return
        allowed = self._allowed()
        if needed > allowed:
            less = "precision: single, " if keep and self.config.precision == "double" else ""
            raise InputError(
                f"elastic3d: the simulation needs {needed / 1e9:.2f} GB, memory_gb = "
                f"{self.config.memory_gb:g}; raise memory_gb, {less}use a longer shortest period, a smaller "
                "model or a shorter duration"
            )

    def _grid(self, setup: Setup) -> tuple[Elastic3DGrid | CudaElastic3D, Material]:
        """Fields and material in memory, or on the GPU; and the material of the simulation grid."""
        if self.device is None:
            return self._host_grid(setup)
        grid, material = self._known_grid(setup, self.device)
        return CudaElastic3D(self.device, grid, host_bytes=self.config.memory_gb * 1e9), material

    def _known_grid(self, setup: Setup, device: Device) -> tuple[Elastic3DGrid, Material]:
        """As ``_host_grid``; for a GPU, which only reads it, the last one is kept: other events have the same."""
        meeting, key = Meeting.of(device), likeness(setup, self.config)
        if meeting.made is None or meeting.made[0] != key:
            meeting.made = None
            found = self._host_grid(setup)
            if setup.plan.forward_bytes > _KEPT:
                return found
            meeting.made = key, found
        made: tuple[Elastic3DGrid, Material] = meeting.made[1]
        return made

    def _host_grid(self, setup: Setup) -> tuple[Elastic3DGrid, Material]:
        """Fields and material in memory; and the material of the simulation grid."""
        layout, plan = setup.layout, setup.plan
        ratio = plan.time_step / plan.spacing
        layers = profiles(
            layout.shape,
            layout.cells,
            (self.config.absorbed_speed or setup.fastest) * ratio,
            plan.time_step,
            0.5 / setup.simulation.shortest_period,
        )
        choices: dict[str, Any] = {
            "cells": layout.cells, "profiles": layers, "threads": self.threads, "order": self.config.order,
        }  # fmt: skip
        if self.ranks is None:
            grid = Elastic3DGrid(layout.shape, self.config.dtype, **choices)
        else:
            grid = SharedGrid(self.ranks, setup.shares, layout.shape, self.config.dtype, **choices)
        model, attenuation = setup.simulation.model, setup.attenuation
        regrid = Regrid(model.grid, layout, setup.slab, self.ranks, attenuation)
        material = regrid.material(model)
        grid.set_material(material, ratio)
        if attenuation is not None and attenuation.relaxing:
            bulk, shear = (attenuation.strength(loss) for loss in regrid.losses(model))
            grid.attenuate(attenuation.relaxation(plan.time_step), bulk, shear)
        return grid, material


def _share(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Progress of one of several runs as that of all."""
    return None if progress is None else lambda done: progress((number + done) / count)


def _check_simulation(simulation: Simulation) -> None:
    for name in ("duration", "shortest_period"):
        value = getattr(simulation, name)
        if not 0 < value < np.inf:
            raise InputError(f"elastic3d: {name} = {value} s; it must be positive")
    if not simulation.stations:
        raise InputError(f"event {simulation.event.id}: no stations to simulate; give at least one")


def _check_source(gather: Gather, source: Gather) -> None:
    """Refuse an adjoint source that is not on the axes of the synthetics."""
    same = (
        ("stations", tuple(s.id for s in gather.stations), tuple(s.id for s in source.stations)),
        ("components", gather.components, source.components),
        ("samples", gather.samples, source.samples),
    )
    for name, wanted, found in same:
        if wanted != found:
            raise InputError(f"adjoint source: {name} are {found}, those of the synthetics are {wanted}")
    if abs(source.start - gather.start) > 1e-6 * gather.interval:
        raise InputError(f"adjoint source starts at {source.start} s, the synthetics at {gather.start} s")
    if abs(source.interval - gather.interval) > 1e-9 * gather.interval:
        raise InputError(
            f"adjoint source has interval {source.interval} s, the synthetics {gather.interval} s"
        )
    if not np.all(np.isfinite(source.data)):
        raise PhysicsError("adjoint source: NaN or infinite samples; check the misfit")
