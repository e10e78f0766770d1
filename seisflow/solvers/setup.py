"""What is chosen before a run of elastic3d: its grid, and where sources and receivers act on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from seisflow.domain import FloatArray, Force, MomentTensor
from seisflow.errors import InputError
from seisflow.native.elastic3d import Entries, Material
from seisflow.native.elastic3d_slab import Slab
from seisflow.native.elastic3d_stencils import level_weights
from seisflow.solvers.attenuation import Attenuation
from seisflow.solvers.base import Plan, Simulation
from seisflow.solvers.decomposition import Shares
from seisflow.solvers.dispersion import TimeDispersion
from seisflow.solvers.points import RADIUS, Place, entries, strain_entries
from seisflow.solvers.regrid import Layout
from seisflow.solvers.time_function import SampledSource

__all__ = [
    "Material", "Setup", "box", "by_plane", "force_vector", "geographic", "local", "moment_entries", "moment_parts",
    "moment_rate", "plane_ratio", "receiver_entries", "receiver_forces", "source_entries", "source_place",
    "station_places", "surface_dipole",
]  # fmt: skip

_LEVELS = 16
"""Levels that the compiled kernel wants above the absorbing layer."""
_VELOCITIES = ("vx", "vy", "vz")
_STRESSES = (("sxx", 0, 0), ("syy", 1, 1), ("szz", 2, 2), ("sxy", 0, 1), ("sxz", 0, 2), ("syz", 1, 2))


@dataclass(frozen=True, eq=False)
class Setup:
    """All that is chosen before a run.

    Parameters
    ----------
    simulation : Simulation
    plan : Plan
    layout : Layout
    source : SampledSource
    first : int
        The first velocity sample is at ``first`` time steps from the origin time.
    phase : int
        The first step that is stored.
    fastest : float
        Largest vp in m/s.
    order : {4, 8}
        Of the derivatives in space.
    tail : int
        Steps beyond the duration, for seismograms that are corrected for the error of the time steps; 0 if they are
        not.
    shares : Shares
        Which rank has which planes.
    rank : int
    attenuation : Attenuation, optional
    """

    simulation: Simulation
    plan: Plan
    layout: Layout
    source: SampledSource
    first: int
    phase: int
    fastest: float
    order: int
    tail: int
    shares: Shares
    rank: int = 0
    attenuation: Attenuation | None = None

    @property
    def slab(self) -> Slab:
        """The planes of this rank."""
        return self.shares.slabs[self.rank]

    @property
    def inside(self) -> tuple[slice, slice, slice]:
        """Own points outside the absorbing layers, by their number in this memory."""
        _, along_y, along_z = self.layout.inside
        return self.slab.inside(self.layout.cells), along_y, along_z

    def here(self, points: Entries) -> Entries:
        """Those of some points that this memory holds and advances, numbered in it."""
        slab = self.slab
        found = (points.x >= slab.first) & (points.x < slab.first + slab.count - (slab.high > 0))
        part = points.select(found)
        return replace(part, x=part.x - slab.first)

    def own(self, points: Entries) -> Entries:
        """Those of some points that belong to this rank, numbered in this memory."""
        part = points.select((points.x >= self.slab.begin) & (points.x < self.slab.end))
        return replace(part, x=part.x - self.slab.first)

    @property
    def times(self) -> FloatArray:
        """Times of the velocity samples, s from the origin time."""
        times: FloatArray = self.plan.time_step * (self.first + np.arange(self.plan.steps))
        return times

    def rate(self, shift: float = 0.0) -> FloatArray:
        """The source time function as the run needs it, ``shift`` s from the velocity samples."""
        times = self.times + shift
        return self._for_scheme(times, self.source(times))

    def rate_slope(self) -> FloatArray:
        """The derivative of ``rate`` with respect to a delay of the source, 1/s for a second of it."""
        times, small = self.times, 1e-3 * self.plan.time_step
        return self._for_scheme(
            times, (self.source(times - small) - self.source(times + small)) / (2 * small)
        )

    def _for_scheme(self, times: FloatArray, samples: FloatArray) -> FloatArray:
        if not self.tail:
            return samples
        return TimeDispersion(times, self._highest, forward=True).apply(samples)

    @cached_property
    def seismograms(self) -> TimeDispersion | None:
        """What takes the error of the time steps out of seismograms, if that is done."""
        return TimeDispersion(self.times, self._highest, forward=False, tail=self.tail) if self.tail else None

    @property
    def _highest(self) -> float:
        return 2 / self.simulation.shortest_period


def box(simulation: Simulation, spacing: float, cells: int) -> Layout:
    """Lay the grid over the model, extended so that the absorbing layers stay clear of source and stations.

    Parameters
    ----------
    simulation : Simulation
    spacing : float
        m.
    cells : int
        Width of the absorbing layers.

    Raises
    ------
    InputError
        If the source or a station lies outside the model or above the surface.
    """
    grid, event = simulation.model.grid, simulation.event
    project = simulation.model.projection.to_local
    places = [(f"event {event.id}", *project(event.latitude, event.longitude), event.depth)]
    places += [(f"station {s.id}", *project(s.latitude, s.longitude), s.burial) for s in simulation.stations]
    before, after = [0, 0], [int(np.ceil((grid.end[a] - grid.origin[a]) / spacing - 1e-9)) for a in (0, 1)]
    deepest = int(np.ceil(grid.end[2] / spacing - 1e-9))
    faults = [fault for name, *place in places if (fault := _outside(name, place, grid.origin, grid.end))]
    if faults:
        raise InputError("\n".join(faults))
    for _, x, y, z in places:
        for axis, value in enumerate((x, y)):
            place = (value - grid.origin[axis]) / spacing
            before[axis] = max(before[axis], int(np.ceil(RADIUS - place)))
            after[axis] = max(after[axis], int(np.ceil(place + RADIUS)))
        deepest = max(deepest, int(np.ceil(z / spacing + RADIUS)))
    deepest = max(deepest, _LEVELS)
    shape = (
        after[0] + before[0] + 1 + 2 * cells,
        after[1] + before[1] + 1 + 2 * cells,
        deepest + 1 + cells,
    )
    origin = (
        grid.origin[0] - (before[0] + cells) * spacing,
        grid.origin[1] - (before[1] + cells) * spacing,
    )
    return Layout(spacing, origin, shape, cells)


def _outside(
    name: str, place: Sequence[float], low: tuple[float, ...], high: tuple[float, ...]
) -> str | None:
    """Say why a source or station cannot be where it is, or None."""
    z = place[2]
    for axis, value in zip("xy", place[:2], strict=True):
        number = "xy".index(axis)
        if not low[number] <= value <= high[number]:
            return (
                f"{name} lies at {axis} = {value:.0f} m, the model reaches from {low[number]:.0f} to "
                f"{high[number]:.0f} m; leave it out or use a larger model"
            )
    if z < 0:
        return f"{name} has depth {z:g} m; elastic3d has a flat surface, it must be 0 or more"
    if z > high[2]:
        return f"{name} lies {z:.0f} m deep, the model ends at {high[2]:.0f} m; use a deeper model"
    return None


def _rotation(simulation: Simulation, latitude: float, longitude: float) -> FloatArray:
    """Matrix from local (x, y) to geographic (east, north) components at a point."""
    angle = simulation.model.projection.convergence(latitude, longitude)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _place(setup: Setup, latitude: float, longitude: float, depth: float) -> Place:
    layout = setup.layout
    x, y = setup.simulation.model.projection.to_local(latitude, longitude)
    h = layout.spacing
    return Place((x - layout.origin[0]) / h, (y - layout.origin[1]) / h, depth / h)


def _buoyancy(rho: FloatArray, points: Entries, axis: int) -> FloatArray:
    """1 / density at the half points of entries of one velocity component."""
    place = [points.x, points.y, points.z]
    other = list(place)
    other[axis] = other[axis] + 1
    result: FloatArray = 2 / (rho[tuple(place)] + rho[tuple(other)])
    return result


def source_place(setup: Setup) -> tuple[Place, FloatArray]:
    """Place of the source, and the matrix from local x, y, z to geographic east, north, down components."""
    event = setup.simulation.event
    turn = np.eye(3)
    turn[:2, :2] = _rotation(setup.simulation, event.latitude, event.longitude)
    return _place(setup, event.latitude, event.longitude, event.depth), turn


def source_entries(
    setup: Setup, material: Material, ratios: FloatArray
) -> tuple[Entries, Entries, FloatArray]:
    """Entries of the source in velocity and in stress, and its samples (steps, 1); for ``ratios`` see ``surface``."""
    plan, source = setup.plan, setup.simulation.event.source
    place, turn = source_place(setup)
    if isinstance(source, MomentTensor):
        tensor = turn.T @ source.cartesian() @ turn
        moment = moment_entries(setup, tensor, place, material)
        return Entries.join([]), moment, moment_rate(setup)[:, None]
    samples = setup.rate(-0.5 * plan.time_step)[:, None]
    force = _force_entries(setup, turn.T @ force_vector(source), place, material.rho, ratios[-1])
    return force, Entries.join([]), samples


def force_vector(force: Force) -> FloatArray:
    """East, north and down components of a force, N."""
    return np.array([force.east, force.north, -force.up])


def moment_rate(setup: Setup) -> FloatArray:
    """Moment rate at the time steps of stress, over the moment, 1/s."""
    return setup.rate()


def moment_parts(
    setup: Setup, tensor: FloatArray, place: Place, slope: int | None = None
) -> tuple[list[Entries], Entries]:
    """Entries of a moment tensor (3, 3) in local x, y, z, of all planes; with ``slope`` the derivative along an axis.

    By grid unit then. They are those in each stress, and those in szz at the surface: szz is zero there, and a vertical
    dipole acts through plane stress, on sxx and syy.
    """
    parts, unit = [], setup.plan.time_step / setup.plan.spacing**3
    for name, i, j in _STRESSES:
        part = entries(name, place, 0, source=True, order=setup.order, slope=slope)
        parts.append(replace(part, weight=-unit * tensor[i, j] * part.weight))
    vertical = parts[2]
    parts[2] = vertical.select(vertical.z != 0)
    return parts, vertical.select(vertical.z == 0)


def moment_entries(
    setup: Setup, tensor: FloatArray, place: Place, material: Material, slope: int | None = None
) -> Entries:
    """What ``moment_parts`` adds to the stress that is in this memory."""
    every, top = moment_parts(setup, tensor, place, slope)
    parts, top = [setup.here(part) for part in every], setup.here(top)
    ratio = -plane_ratio(material, top)
    parts += [replace(top, field=top.field - 2, weight=ratio * top.weight)]
    parts += [replace(top, field=top.field - 1, weight=ratio * top.weight)]
    return Entries.join(parts)


def plane_ratio(material: Material, points: Entries) -> FloatArray:
    """c13 / c33, lambda / (lambda + 2 mu) where isotropic, at surface nodes."""
    result: FloatArray = material.ratio[points.x, points.y, 0]
    return result


def surface_dipole(setup: Setup) -> Entries:
    """Nodes at the surface, of all planes, at which a source in szz acts through plane stress.

    Its strength there depends on the moduli, which the gradient of shallow sources needs (they relax alike there, so
    their ratio does not depend on frequency). The weight of an entry is the change of sxx and of syy in a step for a
    unit of ``plane_ratio`` and a unit of ``moment_rate``.
    """
    source = setup.simulation.event.source
    place, turn = source_place(setup)
    if not isinstance(source, MomentTensor):
        return Entries.join([])
    part = entries("szz", place, 0, source=True, order=setup.order)
    top = part.select((part.z == 0) & (part.weight != 0))
    tensor = turn.T @ source.cartesian() @ turn
    unit = setup.plan.time_step / setup.plan.spacing**3
    return replace(top, weight=unit * tensor[2, 2] * top.weight, signal=np.arange(top.x.size, dtype=np.int64))


def _force_entries(setup: Setup, vector: FloatArray, place: Place, rho: FloatArray, ratio: float) -> Entries:
    unit = setup.plan.time_step / setup.plan.spacing**3
    parts = [entries(name, place, 0, source=True, order=setup.order) for name in _VELOCITIES]
    parts = [replace(part, weight=vector[axis] * part.weight) for axis, part in enumerate(parts)]
    strain = strain_entries(place, 0, source=True, order=setup.order)
    parts.append(replace(strain, weight=ratio * vector[2] * strain.weight))
    result = []
    for axis in range(3):
        part = setup.here(Entries.join([each.select(each.field == axis) for each in parts]))
        result.append(replace(part, weight=unit * _buoyancy(rho, part, axis) * part.weight))
    return Entries.join(result)


def station_places(setup: Setup) -> list[Place]:
    """Where the stations are on the grid."""
    return [_place(setup, s.latitude, s.longitude, s.burial) for s in setup.simulation.stations]


def receiver_entries(setup: Setup, ratios: FloatArray) -> Entries:
    """Weighted points of vx, vy and vz, of all planes, that the stations record, three records a station."""
    parts = []
    for number, place in enumerate(station_places(setup)):
        parts += [entries(n, place, 3 * number + axis, source=False) for axis, n in enumerate(_VELOCITIES)]
        strain = strain_entries(place, 3 * number + 2, source=False)
        parts.append(replace(strain, weight=ratios[number] * strain.weight))
    return by_plane(Entries.join(parts))


def by_plane(points: Entries) -> Entries:
    """Sorted by record and plane, in which order ranks sum them too."""
    points = points.select(points.weight != 0)
    return points.select(np.lexsort((points.x, points.signal)))


def receiver_forces(setup: Setup, rho: FloatArray, ratios: FloatArray) -> Entries:
    """Turn recording around: forces at the receivers.

    Without 1/h^3, so that the sums over the nodes are derivatives with respect to node values.
    """
    recorded = setup.here(receiver_entries(setup, ratios))
    weight = recorded.weight.copy()
    for axis in range(3):
        mine = recorded.field == axis
        part = recorded.select(mine)
        density = _buoyancy(rho, part, axis) / level_weights(part.z, half=axis == 2, order=setup.order)
        weight[mine] *= setup.plan.time_step * density
    return replace(recorded, weight=weight)


def local(setup: Setup, data: FloatArray) -> FloatArray:
    """E, N, Z samples (ns, 3, nt) as local x, y, z forces (nt, 3 ns): the transpose of ``geographic``."""
    result = np.empty((data.shape[2], 3 * data.shape[0]))
    for number, station in enumerate(setup.simulation.stations):
        turn = _rotation(setup.simulation, station.latitude, station.longitude)
        result[:, 3 * number : 3 * number + 2] = data[number, :2].T.astype(np.float64) @ turn
        result[:, 3 * number + 2] = -data[number, 2]
    return result


def geographic(setup: Setup, records: FloatArray) -> FloatArray:
    """Local x, y, z records (nt, 3 ns) as E, N, Z samples (ns, 3, nt)."""
    stations = setup.simulation.stations
    result = np.empty((len(stations), 3, records.shape[0]))
    for number, station in enumerate(stations):
        turn = _rotation(setup.simulation, station.latitude, station.longitude)
        result[number, :2] = turn @ records[:, 3 * number : 3 * number + 2].T
        result[number, 2] = -records[:, 3 * number + 2]
    return result
