"""Phase in time and frequency: its transform, known phases, edges, what cannot be measured."""

from dataclasses import replace

import numpy as np
import pytest
from pulses import INTERVAL, TIMES, WINDOW, check_derivative, measure, noise, pulse

from seisflow.errors import PhysicsError
from seisflow.misfits.time_frequency_phase import Gabor, TimeFrequencyPhaseConfig

BAND = (5.0, 20.0)


def test_the_transform_against_its_sum():
    """g(t - t0) u(t) exp(-i w (t - first sample of the window)), and the transpose against it."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal(83)
    gabor = Gabor(83, 5.3, (0.02, 0.2))
    found = gabor.apply(values)
    t = np.arange(83)
    for row in (0, 7, len(found) - 1):
        start, reach = gabor.starts[row], (len(gabor.gauss) - 1) // 2
        gauss = np.exp(-0.5 * ((t - start - reach) / 5.3) ** 2) * (np.abs(t - start - reach) <= reach)
        for column, number in enumerate(range(gabor.band.start, gabor.band.stop)):
            wave = np.exp(-2j * np.pi * number / gabor.length * (t - start))
            assert found[row, column] == pytest.approx(np.sum(gauss * values * wave), abs=1e-12)
    other = rng.standard_normal(found.shape) + 1j * rng.standard_normal(found.shape)
    assert np.sum((np.conj(other) * found).real) == pytest.approx(np.sum(gabor.transpose(other) * values))


@pytest.mark.parametrize("phase", [0.1, -1.0, 2.0])
def test_a_constant_difference_of_phase(phase):
    synthetic, observed = pulse(50.0, width=12.0), pulse(50.0, width=12.0, phase=phase)
    row, _ = measure(TimeFrequencyPhaseConfig(water_level=0.01), observed, synthetic, band=BAND)
    assert row.value == pytest.approx(0.5 * phase**2, rel=0.1)


def test_amplitude_does_not_count():
    observed, synthetic = pulse(50.7) + noise(1, 0.1), pulse(50.0)
    once, _ = measure(TimeFrequencyPhaseConfig(), observed, synthetic)
    scaled, _ = measure(TimeFrequencyPhaseConfig(), 1e-9 * observed, 1e-7 * synthetic)
    assert scaled.value == pytest.approx(once.value, rel=1e-9)


@pytest.mark.parametrize("settings", [{}, {"taper": 0.0}, {"width": 3.0}, {"water_level": 0.02}])
def test_derivative_at_all_windows(settings):
    observed, synthetic = 3 * pulse(50.7) + noise(1, 0.3), pulse(50.0) + noise(2, 0.1)
    for window in (WINDOW, replace(WINDOW, start=0.0, end=60.1), replace(WINDOW, start=40.0, end=99.9)):
        check_derivative(TimeFrequencyPhaseConfig(**settings), observed, synthetic, window, BAND, rel=1e-5)


def test_what_has_no_phase_is_refused():
    zero = np.zeros(len(TIMES))
    with pytest.raises(PhysicsError, match=r"synthetic .* is zero"):
        measure(TimeFrequencyPhaseConfig(), pulse(50.0), zero)
    with pytest.raises(PhysicsError, match="half a cycle apart"):
        measure(TimeFrequencyPhaseConfig(), -pulse(50.0), pulse(50.0))
    with pytest.raises(PhysicsError, match="too short for a spectrum between 50 and 60 s"):
        measure(TimeFrequencyPhaseConfig(width=2 * INTERVAL), pulse(50.7), pulse(50.0), band=(50.0, 60.0))


def test_a_window_of_few_samples():
    window = replace(WINDOW, start=50.0, end=50.6)
    check_derivative(TimeFrequencyPhaseConfig(taper=0.0), pulse(50.7), pulse(50.0), window)
