"""Events of an iteration meet on a GPU (here the CPU in place of one): one task each, some of them in one launch."""

import numpy as np
import pytest
from seisflow.workflows.iterate import Evaluation, evaluate
from seisflow.workflows.running import PlainRunner

from seisflow.project import Project
from seisflow.solvers.together import Meeting
from seisflow.steps import event as event_step
from tests import tiny
from tests.cuda_shim.device import COMPILER, ShimDevice


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler (g++)")
def test_events_of_an_iteration_meet_on_a_device(project, tmp_path, monkeypatch):
    tiny.change_config(project, "compute: {cores: 2}", "compute: {cores: 4}")
    other = tiny.copy(project, tmp_path / "other")
    device, found = ShimDevice(), []
    for root, used in ((project, device), (other, None)):
        monkeypatch.setattr(event_step, "device_of", lambda project, used=used: used)
        opened = Project.open(root)
        evaluate(opened, 1, 0, opened.event_ids, PlainRunner())
        evaluation = Evaluation(opened, 1, 0)
        found.append([evaluation.done(name) for name in opened.event_ids])
    sizes = Meeting.of(device).sizes
    assert sum(sizes) == 7  # four events forward, three of them back: one is held out
    assert max(sizes) > 1
    for mine, theirs in zip(*found, strict=True):
        assert mine["windows"] == theirs["windows"] > 0
        assert mine["misfit"] == pytest.approx(theirs["misfit"], rel=1e-3)
    assert np.isfinite([each["misfit"] for each in found[0]]).all()
