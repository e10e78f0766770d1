"""The flows of resolution tests and point-spread functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seisflow.workflows.running import FlowRun, Monitor, Quiet, Runner, Stage, run_flow

from seisflow.project import Project
from seisflow.steps.inputs import check_project
from seisflow.steps.patterns import Target
from seisflow.steps.resolution import ResolutionTest
from seisflow.steps.spread import Spot, Spread

__all__ = ["make_test", "spread"]


def make_test(
    root: Path, folder: Path, target: Target, number: int | None = None, monitor: Monitor | None = None
) -> ResolutionTest:
    """Make a project whose recordings are simulated in a known model; events that are finished are not run again.

    Parameters
    ----------
    root : Path
        Of the project that it is like.
    folder : Path
        Of the new one; it appears when all is there.
    target : Target
    number : int, optional
        Of the model that the pattern is laid on; the newest, if left out.
    monitor : Monitor, optional

    Returns
    -------
    ResolutionTest
        What was made.
    """
    watcher = monitor or Quiet()
    test = ResolutionTest(Project.open(root), folder, target, number)
    events = test.source.event_ids
    at_once, threads = test.source.config.compute.share(len(events))

    def work(event: str, stage: Stage, progress: Any) -> dict[str, Any]:
        return test.record_event(event, stage, threads, progress)

    def body(runner: Runner) -> dict[str, Any]:
        found: dict[str, Any] = runner.each("recordings", events, work, at_once)
        return found

    test.making.mkdir(parents=True, exist_ok=True)
    with Project(test.making, test.config).lock():
        made = test.prepare()
        title = f"{test.source.config.name} recordings for {folder.name}"
        found = run_flow(FlowRun("resolution", title, test.making, at_once), body, watcher)
        made.save_hashes()
    for event, result in found.items():
        if result["traces"] == 0:
            watcher.say(
                f"event {event}: none of its recordings can be used in the project; it has dead traces"
            )
    test.finish()
    return test


def spread(root: Path, iteration: int, spot: Spot, monitor: Monitor | None = None) -> dict[str, Any]:
    """Compute a point-spread function; events that are finished are not run again.

    Parameters
    ----------
    root : Path
        The project folder.
    iteration : int
        Whose model, windows and kernel are used.
    spot : Spot
    monitor : Monitor, optional

    Returns
    -------
    dict
        See ``steps.spread.Spread.collect``.
    """
    watcher = monitor or Quiet()
    project = Project.open(root)
    check_project(project, iteration)
    with project.lock():
        wanted = Spread(project, iteration, spot)
        at_once, threads = project.config.compute.share(len(wanted.events))
        wanted.write_model()

        def work(event: str, stage: Stage, progress: Any) -> dict[str, Any]:
            return wanted.gradient(event, stage, threads, progress)

        def body(runner: Runner) -> dict[str, Any]:
            found: dict[str, Any] = runner.each(f"spread i{iteration:02d}", wanted.events, work, at_once)
            return found

        title = f"{project.config.name} {wanted.name}"
        run_flow(FlowRun("spread", title, project.root, at_once), body, watcher)
        return wanted.collect()
