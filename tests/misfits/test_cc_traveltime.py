"""The cross-correlation travel time: sign, size, sub-sample accuracy and its textbook limit."""

from dataclasses import replace

import numpy as np
import pytest

from seisflow.domain import Window
from seisflow.errors import InputError, PhysicsError
from seisflow.misfits import CCTraveltimeConfig, create, measure_traces

INTERVAL = 0.1
TIMES = INTERVAL * np.arange(1000)
WINDOW = Window("XX.A", "Z", 20.0, 80.0)


def pulse(centre, period=9.0, width=6.0):
    return np.exp(-(((TIMES - centre) / width) ** 2)) * np.cos(2 * np.pi * (TIMES - centre) / period)


def measure(observed, synthetic, window=WINDOW, **settings):
    return measure_traces(
        create(CCTraveltimeConfig(**settings)), (observed, synthetic), window, 0.0, INTERVAL
    )


@pytest.mark.parametrize("delay", [1.0, 0.437, -0.05, -2.213])
def test_lag_is_positive_where_observed_is_late(delay):
    row, _ = measure(pulse(50 + delay), pulse(50.0))
    assert row.shift == pytest.approx(delay, abs=2e-3)
    assert row.value == pytest.approx(0.5 * row.shift**2)
    assert row.correlation == pytest.approx(1, abs=1e-3)
    assert row.dlna == pytest.approx(0, abs=1e-3)


def test_amplitude_changes_neither_lag_nor_misfit():
    once, _ = measure(pulse(50.4), pulse(50.0))
    scaled, _ = measure(3e-7 * pulse(50.4), pulse(50.0))
    assert scaled.value == pytest.approx(once.value, rel=1e-10)
    assert scaled.dlna == pytest.approx(np.log(3e-7), abs=2e-3)


def test_sigma_is_the_unit_of_the_misfit():
    once, source = measure(pulse(50.4), pulse(50.0))
    half, half_source = measure(pulse(50.4), pulse(50.0), sigma=0.5)
    assert half.value == pytest.approx(4 * once.value) and np.allclose(half_source, 4 * source)


def test_lag_is_the_stationary_point_of_the_interpolated_correlation():
    """Against a slow twin: the correlation summed on lags of a thousandth of a sample."""
    from scipy.signal import resample

    rng = np.random.default_rng(4)
    observed = pulse(50.7) + 0.2 * np.convolve(rng.standard_normal(1000), np.hanning(40), "same") / 5
    synthetic = pulse(50.0)
    row, _ = measure(observed, synthetic, taper=0.5)
    length = 601
    taper = np.ones(length)
    ramp = 0.5 * (1 - np.cos(np.pi * np.arange(150) / 150))
    taper[:150], taper[-150:] = ramp, ramp[::-1]
    d, s = (np.pad(taper * trace[200:801], 300) for trace in (observed, synthetic))
    fine = 50
    d_fine, s_fine = (resample(trace, fine * len(trace)) for trace in (d, s))
    lags = np.arange(-20 * fine, 20 * fine)
    values = [np.dot(s_fine, np.roll(d_fine, -lag)) for lag in lags]
    assert row.shift == pytest.approx(lags[np.argmax(values)] * INTERVAL / fine, abs=INTERVAL / fine)


def test_adjoint_becomes_the_textbook_source_for_waveforms_that_are_only_shifted():
    """Tromp, Tape & Liu 2005: T s' / sum(s'^2) in forward time, here for a small whole-sample shift."""
    synthetic, observed = pulse(50.0), pulse(50.1)
    row, source = measure(observed, synthetic, taper=0.0)
    slope = np.gradient(synthetic, INTERVAL)
    textbook = row.shift * slope / np.sum(slope[200:801] ** 2 * INTERVAL)
    assert np.abs(source[210:790] - textbook[210:790]).max() < 0.03 * np.abs(textbook).max()
    assert np.sign(np.sum(source * slope)) == np.sign(row.shift)


def test_shifting_the_synthetic_by_a_second_changes_the_lag_by_a_second():
    """Delaying s by epsilon lowers T by epsilon: sum(dT/ds * (-s')) dt = -1."""
    synthetic, observed = pulse(50.0), pulse(51.3) + 0.3 * pulse(54.0, period=13.0)
    row, source = measure(observed, synthetic)
    delayed, _ = measure(observed, pulse(50.001))
    assert (row.shift - delayed.shift) / 0.001 == pytest.approx(1, rel=0.05)
    predicted = np.sum(source * (pulse(50.001) - pulse(49.999)) / 0.002) * INTERVAL / row.shift
    earlier, _ = measure(observed, pulse(49.999))
    assert predicted == pytest.approx((delayed.shift - earlier.shift) / 0.002, rel=1e-5)


def test_lags_beyond_max_shift_are_not_looked_at():
    row, _ = measure(pulse(57.0), pulse(50.0), replace(WINDOW, shift=7.0))
    assert row.shift == pytest.approx(7.0, abs=0.1)
    with pytest.raises(
        PhysicsError, match=r"no largest correlation at a lag from -1 to 1 s.*raise max_shift"
    ):
        measure(pulse(57.0), pulse(50.0), max_shift=1.0)


def test_the_lag_is_that_of_the_cycle_which_the_window_was_selected_for():
    """Two cycles fit nearly alike; the highest peak of all would jump between them."""
    synthetic = pulse(50.0, width=30.0)
    observed = pulse(51.0, width=30.0) * (1 + 0.02 * (TIMES - 50))
    for chosen in (1.0, -8.0, 10.0):
        row, _ = measure(observed, synthetic, replace(WINDOW, shift=chosen))
        assert row.shift == pytest.approx(chosen, abs=1.0)


def test_traces_of_zeros_have_no_travel_time():
    with pytest.raises(PhysicsError, match=r"synthetic XX\.A\.Z from 20 to 80 s is zero"):
        measure(pulse(50.0), np.zeros(1000))
    with pytest.raises(PhysicsError, match="observed"):
        measure(np.zeros(1000), pulse(50.0))


@pytest.mark.parametrize("settings", [{"sigma": 0.0}, {"max_shift": -1.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        CCTraveltimeConfig(**settings)
