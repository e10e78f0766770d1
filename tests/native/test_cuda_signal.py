"""Recordings on a GPU: interpolated, filtered and turned as on the processor (CPU in place of a GPU, and a GPU).

Stated tolerance: 1e-6 of the peak of a component (single precision); where it is live, equal.
"""

import numpy as np
import pytest

from seisflow.native.cuda_signal import Band, RawPiece, RawStation, RawUploads, band_passed, room_for
from seisflow.native.device import DeviceMemoryError
from seisflow.signal.continuous import Piece, StationPieces, _fill
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.signal.polyphase import interpolation
from seisflow.signal.stretches import Stretch
from tests.cuda_shim.device import ShimDevice
from tests.native.devices import with_devices

SAMPLES = 3000


def pieces_of(rng, config, spans, interval=0.01, dtype=np.int32, offset=0.0):
    """Stretches of noise about a large mean, with a line and a burst."""
    found = []
    for start, end in spans:
        count = round((end - start) / interval)
        values = 3e5 + 800 * rng.standard_normal(count) + np.linspace(0, 5e3, count)
        values[count // 3 : count // 3 + 20] += 4e5
        plan = interpolation(count, start + offset, interval, config.interval)
        stop = plan.count - (config.settling if config.zero_phase else 0)
        assert stop > config.settling
        stretch = Stretch(start + offset, interval, values.astype(dtype))
        found.append(Piece(stretch, plan, (config.settling, stop)))
    return tuple(found)


def network(config, interval=0.01, dtype=np.int32, offset=0.0, gaps=True):
    """Three stations: one turned, one with gaps on a channel, one that gives a component alone."""
    rng = np.random.default_rng(3)
    whole, torn = [(-8.0, 68.0)], [(-8.0, 19.0), (19.5, 41.0), (44.0, 68.0)] if gaps else [(-8.0, 68.0)]

    def channel(spans):
        return pieces_of(rng, config, spans, interval, dtype, offset)

    slanted = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, -1]], np.float32)
    alone = np.array([[0], [0], [1]], np.float32)
    return [
        StationPieces(0, (channel(whole), channel(whole), channel(torn)), slanted),
        StationPieces(1, (channel(torn), channel(torn), ()), np.eye(3, dtype=np.float32)),
        StationPieces(3, (channel(whole),), alone),
    ]


def raw(stations):
    return [
        RawStation(
            each.number,
            [[RawPiece(p.stretch.samples, p.plan, p.kept) for p in channel] for channel in each.channels],
            each.turn,
        )
        for each in stations
    ]


def agree(device, stations, config):
    expected, alive = np.zeros((4, 3, SAMPLES), np.float32), np.zeros((4, 3, SAMPLES), bool)
    for each in stations:
        _fill(each, config, expected[each.number], alive[each.number])
    data, live = device.zeros(expected.shape, np.float32), device.zeros(expected.shape, np.uint8)
    band = Band(config.sections, config.ramp, config.zero_phase)
    uploads = RawUploads(device)
    band_passed(uploads, raw(stations), band, data, live)
    data, live = device.download(data), device.download(live)
    np.testing.assert_array_equal(live, alive)
    assert alive.any() and not alive.all()
    for found, wanted in zip(data.reshape(-1, SAMPLES), expected.reshape(-1, SAMPLES), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max(), rtol=0)
    return uploads


@with_devices()
@pytest.mark.parametrize("zero_phase", [True, False])
def test_gaps_and_turned_sensors(zero_phase, device):
    config = ContinuousConfig(0.02, (2.0, 15.0), zero_phase=zero_phase)
    agree(device, network(config), config)


@with_devices("shuffled")
@pytest.mark.parametrize(
    ("interval", "offset"),
    [(0.02, 0.0), (0.02, 0.0037), (0.01, 0.003), (0.008, 0.0), (1 / 62.5, 0.001), (0.0100037, 0.0), (0.05, 0.0)],
    ids=["as given", "between samples", "half", "2 to 5", "4 to 5", "any ratio", "coarser"],
)  # fmt: skip
def test_intervals_and_times(interval, offset, device):
    config = ContinuousConfig(0.02, (2.0, 7.0))
    agree(device, network(config, interval, offset=offset), config)


@with_devices("reversed")
@pytest.mark.parametrize("corners", [1, 2, 5, 10])
def test_numbers_of_sections(corners, device):
    config = ContinuousConfig(0.02, (3.0, 12.0), corners=corners)
    agree(device, network(config, gaps=False), config)


@with_devices("forward")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, ">i4"])
def test_types_of_samples(dtype, device):
    config = ContinuousConfig(0.02, (2.0, 15.0))
    agree(device, network(config, dtype=dtype), config)


@with_devices("forward")
def test_low_bands_whose_filter_forgets_slowly(device):
    config = ContinuousConfig(0.02, (0.4, 2.0), corners=4)
    agree(device, network(config, gaps=False), config)


def test_what_is_there_is_not_uploaded_again():
    config = ContinuousConfig(0.02, (2.0, 15.0))
    stations, device = network(config), ShimDevice()
    uploads = RawUploads(device)
    shape = (4, 3, SAMPLES)
    data, live = device.zeros(shape, np.float32), device.zeros(shape, np.uint8)
    for _ in range(2):
        band_passed(uploads, raw(stations), Band(config.sections, config.ramp, True), data, live)
    assert uploads.copied == sum(
        p.stretch.samples.size for each in stations for channel in each.channels for p in channel
    )


def test_too_little_memory_is_said_and_the_need_is_known():
    config = ContinuousConfig(0.02, (2.0, 15.0))
    (station, *_) = raw(network(config))
    need = room_for(station, SAMPLES)
    device = ShimDevice(memory=need // 4)
    shape = (4, 3, 100)
    small = device.zeros(shape, np.float32), device.zeros(shape, np.uint8)
    device.memory = need // 40
    with pytest.raises(DeviceMemoryError):
        band_passed(RawUploads(device), [station], Band(config.sections, config.ramp, True), *small)
