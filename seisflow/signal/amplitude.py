"""Largest amplitudes of an earthquake: Wood-Anderson trace, ground velocity, or counts where no response is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from seisflow.domain import Amplitudes, FloatArray, TimeSpan
from seisflow.errors import InputError
from seisflow.fourier import irfft, next_fast_len, rfft, rfftfreq
from seisflow.signal.config import SignalConfig
from seisflow.signal.observed import described_by, epochs_of
from seisflow.signal.recordings import Clipped, Recording, Unusable, channel_groups, cut, usable_stretch
from seisflow.signal.response import faded, ground_motion, prefilter

__all__ = ["AmplitudeConfig", "AmplitudeWindow", "cut_out", "measure_amplitudes", "wood_anderson"]

MAGNIFICATION, PERIOD, DAMPING = 2080.0, 0.8, 0.7
"""Of the Wood-Anderson seismometer (Uhrhammer & Collins 1990; IASPEI 2013)."""

LETTERS = {"1": "N", "2": "E"}
"""Horizontal channels that are not along N, E stand for them: the amplitude hardly depends on it."""

FINER = 4
"""The largest value is looked for on so many times the samples: at 8 Hz, samples of 25 Hz can miss half of it."""


@dataclass(frozen=True)
class AmplitudeConfig:
    """How amplitudes are measured.

    Parameters
    ----------
    quantity : {"wood-anderson", "velocity", "counts"}
        What the amplitude is of; ``counts`` needs no responses.
    components : tuple of str
        Last letters of the channels; 1 and 2 stand for N and E.
    band : tuple of 2 float
        Hz. The gain is 1 from 3/4 of the lowest to the highest, and 0 below half and above twice of them.
    clip_level : float, optional
        Counts at which the digitizer is at its limit. Rows of equal extreme values are found without it.
    water_level : float
        dB below the largest response within the band at which the response is held up.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    quantity: Literal["wood-anderson", "velocity", "counts"] = "wood-anderson"
    components: tuple[str, ...] = ("E", "N")
    band: tuple[float, float] = (0.5, 20.0)
    clip_level: float | None = None
    water_level: float = 60.0

    def __post_init__(self) -> None:
        low, high = self.band
        if not 0 < low < high / 4:
            raise InputError(f"band = {list(self.band)} Hz: the highest must be over four times the lowest")
        if not self.components:
            raise InputError("components is empty: name at least one, such as E")
        if self.clip_level is not None and not self.clip_level > 0:
            raise InputError(f"clip_level = {self.clip_level:g}: must be positive, or left out")

    @property
    def periods(self) -> tuple[float, float]:
        """The band as the pre-filter of responses takes it, which is flat to four times its highest frequency."""
        return 4 / self.band[1], 1 / self.band[0]


@dataclass(frozen=True)
class AmplitudeWindow:
    """Where the amplitude of a station is looked for.

    Parameters
    ----------
    signal : TimeSpan
        s since 1970-01-01 UTC.
    noise : TimeSpan, optional
        Before the event.
    """

    signal: TimeSpan
    noise: TimeSpan | None = None

    def __post_init__(self) -> None:
        for span in (self.signal, self.noise):
            if span is not None and not span.end > span.start:
                raise InputError(
                    f"window from {span.start} s to {span.end} s is empty: its end must follow its start"
                )


def cut_out(stream: Any, start: float, end: float) -> Any:
    """A stretch of recordings, without copying samples; times in s since 1970-01-01 UTC."""
    from obspy import Stream, UTCDateTime

    first, last = UTCDateTime(start), UTCDateTime(end)
    pieces = [
        cut(trace, first, last)
        for trace in stream
        if trace.stats.starttime <= last and trace.stats.endtime >= first
    ]
    return Stream([piece for piece in pieces if piece.stats.npts > 0])


def measure_amplitudes(
    stream: Any, inventory: Any, windows: Mapping[str, AmplitudeWindow], config: AmplitudeConfig
) -> Amplitudes:
    """Measure the largest absolute values of an earthquake at stations.

    Recordings need the longest period of the band before and after their windows, where they fade. Of the instruments
    of a station the preferred one that is neither clipped nor lacking is taken, so that an accelerometer stands in for
    a clipped seismometer. A noise window that was not recorded leaves its noise unknown.

    Parameters
    ----------
    stream : obspy.Stream
        Raw recordings, counts; it is not changed.
    inventory : obspy.Inventory or None
        Responses; None with ``counts`` only.
    windows : mapping of str to AmplitudeWindow
        By ``NET.STA``; the stations of the result, in this order.
    config : AmplitudeConfig

    Returns
    -------
    Amplitudes

    Raises
    ------
    InputError
        If responses are needed and there is no inventory.
    """
    if inventory is None and config.quantity != "counts":
        raise InputError(
            f"quantity = {config.quantity} needs responses and there is no inventory; give one, or set quantity to "
            "counts for relative magnitudes"
        )
    shape = (len(windows), len(config.components))
    values, noise = np.full(shape, np.nan), np.full(shape, np.nan)
    clipped, remarks = np.zeros(shape, dtype=np.bool_), []
    for row, (name, window) in enumerate(windows.items()):
        network, _, code = name.partition(".")
        traces = stream.select(network=network, station=code)
        groups = channel_groups(traces)
        if not groups:
            remarks.append(f"{name}: no recording")
        for group in groups:
            for channel, parts in group.items():
                letter = LETTERS.get(channel[-1], channel[-1])
                if letter not in config.components or np.isfinite(
                    values[row, config.components.index(letter)]
                ):
                    continue
                place = row, config.components.index(letter)
                try:
                    values[place], noise[place] = _channel(parts, inventory, window, config)
                    clipped[place] = False
                except Clipped as problem:
                    clipped[place] = True
                    remarks.append(f"{name}: {problem}")
                except Unusable as problem:
                    remarks.append(f"{name}: {problem}")
    return Amplitudes(
        tuple(windows), config.components, values, noise, clipped, config.quantity, tuple(remarks)
    )


