"""Time the matched filter against EQcorrscan on the same problem, in turn, on one core.

usage: python benchmarks/matched_filter.py [--hours 1] [--rounds 5] [--eqcorrscan-python PATH] [--repeats 3]

20 templates of 256 samples on 10 stations of 3 components, 25 Hz; planted events. The peer is EQcorrscan with FFTW at
the length of transform that is its best here (4096), in an environment of its own (``peer_eqcorrscan.py``); without
one, a plain filter with scipy.fft. Then two threads, beside what this machine allows: two processes that share nothing,
at the same time. Last the largest difference from the float64 twin at random places.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, sosfilt

from seisflow import native
from seisflow.native.matched_filter import FilterBank, matched_filter

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "reference"))
import matched_filter_twin as twin

TEMPLATES, STATIONS, COMPONENTS, LENGTH, RATE = 20, 10, 3, 256, 25
PEER = Path(__file__).resolve().with_name("peer_eqcorrscan.py")


def problem(hours, seed=7):
    """Data (station, component, sample), templates, moveouts in samples, weights."""
    rng = np.random.default_rng(seed)
    n = int(hours * 3600 * RATE)
    band = butter(4, [2, 10], "bandpass", fs=RATE, output="sos")
    data = np.empty((STATIONS, COMPONENTS, n), np.float32)
    for s, c in np.ndindex(STATIONS, COMPONENTS):
        data[s, c] = sosfilt(band, rng.standard_normal(n))
    p = rng.integers(0, 400, (TEMPLATES, STATIONS))
    s = (p * 1.73).astype(int)
    moveouts = np.stack([s, s, p], axis=-1)
    moveouts -= moveouts.reshape(TEMPLATES, -1).min(1)[:, None, None]
    decay = np.exp(-np.arange(LENGTH) / 60.0)
    templates = np.empty((TEMPLATES, STATIONS, COMPONENTS, LENGTH), np.float32)
    for t in range(TEMPLATES):
        noise = rng.standard_normal((STATIONS, COMPONENTS, LENGTH + 200))
        templates[t] = sosfilt(band, noise, axis=-1)[..., 200:] * decay
    for t in range(TEMPLATES):  # twelve events per hour and template
        for origin in rng.integers(0, n - LENGTH - moveouts.max() - 1, int(12 * hours)):
            for s, c in np.ndindex(STATIONS, COMPONENTS):
                first = origin + moveouts[t, s, c]
                data[s, c, first : first + LENGTH] += 1.5 * templates[t, s, c]
    templates += 0.1 * rng.standard_normal(templates.shape).astype(np.float32)
    templates -= templates.mean(-1, keepdims=True)
    return data, templates, moveouts.astype(np.int64)


def plain(data, templates, moveouts, block=2048):
    """Correlate as one would with scipy.fft: overlapping blocks, all templates of a channel at once."""
    count, length = templates.shape[0], templates.shape[2]
    out = np.zeros((count, data.shape[1]), np.float32)
    size, valid = next_fast_len(block, real=True), block - length + 1
    for c in range(data.shape[0]):
        q = templates[:, c] / np.linalg.norm(templates[:, c], axis=1, keepdims=True)
        spectra = np.conj(rfft(q, size))
        x = data[c].astype(np.float64)
        sums = [np.concatenate(([0], np.cumsum(v))) for v in (x, x * x)]
        a, b = (v[length:] - v[:-length] for v in sums)
        norms = (1 / np.sqrt(b - a * a / length)).astype(np.float32)
        for first in range(0, norms.size, valid):
            cc = irfft(rfft(data[c, first : first + block], size) * spectra, size)
            cc = cc[:, : min(valid, norms.size - first)] * norms[first : first + valid]
            for t in range(count):
                start = first - moveouts[t, c]
                skip = max(0, -start)
                out[t, start + skip : start + cc.shape[1]] += cc[t, skip:] / data.shape[0]
    return out


def timed(work):
    """Seconds of wall clock and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def side_by_side(work, repeats):
    """Seconds of wall clock and of processor time of work that two processes do at once, each for itself."""
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(2), context.SimpleQueue()

    def one():
        found = []
        for _ in range(repeats):
            start.wait()
            found.append(timed(work))
        answers.put(found)

    processes = [context.Process(target=one) for _ in range(2)]
    for process in processes:
        process.start()
    both = np.max([answers.get() for _ in processes], axis=0)
    for process in processes:
        process.join()
    return tuple(both.min(axis=0))


