"""A project small enough that one of its iterations takes a second or two, made by simulation."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seisflow.config_file import load
from seisflow.domain import Event, Model, MomentTensor, SourceTimeFunction, Station
from seisflow.io.asdf import write_observed
from seisflow.io.events import read_quakeml, write_quakeml
from seisflow.io.models import write_model
from seisflow.io.provenance import Provenance
from seisflow.io.stations import read_inventory, read_stationxml, write_stationxml
from seisflow.signal import TimeAxis
from seisflow.signal.resample import Resample
from seisflow.solvers import Simulation, create

EVENTS = ("a1", "a2", "a3", "h1")
STATIONS = 8
CHANNELS = ("HXE", "HXN", "HXZ")
CONFIG = """\
name: tiny
region: {latitude: 38.0, longitude: 22.0, width: 40000, height: 40000, depth: 16000, spacing: [5000, 5000, 4000]}
data: {start: -8, duration: 36, interval: 0.6, observed: velocity, quantity: displacement}
stages:
  - periods: [6, 20]
    iterations: 3
    misfit: {kind: waveform}
    windows: {travel_times: velocities, min_velocity: 1500, max_velocity: 7000, max_shift: 3, min_correlation: 0.6}
  - periods: [5, 20]
    iterations: 2
    misfit: {kind: cc_traveltime}
    windows: {travel_times: velocities, min_velocity: 1500, max_velocity: 7000, max_shift: 3, min_correlation: 0.6}
solver: {kind: elastic3d, points_per_wavelength: 6, cpml_cells: 8}
inversion: {smoothing: [4000, 4000, 3000], source_mask: 3000, receiver_mask: 2000, first_change: 0.02, max_trials: 3}
hold_out: [h1]
compute: {cores: 2}
"""


def start_model(region) -> Model:
    """Uniform sideways, faster with depth."""
    grid = region.grid()
    vs = np.broadcast_to(2900 + 700 * grid.z / grid.end[2], grid.shape).copy()
    return Model(grid, region.projection(), 1.75 * vs, vs, np.full(grid.shape, 2600.0))


def true_model(start: Model, anomaly: float) -> Model:
    """A faster west, a slower east."""
    change = 1 - anomaly * np.sin(np.pi * start.grid.x / 40_000)[:, None, None] * np.ones(start.grid.shape)
    return start.with_fields(vp=start.vp * change, vs=start.vs * change)


def build(root: Path) -> None:
    """Make the project in an empty folder."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "seisflow.yaml").write_text(CONFIG)
    config = load(root / "seisflow.yaml")
    projection = config.region.projection()
    rng = np.random.default_rng(20260101)
    write_model(root / "models" / "m00.nc", start_model(config.region))

    def place(x: float, y: float) -> tuple[float, float]:
        latitude, longitude = projection.to_geographic(x, y)
        return round(float(latitude), 5), round(float(longitude), 5)

    angles = np.arange(STATIONS) * 2 * np.pi / STATIONS
    stations = [
        Station("XX", f"S{n}", *place(15_000 * np.cos(a), 15_000 * np.sin(a))) for n, a in enumerate(angles)
    ]
    write_stationxml(root / "stations" / "XX.xml", stations, CHANNELS)
    for number, (name, x, y) in enumerate(
        zip(EVENTS, (-9e3, 8e3, 2e3, -3e3), (-4e3, -7e3, 9e3, 3e3), strict=True)
    ):
        tensor = MomentTensor(*(1e15 * rng.standard_normal(6)))
        stf = SourceTimeFunction(half_duration=1.0)
        write_quakeml(
            root / "events" / f"{name}.xml",
            Event(name, 1.7e9 + 1e5 * number, *place(x, y), 6000.0, tensor, stf),
        )
    observe(root)


