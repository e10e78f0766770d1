"""A project in a notebook: events, models, measurements and seismograms as the objects that people know.

Nothing here writes: a project may be looked at while another process works in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from seisflow.domain import MomentTensor, Rejection
from seisflow.domain.kernels import KernelParameters
from seisflow.errors import InputError, MissingError
from seisflow.io.asdf_reading import read_observed
from seisflow.io.event_file import read_event
from seisflow.io.export import kernel_dataset, model_dataset, stream_of
from seisflow.io.models import read_kernel
from seisflow.project import Project, iteration_name, step_name
from seisflow.steps.bands import OBSERVED, SYNTHETIC, tag_of
from seisflow.steps.inputs import event_of, model_of, stations_of
from seisflow.steps.measured import Measured, accepted_trial, band_name, finished, is_measured, measured
from seisflow.steps.slices import kernel_path
from seisflow.steps.status import project_status

__all__ = ["Models", "ProjectView", "open_project"]

Waveforms = Literal["recorded", "observed", "synthetic", "adjoint"]


def open_project(path: str | os.PathLike[str] = ".") -> ProjectView:
    """Open a project for looking at it.

    Parameters
    ----------
    path : path
        The project folder, or a folder in it.

    Returns
    -------
    ProjectView

    Raises
    ------
    MissingError
        If there is no project.
    ConfigError
        If its configuration is wrong.
    """
    return ProjectView(Project.open(Path(path)))


class Models(Mapping[int, Any]):
    """The models of a project by their numbers, each read when it is asked for; ``models[-1]`` is the newest.

    Parameters
    ----------
    project : Project
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    def _numbers(self) -> list[int]:
        names = [path.stem[1:] for path in (self._project.root / "models").glob("m*.nc")]
        return sorted(int(name) for name in names if name.isdigit())

    def __getitem__(self, number: int) -> Any:
        numbers = self._numbers()
        if number < 0 and -number <= len(numbers):
            number = numbers[number]
        model = model_of(self._project.model_path(number))
        return model_dataset(model, f"{self._project.config.name}, m{number:02d}")

    def __contains__(self, number: object) -> bool:
        return number in self._numbers()

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers())

    def __len__(self) -> int:
        return len(self._numbers())

    def __repr__(self) -> str:
        return f"models {', '.join(f'{number}' for number in self._numbers()) or 'none'}"


