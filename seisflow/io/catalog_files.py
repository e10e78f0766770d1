"""Catalogs of detections on disk: one HDF5 file that holds everything, and the reader of all catalog files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import Arrival, Catalog, Detection, Magnitude, Projection
from seisflow.errors import InputError, MissingError
from seisflow.io.catalog_quakeml_reader import read_quakeml_catalog
from seisflow.io.catalog_table import read_csv
from seisflow.io.hdf5 import attribute_text, put, reading, text_table, writing

__all__ = ["load_catalog", "read_catalog", "save_catalog"]

_FORMAT = "seisflow catalog 1"

_EVENTS = (
    ("id", "S"),
    ("time", "f8"),
    ("x", "f8"),
    ("y", "f8"),
    ("z", "f8"),
    ("method", "S"),
    ("value", "f8"),
    ("threshold", "f8"),
    ("false_alarm_rate", "f8"),
    ("has_covariance", "u1"),
    ("has_magnitude", "u1"),
    ("magnitude", "f8"),
    ("magnitude_error", "f8"),
    ("magnitude_kind", "S"),
    ("magnitude_stations", "i8"),
    ("has_template", "u1"),
    ("template", "S"),
    ("arrivals", "i8"),
    ("remark", "S"),
)
_ARRIVALS = (
    ("event", "i8"),
    ("station", "S"),
    ("phase", "S"),
    ("time", "f8"),
    ("residual", "f8"),
    ("weight", "f8"),
)
_UNITS = {"time": "s since 1970-01-01 UTC", "place": "x east, y north, z below sea level, m"}


def save_catalog(path: str | os.PathLike[str], catalog: Catalog) -> None:
    """Write a catalog to an HDF5 file, whole or not at all; ``load_catalog`` gives back an equal one.

    The file has a table ``events``, a table ``arrivals`` whose column ``event`` counts the rows of the first, and the
    covariances (event, 4, 4), NaN where there is none.

    Parameters
    ----------
    path : path
    catalog : Catalog

    Raises
    ------
    InputError
        If a text ends with a NUL character, which the file could not keep.
    WorkError
        If the disk is full; the old file stays.
    """
    covariances = np.full((len(catalog), 4, 4), np.nan)
    events: list[tuple[object, ...]] = []
    arrivals: list[tuple[object, ...]] = []
    for number, found in enumerate(catalog):
        if found.covariance is not None:
            covariances[number] = found.covariance
        events.append(_event_row(found))
        arrivals += [(number, a.station, a.phase, a.time, a.residual, a.weight) for a in found.arrivals]
    for row in (*events, *arrivals):
        for text in row:
            if isinstance(text, str) and text.endswith("\x00"):
                raise InputError(f"{path}: the text {text!r} ends with a NUL character; remove it")
    with writing(path) as file:
        attributes = {
            "format": _FORMAT,
            "latitude": catalog.projection.latitude,
            "longitude": catalog.projection.longitude,
            "start": catalog.start,
            "end": catalog.end,
            "live_days": catalog.live_days,
            **_UNITS,
        }
        put(file, "events", text_table(events, _EVENTS), attributes, compress=True)
        put(file, "arrivals", text_table(arrivals, _ARRIVALS), _UNITS, compress=True)
        put(file, "covariances", covariances, {"axes": "x, y, z in m, time in s"}, compress=True)


def _event_row(found: Detection) -> tuple[object, ...]:
    size = found.magnitude
    return (
        found.id,
        found.time,
        *found.place,
        found.method,
        found.value,
        found.threshold,
        found.false_alarm_rate,
        found.covariance is not None,
        size is not None,
        None if size is None else size.value,
        None if size is None else size.error,
        "" if size is None else size.kind,
        0 if size is None else size.stations,
        found.template is not None,
        found.template or "",
        len(found.arrivals),
        found.remark,
    )


def load_catalog(path: str | os.PathLike[str]) -> Catalog:
    """Read a catalog that ``save_catalog`` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Catalog

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If the file is damaged or holds something else.
    """
    with reading(path) as file:
        if "events" not in file or "format" not in file["events"].attrs:
            raise InputError(
                f"{path}: holds no catalog of detections; give a file that seisflow detect wrote"
            )
        attributes = dict(file["events"].attrs)
        if attribute_text(attributes, "format") != _FORMAT:
            raise InputError(
                f"{path}: is of the format {attribute_text(attributes, 'format')!r}, this version reads {_FORMAT!r}; "
                "read it with the version of seisflow that wrote it"
            )
        events, arrivals = file["events"][()], file["arrivals"][()]
        covariances = file["covariances"][()]
        firsts = np.concatenate([[0], np.cumsum(events["arrivals"])]).astype(int)
        if firsts[-1] != len(arrivals) or len(covariances) != len(events):
            raise ValueError(f"{firsts[-1]} arrivals are announced, {len(arrivals)} are there")
        found = []
        for number, row in enumerate(events):
            onsets = tuple(_arrival(each) for each in arrivals[firsts[number] : firsts[number + 1]])
            found.append(_detection(row, covariances[number], onsets))
        projection = Projection(float(attributes["latitude"]), float(attributes["longitude"]))
        spans = (float(attributes[name]) for name in ("start", "end", "live_days"))
        return Catalog(projection, tuple(found), *spans)


def _arrival(row: Any) -> Arrival:
    return Arrival(
        row["station"].decode(),
        row["phase"].decode(),
        float(row["time"]),
        float(row["residual"]),
        float(row["weight"]),
    )


def _detection(row: Any, covariance: Any, arrivals: tuple[Arrival, ...]) -> Detection:
    size = None
    if row["has_magnitude"]:
        value, error = float(row["magnitude"]), float(row["magnitude_error"])
        size = Magnitude(value, error, row["magnitude_kind"].decode(), int(row["magnitude_stations"]))
    return Detection(
        id=row["id"].decode(),
        time=float(row["time"]),
        x=float(row["x"]),
        y=float(row["y"]),
        z=float(row["z"]),
        method=row["method"].decode(),
        value=float(row["value"]),
        threshold=float(row["threshold"]),
        false_alarm_rate=float(row["false_alarm_rate"]),
        covariance=np.array(covariance) if row["has_covariance"] else None,
        magnitude=size,
        template=row["template"].decode() if row["has_template"] else None,
        arrivals=arrivals,
        remark=row["remark"].decode(),
    )


def read_catalog(path: str | os.PathLike[str], projection: Projection) -> Catalog:
    """Read a catalog in any format that is understood: of seisflow (HDF5), QuakeML (and what ObsPy reads), CSV.

    The kind is told by the content, not by the name. A catalog of seisflow keeps its own projection.

    Parameters
    ----------
    path : path
    projection : Projection
        For the local coordinates.

    Returns
    -------
    Catalog
        Of a QuakeML or CSV file that does not say what was searched: from its first to its last event, all of it
        live.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it cannot be read; faults of a CSV file are named with line and column.
    """
    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    with open(path, "rb") as file:
        head = file.read(2048)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return load_catalog(path)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<") or Path(path).suffix.lower() in {".xml", ".qml", ".quakeml", ".nll", ".hyp"}:
        return read_quakeml_catalog(path, projection)
    return read_csv(path, projection)
