"""Matched filter: templates against continuous recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.domain import Continuous, FloatArray, Template
from seisflow.errors import InputError
from seisflow.native.cuda_matched_filter import CudaFilter, DeviceCorrelations
from seisflow.native.device import Device, DeviceMemoryError
from seisflow.native.matched_filter import FilterBank, LiveShare, matched_filter, memory

__all__ = [
    "Batch",
    "ChannelCorrelations",
    "LiveShare",
    "MatchedFilterConfig",
    "Search",
    "cc_channels",
    "correlate",
    "time_reversed",
]

IntegerArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MatchedFilterConfig:
    """How templates are correlated with recordings.

    Parameters
    ----------
    min_live : float
        Share of the weights of a template that must be live; where less is, the correlation is 0.
    memory : float
        GB that a batch of templates may take, its correlations included, the recordings not.
    batch : int
        Most templates in a batch.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    min_live: float = 0.5
    memory: float = 1.0
    batch: int = 128

    def __post_init__(self) -> None:
        if not 0 <= self.min_live <= 1:
            raise InputError(f"min_live = {self.min_live}: must be 0 to 1")
        if not self.memory > 0:
            raise InputError(f"memory = {self.memory} GB: must be positive")
        if self.batch < 1:
            raise InputError(f"batch = {self.batch}: must be at least 1")


@dataclass(frozen=True, eq=False)
class Batch:
    """Correlations of some templates with all recordings.

    Parameters
    ----------
    numbers : tuple of int
        Which templates of those that were given.
    cc : ndarray of float32 (nb, nt)
        Mean correlation per origin time, -1 to 1; sample i is the origin time ``start + i * interval`` of the
        recordings.
    live : tuple of LiveShare
        Share of the weights that was live, per template.
    """

    numbers: tuple[int, ...]
    cc: FloatArray
    live: tuple[LiveShare, ...]


@dataclass(frozen=True, eq=False)
class Search:
    """A matched filter that is ready to run: iterate over it.

    Parameters
    ----------
    data : Continuous
    templates : tuple of Template
        All that were given.
    used : tuple of tuple of int
        Numbers of the templates of every batch.
    refused : dict of int to str
        Why templates cannot be used, by number.
    config : MatchedFilterConfig
    threads : int
    """

    data: Continuous
    templates: tuple[Template, ...]
    used: tuple[tuple[int, ...], ...]
    refused: dict[int, str]
    config: MatchedFilterConfig
    threads: int

    def _flat(self) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        shape = (-1, self.data.samples)
        data = np.ascontiguousarray(self.data.data, dtype=np.float32).reshape(shape)
        return data, np.ascontiguousarray(self.data.live).reshape(shape)

    def uploaded(self, device: Device, there: tuple[Any, Any] | None = None) -> CudaFilter:
        """The recordings on a GPU, for ``on_device``.

        Parameters
        ----------
        device : Device
        there : tuple of 2 arrays of the device, optional
            Recordings and where they are live, if they lie there already.
        """
        return CudaFilter(device, *self._flat(), there)

    def on_device(self, run: CudaFilter) -> Iterator[tuple[tuple[int, ...], DeviceCorrelations]]:
        """Numbers of templates and their correlations on a GPU, in batches as large as its memory allows.

        Take what is needed of one batch before the next: its memory is used again.

        Parameters
        ----------
        run : CudaFilter
            Of ``uploaded``; that of another search of the same recordings will do.

        Raises
        ------
        DeviceMemoryError
            If not even one template fits beside the recordings.
        """
        numbers = [number for some in self.used for number in some]
        if not numbers:
            return
        channels = _Channels(self.data)
        longest = max(int(self.templates[number].lengths.max()) for number in numbers)
        size = run.fits((len(numbers), len(channels.number), longest))
        first = 0
        while first < len(numbers):
            some = tuple(numbers[first : first + size])
            try:
                found = run.correlate(
                    channels.bank([self.templates[n] for n in some]), min_live=self.config.min_live
                )
            except DeviceMemoryError:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            yield some, found
            first += len(some)

    def __iter__(self) -> Iterator[Batch]:
        channels = _Channels(self.data)
        data, live = self._flat()
        for numbers in self.used:
            bank = channels.bank([self.templates[number] for number in numbers])
            found = matched_filter(data, live, bank, min_live=self.config.min_live, threads=self.threads)
            yield Batch(numbers, found.cc, found.live)


