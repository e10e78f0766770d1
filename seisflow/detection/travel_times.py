"""Tables of first-arrival times from a gridded model to the stations of a network.

By reciprocity each station is a source: one solution of the eikonal equation for a station and a phase. The value
of a model node holds in its cell, which reaches half-way to its neighbours; the corners of these cells (or of
their parts) are the nodes of the solution. Stations have their true elevation, so the model goes on upward with
its top values.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seisflow.detection.eikonal import first_arrivals, plane_arrivals, refine
from seisflow.detection.lookup import on_grid
from seisflow.domain import FloatArray, Grid, Model, Projection, Station, TravelTimeTable
from seisflow.errors import InputError
from seisflow.native.eikonal import Medium, sharp_faces

__all__ = [
    "PHASES",
    "Plan",
    "TravelTimeConfig",
    "beyond",
    "check_stations",
    "make_table",
    "station_positions",
    "station_times",
    "travel_time_grid",
    "travel_times",
]

_MOST_NODES = 4_000_000
"""Nodes up to which a model with interfaces is refined; a table takes about four seconds then."""

PHASES = {"P": "vp", "S": "vs"}
"""The speed of the model with which each phase travels."""


@dataclass(frozen=True)
class TravelTimeConfig:
    """How travel times are computed.

    Parameters
    ----------
    refine : int, optional
        Parts into which each cell of the model is divided along each axis. Errors fall with its square in smooth
        models, with about its power 1.5 beside interfaces. Left out, 1; but 3 or 2 in a model that varies sideways and
        has interfaces, if it is not too large for that, where times are kept at the corners of undivided cells.
    jump : float
        Relative step of slowness between neighbouring cells that counts as an interface, if it stands alone.
    """

    refine: int | None = None
    jump: float = 0.05

    def __post_init__(self) -> None:
        if self.refine is not None and self.refine < 1:
            raise InputError(f"travel times: refine = {self.refine} must be 1 or more")
        if not 0 < self.jump < 1:
            raise InputError(f"travel times: jump = {self.jump} must lie between 0 and 1")


def station_positions(stations: Sequence[Station], projection: Projection) -> FloatArray:
    """Local coordinates of stations: x east, y north, z down from sea level, m, shape (ns, 3)."""
    rows = [
        (*projection.to_local(station.latitude, station.longitude), station.burial - station.elevation)
        for station in stations
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def beyond(positions: FloatArray, grid: Grid) -> npt.NDArray[np.bool_]:
    """Which stations (ns, 3) lie beside or below a model, (ns,)."""
    low, high = np.array(grid.origin), np.array(grid.end)
    aside: npt.NDArray[np.bool_] = np.any(positions[:, :2] < low[:2], axis=1)
    below: npt.NDArray[np.bool_] = np.any(positions > high, axis=1)
    return aside | below


def check_stations(stations: Sequence[Station], positions: FloatArray, grid: Grid) -> None:
    """Refuse stations beside or below the model.

    Raises
    ------
    InputError
        Naming them.
    """
    low, high = np.array(grid.origin), np.array(grid.end)
    outside = beyond(positions, grid)
    if outside.any():
        names = ", ".join(
            f"{stations[n].id} at x = {positions[n, 0]:.0f}, y = {positions[n, 1]:.0f}, z = {positions[n, 2]:.0f} m"
            for n in np.flatnonzero(outside).tolist()
        )
        raise InputError(
            f"a model that does not cover the stations: {names}; it reaches from x = {low[0]:.0f}, "
            f"y = {low[1]:.0f} to x = {high[0]:.0f}, y = {high[1]:.0f} m and down to z = {high[2]:.0f} m. "
            "Leave these stations out or use a larger model"
        )


def travel_time_grid(
    model_grid: Grid, stations_xyz: FloatArray, refine: int = 1, top: float | None = None
) -> Grid:
    """The grid on which times are computed: corners of the model's cells, up to the highest station.

    Parameters
    ----------
    model_grid : Grid
    stations_xyz : ndarray (ns, 3)
        m; z down from sea level.
    refine : int
        Parts of each cell along each axis.
    top : float, optional
        Depth in m to which the grid must reach at least.

    Returns
    -------
    Grid
    """
    shape = [count * refine + 1 for count in model_grid.shape]
    origin = [o - h / 2 for o, h in zip(model_grid.origin, model_grid.spacing, strict=True)]
    highest = min([float(z) for z in np.atleast_2d(stations_xyz)[:, 2]] + ([] if top is None else [top]))
    above = max(0, int(np.ceil((origin[2] - highest) / model_grid.spacing[2])))
    dx, dy, dz = (h / refine for h in model_grid.spacing)
    start = (origin[0], origin[1], origin[2] - above * model_grid.spacing[2])
    return Grid(start, (dx, dy, dz), (shape[0], shape[1], shape[2] + above * refine))


def _parts(model: Model, speeds: Sequence[str], config: TravelTimeConfig) -> int:
    """Parts of each cell: those of the configuration, or more than one where rays graze interfaces in three dimensions.

    A model that varies with depth only is solved in a plane, which is much finer anyway.
    """
    if config.refine is not None:
        return config.refine
    for speed in speeds:
        cells = 1 / np.asarray(getattr(model, speed), dtype=np.float64)
        if _flat(cells) or not any(sharp_faces(cells, axis, config.jump).any() for axis in range(3)):
            continue
        return max((parts for parts in (2, 3) if model.grid.size * parts**3 <= _MOST_NODES), default=1)
    return 1


def _flat(cells: FloatArray) -> bool:
    return bool((cells == cells[:1, :1]).all())


class _Speed:
    """One speed of a model, ready for any number of sources; on a grid whose cells are parts of those of the model."""

    def __init__(self, model: Model, name: str, grid: Grid, parts: int, jump: float) -> None:
        model.check()
        cells = 1 / np.asarray(getattr(model, name), dtype=np.float64)
        above = (grid.shape[2] - 1) // parts - cells.shape[2]
        cells = np.concatenate([np.repeat(cells[:, :, :1], above, axis=2), cells], axis=2)
        self.grid, self.jump = grid, jump
        self.flat = _flat(cells)
        self.cells = refine(cells[:2, :2] if self.flat else cells, parts, jump)
        self.medium = None if self.flat else Medium.of(self.cells, grid.spacing, jump)

    def times(self, position: FloatArray) -> FloatArray:
        if self.medium is None:
            return plane_arrivals(self.cells[0, 0], self.grid, position, self.jump)
        return first_arrivals(self.cells, self.medium, position - self.grid.origin)


def travel_times(
    model: Model,
    station_xyz: FloatArray,
    speed: str = "vp",
    grid: Grid | None = None,
    config: TravelTimeConfig | None = None,
) -> FloatArray:
    """First-arrival times from a station to the nodes of ``travel_time_grid``.

    Parameters
    ----------
    model : Model
        One that varies with depth only is solved in a plane, with a finer grid.
    station_xyz : ndarray (3,)
        m; z down from sea level.
    speed : {"vp", "vs"}
    grid : Grid, optional
        Of ``travel_time_grid`` with the refinement of the configuration (1, if it has none); made for this station, if
        left out.
    config : TravelTimeConfig, optional

    Returns
    -------
    ndarray of float64 (nx, ny, nz)
        s.

    Raises
    ------
    InputError
        If the model has values that no rock has, or the station lies outside the grid.
    """
    config = config or TravelTimeConfig()
    if speed not in PHASES.values():
        raise InputError(f"travel times of speed {speed!r}: use one of {', '.join(PHASES.values())}")
    position = np.asarray(station_xyz, dtype=np.float64)
    grid = grid or travel_time_grid(model.grid, position[None], config.refine or 1)
    if not grid.contains((position[0], position[1], position[2])):
        raise InputError(
            f"station at {position} m lies outside the grid from {grid.origin} to {grid.end} m; use a larger model"
        )
    parts = _parts(model, (speed,), config)
    finer = parts // (config.refine or 1)
    return _Speed(model, speed, _divided(grid, finer), parts, config.jump).times(position)[
        ::finer, ::finer, ::finer
    ]


def _divided(grid: Grid, parts: int) -> Grid:
    """A grid with nodes between those of another one."""
    dx, dy, dz = (step / parts for step in grid.spacing)
    nx, ny, nz = ((count - 1) * parts + 1 for count in grid.shape)
    return Grid(grid.origin, (dx, dy, dz), (nx, ny, nz))


def _solution_grid(
    model: Model, positions: FloatArray, grid: Grid | None, refine: int, top: float | None
) -> Grid:
    """The grid on which the times of a table are computed: one that also holds the grid of the table."""
    tops = [each for each in (None if grid is None else float(grid.origin[2]), top) if each is not None]
    made = travel_time_grid(model.grid, positions, refine, min(tops, default=None))
    if grid is not None and not (made.contains(grid.origin) and made.contains(grid.end)):
        raise InputError(
            f"a model that does not cover the grid of the table, {grid.origin} to {grid.end} m: it reaches from "
            f"{made.origin} to {made.end} m; use a larger model or a smaller grid"
        )
    return made


@dataclass(frozen=True, eq=False)
class Plan:
    """What a table will hold, checked: the stations, where they are, and the grids.

    Parameters
    ----------
    stations : tuple of Station
    phases : tuple of str
    positions : ndarray (ns, 3)
        m.
    solved : Grid
        On which times are computed.
    wanted : Grid
        On which they are kept; the same, or another one inside.
    config : TravelTimeConfig
        With the parts that cells are divided into.
    """

    stations: tuple[Station, ...]
    phases: tuple[str, ...]
    positions: FloatArray
    solved: Grid
    wanted: Grid
    config: TravelTimeConfig

    @property
    def every(self) -> int | None:
        """Every how manieth node of the solution is wanted, where all that are wanted are among them."""
        parts = round(self.wanted.spacing[0] / self.solved.spacing[0])
        return parts if parts >= 1 and _divided(self.wanted, parts) == self.solved else None

    @classmethod
    def of(
        cls,
        model: Model,
        stations: Sequence[Station],
        phases: Sequence[str],
        grid: Grid | None,
        config: TravelTimeConfig | None,
        top: float | None = None,
    ) -> Plan:
        """Check the arguments of ``make_table``; ``top`` is a depth in m that the grid must reach at least."""
        config = config or TravelTimeConfig()
        unknown = [phase for phase in phases if phase not in PHASES]
        if unknown or not phases or not stations:
            raise InputError(
                f"a table of {len(stations)} stations and phases {tuple(phases)}: give at least one station, "
                f"and phases out of {', '.join(PHASES)}"
            )
        positions = station_positions(stations, model.projection)
        check_stations(stations, positions, model.grid)
        kept = _solution_grid(model, positions, grid, config.refine or 1, top)
        parts = _parts(model, [PHASES[phase] for phase in phases], config)
        solved = _divided(kept, parts // (config.refine or 1))
        settled = replace(config, refine=parts)
        return cls(tuple(stations), tuple(phases), positions, solved, grid or kept, settled)


def station_times(model: Model, plan: Plan, numbers: Sequence[int], threads: int = 1) -> FloatArray:
    """Times of some of the stations of a plan, float32 (len(numbers), np, nx, ny, nz) in s."""
    times = np.empty((len(numbers), len(plan.phases), *plan.wanted.shape), dtype=np.float32)
    for phase, name in enumerate(plan.phases):
        speed = _Speed(model, PHASES[name], plan.solved, plan.config.refine or 1, plan.config.jump)

        def solve(row: int, speed: _Speed = speed, phase: int = phase) -> None:
            position = plan.positions[numbers[row]]
            found = speed.times(position)
            every = plan.every
            if every is not None:
                found = found[::every, ::every, ::every]
            else:
                found = on_grid(found, plan.solved, position, plan.wanted)
            times[row, phase] = found

        with ThreadPoolExecutor(max(threads, 1)) as pool:
            list(pool.map(solve, range(len(numbers))))
    return times


def make_table(
    model: Model,
    stations: Sequence[Station],
    phases: Sequence[str] = ("P", "S"),
    grid: Grid | None = None,
    config: TravelTimeConfig | None = None,
    threads: int = 1,
) -> TravelTimeTable:
    """Travel times from the nodes of a grid to all stations.

    Parameters
    ----------
    model : Model
    stations : sequence of Station
        At their true elevation; burial counts.
    phases : sequence of {"P", "S"}
    grid : Grid, optional
        Where the times are wanted; ``travel_time_grid``, if left out.
    config : TravelTimeConfig, optional
    threads : int
        Stations solved at once. The times do not depend on it.

    Returns
    -------
    TravelTimeTable
        With the positions of the stations.

    Raises
    ------
    InputError
        For stations or a grid that the model does not cover, an unknown phase, no stations.
    """
    plan = Plan.of(model, stations, phases, grid, config)
    times = station_times(model, plan, range(len(stations)), threads)
    return TravelTimeTable(plan.wanted, plan.stations, plan.phases, times, plan.positions)
