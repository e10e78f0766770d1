"""One event at one model: simulate, select windows, measure, adjoint run.

The four parts run one after the other in one process, so the snapshots of the forward run stay in memory; on disk
they are one step with one record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from seisflow.config import digest
from seisflow.domain import Event, Gather, Kernel, Measurement, Rejection, Station, Window
from seisflow.errors import PhysicsError
from seisflow.io.asdf_reading import read_observed
from seisflow.io.event_file import EventFile, read_event, write_event
from seisflow.io.models import write_kernel
from seisflow.io.provenance import Provenance
from seisflow.project import Project, iteration_name, step_name
from seisflow.ranks import Ranks
from seisflow.records import Begun, Input, Task, code_version
from seisflow.signal import prepare_observed
from seisflow.signal.corrections import corrected
from seisflow.solvers import Forward, Solver
from seisflow.solvers import create as create_solver
from seisflow.steps.arrival_times import phase_times
from seisflow.steps.bands import OBSERVED, SYNTHETIC, BandStep, observed_tags, tag_of
from seisflow.steps.by_hand import edits_of
from seisflow.steps.device import device_of
from seisflow.steps.event_memory import MEMORY
from seisflow.steps.inputs import (
    corrections_of,
    event_of,
    model_of,
    simulation_of,
    solver_config,
    stations_of,
)
from seisflow.steps.weighing import has_weights, of_one_place, source_factor, weighted
from seisflow.weights import QualityConfig

__all__ = ["EventStep"]

_LOG = logging.getLogger(__name__)
_PLAIN: TypeAdapter[Any] = TypeAdapter(Any)


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
    ranks : Ranks, optional
        Those that simulate together, of which this is the first.
    """

    project: Project
    iteration: int
    step: int
    event: str
    threads: int = 1
    progress: Callable[[float], None] = lambda fraction: None
    newest: Path | None = None
    ranks: Ranks | None = None

    def __post_init__(self) -> None:
        self.stage, _ = self.project.stage_of(self.iteration)
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
        self.left_out: tuple[Rejection, ...] = ()
        self.forward: Forward | None = None
        self.kernel: Kernel | None = None
        self.work, self.runs = 0.0, 0

    @cached_property
    def task(self) -> Task:
        """What decides the result of this step."""
        project, config = self.project, self.project.config
        inputs: dict[str, Input] = {"model": self.model_path, "event": project.event_path(self.event)}
        if self.windows_from is None:
            inputs["observed"] = project.observed_path(self.event)
        else:
            inputs["windows"] = project.event_file(self.windows_from, 0, self.event)
        if project.time_function_path is not None:
            inputs["time function"] = project.time_function_path
        inputs["stations"] = project.station_files()
        settings = {
            "axis": config.axis(),
            "source": config.source,
            "solver": solver_config(project, self.iteration, self.newest),
            "kernel": self.with_kernel,
            "hold_out": list(self.held),
        }
        stage = config.stages[self.stage]
        if self.carried is not None:
            inputs["windows carried over"] = self.carried
        if self.step == 0 and (edits := edits_of(project, self.event, self.iteration)):
            settings["by_hand"] = edits
        code = code_version()
        if any(band.windows.travel_times == "model" for band in stage.compared):
            inputs["start model"] = project.model_path(0)
            code = code_version("detection")  # it computes them
        if stage.quality != QualityConfig():
            settings["quality"] = stage.quality
        if has_weights(stage):
            settings["weights"] = stage.weights
            settings["weight of the event"] = source_factor(project, self.event, stage.weights.sources)
        settings |= {"duplicates": config.compared.duplicates} | self._corrections()
        bands = stage.compared
        for band in bands:
            of_band = {
                "signal": config.signal(self.stage, band.number),
                "windows": band.windows,
                "misfit": band.misfit,
            }
            if band.weight != 1:
                of_band["weight"] = band.weight
            settings |= of_band if len(bands) == 1 else {f"band {band.number + 1}": of_band}
        name = f"{iteration_name(self.iteration)}/{step_name(self.step)}/{self.event}"
        return Task(name, inputs, _PLAIN.dump_python(settings, mode="json"), code)

    def _corrections(self) -> dict[str, Any]:
        named = corrections_of(self.project, self.event)
        return {"corrections": named} if named else {}

    # ------------------------------------------------------------------ the four parts

    @cached_property
    def solver(self) -> Solver:
        """The solver with its threads."""
        config = solver_config(self.project, self.iteration, self.newest)
        device = None if self.ranks is not None else device_of(self.project)
        return create_solver(config, threads=self.threads, ranks=self.ranks, device=device)

    @cached_property
    def source(self) -> Event:
        """The event itself."""
        return event_of(self.project, self.event)

    @cached_property
    def earlier(self) -> EventFile | None:
        """The file whose windows and observed seismograms are used again, if they are."""
        if self.windows_from is None:
            return None
        path = self.project.event_file(self.windows_from, 0, self.event)
        return MEMORY.read(path, len(self.project.config.stages[self.stage].compared))

    @cached_property
    def bands(self) -> tuple[BandStep, ...]:
        """What is done in each band; all have the stations of which a trace is live in one of them."""
        config = self.project.config
        bands = config.stages[self.stage].compared
        signals = [config.signal(self.stage, band.number) for band in bands]
        if self.earlier is not None:
            gathers = [self.earlier.gathers[tag] for tag in observed_tags(len(bands))]
            return tuple(BandStep(*each, self.held) for each in zip(bands, signals, gathers, strict=True))
        stream, inventory = read_observed(self.project.observed_path(self.event))
        corrections = self._corrections().get("corrections", {})
        stations = self._recorded(stream, [name for name, what in corrections.items() if what.drop])
        stream = corrected(stream, corrections)
        prepared = [
            prepare_observed(stream, inventory, self.source, stations, config.axis(), signal)
            for signal in signals
        ]
        live = np.sum([np.asarray(gather.live).sum(axis=1) for gather, _ in prepared], axis=0)
        traces = {station.id: int(count) for station, count in zip(stations, live, strict=True)}
        doubles, listed = of_one_place(stations, traces, config.compared.duplicates)
        self.left_out += tuple(listed)
        live = np.array([traces[station.id] > 0 and station.id not in doubles for station in stations])
        found = []
        for band, signal, (gather, dead) in zip(bands, signals, prepared, strict=True):
            found.append(BandStep(band, signal, _of_stations(gather, live), self.held))
            found[-1].take((), dead)
        return tuple(found)

    def _recorded(self, stream: Any, dropped: Sequence[str]) -> tuple[Station, ...]:
        """The stations of a stream; those that are not described, or dropped, are left out and listed."""
        recorded = {f"{trace.stats.network}.{trace.stats.station}" for trace in stream}
        known = {station.id: station for station in stations_of(self.project)}
        self.left_out = tuple(
            Rejection(name, "*", "station", "recorded, but stations/ does not describe it")
            for name in sorted(recorded - known.keys())
        )
        if not recorded & known.keys():
            raise PhysicsError(
                f"event {self.event}: none of its {len(recorded)} recorded stations is in stations/"
            )
        self.left_out += tuple(
            Rejection(name, "*", "station", "dropped by data.corrections")
            for name in sorted(recorded & known.keys() & set(dropped))
        )
        return tuple(known[name] for name in sorted((recorded & known.keys()) - set(dropped)))

    @property
    def stations(self) -> tuple[Station, ...]:
        """Stations of which some trace can be used."""
        return self.bands[0].observed.stations

    def simulate(self) -> None:
        """Run the solver forward."""
        if not self.stations:
            return
        model = model_of(self.model_path)
        simulation = simulation_of(self.project.config, model, self.source, self.stations, self.stage)
        self.work = self.solver.plan(simulation).gradient_work if self.with_kernel else 0.0
        share = 1 / 3 if self.with_kernel else 1.0
        self.runs += 1
        self.take_forward(
            self.solver.forward(
                simulation, keep=self.with_kernel, progress=lambda done: self.progress(share * done)
            )
        )

    def take_forward(self, forward: Forward | None) -> None:
        """Take a forward run, which all bands compare."""
        self.forward = forward
        if forward is not None:
            for band in self.bands:
                band.treat(forward.gather, self.source)

    @property
    def carried(self) -> Path | None:
        """File of the stage before whose windows are taken over when they would be selected."""
        if self.windows_from is not None or not self.project.config.stages[self.stage].carry_over:
            return None
        return self.project.event_file(self.project.first_iteration(self.stage) - 1, 0, self.event)

    def select_windows(self) -> None:
        """Select windows, take them over, or take those that are frozen; then do what people asked for."""
        for band in self.bands:
            if self.earlier is not None:
                number = band.band.number
                windows = [each for each in self.earlier.windows if each.band == number]
                band.take(windows, [each for each in self.earlier.rejections if each.band == number])
            elif self.forward is not None:
                self._choose(band)
                band.judge(self.project.config.stages[self.stage].quality, self.source)
        if self._edit() or self.windows_from is None:
            self._weigh()

    def _choose(self, band: BandStep) -> None:
        pair = band.pair(
            self.source, phase_times(self.project, band.band.windows, self.source, self.stations)
        )
        if self.carried is None:
            band.select(pair)
        else:
            windows = read_event(self.carried, waveforms=False).windows
            band.carry_over(pair, [each for each in windows if each.band == band.band.number])

    def _edit(self) -> bool:
        """Do what people asked for; whether any window changed."""
        if self.step > 0 or self.forward is None:
            return False
        changed = False
        for band in self.bands:
            edits = edits_of(self.project, self.event, self.iteration, band.band.periods)
            if edits:
                times = phase_times(self.project, band.band.windows, self.source, self.stations)
                changed |= band.edit(band.pair(self.source, times), edits)
        return changed

    def _weigh(self) -> None:
        """Give the windows their weights; they stay with the windows as long as these are frozen."""
        stage = self.project.config.stages[self.stage]
        if not has_weights(stage):
            return
        source = source_factor(self.project, self.event, stage.weights.sources)
        found = weighted(self.windows, self.stations, stage, source, self.held)
        for band in self.bands:
            band.windows = tuple(found[window] for window in band.windows)

    def measure(self) -> None:
        """Measure the misfit in all windows; those of stations that are held out make no adjoint source."""
        strict = self.windows_from is not None
        while any([band.measure(strict=strict) for band in self.bands]):
            if not has_weights(self.project.config.stages[self.stage]):
                break
            self._weigh()  # some windows could not be measured: the others share their weight
        values = [row.value for row in self.rows]
        if not np.all(np.isfinite(values)):
            raise PhysicsError(f"event {self.event}: the misfit is {sum(values)}")

    @property
    def windows(self) -> tuple[Window, ...]:
        """Those of all bands, band by band."""
        return tuple(window for band in self.bands for window in band.windows)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """What was refused, band by band."""
        return (*self.left_out, *(row for band in self.bands for row in band.rejections))

    @property
    def rows(self) -> tuple[Measurement, ...]:
        """What was measured, in the order of the windows."""
        return tuple(row for band in self.bands for row in band.rows)

    @property
    def used_rows(self) -> tuple[Measurement, ...]:
        """What was measured and is inverted."""
        return tuple(row for band in self.bands for row in band.used_rows)

    @property
    def misfit(self) -> float:
        """Sum over the windows that are inverted."""
        return float(sum(row.value for row in self.used_rows))

    def adjoint(self) -> None:
        """Run the solver backward from the adjoint sources of all bands together."""
        sources = [source for band in self.bands if (source := band.source) is not None]
        if not self.with_kernel or not sources or self.forward is None:
            return
        data = sources[0].data
        for more in sources[1:]:
            data = data + more.data
        self.runs += 1
        self.kernel = self.solver.adjoint(
            self.forward,
            sources[0].with_data(data),
            progress=lambda done: self.progress(1 / 3 + 2 / 3 * done),
        )

    # ------------------------------------------------------------------ to disk

    def finish(self, begun: Begun) -> dict[str, Any]:
        """Write the results and the record; the big arrays are dropped."""
        project = self.project
        held = [row for band in self.bands for row in band.held_rows]
        refused, late = (sum(counts) for counts in zip(*(band.unsafe() for band in self.bands), strict=True))
        results: dict[str, Any] = {
            "misfit": self.misfit,
            "windows": len(self.used_rows),
            "weight": sum(row.window.weight for row in self.used_rows),
            "held_misfit": sum(row.value for row in held),
            "held_windows": len(held),
            "held_weight": sum(row.window.weight for row in held),
            "rejected": len(self.rejections),
            "refused": refused,
            "unsafe": late + refused,
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
            MEMORY.keep(path, content, len(self.bands))
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
        for band in self.__dict__.get("bands", ()):
            band.forget()

    def _content(self, results: dict[str, Any], begun: Begun) -> EventFile:
        gathers: dict[str, Gather] = {}
        adjoints: dict[int, Gather] = {}
        for number, band in enumerate(self.bands):
            gathers[tag_of(OBSERVED, number)] = band.observed
            if self.forward is not None:
                gathers[tag_of(SYNTHETIC, number)] = band.synthetic
            if band.measurements is not None:
                adjoints[number] = band.measurements.adjoint
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
            gathers=gathers,
            windows=self.windows,
            rejections=self.rejections,
            measurements=self.rows,
            adjoints=adjoints,
            traces=tuple(fit for band in self.bands for fit in band.traces),
            results=results,
            candidates={
                number: band.candidates
                for number, band in enumerate(self.bands)
                if band.candidates is not None
            },
        )


def _of_stations(gather: Gather, keep: npt.NDArray[np.bool_]) -> Gather:
    """The stations that are to be kept."""
    places = np.flatnonzero(keep)
    stations = tuple(gather.stations[place] for place in places)
    return gather.with_data(gather.data[places], stations=stations, live=np.asarray(gather.live)[places])
