"""Which blocks of rows and how many time steps a passage suit the caches of this machine: found out by trying."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["TileChoice"]

_TRIAL = 8
"""Steps of one trial: whole passages of every candidate."""
_CANDIDATES = ((64, 4), (32, 4), (16, 2), (12, 2), (24, 1))
"""Rows and steps, from large caches to small ones. Zen 4 (1 MB a core, 32 MB fast and shared) is best with the first,
a Xeon (2 MB a core, a large and slow one shared) twice as fast with the last three as with it."""
_ROUNDS = 2
_FOUND: dict[Hashable, tuple[int, int]] = {}


class TileChoice:
    """The choice for one kind of grid; results do not depend on it by a bit, and trials are steps of the run.

    Parameters
    ----------
    kind : hashable
        What the speed depends on; all grids of a kind in this process share what the first of them found.
    steps : int, optional
        Time steps of a passage, if they are given.
    """

    def __init__(self, kind: Hashable, steps: int | None = None) -> None:
        self._kind = (kind, steps)
        self._candidates = tuple((rows, steps or each) for rows, each in _CANDIDATES)
        self._seconds: list[float] = []

    @property
    def next(self) -> tuple[int, int]:
        """Rows and steps to go on with: the best, or what is tried next."""
        return _FOUND.get(self._kind, self._candidates[len(self._seconds) % len(self._candidates)])

    @property
    def found(self) -> bool:
        """Whether the best is known."""
        return self._kind in _FOUND

    def advance(self, grid: Any, run: Callable[[int, int], int], first: int, steps: int) -> int:
        """Run steps ``first`` to ``first + steps``, in trials until the best is known; what ``run`` returns.

        Parameters
        ----------
        grid : GridStruct
            Its ``block`` and ``sweep`` are set.
        run : callable
            Gets the first step and how many; returns other than 0 if it has to stop.
        first, steps : int
        """
        while not self.found and steps >= _TRIAL:
            grid.block, grid.sweep = self.next
            begun = time.perf_counter()
            if bad := run(first, _TRIAL):
                return bad
            self.note(time.perf_counter() - begun)
            first, steps = first + _TRIAL, steps - _TRIAL
        grid.block, grid.sweep = self.next
        return run(first, steps) if steps else 0

    def note(self, seconds: float) -> None:
        """How long the trial took; of some rounds the shortest counts."""
        self._seconds.append(seconds)
        many = len(self._candidates)
        if len(self._seconds) == _ROUNDS * many:
            least = [min(self._seconds[number::many]) for number in range(many)]
            _FOUND[self._kind] = self._candidates[least.index(min(least))]
