"""Continuous recordings on a GPU: stretches are interpolated, faded and filtered, channels turned to components.

How it is computed is said in ``kernels/cuda/signal.cu``; the same on the processor is
``seisflow.signal.continuous``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.native.device import Device, options, struct_type

__all__ = ["Band", "RawPiece", "RawStation", "RawUploads", "band_passed", "room_for"]

_CHUNK, _WARP = 512, 32
_KINDS = {np.dtype(np.int32): 0, np.dtype(np.float32): 1, np.dtype(np.float64): 2}
_WORK = struct_type(
    [
        *((name, "i") for name in ["pieces", "chunks", "samples", "settling"]),
        *((name, "p") for name in ["source", "recorded", "kind", "mean", "place", "inner", "length"]),
        *((name, "p") for name in ["first", "from", "until", "channel", "up", "down", "taps", "centre"]),
        *((name, "p") for name in ["base", "kernel", "bases", "weights", "piece", "number", "begin", "ramp"]),
        *((name, "p") for name in ["work", "sections", "decay", "ends", "starts", "rows", "masks"]),
        *((name, "p") for name in ["turn", "needed", "share", "target", "data", "live"]),
        *((name, "n") for name in ["phases", "both", "back", "keep"]),
    ]
)


@dataclass(frozen=True, eq=False)
class Band:
    """A recursive band-pass.

    Parameters
    ----------
    sections : ndarray (ns, 6)
        Second-order sections.
    ramp : ndarray (settling,)
        What the ends of a stretch are faded with.
    zero_phase : bool
        Forwards and backwards, or forwards alone.
    """

    sections: FloatArray
    ramp: FloatArray
    zero_phase: bool


@dataclass(frozen=True, eq=False)
class RawPiece:
    """A stretch without a gap.

    Parameters
    ----------
    samples : ndarray (n,)
        As recorded, of any type of number.
    plan : seisflow.signal.polyphase.Interpolation
        Onto the axis of the result.
    kept : tuple of 2 int
        Which of what is interpolated is live.
    """

    samples: npt.NDArray[Any]
    plan: Any
    kept: tuple[int, int]


@dataclass(frozen=True, eq=False)
class RawStation:
    """What one station recorded.

    Parameters
    ----------
    number : int
        Of the station in the result.
    channels : sequence of sequence of RawPiece
    turn : ndarray of float32 (components, channels)
        Components from channels.
    """

    number: int
    channels: Sequence[Sequence[RawPiece]]
    turn: FloatArray

    def needed(self) -> list[int]:
        """Channels that a component needs."""
        found: list[int] = np.flatnonzero((self.turn != 0).any(axis=0)).tolist()
        return found


class RawUploads:
    """Recorded samples on a device; what is asked for again, for another band, is not copied again.

    Parameters
    ----------
    device : Device
    """

    def __init__(self, device: Device) -> None:
        self.device, self.copied = device, 0
        self._known: dict[tuple[Any, ...], tuple[Any, npt.NDArray[Any]]] = {}

    def of(self, samples: npt.NDArray[Any]) -> Any:
        """The samples on the device, int32, float32 or float64."""
        place = samples.__array_interface__
        key = (place["data"][0], samples.shape, place["typestr"], samples.strides)
        if key not in self._known:
            kind = samples.dtype.newbyteorder("=")
            if kind not in _KINDS:
                small = kind.kind in "iu" and np.can_cast(kind, np.int32)
                kind = np.dtype(np.int32) if small else np.dtype(np.float64)
            # the samples are kept, so that nothing else can come to lie at their address
            self._known[key] = (self.device.upload(np.ascontiguousarray(samples, dtype=kind)), samples)
            self.copied += samples.size
        return self._known[key][0]


def room_for(station: RawStation, samples: int) -> int:
    """Bytes of the device that the treatment of a station takes, its recordings included."""
    pieces = [piece for channel in station.needed() for piece in station.channels[channel]]
    made: int = sum(8 * (piece.plan.count + _CHUNK) for piece in pieces)
    return made + sum(8 * piece.samples.size for piece in pieces) + 5 * samples * len(station.needed())


def band_passed(
    uploads: RawUploads, stations: Sequence[RawStation], band: Band, data: Any, live: Any
) -> None:
    """Filter the recordings of some stations.

    Parameters
    ----------
    uploads : RawUploads
    stations : sequence of RawStation
    band : Band
    data : array of the device, float32 (all stations, components, samples)
        The rows of these stations are set: zero where not live.
    live : array of the device, uint8 (all stations, components, samples)
        Likewise.

    Raises
    ------
    DeviceMemoryError
        If the memory does not suffice: take fewer stations at a time.
    """
    run = _Run(uploads, stations, band, data.shape)
    if run.pieces:
        run.interpolate()
        run.filter(0)
        if band.zero_phase:
            run.filter(1)
        run.launch("signal_place", run.chunks, 256)
    run.turn(data, live)


@dataclass(eq=False)
class _Tables:
    """Kernels of the interpolation: equal ones once."""

    weights: list[FloatArray] = field(default_factory=list)
    known: dict[bytes, int] = field(default_factory=dict)
    size: int = 0

    def add(self, table: FloatArray) -> int:
        key = table.tobytes()
        if key not in self.known:
            self.known[key] = self.size
            self.weights.append(np.ascontiguousarray(table, dtype=np.float64).ravel())
            self.size += table.size
        return self.known[key]


class _Run:
    """Some stations in one band."""

    def __init__(
        self, uploads: RawUploads, stations: Sequence[RawStation], band: Band, shape: tuple[int, ...]
    ) -> None:
        self.device, self.stations, self.band = uploads.device, stations, band
        self.components, self.samples = int(shape[1]), int(shape[2])
        self.rows: dict[tuple[int, int], int] = {}
        self.pieces: list[tuple[int, RawPiece]] = []
        for number, station in enumerate(stations):
            for channel in station.needed():
                row = self.rows.setdefault((number, channel), len(self.rows))
                self.pieces += [(row, piece) for piece in station.channels[channel]]
        self.options = options(SECTIONS=len(band.sections))
        self.work = np.zeros(1, dtype=_WORK)
        self.keep: dict[str, Any] = {}
        self.chunks = 0
        if self.pieces:
            self._describe(uploads)
        shape = (max(1, len(self.rows)), self.samples)
        self._hold(rows=self.device.zeros(shape, np.float32), masks=self.device.zeros(shape, np.uint8))
        self.work["samples"] = self.samples

    def _hold(self, **arrays: Any) -> None:
        self.keep |= arrays
        for name, array in arrays.items():
            self.work[name] = self.device.address(array)

    def _upload(self, dtype: npt.DTypeLike, **lists: Any) -> None:
        self._hold(
            **{name: self.device.upload(np.asarray(values, dtype=dtype)) for name, values in lists.items()}
        )

    def _describe(self, uploads: RawUploads) -> None:
        band, plans = self.band, [piece.plan for _, piece in self.pieces]
        settling = len(band.ramp)
        raw = [uploads.of(piece.samples) for _, piece in self.pieces]
        inner = np.array([plan.count for plan in plans], dtype=np.int64)
        length = inner + (settling if band.zero_phase else 0)
        many = -(-length // _CHUNK)
        begin = np.concatenate(([0], np.cumsum(many)))
        self.chunks = int(begin[-1])
        piece = np.repeat(np.arange(len(plans)), many)
        tables, bases = _Tables(), [0]
        for plan in plans:
            bases.append(bases[-1] + plan.begins.size)
        self._upload(
            np.int64, source=[self.device.address(array) for array in raw],
            recorded=[each.samples.size for _, each in self.pieces], place=np.cumsum(length) - length,
            inner=inner, length=length, first=[plan.first for plan in plans],
            until=[each.kept[1] for _, each in self.pieces],
            base=[b if plan.up else plan.reach for b, plan in zip(bases, plans, strict=False)],
            kernel=[tables.add(plan.weights) for plan in plans],
            bases=np.concatenate([*(plan.begins for plan in plans), [0]]),
            number=np.arange(self.chunks) - begin[piece], begin=begin,
            **{"from": [each.kept[0] for _, each in self.pieces]},
        )  # fmt: skip
        self._upload(
            np.int32, kind=[_KINDS[np.dtype(array.dtype)] for array in raw], channel=[row for row, _ in self.pieces],
            up=[plan.up for plan in plans], down=[plan.down for plan in plans],
            taps=[plan.weights.shape[1] for plan in plans], piece=piece,
        )  # fmt: skip
        states = 2 * len(band.sections)
        self._upload(
            np.float64, centre=[plan.centre for plan in plans], weights=np.concatenate(tables.weights),
            ramp=band.ramp, sections=band.sections, decay=_decay(band.sections),
        )  # fmt: skip
        empty = self.device.empty
        self._hold(
            work=empty((int(length.sum()),), np.float64), mean=empty((len(plans),), np.float64),
            ends=empty((self.chunks, states), np.float64), starts=empty((self.chunks, states), np.float64),
        )  # fmt: skip
        phases = [plan.weights.shape[0] - 1 for plan in plans if plan.up == 0]
        numbers = {
            "pieces": len(plans), "chunks": self.chunks, "settling": settling, "both": int(band.zero_phase),
            "phases": max(phases, default=0),
        }  # fmt: skip
        for name, value in numbers.items():
            self.work[name] = value

    def launch(self, name: str, blocks: int, threads: int, shared: int = 0, across: int = 1) -> None:
        """Run one of the kernels."""
        self.device.launch(("signal", name, self.options), (blocks, across), (threads,), self.work, shared)

    def interpolate(self) -> None:
        """Stretches on the axis, faded."""
        self.launch("signal_mean", len(self.pieces), 1024, 8 * 1024)
        self.launch("signal_interpolate", self.chunks, 256)

    def filter(self, back: int) -> None:
        """Run the filter once, forwards or backwards."""
        self.work["back"] = back
        blocks, shared = -(-self.chunks // _WARP), 8 * _WARP * (_WARP + 1)
        self.work["keep"] = 0
        self.launch("signal_sections", blocks, _WARP, shared)
        self.launch("signal_carry", len(self.pieces), _WARP)
        self.work["keep"] = 1
        self.launch("signal_sections", blocks, _WARP, shared)

    def turn(self, data: Any, live: Any) -> None:
        """Components of the stations from their channels."""
        begin, needed, share, target = [0], [], [], []
        for number, station in enumerate(self.stations):
            for component, weights in enumerate(station.turn):
                for channel in np.flatnonzero(weights).tolist():
                    needed.append(self.rows[number, channel])
                    share.append(weights[channel])
                begin.append(len(needed))
                target.append(station.number * self.components + component)
        self._upload(np.int32, turn=begin, needed=[*needed, 0])
        self._upload(np.float32, share=[*share, 0])
        self._upload(np.int64, target=target)
        self._hold(data=data, live=live)
        self.launch("signal_turn", -(-self.samples // 256), 256, across=len(target))


def _decay(sections: FloatArray) -> FloatArray:
    """What a chunk of zeros leaves of each state of the filter, (states, states): columns are the states before."""
    from scipy.signal import sosfilt

    count = len(sections)
    result = np.empty((2 * count, 2 * count))
    for state in range(2 * count):
        before = np.zeros((count, 2))
        before[divmod(state, 2)] = 1
        _, after = sosfilt(sections, np.zeros(_CHUNK), zi=before)
        result[:, state] = after.ravel()
    return result
