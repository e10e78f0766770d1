"""Misfits in time: normalised waveform, amplitude, envelope, instantaneous phase; values that are known, and edges."""

from dataclasses import replace

import numpy as np
import pytest
from pulses import INTERVAL, TIMES, WINDOW, check_derivative, measure, noise, pulse

from seisflow.errors import PhysicsError
from seisflow.misfits.cc_amplitude import CCAmplitudeConfig
from seisflow.misfits.envelope import EnvelopeConfig
from seisflow.misfits.instantaneous_phase import InstantaneousPhaseConfig
from seisflow.misfits.waveform_normalised import WaveformNormalisedConfig

KINDS = (WaveformNormalisedConfig, CCAmplitudeConfig, EnvelopeConfig, InstantaneousPhaseConfig)
EDGES = (
    WINDOW,
    replace(WINDOW, start=0.0, end=60.1, shift=-3.0),
    replace(WINDOW, start=40.0, end=99.9, shift=2.04),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("taper", [0.0, 0.3, 1.0])
def test_derivative_at_all_windows(kind, taper):
    observed, synthetic = 3 * pulse(50.7) + noise(1, 0.3), pulse(50.0) + noise(2, 0.1)
    for window in EDGES:
        check_derivative(kind(taper=taper), observed, synthetic, window, rel=1e-6)


@pytest.mark.parametrize("kind", [EnvelopeConfig, InstantaneousPhaseConfig])
@pytest.mark.parametrize("level", [0.05, 3.0])
def test_derivative_with_water_levels(kind, level):
    observed, synthetic = 3 * pulse(50.7) + noise(1, 0.3), pulse(50.0) + noise(2, 0.1)
    check_derivative(kind(water_level=level), observed, synthetic, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_traces_of_zeros_are_refused(kind):
    zero = np.zeros(len(TIMES))
    with pytest.raises(PhysicsError, match=r"synthetic XX\.A\.Z from 20 to 80 s is zero"):
        measure(kind(), pulse(50.0), zero)
    with pytest.raises(PhysicsError, match="observed"):
        measure(kind(), zero, pulse(50.0))


@pytest.mark.parametrize("kind", [WaveformNormalisedConfig, InstantaneousPhaseConfig])
def test_amplitude_does_not_count(kind):
    observed, synthetic = pulse(50.7) + noise(1, 0.1), pulse(50.0)
    once, _ = measure(kind(), observed, synthetic)
    scaled, _ = measure(kind(), 1e-9 * observed, 1e-7 * synthetic)
    assert scaled.value == pytest.approx(once.value, rel=1e-9)


def test_the_normalised_waveform_is_one_minus_the_correlation():
    row, _ = measure(WaveformNormalisedConfig(taper=0.0), pulse(50.0), 2 * pulse(50.5))
    d, s = (pulse(centre)[200:801] for centre in (50.0, 50.5))
    assert row.correlation == pytest.approx(np.sum(d * s) / np.sqrt(np.sum(d**2) * np.sum(s**2)))
    assert row.value == pytest.approx(1 - row.correlation)
    opposite, _ = measure(WaveformNormalisedConfig(), pulse(50.0), -pulse(50.0))
    assert opposite.value == pytest.approx(2.0)


def test_amplitude_by_hand():
    row, source = measure(CCAmplitudeConfig(sigma=0.5), np.exp(0.3) * pulse(50.0), pulse(50.0))
    assert row.dlna == pytest.approx(0.3) and row.value == pytest.approx(0.5 * (0.3 / 0.5) ** 2)
    assert row.error == pytest.approx(0, abs=1e-9)
    assert np.sum(source * pulse(50.0)) * INTERVAL == pytest.approx(-0.3 / 0.25)  # dlnA falls as ln s grows


def test_a_late_recording_is_not_cut_off():
    """Its amplitude is that in the window moved by the lag of the selection."""
    window = replace(WINDOW, start=40.0, end=60.0, shift=15.0)
    row, _ = measure(CCAmplitudeConfig(), np.exp(0.3) * pulse(65.0), pulse(50.0), window)
    assert row.dlna == pytest.approx(0.3, abs=1e-6)
    zero = np.where(TIMES < 61.0, pulse(50.0), 0.0)
    with pytest.raises(PhysicsError, match="zero where it came at the selection"):
        measure(CCAmplitudeConfig(), zero, pulse(50.0), replace(WINDOW, start=40.0, end=60.0, shift=22.0))


def test_envelopes_know_no_phase_but_amplitude():
    turned, _ = measure(EnvelopeConfig(taper=0.1), pulse(50.0, phase=1.5), pulse(50.0))
    louder, _ = measure(
        EnvelopeConfig(taper=0.1, water_level=1e-3), 2 * pulse(50.0, width=40.0), pulse(50.0, width=40.0)
    )
    assert louder.value == pytest.approx(0.5 * np.log(2) ** 2 * 601 * INTERVAL, rel=0.01)
    assert turned.value < 0.01 * louder.value


@pytest.mark.parametrize("phase", [0.1, -1.0, 2.0])
def test_a_constant_difference_of_phase(phase):
    synthetic, observed = pulse(50.0, width=40.0), pulse(50.0, width=40.0, phase=phase)
    row, _ = measure(InstantaneousPhaseConfig(taper=0.1, water_level=0.01), observed, synthetic)
    assert row.value == pytest.approx(0.5 * phase**2 * 601 * INTERVAL, rel=0.1)


def test_half_a_cycle_is_refused():
    with pytest.raises(PhysicsError, match=r"about half a cycle apart in \d+ percent"):
        measure(InstantaneousPhaseConfig(), pulse(50.0), -pulse(50.0))


def test_towards_half_a_cycle_the_misfit_levels_off():
    """No edge, no pull to either side: the value stays smooth through it."""
    from seisflow.misfits.phases import _levelled_square

    phase = np.linspace(-np.pi, np.pi, 20001)
    value, slope = _levelled_square(phase)
    assert np.allclose(np.gradient(value, phase)[1:-1], slope[1:-1], atol=1e-5)
    assert np.allclose(value[np.abs(phase) < 2], 0.5 * phase[np.abs(phase) < 2] ** 2)
    assert slope[0] == pytest.approx(0) and np.abs(np.diff(slope, 2)).max() < 1e-5
