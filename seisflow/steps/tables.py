"""Tables of the iterations, made from the event files when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seisflow.project import Project
from seisflow.records import Task

__all__ = ["tables"]


def tables(
    project: Project,
    task_of: Callable[[Project, int], Task | None],
    path_of: Callable[[int], Path],
    write: Callable[[Path, int], int],
) -> list[Path]:
    """The tables of all iterations that have one; what is missing or out of date is made.

    Parameters
    ----------
    project : Project
    task_of : callable
        What decides the table of an iteration, or None where it has none.
    path_of : callable
        Where the table of an iteration lies.
    write : callable
        Writes it for an iteration and returns its rows.

    Returns
    -------
    list of Path
        In the order of the iterations.
    """
    found = []
    for iteration in range(1, project.iterations + 1):
        task = task_of(project, iteration)
        if task is None:
            continue
        path = path_of(iteration)
        if project.why(task):
            begun = project.begin(task)
            project.record(task, [path], {"rows": write(path, iteration)}, begun)
        found.append(path)
    project.save_hashes()
    return found
