"""The waveform misfit against numbers computed by hand."""

import numpy as np
import pytest

from seisflow.domain import Window
from seisflow.errors import PhysicsError
from seisflow.misfits import WaveformConfig, create, measure_traces

WINDOW = Window("XX.A", "Z", 2.0, 8.0, weight=2.0)


def measure(config, observed, synthetic):
    return measure_traces(create(config), (observed, synthetic), WINDOW, 0.0, 0.5)


def test_value_and_adjoint_by_hand():
    observed, synthetic = np.zeros(21), np.full(21, 3.0)
    row, source = measure(WaveformConfig(taper=0.0), observed, synthetic)
    assert row.value == pytest.approx(2.0 * 0.5 * 9.0 * 13 * 0.5)
    assert np.array_equal(source, np.where((np.arange(21) >= 4) & (np.arange(21) <= 16), 6.0, 0.0))


def test_the_adjoint_is_tapered_twice():
    synthetic = np.ones(21)
    _, source = measure(WaveformConfig(taper=1.0), np.zeros(21), synthetic)
    ramp = 0.5 * (1 - np.cos(np.pi * np.arange(6) / 6))
    assert source[4:10] == pytest.approx(2.0 * ramp**2)


def test_normalised_by_the_energy_observed():
    observed = np.sin(np.arange(21.0))
    config = WaveformConfig(normalise=True)
    row, source = measure(config, observed, np.zeros(21))
    assert row.value == pytest.approx(0.5 * 2.0)
    moved = measure(config, observed, 1e-6 * observed)[0].value
    assert (moved - row.value) / 1e-6 == pytest.approx(np.sum(source * observed) * 0.5, rel=1e-5)
    with pytest.raises(PhysicsError, match="cannot be normalised"):
        measure(config, np.zeros(21), observed)
