"""What happens to files when processes die, disks fill up, bits flip and two write at once."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from seisflow.domain import Event, Gather, Grid, Model, MomentTensor, Projection, Station, Window
from seisflow.errors import InputError, MissingError, WorkError
from seisflow.io.atomic import publish, sha256, sweep
from seisflow.io.event_file import EventFile, read_event, write_event
from seisflow.io.models import read_model, write_model
from seisflow.io.provenance import Provenance

GRID = Grid((0.0, 0.0, 0.0), (100.0, 100.0, 100.0), (20, 20, 20))


def make_model(seed: int = 0, grid: Grid = GRID) -> Model:
    noise = np.random.default_rng(seed).random((3, *grid.shape))
    return Model(grid, Projection(38.0, -122.0), 5000 + noise[0], 2900 + noise[1], 2700 + noise[2])


def make_event_file(seed: int = 0) -> EventFile:
    stations = tuple(Station("XX", f"S{number}", 38.0 + number, -122.0) for number in range(4))
    data = np.random.default_rng(seed).standard_normal((4, 3, 500)).astype(np.float32)
    gather = Gather(stations, ("E", "N", "Z"), data, -5.0, 0.5)
    event = Event("e1", 1.0e9, 38.0, -122.0, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
    windows = (Window("XX.S1", "Z", 1.0, 2.0), Window("XX.S2", "E", 3.0, 4.0))
    return EventFile(
        event,
        Provenance("test"),
        {"synthetic": gather},
        windows,
        adjoints={0: gather},
        results={"misfit": 1.0},
    )


def fingerprint(path: Path) -> tuple[object, ...]:
    """All that a reader gets from a file."""
    if path.suffix == ".nc":
        model = read_model(path)
        return (model.grid, model.projection, *(values.tobytes() for values in model.fields().values()))
    content = read_event(path)
    gathers = [*sorted(content.gathers.items()), ("adjoint", content.adjoint)]
    told = [
        (tag, g.stations, g.components, g.start, g.interval, g.quantity, g.data.tobytes())
        for tag, g in gathers
    ]
    return (content.event, content.provenance, content.windows, content.results, told)


WRITERS = {
    "model.nc": lambda path: write_model(path, make_model()),
    "event.h5": lambda path: write_event(path, make_event_file()),
}


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith(".part")]


# --- publishing


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(KeyError), publish(target) as temporary:
        temporary.write_text("new")
        raise KeyError
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []
    with publish(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert leftovers(tmp_path) == []


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(WorkError, match="nothing was written"), publish(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_file_and_its_folder_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def record_sync(number):
        calls.append(("sync", os.readlink(f"/proc/self/fd/{number}")))
        fsync(number)

    def record_replace(source, target):
        calls.append(("rename", str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_replace)
    write_model(tmp_path / "m.nc", make_model())
    assert [kind for kind, _ in calls] == ["sync", "rename", "sync"]
    assert calls[0][1].endswith(".part")
    assert calls[2][1] == str(tmp_path)


def test_a_failed_sync_is_no_success(tmp_path, monkeypatch):
    write_model(tmp_path / "m.nc", make_model(1))
    before = sha256(tmp_path / "m.nc")

    def fail(number):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_model(tmp_path / "m.nc", make_model(2))
    assert sha256(tmp_path / "m.nc") == before
    assert leftovers(tmp_path) == []


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(MissingError):
        sha256(tmp_path / "b")


# --- death


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_files as t
from seisflow.domain import Grid
grid = Grid((0.0, 0.0, 0.0), (100.0, 100.0, 100.0), (60, 60, 60))
models = [t.make_model(seed, grid) for seed in (1, 2)]
print("ready", flush=True)
while True:
    for model in models:
        t.write_model(sys.argv[2], model)
"""


@pytest.mark.parametrize("delay", [0.013, 0.051, 0.117, 0.203])
def test_kill_while_writing_leaves_a_whole_file(tmp_path, delay):
    target = tmp_path / "m.nc"
    write_model(target, make_model(1))
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
    model = read_model(target)
    assert any(np.array_equal(model.vp, make_model(seed, model.grid).vp) for seed in (1, 2))
    sweep(tmp_path)
    assert leftovers(tmp_path) == []
    assert target.exists()


