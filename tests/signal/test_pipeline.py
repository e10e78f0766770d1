"""The treatment of synthetics: each stage against its formula, and the whole against its transpose."""

import numpy as np
import pytest
from scipy.special import erf

from seisflow.domain import Event, Force, Gather, Station
from seisflow.errors import InputError, PhysicsError
from seisflow.signal import Pipeline, SignalConfig, TimeAxis
from seisflow.signal.bandpass import BandPass
from seisflow.signal.detrend import Detrend
from seisflow.signal.quantity import conversion
from seisflow.signal.resample import Resample
from seisflow.signal.rotate import Rotate, outward_azimuths
from seisflow.signal.taper import hann_taper

EVENT = Event("ev", 0.0, 37.8, -121.7, 12e3, Force(1.0, 0.0, 0.0))
STATIONS = (
    Station("XX", "A", 38.5, -121.7),
    Station("XX", "B", 37.8, -120.5),
    Station("XX", "C", 37.0, -122.9),
)
AXIS = TimeAxis.covering(-10.0, 90.0, 0.5)


def raw_gather(seed=0, interval=0.0173, start=0.5 * 0.0173, end=95.0):
    samples = int((end - start) / interval)
    data = np.random.default_rng(seed).standard_normal((3, 3, samples))
    return Gather(STATIONS, ("E", "N", "Z"), data, start, interval, "velocity")


@pytest.mark.parametrize("quantity", ["displacement", "velocity", "acceleration"])
@pytest.mark.parametrize("rotate", [True, False])
def test_pipeline_and_its_transpose_are_a_pair(quantity, rotate):
    gather = raw_gather()
    config = SignalConfig((4.0, 20.0), 0.5, quantity=quantity, rotate=rotate)
    pipeline = Pipeline(config, TimeAxis.of(gather), AXIS, EVENT, STATIONS)
    forward = pipeline.apply(gather)
    other = forward.with_data(np.random.default_rng(1).standard_normal(forward.data.shape))
    back = pipeline.transpose(other)
    left, right = np.sum(forward.data * other.data), np.sum(gather.data * back.data)
    scale = np.linalg.norm(forward.data) * np.linalg.norm(other.data)
    assert abs(left - right) < 1e-12 * scale
    assert back.components == ("E", "N", "Z")
    assert forward.components == (("R", "T", "Z") if rotate else ("E", "N", "Z"))
    assert forward.quantity == quantity


def test_adjoint_carries_the_derivative_of_a_misfit():
    gather = raw_gather(end=92.0)
    pipeline = Pipeline(SignalConfig((4.0, 20.0), 0.5), TimeAxis.of(gather), AXIS, EVENT, STATIONS)
    target = raw_gather(seed=5).data[..., : AXIS.samples]

    def misfit(raw):
        return 0.5 * AXIS.interval * np.sum((pipeline.apply(raw).data - target) ** 2)

    treated = pipeline.apply(gather)
    source = pipeline.adjoint(treated.with_data(treated.data - target))
    direction = np.random.default_rng(3).standard_normal(gather.data.shape)
    step = 1e-3
    plus, minus = (misfit(gather.with_data(gather.data + s * step * direction)) for s in (1, -1))
    predicted = np.sum(source.data * direction) * gather.interval
    assert (plus - minus) / (2 * step) == pytest.approx(predicted, rel=1e-6)


def test_a_gaussian_pulse_becomes_the_displacement_on_the_common_axis():
    """Velocity exp(-((t-t0)/a)^2) has a known integral; low pass and resampling must not shift it."""
    raw = TimeAxis(0.011, 0.0191, 5000)
    a, centre = 3.0, 40.3
    velocity = np.exp(-(((raw.times - centre) / a) ** 2))
    stages, converted = conversion("velocity", "displacement", raw)
    axis = TimeAxis.covering(0.0, 80.0, 0.5)
    moved = Resample(converted, axis).apply(stages[0].apply(velocity[None, None]))[0, 0]
    expected = 0.5 * np.sqrt(np.pi) * a * (1 + erf((axis.times - centre) / a))
    assert np.abs(moved - expected).max() < 2e-5 * expected.max()


def test_velocity_becomes_acceleration():
    raw = TimeAxis(0.011, 0.0191, 5000)
    velocity = np.exp(-(((raw.times - 40.3) / 3.0) ** 2))
    stages, converted = conversion("velocity", "acceleration", raw)
    axis = TimeAxis.covering(0.0, 80.0, 0.5)
    moved = Resample(converted, axis).apply(stages[0].apply(velocity[None, None]))[0, 0]
    expected = -2 * (axis.times - 40.3) / 9.0 * np.exp(-(((axis.times - 40.3) / 3.0) ** 2))
    assert np.abs(moved - expected).max() < 1e-4 * np.abs(expected).max()


def test_resampling_keeps_low_and_removes_high_frequencies():
    given, wanted = TimeAxis(0.003, 0.02, 5000), TimeAxis.covering(20.0, 80.0, 0.5)
    matrix = Resample(given, wanted)
    for frequency, gain in ((0.1, 1.0), (0.5, 1.0), (1.1, 0.0), (1.9, 0.0), (7.3, 0.0)):
        moved = matrix.apply(np.sin(2 * np.pi * frequency * given.times)[None, None])[0, 0]
        assert np.abs(moved - gain * np.sin(2 * np.pi * frequency * wanted.times)).max() < 1e-3


