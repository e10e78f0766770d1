"""A search whose features are mixed with what a network of SeisBench says, loaded from a folder."""

import importlib

import numpy as np
import pytest
import tiny
import tiny_network as tn

from seisflow.io.catalog_files import load_catalog

STRONG = np.array([quake.time for quake in tn.QUAKES if quake.strong]) + tn.MIDNIGHT


def saved(root, seed):
    """Save a PhaseNet of random weights in the project."""
    models = pytest.importorskip("seisbench.models", reason="SeisBench is not installed")
    importlib.import_module("torch").manual_seed(seed)
    (root / "weights").mkdir(exist_ok=True)
    models.PhaseNet(phases="PSN", norm="std").save(str(root / "weights" / "mine"))


def with_picker(root, weight):
    """Mix what it says into the features."""
    picker = f"  picker: {{kind: seisbench, name: PhaseNet, path: weights/mine, weight: {weight}}}\n"
    tiny.change_config(root, "  sampling: 0.02\n", f"{picker}  sampling: 0.02\n")


def detected(run, root):
    code, out, error = run("detect", "-p", root)
    assert code == 0, error
    return load_catalog(root / "detection" / "catalog.h5"), out + error


@pytest.mark.slow
def test_a_network_is_mixed_into_the_features_by_its_weight(run, network, network_done_source, tmp_path):
    saved(network, 3)
    other = tiny.copy(network, tmp_path / "other")
    with_picker(network, 0.0)
    alone = load_catalog(network_done_source / "detection" / "catalog.h5")
    found, _ = detected(run, network)
    np.testing.assert_array_equal(found.times, alone.times)  # no weight, no difference
    with_picker(other, 0.2)
    mixed, _ = detected(run, other)
    beams = np.array([each.time for each in mixed if each.method == "beam"])
    assert all(np.abs(beams - time).min() < 0.15 for time in STRONG)
    before = {each.id: each.value for each in alone if each.method == "beam"}
    after = {each.id: each.value for each in mixed if each.method == "beam"}
    assert before != after
    # the weights are an input like the recordings
    assert "mine.pt" not in run("status", "-p", other)[1]
    saved(other, 4)
    assert "weights/mine.pt changed" in run("status", "-p", other)[1]


def test_weights_that_are_not_there_are_named_before_work(run, network):
    pytest.importorskip("seisbench.models", reason="SeisBench is not installed")
    with_picker(network, 0.2)
    code, _, error = run("detect", "-p", network)
    assert code != 0 and "weights/mine.pt is not there" in error
    assert not (network / "detection" / "2026-03-01").exists()
