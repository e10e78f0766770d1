"""The misfit of docs/adding_a_misfit.md works as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pulses import check_derivative, measure, noise, pulse

from seisflow.errors import InputError, PhysicsError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hybrid(monkeypatch):
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "adding_a_misfit.md").read_text(), re.DOTALL
    )
    module = ModuleType("hybrid")
    monkeypatch.setitem(sys.modules, "hybrid", module)
    exec(compile(code, "docs/adding_a_misfit.md", "exec"), module.__dict__)
    return module.HybridConfig


def test_the_misfit_of_the_page_is_exact(hybrid):
    observed, synthetic = pulse(50.7) + noise(1, 0.3), pulse(50.0)
    for level in (0.1, 5.0):
        check_derivative(hybrid(level=level), observed, synthetic)
    far, near = (measure(hybrid(), pulse(50.0 + lag), synthetic)[0].value for lag in (1.0, 0.1))
    assert far > near > 0


def test_its_settings_and_zeros_are_checked(hybrid):
    with pytest.raises(InputError, match="level = 0"):
        hybrid(level=0.0)
    with pytest.raises(PhysicsError, match=r"synthetic .* is zero"):
        measure(hybrid(), pulse(50.0), np.zeros(1000))
