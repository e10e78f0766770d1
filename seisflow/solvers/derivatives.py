"""From the sums of an adjoint run of elastic3d to derivatives at the nodes of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seisflow.domain import FloatArray, Kernel
from seisflow.native.elastic3d import SUMS, Entries, Material
from seisflow.native.elastic3d_stencils import level_weights
from seisflow.ranks import Ranks
from seisflow.solvers.regrid import Regrid
from seisflow.solvers.setup import Setup, moment_rate

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
    top = material[dipole.x, dipole.y, 0]
    strain = (rate @ records[:-1]) / (2 * top.c66 * (1 + 2 * top.ratio))
    return dipole, -level_weights(dipole.z, half=False, order=setup.order) * dipole.weight * strain


def _edges(
    setup: Setup, material: Material, sums: dict[str, FloatArray], ranks: Ranks | None
) -> tuple[FloatArray, FloatArray]:
    """Derivatives with respect to 1/c66 at nodes and 1/c44 below them, from those with respect to moduli of edges."""
    own, along_y, along_z = setup.inside
    first, last = setup.slab.first + own.start, setup.slab.first + own.stop
    before, after = int(first > setup.layout.cells), int(last < setup.slab.total - setup.layout.cells)
    if first == last:
        return np.zeros(sums["xy"].shape), np.zeros(sums["xy"].shape)
    wide = (slice(own.start - before, own.stop + after), along_y, along_z)
    compliances = 1 / material.c66[wide], np.ascontiguousarray(material.across[wide])
    last_planes = np.stack([sums["xy"][-1], sums["xz"][-1]])
    neighbour = dict(zip(("xy", "xz"), _of_neighbour(last_planes, before, after, ranks), strict=False))
    result = [np.zeros_like(each) for each in compliances]
    for name, number, axes in (("xy", 0, (0, 1)), ("xz", 1, (0,)), ("yz", 1, (1,))):
        edge, inner = compliances[number], [slice(None)] * 3
        total = np.zeros_like(edge)
        total[before : before + last - first] = sums[name]
        if before and name in neighbour:
            total[0] = neighbour[name]
        if number:
            total[..., -1] = (
                0  # below the last level is no edge; without absorbing layers the sums there are not finite
            )
        for axis in axes:
            edge, inner[axis] = _averaged(edge, axis), slice(0, -1)
        total[tuple(inner)] *= -1 / edge**2
        for axis in axes:
            total = _spread(total, axis)
        result[number] += total
    mine = slice(before, before + last - first)
    return result[0][mine], result[1][mine]


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
    here = material[inside]
    factor = -plan.snapshot_every * scale
    step = plan.time_step / plan.spacing
    elastic = factor * step**2
    total = dict(zip(SUMS, sums, strict=True))
    d33, d66 = (elastic * total[name].astype(np.float64) for name in ("c33", "c66"))
    d_ratio = factor * step * total["ratio"].astype(np.float64)  # holds a modulus in the units of the arrays
    d_flat, across = (elastic * each for each in _edges(setup, material, total, ranks))
    d66 -= d_flat / here.c66**2
    for points, values in surface:
        place = (points.x - inside[0].start, points.y - setup.layout.cells, points.z)
        np.add.at(d_ratio, place, values)
    d_rho = factor * total["rho"].astype(np.float64)
    regrid = Regrid(setup.simulation.model.grid, setup.layout, setup.slab, ranks, setup.attenuation)
    kernel = regrid.gradient(setup.simulation.model, here, Material(d_rho, d_ratio, d33, d66, across))
    light = np.sqrt(total["forward"].astype(np.float64)) * np.sqrt(total["adjoint"].astype(np.float64))
    light *= scale * plan.snapshot_every
    illumination = regrid.mean(light)
    return None if kernel is None else replace(kernel, illumination=illumination)
