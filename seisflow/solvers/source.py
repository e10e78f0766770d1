"""Derivatives with respect to the source: seismograms of a unit of each parameter, and their transpose.

A moment tensor adds weighted samples to the stress around its place. What a unit of a parameter adds is linear in the
derivatives of the weights, so one forward run gives the derivative of all seismograms with respect to one parameter,
and one adjoint run, recorded around the source with the same weights, that of a misfit with respect to all.
"""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np

from seisflow.domain import FloatArray, MomentTensor, SourceDerivatives
from seisflow.errors import InputError
from seisflow.native.elastic3d import FIELDS, Entries, level_weights
from seisflow.solvers.setup import Material, Setup, moment_entries, moment_rate, source_place

__all__ = ["direction", "source_derivatives", "source_records"]

_NORMAL = tuple(FIELDS.index(name) for name in ("sxx", "syy", "szz"))
_SHEAR = {FIELDS.index(name): axes for name, axes in (("sxy", (0, 1)), ("sxz", (0, 2)), ("syz", (1, 2)))}
_NEARBY = 1.0
"""Metres over which the meridian convergence is differentiated."""


def _tensor(setup: Setup) -> MomentTensor:
    source = setup.simulation.event.source
    if not isinstance(source, MomentTensor):
        raise InputError(
            f"event {setup.simulation.event.id}: a force has no derivatives of a moment tensor; give it a tensor"
        )
    return source


def direction(setup: Setup, material: Material, name: str) -> Entries:
    """What a unit of a parameter adds to stress, for samples of the moment rate.

    Parameters
    ----------
    setup : Setup
    material : Material
    name : str
        Of ``SourceDerivatives.NAMES``; for ``time`` it is what the source itself adds.
    """
    source, (place, turn) = _tensor(setup), source_place(setup)
    names = SourceDerivatives.NAMES
    if name in names[:6]:
        unit = MomentTensor(*np.eye(6)[names.index(name)])
        return moment_entries(setup, turn.T @ unit.cartesian() @ turn, place, material)
    tensor = turn.T @ source.cartesian() @ turn
    if name == "time":
        return moment_entries(setup, tensor, place, material)
    axis = ("x", "y", "depth").index(name)
    moved = moment_entries(setup, tensor, place, material, slope=axis)
    moved = replace(moved, weight=moved.weight / setup.plan.spacing)
    if axis == 2:
        return moved
    turned = moment_entries(setup, _turning(setup, source.cartesian(), axis), place, material)
    return Entries.join([moved, turned])


def _turning(setup: Setup, tensor: FloatArray, axis: int) -> FloatArray:
    """Derivative of the tensor in local x, y, z as its place moves and the meridian convergence with it, by m."""
    event, projection = setup.simulation.event, setup.simulation.model.projection
    x, y = projection.to_local(event.latitude, event.longitude)
    ends = []
    for step in (_NEARBY, -_NEARBY):
        place = projection.to_geographic(x + step * (axis == 0), y + step * (axis == 1))
        angle = projection.convergence(*place)
        turn = np.eye(3)
        turn[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        ends.append(turn.T @ tensor @ turn)
    result: FloatArray = (ends[0] - ends[1]) / (2 * _NEARBY)
    return result


def source_records(setup: Setup, material: Material) -> Entries:
    """What an adjoint run records for ``source_derivatives``: one record a parameter but ``time``."""
    parts = []
    for number, name in enumerate(SourceDerivatives.NAMES[:-1]):
        part = _dual(setup, material, direction(setup, material, name))
        parts.append(replace(part, signal=np.full(part.x.size, number, dtype=np.int64)))
    return Entries.join(parts)


def _dual(setup: Setup, material: Material, added: Entries) -> Entries:
    """Weighted sum of the strain that belongs to the stress, at the points and with the weights of what is added."""
    parts = []
    for field, axes in _SHEAR.items():
        part = added.select(added.field == field)
        weight = part.weight * level_weights(part.z, half=axes[1] == 2, order=setup.order)
        parts.append(replace(part, weight=weight * _edge_compliance(material[2], part, axes)))
    for field in _NORMAL:
        part = added.select(added.field == field)
        weight = part.weight * level_weights(part.z, half=False, order=setup.order)
        lam, mu = (m[part.x, part.y, part.z] for m in material[1:])
        # plane stress at the surface: the same with lambda' = 2 lambda mu / (lambda + 2 mu), in two dimensions
        plane = 2 * lam * mu / (lam + 2 * mu)
        top = part.z == 0
        trace = np.where(top, plane / (2 * plane + 2 * mu), lam / (3 * lam + 2 * mu))
        for other in _NORMAL:
            shares = ((1.0 if other == field else 0.0) - trace) / (2 * mu)
            shares[top] *= other != _NORMAL[2]
            parts.append(replace(part, field=np.full_like(part.field, other), weight=weight * shares))
    return _merged(Entries.join(parts))


def _edge_compliance(mu: FloatArray, points: Entries, axes: tuple[int, int]) -> FloatArray:
    """1 / mu of an edge: the mean over its four nodes."""
    total: FloatArray = np.zeros(points.x.size)
    for first in (0, 1):
        for second in (0, 1):
            place = [points.x, points.y, points.z]
            place[axes[0]] = place[axes[0]] + first
            place[axes[1]] = place[axes[1]] + second
            total += 0.25 / mu[tuple(place)]
    return total


def _merged(entries: Entries) -> Entries:
    """One entry for each point of a field."""
    keys = np.stack([entries.field, entries.x, entries.y, entries.z])
    points, number = np.unique(keys, axis=1, return_inverse=True)
    weight = np.bincount(number.ravel(), entries.weight, minlength=points.shape[1])
    field, x, y, z = (np.ascontiguousarray(row) for row in points)
    none = np.zeros(weight.size, dtype=np.int64)
    return Entries(field, x, y, z, weight.astype(np.float64), none).select(weight != 0)


def source_derivatives(setup: Setup, records: FloatArray) -> SourceDerivatives:
    """From what ``source_records`` recorded to derivatives.

    Parameters
    ----------
    setup : Setup
    records : ndarray (steps, 9)
        After each step of the adjoint run.
    """

    # step m of the adjoint run meets step steps - 1 - m of the forward run, with its stress before the step
    def against(rate: FloatArray) -> FloatArray:
        found: FloatArray = -(rate[::-1][1:] @ records[:-1])
        return found

    moved = against(moment_rate(setup))
    later = against(setup.rate_slope())[:6] @ np.array(astuple(_tensor(setup)))
    values = [*map(float, moved), float(later)]
    return SourceDerivatives(**dict(zip(SourceDerivatives.NAMES, values, strict=True)))
