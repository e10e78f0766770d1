"""Every misfit on the recordings of docs/bayarea.md, against frequency-wavenumber seismograms of GIL7."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from seisflow.misfits import MisfitConfig, create, measure_gather
from seisflow.windows import select
from tests.realdata import test_bayarea as bay

pytestmark = pytest.mark.realdata
case = bay.case


@pytest.fixture(scope="module")
def measured(case):
    """Observed and synthetic on the same times, their windows, and the band."""
    stage = case.project.config.stages[0]
    synthetic = case.greens
    samples = min(synthetic.samples, bay.AFTER + 1)
    before = np.zeros((*synthetic.data.shape[:2], bay.BEFORE))
    data = np.concatenate([before, synthetic.data[..., :samples]], axis=2)
    observed = case.observed
    observed = observed.with_data(observed.data[..., : data.shape[2]])
    synthetic = observed.with_data(data, live=None)
    windows, _ = select(observed, synthetic, case.event, stage.windows, stage.periods)
    return observed, synthetic, windows, stage.periods


@pytest.fixture(params=get_args(MisfitConfig), ids=lambda config: config().kind)
def misfit(request, measured):
    return create(request.param(), measured[3])


def test_windows_of_recordings_are_measured(misfit, measured):
    observed, synthetic, windows, _ = measured
    found = measure_gather(misfit, observed, synthetic, windows, strict=False)
    print(f"{len(found.rows)} of {len(windows)} windows, misfit a window {found.value / len(found.rows):.4g}")
    for row in found.rejections:
        print(row.reason)
    assert len(windows) > 22
    assert len(found.rows) >= 0.9 * len(windows) and len(found.rows) + len(found.rejections) == len(windows)
    assert found.value > 0 and np.all(np.isfinite(found.adjoint.data))


def test_the_adjoint_source_of_recordings_is_the_derivative(misfit, measured):
    observed, synthetic, windows, _ = measured
    base = measure_gather(misfit, observed, synthetic, windows, strict=False)
    kept = [row.window for row in base.rows]
    # along the recordings themselves, so that the direction has their spectrum
    direction = np.roll(observed.data, 3, axis=2)
    direction *= np.linalg.norm(synthetic.data) / np.linalg.norm(direction)

    def value(step):
        moved = synthetic.with_data(synthetic.data + step * direction)
        return measure_gather(misfit, observed, moved, kept).value

    predicted = np.sum(base.adjoint.data * direction) * synthetic.interval
    h = 1e-3
    found = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    assert found == pytest.approx(predicted, rel=1e-6)
