"""Derivatives with respect to the source: seismograms of a unit of each parameter, and their transpose.

A moment tensor adds weighted samples to the stress around its place. What a unit of a parameter adds is linear in the
derivatives of the weights, so one forward run gives the derivative of all seismograms with respect to one parameter,
and one adjoint run that of a misfit with respect to all: by the strain of that run around the source, with the same
weights. Strain is summed up from velocity, not taken from stress, so it does not matter whether stress relaxes.
"""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray, MomentTensor, SourceDerivatives
from seisflow.errors import InputError
from seisflow.native.elastic3d import FIELDS, Entries, Material
from seisflow.native.elastic3d_stencils import level_weights, stencils
from seisflow.ranks import Ranks
from seisflow.solvers.base import Simulation
from seisflow.solvers.setup import (
    Setup,
    moment_entries,
    moment_parts,
    moment_rate,
    plane_ratio,
    source_place,
)

__all__ = ["SourceRecords", "direction", "source_derivatives", "tensor_of"]

_NEARBY = 1.0
"""Metres over which the meridian convergence is differentiated."""
_STRAIN = {
    "sxx": (("vx", 0, 0),), "syy": (("vy", 1, 0),), "szz": (("vz", 2, 0),),
    "sxy": (("vy", 0, 1), ("vx", 1, 1)), "sxz": (("vz", 0, 1), ("vx", 2, 1)), "syz": (("vz", 1, 1), ("vy", 2, 1)),
}  # fmt: skip
"""Derivatives that belong to a stress: velocity, axis, and 1 where the place lies half a cell after a point of it."""
_Part = tuple[FloatArray, int | None, float]


def tensor_of(simulation: Simulation) -> MomentTensor:
    """The moment tensor of the event; a force is refused."""
    source = simulation.event.source
    if not isinstance(source, MomentTensor):
        raise InputError(
            f"event {simulation.event.id}: a force has no derivatives of a moment tensor; give it a tensor"
        )
    return source


def _unit(setup: Setup, name: str) -> list[_Part]:
    """A unit of a parameter: tensors in local x, y, z, the axis of a derivative of the weights, and a factor."""
    source, (_, turn) = tensor_of(setup.simulation), source_place(setup)
    names = SourceDerivatives.NAMES
    if name in names[:6]:
        unit = MomentTensor(*np.eye(6)[names.index(name)])
        return [(turn.T @ unit.cartesian() @ turn, None, 1.0)]
    tensor = turn.T @ source.cartesian() @ turn
    if name == "time":
        return [(tensor, None, 1.0)]
    axis = ("x", "y", "depth").index(name)
    moved: list[_Part] = [(tensor, axis, 1 / setup.plan.spacing)]
    return moved if axis == 2 else [*moved, (_turning(setup, source.cartesian(), axis), None, 1.0)]


def direction(setup: Setup, material: Material, name: str) -> Entries:
    """What a unit of a parameter adds to the stress in this memory, for samples of the moment rate.

    Parameters
    ----------
    setup : Setup
    material : Material
    name : str
        Of ``SourceDerivatives.NAMES``; for ``time`` it is what the source itself adds.
    """
    place, _ = source_place(setup)
    parts = []
    for tensor, slope, factor in _unit(setup, name):
        part = moment_entries(setup, tensor, place, material, slope=slope)
        parts.append(replace(part, weight=factor * part.weight))
    return Entries.join(parts)


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


