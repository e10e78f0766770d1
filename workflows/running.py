"""Events side by side: as Prefect sub-flows where a Prefect server is set, as plain threads where none is.

Both run the same functions in the same way, in threads of this process (the heavy work is C and leaves Python's lock
alone). Without ``PREFECT_API_URL`` Prefect is not started: a temporary server would take ten seconds at each command
and outlive a killed one.

Where the configuration sends work elsewhere (``run``), a *place* takes a round of it: other processes do the same
work from an ``Order``, and the threads here wait for their answers.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from seisflow.errors import SeisflowError, WorkError
from seisflow.schedulers.config import BatchRun, DaskRun, LocalRun, RunConfig
from seisflow.schedulers.order import Order, Sent

__all__ = [
    "FlowRun",
    "Monitor",
    "Ordered",
    "PlainRunner",
    "Quiet",
    "Runner",
    "Stage",
    "Work",
    "gather",
    "run_flow",
    "server_is_set",
]

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
Result = TypeVar("Result")
Stage = Callable[[str, Callable[[], None]], None]
Work = Callable[[str, Stage, Callable[[float], None]], Any]
"""What is done for one event: gets its name, a runner for its named parts, and a callable for progress."""


def server_is_set() -> bool:
    """Whether the user has named a Prefect server."""
    return bool(os.environ.get("PREFECT_API_URL"))


class Monitor(Protocol):
    """Who watches: a terminal, or nobody."""

    def begin(self, title: str, names: Sequence[str]) -> None:
        """Work on these events begins."""
        ...

    def advance(self, name: str, fraction: float) -> None:
        """So much of an event is done."""
        ...

    def end(self) -> None:
        """The work has ended."""
        ...

    def say(self, text: str) -> None:
        """Something worth a line."""
        ...


class Quiet:
    """Nobody watches."""

    def begin(self, title: str, names: Sequence[str]) -> None:
        """Do nothing."""

    def advance(self, name: str, fraction: float) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Ordered:
    """Work that another process can do too.

    Parameters
    ----------
    order : Order
        What it is told.
    done : callable
        Gets a name; what its record says if that holds, else None. What is done is not sent.
    """

    order: Order
    done: Callable[[str], Any | None]


class Place(Protocol):
    """Where rounds of work are done other than in this process."""

    def round(
        self, title: str, work: Sent, watch: Callable[[str, float], None]
    ) -> AbstractContextManager[Mapping[str, Future[Any]]]:
        """Send a round; gives futures of what is missing by name. The round ends with the context."""
        ...


class _Stopped(BaseException):
    """Raised within an event when the run is being stopped."""


class Runner(Protocol):
    """Runs work for many events."""

    def each(
        self, title: str, names: Sequence[str], work: Work, at_once: int, ordered: Ordered | None = None
    ) -> dict[str, Any]:
        """Run ``work`` for every name, ``at_once`` side by side; results by name.

        What is ``ordered`` is done where the configuration says, the rest always here.

        Raises
        ------
        WorkError
            When all have ended, if some failed; names and reasons are in it.
        """
        ...

    def show(self, exhibits: Callable[[], Sequence[Any]]) -> None:
        """Show what has come out, where there is a page for it; elsewhere it is not even made."""
        ...


@dataclass
class PlainRunner:
    """Threads of this process, without Prefect.

    Parameters
    ----------
    monitor : Monitor
    place : Place, optional
        Where ordered work is done; here, if left out.
    """

    monitor: Monitor = field(default_factory=Quiet)
    place: Place | None = None

    def each(
        self, title: str, names: Sequence[str], work: Work, at_once: int, ordered: Ordered | None = None
    ) -> dict[str, Any]:
        """See ``Runner``."""
        if self.place is not None and ordered is not None:
            with sent(self.place, title, names, ordered, self.monitor) as futures:
                return gather(title, names, lambda name, watch: futures[name], self.monitor)

        def submit(pool: ThreadPoolExecutor, name: str, watch: Callable[[float], None]) -> Future[Any]:
            return pool.submit(work, name, _directly, watch)

        with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="event") as pool:
            return gather(title, names, lambda name, watch: submit(pool, name, watch), self.monitor)

    def show(self, exhibits: Callable[[], Sequence[Any]]) -> None:
        """Do nothing: there is no page."""


@dataclass(frozen=True)
class FlowRun:
    """A run of a flow, as it is shown.

    Parameters
    ----------
    name : str
        Of the flow.
    title : str
        Of this run of it.
    root : Path
        The project folder, which one driver at a time works in.
    at_once : int
        Events side by side in this process.
    where : RunConfig
        Where events and days are done.
    """

    name: str
    title: str
    root: Path
    at_once: int
    where: RunConfig = field(default_factory=LocalRun)


def run_flow(run: FlowRun, body: Callable[[Runner], Result], monitor: Monitor) -> Result:
    """Run the body of a flow: as a Prefect flow if a server is set, else as it is.

    Parameters
    ----------
    run : FlowRun
    body : callable
        Gets the runner for its events.
    monitor : Monitor

    Raises
    ------
    WorkError
        If a Prefect server is set that does not answer.
    """
    if not server_is_set():
        with open_place(run) as place:
            return body(PlainRunner(monitor, place))
    ready_server()
    from seisflow.workflows.prefect_runner import run_as_flow

    with open_place(run) as place:
        result: Result = run_as_flow(run, body, monitor, place)
    return result


def quiet_prefect() -> None:
    """Set what Prefect reads when it is imported, unless the user has set it."""
    for key, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(key, value)


def server_address(host: str, port: int) -> str:
    """Name the server that will listen there to this process and its children, and return its address."""
    try:
        anywhere = ip_address(host).is_unspecified
    except ValueError:
        anywhere = False
    url = f"http://{'127.0.0.1' if anywhere else host}:{port}/api"
    os.environ |= {"PREFECT_API_URL": url, "PREFECT_UI_API_URL": url}
    return url


def ready_server() -> None:
    """Check that the server answers, and prepare for Prefect's import.

    Raises
    ------
    WorkError
        If none is named, or it does not answer.
    """
    if not server_is_set():
        raise WorkError(
            "PREFECT_API_URL is not set, so no Prefect server is known; `seisflow ui` starts one and prints its address"
        )
    _check_server()
    quiet_prefect()


@contextmanager
def open_place(run: FlowRun) -> Iterator[Place | None]:
    """The place where the work of a flow is done; None is this process."""
    if isinstance(run.where, BatchRun):
        from seisflow.workflows.places import BatchPlace

        yield BatchPlace(run.where, run.root)
    elif isinstance(run.where, DaskRun):
        from seisflow.workflows.elements import call_element, code_of_workers

        from seisflow.schedulers.dask_cluster import dask_place

        with dask_place(run.where, run.root, call_element, code_of_workers, run.at_once) as found:
            yield found
    else:
        yield None


@contextmanager
def sent(
    place: Place, title: str, names: Sequence[str], ordered: Ordered, monitor: Monitor
) -> Iterator[dict[str, Future[Any]]]:
    """Send what is not done yet; futures by name, those of finished work have their result."""
    futures: dict[str, Future[Any]] = {}
    for name in names:
        found = ordered.done(name)
        if found is not None:
            futures[name] = Future()
            futures[name].set_result(found)
            monitor.advance(name, 1.0)
    missing = [name for name in names if name not in futures]
    if not missing:
        yield futures
        return
    with place.round(title, Sent(ordered.order, tuple(names), tuple(missing)), monitor.advance) as more:
        yield {**futures, **more}


PREFECT_DEFAULTS = {
    # nothing is sent to the makers of Prefect
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # its log belongs to its pages; what failed, and why, is said by seisflow itself
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # a server that restarts, is busy or cut off holds work up for minutes, it does not end it; waits double each time
    "PREFECT_CLIENT_MAX_RETRIES": "8",
}
"""Settings of Prefect unless the user has others; they must be there before Prefect is imported."""


def _check_server(seconds: float = 10.0) -> None:
    url = os.environ["PREFECT_API_URL"].rstrip("/")
    try:
        urlopen(f"{url}/health", timeout=seconds).close()
    except HTTPError:
        return  # it answers; whether it lets us in is Prefect's to say
    except (OSError, ValueError) as error:
        raise WorkError(
            f"PREFECT_API_URL = {without_secrets(url)}: no Prefect server answers there ({type(error).__name__}); "
            "start one with `seisflow ui` or `prefect server start`, or unset PREFECT_API_URL to run without one"
        ) from None  # the error's own text may hold the address with its password


def without_secrets(url: str) -> str:
    """An address without the name and password that it may hold, for messages."""
    return re.sub(r"(?<=//)[^/@]*@", "", url)


def _directly(name: str, part: Callable[[], None]) -> None:
    part()


def gather(
    title: str, names: Sequence[str], submit: Callable[[str, Callable[[float], None]], Any], monitor: Monitor
) -> dict[str, Any]:
    """Submit work for every name, watch it, and collect results in the order of the names.

    When this thread is interrupted, running work is told to stop at its next report of progress.
    """
    stop = threading.Event()

    def watch(name: str) -> Callable[[float], None]:
        def advance(fraction: float) -> None:
            if stop.is_set():
                raise _Stopped
            monitor.advance(name, fraction)

        return advance

    monitor.begin(title, names)
    futures: dict[str, Any] = {}
    try:
        futures = {name: submit(name, watch(name)) for name in names}
        results, faults = {}, []
        for name, future in futures.items():
            try:
                results[name] = future.result()
            except SeisflowError as error:
                faults.append((name, error))
    except BaseException:
        stop.set()
        plain = [future for future in futures.values() if isinstance(future, Future)]
        wait([future for future in plain if not future.cancel()])
        raise
    finally:
        monitor.end()
    if faults:
        raise failure(title, len(names), faults)
    return results


def failure(title: str, count: int, faults: Sequence[tuple[str, SeisflowError]]) -> SeisflowError:
    """One error for all events that failed; of their kind if they share one, else a ``WorkError``."""
    lines = "\n".join(f"  {name}: {error}" for name, error in faults)
    if count == 1 and title == faults[0][0]:  # one step, not one of many events
        return type(faults[0][1])(f"{title} failed: {faults[0][1]}")
    what = "days" if all(_DAY.fullmatch(name) for name, _ in faults) else "events"
    kind = type(faults[0][1]) if all(type(e) is type(faults[0][1]) for _, e in faults) else WorkError
    return kind(
        f"{title}: {len(faults)} of {count} {what} failed; the others are done and will not be repeated\n{lines}"
    )
