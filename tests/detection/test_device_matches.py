"""Matches found on a GPU are those found on the processor."""

from dataclasses import replace

import numpy as np
import pytest

from seisflow.detection.correlation import MatchedFilterConfig, time_reversed
from seisflow.detection.matches import MatchConfig
from seisflow.detection.threshold import ThresholdConfig
from seisflow.detection_config import MatchingConfig
from seisflow.signal.continuous_config import ContinuousConfig
from seisflow.steps.detect.match import MatchedFilter
from tests.filter_cases import network
from tests.native.devices import open_test_device, with_devices


@pytest.fixture
def device(request):
    """The device that ``with_devices`` names."""
    return open_test_device(request.param)


LIMITS = [
    ThresholdConfig(mad=4.0, window=200.0),
    ThresholdConfig(mad=4.0, window=900.0, overlap=0.0),
    ThresholdConfig(kind="constant", constant=0.08),
    ThresholdConfig(kind="rate", rate=3.0, mad=4.5, window=300.0),
]


@with_devices("forward")
@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("part", [1.0, 0.7])
def test_the_same_matches(limits, part, device):
    day, template = network(hidden=((300.0, 1.0), (700.0, 0.6)))
    day.live[1, :, 4000:9000] = False
    day.live[:, :, 12000:12600] = False
    templates = [template, time_reversed(template), replace(network(seed=9)[1], id="ev2")]
    config = MatchingConfig(
        ContinuousConfig(interval=0.05, band=(1.0, 5.0)),
        filter=MatchedFilterConfig(min_live=0.5),
        matches=MatchConfig(threshold=limits),
    )
    host = MatchedFilter(templates, np.eye(3), config, 1).peaks(day, part)
    found = MatchedFilter(templates, np.eye(3), config, 1, device).peaks(day, part)
    assert len(host.peaks) > (5 if part < 1 else 1)
    assert [(m.time, m.template) for m in found.peaks] == [(m.time, m.template) for m in host.peaks]
    for name, tolerance in (("value", 2e-6), ("threshold", 2e-6), ("shift", 2e-3)):
        mine, theirs = ([getattr(match, name) for match in some.peaks] for some in (found, host))
        np.testing.assert_allclose(mine, theirs, atol=tolerance)
    assert found.live == pytest.approx(host.live)
