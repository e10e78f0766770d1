"""Window selection beside pyflex: the same windows, why not where not, and how fast.

Run ``python benchmarks/windows.py --pyflex-python PATH``. The peer lives in an environment of its own:

    python -m venv .venv-pyflex
    .venv-pyflex/bin/pip install "numpy<2" "scipy<1.14" "setuptools<81" pyflex==0.2.0

Where windows differ, the rules of the peer are put in place of ours, one after the other and all together: with all of
them ours must give the peer's windows, and each that changes windows alone is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.signal import hilbert, lfilter

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from measurements import BAND, EVENT, SETTINGS, network

from seisflow.domain import Event, Gather, Station
from seisflow.windows import WindowConfig, arrivals, block, candidates, fit, landscape, select, stalta
from seisflow.windows.ledger import Ledger
from seisflow.windows.stalta import FLOOR, LONG

Windows = list[list[tuple[int, int]]]


# ---------------------------------------------------------------------- the peer's rules


def its_schedule(left: np.ndarray, right: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The best sum without the first interval, which counts nothing."""
    order = np.argsort(right, kind="stable")
    before = np.searchsorted(right[order], left[order], side="right") - 1
    total = {-1: 0.0, 0: 0.0}
    for j in range(1, len(order)):
        total[j] = max(value[order[j]] + total[int(before[j])], total[j - 1])
    chosen, j = [], len(order) - 1
    while j >= 0:
        with_it = value[order[j]] + total[int(before[j])]
        if with_it > total.get(j - 1, 0.0):
            chosen.append(order[j])
            j = int(before[j])
        else:
            j -= 1
    return np.array(chosen[::-1], dtype=np.intp)


def its_curtailing(land: landscape.Landscape, ledger: Ledger) -> None:
    """Counted from the other peaks only, and only where there are two of them; cut to whole samples downwards."""
    for row in ledger.alive:
        offset = ledger.trace[row] * land.samples
        peaks = land.peaks - offset
        left, right = int(ledger.left[row]), int(ledger.right[row])
        inside = peaks[(peaks >= left) & (peaks <= right) & (peaks != ledger.peak[row])]
        if len(inside) < 2:
            continue
        before, after = (
            land.in_samples(each) for each in (land.config.curtail_left, land.config.curtail_right)
        )
        if inside[0] - left > before:
            ledger.left[row] = int(inside[0] - before)
        if right - inside[-1] > after:
            ledger.right[row] = int(inside[-1] + after)


def its_envelope(traces: np.ndarray) -> np.ndarray:
    """The transform goes round: the end of a trace comes before its beginning."""
    return np.abs(hilbert(traces))


def its_range(
    plain: Callable[..., landscape.Landscape],
    cls: type,
    synthetic: np.ndarray,
    times: tuple[float, float],
    band: tuple[float, float],
    arrivals: list,
    config: WindowConfig,
) -> landscape.Landscape:
    """The range of travel times begins with the sample before it."""
    start, interval = times
    lead = config.lead(band[0])
    sample = [np.floor((each.first - lead - start) / interval) for each in arrivals]
    early = [
        replace(each, first=start + interval * n + lead) for each, n in zip(arrivals, sample, strict=True)
    ]
    land = plain(synthetic, times, band, early, config)
    return replace(land, arrivals=tuple(arrivals))


def its_ends(
    plain: Callable[..., landscape.Landscape], cls: type, synthetic: np.ndarray, *args: object
) -> landscape.Landscape:
    """The ends of the range of travel times count as troughs only where a trough beyond that end was cut."""
    land = plain(synthetic, *args)
    _, real = stalta.extrema(land.values)
    places = np.setdiff1d(land.troughs, real)
    known = np.concatenate([[-land.samples], real, [real.size * land.samples + land.values.size]])
    number = np.searchsorted(real, places)
    trace = places // land.samples
    first = np.array([land.troughs[np.searchsorted(land.troughs, n * land.samples)] for n in trace])
    beyond = np.where(places == first, known[number], known[number + 1]) // land.samples
    troughs = np.setdiff1d(land.troughs, places[beyond != trace])
    return replace(land, troughs=troughs, peaks=landscape._between(land.peaks, troughs, land.samples))


def its_arrivals(
    event: Event, stations: tuple[Station, ...], config: WindowConfig, times: object = None
) -> list[arrivals.Arrivals]:
    """TauP by the angle on a sphere; the last waves travel along the surface, not from the source."""
    found = arrivals.expected_arrivals(event, stations, config)
    if config.travel_times == "none":
        return found
    a, b = (np.radians([[each.latitude, each.longitude] for each in side]).T for side in ([event], stations))
    away = 2 * np.arcsin(
        np.sqrt(np.sin((b[0] - a[0]) / 2) ** 2 + np.cos(a[0]) * np.cos(b[0]) * np.sin((b[1] - a[1]) / 2) ** 2)
    )
    path = np.array([each.path for each in found])
    along = np.sqrt(path**2 - event.depth**2)
    first = arrivals._phase_times(event, config, 6371e3 * away, path, None)["P"]
    return [
        replace(each, first=float(first[n]), last=float(along[n] / config.min_velocity))
        for n, each in enumerate(found)
    ]


