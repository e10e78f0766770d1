"""The door to compiled code."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from seisflow import native
from seisflow.errors import InputError, MissingError
from seisflow.native.elastic3d import Elastic3DGrid, Entries, Material

module = importlib.import_module("seisflow.native.library")


def test_level_and_cores():
    assert native.simd_level() in ("baseline", "v3", "v4")
    assert native.cores() >= 1
    assert isinstance(native.openmp(), bool)
    with pytest.raises(InputError, match="no SIMD level 'v9'"):
        native.use_simd("v9")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.float32), "dtype is float32"),
        (np.zeros((3, 2)), r"shape is \(3, 2\)"),
        (np.zeros((3, 2)).T, "C order"),
        ([[0.0] * 3] * 2, "dtype is list"),
    ],
    ids=["type", "shape", "order", "list"],
)
def test_arrays_are_checked(array, message):
    with pytest.raises(InputError, match=message):
        native.pointer(array, np.float64, (2, 3), "name")


def test_a_good_array_gives_its_address():
    array = np.zeros((2, 3))
    assert native.pointer(array, np.float64, (2, 3), "name") == array.ctypes.data


def test_a_library_that_was_not_built_is_reported_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "files", lambda package: tmp_path)
    module.library.cache_clear()
    try:
        with pytest.raises(MissingError, match="make setup"):
            module.library()
        (tmp_path / "_kernels.so").write_text("no library")
        with pytest.raises(MissingError, match="cannot be loaded"):
            module.library()
    finally:
        module.library.cache_clear()


def test_grids_and_points_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="too small"):
        Elastic3DGrid((20, 20, 15))
    with pytest.raises(InputError, match="profiles"):
        Elastic3DGrid((30, 30, 30), cells=5)
    with pytest.raises(InputError, match="precision"):
        Elastic3DGrid((30, 30, 30), np.float16)
    grid = Elastic3DGrid((20, 20, 20))
    one = np.array([0])
    with pytest.raises(InputError, match="outside"):
        grid.sources(Entries(one, one, one, one + 20, np.ones(1), one), np.zeros((5, 1)))
    with pytest.raises(InputError, match="signal"):
        grid.sources(Entries(one, one, one, one, np.ones(1), one + 1), np.zeros((5, 1)))
    with pytest.raises(InputError, match="shape"):
        grid.set_material(Material.isotropic(*[np.ones((20, 20, 19))] * 3), 1.0)
