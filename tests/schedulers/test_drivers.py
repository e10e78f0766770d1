"""When a driver in the queue gives up, and when it goes on; the batch system is told what to say."""

from __future__ import annotations

import pytest

from seisflow.schedulers import submission


@pytest.mark.parametrize(
    ("running", "waiting", "before", "count", "told"),
    [
        (0, 0, 0, 1, "nothing of it runs or waits"),  # its time limit is too short for anything
        (0, 3, 4, 4, ""),  # the queue is full
        (1, 3, 0, 1, ""),  # what runs is taken over
        (2, 0, 4, 5, "in 5 jobs in a row"),
    ],
)
def test_a_driver_that_finished_nothing(monkeypatch, tmp_path, running, waiting, before, count, told):
    monkeypatch.setattr(submission, "job_folders", lambda root: [root])
    monkeypatch.setattr(submission, "_round", lambda folder, root: {"running": running, "waiting": waiting})
    found, reason = submission._idle(tmp_path, before)
    assert found == count
    assert told in reason and bool(told) == bool(reason)
