"""Matched filter on a GPU against the C kernel and the NumPy twin (CPU in place of a GPU, and a GPU).

Stated tolerance: 1e-5 in correlation, which is at most 1; thresholds and peaks: equal to those of the host for the
same correlations, thresholds to one unit in the last place.
"""

from dataclasses import replace

import numpy as np
import pytest

from seisflow.detection.threshold import ThresholdConfig, peaks, running_median_mad, threshold
from seisflow.errors import InputError
from seisflow.native import cuda_matched_filter
from seisflow.native.cuda_matched_filter import CudaFilter
from seisflow.native.device import DeviceMemoryError
from seisflow.native.matched_filter import matched_filter
from tests.cuda_shim.device import ShimDevice
from tests.filter_cases import SPOILS, gaps, problem
from tests.native.devices import with_devices
from tests.reference import matched_filter_twin as twin

TOLERANCE = 1e-5


def compare(device, data, live, bank, min_live=0.0, exact=True):
    found = CudaFilter(device, data, live).result(bank, min_live=min_live)
    compiled = matched_filter(data, live, bank, min_live=min_live)
    np.testing.assert_allclose(found.cc, compiled.cc, atol=TOLERANCE, rtol=0)
    for one, other in zip(found.live, compiled.live, strict=True):
        np.testing.assert_array_equal(one.starts, other.starts)
        np.testing.assert_array_equal(one.shares, other.shares)
    if exact:
        cc, _ = twin.everywhere(data, live, bank, min_live)
        np.testing.assert_allclose(found.cc, cc, atol=TOLERANCE, rtol=0)
    return found


@with_devices()
@pytest.mark.parametrize("spoil", SPOILS, ids=lambda f: f.__name__)
def test_agrees_for_any_data(spoil, device):
    data, live, bank = problem(nt=2, n=3000 if spoil is not gaps else 4000)
    data, live = spoil(data, live)
    compare(device, data, live, bank, min_live=0.3)


@with_devices("reversed")
@pytest.mark.parametrize("moveouts", [(0, 1), (-300, 200), (-4100, 4100), (5000, 6000)])
@pytest.mark.parametrize("nt", [1, 5])
def test_moveouts_of_any_sign_and_numbers_of_templates(moveouts, nt, device):
    compare(device, *problem(nt=nt, nch=3, moveouts=moveouts, n=1500), exact=nt == 1)


@with_devices("shuffled")
@pytest.mark.parametrize(
    ("longest", "n"), [(2, 2), (2, 50), (15, 4096), (16, 4097), (17, 700), (33, 33), (700, 700)]
)
def test_lengths_of_windows(longest, n, device):
    compare(device, *problem(longest=longest, n=n, nch=2, nt=2), exact=n < 1000)


@with_devices("forward")
@pytest.mark.parametrize("spoil", [None, *SPOILS], ids=lambda f: f.__name__ if f else "noise")
def test_long_templates_by_transforms(spoil, device, monkeypatch):
    monkeypatch.setattr(cuda_matched_filter, "TRANSFORM_FROM", 30)
    data, live, bank = problem(n=4000 if spoil is gaps else 2600)
    if spoil is not None:
        data, live = spoil(data, live)
    compare(device, data, live, bank, min_live=0.3)


@with_devices("forward")
def test_few_of_many_channels_and_weights_of_zero(device):
    data, live, bank = problem(nch=41, nt=4, n=700)
    weights = bank.weights * (np.random.default_rng(5).random(bank.weights.shape) < 0.1)
    weights[:, 7] = 1
    compare(device, data, live, replace(bank, weights=weights, totals=weights.sum(axis=1) + 1))


def test_what_cannot_be_is_refused():
    data, live, bank = problem(n=500)
    device = ShimDevice()
    flat = bank.waveforms.copy()
    flat[1, 2] = 7
    with pytest.raises(InputError, match="template 1 is constant or not finite on channel 2"):
        CudaFilter(device, data, live).correlate(replace(bank, waveforms=flat))
    data[2, 100] = np.inf
    with pytest.raises(InputError, match="NaN or infinite"):
        CudaFilter(device, data, live)


