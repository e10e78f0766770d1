"""What steps read, and the check of all of it before long work starts."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from seisflow.config import Config, CorrectionConfig
from seisflow.domain import Event, Model, SourceTimeFunction, Station
from seisflow.errors import InputError, MissingError, SeisflowError, WorkError
from seisflow.inversion import within_bounds
from seisflow.io.asdf_reading import read_source
from seisflow.io.contents import recorded_ids
from seisflow.io.events import read_quakeml
from seisflow.io.models import read_model
from seisflow.io.stations import inventory_stations, read_inventory, read_stationxml
from seisflow.io.time_functions import read_time_function
from seisflow.project import CONFIG_NAME, Project
from seisflow.solvers import Plan, Simulation, SolverConfig, create

__all__ = [
    "check_project",
    "check_ranks",
    "common_config",
    "corrections_of",
    "epicentres",
    "event_of",
    "files_of_stations",
    "model_of",
    "plan_of",
    "recording_stations",
    "simulation_of",
    "solver_config",
    "stations_of",
]


@lru_cache(maxsize=2000)
def _events(path: str, mtime: int, size: int) -> tuple[Event, ...]:
    return tuple(read_quakeml(Path(path)))


def event_of(project: Project, event: str) -> Event:
    """Read an event of the project.

    Raises
    ------
    MissingError
        If there is no such event.
    InputError
        If its file does not hold one event of that name.
    """
    path = project.event_path(event)
    if not path.is_file():
        raise MissingError(
            f"event {event}: {project.relative(path)} is not there; events are "
            f"{', '.join(project.event_ids) or 'none: `seisflow import FILES` brings them in'}"
        )
    stat = path.stat()
    found = _events(str(path), stat.st_mtime_ns, stat.st_size)
    if len(found) != 1 or found[0].id != event:
        raise InputError(
            f"{project.relative(path)}: should hold the event {event} alone, holds "
            f"{', '.join(each.id for each in found)}; import it again"
        )
    return replace(found[0], time_function=_time_function(project, found[0]))


def corrections_of(project: Project, event: str) -> dict[str, CorrectionConfig]:
    """What is corrected of an event, by station (``NET.STA``)."""
    found = project.config.compared.corrections
    return {name: what for name, what in sorted(found.items()) if event in (what.events or (event,))}


def epicentres(project: Project, events: Sequence[str]) -> tuple[tuple[float, float], ...]:
    """Latitude and longitude of some events in degrees."""
    found = []
    for name in events:
        path = project.event_path(name)
        stat = path.stat()
        event = _events(str(path), stat.st_mtime_ns, stat.st_size)[0]
        found.append((event.latitude, event.longitude))
    return tuple(found)


def _time_function(project: Project, event: Event) -> SourceTimeFunction:
    """The time function that the configuration sets, or that of the event."""
    config = project.config.source
    path = project.time_function_path
    if path is not None:
        return read_time_function(path)
    if config.time_function == "gaussian":
        return SourceTimeFunction("gaussian", half_duration=config.half_duration)
    if config.time_function == "ricker":
        return SourceTimeFunction("ricker", period=config.period or 0.0)
    return event.time_function


@lru_cache(maxsize=4)
def _stations(
    stamps: tuple[tuple[str, int, int], ...],
) -> tuple[tuple[Station, ...], dict[str, frozenset[str]]]:
    """All stations, and by file which ones it describes."""
    inventories = [(path, read_inventory(path)) for path, _, _ in stamps]
    found, problems = inventory_stations(inventories)
    if problems:
        raise InputError("\n".join(problems))
    for station in found:  # files are named by it
        if "/" in station.id or "\0" in station.id:
            raise InputError(
                f"stations/: station {station.id!r}: the codes of a station may hold letters, digits, `_` and `-` only"
            )
    described = {
        path: frozenset(f"{network.code}.{station.code}" for network in inventory for station in network)
        for path, inventory in inventories
    }
    return tuple(sorted(found)), described


def stations_of(project: Project) -> tuple[Station, ...]:
    """Read all stations of the project, sorted.

    Raises
    ------
    MissingError
        If there are none.
    InputError
        If the name of one could be that of a file elsewhere.
    """
    files = project.station_files()
    if not files:
        raise MissingError(
            f"{project.stations_folder}: no StationXML there; `seisflow import FILES` brings it in"
        )
    return _stations(_stamps(files))[0]


def _stamps(files: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    stats = [(path, path.stat()) for path in files]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def files_of_stations(project: Project, stations: Sequence[Station]) -> tuple[Path, ...]:
    """The StationXML files that describe some stations, sorted."""
    files, wanted = project.station_files(), {station.id for station in stations}
    described = _stations(_stamps(files))[1]
    return tuple(path for path in files if described[str(path)] & wanted)


@lru_cache(maxsize=3)
def _model(path: str, mtime: int, size: int) -> Model:
    model = read_model(Path(path))
    model.check(path)
    return model


def model_of(path: Path) -> Model:
    """Read and check a model; the last three are remembered.

    Raises
    ------
    MissingError
        If it is not there.
    InputError
        If it is damaged or holds values that no rock has.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise MissingError(
            f"{path}: no model there; `seisflow import LAYERS.txt` makes models/m00.nc, iterations the others"
        ) from None
    return _model(str(path), stat.st_mtime_ns, stat.st_size)


