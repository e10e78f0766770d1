"""Recordings and templates for tests of the matched filter on the processor and on GPUs."""

import numpy as np

from seisflow.native.matched_filter import FilterBank


def problem(seed=1, nt=3, nch=4, n=4000, longest=60, moveouts=(0, 90)):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((nch, n)).astype(np.float32)
    lengths = rng.integers(max(2, longest // 3), longest + 1, (nt, nch))
    lengths[0] = longest
    bank = FilterBank(
        rng.standard_normal((nt, nch, longest)).astype(np.float32),
        lengths,
        rng.integers(*moveouts, (nt, nch)),
        rng.uniform(0.2, 2.0, (nt, nch)),
    )
    return data, np.ones(data.shape, dtype=bool), bank


def bursts(data, live):
    for channel in range(data.shape[0]):
        for start in range(500 + 37 * channel, data.shape[1] - 200, 900):
            data[channel, start : start + 60] *= 1e6
    return data, live


def one_channel_bursts(data, live):
    data[1, 1000:1040] *= 1e6
    data[2, 2500] = 3e7
    return data, live


def decaying(data, live):
    data *= np.exp(-np.linspace(0, 60, data.shape[1])).astype(np.float32)  # over 26 orders of magnitude
    return data, live


def gaps(data, live):
    live[0, 300:340] = live[0, 345] = live[2, 1000:3000] = live[3, :] = live[1, -5:] = False
    data[~live] = np.nan
    return data, live


def constant(data, live):
    data[0, 700:1500] = 3.25e7
    data[1, 2000:2050] = 0
    data[2] = -1
    return data, live


def offsets(data, live):
    data += np.float32([[1e4], [-300], [0], [1e6]])
    data[0, 2000:] -= 2e4
    return data, live


def small(data, live):
    data *= np.float32(1e-12)
    data[1] *= np.float32(1e-20)
    return data, live


def huge(data, live):
    data *= np.float32(1e30)
    return data, live


SPOILS = [bursts, one_channel_bursts, decaying, gaps, constant, offsets, small, huge]
