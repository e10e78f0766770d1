"""One event at one model: simulate, select windows, measure, adjoint run.

The four parts run one after the other in one process, so the snapshots of the forward run stay in memory; on disk
they are one step with one record.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from seisflow.config import digest
from seisflow.domain import Event, Gather, Kernel, Measurement, Measurements, Rejection, Station, Window
from seisflow.errors import InputError, PhysicsError
from seisflow.io.asdf import read_observed
from seisflow.io.event_file import EventFile, read_event, write_event
from seisflow.io.models import write_kernel
from seisflow.io.provenance import Provenance
from seisflow.misfits import Misfit, measure_gather
from seisflow.misfits import create as create_misfit
from seisflow.project import Project, iteration_name, step_name
from seisflow.records import Begun, Task
from seisflow.signal import Pipeline, TimeAxis, prepare_observed
from seisflow.solvers import Forward, Solver
from seisflow.solvers import create as create_solver
from seisflow.steps.inputs import event_of, model_of, simulation_of, solver_config, stations_of
from seisflow.windows import check_not_identical, select

__all__ = ["EventStep", "Stage", "check_windows", "run_event"]

_LOG = logging.getLogger(__name__)
SYNTHETIC, OBSERVED = "synthetic_processed", "observed_processed"

Stage = Callable[[str, Callable[[], None]], None]
"""Runs one named part of a step; a flow makes a task of its own of it."""


class _Memory:
    """Windows and observed seismograms of event files used last: a line search needs them again and again.

    Parameters
    ----------
    most : int
        Bytes of seismograms that are kept; a round over more events than fit reads its files again.
    """

    def __init__(self, most: int = 256_000_000) -> None:
        self.most, self.guard = most, threading.Lock()
        self.found: dict[tuple[Path, int, int, int], EventFile] = {}

    def read(self, path: Path) -> EventFile:
        """Content of a file, from memory if it has not changed since."""
        with self.guard:
            known = self.found.get(self._stamp(path)) if path.is_file() else None
        if known is None:
            known = read_event(path, tags=(OBSERVED,))
        self.keep(path, known)
        return known

    def keep(self, path: Path, content: EventFile) -> None:
        """Remember what was read, or has just been written, and forget what was used longest ago."""
        content = replace(content, gathers={OBSERVED: content.gathers[OBSERVED]}, adjoint=None)
        with self.guard:
            stamp = self._stamp(path)
            self.found.pop(stamp, None)
            self.found[stamp] = content
            while sum(kept.gathers[OBSERVED].data.nbytes for kept in self.found.values()) > self.most:
                del self.found[next(iter(self.found))]

    @staticmethod
    def _stamp(path: Path) -> tuple[Path, int, int, int]:
        stat = path.stat()
        return path, stat.st_mtime_ns, stat.st_size, stat.st_ino


_MEMORY = _Memory()


@dataclass
class EventStep:
    """One event at one model.

    Parameters
    ----------
    project : Project
    iteration : int
    step : int
        0 is the model that the iteration starts from, with windows and (unless the event is held out) the event
        kernel; others are trials of the line search, measured in the same windows.
    event : str
    threads : int
        For the solver.
    progress : callable
        Gets the fraction that is done.
    newest : Path, optional
        Model that the iteration would start from, while the iteration before still tries it.
    """

    project: Project
    iteration: int
    step: int
    event: str
    threads: int = 1
    progress: Callable[[float], None] = lambda fraction: None
    newest: Path | None = None

    def __post_init__(self) -> None:
        config = self.project.config
        self.stage, _ = self.project.stage_of(self.iteration)
        self.signal = config.signal(self.stage)
        self.held = self.project.held_stations(self.event) if self.event in self.project.used else ()
        self.with_kernel = self.step == 0 and self.event in self.project.used
        folder = self.project.step_folder(self.iteration, self.step)
        before = self.newest or self.project.model_path(self.iteration - 1)
        self.model_path = folder / "model.nc" if self.step else before
        self.windows_from: int | None = self.project.windows_iteration(self.iteration)
        if self.step == 0 and self.windows_from == self.iteration:
            self.windows_from = None
        elif self.step:
            self.windows_from = self.iteration
        self.rejections: tuple[Rejection, ...] = ()
        self.windows: tuple[Window, ...] = ()
        self.forward: Forward | None = None
        self.kernel: Kernel | None = None
        self.work, self.runs = 0.0, 0

    @cached_property
    def task(self) -> Task:
        """What decides the result of this step."""
        project, config = self.project, self.project.config
        stage = config.stages[self.stage]
        inputs = {"model": self.model_path, "event": project.event_path(self.event)}
        if self.windows_from is None:
            inputs["observed"] = project.observed_path(self.event)
        else:
            inputs["windows"] = project.event_file(self.windows_from, 0, self.event)
        if project.time_function_path is not None:
            inputs["time function"] = project.time_function_path
        inputs |= {f"stations/{path.name}": path for path in project.station_files()}
        settings = {
            "signal": self.signal,
            "axis": config.axis(),
            "source": config.source,
            "solver": solver_config(project, self.iteration, self.newest),
            "windows": stage.windows,
            "misfit": stage.misfit,
            "kernel": self.with_kernel,
            "hold_out": list(self.held),
        }
        name = f"{iteration_name(self.iteration)}/{step_name(self.step)}/{self.event}"
        return Task(name, inputs, TypeAdapter(Any).dump_python(settings, mode="json"))

    # ------------------------------------------------------------------ the four parts

    @cached_property
    def solver(self) -> Solver:
        """The solver with its threads."""
        config = solver_config(self.project, self.iteration, self.newest)
        return create_solver(config, threads=self.threads)

    @cached_property
    def source(self) -> Event:
        """The event itself."""
        return event_of(self.project, self.event)

    @cached_property
    def earlier(self) -> EventFile | None:
        """The file whose windows and observed seismograms are used again, if they are."""
        if self.windows_from is None:
            return None
        return _MEMORY.read(self.project.event_file(self.windows_from, 0, self.event))

    @cached_property
    def axis(self) -> TimeAxis:
        """The times that are compared."""
        return self.project.config.axis()

    @cached_property
    def observed(self) -> Gather:
        """The treated recordings; stations without any live trace are left out and listed."""
        if self.earlier is not None:
            return self.earlier.gathers[OBSERVED]
        stream, inventory = read_observed(self.project.observed_path(self.event))
        recorded = {f"{trace.stats.network}.{trace.stats.station}" for trace in stream}
        known = {station.id: station for station in stations_of(self.project)}
        missing = [
            Rejection(name, "*", "station", "recorded, but stations/ does not describe it")
            for name in sorted(recorded - known.keys())
        ]
        stations = tuple(known[name] for name in sorted(recorded & known.keys()))
        if not stations:
            raise PhysicsError(
                f"event {self.event}: none of its {len(recorded)} recorded stations is in stations/"
            )
        gather, dead = prepare_observed(stream, inventory, self.source, stations, self.axis, self.signal)
        self.rejections = (*self.rejections, *missing, *dead)
        return _with_live_stations(gather)

    def simulate(self) -> None:
        """Run the solver forward."""
        if not self.observed.stations:
            return
        model = model_of(self.model_path)
        simulation = simulation_of(
            self.project.config, model, self.source, self.observed.stations, self.stage
        )
        self.work = self.solver.plan(simulation).gradient_work if self.with_kernel else 0.0
        share = 1 / 3 if self.with_kernel else 1.0
        self.runs += 1
        self.forward = self.solver.forward(
            simulation, keep=self.with_kernel, progress=lambda done: self.progress(share * done)
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        """From raw to treated synthetic seismograms, and back for adjoint sources."""
        gather = self._forward.gather
        return Pipeline(
            self.signal, TimeAxis.of(gather), self.axis, self.source, gather.stations, gather.quantity
        )

    @cached_property
    def synthetic(self) -> Gather:
        """The treated synthetic seismograms."""
        return self.pipeline.apply(self._forward.gather)

    @property
    def _forward(self) -> Forward:
        if self.forward is None:
            raise PhysicsError(f"event {self.event}: nothing was simulated, it has no usable recording")
        return self.forward

    def select_windows(self) -> None:
        """Select windows, or take those that are frozen."""
        if self.earlier is not None:
            self.windows, self.rejections = self.earlier.windows, self.earlier.rejections
        elif self.forward is not None:
            check_not_identical(self.observed, self.synthetic)
            stage = self.project.config.stages[self.stage]
            windows, rejections = select(
                self.observed, self.synthetic, self.source, stage.windows, self.signal.band
            )
            self.windows, self.rejections = tuple(windows), (*self.rejections, *rejections)

    def measure(self) -> None:
        """Measure the misfit in all windows; those of stations that are held out make no adjoint source."""
        stage = self.project.config.stages[self.stage]
        misfit = create_misfit(stage.misfit, stage.periods)
        self.measurements: Measurements | None = None
        self.held_rows: tuple[Measurement, ...] = ()
        used = tuple(window for window in self.windows if window.station not in self.held)
        held = tuple(window for window in self.windows if window.station in self.held)
        if used:
            self.measurements = self._measured(misfit, used)
        if held:
            self.held_rows = self._measured(misfit, held).rows
        kept = {row.window for row in (*self._used_rows, *self.held_rows)}
        self.windows = tuple(window for window in self.windows if window in kept)
        values = [row.value for row in self.rows]
        if not np.all(np.isfinite(values)):
            raise PhysicsError(f"event {self.event}: the misfit is {sum(values)}")

    def _measured(self, misfit: Misfit, windows: tuple[Window, ...]) -> Measurements:
        """Measure windows; of those that were just selected, what cannot be measured is listed and left out.

        Frozen windows that cannot be measured any more stop it: the model went astray.
        """
        strict = self.windows_from is not None
        measured = measure_gather(misfit, self.observed, self.synthetic, windows, strict=strict)
        self.rejections = (*self.rejections, *measured.rejections)
        return measured

    @property
    def rows(self) -> tuple[Measurement, ...]:
        """What was measured, in the order of the windows."""
        measured = {row.window: row for row in (*self._used_rows, *self.held_rows)}
        return tuple(measured[window] for window in self.windows)

    @property
    def _used_rows(self) -> tuple[Measurement, ...]:
        return self.measurements.rows if self.measurements is not None else ()

    def adjoint(self) -> None:
        """Run the solver backward from the adjoint sources."""
        if self.with_kernel and self.measurements is not None:
            source = self.pipeline.adjoint(self.measurements.adjoint)
            self.runs += 1
            self.kernel = self.solver.adjoint(
                self._forward, source, progress=lambda done: self.progress(1 / 3 + 2 / 3 * done)
            )

    # ------------------------------------------------------------------ to disk

    def finish(self, begun: Begun) -> dict[str, Any]:
        """Write the results and the record; the big arrays are dropped."""
        project, measured = self.project, self.measurements
        results: dict[str, Any] = {
            "misfit": measured.value if measured else 0.0,
            "windows": len(self._used_rows),
            "held_misfit": sum(row.value for row in self.held_rows),
            "held_windows": len(self.held_rows),
            "rejected": len(self.rejections),
            **self._unsafe(),
        }
        numbers = dict(results)
        results["runs"] = self.runs
        if self.work:
            results["work"] = self.work
        outputs = []
        if self.step == 0:
            path = project.event_file(self.iteration, 0, self.event)
            content = self._content(numbers, begun)
            write_event(path, content)
            _MEMORY.keep(path, content)
            outputs.append(path)
        if self.with_kernel and self.kernel is None:
            project.kernel_path(self.iteration, self.event).unlink(missing_ok=True)  # of an earlier run
        if self.kernel is not None:
            path = project.kernel_path(self.iteration, self.event)
            write_kernel(path, self.kernel, project.config.region.projection())
            outputs.append(path)
        if self.rows:
            results["shifts"] = [None if row.shift is None else round(row.shift, 6) for row in self.rows]
            if self.step:  # the event file holds those of step 0
                results["misfits"] = [row.value for row in self.rows]
                results["dlnas"] = [row.dlna for row in self.rows]
                results["correlations"] = [row.correlation for row in self.rows]
        self.project.record(self.task, outputs, results, begun)
        return results

    def drop(self) -> None:
        """Forget the forward run and all that was made of it."""
        self.forward = self.kernel = None
        for name in ("pipeline", "synthetic"):
            self.__dict__.pop(name, None)

    def _unsafe(self) -> dict[str, int]:
        """How many windows lag by more than half the shortest period, and how many traces were refused for their fit.

        Both may be off by a cycle; ``unsafe`` counts them together.
        """
        stage = self.project.config.stages[self.stage]
        most, reference = stage.periods[0] / 2, stage.windows.shift_reference
        shifts = [row.window.shift if row.shift is None else row.shift for row in self.rows]
        late = sum(abs(shift - reference) > most for shift in shifts)
        misfits = {
            (row.station, row.component) for row in self.rejections if row.stage in ("shift", "correlation")
        }
        refused = len(misfits - {(window.station, window.component) for window in self.windows})
        return {"refused": refused, "unsafe": late + refused}

    def _content(self, results: dict[str, Any], begun: Begun) -> EventFile:
        parents = [(name, found or "") for name, found in begun.inputs.items() if name != "model"]
        return EventFile(
            event=self.source,
            provenance=Provenance(
                "event_gradient" if self.with_kernel else "event_misfit",
                digest(self.task.settings),
                begun.inputs["model"] or "",
                tuple(parents),
                version=self.task.code,
            ),
            gathers={OBSERVED: self.observed, **({SYNTHETIC: self.synthetic} if self.forward else {})},
            windows=self.windows,
            rejections=self.rejections,
            measurements=self.rows,
            adjoint=self.measurements.adjoint if self.measurements else None,
            results=results,
        )


def _call(name: str, part: Callable[[], None]) -> None:
    part()


def run_event(step: EventStep, stage: Stage = _call, ahead: EventStep | None = None) -> dict[str, Any]:
    """Run one event at one model, unless its record holds.

    Parameters
    ----------
    step : EventStep
    stage : callable
        Runs the parts by name.
    ahead : EventStep, optional
        What the next iteration does first if the model of this trial is taken. It takes over the forward run, and
        is recorded as done: a trial that is taken has then cost no simulation beyond its own and the adjoint run.

    Returns
    -------
    dict
        ``misfit`` (sum over windows), ``windows``, ``rejected``, ``shifts``.
    """
    done = step.project.done(step.task)
    if done is None:
        begun = step.project.begin(step.task)
        begun_ahead = step.project.begin(ahead.task) if ahead is not None else begun
        if ahead is not None and ahead.observed.stations == step.observed.stations:
            stage("simulate", ahead.simulate)
            step.forward, ahead.runs = ahead.forward, 0
            step.runs = 2 if ahead.with_kernel else 1  # all simulations of both count here
        else:
            ahead = None
            stage("simulate", step.simulate)
        stage("select windows", step.select_windows)
        stage("measure", step.measure)
        if step.with_kernel:
            stage("adjoint", step.adjoint)
        done = step.finish(begun)
        if ahead is not None:
            _finish_ahead(ahead, stage, begun_ahead)
    step.progress(1.0)
    return done


def _finish_ahead(step: EventStep, stage: Stage, begun: Begun) -> None:
    """All but the simulation of the next iteration's first evaluation; what it cannot do, it will say itself."""
    try:
        stage("select windows", step.select_windows)
        stage("measure", step.measure)
        if step.with_kernel:
            stage("adjoint", step.adjoint)
        step.runs = 0
        step.finish(begun)
    except PhysicsError as error:
        _LOG.info("event %s is not measured ahead: %s", step.event, error)


