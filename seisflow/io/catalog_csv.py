"""Catalogs as CSV files of others: the usual names of columns, and faults told with line and column."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from seisflow.domain import Magnitude, Projection
from seisflow.errors import InputError, MissingError

__all__ = ["CsvRows", "Row", "parse_csv"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FARTHEST = 5e6
"""m from the centre of the projection, beyond which local coordinates mean nothing."""
_MOST_FAULTS = 20

_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("origin_time", "origintime", "time", "datetime", "date_time", "utc", "time_utc", "timestamp"),
    "date": ("date", "day"),
    "latitude": ("latitude", "lat", "latitude_deg", "evla"),
    "longitude": ("longitude", "lon", "long", "lng", "longitude_deg", "evlo"),
    "depth_km": ("depth_km", "depth", "dep", "dep_km"),
    "depth_m": ("depth_m",),
    "magnitude": ("magnitude", "mag", "ml", "mw", "mrel"),
    "magnitude_error": ("magnitude_error", "mag_error", "magerror", "mag_err", "ml_err"),
    "magnitude_kind": ("magnitude_kind", "magtype", "mag_type", "magnitude_type"),
    "magnitude_stations": ("magnitude_stations", "magnst"),
    "error_x_km": ("error_east_km", "err_x_km", "error_x_km", "err_e_km", "ex_km", "erx_km"),
    "error_y_km": ("error_north_km", "err_y_km", "error_y_km", "err_n_km", "ey_km", "ery_km"),
    "error_h_km": ("horizontalerror", "horizontal_error_km", "err_h_km", "erh", "seh"),
    "error_z_km": ("error_depth_km", "err_z_km", "error_z_km", "deptherror", "ez_km", "erz", "sez"),
    "error_t_s": ("error_time_s", "err_t_s", "error_t_s"),
    "value": ("value", "coalescence", "coa", "coa_max", "max_coa", "correlation", "detection_value"),
    "threshold": ("threshold",),
    "false_alarm_rate": ("false_alarm_rate",),
    "id": ("id", "event_id", "eventid", "uid", "publicid", "public_id"),
    "method": ("method",),
    "template": ("template",),
    "remark": ("remark", "comment"),
}
"""Names of columns, in lower case with ``_`` for other characters; the first that a file has is taken."""


@dataclass(frozen=True)
class Row:
    """A row of a catalog: units as in ``Detection``; errors are standard errors of x, y, z in m and time in s."""

    id: str
    time: float
    latitude: float
    longitude: float
    x: float
    y: float
    depth: float
    errors: tuple[float, float, float, float] | None
    magnitude: Magnitude | None
    method: Literal["beam", "template", "import"]
    value: float
    threshold: float
    false_alarm_rate: float
    template: str | None
    remark: str


@dataclass(frozen=True)
class CsvRows:
    """The rows of a CSV file of this name."""

    name: str
    rows: list[Row]


def parse_csv(path: str | os.PathLike[str], projection: Projection) -> CsvRows:
    """Read the rows of a catalog in CSV.

    Columns are found by their names, whatever their order and case: a time (or a date and a time) in ISO 8601, in UTC
    where no zone is given; latitude and longitude in degrees; depth below sea level in km (``depth_m``: in m). Further
    ones where they are there: id, magnitude and its kind and error, standard errors in km and s, value, threshold,
    method, remark. Other columns are ignored. The delimiter may be a comma, semicolon, bar or tabulator.

    Parameters
    ----------
    path : path
    projection : Projection

    Returns
    -------
    CsvRows
        In the order of the file.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        With every fault, its line and column.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise MissingError(f"{path}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8 ({error.reason}); convert it") from error
    lines = text.splitlines()
    head = next((number for number, line in enumerate(lines) if line.strip(" #\t")), None)
    if head is None:
        raise InputError(f"{path}: is empty; the first line must name the columns")
    delimiter = max(",;|\t", key=lambda mark: lines[head].count(mark))
    titles = next(csv.reader([lines[head].lstrip("# ")], delimiter=delimiter))
    columns = _columns(path, titles)
    reader = csv.reader((line + "\n" for line in lines[head + 1 :]), delimiter=delimiter)
    rows: list[Row] = []
    faults: list[str] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells) or cells[0].startswith("#"):
            continue
        line = _Line(cells, titles, columns, f"{path}, line {head + 1 + reader.line_num}", faults)
        row = line.row(projection)
        if row is not None:
            rows.append(row)
    if faults:
        more = len(faults) - _MOST_FAULTS
        tail = [f"{path}: {more} more faults like these"] if more > 0 else []
        raise InputError("\n".join(faults[:_MOST_FAULTS] + tail))
    return CsvRows(Path(path).name, rows)


