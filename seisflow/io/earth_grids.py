"""Gridded Earth models of others: NetCDF of the Earth Model Collaboration (EMC), and text columns.

EMC models (Trabant et al. 2012) are NetCDF 3 or 4 with the axes depth, latitude and longitude.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError, MissingError
from seisflow.io.hdf5 import damage

__all__ = ["EarthGrid", "looks_like_grid", "read_netcdf_grid", "read_text_grid"]

_Path = str | os.PathLike[str]
_AXES = {
    "latitude": {"latitude", "lat", "nav_lat"},
    "longitude": {"longitude", "lon", "long", "nav_lon"},
    "depth": {"depth", "dep", "z", "depth_km", "elevation"},
}
_FIELDS = {
    "vp": {"vp", "p_velocity", "alpha", "vp_km_s"},
    "vs": {"vs", "s_velocity", "beta", "vs_km_s"},
    "rho": {"rho", "density", "dens"},
    "vsv": {"vsv"},
    "vsh": {"vsh"},
    "vpv": {"vpv"},
    "vph": {"vph"},
}
_COLUMNS = {
    "x": {"x", "east", "easting"},
    "y": {"y", "north", "northing"},
    **_AXES,
    "vp": {"vp", "alpha"},
    "vs": {"vs", "beta"},
    "rho": {"rho", "density", "dens"},
}
_KILO = 20.0
"""Speeds and densities below this are in km/s and g/cm3."""
_NO_VALUE = 9.0e3
"""km/s or g/cm3 (9e6 m/s): beyond are marks of missing values, such as 99999."""


@dataclass(frozen=True, eq=False)
class EarthGrid:
    """Structure on the nodes of three axes that need not be even.

    Parameters
    ----------
    kind : {"geographic", "local"}
        Whether the horizontal axes are longitude and latitude in degrees, or x and y in m from the centre of the
        region.
    axes : tuple of 3 ndarray
        Longitude or x, latitude or y, depth in m below the surface; each grows.
    fields : mapping of str to ndarray (n0, n1, n2)
        Of ``vp``, ``vs`` (m/s) and ``rho`` (kg/m3) those that the file has; NaN where nothing is known.
    remarks : tuple of str
        What was converted.
    """

    kind: str
    axes: tuple[FloatArray, FloatArray, FloatArray]
    fields: Mapping[str, FloatArray]
    remarks: tuple[str, ...] = field(default=())


# --- NetCDF


def read_netcdf_grid(path: _Path) -> EarthGrid:
    """Read a model with latitude, longitude and depth, as the EMC has them.

    Parameters
    ----------
    path : path
        NetCDF 3 or 4. Depth in km or m by its units (km, if they are not told), positive down, or up where the
        attribute ``positive`` or the name (elevation) says so. Variables ``vp``, ``vs``, ``rho``; of ``vsv`` and
        ``vsh`` (``vpv`` and ``vph``) the Voigt average is taken. Speeds in km/s or m/s, density in g/cm3 or kg/m3, by
        size. Missing values are NaN, ``_FillValue``, ``missing_value``, or beyond all rock.

    Returns
    -------
    EarthGrid

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged, or lacks an axis or all of vp and vs.
    """
    import xarray

    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    with open(path, "rb") as file:
        engine = "scipy" if file.read(3) == b"CDF" else "h5netcdf"
    with damage(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xarray.open_dataset(path, engine=engine, decode_times=False) as dataset:
            found = dataset.load()
    names = {str(name).lower(): str(name) for name in found.variables}
    axes: dict[str, FloatArray] = {}
    dims: list[str] = []
    remarks: list[str] = []
    for axis, known in _AXES.items():
        name = next((names[each] for each in names if each in known), None)
        if name is None or found[name].ndim != 1 or found[name].size < 2:
            raise InputError(
                f"{path}: has no axis of {axis} with 2 or more values, found {', '.join(names.values())}; seisflow "
                "reads models on latitude, longitude and depth"
            )
        dims.append(str(found[name].dims[0]))
        axes[axis] = np.asarray(found[name].values, dtype=np.float64)
        if axis == "depth":
            axes[axis] = _depths(axes[axis], name, found[name].attrs, remarks)
    fields: dict[str, FloatArray] = {}
    for field_name, known in _FIELDS.items():
        name = next((names[each] for each in names if each in known), None)
        if name is not None and set(found[name].dims) == set(dims):
            if "%" in (units := str(found[name].attrs.get("units", ""))) or "percent" in units.lower():
                raise InputError(f"{path}: {name} is in {units}; seisflow needs speeds, not perturbations")
            values = found[name].transpose(dims[1], dims[0], dims[2]).values
            fields[field_name] = np.asarray(values, dtype=np.float64)
    _average(fields, remarks)
    grid = (axes["longitude"], axes["latitude"], axes["depth"])
    return _checked(path, "geographic", grid, fields, remarks)


def _depths(values: FloatArray, name: str, attributes: Mapping[str, Any], remarks: list[str]) -> FloatArray:
    """Metres, positive down."""
    units = str(attributes.get("units", "km")).strip().lower()
    upward = str(attributes.get("positive", "")).lower() == "up" or name.lower() == "elevation"
    if units in {"km", "kilometer", "kilometers", "kilometre", "kilometres"}:
        values = values * 1000
        remarks.append("depths in km")
    elif units not in {"m", "meter", "meters", "metre", "metres"}:
        raise InputError(f"axis {name} is in {units!r}; set its units to km or m")
    if upward:
        remarks.append("the vertical axis points up and was turned")
        return -values
    return values


def _average(fields: dict[str, FloatArray], remarks: list[str]) -> None:
    """Isotropic speeds of radially anisotropic ones, as Voigt averages (Panning & Romanowicz 2006, eq. 1, 2)."""
    vsv, vsh = fields.pop("vsv", None), fields.pop("vsh", None)
    vpv, vph = fields.pop("vpv", None), fields.pop("vph", None)
    if "vs" not in fields and vsv is not None and vsh is not None:
        fields["vs"] = np.sqrt((2 * vsv**2 + vsh**2) / 3)
        remarks.append("vs is the Voigt average of vsv and vsh")
    if "vp" not in fields and vpv is not None and vph is not None:
        fields["vp"] = np.sqrt((vpv**2 + 4 * vph**2) / 5)
        remarks.append("vp is the Voigt average of vpv and vph")


def _checked(
    path: _Path,
    kind: str,
    axes: tuple[FloatArray, FloatArray, FloatArray],
    fields: dict[str, FloatArray],
    remarks: list[str],
) -> EarthGrid:
    """Bring axes in growing order, units to SI, and marks of missing values to NaN."""
    if not {"vp", "vs"} & fields.keys():
        raise InputError(f"{path}: holds neither vp nor vs; seisflow needs speeds, not perturbations")
    sorted_axes = []
    for number, axis in enumerate(axes):
        order = np.argsort(axis, kind="stable")
        if np.any(np.diff(axis[order]) <= 0) or not np.isfinite(axis).all():
            raise InputError(f"{path}: an axis repeats a value or is not finite, near {axis[order][0]:g}")
        sorted_axes.append(axis[order])
        fields = {name: np.take(values, order, axis=number) for name, values in fields.items()}
    kilo = []
    for name, values in fields.items():
        values = np.where(np.isfinite(values) & (values > 0) & (values < _NO_VALUE * 1000), values, np.nan)
        plausible = values[values < _NO_VALUE] if np.nanmin(values, initial=np.inf) < _KILO else values
        if plausible.size == 0 or not np.isfinite(plausible).any():
            raise InputError(f"{path}: {name} holds no values; remove the variable")
        if np.nanmedian(plausible) < _KILO:
            values = np.where(values < 10 * _KILO, values, np.nan) * 1000
            kilo.append(name)
        else:
            values = np.where(values < 2e4, values, np.nan)
        fields[name] = values
    if kilo:
        remarks.append(f"{', '.join(kilo)} in km/s or g/cm3 were converted")
    return EarthGrid(kind, (sorted_axes[0], sorted_axes[1], sorted_axes[2]), fields, tuple(remarks))


# --- text columns


def _header(line: str) -> list[str]:
    """Names of the columns, or nothing if the line holds none."""
    names = []
    for word in re.split(r"[,;\s]+", line.strip(" \t#,;").lower()):
        match = re.fullmatch(r"([a-z]+)[_(\[]*([a-z0-9/^_.-]*)[)\]]*", word)
        name = next((key for key, known in _COLUMNS.items() if match and match[1] in known), None)
        if name is None:
            return []
        names.append(name)
    return names if len(names) >= 4 else []


def _horizontal(names: list[str]) -> bool:
    return {"x", "y"} <= set(names) or {"longitude", "latitude"} <= set(names)


def looks_like_grid(path: _Path, text: str) -> bool:
    """Whether a text holds columns of a gridded model: names of two horizontal axes, or six columns that make a grid.

    Parameters
    ----------
    path : path
    text : str
        Its beginning.
    """
    lines = [line for line in text.splitlines()[:40] if line.strip()]
    for line in lines:
        if _horizontal(_header(line)):
            return True
        if not line.lstrip().startswith("#"):
            break
    first = next((line for line in lines if not line.lstrip().startswith("#")), "")
    if not re.fullmatch(r"\s*([-+.\deEdD]+[,;\s]*){6}", first):
        return False
    try:
        table = _numbers(Path(path).read_text(encoding="utf-8", errors="replace"))
    except ValueError:
        return False
    counts = [len(np.unique(column)) for column in table.T[:3]]
    return bool(len(table) >= 8 and min(counts) >= 2 and np.prod(counts) <= 2 * len(table))


def _numbers(text: str) -> FloatArray:
    rows = [line.split("#")[0] for line in text.replace(",", " ").replace(";", " ").splitlines()]
    return np.array([[float(word) for word in row.split()] for row in rows if row.strip()], dtype=np.float64)


def read_text_grid(path: _Path) -> EarthGrid:
    """Read a gridded model of text columns, in any order of rows.

    A line of names (``lon lat depth vp vs rho`` or ``x y z vp vs rho``; vp or rho may lack, units behind a name are
    allowed: ``depth_km``, ``vp(m/s)``) tells the columns. Without it six columns are longitude, latitude, depth, vp,
    vs, rho if the first two can be degrees, else x, y, z, vp, vs, rho. x and y are measured from the centre of the
    region. Lengths in km or m: by the name, else km where the largest depth is below 1000.

    Parameters
    ----------
    path : path

    Returns
    -------
    EarthGrid

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it cannot be understood.
    """
    if not Path(path).is_file():
        raise MissingError(f"{path}: there is no such file")
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    names: list[str] = []
    remarks: list[str] = []
    lines = text.splitlines()
    named = next((n for n, line in enumerate(lines) if _horizontal(_header(line))), None)
    head = ""
    if named is not None:
        head, names = lines[named].lower(), _header(lines[named])
        lines[named] = ""
    try:
        table = _numbers("\n".join(lines))
    except ValueError as error:
        raise InputError(f"{path}: should hold rows of numbers below the names: {error}") from error
    if table.ndim != 2 or not len(table) or (names and table.shape[1] != len(names)):
        raise InputError(f"{path}: its rows do not hold {len(names) or 6} numbers each; mend or remove them")
    if not names:
        names = _guessed(path, table, remarks)
    columns = dict(zip(names, table.T, strict=True))
    if "depth" not in columns:
        raise InputError(f"{path}: has the columns {', '.join(names)}; a column of depth (or z) is needed")
    kind = "geographic" if "longitude" in columns else "local"
    across = ("longitude", "latitude") if kind == "geographic" else ("x", "y")
    lengths = {name: columns[name] for name in (*across, "depth") if name not in ("longitude", "latitude")}
    kilometres = bool(re.search(r"(depth|dep|z|x|y)[_(\[]?km", head)) or (
        not re.search(r"(depth|dep|z|x|y)[_(\[]?m\b", head) and float(np.abs(columns["depth"]).max()) < 1000
    )
    if kilometres:
        remarks.append("lengths in km")
        columns |= {name: values * 1000 for name, values in lengths.items()}
    axes, index = [], []
    for name in (*across, "depth"):
        axis, place = np.unique(columns[name], return_inverse=True)
        axes.append(axis)
        index.append(place.ravel())
    shape = tuple(map(len, axes))
    if min(shape) < 2 or np.prod(shape) > 4 * len(table):
        raise InputError(
            f"{path}: its {len(table)} rows are no grid, they have {shape[0]} x {shape[1]} x {shape[2]} places; "
            "give values at all crossings of three axes"
        )
    fields = {}
    for name in ("vp", "vs", "rho"):
        if name in columns:
            fields[name] = np.full(shape, np.nan)
            fields[name][tuple(index)] = columns[name]
    return _checked(path, kind, (axes[0], axes[1], axes[2]), fields, remarks)


def _guessed(path: _Path, table: FloatArray, remarks: list[str]) -> list[str]:
    if table.shape[1] != 6:
        raise InputError(
            f"{path}: {table.shape[1]} columns without names; write a line 'lon lat depth vp vs rho' or "
            "'x y z vp vs rho' above them"
        )
    first, second = table[:, 0], table[:, 1]
    if np.abs(first).max() > 360 or np.abs(second).max() > 90:
        remarks.append("columns x y z vp vs rho")
        return ["x", "y", "depth", "vp", "vs", "rho"]
    if min(np.diff(np.unique(first)).max(initial=0), np.diff(np.unique(second)).max(initial=0)) >= 2:
        raise InputError(
            f"{path}: its first columns can be degrees or km; write a line 'lon lat depth vp vs rho' or "
            "'x y z vp vs rho' above them"
        )
    remarks.append("columns lon lat depth vp vs rho")
    return ["longitude", "latitude", "depth", "vp", "vs", "rho"]
