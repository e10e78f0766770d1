"""The sum of event kernels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError, PhysicsError

__all__ = ["sum_kernels"]


def sum_kernels(kernels: Iterable[tuple[str, float, Kernel]]) -> Kernel:
    """Weighted sum of event kernels, in double precision and in the order in which they come.

    The sum of floating-point numbers depends on their order: give the events in a fixed one. A generator that
    reads one file at a time keeps one kernel and the sum in memory.

    Parameters
    ----------
    kernels : iterable of (event id, weight, Kernel)
        All on one grid. Illuminations are added with the absolute weights.

    Returns
    -------
    Kernel
        Without illumination if one of the kernels has none.

    Raises
    ------
    InputError
        If there is no kernel, or the grids differ.
    PhysicsError
        If a kernel holds NaN or infinity, or the sum is zero everywhere.
    """
    grid: Grid | None = None
    total: dict[str, FloatArray] = {}
    illumination: FloatArray | None = None
    for event, weight, kernel in kernels:
        if grid is None:
            grid = kernel.grid
            total = {name: np.zeros(grid.shape) for name in Model.PARAMETERS}
            illumination = np.zeros(grid.shape)
        _check(event, weight, kernel, grid)
        for name, values in kernel.fields().items():
            total[name] += weight * values
        if illumination is None or kernel.illumination is None:
            illumination = None
        else:
            illumination += abs(weight) * kernel.illumination
    if grid is None:
        raise InputError("there is no event kernel to sum; compute the gradients of this iteration first")
    if not any(values.any() for values in total.values()):
        raise PhysicsError(
            "the summed kernel is zero everywhere: look for events without windows, or for observed traces "
            "that are "
            "the synthetic ones"
        )
    return Kernel(grid, **total, illumination=illumination, source=None)


def _check(event: str, weight: float, kernel: Kernel, grid: Grid) -> None:
    if kernel.grid != grid:
        raise InputError(
            f"kernel of event {event} is on {kernel.grid}, the others on {grid}; compute it again"
        )
    if not np.isfinite(weight):
        raise PhysicsError(f"event {event} has the weight {weight}; weights must be finite")
    for name, values in kernel.fields().items():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise PhysicsError(
                f"kernel of event {event}: {name} is NaN or infinite at {bad} nodes; the simulation was "
                "unstable or "
                "its adjoint source was not finite"
            )
