"""The page of misfits names all of them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from seisflow.misfits import MisfitConfig

PAGE = Path(__file__).parents[2] / "docs" / "misfits.md"


@pytest.mark.parametrize("kind", [config().kind for config in get_args(MisfitConfig)])
def test_every_misfit_has_its_formula(kind):
    text = PAGE.read_text()
    assert f"**{kind}**" in text and f"`{kind}`" in text
