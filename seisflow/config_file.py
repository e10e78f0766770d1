"""Reading ``seisflow.yaml``: unknown keys are refused with the nearest known one, all faults told with their lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ValidationError

from seisflow.config import Config
from seisflow.errors import ConfigError, MissingError
from seisflow.schedulers.config import BATCH_SYSTEMS, RunConfig

__all__ = ["load", "load_profile"]


def load(path: Path) -> Config:
    """Read and check a configuration.

    Raises
    ------
    MissingError
        If the file is not there.
    ConfigError
        With a line for each fault: where, what was found, what would do.
    """
    tree, values = _read(path)
    faults = list(_repeated(tree, set()))
    if isinstance(values.get("run"), str) and values["run"].endswith((".yaml", ".yml")):
        place, profile = (
            f"line {_place(tree, ['run'])[0]}: run",
            path.parent / Path(values["run"]).expanduser(),
        )
        try:
            values["run"] = load_profile(profile).model_dump(mode="json")
        except ConfigError as error:
            faults.append(f"{place}: {error}")
            del values["run"]
    config, more = _checked(Config, tree, values)
    return _whole(path, config, [*faults, *more])


def load_profile(path: Path) -> RunConfig:
    """Read and check a profile: a file that holds what could stand below ``run``.

    Raises
    ------
    ConfigError
        As ``load`` does; also if the file is not there.
    """
    try:
        tree, values = _read(path)
    except MissingError:
        raise ConfigError(
            f"{path}: there is no such profile; `seisflow profile slurm` prints one to start from"
        ) from None
    faults = [*_repeated(tree, set())]
    profile, more = _checked(_Profile, tree, {"run": values}, ["run"])
    return _whole(path, profile, [*faults, *more]).run


class _Profile(BaseModel):
    run: RunConfig


Checked = TypeVar("Checked", bound=BaseModel)


def _whole(path: Path, found: Checked | None, faults: list[str]) -> Checked:
    if faults or found is None:
        head = f"{path}: {len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise ConfigError("\n  ".join([head, *faults]))
    return found


def _read(path: Path) -> tuple[Any, dict[str, Any]]:
    """A YAML file as a tree with line numbers, and as values."""
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingError(
            f"{path}: no configuration there; `seisflow init {path.parent}` makes one"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file ({error.reason} at byte {error.start})") from None
    try:
        tree = yaml.compose(source, Loader=yaml.SafeLoader)
        values = yaml.safe_load(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no settings; `seisflow init DIR` makes a commented example")
    if faults := list(_no_numbers(tree, [], set())):
        _whole(path, None, faults)
    return tree, values


def _checked(
    kind: type[Checked], tree: Any, values: dict[str, Any], above: list[int | str] | None = None
) -> tuple[Checked | None, list[str]]:
    """Values as a configuration, or a sentence for each fault; the file holds what is below ``above``."""
    try:
        return kind.model_validate(values), []
    except ValidationError as error:
        found: list[dict[str, Any]] = [dict(fault) for fault in error.errors(include_url=False)]
    places, faults = [tuple(fault["loc"]) for fault in found], []
    for fault in found:
        here = tuple(fault["loc"])
        inside = any(place != here and place[: len(here)] == here for place in places)
        if not (
            inside and fault["type"] == "too_short"
        ):  # entries with faults of their own are missed in the list
            faults.append(_sentence(tree, fault, above or []))
    return None, faults


def _repeated(node: Any, visited: set[int]) -> Iterator[str]:
    """Keys that are given twice in one place: YAML would silently take the last."""
    if id(node) in visited:
        return  # an alias
    visited.add(id(node))
    below = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                yield f"line {line}: {key.value}: is given twice, first on line {seen[key.value]}; remove one"
            seen.setdefault(key.value, line)
            below.append(value)
    for child in below:
        yield from _repeated(child, visited)


def _no_numbers(node: Any, place: list[str], visited: set[int]) -> Iterator[str]:
    """Places where .nan stands: it passes every comparison with a limit, and no setting means it."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag == "tag:yaml.org,2002:float" and node.value.lower() == ".nan":
            line = node.start_mark.line + 1
            yield f"line {line}: {'.'.join(place)}: {node.value} is no number; give one, or leave the key out"
    elif id(node) not in visited:
        visited.add(id(node))  # an alias may name what is above it
        pairs = isinstance(node, yaml.MappingNode)
        for number, each in enumerate(node.value):
            name, value = (each[0].value, each[1]) if pairs else (number, each)
            yield from _no_numbers(value, [*place, str(name)], visited)


def _sentence(tree: Any, fault: dict[str, Any], above: list[int | str]) -> str:
    loc = [part for part in fault["loc"] if _is_key(part)]
    line, key = _place(tree, loc[len(above) :])
    found = fault.get("input")
    kind = fault["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        text = f"is not known{_nearest(str(loc[-1]), loc[:-1])}"
    elif kind in ("missing", "missing_argument"):
        text = "is missing; it is required"
    else:
        text = fault["msg"].removeprefix("Value error, ")
        if kind != "value_error" and not isinstance(found, dict):
            text += f", found {found!r}"
    return f"line {line}: {key or 'the file'}: {text}"


_KINDS = {"elastic3d", "waveform", "cc_traveltime", "local", "dask", *BATCH_SYSTEMS}


def _is_key(part: int | str) -> bool:
    """Whether a part of pydantic's location is a key or number of the file, not the name of a type."""
    return isinstance(part, int) or (
        part not in _KINDS and not part.startswith(("function-", "tuple", "dataclass", "literal", "float"))
    )


def _place(tree: Any, loc: list[int | str]) -> tuple[int, str]:
    line, node = tree.start_mark.line + 1, tree
    for part in loc:
        children: list[tuple[Any, Any, Any]] = []
        if isinstance(node, yaml.MappingNode):
            children = [(key.value, key, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [(number, value, value) for number, value in enumerate(node.value)]
        match = next((child for child in children if child[0] == part), None)
        if match is None:
            break
        line, node = match[1].start_mark.line + 1, match[2]
    return line, ".".join(map(str, loc))


def _classes(kind: Any) -> Iterator[type]:
    if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
        yield kind
    for argument in get_args(kind):
        yield from _classes(argument)


def _known(kind: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key below a class with its dotted place."""
    hints = get_type_hints(kind)
    names = list(kind.model_fields) if issubclass(kind, BaseModel) else [each.name for each in fields(kind)]  # type: ignore[arg-type]
    for name in names:
        yield name, prefix + name
        for below in _classes(hints[name]):
            yield from _known(below, f"{prefix}{name}.")


def _nearest(key: str, above: list[int | str]) -> str:
    here = ".".join(str(part) for part in above if not isinstance(part, int))
    known = list(_known(Config))
    local = [name for name, place in known if place == f"{here}.{name}".lstrip(".")]
    match = difflib.get_close_matches(key, local, 1, 0.6)
    if match:
        return f"; did you mean `{match[0]}`?"
    everywhere = difflib.get_close_matches(key, [name for name, _ in known], 1, 0.75)
    if everywhere:
        place = next(place for name, place in known if name == everywhere[0])
        return f"; did you mean `{place}`?"
    return f"; known here: {', '.join(dict.fromkeys(local))}" if local else ""
