"""Earthquakes that were detected: what was found, where, how large, and why it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from seisflow.domain.geography import Projection
from seisflow.domain.grid import FloatArray
from seisflow.errors import InputError

__all__ = ["Arrival", "Catalog", "Detection", "Magnitude"]

Method = Literal["beam", "template", "import"]


@dataclass(frozen=True)
class Arrival:
    """An onset of a detected earthquake.

    Parameters
    ----------
    station : str
        ``NET.STA``.
    phase : str
        ``P`` or ``S``.
    time : float
        s since 1970-01-01 UTC.
    residual : float
        Time minus predicted time in s.
    weight : float
        In the location, 0 to 1.
    """

    station: str
    phase: str
    time: float
    residual: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True)
class Magnitude:
    """Size of an earthquake.

    Parameters
    ----------
    value : float
    error : float
        Standard error.
    kind : str
        ``ML``, ``Mw``, or ``Mrel`` for one relative to a template.
    stations : int
        That it was measured at.
    """

    value: float
    error: float
    kind: str
    stations: int


@dataclass(frozen=True, eq=False)
class Detection:
    """An earthquake that was detected and located.

    Parameters
    ----------
    id : str
        Unique within a catalog: its origin time before relocation, ``20090121T040007.168``, and a letter where two
        would be equal.
    time : float
        Origin time, s since 1970-01-01 UTC.
    x, y, z : float
        Local coordinates in m; z is depth below sea level.
    method : {"beam", "template", "import"}
    value : float
        Beam or network correlation at its maximum.
    threshold : float
        That it had to pass at that time.
    false_alarm_rate : float
        False alarms a day expected with at least this value; NaN if not estimated.
    covariance : ndarray (4, 4), optional
        Of x, y, z in m and origin time in s.
    magnitude : Magnitude, optional
    template : str, optional
        Template that found it.
    arrivals : tuple of Arrival
    remark : str
        Why it was kept, and what to mind.
    """

    id: str
    time: float
    x: float
    y: float
    z: float
    method: Method
    value: float = float("nan")
    threshold: float = float("nan")
    false_alarm_rate: float = float("nan")
    covariance: FloatArray | None = None
    magnitude: Magnitude | None = None
    template: str | None = None
    arrivals: tuple[Arrival, ...] = ()
    remark: str = ""

    def __post_init__(self) -> None:
        if not np.all(np.isfinite([self.time, self.x, self.y, self.z])):
            raise InputError(
                f"detection {self.id}: time and place must be finite, found {self.time}, {self.place}"
            )
        if self.covariance is not None and self.covariance.shape != (4, 4):
            raise InputError(f"detection {self.id}: covariance is {self.covariance.shape}, must be (4, 4)")

    @property
    def place(self) -> tuple[float, float, float]:
        """x, y, z in m."""
        return self.x, self.y, self.z

    @property
    def horizontal_error(self) -> float:
        """Larger semi-axis of the horizontal 68 % ellipse in m; NaN without a covariance."""
        if self.covariance is None:
            return float("nan")
        return float(np.sqrt(2.28 * np.linalg.eigvalsh(self.covariance[:2, :2])[-1]))

    @property
    def vertical_error(self) -> float:
        """Standard error of the depth in m; NaN without a covariance."""
        return float("nan") if self.covariance is None else float(np.sqrt(self.covariance[2, 2]))


@dataclass(frozen=True, eq=False)
class Catalog:
    """Detections in the order of their times.

    Parameters
    ----------
    projection : Projection
        Where the local coordinates are on Earth.
    detections : tuple of Detection
    start, end : float
        What was searched, s since 1970-01-01 UTC.
    live_days : float
        Length of what was recorded in that time, in days of the whole network.
    """

    projection: Projection
    detections: tuple[Detection, ...]
    start: float
    end: float
    live_days: float

    def __post_init__(self) -> None:
        times = [each.time for each in self.detections]
        if any(a > b for a, b in pairwise(times)):
            raise InputError("the detections of a catalog must be in the order of their times")
        names = {each.id for each in self.detections}
        if len(names) < len(self.detections):
            raise InputError("the detections of a catalog must have different ids")

    def __len__(self) -> int:
        return len(self.detections)

    def __iter__(self) -> Iterator[Detection]:
        return iter(self.detections)

    def with_detections(self, detections: tuple[Detection, ...]) -> Catalog:
        """The same catalog with other detections."""
        return replace(self, detections=detections)

    @property
    def times(self) -> FloatArray:
        """Origin times, s since 1970-01-01 UTC, shape (n,)."""
        return np.array([each.time for each in self.detections])

    @property
    def places(self) -> FloatArray:
        """x, y, z in m, shape (n, 3)."""
        return np.array([each.place for each in self.detections]).reshape(-1, 3)