def _columns(path: str | os.PathLike[str], titles: list[str]) -> dict[str, int]:
    """Which column holds what."""
    found: dict[str, int] = {}
    plain = [re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") for title in titles]
    for what, names in _NAMES.items():
        for name in names:
            if name in plain:
                found[what] = plain.index(name)
                break
    if "time" not in found and "date" in found:
        found["time"] = found.pop("date")
    missing = [what for what in ("time", "latitude", "longitude") if what not in found]
    if "depth_km" not in found and "depth_m" not in found:
        missing.append("depth_km")
    if missing:
        told = "; ".join(f"{what} (or {', '.join(_NAMES[what][:4])})" for what in missing)
        raise InputError(
            f"{path}: the first line, {', '.join(titles)[:120]!r}, names no column for {told}; name it so"
        )
    return found


@dataclass
class _Line:
    """One line of the file, and where its faults are collected."""

    cells: list[str]
    titles: list[str]
    columns: dict[str, int]
    where: str
    faults: list[str]

    def row(self, projection: Projection) -> Row | None:
        """Give the row, None if a needed value is at fault."""
        before = len(self.faults)
        if len(self.cells) > len(self.titles):
            extra = len(self.cells) - len(self.titles)
            self.faults.append(
                f"{self.where}: has {extra} cells more than the columns; quote texts with commas"
            )
            return None
        time = self.time()
        latitude = self.needed("latitude", 90.0)
        longitude = self.needed("longitude", 360.0)
        metres = "depth_km" not in self.columns
        depth = self.needed("depth_m" if metres else "depth_km", 6400e3 if metres else 6400.0)
        magnitude, errors = self.magnitude(), self.errors()
        method = self.text("method") or "import"
        if method not in ("beam", "template", "import"):
            method = "import"  # of another program
        if len(self.faults) > before:
            return None
        x, y = projection.to_local(latitude, (longitude + 180) % 360 - 180)
        if not math.hypot(x, y) < _FARTHEST:
            self.faults.append(
                f"{self.where}: latitude {latitude:g}, longitude {longitude:g} is too far from the centre of the "
                f"region ({projection.latitude:g}, {projection.longitude:g}) for local coordinates; leave it out"
            )
            return None
        return Row(
            self.text("id"),
            time,
            latitude,
            longitude,
            x,
            y,
            depth if metres else depth * 1e3,
            errors,
            magnitude,
            method,  # type: ignore[arg-type]
            self.number("value"),
            self.number("threshold"),
            self.number("false_alarm_rate"),
            self.text("template") or None,
            self.text("remark"),
        )

    def text(self, what: str) -> str:
        """The cell of a column, empty if there is none."""
        place = self.columns.get(what, -1)
        return self.cells[place].strip() if 0 <= place < len(self.cells) else ""

    def fault(self, what: str, reason: str) -> None:
        title = self.titles[self.columns[what]].strip()
        self.faults.append(f"{self.where}, column {title}: {self.text(what)[:40]!r} {reason}")

    def number(self, what: str, read: Callable[[str], float] = float) -> float:
        """The number of a column; NaN where the cell is empty or says so."""
        text = self.text(what)
        if text.lower() in ("", "nan", "none", "null", "na", "n/a", "-"):
            return math.nan
        try:
            return read(text)
        except ValueError:
            self.fault(what, "is no number")
            return math.nan

    def needed(self, what: str, largest: float) -> float:
        """A number that must be there and within limits."""
        before = len(self.faults)
        value = self.number(what)
        if len(self.faults) == before and not abs(value) <= largest:
            reason = (
                "must be a number" if math.isnan(value) else f"must lie between -{largest:g} and {largest:g}"
            )
            self.fault(what, reason)
        return value

    def time(self) -> float:
        """Origin time, s since 1970-01-01 UTC."""
        text = self.text("time").replace("/", "-")
        if "date" in self.columns and not re.match(r"\d{4}-", text):
            text = f"{self.text('date').replace('/', '-')}T{text}"
        text = re.sub(r"\s*(UTC|GMT)$", "Z", text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fault("time", "is no time; write it as 2009-01-21T04:00:02.916Z")
            return math.nan
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return ((moment - _EPOCH) // timedelta(microseconds=1)) / 1e6

    def magnitude(self) -> Magnitude | None:
        value = self.number("magnitude")
        if "magnitude" not in self.columns or not math.isfinite(value):
            return None
        title = self.titles[self.columns["magnitude"]].strip()
        implied = {"ml": "ML", "mw": "Mw", "mrel": "Mrel"}.get(title.lower(), "M")
        stations = self.number("magnitude_stations")
        return Magnitude(
            value,
            self.number("magnitude_error"),
            self.text("magnitude_kind") or implied,
            int(stations) if math.isfinite(stations) else 0,
        )

    def errors(self) -> tuple[float, float, float, float] | None:
        """Standard errors of x, y, z in m and time in s; None unless both horizontal ones are there."""
        x, y, z, across = (self.number(f"error_{axis}_km") * 1e3 for axis in "xyzh")
        if "error_x_km" not in self.columns or "error_y_km" not in self.columns:
            x = y = across
        if not (np.isfinite(x) and np.isfinite(y)) or min(x, y) <= 0:
            return None
        return x, y, z, self.number("error_t_s")
