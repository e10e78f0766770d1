"""The matched filter against its twin, and templates against recordings."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seisflow import native
from seisflow.detection.correlation import MatchedFilterConfig, cc_channels, correlate, time_reversed
from seisflow.domain import Continuous
from seisflow.errors import InputError
from seisflow.native.matched_filter import matched_filter
from tests.filter_cases import SPOILS, STATIONS, bursts, decaying, gaps, network, problem

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import matched_filter_twin as twin

LEVELS = ("baseline", "v3", "v4")


@pytest.fixture(params=LEVELS)
def level(request):
    before = native.simd_level()
    try:
        native.use_simd(request.param)
    except InputError:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    native.use_simd(before)


def compare(data, live, bank, min_live=0.0, tolerance=1e-5, threads=2):
    found = matched_filter(data, live, bank, min_live=min_live, threads=threads)
    cc, share = twin.everywhere(data, live, bank, min_live)
    samples = np.arange(data.shape[1])
    np.testing.assert_allclose(np.array([s.at(samples) for s in found.live]), share, atol=1e-6)
    np.testing.assert_allclose(found.cc, cc, atol=tolerance, rtol=0)
    return found


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda f: f.__name__)
def test_equals_the_twin_everywhere(level, spoil):
    data, live, bank = problem()
    data, live = spoil(data, live)
    compare(data, live, bank, min_live=0.3)


@pytest.mark.parametrize("moveouts", [(0, 1), (-300, 200), (500, 900), (-4100, 4100), (5000, 6000)])
@pytest.mark.parametrize("nt", [1, 2, 5])
def test_moveouts_of_any_sign_and_numbers_of_templates(moveouts, nt):
    compare(*problem(nt=nt, nch=3, moveouts=moveouts))


@pytest.mark.parametrize(("longest", "n"), [(2, 50), (2, 3000), (129, 1500), (700, 5000), (700, 700)])
def test_lengths_of_windows(longest, n):
    data, live, bank = problem(longest=longest, n=n, nch=2, nt=2)
    compare(data, live, bank)


def test_many_channels_few_of_them_used():
    data, live, bank = problem(nch=41, nt=4, n=1500)
    weights = bank.weights * (np.random.default_rng(5).random(bank.weights.shape) < 0.1)
    weights[:, 7] = 1
    compare(data, live, replace(bank, weights=weights))


def test_several_sheets_of_long_data():
    data, live, bank = problem(n=300_000, nch=2, nt=2, longest=40)
    live[1, 150_000:150_100] = False
    found = matched_filter(data, live, bank, threads=2)
    samples = np.random.default_rng(0).integers(0, data.shape[1], 4000)
    samples = np.concatenate((samples, np.arange(149_900, 150_200), np.arange(299_800, 300_000)))
    for t in range(2):
        cc, share = twin.matched_filter(data, live, bank, t, samples, 0.5)
        np.testing.assert_allclose(found.cc[t, samples], cc, atol=1e-6)
        np.testing.assert_allclose(found.live[t].at(samples), share, atol=1e-6)


@pytest.mark.parametrize("spoil", [lambda d, m: (d, m), bursts, gaps], ids=["plain", "bursts", "gaps"])
def test_levels_agree_and_threads_do_not_matter(spoil):
    data, live, bank = problem(nt=5, nch=11)
    data, live = spoil(data, live)
    before, results = native.simd_level(), []
    for name in LEVELS:
        try:
            native.use_simd(name)
        except InputError:
            continue
        results.append([matched_filter(data, live, bank, threads=k).cc for k in (1, 2, 3)])
        assert all(np.array_equal(results[-1][0], other) for other in results[-1][1:])
    native.use_simd(before)
    for other in results[1:]:
        np.testing.assert_allclose(other[0], results[0][0], atol=1e-6)


def test_double_precision_is_used_only_for_contrasts():
    data, live, bank = problem()
    assert matched_filter(data, live, bank).precise == 0
    assert matched_filter(*bursts(data, live), bank).precise > 0.3
    data, live, bank = problem()
    assert matched_filter(*decaying(data, live), bank).direct == 0
    data[:, 2000:2050] = 1e20
    assert compare(data, live, bank).direct > 0


def test_live_share_and_its_bound():
    data, live, bank = problem(nt=1, nch=4, moveouts=(0, 1))
    bank = replace(bank, weights=np.ones((1, 4)), totals=np.full(1, 5.0))  # a fifth channel is nowhere
    live[0, 1000:1100] = live[1, 1000:1100] = False
    found = compare(data, live, bank, min_live=0.5)
    assert found.live[0].at(500) == pytest.approx(0.8)
    assert found.live[0].at(1050) == pytest.approx(0.4)
    assert found.cc[0, 1050] == 0 and found.cc[0, 500] != 0
    assert np.all(compare(data, live, bank, min_live=0.3).cc[0, 1000:1040] != 0)
    assert np.all(matched_filter(data, live, bank, min_live=0.9).cc == 0)


def test_what_cannot_be_is_refused():
    data, live, bank = problem()
    with pytest.raises(InputError, match="template 1 is constant or not finite on channel 2"):
        waveforms = bank.waveforms.copy()
        waveforms[1, 2] = 4
        matched_filter(data, live, replace(bank, waveforms=waveforms))
    with pytest.raises(InputError, match="NaN"):
        matched_filter(np.where(np.arange(data.size).reshape(data.shape) == 9000, np.nan, data), live, bank)
    with pytest.raises(InputError, match="longer than the data"):
        matched_filter(data[:, :50].copy(), live[:, :50].copy(), bank)
    with pytest.raises(InputError, match="channels"):
        matched_filter(data[:2], live[:2], bank)
    with pytest.raises(InputError, match="min_live"):
        matched_filter(data, live, bank, min_live=2)
    with pytest.raises(InputError, match="not negative"):
        replace(bank, weights=-bank.weights)
    with pytest.raises(InputError, match="no channel"):
        replace(bank, weights=0 * bank.weights)
    with pytest.raises(InputError, match="at least 2"):
        replace(bank, lengths=bank.lengths * 0 + 1)
    with pytest.raises(InputError, match="total weight"):
        replace(bank, totals=np.zeros(3))


def test_a_hidden_event_is_found_at_its_origin_time():
    day, template = network(hidden=((300.0, 1.0), (700.0, 0.6)))
    (batch,) = correlate(day, [template], threads=2)
    peaks = np.argsort(batch.cc[0])[-2:][::-1]
    assert peaks.tolist() == [6000, 14000]
    assert batch.cc[0, peaks[0]] == pytest.approx(np.sqrt(0.5), abs=0.04)
    assert batch.live[0].at(6000) == 1
    rest = np.delete(batch.cc[0], peaks)
    (reverse,) = correlate(day, [time_reversed(template)])
    assert reverse.cc.max() < 1.3 * np.abs(rest).max() < 0.5 * batch.cc[0, peaks[1]]


def test_channels_are_matched_by_name_and_missing_ones_count_as_dead():
    day, template = network()
    order = [3, 0, 2]
    part = Continuous(
        tuple(STATIONS[i] for i in order), ("N", "Z"), day.data[order][:, [1, 0]].copy(),
        day.live[order][:, [1, 0]].copy(), day.start, day.interval,
    )  # fmt: skip
    (batch,) = correlate(part, [template])
    assert np.argmax(batch.cc[0]) == 6000
    assert batch.live[0].at(6000) == pytest.approx(6 / 12)
    (nothing,) = correlate(part, [template], MatchedFilterConfig(min_live=0.6))
    assert not nothing.cc.any()


def test_templates_that_do_not_fit_are_listed_with_the_reason():
    day, template = network()
    other = replace(template, stations=tuple(replace(s, network="YY") for s in STATIONS))
    slow = replace(template, interval=0.1)
    short = Continuous(STATIONS, day.components, day.data[:, :, :90], day.live[:, :, :90], 0.0, 0.05)
    search = correlate(day, [other, template, slow])
    assert [batch.numbers for batch in search] == [(1,)]
    assert "none of its channels" in search.refused[0] and "0.1 s" in search.refused[2]
    search = correlate(short, [template])
    assert list(search) == [] and "100 samples" in search.refused[0]


def test_batches_follow_the_memory_and_give_the_same():
    day, template = network()
    templates = [template, *(time_reversed(network(seed=k)[1]) for k in range(6))]
    (whole,) = correlate(day, templates)
    parts = list(correlate(day, templates, MatchedFilterConfig(batch=2)))
    assert [part.numbers for part in parts] == [(0, 1), (2, 3), (4, 5), (6,)]
    np.testing.assert_allclose(np.concatenate([part.cc for part in parts]), whole.cc, atol=1e-6)
    assert len(list(correlate(day, templates, MatchedFilterConfig(memory=0.004)))) > 1
    for wrong in ({"min_live": -1}, {"memory": 0}, {"batch": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            MatchedFilterConfig(**wrong)


def test_single_channels_give_the_shift_between_samples():
    day, template = network()
    t = np.arange(24000)
    wave = lambda s: np.exp(-(((s - 6100.3) / 9) ** 2)) * np.cos(0.4 * (s - 6100.3))  # noqa: E731
    data = np.broadcast_to(1e-12 * wave(t), day.data.shape).astype(np.float32)
    window = wave(t[6000:6200] + 0.3 - 0.0).astype(np.float32)  # 0.3 samples early
    template = replace(
        template,
        waveforms=np.tile(window, (4, 3, 1)),
        lengths=np.full((4, 3), 200),
        moveouts=np.zeros((4, 3)),
    )
    live = day.live.copy()
    live[2, 1, 6100] = False
    found = cc_channels(
        replace(day, data=data, live=live), template, [day.start + 300.0, day.start + 5.0], lags=5
    )
    assert found.cc.shape == (2, 4, 3, 11)
    assert found.shift[0, 0, 0] == pytest.approx(0.3 * 0.05, abs=0.02 * 0.05)
    assert found.peak[0, 0, 0] == pytest.approx(1, abs=1e-3)
    assert found.starts[0, 0, 0] == day.start + 300.0
    assert np.isnan(found.shift[0, 2, 1]) and not found.live[0, 2, 1].any() and not found.cc[0, 2, 1].any()
    with pytest.raises(InputError, match="lags"):
        cc_channels(day, template, [0.0], lags=0)


def test_single_channels_average_to_the_matched_filter():
    day, template = network()
    live = day.live.copy()
    live[1, :, 5990:6100] = False
    day = replace(day, live=live)
    weights = np.arange(12.0).reshape(4, 3) % 5  # zero on three channels of the recordings
    template = replace(template, weights=weights)
    (batch,) = correlate(day, [template])
    found = cc_channels(day, template, [day.start + 300.0], lags=3)
    above = (weights[..., None] * found.cc[0]).sum(axis=(0, 1))
    below = (weights[..., None] * found.live[0]).sum(axis=(0, 1))
    np.testing.assert_allclose(batch.cc[0, 5997:6004], above / below, atol=1e-6)
    np.testing.assert_allclose(batch.live[0].at(np.arange(5997, 6004)), below / weights.sum(), atol=1e-6)
    assert not found.live[0][weights == 0].any()


def test_a_template_that_cannot_be_is_refused():
    _, template = network()
    with pytest.raises(InputError, match="constant"):
        replace(template, waveforms=0 * template.waveforms)
    with pytest.raises(InputError, match="2 to 100 samples"):
        replace(template, lengths=template.lengths + 20)
    with pytest.raises(InputError, match="weights"):
        replace(template, weights=0 * template.weights)
    with pytest.raises(InputError, match="moveouts have shape"):
        replace(template, moveouts=template.moveouts[0])
    with pytest.raises(InputError, match="float32"):
        replace(template, waveforms=template.waveforms.astype(np.float64))
    with pytest.raises(InputError, match="interval"):
        replace(template, interval=0.0)
