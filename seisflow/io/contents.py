"""What an ASDF file holds, without reading its samples."""

from __future__ import annotations

import os

from seisflow.io.hdf5 import reading

__all__ = ["recorded_ids"]


def recorded_ids(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Ids of the recordings in an ASDF file.

    Parameters
    ----------
    path : path

    Returns
    -------
    tuple of str
        ``NET.STA.LOC.CHA``, sorted, each once.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it is damaged or no ASDF file.
    """
    with reading(path) as file:
        names = {
            name.split("__")[0]
            for group in file["Waveforms"].values()
            for name in group
            if name != "StationXML"
        }
    return tuple(sorted(names))
