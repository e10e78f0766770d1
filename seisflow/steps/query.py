"""Questions in SQL to all measurements, events and stations of a project."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

from seisflow.domain import MomentTensor
from seisflow.errors import InputError, MissingError
from seisflow.io.measurement_table import (
    CANDIDATE_COLUMNS,
    COLUMNS,
    candidate_schema,
    measurement_schema,
)
from seisflow.io.parquet import write_parts
from seisflow.project import Project
from seisflow.steps.candidate_tables import candidate_tables
from seisflow.steps.inputs import event_of, stations_of
from seisflow.steps.measurement_tables import measurement_tables
from seisflow.steps.station_quality import quality_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["TABLES", "ask", "open_tables", "write_answer"]

_BATCH = 10_000
_MEMORY = "2GB"

TABLES: dict[str, dict[str, str]] = {
    "measurements": {name: meaning for name, (_, meaning) in COLUMNS.items()},
    "candidates": {name: meaning for name, (_, meaning) in CANDIDATE_COLUMNS.items()},
    "events": {
        "event": "name of the event",
        "time": "origin time, UTC",
        "latitude": "degrees",
        "longitude": "degrees",
        "depth": "m",
        "magnitude": "moment magnitude; empty for forces",
        "held_out": "whether it is measured only",
    },
    "stations": {
        "station": "NET.STA",
        "network": "NET",
        "latitude": "degrees",
        "longitude": "degrees",
        "elevation": "m",
        "burial": "m",
        "held_out": "whether it is measured only, for all events",
    },
    "station_quality": {
        "iteration": "the newest in which windows were selected; whole traces were compared then",
        "station": "NET.STA",
        "component": "E, N or Z",
        "band": "its periods, for people",
        "events": "on which the trace correlates by 0.6 or more, with either sign",
        "reversed": "on how many of them the reversed trace fits better",
        "correlation": "median over these events, of the better sign",
        "delay": "s; median lag beyond the median of each event",
        "delay_scatter": "s; its robust standard deviation over events",
        "dlna": "median ln(amplitude observed / synthetic) beyond the median of each event",
        "dlna_scatter": "its robust standard deviation over events",
        "fault": "what seems wrong with the station, with the evidence; empty for most",
    },
}
"""Columns of each table and what they mean."""


@contextmanager
def ask(project: Project, sql: str) -> Iterator[pa.RecordBatchReader]:
    """Ask a question; the answer is read batch by batch, and is the same to the bit each time.

    The tables are ``measurements``, ``candidates``, ``events``, ``stations`` and ``station_quality``, see ``TABLES``. A
    question cannot reach or write any file, nor change a setting.

    Parameters
    ----------
    project : Project
    sql : str
        One SELECT statement of DuckDB (also WITH, DESCRIBE, SUMMARIZE, SHOW, PIVOT).

    Yields
    ------
    pyarrow.RecordBatchReader

    Raises
    ------
    InputError
        If it is not one statement, not one that only reads, or not understood; also if it needs over 2 GB of memory.
    MissingError
        If nothing was measured yet.
    """
    with _faults(sql), open_tables(project, sql) as database:
        _check(database.extract_statements(sql), sql)
        yield database.sql(sql).to_arrow_reader(_BATCH)


@contextmanager
def open_tables(
    project: Project, sql: str = "", names: Collection[str] = ()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database of the tables that holds nothing else and reaches no file; made anew where out of date.

    Parameters
    ----------
    project : Project
    sql : str
        The question: of a thousand events, reading their files takes seconds, so only tables that it names are opened.
    names : collection of str
        Tables that are opened in any case.

    Yields
    ------
    duckdb.DuckDBPyConnection

    Raises
    ------
    MissingError
        If nothing was measured yet.
    """
    import duckdb

    with duckdb.connect(":memory:", config={"threads": 1}) as database:
        tables = _tables(project, {*names, *_named(database, sql)})
        for name, table in tables.items():
            database.register(name, table)
        for setting in (
            "temp_directory = ''",
            f"memory_limit = '{_MEMORY}'",
            "python_enable_replacements = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            database.execute(f"SET {setting}")
        yield database


def _named(database: duckdb.DuckDBPyConnection, sql: str) -> Collection[str]:
    """Tables that a question asks; where that is not clear, those whose name is in it."""
    import duckdb

    text = sql.lower()
    if "tables" in text:
        return list(TABLES)
    try:
        found = {name.lower() for name in database.get_table_names(sql)}
    except duckdb.Error:
        found = set()
    return [name for name in TABLES if name in (found or text)]


@contextmanager
def _faults(sql: str) -> Iterator[None]:
    """Turn what DuckDB says, several lines with arrows, into one sentence."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        told = str(error).partition("\n\nLINE")[0].partition(": ")[2]
        told = "; ".join(part.strip(" !.\n") for part in told.split("\n") if part.strip())
        if isinstance(error, duckdb.PermissionException):
            told += (
                ". A query sees the tables of the project and no file; --csv and --parquet write its answer"
            )
        elif told.startswith("Table with name"):
            told = f"{told.partition(';')[0]}; the tables are {', '.join(TABLES)}"
        elif isinstance(error, (duckdb.BinderException, duckdb.CatalogException)):
            told += "; `seisflow query` without a question lists tables and columns"
        raise InputError(f"query {sql!r}: {told}") from None


def _check(statements: list[Any], sql: str) -> None:
    """Refuse what is not one statement that only reads."""
    import duckdb

    if len(statements) != 1:
        raise InputError(f"query {sql!r}: holds {len(statements)} statements; ask one question")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise InputError(
            f"query {sql!r}: is a {statements[0].type.name} statement; only SELECT is taken, a query changes nothing"
        )


def _tables(project: Project, names: Collection[str]) -> dict[str, Any]:
    """What can be asked, by the name in SQL; the measurements stay on disk, and are there in any case."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    paths = measurement_tables(project)
    if not paths:
        raise MissingError(f"{project.root}: nothing was measured yet; `seisflow iterate --iteration 1` does")
    kinds = {"time": pa.timestamp("us"), "held_out": pa.bool_()}
    kinds |= dict.fromkeys(("iteration", "events", "reversed"), pa.int32())
    texts = ("event", "station", "network", "component", "band", "fault")
    found: dict[str, Any] = {
        "measurements": ds.dataset([str(path) for path in paths], measurement_schema(), format="parquet")
    }
    if "candidates" in names:
        selected = [str(path) for path in candidate_tables(project)]
        schema = candidate_schema()
        found["candidates"] = (
            ds.dataset(selected, schema, format="parquet") if selected else schema.empty_table()
        )
    for name, read in (("events", _events), ("stations", _stations), ("station_quality", quality_rows)):
        if name not in names:
            continue
        fields = [
            (column, kinds.get(column, pa.string() if column in texts else pa.float64()))
            for column in TABLES[name]
        ]
        found[name] = pa.Table.from_pylist(list(read(project)), schema=pa.schema(fields))
    return found


def _events(project: Project) -> list[dict[str, Any]]:
    held = set(project.held_out)
    return [
        {
            "event": each.id,
            "time": each.utc.astimezone(UTC).replace(tzinfo=None),
            "latitude": each.latitude,
            "longitude": each.longitude,
            "depth": each.depth,
            "magnitude": each.source.magnitude if isinstance(each.source, MomentTensor) else None,
            "held_out": each.id in held,
        }
        for each in (event_of(project, event) for event in project.event_ids)
    ]


def _stations(project: Project) -> list[dict[str, Any]]:
    held = set(project.config.hold_out)
    return [
        {
            "station": each.id,
            "network": each.network,
            "latitude": each.latitude,
            "longitude": each.longitude,
            "elevation": each.elevation,
            "burial": each.burial,
            "held_out": each.id in held,
        }
        for each in stations_of(project)
    ]


def write_answer(answer: pa.RecordBatchReader, path: str | os.PathLike[str], kind: str) -> int:
    """Write an answer to a file, whole or not at all; a batch is in memory at a time.

    Parameters
    ----------
    answer : pyarrow.RecordBatchReader
    path : path
    kind : {"csv", "parquet"}

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    return write_parts(path, answer.schema, answer, kind)
