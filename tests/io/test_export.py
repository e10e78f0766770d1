"""Exports: other programs find the same values at the same places."""

import base64
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray

from seisflow.domain import Event, Force, Gather, Grid, Kernel, Model, Projection, Station
from seisflow.errors import InputError
from seisflow.io.export import (
    exported,
    kernel_dataset,
    model_dataset,
    stream_of,
    write_emc,
    write_vtk,
)

GRID = Grid((-40e3, -30e3, 0.0), (4e3, 5e3, 3e3), (21, 13, 6))
PROJECTION = Projection(38.0, -122.0)


@pytest.fixture
def model():
    x, y, z = np.meshgrid(GRID.x, GRID.y, GRID.z, indexing="ij")
    vs = 3000 + 0.005 * x - 0.003 * y + 0.02 * z
    return Model(GRID, PROJECTION, 1.8 * vs, vs, 2500 + 0.01 * z)


def read_vti(path):
    """Arrays (x, y, z) of an ImageData file by name, its origin and its spacing; a reader of its own."""
    image = ElementTree.parse(path).getroot().find("ImageData")
    numbers = list(map(int, image.attrib["WholeExtent"].split()))
    shape = [numbers[2 * n + 1] - numbers[2 * n] + 1 for n in range(3)]
    arrays = {}
    for item in image.find("Piece/PointData"):
        content = base64.b64decode(item.text)
        size = int(np.frombuffer(content[:8], "<u8")[0])
        assert size == len(content) - 8
        kind = {"Float32": "<f4", "Float64": "<f8"}[item.attrib["type"]]
        arrays[item.attrib["Name"]] = np.frombuffer(content[8:], kind).reshape(shape, order="F")
    return arrays, *(tuple(map(float, image.attrib[name].split())) for name in ("Origin", "Spacing"))


def test_vtk_holds_the_fields_with_z_up(model, tmp_path):
    path = tmp_path / "m.vti"
    light = np.linspace(0, 1, GRID.size).reshape(GRID.shape)
    write_vtk(path, model, exported(model, model.with_fields(vs=model.vs / 1.02), light))
    arrays, origin, spacing = read_vti(path)
    assert list(arrays) == [
        "vp (km/s)",
        "vs (km/s)",
        "rho (g/cm3)",
        "dvp (%)",
        "dvs (%)",
        "drho (%)",
        "illumination",
    ]
    assert origin == (-40e3, -30e3, -15e3) and spacing == (4e3, 5e3, 3e3)
    np.testing.assert_allclose(arrays["vs (km/s)"][3, 7, 0], model.vs[3, 7, 5] / 1000, rtol=1e-6)
    np.testing.assert_allclose(arrays["vs (km/s)"][:, :, ::-1], model.vs / 1000, rtol=1e-6)
    np.testing.assert_allclose(arrays["dvs (%)"], 2.0, rtol=1e-4)
    np.testing.assert_allclose(arrays["drho (%)"], 0.0, atol=1e-6)
    np.testing.assert_allclose(arrays["illumination"][20, 12, 0], 1.0)


def test_vtk_itself_reads_the_file(model, tmp_path):
    pyvista = pytest.importorskip("pyvista", reason="pyvista is not installed")
    write_vtk(tmp_path / "m.vti", model, exported(model))
    mesh = pyvista.read(tmp_path / "m.vti")
    place = mesh.find_closest_point((GRID.x[4], GRID.y[9], -GRID.z[2]))
    assert mesh["vs (km/s)"][place] == pytest.approx(model.vs[4, 9, 2] / 1000)


