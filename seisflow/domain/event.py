"""Earthquakes and other sources."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np

from seisflow.domain.grid import FloatArray
from seisflow.errors import InputError

__all__ = ["Event", "Force", "MomentTensor", "SourceDerivatives", "SourceTimeFunction"]


@dataclass(frozen=True)
class MomentTensor:
    """Seismic moment tensor in N m; r up, t south, p east (Global CMT convention)."""

    mrr: float
    mtt: float
    mpp: float
    mrt: float
    mrp: float
    mtp: float

    def cartesian(self) -> FloatArray:
        """The tensor in x east, y north, z down, shape (3, 3), N m (Aki & Richards 2002, box 4.4, z turned down)."""
        mxx, myy, mzz = self.mpp, self.mtt, self.mrr
        mxy, mxz, myz = -self.mtp, -self.mrp, self.mrt
        return np.array([[mxx, mxy, mxz], [mxy, myy, myz], [mxz, myz, mzz]])

    @property
    def scalar_moment(self) -> float:
        """Scalar moment in N m: the Frobenius norm over sqrt(2) (Silver & Jordan 1982)."""
        return float(np.sqrt(np.sum(self.cartesian() ** 2) / 2))

    @property
    def magnitude(self) -> float:
        """Moment magnitude Mw = 2/3 (log10 M0 - 9.1) (Hanks & Kanamori 1979)."""
        return float(2 / 3 * (np.log10(self.scalar_moment) - 9.1))


@dataclass(frozen=True)
class Force:
    """Point force in N, geographic components."""

    east: float
    north: float
    up: float


@dataclass(frozen=True)
class SourceTimeFunction:
    """Time function of a source; time 0 is the origin (centroid) time.

    For a moment tensor it is the moment rate (unit area for ``gaussian``); for a force the force itself.

    Parameters
    ----------
    kind : {"gaussian", "ricker", "samples"}
        ``gaussian``: exp(-(t/a)^2) / (a sqrt(pi)) with a = half_duration / 1.628 (SPECFEM convention: the width
        of the triangle of that half duration). ``ricker``: (1 - 2 w) exp(-w), w = (pi t / period)^2.
        ``samples``: linear interpolation between ``samples``, zero outside.
    half_duration : float
        s, for ``gaussian``.
    period : float
        Dominant period in s, for ``ricker``.
    samples : tuple of float
        Values, for ``samples``.
    start, interval : float
        Time of the first sample and their distance in s, for ``samples``.
    delay : float
        s by which all of it comes later than the origin time.
    """

    kind: str = "gaussian"
    half_duration: float = 0.0
    period: float = 0.0
    samples: tuple[float, ...] = ()
    start: float = 0.0
    interval: float = 0.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.delay):
            raise InputError(f"source time function: delay = {self.delay} s; it must be finite")
        wanted = {
            "gaussian": (
                self.half_duration >= 0,
                f"half_duration = {self.half_duration} s: must not be negative",
            ),
            "ricker": (self.period > 0, f"period = {self.period} s: must be positive"),
            "samples": (
                len(self.samples) > 1 and self.interval > 0,
                "needs 2 samples and a positive interval",
            ),
        }
        if self.kind not in wanted:
            raise InputError(
                f"source time function {self.kind!r} is not known; use one of {', '.join(wanted)}"
            )
        good, complaint = wanted[self.kind]
        if not good:
            raise InputError(f"source time function {self.kind}: {complaint}")


@dataclass(frozen=True)
class SourceDerivatives:
    """Derivatives of a misfit J with respect to an earthquake.

    Parameters
    ----------
    mrr, mtt, mpp, mrt, mrp, mtp : float
        dJ/d(component of the moment tensor), by N m.
    x, y, depth : float
        dJ/d(place), by m: to the east and to the north on the map of the project, and down.
    time : float
        dJ/d(origin time), by s: the same source, later.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "mrr", "mtt", "mpp", "mrt", "mrp", "mtp", "x", "y", "depth", "time",
    )  # fmt: skip

    mrr: float
    mtt: float
    mpp: float
    mrt: float
    mrp: float
    mtp: float
    x: float
    y: float
    depth: float
    time: float


@dataclass(frozen=True)
class Event:
    """A seismic source.

    Parameters
    ----------
    id : str
        Name within the project: letters, digits, ``.``, ``_``, ``-``.
    time : float
        Origin (centroid) time, UTC, POSIX seconds.
    latitude, longitude : float
        WGS84 degrees.
    depth : float
        m below the surface, positive down.
    source : MomentTensor or Force
    time_function : SourceTimeFunction
    """

    id: str
    time: float
    latitude: float
    longitude: float
    depth: float
    source: MomentTensor | Force
    time_function: SourceTimeFunction = SourceTimeFunction()

    @property
    def utc(self) -> datetime:
        """Origin time as a datetime in UTC."""
        return datetime.fromtimestamp(self.time, tz=UTC)
