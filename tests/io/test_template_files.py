"""Templates on disk: what is written comes back."""

from __future__ import annotations

from dataclasses import fields

import h5py
import numpy as np
import pytest

from seisflow.domain import Station, Template
from seisflow.errors import InputError, MissingError
from seisflow.io.template_files import read_templates, write_templates


def template(name: str, magnitude: float | None = None) -> Template:
    rng = np.random.default_rng(sum(name.encode()))
    lengths = np.array([[5, 8, 0], [8, 8, 3]])
    waveforms = rng.standard_normal((2, 3, 8)).astype(np.float32)
    waveforms[np.arange(8) >= lengths[..., None]] = 0
    return Template(
        id=name,
        time=1.7e9 + rng.uniform(),
        x=-12.5,
        y=rng.normal(),
        z=5e3,
        stations=(Station("XX", "A", 38.0, 22.0, 510.5, 2.0), Station("XX", "Bé", 38.1, 22.1)),
        components=tuple("ENZ"),
        waveforms=waveforms,
        lengths=lengths,
        moveouts=rng.normal(size=(2, 3)),
        weights=(lengths > 0) * 1.0,
        phases=np.where(lengths > 0, np.array(["S", "S", "P"]), ""),
        interval=0.02,
        magnitude=magnitude,
        quality={"signal_to_noise": 3.25, "members": 2.0},
    )


def test_templates_come_back_to_the_last_bit(tmp_path):
    path, similarity = tmp_path / "templates.h5", np.array([[1.0, 0.3], [0.3, 1.0]])
    written = [template("a", 1.25), template("b")]
    write_templates(path, written, similarity)
    found, alike = read_templates(path)
    np.testing.assert_array_equal(alike, similarity)
    assert len(found) == 2
    for one, other in zip(written, found, strict=True):
        for field in fields(Template):
            a, b = getattr(one, field.name), getattr(other, field.name)
            if isinstance(a, np.ndarray):
                assert a.dtype.kind == b.dtype.kind
                np.testing.assert_array_equal(a, b)
            else:
                assert a == b


def test_none_may_be_written(tmp_path):
    write_templates(tmp_path / "none.h5", [], np.zeros((0, 0)))
    found, alike = read_templates(tmp_path / "none.h5")
    assert found == () and alike.shape == (0, 0)


def test_the_same_templates_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_templates(tmp_path / name, [template("x")], np.ones((1, 1)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_faults_are_named(tmp_path):
    with pytest.raises(MissingError, match=r"nothing\.h5"):
        read_templates(tmp_path / "nothing.h5")
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"broken\.h5"):
        read_templates(broken)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match=r"other\.h5"):
        read_templates(other)
