"""Planes of a simulation grid that one memory holds, where several share the grid."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Slab", "ghosts"]


def ghosts(order: int, steps: int) -> int:
    """Planes of a neighbour that a passage of so many time steps needs: a stage reaches order / 2 - 1/2 points."""
    return steps * (order - 1)


@dataclass(frozen=True)
class Slab:
    """Neighbouring planes along x.

    Parameters
    ----------
    total : int
        Planes of the whole grid.
    first, count : int
        Number of the first plane in the whole grid, and planes that are held.
    low, high : int
        Planes at either end that belong to a neighbour and are held as a copy.
    """

    total: int
    first: int
    count: int
    low: int = 0
    high: int = 0

    @staticmethod
    def whole(planes: int) -> Slab:
        """All of a grid."""
        return Slab(planes, 0, planes)

    @property
    def begin(self) -> int:
        """Number, in the whole grid, of the first plane that is no copy."""
        return self.first + self.low

    @property
    def end(self) -> int:
        """One more than the number of the last plane that is no copy."""
        return self.first + self.count - self.high

    def layers(self, cells: int) -> tuple[int, int]:
        """First plane of the absorbing layers along x that is held, and how many.

        They are numbered as in the kernel: ``cells`` planes at the beginning of the grid, one more at its end.
        """
        found = []
        for plane in range(self.first, self.first + self.count) if cells else ():
            if plane < cells:
                found.append(plane)
            elif plane >= self.total - 1 - cells:
                found.append(plane - (self.total - 1 - 2 * cells))
        return (found[0], len(found)) if found else (0, 0)

    def inside(self, cells: int) -> slice:
        """Own planes outside the absorbing layers, by their number in this memory."""
        first, last = max(self.begin, cells), min(self.end, self.total - cells)
        return slice(first - self.first, max(first, last) - self.first)