def test_sweep_spares_the_living_and_other_hosts(tmp_path):
    with publish(tmp_path / "sub" / "a.txt") as temporary:
        temporary.write_text("mine")
        host = temporary.name.split(".")[-4]
        gone = subprocess.run(
            [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
        )
        dead = tmp_path / "sub" / f".b.txt.{host}.{gone.stdout.strip()}.0.part"
        foreign = tmp_path / f".b.txt.elsewhere.{gone.stdout.strip()}.0.part"
        own = tmp_path / "my.part"
        for path in (dead, foreign, own):
            path.write_text("x")
        assert sweep(tmp_path) == [dead]
        assert temporary.exists()
    assert foreign.exists()
    assert own.exists()
    assert (tmp_path / "sub" / "a.txt").read_text() == "mine"
    assert sweep(tmp_path / "none") == []


# --- full disks


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import test_files as t
from pathlib import Path
from seisflow.errors import WorkError
path, limit = Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        t.WRITERS[path.name](path)
    except WorkError as error:
        print(error)
    else:
        sys.exit("no error")
    if path.read_text() != "old":
        sys.exit("the old file is gone")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
t.WRITERS[path.name](path)
t.fingerprint(path)
print("recovered")
"""


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_a_full_disk_leaves_the_old_file_and_a_reason(tmp_path, name, part):
    """A limit on the size of files stands for the full disk; without it the same process writes again."""
    WRITERS[name](tmp_path / name)
    size = (tmp_path / name).stat().st_size
    (tmp_path / name).write_text("old")
    command = [
        sys.executable,
        "-c",
        LIMITED,
        str(Path(__file__).parent),
        str(tmp_path / name),
        str(int(size * part)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(name) == 2
    assert "space" in done.stdout or "disk" in done.stdout
    assert done.stdout.splitlines()[-1] == "recovered"
    assert done.stderr == ""
    assert leftovers(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB of its own."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_really_full_disk(small_disk, name):
    target = small_disk / name
    target.write_text("old")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(200 * 1024))
    with pytest.raises(WorkError, match=r"space|disk"):
        WRITERS[name](target)
    assert target.read_text() == "old"
    assert leftovers(small_disk) == []
    filler.unlink()
    WRITERS[name](target)
    assert fingerprint(target)


# --- damage


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_short_is_refused(tmp_path, name):
    WRITERS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    for count in (0, 1, 7, 100, len(content) // 3, len(content) // 2, len(content) - 1):
        (tmp_path / name).write_bytes(content[:count])
        with pytest.raises(InputError, match=name) as caught:
            fingerprint(tmp_path / name)
        assert "make it again" in str(caught.value)


FLIPS = 300

FLIPPER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
import test_files as t
from seisflow.errors import InputError
path, first = Path(sys.argv[2]), int(sys.argv[3])
content = bytearray(path.read_bytes())
clean = t.fingerprint(path)
bits = np.random.default_rng(5).integers(0, 8 * len(content), t.FLIPS)
for number, bit in list(enumerate(bits.tolist()))[first:]:
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)
    content[bit // 8] ^= 1 << (bit % 8)
    print(number, "start", flush=True)
    try:
        print(number, "same" if t.fingerprint(path) == clean else f"SILENT {bit}", flush=True)
    except InputError:
        print(number, "refused", flush=True)
"""


@pytest.mark.parametrize("name", WRITERS)
def test_flipped_bits_never_change_what_is_read(tmp_path, name):
    """Each flip is refused, or hits a byte that means nothing."""
    WRITERS[name](tmp_path / name)
    command = [sys.executable, "-c", FLIPPER, str(Path(__file__).parent), str(tmp_path / name)]
    said: list[str] = []
    content = (tmp_path / name).read_bytes()
    for _ in range(4):  # goes on behind a flip that crashed the library
        (tmp_path / name).write_bytes(content)
        start = max((int(line.split()[0]) + 1 for line in said), default=0)
        if start >= FLIPS:
            break
        done = subprocess.run(
            [*command, str(start)], capture_output=True, text=True, timeout=120, check=False
        )
        said += done.stdout.splitlines()
    verdicts = [line.split(maxsplit=1)[1] for line in said if not line.endswith("start")]
    assert len(verdicts) >= FLIPS - 3, done.stderr
    silent = [verdict for verdict in verdicts if verdict.startswith("SILENT")]
    assert silent == []
    assert verdicts.count("refused") > FLIPS / 2


def test_each_sample_is_covered_by_a_checksum(tmp_path):
    import h5py

    for name, write in WRITERS.items():
        write(tmp_path / name)
        bare = []

        def look(where, item, bare=bare):
            if isinstance(item, h5py.Dataset) and item.size > 1 and not item.fletcher32:
                bare.append(where)

        with h5py.File(tmp_path / name) as file:
            file.visititems(look)
        assert bare == []


# --- two at once


def test_two_writers_leave_one_whole_file(tmp_path):
    errors = []

    def write(seed):
        try:
            for _ in range(5):
                write_model(tmp_path / "m.nc", make_model(seed))
        except Exception as error:  # whatever it is, the test must see it
            errors.append(error)

    write_model(tmp_path / "m.nc", make_model(1))
    threads = [threading.Thread(target=write, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        model = read_model(tmp_path / "m.nc")
        assert any(np.array_equal(model.vp, make_model(seed).vp) for seed in (1, 2))
    assert errors == []
    assert leftovers(tmp_path) == []


def test_a_reader_keeps_the_file_that_it_opened(tmp_path):
    """Replacing a file under a reader, and locks of others, do not matter."""
    import h5py

    write_model(tmp_path / "m.nc", make_model(1))
    with h5py.File(tmp_path / "m.nc", "r") as reader:
        write_model(tmp_path / "m.nc", make_model(2))
        np.testing.assert_array_equal(reader["vp"][()], make_model(1).vp)
        np.testing.assert_array_equal(read_model(tmp_path / "m.nc").vp, make_model(2).vp)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
