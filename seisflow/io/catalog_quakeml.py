"""Catalogs of detections as QuakeML 1.2.

The file is written element by element, an event at a time: through the event classes of ObsPy it takes five times as
long. The tests hold it against the schema, the reader and the writer of ObsPy.
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring
from xml.sax.saxutils import escape

import numpy as np

from seisflow.domain import Catalog, Detection, FloatArray, Magnitude, Projection
from seisflow.io.atomic import publish
from seisflow.io.catalog_table import iso_time
from seisflow.io.ellipsoids import ellipsoid_of, horizontal_ellipse, metres_per_degree, to_geographic_axes
from seisflow.io.events import NAMESPACE

__all__ = ["DETECTION", "SEARCH", "why_kept", "write_quakeml"]

DETECTION, SEARCH = "detection", "search"
"""Elements, in the namespace of seisflow, of what QuakeML has no place for: of an event and of the catalog, as JSON."""

_BASE = "smi:local/seisflow/catalog"
_HEAD = f"""<?xml version="1.0" encoding="utf-8"?>
<q:quakeml xmlns:seisflow="{NAMESPACE}" xmlns="http://quakeml.org/xmlns/bed/1.2" \
xmlns:q="http://quakeml.org/xmlns/quakeml/1.2">
  <eventParameters publicID="{_BASE}">
