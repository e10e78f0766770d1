"""Continuous recordings on one axis: times, gaps, faults, directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from obspy import Inventory, Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Network
from obspy.core.inventory import Response as ObspyResponse
from obspy.core.inventory import Station as ObspyStation

from seisflow.domain import Station
from seisflow.errors import InputError
from seisflow.signal.bandpass import BandPass
from seisflow.signal.config import TimeAxis
from seisflow.signal.continuous import ContinuousConfig, prepare, prepare_stations
from seisflow.signal.cutouts import ground_motion
from seisflow.signal.polyphase import resampled
from seisflow.signal.resample import Resample
from seisflow.signal.stretches import Stretch, recorded

T0 = float(UTCDateTime(2020, 3, 1).timestamp)
STATION = Station("XX", "A01", 10.0, 20.0)
CONFIG = ContinuousConfig(0.02, (2.0, 15.0), components=("Z",), min_stretch=5.0, flat=2.0)


def trace(data, start=0.0, rate=100.0, channel="HHZ", station="A01", location="", file=""):
    names = {"network": "XX", "station": station, "location": location, "channel": channel, "file": file}
    start_time = UTCDateTime(ns=round(T0 * 1e9) + round(start * 1e9))
    return Trace(data.copy(), {**names, "starttime": start_time, "sampling_rate": rate})


def noise(seconds=60.0, rate=100.0, seed=0):
    return np.random.default_rng(seed).integers(-5000, 5000, round(seconds * rate)).astype(np.int32)


def one(*traces, config=CONFIG, seconds=60.0, inventory=None):
    """Samples and mask of the only component, and the problems."""
    result, problems = prepare(Stream(list(traces)), [STATION], config, T0, T0 + seconds, inventory)
    assert result.data.dtype == np.float32
    assert not result.data[~result.live].any()
    return result.data[0, 0], result.live[0, 0], problems


def inventory(*channels):
    """Channels: (code, azimuth, dip)."""
    where = {"latitude": 10.0, "longitude": 20.0, "elevation": 0.0}
    found = [
        Channel(code, "", depth=0.0, azimuth=azimuth, dip=dip, **where) for code, azimuth, dip in channels
    ]
    return Inventory([Network("XX", [ObspyStation("A01", channels=found, **where)])], source="test")


# --- times


@pytest.mark.parametrize("rate", [100.0, 200.0, 50.0, 128.0, 62.5, 99.987, 1000.01])
@pytest.mark.parametrize("start", [0.0, -1.2345678, 3.3333])
def test_times_are_right_for_any_rate_and_start(rate, start):
    def wave(time):
        return np.sin(2 * np.pi * 4.3 * time) + 0.5 * np.cos(2 * np.pi * 11.7 * time)

    times = start + np.arange(round(40 * rate)) / rate
    first, values = resampled(wave(times), start, 1 / rate, 0.02)
    wanted = 0.02 * (first + np.arange(len(values)))
    assert wanted[0] >= times[0] - 1e-9 and wanted[-1] <= times[-1] + 1e-9
    assert len(values) > 0.02**-1 * (40 - 1.4)
    # an error in time of 0.01 sample would give an error of 0.018
    assert np.abs(values - wave(wanted)).max() < 5e-3


def test_interpolation_is_that_of_the_sparse_matrix():
    data = noise(20, 500.0).astype(float)
    first, values = resampled(data, -0.0123, 0.002, 0.005)
    twin = Resample(TimeAxis(-0.0123, 0.002, len(data)), TimeAxis(0.005 * first, 0.005, len(values)))
    np.testing.assert_allclose(values, twin.apply(data[None, None])[0, 0], atol=1e-8)


def test_nothing_above_nyquist_folds_back():
    times = np.arange(60000) / 1000
    _, values = resampled(np.sin(2 * np.pi * 31.0 * times), 0.0, 0.001, 0.02)
    assert np.abs(values).max() < 1e-3


def test_zero_phase_is_the_band_pass_of_the_tomography():
    data = noise(60, 50.0)
    values, live, problems = one(trace(data, rate=50.0))
    twin = BandPass(len(data), 0.02, (1 / 15, 1 / 2), 4).apply(data - data.mean())
    assert problems == []
    error = np.abs(values - twin) / np.abs(twin).max()
    assert error[live].max() < 6e-3  # the twin does not fade at the ends
    assert error[200:-200].max() < 3e-4


def test_a_causal_filter_says_nothing_before_the_onset():
    data = np.random.default_rng(0).normal(0, 1e-3, 3000)
    data[1500:] += 1000 * np.sin(np.arange(1500))
    causal, live, _ = one(trace(data, rate=50.0), config=replace(CONFIG, zero_phase=False))
    both, _, _ = one(trace(data, rate=50.0))
    assert np.abs(causal[live][: 1490 - (~live).sum()]).max() < 1.0
    assert np.abs(both[1400:1490]).max() > 10.0
    assert live[-1] and not live[0]


def test_days_fit_together():
    data = noise(120)
    margin = CONFIG.margin
    whole = Stream([trace(data, start=-30.0)])
    both, _ = prepare(whole, [STATION], CONFIG, T0, T0 + 60)
    parts = []
    for start in (0.0, 30.0):
        cut = whole.slice(UTCDateTime(T0) + start - margin, UTCDateTime(T0) + start + 30 + margin)
        parts.append(prepare(cut, [STATION], CONFIG, T0 + start, T0 + start + 30)[0])
    assert all(part.live.all() and part.samples == 1500 for part in parts)
    assert parts[1].start == pytest.approx(parts[0].end + 0.02)
    joined = np.concatenate([part.data for part in parts], axis=2)
    assert np.abs(joined - both.data).max() < 2e-3 * np.abs(both.data).max()


# --- gaps


def test_a_gap_is_not_live_and_does_not_spoil_what_is():
    data = noise()
    offset = data + 10**6  # a step at each edge, if it were not demeaned and faded
    whole, everywhere, _ = one(trace(offset))
    values, live, problems = one(trace(offset[:2500]), trace(offset[3000:], start=30.0))
    assert problems == []
    gap = np.flatnonzero(~live[100:-100]) + 100
    assert 0.02 * gap[0] < 25.0 - 0.02 * CONFIG.settling and 0.02 * gap[-1] > 30.0 + 0.02 * CONFIG.settling
    assert len(gap) * 0.02 < 5.0 + 2 * CONFIG.margin
    both = live & everywhere
    assert np.abs(values - whole)[both].max() < 5e-3 * np.abs(whole).max()


def test_late_start_short_stretches_and_nothing():
    data = noise()
    _, live, problems = one(trace(data[2000:], start=20.0))
    assert not live[:1000].any() and live[1200:2800].all() and problems == []
    _, live, problems = one(
        trace(data[:3000]), trace(data[3200:3500], start=32.0), trace(data[3700:4000], start=37.0)
    )
    assert not live[1600:].any()
    assert len(problems) == 1 and "2 stretches shorter than" in problems[0] and "in all 6 s" in problems[0]
    assert "recorded nothing in this span" in one(trace(data, start=500.0))[2][0]
    result, problems = prepare(Stream(), [STATION], CONFIG, T0, T0 + 60)
    assert not result.live.any() and problems == ["XX.A01: nothing was recorded in this span"]


def test_same_overlap_is_merged():
    data = noise()
    whole = one(trace(data))
    values, live, problems = one(
        trace(data[2000:], start=20.0), trace(data[:4000]), trace(data[100:200], start=1.0)
    )
    assert problems == []
    np.testing.assert_array_equal(values, whole[0])
    np.testing.assert_array_equal(live, whole[1])


def test_of_contradicting_overlaps_the_first_wins():
    data, other = noise(), noise(seed=1)
    whole = one(trace(data))
    inner = other[2000:4000]
    values, live, problems = one(trace(data, file="a"), trace(inner, start=20.0, file="b"))
    np.testing.assert_array_equal(values, whole[0])
    np.testing.assert_array_equal(live, whole[1])
    assert len(problems) == 1 and "disagree in" in problems[0] and "a was taken, not b" in problems[0]
    mixed = data.copy()
    mixed[2000:4000] = inner
    values, _, problems = one(trace(inner, start=20.0, file="b"), trace(data, file="a"))
    np.testing.assert_array_equal(values, one(trace(mixed))[0])
    assert len(problems) == 1


def test_overlap_between_the_samples_is_a_contradiction():
    data = noise()
    values, _, problems = one(trace(data), trace(data[2000:3000], start=20.004))
    np.testing.assert_array_equal(values, one(trace(data))[0])
    assert "disagree in 1000 samples" in problems[0]


def test_files_of_a_minute_join_despite_rounded_times():
    data = noise()
    pieces = [
        trace(data[k : k + 1000], start=k / 100 + 0.0004 * (-1) ** (k // 1000)) for k in range(0, 6000, 1000)
    ]
    values, live, problems = one(*pieces)
    assert problems == [] and live[120:-120].all()
    np.testing.assert_allclose(values, one(trace(data, start=0.0004))[0], atol=1e-3)


def test_rate_that_changes_within_the_day():
    def wave(rate, start, stop):
        return 1000 * np.sin(2 * np.pi * 5.0 * np.arange(start, stop, 1 / rate))

    values, live, problems = one(trace(wave(100, 0, 30)), trace(wave(200, 30, 60), start=30.0, rate=200.0))
    assert len(problems) == 1 and "changes its sampling rate (100, 200 Hz)" in problems[0]
    times = 0.02 * np.arange(3000)
    inside = live & (np.abs(times - 30) > 1)
    assert inside.sum() > 2500 and not live[1500]
    # taper and filter of a pure sine: only its amplitude may change
    assert np.abs(values - 1000 * np.sin(2 * np.pi * 5 * times))[inside].max() < 15


def test_dead_and_flat_and_no_numbers():
    data = noise()
    _, live, problems = one(trace(np.full(6000, 7)))
    assert not live.any() and "stands still for 60 s" in problems[0]
    filled = data.copy()
    filled[2000:2500] = 0
    values, live, problems = one(trace(filled))
    reference = one(trace(data[:2000]), trace(data[2500:], start=25.0))
    np.testing.assert_array_equal(live, reference[1])
    np.testing.assert_array_equal(values, reference[0])
    assert len(problems) == 1 and "stands still for 5 s" in problems[0]
    broken = data.astype(float)
    broken[3000] = np.nan
    values, live, problems = one(trace(broken))
    assert (
        np.isfinite(values).all()
        and not live[1500]
        and live[1000]
        and "1 samples that are no numbers" in problems[0]
    )
    masked = trace(np.ma.masked_array(data, np.arange(6000) // 500 == 4))
    np.testing.assert_array_equal(one(masked)[1], reference[1])


@pytest.mark.parametrize(
    ("samples", "live", "lost"),
    [
        ([1, 1], [], 2.0),
        ([1, 1, 2], [[1, 1, 2]], 0.0),
        ([1, 2, 2, 2, 3, 3, 3, 4], [[1], [4]], 6.0),
        ([5, 5, 5, 1, 2], [[1, 2]], 3.0),
        ([1, 2, 5, 5, 5, 5], [[1, 2]], 4.0),
    ],
)
def test_runs_that_stand_still(samples, live, lost):
    found, taken = recorded([Stretch(10.0, 1.0, np.array(samples))], 3.0)
    assert [stretch.samples.tolist() for stretch in found] == live and taken == lost
    for stretch in found:
        assert samples[round(stretch.start) - 10] == stretch.samples[0]


def test_coarse_recordings_are_left_out():
    _, live, problems = one(trace(noise(rate=10.0), rate=10.0))
    assert not live.any()
    assert "sampled at 10 Hz, too coarse for 15 Hz" in problems[0] and len(problems) == 1


# --- directions and sensors


ENZ = replace(CONFIG, components=("E", "N", "Z"))


def test_horizontals_are_turned_and_verticals_have_their_polarity():
    east, north, up = (noise(seed=seed).astype(float) for seed in range(3))
    angle = np.radians(30.0)
    first = north * np.cos(angle) + east * np.sin(angle)
    second = -north * np.sin(angle) + east * np.cos(angle)
    known = inventory(("HH1", 30.0, 0.0), ("HH2", 120.0, 0.0), ("HHZ", 0.0, 90.0))
    given = Stream([trace(first, channel="HH1"), trace(second, channel="HH2"), trace(-up, channel="HHZ")])
    plain = Stream([trace(east, channel="HHE"), trace(north, channel="HHN"), trace(up, channel="HHZ")])
    found, problems = prepare(given, [STATION], ENZ, T0, T0 + 60, known)
    wanted, complaints = prepare(plain, [STATION], ENZ, T0, T0 + 60)
    assert problems == complaints == []
    np.testing.assert_allclose(found.data, wanted.data, atol=1e-2)
    np.testing.assert_array_equal(found.live, wanted.live)
    unknown, problems = prepare(given, [STATION], ENZ, T0, T0 + 60)
    assert [("HH1" in each, "HH2" in each) for each in problems] == [(True, False), (False, True)]
    direct = Stream([trace(second, channel="HHE"), trace(first, channel="HHN"), trace(-up, channel="HHZ")])
    np.testing.assert_array_equal(unknown.data, prepare(direct, [STATION], ENZ, T0, T0 + 60)[0].data)


def test_metadata_that_begin_within_the_day():
    known = inventory(("HH1", 90.0, 0.0), ("HH2", 0.0, 0.0))
    for channel in known[0][0]:
        channel.start_date = UTCDateTime(T0 + 15)
    data = noise()
    traces = [trace(data[2000:], start=20.0, channel=f"HH{number}") for number in "12"]
    found, problems = prepare(Stream(traces), [STATION], ENZ, T0, T0 + 60, known)
    assert found.live[0, :2, 1200:2800].all()
    assert len(problems) == 1 and "do not give component Z" in problems[0]


def test_turned_components_need_both_horizontals():
    known = inventory(("HH1", 30.0, 0.0), ("HH2", 120.0, 0.0), ("HHZ", 0.0, -90.0))
    data = noise()
    traces = [
        trace(data, channel="HH1"),
        trace(data[3000:], start=30.0, channel="HH2"),
        trace(data, channel="HHZ"),
    ]
    found, _ = prepare(Stream(traces), [STATION], ENZ, T0, T0 + 60, known)
    assert not found.live[0, :2, :1500].any() and found.live[0, :2, 1800:2800].all()
    assert found.live[0, 2, 200:2800].all()
    found, problems = prepare(Stream(traces[:1]), [STATION], ENZ, T0, T0 + 60, known)
    assert not found.live.any() and "do not give component E N Z" in problems[0]


def test_the_sensor_with_most_data_then_the_preferred_codes():
    data = {name: noise(seed=number) for number, name in enumerate(["HH", "HN", "EH", "BH"])}

    def chosen(*traces, config=CONFIG):
        values, _, _ = one(*traces, config=config)
        return [n for n, d in data.items() if np.allclose(values, one(trace(d))[0])]

    every = [trace(data[name], channel=f"{name}Z") for name in ("BH", "EH", "HN", "HH")]
    assert chosen(*every) == ["HH"]
    assert chosen(*every, config=replace(CONFIG, bands="EHB")) == ["EH"]
    assert chosen(*every, config=replace(CONFIG, instruments="NH")) == ["HN"]
    late = trace(data["HH"][1000:], start=10.0, channel="HHZ")
    assert chosen(*every[:-1], late) == ["HN"]
    two = [trace(data["EH"], location="10"), trace(data["HH"], location="00")]
    assert chosen(*two) == ["HH"]


def test_stations_without_metadata_are_named_and_the_rest_is_used():
    stream = Stream([trace(noise()), trace(noise(), station="B99")])
    result, problems = prepare(stream, [STATION], CONFIG, T0, T0 + 60)
    assert result.live[:, :, 200:-200].all()
    assert len(problems) == 1 and "XX.B99: no metadata" in problems[0]
    parts = [(stream.select(station="A01"), ["said by the reader"]), (Stream(), ["gone"])]
    again, problems = prepare_stations(parts, [STATION], CONFIG, T0, T0 + 60)
    assert problems == ["said by the reader", "gone"]
    np.testing.assert_array_equal(again.data, result.data)
    with pytest.raises(InputError, match="one part"):
        prepare_stations([(stream, [])], [STATION], CONFIG, T0, T0 + 60)


def test_recordings_stay_as_they_are():
    stream = Stream([trace(noise()), trace(noise(seed=1), start=30.0)])
    copy = stream.copy()
    prepare(stream, [STATION], CONFIG, T0, T0 + 60)
    assert stream == copy


def test_settings_are_checked():
    for wrong, said in [
        ({"interval": 0.0}, "interval"), ({"band": (5.0, 2.0)}, "lowest"), ({"band": (2.0, 21.0)}, "holds frequencies"),
        ({"corners": 0}, "corners"), ({"components": ("R",)}, "components"), ({"flat": 0.0}, "flat"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=said):
            replace(CONFIG, **wrong)
    with pytest.raises(InputError, match="end must follow"):
        prepare(Stream(), [STATION], CONFIG, T0, T0)


# --- amplitudes


def test_ground_motion_divides_by_the_response():
    known = inventory(("HHZ", 0.0, -90.0), ("HHN", 0.0, 0.0))
    gain = 4.0e8
    known[0][0][0].response = ObspyResponse.from_paz([], [], gain, input_units="M/S", output_units="COUNTS")
    times = np.arange(6000) / 100
    velocity = 1e-6 * np.sin(2 * np.pi * 5.0 * times)
    counts = np.round(gain * velocity).astype(np.int32)
    stream = Stream([trace(counts), trace(counts, channel="HHN")])
    motion, problems = ground_motion(stream, known, (2.0, 15.0), "displacement")
    assert len(motion) == 1 and "HHN has no response" in problems[0]
    middle = slice(1000, 5000)
    wanted = -1e-6 / (2 * np.pi * 5.0) * np.cos(2 * np.pi * 5.0 * times)
    assert np.abs(motion[0].data - wanted)[middle].max() < 0.01 * np.abs(wanted).max()
    assert stream[0].data is not motion[0].data and stream[0].data.dtype == np.int32


@pytest.mark.realdata
def test_real_icequakes(shared_data):
    from obspy import read

    start = float(UTCDateTime(2009, 1, 21, 4, 0, 0).timestamp)
    names = shared_data / "rutford_icequakes" / "waveforms" / "YG.ST0[12]..EH?.mseed"
    stream = read(str(names), starttime=UTCDateTime(start), endtime=UTCDateTime(start + 60))
    stations = [
        Station("YG", "ST01", -78.1454, -84.0391, 307.0),
        Station("YG", "ST02", -78.1534, -84.0178, 307.0),
    ]
    config = ContinuousConfig(0.004, (10.0, 90.0))
    found, problems = prepare(stream, stations, config, start, start + 60)
    assert problems == [] and found.samples == 15000
    assert found.live.mean() > 0.985
    assert 1.0 < found.data[found.live].std() < 1000.0
    # the offset of thousands of counts must not ring at the ends
    edge = np.abs(found.data[..., :500]).max()
    assert edge <= np.abs(found.data).max()
    assert np.abs(found.data.mean(axis=2)).max() < 1.0
