"""Windows and misfits: time an adjoint source, agreement with pyadjoint, and a network of 1,000 stations.

Run ``python benchmarks/measurements.py [--pyadjoint-python PATH]``. The peer lives in an environment of its own:

    python -m venv .venv-pyadjoint
    .venv-pyadjoint/bin/pip install "numpy<2" "scipy<1.14" "setuptools<81" pyflex==0.2.0 pyadjoint==0.2.3
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import get_args

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.signal import butter, sosfiltfilt

from seisflow.domain import Event, Gather, MomentTensor, Station, Window
from seisflow.misfits import MisfitConfig, create, measure_gather, measure_traces
from seisflow.misfits.multitaper import tapers
from seisflow.windows import WindowConfig, select

SAMPLES, INTERVAL, BAND = 3600, 1.0, (20.0, 100.0)
KINDS = {config().kind: config for config in get_args(MisfitConfig)}
EVENT = Event("bench", 1.6e9, 0.0, 0.0, 20e3, MomentTensor(1e18, -1e18, 0.0, 0.0, 0.0, 0.0))
SETTINGS = WindowConfig(
    water_level=0.08, max_shift=12.0, max_dlna=1.0, min_correlation=0.75, travel_times="none"
)


def wiggles(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Body waves and a dispersed surface wave, 20 to 100 s; the observed delayed, scaled, with noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(SAMPLES) * INTERVAL
    arrivals = [(500, 0.15, 30), (620, 0.1, 35), (900, 0.3, 40), (1050, 0.2, 40)]
    arrivals += [(1300 + 25 * k, np.exp(-(((k - 9) / 6) ** 2)), 60 - 1.8 * k) for k in range(20)]
    observed, synthetic = np.zeros(SAMPLES), np.zeros(SAMPLES)
    for centre, size, period in arrivals:
        centre = centre + rng.uniform(-30, 30)
        late, louder, phase = rng.normal(0, 3), np.exp(rng.normal(0, 0.2)), rng.uniform(0, 2 * np.pi)

        def wave(x: float, period: float = period, phase: float = phase) -> np.ndarray:
            return np.exp(-(((t - x) / period) ** 2)) * np.cos(2 * np.pi * (t - x) / period + phase)

        synthetic += size * wave(centre)
        observed += size * louder * wave(centre + late)
    observed += 0.03 * np.sqrt(20.0) * rng.standard_normal(SAMPLES)
    filters = butter(4, [1 / BAND[1], 1 / BAND[0]], "bandpass", fs=1 / INTERVAL, output="sos")
    return sosfiltfilt(filters, observed), sosfiltfilt(filters, synthetic)


def network(stations: int, components: int) -> tuple[Gather, Gather]:
    """Stations along the equator, 5 km apart; a hundred different pairs of traces, and again."""
    pairs = [wiggles(seed) for seed in range(min(100, stations * components))]
    table = tuple(Station("XX", f"S{n:04d}", 0.0, 40 + 0.05 * n) for n in range(stations))
    gathers = []
    for side in range(2):
        data = np.array([pairs[n % len(pairs)][side] for n in range(stations * components)])
        data = data.reshape(stations, components, SAMPLES)
        gathers.append(Gather(table, ("R", "T", "Z")[:components], data, 0.0, INTERVAL, "displacement"))
    return gathers[0], gathers[1]


def say(**row: object) -> None:
    """One JSON line a figure."""
    print(json.dumps(row), flush=True)


def time_misfits(folder: Path, rounds: int = 3) -> None:
    """Milliseconds an adjoint source, all windows of a trace; and what the peer shall do."""
    observed, synthetic = network(50, 1)
    windows, _ = select(observed, synthetic, EVENT, SETTINGS, BAND)
    for kind, config in KINDS.items():
        misfit, times = create(config(), BAND), []
        for _ in range(rounds):
            tapers.cache_clear()
            began, busy = time.perf_counter(), time.process_time()
            found = measure_gather(misfit, observed, synthetic, windows, strict=False)
            times.append((time.perf_counter() - began, time.process_time() - busy))
        wall, cpu = (min(column) for column in zip(*times, strict=True))
        say(
            item="misfit", kind=kind, sources=50, windows=len(windows), ms_per_source=round(wall * 20, 3),
            cpu_ms_per_source=round(cpu * 20, 3), ms_per_window=round(wall * 1e3 / len(windows), 3),
            refused=len(found.rejections),
        )  # fmt: skip
    spans = np.array([[int(w.station[-4:]), w.start, w.end] for w in windows])
    np.savez(folder / "pairs.npz", observed=observed.data[:, 0], synthetic=synthetic.data[:, 0], spans=spans)


def long_waves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pulse of 4,000 samples a period, the same three samples later, and another one; all end in zeros.

    The peer differentiates by differences of neighbours, which is right to 1e-6 for periods that long.
    """
    t = np.arange(40_000.0)

    def pulse(centre: float, phase: float) -> np.ndarray:
        return np.exp(-(((t - centre) / 3000) ** 2)) * np.cos(2 * np.pi * (t - centre) / 4000 + phase)

    return pulse(20_000, 0.0), pulse(20_003, 0.0), 1.3 * pulse(19_000, 0.7)


