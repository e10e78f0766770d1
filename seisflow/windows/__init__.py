"""Window selection: which stretches of the seismograms can be compared."""

from __future__ import annotations

from seisflow.signal.alike import check_not_identical
from seisflow.windows.config import WindowConfig
from seisflow.windows.given import BY_HAND, Pair, carried_over, edited
from seisflow.windows.levels import LevelConfig
from seisflow.windows.select import Selection, select, select_all

__all__ = [
    "BY_HAND",
    "LevelConfig",
    "Pair",
    "Selection",
    "WindowConfig",
    "carried_over",
    "check_not_identical",
    "edited",
    "select",
    "select_all",
]
