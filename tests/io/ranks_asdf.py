"""Run by mpiexec: ranks write a file together, and something may go wrong.

mpiexec -n N python ranks_asdf.py FILE TRACES CASE [gzip | shards]
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

from seisflow.ranks import use_mpi_folder, world

use_mpi_folder(first=True)
ranks = world()  # before HDF5

import numpy as np  # noqa: E402
from asdf_parts import EVENT, PROVENANCE, part_of  # noqa: E402

from seisflow.io import parallel_asdf  # noqa: E402
from seisflow.io.parallel_asdf import parallel_hdf5, write_asdf  # noqa: E402


def main() -> None:
    path, traces, case, *how = sys.argv[1:]
    rank, size = (ranks.rank, ranks.size) if ranks else (0, 1)
    last = rank == size - 1
    part = part_of(int(traces), rank, size)
    if case == "nothing" and last:
        part = parallel_asdf.Part({}, {})
    if case == "twice" and last:
        part = part_of(int(traces), 0, size)
    if case == "late" and last:
        time.sleep(2)
    if case == "masked" and last:
        name, (samples, attributes) = next(iter(part.traces.items()))
        masked = np.ma.masked_array(samples, samples > 1)
        part = parallel_asdf.Part(part.stations, {**part.traces, name: (masked, attributes)})
    if case in ("write", "verify", "kill", "bug") and last:
        break_in(case)
    if case == "limit":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    if case == "before" and last:
        raise RuntimeError("this rank fails before it writes")
    options = {"compress": "gzip" in how, "shards": "shards" in how}
    write_asdf(path, EVENT, part, ranks, provenance=PROVENANCE, **options)
    if rank == 0:
        print("written", "at once" if ranks and parallel_hdf5() and not how else "otherwise")


def break_in(case: str) -> None:
    """The step that fails on this rank."""
    where = {"verify": "_verify"}.get(case, "_write" if parallel_hdf5() and len(sys.argv) == 4 else "_fill")

    def failing(*arguments):
        if case == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if case == "bug":
            raise ZeroDivisionError("a bug of this rank")
        raise OSError(5, "Input/output error")

    setattr(parallel_asdf, where, failing)


try:
    main()
except Exception as error:
    if ranks is None:
        raise
    if getattr(error, "on_all_ranks", False):
        ranks.meet()
    ranks.stop_all(error)
print(f"rank {ranks.rank if ranks else 0} ended", file=sys.stderr)
assert Path(sys.argv[1]).is_file()