def compare(folder: Path, python: Path) -> None:
    """Time pyadjoint on the same windows, and compare where it computes the same."""
    synthetic, shifted, other = long_waves()
    np.savez(folder / "long.npz", synthetic=synthetic, cc_traveltime=shifted, waveform=other)
    peer = Path(__file__).with_name("peer_pyadjoint.py")
    subprocess.run([python, peer, folder], check=True, stdin=subprocess.DEVNULL)
    window, theirs = Window("XX.S", "Z", 100.0, 39_900.0), np.load(folder / "peer.npz")
    for kind, observed in (("waveform", other), ("cc_traveltime", shifted)):
        row, source = measure_traces(create(KINDS[kind](taper=0.0)), (observed, synthetic), window, 0.0, 1.0)
        difference = np.abs(source - theirs[f"{kind}_source"]).max() / np.abs(source).max()
        value = abs(float(theirs[f"{kind}_value"]) / row.value - 1)
        say(item="agreement", kind=kind, value=value, source=float(difference))


def private_megabytes() -> float:
    """Memory of this process that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def part_of_network(numbers: tuple[int, int]) -> tuple[int, float, float, float]:
    """Select windows and measure on some stations: windows, processor seconds of both, private memory in MB."""
    observed, synthetic = PARTS[numbers]
    began = time.process_time()
    windows, _ = select(observed, synthetic, EVENT, SETTINGS, BAND)
    selected = time.process_time()
    found = measure_gather(create(KINDS["cc_traveltime"](), BAND), observed, synthetic, windows, strict=False)
    return len(found.rows), selected - began, time.process_time() - selected, private_megabytes()


PARTS: dict[tuple[int, int], tuple[Gather, Gather]] = {}


def time_network(stations: int, workers: int) -> None:
    """Windows and cc_traveltime on three components; the stations are shared out over processes, as events are."""
    observed, synthetic = network(stations, 3)
    PARTS.clear()
    borders = np.linspace(0, stations, workers + 1).astype(int)
    for first, last in pairwise(borders):
        PARTS[first, last] = tuple(
            g.with_data(g.data[first:last], stations=g.stations[first:last], live=None)
            for g in (observed, synthetic)
        )
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(abs, range(workers)))  # they are there before the clock starts
        began = time.perf_counter()
        found = list(pool.map(part_of_network, PARTS))
        wall = time.perf_counter() - began
    parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(
        item="network", stations=stations, components=3, samples=SAMPLES, workers=workers, seconds=round(wall, 2),
        windows=sum(row[0] for row in found), cpu_selecting=round(sum(row[1] for row in found), 2),
        cpu_measuring=round(sum(row[2] for row in found), 2),
        mb=round(parent + sum(row[3] for row in found)),
    )  # fmt: skip


def main() -> None:
    """Print a line a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pyadjoint-python", type=Path)
    parser.add_argument("--stations", type=int, default=1000)
    options = parser.parse_args()
    say(item="machine", cores=os.cpu_count(), load=os.getloadavg()[0])
    with tempfile.TemporaryDirectory() as folder:
        time_misfits(Path(folder))
        if options.pyadjoint_python:
            compare(Path(folder), options.pyadjoint_python)
    for workers in (1, 2):
        time_network(options.stations, workers)


if __name__ == "__main__":
    main()
