"""Features of continuous recordings: what a backprojection sums along travel times."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.errors import InputError

__all__ = ["Features", "OnsetDelay"]


@dataclass(frozen=True, eq=False)
class OnsetDelay:
    """How long after an onset a feature peaks, by the height of the peak.

    Parameters
    ----------
    heights : ndarray (n,)
        Of the feature at its peak, rising.
    delays : ndarray (n,)
        Peak minus onset in s.
    errors : ndarray (n,)
        Standard error of the delay in s that the onsets of a phase have in common: what the waves after an onset leave
        open.
    rises : ndarray (n,)
        And one that all phases have in common: what onsets that build up leave open.
    """

    heights: FloatArray
    delays: FloatArray
    errors: FloatArray
    rises: FloatArray

    def __post_init__(self) -> None:
        shapes = [values.shape for values in (self.heights, self.delays, self.errors, self.rises)]
        good = len(set(shapes)) == 1 and len(shapes[0]) == 1 and shapes[0][0] > 0
        if not good or (np.diff(self.heights) <= 0).any():
            raise InputError(
                f"heights, delays, errors and rises have shapes {shapes}: all must be of one length, the heights rising"
            )

    def at(self, heights: FloatArray) -> FloatArray:
        """Delays in s of peaks of some heights; those beyond the known ones have that of the nearest."""
        return np.asarray(np.interp(heights, self.heights, self.delays))

    def errors_at(self, height: float) -> tuple[float, float]:
        """Errors in s of the delay of peaks of a height: one of the phase, one that all phases have in common."""
        errors, rises = (float(np.interp(height, self.heights, each)) for each in (self.errors, self.rises))
        return errors, rises


@dataclass(frozen=True, eq=False)
class Features:
    """One feature per station and phase on one time axis, such as an envelope or a probability of an arrival.

    Parameters
    ----------
    stations : tuple of str
        Ids ``NET.STA``, length ns.
    phases : tuple of str
        Length np, such as ``P S``.
    values : ndarray of float32 (ns, np, nt)
        High where the phase may arrive; finite where they are live.
    live : ndarray of bool (ns, np, nt)
        Which samples come from recordings.
    start : float
        Time of the first sample, s since 1970-01-01 UTC.
    interval : float
        s.
    ceilings : tuple of float, optional
        By phase: what a beam takes of a value at most, so that one station does not outweigh the others. The values
        themselves go higher: where one is cut off, it no longer tells when it was highest.
    delays : tuple of OnsetDelay, optional
        By phase.
    """

    stations: tuple[str, ...]
    phases: tuple[str, ...]
    values: FloatArray
    live: npt.NDArray[np.bool_]
    start: float
    interval: float
    ceilings: tuple[float, ...] | None = None
    delays: tuple[OnsetDelay, ...] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.stations), len(self.phases))
        if self.values.ndim != 3 or self.values.shape[:2] != shape or self.values.dtype != np.float32:
            raise InputError(
                f"features of {shape[0]} stations and {shape[1]} phases need float32 values of that shape, found "
                f"{self.values.dtype} {self.values.shape}"
            )
        if self.live.shape != self.values.shape or self.live.dtype != np.bool_:
            raise InputError(
                f"live is {self.live.dtype} {self.live.shape}; it must be bool {self.values.shape} like the features"
            )
        if not self.interval > 0:
            raise InputError(f"sampling interval must be positive, found {self.interval} s")
        if len(set(self.stations)) < shape[0] or len(set(self.phases)) < shape[1]:
            raise InputError(f"a station or phase is named twice in {self.stations}, {self.phases}")
        for name in ("ceilings", "delays"):
            given = getattr(self, name)
            if given is not None and len(given) != shape[1]:
                raise InputError(f"{len(given)} {name} given; there are {shape[1]} phases")

    @property
    def samples(self) -> int:
        """Number of samples of each feature."""
        return int(self.values.shape[2])

    def part(self, first: int, last: int) -> Features:
        """Samples ``first`` up to ``last``."""
        values = np.ascontiguousarray(self.values[..., first:last])
        live = np.ascontiguousarray(self.live[..., first:last])
        return replace(self, values=values, live=live, start=self.start + first * self.interval)

    def rolled(self, shifts: npt.NDArray[np.int64]) -> Features:
        """Stations shifted in a circle by so many samples."""
        values, live = np.empty_like(self.values), np.empty_like(self.live)
        for station, shift in enumerate(shifts.tolist()):
            values[station] = np.roll(self.values[station], shift, axis=-1)
            live[station] = np.roll(self.live[station], shift, axis=-1)
        return replace(self, values=values, live=live)

    def recorded(self) -> npt.NDArray[np.bool_]:
        """At which samples any feature is live, (nt,)."""
        return np.asarray(self.live.any(axis=(0, 1)))

    def capped(self) -> FloatArray:
        """Values (ns, np, nt) as a beam takes them."""
        if self.ceilings is None:
            return self.values
        limits = np.array(self.ceilings, dtype=np.float32)
        capped: FloatArray = np.minimum(self.values, limits[:, None])
        return capped
