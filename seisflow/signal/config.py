"""What is done to a trace, and on which times it ends up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray, Gather
from seisflow.errors import InputError

__all__ = ["Quantity", "SignalConfig", "TimeAxis"]

Quantity = Literal["displacement", "velocity", "acceleration"]


@dataclass(frozen=True)
class TimeAxis:
    """Equally spaced times.

    Parameters
    ----------
    start : float
        First time, s from the origin time; negative keeps samples before the origin, for noise.
    interval : float
        s.
    samples : int
    """

    start: float
    interval: float
    samples: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start) and np.isfinite(self.interval) and self.interval > 0):
            raise InputError(f"a time axis needs a finite start and a positive interval, found {self}")
        if self.samples < 2:
            raise InputError(f"a time axis needs at least 2 samples, found {self.samples}")

    @classmethod
    def covering(cls, start: float, end: float, interval: float) -> TimeAxis:
        """Go from ``start`` in steps of ``interval`` as far as ``end`` allows, all in s."""
        if not end > start or not interval > 0:
            raise InputError(
                f"no time axis from {start} s to {end} s at {interval} s: the end must follow the start"
            )
        return cls(start, interval, int(np.floor((end - start) / interval + 1e-6)) + 1)

    @classmethod
    def of(cls, gather: Gather) -> TimeAxis:
        """Take the axis of a gather."""
        return cls(gather.start, gather.interval, gather.samples)

    @property
    def end(self) -> float:
        """Last time in s."""
        return self.start + self.interval * (self.samples - 1)

    @property
    def times(self) -> FloatArray:
        """All times in s, shape (samples,)."""
        return self.start + self.interval * np.arange(self.samples)

    def matches(self, other: TimeAxis) -> bool:
        """Whether two axes are the same to a thousandth of a sample."""
        return (
            self.samples == other.samples
            and abs(self.start - other.start) < 1e-3 * self.interval
            and abs(self.interval - other.interval) * self.samples < 1e-3 * self.interval
        )


@dataclass(frozen=True)
class SignalConfig:
    """How observed and synthetic seismograms are treated alike.

    Parameters
    ----------
    band : tuple of 2 float
        Shortest and longest period in s of the band-pass.
    interval : float
        Sampling interval in s of the seismograms that are compared; under half the
        shortest period, better a tenth.
    quantity : {"displacement", "velocity", "acceleration"}
        What is compared.
    corners : int
        Order of the Butterworth band-pass; it is applied forwards and backwards (zero phase).
    taper : float
        Fraction of the trace that is tapered at each end by half a Hann bell, 0 to 0.5.
    rotate : bool
        Turn E, N into radial and transverse.
    observed : {"counts", "displacement", "velocity", "acceleration"}
        What the recordings hold; ``counts`` are divided by the instrument response.
    water_level : float
        dB below the largest response within the band at which the response is held up when it is divided by.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    band: tuple[float, float]
    interval: float
    quantity: Quantity = "displacement"
    corners: int = 3
    taper: float = 0.05
    rotate: bool = True
    observed: Literal["counts", "displacement", "velocity", "acceleration"] = "counts"
    water_level: float = 60.0

    def __post_init__(self) -> None:
        shortest, longest = self.band
        if not 0 < shortest < longest:
            raise InputError(f"band = {list(self.band)} s: give the shortest, then the longest period")
        if not self.interval > 0:
            raise InputError(f"interval = {self.interval} s: must be positive")
        if shortest <= 2 * self.interval:
            raise InputError(
                f"band: interval = {self.interval:g} s cannot hold a period of {shortest:g} s, only "
                f"over {2 * self.interval:g} s; set interval to {shortest / 10:g} s or raise the period"
            )
        if not 0 <= self.taper <= 0.5:
            raise InputError(f"taper = {self.taper}: the fraction of the trace tapered at each end, 0 to 0.5")
        if not 1 <= self.corners <= 10:
            raise InputError(f"corners = {self.corners}: must be 1 to 10")
        if not self.water_level > 0:
            raise InputError(f"water_level = {self.water_level} dB: must be positive")

    def check_length(self, axis: TimeAxis) -> None:
        """Refuse an axis whose samples cannot carry the band.

        Raises
        ------
        InputError
            If the axis is shorter than 1.5 of the longest period, or its interval is not the configured one.
        """
        if abs(axis.interval - self.interval) > 1e-9 * self.interval:
            raise InputError(
                f"axis of interval {axis.interval:g} s, but interval = {self.interval:g} s is set"
            )
        length, longest = axis.end - axis.start, self.band[1]
        if length < 1.5 * longest:
            raise InputError(
                f"band: a period of {longest:g} s needs at least {1.5 * longest:g} s of seismogram, found "
                f"{length:g} s; lengthen it or set the longest period to {length / 1.5:.3g} s or less"
            )
