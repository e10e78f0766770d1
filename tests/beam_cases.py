"""Delays and features for tests of the beam on the processor and on GPUs."""

import numpy as np

from seisflow.native.beam import BeamInput


def geometry(ns=6, phases=2, seed=1, shape=(7, 6, 5), random=False, earliest=0):
    rng = np.random.default_rng(seed)
    nodes = np.stack(np.meshgrid(*(np.arange(n) * 1.0 for n in shape), indexing="ij"), -1).reshape(-1, 3)
    stations = np.c_[rng.uniform(-5, 12, (ns, 2)), np.zeros(ns)]
    far = np.linalg.norm(nodes[:, None] - stations[None], axis=-1)
    delays = np.rint(np.stack([far * slow for slow in (3, 5.2, 4)[:phases]], -1)).astype(np.int32) + earliest
    if random:
        delays = rng.integers(earliest, earliest + 70, delays.shape).astype(np.int32)
    return delays, far


def make(delays, nt=700, seed=2, gaps=0, kind="noise", least=0.5, strict=True, use=None, even=True):
    rng = np.random.default_rng(seed)
    sources, ns, phases = delays.shape
    values = np.abs(rng.standard_normal((ns, phases, nt))).astype(np.float32)
    if kind == "integers":
        values = rng.integers(0, 3, values.shape).astype(np.float32)
    elif kind == "spikes":
        values[rng.random(values.shape) < 0.002] = 3e4
    elif kind == "zeros":
        values[:, :, :400] = 0
    elif kind == "signed":
        values = (values - 2) * np.float32(1e-3)
    live = np.ones(values.shape, bool)
    for _ in range(gaps):
        s, a = rng.integers(ns), rng.integers(nt)
        live[s, :, a : a + rng.integers(1, 150)] = False
    values[~live] = np.nan
    weights = np.ones((ns, phases)) if even else rng.uniform(0.2, 3, (ns, phases))
    use = np.ones((sources, ns), bool) if use is None else use
    return use, BeamInput(values, live, weights, np.full(sources, least), strict)


CASES = {
    "noise": {},
    "ties": {"kind": "integers"},
    "spikes": {"kind": "spikes"},
    "silence": {"kind": "zeros"},
    "signed": {"kind": "signed"},
    "weights": {"even": False},
    "gaps": {"gaps": 3},
    "gaps and weights": {"gaps": 3, "even": False, "strict": False},
    "many gaps": {"gaps": 40, "strict": False},
    "flexible": {"strict": False, "least": 1e-3},
    "all must live": {"gaps": 3, "least": 1.0, "strict": False},
}
