"""The commands ``seisflow query`` and ``seisflow report``: what was measured, asked and shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["query", "report"]

HERE = Path(".")
_SHOWN = 500
Project_ = Annotated[
    Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")
]


def query(
    sql: Annotated[
        str | None, typer.Argument(help="A question in SQL. Without: list tables and columns.")
    ] = None,
    project: Project_ = HERE,
    csv: Annotated[Path | None, typer.Option(help="Write the answer to this CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the answer to this Parquet file.")] = None,
) -> None:
    """Ask all measurements in SQL: tables measurements, events, stations and station_quality."""
    from seisflow.errors import InputError
    from seisflow.project import Project
    from seisflow.steps.query import TABLES, ask, write_answer

    if csv and parquet:
        raise InputError("--csv and --parquet: give one of them")
    if sql is None and (csv or parquet):
        raise InputError("--csv and --parquet write the answer to a question; give one in SQL")
    found = Project.open(project)
    if sql is None:
        rows = [(table, name, told) for table, columns in TABLES.items() for name, told in columns.items()]
        _print_table(("table", "column", "meaning"), iter(rows), [False] * 3)
        return
    with ask(found, sql) as answer:
        for path, kind in ((csv, "csv"), (parquet, "parquet")):
            if path is not None:
                print(f"{path}: {write_answer(answer, path, kind)} rows")
                return
        numbers = [str(field.type) in _NUMBERS for field in answer.schema]
        cells = (
            row for batch in answer for row in zip(*(each.to_pylist() for each in batch.columns), strict=True)
        )
        _print_table(tuple(answer.schema.names), cells, numbers)


_NUMBERS = {"double", "float", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def _print_table(names: tuple[str, ...], rows: Iterator[tuple[Any, ...]], numbers: list[bool]) -> None:
    """A table on a terminal, cut after some hundred rows; else all rows, separated by tabs."""
    if not sys.stdout.isatty():
        print("\t".join(names))
        for row in rows:
            print("\t".join(map(_text, row)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table, left = Table(box=box.SIMPLE_HEAD), 0
    for name, number in zip(names, numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        if table.row_count < _SHOWN:
            table.add_row(*map(_text, row))
        else:
            left += 1
    Console(highlight=False, markup=False).print(table)
    if left:
        print(f"{left} more rows are not shown; --csv FILE writes all", file=sys.stderr)


def report(
    project: Project_ = HERE,
    iteration: Annotated[
        int | None, typer.Option("--iteration", "-i", min=1, help="Which iteration.", show_default="the last")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="HTML file.", show_default="iterations/i05/report.html")
    ] = None,
) -> None:
    """Write the page of an iteration: misfits, shifts on the map, best and worst waveforms, what was dropped."""
    from seisflow.project import Project
    from seisflow.steps.iteration_page import write_report

    found = Project.open(project)
    print(found.relative(write_report(found, iteration, to)))
