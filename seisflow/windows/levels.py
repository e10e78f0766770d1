"""Limits that change along the seismogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.errors import InputError

__all__ = ["Level", "LevelConfig", "level_at"]


@dataclass(frozen=True)
class LevelConfig:
    """A limit that changes along the seismogram or with distance: linear between values, constant beyond them.

    Parameters
    ----------
    by : {"time", "velocity", "distance"}
        Along what: s from the origin time; m/s, the straight path from the source over the time (so slower waves,
        whatever the distance); m, the straight path.
    at : tuple of float
        Rising.
    values : tuple of float
        The limit there.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    by: Literal["time", "velocity", "distance"]
    at: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.at or len(self.at) != len(self.values):
            raise InputError(
                f"at has {len(self.at)} entries and values {len(self.values)}: give as many of both"
            )
        if any(later <= earlier for earlier, later in zip(self.at, self.at[1:], strict=False)):
            raise InputError(f"at = {list(self.at)}: must rise")


Level = float | LevelConfig
"""A number, or one that changes along the seismogram."""


def level_at(level: Level, times: FloatArray, path: FloatArray) -> FloatArray:
    """Values of a limit.

    Parameters
    ----------
    level : Level
    times : ndarray (n,)
        s from the origin time.
    path : ndarray (n,)
        Straight path from the source to the station in m.

    Returns
    -------
    ndarray (n,)
    """
    if not isinstance(level, LevelConfig):
        return np.full(len(times), float(level))
    if level.by == "time":
        along = times
    elif level.by == "distance":
        along = path
    else:
        along = np.divide(path, times, out=np.full(len(times), np.inf), where=times > 0)
    return np.interp(along, level.at, level.values)
