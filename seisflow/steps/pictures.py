"""The pictures of an iteration, and of the project before its first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seisflow.domain import Measurement, Model, Window
from seisflow.errors import MissingError
from seisflow.inversion import Trial
from seisflow.io.event_file import read_event
from seisflow.io.models import read_kernel
from seisflow.project import Project, iteration_name, step_name
from seisflow.records import Task
from seisflow.steps.bands import OBSERVED, SYNTHETIC, tag_of
from seisflow.steps.direction import trials_made
from seisflow.steps.inputs import event_of, model_of, stations_of
from seisflow.steps.measured import (
    accepted_trial,
    band_name,
    band_names,
    finished,
    is_measured,
    measured,
)
from seisflow.steps.objective import inversion_config, total_misfit
from seisflow.steps.slices import node_volume, overlay_of, places, with_coverage

if TYPE_CHECKING:
    from seisflow.report import MisfitRow, ShiftRow

__all__ = [
    "draw_event_pages",
    "draw_iteration_pictures",
    "draw_project",
    "draw_truth",
    "misfit_rows",
    "pictures_task",
]


def draw_project(project: Project, folder: Path) -> list[Path]:
    """Draw the map of events and stations, the start model, and misfit and shifts over the whole run if there are.

    Returns
    -------
    list of Path
        What was drawn.
    """
    from seisflow.report import draw_map, draw_misfit, draw_sections, model_field, write_png

    events = [event_of(project, event) for event in project.event_ids]
    stations = stations_of(project)
    path = project.model_path(0)
    model = model_of(path) if path.is_file() else None
    figure = draw_map(
        events, stations, held_out=set(project.config.hold_out), model=model, title=project.config.name
    )
    write_png(figure, folder / "map.png")
    drawn = [folder / "map.png"]
    if model is not None:
        depths, lines = places(model.grid)
        overlay = overlay_of(project, model)
        for name in ("vp", "vs"):
            figure = draw_sections(
                model_field(model, name), depths, lines, overlay, f"{project.config.name}: start model"
            )
            write_png(figure, folder / f"m00_{name}.png")
            drawn.append(folder / f"m00_{name}.png")
    done = finished(project)
    if done:
        write_png(draw_misfit(misfit_rows(project, done[-1]), project.config.name), folder / "misfit.png")
        drawn.append(folder / "misfit.png")
        drawn += _whole_run(project, done, folder)
    return drawn


def _whole_run(project: Project, done: list[int], folder: Path) -> list[Path]:
    """Shifts in the first windows of each band and in the last."""
    from seisflow.report import ShiftRow

    rows: list[ShiftRow] = []
    bands: dict[str, list[int]] = {}
    for iteration in done:
        for band in band_names(project, iteration):
            bands.setdefault(band, []).append(iteration)
    known = {
        number: measured(project, number) for every in bands.values() for number in (every[0], every[-1])
    }
    for band, members in bands.items():
        for row in known[members[0]]:
            if row.band == band:
                rows.append(
                    ShiftRow(
                        row.event, row.station, row.component, band, before=row.shift, held_out=row.held_out
                    )
                )
        for row in known[members[-1]]:
            if row.band == band:
                rows.append(
                    ShiftRow(
                        row.event,
                        row.station,
                        row.component,
                        band,
                        after=row.shift_after,
                        held_out=row.held_out,
                    )
                )
    names = ("first", "last") if len(bands) > 1 else ("m00", f"m{done[-1]:02d}")
    return _draw_shifts(project, rows, f"{project.config.name}, m00 to m{done[-1]:02d}", names, folder)


def _shifts(project: Project, iteration: int, folder: Path) -> list[Path]:
    from seisflow.report import ShiftRow

    rows = [
        ShiftRow(row.event, row.station, row.component, row.band, row.shift, row.shift_after, row.held_out)
        for row in measured(project, iteration)
    ]
    names = (f"m{iteration - 1:02d}", f"m{iteration:02d}")
    return _draw_shifts(project, rows, f"{project.config.name}, iteration {iteration}", names, folder)


def _draw_shifts(
    project: Project, rows: list[ShiftRow], title: str, names: tuple[str, str], folder: Path
) -> list[Path]:
    from seisflow.report import draw_shift_histograms, draw_shift_map, write_png

    if not any(row.before is not None or row.after is not None for row in rows):
        return []
    write_png(draw_shift_histograms(rows, title, names), folder / "shifts.png")
    events = [event_of(project, event) for event in project.event_ids]
    model = model_of(project.model_path(0))
    figure = draw_shift_map(rows, events, stations_of(project), model=model, title=title, names=names)
    write_png(figure, folder / "shifts_map.png", dots_per_inch=110)
    return [folder / "shifts.png", folder / "shifts_map.png"]


def pictures_task(project: Project, iteration: int) -> Task:
    """What decides the pictures of an iteration that is done."""
    inputs = {
        "start model": project.model_path(0),
        "model": project.model_path(iteration - 1),
        "new model": project.model_path(iteration),
        "kernel": project.iteration_folder(iteration) / "kernel.nc",
    }
    for event in project.event_ids:
        inputs[f"event {event}"] = project.event_file(iteration, 0, event)
    settings = {
        "name": project.config.name,
        "held_out": list(project.held_out),
        "parameters": list(project.config.inversion.fields),
    }
    return Task(f"{iteration_name(iteration)}/pictures", inputs, settings)


MOST_PAGES = 24
"""Waveform pages that are drawn after an iteration; `seisflow plot --event` draws those of any event."""


def draw_iteration_pictures(project: Project, iteration: int) -> list[Path]:
    """Draw everything of an iteration: misfit, waveforms, shifts, map with rays, model, kernel, update.

    Of many events, or of events with many stations, some waveform pages are drawn. What was drawn is recorded when
    the iteration is done; before, what there is can be drawn.

    Returns
    -------
    list of Path
        What was drawn.
    """
    task = pictures_task(project, iteration)
    begun = project.begin(task)
    folder = project.picture_folder(iteration)
    there = _measured_events(project, iteration)
    some = there[:: -(-len(there) // MOST_PAGES)]
    drawn = []
    for event in some:
        drawn += _waveform_pages(project, iteration, event, folder, most=MOST_PAGES // len(some))
    drawn += _map(project, iteration, there, folder)
    drawn += _shifts(project, iteration, folder)
    drawn += _sections(project, iteration, folder)
    rows = misfit_rows(project, iteration)
    if rows and rows[-1].iteration == iteration:
        drawn += _overview(project, iteration, rows, folder)
        project.record(task, drawn, {"pictures": len(drawn)}, begun)
    return drawn


def draw_event_pages(project: Project, iteration: int, event: str) -> list[Path]:
    """Draw all waveform pages of an event in an iteration.

    Returns
    -------
    list of Path
        What was drawn.

    Raises
    ------
    MissingError
        If the event was not measured in that iteration.
    """
    if event not in _measured_events(project, iteration):
        raise MissingError(
            f"event {event}: not measured in iteration {iteration}; `seisflow status` shows what was"
        )
    return _waveform_pages(project, iteration, event, project.picture_folder(iteration), most=None)


def _measured_events(project: Project, iteration: int) -> list[str]:
    there = [event for event in project.event_ids if is_measured(project, iteration, event)]
    if not there:
        raise MissingError(
            f"iteration {iteration}: nothing to draw; run `seisflow iterate --iteration {iteration}`"
        )
    return there


def draw_truth(project: Project, number: int, truth: Model, folder: Path) -> list[Path]:
    """Draw the true perturbations beside those recovered by a model, a picture a parameter.

    Returns
    -------
    list of Path
        What was drawn.
    """
    from seisflow.report import draw_comparison, perturbation_field, write_png

    start, found = model_of(project.model_path(0)), model_of(project.model_path(number))
    depths, lines = places(start.grid)
    overlay = overlay_of(project, start)
    drawn = []
    for name in project.config.inversion.fields:
        fields = [
            ("true", perturbation_field(truth, start, name, f"{name} against m00")),
            (f"recovered, m{number:02d}", perturbation_field(found, start, name)),
        ]
        path = folder / f"truth_{name}_m{number:02d}.png"
        write_png(draw_comparison(fields, depths[1], lines[0], overlay, project.config.name), path)
        drawn.append(path)
    return drawn


def misfit_rows(project: Project, last: int) -> list[MisfitRow]:
    """The misfit over the finished iterations up to ``last``, for the curve; both sides of a change of stage."""
    from seisflow.report import MisfitRow

    records = []
    for iteration in range(1, last + 1):
        record = project.record_of(f"{iteration_name(iteration)}/update")
        if record is None:
            break
        records.append(record["results"])
    rows: list[MisfitRow] = []
    for iteration, found in enumerate(records, 1):
        name = band_name(project, iteration)
        # over all events, which a search on some of them measures at its start only
        start, after = found["misfit"]
        if found["events"] < len(project.used):
            whole = total_misfit(project, iteration, 0, project.used).misfit
            start, after = whole, whole * after / start
        held = found["held_out"] or (None, None)
        trials = tuple(_trials(project, iteration, start))
        if rows and rows[-1].iteration == iteration - 1 and rows[-1].stage == name:
            rows.pop()  # the next iteration starts there, in its own windows
        rows.append(MisfitRow(iteration - 1, name, start, held[0], trials))
        rows.append(MisfitRow(iteration, name, after, held[1]))
    return rows


def _trials(project: Project, iteration: int, start: float) -> list[Trial]:
    trials = [Trial(0.0, start)]
    taken = accepted_trial(project, iteration) or 0
    attempt = int(taken > inversion_config(project, iteration).max_trials)
    for number in trials_made(project, iteration, attempt):
        name = f"{iteration_name(iteration)}/{step_name(number)}"
        records = [project.record_of(each) for each in (name, *(f"{name}/{event}" for event in project.used))]
        made, *found = (record["results"] for record in records if record is not None)
        if len(found) == len(project.used):
            weight = sum(each["weight"] for each in found)
            trials.append(Trial(made["length"], sum(each["misfit"] for each in found) / weight))
    return trials


def _waveform_pages(
    project: Project, iteration: int, event: str, folder: Path, most: int | None
) -> list[Path]:
    from seisflow.report import draw_waveforms, waveform_pages, write_png

    stage, _ = project.stage_of(iteration)
    content = read_event(project.event_file(iteration, 0, event))
    held = ", held out" if event in project.held_out else ""
    drawn = []
    for band in project.config.stages[stage].compared:
        observed = content.gathers[tag_of(OBSERVED, band.number)]
        synthetic = content.gathers.get(tag_of(SYNTHETIC, band.number))
        if synthetic is None:
            continue
        rows: list[Window | Measurement] = [
            row for row in content.measurements if row.window.band == band.number
        ]
        rows = rows or [window for window in content.windows if window.band == band.number]
        for page in range(waveform_pages(observed))[:most]:
            figure = draw_waveforms(
                content.event,
                observed,
                synthetic,
                rows,
                band=band.periods,
                note=f"iteration {iteration}, model m{iteration - 1:02d}{held}",
                page=page,
            )
            suffix = f"_band{band.number + 1}" if band.number else ""
            path = folder / f"waveforms_{event}{suffix}{f'_{page + 1}' if page else ''}.png"
            write_png(figure, path, dots_per_inch=110)
            drawn.append(path)
    return drawn


def _map(project: Project, iteration: int, events: list[str], folder: Path) -> list[Path]:
    from seisflow.report import draw_map, write_png

    pairs = set()
    for event in events:
        content = read_event(project.event_file(iteration, 0, event), waveforms=False)
        pairs |= {(event, window.station) for window in content.windows}
    figure = draw_map(
        [event_of(project, event) for event in events],
        stations_of(project),
        pairs,
        held_out=set(project.config.hold_out),
        model=model_of(project.model_path(iteration - 1)),
        title=f"{project.config.name}, iteration {iteration}: {len(pairs)} paths with windows",
    )
    write_png(figure, folder / "map.png")
    return [folder / "map.png"]


def _sections(project: Project, iteration: int, folder: Path) -> list[Path]:
    from seisflow.report import (
        draw_sections,
        kernel_field,
        model_field,
        perturbation_field,
        write_png,
    )

    path = project.iteration_folder(iteration) / "kernel.nc"
    if not path.is_file() or not project.model_path(iteration).is_file():
        return []
    start, before = model_of(project.model_path(0)), model_of(project.model_path(iteration - 1))
    newest, kernel = model_of(project.model_path(iteration)), read_kernel(path)
    depths, lines = places(newest.grid)
    overlay = overlay_of(project, newest)
    share, volume = project.config.inversion.water_level, node_volume(project, iteration, kernel.grid)
    drawn = []
    for name in project.config.inversion.fields:
        fields = {
            f"model_{name}": (model_field(newest, name), f"m{iteration:02d}"),
            f"change_{name}": (
                with_coverage(perturbation_field(newest, start, name, f"{name} against m00"), kernel, share),
                f"m{iteration:02d}",
            ),
            f"kernel_{name}": (
                kernel_field(kernel, before, name, volume),
                f"sum of event kernels at m{iteration - 1:02d}",
            ),
            f"update_{name}": (
                with_coverage(perturbation_field(newest, before, name, f"{name} update"), kernel, share),
                f"m{iteration - 1:02d} to m{iteration:02d}",
            ),
        }
        for stem, (field, title) in fields.items():
            figure = draw_sections(field, depths, lines, overlay, f"{project.config.name}, {title}")
            write_png(figure, folder / f"{stem}.png", dots_per_inch=110)
            drawn.append(folder / f"{stem}.png")
    return drawn


def _overview(project: Project, iteration: int, rows: list[MisfitRow], folder: Path) -> list[Path]:
    from seisflow.report import coverage, draw_iteration, draw_misfit, write_png

    write_png(draw_misfit(rows, project.config.name), folder / "misfit.png")
    start, before = model_of(project.model_path(0)), model_of(project.model_path(iteration - 1))
    models = (start, before, model_of(project.model_path(iteration)))
    fields = project.config.inversion.fields
    name = "vs" if "vs" in fields else fields[-1]
    kernel = read_kernel(project.iteration_folder(iteration) / "kernel.nc")
    overlay = overlay_of(project, start)
    figure = draw_iteration(
        rows,
        models,
        name,
        overlay=overlay,
        cover=coverage(kernel, project.config.inversion.water_level),
        title=f"{project.config.name}, iteration {iteration}",
    )
    write_png(figure, folder / "overview.png")
    return [folder / "misfit.png", folder / "overview.png"]
