"""Models and kernels as NetCDF-4 files, after the CF conventions; xarray opens them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from seisflow import __version__
from seisflow.domain import FloatArray, Grid, Kernel, Model, Projection
from seisflow.errors import InputError
from seisflow.io.hdf5 import attribute_text, put, reading, writing

__all__ = ["read_kernel", "read_model", "write_kernel", "write_model"]

_AXES: dict[str, dict[str, str]] = {
    "x": {"long_name": "local east coordinate", "standard_name": "projection_x_coordinate", "axis": "X"},
    "y": {"long_name": "local north coordinate", "standard_name": "projection_y_coordinate", "axis": "Y"},
    "z": {"long_name": "depth below the surface", "standard_name": "depth", "axis": "Z", "positive": "down"},
}
_FIELDS = {
    "vp": {"long_name": "P wave speed", "units": "m s-1"},
    "vs": {"long_name": "S wave speed", "units": "m s-1"},
    "rho": {"long_name": "density", "units": "kg m-3"},
}
_QUALITY = {
    "qkappa": {"long_name": "quality factor of the bulk modulus", "units": "1"},
    "qmu": {"long_name": "quality factor of the shear modulus", "units": "1"},
}
_REFERENCE = "reference_frequency"
"""Attribute of the quality factors: Hz, at which vp and vs are given."""
_DERIVATIVES = {
    "vp": {"long_name": "dJ/dvp, per node", "units": "m-1 s"},
    "vs": {"long_name": "dJ/dvs, per node", "units": "m-1 s"},
    "rho": {"long_name": "dJ/drho, per node", "units": "kg-1 m3"},
    "illumination": {"long_name": "illumination: sqrt(sum |v|^2 sum |p|^2)", "units": "1"},
}
_SPEED_UNITS = {"m s-1", "m/s", "m s^-1", "m*s**-1", "meter / second", "meters/second"}
_DENSITY_UNITS = {"kg m-3", "kg/m3", "kg m^-3", "kg/m^3", "kg m**-3", "kilogram / meter ** 3"}
_METRES = {"m", "metre", "metres", "meter", "meters"}
_WGS84 = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}


def write_model(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model. Equal models give equal bytes; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        Usually ``.nc``.
    model : Model

    Raises
    ------
    InputError
        For values that no rock has.
    WorkError
        If the disk is full.
    """
    model.check(str(path))
    fields: dict[str, tuple[FloatArray, Mapping[str, Any]]]
    fields = {name: (values, _FIELDS[name]) for name, values in model.fields().items()}
    reference = {_REFERENCE: float(model.reference_frequency)}
    fields |= {name: (values, _QUALITY[name] | reference) for name, values in model.quality().items()}
    _write(path, "seismic model", model.grid, model.projection, fields)


def write_kernel(path: str | os.PathLike[str], kernel: Kernel, projection: Projection | None = None) -> None:
    """Write a kernel, laid out as a model.

    Parameters
    ----------
    path : path
    kernel : Kernel
    projection : Projection, optional
        Of its model, so that maps can be drawn from the file alone.

    Raises
    ------
    WorkError
        If the disk is full.
    """
    arrays = kernel.fields()
    if kernel.illumination is not None:
        arrays["illumination"] = kernel.illumination
    fields = {name: (values, _DERIVATIVES[name]) for name, values in arrays.items()}
    _write(path, "sensitivity kernel", kernel.grid, projection, fields)