def test_emc_is_on_even_degrees_with_nothing_outside_the_model(model, tmp_path):
    path = tmp_path / "m.nc"
    write_emc(path, model, exported(model), name="test_m00", title="a model")
    assert path.read_bytes()[:4] == b"CDF\x01"  # NetCDF-3 classic
    raw = xarray.open_dataset(path, mask_and_scale=False, engine="scipy")
    assert raw.vs.attrs["missing_value"] == np.float32(99999) == raw.vs.attrs["_FillValue"]
    assert raw.vs.values.max() == np.float32(99999)
    with xarray.open_dataset(path, engine="scipy") as found:
        assert found.vs.dims == ("depth", "latitude", "longitude")
        assert found.vs.attrs["units"] == "km.s-1" and found.rho.attrs["units"] == "g.cm-3"
        assert found.depth.attrs["positive"] == "down" and list(found.depth) == list(GRID.z / 1000)
        for axis in (found.latitude, found.longitude):
            steps = np.diff(axis)
            np.testing.assert_allclose(steps, steps[0], atol=1e-9)
        assert found.attrs["geospatial_lat_min"] == float(found.latitude[0])
        assert found.attrs["id"] == "test_m00"
        for n, a in enumerate(found.latitude.values):
            for m, b in enumerate(found.longitude.values):
                x, y = PROJECTION.to_local(a, b)
                value = float(found.vs[2, n, m])
                if abs(x) > 40.001e3 or abs(y) > 30.001e3:
                    assert np.isnan(value)
                elif abs(x) < 39.99e3 and abs(y) < 29.99e3:  # the field is linear: interpolation is exact
                    assert value == pytest.approx((3000 + 0.005 * x - 0.003 * y + 120) / 1000, rel=1e-6)
        assert 0.5 < float(found.vs.notnull().mean()) < 1
    raw.close()


def test_same_model_same_files(model, tmp_path):
    for name in ("a", "b"):
        write_vtk(tmp_path / f"{name}.vti", model, exported(model))
        write_emc(tmp_path / f"{name}.nc", model, exported(model), name="m", title="t")
    for kind in ("vti", "nc"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_a_reference_on_another_grid_is_refused(model):
    other = Grid(GRID.origin, GRID.spacing, (21, 13, 5))
    short = Model(other, PROJECTION, *(values[:, :, :5] for values in model.fields().values()))
    with pytest.raises(InputError, match="different grids"):
        exported(model, short)


def test_model_and_kernel_as_xarray(model):
    found = model_dataset(model)
    assert found.vs.dims == ("x", "y", "z") and found.vs.attrs["units"] == "m/s"
    here = found.sel(x=8e3, y=-10e3, z=6e3)
    assert float(here.vs) == pytest.approx(3000 + 40 + 30 + 120)
    assert PROJECTION.to_local(float(here.latitude), float(here.longitude)) == pytest.approx((8e3, -10e3))
    found.vs[:] = 0  # a copy
    assert model.vs.min() > 1000
    kernel = Kernel(GRID, model.vp, model.vs, model.rho, illumination=np.ones(GRID.shape))
    assert set(kernel_dataset(kernel, model)) == {"vp", "vs", "rho", "illumination"}
    other = kernel_dataset(kernel, model, parameters="impedances")
    assert (
        set(other) == {"impedance_p", "impedance_s", "rho", "illumination"}
        and other.rho.attrs["units"] == "m3/kg"
    )


def test_gather_as_stream():
    stations = (Station("XX", "A", 38.1, -122.0, 250.0), Station("XX", "B", 38.0, -121.5))
    data = np.arange(2 * 3 * 40, dtype=float).reshape(2, 3, 40)
    live = np.array([[True, True, True], [True, False, True]])
    gather = Gather(stations, ("R", "T", "Z"), data, -5.0, 0.5, "displacement", live)
    event = Event("e", 1.6e9, 38.0, -122.0, 8e3, Force(0, 0, 1))
    stream = stream_of(gather, event, "SY")
    assert [trace.id for trace in stream] == [
        "XX.A.SY.MXR",
        "XX.A.SY.MXT",
        "XX.A.SY.MXZ",
        "XX.B.SY.MXR",
        "XX.B.SY.MXZ",
    ]
    trace = stream.select(station="A", component="Z")[0]
    np.testing.assert_array_equal(trace.data, data[0, 2])
    assert trace.stats.starttime.timestamp == 1.6e9 - 5 and trace.stats.delta == 0.5
    assert trace.stats.distance == pytest.approx(11.1e3, rel=0.01)
    assert trace.stats.back_azimuth == pytest.approx(180.0)
    assert trace.stats.coordinates.elevation == 250.0 and trace.stats.quantity == "displacement"
    trace.data[:] = 0
    assert gather.data[0, 2].any()
