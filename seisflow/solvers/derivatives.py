"""From the sums of an adjoint run of elastic3d to derivatives at the nodes of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seisflow.domain import FloatArray, Kernel
from seisflow.native.elastic3d import SUMS
from seisflow.solvers.regrid import Regrid
from seisflow.solvers.setup import Setup

__all__ = ["model_kernel"]


def _averaged(values: FloatArray, axis: int) -> FloatArray:
    """Mean of neighbours along an axis."""
    first, second = [slice(None)] * 3, [slice(None)] * 3
    first[axis], second[axis] = slice(0, -1), slice(1, None)
    result: FloatArray = 0.5 * (values[tuple(first)] + values[tuple(second)])
    return result


def _spread(values: FloatArray, axis: int) -> FloatArray:
    """Transpose of ``_averaged`` of arrays that hold one more (unused) half point along the axis."""
    first, second = [slice(None)] * 3, [slice(None)] * 3
    first[axis], second[axis] = slice(0, -1), slice(1, None)
    result: FloatArray = np.zeros_like(values)
    result[tuple(first)] += 0.5 * values[tuple(first)]
    result[tuple(second)] += 0.5 * values[tuple(first)]
    return result


def model_kernel(
    setup: Setup, material: tuple[FloatArray, FloatArray, FloatArray], sums: FloatArray, scale: float
) -> Kernel:
    """From the sums of the adjoint run to derivatives at the model nodes (chain rules of docs/solver.md)."""
    plan, inside = setup.plan, setup.layout.inside
    rho, lam, mu = (np.ascontiguousarray(m[inside]) for m in material)
    factor = -plan.snapshot_every * scale
    elastic = factor * (plan.time_step / plan.spacing) ** 2
    total = dict(zip(SUMS, sums, strict=True))
    d_lam, d_mu = elastic * total["lam"].astype(np.float64), elastic * total["mu"].astype(np.float64)
    for name, first, second in (("xy", 0, 1), ("xz", 0, 2), ("yz", 1, 2)):
        # 1/mu of an edge is the mean over its four nodes
        edge = np.zeros_like(mu)
        inner = tuple(slice(0, -1) if axis in (first, second) else slice(None) for axis in range(3))
        edge[inner] = 1 / _averaged(_averaged(1 / mu, first), second)
        shared = elastic * edge**2 * total[name]
        d_mu += _spread(_spread(shared, first), second) / mu**2
    top_lam, top_mu, plane = lam[:, :, 0], mu[:, :, 0], d_lam[:, :, 0].copy()
    d_mu[:, :, 0] += plane * 2 * top_lam**2 / (top_lam + 2 * top_mu) ** 2
    d_lam[:, :, 0] = plane * 4 * top_mu**2 / (top_lam + 2 * top_mu) ** 2
    d_rho = factor * total["rho"].astype(np.float64)
    regrid = Regrid(setup.simulation.model.grid, setup.layout)
    kernel = regrid.gradient(setup.simulation.model, (rho, lam, mu), (d_rho, d_lam, d_mu))
    light = np.sqrt(total["forward"].astype(np.float64)) * np.sqrt(total["adjoint"].astype(np.float64))
    light *= scale * plan.snapshot_every
    return replace(kernel, illumination=regrid.mean(light))
