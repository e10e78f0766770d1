"""From any sampling interval and start time to those of a common axis: windowed-sinc interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from seisflow.domain import FloatArray
from seisflow.signal.resample import BETA, CUTOFF, LOBES

__all__ = ["PHASES", "Interpolation", "half_width", "interpolation", "resampled"]

LARGEST_FACTOR = 200
"""Largest numerator and denominator of a ratio of intervals that is worked phase by phase."""
DRIFT = 0.01
"""Samples by which the times may be wrong at the end of a stretch if its ratio is replaced by a fraction."""
PHASES = 1024
"""Kernels that are tabulated for other ratios; times are right to half of 1/1024 sample."""
BLOCK = 4096


def half_width(given: float, wanted: float) -> float:
    """Half of the length of the interpolation kernel in s, between two sampling intervals in s."""
    return LOBES * max(given, wanted) / CUTOFF


@dataclass(frozen=True, eq=False)
class Interpolation:
    """How samples on a common axis are made from those of one stretch: sums of so many with tabulated weights.

    Parameters
    ----------
    first : int
        Number of the first sample on the axis; may be negative.
    count : int
        Samples that are made.
    up, down : int
        Ratio of the intervals (wanted : given = down : up); samples p, p + up, ... share a row of weights. ``up`` is
        0 for any other ratio.
    begins : ndarray of int64 (min(up, count),)
        First sample of the stretch that each phase takes; negative ones and those beyond the end are zero.
    weights : ndarray (phases, taps)
    centre : tuple of 2 float
        Place of the first sample in the stretch, and the step, in its samples; used where ``up`` is 0.
    reach : int
        Samples before the one at or before a place that its sum begins with; likewise.
    """

    first: int
    count: int
    up: int
    down: int
    begins: npt.NDArray[np.int64]
    weights: FloatArray
    centre: tuple[float, float] = (0.0, 1.0)
    reach: int = 0

    @property
    def as_given(self) -> bool:
        """Whether samples are taken as they are."""
        return self.weights.size == 1

    def apply(self, samples: FloatArray) -> FloatArray:
        """The samples (count,) from those of the stretch (n,)."""
        if self.as_given:
            return samples
        if self.count == 0:
            return np.zeros(0)
        if self.up == 0:
            return _tabulated(samples, self)
        result = np.empty(self.count)
        for phase, (begin, kernel) in enumerate(zip(self.begins.tolist(), self.weights, strict=True)):
            part = result[phase :: self.up]
            part[...] = _strided(samples, kernel, begin, self.down, len(part))
        return result


_NONE: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)


def interpolation(length: int, start: float, given: float, wanted: float) -> Interpolation:
    """Plan the interpolation of a stretch onto the times 0, wanted, 2 wanted, ...; see ``resampled``.

    Parameters
    ----------
    length : int
        Samples of the stretch.
    start : float
        Time of the first sample in s.
    given, wanted : float
        Sampling intervals in s.
    """
    ratio = wanted / given
    shift = -start / given  # of time 0, in samples
    fraction = Fraction(ratio).limit_denominator(LARGEST_FACTOR)
    exact = 0 < fraction.numerator <= LARGEST_FACTOR and abs(float(fraction) - ratio) * length / ratio < DRIFT
    nearest = int(np.rint(shift))
    if exact and fraction == 1 and abs(shift - nearest) < 1e-3:
        return Interpolation(-nearest, length, 1, 1, np.zeros(1, dtype=np.int64), np.ones((1, 1)))
    half = half_width(given, wanted) / given
    reach = int(np.ceil(half))
    first = int(np.ceil((reach - shift) / ratio - 1e-9))
    last = int(np.floor((length - 1 - reach - shift) / ratio + 1e-9))
    count, centre = max(0, last - first + 1), (shift + ratio * first, ratio)
    if not exact:
        table = _kernel(np.arange(PHASES + 1) / PHASES, half, reach)
        return Interpolation(first, count, 0, 1, _NONE, table, centre, reach)
    up, down = fraction.denominator, fraction.numerator
    places = centre[0] + np.arange(min(up, count)) * down / up
    whole = np.floor(places)
    return Interpolation(
        first, count, up, down, whole.astype(np.int64) - reach, _kernel(places - whole, half, reach), centre, reach
    )  # fmt: skip


def resampled(samples: FloatArray, start: float, given: float, wanted: float) -> tuple[int, FloatArray]:
    """Interpolate a stretch onto the times 0, wanted, 2 wanted, ... (windowed sinc; Smith & Gossett 1984).

    The kernel is that of ``Resample``: a low pass with its -6 dB point at 0.8 of the lower of the two Nyquist
    frequencies, flat to about 0.67 of it; it shifts no phases, and times between samples are exact for any start.

    Parameters
    ----------
    samples : ndarray of float64 (n,)
    start : float
        Time of the first sample in s.
    given, wanted : float
        Sampling intervals in s.

    Returns
    -------
    int
        Number k of the first time k * wanted; may be negative.
    ndarray of float64 (m,)
        Only where the whole kernel lies on samples. If both intervals are the same, and times of samples are
        wanted, they are taken as they are.
    """
    plan = interpolation(len(samples), start, given, wanted)
    return plan.first, plan.apply(samples)


def _kernel(fractions: FloatArray, half: float, reach: int) -> FloatArray:
    """Weights of the samples -reach ... reach + 1 about the one at or before each centre; they sum up to 1."""
    distance = np.arange(-reach, reach + 2)[None, :] - fractions[:, None]
    inside = np.clip(1 - (distance / half) ** 2, 0.0, None)
    weights = np.sinc(distance * (LOBES / half)) * np.i0(BETA * np.sqrt(inside)) * (inside > 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _strided(samples: FloatArray, kernel: FloatArray, first: int, step: int, count: int) -> FloatArray:
    """Sum of kernel[k] * samples[first + m * step + k] over k, for m up to count; what lies outside is zero."""
    result = np.zeros(count)
    for phase in range(min(step, len(kernel))):
        part = kernel[phase::step]
        low = first + phase
        high = low + step * (count + len(part) - 2) + 1
        # Rounding may set the outermost weights, which are zero, just outside.
        lead = -(low // step) if low < 0 else 0
        chosen = samples[low + lead * step : high : step]
        missing = count + len(part) - 1 - lead - len(chosen)
        if lead or missing > 0:
            chosen = np.pad(chosen, (lead, max(0, missing)))
        result += np.correlate(np.ascontiguousarray(chosen), part, "valid")
    return result


def _tabulated(samples: FloatArray, plan: Interpolation) -> FloatArray:
    """Any ratio: for each time the kernel of the nearest of many phases."""
    table, reach = plan.weights, plan.reach
    windows = sliding_window_view(np.pad(samples, (1, 2)), table.shape[1])
    result = np.empty(plan.count)
    for low in range(0, plan.count, BLOCK):
        high = min(low + BLOCK, plan.count)
        centre = plan.centre[0] + plan.centre[1] * np.arange(low, high)
        base = np.floor(centre).astype(np.int64)
        phase = np.rint((centre - base) * PHASES).astype(np.int64)
        result[low:high] = np.einsum("ij,ij->i", windows[base - reach + 1], table[phase])
    return result
