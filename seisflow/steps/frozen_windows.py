"""Whether the windows that an iteration takes over are still those that would be selected."""

from __future__ import annotations

import re

from seisflow.errors import InputError
from seisflow.project import Project
from seisflow.steps.by_hand import check_edits
from seisflow.steps.event import EventStep

__all__ = ["check_windows"]


def check_windows(project: Project, iteration: int) -> None:
    """Look whether the windows that an iteration takes over are still those that would be selected.

    What people changed by hand is checked against the project too.

    Raises
    ------
    InputError
        If recordings, stations or settings have changed since; which ones, and what to do, is in the message.
    """
    check_edits(project)
    selected = project.windows_iteration(iteration)
    if selected == iteration:
        return
    faults: dict[str, list[str]] = {}
    for event in project.event_ids:
        for reason in project.why(EventStep(project, selected, 0, event).task):
            if not _HARMLESS.match(reason):
                faults.setdefault(reason, []).append(event)
    if faults:
        lines = [f"  {reason} (event {', '.join(events)})" for reason, events in faults.items()]
        if len(lines) > _TOLD:
            lines[_TOLD:] = [
                f"  and {len(lines) - _TOLD} more (`seisflow why i{selected:02d}/s00/EVENT` names all)"
            ]
        raise InputError(
            f"iteration {iteration} takes its windows from iteration {selected}, but since then\n"
            + "\n".join(lines)
            + f"\nrun `seisflow iterate --iteration {selected} --through {iteration}` to select them anew, or begin a "
            f"new stage with iteration {iteration}"
        )


_TOLD = 8
"""Reasons that are told one by one."""
_HARMLESS = re.compile(r"the code changed|setting (band \d+\.)?misfit|setting (kernel|hold_out)")
"""Reasons for which an event would run again, but select the same windows."""
