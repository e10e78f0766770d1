"""Magnitudes: the formula by hand, gains that are known, and channels that must not count."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from seisflow.detection.magnitude import (
    LocalMagnitudeConfig,
    RelativeMagnitudeConfig,
    local_magnitude,
    relative_magnitude,
    station_magnitudes,
)
from seisflow.domain import Amplitudes, Magnitude
from seisflow.errors import InputError

DISTANCES = np.array([20e3, 50e3, 100e3, 200e3, 400e3])
REFERENCE = Magnitude(2.0, 0.0, "ML", 10)


def amplitudes(values, noise=None, clipped=None, quantity="wood-anderson"):
    values = np.asarray(values, dtype=float)
    noise = 1e-3 * values if noise is None else noise
    clipped = np.zeros(values.shape, dtype=bool) if clipped is None else clipped
    names = tuple(f"XX.S{number}" for number in range(len(values)))
    return Amplitudes(names, ("E", "N")[: values.shape[1]], values, noise, clipped, quantity)


def of_magnitude(value, distances=DISTANCES):
    """Amplitudes in m at which the formula of IASPEI (2013) gives a magnitude."""
    kilometres = distances / 1e3
    nanometres = 10 ** (value - 1.11 * np.log10(kilometres) - 0.00189 * kilometres + 2.09)
    return np.repeat((nanometres * 1e-9 * 2080)[:, None], 2, axis=1)


def test_default_is_the_standard_of_iaspei():
    found = local_magnitude(amplitudes(of_magnitude(2.5)), DISTANCES, LocalMagnitudeConfig())
    assert found.value == pytest.approx(2.5, abs=0.002)
    assert (found.kind, found.stations) == ("ML", 5)
    one = amplitudes(np.full((1, 1), 1e-3))
    by_hand = local_magnitude(one, np.array([100e3]), LocalMagnitudeConfig(min_stations=1))
    assert by_hand.value == pytest.approx(3.0, abs=1e-5)  # the noise is taken off
    assert np.isnan(by_hand.error)


def test_clipped_and_noisy_channels_do_not_count():
    values = of_magnitude(2.0)
    noise, clipped = 1e-3 * values, np.zeros(values.shape, dtype=bool)
    values[0] *= 0.01
    clipped[0] = True
    values[1, 0] *= 100
    noise[1, 0] = 0.9 * values[1, 0]
    values[2, 1] = np.nan
    noise[3] = np.nan
    data = amplitudes(values, noise, clipped)
    found = station_magnitudes(data, DISTANCES, LocalMagnitudeConfig())
    assert np.isnan(found.values[0])
    np.testing.assert_allclose(found.values[1:], 2.0, atol=0.002)
    assert found.left_out == {"clipped": 2, "signal to noise": 1}
    assert local_magnitude(data, DISTANCES, LocalMagnitudeConfig(min_stations=5)) is None
    assert local_magnitude(data, DISTANCES, LocalMagnitudeConfig(min_stations=4)).stations == 4


def test_station_corrections_and_one_bad_station():
    values = of_magnitude(2.0)
    values[4] *= 1e3
    values[0] *= 10**-0.3
    config = LocalMagnitudeConfig(station_corrections={"XX.S0": 0.3})
    assert local_magnitude(amplitudes(values), DISTANCES, config).value == pytest.approx(2.0, abs=0.002)


def test_error_is_the_scatter_of_the_median():
    generator = np.random.default_rng(0)
    for count in (3, 5, 12):
        distances = np.full(count, 50e3)
        trials = [
            local_magnitude(
                amplitudes(of_magnitude(1.0, distances) * 10 ** generator.normal(0, 0.2, (count, 1))),
                distances,
                LocalMagnitudeConfig(),
            )
            for _ in range(600)
        ]
        scatter = np.std([each.value for each in trials])
        assert 0.8 < np.mean([each.error for each in trials]) / scatter < 1.25


@pytest.mark.parametrize("ratio", [2.0, 4.0, 8.0, 100.0])
def test_stations_that_the_noise_hides_take_the_bias_of_the_others_off(ratio):
    """Without them the median of three stations of twelve would be 0.2 to 0.4 too large."""
    generator = np.random.default_rng(int(ratio))
    distances = np.full(12, 50e3)
    clean = of_magnitude(1.0, distances)
    level, found, plain = clean[0, 0] / ratio, [], []
    for _ in range(200):
        noise = level * 10 ** generator.normal(0, 0.2, (12, 1)) * np.ones((1, 2))
        values = np.hypot(clean * 10 ** generator.normal(0, 0.3, clean.shape), noise)
        data = amplitudes(values, noise)
        one = local_magnitude(data, distances, LocalMagnitudeConfig())
        if one is not None:
            found.append(one.value)
            plain.append(np.nanmedian(station_magnitudes(data, distances, LocalMagnitudeConfig()).values))
    assert abs(np.mean(found) - 1.0) < 0.05
    assert np.mean(plain) > 1.15 or ratio > 3


def test_a_channel_that_is_all_noise_tells_nothing():
    values = of_magnitude(2.0)
    noise = 1e-3 * values
    values[0] *= 1e4
    noise[0] = values[0]
    found = local_magnitude(amplitudes(values, noise), DISTANCES, LocalMagnitudeConfig())
    assert (found.value, found.stations) == (pytest.approx(2.0, abs=0.002), 4)


def test_counts_give_a_relative_magnitude():
    small, large = (amplitudes(np.full((5, 2), size), quantity="counts") for size in (2e3, 2e5))
    one, two = (local_magnitude(each, DISTANCES, LocalMagnitudeConfig()) for each in (small, large))
    assert two.value - one.value == pytest.approx(2.0)
    assert one.kind == "Mrel"
    with pytest.raises(InputError, match="amplitudes are velocity"):
        local_magnitude(amplitudes(np.ones((5, 2)), quantity="velocity"), DISTANCES, LocalMagnitudeConfig())
    with pytest.raises(InputError, match="must be positive"):
        local_magnitude(small, 0 * DISTANCES, LocalMagnitudeConfig())
    with pytest.raises(InputError, match="reference_distance = 0"):
        LocalMagnitudeConfig(reference_distance=0.0)


SECTIONS = butter(3, (2, 9), "bandpass", fs=25, output="sos")


def noise_like(generator, shape):
    """Band-limited noise of unit variance."""
    data = sosfilt(SECTIONS, generator.standard_normal((*shape, 400)))[..., 200:]
    return data / data.std()


def template(generator, shape=(8, 3)):
    decay = np.exp(-np.arange(200) / 60.0)
    return noise_like(generator, shape) * decay * 10 ** generator.normal(0, 0.4, (*shape, 1))


@pytest.mark.parametrize("gain", [0.003, 0.01, 0.03, 0.3, 3.0, 30.0])
@pytest.mark.parametrize("scatter", [0.0, 0.15])
def test_known_gains_are_recovered_without_bias(gain, scatter):
    """Template of signal to noise 100 or so in its window; the smallest events are under their noise."""
    generator = np.random.default_rng(int(1e4 * gain + 10 * scatter))
    misses, errors = [], []
    for _ in range(80):
        shape = template(generator)
        level = 0.003 * np.ones((8, 3))
        factors = gain * 10 ** generator.normal(0, scatter, (8, 3, 1))
        data = factors * shape + level[..., None] * noise_like(generator, (8, 3))
        found = relative_magnitude(data, shape, np.ones((8, 3), bool), level**2, REFERENCE)
        misses.append(found.value - REFERENCE.value - np.log10(gain))
        errors.append(found.error)
        assert found.kind == "Mrel"
    standard = np.std(misses) / np.sqrt(len(misses))
    assert abs(np.mean(misses)) < 3.5 * standard + 0.01
    assert 0.6 < np.sqrt(np.mean(np.square(errors))) / np.std(misses) < 1.7


def test_bad_channels_do_not_matter():
    generator = np.random.default_rng(1)
    shape = template(generator)
    data = 0.1 * shape + 0.003 * noise_like(generator, (8, 3))
    level, live = np.full((8, 3), 0.003**2), np.ones((8, 3), dtype=bool)
    clean = relative_magnitude(data, shape, live, level, REFERENCE)
    level[0] = np.nan
    data[1] *= -1
    data[2, 0] = 0.0
    data[2, 1] = np.nan
    live[3] = False
    data[3] = 1e6
    shape[4, 0] = 0.0
    data[5, 0] *= 1e4
    shape[6, :, 150:] = 0.0
    spoiled = relative_magnitude(data, shape, live, level, REFERENCE)
    assert abs(clean.value - 1.0) < 0.01
    assert abs(spoiled.value - 1.0) < 0.03
    assert spoiled.stations < clean.stations == 8
    assert relative_magnitude(data, shape, np.zeros((8, 3), bool), level, REFERENCE) is None


def test_noise_alone_has_no_magnitude():
    generator = np.random.default_rng(2)
    results = []
    for _ in range(50):
        shape, data = template(generator), noise_like(generator, (8, 3))
        results.append(relative_magnitude(data, shape, np.ones((8, 3), bool), np.ones((8, 3)), REFERENCE))
    assert sum(each is not None for each in results) <= 2


def test_units_slope_and_reference():
    generator = np.random.default_rng(3)
    shape = template(generator)
    data = 0.1 * shape + 0.003 * noise_like(generator, (8, 3))
    level, live = np.full((8, 3), 0.003**2), np.ones((8, 3), dtype=bool)
    expected = relative_magnitude(data, shape, live, level, REFERENCE)
    tiny = relative_magnitude(1e-12 * data, 1e-12 * shape, live, 1e-24 * level, REFERENCE)
    assert tiny.value == pytest.approx(expected.value, abs=1e-9)
    config = RelativeMagnitudeConfig(slope=2 / 3)
    found = relative_magnitude(data, shape, live, level, Magnitude(4.0, 0.3, "Mw", 3), config)
    assert found.value == pytest.approx(4.0 - 2 / 3, abs=0.01)
    assert found.error == pytest.approx(0.3, abs=0.01)
    single = relative_magnitude(
        data.astype(np.float32), shape.astype(np.float32), live, level, Magnitude(2.0, np.nan, "ML", 0)
    )
    assert single.value == pytest.approx(expected.value, abs=1e-5)
    with pytest.raises(InputError, match="windows are"):
        relative_magnitude(data[:2], shape, live, level, REFERENCE)
    with pytest.raises(InputError, match="slope = 0"):
        RelativeMagnitudeConfig(slope=0.0)
