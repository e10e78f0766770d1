"""The 3D elastic kernel on a GPU: fields of one or several events in its memory, its time loop, the sums of gradients.

It offers what ``Elastic3DGrid`` does for a pass through time; how it is computed is said in
``kernels/cuda/elastic3d.cu``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError
from seisflow.native.device import Device, DeviceMemoryError, Options, options, struct_type
from seisflow.native.elastic3d import ARRAYS, FIELDS, SUMS, Elastic3DGrid, Entries, Snapshots

__all__ = ["CudaElastic3D"]

_CHECK_EVERY = 48
_GRAPH = 16
"""Most steps of a graph of launches, a power of two."""
_SHARE = 0.8
"""Of the free memory that snapshots and what must find room beside them may take."""
_WORK = struct_type(
    [
        *((name, "i") for name in ["nx", "ny", "nz", "events", "row", "plane", "array", "origin"]),
        *((name, "i") for name in ["cells", "bottom", "depth", "state", "psi_wide", "psi_tall", "psi_deep"]),
        *((name, "p") for name in ["fields", "material", "psi_x", "psi_y", "psi_z", "pml_x", "pml_y", "pml_z"]),
        ("step", "p"),
        ("bad", "p"),
        *((name, "i") for name in ["places", "signals"]),
        *((name, "p") for name in ["begin", "offset", "signal", "weight", "samples"]),
        ("records", "i"),
        *((name, "p") for name in ["first", "from", "share", "out"]),
        *((name, "i") for name in ["x0", "x1", "y0", "y1", "z1", "sx0", "sx1", "sy0", "sy1", "sz1"]),
        *((name, "p") for name in ["stored", "homes"]),
        ("shift", "i"),
        *((name, "p") for name in ["sums", "phi", "relaxed", "relax"]),
        *((name, "n") for name in ["after", "wide"]),
    ]
)  # fmt: skip


_Kept = Snapshots | Sequence[Snapshots] | None


@dataclass(eq=False)
class _Sources:
    """What is added to fields, on the device: one thread for each point."""

    places: int
    signals: int
    arrays: dict[str, Any]


@dataclass(eq=False)
class _Receivers:
    """What is recorded, on the device; ``host`` gets it when it is collected."""

    records: int
    arrays: dict[str, Any]
    host: list[npt.NDArray[np.float64]]


class CudaElastic3D:
    """Fields and material of one simulation, or of several events in one model, on a GPU.

    Parameters
    ----------
    device : Device
    grid : Elastic3DGrid
        Whole, with its material, at rest.
    events : int
        Events that are simulated together.
    host_bytes : float
        Pinned memory of the host that snapshots of one event may take.

    Raises
    ------
    InputError
        If the grid is a part of one or too large for a launch.
    DeviceMemoryError
        If it does not fit into the memory of the GPU.
    """

    def __init__(
        self, device: Device, grid: Elastic3DGrid, events: int = 1, *, host_bytes: float = np.inf
    ) -> None:
        if grid.slab.total != grid.shape[0]:
            raise InputError("a GPU takes whole grids, not slabs of planes; run one process for each event")
        if grid.shape[0] > 65535 or 3 * events > 65535:
            raise InputError(
                f"a GPU takes at most 65535 planes and 21845 events, found {grid.shape[0]}, {events}"
            )
        self.device, self.host, self.events, self.host_bytes = device, grid, events, host_bytes
        self.shape, self.dtype, self.box = grid.shape, grid.dtype, grid.box
        order, bits = 2 * grid.halo, 8 * grid.dtype.itemsize
        losses: npt.NDArray[Any] | None = grid._losses
        self._options: Options = options(ELASTIC3D_ORDER=order, REAL_BITS=bits, LOSS=int(losses is not None))
        sizes = grid._sizes
        self.state = sizes["array"] * len(FIELDS)
        psi = [max(1, sizes[name]) for name in ("psi_x", "psi_y", "psi_z")]
        self.arrays = {
            "fields": device.zeros((events, self.state), grid.dtype),
            "material": device.upload(grid._fields[self.state : sizes["array"] * len(ARRAYS)]),
            **{n: device.zeros((events, s), grid.dtype) for n, s in zip(("psi_x", "psi_y", "psi_z"), psi, strict=True)},
            **{n: device.upload(p) for n, p in zip(("pml_x", "pml_y", "pml_z"), grid._pml, strict=True)},
            "step": device.zeros((1,), np.int64), "bad": device.zeros((1,), np.int32),
        }  # fmt: skip
        if losses is not None and grid._relax is not None:
            array = sizes["array"]
            self.arrays |= {
                "phi": device.upload(losses[: 2 * array]), "relax": device.upload(grid._relax.ravel()),
                "relaxed": device.zeros((events, 6 * array), grid.dtype),
            }  # fmt: skip
        self.work = np.zeros(1, dtype=_WORK)
        nx, ny, nz = grid.shape
        numbers = {
            "nx": nx, "ny": ny, "nz": nz, "events": events, "row": sizes["row"], "plane": sizes["plane"],
            "array": sizes["array"], "origin": grid._origin, "cells": grid.cells,
            "bottom": sizes["bottom"] if sizes["psi_z"] else nz, "depth": sizes["depth"], "state": self.state,
            "psi_wide": psi[0], "psi_tall": psi[1], "psi_deep": psi[2],
        }  # fmt: skip
        self._drive: tuple[Any, ...] | None = None
        self._graphs: dict[int, Callable[[], None]] = {}
        self._sent: list[Any] = [None, None]
        self._here = [0, 0]
        self._homes: tuple[tuple[int, ...], Any] = ((), None)
        self._turn = 0
        self._set(**numbers, **{name: device.address(array) for name, array in self.arrays.items()})

    def relaxing(self, points: Entries) -> tuple[FloatArray, FloatArray] | None:
        """As of ``Elastic3DGrid``."""
        return self.host.relaxing(points)

    def _set(self, **values: int) -> None:
        for name, value in values.items():
            self.work[name] = value

    def _launch(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], work: Any = None) -> None:
        argument = self.work if work is None else work
        self.device.launch(("elastic3d", name, self._options), grid, block, argument)

    def _tiles(self, shape: Sequence[int], last: int) -> tuple[int, int, int]:
        nx, ny, nz = shape
        return -(-nz // 32) * -(-ny // 8), nx, last

    # -- what moves the fields, and what is recorded --

    def _each(self, given: Any) -> list[Any]:
        found = list(given) if isinstance(given, list | tuple) else [given]
        if len(found) != self.events:
            raise InputError(f"{self.events} events need as many sources and receivers, found {len(found)}")
        return found

    def sources(
        self, entries: Entries | Sequence[Entries], samples: FloatArray | Sequence[FloatArray]
    ) -> _Sources:
        """What ``advance`` adds to fields; of each event if there are several. See ``Elastic3DGrid.sources``."""
        each, series = self._each(entries), self._each(samples)
        offset, signal, weight = [], [], []
        signals = 0
        for event, (some, these) in enumerate(zip(each, series, strict=True)):
            if some.signal.size and int(some.signal.max()) >= these.shape[1]:
                raise InputError(f"a source entry has signal {some.signal.max()} of {these.shape[1]}")
            offset.append(self.host._offsets(some) + event * self.state)
            signal.append(some.signal + signals)
            weight.append(some.weight)
            signals += these.shape[1]
        places = np.concatenate(offset)
        order = np.argsort(places, kind="stable")
        unique, begin = np.unique(places[order], return_index=True)
        arrays = {
            "offset": unique.astype(np.int64), "begin": np.append(begin, order.size).astype(np.int64),
            "signal": np.concatenate(signal)[order].astype(np.int64),
            "weight": np.concatenate(weight)[order].astype(np.float64),
            "samples": np.ascontiguousarray(np.concatenate(series, axis=1), dtype=np.float64),
        }  # fmt: skip
        return _Sources(unique.size, signals, {n: self.device.upload(a) for n, a in arrays.items()})

    def receivers(
        self,
        entries: Entries | Sequence[Entries],
        out: npt.NDArray[np.float64] | Sequence[npt.NDArray[np.float64]],
    ) -> _Receivers:
        """What is recorded; ``collect`` fills ``out``. See ``Elastic3DGrid.receivers``."""
        each, host = self._each(entries), self._each(out)
        first, place, share = [np.zeros(1, np.int64)], [], []
        records = count = 0
        for event, (some, these) in enumerate(zip(each, host, strict=True)):
            order = np.argsort(some.signal, kind="stable")
            first.append(count + np.searchsorted(some.signal[order], np.arange(these.shape[1]), side="right"))
            place.append((self.host._offsets(some) + event * self.state)[order])
            share.append(some.weight[order])
            records += these.shape[1]
            count += some.signal.size
        steps = host[0].shape[0]
        arrays = {
            "first": self.device.upload(np.concatenate(first).astype(np.int64)),
            "from": self.device.upload(np.concatenate(place).astype(np.int64)),
            "share": self.device.upload(np.concatenate(share).astype(np.float64)),
            "out": self.device.zeros((steps, max(1, records)), np.float64),
        }
        return _Receivers(records, arrays, host)

    def collect(self, receivers: _Receivers) -> None:
        """Bring records to the host, and wait for snapshots that are on their way."""
        found, start = self.device.download(receivers.arrays["out"]), 0
        for out in receivers.host:
            out[...] = found[:, start : start + out.shape[1]]
            start += out.shape[1]
        self.device.synchronize()

    # -- snapshots --

    def snapshot_shape(self, slots: int) -> tuple[int, ...]:
        """Shape of ``Snapshots.data``, of one event."""
        return self.host.snapshot_shape(slots)

    @property
    def nbytes(self) -> int:
        """Bytes of the device that are taken, of all events."""
        return sum(int(array.nbytes) for array in self.arrays.values())

    def room(self, slots: int) -> Any:
        """Memory for snapshots of one event: of the device, or pinned memory of the host.

        They stay after the run: beside those on the device another run with its sums must find room.

        Raises
        ------
        DeviceMemoryError
            If neither has room.
        """
        shape, item = self.snapshot_shape(slots), self.dtype.itemsize
        size = int(np.prod(shape)) * item
        rest = self.nbytes + self.events * len(SUMS) * int(np.prod(self.box)) * item
        if size + rest < _SHARE * self.device.free_bytes():
            with contextlib.suppress(DeviceMemoryError):
                return self.device.empty(shape, self.dtype)
        if size > self.host_bytes:
            raise DeviceMemoryError(
                f"{self.device.name} has no room for {size / 1e9:.2f} GB of stored velocity, nor may the host's memory "
                f"take more than {self.host_bytes / 1e9:.2f} GB of an event; raise memory_gb, or end other programs"
            )
        return self.device.pinned(shape, self.dtype)

    def snapshots(self, stored: _Kept) -> _Kept:
        """Where ``advance`` stores the velocity (of each event if there are several) and ``correlate`` finds it."""
        return stored

    def _stored_box(self) -> dict[str, int]:
        cells, halo, (nx, ny, nz) = self.host.cells, self.host.halo, self.shape
        return {
            "x0": cells - halo, "x1": nx - cells + halo, "y0": cells - halo, "y1": ny - cells + halo,
            "z1": nz - cells + halo,
        }  # fmt: skip

    def _event(self, event: int, box: dict[str, int], **addresses: Any) -> npt.NDArray[Any]:
        """The struct for a kernel that takes one event alone."""
        work = self.work.copy()
        fields = self.device.address(self.arrays["fields"]) + event * self.state * self.dtype.itemsize
        for name, value in {**box, "fields": fields}.items():
            work[name] = value
        for name, array in addresses.items():
            work[name] = self.device.address(array)
        return work

    def _all(self, stored: Sequence[Snapshots], slot: int, box: dict[str, int]) -> npt.NDArray[Any] | None:
        """The struct for a kernel that takes all events; None if there is one, or velocity is on the host."""
        if self.events == 1 or any(self.device.on_host(kept.data) for kept in stored):
            return None
        places = tuple(self.device.address(kept.data) for kept in stored)
        if self._homes[0] != places:
            self._homes = places, self.device.upload(np.array(places, dtype=np.int64))
        work = self.work.copy()
        shift = slot * int(np.prod(self.snapshot_shape(1)))
        for name, value in {**box, "homes": self.device.address(self._homes[1]), "shift": shift}.items():
            work[name] = value
        return work

    def _keep(self, stored: Sequence[Snapshots], number: int) -> None:
        box, slot = self._stored_box(), number // stored[0].every - stored[0].first
        shape = box["x1"] - box["x0"], box["y1"] - box["y0"], box["z1"]
        together = self._all(stored, slot, box)
        if together is not None:
            self._launch("elastic_keep", self._tiles(shape, 3 * self.events), (32, 8), together)
            return
        for event, kept in enumerate(stored):
            spilled = self.device.on_host(kept.data)
            target = self._buffer() if spilled else kept.data[slot]
            work = self._event(event, box, stored=target)
            self._launch("elastic_keep", self._tiles(shape, 3), (32, 8), work)
            if spilled:
                self._sent[self._turn] = self.device.send(target, kept.data[slot])

    def _buffer(self) -> Any:
        """One of two buffers on the way to the host, when what was in it has left."""
        self._turn = 1 - self._turn
        name = f"buffer {self._turn}"
        if name not in self.arrays:
            self.arrays[name] = self.device.empty(self.snapshot_shape(1)[1:], self.dtype)
        self.device.wait(self._sent[self._turn])
        self._here[self._turn] = 0
        return self.arrays[name]

    # -- time --

    def advance(
        self, forces: _Sources, moments: _Sources, receivers: _Receivers, snapshots: _Kept, first: int, steps: int,
    ) -> int:  # fmt: skip
        """Advance by ``steps`` time steps, the first of which is number ``first``. See ``Elastic3DGrid.advance``."""
        self.arrays["step"][...] = first
        works = [self._driven(forces, receivers), self._driven(moments, receivers)]
        kept = [] if snapshots is None else self._each(snapshots)
        n, end = first, first + steps
        while n < end:
            stop = min(end, (n // _CHECK_EVERY + 1) * _CHECK_EVERY)
            if kept:
                due = n + (kept[0].phase - n) % kept[0].every
                if due == n:
                    self._one(forces, moments, receivers, works, (kept, n))
                    n += 1
                    if (n == end or n % _CHECK_EVERY == 0) and not self._finite():
                        return n
                    continue
                stop = min(stop, due)
            self._many(forces, moments, receivers, works, stop - n)
            n = stop
            if (n == end or n % _CHECK_EVERY == 0) and not self._finite():
                return n
        return 0

    def _driven(self, sources: _Sources, receivers: _Receivers) -> npt.NDArray[Any]:
        """The struct of a step, for what is added to velocity or to stress."""
        work = self.work.copy()
        work["places"], work["signals"], work["records"] = sources.places, sources.signals, receivers.records
        for name, array in (*sources.arrays.items(), *receivers.arrays.items()):
            work[name] = self.device.address(array)
        return work

    def _one(
        self, forces: _Sources, moments: _Sources, receivers: _Receivers, works: list[Any],
        store: tuple[Sequence[Snapshots], int] | None = None,
    ) -> None:  # fmt: skip
        tiles = self._tiles(self.shape, self.events)
        self._launch("elastic_velocity", tiles, (32, 8))
        if forces.places:
            self._launch("elastic_inject", (-(-forces.places // 128),), (128,), works[0])
        if store is not None:
            self._keep(*store)
        self._launch("elastic_stress", tiles, (32, 8))
        if moments.places:
            self._launch("elastic_inject", (-(-moments.places // 128),), (128,), works[1])
        if receivers.records:
            self._launch("elastic_record", (receivers.records,), (32,), works[1])
        self._launch("elastic_tick", (1,), (32,))

    def _many(
        self, forces: _Sources, moments: _Sources, receivers: _Receivers, works: list[Any], steps: int
    ) -> None:
        """Some steps, as graphs of 1, 2, 4, ... steps after the first time, in which kernels are compiled."""
        drive = (forces, moments, receivers)
        if self._drive is None or any(a is not b for a, b in zip(self._drive, drive, strict=True)):
            self._drive, self._graphs = drive, {}
            if steps:
                self._one(*drive, works)
                steps -= 1
        while steps:
            size = min(_GRAPH, 1 << (steps.bit_length() - 1))
            if size not in self._graphs:
                self._graphs[size] = self.device.graph(lambda: self._one(*drive, works), size)
            self._graphs[size]()
            steps -= size

    def _finite(self) -> bool:
        self.arrays["bad"][...] = 0
        self._launch("elastic_look", self._tiles(self.shape, self.events), (32, 8))
        return not int(self.device.download(self.arrays["bad"])[0])

    def fields(self, event: int = 0) -> npt.NDArray[Any]:
        """All fields of an event on the host, (9, nx, ny, nz)."""
        sizes, item = self.host._sizes, self.dtype.itemsize
        flat = self.device.download(self.arrays["fields"][event])
        return np.ndarray(
            (len(FIELDS), *self.shape), self.dtype, flat, self.host._origin * item,
            (sizes["array"] * item, sizes["plane"] * item, sizes["row"] * item, item),
        )  # fmt: skip

    @property
    def _changing(self) -> tuple[str, ...]:
        """Arrays that change in time."""
        names = ("fields", "psi_x", "psi_y", "psi_z")
        return (*names, "relaxed") if "relaxed" in self.arrays else names

    def save(self) -> list[Any]:
        """A copy of all fields and memory variables."""
        return [self.arrays[name].copy() for name in self._changing]

    def restore(self, saved: list[Any]) -> None:
        """Go back to what ``save`` returned, of this grid or of one like it."""
        for name, old in zip(self._changing, saved, strict=True):
            self.arrays[name][...] = old

    def reset(self) -> None:
        """Set all fields and memory variables to zero."""
        for name in self._changing:
            self.arrays[name][...] = 0

    # -- gradient --

    def new_sums(self) -> Any:
        """Zeros for ``correlate``; with several events (events, sums, ...)."""
        shape = (len(SUMS), *self.box)
        return self.device.zeros(shape if self.events == 1 else (self.events, *shape), self.dtype)

    def fetched(self, sums: Any) -> npt.NDArray[Any]:
        """Sums on the host."""
        return self.device.download(sums)

    def correlate(self, snapshots: _Kept, slot: int, sums: Any, *, after: bool) -> None:
        """Add the correlation of one stored velocity with the adjoint fields; see ``Elastic3DGrid.correlate``."""
        cells, (nx, ny, nz) = self.host.cells, self.shape
        box = {f"s{name}": value for name, value in self._stored_box().items()}
        box |= {
            "x0": cells,
            "x1": nx - cells,
            "y0": cells,
            "y1": ny - cells,
            "z1": nz - cells,
            "after": int(after),
        }
        each = self._each(snapshots)
        together = self._all(each, slot, box)
        if together is not None:
            together["sums"] = self.device.address(sums)
            self._launch("elastic_correlate", self._tiles(self.box, self.events), (32, 8), together)
            return
        for event, kept in enumerate(each):
            stored = kept.data[slot]
            if self.device.on_host(stored):
                stored = self._back(stored)
            mine = sums if self.events == 1 else sums[event]
            work = self._event(event, box, stored=stored, sums=mine)
            self._launch("elastic_correlate", self._tiles(self.box, 1), (32, 8), work)
            if after and slot and self.events == 1 and self.device.on_host(kept.data):
                self._fetch(kept.data[slot - 1])  # on its way while the next steps run

    def _back(self, stored: npt.NDArray[Any]) -> Any:
        """A snapshot from the host, by way of one of two buffers."""
        if stored.ctypes.data not in self._here:
            self._fetch(stored)
        turn = self._here.index(stored.ctypes.data)
        self.device.wait(self._sent[turn])
        return self.arrays[f"buffer {turn}"]

    def _fetch(self, stored: npt.NDArray[Any]) -> None:
        """Begin to copy a snapshot from the host."""
        buffer = self._buffer()
        self._sent[self._turn], self._here[self._turn] = self.device.fetch(stored, buffer), stored.ctypes.data