def simulation_of(
    config: Config, model: Model, event: Event, stations: tuple[Station, ...], stage: int
) -> Simulation:
    """What a stage asks of the solver for an event."""
    return Simulation(model, event, stations, config.axis().end, config.stages[stage].periods[0])


def solver_config(project: Project, iteration: int, newest: Path | None = None) -> SolverConfig:
    """Settings of the solver in an iteration: grid and time step are those for the model that its stage started from.

    So all models of a stage, trials included, are simulated on the same grid, and their misfits compare. Where windows
    are selected anew, both are chosen anew if the model has come near what they can hold.

    Parameters
    ----------
    project : Project
    iteration : int
    newest : Path, optional
        Model that the iteration would start from, if it is not yet the one on disk.
    """
    stage, within = project.stage_of(iteration)
    reselect, period = project.config.stages[stage].reselect, project.config.stages[stage].periods[0]
    found = None
    for number in range(iteration - within, project.windows_iteration(iteration) + 1, reselect):
        path = newest if newest is not None and number == iteration else project.model_path(number - 1)
        speeds = _speeds(path, project.config.solver, period)
        if found is None or not found.has_room(*speeds, period):
            found = project.config.solver.pinned(*speeds, period)
    if found is None:
        raise WorkError(f"iteration {iteration} is in no stage")
    return found


def common_config(project: Project, stage: int, models: Sequence[Path]) -> SolverConfig:
    """Settings of the solver with which some models are simulated alike: those of the stage if they hold them all.

    Parameters
    ----------
    project : Project
    stage : int
    models : sequence of Path
    """
    period = project.config.stages[stage].periods[0]
    speeds = np.array([_speeds(path, project.config.solver, period) for path in models])
    slowest, fastest = float(speeds[:, 0].min()), float(speeds[:, 1].max())
    found = solver_config(project, project.first_iteration(stage))
    try:
        found.steps(slowest, fastest, period)
    except InputError:
        return project.config.solver.pinned(slowest, fastest, period)
    return found


def _speeds(path: Path, config: SolverConfig, period: float) -> tuple[float, float]:
    """Slowest S and fastest P speed of a model in a simulation, in m/s."""
    if not path.is_file():
        model_of(path)  # says what is missing
    stat = path.stat()
    return _speeds_of(str(path), stat.st_mtime_ns, stat.st_size, config, period)


@lru_cache(maxsize=1000)
def _speeds_of(path: str, mtime: int, size: int, config: SolverConfig, period: float) -> tuple[float, float]:
    return config.extremes(_model(path, mtime, size), period)


def plan_of(
    project: Project, model: Model, event: str, iteration: int, stations: tuple[Station, ...]
) -> Plan:
    """What simulating an event at some stations takes.

    Raises
    ------
    InputError
        If it cannot be simulated; file or name, value and remedy are in the message.
    """
    stage, _ = project.stage_of(iteration)
    simulation = simulation_of(project.config, model, event_of(project, event), stations, stage)
    return create(solver_config(project, iteration)).plan(simulation, project.config.compute.ranks)


def check_project(project: Project, iteration: int) -> list[Plan]:
    """Look at everything that an iteration reads, before any of it is started.

    Returns
    -------
    list of Plan
        One for each event, in the order of ``project.event_ids``.

    Raises
    ------
    InputError
        With all faults at once, a line each.
    """
    stage, _ = project.stage_of(iteration)
    if not project.event_ids:
        raise MissingError(
            f"{project.events_folder}: no events there; `seisflow import FILES` brings them in"
        )
    if not project.used:
        raise InputError(
            f"{project.root / CONFIG_NAME}: hold_out names every event; leave some to be inverted"
        )
    model_path = project.model_path(iteration - 1)
    if iteration > 1 and not model_path.is_file():
        raise MissingError(
            f"iteration {iteration} starts from {project.relative(model_path)}, which is not there; run "
            f"`seisflow iterate --iteration {_first_missing(project, iteration)}` first"
        )
    check_ranks(project.config)
    model = model_of(model_path)
    _check_region(project, model_path, model)
    _check_bounds(project, model_path, model, stage)
    names = {station.id for station in stations_of(project)}
    project.check_hold_out(names)
    project.check_corrections(names)
    plans, faults = [], []
    for event in project.event_ids:
        stations = stations_of(project)
        try:
            stations = recording_stations(project, event)
        except SeisflowError as error:
            faults.append(str(error))
        try:
            plans.append(plan_of(project, model, event, iteration, stations))
        except SeisflowError as error:
            faults += str(error).splitlines()
    if faults:
        raise InputError(
            "\n".join(dict.fromkeys(_with_file(project, fault) for fault in dict.fromkeys(faults)))
        )
    return plans


