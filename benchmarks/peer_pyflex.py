"""Windows of pyflex on given pairs; run by ``benchmarks/windows.py`` in an environment of its own.

``python peer_pyflex.py FOLDER NAME`` reads ``NAME.npz`` and ``NAME.json`` in the folder, and writes ``NAME_peer.json``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import obspy  # noqa: E402
import pyflex  # noqa: E402


def trace(samples: np.ndarray, asked: dict) -> obspy.Trace:
    """A trace that starts at the time of the first sample after an origin at 2020-01-01."""
    begin = obspy.UTCDateTime(2020, 1, 1) + asked["start"]
    head = {"delta": asked["interval"], "starttime": begin, "network": "XX", "station": "S", "channel": "BXZ"}
    return obspy.Trace(np.ascontiguousarray(samples, dtype=np.float64), head)


def main() -> None:
    """Select windows of all pairs; the fastest of three rounds counts."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    asked, pairs = json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npz")
    work = [(trace(d, asked), trace(s, asked)) for d, s in zip(pairs["observed"], pairs["synthetic"])]  # noqa: B905
    places = asked.get("stations") or [None] * len(work)
    best, found = np.inf, []
    for _ in range(asked["rounds"]):
        found, busy = [], time.process_time()
        for (d, s), place in zip(work, places):  # noqa: B905
            more = {}
            if place is not None:
                origin = obspy.UTCDateTime(2020, 1, 1)
                latitude, longitude, depth = asked["event"]
                more["event"] = pyflex.Event(latitude, longitude, depth, origin)
                more["station"] = pyflex.Station(*place)
            found.append(pyflex.select_windows(d, s, pyflex.Config(**asked["config"]), **more))
        best = min(best, time.process_time() - busy)
    rows = [
        [[int(w.left), int(w.right), float(w.cc_shift), float(w.dlnA), float(w.max_cc_value)] for w in each]
        for each in found
    ]
    (folder / f"{name}_peer.json").write_text(json.dumps({"seconds": best, "windows": rows}))


main()