def observe(
    root: Path,
    events: Sequence[str] = EVENTS,
    *,
    noise: float = 0.01,
    anomaly: float = 0.06,
    period: float = 5.0,
    dead: bool = False,
    as_solved: bool = False,
) -> None:
    """Simulate recordings, with noise as a share of the largest sample.

    ``dead`` ones are zero; those ``as_solved`` are what an iteration simulates.
    """
    from obspy import Stream, Trace, UTCDateTime

    config = load(root / "seisflow.yaml")
    truth = true_model(start_model(config.region), anomaly)
    stations = tuple(sorted(read_stationxml([root / "stations" / "XX.xml"])))
    inventory = read_inventory(root / "stations" / "XX.xml")
    axis = TimeAxis.covering(-10, 40, 0.5)
    rng = np.random.default_rng(20260102)
    last, solver = axis.end + 1, create(config.solver)
    if as_solved:
        last = config.axis().end
        start = start_model(config.region)
        solver = create(config.solver.pinned(float(start.vs.min()), float(start.vp.max()), period))
    for name in events:
        (event,) = read_quakeml(root / "events" / f"{name}.xml")
        gather = solver.forward(Simulation(truth, event, stations, last, period)).gather
        data = np.asarray(gather.data, dtype=np.float64)
        start, interval = axis.start, axis.interval
        if as_solved:
            early = max(0, int(np.ceil((gather.start - axis.start) / gather.interval)))
            data = np.pad(data, ((0, 0), (0, 0), (early, 0)))
            start, interval = gather.start - early * gather.interval, gather.interval
        else:
            data = Resample(TimeAxis.of(gather), axis).apply(data)
        data += noise * np.abs(data).max() * rng.standard_normal(data.shape)
        data *= 0.0 if dead else 1.0
        stream = Stream()
        for i, station in enumerate(gather.stations):
            for j, channel in enumerate(CHANNELS):
                header = {
                    "network": station.network,
                    "station": station.code,
                    "channel": channel,
                    "starttime": UTCDateTime(event.time) + start,
                    "delta": interval,
                }
                stream.append(Trace(data[i, j].astype(np.float32), header))
        path = root / "observed" / f"{name}.h5"
        write_observed(path, event, stream, inventory, provenance=Provenance("tests"))


def change_config(root: Path, old: str, new: str) -> None:
    """Replace a text of the configuration that must be there."""
    path = root / "seisflow.yaml"
    text = path.read_text()
    if old not in text:
        raise ValueError(f"{old!r} is not in {path}")
    path.write_text(text.replace(old, new))


def command(*arguments: object) -> list[str]:
    """How a shell would run seisflow with this Python."""
    return [sys.executable, "-m", "seisflow", *map(str, arguments)]


def seisflow(
    *arguments: object, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
    )


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start the command line in a session of its own; end it with ``end``."""
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """Tests that run in the background of a shell have SIGINT ignored, and so would all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process that was started, and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)


def copy(source: Path, target: Path) -> Path:
    """Copy a project with the times of its files."""
    shutil.copytree(source, target)
    return target


def temporary_files(root: Path) -> list[str]:
    """What a killed run may leave."""
    return sorted(path.name for path in root.rglob("*") if path.name.endswith(".part"))


def break_trace(path: Path) -> None:
    """Change a byte within the samples of the first trace of an ASDF file; the file still opens."""
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        station = next(iter(file["Waveforms"].values()))
        trace = next(item for name, item in station.items() if name != "StationXML")
        place = trace.id.get_chunk_info(0).byte_offset + 20
    with path.open("r+b") as raw:
        raw.seek(place)
        byte = raw.read(1)
        raw.seek(place)
        raw.write(bytes([byte[0] ^ 0xFF]))


def wait_for(found, seconds: float = 60.0, process: subprocess.Popen[str] | None = None) -> None:
    """Wait until a callable returns true; fail if it does not, or if the process ends before."""
    deadline = time.monotonic() + seconds
    while not found():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}: {process.stderr.read()}")
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)