@lru_cache(maxsize=2000)
def _recorded_in(path: str, mtime: int, size: int) -> frozenset[str]:
    read_source(path)  # it must hold one event that can be used
    return frozenset(".".join(each.split(".")[:2]) for each in recorded_ids(path))


def recording_stations(project: Project, event: str) -> tuple[Station, ...]:
    """Stations of the project that recorded an event, sorted; others need not lie in the model.

    Raises
    ------
    MissingError
        If the event has no recordings.
    InputError
        If none of the stations is described.
    """
    path = project.observed_path(event)
    if not path.is_file():
        raise MissingError(
            f"event {event}: no recordings, {project.relative(path)} is not there; import them, or "
            f"move {project.relative(project.event_path(event))} away"
        )
    stat = path.stat()
    names = _recorded_in(str(path), stat.st_mtime_ns, stat.st_size)
    found = tuple(station for station in stations_of(project) if station.id in names)
    if not found:
        raise InputError(
            f"{project.relative(path)}: none of its {len(names)} stations is described in stations/; import their "
            "StationXML"
        )
    return found


def _with_file(project: Project, fault: str) -> str:
    """A fault of an event or a station that a solver found, with the file that it comes from before it."""
    kind, _, rest = fault.partition(" ")
    name = rest.split(" ")[0].rstrip(":")
    if (
        kind == "event"
        and name in project.event_ids
        and project.relative(project.event_path(name)) not in fault
    ):
        return f"{project.relative(project.event_path(name))}: {fault}"
    if kind == "station":
        for path in project.station_files():
            if any(station.id == name for station in read_stationxml([path])):
                return f"{project.relative(path)}: {fault}"
    return fault


def _check_region(project: Project, path: Path, model: Model) -> None:
    """Refuse a model that is not of the region of the configuration."""
    region, found = project.config.region, model.grid
    wanted = region.grid()
    same = np.allclose([*wanted.origin, *wanted.end], [*found.origin, *found.end], atol=1.0)
    if wanted.shape != found.shape or not same or region.projection() != model.projection:
        raise InputError(
            f"{project.relative(path)} has {' x '.join(map(str, found.shape))} nodes from {found.origin} to "
            f"{found.end} m about {model.projection.latitude:g}, {model.projection.longitude:g}; `region` in "
            f"{CONFIG_NAME} gives {' x '.join(map(str, wanted.shape))} from {wanted.origin} to {wanted.end} m about "
            f"{region.latitude:g}, {region.longitude:g}: set the region back, or import the start model again "
            "with --replace"
        )


def _check_bounds(project: Project, path: Path, model: Model, stage: int) -> None:
    """Refuse a model that lies beyond the bounds of the configuration: the first step would jump onto them."""
    _, held = within_bounds(model, project.config.inversion_of(stage).parametrisation(model))
    if held:
        raise InputError(
            f"{project.relative(path)}: {held} of {model.vs.size} nodes lie beyond inversion.bounds of {CONFIG_NAME}; "
            "widen the bounds, or import a model within them"
        )


def check_ranks(config: Config) -> None:
    """Refuse ranks that cannot be started.

    Raises
    ------
    InputError
        If there is no mpiexec, or no mpi4py.
    """
    ranks, program = config.compute.ranks, shlex.split(config.compute.mpiexec)
    if ranks == 1:
        return
    if not program or shutil.which(program[0]) is None:
        raise InputError(
            f"{CONFIG_NAME}: compute.ranks = {ranks} needs compute.mpiexec = {config.compute.mpiexec!r}, which is not "
            "there; install MPI or load its module, or set ranks: 1"
        )
    if find_spec("mpi4py") is None and not (Path(sys.prefix) / "mpi" / "mpi4py").is_dir():
        raise InputError(
            f"{CONFIG_NAME}: compute.ranks = {ranks} needs mpi4py; pip install 'seisflow[mpi]', or set ranks: 1"
        )


def _first_missing(project: Project, iteration: int) -> int:
    number = iteration - 1
    while number > 1 and not project.model_path(number - 1).is_file():
        number -= 1
    return number
