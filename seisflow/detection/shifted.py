"""False alarms of templates: what fits when stations are shifted in time against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seisflow.detection.backprojection import circular_shifts
from seisflow.detection.correlation import cc_channels
from seisflow.detection.matches import Match, MatchConfig, same_place
from seisflow.domain import Continuous, FloatArray, Template

__all__ = ["Shifted", "shift_recordings"]

_AT_ONCE = 256
"""Peaks whose channels are correlated together."""


@dataclass(frozen=True, eq=False)
class Shifted:
    """Recordings whose stations are shifted in time against each other, in a circle.

    Parameters
    ----------
    data : Continuous
    shifts : ndarray of int64 (ns,)
        Samples by which each station is late.
    """

    data: Continuous
    shifts: npt.NDArray[np.int64]

    def seen(self, times: FloatArray, known: FloatArray, within: float) -> npt.NDArray[np.bool_]:
        """Whether a station has a known event at these times of the shifted recordings, (ns, n)."""
        data = self.data
        late = self.shifts[:, None] * data.interval
        original = data.start + (times - data.start - late) % (data.samples * data.interval)
        if not known.size:
            return np.zeros(original.shape, dtype=np.bool_)
        known = np.sort(known)
        right = np.searchsorted(known, original)
        away = np.minimum(
            np.abs(original - known[np.minimum(right, known.size - 1)]),
            np.abs(original - known[np.maximum(right - 1, 0)]),
        )
        result: npt.NDArray[np.bool_] = away <= within
        return result

    def without_known(
        self,
        found: Sequence[Match],
        known: Sequence[Match],
        templates: Sequence[Template],
        alike: FloatArray,
        config: MatchConfig,
        min_live: float,
    ) -> list[Match]:
        """Peaks with the correlation of those stations alone that have no known match there.

        What one station has of a known earthquake, at the time at which the template fits the true recordings, is no
        false alarm: there it is one and the same match at all stations, here it is one at each. So these stations count
        as if they were not live.

        Parameters
        ----------
        found : sequence of Match
            In the shifted recordings.
        known : sequence of Match
            In the true ones.
        templates : sequence of Template
        alike : ndarray (nt, nt)
            Their network correlation.
        config : MatchConfig
        min_live : float
            Share of the weights of a template that must be left; peaks with less are left out.

        Returns
        -------
        list of Match
        """
        places = np.array([[each.x, each.y, each.z] for each in templates]).reshape(-1, 3)
        times = np.array([each.time for each in known])
        numbers = np.array([each.template for each in known], dtype=np.int64)
        rows = {station.id: row for row, station in enumerate(self.data.stations)}
        result: list[Match] = []
        for number in sorted({each.template for each in found}):
            template = templates[number]
            has = [rows.get(station.id, -1) for station in template.stations]
            relevant = times[same_place(numbers, number, places, alike, config)]
            own = [each for each in found if each.template == number]
            for first in range(0, len(own), _AT_ONCE):
                some = own[first : first + _AT_ONCE]
                at = np.array([each.time for each in some])
                hidden = self.seen(at, relevant, config.same_time)[has].T
                result += _rescored(self.data, template, some, hidden, min_live)
        return result

    def share(self, known: Sequence[Match], config: MatchConfig, min_live: float) -> float:
        """Share of the time at which so many stations have no known match that a peak would count."""
        data = self.data
        step = max(0.5 * config.same_time, data.interval)
        times = data.start + np.arange(0.0, data.samples * data.interval, step)
        seen = self.seen(times, np.array([each.time for each in known]), config.same_time)
        return float(np.mean(1 - seen.mean(axis=0) >= min_live))


def shift_recordings(data: Continuous, seed: int, least: float) -> Shifted | None:
    """Shift the stations of recordings in time against each other, in a circle, in place.

    Parameters
    ----------
    data : Continuous
        Changed. What lies before and after all recordings is left out.
    seed : int
    least : float
        s. Any two stations differ by at least this, or as much as the recordings are long enough for.

    Returns
    -------
    Shifted or None
        None where the recordings are too short.
    """
    recorded = np.flatnonzero(data.live.any(axis=(0, 1)))
    stations = len(data.stations)
    if recorded.size < 2 or stations < 2 or recorded[-1] + 1 - recorded[0] < 4 * stations:
        return None
    inside = slice(int(recorded[0]), int(recorded[-1]) + 1)
    part = replace(
        data,
        data=data.data[..., inside],
        live=data.live[..., inside],
        start=data.start + inside.start * data.interval,
    )
    gap = max(1, min(int(np.ceil(least / data.interval)), part.samples // (2 * stations)))
    shifts = circular_shifts(stations, part.samples, gap, seed)
    for station, channel in np.ndindex(part.data.shape[:2]):
        for values in (part.data, part.live):
            values[station, channel] = np.roll(values[station, channel], shifts[station])
    return Shifted(part, shifts)


def _rescored(
    data: Continuous,
    template: Template,
    peaks: Sequence[Match],
    hidden: npt.NDArray[np.bool_],
    min_live: float,
) -> list[Match]:
    """Peaks without the stations that are hidden (n, ns); a mean over fewer channels has a higher threshold."""
    channels = cc_channels(data, template, [each.time for each in peaks], 1)
    weights = template.weights * channels.live[..., 1]
    left = weights * ~hidden[:, :, None]
    total = float(template.weights.sum())
    before, after = weights.sum(axis=(1, 2)) / total, left.sum(axis=(1, 2)) / total
    values = (left * channels.cc[..., 1]).sum(axis=(1, 2))
    return [
        replace(
            each,
            value=float(values[number] / (after[number] * total)),
            threshold=float(each.threshold * np.sqrt(before[number] / after[number])),
        )
        for number, each in enumerate(peaks)
        if after[number] > 0 and after[number] >= min_live
    ]
