"""Stated errors hold the truth on a network that no constant was chosen on; benchmarks/calibration.py has five.

One hour alone scatters by 0.05; this is the middle one of the five.
"""

import runpy
from pathlib import Path

import numpy as np
import pytest
import tiny
from scipy.stats import chi2

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "calibration.py"


@pytest.mark.slow
def test_stated_errors_hold_in_60_to_76_percent_of_an_hour_of_earthquakes_that_share_nothing(tmp_path):
    known = runpy.run_path(str(BENCHMARK))
    known["make_project"](tmp_path, "single", 103)
    found = tiny.seisflow("detect", "-p", tmp_path, "--pictures", 0)
    assert found.returncode == 0, found.stderr
    samples = known["samples"](tmp_path, 103)
    assert len(samples) > 60
    for region, axes in (("place", 3), ("time", 1)):
        inside = np.mean([each.squared[region] <= chi2.ppf(0.68, axes) for each in samples])
        assert 0.60 <= inside <= 0.76, region
