"""Templates: windows cut where the waves are, refusals with reasons, groups, stacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seisflow.detection import families as families_module
from seisflow.detection.families import families, similarity
from seisflow.detection.templates import PhaseWindow, TemplateConfig, cut_template, select, stack_group
from seisflow.domain import Continuous, Detection, Magnitude, Station
from seisflow.errors import InputError

STATIONS = tuple(Station("XX", f"S{n}", 38.0 + 0.01 * n, 22.0) for n in range(4))
INTERVAL, START, ORIGIN = 0.02, 1.7e9, 1.7e9 + 20.0
TIMES = np.array([[1.0, 1.7], [1.5, 2.6], [2.0, 3.5], [2.5, 4.3]])
WINDOWS = {"P": PhaseWindow(("Z",), 0.2, 1.0), "S": PhaseWindow(("E", "N"), 0.4, 2.0)}
CONFIG = TemplateConfig(windows=WINDOWS, min_channels=4, min_signal_to_noise=3.0, max_lag=0.2)


def burst(seed, times):
    """A wave that begins at 0; of continuous time, so that it may be shifted by any time."""
    rng = np.random.default_rng(seed)
    late = np.clip(times, 0, None)
    waves = np.sin(2 * np.pi * np.outer(late, rng.uniform(3, 10, 8)) + rng.uniform(0, 6, 8)).sum(axis=1)
    return np.where(times > 0, np.exp(-late / 0.6) * waves, 0)


def recordings(size=10.0, noise=0.05, seed=0, late=0.0, family=0):
    """30 s at four stations with an earthquake at ``ORIGIN + late``."""
    rng = np.random.default_rng(seed)
    samples = round(30 / INTERVAL)
    times = np.arange(samples) * INTERVAL + START - ORIGIN - late
    data = noise * rng.standard_normal((4, 3, samples))
    for station in range(4):
        for channel in range(3):
            onset = TIMES[station, 0 if channel == 2 else 1]
            data[station, channel] += size * burst((family, station, channel), times - onset)
    live = np.ones(data.shape, dtype=bool)
    return Continuous(STATIONS, tuple("ENZ"), data.astype(np.float32), live, START, INTERVAL)


def detection(name="a", value=2.0, **more):
    return Detection(name, ORIGIN, 100.0, 200.0, 5000.0, "beam", value=value, threshold=1.0, **more)


def cut(data, name="a", times=TIMES, config=CONFIG, **more):
    return cut_template(data, detection(name, **more), times, ("P", "S"), config)


def cut_ok(*arguments, **more):
    found = cut(*arguments, **more)
    assert not isinstance(found, str), found
    return found


# --- choice


def test_the_best_are_first_and_others_have_reasons():
    error = np.diag([900.0**2, 100.0, 100.0, 0.01])
    found = [
        detection("weak", 1.2), detection("good", 3.0), detection("best", 5.0), detection("far", 4.0, covariance=error),
    ]  # fmt: skip
    found = [replace(each, time=ORIGIN + 100 * number) for number, each in enumerate(found)]
    chosen, refused = select(found, TemplateConfig(min_score=1.5))
    assert [each.id for each in chosen] == ["best", "far", "good"]
    assert "beam is 1.20 times its threshold; min_score is 1.5" in refused["weak"]
    chosen, refused = select(found[2:], TemplateConfig(max_error=1000.0))
    assert [each.id for each in chosen] == [] and "max_error is 1000" in refused["far"]
    assert "nan" in refused["best"]


def test_an_event_close_to_a_better_one_is_refused():
    found = [replace(detection("after", 3.0), time=ORIGIN + 1.5), detection("best", 5.0)]
    found.append(replace(detection("later", 2.0), time=ORIGIN + 3.6))
    chosen, refused = select(found, CONFIG)
    assert [each.id for each in chosen] == ["best", "later"]
    assert "a better event is 1.50 s away; alone is 2 s" in refused["after"]


def test_events_of_a_catalog_without_a_beam_are_all_taken():
    imported = replace(detection("known"), value=float("nan"), threshold=float("nan"))
    assert select([imported], TemplateConfig(min_score=3.0)) == ([imported], {})


# --- windows


def test_windows_hold_the_samples_around_the_arrivals():
    data = recordings()
    found = cut_ok(data, magnitude=Magnitude(1.5, 0.1, "ML", 4))
    assert found.magnitude == 1.5 and found.weights.sum() == 12
    for station in range(4):
        for channel, (phase, before, length) in enumerate(
            [("S", 0.4, 2.0), ("S", 0.4, 2.0), ("P", 0.2, 1.0)]
        ):
            begin = 20.0 + TIMES[station, "PS".index(phase)] - before
            first, number = round(begin / INTERVAL), round(length / INTERVAL)
            assert found.phases[station, channel] == phase
            assert found.lengths[station, channel] == number
            assert found.moveouts[station, channel] == pytest.approx(first * INTERVAL - 20.0, abs=1e-6)
            samples = data.data[station, channel, first : first + number].astype(float)
            np.testing.assert_allclose(
                found.waveforms[station, channel, :number], samples - samples.mean(), atol=1e-4
            )
            assert not found.waveforms[station, channel, number:].any()


def test_moveouts_are_those_of_whole_samples():
    times = TIMES + 0.0071
    found = cut_ok(recordings(), times=times)
    exact = times[:, [1, 1, 0]] - [0.4, 0.4, 0.2]
    assert np.abs(found.moveouts - exact).max() <= INTERVAL / 2 + 1e-6
    samples = (found.moveouts + 20.0) / INTERVAL
    np.testing.assert_allclose(samples, samples.round(), atol=1e-4)


def test_channels_below_the_noise_have_no_weight():
    data = recordings()
    data.data[1, 0] += 20 * np.random.default_rng(5).standard_normal(data.samples).astype(np.float32)
    found = cut_ok(data)
    assert found.weights[1, 0] == 0 and found.weights.sum() == 11
    assert found.quality["channels"] == 11 and found.quality["signal_to_noise"] > 10


def test_too_few_channels_above_the_noise_are_a_reason():
    reason = cut(recordings(size=0.01))
    assert isinstance(reason, str)
    assert "0 channels with a signal-to-noise ratio of 3; min_channels is 4" in reason


def test_gaps_and_dead_channels_have_no_window():
    data = recordings()
    data.live[0, 0, round(22.5 / INTERVAL)] = False  # in the window of S
    data.live[1, 2, round(20.9 / INTERVAL)] = False  # in the noise before P
    data.live[2, 1, round(28.0 / INTERVAL)] = False  # after all
    data.data[3, 2] = 0.0
    found = cut_ok(data)
    assert np.argwhere(found.weights == 0).tolist() == [[0, 0], [1, 2], [3, 2]]
    assert (found.lengths[found.weights == 0] == 0).all()


def test_a_window_that_leaves_the_recordings_is_left_out():
    late = TIMES.copy()
    late[3, 1] = 9.0
    found = cut_ok(recordings(noise=0.5), times=late)
    assert found.weights[3, :2].tolist() == [0, 0] and found.lengths[3, :2].tolist() == [0, 0]
    longer = replace(CONFIG, windows={"P": PhaseWindow(("Z",), 0.2, 40.0)})
    assert "0 channels" in cut(recordings(), config=longer)


# --- similarity and groups


@pytest.mark.parametrize("samples", [-7, 0, 4, 10])
def test_shifted_copies_are_alike_at_their_lag(samples):
    first, second = cut_ok(recordings(noise=1e-4)), cut_ok(recordings(noise=1e-4, late=samples * INTERVAL))
    correlation, lags = similarity([first, second], 0.2)
    assert correlation[0, 1] == correlation[1, 0] > 0.85
    assert correlation[0, 0] == correlation[1, 1] == 1
    assert lags[0, 1] == samples and lags[1, 0] == -samples and lags[0, 0] == 0


def test_copies_beyond_the_largest_lag_are_not_found():
    first, second = cut_ok(recordings()), cut_ok(recordings(late=0.4))
    _, lags = similarity([first, second], 0.2)
    assert abs(lags[0, 1]) <= 10


def test_size_does_not_count_and_other_waves_are_unlike():
    templates = [
        cut_ok(recordings()), cut_ok(recordings(size=300.0, seed=1)), cut_ok(recordings(family=1, seed=2)),
    ]  # fmt: skip
    correlation, _ = similarity(templates, 0.1)
    assert correlation[0, 1] > 0.99 and max(correlation[0, 2], correlation[1, 2]) < 0.4


def test_only_channels_that_both_have_count():
    second = recordings(seed=1)
    second.live[:2] = False
    correlation, _ = similarity([cut_ok(recordings()), cut_ok(second)], 0.1)
    assert correlation[0, 1] > 0.99
    third = recordings(seed=2)
    third.live[2:] = False
    correlation, _ = similarity([cut_ok(second), cut_ok(third)], 0.1)
    assert correlation[0, 1] == 0


def members(found):
    return [each.members for each in found]


def several(kinds, noise=1.0):
    """Templates of earthquakes of several kinds, each a little late."""
    return [
        cut_ok(recordings(20.0, noise, seed=n, late=0.02 * (n % 4), family=kind), f"t{n}")
        for n, kind in enumerate(kinds)
    ]


def test_events_join_the_family_that_they_are_like():
    found, left = families(several([0, 1, 0, 2, 1, 0, 1]), CONFIG)
    assert members(found) == [[0, 2, 5], [1, 4, 6], [3]] and left == 0
    assert found[0].lags == [0, 2, 1]  # samples behind the first


def between(share):
    """An earthquake whose waves are partly those of one family, partly those of another."""
    first, second = (recordings(10.0, 0.05, seed=70, family=kind) for kind in (0, 1))
    return replace(first, data=((1 - share) * first.data + share * second.data).astype(np.float32))


def test_a_member_is_like_all_members():
    cut = [cut_ok(between(share), f"b{share}") for share in (0.5, 0.0, 1.0, 0.1, 0.9)]
    correlation = similarity(cut, CONFIG.max_lag)[0]
    assert correlation[0, 1:].min() > 0.5 and correlation[1, 2] < 0.5  # all are like the first
    found, left = families(cut, CONFIG)
    assert members(found) == [[0, 1, 3], [2, 4]] and left == 0
    for family in found:
        assert correlation[np.ix_(family.members, family.members)].min() > CONFIG.similarity


@pytest.mark.parametrize("block", [1, 2, 3, 5, 64])
def test_families_do_not_depend_on_how_many_are_compared_at_once(monkeypatch, block):
    cut = several([0, 1, 0, 2, 3, 1, 0, 4, 1, 2, 2, 4, 5, 0], noise=3.0)
    wanted = families(cut, replace(CONFIG, most=4))
    monkeypatch.setattr(families_module, "_BLOCK", block)
    assert families(cut, replace(CONFIG, most=4)) == wanted
    assert wanted[1] == 3 and [cut[each.members[0]].id for each in wanted[0]] == ["t0", "t1", "t3", "t4"]
    correlation, lags = similarity(cut, 0.2)
    monkeypatch.setattr(families_module, "_BLOCK", 64)
    again, lags_again = similarity(cut, 0.2)
    np.testing.assert_allclose(correlation, again, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(lags, lags_again)


def test_the_best_found_families_and_later_ones_join_when_there_are_most():
    found, left = families(several([0, 1, 0, 2, 1, 0, 1]), replace(CONFIG, most=2))
    assert members(found) == [[0, 2, 5], [1, 4, 6]] and left == 1


def test_one_or_none_and_a_threshold_of_one_are_not_joined():
    cut = several([0, 0, 0])
    assert members(families(cut[:1], CONFIG)[0]) == [[0]]
    assert families([], CONFIG) == ([], 0)
    assert members(families(cut, replace(CONFIG, similarity=1.0))[0]) == [[0], [1], [2]]


# --- stacks

SHIFTS = (0, 3, -5, 8, 2, -1, 6)


def family(noise=4.0):
    """Copies of one earthquake in much noise, shifted and of several sizes; the first is neither."""
    sizes = (10.0, 20.0, 7.0, 13.0, 9.0, 30.0, 8.0)
    config = replace(CONFIG, min_signal_to_noise=0.1)
    return [
        cut_ok(recordings(size, noise * size / 10, seed=n + 1, late=shift * INTERVAL), f"t{n}", config=config)
        for n, (shift, size) in enumerate(zip(SHIFTS, sizes, strict=True))
    ], config


def likeness(template, clean):
    """Correlation of each channel with the noise-free waveform, without a lag."""
    values = []
    for place in np.ndindex(template.weights.shape):
        number = int(min(template.lengths[place], clean.lengths[place]))
        a, b = template.waveforms[place][:number], clean.waveforms[place][:number]
        values.append(float(np.corrcoef(a, b)[0, 1]))
    return np.array(values)


def test_a_stack_is_nearer_the_truth_than_its_members_and_aligned_with_the_first():
    members, config = family()
    clean = cut_ok(recordings(noise=1e-4))
    stack = stack_group(members, np.array(SHIFTS), config)
    assert stack.id == "t0" and stack.quality["members"] == 7
    np.testing.assert_array_equal(stack.moveouts, members[0].moveouts)
    single, stacked = likeness(members[0], clean), likeness(stack, clean)
    assert np.median(stacked) > np.median(single) + 0.05
    wrong = stack_group(members, -np.array(SHIFTS), config)
    assert np.median(likeness(wrong, clean)) < np.median(stacked) - 0.2


def test_a_stack_is_as_large_as_its_first_member():
    members, config = family(noise=0.01)
    stack = stack_group(members, np.array(SHIFTS), config)
    levels = [np.sqrt((each.waveforms.astype(float) ** 2).sum(axis=-1)) for each in (stack, members[0])]
    np.testing.assert_allclose(levels[0] / levels[1], 1, atol=0.03)


def test_a_channel_that_the_first_lacks_comes_from_others_at_its_time_and_size():
    # the first has half the size of the second, which lies 5 samples behind
    data = recordings(10.0, 1e-3)
    full = cut_ok(data)
    data.live[2, 2] = False
    second = cut_ok(recordings(20.0, 1e-3, seed=2, late=5 * INTERVAL), "b")
    stack = stack_group([cut_ok(data), second], np.array([0, 5]), CONFIG)
    assert stack.weights[2, 2] == 1 and stack.phases[2, 2] == "P"
    first = round((stack.moveouts[2, 2] + 20.0) / INTERVAL)
    number = int(stack.lengths[2, 2])
    wanted = recordings(10.0, 1e-6).data[2, 2, first : first + number]
    got = stack.waveforms[2, 2, :number]
    inner = slice(0, number - 6)  # zeros enter where the second was moved
    assert np.corrcoef(got[inner], wanted[inner])[0, 1] > 0.98
    level = np.sqrt((full.waveforms[2, 2].astype(float) ** 2).sum())
    assert np.sqrt((got.astype(float) ** 2).sum()) == pytest.approx(level, rel=0.1)


def test_the_order_of_the_others_does_not_matter():
    members, config = family()
    lags, order = np.array(SHIFTS), [0, 4, 2, 6, 1, 5, 3]
    one = stack_group(members, lags, replace(config, rank=1))
    other = stack_group([members[n] for n in order], lags[order], replace(config, rank=1))
    np.testing.assert_allclose(one.weights, other.weights)
    scale = np.abs(one.waveforms).max()
    assert np.abs(one.waveforms - other.waveforms).max() < 0.1 * scale


def test_a_group_of_one_stays_as_it_is():
    only = cut_ok(recordings())
    assert stack_group([only], np.array([0]), CONFIG) is only


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"source": "catalog"}, "path"),
        ({"path": "a.xml"}, "path = a.xml"),
        ({"days": ()}, "days"),
        ({"days": ("21.1.2009",)}, "21.1.2009 is no day"),
        ({"days": ("2009-01-21",), "source": "synthetics"}, "days"),
    ],
)
def test_sources_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        TemplateConfig(**settings)


@pytest.mark.parametrize(
    "settings", [{"similarity": 0.0}, {"explained": 1.2}, {"min_channels": 0}, {"max_lag": -0.1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings)) + " = "):
        TemplateConfig(**settings)