def _channel(
    traces: list[Any], inventory: Any, window: AmplitudeWindow, config: AmplitudeConfig
) -> tuple[float, float]:
    """Amplitude of signal and noise of a channel."""
    if window.noise is not None:
        try:
            return _measured(traces, inventory, window, config)
        except Clipped:
            raise
        except Unusable:  # without its noise the signal may be whole
            pass
    return _measured(traces, inventory, AmplitudeWindow(window.signal), config)


def _measured(
    traces: list[Any], inventory: Any, window: AmplitudeWindow, config: AmplitudeConfig
) -> tuple[float, float]:
    from obspy import UTCDateTime

    origin, margin = window.signal.start, 1 / config.band[0]
    spans = [
        TimeSpan(span.start - origin, span.end - origin)
        for span in (window.signal, window.noise)
        if span is not None
    ]
    needed = TimeSpan(min(s.start for s in spans) - margin, max(s.end for s in spans) + margin)
    time = UTCDateTime(origin)
    recording = usable_stretch(traces, time, needed, needed, float(traces[0].stats.delta), config.periods)
    _check_level(recording, needed, config)
    motion = _motion(recording, traces[0], inventory, (time, margin), config)
    finer = len(motion) / len(recording.samples)
    times = recording.start + recording.interval / finer * np.arange(len(motion))
    largest = [
        float(np.abs(motion[(times >= span.start) & (times <= span.end)]).max(initial=0.0)) for span in spans
    ]
    return largest[0], largest[1] if len(largest) > 1 else float("nan")


def _check_level(recording: Recording, needed: TimeSpan, config: AmplitudeConfig) -> None:
    times = recording.start + recording.interval * np.arange(len(recording.samples))
    top = float(np.abs(recording.samples[(times >= needed.start) & (times <= needed.end)]).max())
    if config.clip_level is not None and top >= config.clip_level:
        raise Clipped(
            f"{recording.channel} is clipped: it reaches {top:g}, the limit is {config.clip_level:g}"
        )


def _motion(
    recording: Recording, trace: Any, inventory: Any, when: tuple[Any, float], config: AmplitudeConfig
) -> FloatArray:
    """The quantity of the configuration on finer samples."""
    time, margin = when
    ramps = margin, margin
    if config.quantity == "counts":
        samples = faded(recording, ramps)
        return _filtered(
            samples, recording.interval, lambda f: prefilter(f, config.periods, 0.5 / recording.interval)
        )
    metadata = described_by(inventory, trace, time)
    if metadata is None or metadata.response is None or not metadata.response.response_stages:
        epochs = epochs_of(inventory, trace)
        what = f" at the time of the event: they describe {epochs}" if epochs and metadata is None else ""
        raise Unusable(f"{recording.channel} has no response in the station metadata{what}")
    quantity: Literal["velocity", "displacement"] = (
        "velocity" if config.quantity == "velocity" else "displacement"
    )
    signal = SignalConfig(
        config.periods, config.periods[0] / 10, quantity=quantity, water_level=config.water_level
    )
    samples = ground_motion(recording, metadata.response, ramps, signal)
    gain = wood_anderson if config.quantity == "wood-anderson" else np.ones_like
    return _filtered(samples, recording.interval, gain)


def _filtered(samples: FloatArray, interval: float, gain: Any) -> FloatArray:
    """Samples times a gain by frequency, interpolated to finer samples."""
    length = int(next_fast_len(2 * len(samples), real=True))
    spectrum = rfft(samples, length) * gain(rfftfreq(length, interval))
    if length % 2 == 0:
        spectrum[-1] *= 0.5
    return np.asarray(FINER * irfft(spectrum, FINER * length)[: FINER * len(samples)])


def wood_anderson(frequencies: FloatArray) -> Any:
    """Give the trace of a Wood-Anderson seismometer over ground displacement (Uhrhammer & Collins 1990).

    Natural period 0.8 s, damping 0.7, magnification 2080.

    Parameters
    ----------
    frequencies : ndarray (n,)
        Hz.

    Returns
    -------
    ndarray of complex (n,)
        No unit.
    """
    angular, natural = 2 * np.pi * frequencies, 2 * np.pi / PERIOD
    return MAGNIFICATION * angular**2 / (angular**2 - natural**2 - 2j * DAMPING * natural * angular)
