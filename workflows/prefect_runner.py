"""Events as Prefect sub-flows, their parts as tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner
from seisflow.workflows.running import Monitor, Quiet, Result, Runner, Work, gather

__all__ = ["PrefectRunner", "run_as_flow"]


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
    """

    monitor: Monitor = field(default_factory=Quiet)

    def each(self, title: str, names: Sequence[str], work: Work, at_once: int) -> dict[str, Any]:
        """See ``Runner``; ``at_once`` is that of the flow's task runner."""

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

        results: dict[str, Any] = gather(title, names, submit, self.monitor)
        return results


def run_as_flow(
    name: str, title: str, at_once: int, body: Callable[[Runner], Result], monitor: Monitor
) -> Result:
    """Run a body as a Prefect flow; see ``running.run_flow``."""

    @flow(
        name=name,
        flow_run_name=title,
        task_runner=ThreadPoolTaskRunner(max_workers=at_once),  # type: ignore[arg-type]
        persist_result=False,
    )
    def whole() -> Result:
        return body(PrefectRunner(monitor))

    return whole()
