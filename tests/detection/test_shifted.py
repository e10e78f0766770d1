"""False alarms by shifted stations: earthquakes that are known count at no single station."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seisflow.detection.matches import Match, MatchConfig
from seisflow.detection.shifted import Shifted, shift_recordings
from seisflow.domain import Continuous, Station, Template

STATIONS = tuple(Station("XX", f"S{n}", 38.0 + 0.01 * n, 22.0) for n in range(4))
INTERVAL, START, SAMPLES, LENGTH = 0.1, 1.7e9, 2000, 20
MOVEOUTS = np.array([1.0, 2.0, 3.0, 4.0])
CONFIG = MatchConfig(same_time=1.0, same_distance=1000.0, same_similarity=0.9)


def template(name="a", x=0.0):
    shape = np.random.default_rng(7).standard_normal((4, 1, LENGTH)).astype(np.float32)
    return Template(
        name, START, x, 0.0, 5000.0, STATIONS, ("Z",), shape, np.full((4, 1), LENGTH), MOVEOUTS[:, None],
        np.ones((4, 1)), np.full((4, 1), "P"), INTERVAL,
    )  # fmt: skip


def recordings(times=(), noise=0.01):
    data = noise * np.random.default_rng(1).standard_normal((4, 1, SAMPLES)).astype(np.float32)
    for time in times:
        for station in range(4):
            first = round((time + MOVEOUTS[station]) / INTERVAL)
            data[station, 0, first : first + LENGTH] += template().waveforms[station, 0]
    return Continuous(STATIONS, ("Z",), data, np.ones(data.shape, dtype=bool), START, INTERVAL)


def match(time, number=0, value=0.5):
    return Match(START + time, number, value, 0.25)


def late(data, shifts):
    """Recordings with shifts that are known."""
    moved = np.array([np.roll(row, shift, axis=-1) for row, shift in zip(data.data, shifts, strict=True)])
    return Shifted(replace(data, data=moved), np.array(shifts))


def test_stations_are_apart_and_nothing_is_lost():
    data = recordings((50.0,))
    before = np.sort(data.data, axis=-1).copy()
    data.live[..., :100] = False
    data.live[..., -50:] = False
    found = shift_recordings(data, 3, 12.0)
    assert found.data.start == START + 10.0 and found.data.samples == SAMPLES - 150 and found.data.live.all()
    apart = np.diff(np.sort(np.append(found.shifts, found.shifts.min() + found.data.samples)))
    assert apart.min() >= 120
    np.testing.assert_array_equal(np.sort(data.data, axis=-1), before)  # what is outside stays, inside moves
    again = shift_recordings(recordings((50.0,)), 3, 12.0)
    np.testing.assert_array_equal(again.shifts, shift_recordings(recordings((50.0,)), 3, 12.0).shifts)


def test_short_recordings_are_shifted_by_less_or_not_at_all():
    found = shift_recordings(recordings(), 3, 1e4)
    assert np.diff(np.sort(found.shifts)).min() >= SAMPLES // 8
    data = recordings()
    data.live[..., 10:] = False
    assert shift_recordings(data, 3, 1.0) is None


def test_what_one_station_has_of_a_known_earthquake_is_no_false_alarm():
    shifted = late(recordings((50.0,)), [0, 500, 900, 1400])
    peaks = [match(50.0), match(100.0), match(140.0), match(190.0)]  # where each station has it
    known = [match(50.0, value=1.0)]
    one = (template(),)
    kept = shifted.without_known(peaks, known, one, np.eye(1), CONFIG, 0.5)
    assert [each.time for each in kept] == [each.time for each in peaks]
    assert max(abs(each.value) for each in kept) < 0.5 and kept[0].threshold == pytest.approx(
        0.25 / np.sqrt(0.75)
    )
    unknown = shifted.without_known(peaks, [], one, np.eye(1), CONFIG, 0.5)
    assert [each.threshold for each in unknown] == [0.25] * 4
    for number, (with_all, without) in enumerate(zip(unknown, kept, strict=True)):
        np.testing.assert_allclose(with_all.value, (1 + 3 * without.value) / 4, atol=0.01, err_msg=number)


def test_an_earthquake_at_another_place_counts():
    shifted = late(recordings((50.0,)), [0, 500, 900, 1400])
    both = (template(), template("b", 5000.0))
    kept = shifted.without_known([match(50.0)], [match(50.0, 1)], both, np.eye(2), CONFIG, 0.5)
    assert kept[0].threshold == 0.25
    alike = np.array([[1, 0.95], [0.95, 1]])
    kept = shifted.without_known([match(50.0)], [match(50.0, 1)], both, alike, CONFIG, 0.5)
    assert kept[0].threshold > 0.25


def test_too_few_stations_without_known_earthquakes_tell_nothing():
    shifted = late(recordings(), [0, 500, 900, 1400])
    known = [match(150.0 - shift * INTERVAL) for shift in (0, 500, 900)]
    assert not shifted.without_known([match(150.0)], known, (template(),), np.eye(1), CONFIG, 0.5)
    # three earthquakes at four stations: twelve times 2 s, of which only those of three stations at once are lost
    assert shifted.share(known, CONFIG, 0.5) == pytest.approx(1 - 2 / 200, abs=0.006)
    assert shifted.share([], CONFIG, 0.5) == 1
