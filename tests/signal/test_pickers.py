"""Pickers beside the features."""

import sys
from types import ModuleType

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from seisflow.errors import InputError, MissingError
from seisflow.signal.pickers import PickAxis, PickerConfig, load_picker, on_axis

AXIS = PickAxis(("XX.A", "XX.B"), ("P", "S"), 1000.0, 0.04, 500)


def annotation(station, phase, start, values, delta=0.01):
    header = {
        "network": "XX", "station": station, "channel": f"PhaseNet_{phase}",
        "starttime": UTCDateTime(start), "delta": delta,
    }  # fmt: skip
    return Trace(np.asarray(values, dtype=np.float32), header)


def test_annotations_keep_their_time_and_height():
    values = np.zeros(1500)
    values[701] = 0.9  # a single sample, between two of the axis
    found = on_axis(Stream([annotation("B", "S", 1001.0, values)]), AXIS)
    assert np.isnan(found[0]).all() and np.isnan(found[1, 0]).all()
    known = np.isfinite(found[1, 1])
    times = 1000 + 0.04 * np.arange(500)
    np.testing.assert_array_equal(known, (times >= 1001) & (times <= 1015.99))
    best = int(np.nanargmax(found[1, 1]))
    assert abs(times[best] - 1008.01) <= 0.04 and found[1, 1, best] == pytest.approx(0.9, abs=1e-6)


def test_the_larger_of_two_annotations_counts():
    stream = Stream(
        [annotation("A", "P", 1000.0, np.full(1000, 0.2)), annotation("A", "P", 1005.0, np.full(1000, 0.6))]
    )
    found = on_axis(stream, AXIS)[0, 0]
    assert found[100] == pytest.approx(0.2) and found[200] == pytest.approx(0.6)


def test_a_function_is_loaded_by_its_name(monkeypatch, tmp_path):
    module = ModuleType("my_pickers")
    module.half = lambda stream, axis: np.full((len(axis.stations), len(axis.phases), axis.samples), 0.5)
    monkeypatch.setitem(sys.modules, "my_pickers", module)
    picker = load_picker(PickerConfig("function", "my_pickers:half"), tmp_path)
    assert picker(Stream(), AXIS).shape == (2, 2, 500)
    for name in ("my_pickers:whole", "nowhere_at_all:half"):
        with pytest.raises(MissingError, match="cannot be imported"):
            load_picker(PickerConfig("function", name), tmp_path)


def test_settings_that_cannot_be_are_refused():
    for settings in ({"name": "no_colon"}, {"name": "a:b", "weight": 2.0}):
        with pytest.raises(InputError, match="picker"):
            PickerConfig("function", **settings)
    with pytest.raises(InputError, match="path"):
        PickerConfig("seisbench", "PhaseNet")


def test_a_model_of_seisbench_is_loaded_from_a_path(tmp_path):
    models = pytest.importorskip("seisbench.models", reason="SeisBench is not installed")
    model = models.PhaseNet(phases="PSN", norm="std")
    model.save(str(tmp_path / "mine"))
    picker = load_picker(PickerConfig("seisbench", "PhaseNet", "mine"), tmp_path)
    random = np.random.default_rng(0)
    traces = [
        Trace(random.standard_normal(6000), {"network": "XX", "station": "A", "channel": f"HH{c}",
              "starttime": UTCDateTime(1000), "delta": 0.01})
        for c in "ZNE"
    ]  # fmt: skip
    found = picker(Stream(traces), AXIS)
    assert np.isfinite(found[0]).any() and np.isnan(found[1]).all()
    assert np.nanmin(found) >= 0 and np.nanmax(found) <= 1
    with pytest.raises(MissingError, match="other"):
        load_picker(PickerConfig("seisbench", "PhaseNet", "other"), tmp_path)
