"""Where work runs: the block ``run`` of ``seisflow.yaml``, or a profile, which is a file that holds such a block."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

__all__ = [
    "BATCH_SYSTEMS",
    "BatchRun",
    "DaskRun",
    "LocalRun",
    "Resources",
    "ResourcesByKind",
    "RunConfig",
    "StartedWorkers",
    "clock",
]

BatchSystem = Literal["slurm", "pbs", "lsf", "sge", "htcondor"]
BATCH_SYSTEMS: tuple[str, ...] = ("slurm", "pbs", "lsf", "sge", "htcondor")
_MEMORY = re.compile(r"(?P<number>\d+(\.\d+)?) ?(?P<unit>[KMGT])i?B?", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)")
_UNITS = {"K": 1e-3, "M": 1.0, "G": 1e3, "T": 1e6}
_LINE = re.compile(r"[^\r\n\0]*")


def _megabytes(value: object) -> object:
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write memory with its unit, such as 4 GB or 500 MB")
    return max(1, round(float(match["number"]) * _UNITS[match["unit"].upper()]))


def _seconds(value: object) -> object:
    """A wall time: ``HH:MM:SS``, ``D-HH:MM:SS`` or seconds (what YAML makes of 01:30:00 without quotes)."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("write a wall time as HH:MM:SS or D-HH:MM:SS")


