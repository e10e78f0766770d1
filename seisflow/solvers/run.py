"""One pass of elastic3d through time, forward or adjoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from seisflow.domain import FloatArray, Gather
from seisflow.errors import PhysicsError
from seisflow.native.elastic3d import Elastic3DGrid, Entries
from seisflow.solvers.base import Progress
from seisflow.solvers.setup import Setup, geographic
from seisflow.solvers.stored import Stored

__all__ = ["Drive", "Run"]

_CHUNKS = 50
"""Pieces of a run between which progress is told and an interrupt is noticed."""


_IMPEDANCE = 1e7
"""Stress over velocity, Pa s/m: brings both to one scale."""


@dataclass(frozen=True, eq=False)
class Drive:
    """What sets the fields in motion.

    Parameters
    ----------
    force, moment : Entries
        Added to velocity, and to stress.
    samples : ndarray (steps, signals)
        Time series of the entries.
    """

    force: Entries
    moment: Entries
    samples: FloatArray

    def scaled(self) -> tuple[Drive, float]:
        """Scale fields to order one; also the power of two by which results are to be multiplied."""
        force = np.abs(self.force.weight).max(initial=0.0)
        moment = np.abs(self.moment.weight).max(initial=0.0) / _IMPEDANCE
        peak = max(force, moment) * np.abs(self.samples).max(initial=0.0)
        scale = float(np.exp2(np.round(np.log2(peak)))) if peak > 0 else 1.0
        return replace(self, samples=self.samples / scale), scale


class Run:
    """One pass through time.

    Parameters
    ----------
    grid : Elastic3DGrid
        At rest, with its material.
    setup : Setup
    drive : Drive
    recorded : Entries
        What is recorded, by record.
    """

    def __init__(self, grid: Elastic3DGrid, setup: Setup, drive: Drive, recorded: Entries) -> None:
        self.grid, self.setup = grid, setup
        self.forces = grid.sources(drive.force, drive.samples)
        self.moments = grid.sources(drive.moment, drive.samples)
        self.records = np.zeros((setup.plan.steps, int(recorded.signal.max(initial=-1)) + 1))
        self.receivers = grid.receivers(recorded, self.records)

    def advance(self, stored: Any, first: int, steps: int) -> None:
        """Advance, and refuse a field that is not finite."""
        if steps == 0:
            return
        bad = self.grid.advance(self.forces, self.moments, self.receivers, stored, first, steps)
        if bad:
            plan = self.setup.plan
            raise PhysicsError(
                f"event {self.setup.simulation.event.id}: the wave field is infinite or NaN at step {bad} of "
                f"{plan.steps}; check the source and the model, or give elastic3d a time_step below "
                f"{plan.time_step:g} s"
            )

    def simulate(self, stored: Stored | None, progress: Progress | None) -> None:
        """Advance to the end, keeping what the adjoint needs; in pieces, between which an interrupt is noticed."""
        steps = self.setup.plan.steps
        none, parts = self.grid.snapshots(None), () if stored is None else stored.parts
        begins = {part.begin: number for number, part in enumerate(parts)}
        cuts = sorted({*range(0, steps, max(1, -(-steps // _CHUNKS))), *begins, steps})
        kept = none
        for first, end in pairwise(cuts):
            if stored is not None and first in begins:
                stored.keep(begins[first], self.grid)
                if begins[first] == len(parts) - 1:
                    kept = self.grid.snapshots(stored.of(len(parts) - 1))
            self.advance(kept, first, end - first)
            if progress is not None:
                progress(end / steps)

    def repeat(self, stored: Stored, number: int) -> None:
        """Run a segment once more and store its velocities."""
        part = stored.parts[number]
        stored.return_to(number, self.grid)
        self.advance(self.grid.snapshots(stored.of(number)), part.begin, part.end - part.begin)

    def correlate(
        self, stored: Stored, again: Run | None, sums: FloatArray, progress: Progress | None
    ) -> None:
        """Advance the adjoint run, adding to the sums at every stored step.

        Parameters
        ----------
        stored : Stored
        again : Run, optional
            The forward run, which repeats the segments that are not in memory.
        sums : ndarray
            See ``Elastic3DGrid.correlate``.
        progress : callable, optional
        """
        steps, every, phase = self.setup.plan.steps, stored.snapshots.every, stored.snapshots.phase
        none = self.grid.snapshots(None)
        done, told = 0, 0.0
        for number in reversed(range(len(stored.parts))):
            if again is not None and stored.held != number:
                again.repeat(stored, number)
            part, kept = stored.parts[number], self.grid.snapshots(stored.of(number))
            for slot in reversed(range(part.count)):
                meets = steps - 1 - (phase + (part.first + slot) * every)
                self.advance(none, done, meets - done)
                self.grid.correlate(kept, slot, sums, after=False)
                self.advance(none, meets, 1)
                self.grid.correlate(kept, slot, sums, after=True)
                done = meets + 1
                if progress is not None and done / steps >= told + 1 / _CHUNKS:
                    told = done / steps
                    progress(told)
        if progress is not None:
            progress(1.0)

    def gather(self, scale: float) -> Gather:
        """Make a gather of the records."""
        setup = self.setup
        step, data = setup.plan.time_step, geographic(setup, self.records * scale)
        if setup.seismograms is not None:
            data = setup.seismograms.apply(data)
        return Gather(
            stations=setup.simulation.stations,
            components=("E", "N", "Z"),
            data=data,
            start=setup.first * step,
            interval=step,
            quantity="velocity",
        )
