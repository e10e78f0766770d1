"""How the windows of an event were chosen, computed again from its seismograms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import Event, Gather, Rejection, Window
from seisflow.errors import InputError, MissingError
from seisflow.io.event_file import read_event
from seisflow.project import Project
from seisflow.steps.arrival_times import phase_times
from seisflow.steps.bands import OBSERVED, SYNTHETIC, tag_of
from seisflow.steps.inputs import event_of
from seisflow.steps.measured import is_measured
from seisflow.windows import Selection, WindowConfig, select_all
from seisflow.windows.arrivals import Arrivals, expected_arrivals
from seisflow.windows.levels import level_at
from seisflow.windows.stalta import short_over_long

__all__ = ["Choice", "chosen_windows", "draw_choice"]


@dataclass(frozen=True, eq=False)
class Choice:
    """The windows that an iteration uses in a band, and the selection that its seismograms give.

    Parameters
    ----------
    event : Event
    iteration : int
    source : int
        Iteration in which the windows were selected.
    periods : tuple of 2 float
    observed, synthetic : Gather
        Of ``source``.
    config : WindowConfig
    arrivals : list of Arrivals
    selection : Selection
    windows : list of Window
    rejections : list of Rejection
        Of the iteration: those by hand and of quality and measurement too.
    """

    event: Event
    iteration: int
    source: int
    periods: tuple[float, float]
    observed: Gather
    synthetic: Gather
    config: WindowConfig
    arrivals: list[Arrivals]
    selection: Selection
    windows: list[Window]
    rejections: list[Rejection]

    def rows(self, station: str | None = None) -> list[tuple[Any, ...]]:
        """Windows and refusals as a table, for one station or all."""
        rows: list[tuple[Any, ...]] = []
        for each in self.windows:
            numbers = (f"{each.shift:.2f}", f"{each.correlation:.3f}", f"{each.dlna:.2f}")
            told = (each.waves, " ".join(each.phases), *numbers, each.by_hand)
            rows.append((each.station, each.component, f"{each.start:g}", f"{each.end:g}", *told))
        for lost in self.rejections:
            span = ["" if time is None else f"{time:g}" for time in (lost.start, lost.end)]
            count = f"{lost.count} x " if lost.count > 1 else ""
            remark = f"{count}{lost.stage}: {lost.reason}"
            rows.append((lost.station, lost.component, *span, "", "", "", "", "", remark))
        return sorted(row for row in rows if station in (None, row[0]))


def chosen_windows(project: Project, event: str, iteration: int | None = None, band: int = 1) -> Choice:
    """Read what an iteration used, and select again from the seismograms that its windows were selected on.

    Parameters
    ----------
    project : Project
    event : str
    iteration : int, optional
        The last one in which the event was measured.
    band : int
        Number of the band in the stage, from 1.

    Raises
    ------
    MissingError
        If the event was not measured.
    InputError
        If there is no such band.
    """
    source_event = event_of(project, event)
    there = [n for n in range(1, project.iterations + 1) if is_measured(project, n, event)]
    found = iteration or max(there, default=0)
    if found not in there:
        raise MissingError(
            f"event {event} was not measured{f' in iteration {iteration}' if iteration else ''}; run "
            f"`seisflow iterate --iteration {iteration or 1}`"
        )
    bands = project.config.stages[project.stage_of(found)[0]].compared
    if band > len(bands):
        raise InputError(f"band {band}: iteration {found} has {len(bands)}")
    source = project.windows_iteration(found)
    content = read_event(project.event_file(source, 0, event))
    used = read_event(project.event_file(found, 0, event), waveforms=False)
    observed, synthetic = (content.gathers[tag_of(kind, band - 1)] for kind in (OBSERVED, SYNTHETIC))
    config, periods = bands[band - 1].windows, bands[band - 1].periods
    times = phase_times(project, config, source_event, observed.stations)
    return Choice(
        source_event, found, source, periods, observed, synthetic, config,
        expected_arrivals(source_event, observed.stations, config, times),
        select_all(observed, synthetic, source_event, config, periods, times),
        [each for each in used.windows if each.band == band - 1],
        [each for each in used.rejections if each.band == band - 1],
    )  # fmt: skip


def draw_choice(project: Project, choice: Choice, station: str, path: Path | None = None) -> Path:
    """Draw how the windows of a station were chosen.

    Raises
    ------
    MissingError
        If no recording of the station was used.
    """
    from seisflow.report import TraceChoice, draw_window_choice
    from seisflow.report.style import write_png

    names = [each.id for each in choice.observed.stations]
    if station not in names:
        raise MissingError(
            f"station {station}: no recording of {choice.event.id} was used; there are {', '.join(names)}"
        )
    number, gather = names.index(station), choice.observed
    arrivals, table, choices = choice.arrivals[number], choice.selection.candidates, []
    for place, component in enumerate(gather.components):
        if not gather.is_live(number, place):
            continue
        synthetic = np.asarray(choice.synthetic.data[number, place], dtype=np.float64)
        ratio = short_over_long(synthetic, gather.interval, choice.periods[0])
        path_length = np.full(len(gather.times), arrivals.path)
        choices.append(
            TraceChoice(
                component,
                gather.times,
                np.asarray(gather.data[number, place], dtype=np.float64),
                synthetic,
                ratio,
                level_at(choice.config.water_level, gather.times, path_length),
                [
                    *arrivals.phases,
                    *([("surface", arrivals.surface)] if np.isfinite(arrivals.surface) else []),
                ],
                [each for each in choice.windows if (each.station, each.component) == (station, component)],
                table.take((table.station == number) & (table.component == place)),
                [
                    each
                    for each in choice.rejections
                    if each.station == station and each.component in (component, "*")
                ],
            )
        )
    again = "" if choice.source == choice.iteration else f", windows of iteration {choice.source}"
    title = (
        f"{choice.event.id}  {station}, {arrivals.path / 1e3:.0f} km  {choice.periods[0]:g}-{choice.periods[1]:g} s, "
        f"iteration {choice.iteration}{again}"
    )
    target = path or project.picture_folder(choice.iteration) / f"windows_{choice.event.id}_{station}.png"
    write_png(draw_window_choice(title, choices), target)
    return target
