"""Catalogs of detections as QuakeML."""

from __future__ import annotations

import io
import json
import math
import os
import re
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from seisflow.domain import Arrival, Catalog, Detection, FloatArray, Magnitude, Projection
from seisflow.errors import InputError, MissingError
from seisflow.io.atomic import publish
from seisflow.io.catalog_table import detection_names
from seisflow.io.ellipsoids import (
    VOLUME_68,
    Ellipsoid,
    covariance_of,
    ellipsoid_of,
    horizontal_ellipse,
    to_geographic_axes,
    to_local_axes,
)
from seisflow.io.events import NAMESPACE
from seisflow.io.hdf5 import damage

__all__ = ["read_quakeml_catalog", "why_kept", "write_quakeml"]

_ELEMENT = "detection"
_SEARCH = "search"
_BASE = "smi:local/seisflow/catalog"
_MAJOR, _FLATTENING = 6378137.0, 1 / 298.257223563
"""WGS84."""
_NOT_XML = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


# --- writing


def write_quakeml(path: str | os.PathLike[str], catalog: Catalog) -> None:
    """Write a catalog as QuakeML 1.2; equal catalogs give equal bytes.

    Each event has an origin with standard errors of time, latitude, longitude and depth, the 68 % ellipsoid and
    ellipse; picks, arrivals, a magnitude, and a comment that says why it was kept. What is not finite is left out. What
    QuakeML has no place for is in one more element, as JSON, from which ``read_catalog`` restores it.

    Parameters
    ----------
    path : path
    catalog : Catalog

    Raises
    ------
    WorkError
        If the disk is full; the old file stays.
    """
    from obspy.core.event import Catalog as ObsPyCatalog
    from obspy.core.event import ResourceIdentifier

    latitudes, longitudes = catalog.projection.to_geographic_many(catalog.places[:, 0], catalog.places[:, 1])
    events = [
        _Writer(found, float(latitude), float(longitude), catalog.projection).event()
        for found, latitude, longitude in zip(catalog, latitudes, longitudes, strict=True)
    ]
    content = ObsPyCatalog(events)
    content.resource_id = ResourceIdentifier(_BASE)
    content.extra = _extra(
        _SEARCH,
        {
            "start": _finite(catalog.start),
            "end": _finite(catalog.end),
            "live_days": _finite(catalog.live_days),
        },
    )
    buffer = io.BytesIO()
    content.write(buffer, format="QUAKEML", nsmap={"seisflow": NAMESPACE})
    with publish(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def why_kept(found: Detection) -> str:
    """Say in a sentence why a detection was kept.

    Parameters
    ----------
    found : Detection

    Returns
    -------
    str
        Such as ``beam 12.3, threshold 8; 0.02 false alarms a day expected; both phases seen``.
    """
    names = {"beam": "beam", "template": "network correlation", "import": "value"}
    parts = []
    if math.isfinite(found.value):
        over = f", threshold {found.threshold:.4g}" if math.isfinite(found.threshold) else ""
        parts.append(f"{names[found.method]} {found.value:.4g}{over}")
    elif found.method == "import":
        parts.append("imported")
    if found.template is not None:
        parts.append(f"template {found.template}")
    if math.isfinite(found.false_alarm_rate):
        parts.append(f"{found.false_alarm_rate:.3g} false alarms a day expected")
    if found.remark:
        parts.append(found.remark)
    return "; ".join(parts) or f"found by {found.method}"


def _extra(element: str, content: dict[str, Any]) -> dict[str, Any]:
    value = json.dumps(content, sort_keys=True, allow_nan=False)
    return {element: {"value": _NOT_XML.sub("\ufffd", value), "namespace": NAMESPACE}}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _label(text: str) -> str:
    """Text that may stand in a resource identifier; different texts stay different."""
    return quote(text, safe="").replace("~", "%7E").replace("%", "~")


class _Writer:
    """Makes the ObsPy event of a detection."""

    def __init__(self, found: Detection, latitude: float, longitude: float, projection: Projection) -> None:
        self.found, self.latitude, self.longitude = found, latitude, longitude
        self.uri = f"{_BASE}/{_label(found.id)}"
        self.covariance: FloatArray | None = None
        if found.covariance is not None:
            turn = projection.convergence(latitude, longitude)
            self.covariance = to_geographic_axes(found.covariance, turn)

    def name(self, part: str) -> Any:
        from obspy.core.event import ResourceIdentifier

        return ResourceIdentifier(f"{self.uri}/{part}")

    def event(self) -> Any:
        from obspy.core import event as oe

        found = self.found
        picks, arrivals = self.arrivals()
        origin = self.origin(arrivals)
        result = oe.Event(
            resource_id=oe.ResourceIdentifier(self.uri),
            event_type="earthquake",
            event_descriptions=[oe.EventDescription(text=_clean(found.id), type="earthquake name")],
            comments=[oe.Comment(text=_clean(why_kept(found)), resource_id=self.name("comment"))],
            origins=[origin],
            picks=picks,
            preferred_origin_id=self.name("origin"),
        )
        size = found.magnitude
        if size is not None and math.isfinite(size.value):
            result.magnitudes = [
                oe.Magnitude(
                    resource_id=self.name("magnitude"),
                    mag=size.value,
                    mag_errors=_error(size.error),
                    magnitude_type=_clean(size.kind)[:16] or None,
                    station_count=size.stations if size.stations > 0 else None,
                    origin_id=self.name("origin"),
                )
            ]
            result.preferred_magnitude_id = self.name("magnitude")
        result.extra = _extra(
            _ELEMENT,
            {
                "id": found.id,
                "time": found.time,
                "depth": found.z,
                "method": found.method,
                "value": _finite(found.value),
                "threshold": _finite(found.threshold),
                "false_alarm_rate": _finite(found.false_alarm_rate),
                "template": found.template,
                "remark": found.remark,
            },
        )
        return result

    def origin(self, arrivals: list[Any]) -> Any:
        from obspy import UTCDateTime
        from obspy.core import event as oe

        found = self.found
        origin = oe.Origin(
            resource_id=self.name("origin"),
            time=UTCDateTime(ns=round(found.time * 1e6) * 1000),
            latitude=self.latitude,
            longitude=self.longitude,
            depth=found.z,
            depth_type="from location",
            method_id=oe.ResourceIdentifier(f"smi:local/seisflow/method/{found.method}"),
            evaluation_mode="automatic",
            arrivals=arrivals,
        )
        used = [each for each in found.arrivals if each.weight > 0]
        if used:
            residuals = np.array([each.residual for each in used])
            spread = math.sqrt(float(np.mean(residuals**2)))
            origin.quality = oe.OriginQuality(
                associated_phase_count=len(found.arrivals),
                used_phase_count=len(used),
                used_station_count=len({each.station for each in used}),
                standard_error=spread if math.isfinite(spread) else None,
            )
        if self.covariance is not None:
            self.errors(origin, self.covariance)
        return origin

    def errors(self, origin: Any, covariance: FloatArray) -> None:
        from obspy.core import event as oe

        variances = np.diag(covariance)
        east, north, depth, time = np.sqrt(np.where(variances >= 0, variances, np.nan))
        metres_north, metres_east = _degree(self.latitude)
        origin.longitude_errors = _error(east / metres_east)
        origin.latitude_errors = _error(north / metres_north)
        origin.depth_errors = _error(depth)
        origin.time_errors = _error(time)
        ellipse, ellipsoid = horizontal_ellipse(covariance), ellipsoid_of(covariance)
        if ellipse is None:
            return
        large, small, azimuth = ellipse
        origin.origin_uncertainty = oe.OriginUncertainty(
            preferred_description="uncertainty ellipse" if ellipsoid is None else "confidence ellipsoid",
            max_horizontal_uncertainty=round(large, 3),
            min_horizontal_uncertainty=round(small, 3),
            azimuth_max_horizontal_uncertainty=round(azimuth, 4),
            confidence_level=68.0,
        )
        if ellipsoid is not None:
            origin.origin_uncertainty.confidence_ellipsoid = oe.ConfidenceEllipsoid(
                semi_major_axis_length=round(ellipsoid.major, 3),
                semi_minor_axis_length=round(ellipsoid.minor, 3),
                semi_intermediate_axis_length=round(ellipsoid.intermediate, 3),
                major_axis_plunge=round(ellipsoid.plunge, 4),
                major_axis_azimuth=round(ellipsoid.azimuth, 4),
                major_axis_rotation=round(ellipsoid.rotation, 4),
            )

    def arrivals(self) -> tuple[list[Any], list[Any]]:
        """Picks and arrivals; what has no finite time is left out."""
        from obspy import UTCDateTime
        from obspy.core import event as oe

        picks, arrivals = [], []
        for number, each in enumerate(self.found.arrivals):
            if not math.isfinite(each.time):
                continue
            network, _, station = _clean(each.station).rpartition(".")
            picks.append(
                oe.Pick(
                    resource_id=self.name(f"pick/{number}"),
                    time=UTCDateTime(ns=round(each.time * 1e6) * 1000),
                    waveform_id=oe.WaveformStreamID(network_code=network, station_code=station),
                    phase_hint=_clean(each.phase),
                    evaluation_mode="automatic",
                )
            )
            arrivals.append(
                oe.Arrival(
                    resource_id=self.name(f"arrival/{number}"),
                    pick_id=self.name(f"pick/{number}"),
                    phase=_clean(each.phase),
                    time_residual=_finite(each.residual),
                    time_weight=_finite(each.weight),
                )
            )
        return picks, arrivals


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _error(value: float) -> Any:
    from obspy.core.event import QuantityError

    return QuantityError(uncertainty=_finite(value))


def _degree(latitude: float) -> tuple[float, float]:
    """Length in m of a degree of latitude and of longitude on WGS84."""
    squared = _FLATTENING * (2 - _FLATTENING)
    sine = math.sin(math.radians(latitude))
    bend = 1 - squared * sine**2
    north = _MAJOR * (1 - squared) / bend**1.5
    east = _MAJOR / math.sqrt(bend) * math.cos(math.radians(latitude))
    return math.radians(north), max(math.radians(east), 1e-9)


# --- reading


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
    search = _told(content, _SEARCH, str(path))
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
    from dataclasses import replace

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
    told = _told(event, _ELEMENT, where)
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
    metres_north, metres_east = _degree(float(origin.latitude))
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
