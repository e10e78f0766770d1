"""The configuration of a project: ``seisflow.yaml``, typed.

Unknown keys are refused with the nearest known one, and all faults are reported at once with their lines.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from seisflow.detection_config import DetectionConfig
from seisflow.domain import Grid, Projection
from seisflow.errors import ConfigError, InputError, MissingError
from seisflow.inversion import InversionConfig
from seisflow.misfits import MisfitConfig
from seisflow.signal import SignalConfig, TimeAxis
from seisflow.solvers import Elastic3DConfig, SolverConfig
from seisflow.windows import WindowConfig

__all__ = [
    "ComputeConfig",
    "Config",
    "DataConfig",
    "RegionConfig",
    "SourceConfig",
    "StageConfig",
    "digest",
    "load",
]

Quantity = Literal["displacement", "velocity", "acceleration"]
Positive = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RegionConfig(_Section):
    """Where the model is: a box under a flat surface, centred on a point.

    Parameters
    ----------
    latitude, longitude : float
        Centre in degrees; also the centre of the map projection.
    width, height : float
        Extent from west to east and from south to north in m.
    depth : float
        Extent downward in m.
    spacing : tuple of 3 float
        Distance of the model's nodes along x, y, z in m.
    """

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=360)]
    width: Positive
    height: Positive
    depth: Positive
    spacing: tuple[Positive, Positive, Positive]

    @model_validator(mode="after")
    def _aperture(self) -> RegionConfig:
        if max(self.width, self.height) > 1_000_000:
            raise ValueError(
                f"width {self.width:g} m x height {self.height:g} m: a flat Earth is wrong beyond 1000 km; "
                "use a smaller region"
            )
        return self

    def projection(self) -> Projection:
        """The map projection of the project."""
        return Projection(self.latitude, self.longitude)

    def grid(self) -> Grid:
        """The model grid: nodes on the edges of the box, the spacing met as closely as the box allows."""
        extent = (self.width, self.height, self.depth)
        cells = [max(1, round(length / step)) for length, step in zip(extent, self.spacing, strict=True)]
        spacing = tuple(length / n for length, n in zip(extent, cells, strict=True))
        shape = tuple(n + 1 for n in cells)
        return Grid((-self.width / 2, -self.height / 2, 0.0), spacing, shape)  # type: ignore[arg-type]


class DataConfig(_Section):
    """What is compared, and how recordings are treated.

    Parameters
    ----------
    duration : float
        Last time that is compared, s after the origin time.
    interval : float
        Sampling interval in s of what is compared; at most a tenth of the shortest period is a good choice.
    start : float, optional
        First time, s from the origin time; if left out, one longest period before it, so that windows see noise
        before the first arrival.
    observed : {"counts", "displacement", "velocity", "acceleration"}
        What the recordings hold; ``counts`` are divided by the instrument response.
    quantity : {"displacement", "velocity", "acceleration"}
        What is compared.
    rotate : bool
        Compare radial and transverse instead of east and north.
    corners, taper, water_level
        See ``SignalConfig``.
    """

    duration: Positive
    interval: Positive
    start: float | None = None
    observed: Literal["counts", "displacement", "velocity", "acceleration"] = "counts"
    quantity: Quantity = "displacement"
    rotate: bool = True
    corners: int = 3
    taper: float = 0.05
    water_level: float = 60.0


class GuardConfig(_Section):
    """When a stage is held back, because its windows could be off by a cycle.

    A window is unsafe when its lag exceeds half the shortest period, and so is a trace that was refused for its lag
    or its correlation. They are counted on the model that the stage would start from.

    Parameters
    ----------
    max_unsafe : float
        Largest share of unsafe windows, 0 to 1; above it the stage before goes on for an iteration.
    at_most : int
        How often it goes on; then the stage begins, whatever the share.
    """

    max_unsafe: Annotated[float, Field(ge=0, le=1)]
    at_most: Annotated[int, Field(ge=1)] = 3


class StageConfig(_Section):
    """Some iterations in one period band.

    Parameters
    ----------
    periods : tuple of 2 float
        Shortest and longest period in s.
    iterations : int
        How many.
    misfit : MisfitConfig
        What is measured in the windows.
    windows : WindowConfig
        How windows are selected.
    reselect : int
        Windows are selected anew every so many iterations of the stage, and frozen between.
    smoothing : tuple of 3 float, optional
        Instead of ``inversion.smoothing``.
    guard : GuardConfig, optional
        Hold the stage back while too many of its windows could be off by a cycle. Not for the first stage.
    """

    periods: tuple[Positive, Positive]
    iterations: Annotated[int, Field(ge=1)] = 5
    misfit: Annotated[MisfitConfig, Field(discriminator="kind")] = TypeAdapter(
        Annotated[MisfitConfig, Field(discriminator="kind")]
    ).validate_python({"kind": "cc_traveltime"})
    windows: WindowConfig = WindowConfig()
    reselect: Annotated[int, Field(ge=1)] = 3
    smoothing: tuple[float, float, float] | None = None
    guard: GuardConfig | None = None


class SourceConfig(_Section):
    """Time function of the sources.

    Parameters
    ----------
    time_function : {"event", "gaussian", "ricker", "file"}
        ``event``: that of each event's file (a Gaussian of its half duration); the others are for all events.
    half_duration : float
        Of ``gaussian``, s.
    period : float, optional
        Of ``ricker``: the dominant period in s.
    file : str, optional
        Of ``file``: text with two columns, time in s from the origin and moment rate; relative to the project.
    """

    time_function: Literal["event", "gaussian", "ricker", "file"] = "event"
    half_duration: Annotated[float, Field(ge=0)] = 0.0
    period: Positive | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> SourceConfig:
        needed = {"ricker": "period", "file": "file"}.get(self.time_function)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"time_function: {self.time_function} needs `{needed}` beside it")
        return self


class ComputeConfig(_Section):
    """How much of the machine is used.

    Parameters
    ----------
    cores : int, optional
        All that the process may use, if left out.
    events_at_once : int, optional
        Events that run side by side; as many as cores, if left out, and never more. Each has
        cores / events_at_once threads.
    """

    cores: Annotated[int, Field(ge=1)] | None = None
    events_at_once: Annotated[int, Field(ge=1)] | None = None

    def cores_now(self) -> int:
        """Cores that may be used."""
        if self.cores:
            return self.cores
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1

    def share(self, events: int) -> tuple[int, int]:
        """Events at once and threads for each, for so many events, without oversubscription."""
        cores = self.cores_now()
        at_once = max(1, min(self.events_at_once or cores, cores, events))
        return at_once, max(1, cores // at_once)


class Config(_Section):
    """All settings of a project.

    Parameters
    ----------
    name : str
        Of the project, for titles.
    region, solver, inversion, source, compute
        A section of its own.
    data, stages
        Of tomography; both or none.
    detection
        Of detection.
    hold_out : tuple of str
        What is simulated and measured but never inverted: events, stations (``NET.STA``), or a station for one event
        (``EVENT/NET.STA``).
    pictures : bool
        Draw the pictures of an iteration when it is done; ``seisflow plot`` draws them at any time.
    """

    name: str
    region: RegionConfig
    data: DataConfig | None = None
    stages: tuple[StageConfig, ...] = ()
    detection: DetectionConfig | None = None
    solver: SolverConfig = Elastic3DConfig()
    inversion: InversionConfig = InversionConfig()
    source: SourceConfig = SourceConfig()
    hold_out: tuple[str, ...] = ()
    pictures: bool = True
    compute: ComputeConfig = ComputeConfig()

    @model_validator(mode="after")
    def _bands(self) -> Config:
        repeated = sorted({name for name in self.hold_out if self.hold_out.count(name) > 1})
        if repeated:
            raise ValueError(f"hold_out: {', '.join(repeated)} is given twice; remove one")
        if bool(self.stages) != bool(self.data):
            missing, other = ("stages", "data") if self.data else ("data", "stages")
            raise ValueError(f"{missing}: is missing; tomography needs it beside `{other}`")
        faults = []
        if self.stages and self.stages[0].guard:
            faults.append("stages.0.guard: no stage comes before the first")
        for number in range(len(self.stages)):
            try:
                self.signal(number).check_length(self.axis())
            except InputError as error:
                faults.append(f"stages.{number}.periods: {error}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def compared(self) -> DataConfig:
        """The section ``data``, which tomography needs.

        Raises
        ------
        InputError
            If it is not there.
        """
        if self.data is None:
            raise InputError("seisflow.yaml has no `data` and `stages`; tomography needs both")
        return self.data

    def axis(self) -> TimeAxis:
        """The times of all seismograms that are compared."""
        data, longest = self.compared, max((stage.periods[1] for stage in self.stages), default=0.0)
        return TimeAxis.covering(-longest if data.start is None else data.start, data.duration, data.interval)

    def stage_of(self, iteration: int, held: Collection[int] = ()) -> tuple[int, int]:
        """Stage number (from 0) and iteration within it (from 0) of an iteration (from 1).

        Parameters
        ----------
        iteration : int
        held : collection of int
            Iterations at which a stage was to begin, and the one before went on.

        Raises
        ------
        InputError
            If the stages hold fewer iterations.
        """
        first = 1
        if not self.stages:
            raise InputError("seisflow.yaml has no `data` and `stages`; tomography needs both")
        if iteration < first:
            raise InputError(f"iteration {iteration}: iterations are counted from 1")
        for number, stage in enumerate(self.stages):
            after = first + stage.iterations
            while after in held and number + 1 < len(self.stages):
                after += 1
            if iteration < after:
                return number, iteration - first
            first = after
        raise InputError(
            f"iteration {iteration}: the stages of seisflow.yaml hold {first - 1} iterations; "
            "raise `iterations` of the last stage or add a stage"
        )

    @property
    def iterations(self) -> int:
        """Iterations of all stages together."""
        return sum(stage.iterations for stage in self.stages)

    def signal(self, stage: int) -> SignalConfig:
        """What is done to the seismograms in a stage."""
        data = self.compared
        return SignalConfig(
            band=self.stages[stage].periods,
            interval=data.interval,
            quantity=data.quantity,
            corners=data.corners,
            taper=data.taper,
            rotate=data.rotate,
            observed=data.observed,
            water_level=data.water_level,
        )

    def inversion_of(self, stage: int) -> InversionConfig:
        """Settings of the inversion in a stage."""
        smoothing = self.stages[stage].smoothing
        return self.inversion if smoothing is None else replace(self.inversion, smoothing=smoothing)

    def text(self) -> str:
        """The configuration with all defaults, as YAML."""
        plain = TypeAdapter(Config).dump_python(self, mode="json")
        return str(yaml.safe_dump(plain, sort_keys=False))


def digest(*parts: Any) -> str:
    """Hash of parts of a configuration (models, dataclasses, plain values): 64 hexadecimal digits."""
    plain = TypeAdapter(Any).dump_python(parts, mode="json")
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def load(path: Path) -> Config:
    """Read and check a configuration.

    Raises
    ------
    MissingError
        If the file is not there.
    ConfigError
        With a line for each fault: where, what was found, what would do.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingError(
            f"{path}: no configuration there; `seisflow init {path.parent}` makes one"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file ({error.reason} at byte {error.start})") from None
    try:
        tree = yaml.compose(source, Loader=yaml.SafeLoader)
        values = yaml.safe_load(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no settings; `seisflow init DIR` makes a commented example")
    faults, config = list(_repeated(tree, set())), None
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        found: list[dict[str, Any]] = [dict(fault) for fault in error.errors(include_url=False)]
        places = [tuple(fault["loc"]) for fault in found]
        for fault in found:
            here = tuple(fault["loc"])
            inside = any(place != here and place[: len(here)] == here for place in places)
            if not (
                inside and fault["type"] == "too_short"
            ):  # entries with faults of their own are missed in the list
                faults.append(_sentence(tree, fault))
    if faults or config is None:
        head = f"{path}: {len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise ConfigError("\n  ".join([head, *faults]))
    return config


def _repeated(node: Any, visited: set[int]) -> Iterator[str]:
    """Keys that are given twice in one place: YAML would silently take the last."""
    if id(node) in visited:
        return  # an alias
    visited.add(id(node))
    below = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                yield f"line {line}: {key.value}: is given twice, first on line {seen[key.value]}; remove one"
            seen.setdefault(key.value, line)
            below.append(value)
    for child in below:
        yield from _repeated(child, visited)


def _sentence(tree: Any, fault: dict[str, Any]) -> str:
    loc = [part for part in fault["loc"] if _is_key(part)]
    line, key = _place(tree, loc)
    found = fault.get("input")
    kind = fault["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        text = f"is not known{_nearest(str(loc[-1]), loc[:-1])}"
    elif kind in ("missing", "missing_argument"):
        text = "is missing; it is required"
    else:
        text = fault["msg"].removeprefix("Value error, ")
        if kind != "value_error" and not isinstance(found, dict):
            text += f", found {found!r}"
    return f"line {line}: {key or 'the file'}: {text}"


_KINDS = {"elastic3d", "waveform", "cc_traveltime"}


def _is_key(part: int | str) -> bool:
    """Whether a part of pydantic's location is a key or number of the file, not the name of a type."""
    return isinstance(part, int) or (
        part not in _KINDS and not part.startswith(("function-", "tuple", "dataclass"))
    )


def _place(tree: Any, loc: list[int | str]) -> tuple[int, str]:
    line, node = tree.start_mark.line + 1, tree
    for part in loc:
        children: list[tuple[Any, Any, Any]] = []
        if isinstance(node, yaml.MappingNode):
            children = [(key.value, key, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [(number, value, value) for number, value in enumerate(node.value)]
        match = next((child for child in children if child[0] == part), None)
        if match is None:
            break
        line, node = match[1].start_mark.line + 1, match[2]
    return line, ".".join(map(str, loc))


def _classes(kind: Any) -> Iterator[type]:
    if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
        yield kind
    for argument in get_args(kind):
        yield from _classes(argument)


def _known(kind: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key below a class with its dotted place."""
    hints = get_type_hints(kind)
    names = list(kind.model_fields) if issubclass(kind, BaseModel) else list(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for name in names:
        yield name, prefix + name
        for below in _classes(hints[name]):
            yield from _known(below, f"{prefix}{name}.")


def _nearest(key: str, above: list[int | str]) -> str:
    here = ".".join(str(part) for part in above if not isinstance(part, int))
    known = list(_known(Config))
    local = [name for name, place in known if place == f"{here}.{name}".lstrip(".")]
    match = difflib.get_close_matches(key, local, 1, 0.6)
    if match:
        return f"; did you mean `{match[0]}`?"
    everywhere = difflib.get_close_matches(key, [name for name, _ in known], 1, 0.75)
    if everywhere:
        place = next(place for name, place in known if name == everywhere[0])
        return f"; did you mean `{place}`?"
    return f"; known here: {', '.join(dict.fromkeys(local))}" if local else ""
