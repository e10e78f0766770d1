"""The compiled matched filter: normalised correlation of templates with continuous data.

What is computed is said in ``kernels/include/matched_filter.h``, how in ``kernels/c/matched_filter.c``.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError, WorkError
from seisflow.native.library import library, pointer

__all__ = [
    "CONTRAST", "FilterBank", "FilterResult", "FilterRows", "LiveShare", "LiveStretches", "check_data",
    "divide_by_share", "matched_filter", "memory", "not_finite", "total_weights", "transform_size", "useless_waveform",
]  # fmt: skip

IntegerArray = npt.NDArray[np.int64]
CONTRAST = 300.0
_WEIGHT_UNITS = 2.0**40
_FAR = np.int64(1) << 60
_MEMORY, _NOT_FINITE, _WAVEFORM = 1, 2, 3  # what compiled code returns
_Integer = ctypes.c_int64
_Pointer = ctypes.c_void_p


class _Problem(ctypes.Structure):
    _fields_: ClassVar = [
        *(
            (name, _Integer)
            for name in ["threads", "samples", "channels", "rows", "templates", "length", "size"]
        ),
        ("contrast", ctypes.c_double),
        *((name, _Pointer) for name in ["data", "live", "row_channel", "row_length", "entry"]),
        *((name, _Pointer) for name in ["moveout", "weight", "waveform", "out", "counts"]),
    ]


class _Shares(ctypes.Structure):
    _fields_: ClassVar = [
        *((name, _Integer) for name in ["threads", "samples", "rows", "templates", "most"]),
        ("least", ctypes.c_double),
        *((name, _Pointer) for name in ["weight", "total", "moveout", "first", "dead"]),
        *((name, _Pointer) for name in ["out", "count", "start", "share", "factor"]),
    ]


@dataclass(frozen=True, eq=False)
class FilterBank:
    """Templates on the channels of the data, in samples.

    Parameters
    ----------
    waveforms : ndarray of float32 (nt, nch, n)
        Any scale and offset; from ``lengths`` on not used.
    lengths : ndarray of int64 (nt, nch)
        Samples of each waveform, 2 to n.
    moveouts : ndarray of int64 (nt, nch)
        Samples from the time of the template to the start of its window; any sign.
    weights : ndarray of float64 (nt, nch)
        Not negative; 0 where a template does not use a channel.
    totals : ndarray of float64 (nt,), optional
        Sums of weights that a live share of 1 means: those of channels which the data lack included. The sums of
        ``weights``, if left out.
    """

    waveforms: FloatArray
    lengths: IntegerArray
    moveouts: IntegerArray
    weights: npt.NDArray[np.float64]
    totals: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        shape = self.waveforms.shape[:2]
        if (
            self.waveforms.ndim != 3
            or not self.lengths.shape == self.moveouts.shape == self.weights.shape == shape
        ):
            raise InputError(
                f"templates have waveforms {self.waveforms.shape}, lengths {self.lengths.shape}, moveouts "
                f"{self.moveouts.shape}, weights {self.weights.shape}; the first two axes must be the same"
            )
        if not np.all(np.isfinite(self.weights) & (self.weights >= 0)):
            raise InputError("weights of templates must be finite and not negative")
        if not np.all(self.weights.sum(axis=1) > 0):
            raise InputError(
                f"template {int(np.argmin(self.weights.sum(axis=1)))} has no channel with a weight"
            )
        used = self.lengths[self.weights > 0]
        if used.min() < 2 or used.max() > self.waveforms.shape[2]:
            raise InputError(
                f"windows of {used.min()} to {used.max()} samples: at least 2 are needed, and at most the "
                f"{self.waveforms.shape[2]} that the waveforms have"
            )
        if self.totals is not None and not np.all(self.totals >= self.weights.sum(axis=1) * (1 - 1e-9)):
            raise InputError("the total weight of a template is less than the sum of its weights")


@dataclass(frozen=True, eq=False)
class LiveShare:
    """Share of its weight that a template had live, constant from each start to the next.

    Parameters
    ----------
    starts : ndarray of int64 (k,)
        Samples; the first is 0.
    shares : ndarray of float32 (k,)
        0 to 1.
    """

    starts: IntegerArray
    shares: FloatArray

    def at(self, samples: npt.ArrayLike) -> FloatArray:
        """Live share at given samples."""
        found: FloatArray = self.shares[np.searchsorted(self.starts, np.asarray(samples), side="right") - 1]
        return found


@dataclass(frozen=True, eq=False)
class FilterResult:
    """What a matched filter gives.

    Parameters
    ----------
    cc : ndarray of float32 (nt, samples)
        Mean correlation, -1 to 1, per template and sample (of the time of the template, not of its windows).
    live : tuple of LiveShare
        One for each template.
    precise : float
        Share of the work that was done in double precision, because of strong contrasts of amplitude.
    direct : int
        Windows of the data that were summed one by one, for the same reason.
    """

    cc: FloatArray
    live: tuple[LiveShare, ...]
    precise: float
    direct: int


def transform_size(length: int) -> int:
    """Length of the Fourier transforms for windows of so many samples: a power of two, measured to be fast."""
    size = 512 if length <= 128 else 1024
    while size < 2.5 * length:
        size *= 2
    return size


def memory(bank_shape: tuple[int, int, int], samples: int, span: int, threads: int) -> int:
    """Estimate the bytes that ``matched_filter`` takes beside the data, its result included.

    Parameters
    ----------
    bank_shape : tuple of 3 int
        Templates, channels, samples of a window.
    samples : int
        Of the data.
    span : int
        Largest difference of moveouts within a template, in samples.
    threads : int
    """
    templates, channels, length = bank_shape
    call = library().matched_filter_bytes
    call.restype = _Integer
    words = (samples, channels, templates, transform_size(length), span, threads)
    return int(call(*map(_Integer, words))) + templates * (channels * length * 4 + samples * 4)


def total_weights(bank: FilterBank) -> npt.NDArray[np.float64]:
    """Sums of weights that a live share of 1 means."""
    return bank.weights.sum(axis=1) if bank.totals is None else bank.totals


def _dead_stretches(live: npt.NDArray[np.bool_], length: int) -> IntegerArray:
    """First window of such a length that is not wholly live, first that is again: (k, 2), sorted, disjoint."""
    samples = live.size
    dead = [(-_FAR, np.int64(0)), (np.int64(samples), _FAR)]
    if not live.all():
        edges = np.flatnonzero(np.diff(np.concatenate(([True], live, [True])).view(np.int8)))
        dead[1:1] = list(zip(edges[0::2], edges[1::2], strict=True))
    stretches = np.array(dead, dtype=np.int64)
    stretches[:, 0] -= length - 1
    apart = np.concatenate(
        ([True], stretches[1:, 0] > stretches[:-1, 1])
    )  # ends only grow, so neighbours decide
    last = np.concatenate((apart[1:], [True]))
    return np.column_stack((stretches[apart, 0], stretches[last, 1]))


@dataclass(frozen=True, eq=False)
class FilterRows:
    """Channels with lengths of window that templates use, and where templates stand on them."""

    channel: IntegerArray
    length: IntegerArray
    number: IntegerArray  # (templates, channels): row, or -1

    @staticmethod
    def of(bank: FilterBank) -> FilterRows:
        """Those of a bank."""
        used = bank.weights > 0
        keys = np.argwhere(used)[:, 1] * np.int64(1 << 32) + bank.lengths[used]
        rows, inverse = np.unique(keys, return_inverse=True)
        number = np.full(used.shape, -1, dtype=np.int64)
        number[used] = inverse
        return FilterRows(rows >> 32, rows & 0xFFFFFFFF, number)

    def table(self, values: npt.NDArray[np.int64], used: npt.NDArray[np.bool_], empty: int) -> IntegerArray:
        """Values (templates, channels) as (templates, rows)."""
        result = np.full((used.shape[0], self.channel.size), empty, dtype=np.int64)
        templates, channels = np.nonzero(used)
        result[templates, self.number[templates, channels]] = values[templates, channels]
        return result


def _correlate(
    data: FloatArray, live: npt.NDArray[np.bool_], bank: FilterBank, rows: FilterRows, threads: int
) -> tuple[FloatArray, IntegerArray]:
    """Sum of correlations and what was counted; windows that are never within the data are left out."""
    (templates, channels), samples = bank.weights.shape, data.shape[1]
    length = int(rows.length.max())
    used = (bank.weights > 0) & (bank.moveouts <= samples - bank.lengths) & (bank.moveouts > -samples)
    entry = rows.table(np.arange(templates * channels).reshape(used.shape), used, -1)
    moveout = np.ascontiguousarray(bank.moveouts, dtype=np.int64)
    weight = np.ascontiguousarray(bank.weights / total_weights(bank)[:, None], dtype=np.float64)
    waveform = np.ascontiguousarray(bank.waveforms[:, :, :length], dtype=np.float32)
    out, counts = np.empty((templates, samples), dtype=np.float32), np.zeros(4, dtype=np.int64)
    problem = _Problem(
        threads, samples, channels, rows.channel.size, templates, length,
        transform_size(length), CONTRAST,
        pointer(data, np.float32, (channels, samples), "data"),
        pointer(live, np.bool_, (channels, samples), "live"),
        pointer(rows.channel, np.int64, rows.channel.shape, "channels of rows"),
        pointer(rows.length, np.int64, rows.channel.shape, "lengths of rows"),
        pointer(entry, np.int64, (templates, rows.channel.size), "entries"),
        pointer(moveout, np.int64, (templates, channels), "moveouts"),
        pointer(weight, np.float64, (templates, channels), "weights"),
        pointer(waveform, np.float32, (templates, channels, length), "waveforms"),
        pointer(out, np.float32, out.shape, "result"),
        pointer(counts, np.int64, (4,), "counts"),
    )  # fmt: skip
    status = _call("matched_filter_run", problem)
    if status == _WAVEFORM:
        template, channel = divmod(int(counts[3]), channels)
        raise useless_waveform(template, channel)
    _check(status, threads)
    return out, counts


def _call(name: str, structure: ctypes.Structure) -> int:
    call = getattr(library(), name)
    call.restype = _Integer
    return int(call(ctypes.byref(structure)))


def useless_waveform(template: int, channel: int) -> InputError:
    """The error for a waveform that cannot be normalised."""
    return InputError(
        f"template {template} is constant or not finite on channel {channel}: correct it, or set its weight to 0"
    )


def not_finite() -> InputError:
    """The error for live samples that are not finite."""
    return InputError("the data hold NaN or infinite samples that are said to be live; mark them as not live")


def _check(status: int, threads: int) -> None:
    if status == _MEMORY:
        raise WorkError(
            f"not enough memory for the matched filter with {threads} threads; use smaller batches"
        )
    if status == _NOT_FINITE:
        raise not_finite()


@dataclass(frozen=True, eq=False)
class LiveStretches:
    """Stretches of constant live share of every template, and what its correlations are multiplied with there.

    Parameters
    ----------
    counts : ndarray of int64 (nt,)
    starts : ndarray of int64 (nt, most)
        First samples.
    shares, factors : ndarray of float32 (nt, most)
    """

    counts: IntegerArray
    starts: IntegerArray
    shares: FloatArray
    factors: FloatArray

    def each(self) -> tuple[LiveShare, ...]:
        """One by one."""
        return tuple(
            LiveShare(start[:count].copy(), share[:count].copy())
            for count, start, share in zip(self.counts, self.starts, self.shares, strict=True)
        )


def divide_by_share(
    out: FloatArray | None,
    live: npt.NDArray[np.bool_],
    bank: FilterBank,
    rows: FilterRows,
    min_live: float,
    threads: int,
) -> LiveStretches:
    """Live share of each template; what is in ``out``, if given, is divided by it."""
    templates = bank.weights.shape[0]
    stretches = [_dead_stretches(live[c], int(n)) for c, n in zip(rows.channel, rows.length, strict=True)]
    first = np.concatenate(([0], np.cumsum([len(s) for s in stretches]))).astype(np.int64)
    dead = np.ascontiguousarray(np.concatenate(stretches))
    used = bank.weights > 0
    units = np.rint(bank.weights / total_weights(bank)[:, None] * _WEIGHT_UNITS).astype(np.int64)
    weight, moveout = rows.table(units, used, 0), rows.table(bank.moveouts.astype(np.int64), used, 0)
    total = np.rint(_WEIGHT_UNITS * np.ones(templates)).astype(np.int64)
    complete = np.isclose(bank.weights.sum(axis=1), total_weights(bank), rtol=1e-9, atol=0)
    total[complete] = weight[complete].sum(axis=1)  # so that all of them are a share of exactly 1
    most = 2 * int(first[-1]) + 2
    count, start = np.zeros(templates, dtype=np.int64), np.zeros((templates, most), dtype=np.int64)
    share, factor = (np.zeros((templates, most), dtype=np.float32) for _ in range(2))
    shares = _Shares(
        threads, live.shape[1], rows.channel.size, templates, most, min_live,
        pointer(weight, np.int64, weight.shape, "weights"),
        pointer(total, np.int64, (templates,), "totals"),
        pointer(moveout, np.int64, weight.shape, "moveouts"),
        pointer(first, np.int64, (rows.channel.size + 1,), "first stretches"),
        pointer(dead, np.int64, (int(first[-1]), 2), "dead stretches"),
        None if out is None else pointer(out, np.float32, (templates, live.shape[1]), "result"),
        pointer(count, np.int64, (templates,), "counts"),
        pointer(start, np.int64, (templates, most), "starts"),
        pointer(share, np.float32, (templates, most), "shares"),
        pointer(factor, np.float32, (templates, most), "factors"),
    )  # fmt: skip
    _check(_call("matched_filter_normalise", shares), threads)
    return LiveStretches(count, start, share, factor)


def check_data(data: FloatArray, live: npt.NDArray[np.bool_], bank: FilterBank, min_live: float) -> None:
    """Refuse data that do not fit the templates."""
    if data.ndim != 2 or data.shape[0] != bank.weights.shape[1] or live.shape != data.shape:
        raise InputError(
            f"the data have shape {data.shape}, what is live {live.shape}, the templates "
            f"{bank.weights.shape[1]} channels: they must be the same"
        )
    if not 0 <= min_live <= 1:
        raise InputError(f"min_live = {min_live}: must be 0 to 1")
    longest, samples = int(bank.lengths[bank.weights > 0].max()), data.shape[1]
    if longest > samples:
        raise InputError(f"a template of {longest} samples is longer than the data, {samples} samples")


def matched_filter(
    data: FloatArray,
    live: npt.NDArray[np.bool_],
    bank: FilterBank,
    *,
    min_live: float = 0.5,
    threads: int = 1,
) -> FilterResult:
    """Correlate all templates with the data.

    ``CC(t, i) = sum_c w a cc(i + m) / sum_c w a`` with weights w(t, c) and moveouts m(t, c); cc is the correlation
    coefficient of the template and the window of the data, the means of both removed, 0 where the window is
    constant; a is 1 if every sample of the window is live and within the data, else 0. The result does not depend on
    the number of threads by a bit, nor on the scale of data and templates.

    Parameters
    ----------
    data : ndarray of float32 (nch, n)
        Any unit. What is not live may be anything, NaN too.
    live : ndarray of bool (nch, n)
    bank : FilterBank
    min_live : float
        Live share of the weights below which CC is 0.
    threads : int

    Returns
    -------
    FilterResult

    Raises
    ------
    InputError
        If shapes do not fit, live samples are not finite, or a template is constant on a channel.
    WorkError
        If there is not enough memory.
    """
    check_data(data, live, bank, min_live)
    rows = FilterRows.of(bank)
    out, counts = _correlate(data, live, bank, rows, max(1, threads))
    shares = divide_by_share(out, live, bank, rows, min_live, max(1, threads))
    return FilterResult(out, shares.each(), float(counts[1] / max(counts[0], 1)), int(counts[2]))
