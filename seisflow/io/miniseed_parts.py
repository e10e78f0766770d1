"""The part of a large MiniSEED file that holds a stretch of time, so that a day is not parsed for each half hour."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray

__all__ = ["stretch"]

LEAST = 1 << 22
"""Bytes of a file from which on only a part of it is read."""

_BLOCK = 1 << 18
"""Bytes of records whose times are kept together."""
_SLACK = 2.0
"""s that records may begin earlier or end later than their headers say, beside corrections."""

_HEADER: list[tuple[str, str, int]] = [
    ("quality", "S1", 6),
    ("station", "S5", 8),
    ("network", "S2", 18),
    ("year", ">u2", 20),
    ("day", ">u2", 22),
    ("hour", "u1", 24),
    ("minute", "u1", 25),
    ("second", "u1", 26),
    ("samples", ">u2", 30),
    ("factor", ">i2", 32),
    ("multiplier", ">i2", 34),
    ("correction", ">i4", 40),
]
"""Fields of the fixed section of a header: name, type, offset (SEED manual 2.4, chapter 8)."""


class _Table(NamedTuple):
    """Earliest and latest time of each block of records, s since 1970-01-01 UTC; and its bytes."""

    first: FloatArray
    last: FloatArray
    block: int


def stretch(path: str, start: float, end: float) -> tuple[int, int] | None:
    """Bytes of a MiniSEED file among which all records of some time are.

    Parameters
    ----------
    path : str
    start, end : float
        s since 1970-01-01 UTC.

    Returns
    -------
    tuple of int, or None
        Begin and end. None where the whole file is to be read: it is small, its records differ in length or are of
        several stations, numbers are little-endian, or something about them is not as it should be.
    """
    state = os.stat(path)
    if state.st_size < LEAST:
        return None
    table = _table(path, state.st_size, state.st_mtime_ns)
    if table is None:
        return None
    blocks = np.flatnonzero((table.last >= start) & (table.first <= end))
    if not blocks.size:
        return None
    return int(blocks[0]) * table.block, min((int(blocks[-1]) + 1) * table.block, state.st_size)


@lru_cache(maxsize=4096)
def _table(path: str, size: int, changed: int) -> _Table | None:
    """Times of the records of a file; ``changed`` keeps those of a file that was written anew apart."""
    length = _record_length(path)
    if length is None or size % length:
        return None
    heads = np.memmap(path, np.uint8, "r").view(_heads(length))
    if not _plausible(heads):
        return None
    first, last = _times(heads)
    many = max(1, _BLOCK // length)
    edges = np.arange(0, len(heads), many)
    return _Table(np.minimum.reduceat(first, edges), np.maximum.reduceat(last, edges), many * length)


def _record_length(path: str) -> int | None:
    """Length of the first record in bytes, from its blockette 1000."""
    with open(path, "rb") as file:
        head = file.read(512)
    place = int.from_bytes(head[46:48], "big")
    for _ in range(head[39]):
        if not 48 <= place <= len(head) - 8:
            break
        if int.from_bytes(head[place : place + 2], "big") == 1000:
            return 1 << head[place + 6] if 7 <= head[place + 6] <= 20 else None
        place = int.from_bytes(head[place + 2 : place + 4], "big")
    return None


def _heads(length: int) -> np.dtype[np.void]:
    """Headers of records of a length."""
    names, kinds, places = zip(*_HEADER, strict=True)
    return np.dtype({"names": names, "formats": kinds, "offsets": places, "itemsize": length})


def _plausible(heads: npt.NDArray[np.void]) -> bool:
    """Whether all records are data of one station, with times that can be."""
    return bool(
        np.isin(heads["quality"], [b"D", b"R", b"Q", b"M"]).all()
        and ((heads["year"] >= 1900) & (heads["year"] <= 2100)).all()
        and ((heads["day"] >= 1) & (heads["day"] <= 366)).all()
        and (heads["hour"] < 24).all()
        and (heads["station"] == heads["station"][0]).all()
        and (heads["network"] == heads["network"][0]).all()
    )


def _times(heads: npt.NDArray[np.void]) -> tuple[FloatArray, FloatArray]:
    """When records begin at the earliest and end at the latest."""
    years = (heads["year"].astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[s]")
    first = years.astype(np.int64) + (heads["day"].astype(np.int64) - 1) * 86400.0
    first = first + heads["hour"] * 3600.0 + heads["minute"] * 60.0 + heads["second"]
    factor, multiplier = (heads[name].astype(np.float64) for name in ("factor", "multiplier"))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(factor > 0, factor, -1 / factor) * np.where(
            multiplier > 0, multiplier, -1 / multiplier
        )
        length = np.where((factor != 0) & (multiplier != 0), heads["samples"] / rate, 0.0)
    slack = _SLACK + np.abs(heads["correction"].astype(np.float64)) * 1e-4
    # a blockette 100 may tell a slightly different rate
    return first - slack, first + 1.02 * length + slack
