"""Window candidates in the file of an event: columns, compressed, with a checksum each."""

from __future__ import annotations

import os
from collections.abc import Mapping

import h5py
import numpy as np

from seisflow.domain import BandCandidates, CandidateTable
from seisflow.io.hdf5 import attribute_text, put, reading

__all__ = ["put_candidates", "read_candidates"]

_GROUP = "Candidates"


def put_candidates(auxiliary: h5py.Group, bands: Mapping[int, BandCandidates]) -> None:
    """Add the candidates of the bands (from 0) in which windows were selected.

    Parameters
    ----------
    auxiliary : h5py.Group
    bands : mapping of int to BandCandidates
    """
    for band, found in sorted(bands.items()):
        group = f"{_GROUP}/{band + 1}"
        names = np.array([name.encode() for name in found.stations], dtype="S")
        attributes = {
            "components": " ".join(found.components),
            "start": np.float64(found.start),
            "interval": np.float64(found.interval),
        }
        put(auxiliary, f"{group}/stations", names, attributes)
        for name in CandidateTable.__dataclass_fields__:
            put(auxiliary, f"{group}/columns/{name}", getattr(found.table, name), compress=True)


def read_candidates(path: str | os.PathLike[str]) -> dict[int, BandCandidates]:
    """Read the candidates among which the windows of an event were selected.

    Parameters
    ----------
    path : path
        File of an event.

    Returns
    -------
    dict of int to BandCandidates
        By band, from 0; empty where windows were not selected but frozen or carried over.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged.
    """
    with reading(path) as file:
        bands = file["AuxiliaryData"].get(_GROUP, {})
        return {int(name) - 1: _read(bands[name]) for name in sorted(bands, key=int)}


def _read(group: h5py.Group) -> BandCandidates:
    stations, columns = group["stations"], group["columns"]
    return BandCandidates(
        CandidateTable(**{name: columns[name][()] for name in CandidateTable.__dataclass_fields__}),
        tuple(name.decode() for name in stations[()].tolist()),
        tuple(attribute_text(stations.attrs, "components").split()),
        float(stations.attrs["start"]),
        float(stations.attrs["interval"]),
    )
