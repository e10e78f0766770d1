"""Gridded models of others: EMC NetCDF and text columns, onto the grid of a region."""

import numpy as np
import pytest
import xarray

from seisflow.domain import Grid, Projection
from seisflow.errors import InputError
from seisflow.io.collect import sniff
from seisflow.io.earth_grids import read_netcdf_grid, read_text_grid
from seisflow.io.placing import brocher_density, brocher_vp, brocher_vs, place_on_grid

PROJECTION = Projection(37.8, -121.8)
GRID = Grid((-5e4, -4e4, 0.0), (1e4, 1e4, 5e3), (11, 9, 7))
LATITUDE = np.linspace(37.0, 38.6, 9)
LONGITUDE = np.linspace(-123.0, -120.6, 13)
DEPTH = np.array([0.0, 2.0, 5.0, 10.0, 20.0, 40.0])


def speed(longitude, latitude, depth):
    """vs in km/s, linear in all three, so that linear interpolation is exact."""
    return 3.0 + 0.1 * (latitude - 37.8) - 0.2 * (longitude + 121.8) + 0.02 * depth


def emc(path, *, changes=None, engine="scipy", **fields):
    """A model as the EMC has it: depth, latitude, longitude."""
    z, y, x = np.meshgrid(DEPTH, LATITUDE, LONGITUDE, indexing="ij")
    vs = speed(x, y, z).astype(np.float32)
    fields = {"vs": vs, **{name: make(vs) for name, make in fields.items()}}
    dims = ("depth", "latitude", "longitude")
    dataset = xarray.Dataset(
        {name: (dims, values, {"units": "km.s-1"}) for name, values in fields.items()},
        {"depth": DEPTH, "latitude": LATITUDE, "longitude": LONGITUDE},
    )
    dataset.depth.attrs = {"units": "km", "positive": "down"}
    dataset = dataset if changes is None else changes(dataset)
    encoding = {name: {"_FillValue": np.float32(99999.0)} for name in fields if name in dataset}
    dataset.to_netcdf(path, engine=engine, encoding=encoding)
    return path


def wanted(grid=GRID):
    place = np.array([[PROJECTION.to_geographic(x, y) for y in grid.y] for x in grid.x])
    return 1000 * speed(place[..., 1, None], place[..., 0, None], grid.z[None, None, :] / 1000)


@pytest.mark.parametrize("engine", ["scipy", "h5netcdf"])
def test_an_emc_model_is_interpolated_and_what_lacks_is_derived(tmp_path, engine):
    path = emc(tmp_path / "emc.nc", engine=engine)
    assert sniff(path) == "grid"
    model, remarks = place_on_grid(read_netcdf_grid(path), GRID, PROJECTION, "emc.nc")
    np.testing.assert_allclose(model.vs, wanted(), rtol=1e-6)
    np.testing.assert_allclose(model.vp, brocher_vp(model.vs))
    np.testing.assert_allclose(model.rho, brocher_density(model.vp))
    text = "; ".join(remarks)
    assert "depths in km" in text and "vs in km/s" in text
    assert "vp from vs by Brocher (2005)" in text and "density from vp by Brocher (2005)" in text


def test_relations_are_those_that_were_published():
    """One value worked out by hand; and the three relations agree within their scatter."""
    assert brocher_vp(np.array([3500.0]))[0] == pytest.approx(5956.79, abs=0.01)
    assert brocher_density(np.array([6000.0]))[0] == pytest.approx(2718, abs=5)
    assert brocher_vs(np.array([6000.0]))[0] == pytest.approx(3540, abs=15)
    vs = np.linspace(1000, 4400, 20)
    assert np.abs(brocher_vs(brocher_vp(vs)) - vs).max() < 80


def test_axes_in_any_order_and_direction_units_of_metres_and_east_longitudes(tmp_path):
    def turned(dataset):
        dataset = dataset.assign_coords(depth=-1000 * dataset.depth, longitude=dataset.longitude + 360)
        dataset.depth.attrs = {"units": "m", "positive": "up"}
        dataset["vs"] = dataset.vs * 1000
        dataset = dataset.isel(latitude=slice(None, None, -1))
        return dataset.transpose("longitude", "depth", "latitude").rename(latitude="lat", longitude="lon")

    path = emc(tmp_path / "a.nc", changes=turned)
    model, remarks = place_on_grid(read_netcdf_grid(path), GRID, PROJECTION, "a.nc")
    np.testing.assert_allclose(model.vs, wanted(), rtol=1e-6)
    assert any("points up" in remark for remark in remarks)


def test_missing_values_are_filled_from_above_below_and_beside(tmp_path):
    def holes(dataset):
        vs = dataset.vs.values.copy()
        vs[0] = np.nan  # above the ground
        vs[:, :, :4] = np.nan  # columns in the west
        vs[3, 4, 6] = 99999.0
        dataset["vs"] = (dataset.vs.dims, vs, dataset.vs.attrs)
        return dataset

    path = emc(tmp_path / "a.nc", changes=holes)
    model, remarks = place_on_grid(read_netcdf_grid(path), GRID, PROJECTION, "a.nc")
    model.check("a.nc")
    assert any("touch missing values" in remark for remark in remarks)
    deep = GRID.z > 11e3
    np.testing.assert_allclose(model.vs[8:, :, deep], wanted()[8:, :, deep], rtol=1e-6)
    assert model.vs[:, :, 0].max() < wanted()[:, :, 1].max()


