"""Simulations of several events in one launch of a GPU.

A small model leaves most of a GPU idle. A flow runs events in threads of a process, each as its own task; those that
wait for the GPU while it is busy, and have the same model, grid and steps, run together when it is free. What comes out
of each is what it gives alone, to the last bit, so nothing depends on who met whom.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from seisflow.domain import FloatArray, Kernel
from seisflow.errors import PhysicsError, SeisflowError
from seisflow.native.cuda_elastic3d import CudaElastic3D
from seisflow.native.device import Device, DeviceMemoryError
from seisflow.native.elastic3d import Entries, Material, Snapshots
from seisflow.solvers.base import Progress
from seisflow.solvers.derivatives import model_kernel
from seisflow.solvers.passes import AdjointPass, Elastic3DForward, ForwardPass, Held
from seisflow.solvers.run import Drive, piecewise
from seisflow.solvers.setup import Setup
from seisflow.solvers.stored import Stored, segments

__all__ = [
    "ENOUGH",
    "SHARE",
    "Meeting",
    "RunTogether",
    "adjoint_several",
    "forward_several",
    "likeness",
    "most_together",
]

Several = Callable[[Sequence[Setup]], tuple[CudaElastic3D, Material]]
ENOUGH = 4_000_000
"""Points of all events of a launch: more do not make a GPU faster."""
SHARE = 0.6
"""Of the memory of a GPU, that the fields of a launch may take; snapshots and other programs have the rest."""
_PATIENCE = (1.0, 2.0, 4.0, 8.0, 16.0)
"""s after which memory that another program takes is asked for again."""


@dataclass(eq=False)
class _Wish:
    """What a thread waits for."""

    key: Any
    request: Any
    answered: bool = False
    answer: Any = None


@dataclass(eq=False)
class Meeting:
    """Threads that wait for a GPU.

    Parameters
    ----------
    device : Device
    """

    device: Device
    guard: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[_Wish] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """How many ran together, run by run."""
    made: tuple[Any, Any] | None = None
    """What was made last for simulations of one likeness."""

    @classmethod
    def of(cls, device: Device) -> Meeting:
        """The one of a device."""
        with _GUARD:
            return _MEETINGS.setdefault(device, cls(device))

    def run(self, key: Any, request: Any, work: Callable[[list[Any]], list[Any]], most: int) -> Any:
        """Do a request, together with others that wait with an equal key.

        Parameters
        ----------
        key : object
            Requests with equal keys can be done together.
        request : object
        work : callable
            Does a list of requests, and gives a list of results.
        most : int
            Requests at once.

        Raises
        ------
        DeviceMemoryError
            If the memory does not suffice for the request alone, after some patience with other programs.
        Exception
            What ``work`` raises for the request alone.
        """
        wish = _Wish(key, request)
        with self.guard:
            self.waiting.append(wish)
        try:
            for pause in (*_PATIENCE, None):
                try:
                    with self.device.lock:
                        return wish.answer if wish.answered else self._together(wish, work, most)
                except DeviceMemoryError:
                    if pause is None:
                        raise
                    time.sleep(pause)
        finally:
            with self.guard:
                if wish in self.waiting:
                    self.waiting.remove(wish)
        return wish.answer

    def _together(self, wish: _Wish, work: Callable[[list[Any]], list[Any]], most: int) -> Any:
        """Do one and others; where they fail together, fewer."""
        with self.guard:
            others = [each for each in self.waiting if each is not wish and each.key == wish.key]
        group = [wish, *others[: most - 1]]
        while True:
            try:
                with self.device.short():
                    answers = work([each.request for each in group])
            except SeisflowError:  # memory is short, or one of them is at fault
                if len(group) == 1:
                    raise
                group = group[: (len(group) + 1) // 2]
                continue
            break
        self.sizes.append(len(group))
        with self.guard:
            for each, answer in zip(group, answers, strict=True):
                each.answer, each.answered = answer, True
                self.waiting.remove(each)
        return wish.answer


_GUARD = threading.Lock()
_MEETINGS: WeakKeyDictionary[Device, Meeting] = WeakKeyDictionary()


def likeness(setup: Setup, *more: Any) -> tuple[Any, ...]:
    """What must be equal of simulations that run together."""
    model, plan = setup.simulation.model, setup.plan
    said = (model.grid, model.reference_frequency, setup.layout, setup.simulation.shortest_period)
    text = hashlib.sha256(repr(said).encode())
    for name, values in (model.fields() | model.quality()).items():
        text.update(name.encode() + np.ascontiguousarray(values).tobytes())
    steps = (
        plan.spacing,
        plan.time_step,
        plan.steps,
        plan.shape,
        plan.snapshot_every,
        setup.phase,
        plan.segments,
    )
    return (text.hexdigest(), steps, setup.order, *more)


def most_together(setup: Setup, device: Device) -> int:
    """Events of a launch: as many as keep the GPU busy, and fit beside each other; 1 if velocity is stored in parts."""
    plan = setup.plan
    if plan.segments > 1:
        return 1
    fits = int(SHARE * device.total_bytes / max(1, plan.forward_bytes))
    return max(1, min(fits, ENOUGH // int(np.prod(plan.shape))))


class RunTogether:
    """One pass of several events through time; see ``seisflow.solvers.run.Run``.

    Parameters
    ----------
    grid : CudaElastic3D
        Of so many events, at rest.
    setups : sequence of Setup
    drives : sequence of Drive
    recorded : sequence of Entries
        What is recorded of each, by record.
    """

    def __init__(
        self,
        grid: CudaElastic3D,
        setups: Sequence[Setup],
        drives: Sequence[Drive],
        recorded: Sequence[Entries],
    ) -> None:
        needed = [drive.needed() for drive in drives]
        samples = [drive.samples for drive in needed]
        self.grid, self.setups, self.steps = grid, setups, setups[0].plan.steps
        self.forces = grid.sources([drive.force for drive in needed], samples)
        self.moments = grid.sources([drive.moment for drive in needed], samples)
        self.records = [np.zeros((self.steps, int(each.signal.max(initial=-1)) + 1)) for each in recorded]
        self.receivers = grid.receivers(list(recorded), self.records)

    def advance(self, stored: Sequence[Snapshots] | None, first: int, steps: int) -> None:
        """Advance, and refuse fields that are not finite."""
        if steps and self.grid.advance(self.forces, self.moments, self.receivers, stored, first, steps):
            raise PhysicsError("one of several wave fields is infinite or NaN")

    def simulate(self, stored: Sequence[Snapshots] | None, progress: Sequence[Progress | None]) -> None:
        """Advance to the end, keeping what the adjoint needs."""
        for first, end in pairwise(piecewise(self.steps)):
            self.advance(stored, first, end - first)
            _tell(progress, end / self.steps)
        self.grid.collect(self.receivers)

    def correlate(
        self, stored: Sequence[Snapshots], sums: FloatArray, progress: Sequence[Progress | None]
    ) -> None:
        """Advance the adjoint runs, adding to the sums at every stored step."""
        first, done = stored[0], 0
        for slot in reversed(range(len(range(first.phase, self.steps, first.every)))):
            meets = self.steps - 1 - (first.phase + slot * first.every)
            self.advance(None, done, meets - done)
            self.grid.correlate(stored, slot, sums, after=False)
            self.advance(None, meets, 1)
            self.grid.correlate(stored, slot, sums, after=True)
            done = meets + 1
            _tell(progress, done / self.steps)
        self.grid.collect(self.receivers)
        _tell(progress, 1.0)


def forward_several(
    several: Several, some: Sequence[tuple[Setup, Progress | None]], keep: bool
) -> list[Elastic3DForward]:
    """Forward runs of events that are alike, in one launch; ``several`` makes their fields."""
    setups = [setup for setup, _ in some]
    grid, material = several(setups)
    plan, phase = setups[0].plan, setups[0].phase
    parts = segments(plan.steps, plan.snapshot_every, phase, 1)
    stored = None
    if keep:
        stored = [Snapshots(plan.snapshot_every, phase, grid.room(parts[0].count)) for _ in setups]
    passes = [ForwardPass.of(setup, material, keep) for setup in setups]
    run = RunTogether(grid, setups, [each.drive for each in passes], [each.recorded for each in passes])
    run.simulate(stored, [progress for _, progress in some])
    found = []
    for number, each in enumerate(passes):
        kept = None if stored is None else Stored(stored[number], parts, None, 0)
        gather, held = each.result(run.records[number], kept)
        if gather is not None:
            found.append(Elastic3DForward(gather, held))
    return found


def adjoint_several(
    several: Several, some: Sequence[tuple[Held, FloatArray, Progress | None]]
) -> list[Kernel]:
    """Adjoint runs of events that are alike, in one launch; ``several`` makes their fields."""
    setups = [held.setup for held, _, _ in some]
    grid, material = several(setups)
    passes = [AdjointPass.of(held, material, data) for held, data, _ in some]
    run = RunTogether(grid, setups, [each.drive for each in passes], [each.recorded for each in passes])
    stored = [held.stored.snapshots for held, _, _ in some if held.stored is not None]
    sums = grid.new_sums()
    run.correlate(stored, sums, [progress for _, _, progress in some])
    sums, kernels = grid.fetched(sums), []
    for number, each in enumerate(passes):
        records, scale = run.records[number], each.held.scale * each.scale
        terms = each.terms(grid, material, records, records)
        kernel = model_kernel(setups[number], material, sums[number], scale, terms)
        if kernel is not None:
            kernels.append(kernel)
    return kernels


def _tell(progress: Sequence[Progress | None], done: float) -> None:
    for each in progress:
        if each is not None:
            each(done)
