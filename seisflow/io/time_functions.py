"""Source time functions from text files."""

from __future__ import annotations

import os
import warnings

import numpy as np

from seisflow.domain import SourceTimeFunction
from seisflow.errors import InputError, MissingError

__all__ = ["read_time_function"]


def read_time_function(path: str | os.PathLike[str]) -> SourceTimeFunction:
    """Read a source time function: two columns, time in s from the origin time, and value.

    Parameters
    ----------
    path : path
        Text; lines that start with ``#`` are passed over. Times at equal distances.

    Returns
    -------
    SourceTimeFunction
        Of the kind ``samples``: the moment rate (for a moment tensor; 1/s, its area is the scale) or the force.

    Raises
    ------
    MissingError
        If there is no such file.
    InputError
        If it does not hold two columns of numbers, or the times are not at equal distances.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file, which is refused below
            table = np.loadtxt(path, ndmin=2)
    except FileNotFoundError:
        raise MissingError(f"{path}: there is no such file") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: should hold two columns, time in s and value: {error}") from error
    if table.shape[0] < 2 or table.shape[1] != 2 or not np.isfinite(table).all():
        raise InputError(
            f"{path}: holds {table.shape[0]} rows of {table.shape[1]} numbers; needs at least 2 rows of 2, finite"
        )
    steps = np.diff(table[:, 0])
    interval = (table[-1, 0] - table[0, 0]) / (len(table) - 1)
    if interval <= 0 or np.abs(steps - interval).max() > 1e-3 * interval:
        raise InputError(
            f"{path}: times must rise at equal distances, found {steps.min():g} to {steps.max():g} s; resample it"
        )
    return SourceTimeFunction(
        "samples", samples=tuple(table[:, 1].tolist()), start=table[0, 0], interval=interval
    )
