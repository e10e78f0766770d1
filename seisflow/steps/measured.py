"""What was measured in each window, before and after an iteration."""

from __future__ import annotations

from dataclasses import dataclass

from seisflow.io.event_file import read_event
from seisflow.project import Project, iteration_name, step_name

__all__ = [
    "Measured",
    "accepted_trial",
    "after",
    "band_name",
    "band_names",
    "finished",
    "is_measured",
    "measured",
]


@dataclass(frozen=True)
class Measured:
    """One window of one iteration.

    Parameters
    ----------
    event, station, component : str
        The station as ``NET.STA``.
    stage : int
        From 1.
    band : str
        Its periods, for people.
    iteration : int
        From 1; measured at the model before it, and again at the model that it accepted.
    start, end : float
        s from the origin time.
    weight : float
    shift : float or None
        Lag in s, positive where the observed comes late: that measured, or that of the selection if the misfit
        measures none.
    dlna, correlation : float
        As ``shift``.
    misfit : float
        Weight included.
    held_out : bool
        Whether it is measured only: the event is held out, or the station.
    shift_after : float or None
        Lag of the same window at the accepted model; None if there is none yet or the misfit measures none.
    """

    event: str
    station: str
    component: str
    stage: int
    band: str
    iteration: int
    start: float
    end: float
    weight: float
    shift: float | None
    dlna: float
    correlation: float
    misfit: float
    held_out: bool
    shift_after: float | None


def band_name(project: Project, iteration: int) -> str:
    """Periods of the stage of an iteration, as ``6-15 s`` or ``6-15 s + 12-30 s``."""
    return " + ".join(band_names(project, iteration))


def band_names(project: Project, iteration: int) -> tuple[str, ...]:
    """Periods of each band of the stage, as ``6-15 s``; with the stage or the number, where two have the same."""
    stages, (number, _) = project.config.stages, project.stage_of(iteration)
    elsewhere = {
        band.periods for place, stage in enumerate(stages) if place != number for band in stage.compared
    }
    here = [band.periods for band in stages[number].compared]
    names = []
    for place, (shortest, longest) in enumerate(here):
        name = f"{shortest:g}-{longest:g} s"
        if here.count((shortest, longest)) > 1:
            name += f", band {place + 1}"
        if (shortest, longest) in elsewhere:
            name += f", stage {number + 1}"
        names.append(name)
    return tuple(names)


def finished(project: Project) -> list[int]:
    """The iterations that left an update record, from the first on without a gap."""
    found: list[int] = []
    for iteration in range(1, project.iterations + 1):
        if accepted_trial(project, iteration) is None:
            break
        found.append(iteration)
    return found


def accepted_trial(project: Project, iteration: int) -> int | None:
    """Number of the trial that an iteration accepted; None if it is not done."""
    record = project.record_of(f"{iteration_name(iteration)}/update")
    return None if record is None else int(record["results"]["trial"])


def is_measured(project: Project, iteration: int, event: str) -> bool:
    """Whether an event was measured at the model that an iteration starts from.

    A trial prepares the next iteration before it is known whether it will be accepted; what a refused one left does
    not count.
    """
    record = project.record_of(f"{iteration_name(iteration)}/{step_name(0)}/{event}")
    if record is None or not project.event_file(iteration, 0, event).is_file():
        return False
    return bool(record["inputs"].get("model") == project.hash_of(project.model_path(iteration - 1)))


def measured(project: Project, iteration: int) -> list[Measured]:
    """All windows of an iteration, event by event in the order of the event files.

    Returns
    -------
    list of Measured
        Empty if nothing was measured yet.
    """
    events, bands = set(project.held_out), band_names(project, iteration)
    stage, _ = project.stage_of(iteration)
    rows: list[Measured] = []
    for event in project.event_ids:
        if not is_measured(project, iteration, event):
            continue
        found = read_event(project.event_file(iteration, 0, event), waveforms=False).measurements
        nothing: list[float | None] = [None] * len(found)
        shifts = after(project, iteration, event, len(found)).get("shift_after", nothing)
        stations = project.held_stations(event)
        for each, later in zip(found, shifts, strict=True):
            window = each.window
            rows.append(
                Measured(
                    event=event,
                    station=window.station,
                    component=window.component,
                    stage=stage + 1,
                    band=bands[window.band],
                    iteration=iteration,
                    start=window.start,
                    end=window.end,
                    weight=window.weight,
                    shift=window.shift if each.shift is None else each.shift,
                    dlna=window.dlna if each.dlna is None else each.dlna,
                    correlation=window.correlation if each.correlation is None else each.correlation,
                    misfit=each.value,
                    held_out=event in events or window.station in stations,
                    shift_after=later,
                )
            )
    return rows


_AFTER = {"shifts": "shift", "misfits": "misfit", "dlnas": "dlna", "correlations": "correlation"}
"""Lists in the record of a trial, and what they hold."""


def after(project: Project, iteration: int, event: str, count: int) -> dict[str, list[float | None]]:
    """What was measured at the accepted trial in the windows of an iteration.

    Parameters
    ----------
    project : Project
    iteration : int
    event : str
    count : int
        Number of its windows.

    Returns
    -------
    dict of str to list
        ``shift_after``, ``misfit_after``, ``dlna_after``, ``correlation_after``, in the order of the windows;
        empty if these very windows were not measured there.
    """
    trial = accepted_trial(project, iteration)
    if trial is None:
        return {}
    record = project.record_of(f"{iteration_name(iteration)}/{step_name(trial)}/{event}")
    if record is None or len(record["results"].get("shifts", ())) != count:
        return {}
    windows = project.event_file(iteration, 0, event)
    if record["inputs"].get("windows") != project.hash_of(windows):
        return {}  # of an earlier run
    lists = {name: record["results"][key] for key, name in _AFTER.items() if key in record["results"]}
    return {
        f"{name}_after": [None if v is None else float(v) for v in found] for name, found in lists.items()
    }