def _write(
    path: str | os.PathLike[str],
    title: str,
    grid: Grid,
    projection: Projection | None,
    fields: Mapping[str, tuple[FloatArray, Mapping[str, Any]]],
) -> None:
    with writing(path) as file:
        texts = {"Conventions": "CF-1.11", "title": title, "history": f"seisflow {__version__}"}
        for name, text in texts.items():
            file.attrs[name] = text
        scales = []
        for number, name in enumerate(_AXES):
            about = {**_AXES[name], "units": "m", "spacing": float(grid.spacing[number])}
            put(file, name, grid.axis(number), about)
            scales.append(h5py.h5d.open(file.id, name.encode()))
            h5py.h5ds.set_scale(scales[-1], name.encode())
        mapped = {}
        if projection is not None:
            put(file, "crs", np.array(0, dtype=np.int32), _grid_mapping(projection))
            mapped["grid_mapping"] = "crs"
        for name, (field, attributes) in fields.items():
            values = np.ascontiguousarray(field, dtype=np.float64)
            put(file, name, values, {**attributes, **mapped}, compress=True, chunk=_chunks(values.shape))
            variable = h5py.h5d.open(file.id, name.encode())
            for number, scale in enumerate(scales):
                h5py.h5ds.attach_scale(variable, scale, number)


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Whole columns, about a megabyte of float64 a chunk."""
    columns = max(1, 131072 // shape[2])
    along_y = min(shape[1], columns)
    return (max(1, min(shape[0], columns // along_y)), along_y, shape[2])


def _grid_mapping(projection: Projection) -> dict[str, str | float]:
    """Transverse Mercator in the terms of CF, appendix F."""
    where = f"+lat_0={projection.latitude!r} +lon_0={projection.longitude!r}"
    return {
        "grid_mapping_name": "transverse_mercator",
        "latitude_of_projection_origin": float(projection.latitude),
        "longitude_of_central_meridian": float(projection.longitude),
        "scale_factor_at_central_meridian": 1.0,
        "false_easting": 0.0,
        "false_northing": 0.0,
        "reference_ellipsoid_name": "WGS 84",
        **_WGS84,
        "proj4": f"+proj=tmerc {where} +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m",
    }


def read_model(path: str | os.PathLike[str]) -> Model:
    """Read a model that seisflow, or somebody with xarray, has written.

    Parameters
    ----------
    path : path

    Returns
    -------
    Model
        float64.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged, lacks a variable, has other units or an uneven axis, or holds values that no rock
        has.
    """
    with reading(path) as file:
        grid = _read_grid(path, file)
        projection = _read_projection(path, file)
        fields = {name: _read_field(path, file, name) for name in Model.PARAMETERS}
        quality, reference = _read_quality(path, file)
    _check_units(path, fields)
    values = {name: values for name, (values, _) in fields.items()}
    model = Model(grid, projection, **values, **quality, reference_frequency=reference)
    model.check(str(path))
    return model


def read_kernel(path: str | os.PathLike[str]) -> Kernel:
    """Read a kernel that ``write_kernel`` has written.

    Parameters
    ----------
    path : path

    Returns
    -------
    Kernel
        float64.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged or lacks a variable.
    """
    with reading(path) as file:
        grid = _read_grid(path, file)
        fields = {name: _read_field(path, file, name)[0] for name in Model.PARAMETERS}
        illumination = _read_field(path, file, "illumination")[0] if "illumination" in file else None
    return Kernel(grid, **fields, illumination=illumination, source=None)


def _read_grid(path: str | os.PathLike[str], file: Any) -> Grid:
    origin, spacing, shape = [], [], []
    for name in "xyz":
        if name not in file:
            raise InputError(
                f"{path}: has no coordinate {name!r}, found {', '.join(sorted(file))}; needs x, y and z"
            )
        values = np.asarray(file[name][()], dtype=np.float64)
        start, step = _regular(path, name, values, file[name].attrs)
        origin.append(start)
        spacing.append(step)
        shape.append(values.size)
    return Grid(
        (origin[0], origin[1], origin[2]),
        (spacing[0], spacing[1], spacing[2]),
        (shape[0], shape[1], shape[2]),
    )


def _regular(
    path: str | os.PathLike[str], name: str, values: FloatArray, attributes: Any
) -> tuple[float, float]:
    """First value and spacing of an axis, which must be even and grow."""
    if values.ndim != 1 or values.size < 2:
        raise InputError(
            f"{path}: coordinate {name} has shape {values.shape}; needs 2 or more values along one axis"
        )
    units = attribute_text(attributes, "units") if "units" in attributes else "m"
    if units not in _METRES:
        raise InputError(
            f"{path}: coordinate {name} is in {units!r}; convert it to metres and set units to 'm'"
        )
    if name == "z" and "positive" in attributes and attribute_text(attributes, "positive") != "down":
        raise InputError(f"{path}: coordinate z points up; turn it to depth, positive down, 0 at the surface")
    steps = np.diff(values)
    step = float((values[-1] - values[0]) / (values.size - 1))
    place = int(np.argmax(np.where(np.isfinite(steps), abs(steps - step), np.inf)))
    if not (step > 0 and abs(steps[place] - step) <= 1e-6 * step):
        raise InputError(
            f"{path}: coordinate {name} must grow in even steps, but goes from {values[place]:g} to "
            f"{values[place + 1]:g} m where the mean step is {step:g} m; interpolate to an even axis"
        )
    if "spacing" in attributes and abs(_number(attributes, "spacing") - step) <= 1e-6 * step:
        step = _number(attributes, "spacing")
    return float(values[0]), step


def _number(attributes: Any, name: str) -> float:
    """Give a number among attributes; NetCDF keeps it as an array of one."""
    return float(np.ravel(attributes[name])[0])


def _read_projection(path: str | os.PathLike[str], file: Any) -> Projection:
    names = ["crs"]
    if "vp" in file and "grid_mapping" in file["vp"].attrs:
        names.insert(0, attribute_text(file["vp"].attrs, "grid_mapping"))
    for name in names:
        if name not in file:
            continue
        attributes = file[name].attrs
        kind = (
            attribute_text(attributes, "grid_mapping_name")
            if "grid_mapping_name" in attributes
            else "nothing"
        )
        if kind != "transverse_mercator":
            raise InputError(f"{path}: grid mapping {name!r} is {kind}; seisflow needs transverse_mercator")
        latitude = _number(attributes, "latitude_of_projection_origin")
        return Projection(latitude, _number(attributes, "longitude_of_central_meridian"))
    raise InputError(
        f"{path}: does not say where on Earth x = y = 0 is; add a variable 'crs' with grid_mapping_name = "
        "transverse_mercator, latitude_of_projection_origin and longitude_of_central_meridian"
    )


def _read_field(path: str | os.PathLike[str], file: Any, name: str) -> tuple[FloatArray, str | None]:
    """Values of a variable in the order x, y, z, and its units."""
    if name not in file:
        raise InputError(f"{path}: has no variable {name!r}, found {', '.join(sorted(file))}")
    variable = file[name]
    dimensions = _dimensions(variable)
    if sorted(dimensions) != ["x", "y", "z"]:
        raise InputError(f"{path}: variable {name!r} has dimensions {dimensions}; needs x, y, z")
    values = np.asarray(variable[()], dtype=np.float64)
    values = np.ascontiguousarray(values.transpose([dimensions.index(axis) for axis in "xyz"]))
    units = attribute_text(variable.attrs, "units") if "units" in variable.attrs else None
    return values, units


def _read_quality(path: str | os.PathLike[str], file: Any) -> tuple[dict[str, FloatArray], float]:
    """Quality factors, none for an elastic model, and the frequency in Hz at which the speeds are given."""
    found = [name for name in Model.QUALITY if name in file]
    if not found:
        return {}, 1.0
    if len(found) < len(Model.QUALITY):
        raise InputError(f"{path}: has {found[0]} alone; attenuation needs qkappa and qmu")
    frequencies = {_number(file[name].attrs, _REFERENCE) for name in found if _REFERENCE in file[name].attrs}
    if len(frequencies) != 1:
        raise InputError(
            f"{path}: qkappa and qmu need one attribute {_REFERENCE}: the frequency in Hz at which vp and vs are given"
        )
    return {name: _read_field(path, file, name)[0] for name in found}, frequencies.pop()


def _dimensions(variable: Any) -> list[str]:
    """Names of the dimensions: those of the attached scales."""
    if "DIMENSION_LIST" not in variable.attrs:
        return []
    return [Path(variable.file[scales[0]].name).name for scales in variable.attrs["DIMENSION_LIST"]]


def _check_units(path: str | os.PathLike[str], fields: Mapping[str, tuple[FloatArray, str | None]]) -> None:
    for name, (values, units) in fields.items():
        known, wanted = (_DENSITY_UNITS, "kg m-3") if name == "rho" else (_SPEED_UNITS, "m s-1")
        if units is not None and units not in known:
            raise InputError(f"{path}: {name} is in {units!r}; convert it and set units to {wanted!r}")
        if np.nanmax(values) < 20:
            raise InputError(
                f"{path}: {name} is {np.nanmax(values):g} at most, "
                f"which looks like km/s or g/cm3; it must be in {wanted}"
            )
