"""Catalogs of detections as flat tables: CSV and Parquet, one row an event."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from seisflow.domain import Catalog, Detection, Projection
from seisflow.io.atomic import publish
from seisflow.io.catalog_csv import CsvRows, Row, parse_csv
from seisflow.io.ellipsoids import to_geographic_axes, to_local_axes

__all__ = ["COLUMNS", "catalog_rows", "detection_names", "iso_time", "read_csv", "write_csv", "write_parquet"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS: dict[str, type] = {
    "id": str,
    "time": datetime,
    "latitude": float,
    "longitude": float,
    "depth_km": float,
    "error_east_km": float,
    "error_north_km": float,
    "error_depth_km": float,
    "error_time_s": float,
    "error_horizontal_km": float,
    "method": str,
    "value": float,
    "threshold": float,
    "false_alarm_rate": float,
    "magnitude": float,
    "magnitude_error": float,
    "magnitude_kind": str,
    "magnitude_stations": int,
    "n_arrivals": int,
    "template": str,
    "remark": str,
}
"""Columns of the flat table. Depth is below sea level; errors are standard errors, but ``error_horizontal_km`` is the
larger semi-axis of the 68 % ellipse; ``false_alarm_rate`` is a day."""

_DECIMALS = {"latitude": 7, "longitude": 7} | {
    name: 6 for name in COLUMNS if name.endswith("_km") or name.endswith("_s")
}


def iso_time(time: float) -> str:
    """Write a time (s since 1970-01-01 UTC) as ``2009-01-21T04:00:02.916000Z``, to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=round(time * 1e6))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def detection_names(times: Sequence[float]) -> list[str]:
    """Give detections their ids: the origin time to the millisecond, and a letter from the second of equal ones on.

    Parameters
    ----------
    times : sequence of float
        s since 1970-01-01 UTC.

    Returns
    -------
    list of str
        Such as ``20090121T040007.168``, ``20090121T040007.168b``.
    """
    seen: dict[str, int] = {}
    names = []
    for time in times:
        moment = _EPOCH + timedelta(milliseconds=round(time * 1e3))
        name = f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name + (_letters(seen[name]) if seen[name] > 1 else ""))
    return names


def _letters(number: int) -> str:
    """Count a, b, ... z, aa, ab, ..."""
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def catalog_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """Make a flat table of a catalog.

    Parameters
    ----------
    catalog : Catalog

    Returns
    -------
    list of dict
        A row a detection, with the keys of ``COLUMNS``; the time in s since 1970-01-01 UTC, None where a number is
        not known.
    """
    latitudes, longitudes = catalog.projection.to_geographic_many(catalog.places[:, 0], catalog.places[:, 1])
    return [
        _row(found, catalog.projection, float(latitude), float(longitude))
        for found, latitude, longitude in zip(catalog, latitudes, longitudes, strict=True)
    ]


def _row(found: Detection, projection: Projection, latitude: float, longitude: float) -> dict[str, Any]:
    errors = np.full(4, np.nan)
    horizontal = math.nan
    if found.covariance is not None:
        turned = to_geographic_axes(found.covariance, projection.convergence(latitude, longitude))
        variances = np.diag(turned)
        errors = np.sqrt(np.where(variances >= 0, variances, np.nan))
        finite = np.all(np.isfinite(found.covariance[:2, :2]))
        horizontal = found.horizontal_error if finite else math.nan
    size = found.magnitude
    row: dict[str, Any] = {
        "id": found.id,
        "time": found.time,
        "latitude": latitude,
        "longitude": longitude,
        "depth_km": found.z / 1e3,
        "error_east_km": errors[0] / 1e3,
        "error_north_km": errors[1] / 1e3,
        "error_depth_km": errors[2] / 1e3,
        "error_time_s": errors[3],
        "error_horizontal_km": horizontal / 1e3,
        "method": found.method,
        "value": found.value,
        "threshold": found.threshold,
        "false_alarm_rate": found.false_alarm_rate,
        "magnitude": None if size is None else size.value,
        "magnitude_error": None if size is None else size.error,
        "magnitude_kind": None if size is None else size.kind,
        "magnitude_stations": None if size is None else size.stations,
        "n_arrivals": len(found.arrivals),
        "template": found.template,
        "remark": found.remark,
    }
    return {name: _known(name, value) for name, value in row.items()}


def _known(name: str, value: Any) -> Any:
    """None for what is not a number; floats rounded to what the column is written with."""
    if value is None or COLUMNS[name] is not float:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    return round(number, _DECIMALS[name]) if name in _DECIMALS else number


def write_csv(path: str | os.PathLike[str], catalog: Catalog) -> None:
    """Write the flat table of a catalog as CSV: UTF-8, times in ISO 8601 with microseconds.

    Parameters
    ----------
    path : path
    catalog : Catalog

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in catalog_rows(catalog):
        row["time"] = iso_time(row["time"])
        writer.writerow("" if value is None else value for value in row.values())
    with publish(path) as temporary:
        temporary.write_bytes(buffer.getvalue().encode())


def write_parquet(path: str | os.PathLike[str], catalog: Catalog) -> None:
    """Write the flat table of a catalog as Parquet, times as UTC timestamps in microseconds.

    Parameters
    ----------
    path : path
    catalog : Catalog
        What was searched is in the metadata of the schema.

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        str: pa.string(),
        float: pa.float64(),
        int: pa.int64(),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    told = {
        "seisflow_start": repr(catalog.start),
        "seisflow_end": repr(catalog.end),
        "seisflow_live_days": repr(catalog.live_days),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()], metadata=told)
    rows = catalog_rows(catalog)
    for row in rows:
        row["time"] = _EPOCH + timedelta(microseconds=round(row["time"] * 1e6))
    with publish(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), str(temporary))


def read_csv(path: str | os.PathLike[str], projection: Projection) -> Catalog:
    """Read a catalog from CSV with the usual names of columns, see ``seisflow.io.catalog_csv``.

    Parameters
    ----------
    path : path
    projection : Projection

    Returns
    -------
    Catalog
        In the order of the times; searched from the first to the last event. Detections without an id are named by
        their times.

    Raises
    ------
    InputError
        With every fault, its line and column.
    """
    found = parse_csv(path, projection)
    rows = sorted(found.rows, key=lambda row: row.time)
    names = detection_names([row.time for row in rows])
    if all(row.id for row in rows) and len({row.id for row in rows}) == len(rows):
        names = [row.id for row in rows]
    detections = tuple(_imported(row, name, found, projection) for row, name in zip(rows, names, strict=True))
    start, end = (rows[0].time, rows[-1].time) if rows else (0.0, 0.0)
    return Catalog(projection, detections, start, end, (end - start) / 86400)


def _imported(row: Row, name: str, found: CsvRows, projection: Projection) -> Detection:
    covariance = None
    if row.errors is not None:
        covariance = np.diag(np.square(row.errors))
        if row.errors[0] != row.errors[1]:
            turn = projection.convergence(row.latitude, row.longitude)
            place = np.nan_to_num(covariance)  # NaN must not spread in the product
            covariance = np.where(np.isnan(covariance), np.nan, to_local_axes(place, turn))
    return Detection(
        id=name,
        time=row.time,
        x=row.x,
        y=row.y,
        z=row.depth,
        method=row.method,
        value=row.value,
        threshold=row.threshold,
        false_alarm_rate=row.false_alarm_rate,
        covariance=covariance,
        magnitude=row.magnitude,
        template=row.template,
        remark=row.remark or f"read from {found.name}",
    )
