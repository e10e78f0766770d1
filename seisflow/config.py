"""The configuration of a project: ``seisflow.yaml``, typed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from seisflow.detection_config import DetectionConfig
from seisflow.domain import Grid, Projection
from seisflow.errors import InputError
from seisflow.inversion import InversionConfig
from seisflow.schedulers.config import BATCH_SYSTEMS, LocalRun, RunConfig
from seisflow.signal import SignalConfig, TimeAxis
from seisflow.solvers import Elastic3DConfig, SolverConfig
from seisflow.stage_config import Band, Positive, Section, StageConfig

__all__ = [
    "Band",
    "ComputeConfig",
    "Config",
    "CorrectionConfig",
    "DataConfig",
    "RegionConfig",
    "SourceConfig",
    "StageConfig",
    "digest",
]

Quantity = Literal["displacement", "velocity", "acceleration"]


class RegionConfig(Section):
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


class CorrectionConfig(Section):
    """What is wrong with the recordings of a station, and is put right before they are used.

    Parameters
    ----------
    drop : bool
        Do not use the station.
    reversed : tuple of str
        Channels of wrong polarity, by the last letter of their codes.
    late : float
        s by which the clock makes recordings late; they are moved to earlier times.
    gain : float
        Recordings are this many times too large; they are divided by it.
    events : tuple of str
        Only for these events; for all, if left out.
    """

    drop: bool = False
    reversed: tuple[Annotated[str, Field(pattern="^[A-Z0-9]$")], ...] = ()
    late: float = 0.0
    gain: Positive = 1.0
    events: tuple[str, ...] = ()


class DataConfig(Section):
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
    corrections : mapping of str to CorrectionConfig
        By station, ``NET.STA``.
    duplicates : float
        Stations of an event that are at most so far apart, in m, are one place: the one with most components is used,
        the others are listed; 0 uses all.
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
    corrections: dict[str, CorrectionConfig] = Field(default_factory=dict)
    duplicates: Annotated[float, Field(ge=0)] = 1.0


class SourceConfig(Section):
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


class ComputeConfig(Section):
    """How much of the machine is used.

    Parameters
    ----------
    cores : int, optional
        All that the process may use, if left out.
    events_at_once : int, optional
        Events that run side by side; as many as cores, if left out, and never more. Each has
        cores / events_at_once threads.
    device : {"auto", "cpu", "gpu"}
        ``auto`` takes a GPU where there is one that can be used; ``gpu`` demands it.
    ranks : int
        Processes that share each event by MPI: each holds its part of the simulation grid. Needs mpi4py.
    mpiexec : str
        The command that starts them, options included; ``-n RANKS`` and the program follow.
    """

    cores: Annotated[int, Field(ge=1)] | None = None
    events_at_once: Annotated[int, Field(ge=1)] | None = None
    device: Literal["auto", "cpu", "gpu"] = "auto"
    ranks: Annotated[int, Field(ge=1)] = 1
    mpiexec: str = "mpiexec"

    def cores_now(self) -> int:
        """Cores that may be used."""
        if self.cores:
            return self.cores
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1

    def share(self, events: int) -> tuple[int, int]:
        """Events at once and threads for each (each rank of each), for so many events, without oversubscription."""
        cores = max(1, self.cores_now() // self.ranks)
        at_once = max(1, min(self.events_at_once or cores, cores, events))
        return at_once, max(1, cores // at_once)


def _system_alone(value: object) -> object:
    """``run: slurm`` stands for ``run: {system: slurm}``."""
    if isinstance(value, str):
        known = ("local", "dask", *BATCH_SYSTEMS)
        if value not in known:
            raise ValueError(
                f"{value!r} is no system; use {', '.join(known)}, or a profile such as cluster.yaml"
            )
        return {"system": value}
    return value


class Config(Section):
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
    run : RunConfig
        Where work runs: ``local``, ``dask`` or a batch system with what it needs, or the name of a profile: a file that
        holds this block.
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
    run: Annotated[RunConfig, BeforeValidator(_system_alone)] = LocalRun()

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
        if self.stages and self.stages[0].carry_over:
            faults.append("stages.0.carry_over: no stage comes before the first")
        for number, (before, stage) in enumerate(pairwise(self.stages), 1):
            if stage.carry_over and len(before.compared) != len(stage.compared):
                faults.append(
                    f"stages.{number}.carry_over: {len(stage.compared)} bands, the stage before has "
                    f"{len(before.compared)}; give it as many"
                )
        for number, stage in enumerate(self.stages):
            for band in stage.compared:
                place = f"bands.{band.number}.periods" if stage.bands else "periods"
                try:
                    self.signal(number, band.number).check_length(self.axis())
                except InputError as error:
                    faults.append(f"stages.{number}.{place}: {error}")
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

    def signals(self) -> list[SignalConfig]:
        """What is done to the seismograms in all bands of all stages."""
        return [
            self.signal(number, band.number)
            for number, stage in enumerate(self.stages)
            for band in stage.compared
        ]

    def signal(self, stage: int, band: int = 0) -> SignalConfig:
        """What is done to the seismograms in a band of a stage."""
        data = self.compared
        return SignalConfig(
            band=self.stages[stage].compared[band].periods,
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
