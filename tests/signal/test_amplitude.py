"""Amplitudes: known ground motion through a known response comes back, and what cannot be measured is said."""

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as Site

from seisflow.detection.magnitude import LocalMagnitudeConfig, local_magnitude, station_magnitudes
from seisflow.domain import TimeSpan
from seisflow.errors import InputError
from seisflow.signal.amplitude import AmplitudeConfig, AmplitudeWindow, measure_amplitudes, wood_anderson

START = 1577836800.25
GAIN = 1e9
SEISMOMETER = Response.from_paz(
    zeros=[0j, 0j], poles=[-0.037 + 0.037j, -0.037 - 0.037j], stage_gain=GAIN, input_units="M/S"
)
ACCELEROMETER = Response.from_paz(
    zeros=[],
    poles=[-400 + 300j, -400 - 300j],
    stage_gain=4e5,
    input_units="M/S**2",
    normalization_factor=500.0**2,
)
WINDOW = AmplitudeWindow(TimeSpan(START + 30, START + 50), TimeSpan(START + 10, START + 25))
FREQUENCY = 3.0


def inventory(*codes, responses=None):
    channels = [
        Channel(
            code, "", 0.0, 0.0, 0.0, 0.0,
            response=ACCELEROMETER if code[1] == "N" else (responses or SEISMOMETER),
            start_date=UTCDateTime(START - 1e6),
        )
        for code in codes
    ]  # fmt: skip
    sites = [Site(name, 0.0, 0.0, 0.0, channels=channels) for name in ("A", "B")]
    return Inventory(networks=[Network("XX", stations=sites)])


def displacement(times, size, frequency=FREQUENCY):
    """A packet about 40 s with largest value `size` in m, over noise a thousandth of it."""
    packet = np.exp(-(((times - 40) / 3) ** 2)) + 1e-3
    return size * packet * np.cos(2 * np.pi * frequency * (times - 40.003))


def trace(channel, size, rate=100.0, station="A", frequency=FREQUENCY, seconds=60.0):
    """Counts of a displacement, by its derivative in the passband of the instrument."""
    times = np.arange(int(seconds * rate)) / rate
    order, gain = (2, 4e5) if channel[1] == "N" else (1, GAIN)
    fine = np.arange(int(seconds * 2000)) / 2000
    counts = displacement(fine, size, frequency)
    for _ in range(order):
        counts = np.gradient(counts, 1 / 2000)
    samples = gain * counts[:: int(2000 / rate)][: times.size]
    header = {"network": "XX", "station": station, "channel": channel, "sampling_rate": rate}
    return Trace(samples, {**header, "starttime": UTCDateTime(START)})


@pytest.mark.parametrize("rate", [25.0, 100.0])
@pytest.mark.parametrize("frequency", [1.0, 3.0, 8.0])
def test_wood_anderson_amplitude_of_a_known_displacement(rate, frequency):
    stream = Stream(
        [trace("HHE", 1e-6, rate, frequency=frequency), trace("HHN", 2e-6, rate, frequency=frequency)]
    )
    found = measure_amplitudes(stream, inventory("HHE", "HHN"), {"XX.A": WINDOW}, AmplitudeConfig())
    expected = abs(wood_anderson(np.array([frequency]))[0]) * np.array([[1e-6, 2e-6]])
    np.testing.assert_allclose(found.values, expected, rtol=0.03)
    np.testing.assert_allclose(found.noise / found.values, 1e-3, rtol=0.3)
    assert found.quantity == "wood-anderson"
    assert not found.clipped.any()
    assert not found.remarks


def test_wood_anderson_agrees_with_its_poles_and_zeros():
    frequencies = np.array([0.1, 1.25, 10.0])
    s = 2j * np.pi * frequencies
    poles = -5.49779 + 5.60886j, -5.49779 - 5.60886j  # IASPEI (2013)
    expected = 2080 * s**2 / ((s - poles[0]) * (s - poles[1]))
    np.testing.assert_allclose(np.abs(wood_anderson(frequencies)), np.abs(expected), rtol=1e-5)


