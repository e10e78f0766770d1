"""The compiled 3D elastic kernel: its grid in memory, its time loop, the sums of its gradient.

The scheme is drawn in ``kernels/include/elastic3d.h``; positions are in grid units, arrays are (x, y, z).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError
from seisflow.native.elastic3d_entries import COLUMNS, Entries, pieces
from seisflow.native.elastic3d_material import Material
from seisflow.native.elastic3d_memory import (
    ALIGN,
    ARRAYS,
    FIELDS,
    LOSSES,
    Relaxation,
    arena,
    loss_arena,
    memory,
    sizes_of,
    state_memory,
)
from seisflow.native.elastic3d_slab import Slab
from seisflow.native.elastic3d_structs import (
    GradientStruct,
    GridStruct,
    PartStruct,
    ReceiversStruct,
    SnapshotsStruct,
    SourcesStruct,
)
from seisflow.native.elastic3d_tiles import TileChoice
from seisflow.native.library import library, pointer

__all__ = [
    "ORDERS",
    "ARRAYS",
    "FIELDS",
    "SUMS",
    "Entries",
    "Elastic3DGrid",
    "Material",
    "Relaxation",
    "Snapshots",
    "memory",
    "state_memory",
]

SUMS = ("ratio", "c33", "c66", "xy", "xz", "yz", "rho", "forward", "adjoint")
ORDERS = (4, 8)
MOST_STEPS = 8
SWEEP = 4
"""Time steps of one passage through the grid; at most MOST_STEPS, a divisor of 48."""
_Integer = ctypes.c_int64


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Velocity stored every so many steps.

    Parameters
    ----------
    every, phase : int
        Step n is stored if n % every == phase.
    data : ndarray (slots, 3, bx + order, by + order, bz + order / 2)
        Of the nodes of a box and as many points around it as a derivative reaches.
    first : int
        Number of the stored step in slot 0.
    """

    every: int
    phase: int
    data: FloatArray
    first: int = 0