class SourceRecords:
    """What an adjoint run records for the derivatives: rates of strain, one record a parameter but ``time``.

    A vertical dipole at the surface acts through plane stress, by a ratio of the moduli that only the rank which has
    them knows; so strain along x and y is recorded at those nodes too.

    Parameters
    ----------
    setup : Setup

    Attributes
    ----------
    entries : Entries
        Points of velocity, of all planes.
    count : int
        Records.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        place, _ = source_place(setup)
        parts, tops = [], []
        for number, name in enumerate(SourceDerivatives.NAMES[:-1]):
            for tensor, slope, factor in _unit(setup, name):
                below, top = moment_parts(setup, tensor, place, slope)
                parts += [_of(part, factor, number) for part in below]
                tops.append(_of(top, factor, number))
        self._top = Entries.join(tops)
        nodes = _at_nodes(self._top)
        self._nodes = nodes
        first = len(SourceDerivatives.NAMES) - 1
        for name in ("sxx", "syy"):
            field = np.full(nodes.x.size, FIELDS.index(name), dtype=np.int64)
            parts.append(replace(nodes, field=field, signal=nodes.signal + first))
        self.count = first + nodes.x.size
        self.entries = _rates(Entries.join(parts), setup)

    def strain(self, records: FloatArray, ratio: FloatArray) -> FloatArray:
        """Strain after each step by parameter, (steps, 9), from the records and the ratio of moduli at ``nodes``."""
        first, top = len(SourceDerivatives.NAMES) - 1, self._top
        rates = records[:, :first].copy()
        if top.x.size:
            share = np.zeros((self._nodes.x.size, first))
            np.add.at(share, (_number(self._nodes, top), top.signal), -top.weight)
            rates += records[:, first:] @ (share * ratio[:, None])
        result: FloatArray = np.cumsum(rates, axis=0)
        return result * (self._setup.plan.time_step / self._setup.plan.spacing)

    def ratio(self, material: Material, ranks: Ranks | None) -> FloatArray:
        """Lambda / (lambda + 2 mu) at the nodes of the surface, of all planes; all ranks call it."""
        setup, nodes = self._setup, self._nodes
        result = np.zeros(nodes.x.size)
        own = (nodes.x >= setup.slab.begin) & (nodes.x < setup.slab.end)
        result[own] = plane_ratio(material, setup.own(nodes))
        return result if ranks is None else np.sum(ranks.all_of(result), axis=0)


def _of(part: Entries, factor: float, number: int) -> Entries:
    return replace(
        part, weight=factor * part.weight, signal=np.full(part.x.size, number, dtype=np.int64)
    ).select(part.weight != 0)


def _at_nodes(top: Entries) -> Entries:
    """One entry of weight 1 for each node of some, numbered."""
    places = np.unique(np.stack([top.x, top.y]), axis=1)
    x, y = (np.ascontiguousarray(row) for row in places)
    none = np.zeros(x.size, dtype=np.int64)
    return Entries(none, x, y, none, np.ones(x.size), np.arange(x.size, dtype=np.int64))


def _number(nodes: Entries, top: Entries) -> npt.NDArray[np.int64]:
    """Which of the nodes each entry is at."""
    wide = int(nodes.y.max()) + 1
    return np.searchsorted(nodes.x * wide + nodes.y, top.x * wide + top.y).astype(np.int64)


def _rates(stress: Entries, setup: Setup) -> Entries:
    """Points of velocity whose weighted sum is that of the rates of strain, by grid unit, at points of stress."""
    parts = []
    for name, derivatives in _STRAIN.items():
        part = stress.select(stress.field == FIELDS.index(name))
        levels = level_weights(part.z, half=name in ("sxz", "syz"), order=setup.order)
        part = replace(part, weight=part.weight * levels)
        for velocity, axis, half in derivatives:
            parts += _derivative(part, FIELDS.index(velocity), axis, half, setup.order)
    return _merged(Entries.join(parts), setup.layout.shape)


def _derivative(points: Entries, field: int, axis: int, half: int, order: int) -> list[Entries]:
    """Entries of a field whose sum is the derivative along an axis at some points, times their weights."""
    table, parts = stencils(order), []
    rows = table.half if half else table.node
    near = (points.z < len(rows)) & (axis == 2)
    top, inside = points.select(near), points.select(~near)
    if top.x.size:
        for level in range(rows.shape[1]):
            weight = top.weight * rows[top.z, level]
            parts.append(
                replace(top, field=np.full_like(top.x, field), z=np.full_like(top.z, level), weight=weight)
            )
    for number, coefficient in enumerate(table.interior):
        for shift, sign in ((number + half, 1.0), (half - 1 - number, -1.0)):
            moved = {"xyz"[axis]: (inside.x, inside.y, inside.z)[axis] + shift}
            weight = sign * coefficient * inside.weight
            parts.append(replace(inside, field=np.full_like(inside.x, field), weight=weight, **moved))
    return parts


def _merged(entries: Entries, shape: tuple[int, int, int]) -> Entries:
    """One entry for each point of a field in a record, sorted by record; without those outside, where nothing moves."""
    keys = np.stack([entries.signal, entries.x, entries.y, entries.z, entries.field])
    points, number = np.unique(keys, axis=1, return_inverse=True)
    weight = np.bincount(number.ravel(), entries.weight, minlength=points.shape[1]).astype(np.float64)
    signal, x, y, z, field = (np.ascontiguousarray(row) for row in points)
    there = weight != 0
    for values, count in zip((x, y, z), shape, strict=True):
        there &= (values >= 0) & (values < count)
    return Entries(field, x, y, z, weight, signal).select(there)


def source_derivatives(setup: Setup, strain: FloatArray) -> SourceDerivatives:
    """From strain to derivatives.

    Parameters
    ----------
    setup : Setup
    strain : ndarray (steps, 9)
        After each step of the adjoint run, see ``SourceRecords``.
    """

    # step m of the adjoint run meets step steps - 1 - m of the forward run, with its strain before the step
    def against(rate: FloatArray) -> FloatArray:
        found: FloatArray = -(rate[::-1][1:] @ strain[:-1])
        return found

    moved = against(moment_rate(setup))
    later = against(setup.rate_slope())[:6] @ np.array(astuple(tensor_of(setup.simulation)))
    values = [*map(float, moved), float(later)]
    return SourceDerivatives(**dict(zip(SourceDerivatives.NAMES, values, strict=True)))
