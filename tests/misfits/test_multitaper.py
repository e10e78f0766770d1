"""Travel time and amplitude by several tapers: known dispersion, the lag of the selection, what cannot be measured."""

from dataclasses import replace

import numpy as np
import pytest
from pulses import INTERVAL, TIMES, WINDOW, check_derivative, measure, noise, pulse

from seisflow.errors import InputError, PhysicsError
from seisflow.misfits.multitaper import MultitaperAmplitudeConfig, MultitaperPhaseConfig, tapers

BAND = (5.0, 20.0)


def filtered(trace, gain):
    """Multiply the spectrum by a function of frequency in Hz."""
    spectrum = np.fft.rfft(trace, 4096)
    return np.fft.irfft(spectrum * gain(np.fft.rfftfreq(4096, INTERVAL)), 4096)[: len(trace)]


def delayed(trace, delay):
    """Delay by a function of frequency."""
    return filtered(trace, lambda f: np.exp(-2j * np.pi * f * delay(f)))


@pytest.mark.parametrize("delay", [1.0, 0.437, -0.05, -2.213])
def test_a_delay_is_that_of_all_frequencies(delay):
    row, _ = measure(MultitaperPhaseConfig(), pulse(50 + delay), pulse(50.0), band=BAND)
    assert row.shift == pytest.approx(delay, rel=0.02)
    assert row.value == pytest.approx(0.5 * delay**2, rel=0.05)


def test_dispersion_is_measured_frequency_by_frequency():
    """Delays of opposite sign at both ends of the band; a single lag would say that there is none."""
    synthetic = pulse(50.0, width=4.0)
    observed = delayed(synthetic, lambda f: 8.0 * (f - 1 / 9))
    row, _ = measure(MultitaperPhaseConfig(min_power=0.1), observed, synthetic, band=BAND)
    assert abs(row.shift) < 0.1
    assert row.value > 4 * 0.5 * row.shift**2


def test_the_observed_is_cut_where_the_selection_saw_it():
    """A lag of more than half a period is measured, if the selection knew it; to a part of a sample."""
    late = pulse(57.03)
    with pytest.raises(PhysicsError, match="half a cycle apart"):
        measure(MultitaperPhaseConfig(), pulse(55.0), pulse(50.0), band=BAND)
    row, _ = measure(MultitaperPhaseConfig(), late, pulse(50.0), replace(WINDOW, shift=6.8), BAND)
    assert row.shift == pytest.approx(7.03, abs=0.01)


def test_an_amplitude_is_that_of_all_frequencies():
    row, _ = measure(MultitaperAmplitudeConfig(), np.exp(0.3) * pulse(50.0), pulse(50.0), band=BAND)
    assert row.dlna == pytest.approx(0.3) and row.value == pytest.approx(0.5 * 0.3**2)
    tilted = filtered(pulse(50.0), lambda f: np.exp(5 * (f - 1 / 9)))
    row, _ = measure(MultitaperAmplitudeConfig(), tilted, pulse(50.0), band=BAND)
    assert row.value > 4 * 0.5 * row.dlna**2


def test_travel_times_know_no_amplitude():
    observed, synthetic = pulse(50.7) + noise(1, 0.1), pulse(50.0)
    once, _ = measure(MultitaperPhaseConfig(), observed, synthetic, band=BAND)
    scaled, _ = measure(MultitaperPhaseConfig(), 1e-9 * observed, 1e-7 * synthetic, band=BAND)
    assert scaled.value == pytest.approx(once.value, rel=1e-9)


def test_the_error_grows_with_noise():
    errors = []
    for scale in (0.01, 0.1, 0.3):
        row, _ = measure(MultitaperPhaseConfig(), pulse(50.7) + noise(1, scale), pulse(50.0), band=BAND)
        errors.append(row.error)
    assert errors[0] < errors[1] < errors[2]
    row, _ = measure(MultitaperPhaseConfig(tapers=1), pulse(50.7), pulse(50.0), band=BAND)
    assert row.error is None


@pytest.mark.parametrize("kind", [MultitaperPhaseConfig, MultitaperAmplitudeConfig])
@pytest.mark.parametrize(
    "settings", [{}, {"tapers": 2}, {"time_bandwidth": 4.0, "tapers": 5}, {"sigma": 0.3}]
)
def test_derivative_at_all_windows(kind, settings):
    observed, synthetic = 3 * pulse(50.7) + noise(1, 0.3), pulse(50.0) + noise(2, 0.1)
    for window in (
        WINDOW,
        replace(WINDOW, start=0.0, end=60.1, shift=-0.4),  # the observed cannot be cut earlier
        replace(WINDOW, start=40.0, end=99.9, shift=1.04),
        replace(WINDOW, shift=0.72),
    ):
        check_derivative(kind(**settings), observed, synthetic, window, BAND, rel=1e-6)


def test_windows_that_are_too_short_say_so():
    window = replace(WINDOW, start=48.0, end=54.0)
    with pytest.raises(
        PhysicsError, match=r"XX\.A\.Z from 48 to 54 s is too short.*between periods of 5 s and"
    ):
        measure(MultitaperPhaseConfig(), pulse(50.7), pulse(50.0), window, BAND)
    window = replace(WINDOW, start=48.0, end=48.4)
    with pytest.raises(PhysicsError, match="too short"):
        measure(MultitaperAmplitudeConfig(), pulse(50.7), pulse(50.0), window, BAND)


@pytest.mark.parametrize("kind", [MultitaperPhaseConfig, MultitaperAmplitudeConfig])
def test_traces_without_common_signal_are_refused(kind):
    zero = np.zeros(len(TIMES))
    with pytest.raises(PhysicsError, match=r"synthetic .* is zero"):
        measure(kind(), pulse(50.0), zero)
    with pytest.raises(PhysicsError, match=r"observed .* is zero"):
        measure(kind(), zero, pulse(50.0))
    with pytest.raises(PhysicsError, match="has no power at 9"):
        measure(
            kind(), pulse(50.0, period=6.0, width=15.0), filtered(pulse(50.0), lambda f: f < 0.03), band=BAND
        )


def test_impossible_tapers_are_refused():
    with pytest.raises(InputError, match="tapers = 6: from 1 to twice"):
        MultitaperPhaseConfig(tapers=6)
    with pytest.raises(InputError, match="min_power = 1"):
        MultitaperPhaseConfig(min_power=1.0)


def test_tapers_are_orthonormal():
    windows = tapers(300, 2.5, 4)
    assert np.allclose(windows @ windows.T, np.eye(4), atol=1e-10)
