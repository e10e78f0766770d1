"""Recordings: response, orientation, channel choice, and that nothing bad passes or disappears silently."""

import re

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Inventory, Network, Response
from obspy.core.inventory import Station as Site
from obspy.signal.rotate import rotate2zne

from seisflow.domain import Event, Force, Gather, Station
from seisflow.errors import InputError
from seisflow.signal import Pipeline, SignalConfig, TimeAxis, prepare_observed
from seisflow.signal.recordings import cut

ORIGIN = UTCDateTime("2020-01-01T00:00:00.250000Z")
EVENT = Event("ev", ORIGIN.timestamp, 37.8, -121.7, 12e3, Force(1.0, 0.0, 0.0))
STATION = Station("XX", "A", 38.4, -121.2)
AXIS = TimeAxis.covering(-20.0, 140.0, 1.0)
RATE, START, SECONDS = 20.0, -61.337, 290.0
TIMES = START + np.arange(int(SECONDS * RATE)) / RATE
SEISMOMETER = Response.from_paz(
    zeros=[0j, 0j], poles=[-0.037 + 0.037j, -0.037 - 0.037j], stage_gain=1.2e9, input_units="M/S"
)
ACCELEROMETER = Response.from_paz(
    zeros=[], poles=[-80 + 60j, -80 - 60j], stage_gain=4e5, input_units="M/S**2"
)


def config(**changes):
    return SignalConfig(**({"band": (8.0, 30.0), "interval": 1.0} | changes))


def velocity(times=TIMES):
    """East, north and up ground velocity in m/s."""
    pulses = (40.0, 14.0, 1e-5), (55.0, 11.0, -2e-5), (70.0, 18.0, 1.5e-5)
    return np.array(
        [a * np.exp(-(((times - c) / 15) ** 2)) * np.cos((times - c) * 6.28 / p) for c, p, a in pulses]
    )


def trace(samples, channel="BHZ", location="00", start=START, rate=RATE):
    header = {
        "network": "XX",
        "station": "A",
        "location": location,
        "channel": channel,
        "sampling_rate": rate,
    }
    return Trace(np.array(samples), {**header, "starttime": ORIGIN + start})


def channel(code, azimuth, dip, response=SEISMOMETER, location="00"):
    place = {"latitude": 38.4, "longitude": -121.2, "elevation": 0.0, "depth": 0.0}
    return Channel(code, location, azimuth=azimuth, dip=dip, response=response, sample_rate=RATE, **place)


STANDARD = (channel("BHE", 90, 0), channel("BHN", 0, 0), channel("BHZ", 0, -90))


def inventory(*channels):
    site = Site("A", 38.4, -121.2, 0.0, channels=list(channels or STANDARD))
    return Inventory([Network("XX", stations=[site])])


def counts(motion, response=SEISMOMETER):
    """What the instrument records of a ground velocity; the long ends are at rest."""
    padded = 2 * motion.shape[-1]
    gain = response.get_evalresp_response(1 / RATE, padded, output="VEL")[0]
    return np.fft.irfft(np.fft.rfft(motion, padded) * gain, padded)[..., : motion.shape[-1]]


def stream(codes="ENZ", rows=None, prefix="BH"):
    rows = counts(velocity()) if rows is None else rows
    return Stream([trace(row, prefix + code) for code, row in zip(codes, rows, strict=True)])


def prepare(recordings, metadata=None, axis=AXIS, **changes):
    return prepare_observed(recordings, metadata or inventory(), EVENT, (STATION,), axis, config(**changes))


def expected(**changes):
    raw = TimeAxis(START, 1 / RATE, len(TIMES))
    gather = Gather((STATION,), ("E", "N", "Z"), velocity()[None], raw.start, raw.interval)
    return Pipeline(config(**changes), raw, AXIS, EVENT, (STATION,)).apply(gather).data


@pytest.mark.parametrize("quantity", ["displacement", "velocity", "acceleration"])
@pytest.mark.parametrize("rotate", [True, False])
def test_counts_become_what_the_synthetic_chain_makes_of_the_same_motion(quantity, rotate):
    gather, rejections = prepare(stream(), quantity=quantity, rotate=rotate)
    wanted = expected(quantity=quantity, rotate=rotate)
    assert rejections == [] and gather.live.all() and gather.quantity == quantity
    assert np.abs(gather.data - wanted).max() < 5e-3 * np.abs(wanted).max()


def test_offset_and_drift_of_the_counts_do_not_matter():
    rows = counts(velocity())
    drifting = rows + 3000 + 1e-3 * rows.max() * (TIMES - 10)
    gather, _ = prepare(stream(rows=drifting))
    assert np.abs(gather.data - expected()).max() < 1e-2 * np.abs(expected()).max()


