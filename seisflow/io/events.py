"""Events as QuakeML and CMTSOLUTION files."""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from calendar import monthrange, timegm
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seisflow.domain import Event, Force, MomentTensor, SourceTimeFunction
from seisflow.errors import InputError, MissingError
from seisflow.io.atomic import publish
from seisflow.io.hdf5 import damage

__all__ = [
    "event_uri",
    "quakeml",
    "quakeml_events",
    "read_cmtsolution",
    "read_quakeml",
    "scan_quakeml",
    "write_quakeml",
]

NAMESPACE = "https://seisflow.org/quakeml/1"
"""Of the element that holds what QuakeML has no place for."""

_ELEMENT = "source"
_PARTS = ("rr", "tt", "pp", "rt", "rp", "tp")
_NO_NAMES = {"event", "query", "origin", ""}


# --- reading


def read_quakeml(path: str | os.PathLike[str]) -> list[Event]:
    """Read all events of a QuakeML file; each must have a moment tensor (or a force that seisflow wrote).

    Parameters
    ----------
    path : path
        QuakeML, or another format of event catalogues that ObsPy reads (ndk, ...).

    Returns
    -------
    list of Event
        In the order of the file. Time and place are those of the origin that the tensor refers to (the
        centroid), else of the preferred origin, else of the first.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If the file is broken, or an event lacks what a source needs; all such events are named.
    """
    events, problems = scan_quakeml(path)
    if problems:
        raise InputError("\n".join(problems))
    return events


def scan_quakeml(path: str | os.PathLike[str]) -> tuple[list[Event], list[str]]:
    """Read the usable events of a QuakeML file, and say why the others are not.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Event
    list of str
        One sentence for each event that cannot be used.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If the file is broken.
    """
    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    return quakeml_events(Path(path).read_bytes(), str(path))


def quakeml_events(content: bytes, where: str) -> tuple[list[Event], list[str]]:
    """Decode the usable events of a catalogue in memory, as ``scan_quakeml`` does.

    Parameters
    ----------
    content : bytes
        QuakeML or another format that ObsPy reads.
    where : str
        Its name in messages.

    Returns
    -------
    list of Event
    list of str
        One sentence for each event that cannot be used.

    Raises
    ------
    InputError
        If the content cannot be decoded.
    """
    from obspy import read_events

    with damage(where), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            catalogue = read_events(io.BytesIO(content))
        except Exception as error:  # the readers of ObsPy raise whatever they please
            reason = str(error) or type(error).__name__
            if reason.startswith("Unknown format"):  # with the name of a temporary file
                reason = "no format of event catalogues that ObsPy knows"
            raise ValueError(reason) from error
    events: list[Event] = []
    problems: list[str] = []
    for found in catalogue:
        try:
            event = _event(found, where)
        except InputError as error:
            problems.append(str(error))
            continue
        if any(event.id == other.id for other in events):
            problems.append(f"{where}: event {event.id} is there twice; the first was taken")
        else:
            events.append(event)
    return events, problems


def _event(found: Any, where: str) -> Event:
    extra = _extra(found, where)
    name = extra.get("id") or _name(found)
    what = f"{where}: event {name}"
    tensor = None if "force" in extra else _tensor(found)
    if "force" not in extra and tensor is None:
        raise InputError(
            f"{what} has no moment tensor; take it from a catalogue with tensors, or leave it out"
        )
    origin = _origin(found, tensor)
    if origin is None:
        raise InputError(f"{what} has no origin with time, latitude, longitude and depth; add one")
    source: MomentTensor | Force
    if tensor is None:
        source = Force(*(float(extra["force"][key]) for key in ("east", "north", "up")))
    else:
        source = MomentTensor(*(float(getattr(tensor.tensor, f"m_{part}")) for part in _PARTS))
        if source.scalar_moment == 0:
            raise InputError(f"{what} has a moment tensor of zeros; give it its moment in N m")
    time = origin.time.ns / 1e9
    if abs(extra.get("time", time) - time) < 1e-6:
        time = float(extra.get("time", time))
    if "time_function" in extra:
        values = extra["time_function"]
        function = SourceTimeFunction(**{**values, "samples": tuple(values["samples"])})
    else:
        function = SourceTimeFunction(half_duration=_half_duration(tensor))
    return Event(
        name, time, float(origin.latitude), float(origin.longitude), float(origin.depth), source, function
    )


