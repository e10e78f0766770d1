"""Settings of the treatment of continuous recordings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from seisflow.errors import InputError
from seisflow.signal.polyphase import half_width
from seisflow.signal.resample import CUTOFF

__all__ = ["ContinuousConfig"]

DECAYED = 1e-3
"""Part of a transient that is left after the settling length."""


@dataclass(frozen=True)
class ContinuousConfig:
    """How continuous recordings are brought to one interval and band.

    Parameters
    ----------
    interval : float
        Sampling interval of the result, s.
    band : tuple of 2 float
        Lowest and highest frequency in Hz: -3 dB points of the causal filter, -6 dB of the one of zero phase. The
        highest is at most 0.8 of the Nyquist frequency of the result; the anti-alias filter is flat to 0.67 of it.
    corners : int
        Order of the Butterworth band-pass.
    zero_phase : bool
        Filter forwards and backwards; False filters forwards only, so that the filter puts nothing before an onset.
        The anti-alias filter, near the Nyquist frequency, is of zero phase in either case.
    components : tuple of str
        Of the result, of ``E``, ``N`` and ``Z`` (up).
    min_stretch : float
        s. Shorter stretches without a gap are dropped.
    flat : float
        s. Runs of equal samples as long as this are no recording: zeros filled into gaps, a dead sensor.
    bands : str
        SEED band codes (first letter of the channel), the preferred first, where channels have recorded equally much.
    instruments : str
        SEED instrument codes (second letter), the preferred first.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    interval: float
    band: tuple[float, float]
    corners: int = 4
    zero_phase: bool = True
    components: tuple[str, ...] = ("E", "N", "Z")
    min_stretch: float = 10.0
    flat: float = 10.0
    bands: str = "HBESCDFG"
    instruments: str = "HLPGN"

    def __post_init__(self) -> None:
        if not self.interval > 0:
            raise InputError(f"interval = {self.interval} s: must be positive")
        lowest, highest = self.band
        limit = 0.5 * CUTOFF / self.interval
        if not 0 < lowest < highest:
            raise InputError(f"band = {list(self.band)} Hz: give the lowest, then the highest frequency")
        if highest > limit * (1 + 1e-9):
            raise InputError(
                f"band: interval = {self.interval:g} s holds frequencies up to {limit:g} Hz, not {highest:g} Hz; "
                f"set interval to {0.5 * CUTOFF / highest:g} s or lower the highest frequency"
            )
        if not 1 <= self.corners <= 10:
            raise InputError(f"corners = {self.corners}: must be 1 to 10")
        if not self.components or not set(self.components) <= set("ENZ"):
            raise InputError(f"components = {list(self.components)}: some of E, N and Z")
        if len(set(self.components)) < len(self.components):
            raise InputError(f"components = {list(self.components)}: each once")
        for name in ("min_stretch", "flat"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} = {getattr(self, name)} s: must be positive")

    @cached_property
    def sections(self) -> Any:
        """Second-order sections of the band-pass at the interval of the result, shape (corners, 6)."""
        from scipy.signal import butter  # takes a second, which `seisflow status` need not wait

        return butter(self.corners, self.band, "bandpass", output="sos", fs=1 / self.interval)

    @cached_property
    def settling(self) -> int:
        """Samples after which the filter has forgotten all but a thousandth: by its slowest pole."""
        poles = np.concatenate([np.roots(section[3:]) for section in self.sections])
        return int(np.ceil(np.log(DECAYED) / np.log(np.abs(poles).max())))

    @cached_property
    def ramp(self) -> Any:
        """Half a cosine over the settling length, from 0 to 1: the ends of a stretch are faded with it."""
        return 0.5 * (1 - np.cos(np.pi * (np.arange(self.settling) + 0.5) / self.settling))

    @property
    def margin(self) -> float:
        """How many s more must be read on both sides, so that all of a span can be live."""
        slowest = max(self.interval, 0.5 * CUTOFF / self.band[1])
        return half_width(slowest, self.interval) + (self.settling + 2) * self.interval + 2 * slowest