class Peer:
    """EQcorrscan in a process of its own, one answer for each line that it is sent."""

    def __init__(self, python, data, templates, moveouts):
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "problem.npz"
        np.savez(path, data=data, templates=templates, moveouts=moveouts)
        words = [python, str(PEER), str(path)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, word):
        """Send a word, read a line of JSON."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("EQcorrscan ended; see above")
        return json.loads(answer)

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


def places(bank, result, data, live, count=2000):
    """Largest difference from the twin at random places."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for t in range(TEMPLATES):
        samples = rng.integers(0, data.shape[1], count // TEMPLATES)
        worst = max(
            worst,
            np.abs(twin.matched_filter(data, live, bank, t, samples, 0.5)[0] - result[t, samples]).max(),
        )
    return worst


def main():
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--eqcorrscan-python")
    options = parser.parse_args()
    data, templates, moveouts = problem(options.hours)
    flat, live = data.reshape(30, -1), np.ones((30, data.shape[2]), dtype=bool)
    bank = FilterBank(
        templates.reshape(TEMPLATES, 30, LENGTH), np.full((TEMPLATES, 30), LENGTH),
        moveouts.reshape(TEMPLATES, 30), np.ones((TEMPLATES, 30)),
    )  # fmt: skip
    peer = Peer(options.eqcorrscan_python, data, templates, moveouts) if options.eqcorrscan_python else None
    name = "EQcorrscan, FFTW, 4096" if peer else "scipy.fft, 2048"
    best = {key: (np.inf, np.inf) for key in (name, "1 thread", "2 threads", "2 processes")}

    def note(key, seconds):
        best[key] = (min(best[key][0], seconds[0]), min(best[key][1], seconds[1]))

    for _ in range(options.rounds):
        if peer:
            note(name, peer.ask("run"))
        else:
            note(name, timed(lambda: plain(flat, bank.waveforms, bank.moveouts)))
        for _ in range(options.repeats):
            note("1 thread", timed(lambda: matched_filter(flat, live, bank)))
            note("2 threads", timed(lambda: matched_filter(flat, live, bank, threads=2)))
        note("2 processes", side_by_side(lambda: matched_filter(flat, live, bank), options.repeats))
    print(
        f"{options.hours:g} h, {TEMPLATES} templates, 30 channels, {LENGTH} samples, SIMD level {native.simd_level()}"
    )
    for key, (wall, cpu) in best.items():
        print(f"{key:24s} {wall:8.4f} s wall, {cpu:8.4f} s of processor, smallest of {options.rounds} rounds")
    ratios = [best[name][k] / best["1 thread"][k] for k in (0, 1)]
    print(f"times as fast as {name}: {ratios[0]:.1f} by wall clock, {ratios[1]:.1f} by processor time")
    alone = best["1 thread"][0]
    print(
        f"two threads: {alone / best['2 threads'][0]:.2f} times one; two processes: "
        f"{2 * alone / best['2 processes'][0]:.2f} times one"
    )
    result = matched_filter(flat, live, bank)
    print(
        f"largest difference from the float64 twin at 2000 places: {places(bank, result.cc, flat, live):.1e}"
    )
    if peer:
        index = peer.ask("result")
        other = np.load(index["path"], mmap_mode="r")
        inner = slice(0, data.shape[2] - LENGTH - int(moveouts.max()))
        print(f"largest difference from {name}: {np.abs(other[:, inner] - result.cc[:, inner]).max():.1e}")
        peer.close()
    if best["1 thread"][1] < 0.95 * best["1 thread"][0]:
        print("the machine was not quiet: wall clock does not count")


if __name__ == "__main__":
    main()
