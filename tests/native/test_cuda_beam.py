"""Backprojection on a GPU: the same bits as the C kernel and the NumPy twin (CPU in place of a GPU, and a GPU)."""

import numpy as np
import pytest

from seisflow.detection.backprojection import BackprojectionConfig, Backprojector, Delays, shift_stations
from seisflow.detection.device_features import DeviceFeatures
from seisflow.domain import Features
from seisflow.errors import InputError
from seisflow.native.beam import BeamInput, BeamPlan
from seisflow.native.cuda_beam import CudaBeam
from seisflow.native.device import DeviceMemoryError
from tests.beam_cases import CASES, geometry, make
from tests.cuda_shim.device import ShimDevice
from tests.native.devices import with_devices
from tests.reference import beam_twin


def agree(device, delays, use, given, half=False):
    """Equal bits: GPU, C, twin."""
    plan = BeamPlan(delays, use)
    found = CudaBeam(device, plan, half=half).maximum(given)
    if half:
        with np.errstate(invalid="ignore"):
            values = given.values.astype(np.float16).astype(np.float32)
        given = BeamInput(values, given.live, given.weights, given.least, given.strict)
    compiled = plan.maximum(given, 1)
    for name in ("node", "maximum", "share"):
        np.testing.assert_array_equal(getattr(found, name), getattr(compiled, name), err_msg=name)
    mean, share = beam_twin.beam(
        delays, use, given.values, given.live, given.weights, given.least, given.strict
    )
    value, node, _ = beam_twin.maximum(mean, share)
    np.testing.assert_array_equal(found.node, node)
    np.testing.assert_array_equal(found.maximum, value)
    return found


@with_devices()
@pytest.mark.parametrize("case", CASES)
def test_agrees_in_all_cases(case, device):
    delays, _ = geometry(shape=(5, 4, 4))
    agree(device, delays, *make(delays, nt=500, **CASES[case]))


@with_devices("shuffled")
@pytest.mark.parametrize("nt", [1, 31, 32, 33, 257])
@pytest.mark.parametrize(
    "options", [{"ns": 1}, {"phases": 1}, {"phases": 3}, {"earliest": -40}, {"random": True}], ids=str
)
def test_odd_sizes_and_negative_delays(options, nt, device):
    delays, _ = geometry(shape=(3, 3, 2), **options)
    agree(device, delays, *make(delays, nt=nt, strict=False, gaps=1, even=False))


@with_devices("reversed")
@pytest.mark.parametrize("case", ["noise", "gaps and weights", "ties"])
def test_sources_that_use_some_stations(case, device):
    delays, far = geometry(ns=9, shape=(5, 4, 4))
    use = far < 7.0
    use[:3] = False
    agree(device, delays, *make(delays, nt=400, use=use, **CASES[case]))


@with_devices("forward")
def test_half_precision_is_that_of_rounded_features(device):
    delays, _ = geometry(shape=(4, 4, 3))
    use, given = make(delays, nt=400, gaps=2)
    agree(device, delays, use, given, half=True)
    given.values[0, 0, 7] = 7e4
    given.live[0, 0, 7] = True
    with pytest.raises(InputError, match="half precision"):
        CudaBeam(device, BeamPlan(delays, use), half=True).maximum(given)


@pytest.mark.parametrize("shared", [14 << 10, 20 << 10])
def test_little_shared_memory_gives_more_chunks(shared):
    delays, _ = geometry(shape=(5, 4, 4))
    device = ShimDevice(shared_bytes=shared)
    beam = CudaBeam(device, BeamPlan(delays))
    assert len(beam.tables.chunk) > 2
    agree(device, delays, *make(delays, nt=300))


def test_where_no_source_fits_all_is_exact():
    delays, _ = geometry(ns=40, shape=(2, 2, 2))
    device = ShimDevice(shared_bytes=12 << 10)
    found = agree(device, delays, *make(delays, nt=100))
    assert found.tiles[0] == 0


def test_pieces_that_fit_the_memory_give_the_same():
    delays, _ = geometry(shape=(3, 3, 2))
    use, given = make(delays, nt=2000, gaps=2)
    device = ShimDevice(memory=60_000)
    found = CudaBeam(device, BeamPlan(delays, use)).maximum(given)
    assert device.launches.count("beam_screen") > 2
    expected = BeamPlan(delays, use).maximum(given)
    np.testing.assert_array_equal(found.node, expected.node)
    np.testing.assert_array_equal(found.maximum, expected.maximum)


def test_too_little_memory_is_said():
    delays, _ = geometry(shape=(3, 3, 2))
    device = ShimDevice(memory=20_000)
    beam = CudaBeam(device, BeamPlan(delays))
    device.memory = 100
    with pytest.raises(DeviceMemoryError, match="bytes"):
        beam.maximum(make(delays, nt=500)[1])


@with_devices("shuffled")
@pytest.mark.parametrize("precision", ["single", "half"])
def test_features_of_the_host_and_of_the_device_give_the_same_bits(precision, device):
    samples, _ = geometry(shape=(4, 3, 3))
    _, given = make(samples, nt=300, gaps=2)
    stations, phases = tuple(f"S{n}" for n in range(samples.shape[1])), ("P", "S")
    features = Features(stations, phases, given.values, given.live, 0.0, 0.04, ceilings=(3.0, 1.5))
    there = DeviceFeatures(
        device, stations, phases, device.upload(features.values), device.upload(features.live.view(np.uint8)), 0.0,
        0.04, (3.0, 1.5),
    )  # fmt: skip
    config = BackprojectionConfig(precision=precision, min_stations=2)
    delays = Delays(stations, phases, samples, 0.04)
    beams = [
        Backprojector(delays, config, 1, gpu)(each)
        for gpu, each in ((None, features), (device, features), (device, there), (None, there))
    ]
    for beam in beams[1:]:
        for name in ("maximum", "node", "live"):
            np.testing.assert_array_equal(getattr(beam, name), getattr(beams[0], name))
    moved = [shift_stations(each, 3, 0.1) for each in (features, there)]
    np.testing.assert_array_equal(moved[1].on_host().values, moved[0].values)
    np.testing.assert_array_equal(moved[1].part(20, 90).on_host(5, 30).live, moved[0].part(25, 50).live)
