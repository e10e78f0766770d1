"""Templates on disk: one HDF5 file for all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from seisflow.domain import FloatArray, Station, Template
from seisflow.errors import InputError
from seisflow.io.atomic import publish
from seisflow.io.hdf5 import reading

__all__ = ["read_templates", "write_templates"]

_ARRAYS = ("waveforms", "lengths", "moveouts", "weights")
_NUMBERS = ("time", "x", "y", "z")


def write_templates(path: Path, templates: Sequence[Template], similarity: FloatArray) -> None:
    """Write templates with the same stations, components and interval; the file appears whole.

    Parameters
    ----------
    path : Path
    templates : sequence of Template
        May be empty.
    similarity : ndarray (n, n)
        Network correlation of all pairs.
    """
    with publish(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("similarity", data=np.asarray(similarity, dtype=np.float64), track_times=False)
        if not templates:
            return
        first = templates[0]
        file.attrs["interval"] = first.interval
        file.attrs["components"] = json.dumps(first.components)
        file.attrs["stations"] = json.dumps(
            [[s.network, s.code, s.latitude, s.longitude, s.elevation, s.burial] for s in first.stations]
        )
        notes = [{"id": t.id, "magnitude": t.magnitude, "quality": t.quality} for t in templates]
        file.attrs["count"] = len(templates)
        file.create_dataset(
            "notes", data=np.array([json.dumps(note).encode() for note in notes]), track_times=False
        )
        for name in _ARRAYS:
            data = np.array([getattr(template, name) for template in templates])
            # gzip, because lzf may write the same values in other bytes the next time
            file.create_dataset(
                name, data=data, compression="gzip", compression_opts=1, shuffle=True, track_times=False
            )
        phases = np.array([np.char.encode(template.phases, "ascii") for template in templates])
        file.create_dataset("phases", data=phases.astype("S8"), track_times=False)
        numbers = np.array([[getattr(template, name) for name in _NUMBERS] for template in templates])
        file.create_dataset("numbers", data=numbers, track_times=False)


def read_templates(path: Path) -> tuple[tuple[Template, ...], FloatArray]:
    """Read templates and their similarity.

    Raises
    ------
    MissingError, InputError
        If the file is not there, damaged or of another kind.
    """
    with reading(path) as file:
        similarity = np.asarray(file["similarity"])
        if "notes" not in file:
            return (), similarity
        arrays = {name: np.asarray(file[name]) for name in (*_ARRAYS, "numbers", "notes")}
        phases = np.char.decode(np.asarray(file["phases"]), "ascii")
        interval = float(file.attrs["interval"])
        components = tuple(json.loads(file.attrs["components"]))
        stations = tuple(Station(*row) for row in json.loads(file.attrs["stations"]))
    found = []
    for number, text in enumerate(arrays["notes"]):
        note = json.loads(text)
        if not {"id", "magnitude", "quality"} <= note.keys():
            raise InputError(f"{path}: template {number} has no id; make the templates again")
        time, x, y, z = (float(value) for value in arrays["numbers"][number])
        waveforms, lengths, moveouts, weights = (arrays[name][number] for name in _ARRAYS)
        found.append(
            Template(
                id=note["id"],
                time=time,
                x=x,
                y=y,
                z=z,
                stations=stations,
                components=components,
                waveforms=waveforms,
                lengths=lengths,
                moveouts=moveouts,
                weights=weights,
                phases=phases[number],
                interval=interval,
                magnitude=note["magnitude"],
                quality=note["quality"],
            )
        )
    return tuple(found), similarity
