"""How a whole trace compares with its synthetic."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TraceFit"]


@dataclass(frozen=True)
class TraceFit:
    """Cross-correlation of a whole observed trace with its synthetic, of either sign.

    Parameters
    ----------
    station : str
        ``NET.STA``.
    component : str
        E, N or Z: wrong polarities are of channels.
    band : int
        Number of the band in the stage, from 0.
    correlation : float
        The largest normalised correlation within one longest period.
    shift : float
        Its lag in s, positive where the observed comes late.
    opposite : float
        The largest correlation of the reversed observed trace.
    opposite_shift : float
        Its lag in s.
    dlna : float
        0.5 ln(energy observed / energy synthetic).
    """

    station: str
    component: str
    band: int
    correlation: float
    shift: float
    opposite: float
    opposite_shift: float
    dlna: float

    @property
    def reversed(self) -> bool:
        """Whether the reversed trace fits better."""
        return self.opposite > self.correlation

    @property
    def best(self) -> float:
        """Correlation of the better sign."""
        return max(self.correlation, self.opposite)

    @property
    def lag(self) -> float:
        """Lag of the better sign in s."""
        return self.opposite_shift if self.reversed else self.shift
