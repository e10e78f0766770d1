"""New projects: an empty one, or a shipped example."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from seisflow.errors import InputError, MissingError
from seisflow.io.atomic import publish
from seisflow.project import CONFIG_NAME

__all__ = ["create_project", "examples"]

TEMPLATE = "template"
FOLDERS = ("events", "stations", "observed", "models")


def examples() -> tuple[str, ...]:
    """Names of the shipped examples, sorted."""
    return tuple(
        sorted(
            entry.name
            for entry in files("seisflow.data").iterdir()
            if entry.name != TEMPLATE and (entry / CONFIG_NAME).is_file()
        )
    )


def create_project(root: Path, example: str | None = None) -> list[Path]:
    """Make a project folder: with a commented configuration, or as a copy of an example.

    Parameters
    ----------
    root : Path
        Must not hold a project yet.
    example : str, optional

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    InputError
        If there is a project already; nothing is changed.
    MissingError
        If there is no such example.
    """
    if (root / CONFIG_NAME).exists():
        raise InputError(f"{root}: holds a project already ({CONFIG_NAME}); choose another folder")
    if example is None:
        source: Traversable = files("seisflow.data") / TEMPLATE
    elif example in examples():
        source = files("seisflow.data") / example
    else:
        raise MissingError(f"there is no example {example!r}; there are {', '.join(examples())}")
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    written = []
    found = sorted(
        _files(source, ""), key=lambda pair: pair[0] == CONFIG_NAME
    )  # the configuration comes last
    for name, entry in found:
        with publish(root / name) as path:
            path.write_bytes(entry.read_bytes())
        written.append(root / name)
    return written


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(".py"):
            yield prefix + entry.name, entry