def test_ground_velocity_goes_through_the_very_stages_of_the_synthetics():
    gather, rejections = prepare(stream(rows=velocity()), observed="velocity")
    assert rejections == []
    assert np.abs(gather.data - expected()).max() < 1e-12 * np.abs(expected()).max()
    without, _ = prepare_observed(
        stream(rows=velocity()), None, EVENT, (STATION,), AXIS, config(observed="velocity")
    )
    assert np.array_equal(without.data, gather.data)


def test_accelerometers_give_displacement_too():
    rows = counts(velocity(), ACCELEROMETER)
    channels = [
        channel(c, a, d, ACCELEROMETER) for c, a, d in (("HNE", 90, 0), ("HNN", 0, 0), ("HNZ", 0, -90))
    ]
    gather, _ = prepare(stream(rows=rows, prefix="HN"), inventory(*channels))
    assert np.abs(gather.data - expected()).max() < 1e-2 * np.abs(expected()).max()


def test_horizontals_of_any_azimuth_are_turned():
    motion = velocity()
    turned = []
    azimuths = {"1": (33.0, 0.0), "2": (121.0, 0.0), "Z": (0.0, 90.0)}  # not square, and Z down
    for azimuth, dip in azimuths.values():
        a, d = np.radians([azimuth, dip])
        direction = np.array([np.cos(d) * np.sin(a), np.cos(d) * np.cos(a), -np.sin(d)])
        turned.append(direction @ motion)
    metadata = inventory(*(channel("BH" + code, *angles) for code, angles in azimuths.items()))
    gather, rejections = prepare(stream("12Z", counts(np.array(turned))), metadata)
    assert rejections == []
    assert np.abs(gather.data - expected()).max() < 5e-3 * np.abs(expected()).max()
    z, n, e = rotate2zne(turned[2], 0, 90, turned[0], 33.0, 0, turned[1], 121.0, 0)
    assert np.allclose([e, n, z], motion)


def clip(recording):
    largest = 0.5 * np.abs(recording.data).max()
    recording.data = np.rint(np.clip(recording.data, -largest, largest))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda t: t.data.__setitem__(slice(None), 0.0), "BHZ is dead: all samples are zero"),
        (lambda t: t.data.__setitem__(slice(None), 7.0), "BHZ is flat: all samples are 7"),
        (lambda t: t.data.__setitem__(3000, np.nan), "BHZ holds NaN"),
        (
            lambda t: t.trim(endtime=ORIGIN + 100),
            r"BHZ is too short: recorded .* to 100.* s .* 7.9.* to 113.* s is needed",
        ),
        (lambda t: t.trim(starttime=ORIGIN + 12), "BHZ is too short"),
        (clip, r"BHZ is clipped: \d+ samples stand at"),
        (lambda t: t.trim(starttime=ORIGIN + 200), "BHZ has no samples"),
    ],
)
def test_bad_traces_are_named_and_dead(damage, words):
    recordings = stream()
    damage(recordings.select(component="Z")[0])
    gather, rejections = prepare(recordings)
    assert gather.live.tolist() == [[True, True, False]]
    assert not gather.data[0, 2].any() and gather.data[0, :2].any()
    assert [(r.station, r.component, r.stage) for r in rejections] == [("XX.A", "Z", "recording")]
    assert re.search(words, rejections[0].reason)


def test_gaps_are_found_only_where_they_matter():
    whole = stream().select(component="Z")[0]
    for first, last, live in ((30.0, 31.0, False), (200.0, 201.0, True)):
        recordings = stream()
        recordings.remove(recordings.select(component="Z")[0])
        recordings += Stream([whole.slice(endtime=ORIGIN + first), whole.slice(starttime=ORIGIN + last)])
        gather, rejections = prepare(recordings)
        assert gather.live[0, 2] == live
        if not live:
            assert "BHZ has a gap from 30.0" in rejections[0].reason


@pytest.mark.parametrize("observed", ["counts", "velocity"])
@pytest.mark.parametrize(("first", "last"), [(5.0, None), (None, 120.0), (2.0, 125.0)])
def test_recordings_that_start_late_or_end_early_are_used_where_waves_are_compared(observed, first, last):
    """80 km: the first wave comes after 8 s, and what comes 113 s after the origin is not compared."""
    rows = counts(velocity()) if observed == "counts" else velocity()
    whole, _ = prepare(stream(rows=rows), observed=observed)
    recordings = stream(rows=rows)
    for each in recordings:
        each.trim(ORIGIN + first if first else None, ORIGIN + last if last else None)
    gather, rejections = prepare(recordings, observed=observed)
    assert rejections == [] and gather.live.all()
    times = gather.times
    inside = (times > 25) & (times < 100)
    difference = np.abs(gather.data - whole.data)[..., inside].max()
    assert difference < 0.03 * np.abs(whole.data).max()