def its_signal(
    traces: np.ndarray, first: np.ndarray, length: np.ndarray, level: np.ndarray, kind: str
) -> np.ndarray:
    """Without the last sample of the window."""
    return fit_signal(traces, first, length - 1, level, kind)


def its_padding(traces: np.ndarray, interval: float, period: float) -> np.ndarray:
    """A thousand samples of the floor stand before the trace."""
    height = stalta.envelope(traces)
    floor = FLOOR * height.max(axis=-1, keepdims=True)
    height = np.concatenate([np.repeat(0 * floor, 1000, axis=-1), height], axis=-1) + floor
    averages = [
        lfilter([1.0], [1.0, -(10 ** (-interval / time))], height) for time in (period, LONG * period)
    ]
    return (averages[0] / averages[1])[..., 1000:]


def its_lags(correlation: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Among all lags of a window."""
    return fit_highest(correlation, 2 * reach)


@property
def its_noise(self: block.Block) -> list[tuple[int, np.ndarray]]:
    """As many samples as there are seconds to the first arrival less the shortest period; below 0, less at the end."""
    ends = [int(each.first - self.land.period) for each in self.arrivals]
    return [(end, self.traces[0][n, :end]) for n, end in enumerate(ends)]


def its_rejections(
    self: Ledger, stage: str, keep: np.ndarray, value: object = np.nan, limit: object = np.nan
) -> None:
    """A candidate goes on if one with the same ends does, whatever its peak."""
    if stage in ("interior minima", "prominence", "phase separation"):
        rows = self.alive
        key = (self.trace[rows] * 1_000_000 + self.left[rows]) * 1_000_000 + self.right[rows]
        keep = np.isin(key, key[keep])
    plain_judge(self, stage, keep, value, limit)


plain_judge = Ledger.judge
fit_highest, fit_signal = fit._highest, block.signal_to_noise


def of_landscape(rule: Callable[..., landscape.Landscape]) -> mock._patch:
    """Put a rule around what makes a landscape, be it ours or changed already."""
    return mock.patch.object(block.Landscape, "of", classmethod(partial(rule, block.Landscape.of)))


RULES: dict[str, Callable[[], mock._patch]] = {
    "first of overlapping windows counts nothing": lambda: mock.patch.object(
        block, "best_schedule", its_schedule
    ),
    "curtailing without the window's own peak": lambda: mock.patch.object(
        candidates, "_curtail", its_curtailing
    ),
    "a candidate with another's ends survives": lambda: mock.patch.object(Ledger, "judge", its_rejections),
    "lags of a whole window": lambda: mock.patch.object(fit, "_highest", its_lags),
    "1,000 samples before the trace": lambda: mock.patch.object(landscape, "short_over_long", its_padding),
    "envelope whose ends meet": lambda: mock.patch.object(stalta, "envelope", its_envelope),
    "signal of a window without its last sample": lambda: mock.patch.object(
        block, "signal_to_noise", its_signal
    ),
    "distances on a sphere and along the surface": lambda: mock.patch.object(
        sys.modules[select.__module__], "expected_arrivals", its_arrivals
    ),
    "range of travel times from the sample before": lambda: of_landscape(its_range),
    "ends of that range only where troughs were cut": lambda: of_landscape(its_ends),
    "noise ends at seconds taken for samples": lambda: mock.patch.object(block.Block, "noise", its_noise),
}


@contextmanager
def rules(names: list[str]) -> Iterator[None]:
    """Some rules of the peer in place of ours."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(RULES[name]())
        yield


# ---------------------------------------------------------------------- cases


def ours(
    observed: Gather, synthetic: Gather, event: Event, config: WindowConfig, band: tuple[float, float]
) -> Windows:
    """Our windows of each trace, as first and last sample."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for window in select(observed, synthetic, event, config, band)[0]:
        span = tuple(
            round((each - observed.start) / observed.interval) for each in (window.start, window.end)
        )
        found.setdefault((window.station, window.component), []).append(span)
    names = [(s.id, c) for s in observed.stations for c in observed.components]
    return [found.get(name, []) for name in names]


def its_config(config: WindowConfig, band: tuple[float, float], **more: object) -> dict:
    """The same settings in the words of the peer."""
    return {
        "min_period": band[0], "max_period": band[1], "stalta_waterlevel": config.water_level,
        "tshift_acceptance_level": config.max_shift, "dlna_acceptance_level": config.max_dlna,
        "cc_acceptance_level": config.min_correlation, "s2n_limit": config.min_signal_to_noise,
        "c_0": config.interior_minima, "c_1": config.min_length, "c_2": config.prominence,
        "c_3a": config.separation_height, "c_3b": config.separation_time, "c_4a": config.curtail_left,
        "c_4b": config.curtail_right,
    } | more  # fmt: skip


def compare(
    case: str, pair: tuple[Gather, Gather], event: Event, config: WindowConfig, band: tuple[float, float],
    peer: tuple[Path, Path],
) -> None:  # fmt: skip
    """A line of the table: times, windows, and what makes the difference."""
    folder, python = peer
    observed, synthetic = pair
    count = observed.data.shape[0] * observed.data.shape[1]
    with_times = config.travel_times != "none"
    begin = int(
        np.ceil((-band[0] - observed.start) / observed.interval - 1e-9)
    )  # noise, if no arrival is known
    noise = {"noise_start_index": 0, "noise_end_index": begin, "signal_start_index": begin}
    times = {
        "max_time_before_first_arrival": config.lead(band[0]),
        "min_surface_wave_velocity": config.min_velocity / 1e3,
        "earth_model": config.travel_times,
    }
    asked = {
        "start": observed.start, "interval": observed.interval, "rounds": 1 if with_times else 3,
        "config": its_config(config, band, **(times if with_times else noise)),
    }  # fmt: skip
    if with_times:
        asked["event"] = [event.latitude, event.longitude, event.depth]
        asked["stations"] = [
            [s.latitude, s.longitude] for s in observed.stations for _ in observed.components
        ]
    shape = (count, observed.samples)
    np.savez(
        folder / "case.npz", observed=observed.data.reshape(shape), synthetic=synthetic.data.reshape(shape)
    )
    (folder / "case.json").write_text(json.dumps(asked))
    script = Path(__file__).with_name("peer_pyflex.py")
    subprocess.run([python, script, folder, "case"], check=True, stdin=subprocess.DEVNULL)
    answer = json.loads((folder / "case_peer.json").read_text())
    theirs = [sorted((w[0], w[1]) for w in each) for each in answer["windows"]]
    args = observed, synthetic, event, config, band
    seconds, busy = [], 0.0
    ours(*args)
    for _ in range(5):
        busy = time.process_time()
        select(*args)
        seconds.append(time.process_time() - busy)
    mine = ours(*args)
    names = [name for name in RULES if with_times or not name.startswith("noise")]
    with rules(names):
        alike = ours(*args)
    row = {
        "case": case, "pairs": count, "ms_per_pair": round(1e3 * min(seconds) / count, 3),
        "peer_ms_per_pair": round(1e3 * answer["seconds"] / count, 3),
        "times_as_fast": round(answer["seconds"] / min(seconds), 1),
        "windows": sum(map(len, mine)), "peer_windows": sum(map(len, theirs)),
        "same": sum(len(set(a) & set(b)) for a, b in zip(mine, theirs, strict=True)),
        "pairs_that_differ": sum(sorted(a) != b for a, b in zip(mine, theirs, strict=True)),
        "with_all_rules_of_the_peer": sum(sorted(a) != b for a, b in zip(alike, theirs, strict=True)),
    }  # fmt: skip
    for name in names:
        with rules([name]):
            changed = ours(*args)
        row[name] = sum(a != b for a, b in zip(changed, mine, strict=True))
    print(json.dumps(row), flush=True)


def earlier(gathers: tuple[Gather, Gather], seconds: float) -> tuple[Gather, Gather]:
    """The same traces, taken to begin so much before the origin."""
    return tuple(replace(gather, start=-seconds) for gather in gathers)


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pyflex-python", type=Path, required=True)
    options = parser.parse_args()
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0]}))
    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder), options.pyflex_python
        pair = earlier(network(100, 1), 320.0)
        compare("synthetic pairs, no travel times", pair, EVENT, SETTINGS, BAND, peer)
        hard = replace(SETTINGS, water_level=0.12, separation_height=1.0, curtail_left=1.0, curtail_right=3.0)
        compare("the same, other settings", pair, EVENT, hard, BAND, peer)
        far = network(100, 1)
        stations = tuple(replace(s, longitude=20 + 0.25 * n) for n, s in enumerate(far[0].stations))
        far = tuple(replace(g, stations=stations, start=-100.0) for g in far)
        timed = replace(SETTINGS, travel_times="ak135", max_time_before_arrival=50.0)
        compare("synthetic pairs, travel times by TauP", far, EVENT, timed, BAND, peer)


if __name__ == "__main__":
    main()
