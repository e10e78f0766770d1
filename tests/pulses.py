"""Pulses that the tests of misfits are made with."""

from __future__ import annotations

import numpy as np

from seisflow.domain import Window
from seisflow.misfits import create, measure_traces

INTERVAL = 0.1
TIMES = INTERVAL * np.arange(1000)
WINDOW = Window("XX.A", "Z", 20.0, 80.0)


def pulse(centre, period=9.0, width=6.0, phase=0.0):
    return np.exp(-(((TIMES - centre) / width) ** 2)) * np.cos(2 * np.pi * (TIMES - centre) / period - phase)


def noise(seed, scale):
    """Noise of periods over 4 s."""
    random = np.random.default_rng(seed).standard_normal(len(TIMES))
    return scale * np.convolve(random, np.hanning(40), "same") / 5


def measure(config, observed, synthetic, window=WINDOW, band=None):
    return measure_traces(create(config, band), (observed, synthetic), window, 0.0, INTERVAL)


def check_derivative(config, observed, synthetic, window=WINDOW, band=None, rel=1e-7):
    """Central differences of fourth order along directions, and of the samples at and beside the ends of the window."""
    _, source = measure(config, observed, synthetic, window, band)
    size = np.abs(synthetic).max()

    def slope(direction, h):
        values = [
            measure(config, observed, synthetic + step * h * direction, window, band)[0].value
            for step in (1, -1, 2, -2)
        ]
        return (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)

    for seed in range(3):
        direction = noise(100 + seed, size)
        predicted = np.sum(source * direction) * INTERVAL
        difference = abs(slope(direction, 3e-4) - predicted)
        assert difference < rel * np.linalg.norm(source) * np.linalg.norm(direction) * INTERVAL
    first, last = round(window.start / INTERVAL), round(window.end / INTERVAL)
    for sample in (first - 1, first, first + 1, first + 7, (first + last) // 2, last - 5, last, last + 1):
        if 0 <= sample < len(TIMES):
            direction = np.zeros(len(TIMES))
            direction[sample] = 1.0
            found = slope(direction, 3e-5 * size) / INTERVAL
            assert abs(found - source[sample]) < 1e-5 * np.abs(source).max()
