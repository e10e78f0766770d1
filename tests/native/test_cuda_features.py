"""Features on a GPU: those of the processor (CPU in place of a GPU, and a GPU).

Stated tolerance: 2e-6 of a feature or of 1 (single precision); where it is live, equal.
"""

from dataclasses import replace

import numpy as np
import pytest

from seisflow.detection.device_features import DeviceContinuous, make_device_features
from seisflow.detection.features import FeatureConfig, make_features
from seisflow.domain import Continuous, Station
from seisflow.native.device import DeviceMemoryError
from tests.cuda_shim.device import ShimDevice
from tests.native.devices import with_devices

KINDS = ("sta_lta", "energy", "envelope", "kurtosis")
CONFIG = FeatureConfig(components=("E", "N"), band=(2.0, 8.0), short=0.3, long=2.0, normalise=20.0)


def network(kind, count, components):
    """Noise with waves, gaps, a dead channel, a dead station, a burst, constant zeros."""
    rng = np.random.default_rng(5)
    stations = tuple(Station("XX", f"S{n}", 0.0, 0.0) for n in range(4))
    data = rng.standard_normal((4, len(components), count)).astype(np.float32)
    data[:, :, count // 2 :] *= 1 + 5 * np.exp(-np.arange(count - count // 2) / 200).astype(np.float32)
    live = np.ones(data.shape, bool)
    live[0, 0, count // 3 : count // 3 + 150] = False
    live[1, -1] = False
    live[2] = False
    data[3, :, : count // 4] = 0
    data[3, 0, count // 4] = 1e6
    live[3, :, -40:] = False
    data[~live] = 0
    return Continuous(stations, components, data, live, 100.0, 0.01)


def agree(device, phases, factor, count=4001, memory=None):
    data = {phase: network(config.kind, count, config.components) for phase, config in phases.items()}
    expected = make_features(data, phases, factor * 0.01)
    there = {
        phase: DeviceContinuous(
            device, each.stations, each.components, device.upload(each.data),
            device.upload(each.live.view(np.uint8)), each.start, each.interval,
        )
        for phase, each in data.items()
    }  # fmt: skip
    if memory is not None:
        device.memory = device.used + memory
    found = make_device_features(there, phases, factor * 0.01).on_host()
    assert (found.stations, found.phases, found.start) == (expected.stations, expected.phases, expected.start)
    assert (found.interval, found.ceilings) == (expected.interval, expected.ceilings)
    np.testing.assert_array_equal(found.live, expected.live)
    np.testing.assert_allclose(found.values, expected.values, atol=2e-6, rtol=2e-6)
    return expected


@with_devices()
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind, device):
    phases = {
        "P": replace(CONFIG, kind=kind, components=("Z",), band=(2.0, 9.0)),
        "S": replace(CONFIG, kind=kind),
    }
    expected = agree(device, phases, 2)
    assert expected.live.any() and not expected.live.all()


@with_devices("shuffled")
@pytest.mark.parametrize("factor", [1, 3, 4])
@pytest.mark.parametrize("count", [30, 257, 2000])
def test_odd_sizes(factor, count, device):
    agree(device, {"P": replace(CONFIG, kind="kurtosis", normalise=3.0), "S": CONFIG}, factor, count)


@with_devices("reversed")
def test_no_sample_at_all(device):
    agree(device, {"S": CONFIG}, 40, 30)


def test_little_memory_takes_few_stations_at_a_time_and_too_little_is_said():
    phases = {"S": replace(CONFIG, kind="kurtosis")}
    few = ShimDevice(counting=True)
    agree(few, phases, 2, memory=230_000)
    assert few.launches.count("feature_rise") > 1
    with pytest.raises(DeviceMemoryError):
        agree(ShimDevice(counting=True), phases, 2, memory=60_000)
