"""Regular grids in local Cartesian coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.errors import InputError

__all__ = ["FloatArray", "Grid"]

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Grid:
    """Nodes of a regular grid: x east, y north, z down, metres; z = 0 is the free surface.

    Parameters
    ----------
    origin : tuple of 3 float
        Coordinates of node (0, 0, 0) in m.
    spacing : tuple of 3 float
        Distance of neighbouring nodes along x, y, z in m.
    shape : tuple of 3 int
        Number of nodes along x, y, z. Arrays on the grid have this shape, z fastest in memory.
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if min(self.shape) < 2:
            raise InputError(f"a grid needs at least 2 nodes along each axis, found shape {self.shape}")
        if min(self.spacing) <= 0 or not np.all(np.isfinite(self.spacing + self.origin)):
            raise InputError(
                f"grid spacing must be positive, found {self.spacing} m with origin {self.origin} m"
            )

    def axis(self, number: int) -> FloatArray:
        """Coordinates of the nodes along axis 0 (x), 1 (y) or 2 (z), in m."""
        return self.origin[number] + self.spacing[number] * np.arange(self.shape[number], dtype=np.float64)

    @property
    def x(self) -> FloatArray:
        """East coordinates of the nodes in m, shape (nx,)."""
        return self.axis(0)

    @property
    def y(self) -> FloatArray:
        """North coordinates of the nodes in m, shape (ny,)."""
        return self.axis(1)

    @property
    def z(self) -> FloatArray:
        """Depths of the nodes in m, shape (nz,)."""
        return self.axis(2)

    @property
    def end(self) -> tuple[float, float, float]:
        """Coordinates of the last node in m."""
        o, s, n = self.origin, self.spacing, self.shape
        return (o[0] + s[0] * (n[0] - 1), o[1] + s[1] * (n[1] - 1), o[2] + s[2] * (n[2] - 1))

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def contains(self, point: tuple[float, float, float]) -> bool:
        """Whether a point (x, y, z in m) lies within the box of the nodes."""
        return all(a <= p <= b for a, p, b in zip(self.origin, point, self.end, strict=True))
