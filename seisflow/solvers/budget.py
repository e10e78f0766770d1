"""What a run of elastic3d takes of memory, and how a gradient is made to fit."""

from __future__ import annotations

from dataclasses import dataclass

from seisflow.native.elastic3d import SUMS, memory, state_memory
from seisflow.solvers.base import Simulation
from seisflow.solvers.decomposition import Shares
from seisflow.solvers.regrid import Layout
from seisflow.solvers.stored import AT_ONCE, fewest_segments

__all__ = ["Budget", "budget"]


@dataclass(frozen=True)
class Budget:
    """Bytes of the rank that needs most.

    Parameters
    ----------
    forward, gradient : int
        Of a forward run, and of forward, stored velocity and adjoint.
    segments : int
        Parts that the forward run is cut into; above 1 it is repeated, part by part.
    """

    forward: int
    gradient: int
    segments: int


@dataclass(frozen=True)
class _Sizes:
    order: int
    itemsize: int
    attenuation: bool
    half: bool


@dataclass(frozen=True)
class _Needs:
    """Bytes of one rank: a forward run, its grid, sums, a snapshot, a state; what the kernel is made in from the sums.

    That is when the grids are given up.
    """

    forward: int
    grid: int
    sums: int
    kernel: int
    snapshot: int
    state: int
    staging: int

    def gradient(self, slots: int, parts: int) -> int:
        stored = -(-slots // parts) * self.snapshot + (parts - 1) * self.state + self.staging
        without = self.forward - self.grid + self.sums + stored
        return without + max((2 if parts > 1 else 1) * self.grid, self.kernel)


def budget(  # noqa: PLR0913 - what decides it
    simulation: Simulation, layout: Layout, shares: Shares, *, order: int, itemsize: int, counts: tuple[int, int],
    limit: float, attenuation: bool,
    half: bool = False,
) -> Budget:  # fmt: skip
    """Choose the least number of segments with which a gradient stays below a limit.

    Parameters
    ----------
    simulation : Simulation
    layout : Layout
    shares : Shares
    order : {4, 8}
    itemsize : int
        Bytes of a number of the fields.
    counts : tuple of 2 int
        Time steps, and stored velocities.
    limit : float
        Bytes of one rank.
    attenuation : bool
        Whether waves are attenuated.
    half : bool
        Whether velocities are stored in half precision.
    """
    steps, slots = counts
    sizes = _Sizes(order, itemsize, attenuation, half)
    needs = [_needs(simulation, layout, shares, rank, sizes, steps) for rank in range(len(shares.slabs))]
    most = max(needs, key=lambda each: each.gradient(slots, 1))
    parts = 1
    if most.gradient(slots, 1) > limit:
        room = int(limit) - (most.gradient(0, 2) - most.state)
        found = fewest_segments(slots, most.snapshot, most.state, room)
        parts = found or max(1, round((slots * most.snapshot / most.state) ** 0.5))
    return Budget(
        max(each.forward for each in needs), max(each.gradient(slots, parts) for each in needs), parts
    )


def _needs(
    simulation: Simulation, layout: Layout, shares: Shares, rank: int, sizes: _Sizes, steps: int
) -> _Needs:
    order, itemsize, loss, half = sizes.order, sizes.itemsize, sizes.attenuation, sizes.half
    slab, cells = shares.slabs[rank], layout.cells
    along_x = slab.inside(cells)
    inside = (along_x.stop - along_x.start, *(s.stop - s.start for s in layout.inside[1:]))
    shape = (slab.count, *layout.shape[1:])
    grid = memory(shape, cells, itemsize, order, slab, attenuation=loss)
    points = shape[0] * shape[1] * shape[2]
    forward = grid + (96 if loss else 48) * points + steps * (7 * len(simulation.stations) * 8 + 16)
    if len(shares.slabs) > 1:
        # the copies in messages; on the first rank also the model and its kernel, on the nodes of the model
        copies = (
            state_memory(shape, cells, itemsize, order, slab, attenuation=loss)
            * (slab.low + slab.high)
            // slab.count
        )
        forward += 2 * copies
        forward += 12 * 8 * simulation.model.vp.size if rank == 0 else 0
    around = (inside[0] + order) * (inside[1] + order) * (inside[2] + order // 2)
    return _Needs(
        forward, grid, len(SUMS) * itemsize * inside[0] * inside[1] * inside[2],
        12 * 8 * inside[0] * inside[1] * inside[2],
        3 * (2 if half else itemsize) * around,
        state_memory(shape, cells, itemsize, order, slab, attenuation=loss),
        3 * AT_ONCE * itemsize * around if half else 0,
    )  # fmt: skip
