"""Small versions of the cases of the verification suite (`make verify` runs them whole)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from layered_truth import STRIKE_SLIP, truth

FOLDER = Path(__file__).parents[2] / "benchmarks" / "verify"


@pytest.fixture
def case(monkeypatch):
    """Load a case with its neighbours, and forget them again."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        spec = importlib.util.spec_from_file_location(f"verify_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(FOLDER) in str(sys.modules[name].__file__):
            del sys.modules[name]


def column(found, name):
    return np.array([float(row[list(found.columns).index(name)]) for row in found.rows])


def test_lambs_closed_form_joins_smoothly_and_ends_at_rest(case):
    """The integral of the response is continuous, and its slope at the end is the static displacement, 3/8."""
    lamb = case("lamb")
    tau = np.linspace(0, 3, 300_001)
    found = lamb.step_response_integral(tau)
    assert np.all(found[tau < 1 / np.sqrt(3)] == 0)
    assert np.abs(np.diff(found)).max() < 2e-3
    assert -np.diff(found)[-1] / (tau[1] - tau[0]) == pytest.approx(3 / 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit"),
    [("full_space", 1.5), ("lamb", 1.6), ("layers", 1.0), ("loh1", 4.0), ("loh3", 5.0), ("contrast", 4.0)],
)
def test_small_case(case, name, limit):
    found = case(name).run(quick=True)
    assert column(found, "L2 %").max() < limit
    assert found.figure is not None and found.headline


@pytest.mark.slow
def test_small_long_run(case):
    found = case("long_run").run(quick=True)
    assert len(found.rows) == 8
    assert column(found, "last tenth over peak").max() < 1e-3
    assert column(found, "last tenth over the tenth before").max() < 1.5


def test_the_lossy_reference_without_loss_is_the_elastic_one():
    """And with it waves are weaker; PyGRT agreed with both within 0.05 percent (LOH.3)."""
    layers = [(1000.0, 4000.0, 2000.0, 2600.0), (np.inf, 6000.0, 3464.0, 2700.0)]

    def found(*q):
        given = [(*layer, *q) for layer in layers]
        return truth(given, STRIKE_SLIP, 2000.0, [(3000.0, 4000.0)], 1.0, 6.0, reference=0.1 if q else None)[
            1
        ]

    elastic = found()
    assert np.abs(found(1e8, 1e8) - elastic).max() < 1e-5 * np.abs(elastic).max()
    assert np.abs(found(np.inf, 20.0)).max() < 0.97 * np.abs(elastic).max()
