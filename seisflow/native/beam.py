"""The compiled backprojection kernel: its plan of the delays, its maximum over sources, its values at some times.

The formula is in ``kernels/include/beam.h``.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError, WorkError
from seisflow.native.library import library, pointer

__all__ = ["BeamInput", "BeamMaximum", "BeamPlan", "checked"]

_TILE, _BLOCK, _TABLE = 64, 64, 8192
_DENSE = 1 << 22
_Integer = ctypes.c_int64
_Pointer = ctypes.c_void_p


class _Plan(ctypes.Structure):
    _fields_: ClassVar = [
        *((name, _Integer) for name in ["sources", "stations", "phases", "used", "chunks", "most", "width"]),
        *((name, _Pointer) for name in ["delays", "use", "low", "high", "early", "late"]),
        *((name, _Pointer) for name in ["order", "first", "entry", "chunk", "table", "left", "right"]),
    ]


class _Data(ctypes.Structure):
    _fields_: ClassVar = [
        *((name, _Integer) for name in ["samples", "strict", "threads"]),
        *((name, _Pointer) for name in ["values", "live", "weights", "least", "total"]),
        *((name, _Pointer) for name in ["maximum", "share", "node", "tiles"]),
    ]


@dataclass(frozen=True, eq=False)
class BeamInput:
    """What is summed along the delays, and who takes part.

    Parameters
    ----------
    values : ndarray of float32 (ns, np, nt)
        Features; finite where they are live.
    live : ndarray of bool (ns, np, nt)
        What is not live counts in no sum.
    weights : ndarray of float64 (ns, np)
        Of the rows, positive.
    least : ndarray of float64 (sources,)
        Share of the weights of a source that must be live for it to compete; above 0.
    strict : bool
        A source competes only while all its rows are inside the data; else, what is outside counts as dead.
    """

    values: FloatArray
    live: npt.NDArray[np.bool_]
    weights: FloatArray
    least: FloatArray
    strict: bool = True


@dataclass(frozen=True, eq=False)
class BeamMaximum:
    """Maximum of the beam over the sources.

    Parameters
    ----------
    maximum : ndarray of float32 (nt,)
        0 where no source competes.
    node : ndarray of int32 (nt,)
        Lowest number of the sources that reach it; -1 where none competes.
    share : ndarray of float32 (nt,)
        Live share of the weights of that source.
    tiles : tuple of 5 int
        Stretches of 64 samples: screened, screened and then summed exactly, summed exactly, silent; and how many of
        the first were screened with bytes.
    """

    maximum: FloatArray
    node: npt.NDArray[np.int32]
    share: FloatArray
    tiles: tuple[int, ...]


class BeamPlan:
    """What can be prepared from the delays alone, for use with any features.

    Parameters
    ----------
    delays : ndarray of int32 (sources, ns, np)
        From the origin time to the row of a station and phase, in samples; may be negative.
    use : ndarray of bool (sources, ns), optional
        Which stations a source sums over; all, if left out.

    Raises
    ------
    InputError
        If the shapes do not fit or no source uses a station.
    """

    def __init__(self, delays: npt.NDArray[np.int32], use: npt.NDArray[np.bool_] | None = None) -> None:
        if delays.ndim != 3 or not delays.size:
            raise InputError(f"delays need the shape (sources, stations, phases), found {delays.shape}")
        self.sources, self.stations, self.phases = delays.shape
        self.rows = self.stations * self.phases
        if use is None:
            use = np.ones(delays.shape[:2], dtype=np.bool_)
        if not np.any(use):
            raise InputError("no source uses any station; allow more stations or larger distances")
        if self.stations * ((self.phases + 1) // 2) >= 2**16 // _BLOCK:
            raise InputError(
                f"the beam has room for {2**16 // _BLOCK - 1} pairs of rows, found {delays.shape[1:]} stations and "
                "phases; use fewer"
            )
        self.use, self.delays = np.ascontiguousarray(use), np.ascontiguousarray(delays)
        self._keep: dict[str, npt.NDArray[Any]] = {}
        self._ranges()
        width = _TILE + int(np.max(self._keep["high"] - self._keep["low"])) + _TILE
        self._plan = _Plan(self.sources, self.stations, self.phases)
        self._plan.width = -(-width // 32) * 32
        if (self.rows + 1) * self._plan.width >= 2**31:
            raise InputError(
                f"the delays of {self.rows} rows differ by up to {width} samples: too much; use fewer stations "
                "for a source or a longer sampling interval"
            )
        self._plan.most = int(self.use.sum(axis=1).max()) * self.phases
        self._plan.delays = pointer(self.delays, np.int32, delays.shape, "delays")
        self._plan.use = pointer(self.use, np.bool_, delays.shape[:2], "use")
        self._chunks()

    def _hold(self, name: str, array: npt.NDArray[Any]) -> None:
        self._keep[name] = array

    def _ranges(self) -> None:
        """Smallest and largest delays of each row and of each source, over the stations in use."""
        used = np.broadcast_to(self.use[:, :, None], self.delays.shape).reshape(self.sources, self.rows)
        flat = self.delays.reshape(self.sources, self.rows)
        big = np.iinfo(np.int32).max
        low, high = np.where(used, flat, big), np.where(used, flat, -big)
        for name, array, axis in (("low", low, 0), ("early", low, 1)):
            least = array.min(axis=axis)
            self._hold(name, np.where(least == big, 0, least).astype(np.int32))
        for name, array, axis in (("high", high, 0), ("late", high, 1)):
            most = array.max(axis=axis)
            self._hold(name, np.where(most == -big, 0, most).astype(np.int32))

    def pairs(self) -> tuple[npt.NDArray[np.int32], int]:
        """Number the different pairs of delays of each group (sources, ns, groups), and count them."""
        groups = (self.phases + 1) // 2
        ids = np.zeros((self.sources, self.stations, groups), dtype=np.int32)
        total = 0
        for station in range(self.stations):
            which = self.use[:, station]
            for group in range(groups):
                pair = self.delays[which, station, 2 * group : 2 * group + 2].astype(np.int64)
                if not len(pair):
                    continue
                pair -= pair.min(axis=0)
                code = pair[:, 0] * (pair[:, -1].max() + 1) + pair[:, -1]
                number, count = _numbered(code)
                ids[which, station, group] = number + total
                total += count
        return ids, total

    def _chunks(self) -> None:
        """Order the sources and make the tables, in compiled code."""
        ids, total = self.pairs()
        order = np.flatnonzero(self.use.any(axis=1)).astype(np.int32)
        groups = self.stations * ((self.phases + 1) // 2)
        entries = int(self.use.sum()) * ((self.phases + 1) // 2)
        room = entries // 3 + _TABLE + _BLOCK * groups + 1
        blocks = -(-len(order) // _BLOCK)
        self._plan.used = len(order)
        self._hold("order", order)
        self._hold("first", np.zeros(len(order) + 1, dtype=np.int64))
        self._hold("entry", np.zeros(entries, dtype=np.uint16))
        for name in ("chunk", "table"):
            self._hold(name, np.zeros(blocks + 1, dtype=np.int64))
        for name in ("left", "right"):
            self._hold(name, np.zeros(room, dtype=np.int32))
        for name, array in self._keep.items():
            setattr(self._plan, name, pointer(array, array.dtype, array.shape, name))
        seen, local = np.full(total, -1, dtype=np.int32), np.zeros(total, dtype=np.int32)
        compiled = library()
        compiled.beam_order.restype = compiled.beam_chunks.restype = _Integer
        if compiled.beam_order(ctypes.byref(self._plan)) != 0:
            raise WorkError(f"no memory to order {self.sources} sources")
        self._plan.chunks = compiled.beam_chunks(
            ctypes.byref(self._plan),
            _Pointer(pointer(ids, np.int32, ids.shape, "ids")),
            _Pointer(pointer(seen, np.int32, (total,), "seen")),
            _Pointer(pointer(local, np.int32, (total,), "local")),
        )
        rows = int(self._keep["table"][self._plan.chunks])
        for name in ("left", "right"):
            self._hold(name, self._keep[name][:rows].copy())
            setattr(self._plan, name, self._keep[name].ctypes.data)

    @property
    def order(self) -> npt.NDArray[np.int32]:
        """Sources that use any station, those with like delays beside each other."""
        return self._keep["order"]

    @property
    def low(self) -> npt.NDArray[np.int32]:
        """Smallest delay of each row."""
        return self._keep["low"]

    @property
    def high(self) -> npt.NDArray[np.int32]:
        """Largest delay of each row."""
        return self._keep["high"]

    @property
    def early(self) -> npt.NDArray[np.int32]:
        """Smallest delay of each source."""
        return self._keep["early"]

    @property
    def late(self) -> npt.NDArray[np.int32]:
        """Largest delay of each source."""
        return self._keep["late"]

    @property
    def table_rows(self) -> int:
        """Rows of the tables of shared sums: 0 where delays share nothing."""
        return int(self._keep["left"].size)

    @property
    def nbytes(self) -> int:
        """Bytes that the plan holds, delays included."""
        return sum(array.nbytes for array in (self.delays, self.use, *self._keep.values()))

    def maximum(self, given: BeamInput, threads: int = 1) -> BeamMaximum:
        """Largest weighted mean over the sources, for origin times at the samples of the features.

        Parameters
        ----------
        given : BeamInput
        threads : int
            The result does not depend on it by a bit.

        Returns
        -------
        BeamMaximum

        Raises
        ------
        InputError
            If the input does not fit the plan, or live features are not finite.
        """
        data, keep = self._data(given, threads)
        samples = given.values.shape[2]
        maximum, share = np.zeros(samples, np.float32), np.zeros(samples, np.float32)
        node, tiles = np.zeros(samples, np.int32), np.zeros(5, np.int64)
        for name, array in (("maximum", maximum), ("share", share), ("node", node), ("tiles", tiles)):
            setattr(data, name, array.ctypes.data)
        compiled = library().beam_maximum
        compiled.restype = _Integer
        if compiled(ctypes.byref(self._plan), ctypes.byref(data)) != 0:
            raise WorkError(f"no memory for the beam of {self.sources} sources on {threads} threads")
        del keep
        return BeamMaximum(maximum, node, share, tuple(int(n) for n in tiles))

    def values(self, given: BeamInput, times: npt.NDArray[np.int64], threads: int = 1) -> FloatArray:
        """Weighted mean of every source at some origin times.

        Parameters
        ----------
        given : BeamInput
        times : ndarray of int64 (n,)
            Samples.
        threads : int

        Returns
        -------
        ndarray of float32 (n, sources)
            NaN where a source does not compete.

        Raises
        ------
        InputError
            As ``maximum``.
        """
        data, keep = self._data(given, threads)
        times = np.ascontiguousarray(times, dtype=np.int64)
        outside = times[(times < 0) | (times >= data.samples)]
        if outside.size:
            raise InputError(
                f"origin time {outside[0]} is outside the {data.samples} samples of the features"
            )
        out = np.zeros((times.size, self.sources), dtype=np.float32)
        library().beam_values(
            ctypes.byref(self._plan), ctypes.byref(data),
            _Pointer(times.ctypes.data), _Integer(times.size), _Pointer(out.ctypes.data),
        )  # fmt: skip
        del keep
        return out

    def _data(self, given: BeamInput, threads: int) -> tuple[_Data, tuple[npt.NDArray[Any], ...]]:
        """The struct for compiled code, and what it points to beside ``given``."""
        shape = (self.stations, self.phases)
        weights, least, total = checked(self, given)
        data = _Data(given.values.shape[2], int(given.strict), max(1, threads))
        data.values = pointer(given.values, np.float32, (*shape, data.samples), "features")
        data.live = pointer(given.live, np.bool_, (*shape, data.samples), "live")
        data.weights = pointer(weights, np.float64, shape, "weights")
        data.least = pointer(least, np.float64, (self.sources,), "least")
        data.total = pointer(total, np.float64, (self.sources,), "total")
        return data, (weights, least, total)


def checked(plan: BeamPlan, given: BeamInput) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights of the rows; of each source, the live weight that it needs and that of all its rows.

    Raises
    ------
    InputError
        If the input does not fit the plan, or live features are not finite.
    """
    shape = (plan.stations, plan.phases)
    weights = np.ascontiguousarray(given.weights, dtype=np.float64)
    _check(given, weights, (*shape, given.values.shape[-1]))
    if not np.all(given.least > 0):
        raise InputError("the live share that a source needs must be above 0")
    total = np.zeros(plan.sources)
    for station in range(plan.stations):  # in the order in which compiled code adds
        for phase in range(plan.phases):
            total += np.where(plan.use[:, station], weights[station, phase], 0)
    # a share that is met but for rounding is met
    least = np.ascontiguousarray(given.least * total * (1 - 1e-12) + np.where(total > 0, 0, np.inf))
    return weights, least, total


def _numbered(code: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Number different values from 0 on, and count them."""
    top = int(code.max()) + 1
    if top <= _DENSE:
        present = np.zeros(top, dtype=np.bool_)
        present[code] = True
        rank = np.cumsum(present) - 1
        return rank[code], int(rank[-1]) + 1
    values, number = np.unique(code, return_inverse=True)
    return number, values.size


def _check(given: BeamInput, weights: FloatArray, shape: tuple[int, ...]) -> None:
    """Refuse features that are not finite and weights that are not positive."""
    if given.values.shape != shape or given.live.shape != shape:
        raise InputError(
            f"features {given.values.shape} and live {given.live.shape} do not fit delays of "
            f"{shape[0]} stations and {shape[1]} phases"
        )
    if weights.shape != shape[:2] or not np.all((weights > 0) & np.isfinite(weights)):
        raise InputError(f"weights must be {shape[:2]} positive numbers, found {weights}")
    for station, phase in np.ndindex(*shape[:2]):
        bad = ~np.isfinite(given.values[station, phase]) & given.live[station, phase]
        if bad.any():
            raise InputError(
                f"feature of station {station}, phase {phase} is not finite at sample {int(np.argmax(bad))} "
                "though it is live; repair the data or mark them as not live"
            )
