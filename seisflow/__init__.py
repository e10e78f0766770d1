"""seisflow: a seismic tomography workflow engine."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["__version__", "open_project"]

__version__ = "0.1.0"


def open_project(path: str | os.PathLike[str] = ".") -> Any:
    """Open a project in a notebook: events, models, measurements, waveforms; see ``docs/notebook.md``.

    Parameters
    ----------
    path : path
        The project folder, or a folder in it.

    Returns
    -------
    seisflow.steps.view.ProjectView
        Nothing of it writes to the project.

    Raises
    ------
    MissingError
        If there is no project.
    ConfigError
        If its configuration is wrong.
    """
    from importlib import import_module  # by name: everything imports this module for the version

    return import_module("seisflow.steps.view").open_project(path)
