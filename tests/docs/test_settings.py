"""The page of all settings says what the program has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_that_of_the_program():
    spec = importlib.util.spec_from_file_location("make_settings", ROOT / "docs" / "make_settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "settings.md").read_text() == module.page(), "run python docs/make_settings.py"


def test_every_key_has_a_text():
    rows = [
        line for line in (ROOT / "docs" / "settings.md").read_text().splitlines() if line.startswith("| `")
    ]
    empty = [row for row in rows if row.endswith("|  |") and not row.startswith("| `kind`")]
    assert len(rows) > 80 and not empty
