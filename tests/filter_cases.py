"""Recordings and templates for tests of the matched filter on the processor and on GPUs."""

import numpy as np

from seisflow.domain import Continuous, Station, Template
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


STATIONS = tuple(Station("XX", f"S{i}", 40.0 + 0.1 * i, 10.0) for i in range(4))


def network(hidden=((300.0, 1.0),), seed=3):
    """A template and 20 minutes at 20 Hz in which it occurs at given times, so many times as large as noise."""
    rng = np.random.default_rng(seed)
    lengths = np.array([[80, 100, 100]] * 4)
    moveouts = np.arange(4)[:, None] * 1.5 + np.array([[2.0, 3.5, 3.5]])
    waveforms = rng.standard_normal((4, 3, 100)).astype(np.float32)
    waveforms[:, 0, 80:] = 0
    phases = np.array([["P", "S", "S"]] * 4)
    template = Template(
        "ev1", 0.0, 0.0, 0.0, 8000.0, STATIONS, ("Z", "N", "E"), waveforms, lengths, moveouts, np.ones((4, 3)),
        phases, 0.05, 2.1,
    )  # fmt: skip
    data = rng.standard_normal((4, 3, 24000)).astype(np.float32)
    for time, size in hidden:
        for s, c in np.ndindex(4, 3):
            first = round((time + moveouts[s, c]) / 0.05)
            data[s, c, first : first + lengths[s, c]] += size * waveforms[s, c, : lengths[s, c]]
    day = Continuous(STATIONS, ("Z", "N", "E"), 1e-9 * data, np.ones(data.shape, dtype=bool), 1e9, 0.05)
    return day, template