def _extra(found: Any, where: str) -> dict[str, Any]:
    """Give what seisflow has added to the event when it wrote it."""
    entry = getattr(found, "extra", {}).get(_ELEMENT)
    if entry is None or entry["namespace"] != NAMESPACE:
        return {}
    try:
        content = json.loads(entry["value"])
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: the seisflow element of an event is not JSON ({error}); remove it"
        ) from error
    return dict(content)


def _tensor(found: Any) -> Any:
    """Find the tensor with all six parts: of the preferred mechanism, else of the first that has one."""
    mechanisms = list(found.focal_mechanisms)
    mechanisms.sort(key=lambda mechanism: mechanism.resource_id != found.preferred_focal_mechanism_id)
    for mechanism in mechanisms:
        tensor = mechanism.moment_tensor
        if tensor is None or tensor.tensor is None:
            continue
        if all(getattr(tensor.tensor, f"m_{part}") is not None for part in _PARTS):
            return tensor
    return None


def _origin(found: Any, tensor: Any) -> Any:
    """Find the complete origin that says most about the source: of the tensor, preferred, first."""
    wanted = [tensor.derived_origin_id if tensor is not None else None, found.preferred_origin_id]
    needed = ("time", "latitude", "longitude", "depth")
    complete = [each for each in found.origins if all(getattr(each, name) is not None for name in needed)]
    complete.sort(
        key=lambda each: wanted.index(each.resource_id) if each.resource_id in wanted else len(wanted)
    )
    return complete[0] if complete else None


def _half_duration(tensor: Any) -> float:
    """Half of the duration in s; 0 where the file does not say."""
    function = tensor.source_time_function
    if function is None or function.duration is None:
        return 0.0
    return float(function.duration) / 2


def _name(found: Any) -> str:
    """Make a name of letters, digits and ``._-``: the event name, else from the resource id."""
    for description in found.event_descriptions:
        if description.type == "earthquake name" and re.fullmatch(
            r"[\w.-]+", description.text or "", re.ASCII
        ):
            return str(description.text)
    uri = str(found.resource_id.id)
    asked = re.search(r"eventid=([^&#]+)", uri, re.IGNORECASE)
    parts = [asked[1]] if asked else re.split(r"[/?#=&]", uri)
    parts = [part for part in parts if part.lower() not in _NO_NAMES]
    return _safe(parts[-1]) if parts else "event"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text.strip()).strip("._") or "event"


def read_cmtsolution(path: str | os.PathLike[str]) -> Event:
    """Read a CMTSOLUTION file: centroid time and place, moment in N m (the file has dyn cm).

    Parameters
    ----------
    path : path

    Returns
    -------
    Event
        Named by its ``event name``.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If a line is missing or is no number.
    """
    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    head = next((line for line in lines if line.strip()), "")
    values = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon:
            values[key.strip().lower()] = value.strip()
    needed = [
        "time shift",
        "half duration",
        "latitude",
        "longitude",
        "depth",
        *(f"m{part}" for part in _PARTS),
    ]
    numbers = {key: _number(values, key, path) for key in needed}
    if abs(numbers["latitude"]) > 90 or abs(numbers["longitude"]) > 360:
        raise InputError(
            f"{path}: latitude {numbers['latitude']:g}, longitude {numbers['longitude']:g} are no degrees; "
            "convert UTM coordinates to WGS84"
        )
    tensor = MomentTensor(*(numbers[f"m{part}"] * 1e-7 for part in _PARTS))
    return Event(
        id=_safe(values.get("event name", Path(path).stem)),
        time=round(_head_time(head, path) + numbers["time shift"], 6),
        latitude=numbers["latitude"],
        longitude=(numbers["longitude"] + 180) % 360 - 180
        if abs(numbers["longitude"]) > 180
        else numbers["longitude"],
        depth=numbers["depth"] * 1000,
        source=tensor,
        time_function=SourceTimeFunction(half_duration=numbers["half duration"]),
    )


def _number(values: dict[str, str], key: str, path: str | os.PathLike[str]) -> float:
    if key not in values:
        raise InputError(f"{path}: has no line '{key}:', which a CMTSOLUTION file must have")
    try:
        return float(values[key].split()[0].lower().replace("d", "e"))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: {key}: {values[key]!r} is no number") from error


