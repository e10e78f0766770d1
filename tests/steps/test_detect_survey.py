"""Recordings as detection reads them."""

import numpy as np
import tiny_network as tn

from seisflow.project import Project
from seisflow.steps.detect import survey


def test_station_by_station_reads_what_is_read_at_once(network, monkeypatch):
    path = next(iter(sorted((network / "waveforms").glob("*T1.HHN*"))))
    path.write_bytes(path.read_bytes()[:6_000])  # a file that ends early
    found = survey.Survey.open(Project.open(network))
    assert found.config.matching is not None
    wanted = (tn.MIDNIGHT - 200, tn.MIDNIGHT + 200, [found.config.matching.recordings])
    (whole,), said = found.recordings(*wanted)
    monkeypatch.setattr(survey, "_LONG", 1.0)
    (parts,), again = found.recordings(*wanted)
    np.testing.assert_array_equal(parts.data, whole.data)
    np.testing.assert_array_equal(parts.live, whole.live)
    assert (parts.start, parts.interval) == (whole.start, whole.interval)
    assert sorted(again) == sorted(said)