def clock(seconds: int) -> str:
    """``HH:MM:SS``."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _one_line(value: object) -> object:
    if isinstance(value, str) and not _LINE.fullmatch(value):
        raise ValueError("must be one line")
    return value


Line = Annotated[str, BeforeValidator(_one_line)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:@/+=&|()\[\]-]+$", max_length=200)]
Memory = Annotated[
    int,
    BeforeValidator(_megabytes),
    PlainSerializer(lambda value: f"{value} MB", when_used="json"),
    Field(ge=1),
]
Time = Annotated[int, BeforeValidator(_seconds), PlainSerializer(clock, when_used="json"), Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Resources(_Section):
    """What one job asks for. What is left out is that of ``resources``, then of the cluster.

    Parameters
    ----------
    cores : int, optional
        Cores of a node; the solver and backprojection use so many threads.
    memory : str, optional
        Of a job, with its unit, such as ``4 GB``.
    gpus : int, optional
        GPUs of a node.
    time : str, optional
        Longest time, ``HH:MM:SS`` or ``D-HH:MM:SS``.
    queue : str, optional
        Partition (Slurm), queue (PBS, LSF, SGE); HTCondor has none.
    account : str, optional
        Who pays.
    lines : tuple of str
        Further lines of the head of the job's script, as they are.
    """

    cores: Annotated[int, Field(ge=1)] | None = None
    memory: Memory | None = None
    gpus: Annotated[int, Field(ge=1)] | None = None
    time: Time | None = None
    queue: Word | None = None
    account: Word | None = None
    lines: tuple[Line, ...] = ()

    def over(self, general: Resources) -> Resources:
        """These, with what they leave out taken from the general ones; lines of both."""
        own = {key: value for key, value in self if value is not None and key != "lines"}
        return general.model_copy(update={**own, "lines": (*general.lines, *self.lines)})


class ResourcesByKind(Resources):
    """What jobs ask for, in general and by kind of step.

    Parameters
    ----------
    cores, memory, gpus, time, queue, account, lines
        Of all jobs; see below.
    event : Resources
        A simulation, or a simulation and its adjoint run.
    day : Resources
        A step of detection on a day.
    driver : Resources
        What follows ``seisflow submit``: sums, directions, catalogs, and waiting.
    """

    event: Resources = Resources()
    day: Resources = Resources()
    driver: Resources = Resources()

    def of(self, kind: str) -> Resources:
        """Those of a kind of step, with the general ones for what it leaves out."""
        own = {"event": self.event, "day": self.day, "driver": self.driver}.get(kind, Resources())
        return own.over(
            Resources.model_construct(**{key: getattr(self, key) for key in Resources.model_fields})
        )


class LocalRun(_Section):
    """The cores of this machine; how many is set by ``compute``."""

    system: Literal["local"] = "local"


class StartedWorkers(_Section):
    """Workers of Dask that are started as jobs, through dask-jobqueue.

    Parameters
    ----------
    system : {"slurm", "pbs", "lsf", "sge", "htcondor"}
        Which batch system.
    jobs : int
        How many; each has a worker for every ``resources.event.cores`` of its ``resources.cores``.
    interface : str
        Network interface on which the scheduler listens and workers reach it, such as ``ib0``; ``lo`` is this node
        alone.
    """

    system: BatchSystem
    jobs: Annotated[int, Field(ge=1)] = 1
    interface: Word


class DaskRun(_Section):
    """A Dask cluster: one that runs already, or one that is started on a batch system or on this machine.

    Parameters
    ----------
    system : {"dask"}
        Dask.
    address : str, optional
        Of the scheduler of a running cluster, such as ``tcp://10.0.0.1:8786``. Its workers see the project folder under
        the same path, and have seisflow.
    start : StartedWorkers, optional
        Start workers on a batch system. Without this and without an address they are started on this machine.
    resources : ResourcesByKind
        What jobs with workers ask for; ``resources.event.cores`` is how many threads each worker uses.
    setup : tuple of str
        Shell lines before a worker starts, such as ``module load gcc``.
    python : str, optional
        Python with seisflow on the nodes; that of this process, if left out.
    retries : int
        How often a step is tried again whose worker died; of a cluster that runs already, this is its own setting.
    """

    system: Literal["dask"] = "dask"
    address: Line | None = None
    start: StartedWorkers | None = None
    resources: ResourcesByKind = ResourcesByKind()
    setup: tuple[Line, ...] = ()
    python: Line | None = None
    retries: Annotated[int, Field(ge=0, le=20)] = 2

    @model_validator(mode="after")
    def _one_cluster(self) -> DaskRun:
        if self.address is not None and self.start is not None:
            raise ValueError("`address` is of a cluster that runs, `start` makes one; give one of them")
        return self


class BatchRun(_Section):
    """Arrays of jobs in a batch system, one element an event or day.

    Parameters
    ----------
    system : {"slurm", "pbs", "lsf", "sge", "htcondor"}
        Which batch system.
    resources : ResourcesByKind
        What jobs ask for.
    setup : tuple of str
        Shell lines before the work starts, such as ``module load gcc``.
    python : str, optional
        Python with seisflow on the nodes; that of this process, if left out.
    bundle : int
        Events or days that one element does, one after the other; more where each takes less than a few minutes.
    at_once : int, optional
        Elements of an array that may run side by side; HTCondor has no such limit.
    largest_array : int
        Elements of one array; more make several arrays.
    retries : int
        How often an element is sent again that the system ended (time limit, memory, a node that died). One that
        failed by itself is not: it would fail again.
    warning : int
        s before the time limit at which work stops by itself, to go on in the next job.
    poll : float
        s between two looks at the queue.
    template : str, optional
        File of a template for a system that works differently here; see docs/clusters.md.
    """

    system: BatchSystem
    resources: ResourcesByKind = ResourcesByKind()
    setup: tuple[Line, ...] = ()
    python: Line | None = None
    bundle: Annotated[int, Field(ge=1)] = 1
    at_once: Annotated[int, Field(ge=1)] | None = None
    largest_array: Annotated[int, Field(ge=1)] = 1000
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    warning: Annotated[int, Field(ge=0)] = 60
    poll: Annotated[float, Field(gt=0)] = 5.0
    template: Line | None = None

    @model_validator(mode="after")
    def _listed(self) -> BatchRun:
        if self.system == "htcondor" and self.at_once is not None and self.template is None:
            # with max_materialize, elements that wait for their turn are not listed: they would count as lost
            raise ValueError(
                "`at_once` cannot be kept by HTCondor; leave it out, and give each element more with `bundle`"
            )
        return self

    @model_validator(mode="after")
    def _warned(self) -> BatchRun:
        for kind in ("event", "day", "driver"):
            limit = self.resources.of(kind).time
            if limit is not None and limit <= self.warning:
                raise ValueError(
                    f"resources.{kind}: the wall time of {limit} s is not longer than `warning`, {self.warning} s "
                    "before its end at which work stops; ask for more time"
                )
        return self


RunConfig = Annotated[LocalRun | DaskRun | BatchRun, Field(discriminator="system")]