def test_resampling_onto_the_same_axis_keeps_a_band_limited_trace():
    axis = TimeAxis(0.0, 1.0, 300)
    trace = np.exp(-(((axis.times - 150) / 10) ** 2)) * np.cos(2 * np.pi * axis.times / 8)
    assert np.abs(Resample(axis, axis).apply(trace[None, None])[0, 0] - trace).max() < 1e-3


def test_band_pass_equals_the_recursive_filter_run_both_ways():
    from obspy.signal.filter import bandpass

    trace = np.zeros(4000)
    trace[1500:2500] = np.random.default_rng(2).standard_normal(1000)
    ours = BandPass(4000, 0.5, (5.0, 30.0), 3).apply(trace)
    theirs = bandpass(trace, 1 / 30, 1 / 5, df=2.0, corners=3, zerophase=True)
    assert np.abs(ours - theirs).max() < 1e-8 * np.abs(theirs).max()


def test_padding_holds_the_filter_response():
    """A spike at the end must not wrap around to the start."""
    trace = np.zeros(600)
    trace[-1] = 1.0
    out = BandPass(600, 1.0, (20.0, 50.0), 3).apply(trace)
    assert np.abs(out[:100]).max() < 1e-6 * np.abs(out).max()


def test_detrend_removes_a_line_and_nothing_that_is_orthogonal():
    times = np.arange(200.0)
    assert np.abs(Detrend(200).apply((3.0 - 0.2 * times)[None, None])).max() < 1e-12
    even = np.cos(2 * np.pi * (times - 99.5) * 3 / 200)
    assert np.abs(Detrend(200).apply(even[None, None])[0, 0] - even).max() < 1e-12


def test_taper_is_one_inside_and_zero_at_the_ends():
    taper = hann_taper(101, 0.1)
    assert taper[0] == taper[-1] == 0 and np.all(taper[10:-10] == 1) and np.all(taper == taper[::-1])
    assert np.all(hann_taper(10, 0.0) == 1)


def test_radial_points_away_and_transverse_is_clockwise():
    azimuths = outward_azimuths(EVENT, STATIONS)
    motion = np.zeros((3, 3, 1))
    motion[0, 1] = 1.0  # the station in the north moves north: away from the source
    motion[1, 1] = 1.0  # the station in the east moves north: against the transverse direction, south
    turned = Rotate(azimuths).apply(motion)
    assert turned[0, :, 0] == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)
    assert turned[1, :, 0] == pytest.approx([0.0, -1.0, 0.0], abs=0.02)


def test_the_azimuth_is_taken_at_the_station_not_at_the_event():
    from obspy.geodetics import gps2dist_azimuth

    far = Station("XX", "FAR", 70.0, 60.0)
    back = gps2dist_azimuth(EVENT.latitude, EVENT.longitude, far.latitude, far.longitude)[2]
    out = np.degrees(outward_azimuths(EVENT, (far,))[0]) % 360
    assert out == pytest.approx((back + 180) % 360, abs=1e-4)


def test_same_input_same_bits():
    gather = raw_gather()
    results = [
        Pipeline(SignalConfig((4.0, 20.0), 0.5), TimeAxis.of(gather), AXIS, EVENT, STATIONS)
        .apply(gather)
        .data
        for _ in range(2)
    ]
    assert results[0].tobytes() == results[1].tobytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"band": (0.9, 20.0)}, "interval = 0.5 s cannot hold a period of 0.9 s"),
        ({"band": (20.0, 4.0)}, "shortest"),
        ({"taper": 0.7}, "taper"),
        ({"corners": 0}, "corners"),
        ({"interval": 0.0}, "interval"),
    ],
)
def test_impossible_settings_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        SignalConfig(**({"band": (4.0, 20.0), "interval": 0.5} | change))


def test_a_band_longer_than_the_record_is_refused():
    gather = raw_gather()
    with pytest.raises(
        InputError, match=r"period of 80 s needs at least 120 s .* found 100 s.* 66.7 s or less"
    ):
        Pipeline(SignalConfig((4.0, 80.0), 0.5), TimeAxis.of(gather), AXIS, EVENT, STATIONS)


def test_short_and_unstable_synthetics_are_refused():
    gather = raw_gather(end=60.0)
    config = SignalConfig((4.0, 20.0), 0.5)
    with pytest.raises(InputError, match=r"end 59.* 90 s are needed"):
        Pipeline(config, TimeAxis.of(gather), AXIS, EVENT, STATIONS)
    gather = raw_gather()
    gather.data[1, 2, 1000] = np.nan
    with pytest.raises(PhysicsError, match=r"XX\.B\.Z is not finite"):
        Pipeline(config, TimeAxis.of(gather), AXIS, EVENT, STATIONS).apply(gather)


def test_a_gather_on_another_axis_is_refused():
    gather = raw_gather()
    pipeline = Pipeline(SignalConfig((4.0, 20.0), 0.5), TimeAxis.of(gather), AXIS, EVENT, STATIONS)
    with pytest.raises(InputError, match="expected seismograms on"):
        pipeline.apply(gather.with_data(gather.data, start=0.5))
