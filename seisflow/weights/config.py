"""Settings of weights, and of what is left out because it stands apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from seisflow.errors import InputError

__all__ = ["Distance", "QualityConfig", "WeightConfig"]

Distance = Literal["auto"] | float | None
"""Reference distance in m, ``auto`` by the condition number, or None for no weights."""


@dataclass(frozen=True)
class WeightConfig:
    """What a window counts beside others. All weights are 1 as long as nothing is set.

    Parameters
    ----------
    sources : "auto" or float, optional
        Weights of events for how many others there are nearby: reference distance in m, or ``auto`` by the condition
        number (Ruan et al. 2019).
    receivers : "auto" or float, optional
        As ``sources``, for the stations of each event.
    components : mapping of str to float
        Factor of all windows of a component, such as ``T: 2``; 1 for what is not named.
    phases : mapping of str to float
        Factor of all windows in which a phase passes, as ``P``, or ``body`` or ``surface`` waves; of several that are
        named the first counts. 1 for what is not named.
    balance : bool
        A category (phases, component and band) counts in each event as its factors say, however many windows it has.
        Without it each of its windows does.
    balance_limit : float
        Most that balancing multiplies the windows of a category by: a single window cannot carry the part of a whole
        category. What that takes from it goes to the others.
    signal_to_noise : float, optional
        Windows whose signal to noise is less count less, in proportion.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sources: Distance = None
    receivers: Distance = None
    components: Mapping[str, float] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    balance: bool = False
    balance_limit: float = 3.0
    signal_to_noise: float | None = None

    def __post_init__(self) -> None:
        numbers = {
            "sources": self.sources,
            "receivers": self.receivers,
            "signal_to_noise": self.signal_to_noise,
        }
        numbers |= {f"components.{name}": value for name, value in self.components.items()}
        numbers |= {f"phases.{name}": value for name, value in self.phases.items()}
        for name, value in numbers.items():
            if value is not None and value != "auto" and not (float(value) > 0 and np.isfinite(float(value))):
                raise InputError(f"{name} = {value}: must be positive")
        if not self.balance_limit >= 1:
            raise InputError(f"balance_limit = {self.balance_limit}: must be 1 or more")
        unknown = set(self.components) - set("ZRTEN")
        if unknown:
            raise InputError(f"components: {', '.join(sorted(unknown))} is none of Z, R, T, E, N")


@dataclass(frozen=True)
class QualityConfig:
    """Which windows are left out because they stand apart from all others of their event and band; by default none.

    The distance from the median counts in robust standard deviations, 1.4826 times the median absolute deviation, but
    at least a twentieth of the shortest period for lags, and 0.05 for amplitudes.

    Parameters
    ----------
    max_shift_deviation : float, optional
        Largest distance of a lag from the median of the event.
    max_dlna_deviation : float, optional
        Largest distance of ln(amplitude observed / synthetic) from the median of the event.
    min_windows : int
        Events with fewer windows in a band have no statistics; all are kept.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    max_shift_deviation: float | None = None
    max_dlna_deviation: float | None = None
    min_windows: int = 8

    def __post_init__(self) -> None:
        for name in ("max_shift_deviation", "max_dlna_deviation"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} = {value}: must be positive")
        if self.min_windows < 4:
            raise InputError(f"min_windows = {self.min_windows}: a median needs at least 4")
