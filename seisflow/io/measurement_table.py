"""Parquet tables of what was measured in the windows of an iteration, and of all candidates for windows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from seisflow.io.parquet import write_parts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CANDIDATE_COLUMNS", "COLUMNS", "candidate_schema", "measurement_schema", "write_candidate_table",
    "write_measurement_table",
]  # fmt: skip

_ROWS = 20_000
"""Rows that are held in memory and written as one row group."""

COLUMNS: dict[str, tuple[type, str]] = {
    "iteration": (int, "from 1; measured at the model before it"),
    "step": (
        int,
        "trial of the line search that it accepted, where the columns _after are measured; empty if none",
    ),
    "event": (str, "name of the event"),
    "station": (str, "NET.STA"),
    "network": (str, "NET"),
    "component": (str, "Z, R, T, N or E; * for the whole station"),
    "stage": (int, "stage of the inversion, from 1"),
    "band": (str, "its periods, for people"),
    "shortest_period": (float, "s"),
    "longest_period": (float, "s"),
    "misfit_kind": (str, "misfit of the band, such as multitaper"),
    "held_out": (bool, "whether it is measured only: the event or the station is held out"),
    "kept": (bool, "whether it is a window that was measured; else why not"),
    "rejected_by": (str, "stage of preparation, selection or measurement that refused it"),
    "reason": (str, "why, with the value that decided"),
    "candidates": (int, "how many windows the row stands for: 1 if kept; else those that fell at that stage"),
    "window_start": (float, "s from the origin time"),
    "window_end": (float, "s from the origin time"),
    "waves": (str, "body or surface waves, by travel times; empty where none are known"),
    "phases": (str, "arrivals that are expected in the window, as 'P pP'"),
    "by_hand": (str, "what was done by hand, who did it and why"),
    "weight": (float, "factor of the window in the sum, product of the four that follow"),
    "weight_source": (float, "for how many other events there are near its event"),
    "weight_receiver": (float, "for how many other stations there are near its station"),
    "weight_category": (float, "of its phase, component and band"),
    "weight_signal_to_noise": (float, "of its signal to noise"),
    "signal_to_noise": (float, "of the observed when the window was selected; empty where there is no noise"),
    "misfit": (float, "weight included"),
    "misfit_after": (float, "at the accepted model, in the same window"),
    "shift": (float, "lag in s that the misfit measures, positive where the observed comes late"),
    "shift_after": (float, "s"),
    "dlna": (float, "ln(amplitude observed / synthetic) that the misfit measures; exp(dlna) is the ratio"),
    "dlna_after": (float, "ln of the ratio"),
    "correlation": (float, "of observed and synthetic, as the misfit measures it"),
    "correlation_after": (float, "at the accepted model"),
    "error": (float, "standard error of the lag in s, or of dlna if that is what the misfit compares"),
    "selected_shift": (float, "s, when the window was selected, be it in an earlier iteration"),
    "selected_dlna": (float, "when the window was selected"),
    "selected_correlation": (float, "when the window was selected"),
}
"""Kind and meaning of each column; what is not known is null."""

CANDIDATE_COLUMNS: dict[str, tuple[type, str]] = {
    "iteration": (int, "in which the windows were selected"),
    "event": (str, "name of the event"),
    "station": (str, "NET.STA"),
    "component": (str, "Z, R, T, N or E"),
    "band": (str, "its periods, for people"),
    "peak": (float, "s from the origin time, of the peak of E(t) that made it"),
    "window_start": (float, "s from the origin time, curtailed where it came so far"),
    "window_end": (float, "s from the origin time"),
    "kept": (bool, "whether it is a window that was measured"),
    "rejected_by": (str, "stage of selection, quality or measurement that refused it; empty if kept"),
    "value": (float, "what the stage decided on"),
    "threshold": (float, "what it was compared with"),
}
"""Kind and meaning of each column of the candidates."""


def measurement_schema() -> pa.Schema:
    """Arrow schema of the table.

    Returns
    -------
    pyarrow.Schema
    """
    return _schema(COLUMNS)


def candidate_schema() -> pa.Schema:
    """Arrow schema of the table of candidates.

    Returns
    -------
    pyarrow.Schema
    """
    return _schema(CANDIDATE_COLUMNS)


def _schema(columns: Mapping[str, tuple[type, str]]) -> pa.Schema:
    import pyarrow as pa

    kinds = {str: pa.string(), float: pa.float64(), int: pa.int32(), bool: pa.bool_()}
    return pa.schema([(name, kinds[kind]) for name, (kind, _) in columns.items()])


def write_measurement_table(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the table of an iteration, whole or not at all; few rows are in memory at a time.

    Parameters
    ----------
    path : path
    rows : iterable of mapping
        Values by column; a column that a row lacks is null.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    import pyarrow as pa

    schema, left = measurement_schema(), iter(rows)
    batches = iter(lambda: list(islice(left, _ROWS)), [])
    return write_parts(path, schema, (pa.Table.from_pylist(batch, schema=schema) for batch in batches))


def write_candidate_table(path: str | os.PathLike[str], parts: Iterable[pa.Table]) -> int:
    """Write the candidates of an iteration, whole or not at all; one part is in memory at a time.

    Parameters
    ----------
    path : path
    parts : iterable of pyarrow.Table
        With the columns of ``candidate_schema``, as of one event and band.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    schema = candidate_schema()
    return write_parts(path, schema, (part.cast(schema) for part in parts))
