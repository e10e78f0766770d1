"""Backprojection on a GPU: the plan of its shared memory, and its launches. The same bits as on the processor.

How it is computed is said in ``kernels/cuda/beam.cu``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.errors import InputError
from seisflow.native.beam import BeamInput, BeamMaximum, BeamPlan, checked
from seisflow.native.device import Device, DeviceMemoryError, options, struct_type

__all__ = ["CudaBeam"]

_TILE, _WARPS, _BLOCK, _EXACT = 32, 32, 16, 512
_LEAST_SHARED = 3 * _WARPS * _TILE * 4
_PATTERNS = 65535
_HALF_LIMIT = 65504.0
_ADDRESSED = 2**16 * 4
"""Bytes of shared memory that 16 bits of an entry reach."""
_WORK = struct_type(
    [
        *((name, "i") for name in ["samples", "sources", "used", "chunks", "tiles", "listed"]),
        *((name, "p") for name in ["delays", "use", "early", "late", "weights", "least", "total", "order"]),
        *(
            (name, "p")
            for name in ["chunk", "table", "left", "right", "first", "place", "begin", "slots", "entry"]
        ),
        *(
            (name, "p")
            for name in ["values", "live", "kind", "pattern", "below", "scale", "leader", "largest"]
        ),
        *((name, "p") for name in ["maximum", "share", "node", "doubtful", "count"]),
        *((name, "n") for name in ["rows", "phases", "terms", "most", "room", "strict"]),
    ]
)


@dataclass(eq=False)
class _Tables:
    """Chunks of sources with the sums that they share; see ``beam_work`` in the kernel."""

    chunk: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    begin: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int32]
    entry: npt.NDArray[np.uint16]
    most: int
    room: int


class _Chunker:
    """Cuts the ordered sources into chunks whose sums and rows fit into shared memory."""

    def __init__(self, plan: BeamPlan, floats: int) -> None:
        self.plan, self.floats = plan, floats
        self.order = plan.order
        self.ids, self.total = plan.pairs()
        self.groups = self.ids.shape[1] * self.ids.shape[2]
        self.ids = self.ids.reshape(plan.sources, self.groups)[self.order]
        half = self.groups // plan.stations
        self.used = np.repeat(plan.use[self.order], half, axis=1)
        rows = np.repeat(plan.use[self.order], plan.phases, axis=1)
        self.delays = plan.delays.reshape(plan.sources, plan.rows)[self.order]
        self.low = np.where(rows, self.delays, np.iinfo(np.int32).max)
        self.high = np.where(rows, self.delays, np.iinfo(np.int32).min)

    def tables(self) -> _Tables | None:
        """All chunks; None if not even one source fits."""
        edges = self._edges(_BLOCK)
        edges = self._edges(1) if edges is None else edges
        return None if edges is None else self._join(edges)

    def _edges(self, block: int) -> list[int] | None:
        count = len(self.order)
        starts = np.arange(0, count, block)
        low, high = np.minimum.reduceat(self.low, starts), np.maximum.reduceat(self.high, starts)
        seen = np.full(self.total, -1, dtype=np.int32)
        edges, rows = [0], 0
        lowest, highest = low[0], high[0]
        for number, start in enumerate(starts.tolist()):
            which = self.ids[start : start + block][self.used[start : start + block]]
            new = np.unique(which[seen[which] != len(edges)])
            lows, highs = np.minimum(lowest, low[number]), np.maximum(highest, high[number])
            if start > edges[-1] and not self._fits(rows + new.size, lows, highs):
                edges.append(start)
                rows, lows, highs, new = 0, low[number], high[number], np.unique(which)
            if start == edges[-1] and not self._fits(new.size, lows, highs):
                return None
            seen[new] = len(edges)
            rows, lowest, highest = rows + new.size, lows, highs
        return [*edges, count]

    def _fits(self, rows: int, low: npt.NDArray[Any], high: npt.NDArray[Any]) -> bool:
        staged = int(_widths(low, high).sum()) + _TILE
        return bool((rows + 1) * _TILE + staged + self.plan.rows <= self.floats)

    def _join(self, edges: list[int]) -> _Tables:
        chunks = [self._chunk(begin, end) for begin, end in pairwise(edges)]
        most = max(each.left.size for each in chunks)
        room = int(max(each.place[-1] for each in chunks)) + _TILE
        staged = (most + 1) * _TILE
        for each in chunks:
            each.right[each.right < 0] = room - _TILE  # zeros
            if not each.tabled:
                each.entry[each.entry > 0] += staged - 1
        left = np.concatenate([each.left for each in chunks if each.tabled] or [np.zeros(1)])
        right = np.concatenate([each.right for each in chunks if each.tabled] or [np.zeros(1)])
        sizes = [each.left.size if each.tabled else 0 for each in chunks]
        return _Tables(
            np.array(edges, dtype=np.int64), np.cumsum([0, *sizes]).astype(np.int64),
            left.astype(np.int32), right.astype(np.int32),
            np.array([each.first for each in chunks], dtype=np.int32),
            np.array([each.place for each in chunks], dtype=np.int32),
            np.cumsum([0, *(each.entry.size for each in chunks)]).astype(np.int64),
            np.array([each.entry.shape[1] for each in chunks], dtype=np.int32),
            np.concatenate([each.entry.ravel() for each in chunks]).astype(np.uint16), most, room,
        )  # fmt: skip

    def _chunk(self, begin: int, end: int) -> _Chunk:
        """What a chunk stages, sums and adds."""
        phases, half = self.plan.phases, self.groups // self.plan.stations
        station, pair = np.divmod(np.arange(self.groups), half)
        left_row = station * phases + 2 * pair
        right_row = np.where(2 * pair + 1 < phases, left_row + 1, -1)
        low = self.low[begin:end].min(axis=0)
        width = _widths(low, self.high[begin:end].max(axis=0))
        place = np.concatenate(([0], np.cumsum(width)))
        first = np.where(width > 0, low, 0)
        at, group = np.nonzero(self.used[begin:end])
        _, which, number = np.unique(self.ids[begin:end][at, group], return_index=True, return_inverse=True)
        source, a, b = begin + at[which], left_row[group[which]], right_row[group[which]]
        left = place[a] + self.delays[source, a] - low[a]
        right = np.where(b < 0, -1, place[b] + self.delays[source, b] - low[b])
        # a row of the table takes two loads and a store, and saves a load whenever it is used once more
        pairs = int(np.count_nonzero(right_row[group] >= 0))
        if 3 * which.size < pairs:
            return _Chunk(first, place, left, right, _slots(at, (number + 1) * _TILE, end - begin), True)
        rows = np.repeat(self.plan.use[self.order[begin:end]], phases, axis=1)
        at, row = np.nonzero(rows)
        offset = place[row] + self.delays[begin + at, row] - low[row]
        none = np.zeros(0, dtype=np.int64)
        return _Chunk(first, place, none, none, _slots(at, offset + 1, end - begin), False)


@dataclass(eq=False)
class _Chunk:
    """Rows that are staged, table of sums, and what each source adds: places in shared memory, 0 for none.

    Without a table they are one more than places in what is staged, until it is known where that begins.
    """

    first: npt.NDArray[Any]
    place: npt.NDArray[Any]
    left: npt.NDArray[Any]
    right: npt.NDArray[Any]
    entry: npt.NDArray[Any]
    tabled: bool


def _slots(source: npt.NDArray[Any], value: npt.NDArray[Any], sources: int) -> npt.NDArray[Any]:
    """Values of each source side by side, (sources, slots), zeros behind; ``source`` is sorted."""
    slot = np.arange(source.size) - np.searchsorted(source, source, side="left")
    result = np.zeros((sources, -(-(int(slot.max()) + 1) // 4) * 4), dtype=np.int64)
    result[source, slot] = value
    return result


def _widths(low: npt.NDArray[Any], high: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Samples of each row that a tile needs; 0 for rows that nobody uses."""
    span = high.astype(np.int64) - low
    return np.where(span >= 0, span + _TILE, 0)


