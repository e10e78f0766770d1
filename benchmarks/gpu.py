"""Kernels on a GPU: times by CUDA events, whole calls, and the share of what the GPU can do, in one table.

    python benchmarks/gpu.py              on a machine with a GPU; NumPy, SciPy, h5py and CuPy are enough
    python benchmarks/gpu.py --rehearse   anywhere: tiny sizes, the CPU in place of the GPU; its times mean nothing

Shares: of the measured copy bandwidth for the waves (128 bytes a point and step at order 4) and for filter and features
(bytes that they must move), of the measured rate of multiply-adds for the matched filter, of one load of 32 lanes a
clock and multiprocessor for the beam. Times of kernels are by CUDA events: around each kernel, or, for waves, around
all of a run, whose steps are graphs; whole calls include uploads, downloads and what the processor does.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from seisflow.detection.device_features import DeviceContinuous, make_device_features  # noqa: E402
from seisflow.detection.features import FeatureConfig  # noqa: E402
from seisflow.domain import Station  # noqa: E402
from seisflow.native.beam import BeamInput, BeamPlan  # noqa: E402
from seisflow.native.cuda import CudaDevice, gpu_problem  # noqa: E402
from seisflow.native.cuda_beam import CudaBeam  # noqa: E402
from seisflow.native.cuda_elastic3d import CudaElastic3D  # noqa: E402
from seisflow.native.cuda_matched_filter import CudaFilter  # noqa: E402
from seisflow.native.cuda_signal import Band, RawPiece, RawStation, RawUploads, band_passed  # noqa: E402
from seisflow.native.elastic3d import Elastic3DGrid, Entries, Material, Snapshots  # noqa: E402
from seisflow.native.matched_filter import FilterBank  # noqa: E402
from seisflow.signal.continuous_config import ContinuousConfig  # noqa: E402
from seisflow.signal.polyphase import interpolation  # noqa: E402

FULL = {
    "wave": [((276, 276, 276), 4), ((276, 276, 276), 8), ((220, 220, 110), 4)], "steps": 200,
    "gradient": ((220, 220, 110), 3000, 8), "events": 16, "small": (64, 64, 48),
    "beam": ((58, 58, 30), 20, 2_160_000), "filter": (1000, 30, 200, 2_160_000), "long": (100, 30, 1000, 2_160_000),
}  # fmt: skip
TINY = {
    "wave": [((34, 34, 36), 4), ((34, 34, 36), 8)], "steps": 4, "gradient": ((30, 30, 30), 20, 4), "events": 2,
    "small": (30, 30, 30), "chain": (2, 30.0), "beam": ((5, 5, 4), 4, 500), "filter": (3, 3, 40, 1000),
    "long": (2, 2, 450, 2000),
}  # fmt: skip
PEAK = r"""
extern "C" __global__ void multiply_adds(float *out, int n) {
    float a[16];
    for (int i = 0; i < 16; i++) a[i] = threadIdx.x + i;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < 16; i++) a[i] = a[i] * 1.0001f + 0.5f;
    float s = 0;
    for (int i = 0; i < 16; i++) s += a[i];
    out[blockIdx.x * blockDim.x + threadIdx.x] = s;
}
"""


class Timed(CudaDevice):
    """A GPU that measures its kernels by events, outside of graphs."""

    def __init__(self):
        super().__init__()
        self.events, self.measuring = [], True

    def launch(self, kernel, grid, block, argument, shared=0):
        """Run a kernel between two events."""
        if not self.measuring:
            return super().launch(kernel, grid, block, argument, shared)
        start, end = self.xp.cuda.Event(), self.xp.cuda.Event()
        start.record()
        super().launch(kernel, grid, block, argument, shared)
        end.record()
        self.events.append((kernel[1], start, end))
        return None

    def graph(self, launches, times):
        """Without events: they would be part of the graph."""
        before, self.measuring = self.measuring, False
        try:
            return super().graph(launches, times)
        finally:
            self.measuring = before

    def taken(self):
        """Seconds by kernel, and forget them."""
        self.synchronize()
        found = {}
        for name, start, end in self.events:
            found[name] = found.get(name, 0.0) + self.xp.cuda.get_elapsed_time(start, end) / 1e3
        self.events = []
        return found


def rehearsal():
    """The CPU in place of a GPU."""
    from tests.cuda_shim.device import ShimDevice

    device = ShimDevice()
    device.taken = dict
    return device


def clock(device, work):
    """Result and seconds of a call, until the GPU is done."""
    device.synchronize()
    begun = time.perf_counter()
    result = work()
    device.synchronize()
    return result, time.perf_counter() - begun


def timed(device, work):
    """Seconds between CUDA events around a call, and of the whole call."""
    if not isinstance(device, Timed):
        _, whole = clock(device, work)
        return whole, whole
    start, end = device.xp.cuda.Event(), device.xp.cuda.Event()

    def between():
        start.record()
        work()
        end.record()

    device.measuring = False
    _, whole = clock(device, between)
    device.measuring = True
    return device.xp.cuda.get_elapsed_time(start, end) / 1e3, whole


def abilities(device):
    """Bytes a second of a copy (read and written), multiply-adds a second, loads of 32 lanes a second."""
    if not isinstance(device, Timed):
        return 1e9, 1e9, 1e9
    cupy = device.xp
    source = cupy.zeros(1 << 30, np.uint8)
    target = cupy.empty_like(source)
    kernel = cupy.RawKernel(PEAK, "multiply_adds")
    blocks, rounds = 16 * device.processors, 4096
    out = cupy.empty(blocks * 256, np.float32)

    def best(work):
        work()
        times = []
        for _ in range(5):
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            work()
            end.record()
            end.synchronize()
            times.append(cupy.cuda.get_elapsed_time(start, end) / 1e3)
        return min(times)

    copy = 2 * source.nbytes / best(lambda: cupy.copyto(target, source))
    rate = blocks * 256 * rounds * 16 / best(lambda: kernel((blocks,), (256,), (out, np.int32(rounds))))
    return copy, rate, rate / 128  # 128 multiply-adds and one load of a warp a clock and multiprocessor


def waves(device, shape, order, events=1, cells=10):
    """A grid with a random medium at rest, pushed at one point, recorded at 300."""
    rng = np.random.default_rng(1)
    layers = tuple(np.zeros((4, n)) for n in shape)
    for axis, layer in enumerate(layers):
        layer[1::2] = 0.9
        for edge in (slice(0, cells), slice(-cells, None)) if axis < 2 else (slice(-cells, None),):
            layer[0::2, edge] = -0.05
    grid = Elastic3DGrid(shape, np.float32, cells=cells, profiles=layers, order=order)
    mu = (1 + 0.1 * rng.random(shape)).astype(np.float32)
    grid.set_material(Material.isotropic(mu, mu, mu), 0.2)
    return CudaElastic3D(device, grid, events)


def driven(grid, steps):
    """Sources and receivers of each event."""
    middle = [n // 2 for n in grid.shape]
    one = np.ones(1, dtype=np.int64)
    push = Entries(*(one * value for value in (2, *middle)), np.ones(1), 0 * one)
    none = Entries.join([])
    rng = np.random.default_rng(2)
    places = [rng.integers(12, n - 12, 300) for n in grid.shape]
    record = Entries(np.full(300, 2), *places, np.ones(300), np.arange(300))
    samples = np.sin(np.arange(steps) / 20.0)[:, None]
    many = range(grid.events)
    return (
        grid.sources([push for _ in many], [samples for _ in many]),
        grid.sources([none for _ in many], [samples for _ in many]),
        grid.receivers([record for _ in many], [np.zeros((steps, 300)) for _ in many]),
    )


def time_waves(device, sizes, row, copy):
    """Points a second by order, of one event and of several in one launch."""
    cases = [(shape, order, 1) for shape, order in sizes["wave"]]
    cases += [(sizes["small"], 4, events) for events in (1, sizes["events"])]
    for shape, order, events in cases:
        grid, steps = waves(device, shape, order, events), sizes["steps"]
        parts = driven(grid, 2 * steps)
        grid.advance(*parts, None, 0, steps)
        kernels, whole = timed(device, lambda g=grid, p=parts, n=steps: g.advance(*p, None, n, n))
        points = np.prod(shape) * steps * events
        name = f"waves, order {order}, {' x '.join(map(str, shape))}, {steps} steps, {events} in one launch"
        speed = f"{points / kernels / 1e9:.2f} Gpt/s"
        row(
            name,
            kernels,
            whole,
            speed,
            points * 128 / kernels / copy,
            "60 %" if order == 4 and events == 1 else "",
        )


def time_gradient(device, sizes, row, copy):
    """Forward run that stores velocities, and adjoint run that meets them: on the device, and by way of the host."""
    shape, steps, every = sizes["gradient"]
    grid = waves(device, shape, 4)
    parts = driven(grid, steps)
    grid.advance(*parts, None, 0, min(steps, 64))
    plain, _ = timed(device, lambda: grid.advance(*parts, None, 0, steps))
    slots = len(range(every // 2, steps, every))
    size, points = " x ".join(map(str, shape)), np.prod(shape) * steps
    sums = grid.new_sums()

    def adjoint(stored):
        done = 0
        for slot in reversed(range(slots)):
            meets = steps - 1 - (every // 2 + slot * every)
            grid.advance(*parts, None, done, meets - done)
            grid.correlate(stored, slot, sums, after=False)
            grid.advance(*parts, None, meets, 1)
            grid.correlate(stored, slot, sums, after=True)
            done = meets + 1

    for where, room, part in (("device", device.empty, 1), ("pinned memory", device.pinned, 8)):
        # pinned memory is slow to get: an eighth of the run tells enough
        steps = max(every, sizes["gradient"][1] // part)
        slots = len(range(every // 2, steps, every))
        stored = Snapshots(every, every // 2, room(grid.snapshot_shape(slots), grid.dtype))
        grid.reset()
        forward, first = timed(device, lambda s=stored, n=steps: grid.advance(*parts, s, 0, n))
        grid.reset()
        back, second = timed(device, lambda s=stored: adjoint(s))
        taken, points = forward + back, np.prod(shape) * steps
        name = f"gradient, {size}, {steps} steps, velocity in {where}"
        runs = taken / (plain * steps / sizes["gradient"][1])
        row(name, taken, first + second, f"{runs:.2f} forward runs", 2 * points * 128 / taken / copy,
            "2.6 runs, 3 s" if part == 1 else "")  # fmt: skip


def time_chain(device, sizes, row, copy):
    """What stations recorded at 100 Hz, filtered for P and S, to features at 25 Hz: one upload."""
    stations, seconds = sizes["chain"]
    count = round(100 * seconds)
    rng = np.random.default_rng(4)
    raw = [rng.integers(-5000, 5000, count, dtype=np.int32) for _ in range(3 * stations)]
    names = tuple(Station("XX", f"S{n}", 0.0, 0.0) for n in range(stations))
    phases = {
        "P": FeatureConfig(components=("Z",), band=(2.0, 12.0)),
        "S": FeatureConfig(components=("E", "N"), band=(2.0, 10.0)),
    }
    treated = {
        name: ContinuousConfig(0.01, phase.band, components=phase.components)
        for name, phase in phases.items()
    }
    moved = 0

    def pieces(config, station):
        plan = interpolation(count, 0.0, 0.01, 0.01)
        kept = config.settling, plan.count - config.settling
        channels = [[RawPiece(raw[3 * station + channel], plan, kept)] for channel in range(3)]
        turn = np.array(
            [[c == "ENZ".index(name) for c in range(3)] for name in config.components], np.float32
        )
        return RawStation(station, channels, turn)

    def chain():
        uploads, found = RawUploads(device), {}
        for phase, config in treated.items():
            shape = (stations, len(config.components), count)
            data, live = device.zeros(shape, np.float32), device.zeros(shape, np.uint8)
            band = Band(config.sections, config.ramp, config.zero_phase)
            band_passed(uploads, [pieces(config, number) for number in range(stations)], band, data, live)
            found[phase] = DeviceContinuous(device, names, config.components, data, live, 0.0, 0.01)
        return make_device_features(found, phases, 0.04)

    for config in treated.values():  # raw, interpolated, twice read twice and written, placed, turned, taken
        moved += stations * len(config.components) * count * (4 + 8 + 2 * (8 + 16) + 8 + 5 + 10 + 5)
    chain()
    device.taken()
    _, whole = clock(device, chain)
    kernels = device.taken()
    taken = sum(kernels.values()) or whole
    samples = 3 * stations * count
    name = f"filter and features, {stations} stations x 3 x {seconds / 3600:g} h at 100 Hz, P and S"
    row(name, taken, whole, f"{samples / taken / 1e9:.2f} G samples/s", moved / taken / copy, "")
    print(f"  {kernels}")


def time_beam(device, sizes, row, loads):
    """A day of the beam, in single and in half precision."""
    shape, stations, samples = sizes["beam"]
    rng = np.random.default_rng(0)
    nodes = np.stack(np.meshgrid(*[np.arange(n) * 1.0 for n in shape], indexing="ij"), -1).reshape(-1, 3)
    places = np.c_[rng.uniform(0, shape[0], (stations, 2)), np.zeros(stations)]
    far = np.linalg.norm(nodes[:, None] - places, axis=-1)
    delays = np.rint(np.stack([far / 6, far / 6 * 1.73], -1) * 25).astype(np.int32)
    values = np.abs(rng.standard_normal((stations, 2, samples), dtype=np.float32))
    given = BeamInput(values, np.ones(values.shape, bool), np.ones((stations, 2)), np.full(len(nodes), 0.5))
    plan, planned = clock(device, lambda: BeamPlan(delays))
    for half in (False, True):
        beam, more = clock(device, lambda h=half: CudaBeam(device, plan, half=h))
        beam.maximum(given)
        device.taken()
        _, whole = clock(device, lambda b=beam: b.maximum(given))
        kernels = device.taken()
        seconds = sum(kernels.values()) or whole
        name = f"beam, {len(nodes)} x {stations} x 2 x {samples} samples, {'half' if half else 'single'}"
        work = len(nodes) * stations * 2 * samples
        row(name, seconds, whole, f"{work / seconds / 1e12:.2f} T terms/s", work / 32 / seconds / loads,
            "1 s" if half else "1.6 s")  # fmt: skip
        print(
            f"  {kernels}; plan {planned:.2f} s on the processor, its tables {more:.2f} s, once for any data"
        )


def time_filter(device, sizes, row, rate):
    """A day of templates, detections out: correlations, medians, peaks."""
    for key, target in (("filter", "0.5 s"), ("long", "")):
        templates, channels, length, samples = sizes[key]
        rng = np.random.default_rng(3)
        data = rng.standard_normal((channels, samples), dtype=np.float32)
        shape = (templates, channels)
        bank = FilterBank(
            rng.standard_normal((*shape, length), dtype=np.float32), np.full(shape, length),
            rng.integers(0, min(500, samples // 4), shape), np.ones(shape),
        )  # fmt: skip
        live = np.ones(data.shape, dtype=bool)

        def search(bank=bank, data=data, live=live):
            run = CudaFilter(device, data, live)
            size, found = run.fits(bank.waveforms.shape), 0
            for first in range(0, len(bank.weights), size):
                some = slice(first, first + size)
                part = FilterBank(
                    bank.waveforms[some], bank.lengths[some], bank.moveouts[some], bank.weights[some]
                )
                cc = run.correlate(part)
                levels = cc.levels(min(4000, data.shape[1] // 12 + 1), 1000, 11, 0.5)
                heights = levels.medians + 8.0 * levels.deviations
                nodes = [(levels.centres, each.astype(np.float64)) for each in heights]
                found += cc.peaks(nodes, 11, 0.5).samples.size
            return found

        search()
        device.taken()
        _, whole = clock(device, search)
        kernels = device.taken()
        seconds = sum(kernels.values()) or whole
        work = templates * channels * length * samples
        name = f"matched filter, {templates} templates x {channels} x {length} x {samples} samples"
        row(name, seconds, whole, f"{work / seconds / 1e12:.2f} T products/s", work / seconds / rate, target)
        print(f"  {kernels}")


def main():
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on the CPU in place of a GPU")
    parser.add_argument("--only", choices=["waves", "gradient", "chain", "beam", "filter"])
    chosen = parser.parse_args()
    if not chosen.rehearse and gpu_problem() is not None:
        sys.exit(f"not run, nothing was measured: {gpu_problem()}; --rehearse runs this script without a GPU")
    device = rehearsal() if chosen.rehearse else Timed()
    sizes = TINY if chosen.rehearse else FULL
    copy, rate, loads = abilities(device)
    if chosen.rehearse:
        print("REHEARSAL: the CPU in place of a GPU; no figure below means anything")
    print(f"{device.name}: copies {copy / 1e12:.2f} TB/s, {rate / 1e12:.1f} T multiply-adds/s")
    rows = []

    def row(name, kernels, whole, speed, share, target):
        rows.append((name, f"{kernels:.4g}", f"{whole:.4g}", speed, f"{100 * share:.0f} %", target))
        print("  ".join(rows[-1]), flush=True)

    for name, work, ability in (
        ("waves", time_waves, copy), ("gradient", time_gradient, copy), ("chain", time_chain, copy),
        ("beam", time_beam, loads), ("filter", time_filter, rate),
    ):  # fmt: skip
        if chosen.only in (None, name):
            work(device, sizes, row, ability)
    head = ("what", "kernels, s", "whole, s", "speed", "share", "wanted")
    print("\n" + "\n".join("| " + " | ".join(each) + " |" for each in (head, ("---",) * 6, *rows)))


if __name__ == "__main__":
    main()
