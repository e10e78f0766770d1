"""Interpolation of travel times: of their ratio to distance, with curvature where it is smooth.

Along an axis it is linear plus f (f - 1) / 2 times a second difference. The one centred on either side of the cell
would do where the ratio is smooth; of the two the smaller is taken, none if they differ in sign, so that no kink
(interface, head wave) is smeared into cells beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray

__all__ = ["Curvature", "Stencil", "ratios"]

_Mask = npt.NDArray[np.bool_]


def ratios(times: FloatArray, distance: FloatArray) -> FloatArray:
    """Travel time over straight distance, s/m; at the source itself the mean of the neighbours.

    Parameters
    ----------
    times, distance : ndarray
        s and m, of one shape.
    """
    ratio = np.divide(times, distance, out=np.zeros(times.shape), where=distance > 0)
    for place in np.argwhere(distance == 0):
        around = []
        for axis, index in enumerate(place):
            sides = [index + side for side in (-1, 1) if 0 <= index + side < times.shape[axis]]
            pair = [float(ratio[(*place[:axis], side, *place[axis + 1 :])]) for side in sides]
            around.append(float(np.mean(pair)) if pair else np.nan)
        ratio[tuple(place)] = np.nanmean(around)
    return ratio


@dataclass(frozen=True, eq=False)
class Curvature:
    """Which second difference of four neighbouring values is used: the first, the second or none."""

    first: _Mask
    second: _Mask

    @classmethod
    def of(cls, values: FloatArray, at_start: _Mask, at_end: _Mask) -> Curvature:
        """Choose for values (4, ...); at the edges of the grid the outer one does not exist."""
        before = values[0] - 2 * values[1] + values[2]
        after = values[1] - 2 * values[2] + values[3]
        before, after = np.where(at_start, after, before), np.where(at_end, before, after)
        alike = (before * after > 0) & ~(at_start & at_end)
        smaller = np.abs(before) <= np.abs(after)
        first = alike & ((smaller & ~at_start) | at_end)
        return cls(first, alike & ~first)

    def _difference(self, values: FloatArray) -> FloatArray:
        first = values[0] - 2 * values[1] + values[2]
        second = values[1] - 2 * values[2] + values[3]
        return np.where(self.first, first, np.where(self.second, second, 0.0))

    def value(self, values: FloatArray, fraction: FloatArray) -> FloatArray:
        """Interpolate values (4, ...) at a fraction of the cell between the second and the third."""
        bend = 0.5 * fraction * (fraction - 1) * self._difference(values)
        result: FloatArray = values[1] + fraction * (values[2] - values[1]) + bend
        return result

    def slope(self, values: FloatArray, fraction: FloatArray) -> FloatArray:
        """Derivative of ``value`` with respect to the fraction."""
        result: FloatArray = values[2] - values[1] + (fraction - 0.5) * self._difference(values)
        return result


@dataclass(frozen=True, eq=False)
class Stencil:
    """The four nodes along an axis from which points are interpolated.

    Parameters
    ----------
    index : ndarray of int (4, n)
        Nodes; at the edges of the grid the outermost is repeated.
    fraction : ndarray (n,)
        Of the cell between the second and the third, 0 to 1.
    at_start, at_end : ndarray of bool (n,)
        Whether that is the first or the last cell.
    """

    index: npt.NDArray[np.int64]
    fraction: FloatArray
    at_start: _Mask
    at_end: _Mask

    @classmethod
    def of(cls, coordinates: FloatArray, origin: float, spacing: float, count: int) -> Stencil:
        """For points (n,) along an axis of ``count`` nodes; those outside are moved to the edge."""
        position = np.clip((coordinates - origin) / spacing, 0, count - 1)
        cell = np.minimum(position.astype(np.int64), count - 2)
        index = np.clip(cell + np.arange(-1, 3)[:, None], 0, count - 1)
        return cls(index, position - cell, cell == 0, cell == count - 2)

    def along(self, values: FloatArray) -> FloatArray:
        """Interpolate along the first axis of an array: (count, ...) to (n, ...)."""
        shape = (-1, *(1,) * (values.ndim - 1))
        four = values[self.index]
        curvature = Curvature.of(four, self.at_start.reshape(shape), self.at_end.reshape(shape))
        return curvature.value(four, self.fraction.reshape(shape))
