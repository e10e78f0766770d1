"""The slow, obvious twin of the compiled matched filter: one window after the other, NumPy, float64."""

from __future__ import annotations

import numpy as np


def window_correlation(window, waveform):
    """Correlation coefficient, 0 if the window is constant."""
    x, q = window.astype(np.float64), waveform.astype(np.float64)
    if np.all(x == x[0]):
        return 0.0
    x, q = x - x[0], q - q[0]
    x, q = x - x.mean(), q - q.mean()
    x, q = x / np.abs(x).max(), q / np.abs(q).max()
    return float(x @ q / np.sqrt((x @ x) * (q @ q)))


def matched_filter(data, live, bank, template, sample, min_live=0.0):
    """CC and live share of one template at one sample."""
    total = bank.weights[template].sum() if bank.totals is None else bank.totals[template]
    above = below = 0.0
    for channel in np.flatnonzero(bank.weights[template] > 0):
        length, weight = bank.lengths[template, channel], bank.weights[template, channel]
        start = sample + bank.moveouts[template, channel]
        if start < 0 or start + length > data.shape[1] or not live[channel, start : start + length].all():
            continue
        waveform = bank.waveforms[template, channel, :length]
        above += weight * window_correlation(data[channel, start : start + length], waveform)
        below += weight
    share = below / total
    return (above / below if below > 0 and share >= min_live - 1e-9 else 0.0), share


def everywhere(data, live, bank, min_live=0.0):
    """CC and live share of all templates at all samples: two arrays (nt, n)."""
    shape = (bank.weights.shape[0], data.shape[1])
    pairs = [[matched_filter(data, live, bank, t, i, min_live) for i in range(shape[1])] for t in range(shape[0])]
    return tuple(np.array(pairs).transpose(2, 0, 1))
