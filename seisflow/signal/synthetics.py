"""Synthetic seismograms as if they had been recorded continuously."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from seisflow.domain import Continuous, Gather, Station
from seisflow.signal.continuous import prepare
from seisflow.signal.continuous_config import ContinuousConfig

__all__ = ["as_recordings"]


def as_recordings(
    gather: Gather, origin_time: float, stations: Sequence[Station], config: ContinuousConfig
) -> Continuous:
    """Bring synthetics to the interval and band of recordings; the largest amplitude becomes 1.

    Parameters
    ----------
    gather : Gather
        On E, N and Z; begins and ends at rest.
    origin_time : float
        Of the event, s since 1970-01-01 UTC.
    stations : sequence of Station
        Those of the result; others are left out.
    config : ContinuousConfig
        That of the recordings; still stretches, which no recording has, are kept.

    Returns
    -------
    Continuous
        Live all the time at stations of the gather.
    """
    from obspy import Stream, Trace, UTCDateTime

    # zeros around, so that the filter settles
    pad = int(np.ceil(2 * config.margin / gather.interval)) + 1
    scale = float(np.abs(gather.data).max()) or 1.0
    start = origin_time + gather.start - pad * gather.interval
    names = {(each.network, each.code) for each in stations}
    stream: Any = Stream()
    for row, station in enumerate(gather.stations):
        if (station.network, station.code) not in names:
            continue
        for column, component in enumerate(gather.components):
            header = {
                "network": station.network, "station": station.code, "channel": f"HH{component}",
                "delta": gather.interval, "starttime": UTCDateTime(ns=round(start * 1e9)),
            }  # fmt: skip
            trace = np.pad(np.asarray(gather.data[row, column], dtype=np.float64) / scale, (pad, pad))
            stream.append(Trace(trace, header))
    length = (gather.samples + 2 * pad) * gather.interval
    first = float(np.ceil((start + config.margin) / config.interval) * config.interval)
    still = replace(config, flat=10 * length, min_stretch=0.5 * gather.interval)
    data, _ = prepare(stream, stations, still, first, start + length - config.margin)
    return data