class _Channels:
    """Channels of recordings, found by station and component."""

    def __init__(self, data: Continuous) -> None:
        names = [(s.id, c) for s in data.stations for c in data.components]
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise InputError(f"the recordings hold the channel {' '.join(double)} twice; keep one")
        self.number = {name: i for i, name in enumerate(names)}
        self.interval, self.samples = data.interval, data.samples

    def on(self, template: Template) -> tuple[IntegerArray, IntegerArray, IntegerArray]:
        """Station, component (numbers in the template) and channel of all channels that both have."""
        found = [
            (s, c, self.number[name])
            for (s, c), name in zip(
                np.argwhere(template.weights > 0).tolist(), template.channels, strict=True
            )
            if name in self.number
        ]
        columns = np.array(found, dtype=np.int64).reshape(-1, 3)
        return columns[:, 0], columns[:, 1], columns[:, 2]

    def refusal(self, template: Template) -> str | None:
        """Why a template cannot be used, or None."""
        if not np.isclose(template.interval, self.interval, rtol=1e-6, atol=0):
            return f"its sampling interval is {template.interval} s, that of the recordings {self.interval} s"
        stations, components, _ = self.on(template)
        if stations.size == 0:
            return "the recordings have none of its channels"
        longest = int(template.lengths[stations, components].max())
        if longest > self.samples:
            return f"its longest window has {longest} samples, the recordings {self.samples}"
        return None

    def bank(self, templates: Sequence[Template]) -> FilterBank:
        """Templates on the channels of the recordings."""
        places = [self.on(template) for template in templates]
        longest = max(int(t.lengths[s, c].max()) for t, (s, c, _) in zip(templates, places, strict=True))
        shape = (len(templates), len(self.number))
        waveforms = np.zeros((*shape, longest), dtype=np.float32)
        lengths, moveouts = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        weights = np.zeros(shape)
        for i, (template, (s, c, at)) in enumerate(zip(templates, places, strict=True)):
            width = min(longest, template.waveforms.shape[2])
            waveforms[i, at, :width] = template.waveforms[s, c, :width]
            lengths[i, at] = template.lengths[s, c]
            moveouts[i, at] = in_samples(template.moveouts[s, c], self.interval)
            weights[i, at] = template.weights[s, c]
        totals = np.array([float(t.weights.sum()) for t in templates])
        return FilterBank(waveforms, lengths, moveouts, weights, totals)

    def span(self, template: Template) -> int:
        """Difference of the largest and the smallest moveout, in samples."""
        stations, components, _ = self.on(template)
        moveouts = in_samples(template.moveouts[stations, components], self.interval)
        return int(moveouts.max() - min(0, int(moveouts.min())))


def in_samples(seconds: FloatArray, interval: float) -> IntegerArray:
    """Round times to samples."""
    return np.rint(np.asarray(seconds, dtype=np.float64) / interval).astype(np.int64)


def _batch_size(
    channels: _Channels, templates: Sequence[Template], config: MatchedFilterConfig, threads: int
) -> int:
    """Most templates that the memory allows, a multiple of two where possible: they are worked on in pairs."""
    number = len({name for template in templates for name in template.channels if name in channels.number})
    longest = max(int(template.lengths.max()) for template in templates)
    span = min(max(channels.span(template) for template in templates), 2 * channels.samples)
    room, size = config.memory * 1e9, min(config.batch, len(templates))
    while size > 1 and memory((size, number, longest), channels.samples, span, threads) > room:
        size = size // 2 if size > 16 else size - 1
    return size - size % 2 if 1 < size < len(templates) else size


def correlate(
    data: Continuous,
    templates: Sequence[Template],
    config: MatchedFilterConfig | None = None,
    threads: int = 1,
) -> Search:
    """Prepare the matched filter of templates with recordings; iterate over what it returns, batch by batch.

    The mean correlation is that of ``seisflow.native.matched_filter``: each channel fully normalised, weighted,
    divided by the weights that are live. Moveouts are rounded to samples. Channels are matched by station and
    component; a channel of a template that the recordings lack counts as not live.

    Parameters
    ----------
    data : Continuous
    templates : sequence of Template
    config : MatchedFilterConfig, optional
    threads : int

    Returns
    -------
    Search
        Iterable of ``Batch``; ``refused`` lists the templates that cannot be used, and why.

    Examples
    --------
    >>> search = correlate(data, templates)             # doctest: +SKIP
    >>> for batch in search:                            # doctest: +SKIP
    ...     for number, cc in zip(batch.numbers, batch.cc):
    ...         print(templates[number].id, cc.max())
    """
    config = config or MatchedFilterConfig()
    channels = _Channels(data)
    reasons = {number: channels.refusal(template) for number, template in enumerate(templates)}
    refused = {number: reason for number, reason in reasons.items() if reason is not None}
    good = [number for number, reason in reasons.items() if reason is None]
    batches: list[tuple[int, ...]] = []
    if good:
        size = _batch_size(channels, [templates[number] for number in good], config, threads)
        batches = [tuple(good[first : first + size]) for first in range(0, len(good), size)]
    return Search(data, tuple(templates), tuple(batches), refused, config, threads)


@dataclass(frozen=True, eq=False)
class ChannelCorrelations:
    """Correlation of single channels around given times, for picks and for relocation.

    Parameters
    ----------
    cc : ndarray of float32 (n, ns, nc, 2 lags + 1)
        Correlation coefficient per time, channel of the template, and lag; 0 where not live.
    live : ndarray of bool (n, ns, nc, 2 lags + 1)
        Whether the whole window was live.
    starts : ndarray of float64 (n, ns, nc)
        Start of the window at lag 0, s since 1970-01-01 UTC; on a sample of the recordings.
    shift : ndarray of float64 (n, ns, nc)
        Lag of the largest correlation, by a parabola through it and its neighbours, s; NaN where nothing is live or
        the largest is at an end of the lags.
    peak : ndarray of float64 (n, ns, nc)
        Height of that parabola; NaN likewise.
    """

    cc: FloatArray
    live: npt.NDArray[np.bool_]
    starts: FloatArray
    shift: FloatArray
    peak: FloatArray


