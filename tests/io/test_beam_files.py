"""Beams on disk: what is written comes back."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from seisflow.domain import Beam
from seisflow.errors import InputError, MissingError
from seisflow.io.beam_files import StoredBeam, read_beam, write_beam


def stored(samples: int = 300, peaks: int = 7) -> StoredBeam:
    rng = np.random.default_rng(8)
    maximum = rng.uniform(0, 3, samples).astype(np.float32)
    node = rng.integers(-1, 400, samples).astype(np.int32)
    live = rng.uniform(0, 1, samples).astype(np.float32)
    threshold = rng.uniform(1, 2, samples).astype(np.float32)
    threshold[:3] = np.inf
    null = rng.uniform(0, 1, peaks).astype(np.float32)
    return StoredBeam(Beam(1.7e9 + 0.04, 0.04, maximum, node, live), threshold, null, 1234.5)


@pytest.mark.parametrize(("samples", "peaks"), [(300, 7), (300, 0), (0, 0)])
def test_a_beam_comes_back_to_the_last_bit(tmp_path, samples, peaks):
    one = stored(samples, peaks)
    write_beam(tmp_path / "beam.h5", one)
    other = read_beam(tmp_path / "beam.h5")
    assert (other.beam.start, other.beam.interval) == (one.beam.start, one.beam.interval)
    assert other.null_duration == one.null_duration
    for name in ("maximum", "node", "live"):
        np.testing.assert_array_equal(getattr(other.beam, name), getattr(one.beam, name))
        assert getattr(other.beam, name).dtype == getattr(one.beam, name).dtype
    np.testing.assert_array_equal(other.threshold, one.threshold)
    np.testing.assert_array_equal(other.null, one.null)


def test_the_same_beam_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_beam(tmp_path / name, stored())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_faults_are_named(tmp_path):
    with pytest.raises(MissingError, match=r"nothing\.h5"):
        read_beam(tmp_path / "nothing.h5")
    cut = tmp_path / "cut.h5"
    write_beam(cut, stored())
    cut.write_bytes(cut.read_bytes()[:700])
    with pytest.raises(InputError, match=r"cut\.h5"):
        read_beam(cut)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match=r"other\.h5"):
        read_beam(other)
