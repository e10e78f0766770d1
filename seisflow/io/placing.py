"""Gridded models of others, brought onto the grid of a region."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray, Grid, Model, Projection
from seisflow.errors import InputError
from seisflow.io.earth_grids import EarthGrid

__all__ = ["brocher_density", "brocher_vp", "brocher_vs", "place_on_grid"]

_FEW = 0.5
"""At least this share of the columns of a region must lie within a model."""


def brocher_vp(vs: FloatArray) -> FloatArray:
    """Speed of P waves of that of S waves in m/s (Brocher 2005, eq. 9; crustal rocks, vs to 4.5 km/s)."""
    v = vs / 1000
    return 1000 * np.asarray(0.9409 + 2.0947 * v - 0.8206 * v**2 + 0.2683 * v**3 - 0.0251 * v**4)


def brocher_vs(vp: FloatArray) -> FloatArray:
    """Speed of S waves of that of P waves in m/s (Brocher 2005, eq. 6; vp from 1.5 to 8 km/s)."""
    v = vp / 1000
    return 1000 * np.asarray(0.7858 - 1.2344 * v + 0.7949 * v**2 - 0.1238 * v**3 + 0.0064 * v**4)


def brocher_density(vp: FloatArray) -> FloatArray:
    """Density in kg/m3 of the speed of P waves in m/s (Brocher 2005, eq. 1; vp from 1.5 to 8.5 km/s)."""
    v = vp / 1000
    return 1000 * np.asarray(1.6612 * v - 0.4721 * v**2 + 0.0671 * v**3 - 0.0043 * v**4 + 0.000106 * v**5)


def place_on_grid(
    found: EarthGrid, grid: Grid, projection: Projection, where: str
) -> tuple[Model, list[str]]:
    """Interpolate a model linearly onto a grid.

    Missing values are filled from the nearest depth of their column, then from the nearest column; beyond the edges
    the nearest values go on. What is missing follows from Brocher (2005): vp from vs, vs from vp, density from vp.

    Parameters
    ----------
    found : EarthGrid
    grid : Grid
    projection : Projection
        Of the region.
    where : str
        Name of the file in messages.

    Returns
    -------
    Model
    list of str
        What was converted, filled, extrapolated or derived.

    Raises
    ------
    InputError
        If less than half of the region lies within the model.
    """
    from scipy.interpolate import RegularGridInterpolator

    first, second = _horizontal(found, grid, projection)
    points = [np.repeat(first[:, :, None], grid.shape[2], 2), np.repeat(second[:, :, None], grid.shape[2], 2)]
    points.append(np.broadcast_to(grid.z, grid.shape).copy())
    remarks = [*found.remarks, *_outside(found, points, where)]
    clipped = [np.clip(p, axis[0], axis[-1]) for p, axis in zip(points, found.axes, strict=True)]
    target = np.stack(clipped, axis=-1)
    fields: dict[str, FloatArray] = {}
    touched = np.zeros(grid.shape, dtype=bool)
    for name, values in found.fields.items():
        missing = ~np.isfinite(values)
        filled = _filled(values, missing) if missing.any() else values
        fields[name] = np.asarray(RegularGridInterpolator(found.axes, filled)(target))
        if missing.any():
            touched |= RegularGridInterpolator(found.axes, missing.astype(float))(target) > 0
    if touched.any():
        remarks.append(
            f"{100 * touched.mean():.2g} % of the nodes touch missing values, filled from the nearest"
        )
    _derive(fields, remarks)
    return Model(grid, projection, fields["vp"], fields["vs"], fields["rho"]), remarks


def _horizontal(found: EarthGrid, grid: Grid, projection: Projection) -> tuple[FloatArray, FloatArray]:
    """First and second horizontal coordinate of the columns, each (nx, ny), in the terms of the model."""
    if found.kind == "local":
        x, y = np.meshgrid(grid.x, grid.y, indexing="ij")
        return x, y
    place = np.array([[projection.to_geographic(x, y) for y in grid.y] for x in grid.x])
    longitude = place[..., 1]
    middle = 0.5 * (found.axes[0][0] + found.axes[0][-1])
    longitude = longitude + 360 * np.round((middle - longitude) / 360)
    return longitude, place[..., 0]


def _outside(found: EarthGrid, points: list[FloatArray], where: str) -> list[str]:
    """Remarks on the part of the region that the model does not cover."""
    out = [(p < axis[0] - 1e-9) | (p > axis[-1] + 1e-9) for p, axis in zip(points, found.axes, strict=True)]
    sideways = (out[0] | out[1])[:, :, 0]
    if sideways.mean() > 1 - _FEW:
        (a, b), (c, d) = ((axis[0], axis[-1]) for axis in found.axes[:2])
        names = ("longitudes", "latitudes", "degrees") if found.kind == "geographic" else ("x", "y", "m")
        raise InputError(
            f"{where}: covers {names[0]} {a:g} to {b:g} and {names[1]} {c:g} to {d:g} {names[2]}, which leaves "
            f"{100 * sideways.mean():.0f} % of the region out; take a model of the region, or move the region"
        )
    remarks = []
    if sideways.any():
        remarks.append(
            f"{100 * sideways.mean():.2g} % of the columns lie beside it and got the nearest values"
        )
    depths = points[2][0, 0]
    below, above = depths[depths > found.axes[2][-1] + 1e-9], depths[depths < found.axes[2][0] - 1e-9]
    if below.size:
        remarks.append(f"below {found.axes[2][-1]:g} m the deepest values go on")
    if above.size:
        remarks.append(f"above {found.axes[2][0]:g} m the shallowest values go on")
    return remarks


def _filled(values: FloatArray, missing: FloatArray) -> FloatArray:
    """Fill missing values from the nearest depth of the column, empty columns from the nearest column."""
    from scipy.ndimage import distance_transform_edt

    depth = np.arange(values.shape[2])
    above = np.maximum.accumulate(np.where(missing, -1, depth), axis=2)
    below = np.minimum.accumulate(np.where(missing, len(depth), depth)[..., ::-1], axis=2)[..., ::-1]
    upward = (above >= 0) & ((depth - above <= below - depth) | (below == len(depth)))
    nearest = np.clip(np.where(upward, above, below), 0, len(depth) - 1)
    filled: FloatArray = np.take_along_axis(values, nearest, axis=2)
    empty = missing.all(axis=2)
    if empty.any():
        near = distance_transform_edt(empty, return_distances=False, return_indices=True)
        filled = filled[near[0], near[1]]
    return filled


def _derive(fields: dict[str, FloatArray], remarks: list[str]) -> None:
    if "vp" not in fields:
        fields["vp"] = brocher_vp(fields["vs"])
        remarks.append("vp from vs by Brocher (2005)")
    if "vs" not in fields:
        fields["vs"] = brocher_vs(fields["vp"])
        remarks.append("vs from vp by Brocher (2005)")
    if "rho" not in fields:
        fields["rho"] = brocher_density(fields["vp"])
        remarks.append("density from vp by Brocher (2005)")
    if len(remarks) and "Brocher" in remarks[-1]:
        beyond = (fields["vp"] < 1500) | (fields["vp"] > 8500) | (fields["vs"] > 4500)
        if beyond.any():
            remarks.append(f"{100 * beyond.mean():.2g} % of the nodes lie beyond the range of its relations")
