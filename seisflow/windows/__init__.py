"""Window selection: which stretches of the seismograms can be compared."""

from __future__ import annotations

from seisflow.signal.alike import check_not_identical
from seisflow.windows.config import WindowConfig
from seisflow.windows.select import select

__all__ = ["WindowConfig", "check_not_identical", "select"]
