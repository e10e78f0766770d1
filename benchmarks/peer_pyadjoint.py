"""pyadjoint on the pairs of measurements.py: times, values and sources. Runs in the environment of the peer."""

import json
import logging
import sys
import time
import warnings
from pathlib import Path

import numpy as np


def trace(samples):
    """A trace of one sample a second."""
    import obspy

    header = {"delta": 1.0, "network": "XX", "station": "S", "channel": "BXZ"}
    return obspy.Trace(np.ascontiguousarray(samples), header)


def measured(kind, observed, synthetic, windows, **settings):
    """The adjoint source of the peer."""
    import pyadjoint

    config = pyadjoint.get_config(adjsrc_type=kind, min_period=20.0, max_period=100.0, **settings)
    return pyadjoint.calculate_adjoint_source(
        observed=trace(observed), synthetic=trace(synthetic), config=config, windows=windows
    )


def main(folder):
    """Time all sources, then compute those that are compared."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    data = np.load(folder / "pairs.npz")
    spans = data["spans"]
    windows = {}
    for number, start, end in spans:
        windows.setdefault(int(number), []).append((start, end))
    for kind in ("waveform", "cc_traveltime", "multitaper", "exponentiated_phase"):
        times = []
        for _ in range(3):
            began, busy = time.perf_counter(), time.process_time()
            for number, chosen in windows.items():
                measured(kind, data["observed"][number], data["synthetic"][number], chosen)
            times.append((time.perf_counter() - began, time.process_time() - busy))
        wall, cpu = (min(column) * 1e3 / len(windows) for column in zip(*times, strict=True))
        row = {"item": "pyadjoint", "kind": kind, "sources": len(windows), "windows": len(spans)}
        row |= {"ms_per_source": round(wall, 3), "cpu_ms_per_source": round(cpu, 3)}
        print(json.dumps(row), flush=True)
    long, found = np.load(folder / "long.npz"), {}
    for kind in ("waveform", "cc_traveltime"):
        result = measured(kind, long[kind], long["synthetic"], [(100.0, 39_900.0)], taper_percentage=0.0)
        found[f"{kind}_value"] = result.misfit
        found[f"{kind}_source"] = result.adjoint_source[::-1]
    np.savez(folder / "peer.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
