"""What every stage of the treatment offers: a linear operator along seismograms and its transpose."""

from __future__ import annotations

from typing import Protocol

from seisflow.domain import FloatArray

__all__ = ["Stage"]


class Stage(Protocol):
    """A linear operator on samples of shape (station, component, sample)."""

    def apply(self, data: FloatArray) -> FloatArray:
        """Apply the stage."""
        ...

    def transpose(self, data: FloatArray) -> FloatArray:
        """Apply the exact transpose: sum(apply(x) * y) = sum(x * transpose(y))."""
        ...
