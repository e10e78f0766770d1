"""Simulated seismograms in the place of recordings: the same channels and times, with noise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from seisflow.domain import Event, FloatArray, Gather, Station
from seisflow.errors import InputError
from seisflow.signal.bandpass import BandPass
from seisflow.signal.config import SignalConfig, TimeAxis
from seisflow.signal.examine import unusable
from seisflow.signal.observed import described_by, orientation
from seisflow.signal.resample import CUTOFF, LOBES, Resample

__all__ = ["Replay"]


@dataclass(frozen=True)
class Replay:
    """Which seismograms stand for the recordings of an event.

    Parameters
    ----------
    axis : TimeAxis
        The times that are compared.
    signals : tuple of SignalConfig
        Of the stages; what none of them can use is left out.
    noise : float
        Standard deviation of the noise over the median peak of the traces of an event, both within the band.
    seed : int
        Of the noise; each event has its own, whatever the order in which they are made.
    """

    axis: TimeAxis
    signals: tuple[SignalConfig, ...]
    noise: float
    seed: int

    @property
    def band(self) -> tuple[float, float]:
        """Shortest and longest period of all stages, s."""
        bands = [signal.band for signal in self.signals]
        return min(band[0] for band in bands), max(band[1] for band in bands)

    @property
    def interval(self) -> float:
        """Sampling interval in s: half of what is compared, and at most a twentieth of the shortest period.

        So the anti-alias filter of the comparison is the same as for synthetics.
        """
        return 0.5 * min(self.axis.interval, self.band[0] / 10)

    @property
    def span(self) -> tuple[int, int]:
        """First and last sample, counted from the origin time: what is compared, and what its filter reaches."""
        reach = LOBES / CUTOFF * self.axis.interval
        first = np.ceil((self.axis.start - reach) / self.interval)
        return int(first), int(np.floor((self.axis.end + reach) / self.interval))

    @property
    def end(self) -> float:
        """Last time that must be simulated, s after the origin time."""
        return self.span[1] * self.interval

    def channels(
        self, stream: Any, inventory: Any, event: Event, stations: tuple[Station, ...]
    ) -> dict[str, list[Any]]:
        """Find the channels that some stage can use; gaps and late starts stay as they are.

        Parameters
        ----------
        stream : obspy.Stream
        inventory : obspy.Inventory
        event : Event
        stations : tuple of Station

        Returns
        -------
        dict
            Traces by ``NET.STA.LOC.CHA``, sorted.
        """
        known = {station.id: station for station in stations}
        found: dict[str, list[Any]] = {}
        for identity, group in groupby(sorted(stream, key=lambda trace: trace.id), lambda trace: trace.id):
            traces = list(group)
            station = known.get(".".join(identity.split(".")[:2]))
            if station is None:
                continue
            fault, _ = unusable(traces, inventory, event, station, self.axis, self.signals)
            if not fault:
                found[identity] = traces
        return found

    def traces(self, channels: dict[str, list[Any]], inventory: Any, event: Event, gather: Gather) -> Any:
        """Put simulated ground motion in the place of recordings.

        Parameters
        ----------
        channels : dict
            By ``channels``.
        inventory : obspy.Inventory
            Says which way the channels look.
        event : Event
        gather : Gather
            E, N, Z velocity of all these stations until ``end``.

        Returns
        -------
        obspy.Stream
            Velocity in m/s, float32.

        Raises
        ------
        InputError
            If the seismograms end too early.
        """
        from obspy import UTCDateTime

        first, last = self.span
        if gather.end < self.end - self.interval:
            raise InputError(
                f"seismograms of event {event.id} end at {gather.end:g} s, {self.end:g} s are needed"
            )
        axis = TimeAxis(first * self.interval, self.interval, last - first + 1)
        ground = Resample(TimeAxis.of(gather), axis).apply(np.asarray(gather.data, dtype=np.float64))
        rows = []
        for identity, traces in channels.items():
            trace = traces[0]
            metadata = described_by(inventory, trace, UTCDateTime(event.time))
            direction = orientation(trace.stats.channel, metadata)
            rows.append(direction @ ground[gather.station_number(".".join(identity.split(".")[:2]))])
        motion = np.array(rows) + self._noise(np.array(rows), event)
        return self._cut(channels, motion, event)

    def _noise(self, motion: FloatArray, event: Event) -> FloatArray:
        """White noise within the band, the same level on all traces."""
        samples, pad = motion.shape[1], int(np.ceil(2 * self.band[1] / self.interval))
        corners = self.signals[0].corners
        within = BandPass(samples, self.interval, self.band, corners).apply(motion)
        level = self.noise * float(np.median(np.abs(within).max(axis=1)))
        rng = np.random.default_rng([self.seed, *event.id.encode()])
        white = rng.standard_normal((motion.shape[0], samples + 2 * pad))
        coloured = BandPass(samples + 2 * pad, self.interval, self.band, corners).apply(white)
        coloured = coloured[:, pad : pad + samples]
        return np.asarray(level * coloured / coloured.std())

    def _cut(self, channels: dict[str, list[Any]], motion: FloatArray, event: Event) -> Any:
        """The samples of the times at which each channel was recorded."""
        from obspy import Stream, Trace, UTCDateTime

        origin, stream = UTCDateTime(event.time), Stream()
        for traces, samples in zip(channels.values(), motion, strict=True):
            stats = traces[0].stats
            for start, stop in self._pieces(traces, origin):
                header = {
                    "network": stats.network,
                    "station": stats.station,
                    "location": stats.location,
                    "channel": stats.channel,
                    "starttime": origin + start * self.interval,
                    "delta": self.interval,
                }
                first = start - self.span[0]
                cut = samples[first : first + stop - start]
                stream.append(Trace(np.ascontiguousarray(cut, dtype=np.float32), header))
        return stream

    def _pieces(self, traces: list[Any], origin: Any) -> list[tuple[int, int]]:
        """Sample numbers (first, one after the last) of each stretch that was recorded without a gap."""
        first, last = self.span
        found: list[tuple[int, int]] = []
        for trace in sorted(traces, key=lambda trace: trace.stats.starttime.ns):
            start = int(np.ceil(float(trace.stats.starttime - origin) / self.interval - 1e-6))
            stop = int(np.floor(float(trace.stats.endtime - origin) / self.interval + 1e-6)) + 1
            start, stop = max(start, first), min(stop, last + 1)
            if found and start <= found[-1][1]:
                found[-1] = (found[-1][0], max(stop, found[-1][1]))
            elif stop - start > 1:
                found.append((start, stop))
        return found

    def silence(self, stream: Any) -> Any:
        """Make dead traces of recordings that cannot be used, so that their event stays in the project.

        Parameters
        ----------
        stream : obspy.Stream

        Returns
        -------
        obspy.Stream
            Zeros, one trace a channel.
        """
        from obspy import Stream, Trace

        silent = {}
        for trace in sorted(stream, key=lambda trace: (trace.id, trace.stats.starttime.ns)):
            header = {
                name: trace.stats[name] for name in ("network", "station", "location", "channel", "starttime")
            }
            silent[trace.id] = Trace(np.zeros(2, np.float32), {**header, "delta": self.interval})
        return Stream([silent[name] for name in sorted(silent)])
