"""The page of an iteration, from what was measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.errors import MissingError
from seisflow.io.event_file import read_event
from seisflow.project import Project, iteration_name
from seisflow.steps.bands import OBSERVED, SYNTHETIC, tag_of
from seisflow.steps.inputs import event_of, model_of, stations_of
from seisflow.steps.measured import accepted_trial, band_name, band_names, measured
from seisflow.steps.pictures import misfit_rows
from seisflow.steps.query import open_tables
from seisflow.steps.station_quality import faults_of
from seisflow.steps.weighing import has_weights

if TYPE_CHECKING:
    import duckdb
    from matplotlib.figure import Figure

    from seisflow.report import PageTable
    from seisflow.weights import WeightConfig

__all__ = ["write_report"]

_PANELS, _LARGEST, _LISTED = 9, 20, 2000
_FIT = "coalesce(correlation, selected_correlation)"
_AFTER = "sum(misfit_after) / sum(weight) FILTER (misfit_after IS NOT NULL)"
_CHANGE = "100 * (avg(misfit_after) / avg(misfit) filter (misfit_after is not null) - 1)"


def write_report(project: Project, iteration: int | None = None, path: Path | None = None) -> Path:
    """Write the page of an iteration: one HTML file that needs no network.

    Parameters
    ----------
    project : Project
    iteration : int, optional
        The last one that is done, if left out; if none is, the first that was measured.
    path : Path, optional
        ``report.html`` in the folder of the iteration, if left out.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    MissingError
        If nothing was measured in the iteration.
    """
    from seisflow.report import IterationPage, write_iteration_page

    with open_tables(project, names=("measurements", "events")) as tables:
        found = _chosen(project, tables, iteration)
        target = path or project.report_path(found)
        tables.execute(f"CREATE TEMP VIEW here AS SELECT * FROM measurements WHERE iteration = {found}")
        refused, count = _refused(tables)
        page = IterationPage(
            title=f"{project.config.name}, iteration {found}",
            facts=_facts(project, tables, found),
            misfit=_misfit(tables),
            categories=_categories(tables),
            events=_events(tables),
            largest=_largest(tables),
            figures=_figures(project, tables, found),
            dropped=_dropped(tables),
            refused=refused,
            not_shown=count - len(refused.rows),
            stations=_stations(project, found),
            links=_links(project, found, target),
        )
    write_iteration_page(target, page)
    return target


def _chosen(project: Project, tables: duckdb.DuckDBPyConnection, iteration: int | None) -> int:
    """The iteration that is meant, if anything was measured in it."""
    if iteration is not None:
        project.stage_of(iteration)
    there = [
        each for (each,) in tables.sql("SELECT DISTINCT iteration FROM measurements ORDER BY 1").fetchall()
    ]
    done = [each for each in there if accepted_trial(project, each) is not None]
    found = iteration or next(iter([*reversed(done), *there]), 1)
    if found not in there:
        raise MissingError(
            f"iteration {found}: nothing was measured in it; run `seisflow iterate --iteration {found}`"
        )
    return int(found)


def _table(tables: duckdb.DuckDBPyConnection, sql: str) -> PageTable:
    from seisflow.report import PageTable

    found = tables.sql(sql)
    return PageTable(tuple(found.columns), found.fetchall())


def _facts(project: Project, tables: duckdb.DuckDBPyConnection, iteration: int) -> list[tuple[str, str]]:
    stage, _ = project.stage_of(iteration)
    trial, source = accepted_trial(project, iteration), project.windows_iteration(iteration)
    ((windows, events, stations, dropped),) = tables.sql(
        "SELECT count(*) FILTER (kept), count(DISTINCT event) FILTER (kept), count(DISTINCT station) FILTER (kept),"
        " coalesce(sum(candidates) FILTER (NOT kept), 0) FROM here"
    ).fetchall()
    after = (
        f"m{iteration:02d}, trial {trial} of the line search"
        if trial
        else "not yet: the iteration is not done"
    )
    return [
        ("periods", band_name(project, iteration)),
        ("misfit", " + ".join(band.misfit.kind for band in project.config.stages[stage].compared)),
        ("before", f"m{iteration - 1:02d}"),
        ("after", after),
        ("windows", f"{windows} of {events} events at {stations} stations, selected in iteration {source}"),
        ("dropped", f"{dropped} candidates and traces"),
    ]


def _misfit(tables: duckdb.DuckDBPyConnection) -> PageTable:
    return _table(
        tables,
        f"""SELECT CASE WHEN NOT held_out THEN 'used' WHEN event IN (SELECT event FROM events WHERE held_out)
              THEN 'held-out events' ELSE 'held-out stations' END AS "whose",
            count(*) AS "windows", count(misfit_after) AS "in both",
            sum(misfit) FILTER (misfit_after IS NOT NULL OR step IS NULL)
              / sum(weight) FILTER (misfit_after IS NOT NULL OR step IS NULL) AS "before",
            {_AFTER} AS "after", round({_CHANGE}, 1) AS "change (%)"
          FROM here WHERE kept GROUP BY ALL ORDER BY "whose" DESC""",
    )


def _categories(tables: duckdb.DuckDBPyConnection) -> PageTable:
    """What each band and component contributes."""
    return _table(
        tables,
        f"""SELECT band AS "band", misfit_kind AS "misfit", component AS "component", count(*) AS "windows",
            round(100 * sum(weight) / sum(sum(weight)) OVER (), 1) AS "weight (%)",
            round(100 * sum(misfit) / sum(sum(misfit)) OVER (), 1) AS "of the misfit (%)",
            sum(misfit) / sum(weight) AS "before", {_AFTER} AS "after", round({_CHANGE}, 1) AS "change (%)"
          FROM here WHERE kept AND NOT held_out GROUP BY band, shortest_period, misfit_kind, component
          ORDER BY shortest_period DESC, band, component""",
    )


def _stations(project: Project, iteration: int) -> PageTable:
    """Stations whose recordings are wrong in the same way over several events."""
    from seisflow.report import PageTable

    rows = [
        (each.station, each.kind, each.evidence, each.correction) for each in faults_of(project, iteration)
    ]
    return PageTable(("station", "what", "evidence", "data.corrections"), rows)


def _events(tables: duckdb.DuckDBPyConnection) -> PageTable:
    return _table(
        tables,
        f"""SELECT event AS "event", CASE WHEN event IN (SELECT event FROM events WHERE held_out) THEN 'yes' ELSE ''
              END AS "held out", count(*) FILTER (kept) AS "windows",
            sum(misfit) / sum(weight) AS "before", {_AFTER} AS "after", round({_CHANGE}, 1) AS "change (%)",
            median(coalesce(shift, selected_shift)) AS "median lag (s)", median(shift_after) AS "after (s)",
            median({_FIT}) AS "median correlation",
            coalesce(sum(candidates) FILTER (NOT kept), 0)::BIGINT AS "dropped"
          FROM here GROUP BY event ORDER BY event""",
    )


def _largest(tables: duckdb.DuckDBPyConnection) -> PageTable:
    return _table(
        tables,
        f"""SELECT event AS "event", station AS "station", component AS "component",
            printf('%.1f to %.1f', window_start, window_end) AS "window (s)",
            misfit AS "misfit", misfit_after AS "after",
            round(100 * misfit / sum(misfit) OVER (), 2) AS "share (%)",
            coalesce(shift, selected_shift) AS "lag (s)", exp(coalesce(dlna, selected_dlna)) AS "amplitude ratio",
            {_FIT} AS "correlation"
          FROM here WHERE kept AND NOT held_out
          ORDER BY misfit DESC, event, station, component, window_start LIMIT {_LARGEST}""",
    )


def _dropped(tables: duckdb.DuckDBPyConnection) -> PageTable:
    return _table(
        tables,
        """SELECT rejected_by AS "stage", sum(candidates)::BIGINT AS "candidates",
            count(DISTINCT (event, station, component)) AS "traces", count(DISTINCT event) AS "events",
            min(event || ', ' || station || '.' || component || ': ' || reason) AS "such as"
          FROM here WHERE NOT kept GROUP BY rejected_by ORDER BY "candidates" DESC, "stage" """,
    )


def _refused(tables: duckdb.DuckDBPyConnection) -> tuple[PageTable, int]:
    """The list of what was dropped, cut where it is long, and how many there are."""
    ((count,),) = tables.sql("SELECT count(*) FROM here WHERE NOT kept").fetchall()
    listed = _table(
        tables,
        f"""SELECT event AS "event", station AS "station", component AS "component", rejected_by AS "stage",
            reason AS "reason", printf('%.1f to %.1f', window_start, window_end) AS "window (s)",
            candidates AS "candidates"
          FROM here WHERE NOT kept ORDER BY ALL LIMIT {_LISTED}""",
    )
    return listed, int(count)


def _figures(
    project: Project, tables: duckdb.DuckDBPyConnection, iteration: int
) -> list[tuple[str, str, Figure]]:
    from seisflow.report import (
        ShiftRow,
        draw_misfit,
        draw_shift_histograms,
        draw_shift_map,
        draw_window_traces,
    )

    figures: list[tuple[str, str, Figure]] = []
    curve = misfit_rows(project, iteration)
    if curve:
        figures.append(("Misfit so far", "Relative to the first model of each stage.", draw_misfit(curve)))
    rows = [
        ShiftRow(row.event, row.station, row.component, row.band, row.shift, row.shift_after, row.held_out)
        for row in measured(project, iteration)
    ]
    names = (f"m{iteration - 1:02d}", f"m{iteration:02d}")
    if any(row.before is not None or row.after is not None for row in rows):
        events = [event_of(project, event) for event in project.event_ids]
        figure = draw_shift_map(
            rows, events, stations_of(project), model=model_of(project.model_path(0)), names=names
        )
        text = "Mean lag of each path, medians of stations and events. Red: the observed comes late."
        figures.append(("Lags on the map", text, figure))
        text = "By component; what is used and what is held out apart. "
        if not any(row.after is not None for row in rows):
            text += "The misfit measures no lag: these are the lags when the windows were selected."
        figures.append(("Lags", text, draw_shift_histograms(rows, names=names)))
    stage = project.config.stages[project.stage_of(iteration)[0]]
    if has_weights(stage):
        figures.append(_weights(project, tables, stage.weights))
    for word, order in (("Best", "DESC"), ("Worst", "ASC")):
        found = _panels(project, tables, iteration, order)
        if found:
            text = (
                f"At m{iteration - 1:02d}: the windows with the {'largest' if word == 'Best' else 'smallest'} "
                "correlation, as the misfit measures it or as it was when the window was selected."
            )
            figures.append((f"{word} waveforms", text, draw_window_traces(found)))
    return figures


def _weights(
    project: Project, tables: duckdb.DuckDBPyConnection, weights: WeightConfig
) -> tuple[str, str, Figure]:
    """The geographic factors on the map, and how they were chosen."""
    from seisflow.report import draw_weights

    factors: dict[str, float] = {}
    for name, column in (("event", "weight_source"), ("station", "weight_receiver")):
        sql = f"SELECT {name}, avg({column}) FROM here WHERE kept AND NOT held_out GROUP BY {name} ORDER BY {name}"
        factors |= dict(tables.sql(sql).fetchall())
    events = [event_of(project, event) for event in project.used]
    figure = draw_weights(events, stations_of(project), factors, (weights.sources, weights.receivers))
    text = (
        "Left: geographic factors; of a station the mean over its windows. Right: the condition number, largest over "
        "smallest factor, against the reference distance, for all events and for all stations with windows."
    )
    return "Weights", text, figure


def _panels(project: Project, tables: duckdb.DuckDBPyConnection, iteration: int, order: str) -> list[Any]:
    """Seismograms of the windows that fit best, or worst."""
    from seisflow.report import WindowTraces

    rows = tables.sql(
        f"""SELECT event, station, component, window_start, window_end, held_out, {_FIT},
            coalesce(shift, selected_shift), misfit, band
          FROM here WHERE kept ORDER BY {_FIT} {order}, event, station, component, window_start LIMIT {_PANELS}"""
    ).fetchall()
    bands = band_names(project, iteration)
    traces: dict[tuple[str, str, str, str], tuple[Any, Any, Any]] = {}
    for event in sorted({row[0] for row in rows}):
        gathers = read_event(project.event_file(iteration, 0, event)).gathers
        places = {station.id: number for number, station in enumerate(gathers[OBSERVED].stations)}
        for row in rows:
            if row[0] == event:
                observed, synthetic = (
                    gathers[tag_of(tag, bands.index(row[9]))] for tag in (OBSERVED, SYNTHETIC)
                )
                place = places[row[1]], observed.components.index(row[2])
                traces[*row[:3], row[9]] = (
                    np.asarray(observed.times),
                    np.array(observed.data[place], dtype=np.float64),
                    np.array(synthetic.data[place], dtype=np.float64),
                )
    return [
        WindowTraces(
            f"{event}  {station}.{component}{f'  {band}' if len(bands) > 1 else ''}",
            f"correlation {fit:.2f}, lag {lag:+.2f} s, misfit {misfit:.3g}".replace("-", "−"),
            *traces[event, station, component, band],
            window=(start, end),
            held_out=held,
        )
        for event, station, component, start, end, held, fit, lag, misfit, band in rows
    ]


def _links(project: Project, iteration: int, page: Path) -> list[tuple[str, str]]:
    """Addresses of the pictures, as seen from the page; the folder first."""
    folder = project.picture_folder(iteration)
    pictures = sorted(folder.glob("*.png"))
    place = Path(os.path.relpath(folder, page.resolve().parent)).as_posix()
    if not pictures:
        return []
    return [(f"{iteration_name(iteration)}/pictures/", f"{place}/")] + [
        (each.stem, f"{place}/{each.name}") for each in pictures
    ]
