"""Every misfit on the recordings of docs/bayarea.md, against seismograms of GIL7 by another method, in three bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest

from seisflow.domain import Gather, Measurements, Window
from seisflow.misfits import MisfitConfig, create, measure_gather
from seisflow.signal.bandpass import BandPass
from seisflow.windows import select
from tests.realdata import test_bayarea as bay

pytestmark = pytest.mark.realdata
case = bay.case
BANDS = ((20.0, 50.0), (28.0, 50.0), (20.0, 32.0))


@dataclass
class Pair:
    """Observed and synthetic on the same times, their windows, and the band."""

    observed: Gather
    synthetic: Gather
    windows: list[Window]
    band: tuple[float, float]

    def measure(self, config, synthetic=None, windows=None, strict=True) -> Measurements:
        misfit = create(config, self.band)
        return measure_gather(
            misfit, self.observed, synthetic or self.synthetic, windows or self.windows, strict=strict
        )


@pytest.fixture(scope="module", params=BANDS, ids=lambda band: f"{band[0]:g}-{band[1]:g} s")
def pair(case, request) -> Pair:
    """Both were band-passed from 20 to 50 s; narrower bands are cut out of both alike, windows are the same."""
    stage, observed, synthetic = case.project.config.stages[0], case.observed, case.greens
    before = np.zeros((*synthetic.data.shape[:2], bay.BEFORE))
    data = np.concatenate([before, synthetic.data], axis=2)[..., : observed.samples]
    gathers = [observed.with_data(observed.data[..., : data.shape[2]]), observed.with_data(data)]
    windows, _ = select(*gathers, case.event, stage.windows, BANDS[0])
    if request.param != BANDS[0]:
        narrow = BandPass(data.shape[2], observed.interval, request.param, 3)
        gathers = [gather.with_data(narrow.apply(gather.data)) for gather in gathers]
    return Pair(*gathers, windows, request.param)


@pytest.mark.parametrize("config", get_args(MisfitConfig), ids=lambda config: config().kind)
def test_windows_of_recordings_are_measured(pair, config):
    """And the adjoint source is the derivative, along the recordings themselves."""
    base = pair.measure(config(), strict=False)
    kept = [row.window for row in base.rows]
    mean, lost = base.value / len(kept), len(base.rejections)
    print(f"\n| {config().kind} | {pair.band[0]:g}-{pair.band[1]:g} s | {len(kept)} | {lost} | {mean:.3g} |")
    for row in base.rejections:
        print(row.reason)
    assert len(pair.windows) > 22 and len(kept) + lost == len(pair.windows)
    assert len(kept) >= 0.75 * len(pair.windows)
    direction = np.roll(pair.observed.data, 3, axis=2)
    direction *= np.linalg.norm(pair.synthetic.data) / np.linalg.norm(direction)

    def value(step):
        moved = pair.synthetic.with_data(pair.synthetic.data + step * direction)
        return pair.measure(config(), moved, kept).value

    predicted = np.sum(base.adjoint.data * direction) * pair.synthetic.interval
    h = 3e-4
    found = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    assert found == pytest.approx(predicted, rel=1e-6)
