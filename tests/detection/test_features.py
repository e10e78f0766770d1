"""Features: largest at onsets, silent about gaps, untouched by bursts elsewhere."""

import numpy as np
import pytest

from seisflow.detection.features import FeatureConfig, make_features, mixed, window_sum
from seisflow.domain import Continuous, Station
from seisflow.errors import InputError

STATION = (Station("XX", "A", 0.0, 0.0),)
KINDS = ("sta_lta", "energy", "envelope", "kurtosis")


def recording(onset=4000, count=10000, amplitude=20.0, seed=1, components=("Z",), interval=0.01):
    """Noise, and from ``onset`` on a decaying 5 Hz wave."""
    random = np.random.default_rng(seed)
    data = random.standard_normal((1, len(components), count))
    time = np.arange(count - onset) * interval
    data[:, :, onset:] += amplitude * np.cos(2 * np.pi * 5 * time) * np.exp(-time / 2)
    live = np.ones(data.shape, dtype=bool)
    return Continuous(STATION, components, data.astype(np.float32), live, 100.0, interval)


def config(kind="sta_lta", **changes):
    return FeatureConfig(("Z",), (1.0, 20.0), kind, short=0.3, long=5.0, normalise=60.0, **changes)


def features(data, kind="sta_lta", interval=0.01, **changes):
    return make_features({"P": data}, {"P": config(kind, **changes)}, interval)


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_window_sums_are_those_of_a_loop(length):
    values = np.random.default_rng(0).standard_normal((2, 37))
    wanted = np.array([[row[i : i + length].sum() for i in range(37)] for row in values])
    np.testing.assert_allclose(window_sum(values, length), wanted, atol=1e-12)


def test_a_burst_leaves_no_error_behind_it():
    values = np.ones(5000)
    values[1000:1100] = 1e18
    assert np.array_equal(window_sum(values, 50)[1100:4951], np.full(3851, 50.0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_a_feature_is_largest_at_the_onset(kind, scale):
    data = recording()
    data.data[...] *= np.float32(scale)
    found = features(data, kind)
    row = np.where(found.live[0, 0], found.values[0, 0], -np.inf)
    late = (found.start + found.interval * row.argmax()) - 140.0
    assert -0.32 <= late <= 0.05
    if kind == "sta_lta":
        assert abs(late) <= 0.05


def test_energies_are_averaged_between_the_samples_of_a_feature():
    data = recording()
    coarse = features(data, interval=0.05)
    assert coarse.interval == pytest.approx(0.05) and coarse.values.shape == (1, 1, 2000)
    assert coarse.start == pytest.approx(100.02)  # the middle of the first five samples
    late = coarse.start + coarse.interval * coarse.values[0, 0].argmax() - 140.0
    assert abs(late) <= 0.05
    with pytest.raises(InputError, match="multiple"):
        features(data, interval=0.025 * 0.7)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_recorded_is_not_live_and_changes_nothing_elsewhere(kind):
    data = recording()
    whole = features(data, kind)
    gap = slice(7000, 7600)
    data.data[..., gap], data.live[..., gap] = 0, False
    holed = features(data, kind)
    assert not holed.live[0, 0, gap].any() and (holed.values[0, 0, gap] == 0).all()
    assert holed.live[0, 0, 8200:9900].all()
    before = slice(600, 6900)
    if kind == "sta_lta":  # the others are normalised by what was recorded around
        np.testing.assert_array_equal(holed.values[0, 0, before], whole.values[0, 0, before])
    assert np.abs(holed.values[0, 0, 7600:9900]).max() < holed.values[0, 0].max()


def test_a_missing_component_leaves_the_other():
    both = recording(components=("E", "N"))
    wanted = FeatureConfig(("E", "N"), (1.0, 20.0), short=0.3, long=5.0)
    both.live[0, 0] = False
    one = make_features({"S": both}, {"S": wanted}, 0.01)
    assert one.live[0, 0, 600:9900].all()
    late = one.start + one.interval * one.values[0, 0].argmax() - 140.0
    assert abs(late) <= 0.05
    both.live[...] = False
    assert not make_features({"S": both}, {"S": wanted}, 0.01).live.any()


def test_a_constant_channel_is_not_live():
    data = recording()
    data.data[...] = 0
    assert not features(data).live.any()


def test_ceiling_and_floor_bound_a_feature():
    found = features(recording(amplitude=1e6), ceiling=50.0, floor=0.5)
    assert found.capped().max() == pytest.approx(np.log(50.0)) and found.values.min() >= np.log(0.5) - 1e-6
    assert found.values.max() > 2 * np.log(50.0)  # places are found from what is not cut off
    whole = features(recording(amplitude=1e6), floor=0.5)
    assert np.array_equal(found.values, whole.values)


def test_probabilities_of_a_picker_are_mixed_in():
    found = features(recording())
    wanted = np.zeros(found.values.shape)
    wanted[0, 0, 2000] = 1.0
    assert np.array_equal(mixed(found, wanted, 0.0).values, found.values)
    assert mixed(found, wanted, 1.0).values[0, 0].argmax() == 2000
    half = mixed(found, wanted, 0.5).values[0, 0]
    assert half[2000] > 0.9 * half.max()
    silent = np.full(found.values.shape, np.nan)
    assert np.array_equal(mixed(found, silent, 0.7).values, found.values)
    for bad, weight in ((wanted + 2, 0.5), (wanted, 1.5), (wanted[..., :-1], 0.5)):
        with pytest.raises(InputError):
            mixed(found, bad, weight)


@pytest.mark.parametrize(
    "changes", [{"band": (5.0, 2.0)}, {"short": 6.0}, {"corners": 0}, {"components": ()}]
)
def test_settings_that_cannot_be_are_refused(changes):
    settings = {"components": ("Z",), "band": (1.0, 20.0), "short": 0.3, "long": 5.0} | changes
    with pytest.raises(InputError):
        FeatureConfig(**settings)
