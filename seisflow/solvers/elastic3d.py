"""The built-in solver: 3D isotropic elastic waves under a flat free surface, with the exact discrete adjoint.

Velocity and stress on a staggered grid, order 4 in space, summation-by-parts free surface, CPML; see docs/solver.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray, Force, Gather, Kernel, MomentTensor
from seisflow.errors import InputError, PhysicsError
from seisflow.native.elastic3d import SUMS, Elastic3DGrid, Entries, Snapshots, memory
from seisflow.solvers.absorb import profiles
from seisflow.solvers.base import Plan, Progress, Simulation
from seisflow.solvers.points import RADIUS, Place, entries, level_weight
from seisflow.solvers.regrid import Layout, Regrid
from seisflow.solvers.time_function import SampledSource, sample_source

__all__ = ["Elastic3D", "Elastic3DConfig", "Elastic3DForward"]

_LOG = logging.getLogger(__name__)
_COURANT = 0.4949
"""Largest vp dt / h of the interior scheme of order 4: 1 / (sqrt(3) (9/8 + 1/24))."""
_SAFETY, _MOST = 0.9, 0.96
_LEAST_POINTS = 4.0
_CHUNKS = 50
_VELOCITIES = ("vx", "vy", "vz")
_STRESSES = (("sxx", 0, 0), ("syy", 1, 1), ("szz", 2, 2), ("sxy", 0, 1), ("sxz", 0, 2), ("syz", 1, 2))
_IMPEDANCE = 1e7


@dataclass(frozen=True)
class Elastic3DConfig:
    """Settings of the built-in solver.

    Parameters
    ----------
    kind : str
        ``elastic3d``.
    spacing : float, optional
        Spacing of the simulation grid in m; chosen from the shortest wavelength if left out.
    time_step : float, optional
        s; 0.9 of the stable one if left out.
    points_per_wavelength : float
        Grid points per shortest S wavelength (slowest vs times shortest period) when the spacing is chosen.
    cpml_cells : int
        Width of the absorbing layers, which lie outside the model.
    precision : {"single", "double"}
        Of the wave fields.
    memory_gb : float
        Most memory (10^9 bytes) that one simulation may take.
    snapshots_per_period : float
        Stored snapshots per shortest period, for the gradient; below 4 its error grows fast. ``inf`` stores every
        step: then the gradient is exact.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["elastic3d"] = "elastic3d"
    spacing: float | None = None
    time_step: float | None = None
    points_per_wavelength: float = 8.0
    cpml_cells: int = 10
    precision: Literal["single", "double"] = "single"
    memory_gb: float = 4.0
    snapshots_per_period: float = 4.0

    def __post_init__(self) -> None:
        wanted = (
            ("spacing", self.spacing is None or 0 < self.spacing < np.inf, "a positive number of metres"),
            (
                "time_step",
                self.time_step is None or 0 < self.time_step < np.inf,
                "a positive number of seconds",
            ),
            (
                "points_per_wavelength",
                self.points_per_wavelength >= _LEAST_POINTS,
                f"at least {_LEAST_POINTS:g}",
            ),
            ("cpml_cells", 0 <= self.cpml_cells <= 100, "from 0 to 100"),
            ("precision", self.precision in ("single", "double"), "single or double"),
            ("memory_gb", self.memory_gb > 0, "positive"),
            (
                "snapshots_per_period",
                self.snapshots_per_period >= 2,
                "at least 2 (4 or more for a good gradient)",
            ),
        )
        for name, good, remedy in wanted:
            if not good:
                raise InputError(f"elastic3d: {name} = {getattr(self, name)!r}; it must be {remedy}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the wave fields."""
        return np.dtype(np.float32 if self.precision == "single" else np.float64)


@dataclass(frozen=True, eq=False)
class _Setup:
    """All that is chosen before a run."""

    simulation: Simulation
    plan: Plan
    layout: Layout
    source: SampledSource
    first: int
    phase: int
    fastest: float


@dataclass(frozen=True, eq=False)
class Elastic3DForward:
    """A forward run: ``gather`` (E, N, Z velocity), and what the adjoint run needs."""

    gather: Gather
    simulation: Simulation
    setup: _Setup
    snapshots: Snapshots | None
    scale: float


def _box(simulation: Simulation, spacing: float, cells: int) -> Layout:
    """The grid over the model, extended so that the absorbing layers stay clear of the source and the stations."""
    grid, event = simulation.model.grid, simulation.event
    project = simulation.model.projection.to_local
    places = [(f"event {event.id}", *project(event.latitude, event.longitude), event.depth)]
    places += [(f"station {s.id}", *project(s.latitude, s.longitude), s.burial) for s in simulation.stations]
    bottom = grid.end[2]
    before, after = [0, 0], [int(np.ceil((grid.end[a] - grid.origin[a]) / spacing - 1e-9)) for a in (0, 1)]
    deepest = int(np.ceil(bottom / spacing - 1e-9))
    for name, x, y, z in places:
        _check_inside(name, (x, y, z), grid.origin, grid.end)
        for axis, value in enumerate((x, y)):
            place = (value - grid.origin[axis]) / spacing
            before[axis] = max(before[axis], int(np.ceil(RADIUS - place)))
            after[axis] = max(after[axis], int(np.ceil(place + RADIUS)))
        deepest = max(deepest, int(np.ceil(z / spacing + RADIUS)))
    deepest = max(deepest, 16)  # the kernel wants 16 levels above the absorbing layer
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


def _check_inside(
    name: str, place: tuple[float, float, float], low: tuple[float, ...], high: tuple[float, ...]
) -> None:
    x, y, z = place
    for axis, value in (("x", x), ("y", y)):
        number = "xy".index(axis)
        if not low[number] <= value <= high[number]:
            raise InputError(
                f"{name} lies at {axis} = {value:.0f} m, the model reaches from {low[number]:.0f} to "
                f"{high[number]:.0f} m; leave it out or use a larger model"
            )
    if z < 0:
        raise InputError(f"{name} has depth {z:g} m; elastic3d has a flat surface, it must be 0 or more")
    if z > high[2]:
        raise InputError(f"{name} lies {z:.0f} m deep, the model ends at {high[2]:.0f} m; use a deeper model")


def _rotation(simulation: Simulation, latitude: float, longitude: float) -> FloatArray:
    """Matrix from local (x, y) to geographic (east, north) components at a point."""
    angle = simulation.model.projection.convergence(latitude, longitude)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _power_of_two(value: float) -> float:
    """The nearest power of two, so that scaling changes no bits; 1 for 0."""
    return float(np.exp2(np.round(np.log2(value)))) if value > 0 else 1.0


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


class Elastic3D:
    """The built-in 3D elastic solver; implements ``seisflow.solvers.base.Solver``.

    Parameters
    ----------
    config : Elastic3DConfig
    threads : int
        Threads of the compiled kernel; results do not depend on it by a bit.
    """

    def __init__(self, config: Elastic3DConfig | None = None, threads: int = 1) -> None:
        if threads < 1:
            raise InputError(f"threads = {threads}: at least 1 is needed")
        self.config = config or Elastic3DConfig()
        self.threads = threads
        self._told = False

    def plan(self, simulation: Simulation) -> Plan:
        """Choose grid and steps, and check that forward and adjoint run fit.

        Raises
        ------
        InputError
            If not, with the value that would do.
        """
        setup = self._setup(simulation)
        self._check_memory(setup.plan.gradient_bytes, keep=True)
        return setup.plan

    def forward(
        self, simulation: Simulation, *, keep: bool = False, progress: Progress | None = None
    ) -> Elastic3DForward:
        """Simulate the ground motion of an event; with ``keep`` store what ``adjoint`` needs.

        Raises
        ------
        InputError
            If the simulation cannot be run as asked.
        PhysicsError
            If the wave field becomes infinite.
        """
        setup = self._setup(simulation)
        plan = setup.plan
        self._check_memory(plan.gradient_bytes if keep else plan.forward_bytes, keep=keep)
        grid, material = self._grid(setup)
        stored = None
        if keep:
            slots = len(range(setup.phase, plan.steps, plan.snapshot_every))
            data = np.empty(grid.snapshot_shape(slots), dtype=self.config.dtype)
            stored = Snapshots(plan.snapshot_every, setup.phase, data)
        force, moment, samples = _source_entries(setup, material[0])
        del material
        peak = (
            max(np.abs(force.weight).max(initial=0.0), np.abs(moment.weight).max(initial=0.0) / _IMPEDANCE)
            * np.abs(samples).max()
        )
        scale = _power_of_two(float(peak))
        samples = (samples / scale)[:, None]
        run = _Run(grid, setup, force, samples, moment, samples)
        for _ in run.chunks(stored, progress, 0.0, 1.0):
            pass
        return Elastic3DForward(run.gather(scale), simulation, setup, stored, scale)

    def adjoint(self, forward: Any, source: Gather, *, progress: Progress | None = None) -> Kernel:
        """Derivatives of a misfit with respect to vp, vs and rho at the model nodes.

        The same kernel runs with forces at the receivers, reversed in time. Derivatives that pass through the
        absorbing layers, which hold the values of the model's edge, are left out.

        Parameters
        ----------
        forward : Elastic3DForward
            Of ``forward(..., keep=True)``.
        source : Gather
            dJ/d(sample) / interval on the axes of ``forward.gather``.

        Returns
        -------
        Kernel
            dJ/d(node value), and the illumination.
        """
        if not isinstance(forward, Elastic3DForward) or forward.snapshots is None:
            raise InputError("the adjoint needs a forward run of elastic3d with keep=True")
        _check_source(forward.gather, source)
        setup = forward.setup
        grid, material = self._grid(setup)
        force = _receiver_forces(setup, material[0])
        samples = _local(setup, source.data)[::-1]
        peak = np.abs(force.weight).max(initial=0.0) * np.abs(samples).max(initial=0.0)
        scale = _power_of_two(float(peak))
        run = _Run(
            grid, setup, force, samples / scale, Entries.join([]), np.zeros((len(samples), 1)), record=False
        )
        sums = np.zeros((len(SUMS), *grid.box), dtype=self.config.dtype)
        run.correlate(forward.snapshots, sums, progress)
        del grid, run
        return _kernel(setup, material, sums, forward.scale * scale)

    def _setup(self, simulation: Simulation) -> _Setup:
        """Choose everything; refuse what cannot be run."""
        _check_simulation(simulation)
        config, model = self.config, simulation.model
        model.check()
        if not self._told and any(s.elevation for s in simulation.stations):
            _LOG.info("elastic3d has a flat surface: the elevation of the stations is ignored")
            self._told = True
        slowest, fastest = float(model.vs.min()), float(model.vp.max())
        spacing, step = self._steps(slowest, fastest, simulation.shortest_period)
        layout = _box(simulation, spacing, config.cpml_cells)
        source, first, steps = sample_source(
            simulation.event.time_function, step, simulation.shortest_period, simulation.duration
        )
        every = max(1, int(simulation.shortest_period / config.snapshots_per_period / step))
        item = config.dtype.itemsize
        sums = len(SUMS) * item + 12 * 8
        inside = int(np.prod([s.stop - s.start for s in layout.inside]))
        forward = memory(layout.shape, layout.cells, item) + 48 * layout.points
        forward += steps * (3 * len(simulation.stations) * 8 * 2 + 16)
        slots = -(-steps // every)
        around = np.prod(
            [s.stop - s.start + extra for s, extra in zip(layout.inside, (4, 4, 2), strict=True)]
        )
        gradient = forward + int(slots * 3 * item * around) + sums * inside
        work = 2.0 * layout.points * steps
        plan = Plan(spacing, step, steps, layout.shape, every, forward, gradient, work)
        return _Setup(simulation, plan, layout, source, first, every // 2, fastest)

    def _steps(self, slowest: float, fastest: float, period: float) -> tuple[float, float]:
        """Spacing and time step."""
        config = self.config
        spacing = config.spacing or slowest * period / config.points_per_wavelength
        if slowest * period / spacing < _LEAST_POINTS:
            raise InputError(
                f"elastic3d: spacing = {spacing:g} m gives {slowest * period / spacing:.1f} points per shortest "
                f"wavelength ({slowest * period:g} m: slowest vs {slowest:g} m/s, shortest period {period:g} s); "
                f"use at most {slowest * period / _LEAST_POINTS:.4g} m, better "
                f"{slowest * period / config.points_per_wavelength:.4g} m"
            )
        stable = _COURANT * spacing / fastest
        step = config.time_step or _SAFETY * stable
        if step > _MOST * stable:
            raise InputError(
                f"elastic3d: time_step = {step:g} s is unstable with spacing {spacing:g} m and vp up to "
                f"{fastest:g} m/s; use at most {_MOST * stable:.4g} s"
            )
        return spacing, step

    def _check_memory(self, needed: int, *, keep: bool) -> None:
        allowed = self.config.memory_gb * 1e9
        if needed > allowed:
            less = "lower snapshots_per_period (not below 4), " if keep else ""
            raise InputError(
                f"elastic3d: the simulation needs {needed / 1e9:.2f} GB, memory_gb = {self.config.memory_gb:g}; "
                f"raise memory_gb, {less}use a longer shortest period, a smaller model or a shorter duration"
            )

    def _grid(self, setup: _Setup) -> tuple[Elastic3DGrid, tuple[FloatArray, FloatArray, FloatArray]]:
        """Fields and material in memory; and density, lambda and mu on the simulation grid."""
        layout, plan = setup.layout, setup.plan
        ratio = plan.time_step / plan.spacing
        layers = profiles(
            layout.shape,
            layout.cells,
            setup.fastest * ratio,
            plan.time_step,
            0.5 / setup.simulation.shortest_period,
        )
        grid = Elastic3DGrid(
            layout.shape, self.config.dtype, cells=layout.cells, profiles=layers, threads=self.threads
        )
        material = Regrid(setup.simulation.model.grid, layout).material(setup.simulation.model)
        grid.set_material(*material, ratio)
        return grid, material


def _check_simulation(simulation: Simulation) -> None:
    for name in ("duration", "shortest_period"):
        value = getattr(simulation, name)
        if not 0 < value < np.inf:
            raise InputError(f"elastic3d: {name} = {value} s; it must be positive")
    if not simulation.stations:
        raise InputError(f"event {simulation.event.id}: no stations to simulate; give at least one")


def _check_source(gather: Gather, source: Gather) -> None:
    """An adjoint source must lie on the axes of the synthetics."""
    same = (
        ("stations", tuple(s.id for s in gather.stations), tuple(s.id for s in source.stations)),
        ("components", gather.components, source.components),
        ("samples", gather.samples, source.samples),
    )
    for name, wanted, found in same:
        if wanted != found:
            raise InputError(f"adjoint source: {name} are {found}, those of the synthetics are {wanted}")
    if abs(source.start - gather.start) > 1e-6 * gather.interval:
        raise InputError(f"adjoint source starts at {source.start} s, the synthetics at {gather.start} s")
    if abs(source.interval - gather.interval) > 1e-9 * gather.interval:
        raise InputError(
            f"adjoint source has interval {source.interval} s, the synthetics {gather.interval} s"
        )
    if not np.all(np.isfinite(source.data)):
        raise PhysicsError("adjoint source: NaN or infinite samples; check the misfit")


def _place(setup: _Setup, latitude: float, longitude: float, depth: float) -> Place:
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


def _source_entries(setup: _Setup, rho: FloatArray) -> tuple[Entries, Entries, FloatArray]:
    """Entries of the source in velocity and in stress, and its samples."""
    event, plan = setup.simulation.event, setup.plan
    place = _place(setup, event.latitude, event.longitude, event.depth)
    turn = np.eye(3)
    turn[:2, :2] = _rotation(setup.simulation, event.latitude, event.longitude)
    unit = plan.time_step / plan.spacing**3
    times = plan.time_step * (setup.first + np.arange(plan.steps))
    if isinstance(event.source, MomentTensor):
        tensor = turn.T @ event.source.cartesian() @ turn
        parts = []
        for name, i, j in _STRESSES:
            part = entries(name, place, 0, source=True)
            parts.append(replace(part, weight=-unit * tensor[i, j] * part.weight))
        return Entries.join([]), Entries.join(parts), setup.source(times)
    return (
        _force_entries(event.source, turn, place, rho, unit),
        Entries.join([]),
        setup.source(times - 0.5 * plan.time_step),
    )


def _force_entries(force: Force, turn: FloatArray, place: Place, rho: FloatArray, unit: float) -> Entries:
    vector = turn.T @ np.array([force.east, force.north, -force.up])
    parts = []
    for axis, name in enumerate(_VELOCITIES):
        part = entries(name, place, 0, source=True)
        parts.append(replace(part, weight=unit * vector[axis] * _buoyancy(rho, part, axis) * part.weight))
    return Entries.join(parts)


def _receiver_entries(setup: _Setup) -> Entries:
    parts = []
    for number, station in enumerate(setup.simulation.stations):
        place = _place(setup, station.latitude, station.longitude, station.burial)
        parts += [entries(n, place, 3 * number + axis, source=False) for axis, n in enumerate(_VELOCITIES)]
    return Entries.join(parts)


def _receiver_forces(setup: _Setup, rho: FloatArray) -> Entries:
    """Forces at the receivers, the transpose of recording; without 1/h^3, so that sums over nodes are derivatives."""
    recorded = _receiver_entries(setup)
    weight = recorded.weight.copy()
    for axis in range(3):
        mine = recorded.field == axis
        part = Entries(*(getattr(recorded, n)[mine] for n in ("field", "x", "y", "z", "weight", "signal")))
        density = _buoyancy(rho, part, axis) / level_weight(part.z, int(axis == 2))
        weight[mine] *= setup.plan.time_step * density
    return replace(recorded, weight=weight)


def _local(setup: _Setup, data: FloatArray) -> FloatArray:
    """E, N, Z samples (ns, 3, nt) as local x, y, z forces (nt, 3 ns): the transpose of ``_geographic``."""
    result = np.empty((data.shape[2], 3 * data.shape[0]))
    for number, station in enumerate(setup.simulation.stations):
        turn = _rotation(setup.simulation, station.latitude, station.longitude)
        result[:, 3 * number : 3 * number + 2] = data[number, :2].T.astype(np.float64) @ turn
        result[:, 3 * number + 2] = -data[number, 2]
    return result


def _geographic(setup: _Setup, records: FloatArray) -> FloatArray:
    """Local x, y, z records (nt, 3 ns) as E, N, Z samples (ns, 3, nt)."""
    stations = setup.simulation.stations
    result = np.empty((len(stations), 3, records.shape[0]))
    for number, station in enumerate(stations):
        turn = _rotation(setup.simulation, station.latitude, station.longitude)
        result[number, :2] = turn @ records[:, 3 * number : 3 * number + 2].T
        result[number, 2] = -records[:, 3 * number + 2]
    return result


class _Run:
    """One pass through time: a grid with its sources and receivers."""

    def __init__(
        self,
        grid: Elastic3DGrid,
        setup: _Setup,
        force: Entries,
        force_samples: FloatArray,
        moment: Entries,
        moment_samples: FloatArray,
        *,
        record: bool = True,
    ) -> None:
        self.grid, self.setup = grid, setup
        self.forces = grid.sources(force, force_samples)
        self.moments = grid.sources(moment, moment_samples)
        points = _receiver_entries(setup) if record else Entries.join([])
        self.records = np.zeros((setup.plan.steps, 3 * len(setup.simulation.stations) if record else 0))
        self.receivers = grid.receivers(points, self.records)

    def advance(self, stored: Any, first: int, steps: int) -> None:
        """Advance, and refuse a field that is not finite."""
        if steps == 0:
            return
        bad = self.grid.advance(self.forces, self.moments, self.receivers, stored, first, steps)
        if bad:
            plan = self.setup.plan
            raise PhysicsError(
                f"event {self.setup.simulation.event.id}: the wave field is infinite or NaN at step {bad} of "
                f"{plan.steps}; check the source and the model, or give elastic3d a time_step below "
                f"{plan.time_step:g} s"
            )

    def chunks(
        self, stored: Snapshots | None, progress: Progress | None, low: float, high: float
    ) -> Iterator[int]:
        """Advance to the end in pieces, between which an interrupt is noticed."""
        steps = self.setup.plan.steps
        size = max(1, -(-steps // _CHUNKS))
        kept = self.grid.snapshots(stored)
        for first in range(0, steps, size):
            count = min(size, steps - first)
            self.advance(kept, first, count)
            if progress is not None:
                progress(low + (high - low) * (first + count) / steps)
            yield first + count

    def correlate(self, stored: Snapshots, sums: FloatArray, progress: Progress | None) -> None:
        """Advance the adjoint run, adding to the sums at every stored step."""
        steps = self.setup.plan.steps
        kept, none = self.grid.snapshots(stored), self.grid.snapshots(None)
        done, told = 0, 0.0
        for slot in reversed(range(stored.data.shape[0])):
            meets = steps - 1 - (stored.phase + slot * stored.every)
            self.advance(none, done, meets - done)
            self.grid.correlate(kept, slot, sums, after=False)
            self.advance(none, meets, 1)
            self.grid.correlate(kept, slot, sums, after=True)
            done = meets + 1
            if progress is not None and done / steps >= told + 1 / _CHUNKS:
                told = done / steps
                progress(told)
        if progress is not None:
            progress(1.0)

    def gather(self, scale: float) -> Gather:
        """The records as a gather."""
        setup = self.setup
        step = setup.plan.time_step
        return Gather(
            stations=setup.simulation.stations,
            components=("E", "N", "Z"),
            data=_geographic(setup, self.records * scale),
            start=setup.first * step,
            interval=step,
            quantity="velocity",
        )


def _kernel(
    setup: _Setup, material: tuple[FloatArray, FloatArray, FloatArray], sums: FloatArray, scale: float
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
