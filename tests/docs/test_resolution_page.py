"""The examples of the page on resolution run, one after the other, in a project whose first iteration is done."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "resolution.md"


def test_examples_run(run, done, monkeypatch, capsys):
    monkeypatch.chdir(done)
    text = PAGE.read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    made = [line for line in lines if line.startswith("seisflow resolution")]
    assert len(made) == 3
    for line in made:
        code, _, error = run(*shlex.split(line)[1:])
        assert code == 0, error
    assert all((done.parent / name / "truth" / "model.nc").is_file() for name in ("board", "spikes"))
    assert run("iterate", "-p", "../board", "-i", 1, "--through", 5, "--dry-run")[0] == 0
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(compile(block, PAGE.name, "exec"), names)
    assert names["found"]["path"].is_file() and len(names["found"]["response"]["core"]) == 3
    assert "seed is 20260601" in text
