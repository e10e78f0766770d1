"""The grid of elastic3d cut into slabs along x, one for each rank.

A rank holds its planes and copies of as many of its neighbours' as one passage through memory (several time steps)
needs. It advances the copies too as far as its own planes need them, so that neighbours exchange planes once a passage.
Passages go through the planes forward and backward by turns: what a neighbour needs first in the next passage is
finished first in this one, and travels while the rest is computed. Every point sees the same operations in the same
order as without ranks, so results are the same to the last bit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError
from seisflow.native.elastic3d import SWEEP, Elastic3DGrid, Entries
from seisflow.native.elastic3d_slab import Slab, ghosts
from seisflow.native.elastic3d_structs import PartStruct
from seisflow.native.elastic3d_tiles import TileChoice
from seisflow.ranks import Ranks
from seisflow.solvers.regrid import Layout

__all__ = ["PlaneRecords", "SharedGrid", "Shares"]

_LAYER = 1.6
"""Time of a plane in the absorbing layers over that of another."""
_COPIES = 0.12
"""Planes that are computed twice, at most, as a share of the own ones, where a passage of several steps is chosen."""
_LOOK = 48
"""Steps between looks at the field, as in the kernel."""


@dataclass(frozen=True)
class Shares:
    """Who has which planes.

    Parameters
    ----------
    slabs : tuple of Slab
        One for each rank.
    steps : int
        Time steps of a passage.
    """

    slabs: tuple[Slab, ...]
    steps: int

    @staticmethod
    def of(layout: Layout, order: int, ranks: int) -> Shares:
        """Cut a grid for so many ranks.

        Raises
        ------
        InputError
            If there are more ranks than the grid has planes for.
        """
        total = layout.shape[0]
        if ranks == 1:
            return Shares((Slab.whole(total),), SWEEP)
        cost = np.ones(total)
        cost[: layout.cells] = cost[total - layout.cells :] = _LAYER
        done = np.cumsum(cost)
        bounds = [
            0,
            *(int(np.searchsorted(done, done[-1] * part / ranks)) + 1 for part in range(1, ranks)),
            total,
        ]
        own = [last - first for first, last in pairwise(bounds)]
        sides = 1 if ranks == 2 else 2
        for steps in (SWEEP, 2, 1):
            # a passage of n steps computes (n - 1/2)(order - 1)/2 planes twice on each side
            twice = sides * (steps - 0.5) * (order - 1) / 2
            if min(own) >= ghosts(order, steps) and (steps == 1 or twice <= _COPIES * min(own)):
                return Shares(tuple(_slab(bounds, r, ghosts(order, steps)) for r in range(ranks)), steps)
        raise InputError(
            f"{ranks} ranks are too many for {total} planes of the simulation grid along x: each needs at least "
            f"{ghosts(order, 1)} planes of its own; use at most {max(1, total // (2 * ghosts(order, 1)))} ranks"
        )


def _slab(bounds: list[int], rank: int, copies: int) -> Slab:
    total, low, high = bounds[-1], copies if rank else 0, copies if rank < len(bounds) - 2 else 0
    first = bounds[rank] - low
    return Slab(total, first, bounds[rank + 1] + high - first, low, high)


class _Side:
    """What goes to and comes from one neighbour.

    Parameters
    ----------
    ranks : Ranks
    neighbour : int
    mine, theirs : tuple of 2 int
        Planes of this memory that the neighbour needs, and those that it sends.
    size : int
        Elements of a message.
    """

    def __init__(
        self, grid: SharedGrid, neighbour: int, mine: tuple[int, int], theirs: tuple[int, int]
    ) -> None:
        self.neighbour, self.ranks = neighbour, grid.ranks
        self.mine, self.theirs = grid.planes(*mine), grid.planes(*theirs)
        self.out, self.into = (
            np.empty(sum(part.size for part in parts), grid.dtype) for parts in (self.mine, self.theirs)
        )
        self.sending: Any = None
        self.coming: Any = None
        self.tag = 10

    def send(self) -> None:
        """Begin to send the own planes; they may change afterwards."""
        if self.sending is not None:
            self.sending.Wait()
        place = 0
        for part in self.mine:
            self.out[place : place + part.size] = part
            place += part.size
        self.sending = self.ranks.start_send(self.out, self.neighbour, self.tag)

    def expect(self) -> None:
        """Get ready for what the neighbour sends in this passage."""
        self.coming = self.ranks.start_receive(self.into, self.neighbour, self.tag)

    def take(self) -> None:
        """Wait for what the neighbour has sent in the passage before, and put it in its place."""
        if self.coming is None:
            return
        self.coming.Wait()
        self.coming = None
        place = 0
        for part in self.theirs:
            part[...] = self.into[place : place + part.size]
            place += part.size

    def nudge(self) -> None:
        """Let messages move on."""
        for request in (self.sending, self.coming):
            if request is not None:
                request.Test()

    def settle(self) -> None:
        """Nothing is under way any more."""
        self.take()
        if self.sending is not None:
            self.sending.Wait()
            self.sending = None


class SharedGrid(Elastic3DGrid):
    """The planes of one rank; advances together with those of the others.

    Parameters
    ----------
    ranks : Ranks
    shares : Shares
    shape : tuple of 3 int
        Of the whole grid.
    dtype, choices
        As of ``Elastic3DGrid``; profiles of the whole grid.
    """

    def __init__(
        self, ranks: Ranks, shares: Shares, shape: tuple[int, int, int], dtype: npt.DTypeLike, **choices: Any
    ) -> None:
        slab = shares.slabs[ranks.rank]
        if choices.get("profiles") is not None:
            along_x, *others = choices["profiles"]
            choices["profiles"] = (along_x[:, slab.first : slab.first + slab.count], *others)
        super().__init__((slab.count, *shape[1:]), dtype, tiles=(64, shares.steps), slab=slab, **choices)
        self.ranks, self.steps, self.backward = ranks, shares.steps, False
        kind = (self.shape, self.dtype, self.cells, 2 * self.halo, self.threads, ranks.size)
        self._blocks = TileChoice(kind, shares.steps)
        self._sides: dict[str, _Side] = {}

    def _meet(self) -> None:
        """Get ready for the neighbours; at the first passage, for only then it is known what changes in time."""
        low, high, count, rank = self.slab.low, self.slab.high, self.slab.count, self.ranks.rank
        if low:
            self._sides["low"] = _Side(self, rank - 1, (low, 2 * low), (0, low))
        if high:
            self._sides["high"] = _Side(
                self, rank + 1, (count - 2 * high, count - high), (count - high, count)
            )

    def advance(
        self, forces: Any, moments: Any, receivers: Any, snapshots: Any, first: int, steps: int
    ) -> int:
        """As of ``Elastic3DGrid``, on all ranks; what is returned is the same on all."""
        driven, end, step = (forces, moments, receivers, snapshots), first + steps, first
        if not self._sides:
            self._meet()
        while step < end:
            many = min(self.steps - step % self.steps, end - step)
            last = step + many == end
            self._grid.block, _ = self._blocks.next
            bad, seconds = self._pass(driven, step, many, last)
            if many == self.steps and not self._blocks.found:
                self._blocks.note(seconds)
            step += many
            if last or step % _LOOK == 0:
                bad = int(self.ranks.largest(bad))
                if bad:
                    return bad
        return 0

    def _pass(self, driven: Any, step: int, many: int, last: bool) -> tuple[int, float]:
        """One passage: what is finished first is sent first, what the neighbour sends last is needed last.

        Gives what ``passage`` does, and the seconds without those of messages.
        """
        near, far = ("high", "low") if self.backward else ("low", "high")
        sides, end = self._sides, self.positions(many)
        cuts = {end}
        if near in sides:
            sides[near].take()
            sides[near].expect()
            # planes of a message, and as many copies before them, from where the passage begins
            copies = self.slab.high if self.backward else self.slab.low
            sent = 2 * copies + (2 * many - 1) * self.halo
            cuts.add(min(sent, end))
        if far in sides:
            copies = self.slab.low if self.backward else self.slab.high
            needed = max(0, self.shape[0] - copies - self.halo)
            cuts |= {needed, needed // 2}
        bad, place, seconds = 0, 0, 0.0
        for cut in sorted(cuts):
            if cut > place:
                part = PartStruct(step, many, int(self.backward), place, cut)
                begun = time.perf_counter()
                bad = self.passage(driven, part, last=last)
                place, seconds = cut, seconds + time.perf_counter() - begun
            if near in sides and cut == min(sent, end):
                sides[near].send()
            if far in sides and cut == needed:
                sides[far].take()
                sides[far].expect()
            for side in sides.values():
                side.nudge()
        if far in sides:
            sides[far].send()
        self.backward = not self.backward
        return bad, seconds

    def settle(self) -> None:
        """Wait until no message is under way; before the state is copied, changed or given up."""
        for side in self._sides.values():
            side.settle()

    def save(self) -> list[npt.NDArray[Any]]:
        """As of ``Elastic3DGrid``."""
        self.settle()
        return super().save()

    def restore(self, saved: list[npt.NDArray[Any]]) -> None:
        """As of ``Elastic3DGrid``."""
        self.settle()
        super().restore(saved)

    def reset(self) -> None:
        """As of ``Elastic3DGrid``."""
        self.settle()
        super().reset()


@dataclass(frozen=True, eq=False)
class PlaneRecords:
    """Records of one rank: whole ones, and what its planes add to records that others share.

    Parameters
    ----------
    entries : Entries
        Of own planes, numbered in this memory; the signal counts the keys.
    keys : ndarray of int (n,)
        Record times (planes of the whole grid + 1), plus 0 for a whole record or the plane + 1 for a part.
    records : int
        Of all ranks.
    planes : int
        Of the whole grid.
    """

    entries: Entries
    keys: npt.NDArray[np.int64]
    records: int
    planes: int

    @staticmethod
    def of(entries: Entries, slab: Slab) -> PlaneRecords:
        """Take what lies in the own planes of what all ranks record."""
        records = int(entries.signal.max(initial=-1)) + 1
        if slab.count == slab.total:
            return PlaneRecords(entries, np.arange(records) * (slab.total + 1), records, slab.total)
        own = (entries.x >= slab.begin) & (entries.x < slab.end)
        shared = np.zeros(records, dtype=bool)
        shared[entries.signal[~own]] = True
        mine = entries.select(own)
        key = mine.signal * (slab.total + 1) + np.where(shared[mine.signal], mine.x + 1, 0)
        keys, number = np.unique(key, return_inverse=True)
        local = replace(mine, x=mine.x - slab.first, signal=number.astype(np.int64))
        return PlaneRecords(local, keys, records, slab.total)

    def together(self, ranks: Ranks, recorded: FloatArray) -> FloatArray | None:
        """All records (steps, records) on the first rank, from those of each rank; None on others."""
        keys = ranks.all_of(self.keys)
        if not ranks.leads:
            for _ in ranks.collect(recorded):
                pass
            return None
        columns = np.concatenate([part.T for part in ranks.collect(recorded)])
        result = np.zeros((recorded.shape[0], self.records))
        order = np.concatenate(keys)
        for place in np.argsort(order, kind="stable"):
            result[:, order[place] // (self.planes + 1)] += columns[place]
        return result
