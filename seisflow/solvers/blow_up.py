"""Where a wave field of elastic3d ceases to be finite.

The kernel looks at the field every 48 steps; by then what went wrong has spread over a hundred points or more. So the
run is done again from the beginning, by steps of one from the last look on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.native.cuda_elastic3d import CudaElastic3D
from seisflow.ranks import Ranks
from seisflow.solvers.setup import Setup

__all__ = ["Place", "first_place"]

_LOOK = 48
"""Steps between looks at the field, as in the kernel."""


@dataclass(frozen=True)
class Place:
    """A point of the simulation grid and the step after which it is the first that is not finite.

    Parameters
    ----------
    step : int
        Counted from 1.
    point : tuple of 3 int
        In the whole grid.
    """

    step: int
    point: tuple[int, int, int]

    def told(self, setup: Setup) -> str:
        """The place in words: metres, degrees, absorbing layer, speed, and the nearest of source and stations."""
        layout, simulation = setup.layout, setup.simulation
        model, projection = simulation.model, simulation.model.projection
        x, y, z = (float(layout.axis(axis)[number]) for axis, number in enumerate(self.point))
        latitude, longitude = projection.to_geographic(x, y)
        nodes = tuple(
            int(np.clip(np.rint((value - start) / step), 0, count - 1))
            for value, start, step, count in zip(
                (x, y, z), model.grid.origin, model.grid.spacing, model.grid.shape, strict=True
            )
        )
        words = f"x = {x:.0f} m, y = {y:.0f} m, depth {z:.0f} m ({latitude:.4f}, {longitude:.4f})"
        if layer := self._layer(setup):
            words += f" in the absorbing layer {layer}"
        event = simulation.event
        others = [("the source", event.latitude, event.longitude, event.depth)]
        others += [(f"station {s.id}", s.latitude, s.longitude, s.burial) for s in simulation.stations]
        away = [
            float(np.linalg.norm(np.subtract((*projection.to_local(lat, lon), deep), (x, y, z))))
            for _, lat, lon, deep in others
        ]
        near = int(np.argmin(away))
        return f"{words}, {away[near] / 1e3:.1f} km from {others[near][0]}, vp {model.vp[nodes]:.0f} m/s"

    def _layer(self, setup: Setup) -> str:
        sides = (("in the west", "in the east"), ("in the south", "in the north"), ("", "at the bottom"))
        for number, inside, names in zip(self.point, setup.layout.inside, sides, strict=True):
            if number < inside.start:
                return names[0]
            if number >= inside.stop:
                return names[1]
        return ""


def _not_finite(grid: Any, setup: Setup) -> npt.NDArray[np.int64]:
    """Own points with a velocity that is not finite, by their number in the whole grid; (n, 3)."""
    if isinstance(grid, CudaElastic3D):
        velocity = list(grid.fields()[:3])
    else:
        velocity = [grid.view(name) for name in ("vx", "vy", "vz")]
    slab, found = setup.slab, []
    for plane in range(slab.low, slab.count - slab.high):
        bad = ~np.isfinite(sum(field[plane] * 0 for field in velocity))
        rows, levels = np.nonzero(bad)
        found.append(np.stack([np.full(rows.size, slab.first + plane), rows, levels], axis=1))
    return np.concatenate(found)


def _middle(points: npt.NDArray[np.int64]) -> tuple[int, int, int]:
    """The point that is nearest to the mean of all."""
    away = np.sum((points - points.mean(axis=0)) ** 2, axis=1)
    x, y, z = points[int(np.argmin(away))].tolist()
    return x, y, z


def first_place(run: Any, found: int) -> Place | None:
    """Do a run again and find where its field is not finite first; by all ranks.

    Parameters
    ----------
    run : Run
        That was found not finite.
    found : int
        The step after which it was, counted from 1.

    Returns
    -------
    Place
        None if the run does not fail again.
    """
    grid, setup = run.grid, run.setup
    ranks: Ranks | None = run.ranks
    grid.reset()
    driven = (run.forces, run.moments, run.receivers, grid.snapshots(None))
    step, bad = (found - 1) // _LOOK * _LOOK, 0
    if step:
        bad = grid.advance(*driven, 0, step)
    while not bad and step < found:
        bad, step = grid.advance(*driven, step, 1), step + 1
    run.settle()
    with np.errstate(invalid="ignore"):
        points = _not_finite(grid, setup)
    best = (points.shape[0], _middle(points)) if bad and points.size else (0, (0, 0, 0))
    each = [best] if ranks is None else ranks.all_of(best)
    count, point = max(each, key=lambda one: one[0])
    return Place(int(bad), point) if count else None
