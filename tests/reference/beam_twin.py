"""Slow, obvious twin of the backprojection kernel."""

import numpy as np


def beam(delays, use, values, live, weights, least, strict):
    """Mean of every source at every sample, NaN where it does not compete, and its live share: (sources, nt)."""
    sources, ns, phases = delays.shape
    nt = values.shape[2]
    mean, share = np.full((sources, nt), np.nan), np.zeros((sources, nt))
    for k in range(sources):
        if not use[k].any():
            continue
        total, weight, inside = np.zeros(nt), np.zeros(nt), np.ones(nt, bool)
        full = 0.0
        for s in range(ns):
            for p in range(phases):
                if not use[k, s]:
                    continue
                at = np.arange(nt) + int(delays[k, s, p])
                within = (at >= 0) & (at < nt)
                at = np.clip(at, 0, nt - 1)
                alive = within & live[s, p, at]
                total += np.where(alive, weights[s, p] * values[s, p, at].astype(np.float64), 0)
                weight += np.where(alive, weights[s, p], 0)
                inside &= within
                full += weights[s, p]
        competes = (weight >= least[k] * full * (1 - 1e-12)) & (inside | (not strict))
        mean[k, competes] = total[competes] / weight[competes]
        share[k] = weight / full
    return mean, share


def maximum(mean, share):
    """Largest mean, first source that reaches it, its share, per sample."""
    filled = np.where(np.isnan(mean), -np.inf, mean)
    node = np.argmax(filled, axis=0)
    some = np.isfinite(filled).any(axis=0)
    column = np.arange(mean.shape[1])
    return (
        np.where(some, filled[node, column], 0).astype(np.float32),
        np.where(some, node, -1),
        np.where(some, share[node, column], 0).astype(np.float32),
    )
