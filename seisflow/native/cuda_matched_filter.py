"""Matched filter on a GPU: correlations that stay there, thresholds and peaks; only peaks come back.

How it is computed is said in ``kernels/cuda/matched_filter.cu``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError
from seisflow.native.device import Device, DeviceMemoryError, options, struct_type
from seisflow.native.matched_filter import (
    CONTRAST,
    FilterBank,
    FilterResult,
    FilterRows,
    LiveStretches,
    check_data,
    divide_by_share,
    not_finite,
    total_weights,
    transform_size,
    useless_waveform,
)

__all__ = ["CudaFilter", "DeviceCorrelations", "DevicePeaks", "Levels", "TRANSFORM_FROM"]

TRANSFORM_FROM = 400
"""Samples of a window from which on Fourier transforms are faster than products (an estimate)."""
_LAGS, _SPAN, _THREADS = 16, 4096, 256
_MOST_Y = 65535
_NONE = np.iinfo(np.int32).max
_WORK = struct_type(
    [
        *((name, "i") for name in ["samples", "windows", "templates", "rows", "channels", "length", "stored"]),
        *((name, "i") for name in ["block", "step", "blocks", "first"]),
        ("contrast", "d"),
        *((name, "p") for name in ["data", "live", "row_channel", "row_length", "entry", "moveout", "weight"]),
        *((name, "p") for name in ["waveform", "shape", "mean", "factor", "energy", "inverse", "sums", "out"]),
        *((name, "p") for name in ["wrong", "flagged"]),
        *((name, "n") for name in ["row", "broken"]),
    ]
)  # fmt: skip
_PEAKS = struct_type(
    [
        *((name, "i") for name in ["samples", "templates", "most", "window", "hop", "stride", "windows", "room"]),
        *((name, "p") for name in ["count", "start", "share", "factor", "out", "median", "deviation", "alive"]),
        *((name, "p") for name in ["levels", "centre", "level", "lowest", "place", "found", "peaks"]),
        *((name, "f") for name in ["least", "part"]),
    ]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Levels:
    """Median and median absolute deviation of correlations in windows.

    Parameters
    ----------
    centres : ndarray of float64 (nw,)
        Of the windows, in samples of every stride-th.
    alive : ndarray of int32 (nt, nw)
        Samples of a window that count.
    medians, deviations : ndarray of float32 (nt, nw)
    window, stride : int
    """

    centres: FloatArray
    alive: npt.NDArray[np.int32]
    medians: FloatArray
    deviations: FloatArray
    window: int
    stride: int


@dataclass(frozen=True, eq=False)
class DevicePeaks:
    """Local maxima above a threshold, in the order of templates and samples.

    Parameters
    ----------
    templates, samples : ndarray of int64 (n,)
    values, limits : ndarray of float32 (n,)
    before, after : ndarray of float32 (n,)
        Values beside them.
    """

    templates: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int64]
    values: FloatArray
    limits: FloatArray
    before: FloatArray
    after: FloatArray


class CudaFilter:
    """Recordings on a GPU, ready for any templates: one upload.

    Parameters
    ----------
    device : Device
    data : ndarray of float32 (nch, n)
        What is not live may be anything.
    live : ndarray of bool (nch, n)
    there : tuple of 2 arrays of the device, optional
        The same, float32 and uint8, if they are there already; they are left as they are.

    Raises
    ------
    InputError
        If live samples are not finite.
    DeviceMemoryError
        If they do not fit into the memory of the GPU.
    """

    def __init__(
        self,
        device: Device,
        data: FloatArray,
        live: npt.NDArray[np.bool_],
        there: tuple[Any, Any] | None = None,
    ) -> None:
        self.device, self.shape, self.alive = device, data.shape, np.ascontiguousarray(live)
        self._host = data
        with device.short():
            self._prepare(data, there)

    def _prepare(self, data: FloatArray, there: tuple[Any, Any] | None) -> None:
        """Recordings on the device, zero where dead, scaled by powers of two."""
        device, xp = self.device, self.device.xp
        if there is None:
            raw = device.upload(np.ascontiguousarray(data, dtype=np.float32))
            self._live = device.upload(self.alive.view(np.uint8))
        else:
            raw = device.empty(data.shape, np.float32)
            raw[...] = there[0].reshape(data.shape)
            self._live = there[1].reshape(data.shape)
        dead = self._live == 0
        if not bool(xp.all(xp.isfinite(raw) | dead)):
            raise not_finite()
        raw[dead] = 0
        largest = device.download(xp.abs(raw).max(axis=1)).astype(np.float64)
        _, power = np.frexp(
            largest
        )  # correlations do not depend on the scale; squares of small numbers would
        raw *= device.upload(np.ldexp(1.0, np.clip(-power, -126, 126)).astype(np.float32))[:, None]
        self._data = raw

    def fits(self, shape: tuple[int, int, int]) -> int:
        """Templates (of so many templates, channels, samples) that the free memory holds at once, at least 1."""
        templates, channels, length = shape
        samples = self.shape[1]
        fixed = 2 * channels * samples * 4
        each = samples * 4 + 2 * channels * length * 4
        if length > TRANSFORM_FROM:
            fixed += _spectra_bytes(samples, length)
        return max(1, min(templates, int((0.8 * self.device.free_bytes() - fixed) / each), _MOST_Y))

    def correlate(self, bank: FilterBank, *, min_live: float = 0.5) -> DeviceCorrelations:
        """Correlate templates with the recordings; see ``seisflow.native.matched_filter.matched_filter``.

        Raises
        ------
        InputError
            If shapes do not fit, or a template is constant on a channel.
        DeviceMemoryError
            If the memory does not suffice: take fewer templates at a time (``fits``).
        """
        check_data(self._host, self.alive, bank, min_live)
        rows = FilterRows.of(bank)
        with self.device.short():
            run = _Run(self.device, (self._data, self._live), bank, rows)
            out = run.correlations()
            stretches = divide_by_share(None, self.alive, bank, rows, min_live, 1)
            return DeviceCorrelations(self.device, out, stretches, run.flagged)

    def result(self, bank: FilterBank, *, min_live: float = 0.5) -> FilterResult:
        """Correlations as arrays of the host, in as many parts as the memory asks for."""
        count = bank.weights.shape[0]
        parts, first, size = [], 0, self.fits(bank.waveforms.shape)
        while first < count:
            some = slice(first, first + size)
            totals = None if bank.totals is None else bank.totals[some]
            part = FilterBank(
                bank.waveforms[some], bank.lengths[some], bank.moveouts[some], bank.weights[some], totals
            )
            try:
                parts.append(self.correlate(part, min_live=min_live).result())
            except DeviceMemoryError:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            first += size
        live = tuple(share for part in parts for share in part.live)
        return FilterResult(
            np.concatenate([part.cc for part in parts]), live, 0.0, sum(p.direct for p in parts)
        )


def _spectra_bytes(samples: int, length: int) -> int:
    size = transform_size(length)
    blocks = -(-samples // (size - length + 1))
    return 5 * blocks * size * 4


class _Run:
    """One bank of templates with one set of recordings."""

    def __init__(self, device: Device, data: tuple[Any, Any], bank: FilterBank, rows: FilterRows) -> None:
        self.device, self.bank, self.rows = device, bank, rows
        (self.templates, self.channels), self.samples = bank.weights.shape, int(data[0].shape[1])
        self.flagged = 0
        length = int(rows.length.max())
        stored = -(-length // _LAGS) * _LAGS
        used = (bank.weights > 0) & (bank.moveouts <= self.samples - bank.lengths)
        used &= bank.moveouts > -self.samples
        entry = rows.table(np.arange(used.size).reshape(used.shape), used, -1).astype(np.int32)
        self.shared = 4 * ((_SPAN + stored) // 16 * 20 + stored)
        self.transforms = length > TRANSFORM_FROM or self.shared > device.shared_bytes
        self.size = transform_size(length) if self.transforms else 0
        self.step = self.size - length + 1 if self.transforms else 0
        self.blocks = -(-self.samples // self.step) if self.transforms else 0
        upload = device.upload
        waveforms = np.ascontiguousarray(bank.waveforms[:, :, :length], dtype=np.float32)
        shape = (self.templates, self.channels)
        self.arrays = {
            "data": data[0], "live": data[1], "row_channel": upload(rows.channel), "row_length": upload(rows.length),
            "entry": upload(entry), "moveout": upload(np.ascontiguousarray(bank.moveouts, dtype=np.int64)),
            "weight": upload(np.ascontiguousarray(bank.weights / total_weights(bank)[:, None])),
            "waveform": upload(waveforms), "shape": device.zeros((*shape, stored), np.float32),
            "mean": device.zeros(shape, np.float64), "factor": device.zeros(shape, np.float64),
            "energy": device.zeros((rows.channel.size, max(1, self.blocks)), np.float64),
            "inverse": device.empty((rows.channel.size, self.samples), np.float32),
            "out": device.zeros((self.templates, self.samples), np.float32),
            "wrong": upload(np.array([_NONE], dtype=np.int32)), "flagged": device.zeros((1,), np.int32),
        }  # fmt: skip
        self.work = np.zeros(1, dtype=_WORK)
        numbers = {
            "samples": self.samples, "windows": self.samples, "templates": self.templates, "rows": rows.channel.size,
            "channels": self.channels, "length": length, "stored": stored, "block": self.size, "step": self.step,
            "blocks": self.blocks, "contrast": CONTRAST**2,
        }  # fmt: skip
        for name, value in numbers.items():
            self.work[name] = value
        for name, array in self.arrays.items():
            self.work[name] = device.address(array)

    def _launch(self, name: str, grid: tuple[int, ...], threads: int, shared: int = 0) -> None:
        self.device.launch(("matched_filter", name, options()), grid, (threads,), self.work, shared)

    def correlations(self) -> Any:
        """Sum of correlations, (templates, samples) on the device, not yet divided by the live share."""
        rows, wide = self.rows.channel.size, -(-self.samples // _THREADS)
        self._launch("filter_shapes", (rows, self.templates), 32)
        wrong = int(self.device.download(self.arrays["wrong"])[0])
        if wrong != _NONE:
            raise useless_waveform(*divmod(wrong, self.channels))
        if self.transforms:
            self._launch("filter_energy", (self.blocks, rows), 32)
        self._launch("filter_norms", (wide, rows), _THREADS)
        self.flagged = int(self.device.download(self.arrays["flagged"])[0])
        if self.transforms:
            for row in range(rows):
                self._transform(row)
        else:
            grid = (-(-self.samples // _SPAN), self.templates)
            self._launch("filter_direct", grid, _THREADS, self.shared)
        if self.flagged:
            self._launch("filter_precise", (wide, self.templates), _THREADS)
        return self.arrays["out"]

    def _transform(self, row: int) -> None:
        """Add one row to all templates by Fourier transforms (overlap-save; cuFFT does the transforms)."""
        device, xp, size = self.device, self.device.xp, self.size
        length = int(self.rows.length[row])
        number = self.rows.number
        using = np.flatnonzero((number == row).any(axis=1))
        if not using.size:
            return
        channel = int(self.rows.channel[row])
        padded = device.zeros(((self.blocks - 1) * self.step + size,), np.float32)
        count = min(self.samples, padded.shape[0])
        padded[:count] = self.arrays["data"][channel, :count]
        blocks = xp.lib.stride_tricks.as_strided(padded, (self.blocks, size), (4 * self.step, 4))
        data = xp.fft.rfft(blocks, axis=1).astype(np.complex64)
        room = max(1, int(0.3 * device.free_bytes() / (5 * self.blocks * size * 4)))
        for first in range(0, self.templates, room):
            some = slice(first, min(first + room, self.templates))
            shapes = self.arrays["shape"][some, channel, :length]
            spectra = xp.conj(xp.fft.rfft(shapes, n=size, axis=1)).astype(np.complex64)
            sums = xp.fft.irfft(data[None] * spectra[:, None], n=size, axis=2)
            sums = xp.ascontiguousarray(sums, dtype=np.float32)
            self.work["sums"], self.work["row"], self.work["first"] = device.address(sums), row, first
            self._launch("filter_gather", (-(-self.samples // _THREADS), sums.shape[0]), _THREADS)
            device.synchronize()  # before the memory of the sums is used for the next


class DeviceCorrelations:
    """Correlations of some templates on a GPU, divided by the live share.

    Parameters
    ----------
    device : Device
    out : array of the device, float32 (nt, n)
    stretches : LiveStretches
    flagged : int
        Windows of the data that were summed in double precision.
    """

    def __init__(self, device: Device, out: Any, stretches: LiveStretches, flagged: int) -> None:
        self.device, self.out, self.stretches, self.flagged = device, out, stretches, flagged
        self.arrays = {
            "count": device.upload(stretches.counts), "start": device.upload(stretches.starts),
            "share": device.upload(stretches.shares), "factor": device.upload(stretches.factors), "out": out,
        }  # fmt: skip
        self.work = np.zeros(1, dtype=_PEAKS)
        self.work["templates"], self.work["samples"] = out.shape
        self.work["most"] = stretches.starts.shape[1]
        self._point(self.arrays)
        self._launch("filter_share", self._grid(), _THREADS)

    def _point(self, arrays: dict[str, Any]) -> None:
        for name, array in arrays.items():
            self.work[name] = self.device.address(array)

    def _grid(self) -> tuple[int, int]:
        return -(-int(self.out.shape[1]) // _THREADS), int(self.out.shape[0])

    def _launch(self, name: str, grid: tuple[int, ...], threads: int, shared: int = 0) -> None:
        self.device.launch(("matched_filter", name, options()), grid, (threads,), self.work, shared)

    def result(self) -> FilterResult:
        """All of it on the host."""
        return FilterResult(self.device.download(self.out), self.stretches.each(), 0.0, self.flagged)

    def levels(self, window: int, hop: int, stride: int, least: float) -> Levels:
        """Medians of every stride-th sample in windows of so many of them, each ``hop`` after the one before.

        Parameters
        ----------
        window, hop : int
            In samples of every stride-th; the last window ends with the series.
        stride : int
        least : float
            Samples with a smaller live share do not count.

        Raises
        ------
        InputError
            If a window does not fit into the shared memory of the GPU.
        """
        templates, samples = self.out.shape
        coarse = -(-samples // stride)
        window = min(window, coarse)
        starts = list(range(0, coarse - window + 1, hop))
        if starts[-1] + window < coarse:
            starts.append(coarse - window)
        shared = 4 * (window + 257)
        if shared > self.device.shared_bytes:
            raise InputError(
                f"windows of {window} samples for thresholds are too long for {self.device.name}"
            )
        shape = (int(templates), len(starts))
        arrays = {
            "median": self.device.empty(shape, np.float32), "deviation": self.device.empty(shape, np.float32),
            "alive": self.device.empty(shape, np.int32),
        }  # fmt: skip
        self._point(arrays)
        for name, value in (("window", window), ("hop", hop), ("stride", stride), ("windows", len(starts))):
            self.work[name] = value
        self.work["least"] = least
        self._launch("filter_levels", (len(starts), int(templates)), _THREADS, shared)
        alive, median, deviation = (self.device.download(arrays[n]) for n in ("alive", "median", "deviation"))
        centres = np.array(starts) + 0.5 * (window - 1)
        return Levels(centres, alive, median, deviation, window, stride)

    def peaks(
        self, nodes: Sequence[tuple[FloatArray, FloatArray]], stride: int, least: float, part: float = 1.0
    ) -> DevicePeaks:
        """Local maxima above a part of a threshold.

        Parameters
        ----------
        nodes : sequence of 2 ndarray
            Of each template, places (ascending, in samples of every stride-th) and heights of the threshold, linear
            between them and constant beyond; without any it is infinite.
        stride : int
        least : float
            Samples with a smaller live share are no peaks; elsewhere the threshold is over the root of the share.
        part : float
        """
        templates, samples = (int(n) for n in self.out.shape)
        width = max(1, *(each[0].size for each in nodes))
        centre, level = np.zeros((2, templates, width))
        counts = np.array([each[0].size for each in nodes], dtype=np.int32)
        for number, (places, heights) in enumerate(nodes):
            centre[number, : places.size], level[number, : places.size] = places, heights
        lowest = np.array(
            [heights.min() if heights.size else np.inf for _, heights in nodes], dtype=np.float64
        )
        lowest = np.nextafter((lowest * part).astype(np.float32), np.float32(-np.inf))
        fixed = {
            "levels": self.device.upload(counts), "centre": self.device.upload(centre),
            "level": self.device.upload(level), "lowest": self.device.upload(lowest),
        }  # fmt: skip
        self._point(fixed)
        self.work["windows"], self.work["stride"], self.work["least"], self.work["part"] = (
            width,
            stride,
            least,
            part,
        )
        room = max(1 << 16, templates * samples // 256)
        while True:
            arrays = {
                "place": self.device.empty((room,), np.int64), "found": self.device.empty((room, 4), np.float32),
                "peaks": self.device.zeros((1,), np.int32),
            }  # fmt: skip
            self._point(arrays)
            self.work["room"] = room
            self._launch("filter_peaks", self._grid(), _THREADS)
            count = int(self.device.download(arrays["peaks"])[0])
            if count <= room:
                break
            room = count
        place = self.device.download(arrays["place"][:count])
        found = self.device.download(arrays["found"][:count])
        order = np.argsort(place, kind="stable")
        place, found = place[order], found[order]
        return DevicePeaks(place // samples, place % samples, *np.ascontiguousarray(found.T))
