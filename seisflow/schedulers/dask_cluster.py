"""Dask: a cluster that runs, or one that is started here or on a batch system. Talks TLS where it is started here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from seisflow.errors import InputError, WorkError
from seisflow.schedulers.config import DaskRun, Resources, clock
from seisflow.schedulers.order import Sent, error_of, failed

__all__ = ["DaskPlace", "dask_place", "job_cluster_settings"]

_CLASSES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "htcondor": "HTCondorCluster",
}
_HEADS = {"slurm": "#SBATCH", "pbs": "#PBS", "lsf": "#BSUB", "sge": "#$"}
"""Begin lines of the head of a script; dask-jobqueue puts them there itself."""
_GPUS = {"slurm": "--gres=gpu:{}", "lsf": '-gpu "num={}"', "sge": "-l gpu={}"}
_WAIT = 30.0
"""s to wait for the scheduler of a running cluster."""


def job_cluster_settings(run: DaskRun, folder: Path) -> tuple[str, dict[str, Any]]:
    """Class of dask-jobqueue and its settings for workers on a batch system.

    Parameters
    ----------
    run : DaskRun
    folder : Path
        For logs and for the keys of the connection, which only the user can read.
    """
    if run.start is None:
        raise InputError("run: `start` is missing")
    asked = run.resources.of("other")
    cores, each = asked.cores or 1, run.resources.of("event").cores or 1
    processes = max(1, cores // each)
    system = run.start.system
    if asked.memory is None:
        raise InputError("run: resources.memory is missing; jobs with Dask workers need it, such as 16 GB")
    found: dict[str, Any] = {
        "cores": processes,
        "processes": processes,
        "memory": f"{asked.memory} MB",
        "interface": run.start.interface,
        "python": run.python or sys.executable,
        "job_script_prologue": list(run.setup),
        "job_extra_directives": [line.removeprefix(_HEADS.get(system, "")).strip() for line in asked.lines],
        "log_directory": str(folder),
        "shared_temp_directory": str(folder),
        "n_workers": processes * run.start.jobs,
        "scheduler_options": {"dashboard_address": None},
        "worker_extra_args": ["--no-dashboard"],
    }
    if system == "htcondor":
        return _CLASSES[system], found | {"disk": "1 GB", "job_extra_directives": _description(asked)}
    if asked.gpus and system in _GPUS:
        found["job_extra_directives"].append(_GPUS[system].format(asked.gpus))
    if asked.queue:
        found["queue"] = asked.queue
    if asked.account:
        found["project" if system in ("lsf", "sge") else "account"] = asked.account
    if asked.time:
        minutes = -(-asked.time // 60)
        found["walltime"] = (
            clock(asked.time) if system != "lsf" else f"{minutes // 60:02d}:{minutes % 60:02d}"
        )
    if system == "slurm":
        found["job_cpu"] = cores
    if system == "pbs":
        gpus = f":ngpus={asked.gpus}" if asked.gpus else ""
        found["resource_spec"] = f"select=1:ncpus={cores}:mem={asked.memory}mb{gpus}"
    if system == "lsf":
        found["ncpus"], found["mem"] = cores, asked.memory * 1_000_000
    return _CLASSES[system], found


def _description(asked: Resources) -> dict[str, Any]:
    """What HTCondor is told beside what dask-jobqueue knows."""
    pairs = (line.partition("=") for line in asked.lines)
    more = {"accounting_group": asked.account, "request_gpus": asked.gpus}
    return {key.strip(): value.strip() for key, _, value in pairs} | {k: v for k, v in more.items() if v}


class DaskPlace:
    """A Dask cluster for the time of a flow.

    Parameters
    ----------
    client : distributed.Client
    root : Path
        The project folder.
    call : callable
        ``call(root, order text, name, threads, round)`` does an element and returns its answer.
    threads : int
        Of each event or day.
    """

    def __init__(self, client: Any, root: Path, call: Callable[..., dict[str, Any]], threads: int) -> None:
        self.client, self.root, self.call, self.threads = client, root, call, threads

    @contextmanager
    def round(
        self, title: str, work: Sent, watch: Callable[[str, float], None]
    ) -> Iterator[Mapping[str, Future[Any]]]:
        """Send a round; yields futures by name."""
        futures: dict[str, Future[Any]] = {name: Future() for name in work.missing}
        sent: dict[str, Any] = {}
        mark = uuid4().hex

        def settle(name: str, remote: Any) -> None:
            with suppress(InvalidStateError):
                try:
                    answer = remote.result() if remote.status == "finished" else None
                except OSError as error:  # the connection broke before the answer was here
                    answer = failed(error)
                if answer is None:
                    why = str(remote.exception()) if remote.status == "error" else "the cluster is gone"
                    futures[name].set_exception(WorkError(f"its Dask worker ended: {why}"))
                elif answer["state"] == "done":
                    futures[name].set_result(answer["results"])
                else:
                    futures[name].set_exception(error_of(answer))
            watch(name, 1.0)  # last: whoever waits must not wait for ever if nobody can be told of progress

        try:
            for name in work.missing:
                sent[name] = self.client.submit(
                    self.call, str(self.root), work.order.text(), name, self.threads, mark, pure=False
                )
                sent[name].add_done_callback(partial(settle, name))
            yield futures
        finally:
            self.client.cancel([each for each in sent.values() if not each.done()], force=True)


@contextmanager
def dask_place(
    run: DaskRun, root: Path, call: Callable[..., dict[str, Any]], version: Callable[[], str], cores: int
) -> Iterator[DaskPlace]:
    """Connect to a cluster, or start one.

    Parameters
    ----------
    run : DaskRun
    root : Path
        The project folder.
    call : callable
        See ``DaskPlace``.
    version : callable
        Gives the version of the code, here and on workers.
    cores : int
        Of this machine that may be used, for workers that are started here.

    Raises
    ------
    WorkError
        If Dask is not installed, or the scheduler does not answer.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security
    except ImportError:
        raise WorkError(
            "run: dask: Dask is not installed; `pip install seisflow[hpc]`, or use `run: local`"
        ) from None
    each = run.resources.of("event").cores or 1
    for name in ("distributed", "distributed.nanny", "distributed.scheduler", "distributed.worker"):
        logging.getLogger(name).setLevel(logging.ERROR)  # what failed, and why, is said by seisflow itself
    with ExitStack() as stack:
        stack.enter_context(
            dask.config.set(
                {
                    "distributed.scheduler.allowed-failures": run.retries,
                    "distributed.worker.daemon": True,
                    "distributed.admin.log-format": "%(message)s",
                }
            )
        )
        if run.address is not None:
            try:
                client = stack.enter_context(Client(run.address, timeout=_WAIT, set_as_default=False))
            except OSError as error:
                raise WorkError(
                    f"run: address {run.address}: no Dask scheduler answers there ({error})"
                ) from None
            _same_code(client, version)
            yield DaskPlace(client, root, call, each)
            return
        security = Security.temporary()
        if run.start is None:
            count = max(1, cores // each)
            cluster = LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None,
                security=security, protocol="tls://", host="127.0.0.1", memory_limit=0,
            )  # fmt: skip
        else:
            try:
                import dask_jobqueue
            except ImportError:
                raise WorkError(
                    "run: start: dask-jobqueue is not installed; `pip install seisflow[hpc]`"
                ) from None
            folder = root / ".seisflow" / "dask"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kind, settings = job_cluster_settings(run, folder)
            cluster = getattr(dask_jobqueue, kind)(security=security, protocol="tls://", **settings)
        stack.enter_context(cluster)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        yield DaskPlace(client, root, call, each)


def _same_code(client: Any, version: Callable[[], str]) -> None:
    """Refuse workers with another version of the code: their records would not hold here."""
    mine = version()
    others = {worker: found for worker, found in client.run(version).items() if found != mine}
    if others:
        worker, found = next(iter(others.items()))
        raise InputError(
            f"run: the workers of the Dask cluster have another seisflow ({worker}: {found}, here {mine}); "
            "install the same"
        )
