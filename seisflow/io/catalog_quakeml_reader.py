"""Catalogs of detections from QuakeML, of seisflow and of others."""

from __future__ import annotations

import io
import json
import math
import os
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import Arrival, Catalog, Detection, FloatArray, Magnitude, Projection
from seisflow.errors import InputError, MissingError
from seisflow.io.catalog_quakeml import DETECTION, SEARCH
from seisflow.io.catalog_table import detection_names
from seisflow.io.ellipsoids import VOLUME_68, Ellipsoid, covariance_of, metres_per_degree, to_local_axes
from seisflow.io.events import NAMESPACE
from seisflow.io.hdf5 import damage

__all__ = ["read_quakeml_catalog"]


def read_quakeml_catalog(path: str | os.PathLike[str], projection: Projection) -> Catalog:
    """Read a catalog from QuakeML, of seisflow or others, or another format of events that ObsPy reads.

    Parameters
    ----------
    path : path
    projection : Projection
        For the local coordinates.

    Returns
    -------
    Catalog
        The preferred origin and magnitude of each event, else the first; in the order of the times. Other things than
        what seisflow wrote are searched from the first to the last event.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If the file is broken, or events have no origin with time, latitude, longitude and depth; all are named.
    """
    from obspy import read_events

    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    with damage(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = Path(path).read_bytes()
            kind = "QUAKEML" if b"/quakeml/" in data[:2048] else None  # asking every plugin takes long
            content = read_events(io.BytesIO(data), format=kind)
        except Exception as error:  # the readers of ObsPy raise whatever they please
            reason = str(error) or type(error).__name__
            if reason.startswith("Unknown format"):  # with the name of a temporary file
                reason = "no format of event catalogues that ObsPy knows"
            raise ValueError(reason) from error
    found, faults = [], []
    for number, event in enumerate(content):
        origin = _origin(event)
        if origin is None:
            name = str(event.resource_id or f"number {number + 1}")
            faults.append(
                f"{path}: event {name} has no origin with time, latitude, longitude and depth; add one"
            )
        else:
            found.append(_detection(event, origin, projection, str(path)))
    if faults:
        raise InputError("\n".join(faults))
    found.sort(key=lambda each: each.time)
    search = _told(content, SEARCH, str(path))
    times = [each.time for each in found]
    start, end = (times[0], times[-1]) if times else (0.0, 0.0)
    start, end = (
        _or(search.get("start"), start if "start" not in search else math.nan),
        _or(search.get("end"), end if "end" not in search else math.nan),
    )
    live = _or(search.get("live_days"), (end - start) / 86400 if "live_days" not in search else math.nan)
    return Catalog(projection, _with_names(found), start, end, live)


def _or(value: float | None, other: float) -> float:
    return other if value is None else float(value)


def _with_names(found: list[Detection]) -> tuple[Detection, ...]:
    """The detections with ids that differ: their own, or else their times."""
    if len({each.id for each in found}) == len(found):
        return tuple(found)
    names = detection_names([each.time for each in found])
    return tuple(replace(each, id=name) for each, name in zip(found, names, strict=True))


def _told(thing: Any, element: str, where: str) -> dict[str, Any]:
    """What seisflow has added when it wrote the file."""
    entry = getattr(thing, "extra", {}).get(element)
    if entry is None or entry["namespace"] != NAMESPACE:
        return {}
    try:
        return dict(json.loads(entry["value"]))
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise InputError(f"{where}: a seisflow element is not JSON ({error}); remove it") from error


def _origin(event: Any) -> Any:
    """The complete origin that is preferred, else the first complete one."""
    needed = ("time", "latitude", "longitude", "depth")
    preferred = event.preferred_origin_id.id if event.preferred_origin_id else None
    origins = sorted(event.origins, key=lambda each: each.resource_id.id != preferred)
    for origin in origins:
        values = [getattr(origin, name) for name in needed]
        if all(value is not None for value in values) and np.all(np.isfinite([float(v) for v in values[1:]])):
            return origin
    return None


def _detection(event: Any, origin: Any, projection: Projection, where: str) -> Detection:
    told = _told(event, DETECTION, where)
    time = origin.time.ns / 1e9
    if abs(told.get("time", time) - time) < 1e-6:
        time = float(told.get("time", time))
    x, y = projection.to_local(float(origin.latitude), float(origin.longitude))
    numbers = {name: _or(told.get(name), math.nan) for name in ("value", "threshold", "false_alarm_rate")}
    name = re.split(r"[/?=&#]", event.resource_id.id)[-1] if event.resource_id else ""
    return Detection(
        id=told.get("id") or name or detection_names([time])[0],
        time=time,
        x=x,
        y=y,
        z=float(origin.depth),
        method=told.get("method", "import"),
        covariance=_covariance(origin, projection),
        magnitude=_magnitude(event),
        template=told.get("template"),
        arrivals=_arrivals(event, origin),
        remark=told.get("remark", f"read from {Path(where).name}"),
        **numbers,
    )


def _magnitude(event: Any) -> Magnitude | None:
    preferred = event.preferred_magnitude_id.id if event.preferred_magnitude_id else None
    sizes = sorted(event.magnitudes, key=lambda each: each.resource_id.id != preferred)
    for size in sizes:
        if size.mag is not None and math.isfinite(size.mag):
            error = _uncertainty(size.mag_errors)
            return Magnitude(float(size.mag), error, size.magnitude_type or "M", int(size.station_count or 0))
    return None


def _uncertainty(errors: Any) -> float:
    value = None if errors is None else errors.uncertainty
    return math.nan if value is None else float(value)


def _arrivals(event: Any, origin: Any) -> tuple[Arrival, ...]:
    picks = {pick.resource_id.id: pick for pick in event.picks}
    found = []
    for each in origin.arrivals:
        pick = picks.get(each.pick_id.id) if each.pick_id else None
        if pick is None or pick.time is None or pick.waveform_id is None:
            continue
        codes = [code for code in (pick.waveform_id.network_code, pick.waveform_id.station_code) if code]
        residual = 0.0 if each.time_residual is None else float(each.time_residual)
        weight = 1.0 if each.time_weight is None else float(each.time_weight)
        phase = each.phase or pick.phase_hint or ""
        found.append(Arrival(".".join(codes), phase, pick.time.ns / 1e9, residual, weight))
    return tuple(found)


def _covariance(origin: Any, projection: Projection) -> FloatArray | None:
    """From the ellipsoid, else from the standard errors; None where the horizontal ones are not known."""
    turn = projection.convergence(float(origin.latitude), float(origin.longitude))
    time = _uncertainty(origin.time_errors)
    told = origin.origin_uncertainty
    shape = None if told is None else told.confidence_ellipsoid
    lengths = [
        None if shape is None else getattr(shape, f"semi_{axis}_axis_length")
        for axis in ("major", "minor", "intermediate")
    ]
    known = [float(length) for length in lengths if length is not None and length > 0]
    if len(known) == 3:
        angles = [
            float(getattr(shape, f"major_axis_{name}") or 0.0) for name in ("azimuth", "plunge", "rotation")
        ]
        ellipsoid = Ellipsoid(*known, *angles)
        covariance = covariance_of(ellipsoid, 0.0, _chi_squared(told.confidence_level))
        covariance = to_local_axes(covariance, turn)
        covariance[3, 3] = time**2
        return covariance
    metres_north, metres_east = metres_per_degree(float(origin.latitude))
    errors = np.array(
        [
            _uncertainty(origin.longitude_errors) * metres_east,
            _uncertainty(origin.latitude_errors) * metres_north,
            _uncertainty(origin.depth_errors),
            time,
        ]
    )
    if not np.all(np.isfinite(errors[:2])):
        return None
    covariance = to_local_axes(np.diag(np.nan_to_num(errors) ** 2), turn)
    covariance[[2, 3], [2, 3]] = errors[2:] ** 2
    return covariance


def _chi_squared(level: float | None) -> float:
    """Of 3 degrees of freedom at a level of confidence in percent; 68 % where none is told."""
    from scipy.special import gammaincinv

    if level is None or not 0 < level < 100 or abs(level - 68) < 1e-6:
        return VOLUME_68
    return 2 * float(gammaincinv(1.5, level / 100))