def _windows(
    data: Continuous, where: tuple[int, int], first: IntegerArray, count: int
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Samples ``first ... first + count`` of a channel (n, count), and which of them are live."""
    samples = first[:, None] + np.arange(count)
    inside = (samples >= 0) & (samples < data.samples)
    samples = np.clip(samples, 0, data.samples - 1)
    live = inside & data.live[where][samples]
    return np.where(live, data.data[where][samples], 0).astype(np.float64), live


def _correlations(values: FloatArray, waveform: FloatArray) -> FloatArray:
    """Correlation coefficients of a waveform at all places in rows of values (n, lags): float64."""
    windows = np.lib.stride_tricks.sliding_window_view(values, waveform.size, axis=1)
    windows = windows - windows[..., :1]
    windows -= windows.mean(axis=-1, keepdims=True)
    largest = np.abs(windows).max(axis=-1, keepdims=True)
    windows /= np.where(largest > 0, largest, 1)  # so that squares of small ground motion are not lost
    shape = waveform.astype(np.float64) - waveform[0]
    shape -= shape.mean()
    shape /= np.abs(shape).max()
    norms = np.sqrt(np.einsum("nlk,nlk->nl", windows, windows) * (shape @ shape))
    result: FloatArray = (windows @ shape) / np.where(norms > 0, norms, 1)
    return result


def _parabola(cc: FloatArray, live: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Place in lags and height of the largest correlation along the last axis, NaN where it has no neighbours."""
    best = np.argmax(np.where(live, cc, -np.inf), axis=-1)
    inner = np.clip(best, 1, cc.shape[-1] - 2)[..., None]
    left, top, right = (np.take_along_axis(cc, inner + d, -1)[..., 0] for d in (-1, 0, 1))
    good = (best == inner[..., 0]) & np.all(
        [np.take_along_axis(live, inner + d, -1)[..., 0] for d in (-1, 0, 1)], 0
    )
    bend = left - 2 * top + right
    good &= bend < 0
    offset = 0.5 * (left - right) / np.where(good, bend, 1)
    place = np.where(good, best + offset, np.nan)
    return place, np.where(good, top - 0.25 * (left - right) * offset, np.nan)


def cc_channels(
    data: Continuous, template: Template, times: npt.ArrayLike, lags: int = 10
) -> ChannelCorrelations:
    """Correlate every channel of a template by itself around given origin times.

    Parameters
    ----------
    data : Continuous
    template : Template
    times : array_like (n,)
        Origin times, s since 1970-01-01 UTC; rounded to samples.
    lags : int
        Samples to each side of the moveout; at least 1.

    Returns
    -------
    ChannelCorrelations

    Raises
    ------
    InputError
        If there are no lags, or the template does not fit the recordings.
    """
    if lags < 1:
        raise InputError(f"lags = {lags}: at least 1 sample to each side is needed")
    channels = _Channels(data)
    reason = channels.refusal(template)
    if reason is not None:
        raise InputError(f"template {template.id} cannot be used: {reason}")
    origins = in_samples(np.asarray(times, dtype=np.float64) - data.start, data.interval)
    shape = (origins.size, *template.weights.shape)
    cc = np.zeros((*shape, 2 * lags + 1))
    live = np.zeros(cc.shape, dtype=bool)
    moveouts = in_samples(np.where(template.weights > 0, template.moveouts, 0), data.interval)
    starts = data.start + (origins[:, None, None] + moveouts) * data.interval
    for s, c, number in zip(*channels.on(template), strict=True):
        length = int(template.lengths[s, c])
        where = (int(number) // len(data.components), int(number) % len(data.components))
        values, alive = _windows(data, where, origins + moveouts[s, c] - lags, length + 2 * lags)
        whole = np.lib.stride_tricks.sliding_window_view(alive, length, axis=1).all(axis=-1)
        live[:, s, c] = whole
        cc[:, s, c] = np.where(whole, _correlations(values, template.waveforms[s, c, :length]), 0)
    place, peak = _parabola(cc, live)
    return ChannelCorrelations(cc.astype(np.float32), live, starts, (place - lags) * data.interval, peak)


def time_reversed(template: Template) -> Template:
    """Reverse every waveform in time: a template of the same spectra and moveouts that no event resembles.

    What it detects are false alarms.
    """
    waveforms = template.waveforms.copy()
    for s, c in np.argwhere(template.weights > 0):
        length = int(template.lengths[s, c])
        waveforms[s, c, :length] = waveforms[s, c, :length][::-1]
    return replace(template, id=f"{template.id}-reversed", waveforms=waveforms)
