"""Time the backprojection kernel against a plain tiled loop on the same arrays, in turn, on one core.

usage: python benchmarks/backprojection.py [--rounds 5] [--compiler gcc]

5,000 nodes (25 x 20 x 10, 1 km apart), 20 stations, 2 phases, one hour at 25 Hz; then 100,000 nodes and 9,000 and
36,000 samples, and two threads. The peer (naive_beam.c) is compiled here with -O3 -march=native -ffast-math.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from seisflow import native
from seisflow.native.beam import BeamInput, BeamPlan

RATE, VP, VS, STATIONS, HOUR = 25, 6.0, 3.46, 20, 90000
PEER = Path(__file__).resolve().with_name("naive_beam.c")


def delays_of(nodes, stations):
    """Delays (nodes, stations, 2) in samples, straight rays in a homogeneous medium; positions in km."""
    far = np.linalg.norm(nodes[:, None] - stations[None], axis=-1)
    return np.rint(np.stack([far / VP, far / VS], -1) * RATE).astype(np.int32)


def problem():
    """Delays of 5,000 nodes, and features with 20 events in one hour."""
    rng = np.random.default_rng(3)
    axes = np.meshgrid(np.arange(25), np.arange(20), np.arange(10) + 2.0, indexing="ij")
    nodes = np.stack(axes, -1).reshape(-1, 3).astype(float)
    stations = np.c_[rng.uniform(-10, 35, STATIONS), rng.uniform(-10, 30, STATIONS), np.zeros(STATIONS)]
    delays = delays_of(nodes, stations)
    values = np.abs(rng.standard_normal((STATIONS, 2, HOUR))).astype(np.float32)
    for _ in range(20):
        source, origin = rng.integers(len(nodes)), rng.integers(HOUR - delays.max() - 10)
        for s, p in np.ndindex(STATIONS, 2):
            at = origin + delays[source, s, p]
            values[s, p, at : at + 3] += 4
    return delays, values


def large_grid():
    """Delays of 100,000 nodes, 0.5 km apart."""
    rng = np.random.default_rng(3)
    axes = np.meshgrid(np.arange(50) * 0.5, np.arange(50) * 0.5, np.arange(40) * 0.5 + 2.0, indexing="ij")
    stations = np.c_[rng.uniform(-10, 35, STATIONS), rng.uniform(-10, 30, STATIONS), np.zeros(STATIONS)]
    return delays_of(np.stack(axes, -1).reshape(-1, 3), stations)


def peer(compiler, folder):
    """Compile the plain loop; returns a function of delays and values."""
    library = Path(folder) / "naive.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, str(PEER), "-o", str(library)], check=True)
    compiled = ctypes.CDLL(str(library)).naive_beam
    compiled.restype = None

    def run(delays, values):
        times = values.shape[2] - int(delays.max())
        maximum, node = np.zeros(times, np.float32), np.zeros(times, np.int32)
        address = [ctypes.c_void_p(a.ctypes.data) for a in (values, delays, maximum, node)]
        sizes = [ctypes.c_int64(n) for n in (len(delays), delays[0].size, values.shape[2], times)]
        compiled(*address[:2], *sizes, *address[2:])
        return maximum, node

    return run


def clock(work):
    """Seconds of wall clock and of processor time of a call, and what it returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def ours(plan, values, threads=1):
    """A call of the kernel, strict bounds."""
    live, weights, least = np.ones(values.shape, bool), np.ones(values.shape[:2]), np.full(plan.sources, 0.5)
    return lambda: plan.maximum(BeamInput(values, live, weights, least, True), threads)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiler", default="gcc")
    choices = parser.parse_args()
    if os.getloadavg()[0] > 0.5:
        print(f"load average {os.getloadavg()[0]:.1f}: other work runs here, times are too long")
    best_level = native.simd_level()
    delays, values = problem()
    seconds, _, plan = clock(lambda: BeamPlan(delays))
    many = large_grid()
    large_seconds, _, large = clock(lambda: BeamPlan(many))
    print(
        f"SIMD level {best_level}, plans {seconds:.3f} s and {large_seconds:.3f} s (once for any number of days)"
    )
    short, longer = (np.ascontiguousarray(values[:, :, :n]) for n in (9000, 36000))
    with tempfile.TemporaryDirectory() as folder:
        naive = peer(choices.compiler, folder)
        jobs = {"naive tiled C": lambda: naive(delays, values)}
        for name in ["baseline", "v3", "v4"]:
            jobs[name] = ours(plan, values)
            if name == best_level:
                break
        jobs["two threads"] = ours(plan, values, 2)
        jobs["100,000 nodes, 9,000 samples"] = ours(large, short)
        jobs["100,000 nodes, 36,000 samples"] = ours(large, longer)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
        results = {}
        for _ in range(choices.rounds):
            for name, job in jobs.items():
                native.use_simd(name if name in ("baseline", "v3", "v4") else best_level)
                *taken, results[name] = clock(job)
                times[name].append(tuple(taken))
    report(best_level, times, results)


def report(best_level, times, results):
    """Print the least wall clock and processor time of each, and what they are to the peer."""
    wall = {name: min(w for w, _ in taken) for name, taken in times.items()}
    cpu = {name: min(c for _, c in taken) for name, taken in times.items()}
    naive = "naive tiled C"
    nodes = {name: 1e5 * float(name.split()[2].replace(",", "")) for name in times if "nodes" in name}
    print(
        f"{'':30s} {'wall s':>8s} {'processor s':>12s} {'naive / it: wall':>17s} {'processor':>10s} {'Gterm/s':>8s}"
    )
    for name in times:
        terms = 40 * nodes.get(name, 5000 * HOUR)
        ratios = (0, 0) if name in nodes else (wall[naive] / wall[name], cpu[naive] / cpu[name])
        shown = f"{ratios[0]:17.2f} {ratios[1]:10.2f}" if ratios[0] else " " * 28
        print(f"{name:30s} {wall[name]:8.4f} {cpu[name]:12.4f} {shown} {terms / wall[name] / 1e9:8.1f}")
    print(f"two threads: {wall[best_level] / wall['two threads']:.2f} times as fast as one (wall clock)")
    for name, size in nodes.items():
        growth = cpu[name] / size / (cpu[best_level] / (5000 * HOUR))
        print(f"processor time of a node and sample, {name} against 5,000 nodes: {growth:.2f}")
    node = results[naive][1]
    same = results[best_level].node[: node.size] == node
    print(f"same node as the peer (single precision) at {same.mean():.6f} of the samples")


if __name__ == "__main__":
    main()