def test_gaps_shorter_than_a_tenth_of_the_shortest_period_are_bridged():
    whole = stream().select(component="Z")[0]
    for last, live in ((50.7, True), (51.5, False)):  # the shortest period is 8 s
        recordings = stream()
        recordings.remove(recordings.select(component="Z")[0])
        recordings += Stream([whole.slice(endtime=ORIGIN + 50.0), whole.slice(starttime=ORIGIN + last)])
        gather, _ = prepare(recordings)
        assert gather.live[0, 2] == live
        if live:
            assert np.abs(gather.data - expected()).max() < 1e-2 * np.abs(expected()).max()


def test_the_sampling_rate_that_covers_what_is_needed_is_taken():
    recordings = stream()
    short = recordings.select(component="Z")[0].slice(ORIGIN - 40, ORIGIN - 10)
    short.data, short.stats.sampling_rate = short.data[::2].copy(), RATE / 2
    gather, rejections = prepare(recordings + Stream([short]))
    assert rejections == [] and np.abs(gather.data - expected()).max() < 5e-3 * np.abs(expected()).max()
    whole = recordings.select(component="Z")[0]
    recordings.remove(whole)
    late = whole.slice(ORIGIN + 60)
    late.data, late.stats.sampling_rate = late.data[::2].copy(), RATE / 2
    _, rejections = prepare(recordings + Stream([whole.slice(endtime=ORIGIN + 60), late]))
    assert "BHZ changes its sampling rate (10, 20 Hz)" in rejections[0].reason


def test_peaks_of_slow_waves_in_whole_counts_are_not_clipped():
    smooth = np.rint(50 * np.sin(2 * np.pi * TIMES / 20.0))
    gather, rejections = prepare(stream(rows=np.array([smooth] * 3)))
    assert rejections == [] and gather.live.all()


def test_a_location_code_that_only_the_recordings_have_does_not_matter():
    bare = inventory(*(channel(c.code, c.azimuth, c.dip, location="") for c in STANDARD))
    gather, rejections = prepare(stream(), bare)
    assert rejections == [] and np.abs(gather.data - expected()).max() < 5e-3 * np.abs(expected()).max()
    two = inventory(*(channel(c.code, c.azimuth, c.dip, location=n) for c in STANDARD for n in ("", "10")))
    assert "BHE has no response" in prepare(stream(), two)[1][0].reason


def test_responses_of_another_time_are_told_from_none():
    later = inventory(*(channel(c.code, c.azimuth, c.dip) for c in STANDARD))
    for each in later[0][0]:
        each.start_date, each.end_date = UTCDateTime(2021, 1, 1), UTCDateTime(2022, 1, 1)
    _, rejections = prepare(stream(), later)
    assert "they describe 2021-01-01 to 2022-01-01" in rejections[0].reason


def test_channel_codes_of_any_length_are_used():
    plain = Stream([trace(row, code) for code, row in zip("ENZ", velocity(), strict=True)])
    gather, rejections = prepare_observed(plain, None, EVENT, (STATION,), AXIS, config(observed="velocity"))
    assert rejections == [] and gather.live.all()


def test_pieces_that_touch_or_overlap_are_joined():
    recordings = stream()
    whole = recordings.select(component="Z")[0]
    recordings.remove(whole)
    recordings += Stream([whole.slice(endtime=ORIGIN + 33.0), whole.slice(starttime=ORIGIN + 25.0)])
    recordings[-1].data = recordings[-1].data.astype(np.float32)
    gather, rejections = prepare(recordings)
    assert rejections == [] and np.abs(gather.data - expected()).max() < 5e-3 * np.abs(expected()).max()


def test_a_missing_horizontal_takes_radial_and_transverse_with_it():
    recordings = stream().select(channel="BH[NZ]")
    gather, rejections = prepare(recordings)
    assert gather.live.tolist() == [[False, False, True]]
    assert [r.component for r in rejections] == ["R", "T"]
    assert all("only BHN, BHZ recorded" in r.reason for r in rejections)
    gather, rejections = prepare(recordings, rotate=False)
    assert gather.live.tolist() == [[False, True, True]] and [r.component for r in rejections] == ["E"]


