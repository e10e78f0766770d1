"""One ASDF file by several ranks under mpiexec: the same content, and nobody waits for ever."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from asdf_parts import EVENT, PROVENANCE, part_of
from mpi_run import EXTRA, missing, mpiexec

from seisflow.errors import InputError
from seisflow.io.asdf_reading import read_observed, read_provenance, read_source
from seisflow.io.atomic import sweep
from seisflow.io.parallel_asdf import Part, write_asdf

PROGRAM = str(Path(__file__).parent / "ranks_asdf.py")
TRACES = 10
AT_ONCE = (EXTRA / "h5py").is_dir()


def mpi(function):
    """Skip it where nothing can be run under mpiexec."""
    return pytest.mark.mpi(pytest.mark.skipif(missing() is not None, reason=str(missing()))(function))


needs_parallel = pytest.mark.skipif(not AT_ONCE, reason="h5py is not built for parallel HDF5 (make mpi)")


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


WAYS = [pytest.param((), marks=needs_parallel), ("shards",), ("gzip",)]


def run(path, ranks, case="plain", how=(), **options):
    return mpiexec(ranks, PROGRAM, str(path), str(TRACES), case, *how, seconds=100, **options)


def check(path: Path, traces: int = TRACES) -> None:
    """All that was brought is there, bit for bit."""
    stream, inventory = read_observed(path)
    wanted = part_of(traces)
    assert read_source(path).id == EVENT.id and read_provenance(path) == PROVENANCE
    assert len(stream) == len(wanted.traces) == traces
    found = {(trace.id, trace.stats.npts): trace for trace in stream}
    for name, (samples, attributes) in wanted.traces.items():
        trace = found[name.split("__")[0], samples.size]
        assert trace.data.dtype == samples.dtype and np.array_equal(trace.data, samples)
        assert trace.stats.starttime.ns == attributes["starttime"]
    names = {f"{network.code}.{station.code}" for network in inventory for station in network}
    assert names == set(wanted.stations)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_process_writes_the_same_content(tmp_path):
    write_asdf(tmp_path / "a.h5", EVENT, part_of(TRACES), provenance=PROVENANCE)
    check(tmp_path / "a.h5")
    write_asdf(tmp_path / "b.h5", EVENT, part_of(TRACES), provenance=PROVENANCE, compress=True)
    check(tmp_path / "b.h5")


def test_what_is_brought_is_examined(tmp_path):
    part = part_of(3)
    with pytest.raises(InputError, match=r"no StationXML describes XX\.S000"):
        write_asdf(tmp_path / "a.h5", EVENT, Part({}, part.traces), provenance=PROVENANCE)
    name, (samples, head) = next(iter(part.traces.items()))
    with pytest.raises(InputError, match="complex64"):
        write_asdf(
            tmp_path / "a.h5", EVENT, Part(part.stations, {name: (samples * 1j, head)}), provenance=PROVENANCE
        )
    assert left(tmp_path) == []


@mpi
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("ranks", [2, slow(1), slow(3)])
def test_the_content_does_not_depend_on_ranks(tmp_path, ranks, how):
    found = run(tmp_path / "a.h5", ranks, how=how)
    assert found.returncode == 0, found.stderr
    assert left(tmp_path) == ["a.h5"]
    check(tmp_path / "a.h5")


@mpi
@pytest.mark.parametrize("how", WAYS)
def test_pyasdf_opens_it(tmp_path, how):
    assert run(tmp_path / "a.h5", 2, how=how).returncode == 0
    code = (
        "import sys, pyasdf\n"
        "with pyasdf.ASDFDataSet(sys.argv[1], mode='r', mpi=False) as found:\n"
        "    assert found.validate() is None\n"
        "    print(len(found.waveforms.list()), len(found.events), found.provenance.list(),\n"
        "          sum(len(each.observed_processed) for each in found.waveforms),\n"
        "          sorted(each.StationXML[0][0].code for each in found.waveforms))\n"
    )
    words = [sys.executable, "-c", code, tmp_path / "a.h5"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split("\n")[-2].startswith("4 1 ['seisflow'] 10 ['S000', 'S001', 'S002', 'S003']"), (
        told.stdout
    )


CASES = [
    slow("masked", 2, "rank 1 of 2: XX.S001..MXE__.*: has samples that are masked"),
    slow("twice", 2, "ranks 0 and 1 both bring XX.S000..MXE__"),
    ("write", 1, "rank 1 of 2: OSError: .*Input/output error"),
    slow("bug", 1, "rank 1 of 2: ZeroDivisionError: a bug of this rank"),
    slow("verify", 1, "rank 1 of 2: OSError: .*Input/output error"),
    slow("before", 1, "error on rank 1 of 2: RuntimeError: this rank fails before it writes"),
    ("kill", 137, "signal 9"),
]


@mpi
@pytest.mark.parametrize("how", [WAYS[0], slow(WAYS[1])])
@pytest.mark.parametrize(("case", "code", "said"), CASES)
def test_a_rank_that_fails_stops_all_with_its_error(tmp_path, case, code, said, how):
    """None ends as if nothing had been; the file that was there stays."""
    path = tmp_path / "a.h5"
    write_asdf(path, EVENT, part_of(4), provenance=PROVENANCE)
    found = run(path, 2, case, how)
    assert found.returncode == code, found.stderr
    assert re.search(said, found.stderr + found.stdout), found.stderr
    assert "written" not in found.stdout and "ended" not in found.stderr
    check(path, 4)
    tiny.wait_for(
        lambda: not sweep(tmp_path) and left(tmp_path) == ["a.h5"], 20
    )  # ranks that are killed die soon
    assert left(tmp_path) == ["a.h5"]
    assert run(path, 2, how=how).returncode == 0
    check(path)


@mpi
@pytest.mark.parametrize("how", WAYS[:2])
@pytest.mark.parametrize("case", ["nothing", "late"])
def test_a_rank_that_has_nothing_or_comes_late_holds_up_nobody_for_ever(tmp_path, case, how):
    found = run(tmp_path / "a.h5", 2, case, how)
    assert found.returncode == 0, found.stderr
    if case == "late":
        check(tmp_path / "a.h5")
    else:
        assert len(read_observed(tmp_path / "a.h5")[0]) == 6  # of the first rank


@mpi
@pytest.mark.parametrize("how", WAYS)
def test_a_full_disk_stops_all_with_a_sentence(tmp_path, how):
    found = run(tmp_path / "a.h5", 2, "limit", how)
    assert found.returncode == 1, found.stderr
    assert "no space is left" in found.stderr and "Traceback" not in found.stderr, found.stderr
    assert left(tmp_path) == []


@needs_parallel
@mpi
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_really_full_disk_stops_all_with_a_sentence(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    try:
        found = run(place / "a.h5", 2)
        assert found.returncode == 1 and "no space is left" in found.stderr, found.stderr
        assert left(place) == []
    finally:
        subprocess.run(["umount", str(place)], check=True)


@needs_parallel
@mpi
def test_flipped_bits_are_noticed(tmp_path):
    """Datasets that ranks write at once have no checksum of HDF5; theirs is an attribute."""
    path = tmp_path / "a.h5"
    assert run(path, 2).returncode == 0
    whole = path.read_bytes()
    for name, (samples, _) in part_of(TRACES).traces.items():
        place = whole.index(samples.tobytes()) + 17
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(InputError, match=re.escape(name)):
            read_observed(path)