class Elastic3DGrid:
    """The fields and the material of one simulation in memory, and what compiled code does with them.

    Parameters
    ----------
    shape : tuple of 3 int
        Points along x, y, z, absorbing layers included.
    dtype : {numpy.float32, numpy.float64}
    cells : int
        Width of the absorbing layers.
    profiles : sequence of 3 ndarray, optional
        Coefficients of the absorbing layers along x, y, z, each (4, n): a and b at nodes, a and b at half
        nodes. Needed where ``cells`` is above 0.
    threads : int
    order : {4, 8}
        Of the derivatives.
    tiles : tuple of 2 int, optional
        Rows of a block along y, 0 for whole planes; time steps of one passage through the grid, a divisor of 48, at
        most 8. Speed only. What suits the caches of this machine is found out in the first steps if it is left out.
    slab : Slab, optional
        Which planes of a grid that several memories share these are; ``shape`` counts those that are here.

    Raises
    ------
    InputError
        If the grid is too small.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: npt.DTypeLike = np.float32,
        *,
        cells: int = 0,
        profiles: tuple[FloatArray, ...] | None = None,
        threads: int = 1,
        order: int = 4,
        tiles: tuple[int, int] | None = None,
        slab: Slab | None = None,
    ) -> None:
        self.slab = slab = slab or Slab.whole(shape[0])
        self.shape, self.dtype, self.cells, self.threads = shape, np.dtype(dtype), cells, threads
        if shape[2] < ALIGN + cells or min(slab.total, shape[1]) < 2 * cells + 2:
            raise InputError(
                f"a simulation grid of {shape} points with {cells} absorbing cells is too small; at least "
                f"{2 * cells + 2} points along x and y and {ALIGN + cells} along z are needed"
            )
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise InputError(f"the elastic kernel has single and double precision, not {self.dtype}")
        choice = TileChoice((shape, self.dtype, cells, order, threads))
        self._choice = None if tiles else choice
        block, sweep = tiles or choice.next
        if not 1 <= sweep <= MOST_STEPS or 48 % sweep:
            raise InputError(f"a sweep has 1, 2, 3, 4, 6 or 8 time steps, not {sweep}")
        if order not in ORDERS:
            raise InputError(f"the elastic kernel has order 4 and 8, not {order}")
        self.halo = halo = order // 2
        sizes = sizes_of(shape, cells, self.dtype.itemsize, halo, slab)
        self._sizes = sizes
        self._origin = halo * sizes["plane"] + halo * sizes["row"] + ALIGN
        self._fields = arena(sizes["array"] * len(ARRAYS), self.dtype)
        self._losses: npt.NDArray[Any] | None = None
        self._relax: npt.NDArray[Any] | None = None
        self._psi = [arena(sizes[name], self.dtype) for name in ("psi_x", "psi_y", "psi_z")]
        self._pml = self._padded_profiles(profiles)
        for name in ("rho", "ixy", "ixz"):
            self._raw(name)[...] = np.inf
        self._grid = GridStruct(
            *shape, sizes["row"], sizes["plane"], sizes["array"], self._origin, cells, sizes["bottom"],
            sizes["depth"], block,
            sweep, max(1, threads), slab.first, slab.total, slab.low, slab.high, slab.layers(cells)[0],
            self._fields.ctypes.data, None, None, *(p.ctypes.data for p in self._psi + self._pml),
        )  # fmt: skip
        self._keep: list[Any] = []
        suffix = f"o{order}_" + ("f32" if self.dtype == np.float32 else "f64")
        self._advance = getattr(library(), f"elastic3d_advance_{suffix}")
        self._passage = getattr(library(), f"elastic3d_passage_{suffix}")
        self._correlate = getattr(library(), f"elastic3d_correlate_{suffix}")
        self._advance.restype = self._passage.restype = self._correlate.restype = _Integer

    def _padded_profiles(self, profiles: tuple[FloatArray, ...] | None) -> list[npt.NDArray[Any]]:
        result = []
        for axis, length in enumerate((*self.shape[:2], self._sizes["row"])):
            padded = np.zeros((4, length), dtype=self.dtype)
            if self.cells:
                if profiles is None or profiles[axis].shape != (4, self.shape[axis]):
                    raise InputError(f"axis {axis} needs profiles of shape {(4, self.shape[axis])}")
                padded[:, : self.shape[axis]] = profiles[axis]
            result.append(padded)
        return result

    def _raw(self, name: str) -> npt.NDArray[Any]:
        memory_of, names = (self._fields, ARRAYS) if name in ARRAYS else (self._losses, LOSSES)
        if memory_of is None:
            raise InputError(f"a grid without attenuation has no {name}")
        start = names.index(name) * self._sizes["array"]
        return memory_of[start : start + self._sizes["array"]]

    def view(self, name: str) -> npt.NDArray[Any]:
        """One of ``ARRAYS`` or (after ``attenuate``) ``LOSSES``: an array (nx, ny, nz) to be written to; strided."""
        size = self.dtype.itemsize
        return np.ndarray(
            self.shape,
            self.dtype,
            buffer=self._raw(name),
            offset=self._origin * size,
            strides=(self._sizes["plane"] * size, self._sizes["row"] * size, size),
        )

    def set_material(self, material: Material, ratio: float) -> None:
        """Set density and moduli.

        Parameters
        ----------
        material : Material
        ratio : float
            Time step over grid spacing, s/m.
        """
        for each in fields(material):
            found = getattr(material, each.name).shape
            if found != self.shape:
                raise InputError(f"{each.name} has shape {found}, the simulation grid {self.shape}")
        self.view("rho")[...] = material.rho / ratio
        self.view("ratio")[...] = material.ratio
        self.view("c33")[...] = ratio * material.c33
        self.view("c33")[:, :, 0] = 0
        self.view("ixy")[...] = 1 / (ratio * material.c66)
        self.view("ixz")[...] = material.across / ratio
        self.view("ixz")[:, :, -1] = np.inf

    def attenuate(self, relaxation: Relaxation, bulk: FloatArray, shear: FloatArray) -> None:
        """Let the moduli relax; ``set_material`` comes before, with the unrelaxed ones, isotropic at the nodes.

        Parameters
        ----------
        relaxation : Relaxation
        bulk, shear : ndarray (nx, ny, nz)
            Strengths of the relaxation of bulk and shear modulus.
        """
        if bulk.shape != self.shape or shear.shape != self.shape:
            raise InputError(f"strengths have shapes {bulk.shape} and {shear.shape}, the grid {self.shape}")
        self._losses = loss_arena(self._sizes["array"], self.dtype)
        self._relax = relaxation.table(self.dtype)
        self._grid.losses, self._grid.relax = self._losses.ctypes.data, self._relax.ctypes.data
        self.view("phi_mu")[...] = shear
        self.view("phi_lam")[...] = (bulk - shear) * (self.view("c33") - 4 / 3 / self.view("ixy"))
        self.view("phi_lam")[:, :, 0] = 0

    @property
    def attenuated(self) -> bool:
        """Whether moduli relax."""
        return self._losses is not None

    def relaxing(self, points: Entries) -> tuple[FloatArray, FloatArray] | None:
        """Decay and gain of the memory variables of some nodes at the surface; None without attenuation."""
        if self._relax is None:
            return None
        pairs = self._relax[(self.slab.first + points.x) % 2, points.y % 2, :, 0].astype(np.float64)
        return pairs[:, 0], pairs[:, 1] * self.view("phi_mu")[points.x, points.y, points.z]

    @property
    def _changing(self) -> tuple[str, ...]:
        """Arrays that change in time."""
        return FIELDS if self._losses is None else FIELDS + LOSSES[2:]

    @property
    def _state(self) -> list[npt.NDArray[Any]]:
        return [*(self._raw(name) for name in self._changing), *self._psi]

    def save(self) -> list[npt.NDArray[Any]]:
        """A copy of all fields and memory variables."""
        return [part.copy() for part in self._state]

    def restore(self, saved: list[npt.NDArray[Any]]) -> None:
        """Go back to what ``save`` returned, of this grid or of one like it."""
        for part, old in zip(self._state, saved, strict=True):
            part[...] = old

    def reset(self) -> None:
        """Set all fields and memory variables to zero."""
        for part in self._state:
            part[...] = 0

    def _offsets(self, entries: Entries) -> npt.NDArray[np.int64]:
        sizes = self._sizes
        inside = (entries.field >= 0) & (entries.field < len(FIELDS))
        for values, count in zip((entries.x, entries.y, entries.z), self.shape, strict=True):
            inside &= (values >= 0) & (values < count)
        if not inside.all():
            raise InputError("a source or receiver has points outside the simulation grid")
        place = self._origin + entries.x * sizes["plane"] + entries.y * sizes["row"] + entries.z
        return np.ascontiguousarray(entries.field * sizes["array"] + place)

    def _rows(self, entries: Entries) -> npt.NDArray[np.int64]:
        """Number of the row (x, y) of each entry."""
        return entries.x * self.shape[1] + entries.y

    def _begins(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where the entries of each row begin; ``rows`` is sorted."""
        return np.searchsorted(rows, np.arange(self.shape[0] * self.shape[1] + 1)).astype(np.int64)

    def sources(self, entries: Entries, samples: FloatArray) -> Any:
        """Prepare what ``advance`` adds to fields: ``weight * samples[step, signal]`` of every entry.

        Parameters
        ----------
        entries : Entries
        samples : ndarray (steps, signals)
        """
        rows = self._rows(entries)
        order = np.argsort(rows, kind="stable")
        ordered = Entries(*(np.ascontiguousarray(getattr(entries, name)[order]) for name in COLUMNS))
        samples = np.ascontiguousarray(samples, dtype=np.float64)
        if ordered.signal.size and int(ordered.signal.max()) >= samples.shape[1]:
            raise InputError(f"a source entry has signal {ordered.signal.max()} of {samples.shape[1]}")
        first, offset, count = self._begins(rows[order]), self._offsets(ordered), (ordered.x.size,)
        self._keep += [first, offset, ordered, samples]
        return SourcesStruct(
            samples.shape[1],
            pointer(first, np.int64, first.shape, "first"),
            pointer(offset, np.int64, count, "offset"),
            pointer(ordered.signal, np.int64, count, "signal"),
            pointer(ordered.weight, np.float64, count, "weight"),
            pointer(samples, np.float64, samples.shape, "samples"),
        )

    def receivers(self, entries: Entries, out: npt.NDArray[np.float64]) -> Any:
        """Prepare what ``advance`` records: ``out[step, r]``, the weighted sum of entries with signal r.

        Parameters
        ----------
        entries : Entries
            Sorted by signal.
        out : ndarray of float64 (steps, records)
            Filled by ``advance``.
        """
        if np.any(np.diff(entries.signal) < 0):
            raise InputError("the entries of receivers must be sorted by record")
        piece, first = pieces(entries, out.shape[1])
        rows, stress = self._rows(entries), entries.field >= FIELDS.index("sxx")
        parts = [np.flatnonzero(stress == late) for late in (False, True)]
        parts = [part[np.argsort(rows[part], kind="stable")] for part in parts]
        begins = [self._begins(rows[part]) for part in parts]
        begins[1] += parts[0].size
        order = np.concatenate(parts)
        place = np.empty(order.size, dtype=np.int64)
        place[order] = np.arange(order.size)
        offset, weight = self._offsets(entries)[order], np.ascontiguousarray(entries.weight[order])
        held = np.zeros((MOST_STEPS, max(order.size, 1)))
        self._keep += [first, piece, place, offset, weight, *begins, held, out]
        return ReceiversStruct(
            out.shape[1],
            order.size,
            pointer(first, np.int64, (out.shape[1] + 1,), "first"),
            pointer(piece, np.int64, piece.shape, "piece"),
            pointer(place, np.int64, order.shape, "place"),
            pointer(offset, np.int64, order.shape, "offset"),
            pointer(weight, np.float64, order.shape, "weight"),
            *(pointer(begin, np.int64, begin.shape, "row") for begin in begins),
            pointer(held, np.float64, held.shape, "held"),
            pointer(out, np.float64, out.shape, "out"),
        )

    @property
    def box(self) -> tuple[int, int, int]:
        """Nodes outside the absorbing layers, along x, y, z."""
        inside = self.slab.inside(self.cells)
        return inside.stop - inside.start, self.shape[1] - 2 * self.cells, self.shape[2] - self.cells

    def snapshot_shape(self, slots: int) -> tuple[int, int, int, int, int]:
        """Shape of ``Snapshots.data``."""
        bx, by, bz = self.box
        return slots, 3, bx + 2 * self.halo, by + 2 * self.halo, bz + self.halo

    def room(self, slots: int) -> npt.NDArray[Any]:
        """Memory for ``Snapshots.data``."""
        return self._block(self.snapshot_shape(slots))

    def new_sums(self) -> npt.NDArray[Any]:
        """Zeros for ``correlate``."""
        return self._block((len(SUMS), *self.box))

    def _block(self, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        size = int(np.prod(shape))
        return arena(size, self.dtype)[:size].reshape(shape)

    def fetched(self, sums: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sums in the memory of the processor: these."""
        return sums

    def snapshots(self, stored: Snapshots | None) -> Any:
        """Say where ``advance`` stores the velocity and ``correlate`` finds it; None stores nothing."""
        if stored is None:
            return SnapshotsStruct(0, 0, 0, 0, 0, 0, 0, 0, None)
        inside, (_, ny, nz) = self.slab.inside(self.cells), self.shape
        cells, halo = self.cells, self.halo
        address = pointer(stored.data, self.dtype, self.snapshot_shape(stored.data.shape[0]), "snapshots")
        return SnapshotsStruct(
            stored.every, stored.phase, stored.first, inside.start - halo, inside.stop + halo, cells - halo,
            ny - cells + halo, nz - cells + halo, address,
        )  # fmt: skip

    def advance(
        self, forces: Any, moments: Any, receivers: Any, snapshots: Any, first: int, steps: int
    ) -> int:
        """Advance by ``steps`` time steps, the first of which is number ``first``.

        Parameters
        ----------
        forces, moments
            Of ``sources``: what is added to velocity, and to stress.
        receivers, snapshots
            Of the methods of that name.

        Returns
        -------
        int
            0, or the step (counted from 1) after which the velocity was found infinite or NaN.
        """
        structures = (self._grid, forces, moments, receivers, snapshots)

        def run(first: int, steps: int) -> int:
            return int(self._advance(*map(ctypes.byref, structures), _Integer(first), _Integer(steps)))

        return (
            run(first, steps) if self._choice is None else self._choice.advance(self._grid, run, first, steps)
        )

    def positions(self, steps: int) -> int:
        """Positions of a passage of so many time steps; see ``passage``."""
        return self.shape[0] + (2 * steps - 1) * self.halo

    def passage(self, driven: Any, part: PartStruct, *, last: bool) -> int:
        """Advance through a part of the planes; ``kernels/include/elastic3d.h`` says what a part is.

        Parameters
        ----------
        driven
            Forces, moments, receivers and snapshots, as ``advance`` takes them.
        part : PartStruct
        last : bool
            Whether the field is looked at in any case when all planes are done.

        Returns
        -------
        int
            As ``advance``.
        """
        structures = (self._grid, *driven, part)
        return int(self._passage(*map(ctypes.byref, structures), _Integer(int(last))))

    def planes(self, first: int, last: int) -> list[npt.NDArray[Any]]:
        """All that changes in time of planes ``first`` to ``last`` of this memory, as views."""
        sizes, (_, ny, _), cells = self._sizes, self.shape, self.cells
        start, end = (self._origin + sizes["plane"] * plane for plane in (first, last))
        found = [self._raw(name)[start:end] for name in self._changing]
        if cells:
            here = Slab(self.slab.total, self.slab.first + first, last - first)
            layer, count = here.layers(cells)
            begin, each = layer - self.slab.layers(cells)[0], ny * 6 * sizes["row"]
            found.append(self._psi[0][begin * each : (begin + count) * each])
        for psi, each in zip(
            self._psi[1:], ((2 * cells + 1) * 6 * sizes["row"], ny * 6 * sizes["depth"]), strict=True
        ):
            if psi.size > 1:
                found.append(psi[first * each : last * each])
        return found

    def correlate(self, snapshots: Any, slot: int, sums: npt.NDArray[Any], *, after: bool) -> None:
        """Add the correlation of one stored velocity with the present adjoint fields to the sums.

        Parameters
        ----------
        snapshots
            Of the method of that name.
        slot : int
        sums : ndarray (9, bx, by, bz)
            In the order of ``SUMS``; see ``kernels/c/elastic3d_gradient.h``.
        after : bool
            False before the adjoint step, True after it.
        """
        inside, slab, (_, ny, nz) = self.slab.inside(self.cells), self.slab, self.shape
        address = pointer(sums, self.dtype, (len(SUMS), *self.box), "sums")
        cells, first, last = self.cells, slab.first + inside.start, slab.first + inside.stop
        if first == last:
            return  # all planes that are here absorb
        gradient = GradientStruct(
            inside.start, inside.stop, cells, ny - cells, nz - cells,
            first > cells, last < slab.total - cells, address,
        )  # fmt: skip
        status = self._correlate(
            ctypes.byref(self._grid), ctypes.byref(snapshots), _Integer(slot), ctypes.byref(gradient),
            _Integer(int(after)),
        )  # fmt: skip
        if status != 0:
            raise InputError(f"the box of the gradient, {self.box} nodes, does not fit the stored velocity")
