"""Delays of features after onsets: what is computed against what features of noisy recordings show."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfilt, sosfiltfilt

from seisflow.detection.features import FeatureConfig, make_features, mixed
from seisflow.detection.onset_delay import onset_delay, with_delays
from seisflow.domain import Continuous, Features, OnsetDelay, Station
from seisflow.errors import InputError

STATION = (Station("XX", "A", 0.0, 0.0),)
BAND = (4.0, 16.0)
INTERVAL = 0.01
APART = 1000
"""Samples from onset to onset."""


def config(kind, zero_phase):
    return FeatureConfig(("Z",), BAND, kind, short=0.3, long=2.0, zero_phase=zero_phase)


def measured(kind, zero_phase, strength):
    """Median height and delay of the peaks of onsets: random waves that decay within two periods, in noise.

    Energies of many channels are averaged, so that the waves themselves do not matter.
    """
    random = np.random.default_rng(3)
    count = 8 * APART
    after = (np.arange(count) - 500) % APART * INTERVAL
    after[:500] = 100.0
    data = random.standard_normal((1, 150, count))
    data += strength * random.standard_normal(data.shape) * np.exp(-after * 8.0 / 4)
    sections = butter(4, BAND, "bandpass", fs=1 / INTERVAL, output="sos")
    data = (sosfiltfilt if zero_phase else sosfilt)(sections, data).astype(np.float32)
    components = tuple(f"C{number}" for number in range(150))
    recording = Continuous(STATION, components, data, np.ones(data.shape, bool), 0.0, INTERVAL)
    found = make_features({"P": recording}, {"P": config(kind, zero_phase)}, 2 * INTERVAL)
    delays, heights = [], []
    for number in range(8):
        onset = (500 + number * APART) * INTERVAL
        middle = round((onset - found.start) / found.interval)
        piece = found.values[0, 0, middle - 15 : middle + 16]
        delays.append(found.start + (middle - 15 + piece.argmax()) * found.interval - onset)
        heights.append(piece.max())
    return float(np.median(heights)), float(np.median(delays)), found


@pytest.mark.parametrize("zero_phase", [True, False])
@pytest.mark.parametrize(("kind", "strength"), [("sta_lta", 3.0), ("sta_lta", 10.0), ("energy", 5.0)])
def test_delays_are_those_of_the_energy_of_noisy_onsets(kind, zero_phase, strength):
    height, late, features = measured(kind, zero_phase, strength)
    known = with_delays(features, {"P": config(kind, zero_phase)})
    assert late == pytest.approx(float(known.delays[0].at(height)), abs=0.012 if kind == "sta_lta" else 0.025)


def test_a_filter_of_zero_phase_puts_strong_onsets_early_and_a_causal_one_late():
    both, causal = (onset_delay(config("sta_lta", zero_phase), 0.02) for zero_phase in (True, False))
    assert both.at(1.0) > both.at(3.0) > both.at(5.0) and both.at(5.0) < -0.03
    assert causal.at(1.0) > causal.at(5.0) > 0
    assert (both.errors > 0).all() and (both.rises >= 0).all()


@pytest.mark.parametrize("kind", ["energy", "envelope"])
def test_energy_alone_is_as_late_for_all_signals(kind):
    found = onset_delay(config(kind, True), 0.02)
    assert found.heights.size == 1 and abs(found.at(5.0)) < 0.1


def test_delays_scale_with_time():
    fine = FeatureConfig(("Z",), (40.0, 160.0), short=0.03, long=0.2)
    coarse = replace(fine, band=BAND, short=0.3, long=2.0)
    one, other = onset_delay(fine, 0.002), onset_delay(coarse, 0.02)
    heights = np.linspace(0.5, 5, 10)
    np.testing.assert_allclose(10 * one.at(heights), other.at(heights), atol=1e-6)


def test_probabilities_have_no_delay():
    values = np.ones((1, 1, 20), np.float32)
    delay = OnsetDelay(np.array([1.0]), np.array([0.1]), np.array([0.01]), np.array([0.02]))
    features = Features(("XX.A",), ("P",), values, np.ones(values.shape, bool), 0.0, 0.02, delays=(delay,))
    assert mixed(features, np.zeros(values.shape), 0.25).delays[0].at(3.0) == pytest.approx(0.075)


def test_delays_that_cannot_be_are_refused():
    one, two = np.array([1.0]), np.array([1.0, 1.0])
    for arrays in ((one, two, one, one), (two, two, two, two)):
        with pytest.raises(InputError, match="rising"):
            OnsetDelay(*arrays)
    values = np.ones((1, 2, 20), np.float32)
    with pytest.raises(InputError, match="2 phases"):
        Features(("XX.A",), ("P", "S"), values, np.ones(values.shape, bool), 0.0, 0.02, ceilings=(1.0,))