def test_a_model_that_ends_within_the_region_goes_on_and_one_elsewhere_is_refused(tmp_path):
    deep = Grid((-5e4, -4e4, 0.0), (1e4, 1e4, 1e4), (11, 9, 7))
    found = read_netcdf_grid(emc(tmp_path / "a.nc"))
    model, remarks = place_on_grid(found, deep, PROJECTION, "a.nc")
    assert "below 40000 m the deepest values go on" in remarks
    np.testing.assert_allclose(model.vs[..., -1], model.vs[..., -3], rtol=1e-6)
    wide = Grid((-12e4, -4e4, 0.0), (1e4, 1e4, 1e4), (21, 9, 4))
    _, remarks = place_on_grid(found, wide, PROJECTION, "a.nc")
    assert any("lie beside it" in remark for remark in remarks)
    with pytest.raises(
        InputError, match=r"a\.nc: covers longitudes -123 to -120\.6.*leaves 100 % of the region out"
    ):
        place_on_grid(found, GRID, Projection(10.0, 20.0), "a.nc")


def test_anisotropic_models_are_averaged_and_perturbations_refused(tmp_path):
    def split(dataset):
        return dataset.assign(vsv=0.98 * dataset.vs, vsh=1.04 * dataset.vs).drop_vars("vs")

    path = emc(tmp_path / "a.nc", changes=split)
    model, remarks = place_on_grid(read_netcdf_grid(path), GRID, PROJECTION, "a.nc")
    np.testing.assert_allclose(model.vs, wanted() * np.sqrt((2 * 0.98**2 + 1.04**2) / 3), rtol=1e-6)
    assert any("Voigt" in remark for remark in remarks)
    path = emc(tmp_path / "b.nc", changes=lambda d: d.rename(vs="dvs"))
    with pytest.raises(InputError, match="neither vp nor vs"):
        read_netcdf_grid(path)


def rows(local=False):
    if local:
        x, y, z = np.meshgrid(np.arange(-60, 61, 10.0), np.arange(-50, 51, 10.0), DEPTH, indexing="ij")
        vs = 3 + 0.001 * x - 0.002 * y + 0.02 * z
    else:
        x, y, z = np.meshgrid(LONGITUDE, LATITUDE, DEPTH, indexing="ij")
        vs = speed(x, y, z)
    table = np.stack([x, y, z, 1.75 * vs, vs, 0.9 * vs], axis=-1).reshape(-1, 6)
    return np.random.default_rng(1).permutation(table)


@pytest.mark.parametrize(
    "header", ["lon lat depth vp vs rho", "# longitude, latitude, depth_km, vp, vs, rho", ""]
)
def test_columns_of_longitude_and_latitude_in_any_order_of_rows(tmp_path, header):
    path = tmp_path / "grid.txt"
    np.savetxt(path, rows(), header=header, comments="", fmt="%.8f")
    assert sniff(path) == "grid"
    model, remarks = place_on_grid(read_text_grid(path), GRID, PROJECTION, "grid.txt")
    np.testing.assert_allclose(model.vs, wanted(), rtol=1e-6)
    np.testing.assert_allclose(model.vp, 1.75 * wanted(), rtol=1e-6)
    np.testing.assert_allclose(model.rho, 0.9 * wanted(), rtol=1e-6)
    assert any("km/s or g/cm3" in remark for remark in remarks)


def test_columns_of_x_and_y_are_measured_from_the_centre(tmp_path):
    table = rows(local=True)
    np.savetxt(tmp_path / "km.txt", table, header="x y z vp vs rho", comments="", fmt="%.8f")
    np.savetxt(tmp_path / "m.txt", 1000 * table, header="x_m y_m z_m vp vs rho", comments="", fmt="%.5f")
    models = [
        place_on_grid(read_text_grid(tmp_path / name), GRID, PROJECTION, name)[0]
        for name in ("km.txt", "m.txt")
    ]
    x, y, z = np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij")
    for model in models:
        np.testing.assert_allclose(model.vs, 3000 + 1e-3 * x - 2e-3 * y + 2e-2 * z, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lon lat vp vs rho\n1 2 3 4 5\n", "a column of depth"),
        ("lon lat depth vp vs rho\n1 2 3 4 5\n", "do not hold 6 numbers"),
        ("lon lat depth vp vs rho\n" + "".join(f"{n} {n} {n} 6 3 2.7\n" for n in range(9)), "are no grid"),
        (
            "".join(f"{x} {y} {z} 6 3 2.7\n" for x in (0, 10, 20) for y in (0, 10) for z in (0, 10)),
            "can be degrees or km",
        ),
        ("lon lat depth vp vs rho\n1 2 3 4 5 much\n", "rows of numbers"),
    ],
)
def test_faults_of_columns_are_named(tmp_path, text, words):
    (tmp_path / "grid.txt").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_text_grid(tmp_path / "grid.txt")
    assert "grid.txt" in str(caught.value)


def test_layered_models_are_still_layers(tmp_path):
    (tmp_path / "a.txt").write_text(
        "1.0 3.2 1.5 2.28 600 300\n2.0 4.5 2.4 2.28 600 300\n0.0 6.2 3.4 2.68 600 300\n"
    )
    assert sniff(tmp_path / "a.txt") == "layers"
    lines = "".join(f"2.0 {5 + 0.1 * n:.1f} {2.9 + 0.1 * n:.1f} 2.7 600 300\n" for n in range(20))
    (tmp_path / "b.txt").write_text(lines)
    assert sniff(tmp_path / "b.txt") == "layers"
