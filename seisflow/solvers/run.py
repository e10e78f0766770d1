"""One pass of elastic3d through time, forward or adjoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from seisflow.domain import FloatArray, Gather
from seisflow.errors import PhysicsError
from seisflow.native.cuda_elastic3d import CudaElastic3D
from seisflow.native.elastic3d import Elastic3DGrid, Entries
from seisflow.ranks import Ranks
from seisflow.solvers.base import Progress
from seisflow.solvers.blow_up import first_place
from seisflow.solvers.decomposition import PlaneRecords, SharedGrid
from seisflow.solvers.setup import Setup, geographic
from seisflow.solvers.stored import Stored

__all__ = ["Drive", "Run", "gather_of", "piecewise"]

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

    def scaled(self, ranks: Ranks | None = None) -> tuple[Drive, float]:
        """Scale fields to order one; also the power of two by which results are to be multiplied."""
        force = np.abs(self.force.weight).max(initial=0.0)
        moment = np.abs(self.moment.weight).max(initial=0.0) / _IMPEDANCE
        if ranks is not None:
            force, moment = ranks.largest(force), ranks.largest(moment)
        peak = max(force, moment) * np.abs(self.samples).max(initial=0.0)
        scale = float(np.exp2(np.round(np.log2(peak)))) if peak > 0 else 1.0
        return replace(self, samples=self.samples / scale), scale

    def needed(self) -> Drive:
        """Without the time series that no entry uses."""
        used = np.unique(np.concatenate([self.force.signal, self.moment.signal]))
        if used.size == self.samples.shape[1]:
            return self
        force, moment = (
            replace(part, signal=np.searchsorted(used, part.signal).astype(np.int64))
            for part in (self.force, self.moment)
        )
        return Drive(force, moment, np.ascontiguousarray(self.samples[:, used]))


class Run:
    """One pass through time.

    Parameters
    ----------
    grid : Elastic3DGrid or CudaElastic3D
        At rest, with its material.
    setup : Setup
    drive : Drive
    recorded : Entries
        What is recorded, by record; of all planes.
    ranks : Ranks, optional
        Those that share the grid.
    """

    def __init__(
        self,
        grid: Elastic3DGrid | CudaElastic3D,
        setup: Setup,
        drive: Drive,
        recorded: Entries,
        ranks: Ranks | None = None,
    ) -> None:
        self.grid: Any = grid
        self.setup, self.ranks, drive = setup, ranks, drive.needed()
        self.forces = grid.sources(drive.force, drive.samples)
        self.moments = grid.sources(drive.moment, drive.samples)
        self.mine = PlaneRecords.of(recorded, setup.slab)
        self.records = np.zeros((setup.plan.steps, self.mine.keys.size))
        self.receivers = grid.receivers(self.mine.entries, self.records)

    def all_records(self) -> FloatArray | None:
        """Records (steps, records) of all planes; None on ranks other than the first."""
        return self.records if self.ranks is None else self.mine.together(self.ranks, self.records)

    def advance(self, stored: Any, first: int, steps: int) -> None:
        """Advance, and refuse a field that is not finite."""
        if steps == 0:
            return
        bad = self.grid.advance(self.forces, self.moments, self.receivers, stored, first, steps)
        if bad:
            plan, place = self.setup.plan, first_place(self, bad)
            where = "" if place is None else f"; first after step {place.step} at {place.told(self.setup)}"
            raise PhysicsError(
                f"event {self.setup.simulation.event.id}: the wave field is infinite or NaN at step {bad} of "
                f"{plan.steps}{where}; check the source and the model there, or give elastic3d a time_step below "
                f"{plan.time_step:g} s"
            )

    def simulate(self, stored: Stored | None, progress: Progress | None) -> None:
        """Advance to the end, keeping what the adjoint needs; in pieces, between which an interrupt is noticed."""
        steps = self.setup.plan.steps
        none, parts = self.grid.snapshots(None), () if stored is None else stored.parts
        begins = {part.begin: number for number, part in enumerate(parts)}
        last = len(parts) - 1
        blocks = {block.begin: block for block in stored.blocks(last)} if stored is not None else {}
        cuts = sorted({*piecewise(steps), *begins, *blocks})
        kept = none
        for first, end in pairwise(cuts):
            if stored is not None and first in begins:
                stored.keep(begins[first], self.grid)
            if stored is not None and first in blocks:
                block = blocks[first]
                kept = self.grid.snapshots(stored.of(last, block))
            self.advance(kept, first, end - first)
            if stored is not None and kept is not none and (end in blocks or end == steps):
                stored.pack(last, block)
            if progress is not None:
                progress(end / steps)
        self.settle()

    def settle(self) -> None:
        """Nothing is under way any more, between ranks or on a GPU."""
        if isinstance(self.grid, SharedGrid):
            self.grid.settle()
        if isinstance(self.grid, CudaElastic3D):
            self.grid.collect(self.receivers)

    def repeat(self, stored: Stored, number: int) -> None:
        """Run a segment once more and store its velocities."""
        stored.return_to(number, self.grid)
        for block in stored.blocks(number):
            self.advance(self.grid.snapshots(stored.of(number, block)), block.begin, block.end - block.begin)
            stored.pack(number, block)

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
            part = stored.parts[number]
            for slot in reversed(range(part.count)):
                meets = steps - 1 - (phase + (part.first + slot) * every)
                velocity, place = stored.at(number, slot)
                kept = self.grid.snapshots(velocity)
                self.advance(none, done, meets - done)
                self.grid.correlate(kept, place, sums, after=False)
                self.advance(none, meets, 1)
                self.grid.correlate(kept, place, sums, after=True)
                done = meets + 1
                if progress is not None and done / steps >= told + 1 / _CHUNKS:
                    told = done / steps
                    progress(told)
        self.settle()
        if again is not None:
            again.settle()
        if progress is not None:
            progress(1.0)

    def gather(self, scale: float) -> Gather | None:
        """Make a gather of the first records, three a station; None on ranks other than the first."""
        records = self.all_records()
        return None if records is None else gather_of(self.setup, records * scale)


def gather_of(setup: Setup, records: FloatArray) -> Gather:
    """Seismograms (E, N, Z velocity) from the first of some records (steps, records), three a station."""
    records = records[:, : 3 * len(setup.simulation.stations)]
    step, data = setup.plan.time_step, geographic(setup, records)
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


def piecewise(steps: int) -> list[int]:
    """Ends of the pieces of a run between which progress is told and an interrupt is noticed, 0 first."""
    return [*range(0, steps, max(1, -(-steps // _CHUNKS))), steps]