def test_batches_follow_the_memory():
    data, live, bank = problem(nt=6, n=2000)
    bank = replace(bank, lengths=np.full_like(bank.lengths, 60))
    device = ShimDevice(memory=100_000)
    run = CudaFilter(device, data, live)
    assert run.fits(bank.waveforms.shape) < 6
    device.memory = 40_000
    run.fits = lambda shape: 6  # what seemed free is gone: the batch is halved until it fits
    found = run.result(bank)
    np.testing.assert_allclose(found.cc, matched_filter(data, live, bank).cc, atol=TOLERANCE)
    device.memory = 1000
    with pytest.raises(DeviceMemoryError):
        run.result(bank)


def correlations(device, n=6000, spoil=None):
    data, live, bank = problem(nt=3, n=n, nch=3)
    if spoil:
        data, live = spoil(*(array for array in (data, live)))
    return CudaFilter(device, data, live).correlate(bank, min_live=0.3)


@with_devices()
@pytest.mark.parametrize(("window", "hop", "stride"), [(500, 125, 1), (301, 100, 3), (9000, 1, 2)])
def test_medians_are_those_of_numpy(window, hop, stride, device):
    found = correlations(device)
    levels = found.levels(window, hop, stride, 0.3)
    cc = found.result()
    for t in range(3):
        series = cc.cc[t, ::stride]
        alive = cc.live[t].at(np.arange(0, cc.cc.shape[1], stride)) >= 0.3
        centres, medians, deviations = running_median_mad(series, alive, window, hop, 1e-9)
        keep = (levels.alive[t] > 0) & (levels.deviations[t] > 0)
        np.testing.assert_array_equal(levels.centres[keep], centres)
        np.testing.assert_array_equal(levels.medians[t][keep], medians.astype(np.float32))
        np.testing.assert_array_equal(levels.deviations[t][keep], deviations.astype(np.float32))


def stepped(found):
    """Correlations in few steps, so that there are flat tops, also at the ends."""
    found.out[...] = found.device.xp.round(found.out * 8) / 8
    return found


@with_devices()
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("stride", [1, 4])
def test_peaks_are_those_of_the_host(flat, stride, device):
    found = correlations(device)
    if flat:
        found = stepped(found)
    config = ThresholdConfig(mad=1.5, window=400.0)
    cc = found.result()
    nodes, expected = [], []
    for t in range(3):
        shares = cc.live[t].at(np.arange(cc.cc.shape[1]))
        alive = shares >= 0.3
        coarse = threshold(cc.cc[t, ::stride], alive[::stride], float(stride), config)
        limit = 0.8 * np.interp(np.arange(alive.size) / stride, np.arange(coarse.size), coarse).astype(
            np.float32
        )
        limit = np.where(alive, limit / np.sqrt(np.where(alive, shares, 1)), np.inf).astype(np.float32)
        places = peaks(np.where(alive, cc.cc[t], 0), limit, 1)
        expected.append((places, cc.cc[t][places], limit[places]))
        window = round(400 / stride)
        centres, medians, deviations = running_median_mad(
            cc.cc[t, ::stride], alive[::stride], window, round(window * 0.25), 0.25
        )
        nodes.append((centres, medians + 1.5 * deviations))
    top = found.peaks(nodes, stride, 0.3, 0.8)
    assert sum(places.size for places, _, _ in expected) > 50
    for t, (places, values, limits) in enumerate(expected):
        mine = top.templates == t
        np.testing.assert_array_equal(top.samples[mine], places)
        np.testing.assert_array_equal(top.values[mine], values)
        np.testing.assert_allclose(top.limits[mine], limits, rtol=3e-7)
        inner = mine & (top.samples > 0) & (top.samples < cc.cc.shape[1] - 1)
        np.testing.assert_array_equal(top.before[inner], cc.cc[t][top.samples[inner] - 1])
        np.testing.assert_array_equal(top.after[inner], cc.cc[t][top.samples[inner] + 1])
