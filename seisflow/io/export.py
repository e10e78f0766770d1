"""Models for other programs: VTK for ParaView, NetCDF of the EMC, xarray; seismograms for ObsPy."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np

from seisflow import __version__
from seisflow.domain import Event, FloatArray, Gather, Kernel, Model, Projection
from seisflow.domain.kernels import UNITS, KernelParameters, kernel_fields
from seisflow.errors import InputError
from seisflow.io.asdf import channel_code
from seisflow.io.atomic import publish

__all__ = ["Exported", "kernel_dataset", "model_dataset", "exported", "stream_of", "write_emc", "write_vtk"]

_NAMES = {"vp": "P wave speed", "vs": "S wave speed", "rho": "density"}
_MISSING = np.float32(99999.0)
_FINEST = 2000
"""Most nodes along latitude or longitude of an exported model."""
_Path = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Exported:
    """One field to export: values (nx, ny, nz) on the grid of the model, its unit and what it is."""

    values: FloatArray
    unit: str
    meaning: str


def exported(
    model: Model, reference: Model | None = None, illumination: FloatArray | None = None
) -> dict[str, Exported]:
    """What is exported of a model, by name.

    Parameters
    ----------
    model : Model
    reference : Model, optional
        ``dvp``, ``dvs`` and ``drho`` are the differences to it in percent.
    illumination : ndarray (nx, ny, nz), optional
        Over its maximum: how well waves have seen each node.

    Returns
    -------
    dict of str to Exported
        vp and vs in km/s, rho in g/cm3 (``g.cm-3``), and what was given beside.

    Raises
    ------
    InputError
        If the reference is on another grid.
    """
    if reference is not None and reference.grid != model.grid:
        raise InputError(
            f"model and reference are on different grids: {model.grid} and {reference.grid}; "
            "interpolate one to the grid of the other"
        )
    found = {
        name: Exported(values / 1000, "g.cm-3" if name == "rho" else "km.s-1", _NAMES[name])
        for name, values in model.fields().items()
    }
    for name, values in {} if reference is None else reference.fields().items():
        change = 100 * (model.fields()[name] / values - 1)
        found[f"d{name}"] = Exported(change, "percent", f"{_NAMES[name]}, difference to the reference model")
    if illumination is not None:
        found["illumination"] = Exported(
            illumination, "1", "illumination by the waves used, over its maximum"
        )
    return found


# --- VTK


def write_vtk(path: _Path, model: Model, fields: Mapping[str, Exported]) -> None:
    """Write fields as VTK XML ImageData, which ParaView, VisIt and PyVista open.

    x is east, y north and z up, metres from the centre of the projection (which is among the field data), so the
    surface is at z = 0 and the model below. float32, base64.

    Parameters
    ----------
    path : path
        Usually ``.vti``.
    model : Model
        Its grid and projection.
    fields : mapping of str to Exported
        See ``exported``; the unit becomes part of the name.

    Raises
    ------
    WorkError
        If the disk is full.
    """
    grid = model.grid
    extent = " ".join(f"0 {count - 1}" for count in grid.shape)
    origin = (grid.origin[0], grid.origin[1], -grid.end[2])
    root = ElementTree.Element(
        "VTKFile", type="ImageData", version="1.0", byte_order="LittleEndian", header_type="UInt64"
    )
    image = ElementTree.SubElement(
        root,
        "ImageData",
        WholeExtent=extent,
        Origin=" ".join(map(repr, map(float, origin))),
        Spacing=" ".join(map(repr, map(float, grid.spacing))),
    )
    about = ElementTree.SubElement(image, "FieldData")
    for name, value in (("latitude", model.projection.latitude), ("longitude", model.projection.longitude)):
        _array(about, f"projection {name}", np.array([value], dtype="<f8"))
    points = ElementTree.SubElement(ElementTree.SubElement(image, "Piece", Extent=extent), "PointData")
    for name, field in fields.items():
        upward = np.asarray(field.values)[:, :, ::-1]
        label = name if field.unit == "1" else f"{name} ({_readable(field.unit)})"
        _array(points, label, upward.ravel(order="F").astype("<f4"))  # x fastest
    ElementTree.indent(root, "")
    with publish(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _array(parent: ElementTree.Element, name: str, values: Any) -> None:
    kind = {4: "Float32", 8: "Float64"}[values.dtype.itemsize]
    item = ElementTree.SubElement(
        parent, "DataArray", type=kind, Name=name, NumberOfComponents="1", format="binary"
    )
    if parent.tag == "FieldData":
        item.set("NumberOfTuples", str(values.size))
    content = values.tobytes()
    item.text = base64.b64encode(np.array([len(content)], dtype="<u8").tobytes() + content).decode()


def _readable(unit: str) -> str:
    return {"km.s-1": "km/s", "g.cm-3": "g/cm3", "percent": "%"}.get(unit, unit)


# --- NetCDF of the Earth Model Collaboration


def write_emc(
    path: _Path, model: Model, fields: Mapping[str, Exported], *, name: str, title: str, summary: str = ""
) -> None:
    """Write fields as the NetCDF-3 files of the Earth Model Collaboration (EarthScope EMC).

    Depth in km, latitude and longitude, evenly spaced about as finely as the model; trilinear, missing (99999, NaN
    in xarray) outside it. The header follows the template of EMC and CF-1.8; author and reference are yours to add.

    Parameters
    ----------
    path : path
        Usually ``.nc``.
    model : Model
        Its grid and projection.
    fields : mapping of str to Exported
        See ``exported``.
    name : str
        Short name of the model.
    title, summary : str

    Raises
    ------
    WorkError
        If the disk is full.
    """
    import xarray

    latitude, longitude = _geographic_axes(model)
    depth = model.grid.z / 1000
    pixels, inside = _places(model, latitude, longitude)
    shape = (depth.size, latitude.size, longitude.size)
    variables: dict[str, Any] = {}
    for key, field in fields.items():
        values = np.full(shape, _MISSING, dtype=np.float32)
        values[:, inside] = _sampled(np.asarray(field.values, dtype=np.float64), pixels).T
        attributes = {
            "long_name": field.meaning,
            "display_name": f"{field.meaning} ({_readable(field.unit)})",
            "units": field.unit,
            "missing_value": _MISSING,
            "_FillValue": _MISSING,
            "grid_mapping": "crs",
        }
        variables[key] = (("depth", "latitude", "longitude"), values, attributes)
    wgs84 = {
        "grid_mapping_name": "latitude_longitude",
        "semi_major_axis": 6378137.0,
        "inverse_flattening": 298.257223563,
    }
    variables["crs"] = ((), np.int32(0), wgs84)
    dataset = xarray.Dataset(
        variables,
        {
            "depth": (
                "depth",
                depth,
                {
                    "long_name": "depth below the surface",
                    "units": "km",
                    "positive": "down",
                    "standard_name": "depth",
                    "axis": "Z",
                },
            ),
            "latitude": ("latitude", latitude, _axis("latitude", "north", "Y")),
            "longitude": ("longitude", longitude, _axis("longitude", "east", "X")),
        },
        _header(name, title, summary, (latitude, longitude, depth)),
    )
    with publish(path) as temporary:
        dataset.to_netcdf(temporary, format="NETCDF3_CLASSIC", engine="scipy")


def _axis(name: str, direction: str, letter: str) -> dict[str, str]:
    return {
        "long_name": f"{name.capitalize()}; positive {direction}",
        "units": f"degrees_{direction}",
        "standard_name": name,
        "axis": letter,
    }


def _header(
    name: str, title: str, summary: str, axes: tuple[FloatArray, FloatArray, FloatArray]
) -> dict[str, Any]:
    latitude, longitude, depth = axes
    return {
        "title": title,
        "id": name,
        "summary": summary or title,
        "keywords": "seismic tomography, adjoint waveform inversion, P wave speed, S wave speed, density",
        "Conventions": "CF-1.8",
        "Metadata_Conventions": "Unidata Dataset Discovery v1.0",
        "cdm_data_type": "Grid",
        "history": f"exported by seisflow {__version__}",
        "geospatial_lat_min": float(latitude[0]),
        "geospatial_lat_max": float(latitude[-1]),
        "geospatial_lat_units": "degrees_north",
        "geospatial_lat_resolution": _step(latitude),
        "geospatial_lon_min": float(longitude[0]),
        "geospatial_lon_max": float(longitude[-1]),
        "geospatial_lon_units": "degrees_east",
        "geospatial_lon_resolution": _step(longitude),
        "geospatial_vertical_min": float(depth[0]),
        "geospatial_vertical_max": float(depth[-1]),
        "geospatial_vertical_units": "km",
        "geospatial_vertical_positive": "down",
    }


def _step(axis: FloatArray) -> float:
    return round(float(axis[1] - axis[0]), 9)


def _geographic_axes(model: Model) -> tuple[FloatArray, FloatArray]:
    """Round, even latitudes and longitudes over the model, about as dense as its nodes."""
    edge = _edge(model)
    per_degree = 111_200.0
    found = []
    for number, spacing in ((0, model.grid.spacing[1]), (1, model.grid.spacing[0])):
        low, high = edge[:, number].min(), edge[:, number].max()
        stretch = np.cos(np.radians(model.projection.latitude)) if number else 1.0
        wanted = max(spacing / per_degree / stretch, (high - low) / _FINEST)
        power = 10.0 ** np.floor(np.log10(wanted))
        step = float(max(m for m in (1, 2, 5) if m * power <= wanted * (1 + 1e-9)) * power)
        first, last = np.floor(low / step + 1e-6), np.ceil(high / step - 1e-6)
        found.append(np.round(np.arange(first, last + 1) * step, 9))
    return found[0], found[1]


def _edge(model: Model) -> FloatArray:
    """Latitude and longitude of the nodes on the edge of the grid, shape (n, 2)."""
    x, y = model.grid.x, model.grid.y
    xs = np.concatenate([x, x, np.full(y.size, x[0]), np.full(y.size, x[-1])])
    ys = np.concatenate([np.full(x.size, y[0]), np.full(x.size, y[-1]), y, y])
    return np.stack(model.projection.to_geographic_many(xs, ys), axis=1)


def _places(model: Model, latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, Any]:
    """Grid numbers (2, n) along x and y of the geographic nodes over the model, and which those are."""
    grid = model.grid
    here = np.meshgrid(latitude, longitude, indexing="ij")
    local = np.stack(model.projection.to_local_many(here[0], here[1]), axis=2)
    pixels = (local - grid.origin[:2]) / np.array(grid.spacing[:2])
    most = np.array(grid.shape[:2]) - 1.0
    inside = np.all((pixels >= -1e-6) & (pixels <= most + 1e-6), axis=2)
    return np.clip(pixels[inside], 0.0, most).T, inside


def _sampled(values: FloatArray, pixels: FloatArray) -> FloatArray:
    """Columns (n, nz) at grid numbers along x and y, bilinear."""
    low = np.minimum(pixels.astype(int), np.array(values.shape[:2])[:, None] - 2)
    (i, j), (u, v) = low, (pixels - low)[:, :, None]
    result: FloatArray = (1 - u) * ((1 - v) * values[i, j] + v * values[i, j + 1]) + u * (
        (1 - v) * values[i + 1, j] + v * values[i + 1, j + 1]
    )
    return result


# --- for notebooks


def model_dataset(model: Model, title: str = "seismic model") -> Any:
    """A model as ``xarray.Dataset``: vp, vs (m/s), rho (kg/m3) over x, y, z (m), with latitude and longitude.

    Parameters
    ----------
    model : Model
    title : str

    Returns
    -------
    xarray.Dataset
        ``latitude`` and ``longitude`` (degrees) are coordinates over x and y, so
        ``dataset.vs.sel(z=10e3, method="nearest").plot(x="longitude", y="latitude")`` is a map.
    """
    units = {"vp": "m/s", "vs": "m/s", "rho": "kg/m3"}
    fields = {
        name: (values, {"long_name": _NAMES[name], "units": units[name]})
        for name, values in model.fields().items()
    }
    return _dataset(model.grid, model.projection, fields, title)


def kernel_dataset(
    kernel: Kernel,
    model: Model,
    title: str = "sensitivity kernel",
    parameters: KernelParameters = "velocities",
) -> Any:
    """A kernel as ``xarray.Dataset``: dJ/d(node value) by parameter, and the illumination, laid out as a model.

    Parameters
    ----------
    kernel : Kernel
    model : Model
        At which it was computed.
    title : str
    parameters : {"velocities", "impedances", "moduli"}
        See ``domain.kernels.kernel_fields``.

    Returns
    -------
    xarray.Dataset
    """
    fields: dict[str, tuple[FloatArray, dict[str, str]]] = {
        name: (values, {"long_name": f"dJ/d({_NAMES.get(name, name)}), per node", "units": UNITS[name]})
        for name, values in kernel_fields(kernel, model, parameters).items()
    }
    if kernel.illumination is not None:
        fields["illumination"] = (kernel.illumination, {"long_name": "illumination", "units": "1"})
    return _dataset(kernel.grid, model.projection, fields, title)


def _dataset(
    grid: Any,
    projection: Projection,
    fields: Mapping[str, tuple[FloatArray, Mapping[str, str]]],
    title: str,
) -> Any:
    import xarray

    here = np.meshgrid(grid.x, grid.y, indexing="ij")
    latitude, longitude = projection.to_geographic_many(here[0], here[1])
    about = {
        "x": ("x", grid.x, {"long_name": "east", "units": "m"}),
        "y": ("y", grid.y, {"long_name": "north", "units": "m"}),
        "z": ("z", grid.z, {"long_name": "depth", "units": "m", "positive": "down"}),
        "latitude": (("x", "y"), latitude, {"units": "degrees_north"}),
        "longitude": (("x", "y"), longitude, {"units": "degrees_east"}),
    }
    variables = {
        name: (("x", "y", "z"), np.array(values, dtype=np.float64), dict(attributes))
        for name, (values, attributes) in fields.items()
    }
    centre = {"projection_latitude": projection.latitude, "projection_longitude": projection.longitude}
    return xarray.Dataset(variables, about, {"title": title, **centre})


def stream_of(gather: Gather, event: Event, location: str = "") -> Any:
    """Seismograms as ``obspy.Stream``; traces without a recording are left out.

    Parameters
    ----------
    gather : Gather
    event : Event
        Its origin time is the zero of the gather.
    location : str
        Location code, to keep observed and synthetic traces apart.

    Returns
    -------
    obspy.Stream
        Channel codes as in ASDF files (``BXZ``: processed). Each ``stats`` holds ``coordinates`` (latitude, longitude,
        elevation), ``distance`` (m), ``back_azimuth`` (degrees), ``quantity``, ``event`` and ``origin``.
    """
    from obspy import Stream, Trace, UTCDateTime
    from obspy.geodetics import gps2dist_azimuth

    origin = UTCDateTime(ns=round(event.time * 1e9))
    stream = Stream()
    for i, station in enumerate(gather.stations):
        distance, _, back = gps2dist_azimuth(
            event.latitude, event.longitude, station.latitude, station.longitude
        )
        for j, component in enumerate(gather.components):
            if not gather.is_live(i, j):
                continue
            header = {
                "network": station.network,
                "station": station.code,
                "location": location,
                "channel": channel_code(component, gather.interval),
                "starttime": origin + gather.start,
                "delta": gather.interval,
                "coordinates": {
                    "latitude": station.latitude,
                    "longitude": station.longitude,
                    "elevation": station.elevation,
                },
                "distance": distance,
                "back_azimuth": back,
                "quantity": gather.quantity,
                "event": event.id,
                "origin": origin,
            }
            stream.append(Trace(np.array(gather.data[i, j]), header))
    return stream
