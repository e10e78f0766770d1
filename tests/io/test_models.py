from dataclasses import replace

import numpy as np
import pytest

from seisflow.domain import Grid, Kernel, Model, Projection
from seisflow.errors import InputError, MissingError
from seisflow.io.models import read_kernel, read_model, write_kernel, write_model

GRID = Grid((-1000.0, -2000.1, 0.0), (333.3333333, 500.7, 250.0), (5, 6, 7))
PLACE = Projection(37.123456789, -121.987654321)


def make_model(seed: int = 1) -> Model:
    noise = np.random.default_rng(seed).random((3, *GRID.shape))
    return Model(GRID, PLACE, 5000 + noise[0], 2900 + noise[1], 2700 + noise[2])


def edit(path, change):
    """Read with xarray, change, write again: as a user would."""
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as data:
        data = change(data.load())
    data.to_netcdf(path, engine="h5netcdf")


def test_model_round_trip_is_exact(tmp_path):
    model = make_model()
    write_model(tmp_path / "m.nc", model)
    back = read_model(tmp_path / "m.nc")
    assert back.grid == model.grid
    assert back.projection == model.projection
    for name, values in model.fields().items():
        assert back.fields()[name].tobytes() == values.tobytes()


def lossy(**changes):
    noise = np.random.default_rng(2).random((2, *GRID.shape))
    values = {"qkappa": 1 / noise[0], "qmu": 50 + noise[1], "reference_frequency": 0.125} | changes
    values["qkappa"][0, 0, 0] = np.inf
    return replace(make_model(), **values)


def test_quality_factors_go_with_a_model(tmp_path):
    write_model(tmp_path / "m.nc", lossy())
    back = read_model(tmp_path / "m.nc")
    assert back.reference_frequency == 0.125
    for name, values in lossy().quality().items():
        assert back.quality()[name].tobytes() == values.tobytes()
    assert read_model_without(tmp_path) == {}


def read_model_without(folder):
    write_model(folder / "elastic.nc", make_model())
    return read_model(folder / "elastic.nc").quality()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.drop_vars("qkappa"), "qmu alone"),
        (lambda data: data.assign(qmu=data["qmu"] * -1), "qmu = -50"),
        (
            lambda data: data.assign(qmu=data["qmu"].drop_attrs(), qkappa=data["qkappa"].drop_attrs()),
            "frequency in Hz",
        ),
    ],
)
def test_faults_of_quality_factors_are_named(tmp_path, change, words):
    write_model(tmp_path / "m.nc", lossy())
    edit(tmp_path / "m.nc", change)
    with pytest.raises(InputError, match=words) as caught:
        read_model(tmp_path / "m.nc")
    assert "m.nc" in str(caught.value)


def test_equal_models_give_equal_bytes(tmp_path):
    for name, seed in (("a.nc", 1), ("b.nc", 1), ("c.nc", 2)):
        write_model(tmp_path / name, make_model(seed))
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.nc", "b.nc", "c.nc"))
    assert a == b
    assert a != c


def test_xarray_opens_it_with_units_and_place(tmp_path):
    import xarray as xr

    write_model(tmp_path / "m.nc", make_model())
    with xr.open_dataset(tmp_path / "m.nc", engine="h5netcdf") as data:
        assert data["vs"].dims == ("x", "y", "z")
        assert data["vs"].units == "m s-1"
        assert data["rho"].units == "kg m-3"
        assert data["z"].positive == "down"
        assert data["crs"].latitude_of_projection_origin == PLACE.latitude
        np.testing.assert_array_equal(data["vp"].values, make_model().vp)
        assert data["vs"].sel(x=-1000.0, z=250.0).shape == (6,)


def test_a_model_written_by_xarray_is_read(tmp_path):
    write_model(tmp_path / "m.nc", make_model())

    def change(data):
        for name in "xyz":
            del data[name].attrs["spacing"]
        return data.astype("f4").transpose("z", "y", "x")

    edit(tmp_path / "m.nc", change)
    back = read_model(tmp_path / "m.nc")
    np.testing.assert_allclose(back.vp, make_model().vp, rtol=1e-6)
    np.testing.assert_allclose(back.grid.spacing, GRID.spacing, rtol=1e-6)


def uneven(data):
    x = data["x"].values.copy()
    x[2] += 50
    return data.assign_coords(x=("x", x, data["x"].attrs))


def holed(data):
    data["vs"][1, 2, 3] = np.nan
    return data


def kilometres(data):
    data["vp"] = data["vp"] / 1000
    return data


def other_units(data):
    data["vp"].attrs["units"] = "furlong"
    return data


def upward(data):
    data["z"].attrs["positive"] = "up"
    return data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.drop_vars("vs"), "no variable 'vs'"),
        (lambda data: data.drop_vars("x"), "no coordinate 'x'|coordinate x"),
        (lambda data: data.drop_vars("crs"), "where on Earth"),
        (lambda data: data.isel(y=0), "no coordinate 'y'|coordinate y|shape"),
        (uneven, "even steps"),
        (holed, "vs = nan at x = -666"),
        (kilometres, "km/s"),
        (other_units, "furlong"),
        (upward, "points up"),
    ],
)
def test_faults_of_users_are_named(tmp_path, change, words):
    write_model(tmp_path / "m.nc", make_model())
    edit(tmp_path / "m.nc", change)
    with pytest.raises(InputError, match=words) as caught:
        read_model(tmp_path / "m.nc")
    assert "m.nc" in str(caught.value)


def test_impossible_models_are_not_written(tmp_path):
    model = make_model()
    with pytest.raises(InputError, match="vp/vs"):
        write_model(tmp_path / "m.nc", model.with_fields(vs=model.vp))
    assert list(tmp_path.iterdir()) == []


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(MissingError, match="no such file"):
        read_model(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("not a model")
    with pytest.raises(InputError, match=r"text\.nc.*cannot be read"):
        read_model(tmp_path / "text.nc")


@pytest.mark.parametrize("lit", [True, False])
def test_kernel_round_trip_is_exact(tmp_path, lit):
    fields = np.random.default_rng(3).standard_normal((4, *GRID.shape)) * 1e-9
    kernel = Kernel(GRID, *fields[:3], illumination=fields[3] if lit else None)
    write_kernel(tmp_path / "k.nc", kernel, PLACE)
    back = read_kernel(tmp_path / "k.nc")
    assert back.grid == GRID
    for name, values in kernel.fields().items():
        assert back.fields()[name].tobytes() == values.tobytes()
    assert (back.illumination is None) == (not lit)
    if lit:
        np.testing.assert_array_equal(back.illumination, fields[3])