def _head_time(head: str, path: str | os.PathLike[str]) -> float:
    """Hypocentre time of the first line, POSIX seconds."""
    match = re.match(r"\s*\S*?\s*(\d{4})\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+(?:\.\d*)?)", head)
    if match is None:
        raise InputError(
            f"{path}: the first line, {head[:60]!r}, has no date; it reads 'PDE 2011 8 23 17 51 4.6 ...'"
        )
    year, month, day, hour, minute = (int(number) for number in match.groups()[:5])
    there = 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    if not (there and hour < 25 and minute < 61):
        raise InputError(
            f"{path}: the first line has the date {year}-{month}-{day} {hour}:{minute}, which is none"
        )
    return timegm((year, month, day, hour, minute, 0)) + float(match[6])


# --- writing


def write_quakeml(path: str | os.PathLike[str], events: Event | Sequence[Event]) -> None:
    """Write events as QuakeML 1.2. Reading them gives equal events; equal events give equal bytes.

    Parameters
    ----------
    path : path
    events : Event or sequence of Event

    Raises
    ------
    WorkError
        If the disk is full.
    """
    content = quakeml([events] if isinstance(events, Event) else events)
    with publish(path) as temporary:
        temporary.write_bytes(content)


def event_uri(event: Event) -> str:
    """Resource identifier of an event in the QuakeML that seisflow writes.

    Parameters
    ----------
    event : Event

    Returns
    -------
    str
        ``smi:local/seisflow/<id>``.
    """
    return f"smi:local/seisflow/{event.id}"


def quakeml(events: Sequence[Event]) -> bytes:
    """Encode events as QuakeML 1.2.

    What QuakeML has no place for (forces, other time functions than a triangle, the exact number of the time)
    is in one more element, as JSON. It holds the name too.

    Parameters
    ----------
    events : sequence of Event

    Returns
    -------
    bytes
    """
    from obspy.core.event import Catalog, ResourceIdentifier

    catalogue = Catalog([_obspy_event(event) for event in events])
    catalogue.resource_id = ResourceIdentifier("smi:local/seisflow/catalogue")
    buffer = io.BytesIO()
    catalogue.write(buffer, format="QUAKEML", nsmap={"seisflow": NAMESPACE})
    return buffer.getvalue()


def _obspy_event(event: Event) -> Any:
    from obspy import UTCDateTime
    from obspy.core import event as oe

    uri = event_uri(event)
    extra: dict[str, Any] = {"id": event.id, "time": event.time, "time_function": asdict(event.time_function)}
    origin = oe.Origin(
        resource_id=oe.ResourceIdentifier(f"{uri}/origin"),
        time=UTCDateTime(ns=round(event.time * 1e9)),
        latitude=event.latitude,
        longitude=event.longitude,
        depth=event.depth,
    )
    found = oe.Event(
        resource_id=oe.ResourceIdentifier(uri),
        event_descriptions=[oe.EventDescription(text=event.id, type="earthquake name")],
        origins=[origin],
        preferred_origin_id=oe.ResourceIdentifier(f"{uri}/origin"),
    )
    if isinstance(event.source, Force):
        extra["force"] = asdict(event.source)
    else:
        _add_tensor(found, event, event.source)
    value = json.dumps(extra, sort_keys=True)
    found.extra = {_ELEMENT: {"value": value, "namespace": NAMESPACE}}
    return found


def _add_tensor(found: Any, event: Event, source: MomentTensor) -> None:
    from obspy.core import event as oe

    uri = event_uri(event)
    found.event_type = "earthquake"
    found.magnitudes = [
        oe.Magnitude(
            resource_id=oe.ResourceIdentifier(f"{uri}/magnitude"),
            mag=round(source.magnitude, 3),
            magnitude_type="Mw",
            origin_id=oe.ResourceIdentifier(f"{uri}/origin"),
        )
    ]
    tensor = oe.MomentTensor(
        resource_id=oe.ResourceIdentifier(f"{uri}/tensor"),
        derived_origin_id=oe.ResourceIdentifier(f"{uri}/origin"),
        scalar_moment=source.scalar_moment,
        tensor=oe.Tensor(**{f"m_{part}": getattr(source, f"m{part}") for part in _PARTS}),
    )
    function = event.time_function
    if function.kind == "gaussian":
        tensor.source_time_function = oe.SourceTimeFunction(
            type="triangle", duration=2 * function.half_duration
        )
    found.focal_mechanisms = [
        oe.FocalMechanism(resource_id=oe.ResourceIdentifier(f"{uri}/mechanism"), moment_tensor=tensor)
    ]
    found.preferred_magnitude_id = oe.ResourceIdentifier(f"{uri}/magnitude")
    found.preferred_focal_mechanism_id = oe.ResourceIdentifier(f"{uri}/mechanism")
