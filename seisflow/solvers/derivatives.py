"""From the sums of an adjoint run of elastic3d to derivatives at the nodes of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seisflow.domain import FloatArray, Kernel
from seisflow.native.elastic3d import SUMS, Entries, level_weights
from seisflow.ranks import Ranks
from seisflow.solvers.regrid import Regrid
from seisflow.solvers.setup import Material, Setup, moment_rate

__all__ = ["elastic_part", "model_kernel", "stress_records", "surface_terms"]

_EDGES = 20
"""Tag of the message with sums on edges."""


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


def stress_records(dipole: Entries) -> Entries:
    """Record sxx + syy at the nodes of ``surface_dipole``, one record a node."""
    ones = np.ones(dipole.x.size)
    both = [replace(dipole, field=np.full(dipole.x.size, f, dtype=np.int64), weight=ones) for f in (3, 4)]
    joined = Entries.join(both)
    return joined.select(np.argsort(joined.signal, kind="stable"))


def elastic_part(records: FloatArray, relaxing: tuple[FloatArray, FloatArray] | None) -> FloatArray:
    """Stress that would be there without relaxation, for the same strain.

    Parameters
    ----------
    records : ndarray (steps, nodes)
        Stress after each step.
    relaxing : tuple of 2 ndarray (nodes,), optional
        Decay and gain of the memory variable of each node, see ``kernels/include/elastic3d.h``.
    """
    if relaxing is None or records.size == 0:
        return records
    decay, gain = relaxing
    result, memory = np.empty_like(records), np.zeros(records.shape[1])
    total, before = np.zeros(records.shape[1]), np.zeros(records.shape[1])
    for step, stress in enumerate(records):
        change = (stress - before + (1 + decay) * memory) / (1 - gain)
        memory = decay * memory + gain * change
        total, before = total + change, stress
        result[step] = total
    return result


def surface_terms(
    setup: Setup, material: Material, dipole: Entries, records: FloatArray
) -> tuple[Entries, FloatArray]:
    """dJ/d(lambda / (lambda + 2 mu)) at the nodes of ``surface_dipole``.

    ``records`` (steps, nodes) are sxx + syy after each step of the adjoint run, without what relaxation took from them:
    a source acts on strain.
    """
    # step m of the adjoint run meets step steps - 1 - m of the forward run, with its stress before the step
    rate = moment_rate(setup)[::-1][1:]
    lam, mu = (m[dipole.x, dipole.y, 0] for m in material[1:])
    plane = 2 * lam * mu / (lam + 2 * mu)
    strain = (rate @ records[:-1]) / (2 * plane + 2 * mu)
    return dipole, -level_weights(dipole.z, half=False, order=setup.order) * dipole.weight * strain


def _add_edges(
    d_mu: FloatArray,
    setup: Setup,
    factor: float,
    mu: FloatArray,
    sums: dict[str, FloatArray],
    ranks: Ranks | None,
) -> None:
    """Add what the shear moduli of edges give to the nodes: 1/mu of an edge is the mean over its four nodes."""
    own, along_y, along_z = setup.inside
    first, last = setup.slab.first + own.start, setup.slab.first + own.stop
    before, after = int(first > setup.layout.cells), int(last < setup.slab.total - setup.layout.cells)
    if first == last:
        return
    mu = np.ascontiguousarray(mu[own.start - before : own.stop + after, along_y, along_z])
    last_planes = np.stack([sums["xy"][-1], sums["xz"][-1]])
    neighbour = dict(zip(("xy", "xz"), _of_neighbour(last_planes, before, after, ranks), strict=False))
    for name, one, other in (("xy", 0, 1), ("xz", 0, 2), ("yz", 1, 2)):
        total = np.zeros_like(mu)
        total[before : before + last - first] = sums[name]
        if before and name in neighbour:
            total[0] = neighbour[name]
        edge = np.zeros_like(mu)
        inner = tuple(slice(0, -1) if axis in (one, other) else slice(None) for axis in range(3))
        edge[inner] = 1 / _averaged(_averaged(1 / mu, one), other)
        added = _spread(_spread(factor * edge**2 * total, one), other) / mu**2
        d_mu += added[before : before + last - first]


def _of_neighbour(planes: FloatArray, before: int, after: int, ranks: Ranks | None) -> FloatArray:
    """The last planes of the rank before this one; nothing where there is none."""
    if ranks is None or not (before or after):
        return planes[:0]
    sending = ranks.start_send(planes, ranks.rank + 1, _EDGES) if after else None
    found = np.empty_like(planes)
    if before:
        ranks.start_receive(found, ranks.rank - 1, _EDGES).Wait()
    if sending is not None:
        sending.Wait()
    return found if before else found[:0]


def model_kernel(
    setup: Setup,
    material: Material,
    sums: FloatArray,
    scale: float,
    surface: list[tuple[Entries, FloatArray]],
    ranks: Ranks | None = None,
) -> Kernel | None:
    """From the sums of the adjoint run to derivatives at the model nodes (chain rules of docs/solver.md).

    On ranks other than the first None.
    """
    plan, inside = setup.plan, setup.inside
    rho, lam, mu = (np.ascontiguousarray(m[inside]) for m in material)
    factor = -plan.snapshot_every * scale
    elastic = factor * (plan.time_step / plan.spacing) ** 2
    total = dict(zip(SUMS, sums, strict=True))
    d_lam, d_mu = elastic * total["lam"].astype(np.float64), elastic * total["mu"].astype(np.float64)
    _add_edges(d_mu, setup, elastic, material[2], total, ranks)
    top_lam, top_mu, plane = lam[:, :, 0], mu[:, :, 0], d_lam[:, :, 0].copy()
    d_mu[:, :, 0] += plane * 2 * top_lam**2 / (top_lam + 2 * top_mu) ** 2
    d_lam[:, :, 0] = plane * 4 * top_mu**2 / (top_lam + 2 * top_mu) ** 2
    for points, values in surface:
        place = (points.x - inside[0].start, points.y - setup.layout.cells, points.z)
        stiff = (lam[place] + 2 * mu[place]) ** 2
        np.add.at(d_lam, place, values * 2 * mu[place] / stiff)
        np.add.at(d_mu, place, -values * 2 * lam[place] / stiff)
    d_rho = factor * total["rho"].astype(np.float64)
    regrid = Regrid(setup.simulation.model.grid, setup.layout, setup.slab, ranks, setup.attenuation)
    kernel = regrid.gradient(setup.simulation.model, (rho, lam, mu), (d_rho, d_lam, d_mu))
    light = np.sqrt(total["forward"].astype(np.float64)) * np.sqrt(total["adjoint"].astype(np.float64))
    light *= scale * plan.snapshot_every
    illumination = regrid.mean(light)
    return None if kernel is None else replace(kernel, illumination=illumination)
