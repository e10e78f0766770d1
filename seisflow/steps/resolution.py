"""Resolution tests: a project like another one, whose recordings are simulated in a known model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from seisflow.config import Config, CorrectionConfig, digest
from seisflow.domain import Station
from seisflow.errors import InputError, MissingError
from seisflow.io.asdf import write_observed
from seisflow.io.asdf_reading import read_observed
from seisflow.io.atomic import publish
from seisflow.io.models import write_model
from seisflow.io.provenance import Provenance
from seisflow.project import CONFIG_NAME, Project
from seisflow.records import Input, Task
from seisflow.signal.replay import Replay
from seisflow.solvers import Elastic3DConfig, Simulation, SolverConfig, create
from seisflow.steps.device import device_of
from seisflow.steps.gain import truth_path
from seisflow.steps.inputs import check_project, event_of, model_of, recording_stations, stations_of
from seisflow.steps.patterns import Target

__all__ = ["ResolutionTest"]

SEED = 20260601
"""Of the noise."""
REFINED = 1.25
"""Points per wavelength of the simulated recordings over those of the inversion."""
Stage = Callable[[str, Callable[[], None]], None]


@dataclass
class ResolutionTest:
    """A project for a resolution test, while it is made.

    Parameters
    ----------
    source : Project
        Whose events, stations, recordings (which channels, which times) and settings are taken.
    folder : Path
        Where the project will be; it must be empty or not exist.
    target : Target
    number : int, optional
        Of the source's model that the pattern is laid on, and that the test starts from; the newest, if left out.
    """

    source: Project
    folder: Path
    target: Target
    number: int | None = None
    made: Project = field(init=False)

    def __post_init__(self) -> None:
        self.folder = Path(os.path.abspath(self.folder))
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise InputError(f"{self.folder}: is there and not empty; choose another folder")
        if self.number is None:
            numbers = [n for n in range(self.source.iterations + 1) if self.source.model_path(n).is_file()]
            self.number = max(numbers, default=0)
        if not self.source.model_path(self.number).is_file():
            raise MissingError(
                f"--model {self.number}: {self.source.relative(self.source.model_path(self.number))} is not there"
            )
        self.start = model_of(self.source.model_path(self.number))
        self.target = self.target.completed(self.source.config, self.start)
        self.truth = self.target.applied(self.start)
        check_project(self.source, 1)
        self._check_memory()
        self.text, self.config = _configuration(self.source)

    # ------------------------------------------------------------------ settings

    @property
    def making(self) -> Path:
        """Where it is made, beside the folder; a run that was killed goes on there."""
        return self.folder.parent / f".{self.folder.name}.making"

    @cached_property
    def replay(self) -> Replay:
        """Which channels and times, at which interval, with which noise."""
        config = self.source.config
        signals = tuple(config.signals())
        return Replay(config.axis(), signals, self.target.noise, SEED)

    @property
    def solver(self) -> SolverConfig:
        """Finer than that of the inversion, in space and time: recordings from its own grid would fit too well."""
        config = self.source.config.solver
        if not isinstance(config, Elastic3DConfig):
            return config
        return replace(
            config,
            points_per_wavelength=REFINED * config.points,
            spacing=None if config.spacing is None else config.spacing / REFINED,
            time_step=None if config.time_step is None else config.time_step / REFINED,
        )

    def _simulation(self, event: str, stations: tuple[Station, ...]) -> Simulation:
        source, period = event_of(self.source, event), self.replay.band[0]
        return Simulation(self.truth, source, stations, self.replay.end, period)

    def _check_memory(self) -> None:
        """Refuse a grid that does not fit, before anything is simulated."""
        most = self.source.config.solver.memory_gb
        planner = create(replace(self.solver, memory_gb=float("inf")))
        plans = [
            planner.plan(self._simulation(event, recording_stations(self.source, event)))
            for event in self.source.event_ids
        ]
        plan = max(plans, key=lambda each: each.forward_bytes)
        if plan.forward_bytes > most * 1e9:
            raise InputError(
                f"solver.memory_gb = {most:g}: the finer grid of the recordings ({plan.spacing:.4g} m) takes "
                f"{plan.forward_bytes / 1e9:.2g} GB; raise it to {plan.forward_bytes / 1e9:.2g} or more"
            )

    # ------------------------------------------------------------------ the parts

    def prepare(self) -> Project:
        """Make all but the recordings, and take away what an earlier attempt of another kind left.

        Returns
        -------
        Project
            In ``making``.
        """
        root, source = self.making, self.source
        files = {f"events/{event}.xml": source.event_path(event).read_bytes() for event in source.event_ids}
        files |= {f"stations/{path.name}": path.read_bytes() for path in source.station_files()}
        if source.time_function_path is not None:
            files[_inside(source.config.source.file or "")] = source.time_function_path.read_bytes()
        files["truth/target.json"] = json.dumps(self._about(), indent=1).encode()
        files[CONFIG_NAME] = self.text.encode()
        keep = {*files, *(f"observed/{event}.h5" for event in source.event_ids)}
        for folder in ("events", "stations", "observed"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for path in sorted((root / folder).iterdir()):
                if f"{folder}/{path.name}" not in keep and path.is_file() and not path.name.endswith(".part"):
                    path.unlink()
        for name, content in files.items():
            with publish(root / name) as path:
                path.write_bytes(content)
        write_model(root / "models" / "m00.nc", self.start)
        self.made = Project.open(root)
        write_model(truth_path(self.made), self.truth)
        return self.made

    def _about(self) -> dict[str, Any]:
        """What a reader of the folder wants to know."""
        pattern = {"kind": type(self.target.pattern).__name__.lower(), **asdict(self.target.pattern)}
        return {
            "made_from": self.source.config.name,
            "model": f"m{self.number or 0:02d}",
            "model_sha256": self.source.hash_of(self.source.model_path(self.number or 0)),
            **asdict(self.target),
            "pattern": pattern,
            "seed": SEED,
            "grid": f"{REFINED:g} times the points of the inversion's shortest band",
        }

    def task(self, event: str) -> Task:
        """What decides the recordings of an event."""
        made = self.made
        inputs: dict[str, Input] = {
            "true model": truth_path(made),
            "event": made.event_path(event),
            "recorded": self.source.observed_path(event),
        }
        if made.time_function_path is not None:
            inputs["time function"] = made.time_function_path
        inputs["stations"] = made.station_files()
        settings = {
            "solver": self.solver,
            "source": self.source.config.source,
            "replay": self.replay,
            "refined": REFINED,
        }
        return Task(f"truth/{event}", inputs, TypeAdapter(Any).dump_python(settings, mode="json"))

    def record_event(
        self, event: str, stage: Stage, threads: int, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """Simulate the recordings of an event, unless they are there.

        Returns
        -------
        dict
            ``traces`` and ``stations``.
        """
        task = self.task(event)
        done = self.made.done(task)
        if done is None:
            begun = self.made.begin(task)
            stream, inventory = read_observed(self.source.observed_path(event))
            stations, source = stations_of(self.source), event_of(self.source, event)
            channels = self.replay.channels(stream, inventory, source, stations)
            names = {".".join(identity.split(".")[:2]) for identity in channels}
            used = tuple(station for station in stations if station.id in names)
            recorded = [self.replay.silence(stream)]

            def simulate() -> None:
                simulation = self._simulation(event, used)
                solver = create(self.solver, threads=threads, device=device_of(self.source))
                gather = solver.forward(simulation, progress=progress).gather
                recorded[0] = self.replay.traces(channels, inventory, source, gather)

            if channels:  # else there is nothing that any stage could use; the event stays, with dead traces
                stage("simulate", simulate)
            provenance = Provenance(
                "resolution test",
                digest(task.settings),
                begun.inputs["true model"] or "",
                (("event", begun.inputs["event"] or ""),),
                version=task.code,
            )
            path = self.made.observed_path(event)
            write_observed(path, source, recorded[0], inventory, provenance=provenance)
            done = {"traces": len(recorded[0]) if channels else 0, "stations": len(names)}
            self.made.record(task, [path], done, begun)
        progress(1.0)
        return done

    def finish(self) -> None:
        """Give the folder its name; the project is whole."""
        try:
            os.rename(self.making, self.folder)
        except OSError as error:
            raise InputError(
                f"{self.folder}: {error.strerror}; the project is whole in {self.making}, move it by hand"
            ) from error


# ---------------------------------------------------------------------- its configuration


def _inside(name: str) -> str:
    """Name within the project of a file that the configuration names."""
    path = Path(name)
    return path.name if path.is_absolute() or ".." in path.parts else path.as_posix()


def _configuration(source: Project) -> tuple[str, Config]:
    """The configuration with recordings of velocity, all else and the comments as they are."""
    text = (source.root / CONFIG_NAME).read_text(encoding="utf-8")
    changes = [(("data", "observed"), "velocity")]
    data: dict[str, Any] = {"observed": "velocity"}
    if source.config.compared.corrections:  # what was wrong with recordings is not wrong with synthetics
        dropped = {
            name: CorrectionConfig(drop=True, events=what.events)
            for name, what in source.config.compared.corrections.items()
            if what.drop
        }
        plain = {name: what.model_dump(mode="json", exclude_defaults=True) for name, what in dropped.items()}
        changes.append((("data", "corrections"), json.dumps(plain)))
        data["corrections"] = dropped
    wanted = source.config.model_copy(update={"data": source.config.compared.model_copy(update=data)})
    file = source.config.source.file
    if file is not None and _inside(file) != file:
        changes.append((("source", "file"), json.dumps(_inside(file))))
        wanted = wanted.model_copy(
            update={"source": wanted.source.model_copy(update={"file": _inside(file)})}
        )
    for keys, value in changes:
        text = _with_value(text, keys, value)
    try:
        if Config.model_validate(yaml.safe_load(text)) == wanted:
            return text, wanted
    except (yaml.YAMLError, ValueError):
        pass  # written in a way that cannot be changed in place, with aliases for example
    return wanted.text(), wanted


def _with_value(text: str, keys: tuple[str, str], value: str) -> str:
    """A YAML text with the value of ``section.key`` replaced, or put before the first key of the section."""
    section = _child(yaml.compose(text, Loader=yaml.SafeLoader), keys[0])
    if not isinstance(section, yaml.MappingNode) or not section.value:
        return text
    found = _child(section, keys[1])
    if found is not None:
        return text[: found.start_mark.index] + value + text[found.end_mark.index :]
    mark = section.value[0][0].start_mark
    gap = ", " if section.flow_style else "\n" + " " * mark.column
    return f"{text[: mark.index]}{keys[1]}: {value}{gap}{text[mark.index :]}"


def _child(node: Any, key: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)
