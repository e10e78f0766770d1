"""Short cut-outs of continuous recordings as ground motion."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from seisflow.signal import response
from seisflow.signal.config import SignalConfig
from seisflow.signal.observed import described_by
from seisflow.signal.recordings import Recording, Unusable

__all__ = ["ground_motion"]


def ground_motion(
    stream: Any,
    inventory: Any,
    band: tuple[float, float],
    quantity: Literal["displacement", "velocity", "acceleration"] = "velocity",
    *,
    taper: float = 0.05,
    water_level: float = 60.0,
) -> tuple[Any, list[str]]:
    """Divide short cut-outs by their instrument responses, for amplitudes; detection works on counts.

    The line is taken off, the ends fade, and a pre-filter of zero phase keeps three quarters of the lowest to four
    times the highest frequency whole.

    Parameters
    ----------
    stream : obspy.Stream
        In counts, without gaps; is left as it is.
    inventory : obspy.Inventory
    band : tuple of 2 float
        Lowest and highest frequency of interest, Hz.
    quantity : {"displacement", "velocity", "acceleration"}
    taper : float
        Fraction of the cut-out that fades at each end, 0 to 0.5.
    water_level : float
        dB below the largest response at which it is held up.

    Returns
    -------
    obspy.Stream
        float64 in m, m/s or m/s^2, along the channels, same times; only those that have a response.
    list of str
        One sentence for each trace that was left out.

    Raises
    ------
    InputError
        If the settings cannot be used.
    """
    from obspy import Stream

    motion, problems = Stream(), []
    for trace in stream:
        stats = trace.stats
        try:
            if np.ma.isMaskedArray(trace.data) or not np.isfinite(trace.data).all() or stats.npts < 2:
                raise Unusable(f"{stats.channel} has gaps or samples that are no numbers")
            if band[1] >= 0.5 * stats.sampling_rate:
                raise Unusable(
                    f"{stats.channel} is sampled at {stats.sampling_rate:g} Hz, too coarse for {band[1]:g} Hz"
                )
            metadata = described_by(inventory, trace, stats.starttime)
            if metadata is None or metadata.response is None or not metadata.response.response_stages:
                raise Unusable(f"{stats.channel} has no response in the station metadata")
            periods = 1 / band[1], 1 / band[0]
            config = SignalConfig(
                periods, float(stats.delta), quantity, taper=taper, water_level=water_level, rotate=False
            )
            samples = np.asarray(trace.data, dtype=np.float64)
            recording = Recording(stats.channel, stats.location, samples, 0.0, float(stats.delta))
            ramp = taper * stats.npts * float(stats.delta)
            result = trace.copy()
            result.data = response.ground_motion(recording, metadata.response, (ramp, ramp), config)
            motion.append(result)
        except Unusable as problem:
            problems.append(f"{stats.network}.{stats.station}: {stats.location}.{problem}; it was left out")
    return motion, problems
