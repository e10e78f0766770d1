"""A template: the waveforms of a known event, looked for in continuous recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from seisflow.domain.grid import FloatArray
from seisflow.domain.station import Station
from seisflow.errors import InputError

__all__ = ["Template"]


@dataclass(frozen=True, eq=False)
class Template:
    """Waveforms of one event in windows of its own for each channel (station, component).

    Parameters
    ----------
    id : str
    time : float
        Origin time, s since 1970-01-01 UTC.
    x, y, z : float
        Place of the event: east, north, down below sea level, m.
    stations : tuple of Station
        Length ns.
    components : tuple of str
        Length nc, such as ``E N Z``.
    waveforms : ndarray of float32 (ns, nc, n)
        In any one unit; zero after the length of a channel.
    lengths : ndarray of int64 (ns, nc)
        Samples of each window, at most n.
    moveouts : ndarray of float64 (ns, nc)
        From the origin time to the first sample of each window, s.
    weights : ndarray of float64 (ns, nc)
        Of the channels in the mean correlation; 0 where the template has no window.
    phases : ndarray of str (ns, nc)
        What each window was cut around, such as ``P``; empty where there is none.
    interval : float
        Sampling interval, s.
    magnitude : float, optional
    quality : dict of str to float
        What is known of its making, such as signal-to-noise ratios.
    """

    id: str
    time: float
    x: float
    y: float
    z: float
    stations: tuple[Station, ...]
    components: tuple[str, ...]
    waveforms: FloatArray
    lengths: npt.NDArray[np.int64]
    moveouts: FloatArray
    weights: FloatArray
    phases: npt.NDArray[np.str_]
    interval: float
    magnitude: float | None = None
    quality: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.stations), len(self.components))
        if (
            self.waveforms.ndim != 3
            or self.waveforms.shape[:2] != shape
            or self.waveforms.dtype != np.float32
        ):
            raise InputError(
                f"template {self.id}: waveforms are {self.waveforms.dtype} {self.waveforms.shape}; {shape[0]} stations "
                f"and {shape[1]} components need float32 (ns, nc, n)"
            )
        for name in ("lengths", "moveouts", "weights", "phases"):
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"template {self.id}: {name} have shape {getattr(self, name).shape}, channels {shape}"
                )
        if not self.interval > 0:
            raise InputError(
                f"template {self.id}: sampling interval must be positive, found {self.interval} s"
            )
        if not np.all(np.isfinite(self.weights) & (self.weights >= 0)) or not self.weights.sum() > 0:
            raise InputError(
                f"template {self.id}: weights must be finite, not negative, and one at least positive"
            )
        self._check_windows()

    def _check_windows(self) -> None:
        """Refuse windows with a weight that are too short, too long, constant or not finite."""
        longest = self.waveforms.shape[2]
        for s, c in np.argwhere(self.weights > 0):
            length, place = int(self.lengths[s, c]), f"{self.stations[s].id} {self.components[c]}"
            if not 2 <= length <= longest or not np.isfinite(self.moveouts[s, c]):
                raise InputError(
                    f"template {self.id}, {place}: a window of {length} samples at {self.moveouts[s, c]} s; 2 to "
                    f"{longest} samples at a finite time are needed, or the weight 0"
                )
            window = self.waveforms[s, c, :length]
            if not np.all(np.isfinite(window)) or np.all(window == window[0]):
                raise InputError(
                    f"template {self.id}, {place}: the window is constant or not finite; correct it, or set its "
                    "weight to 0"
                )

    @property
    def channels(self) -> tuple[tuple[str, str], ...]:
        """Station id and component of every channel with a weight."""
        return tuple(
            (self.stations[s].id, self.components[c]) for s, c in np.argwhere(self.weights > 0).tolist()
        )
