"""The commands ``seisflow submit``, ``cancel`` and ``profile``, and what jobs call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["element"]


def element(folder: Path, array: int, index: int) -> None:
    """Do one element of an array; jobs call this."""
    from seisflow.workflows.elements import run_elements

    raise typer.Exit(run_elements(folder, array, index))
