"""Detection of a day on a GPU (here the CPU in place of one) gives the catalog of the processor."""

import shutil

import numpy as np
import pytest

from seisflow.errors import MissingError
from seisflow.io.beam_files import read_beam
from seisflow.io.catalog_files import load_catalog
from seisflow.native.cuda import gpu_problem, open_device
from seisflow.native.device import DeviceMemoryError
from seisflow.project import Project
from seisflow.steps.detect import day as day_step
from seisflow.steps.detect import device_recordings as device_recordings_step
from seisflow.steps.detect import match as match_step
from seisflow.steps.detect.day import beam_path, run_day
from seisflow.steps.detect.match import match_day, matched_path
from seisflow.steps.detect.survey import Survey
from tests.cuda_shim.device import COMPILER, ShimDevice


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler (g++)")
def test_a_day_on_a_device_is_that_of_the_processor(network_done_source, tmp_path, monkeypatch):
    root = tmp_path / "project"
    shutil.copytree(network_done_source, root)
    survey = Survey.open(Project.open(root))
    day = survey.days()[0]
    before = read_beam(beam_path(survey, day)), load_catalog(matched_path(survey, day))
    device, uploads = ShimDevice("shuffled"), []

    def upload(self, array, whole=ShimDevice.upload):
        uploads.append(array.size)
        return whole(self, array)

    monkeypatch.setattr(ShimDevice, "upload", upload)
    for step in (day_step, match_step):
        monkeypatch.setattr(step, "device_of", lambda project: device)
    shutil.rmtree(root / "records", ignore_errors=True)
    for path in (beam_path(survey, day), matched_path(survey, day)):
        path.unlink()
    run_day(survey, day, 1, lambda part: None)
    match_day(survey, survey.config.matching, day, 1, lambda part: None)
    chain = {"signal_sections", "feature_ratio", "beam_screen", "filter_direct", "filter_peaks"}
    assert chain <= set(device.launches)
    after = read_beam(beam_path(survey, day)), load_catalog(matched_path(survey, day))
    found, expected = after[0].beam, before[0].beam
    np.testing.assert_array_equal(found.node < 0, expected.node < 0)
    np.testing.assert_allclose(found.maximum, expected.maximum, atol=1e-5)
    assert np.mean(found.node == expected.node) > 0.999  # features differ by what single precision resolves
    np.testing.assert_allclose(after[0].null, before[0].null, atol=1e-5)
    # features and filtered recordings never went up: only what 24 channels recorded, once for each step
    large = [size for size in uploads if size > 12_000]
    assert len(large) <= 50
    assert max(large) < 14_000
    assert [each.id for each in after[1]] == [each.id for each in before[1]]
    np.testing.assert_allclose([e.value for e in after[1]], [e.value for e in before[1]], atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler (g++)")
def test_a_device_with_little_memory_keeps_features_in_a_file(network_done_source, tmp_path, monkeypatch):
    root = tmp_path / "project"
    shutil.copytree(network_done_source, root)
    survey = Survey.open(Project.open(root))
    day = survey.days()[0]
    before = read_beam(beam_path(survey, day)).beam
    beam_path(survey, day).unlink()
    device, halves = ShimDevice(), []
    whole = device_recordings_step.band_passed

    def scarce(uploads, stations, *more):
        halves.append(len(stations))
        if len(stations) > 3:
            raise DeviceMemoryError("taken by others")
        whole(uploads, stations, *more)

    monkeypatch.setattr(device_recordings_step, "band_passed", scarce)
    monkeypatch.setattr(day_step, "_SHARE", 0.0)
    monkeypatch.setattr(day_step, "device_of", lambda project: device)
    run_day(survey, day, 1, lambda part: None)
    found = read_beam(beam_path(survey, day)).beam
    assert {8, 4, 2} <= set(halves)
    assert "beam_screen" in device.launches
    np.testing.assert_allclose(found.maximum, before.maximum, atol=1e-5)


@pytest.mark.skipif(gpu_problem() is None, reason="there is a GPU")
def test_a_gpu_that_is_demanded_must_be_there():
    assert open_device("auto") is None
    assert open_device("cpu") is None
    with pytest.raises(MissingError, match=r"device = gpu: CuPy .*(pip install|no GPU).*set device = cpu"):
        open_device("gpu")
