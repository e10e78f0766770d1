"""What a forward run of elastic3d keeps for its adjoint run.

Velocity is stored every few steps. Where not all of it fits, the run is cut into segments: the state at the beginning
of each is kept, and the adjoint run goes through them from the last to the first, running each forward once more. The
gradient is the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from seisflow.native.elastic3d import Snapshots

__all__ = ["Segment", "Stored", "fewest_segments", "segments"]


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


@dataclass
class Stored:
    """Stored velocities of one segment, and the states to make the others from.

    Parameters
    ----------
    snapshots : Snapshots
        Room for the longest segment.
    parts : tuple of Segment
    """

    snapshots: Snapshots
    parts: tuple[Segment, ...]
    held: int = -1
    states: dict[int, list[Any]] = field(default_factory=dict)

    def of(self, number: int) -> Snapshots:
        """Where the velocities of a segment go; those of any other are lost."""
        part = self.parts[number]
        self.held = number
        return replace(self.snapshots, data=self.snapshots.data[: part.count], first=part.first)

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
