"""The slow, obvious twin of the compiled matched filter: every window by itself, NumPy, float64."""

from __future__ import annotations

import numpy as np


def correlations(windows, waveform):
    """Correlation coefficients of windows (n, length) with a waveform; 0 where a window is constant."""
    x, q = windows.astype(np.float64), waveform.astype(np.float64)
    x, q = x - x[:, :1], q - q[0]
    x, q = x - x.mean(axis=1, keepdims=True), q - q.mean()
    constant = np.all(windows == windows[:, :1], axis=1)
    largest = np.abs(x).max(axis=1, keepdims=True)
    x = x / np.where(constant[:, None], 1, largest)  # squares of small numbers would underflow
    q = q / np.abs(q).max()
    norm = np.sqrt((x * x).sum(axis=1) * (q * q).sum())
    return np.where(constant, 0, (x * q).sum(axis=1) / np.where(constant, 1, norm))


def matched_filter(data, live, bank, template, samples, min_live=0.0):
    """CC and live share of one template at given samples."""
    samples = np.asarray(samples)
    total = bank.weights[template].sum() if bank.totals is None else bank.totals[template]
    above, below = np.zeros(samples.size), np.zeros(samples.size)
    for channel in np.flatnonzero(bank.weights[template] > 0):
        length, weight = bank.lengths[template, channel], bank.weights[template, channel]
        index = samples[:, None] + bank.moveouts[template, channel] + np.arange(length)
        inside = ((index >= 0) & (index < data.shape[1])).all(axis=1)
        index = np.where(inside[:, None], index, 0)
        whole = inside & live[channel][index].all(axis=1)
        windows = np.where(whole[:, None], data[channel][index], 0)
        above += weight * correlations(windows, bank.waveforms[template, channel, :length])
        below += weight * whole
    share = below / total
    counts = (below > 0) & (share >= min_live - 1e-9)
    return np.where(counts, above / np.where(counts, below, 1), 0), share


def everywhere(data, live, bank, min_live=0.0):
    """CC and live share of all templates at all samples: two arrays (nt, n)."""
    samples = np.arange(data.shape[1])
    results = [matched_filter(data, live, bank, t, samples, min_live) for t in range(len(bank.weights))]
    return np.array([cc for cc, _ in results]), np.array([share for _, share in results])
