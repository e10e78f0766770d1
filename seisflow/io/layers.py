"""Layered Earth models as text files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seisflow.domain import FloatArray
from seisflow.domain.layers import Layers
from seisflow.errors import InputError, MissingError

__all__ = ["read_layers"]

_NAMES = {
    "thickness": {"thickness", "thick", "h", "dz"},
    "depth": {"depth", "z", "top"},
    "vp": {"vp", "alpha"},
    "vs": {"vs", "beta"},
    "rho": {"rho", "density", "dens"},
    "qp": {"qp", "qalpha", "qa"},
    "qs": {"qs", "qbeta", "qb"},
}
_ORDER = ("vp", "vs", "rho", "qp", "qs")
_HERRMANN = ("thickness", "vp", "vs", "rho", "qp", "qs", "etap", "etas", "frequency_p", "frequency_s")
_KILO = 20.0
"""Speeds below this are in km/s, densities below it in g/cm3."""

_Path = str | os.PathLike[str]
_Columns = dict[str, FloatArray]


def read_layers(path: _Path, units: str = "auto") -> Layers:
    """Read a layered model: plain columns, or a ``MODEL.01`` file of Herrmann's programs.

    Plain columns are thickness or depth of the top, vp, vs, density and, if known, Qp, Qs, a row a layer from
    the surface down; spaces or commas between them, ``#`` before comments. A line of names (``depth vp vs
    rho``, units behind a name if you like: ``depth(km)``, ``vp_m/s``) may change their order; without it, a
    first column that starts at 0 and grows holds depths, else thicknesses. Thickness 0 of the last row means
    no bottom.

    Parameters
    ----------
    path : path
    units : {"auto", "km", "m"}
        ``km``: km, km/s, g/cm3. ``m``: m, m/s, kg/m3. ``auto``: by the line of names, else by the size of the
        numbers (speeds below 20 are in km/s, and so lengths in km; densities below 20 in g/cm3).

    Returns
    -------
    Layers

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it cannot be understood, with the line.
    """
    if units not in ("auto", "km", "m"):
        raise InputError(f"units {units!r} of a layered model are not known; use auto, km or m")
    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        if lines and lines[0].strip().upper().startswith("MODEL"):
            return _herrmann(path, lines)
        return _plain(path, lines, units)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error


def _rows(path: _Path, lines: Sequence[tuple[int, str]]) -> FloatArray:
    """Numbers of the lines, shape (rows, columns)."""
    rows: list[list[float]] = []
    for number, line in lines:
        try:
            row = [float(word) for word in re.split(r"[,;\s]+", line.strip(" \t,;"))]
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {line.strip()[:60]!r} are no numbers") from error
        if rows and len(row) != len(rows[0]):
            raise InputError(
                f"{path}, line {number}: {len(row)} numbers where the lines before have {len(rows[0])}"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: has no layers")
    return np.array(rows)


def _herrmann(path: _Path, lines: list[str]) -> Layers:
    """Decode MODEL.01 (Herrmann 2013, Seism. Res. Lett. 84): 12 lines of head, then km, km/s, g/cm3."""
    head = [line.strip().upper() for line in lines[:12]]
    wanted = {2: "ISOTROPIC", 3: "KGS", 4: "FLAT EARTH", 5: "1-D", 6: "CONSTANT VELOCITY"}
    for number, word in wanted.items():
        if len(head) < 12 or head[number] != word:
            found = repr(head[number]) if len(head) > number else "nothing"
            raise InputError(
                f"{path}, line {number + 1}: {word!r} is needed, found {found}; convert the model"
            )
    body = [(number, line) for number, line in enumerate(lines[12:], start=13) if line.strip()]
    table = _rows(path, body)
    if table.shape[1] != len(_HERRMANN):
        raise InputError(f"{path}, line 13: {table.shape[1]} numbers; MODEL.01 has {len(_HERRMANN)}")
    columns = dict(zip(_HERRMANN, table.T, strict=True))
    if columns["etap"].any() or columns["etas"].any():
        raise InputError(f"{path}: Q that depends on frequency (ETAP, ETAS) is not supported; set them to 0")
    for name in ("qp", "qs"):
        columns[name] = _quality(columns[name])
    for name in ("thickness", "vp", "vs", "rho"):
        columns[name] = columns[name] * 1000
    return Layers(**{name: columns[name] for name in _HERRMANN if not name.startswith("eta")})


def _quality(values: FloatArray) -> FloatArray:
    """Q where a file gives Q, 1/Q (below 1) or 0 for no attenuation."""
    inverse = np.where(values >= 1, 1 / np.maximum(values, 1), values)
    with np.errstate(divide="ignore"):
        return np.where(inverse == 0, np.inf, 1 / inverse)


def _plain(path: _Path, lines: list[str], units: str) -> Layers:
    names: list[str] = []
    hints: dict[str, str] = {}
    body: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if not names and not body:
            names, hints = _header(line)
            if names:
                continue
        text = line.split("#")[0]
        if text.strip():
            body.append((number, text))
    table = _rows(path, body)
    if not names:
        names = [_first_column(table[:, 0]), *_ORDER]
    if table.shape[1] < 4 or table.shape[1] > len(names):
        raise InputError(
            f"{path}, line {body[0][0]}: {table.shape[1]} columns; needs thickness or depth, vp, vs, density "
            "and, if known, Qp and Qs, or a line of names above them"
        )
    columns = dict(zip(names, table.T, strict=False))
    if not {"vp", "vs", "rho"} <= columns.keys():
        raise InputError(f"{path}: has the columns {', '.join(columns)}; vp, vs and rho are needed")
    for name in ("qp", "qs"):
        if name in columns:
            columns[name] = _quality(columns[name])
    return _in_si(path, columns, hints, units)


def _header(line: str) -> tuple[list[str], dict[str, str]]:
    """Names of the columns, and what is said about the units of each; nothing if the line holds no names."""
    names: list[str] = []
    hints: dict[str, str] = {}
    for word in re.split(r"[,;\s]+", line.strip(" \t#,;").lower()):
        match = re.fullmatch(r"([a-z]+)[_(\[]*([a-z0-9/^_-]*)[)\]]*", word)
        name = next((key for key, known in _NAMES.items() if match and match[1] in known), None)
        if name is None or match is None:
            return [], {}
        names.append(name)
        hints[name] = match[2]
    return (names, hints) if len(names) >= 4 else ([], {})


def _first_column(values: FloatArray) -> str:
    return "depth" if len(values) > 1 and values[0] == 0 and np.all(np.diff(values) > 0) else "thickness"


def _in_si(path: _Path, columns: _Columns, hints: dict[str, str], units: str) -> Layers:
    small_speeds = float(np.max(columns["vp"])) < _KILO
    kilo = {
        name: units == "km" or (units == "auto" and small_speeds)
        for name in ("depth", "thickness", "vp", "vs")
    }
    kilo["rho"] = units == "km" or (units == "auto" and float(np.max(columns["rho"])) < _KILO)
    if units == "auto":
        for name in kilo.keys() & hints.keys():
            if hints[name]:
                kilo[name] = hints[name].startswith(("km", "g"))
    for name, factor in kilo.items():
        if name in columns and factor:
            columns[name] = columns[name] * 1000
    if "depth" in columns:
        depth = columns.pop("depth")
        if depth[0] != 0 or np.any(np.diff(depth) <= 0):
            raise InputError(
                f"{path}: depths of the tops must start at 0 and grow, found {depth[:6].tolist()} m; "
                "split a gradient into layers"
            )
        columns["thickness"] = np.append(np.diff(depth), 0.0)
    if "thickness" not in columns:
        raise InputError(f"{path}: has the columns {', '.join(columns)}; thickness or depth is needed")
    return Layers(**columns)
