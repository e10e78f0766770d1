"""The exponentiated phase: its size for a known phase, no amplitude, water level, ends of the window."""

from dataclasses import replace

import numpy as np
import pytest
from pulses import INTERVAL, TIMES, WINDOW, check_derivative, measure, noise, pulse

from seisflow.errors import PhysicsError
from seisflow.misfits.exponentiated_phase import ExponentiatedPhaseConfig


@pytest.mark.parametrize("phase", [0.1, 1.0, -2.0])
def test_a_constant_difference_of_phase(phase):
    """abs(exp(i a) - exp(i b))^2 = 2 (1 - cos(a - b)), over a second."""
    synthetic, observed = pulse(50.0, width=40.0), pulse(50.0, width=40.0, phase=phase)
    row, _ = measure(ExponentiatedPhaseConfig(taper=0.1, water_level=0.01), observed, synthetic)
    assert row.value == pytest.approx((1 - np.cos(phase)) * 601 * INTERVAL, rel=0.1)


def test_amplitude_does_not_count():
    observed, synthetic = pulse(50.7) + noise(1, 0.1), pulse(50.0)
    once, source = measure(ExponentiatedPhaseConfig(), observed, synthetic)
    scaled, small = measure(ExponentiatedPhaseConfig(), 1e-9 * observed, 1e-7 * synthetic)
    assert scaled.value == pytest.approx(once.value, rel=1e-10)
    assert np.allclose(1e-7 * small, source, atol=1e-10 * np.abs(source).max())


def test_weak_phases_count_as_much_as_strong_ones():
    """The reason for this misfit: an early phase of a tenth of the amplitude is seen, by the waveform it is not."""
    synthetic = pulse(35.0, width=4.0) + 10 * pulse(60.0, width=4.0)
    early = pulse(36.0, width=4.0) + 10 * pulse(60.0, width=4.0)
    late = pulse(35.0, width=4.0) + 10 * pulse(61.0, width=4.0)
    config = ExponentiatedPhaseConfig(water_level=0.02)
    values = [measure(config, observed, synthetic)[0].value for observed in (early, late)]
    assert 0.3 < values[0] / values[1] < 3


@pytest.mark.parametrize("settings", [{}, {"taper": 0.0}, {"taper": 1.0}, {"water_level": 2.0}])
def test_derivative_with_tapers_and_levels(settings):
    observed, synthetic = 3 * pulse(50.7) + noise(1, 0.4), pulse(50.0) + noise(2, 0.1)
    for window in (WINDOW, replace(WINDOW, start=0.0, end=60.1), replace(WINDOW, start=40.0, end=99.9)):
        check_derivative(ExponentiatedPhaseConfig(**settings), observed, synthetic, window)


def test_short_windows():
    window = replace(WINDOW, start=50.0, end=50.4)
    check_derivative(ExponentiatedPhaseConfig(taper=0.0), pulse(50.7), pulse(50.0), window)


def test_traces_of_zeros_have_no_phase():
    zero = np.zeros(len(TIMES))
    with pytest.raises(PhysicsError, match=r"synthetic XX\.A\.Z from 20 to 80 s is zero"):
        measure(ExponentiatedPhaseConfig(), pulse(50.0), zero)
    with pytest.raises(PhysicsError, match="observed"):
        measure(ExponentiatedPhaseConfig(), zero, pulse(50.0))
