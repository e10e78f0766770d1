"""Settings of the window selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from seisflow.errors import InputError
from seisflow.windows.levels import Level, LevelConfig

__all__ = ["WindowConfig"]

POSITIVE = ("water_level", "max_dlna", "min_length", "min_velocity", "max_velocity", "surface_velocity")
OPTIONAL = ("max_shift", "max_time_before_arrival")
NOT_NEGATIVE = (
    "min_correlation", "min_signal_to_noise", "interior_minima", "prominence", "separation_height",
    "separation_time", "curtail_left", "curtail_right", "min_trace_energy_ratio", "min_trace_peak_ratio",
)  # fmt: skip


@dataclass(frozen=True)
class WindowConfig:
    """How windows are selected (Maggi, Tape, Chen, Chao & Tromp 2009); in brackets the symbols of FLEXWIN.

    T is the shortest, T_long the longest period of the band, E(t) the ratio of short to long term average
    of the envelope of the synthetic. What may change along the seismogram or with distance is read at the peak that
    makes a window (``water_level``) or at its centre (the others).

    Parameters
    ----------
    water_level : float or LevelConfig
        [w_E] Peaks of E(t) above it make windows. May change:
        ``{by: velocity, at: [2500, 3000], values: [0.3, 0.08]}``.
    max_shift : float or LevelConfig, optional
        [delta tau_0] Largest lag in s between observed and synthetic; half of T, if left out: more may be a cycle. May
        change, as ``water_level``.
    shift_reference : float
        [tau ref] The lag in s that ``max_shift`` is counted from.
    max_dlna : float or LevelConfig
        [delta ln A_0] Largest logarithmic amplitude ratio. May change.
    dlna_reference : float
        [ln A ref] The ratio that ``max_dlna`` is counted from.
    min_correlation : float or LevelConfig
        [CC_0] Smallest normalised cross-correlation. May change.
    min_signal_to_noise : float or LevelConfig
        [r_0] Smallest ratio of observed signal in the window to noise before the first arrival. May change.
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
    overlaps : {"schedule", "combination", "merge"}
        Of windows that overlap are taken: those with the largest sum of length times correlation; or those with the
        best score of coverage, mean correlation and small number, as in FLEXWIN; or their union, measured again,
        where it passes the limits (else as ``schedule``).
    overlap_weights : tuple of 3 float
        Of coverage, correlation and number, in the score of ``combination``.
    travel_times : {"ak135", "iasp91", "model", "velocities", "none"}
        Where first arrivals come from: a model of the Earth by TauP; the start model of the project by first arrivals
        of P and S; ``max_velocity`` along the straight line from the source; or no limits at all.
    waves : {"all", "body", "surface", "phases"}
        Take all windows, those of body waves or of surface waves, or those that hold one of ``phases``. A window is of
        surface waves if half of it at least lies where they are expected.
    phases : tuple of str
        Arrivals that are told apart: each window carries those that it holds. ``P`` and ``S`` are the first ones of
        their kind; others (``pP``, ``SS``, ``ScS``) have the names of TauP and need ``ak135`` or ``iasp91``.
    surface_velocity : float
        m/s. Of the first surface waves straight from the source.
    min_velocity : float
        m/s. Windows start before the waves that travel with it straight from the source; not with ``none``. The last
        surface waves.
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

    water_level: Level = 0.07
    max_shift: Level | None = None
    shift_reference: float = 0.0
    max_dlna: Level = 1.3
    dlna_reference: float = 0.0
    min_correlation: Level = 0.7
    min_signal_to_noise: Level = 1.5
    signal_to_noise: Literal["amplitude", "energy"] = "amplitude"
    interior_minima: float = 1.0
    min_length: float = 1.5
    prominence: float = 0.0
    separation_height: float = 4.0
    separation_time: float = 2.5
    curtail_left: float = 2.0
    curtail_right: float = 6.0
    overlaps: Literal["schedule", "combination", "merge"] = "schedule"
    overlap_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    travel_times: Literal["ak135", "iasp91", "model", "velocities", "none"] = "ak135"
    waves: Literal["all", "body", "surface", "phases"] = "all"
    phases: tuple[str, ...] = ("P", "S")
    surface_velocity: float = 4200.0
    min_velocity: float = 3000.0
    max_velocity: float = 8000.0
    max_time_before_arrival: float | None = None
    check_trace: bool = False
    min_trace_energy_ratio: float = 3.5
    min_trace_peak_ratio: float = 3.0

    def __post_init__(self) -> None:
        for name in OPTIONAL:
            if getattr(self, name) is not None and not min(_values(getattr(self, name))) > 0:
                raise InputError(f"{name} = {_told(getattr(self, name))} s: must be positive, or left out")
        for name in POSITIVE:
            if not min(_values(getattr(self, name))) > 0:
                raise InputError(f"{name} = {_told(getattr(self, name))}: must be positive")
        for name in NOT_NEGATIVE:
            if not min(_values(getattr(self, name))) >= 0:
                raise InputError(f"{name} = {_told(getattr(self, name))}: must not be negative")
        if max(_values(self.min_correlation)) > 1:
            raise InputError(f"min_correlation = {_told(self.min_correlation)}: a correlation is at most 1")
        if self.max_velocity <= self.min_velocity:
            raise InputError(
                f"max_velocity = {self.max_velocity} m/s must be above min_velocity = {self.min_velocity} m/s"
            )
        if min(self.overlap_weights) < 0 or sum(self.overlap_weights) == 0:
            raise InputError(
                f"overlap_weights = {list(self.overlap_weights)}: must not be negative, nor all zero"
            )
        self._check_waves()

    def _check_waves(self) -> None:
        """Refuse waves that the travel times do not tell apart."""
        if self.waves != "all" and self.travel_times == "none":
            raise InputError(f"waves = {self.waves}: needs travel times, and travel_times = none")
        if self.waves == "phases" and not self.phases:
            raise InputError("waves = phases: needs names in `phases`, and there is none")
        if self.waves != "all" and self.surface_velocity <= self.min_velocity:
            raise InputError(
                f"surface_velocity = {self.surface_velocity} m/s must be above min_velocity = "
                f"{self.min_velocity} m/s; surface waves pass between the two"
            )
        known = {"velocities": {"P"}, "model": {"P", "S"}}.get(self.travel_times)
        unknown = [name for name in self.phases if known is not None and name not in known | {"P", "S"}]
        if unknown:
            raise InputError(
                f"phases = {list(self.phases)}: {', '.join(unknown)} need travel_times ak135 or iasp91"
            )
        if self.waves == "phases" and known == {"P"} and "P" not in self.phases:
            raise InputError("waves = phases: with travel_times = velocities only P is known")

    def largest_shift(self, shortest_period: float) -> Level:
        """Give ``max_shift`` in s, or what stands for it."""
        return 0.5 * shortest_period if self.max_shift is None else self.max_shift

    def lead(self, shortest_period: float) -> float:
        """Give ``max_time_before_arrival`` in s, or what stands for it."""
        given = self.max_time_before_arrival
        return 1.5 * shortest_period if given is None else given


def _values(level: Level) -> tuple[float, ...]:
    return level.values if isinstance(level, LevelConfig) else (level,)


def _told(level: Level) -> str:
    return str(list(level.values)) if isinstance(level, LevelConfig) else str(level)
