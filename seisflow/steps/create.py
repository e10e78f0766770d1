"""New projects: an empty one, or an example, shipped or made on the spot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from seisflow.errors import InputError, MissingError
from seisflow.io.atomic import publish
from seisflow.project import CONFIG_NAME

__all__ = ["create_project", "examples", "next_commands", "what_was_made"]

TEMPLATE = "template"
FOLDERS = ("events", "stations", "observed", "models")
SCRIPTS = {"germany": "seisflow.data.make_germany", "swarm": "seisflow.data.make_swarm"}
"""Examples too big, or not ours, to ship: ``make(folder)`` of a module writes what is beside the shipped files."""
NEXT = {
    "germany": ("seisflow detect", "seisflow catalog compare reference.xml --time 10 --distance 80"),
    "swarm": ("seisflow detect", "seisflow catalog compare truth.csv"),
}
"""First commands for the examples; for the others an iteration."""


def examples() -> tuple[str, ...]:
    """Names of the examples, sorted."""
    return tuple(
        sorted(
            entry.name
            for entry in files("seisflow.data").iterdir()
            if entry.name != TEMPLATE and (entry / CONFIG_NAME).is_file()
        )
    )


def create_project(root: Path, example: str | None = None) -> list[Path]:
    """Make a project folder: with a commented configuration, or an example.

    The configuration is written last, so that what a killed call leaves is no project, and the same call goes on.

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
        If there is no such example, or a package that carries its recordings is not installed; nothing is changed.
    """
    if (root / CONFIG_NAME).exists():
        raise InputError(f"{root}: holds a project already ({CONFIG_NAME}); choose another folder")
    if example is None:
        source: Traversable = files("seisflow.data") / TEMPLATE
    elif example in examples():
        source = files("seisflow.data") / example
    else:
        raise MissingError(f"there is no example {example!r}; there are {', '.join(examples())}")
    written: list[Path] = []
    if example in SCRIPTS:
        written += import_module(SCRIPTS[example]).make(root)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    found = sorted(
        _files(source, ""), key=lambda pair: pair[0] == CONFIG_NAME
    )  # the configuration comes last
    for name, entry in found:
        with publish(root / name) as path:
            path.write_bytes(entry.read_bytes())
        written.append(root / name)
    return written


def what_was_made(root: Path, written: list[Path]) -> list[str]:
    """One line for each folder of a new project, and for each file beside them: how many files, how large.

    Parameters
    ----------
    root : Path
        Of the project.
    written : list of Path
        Files, from ``create_project``.
    """
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path in written:
        parts = path.relative_to(root).parts
        name = f"{parts[0]}/" if len(parts) > 1 else parts[0]
        counts[name] += 1
        sizes[name] += path.stat().st_size
    lines = []
    for name in sorted(counts, key=lambda name: (not name.endswith("/"), name)):
        files_there = "" if not name.endswith("/") else f"{counts[name]} file{'s' * (counts[name] > 1)}, "
        lines.append(f"{name:<16} {files_there}{_size(sizes[name])}")
    return lines


def next_commands(root: Path, example: str) -> list[str]:
    """Commands to run first in an example, with the project that they are for."""
    commands = NEXT.get(example, ("seisflow iterate --iteration 1",))
    return [f"{command} --project {root}" for command in commands]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(".py"):
            yield prefix + entry.name, entry
