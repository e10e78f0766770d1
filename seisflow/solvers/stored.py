"""What a forward run of elastic3d keeps for its adjoint run.

Velocity is stored every few steps. Where not all of it fits, the run is cut into segments: the state at the beginning
of each is kept, and the adjoint run goes through them from the last to the first, running each forward once more. The
gradient is the same to the last bit. On demand velocity is kept in half precision, in half of the memory: a few
snapshots at a time are packed, each component of each with a scale of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.native.elastic3d import Snapshots

__all__ = ["AT_ONCE", "Packed", "Segment", "Stored", "fewest_segments", "segments"]


AT_ONCE = 8
"""Velocities that are packed together."""


@dataclass(frozen=True)
class Segment:
    """Steps ``begin`` to ``end`` of a run, in which ``count`` velocities are stored from number ``first`` on."""

    begin: int
    end: int
    first: int
    count: int


def segments(steps: int, every: int, phase: int, parts: int) -> tuple[Segment, ...]:
    """Cut a run into parts that store as many velocities, one more or less.

    Parameters
    ----------
    steps : int
    every, phase : int
        Step n is stored if n % every == phase.
    parts : int
    """
    slots = len(range(phase, steps, every))
    bounds = [slots * part // parts for part in range(parts + 1)]
    result = []
    for first, last in pairwise(bounds):
        begin = phase + (first - 1) * every + 1 if first else 0
        result.append(Segment(begin, phase + (last - 1) * every + 1, first, last - first))
    return tuple(result)


def fewest_segments(slots: int, snapshot: int, state: int, room: int) -> int | None:
    """The least number of segments that fit, or None.

    Parameters
    ----------
    slots : int
        Velocities that are stored.
    snapshot, state : int
        Bytes of one, and of a state.
    room : int
        Bytes that the velocities of one segment and all states but the first may take.
    """
    for parts in range(1, slots + 1):
        if -(-slots // parts) * snapshot + (parts - 1) * state <= room:
            return parts
        if (parts - 1) * state > room:
            break
    return None


class Packed:
    """Velocities in half precision.

    Parameters
    ----------
    shape : tuple of int (slots, 3, ...)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.data = np.empty(shape, dtype=np.float16)
        self.scale = np.ones(shape[:2])

    def pack(self, first: int, velocity: npt.NDArray[Any]) -> None:
        """Keep some velocities (slots, 3, ...), the first of them in slot ``first``."""
        # added and taken away it rounds to multiples of 2^-14: what is smaller would be converted twenty times slower
        big = velocity.dtype.type(1.5 * 2.0 ** (np.finfo(velocity.dtype).nmant - 14))
        for slot, components in enumerate(velocity, first):
            for number, values in enumerate(components):
                peak = max(float(values.max()), -float(values.min()))
                # the largest value of half precision is 2^16; a power of two loses nothing
                scale = float(np.exp2(np.floor(np.log2(peak)) - 14)) if peak > 0 else 1.0
                self.scale[slot, number] = scale
                scaled = values * values.dtype.type(1 / scale)
                scaled += big
                scaled -= big
                self.data[slot, number] = scaled

    def unpack(self, slot: int, into: npt.NDArray[Any]) -> None:
        """Velocity (3, ...) of a slot."""
        for number, values in enumerate(into):
            np.multiply(self.data[slot, number], values.dtype.type(self.scale[slot, number]), out=values)


@dataclass
class Stored:
    """Stored velocities of one segment, and the states to make the others from.

    Parameters
    ----------
    snapshots : Snapshots
        Room for the longest segment; for ``AT_ONCE`` velocities, if they are packed.
    parts : tuple of Segment
    packed : Packed, optional
        Room for the longest segment in half precision.
    """

    snapshots: Snapshots
    parts: tuple[Segment, ...]
    packed: Packed | None = None
    held: int = -1
    states: dict[int, list[Any]] = field(default_factory=dict)

    def blocks(self, number: int) -> tuple[Segment, ...]:
        """Parts of a segment whose velocities the kernel can store before they are packed."""
        part = self.parts[number]
        if self.packed is None:
            return (part,)
        every, phase, found, begin = self.snapshots.every, self.snapshots.phase, [], part.begin
        for first in range(part.first, part.first + part.count, AT_ONCE):
            count = min(AT_ONCE, part.first + part.count - first)
            end = phase + (first + count - 1) * every + 1
            found.append(Segment(begin, end, first, count))
            begin = end
        return tuple(found)

    def of(self, number: int, block: Segment) -> Snapshots:
        """Where the velocities of a block of a segment go; those of any other segment are lost."""
        self.held = number
        return replace(self.snapshots, data=self.snapshots.data[: block.count], first=block.first)

    def pack(self, number: int, block: Segment) -> None:
        """A block of a segment is complete."""
        if self.packed is not None:
            self.packed.pack(block.first - self.parts[number].first, self.snapshots.data[: block.count])

    def at(self, number: int, slot: int) -> tuple[Snapshots, int]:
        """Where a velocity of a segment in memory is, and its slot there."""
        part = self.parts[number]
        if self.packed is None:
            return replace(self.snapshots, data=self.snapshots.data[: part.count], first=part.first), slot
        self.packed.unpack(slot, self.snapshots.data[0])
        return replace(self.snapshots, data=self.snapshots.data[:1], first=part.first + slot), 0

    def keep(self, number: int, grid: Any) -> None:
        """Remember the state at the beginning of a segment."""
        if number:
            self.states[number] = grid.save()

    def return_to(self, number: int, grid: Any) -> None:
        """Bring a grid to the beginning of a segment."""
        if number:
            grid.restore(self.states[number])
        else:
            grid.reset()
