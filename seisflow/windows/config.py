"""Settings of the window selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from seisflow.errors import InputError

__all__ = ["WindowConfig"]

POSITIVE = ("water_level", "max_dlna", "min_length", "min_velocity", "max_velocity")
OPTIONAL = ("max_shift", "max_time_before_arrival")
NOT_NEGATIVE = (
    "min_correlation", "min_signal_to_noise", "interior_minima", "prominence", "separation_height",
    "separation_time", "curtail_left", "curtail_right", "min_trace_energy_ratio", "min_trace_peak_ratio",
)  # fmt: skip


@dataclass(frozen=True)
class WindowConfig:
    """How windows are selected (Maggi, Tape, Chen, Chao & Tromp 2009); in brackets the symbols of FLEXWIN.

    T is the shortest, T_long the longest period of the band, E(t) the ratio of short to long term average
    of the envelope of the synthetic.

    Parameters
    ----------
    water_level : float
        [w_E] Peaks of E(t) above it make windows.
    max_shift : float, optional
        [delta tau_0] Largest lag in s between observed and synthetic; half of T, if left out: more may be a cycle.
    shift_reference : float
        [tau ref] The lag in s that ``max_shift`` is counted from.
    max_dlna, dlna_reference : float
        [delta ln A_0, ln A ref] Largest logarithmic amplitude ratio, and the ratio it is counted from.
    min_correlation : float
        [CC_0] Smallest normalised cross-correlation.
    min_signal_to_noise : float
        [r_0] Smallest ratio of observed signal in the window to noise before the first arrival.
    signal_to_noise : {"amplitude", "energy"}
        Whether that ratio is of largest values or of mean squares.
    interior_minima : float
        [c_0] A window holds no trough of E(t) at or under this fraction of the water level.
    min_length : float
        [c_1] Shortest window in T.
    prominence : float
        [c_2] E(t) at the peak stands out from both troughs beside it by this fraction of itself.
    separation_height, separation_time : float
        [c_3a, c_3b] Other peaks in a window are at most so much as high as its own, falling off beyond so
        many T.
    curtail_left, curtail_right : float
        [c_4a, c_4b] A window starts and ends at most so many T before its first and after its last peak.
    travel_times : {"ak135", "iasp91", "velocities", "none"}
        Where first arrivals come from: a model of the Earth by TauP, ``max_velocity`` along the straight
        line from the source, or no limits at all.
    min_velocity : float
        m/s. Windows start before the waves that travel with it straight from the source; not with ``none``.
    max_velocity : float
        m/s. Of the first arrival, with ``velocities``.
    max_time_before_arrival : float, optional
        s. Windows start at most so long before the first arrival; 1.5 T, if left out.
    check_trace : bool
        Refuse whole traces on which signal does not stand out from noise.
    min_trace_energy_ratio, min_trace_peak_ratio : float
        [snr_integrate_base, snr_max_base] Smallest ratios of mean squares and of largest values for such
        a check.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    water_level: float = 0.07
    max_shift: float | None = None
    shift_reference: float = 0.0
    max_dlna: float = 1.3
    dlna_reference: float = 0.0
    min_correlation: float = 0.7
    min_signal_to_noise: float = 1.5
    signal_to_noise: Literal["amplitude", "energy"] = "amplitude"
    interior_minima: float = 1.0
    min_length: float = 1.5
    prominence: float = 0.0
    separation_height: float = 4.0
    separation_time: float = 2.5
    curtail_left: float = 2.0
    curtail_right: float = 6.0
    travel_times: Literal["ak135", "iasp91", "velocities", "none"] = "ak135"
    min_velocity: float = 3000.0
    max_velocity: float = 8000.0
    max_time_before_arrival: float | None = None
    check_trace: bool = False
    min_trace_energy_ratio: float = 3.5
    min_trace_peak_ratio: float = 3.0

    def __post_init__(self) -> None:
        for name in OPTIONAL:
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise InputError(f"{name} = {getattr(self, name)} s: must be positive, or left out")
        for name in POSITIVE:
            if not getattr(self, name) > 0:
                raise InputError(f"{name} = {getattr(self, name)}: must be positive")
        for name in NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} = {getattr(self, name)}: must not be negative")
        if self.min_correlation > 1:
            raise InputError(f"min_correlation = {self.min_correlation}: a correlation is at most 1")
        if self.max_velocity <= self.min_velocity:
            raise InputError(
                f"max_velocity = {self.max_velocity} m/s must be above min_velocity = {self.min_velocity} m/s"
            )

    def largest_shift(self, shortest_period: float) -> float:
        """Give ``max_shift`` in s, or what stands for it."""
        return 0.5 * shortest_period if self.max_shift is None else self.max_shift

    def lead(self, shortest_period: float) -> float:
        """Give ``max_time_before_arrival`` in s, or what stands for it."""
        given = self.max_time_before_arrival
        return 1.5 * shortest_period if given is None else given
