"""Made-up nouns to draw."""

import numpy as np
import pytest

from seisflow.domain import (
    Event,
    Gather,
    Grid,
    Kernel,
    Measurement,
    Model,
    MomentTensor,
    Projection,
    Station,
    Window,
)
from seisflow.inversion import Trial
from seisflow.report import MisfitRow, Overlay

PROJECTION = Projection(39.0, 22.0)
GRID = Grid((-150e3, -120e3, 0.0), (5e3, 5e3, 3e3), (61, 49, 21))


@pytest.fixture
def events():
    rng = np.random.default_rng(0)
    found = []
    for number in range(9):
        m = 10 ** rng.uniform(15, 17.5) * rng.uniform(-1, 1, 6)
        m[0] = -m[1] - m[2]
        latitude, longitude = PROJECTION.to_geographic(*rng.uniform([-120e3, -90e3], [120e3, 90e3]))
        depth = rng.uniform(5e3, 35e3)
        found.append(
            Event(f"e{number:02d}", 1.5e9 + 1e6 * number, latitude, longitude, depth, MomentTensor(*m))
        )
    return found


@pytest.fixture
def stations():
    rng = np.random.default_rng(1)
    places = [PROJECTION.to_geographic(*rng.uniform([-135e3, -105e3], [135e3, 105e3])) for _ in range(24)]
    return [Station("HL", f"S{n:02d}A"[: 3 + n % 2], *place) for n, place in enumerate(places)]


@pytest.fixture
def models():
    """Starting model, model before the last update, newest model."""
    x, y, z = np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij")
    vs = 2800 + 1500 * np.minimum(z / 40e3, 1) + 200 * (z > 33e3)
    start = Model(GRID, PROJECTION, 1.75 * vs, vs, 2500 + 0.15 * vs)
    blobs = 0.06 * np.sin(x / 35e3) * np.sin(y / 30e3) * np.exp(-((z - 12e3) ** 2) / (2 * 9e3**2))
    more = 0.01 * np.cos(x / 25e3) * np.cos(y / 25e3) * np.exp(-z / 15e3)
    before = start.with_fields(vs=vs * np.exp(blobs))
    return start, before, start.with_fields(vs=vs * np.exp(blobs + more))


@pytest.fixture
def kernel():
    x, y, z = np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij")
    rest = np.hypot(x + 90e3, y) + np.hypot(x - 90e3, y) - 180e3
    vs = 1e-9 * np.cos(rest / 8e3) * np.exp(-rest / 25e3) * np.exp(-z / 20e3)
    return Kernel(GRID, 0.3 * vs, vs, 0.1 * vs, illumination=np.exp(-rest / 60e3) * np.exp(-z / 30e3))


@pytest.fixture
def overlay(events, stations):
    return Overlay(PROJECTION, events, stations)


@pytest.fixture
def misfit_rows():
    rows = []
    for stage, (name, first, count) in enumerate(
        [("40–100 s", 0, 5), ("28–100 s", 4, 5), ("20–100 s", 8, 4)]
    ):
        for number in range(count):
            value = (3 + stage) * (0.35 + 0.65 * 0.7**number)
            trials = [Trial(0.0, value), Trial(1.0, 0.85 * value)]
            if number == 1:
                trials.insert(1, Trial(3.0, 1.12 * value))
            if number == 2 and stage == 1:
                trials.insert(1, Trial(4.0, np.inf))
            last = number == count - 1
            rows.append(MisfitRow(first + number, name, value, 0.3 * value + 0.2, () if last else trials))
    return rows


def waveforms_of(event, stations):
    rng = np.random.default_rng(2)
    times = np.arange(600) * 0.5
    observed, synthetic = np.zeros((2, len(stations), 3, times.size))
    rows = []
    for n, station in enumerate(stations):
        distance = (
            np.hypot(station.latitude - event.latitude, 0.78 * (station.longitude - event.longitude)) * 111
        )
        for c, name in enumerate("ZRT"):
            for speed, period, size in ((6.0, 8.0, 0.3), (3.2, 14.0, 1.0)):
                arrival = distance / speed + 15
                late = rng.normal(0, 1.0)
                for data, at in ((observed, arrival + late), (synthetic, arrival)):
                    w = (times - at) / period
                    data[n, c] += size * np.exp(-(w**2)) * np.cos(2 * np.pi * w) * 10 ** (-4 - distance / 200)
                if size == 1.0 and rng.random() < 0.8:
                    start = 0.5 * round(2 * (arrival - 16))
                    window = Window(station.id, name, start, start + 32.0, 0.95, late)
                    rows.append(Measurement(window, 0.5 * late**2, late, 0.1, 0.99 - 0.05 * abs(late)))
    observed += rng.normal(0, 2e-7, observed.shape)
    live = np.ones((len(stations), 3), dtype=bool)
    live[3] = False
    live[5, 1] = False
    rows = [
        r
        for r in rows
        if live[[s.id for s in stations].index(r.window.station), "ZRT".index(r.window.component)]
    ]
    observed[~live] = 0
    parts = tuple(stations), ("Z", "R", "T")
    return (
        event,
        Gather(*parts, observed, 0.0, 0.5, "displacement", live),
        Gather(*parts, synthetic, 0.0, 0.5, "displacement"),
        rows,
    )


@pytest.fixture
def make_waveforms():
    """Function of event and stations: event, observed, synthetic, measurements."""
    return waveforms_of


@pytest.fixture
def waveforms(events, stations):
    """Event, observed, synthetic, measurements; one dead trace and one dead station."""
    return waveforms_of(events[0], stations)
