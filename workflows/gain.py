"""The flow that compares two models on whole seismograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seisflow.workflows.running import FlowRun, Monitor, Quiet, Stage, run_flow

from seisflow.errors import MissingError
from seisflow.io.models import read_model
from seisflow.project import Project
from seisflow.steps.gain import compare_with_truth, residual, truth_path
from seisflow.steps.inputs import check_project, model_of
from seisflow.steps.pictures import draw_truth

__all__ = ["gain"]


def gain(
    root: Path, model: int | None = None, truth: Path | None = None, monitor: Monitor | None = None
) -> dict[str, Any]:
    """Compare m00 with a later model in the band of that model's stage.

    Parameters
    ----------
    root : Path
        The project folder.
    model : int, optional
        The newest, if left out.
    truth : Path, optional
        NetCDF file of the true model; ``truth/model.nc`` of the project, if left out and there.
    monitor : Monitor, optional

    Returns
    -------
    dict
        ``used`` and ``held_out``: residual energy over data energy of both models, None where there are no data;
        ``truth`` by parameter.
    """
    watcher = monitor or Quiet()
    project = Project.open(root)
    newest = max((n for n in range(1, project.iterations + 1) if project.model_path(n).is_file()), default=0)
    number = model or newest
    if number == 0 or not project.model_path(number).is_file():
        raise MissingError(
            f"{project.relative(project.model_path(number or 1))} is not there; run iterations first"
        )
    check_project(project, 1)
    stage, _ = project.stage_of(number)
    at_once, threads = project.config.compute.share(len(project.event_ids))

    def body(runner: Any) -> dict[str, dict[int, dict[str, float]]]:
        found: dict[str, dict[int, dict[str, float]]] = {event: {} for event in project.event_ids}
        for each in (0, number):

            def work(event: str, parts: Stage, progress: Any, each: int = each) -> dict[str, float]:
                return residual(project, each, (0, number), stage, event, threads, progress)

            for event, result in runner.each(f"gain m{each:02d}", project.event_ids, work, at_once).items():
                found[event][each] = result
        return found

    title = f"{project.config.name} m00 to m{number:02d}"
    with project.lock():
        found = run_flow(FlowRun("gain", title, root, at_once), body, watcher)

    def ratio(events: tuple[str, ...]) -> list[float] | None:
        sums = [
            [sum(found[event][each][name] for event in events) for name in ("residual", "data")]
            for each in (0, number)
        ]
        if not all(data > 0 for _, data in sums):
            return None  # no event, or none with a recording that can be used
        return [residual / data for residual, data in sums]

    content: dict[str, Any] = {
        "name": project.config.name,
        "model": number,
        "periods": list(project.config.stages[stage].periods),
        "used": ratio(project.used),
        "held_out": ratio(project.held_out),
    }
    known = truth or truth_path(project)
    if truth is not None or known.is_file():
        start, newest_model = model_of(project.model_path(0)), model_of(project.model_path(number))
        true_model = read_model(known)
        content["truth"] = compare_with_truth(project, start, newest_model, true_model)
        drawn = draw_truth(project, number, true_model, project.root / "pictures")
        watcher.say(f"true and recovered: {', '.join(project.relative(path) for path in drawn)}")
    return content
