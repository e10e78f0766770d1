"""Events as Prefect sub-flows, their parts as tasks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from httpx import HTTPError
from prefect import flow, tags, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun as FlowRun_
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Crashed
from prefect.task_runners import ThreadPoolTaskRunner
from seisflow.workflows.exhibits import Exhibit
from seisflow.workflows.running import (
    FlowRun,
    Monitor,
    Ordered,
    Place,
    Quiet,
    Result,
    Runner,
    Work,
    gather,
    sent,
    without_secrets,
)

from seisflow.errors import WorkError

__all__ = ["PrefectRunner", "bury_dead_runs", "crash", "run_as_flow", "unfinished_runs"]


_EVERY = 2.0
"""s between two updates of a progress artifact."""
_WAITING = 32
"""Events or days elsewhere that are shown as running at a time; more are done, and shown when these are over."""


class _Parcel:
    """Carries work into a task without Prefect looking inside: it stays in this process."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call


@task(cache_policy=NO_CACHE, persist_result=False)
def _part(parcel: _Parcel) -> None:
    parcel.call()


@task(cache_policy=NO_CACHE, persist_result=False)
def _event(parcel: _Parcel) -> Any:
    return parcel.call()


def _stage(name: str, part: Callable[[], None]) -> None:
    _part.with_options(name=name, task_run_name=name)(_Parcel(part))


@dataclass
class PrefectRunner:
    """Sub-flows of the running flow, in threads of this process; needs a flow with a thread-pool task runner.

    Parameters
    ----------
    monitor : Monitor
    place : Place, optional
        Where ordered work is done; in these threads, if left out.
    """

    monitor: Monitor = field(default_factory=Quiet)
    place: Place | None = None

    def each(
        self, title: str, names: Sequence[str], work: Work, at_once: int, ordered: Ordered | None = None
    ) -> dict[str, Any]:
        """See ``Runner``; ``at_once`` is that of the flow's task runner."""
        if self.place is not None and ordered is not None:
            with sent(self.place, title, names, ordered, self.monitor) as futures:
                return self._each(title, names, lambda name, stage, watch: futures[name].result())
        return self._each(title, names, work)

    def show(self, exhibits: Callable[[], Sequence[Exhibit]]) -> None:
        """See ``Runner``; each is an artifact of the run."""
        for each in exhibits():
            create_markdown_artifact(each.text, key=each.key, description=each.title)

    def _each(self, title: str, names: Sequence[str], work: Work) -> dict[str, Any]:

        def event_flow(name: str, watch: Callable[[float], None]) -> Any:
            @flow(
                name="event",
                flow_run_name=f"{title}: {name}",
                persist_result=False,
                validate_parameters=False,
            )
            def event() -> Any:
                return work(name, _stage, watch)

            # the flow above has a heartbeat; one for each event would add a second to each
            with temporary_settings(updates={PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                return event()

        def submit(name: str, watch: Callable[[float], None]) -> Any:
            named = _event.with_options(name=name, task_run_name=f"{title}: {name}")
            return named.submit(_Parcel(lambda: event_flow(name, watch)))

        monitor = self.monitor if len(names) == 1 else _Progress(self.monitor)
        results: dict[str, Any] = gather(title, names, submit, monitor)
        return results


class _Progress:
    """A monitor that also keeps a progress artifact of a round up to date."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor, self.guard = monitor, threading.Lock()
        self.done: dict[str, float] = {}
        self.told = 0.0
        self.artifact: Any = None

    def begin(self, title: str, names: Sequence[str]) -> None:
        self.monitor.begin(title, names)
        self.done = dict.fromkeys(names, 0.0)
        self.artifact = create_progress_artifact(0.0, description=title)

    def advance(self, name: str, fraction: float) -> None:
        self.monitor.advance(name, fraction)
        with self.guard:
            self.done[name] = max(self.done.get(name, 0.0), fraction)
            if time.monotonic() - self.told < _EVERY:
                return
            self.told = time.monotonic()
        self._tell()

    def end(self) -> None:
        self.monitor.end()
        self._tell()

    def say(self, text: str) -> None:
        self.monitor.say(text)

    def _tell(self) -> None:
        if self.artifact is not None:
            share = sum(self.done.values()) / max(1, len(self.done))
            update_progress_artifact(self.artifact, min(100.0, 100 * share))


def run_as_flow(
    run: FlowRun, body: Callable[[Runner], Result], monitor: Monitor, place: Place | None = None
) -> Result:
    """Run a body as a Prefect flow; see ``running.run_flow``.

    Raises
    ------
    WorkError
        If the server answers no more, after all repeats.
    """
    mark = f"{socket.gethostname()}:{run.root.resolve()}"

    @flow(
        name=run.name,
        flow_run_name=run.title,
        task_runner=ThreadPoolTaskRunner(max_workers=run.at_once if place is None else _WAITING),  # type: ignore[arg-type]
        persist_result=False,
    )
    def whole() -> Result:
        return body(PrefectRunner(monitor, place))

    try:
        with tags(mark):
            bury_dead_runs(mark)
            return whole()
    except HTTPError as error:
        raise WorkError(
            f"the Prefect server at {without_secrets(PREFECT_API_URL.value() or '')} answers no more "
            f"({type(error).__name__}); what was finished is kept: start the server again, or unset PREFECT_API_URL, "
            "and run the same command"
        ) from error


def bury_dead_runs(mark: str) -> None:
    """Mark runs of killed drivers as crashed; the server itself would show them as running for ever.

    Parameters
    ----------
    mark : str
        Tag of the runs of one project folder. Its lock is held, so none of them lives.
    """
    with get_client(sync_client=True) as client:
        for dead in unfinished_runs(client, mark):
            crash(client, dead)


def unfinished_runs(client: SyncPrefectClient, mark: str | None = None) -> list[FlowRun_]:
    """Flow runs that the server believes to run; with a tag, if one is given."""
    unfinished = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[mark]) if mark else None,
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])),
    )
    return list(client.read_flow_runs(flow_run_filter=unfinished))


def crash(client: SyncPrefectClient, run: FlowRun_) -> None:
    """Mark a run as crashed."""
    client.set_flow_run_state(run.id, Crashed(message="Its process has died."), force=True)
