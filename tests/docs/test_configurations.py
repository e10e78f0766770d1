"""Whole configurations in the pages, and those of the examples, are accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seisflow.config_file import load

ROOT = Path(__file__).parents[2]


def configurations() -> list[tuple[str, str]]:
    """YAML blocks of the pages that are a whole configuration, and the examples."""
    found = [
        (page.name, block)
        for page in sorted((ROOT / "docs").glob("*.md"))
        for block in re.findall(r"```yaml\n(name:.*?)```", page.read_text(), re.DOTALL)
    ]
    examples = sorted((ROOT / "data").glob("*/seisflow.yaml"))
    return found + [
        (path.parent.name, path.read_text()) for path in examples if path.parent.name != "template"
    ]


@pytest.mark.parametrize(("name", "text"), configurations())
def test_configuration_is_accepted(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "seisflow.yaml"
    path.write_text(text)
    assert load(path).region.width > 0


def test_the_pages_of_detection_have_theirs() -> None:
    assert {"rutford.md", "swarm", "germany"} <= {name for name, _ in configurations()}
