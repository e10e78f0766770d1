"""What an inversion for a source changed, in numbers and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyproj import Geod

from seisflow.domain import Event, MomentTensor
from seisflow.domain.mechanism import double_couple_share, isotropic_share, nodal_planes, rotation_angle
from seisflow.errors import InputError

__all__ = ["change_of", "told"]


def _described(event: Event) -> dict[str, Any]:
    source = event.source
    if not isinstance(source, MomentTensor):
        raise InputError(f"event {event.id}: its source is a force, not a moment tensor")
    return {
        "time": event.time,
        "latitude": event.latitude,
        "longitude": event.longitude,
        "depth": event.depth,
        "magnitude": source.magnitude,
        "moment": source.scalar_moment,
        "planes": [[p.strike, p.dip, p.rake] for p in nodal_planes(source)],
        "double_couple": double_couple_share(source),
        "isotropic": isotropic_share(source),
    }


def change_of(
    before: Event, after: Event, misfit_before: float, misfit_after: float, errors: dict[str, float]
) -> dict[str, Any]:
    """Compare two sources of an event.

    Parameters
    ----------
    before, after : Event
    misfit_before, misfit_after : float
    errors : dict
        Standard errors of the later one by parameter.

    Returns
    -------
    dict
        ``misfit`` of both, ``before`` and ``after`` described, ``moved`` (m and azimuth), ``deeper`` (m), ``later``
        (s), ``rotated`` (degrees), ``errors``.
    """
    azimuth, _, distance = Geod(ellps="WGS84").inv(
        before.longitude, before.latitude, after.longitude, after.latitude
    )
    tensors = [each.source for each in (before, after) if isinstance(each.source, MomentTensor)]
    return {
        "misfit": [misfit_before, misfit_after],
        "before": _described(before),
        "after": _described(after),
        "moved": [float(distance), float(azimuth % 360)],
        "deeper": after.depth - before.depth,
        "later": after.time - before.time,
        "rotated": rotation_angle(*tensors),
        "errors": errors,
    }


def told(result: dict[str, Any]) -> list[str]:
    """The same as lines for people."""
    before, after, errors = result["before"], result["after"], result["errors"]
    first, second = result["misfit"]
    kilometres = {name: errors[name] / 1e3 for name in ("x", "y", "depth") if name in errors}
    aside = float(np.hypot(kilometres.get("x", 0.0), kilometres.get("y", 0.0)))

    def give(value: float, digits: int, unit: str) -> str:
        return f" (standard error {value:.{digits}f}{unit})" if errors else ""

    planes = [
        " and ".join("/".join(f"{a:.0f}" for a in p) for p in each["planes"]) for each in (before, after)
    ]
    lines = [
        f"misfit {first:.4g} -> {second:.4g} ({100 * (second / first - 1):+.1f} %) in {result['windows']} windows, "
        f"model m{result['model']:02d}",
        f"magnitude {before['magnitude']:.2f} -> {after['magnitude']:.2f}"
        + give(errors.get("magnitude", 0.0), 2, ""),
        f"planes {planes[0]} -> {planes[1]}, axes turned by {result['rotated']:.0f} degrees",
        f"double couple {100 * before['double_couple']:.0f} -> {100 * after['double_couple']:.0f} %",
    ]
    if abs(after["isotropic"]) > 0.005 or abs(before["isotropic"]) > 0.005:
        lines[-1] += f", isotropic {100 * before['isotropic']:.0f} -> {100 * after['isotropic']:.0f} %"
    distance, azimuth = result["moved"]
    if distance > 0.5:
        lines.append(
            f"moved by {distance / 1e3:.2f} km towards {azimuth:.0f} degrees" + give(aside, 2, " km")
        )
    if result["deeper"]:
        depths = f"depth {before['depth'] / 1e3:.2f} -> {after['depth'] / 1e3:.2f} km"
        lines.append(depths + give(kilometres.get("depth", 0.0), 2, " km"))
    if result["later"]:
        lines.append(f"origin time {result['later']:+.2f} s" + give(errors.get("time", 0.0), 2, " s"))
    return lines