def test_velocity_and_counts():
    stream = Stream([trace("HHE", 1e-6), trace("HHN", 1e-6)])
    velocity = measure_amplitudes(
        stream, inventory("HHE", "HHN"), {"XX.A": WINDOW}, AmplitudeConfig("velocity")
    )
    np.testing.assert_allclose(velocity.values, 2 * np.pi * FREQUENCY * 1e-6, rtol=0.02)
    counts = measure_amplitudes(stream, None, {"XX.A": WINDOW}, AmplitudeConfig("counts"))
    np.testing.assert_allclose(counts.values, GAIN * velocity.values, rtol=0.02)
    with pytest.raises(InputError, match="no inventory"):
        measure_amplitudes(stream, None, {"XX.A": WINDOW}, AmplitudeConfig())


def test_accelerometer_stands_in_for_a_clipped_seismometer():
    clipped = trace("HHE", 1e-3)
    top = 0.5 * np.abs(clipped.data).max()
    clipped.data = np.clip(clipped.data, -top, top)
    other = trace("HHN", 1e-3)
    lone = trace("HHE", 1e-3, station="B")
    lone.data = clipped.data.copy()
    stream = Stream([clipped, other, trace("HNE", 1e-3), lone])
    windows = {"XX.A": WINDOW, "XX.B": WINDOW, "XX.C": WINDOW}
    data = inventory("HHE", "HHN", "HNE")
    found = measure_amplitudes(stream, data, windows, AmplitudeConfig())
    expected = abs(wood_anderson(np.array([FREQUENCY]))[0]) * 1e-3
    np.testing.assert_allclose(found.values[0], expected, rtol=0.03)
    np.testing.assert_array_equal(found.clipped, [[False, False], [True, False], [False, False]])
    assert np.isnan(found.values[1:]).all()
    assert "XX.C: no recording" in found.remarks
    assert any("clipped" in remark for remark in found.remarks)
    magnitudes = station_magnitudes(found, np.full(3, 50e3), LocalMagnitudeConfig())
    assert magnitudes.left_out["clipped"] == 1
    level = AmplitudeConfig(clip_level=0.9 * float(np.abs(other.data).max()))
    assert measure_amplitudes(stream, data, windows, level).clipped[0, 1]


def test_lacking_noise_gaps_and_responses():
    late = trace("HHE", 1e-6).slice(UTCDateTime(START + 27))
    gap = trace("HHN", 1e-6)
    pieces = [gap.slice(endtime=UTCDateTime(START + 38)), gap.slice(UTCDateTime(START + 42))]
    stream = Stream([late, *pieces, trace("HHE", 1e-6, station="B")])
    data = inventory("HHE", "HHN")
    data[0][1].channels = []
    found = measure_amplitudes(stream, data, {"XX.A": WINDOW, "XX.B": WINDOW}, AmplitudeConfig())
    assert np.isfinite(found.values[0, 0])
    assert np.isnan(found.noise).all()
    assert np.isnan(found.values[0, 1]) and np.isnan(found.values[1]).all()
    assert any("gap" in remark for remark in found.remarks)
    assert any("XX.B: HHE has no response" in remark for remark in found.remarks)


def test_magnitude_of_a_known_displacement():
    """100 nm at 100 km and 3 Hz, by the formula of IASPEI (2013)."""
    stream = Stream([trace(c, 1e-7, station=s) for s in "AB" for c in ("HHE", "HH1")])
    found = measure_amplitudes(
        stream, inventory("HHE", "HH1"), {"XX.A": WINDOW, "XX.B": WINDOW}, AmplitudeConfig()
    )
    assert np.isfinite(found.values).all()
    magnitude = local_magnitude(found, np.array([100e3, 100e3]), LocalMagnitudeConfig())
    response = abs(wood_anderson(np.array([FREQUENCY]))[0]) / 2080
    expected = np.log10(100 * response) + 1.11 * 2 + 0.00189 * 100 - 2.09
    assert magnitude.value == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"band": (5.0, 10.0)}, "band"),
        ({"components": ()}, "components"),
        ({"clip_level": 0.0}, "clip_level"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        AmplitudeConfig(**settings)
    with pytest.raises(InputError, match="is empty"):
        AmplitudeWindow(TimeSpan(5.0, 5.0))