def test_a_station_without_recordings_is_reported():
    gather, rejections = prepare(Stream())
    assert not gather.live.any() and len(rejections) == 3
    assert rejections[0].reason == "no recording of this station"


def test_missing_metadata_is_reported():
    _, rejections = prepare(stream(), inventory(*STANDARD[:2]))
    assert "BHZ has no response" in rejections[0].reason
    _, rejections = prepare(stream("12Z"))
    assert "BH1 has no azimuth" in rejections[0].reason
    pressure = channel("BHZ", 0, -90, Response.from_paz([], [-1 + 0j], 1.0, input_units="M"))
    pressure.response.instrument_sensitivity.input_units = "PA"
    _, rejections = prepare(stream(), inventory(*STANDARD[:2], pressure))
    assert "BHZ has a response to PA" in rejections[0].reason


def test_the_preferred_instrument_is_taken_and_the_next_if_it_is_broken():
    high = stream(rows=2 * counts(velocity()), prefix="HH")
    other = [channel("HH" + c.code[-1], c.azimuth, c.dip) for c in STANDARD]
    metadata = inventory(*STANDARD, *other)
    gather, _ = prepare(stream() + high, metadata)
    assert np.abs(gather.data - expected()).max() < 5e-3 * np.abs(expected()).max()
    broken = stream()
    broken[1].data[:] = 0
    gather, rejections = prepare(broken + high, metadata)
    assert [(r.component, r.stage, r.reason) for r in rejections] == [
        ("*", "duplicate", "00.HH is used, 00.BH in reserve")
    ]
    assert np.abs(gather.data - 2 * expected()).max() < 1e-2 * np.abs(expected()).max()


def test_one_location_is_taken_never_a_mixture():
    second = Stream(
        [trace(5 * row, "BH" + c, "10") for c, row in zip("ENZ", counts(velocity()), strict=True)]
    )
    both = inventory(*STANDARD, *(channel(c.code, c.azimuth, c.dip, location="10") for c in STANDARD))
    gather, (reserve,) = prepare(second + stream(), both)
    assert reserve.reason == "00.BH is used, 10.BH in reserve"
    assert np.abs(gather.data - expected()).max() < 5e-3 * np.abs(expected()).max()


def test_recordings_too_coarse_for_the_band_are_not_used():
    coarse = Stream([trace(np.random.default_rng(0).standard_normal(100), "BHZ", rate=0.25)])
    coarse[0].stats.starttime = ORIGIN - 100
    _, rejections = prepare(coarse)
    assert "sampled every 4 s, too coarse for periods of 8 s" in rejections[0].reason


def test_the_recordings_are_not_changed():
    recordings = stream()
    before = [t.data.copy() for t in recordings]
    prepare(recordings)
    assert all(np.array_equal(a, t.data) for a, t in zip(before, recordings, strict=True))


def test_a_band_longer_than_the_axis_is_refused():
    with pytest.raises(InputError, match=r"period of 30 s needs at least 45 s of seismogram, found 40 s"):
        prepare(stream(), axis=TimeAxis.covering(0, 40, 1.0))


def test_responses_are_the_same_in_several_threads():
    """The library behind evalresp is not made for threads; without turns a gain is applied twice now and then."""
    from concurrent.futures import ThreadPoolExecutor

    from obspy import read_inventory

    from seisflow.signal.response import _velocity_response

    frequencies = np.linspace(0.01, 5, 200)
    responses = [
        channel.response for network in read_inventory() for station in network for channel in station
    ][:3]
    wanted = [_velocity_response(response, "a", frequencies) for response in responses]

    def differing(number: int) -> int:
        which = number % len(responses)
        return int(not np.array_equal(_velocity_response(responses[which], "a", frequencies), wanted[which]))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(differing, range(2000))) == 0


@pytest.mark.parametrize("offsets", [(-3.0, 20.0), (0.125, 4.99), (2.004, 2.004), (12.0, 15.0), (-5.0, -1.0)])
def test_a_cut_is_what_obspy_slices(offsets):
    start = UTCDateTime(2020, 1, 1, 0, 0, 0, 123456)
    header = {"network": "XX", "station": "A", "channel": "BHZ", "sampling_rate": 100.0, "starttime": start}
    trace = Trace(np.arange(1001, dtype=np.int32), header)
    wanted = trace.slice(start + offsets[0], start + offsets[1])
    found = cut(trace, start + offsets[0], start + offsets[1])
    np.testing.assert_array_equal(found.data, wanted.data)
    if len(found.data):
        assert found.stats.starttime == wanted.stats.starttime and found.id == wanted.id
