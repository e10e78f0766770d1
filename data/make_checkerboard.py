"""Make the shipped example ``checkerboard``: run ``python data/make_checkerboard.py`` (a few minutes).

Noise, anomalies and the held-out events were fixed before the first inversion was run. The recordings are simulated
on a grid of about half the spacing that the inversion chooses for its shortest periods, and noise is added.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from obspy import Stream, Trace, UTCDateTime
from scipy.signal import butter, sosfilt

from seisflow.config import Config, load
from seisflow.domain import Event, Gather, Model, MomentTensor, SourceTimeFunction, Station
from seisflow.io.asdf import write_observed
from seisflow.io.events import write_quakeml
from seisflow.io.models import write_model
from seisflow.io.provenance import Provenance
from seisflow.io.stations import read_inventory, write_stationxml
from seisflow.signal import TimeAxis
from seisflow.signal.resample import Resample
from seisflow.solvers import Simulation, create

SEED = 20190716
EVENTS, STATIONS = 12, 36
ANOMALY = 0.07
CELL = (24_000.0, 24_000.0, 40_000.0)
NOISE = 0.03
INTERVAL = 0.25
CHANNELS = ("HXE", "HXN", "HXZ")


def start_model(config: Config) -> Model:
    """Speeds that grow with depth: vs 2.9 to 3.8 km/s, vp = 1.75 vs."""
    grid = config.region.grid()
    vs = 2900 + 900 * np.sqrt(grid.z / grid.end[2])
    vs = np.broadcast_to(vs, grid.shape).copy()
    vp = 1.75 * vs
    rho = 1740 * (vp / 1000) ** 0.25  # Gardner, Gardner & Gregory 1974
    return Model(grid, config.region.projection(), vp, vs, rho)


def true_model(start: Model) -> Model:
    """The checkerboard: products of sines, fading out towards the edges of the box and at 20 km depth.

    A cell is nearly two of the shortest S wavelengths wide.
    """
    grid = start.grid
    waves = [
        np.sin(np.pi * (axis / length + 0.5)) for axis, length in zip((grid.x, grid.y), CELL[:2], strict=True)
    ]
    waves.append(np.where(grid.z < CELL[2] / 2, np.cos(np.pi * grid.z / CELL[2]), 0.0))
    edge = [np.clip((54_000 - np.abs(axis)) / 10_000, 0, 1) for axis in (grid.x, grid.y)]
    edge.append(np.ones(grid.z.size))
    a, b, c = (wave * fade for wave, fade in zip(waves, edge, strict=True))
    board = ANOMALY * a[:, None, None] * b[None, :, None] * c[None, None, :]
    return start.with_fields(vp=start.vp * (1 + board), vs=start.vs * (1 + board))


def random_tensor(rng: np.random.Generator, magnitude: float) -> MomentTensor:
    """A double couple of random orientation."""
    vectors, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    n, d = vectors[:, 0], vectors[:, 1]
    m = 10 ** (1.5 * magnitude + 9.1) * (np.outer(n, d) + np.outer(d, n))
    return MomentTensor(m[0, 0], m[1, 1], m[2, 2], m[0, 1], m[0, 2], m[1, 2])


def scattered(rng: np.random.Generator, count: int, half: float, least: float) -> np.ndarray:
    """Random places in a square, none closer to another than ``least`` m."""
    found: list[np.ndarray] = []
    while len(found) < count:
        place = rng.uniform(-half, half, 2)
        if all(np.hypot(*(place - other)) >= least for other in found):
            found.append(place)
    return np.array(found)


def main(folder: Path) -> None:
    """Write the whole example."""
    config = load(folder / "seisflow.yaml")
    rng = np.random.default_rng(SEED)
    projection = config.region.projection()
    start = start_model(config)
    truth = true_model(start)
    write_model(folder / "models" / "m00.nc", start)
    write_model(folder / "truth" / "model.nc", truth)

    stations = []
    for number, (x, y) in enumerate(scattered(rng, STATIONS, 52_000, 11_000), 1):
        latitude, longitude = projection.to_geographic(x, y)
        stations.append(Station("XC", f"S{number:02d}", round(latitude, 5), round(longitude, 5)))
    write_stationxml(folder / "stations" / "XC.xml", stations, CHANNELS)
    inventory = read_inventory(folder / "stations" / "XC.xml")

    shortest = min(stage.periods[0] for stage in config.stages)
    axis = TimeAxis.covering(config.data.start - 4, config.data.duration + 4, INTERVAL)
    coarse = create(replace(config.solver, points_per_wavelength=8.0), threads=1)
    first = UTCDateTime(2026, 1, 1)
    for number, (x, y) in enumerate(scattered(rng, EVENTS, 48_000, 17_000), 1):
        latitude, longitude = projection.to_geographic(x, y)
        event = Event(
            f"e{number:02d}",
            (first + 86400 * number).timestamp,
            round(latitude, 5),
            round(longitude, 5),
            float(np.round(rng.uniform(5000, 16_000), -1)),
            random_tensor(rng, rng.uniform(4.2, 5.0)),
            SourceTimeFunction("gaussian", half_duration=1.0),
        )
        write_quakeml(folder / "events" / f"{event.id}.xml", event)
        simulation = Simulation(truth, event, tuple(stations), axis.end + 1, shortest)
        spacing = 0.6 * coarse.plan(simulation).spacing
        solver = create(replace(config.solver, spacing=spacing, memory_gb=8.0), threads=2)
        gather = solver.forward(simulation).gather
        stream = recordings(gather, axis, event, rng)
        path = folder / "observed" / f"{event.id}.h5"
        write_observed(path, event, stream, inventory, provenance=Provenance("make_checkerboard.py"))
        print(event.id, f"spacing {spacing:.0f} m", len(stream), "traces", flush=True)


def recordings(gather: Gather, axis: TimeAxis, event: Event, rng: np.random.Generator) -> Stream:
    """Resample, add noise of about the microseism's colour, and cut into traces."""
    data = Resample(TimeAxis.of(gather), axis).apply(np.asarray(gather.data, dtype=np.float64))
    level = NOISE * np.median(np.abs(data).max(axis=2))
    colour = butter(2, [0.05, 0.6], "bandpass", fs=1 / INTERVAL, output="sos")
    noise = sosfilt(colour, rng.standard_normal((*data.shape[:2], data.shape[2] + 400)), axis=2)[..., 400:]
    data = (data + level * noise / noise.std()).astype(np.float32)
    stream = Stream()
    for i, station in enumerate(gather.stations):
        for j, channel in enumerate(CHANNELS):
            header = {
                "network": station.network,
                "station": station.code,
                "channel": channel,
                "starttime": UTCDateTime(event.time) + axis.start,
                "delta": INTERVAL,
            }
            stream.append(Trace(data[i, j], header))
    return stream


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "checkerboard")