def check_windows(project: Project, iteration: int) -> None:
    """Look whether the windows that an iteration takes over are still those that would be selected.

    Raises
    ------
    InputError
        If recordings, stations or settings have changed since; which ones, and what to do, is in the message.
    """
    selected = project.windows_iteration(iteration)
    if selected == iteration:
        return
    faults: dict[str, list[str]] = {}
    for event in project.event_ids:
        for reason in project.why(EventStep(project, selected, 0, event).task):
            if not reason.startswith(_HARMLESS):
                faults.setdefault(reason, []).append(event)
    if faults:
        lines = [f"  {reason} (event {', '.join(events)})" for reason, events in faults.items()]
        raise InputError(
            f"iteration {iteration} takes its windows from iteration {selected}, but since then\n"
            + "\n".join(lines)
            + f"\nrun `seisflow iterate --iteration {selected} --through {iteration}` to select them anew, or begin a "
            f"new stage with iteration {iteration}"
        )


_HARMLESS = ("the code changed", "setting misfit", "setting kernel", "setting hold_out")
"""Reasons for which an event would run again, but select the same windows."""


def _with_live_stations(gather: Gather) -> Gather:
    live = np.asarray(gather.live)
    keep = [number for number in range(len(gather.stations)) if live[number].any()]
    stations: tuple[Station, ...] = tuple(gather.stations[number] for number in keep)
    return gather.with_data(gather.data[keep], stations=stations, live=live[keep])
