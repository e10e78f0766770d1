"""EQcorrscan's matched filter on a stored problem; run by matched_filter.py in an environment that has it.

Reads ``run`` (one correlation, answers [wall, cpu] in s) or ``result`` (answers the path of the last) line by line.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from eqcorrscan.utils import correlate


def correlations(data, templates, moveouts):
    """Mean correlation of all channels, with FFTW at a length of 4096."""
    stations, components = data.shape[:2]
    names = [f"XX.S{s:02d}..BH{c}" for s in range(stations) for c in "ENZ"]
    kinds = [
        {
            name: np.ascontiguousarray(templates[:, k // components, k % components])
            for k, name in enumerate(names)
        },
        {name: data[k // components, k % components] for k, name in enumerate(names)},
        {
            name: [int(x) for x in moveouts[:, k // components, k % components]]
            for k, name in enumerate(names)
        },
    ]
    cc = correlate.fftw_multi_normxcorr(*kinds, names, 1, 1, stack=True, fft_len=4096)[0]
    return cc / len(names)


def main():
    """Answer until the input ends."""
    place = Path(sys.argv[1])
    with np.load(place) as stored:
        problem = [stored[name] for name in ("data", "templates", "moveouts")]
    result = None
    for line in sys.stdin:
        if line.strip() == "run":
            wall, cpu = time.perf_counter(), time.process_time()
            result = correlations(*problem)
            answer = [time.perf_counter() - wall, time.process_time() - cpu]
        else:
            np.save(place.with_name("cc.npy"), result)
            answer = {"path": str(place.with_name("cc.npy"))}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