class ProjectView:
    """What a project holds, for notebooks; ``seisflow.open_project`` makes it.

    Parameters
    ----------
    project : Project
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    def __repr__(self) -> str:
        project = self.project
        used, held, done = len(project.used), len(project.held_out), len(finished(project))
        return (
            f"<seisflow project {project.config.name!r} in {project.root}: {used} events used, {held} held out, "
            f"{done} of {project.iterations} iterations done>"
        )

    # ------------------------------------------------------------------ what was put in

    @cached_property
    def events(self) -> Any:
        """Events as ``pandas.DataFrame``, by id.

        ``time`` (UTC), ``latitude``, ``longitude`` (degrees), ``depth`` (m), ``magnitude`` (Mw; NaN for a force),
        ``held_out``.
        """
        import pandas

        held, rows = set(self.project.held_out), []
        for name in self.project.event_ids:
            event = event_of(self.project, name)
            tensor = event.source if isinstance(event.source, MomentTensor) else None
            rows.append(
                {
                    "time": pandas.Timestamp(round(event.time * 1e9), unit="ns", tz="UTC"),
                    "latitude": event.latitude,
                    "longitude": event.longitude,
                    "depth": event.depth,
                    "magnitude": tensor.magnitude if tensor else float("nan"),
                    "held_out": name in held,
                }
            )
        return pandas.DataFrame(rows, index=pandas.Index(self.project.event_ids, name="event"))

    @cached_property
    def stations(self) -> Any:
        """Stations as ``pandas.DataFrame``, by ``NET.STA``.

        ``network``, ``code``, ``latitude``, ``longitude`` (degrees), ``elevation``, ``burial`` (m), ``held_out`` (for
        all events).
        """
        import pandas

        stations, held = stations_of(self.project), set(self.project.config.hold_out)
        rows = [asdict(station) | {"held_out": station.id in held} for station in stations]
        return pandas.DataFrame(rows, index=pandas.Index([each.id for each in stations], name="station"))

    # ------------------------------------------------------------------ what came out

    @property
    def models(self) -> Models:
        """Models by number as ``xarray.Dataset``: vp, vs (m/s), rho (kg/m3) over x, y, z (m)."""
        return Models(self.project)

    def kernel(
        self, iteration: int, event: str | None = None, parameters: KernelParameters = "velocities"
    ) -> Any:
        """Kernel of an iteration as ``xarray.Dataset``: dJ/d(node value) by parameter, and the illumination.

        The illumination is the root of the approximate Hessian's diagonal, from which preconditioners are made.

        Parameters
        ----------
        iteration : int
        event : str, optional
            That of one event instead of the sum.
        parameters : {"velocities", "impedances", "moduli"}
            vp, vs, rho; or rho vp, rho vs, rho; or kappa, mu, rho; the others are held for each.

        Raises
        ------
        MissingError
            If it is not there.
        """
        path = (
            kernel_path(self.project, iteration)
            if event is None
            else self.project.kernel_path(iteration, event)
        )
        if not path.is_file():
            raise MissingError(f"{self.project.relative(path)} is not there; held-out events have no kernel")
        title = f"{self.project.config.name}, iteration {iteration}, {event or 'sum of events'}"
        model = model_of(self.project.model_path(iteration - 1))
        return kernel_dataset(read_kernel(path), model, title, parameters)

    def measurements(self, iteration: int | None = None) -> Any:
        """All windows and what was measured in them, as ``pandas.DataFrame``.

        Parameters
        ----------
        iteration : int, optional
            All iterations that were measured, if left out.

        Returns
        -------
        pandas.DataFrame
            A row a window: ``event``, ``station``, ``component``, ``stage``, ``band``, ``iteration``, ``start``,
            ``end`` (s from the origin time), ``weight``, ``shift`` (s, positive: observed late), ``dlna``,
            ``correlation``, ``misfit``, ``held_out``, and ``shift_after`` at the model that the iteration accepted.
        """
        import pandas

        which = range(1, self.project.iterations + 1) if iteration is None else (iteration,)
        rows = [asdict(row) for number in which for row in measured(self.project, number)]
        table = pandas.DataFrame(rows, columns=[each.name for each in fields(Measured)])
        return table.astype({"shift": float, "shift_after": float})

    def rejections(self, iteration: int) -> Any:
        """What was not taken as a window, and why, as ``pandas.DataFrame``.

        Parameters
        ----------
        iteration : int

        Returns
        -------
        pandas.DataFrame
            ``event``, ``station``, ``component``, ``stage`` (of the selection), ``reason``, ``start``, ``end``,
            ``count``.
        """
        import pandas

        rows = []
        for event in self.project.event_ids:
            if is_measured(self.project, iteration, event):
                path = self.project.event_file(iteration, 0, event)
                found = read_event(path, waveforms=False).rejections
                rows += [{"event": event} | asdict(row) for row in found]
        return pandas.DataFrame(rows, columns=["event", *(each.name for each in fields(Rejection))])

    def misfits(self, by: Literal["iteration", "event"] = "iteration") -> Any:
        """Misfits of the finished iterations, before and after, as ``pandas.DataFrame``.

        Parameters
        ----------
        by : {"iteration", "event"}
            A row an iteration (mean misfit of a window, used and held out side by side), or a row an event and
            iteration.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            For another ``by``.
        """
        import pandas

        if by not in ("iteration", "event"):
            raise InputError(f"misfits(by={by!r}): use 'iteration' or 'event'")
        rows: list[dict[str, Any]] = []
        for number in finished(self.project):
            rows += [self._iteration(number)] if by == "iteration" else self._events(number)
        return pandas.DataFrame(rows)

    def _iteration(self, number: int) -> dict[str, Any]:
        record = self.project.record_of(f"{iteration_name(number)}/update") or {"results": {}}
        found = record["results"]
        held = found["held_out"] or (float("nan"), float("nan"))
        return {
            "iteration": number,
            "stage": self.project.stage_of(number)[0] + 1,
            "band": band_name(self.project, number),
            "windows": found["windows"],
            "before": found["misfit"][0],
            "after": found["misfit"][1],
            "held_out_before": held[0],
            "held_out_after": held[1],
            "direction": found["direction"],
            "trial": found["trial"],
        }

    def _events(self, number: int) -> list[dict[str, Any]]:
        held, trial, rows = set(self.project.held_out), accepted_trial(self.project, number) or 0, []
        for event in self.project.event_ids:
            names = [f"{iteration_name(number)}/{step_name(step)}/{event}" for step in (0, trial)]
            before, after = (self.project.record_of(name) for name in names)
            if before is None:
                continue
            later = float("nan") if after is None else after["results"]["misfit"]
            rows.append(
                {
                    "iteration": number,
                    "band": band_name(self.project, number),
                    "event": event,
                    "held_out": event in held,
                    "windows": before["results"]["windows"],
                    "before": before["results"]["misfit"],
                    "after": later,
                }
            )
        return rows

    def waveforms(self, event: str, iteration: int = 1, kind: Waveforms = "synthetic", band: int = 1) -> Any:
        """Seismograms of an event as ``obspy.Stream``.

        Parameters
        ----------
        event : str
        iteration : int
            Whose model and band; ``recorded`` needs none.
        kind : {"recorded", "observed", "synthetic", "adjoint"}
            ``recorded`` as they came; ``observed`` and ``synthetic`` alike: filtered, rotated, on common times;
            ``adjoint`` the adjoint source in forward time.
        band : int
            Which of the bands of the stage, from 1.

        Returns
        -------
        obspy.Stream
            Each ``stats`` holds ``coordinates``, ``distance`` (m), ``back_azimuth``, ``event`` and ``origin``; location
            codes are ``OB``, ``SY`` and ``AD``. ``recorded`` has the headers that it came with.

        Raises
        ------
        MissingError
            If there are none.
        InputError
            For another kind.
        """
        tags = {"observed": (OBSERVED, "OB"), "synthetic": (SYNTHETIC, "SY"), "adjoint": (None, "AD")}
        if kind == "recorded":
            return read_observed(self.project.observed_path(event))[0]
        if kind not in tags:
            raise InputError(f"waveforms(kind={kind!r}): use recorded, observed, synthetic or adjoint")
        bands = self.project.config.stages[self.project.stage_of(iteration)[0]].compared
        if not 1 <= band <= len(bands):
            raise InputError(f"waveforms(band={band}): iteration {iteration} has bands 1 to {len(bands)}")
        path = self.project.event_file(iteration, 0, event)
        if not is_measured(self.project, iteration, event):
            raise MissingError(
                f"event {event}: not simulated in iteration {iteration}; `seisflow status` shows what was"
            )
        tag, location = tags[kind]
        wanted = None if tag is None else tag_of(tag, band - 1)
        content = read_event(path, tags=None if wanted is None else (wanted,))
        gather = content.adjoints.get(band - 1) if wanted is None else content.gathers.get(wanted)
        if gather is None:
            raise MissingError(f"event {event}: iteration {iteration} has no {kind} seismograms")
        return stream_of(gather, content.event, location)

    def status(self) -> dict[str, Any]:
        """Where the project stands: what ``seisflow status --json`` prints."""
        return project_status(self.project)
