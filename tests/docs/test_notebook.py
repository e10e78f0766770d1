"""The examples of the notebook page run, one after the other, in a project whose first iteration is done."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "notebook.md"


@pytest.fixture
def no_windows():
    """Figures go nowhere."""
    with mpl.rc_context({"backend": "agg"}):
        import matplotlib.pyplot as plt

        plt.switch_backend("agg")
        yield
        plt.close("all")


def test_examples_run(done, monkeypatch, capsys, no_windows):
    monkeypatch.chdir(done)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    names = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    out = capsys.readouterr().out
    assert out.startswith("<seisflow project 'tiny'") and "km displacement" in out
    assert names["late"].index.str.startswith("XX.S").all()
    assert names["profile"].dims == ("z",) and np.isfinite(names["profile"]).all()
    assert 0 < int(names["trusted"].notnull().sum()) < names["trusted"].size
    assert {trace.stats.location for trace in names["both"]} == {"OB", "SY"}
