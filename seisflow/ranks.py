"""Processes that work on one thing together, by MPI: the one place that knows of mpi4py.

Whoever shares work gets a ``Ranks`` and needs to know nothing of MPI. mpi4py (the extra ``mpi``) is imported only in
processes that ``mpiexec`` has started.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from seisflow import errors
from seisflow.errors import SeisflowError, WorkError

__all__ = ["Ranks", "started_by_mpi", "use_mpi_folder", "world"]

_T = TypeVar("_T")

_MARKS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "PMIX_RANK")
"""What Open MPI, MPICH, Intel MPI and Slurm's PMIx set in the environment of the processes that they start."""
_TOLD = 3
_SHORTEST, _LONGEST = 1e-4, 5e-3
"""Seconds between looks for what the first rank tells."""
_PATIENCE = 2.0
"""Seconds that a rank other than the first waits before it reports: an error that all ranks have is told once."""


def started_by_mpi() -> bool:
    """Whether ``mpiexec`` or the like has started this process."""
    return any(name in os.environ for name in _MARKS)


def use_mpi_folder(*, first: bool = False) -> None:
    """Look for mpi4py also where `make` puts it, which is out of the way of processes that mpiexec did not start.

    Parameters
    ----------
    first : bool
        Take h5py from there too, that for parallel HDF5 (`make mpi`). To be called before h5py is imported.
    """
    folder = str(Path(sys.prefix) / "mpi")
    if folder not in sys.path:
        sys.path.insert(0 if first else len(sys.path), folder)


def world() -> Ranks | None:
    """All ranks of this run; None without MPI, or where there is only one.

    Raises
    ------
    WorkError
        If there are several, but mpi4py is not installed: each would do the same work.
    """
    if not started_by_mpi():
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the second: no MPI library
        if os.environ.get("OMPI_COMM_WORLD_SIZE", os.environ.get("PMI_SIZE")) == "1":
            return None
        raise WorkError(
            f"started by mpiexec, but mpi4py cannot be imported ({error}); install it (pip install 'seisflow[mpi]') "
            "or start one process without mpiexec"
        ) from error
    found = Ranks(MPI.COMM_WORLD)
    return found if found.size > 1 else None


class Ranks:
    """The ranks of a run and how they talk; all of them make one.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm

    Attributes
    ----------
    rank, size : int
    on_this_machine : int
        Ranks that share this machine.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self.comm = comm
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.on_this_machine = int(node.Get_size())
        node.Free()

    @property
    def leads(self) -> bool:
        """Whether this is the first rank."""
        return self.rank == 0

    # ------------------------------------------------------------------ all together

    def tell(self, content: Any = None) -> Any:
        """What the first rank gives, on all; others sleep until then, for that may take long."""
        if self.leads:
            for rank in range(1, self.size):
                self.comm.send(content, dest=rank, tag=_TOLD)
            return content
        pause = _SHORTEST
        while not self.comm.iprobe(source=0, tag=_TOLD):
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)
        return self.comm.recv(source=0, tag=_TOLD)

    def largest(self, value: float) -> float:
        """The largest value of all ranks, on all."""
        from mpi4py import MPI

        return float(self.comm.allreduce(float(value), op=MPI.MAX))

    def all_of(self, content: Any) -> list[Any]:
        """What each rank gives, on all."""
        found: list[Any] = self.comm.allgather(content)
        return found

    def together(self, work: Callable[[], _T]) -> list[_T]:
        """What ``work`` gives on each rank, on all; if it fails on any, all raise the error of the first that failed.

        Ranks that are early sleep. ``work`` must not talk to other ranks, unless all do in the same order.

        Raises
        ------
        SeisflowError
            Of the kind that was raised; ``WorkError`` for other exceptions.
        """
        found: tuple[bool, Any, str] = False, None, ""
        fault: Exception | None = None
        try:
            found = True, work(), ""
        except Exception as error:
            kind = type(error).__name__
            text = str(error) if isinstance(error, SeisflowError) else f"{kind}: {error}"
            fault, found = error, (False, kind, text)
        self.meet()
        told = self.comm.allgather(found)
        failed = next((rank for rank, (good, _, _) in enumerate(told) if not good), None)
        if failed is None:
            return [content for _, content, _ in told]
        _, kind, text = told[failed]
        known = getattr(errors, kind) if kind in errors.__all__ else WorkError
        agreed = known(f"rank {failed} of {self.size}: {text}")
        agreed.on_all_ranks = True
        raise agreed from fault

    def meet(self) -> None:
        """Wait until all are here, asleep."""
        request, pause = self.comm.Ibarrier(), _SHORTEST
        while not request.Test():
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    def hand_out(self, parts: Iterator[npt.NDArray[Any]] | None) -> npt.NDArray[Any]:
        """One array for each rank, made one after the other on the first rank, which keeps the first.

        Parameters
        ----------
        parts : iterator of ndarray
            On the first rank; None on others.
        """
        if not self.leads:
            return self._receive(0)
        mine = None
        for rank, part in enumerate(parts or ()):
            if rank:
                self._send(part, rank)
            else:
                mine = np.ascontiguousarray(part)
        if mine is None:
            raise WorkError("nothing was handed out")
        return mine

    def collect(self, mine: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
        """The arrays of all ranks in turn, on the first rank; none on others. Must be used up."""
        if not self.leads:
            self._send(mine, 0)
            return iter(())
        return self._in_turn(mine)

    def _in_turn(self, mine: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
        yield mine
        for rank in range(1, self.size):
            yield self._receive(rank)

    def _send(self, array: npt.NDArray[Any], to: int) -> None:
        array = np.ascontiguousarray(array)
        self.comm.send((array.shape, array.dtype.str), dest=to, tag=1)
        for piece in _pieces(array):
            self.comm.Send(piece, dest=to, tag=2)

    def _receive(self, source: int) -> npt.NDArray[Any]:
        shape, dtype = self.comm.recv(source=source, tag=1)
        array = np.empty(shape, dtype=np.dtype(dtype))
        for piece in _pieces(array):
            self.comm.Recv(piece, source=source, tag=2)
        return array

    # ------------------------------------------------------------------ with a neighbour

    def start_send(self, buffer: npt.NDArray[Any], to: int, tag: int) -> Any:
        """Begin to send; what is returned has ``Wait`` and ``Test``."""
        return self.comm.Isend(buffer, dest=to, tag=tag)

    def start_receive(self, buffer: npt.NDArray[Any], source: int, tag: int) -> Any:
        """Begin to receive; what is returned has ``Wait`` and ``Test``."""
        return self.comm.Irecv(buffer, source=source, tag=tag)

    # ------------------------------------------------------------------ failure

    def stop_all(self, error: BaseException) -> NoReturn:
        """End all ranks: this one cannot go on, and others would wait for it for ever.

        What the first rank has to say comes first; others wait a moment, for it may have the same to say.
        """
        if not self.leads:
            time.sleep(_PATIENCE)
        kind = "" if isinstance(error, SeisflowError) else f"{type(error).__name__}: "
        where = "" if getattr(error, "on_all_ranks", False) else f" on rank {self.rank} of {self.size}"
        print(f"error{where}: {kind}{error}", file=sys.stderr, flush=True)
        self.comm.Abort(error.exit_code if isinstance(error, SeisflowError) else 1)
        raise error


def _pieces(array: npt.NDArray[Any], most: int = 2**28) -> Iterator[npt.NDArray[Any]]:
    """Parts that one message can hold (MPI counts with 32 bits)."""
    flat = array.reshape(-1)
    for first in range(0, flat.size, most):
        yield flat[first : first + most]
