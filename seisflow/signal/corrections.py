"""Put right what is known to be wrong with recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["Correction", "corrected"]


class Correction(Protocol):
    """What is wrong with a station: channels (last letters) of wrong polarity, a clock that is late, a gain."""

    @property
    def reversed(self) -> tuple[str, ...]:
        """Last letters of channel codes."""
        ...

    @property
    def late(self) -> float:
        """In s."""
        ...

    @property
    def gain(self) -> float:
        """By which samples are divided."""
        ...


def corrected(stream: Any, corrections: Mapping[str, Correction]) -> Any:
    """Correct recordings; the stream itself is not changed.

    Parameters
    ----------
    stream : obspy.Stream
    corrections : mapping of str to Correction
        By ``NET.STA``.

    Returns
    -------
    obspy.Stream
    """
    from obspy import Stream

    found = Stream()
    for trace in stream:
        what = corrections.get(f"{trace.stats.network}.{trace.stats.station}")
        if what is not None:
            trace = trace.copy()
            trace.stats.starttime -= what.late
            sign = -1.0 if trace.stats.channel[-1:] in what.reversed else 1.0
            if sign / what.gain != 1.0:
                trace.data = trace.data * (sign / what.gain)
        found.append(trace)
    return found
