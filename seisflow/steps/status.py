"""What a project has done, read from its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seisflow.errors import InputError
from seisflow.project import Project, iteration_name
from seisflow.schedulers.submission import overview

__all__ = ["project_status", "verify"]


def project_status(project: Project) -> dict[str, Any]:
    """Iterations, events, misfits, and what failed; plain values for JSON.

    Returns
    -------
    dict
        ``name``, ``root``, ``events``, ``held_out``, ``models``, ``running`` (host and process that work now, or
        None), ``iterations``: a list of dict with ``iteration``, ``state`` (``done``, ``running``, ``failed``,
        ``stopped``, ``prepared`` by the line search of the iteration before, or ``not started``), ``periods``,
        ``misfit``, ``held_out``, ``windows``, ``trials``, ``seconds``, ``failures`` (what failed and why, by step) and
        ``events`` (each with state, misfit, windows, rejected, seconds, failure); ``detection``, None or a dict of
        ``days`` (numbers of detections and matches, problems), ``catalog`` (results), ``failures``, ``stale`` (reasons
        by step that is out of date) and ``not_searched`` (days that were recorded); ``queue``, what is in the batch
        system, see ``schedulers.submission.overview``; ``by_hand``, None or what ``windows.yaml`` changes: number of
        ``entries``, the iterations ``since`` which they hold, and the ``fault`` if it cannot be used.
    """
    driver, rows = project.driver, []
    for iteration in range(1, project.iterations + 1):
        rows.append(_iteration(project, iteration))
        before = rows[-2]["state"] if iteration > 1 else "done"
        if driver and before == "done" and rows[-1]["state"] != "done":
            rows[-1]["state"] = "running"
    return {
        "name": project.config.name,
        "root": str(project.root),
        "events": list(project.event_ids),
        "held_out": list(project.held_out),
        "models": [path.stem for path in sorted((project.root / "models").glob("m*.nc"))],
        "running": driver,
        "iterations": rows,
        "detection": _detection(project),
        "queue": overview(project.root),
        "by_hand": _by_hand(project),
    }


def _by_hand(project: Project) -> dict[str, Any] | None:
    """What people want of the windows; a wrong file is told, and shows the rest all the same."""
    if not project.window_edits_path.is_file():
        return None
    from seisflow.steps.by_hand import checked_edits  # takes its time to import

    try:
        edits = checked_edits(project)
    except InputError as error:
        return {"entries": 0, "since": [], "fault": str(error)}
    since = sorted({edit.since for edit in edits})
    return {"entries": len(edits), "since": since, "fault": None} if edits else None


def _detection(project: Project) -> dict[str, Any] | None:
    """Days that were searched and what was found, from the records; None where nothing was."""
    folder, days = project.detection_folder, {}
    for path in sorted(folder.glob("????-??-??")):
        found: dict[str, Any] = {}
        for step, key in (("beam", "detections"), ("matches", "matches")):
            record = project.record_of(f"detection/{path.name}/{step}")
            found[key] = record["results"][key] if record else None
            if record:
                problems = [*found.get("problems", []), *record["results"]["problems"]]
                found["problems"] = list(dict.fromkeys(problems))
        days[path.name] = found
    failed = {
        name: reason
        for path in sorted(folder.rglob("*.failed"))
        if (reason := project.failure_of(name := _named(project, path))) is not None
    }
    if not days and not failed:
        return None
    catalog = project.record_of("detection/catalog")
    stale: dict[str, list[str]] = {}
    left: list[str] = []
    if project.config.detection is not None and project.driver is None:
        from seisflow.steps.detect.pending import detection_status  # takes its time to import

        stale, left = detection_status(project)
    return {
        "days": days,
        "catalog": catalog["results"] if catalog else None,
        "failures": failed,
        "stale": stale,
        "not_searched": left,
    }


def _named(project: Project, path: Path) -> str:
    """Name of the step that a record or a note of a failure is of."""
    inside = path.relative_to(project.root).with_suffix("").as_posix()
    return inside.removeprefix("iterations/")


def _iteration(project: Project, iteration: int) -> dict[str, Any]:
    name = iteration_name(iteration)
    stage, _ = project.stage_of(iteration)
    events = {event: _event(project, f"{name}/s00/{event}") for event in project.event_ids}
    update = project.record_of(f"{name}/update")
    started = any(row["state"] != "not started" for row in events.values())
    found = update["results"] if update else {}
    failures = _failures(project, name)
    state = "not started"
    if update:
        state = "done"
    elif started:
        state = (
            "failed" if failures else "prepared" if _is_prepared(project, iteration, events) else "stopped"
        )
    return {
        "iteration": iteration,
        "state": state,
        "periods": list(project.config.stages[stage].periods),
        "misfit": found.get("misfit"),
        "held_out": found.get("held_out"),
        "windows": found.get("windows"),
        "trials": found.get("trial"),
        "seconds": _seconds(project, name) if started else None,
        "failures": failures,
        "events": events,
    }


def _is_prepared(project: Project, iteration: int, events: dict[str, dict[str, Any]]) -> bool:
    """Whether an iteration has what the one before prepared for it, and no more."""
    if iteration == 1 or project.record_of(f"{iteration_name(iteration - 1)}/update") is None:
        return False
    measured = all(events[event]["state"] == "done" for event in project.used)
    return measured and project.record_of(f"{iteration_name(iteration)}/direction") is None


def _failures(project: Project, name: str) -> dict[str, str]:
    """What failed when it ran last, by step."""
    folder = project.root / "iterations"
    names = [
        path.relative_to(folder).with_suffix("").as_posix()
        for path in sorted((folder / name).rglob("*.failed"))
    ]
    return {each: reason for each in names if (reason := project.failure_of(each)) is not None}


def _event(project: Project, name: str) -> dict[str, Any]:
    record = project.record_of(name)
    failure = project.failure_of(name)
    if record is None or failure:
        return {"state": "failed" if failure else "not started", "failure": failure}
    return {
        "state": "done",
        "misfit": record["results"]["misfit"],
        "windows": record["results"]["windows"],
        "rejected": record["results"]["rejected"],
        "seconds": record["seconds"],
        "failure": failure,
    }


def _seconds(project: Project, name: str) -> float:
    folder = project.root / "iterations"
    names = [
        path.relative_to(folder).with_suffix("").as_posix()
        for path in sorted((folder / name).rglob("*.json"))
    ]
    records = [project.record_of(each) for each in names]
    return float(sum(record["seconds"] for record in records if record))


def verify(project: Project) -> list[str]:
    """Read every file that a record names and compare it with its hash; returns a sentence for each that differs."""
    problems = []
    for place in ("iterations", "detection", "sources", "processed"):
        for path in sorted((project.root / place).rglob("*.json")):
            name = _named(project, path)
            record = project.record_of(name)
            if record is not None:
                problems += [f"{name}: {reason}" for reason in project.damage(record, fresh=True)]
    return problems