class CudaBeam:
    """A plan of delays on a GPU.

    Parameters
    ----------
    device : Device
    plan : BeamPlan
    half : bool
        Round features to half precision (11 bits), which halves their memory; the result is that of the rounded ones.
    """

    def __init__(self, device: Device, plan: BeamPlan, *, half: bool = False) -> None:
        self.device, self.plan, self.half = device, plan, half
        self.tables = _Chunker(plan, min(device.shared_bytes, _ADDRESSED) // 4).tables()
        flat = plan.delays.reshape(plan.sources, plan.rows)
        constant: dict[str, npt.NDArray[Any]] = {
            "delays": np.ascontiguousarray(flat.T), "use": np.ascontiguousarray(plan.use.T).view(np.uint8),
            "early": plan.early, "late": plan.late, "order": plan.order,
        }  # fmt: skip
        if self.tables is not None:
            names = ("chunk", "table", "left", "right", "first", "place", "begin", "slots", "entry")
            constant |= {name: getattr(self.tables, name) for name in names}
        self._constant = {name: device.upload(array) for name, array in constant.items()}
        self._options = options(HALF=int(half))

    def maximum(self, given: BeamInput, *, there: bool = False) -> BeamMaximum:
        """Largest weighted mean over the sources; see ``BeamPlan.maximum``.

        Where the memory of the device does not hold all samples, they are done piece by piece.

        Parameters
        ----------
        given : BeamInput
        there : bool
            Whether features, and where they are live, are arrays of the device.

        Raises
        ------
        InputError
            If the input does not fit the plan, or live features are not finite (or too large for half precision).
        DeviceMemoryError
            If not even a short piece fits.
        """
        weights, least, total = checked(self.plan, given)
        if self.half:
            xp = self.device.xp if there else np
            with np.errstate(invalid="ignore"):
                largest = float(xp.where(given.live, xp.abs(given.values), 0).max())
            if largest > _HALF_LIMIT:
                raise InputError(
                    f"features reach {largest:g}, half precision {_HALF_LIMIT:g}; scale them or use float32"
                )
        samples = given.values.shape[2]
        fixed = {
            name: self.device.upload(array)
            for name, array in (("weights", weights), ("least", least), ("total", total))
        }
        result = (np.zeros(samples, np.float32), np.zeros(samples, np.int32), np.zeros(samples, np.float32))
        tiles = np.zeros(5, np.int64)
        size = self._piece(samples)
        first = 0
        while first < samples:
            last = min(samples, first + size)
            try:
                with self.device.short():
                    found = self._run(given, (first, last), fixed, tiles, there)
            except DeviceMemoryError:
                if size <= _TILE:
                    raise
                size = max(_TILE, size // 2 // _TILE * _TILE)
                continue
            for whole, part in zip(result, found, strict=True):
                whole[first:last] = part
            first = last
        return BeamMaximum(*result, tuple(int(n) for n in tiles))

    def _piece(self, samples: int) -> int:
        """Samples that fit into half of the free memory, patterns of live rows taken as few."""
        row = self.plan.rows * ((2 if self.half else 4) + 1 + 4) + 24
        fits = int(0.5 * self.device.free_bytes() / row)
        return max(_TILE, min(samples, fits, 2**31 - 2**20) // _TILE * _TILE + _TILE)

    def _run(
        self, given: BeamInput, piece: tuple[int, int], fixed: dict[str, Any], tiles: npt.NDArray[np.int64],
        there: bool,
    ) -> tuple[npt.NDArray[Any], ...]:  # fmt: skip
        """Samples of a piece: the data that their delays reach are uploaded, if they are not there.

        Beyond both ends of the data nothing is added, so that the kernel still knows where they are.
        """
        device, plan = self.device, self.plan
        begin = max(0, piece[0] + min(0, int(plan.early.min())))
        end = min(given.values.shape[2], piece[1] + max(0, int(plan.late.max())))
        begin = piece[0] if end <= begin else begin
        end = max(end, piece[1])
        arrays = dict(self._constant, **fixed)
        arrays["values"], arrays["live"] = self._features(given, begin, end, there)
        kind, patterns = self._patterns(arrays["live"], end - begin)
        samples, used = end - begin, len(plan.order)
        starts = begin + _TILE * np.arange(kind.size)
        kind[(starts + _TILE <= piece[0]) | (starts >= piece[1])] = -2
        arrays["kind"] = device.upload(kind)
        arrays["pattern"] = device.upload(patterns)
        count = max(1, len(patterns))
        arrays["below"], arrays["scale"] = (
            device.zeros((count, used), np.float64),
            device.zeros((count, used), np.float32),
        )
        arrays["leader"] = device.upload(np.full(count, np.iinfo(np.int32).max, dtype=np.int32))
        arrays["largest"] = device.zeros((count,), np.int32)
        for name, dtype in (("maximum", np.float32), ("share", np.float32), ("node", np.int32)):
            arrays[name] = device.zeros((samples,), dtype)
        arrays["doubtful"], arrays["count"] = device.empty((samples,), np.int32), device.zeros((1,), np.int32)
        listed = self._launch(arrays, given.strict, samples, len(patterns))
        tiles[:] += [int((kind >= 0).sum()), listed, int((kind == -1).sum()), 0, 0]
        part = slice(piece[0] - begin, piece[1] - begin)
        return tuple(device.download(arrays[name][part]) for name in ("maximum", "node", "share"))

    def _features(self, given: BeamInput, begin: int, end: int, there: bool) -> tuple[Any, Any]:
        """Features (rows, samples) on the device, and where they are live."""
        rows, kind = (self.plan.rows, -1), np.float16 if self.half else np.float32
        if there:
            found = []
            for array, dtype in ((given.values, kind), (given.live, np.uint8)):
                part = self.device.empty((*array.shape[:2], end - begin), dtype)
                with np.errstate(over="ignore", invalid="ignore"):
                    part[...] = array[..., begin:end]
                found.append(part.reshape(rows))
            return found[0], found[1]
        values = np.ascontiguousarray(given.values[..., begin:end]).reshape(rows)
        alive = np.ascontiguousarray(given.live[..., begin:end]).reshape(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            values = values.astype(kind, copy=False)
        return self.device.upload(values), self.device.upload(alive.view(np.uint8))

    def _launch(self, arrays: dict[str, Any], strict: bool, samples: int, patterns: int) -> int:
        """Run the kernels; returns how many samples were summed exactly."""
        device, plan, tables = self.device, self.plan, self.tables
        work = np.zeros(1, dtype=_WORK)
        numbers = {
            "samples": samples, "sources": plan.sources, "used": len(plan.order), "tiles": -(-samples // _TILE),
            "rows": plan.rows, "phases": plan.phases, "strict": int(strict),
        }  # fmt: skip
        if tables is not None:
            numbers |= {
                "chunks": len(tables.chunk) - 1, "terms": int(tables.slots.max()), "most": tables.most,
                "room": tables.room,
            }  # fmt: skip
        for name, value in {**numbers, **{n: device.address(a) for n, a in arrays.items()}}.items():
            work[name] = value
        if patterns:
            grid = (-(-numbers["used"] // 256), patterns)
            device.launch(("beam", "beam_pattern", self._options), grid, (256,), work)
        floats = 0 if tables is None else (tables.most + 1) * _TILE + tables.room + plan.rows
        shared = max(_LEAST_SHARED, 4 * floats)
        kernel = ("beam", "beam_screen", self._options)
        device.launch(kernel, (numbers["tiles"],), (_WARPS * _TILE,), work, shared)
        listed = int(device.download(arrays["count"])[0])
        if listed:
            work["listed"] = listed
            kernel = ("beam", "beam_exact", self._options)
            device.launch(kernel, (listed,), (_EXACT,), work, _EXACT * 20)
        return listed

    def _patterns(self, live: Any, samples: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """Number of the pattern of live rows for each tile, -1 where it changes in reach; and the patterns."""
        xp, plan = self.device.xp, self.plan
        tiles = -(-samples // _TILE)
        if self.tables is None:
            return np.full(tiles, -1, dtype=np.int32), np.zeros((0, plan.rows), dtype=np.uint8)
        starts = np.arange(tiles) * _TILE
        a = starts[None, :] + plan.low[:, None]
        b = np.minimum(starts + _TILE, samples)[None, :] + plan.high[:, None]
        inside = ((a >= 0) & (b <= samples)).all(axis=0)
        a, b = np.clip(a, 0, samples), np.clip(b, 0, samples)
        alive = np.empty((tiles, plan.rows), dtype=np.uint8)
        for row in range(plan.rows):  # one row at a time: sums of all would be four times the data
            ends = xp.concatenate((xp.zeros(1, xp.int32), xp.cumsum(live[row], dtype=xp.int32)))
            where = (self.device.upload(a[row]), self.device.upload(b[row]))
            counts = self.device.download(ends[where[1]] - ends[where[0]])
            alive[:, row] = counts > 0
            inside &= (counts == 0) | (counts == b[row] - a[row])
        kind = np.full(tiles, -1, dtype=np.int32)
        if not inside.any():
            return kind, np.zeros((0, plan.rows), dtype=np.uint8)
        codes = np.packbits(alive[inside], axis=1)
        _, which, number = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        number = number.reshape(-1)
        kind[inside] = np.where(number < _PATTERNS, number, -1)  # a launch has no room for more
        return kind, np.ascontiguousarray(alive[inside][which[:_PATTERNS]])
