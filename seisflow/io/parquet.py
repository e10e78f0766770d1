"""Tables that are written part by part."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from seisflow.io.atomic import publish

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write_parts"]


def write_parts(
    path: str | os.PathLike[str], schema: pa.Schema, parts: Iterable[Any], kind: str = "parquet"
) -> int:
    """Write a table, whole or not at all; one part is in memory at a time.

    Parameters
    ----------
    path : path
    schema : pyarrow.Schema
    parts : iterable of pyarrow.Table or pyarrow.RecordBatch
        With that schema.
    kind : {"parquet", "csv"}

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    import pyarrow.csv
    import pyarrow.parquet

    make = pyarrow.csv.CSVWriter if kind == "csv" else pyarrow.parquet.ParquetWriter
    count = 0
    with publish(path) as temporary, make(str(temporary), schema) as writer:
        for part in parts:
            writer.write(part)
            count += part.num_rows
    return count