"""
_NOT_XML = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


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
    latitudes, longitudes = catalog.projection.to_geographic_many(catalog.places[:, 0], catalog.places[:, 1])
    search = {
        "start": _finite(catalog.start),
        "end": _finite(catalog.end),
        "live_days": _finite(catalog.live_days),
    }
    with publish(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(_HEAD)
        for found, latitude, longitude in zip(catalog, latitudes, longitudes, strict=True):
            event = _Event(found, (float(latitude), float(longitude)), catalog.projection).element()
            indent(event, "  ", level=2)
            file.write(f"    {tostring(event, 'unicode').strip()}\n")
        file.write(f"    <seisflow:{SEARCH}>{escape(_json(search))}</seisflow:{SEARCH}>\n")
        file.write("  </eventParameters>\n</q:quakeml>\n")


_TOLD = ("beam ", "correlation ")
"""Remarks of our own detections begin with what they were kept for."""


def why_kept(found: Detection) -> str:
    """Say in a sentence why a detection was kept; nothing that its remark says already.

    Parameters
    ----------
    found : Detection

    Returns
    -------
    str
        Such as ``beam 12.3, threshold 8; 0.02 false alarms a day expected; both phases seen``.
    """
    names = {"beam": "beam", "template": "network correlation", "import": "value"}
    if found.remark.startswith(_TOLD):
        named = found.template is None or found.template in found.remark
        return found.remark if named else f"template {found.template}; {found.remark}"
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


def _json(content: dict[str, Any]) -> str:
    return _clean(json.dumps(content, sort_keys=True, allow_nan=False))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


def _label(text: str) -> str:
    """Text that may stand in a resource identifier; different texts stay different."""
    return quote(text, safe="").replace("~", "%7E").replace("%", "~")


def _add(parent: Element, tag: str, value: str | float | None) -> None:
    """Add an element with a text or a number; nothing where it is unknown, not finite or empty."""
    if isinstance(value, float):
        value = repr(float(value)) if math.isfinite(value) else None  # not as np.float64(...)
    if value is not None and value != "":
        SubElement(parent, tag).text = _clean(str(value))


def _quantity(parent: Element, tag: str, value: str | float, error: float = math.nan) -> None:
    """Add a value with its standard error, where that is known."""
    element = SubElement(parent, tag)
    _add(element, "value", value)
    _add(element, "uncertainty", float(error))


class _Event:
    """Makes the element of a detection at a latitude and longitude in degrees."""

    def __init__(self, found: Detection, place: tuple[float, float], projection: Projection) -> None:
        self.found, self.place = found, place
        self.uri = f"{_BASE}/{_label(found.id)}"
        self.covariance: FloatArray | None = None
        if found.covariance is not None:
            self.covariance = to_geographic_axes(found.covariance, projection.convergence(*place))

    def element(self) -> Element:
        """Give the element ``event``."""
        found = self.found
        size = found.magnitude if found.magnitude and math.isfinite(found.magnitude.value) else None
        event = Element("event", publicID=self.uri)
        _add(event, "preferredOriginID", f"{self.uri}/origin")
        if size is not None:
            _add(event, "preferredMagnitudeID", f"{self.uri}/magnitude")
        _add(event, "type", "earthquake")
        description = SubElement(event, "description")
        _add(description, "text", found.id)
        _add(description, "type", "earthquake name")
        comment = SubElement(event, "comment", id=f"{self.uri}/comment")
        _add(comment, "text", why_kept(found))
        self.add_origin(event)
        if size is not None:
            self.add_magnitude(event, size)
        self.add_picks(event)
        rest = {
            "id": found.id,
            "time": found.time,
            "method": found.method,
            "value": _finite(found.value),
            "threshold": _finite(found.threshold),
            "false_alarm_rate": _finite(found.false_alarm_rate),
            "template": found.template,
            "remark": found.remark,
        }
        _add(event, f"seisflow:{DETECTION}", _json(rest))
        return event

    def add_origin(self, event: Element) -> None:
        found = self.found
        origin = SubElement(event, "origin", publicID=f"{self.uri}/origin")
        east, north, depth, time = self.standard_errors()
        _quantity(origin, "time", iso_time(found.time), time)
        _quantity(origin, "latitude", self.place[0], north)
        _quantity(origin, "longitude", self.place[1], east)
        _quantity(origin, "depth", float(found.z), depth)
        _add(origin, "depthType", "from location")
        _add(origin, "methodID", f"smi:local/seisflow/method/{_label(found.method)}")
        used = [each for each in found.arrivals if each.weight > 0]
        if used:
            quality = SubElement(origin, "quality")
            _add(quality, "associatedPhaseCount", len(found.arrivals))
            _add(quality, "usedPhaseCount", len(used))
            _add(quality, "usedStationCount", len({each.station for each in used}))
            _add(quality, "standardError", math.sqrt(float(np.mean([each.residual**2 for each in used]))))
        _add(origin, "evaluationMode", "automatic")
        if self.covariance is not None:
            _add_uncertainty(origin, self.covariance)
        for number, each in enumerate(found.arrivals):
            if math.isfinite(each.time):
                arrival = SubElement(origin, "arrival", publicID=f"{self.uri}/arrival/{number}")
                _add(arrival, "pickID", f"{self.uri}/pick/{number}")
                _add(arrival, "phase", each.phase or "?")
                _add(arrival, "timeResidual", float(each.residual))
                _add(arrival, "timeWeight", float(each.weight))

    def standard_errors(self) -> tuple[float, float, float, float]:
        """Of longitude and latitude in degrees, depth in m and time in s; NaN where not known."""
        if self.covariance is None:
            return math.nan, math.nan, math.nan, math.nan
        variances = np.diag(self.covariance)
        east, north, depth, time = (float(e) for e in np.sqrt(np.where(variances >= 0, variances, np.nan)))
        metres_north, metres_east = metres_per_degree(self.place[0])
        return east / metres_east, north / metres_north, depth, time

    def add_magnitude(self, event: Element, size: Magnitude) -> None:
        magnitude = SubElement(event, "magnitude", publicID=f"{self.uri}/magnitude")
        _quantity(magnitude, "mag", float(size.value), size.error)
        _add(magnitude, "type", size.kind[:16])
        _add(magnitude, "originID", f"{self.uri}/origin")
        _add(magnitude, "stationCount", size.stations if size.stations > 0 else None)

    def add_picks(self, event: Element) -> None:
        for number, each in enumerate(self.found.arrivals):
            if not math.isfinite(each.time):
                continue
            pick = SubElement(event, "pick", publicID=f"{self.uri}/pick/{number}")
            _quantity(pick, "time", iso_time(each.time))
            network, _, station = _clean(each.station).rpartition(".")
            SubElement(pick, "waveformID", networkCode=network, stationCode=station)
            _add(pick, "phaseHint", each.phase)
            _add(pick, "evaluationMode", "automatic")


def _add_uncertainty(origin: Element, covariance: FloatArray) -> None:
    """Add the 68 % ellipse and ellipsoid of a covariance of east, north, down and time, where it has them."""
    ellipse, ellipsoid = horizontal_ellipse(covariance), ellipsoid_of(covariance)
    if ellipse is None:
        return
    large, small, azimuth = ellipse
    element = SubElement(origin, "originUncertainty")
    _add(
        element,
        "preferredDescription",
        "uncertainty ellipse" if ellipsoid is None else "confidence ellipsoid",
    )
    _add(element, "minHorizontalUncertainty", round(small, 3))
    _add(element, "maxHorizontalUncertainty", round(large, 3))
    _add(element, "azimuthMaxHorizontalUncertainty", round(azimuth, 4))
    _add(element, "confidenceLevel", 68.0)
    if ellipsoid is not None:
        shape = SubElement(element, "confidenceEllipsoid")
        _add(shape, "semiMajorAxisLength", round(ellipsoid.major, 3))
        _add(shape, "semiMinorAxisLength", round(ellipsoid.minor, 3))
        _add(shape, "semiIntermediateAxisLength", round(ellipsoid.intermediate, 3))
        _add(shape, "majorAxisPlunge", round(ellipsoid.plunge, 4))
        _add(shape, "majorAxisAzimuth", round(ellipsoid.azimuth, 4))
        _add(shape, "majorAxisRotation", round(ellipsoid.rotation, 4))
