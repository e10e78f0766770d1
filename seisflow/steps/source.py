"""Inversion for the source of one event: its moment tensor, place and origin time, in a model that stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from seisflow.config import StageConfig, digest
from seisflow.domain import Event, FloatArray, Gather, MomentTensor, SourceDerivatives, Window
from seisflow.errors import InputError, MissingError, PhysicsError
from seisflow.inversion.source import Linear, Mechanism, jackknife, solve
from seisflow.io.atomic import publish
from seisflow.io.events import write_quakeml
from seisflow.misfits import create as create_misfit
from seisflow.misfits import measure_gather
from seisflow.project import Project
from seisflow.ranks import Ranks
from seisflow.records import Task
from seisflow.report.source import draw_source
from seisflow.report.style import write_png
from seisflow.signal import Pipeline, TimeAxis
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import Stage, at_once
from seisflow.steps.inputs import event_of, model_of, simulation_of
from seisflow.steps.source_change import change_of

__all__ = ["FREE", "SourceOptions", "SourceStep", "adopt", "discard"]

FREE = ("place", "depth", "time")
"""What may be held besides the tensor, which always moves."""
_TENSOR, _MOTION = SourceDerivatives.NAMES[:6], ("x", "y", "depth")
_SHALLOWEST = 300.0
_ENOUGH = 1e-3
"""Relative change of the misfit, and step over the shortest wavelength, below which it has converged."""


@dataclass(frozen=True)
class SourceOptions:
    """How a source is inverted for.

    Parameters
    ----------
    model : int, optional
        Number of the model; the newest, if left out.
    misfit : str, optional
        Kind of misfit instead of that of the stage.
    mechanism : {"full", "deviatoric", "double-couple"}
    fixed : tuple of str
        Of ``FREE``: what stays as it is.
    rounds : int
        Most changes of the place.
    scan : bool
        Invert at other depths too, for the curve of misfit against depth.
    """

    model: int | None = None
    misfit: str | None = None
    mechanism: Mechanism = "deviatoric"
    fixed: tuple[str, ...] = ()
    rounds: int = 6
    scan: bool = True

    def __post_init__(self) -> None:
        for name in self.fixed:
            if name not in FREE:
                raise InputError(f"--fix {name}: it must be of {', '.join(FREE)}")
        if self.mechanism not in ("full", "deviatoric", "double-couple"):
            raise InputError(f"--mechanism {self.mechanism}: use full, deviatoric or double-couple")
        if self.rounds < 1:
            raise InputError(f"--rounds {self.rounds}: at least 1 is needed")


@dataclass(frozen=True)
class Point:
    """A source that was tried: metres from where it began (x, y, depth), tensor, delay in s, and its misfit."""

    place: tuple[float, float, float]
    tensor: tuple[float, ...]
    delay: float
    misfit: float


@dataclass
class _State:
    """What is kept between the rounds; a killed run goes on from it."""

    digest: str
    before: float = 0.0
    best: Point | None = None
    radius: float = 0.0
    rounds: int = 0
    settled: bool = False
    visited: list[Point] = field(default_factory=list)
    scanned: list[Point] = field(default_factory=list)


@dataclass
class SourceStep:
    """The inversion for one source.

    Parameters
    ----------
    project : Project
    event : str
    options : SourceOptions
    threads : int
    progress : callable
    ranks : Ranks, optional
        Those that simulate together, of which this is the first.
    """

    project: Project
    event: str
    options: SourceOptions = SourceOptions()
    threads: int = 1
    progress: Callable[[float], None] = lambda fraction: None
    ranks: Ranks | None = None

    def __post_init__(self) -> None:
        project = self.project
        there = [n for n in range(project.iterations + 1) if project.model_path(n).is_file()]
        if not there:
            raise MissingError(
                f"{project.relative(project.model_path(0))} is not there; import a start model first"
            )
        self.model = there[-1] if self.options.model is None else self.options.model
        iteration = min(self.model + 1, project.iterations)
        path = project.model_path(self.model)
        self.step = EventStep(project, iteration, 0, self.event, self.threads, newest=path, ranks=self.ranks)
        if not isinstance(self.step.source.source, MomentTensor):
            raise InputError(
                f"event {self.event}: its source is a force; only moment tensors are inverted for"
            )
        self.bands = project.config.stages[self.step.stage].compared
        self.period = min(band.periods[0] for band in self.bands)
        kind = self.options.misfit
        configs = [band.misfit if kind is None else _misfit(kind, band.periods) for band in self.bands]
        self.misfits = [
            create_misfit(config, band.periods) for config, band in zip(configs, self.bands, strict=True)
        ]
        self.folder = project.source_folder(self.event)
        self.runs = 0

    # ------------------------------------------------------------------ what decides the result

    @cached_property
    def task(self) -> Task:
        """Everything that the result depends on."""
        inputs, settings = dict(self.step.task.inputs), dict(self.step.task.settings)
        inputs["model"] = self.project.model_path(self.model)
        settings["options"] = json.loads(json.dumps(asdict(self.options)))
        return Task(f"sources/{self.event}/solution", inputs, settings, self.step.task.code)

    @property
    def _state_path(self) -> Path:
        return self.folder / "rounds.json"

    def _load(self) -> _State:
        hashes = {name: self.project.hash_of_input(what) for name, what in self.task.inputs.items()}
        wanted = digest(hashes, dict(self.task.settings), self.task.code)
        try:
            found = TypeAdapter(_State).validate_json(self._state_path.read_bytes())
        except (OSError, ValueError):
            return _State(wanted)
        return found if found.digest == wanted else _State(wanted)

    def _save(self, state: _State) -> None:
        with publish(self._state_path) as path:
            path.write_text(json.dumps(asdict(state), indent=1))

    # ------------------------------------------------------------------ seismograms

    @cached_property
    def origin(self) -> tuple[float, float, float]:
        """Where the source began, on the map of the project, and its depth."""
        event = self.step.source
        x, y = self.project.config.region.projection().to_local(event.latitude, event.longitude)
        return x, y, event.depth

    @property
    def _start(self) -> Point:
        return Point((0.0, 0.0, 0.0), astuple(self.step.source.source), 0.0, np.inf)

    def _event(self, point: Point, *, shifted: bool = False) -> Event:
        """The event of a point; its time is that at which it began unless ``shifted``."""
        x, y, depth = (a + b for a, b in zip(self.origin, point.place, strict=True))
        latitude, longitude = self.project.config.region.projection().to_geographic(x, y)
        return replace(
            self.step.source, latitude=latitude, longitude=longitude, depth=depth, source=MomentTensor(*point.tensor),
            time=self.step.source.time + (point.delay if shifted else 0.0),
        )  # fmt: skip

    def _columns(self, point: Point, names: Sequence[str]) -> list[Gather]:
        """Raw seismograms of a unit of each parameter."""
        model = model_of(self.project.model_path(self.model))
        simulation = simulation_of(
            self.project.config, model, self._event(point), self.step.stations, self.step.stage
        )
        simulation = replace(simulation, duration=simulation.duration + self.period)
        self.runs += len(names)
        done = self.runs / (9.0 * self.options.rounds + (24 if self.options.scan else 0))
        self.progress(min(0.98, done))
        return self.step.solver.source_columns(simulation, names)

    def _treated(self, raw: Gather, delay: float) -> FloatArray:
        """What is compared in each band, of seismograms that come later by a delay."""
        late = replace(raw, start=raw.start + delay)
        axis, stations = TimeAxis.of(late), late.stations
        found = []
        for band in self.step.bands:
            compared = TimeAxis.of(band.observed)
            pipeline = Pipeline(band.signal, axis, compared, self.step.source, stations, late.quantity)
            found.append(pipeline.apply(late).data)
        return np.stack(found)

    def _motion_in_time(self, raw: Sequence[Gather], point: Point) -> FloatArray:
        whole = raw[0].with_data(
            sum(m * each.data for m, each in zip(point.tensor, raw, strict=True))  # type: ignore[arg-type]
        )
        small = 0.5 * whole.interval
        ends = [self._treated(whole, point.delay + sign * small) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * small)

    # ------------------------------------------------------------------ misfit

    def _objective(self, data: FloatArray, without: str = "") -> tuple[float, FloatArray]:
        total, slopes = 0.0, np.zeros(data.shape)
        for number, (band, misfit) in enumerate(zip(self.step.bands, self.misfits, strict=True)):
            windows = [w for w in self.windows if w.station != without and w.band == number]
            if windows:
                synthetic = band.observed.with_data(data[number], live=None)
                found = measure_gather(misfit, band.observed, synthetic, windows)
                total += found.value
                slopes[number] = found.adjoint.data * band.observed.interval
        return total, slopes

    def _select(self, raw: Sequence[Gather]) -> None:
        """Windows of the source as it began; they stay."""
        start, step = self._start, self.step
        whole = raw[0].with_data(sum(m * each.data for m, each in zip(start.tensor, raw, strict=True)))  # type: ignore[arg-type]
        step.take_forward(_Forward(whole))
        step.select_windows()
        step.measure()
        held = set(step.held)
        self.windows: tuple[Window, ...] = tuple(w for w in step.windows if w.station not in held)
        if not self.windows:
            raise PhysicsError(
                f"event {self.event}: no window passes, so there is nothing to fit; loosen `windows`, or begin with a "
                "source that is closer"
            )

    # ------------------------------------------------------------------ the inversion

    def _refit(self, raw: Sequence[Gather], point: Point) -> Point:
        """Tensor and time at a place that stays, without another simulation."""
        with_time = "time" not in self.options.fixed
        most = self.period
        for _ in range(10):
            columns = np.stack([self._treated(each, point.delay) for each in raw])
            motion = np.zeros((0, *columns.shape[1:]))
            bounds = np.zeros(0)
            if with_time:
                motion, bounds = self._motion_in_time(raw, point)[None], np.array([most / 10])
            start = MomentTensor(*point.tensor)
            solved = solve(self._objective, Linear(columns, motion, bounds), start, self.options.mechanism)
            change = float(solved.change[0]) if with_time else 0.0
            delay = float(np.clip(point.delay + change, -0.95 * most, 0.95 * most))
            after = replace(point, tensor=astuple(solved.tensor), delay=delay, misfit=solved.misfit)
            if with_time:
                after = replace(after, misfit=self._misfit_of(raw, after))
            settled = abs(change) < 1e-3 * most or after.misfit > point.misfit
            point = after if after.misfit <= point.misfit else point
            if not with_time or settled:
                break
        return point

    def _misfit_of(self, raw: Sequence[Gather], point: Point) -> float:
        columns = [self._treated(each, point.delay) for each in raw]
        return self._objective(np.tensordot(np.array(point.tensor), np.stack(columns), axes=1))[0]

    def _moves(self) -> list[str]:
        fixed = self.options.fixed
        return [name for name in _MOTION if ("depth" if name == "depth" else "place") not in fixed]

    def _linear(self, raw: Sequence[Gather], point: Point, radius: float) -> tuple[Linear, list[str]]:
        """Everything that moves, about a point."""
        names = self._moves()
        moving = [self._treated(each, point.delay) for each in self._columns(point, names)] if names else []
        bounds = [radius] * len(names)
        if "time" not in self.options.fixed:
            names, bounds = [*names, "time"], [*bounds, self.period / 10]
            moving.append(self._motion_in_time(raw, point))
        columns = np.stack([self._treated(each, point.delay) for each in raw])
        motion = np.stack(moving) if moving else np.zeros((0, *columns.shape[1:]))
        return Linear(columns, motion, np.array(bounds)), names

    def _step_to(self, point: Point, linear: Linear, names: list[str]) -> Point:
        """Where the linear seismograms fit best, within the model."""
        solved = solve(self._objective, linear, MomentTensor(*point.tensor), self.options.mechanism)
        change = dict(zip(names, map(float, solved.change), strict=True))
        place = [p + change.get(name, 0.0) for p, name in zip(point.place, _MOTION, strict=True)]
        place[2] = max(place[2], min(_SHALLOWEST, self.origin[2]) - self.origin[2])
        tensor = astuple(solved.tensor)
        return Point((place[0], place[1], place[2]), tensor, point.delay + change.get("time", 0.0), np.inf)

    @cached_property
    def wavelength(self) -> float:
        """Shortest S wavelength at the source in m."""
        model = model_of(self.project.model_path(self.model))
        level = int(np.argmin(np.abs(model.grid.z - self.origin[2])))
        return float(model.vs[:, :, level].mean()) * self.period

    def _rounds(self, state: _State) -> tuple[Point, list[Gather]]:
        """Move the place until it has settled; the best point and its raw seismograms."""
        at = state.best or self._start
        raw = self._columns(at, _TENSOR)
        first = raw if state.best is None or not any(at.place) else self._columns(self._start, _TENSOR)
        self._select(first)
        if state.best is None:
            state.before = self._misfit_of(raw, at)
            at = self._refit(raw, replace(at, misfit=np.inf))
            state.best, state.radius = at, self.wavelength / 12
            state.visited = [at]
            self._save(state)
        while not state.settled and state.rounds < self.options.rounds and self._moves():
            linear, names = self._linear(raw, at, state.radius)
            trial = self._step_to(at, linear, names)
            length = float(np.linalg.norm(np.subtract(trial.place, at.place)))
            if length < _ENOUGH * self.wavelength:
                state.settled = True
                break
            tried = self._columns(trial, _TENSOR)
            trial = self._refit(tried, trial)
            state.rounds += 1
            state.visited.append(trial)
            if trial.misfit < at.misfit:
                state.settled = trial.misfit > (1 - _ENOUGH) * at.misfit
                at, raw = trial, tried
            else:
                state.radius = 0.3 * length
                state.settled = state.radius < 2 * _ENOUGH * self.wavelength
            state.best = at
            self._save(state)
        return at, raw

    def _scan(self, state: _State, best: Point) -> None:
        """Tensor and time at other depths."""
        step = max(1000.0, self.wavelength / 24)
        deepest = model_of(self.project.model_path(self.model)).grid.end[2]
        for number in (-2, -1, 1, 2)[len(state.scanned) :]:
            depth = self.origin[2] + best.place[2] + number * step
            depth = float(np.clip(depth, _SHALLOWEST, 0.98 * deepest))
            point = replace(best, place=(*best.place[:2], depth - self.origin[2]), misfit=np.inf)
            state.scanned.append(self._refit(self._columns(point, _TENSOR), point))
            self._save(state)

    def _errors(self, raw: Sequence[Gather], best: Point) -> dict[str, float]:
        """Standard errors by leaving out each station in turn, on linear seismograms; none with fewer than four."""
        names = sorted({window.station for window in self.windows})
        if len(names) < 4:
            return {}
        linear, moves = self._linear(raw, best, self.wavelength / 6)
        start, rows = MomentTensor(*best.tensor), []
        for without in names:
            solved = solve(partial(self._objective, without=without), linear, start, self.options.mechanism)
            rows.append([*astuple(solved.tensor), *solved.change, solved.tensor.magnitude])
        errors = jackknife(np.array(rows)).tolist()
        return dict(zip([*_TENSOR, *moves, "magnitude"], errors, strict=True))

    def run(self, stage: Stage = at_once) -> dict[str, Any]:
        """Invert, unless the record holds; the results are in ``sources/EVENT/``.

        Returns
        -------
        dict
            See ``steps.source_change.change_of``.
        """
        done = self.project.done(self.task)
        if done is None:
            begun = self.project.begin(self.task)
            state = self._load()
            stage("rounds", lambda: self._finish(state, begun))
            done = self.project.done(self.task) or {}
        self.progress(1.0)
        return done

    def _finish(self, state: _State, begun: Any) -> None:
        best, raw = self._rounds(state)
        if self.options.scan and "depth" not in self.options.fixed:
            self._scan(state, best)
        errors = self._errors(raw, best)
        before, after = self.step.source, self._event(best, shifted=True)
        results = change_of(before, after, state.before, best.misfit, errors)
        results |= {
            "model": self.model,
            "rounds": state.rounds,
            "windows": len(self.windows),
            "runs": self.runs,
        }
        points = [(self.origin[2] + p.place[2], p.misfit, p.tensor) for p in [*state.scanned, best]]
        results["depths"] = [[depth, misfit] for depth, misfit, _ in sorted(points)]
        solution, picture = self.folder / "solution.xml", self.folder / "solution.png"
        write_quakeml(solution, after)
        start = self._start
        whole = [
            np.tensordot(np.array(p.tensor), np.stack([self._treated(r, p.delay) for r in g]), axes=1)
            for p, g in ((start, self._first(raw, best)), (best, raw))
        ]
        observed = self.step.bands[0].observed
        synthetics = [observed.with_data(data[0], live=None) for data in whole]
        windows = [window for window in self.windows if window.band == 0]
        figure = draw_source((before, after), sorted(points), observed, synthetics, windows)
        write_png(figure, picture)
        self.project.record(self.task, [solution, picture], results, begun)

    def _first(self, raw: list[Gather], best: Point) -> list[Gather]:
        """Raw seismograms of a unit tensor where the source began."""
        return raw if not any(best.place) else self._columns(self._start, _TENSOR)


def _misfit(kind: str, periods: tuple[float, float]) -> Any:
    """Settings of a misfit with its defaults."""
    try:
        return StageConfig.model_validate({"periods": list(periods), "misfit": {"kind": kind}}).misfit
    except ValidationError as error:
        raise InputError(f"--misfit {kind}: {error.errors()[0]['msg']}") from None


@dataclass(frozen=True)
class _Forward:
    """A forward run of which only the seismograms are known."""

    gather: Gather


def adopt(project: Project, event: str) -> Path:
    """Use the solution of an event from now on, in the tomography too; the imported event stays as it is.

    Raises
    ------
    MissingError
        If there is no solution.
    """
    solution = project.source_folder(event) / "solution.xml"
    if not solution.is_file():
        raise MissingError(
            f"{project.relative(solution)} is not there; run `seisflow source --event {event}`"
        )
    adopted = solution.with_name("adopted.xml")
    with publish(adopted) as path:
        path.write_bytes(solution.read_bytes())
    event_of(project, event)
    return adopted


def discard(project: Project, event: str) -> bool:
    """Use the imported event again; whether a solution had been adopted."""
    adopted = project.source_folder(event) / "adopted.xml"
    there = adopted.is_file()
    adopted.unlink(missing_ok=True)
    return there
