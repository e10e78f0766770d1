"""Beams on disk: the maximum over the grid through a day, its threshold, and the peaks of data without events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from seisflow.domain import Beam, FloatArray
from seisflow.io.atomic import publish
from seisflow.io.hdf5 import reading

__all__ = ["StoredBeam", "read_beam", "write_beam"]


@dataclass(frozen=True, eq=False)
class StoredBeam:
    """A beam with what it was judged by.

    Parameters
    ----------
    beam : Beam
    threshold : ndarray of float32 (nt,)
    null : ndarray (n,)
        Heights of the peaks found with the stations shifted against each other.
    null_duration : float
        s that they come from.
    """

    beam: Beam
    threshold: FloatArray
    null: FloatArray
    null_duration: float


def write_beam(path: Path, stored: StoredBeam) -> None:
    """Write a beam; the file appears whole."""
    beam = stored.beam
    with publish(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["start"], file.attrs["interval"] = beam.start, beam.interval
        file.attrs["null_duration"] = stored.null_duration
        for name, values in (
            ("maximum", beam.maximum.astype(np.float32)),
            ("node", beam.node),
            ("live", beam.live.astype(np.float32)),
            ("threshold", stored.threshold.astype(np.float32)),
            ("null", stored.null.astype(np.float32)),
        ):
            if values.size:
                file.create_dataset(
                    name, data=values, compression="gzip", compression_opts=1, shuffle=True, track_times=False
                )
            else:
                file.create_dataset(name, data=values, track_times=False)


def read_beam(path: Path) -> StoredBeam:
    """Read a beam.

    Raises
    ------
    InputError, MissingError
        If the file is not there, damaged or of another kind.
    """
    with reading(path) as file:
        parts = {name: np.asarray(file[name]) for name in ("maximum", "node", "live", "threshold", "null")}
        start, interval, duration = (
            float(file.attrs[name]) for name in ("start", "interval", "null_duration")
        )
    beam = Beam(start, interval, parts["maximum"], parts["node"], parts["live"])
    return StoredBeam(beam, parts["threshold"], parts["null"], duration)
