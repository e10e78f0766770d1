"""Whether a recording can be used, and why not, without treating it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seisflow.domain import Event, Station, TimeSpan
from seisflow.signal.config import SignalConfig, TimeAxis
from seisflow.signal.observed import check_channel, described_by, epochs_of, orientation
from seisflow.signal.recordings import Unusable, compared_span, usable_stretch
from seisflow.signal.rotate import station_distances

__all__ = ["unusable"]


def unusable(
    traces: list[Any],
    inventory: Any,
    event: Event,
    station: Station,
    axis: TimeAxis,
    configs: Sequence[SignalConfig],
) -> tuple[str, str]:
    """Say why a channel can be used in no stage.

    Parameters
    ----------
    traces : list of obspy.Trace
        Of one channel.
    inventory : obspy.Inventory
    event : Event
    station : Station
    axis : TimeAxis
    configs : sequence of SignalConfig
        Of the stages.

    Returns
    -------
    str
        ``samples`` or ``metadata``: where the fault lies; empty if the channel can be used.
    str
        The reason, for the first stage.
    """
    from obspy import UTCDateTime

    origin, fault = UTCDateTime(event.time), ("", "")
    distance = float(station_distances(event, (station,))[0])
    needed = TimeSpan(axis.start, axis.end)
    metadata = described_by(inventory, traces[0], origin)
    for config in configs:
        kind = "samples"
        try:
            compared = compared_span(distance, needed, config.band[1])
            recording = usable_stretch(traces, origin, needed, compared, axis.interval, config.band)
            kind = "metadata"
            orientation(recording.channel, metadata)
            check_channel(recording, metadata, config, epochs_of(inventory, traces[0]))
        except Unusable as error:
            fault = fault if fault[0] else (kind, str(error))
        else:
            return "", ""
    return fault
