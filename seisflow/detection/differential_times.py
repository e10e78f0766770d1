"""Differences of travel times between neighbouring earthquakes, from their waveforms and from their onsets.

A difference belongs to a pair of events, a station and a phase: the travel time of the first event less that of the
second, each counted from the origin time that the event has in the catalog (Waldhauser & Ellsworth 2000, eq. 1-2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.domain import Detection, FloatArray
from seisflow.errors import InputError
from seisflow.fourier import irfft, next_fast_len, rfft

__all__ = [
    "CorrelationConfig",
    "DifferentialTimes",
    "PhaseWindows",
    "catalog_times",
    "differential_times",
    "joined",
    "neighbours",
]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_CHUNK = 2**22
"""Complex numbers of one block of pairs: 64 MB."""

_FINE = 0.25
"""Step in samples of the second parabola."""

_LEAST_NORM = 1e-9
"""Of windows of unit energy; below it nothing overlaps that could be compared."""


@dataclass(frozen=True, eq=False)
class DifferentialTimes:
    """Differential travel times, one row for a pair of events, a station and a phase.

    Parameters
    ----------
    first, second : ndarray of int (n,)
        Numbers of the events.
    station, phase : ndarray of int (n,)
        Numbers in the table of travel times.
    time : ndarray (n,)
        Travel time of the first less that of the second in s, from the origin times of the catalog.
    weight : ndarray (n,)
        0 to 1; a correlation, or the product of the weights of two onsets.
    correlated : ndarray of bool (n,)
        Whether it was measured on waveforms (else it is the difference of two onsets).
    """

    first: IntArray
    second: IntArray
    station: IntArray
    phase: IntArray
    time: FloatArray
    weight: FloatArray
    correlated: BoolArray

    def __post_init__(self) -> None:
        shapes = {each.shape for each in self._columns()}
        if len(shapes) > 1 or self.time.ndim != 1:
            raise InputError(f"columns of differential times must be equally long; found shapes {shapes}")

    def _columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        return (
            self.first, self.second, self.station, self.phase, self.time, self.weight, self.correlated
        )  # fmt: skip

    def __len__(self) -> int:
        return int(self.time.size)

    def take(self, which: IntArray | BoolArray) -> DifferentialTimes:
        """Give the rows that are numbered or marked."""
        first, second, station, phase = (
            each[which] for each in (self.first, self.second, self.station, self.phase)
        )
        return DifferentialTimes(
            first, second, station, phase, self.time[which], self.weight[which], self.correlated[which]
        )


def joined(*parts: DifferentialTimes) -> DifferentialTimes:
    """Give all rows of several lists, such as those of P, of S and of onsets."""
    if not parts:
        raise InputError("no lists of differential times to join; give at least one")
    columns = zip(*(part._columns() for part in parts), strict=True)
    return DifferentialTimes(*(np.concatenate(column) for column in columns))


def neighbours(places: FloatArray, max_distance: float, max_neighbours: int) -> IntArray:
    """Pair each event with the nearest others.

    Parameters
    ----------
    places : ndarray (n, 3)
        m.
    max_distance : float
        m.
    max_neighbours : int
        Of each event; it may get more from the lists of the others.

    Returns
    -------
    ndarray of int (pairs, 2)
        Smaller number first, sorted, each pair once.

    Raises
    ------
    InputError
        If a place is not finite, or a limit is not positive.
    """
    if places.ndim != 2 or places.shape[1] != 3 or not np.isfinite(places).all():
        raise InputError(f"places must be finite and of shape (n, 3); found shape {places.shape}")
    if not max_distance > 0 or max_neighbours < 1:
        raise InputError(
            f"max_distance = {max_distance:g} m, max_neighbours = {max_neighbours}: must be positive"
        )
    count = min(max_neighbours + 1, len(places))
    if count < 2:
        return np.zeros((0, 2), dtype=np.int64)
    from scipy.spatial import cKDTree  # imported late, see ``seisflow.fourier``

    limit = max_distance if np.isinf(max_distance) else np.nextafter(max_distance, np.inf)
    _, found = cKDTree(places).query(places, k=count, distance_upper_bound=limit)
    here = np.repeat(np.arange(len(places)), count)
    there = found.ravel()
    real = (there < len(places)) & (there != here)
    pairs = np.sort(np.stack([here[real], there[real]], axis=1), axis=1)
    return np.unique(pairs, axis=0).astype(np.int64)


def catalog_times(
    detections: Sequence[Detection], pairs: IntArray, stations: Sequence[str], phases: Sequence[str]
) -> DifferentialTimes:
    """Differential times from onsets that two events have in common.

    Parameters
    ----------
    detections : sequence of Detection
        With arrivals.
    pairs : ndarray of int (m, 2)
        As of ``neighbours``.
    stations : sequence of str
        ``NET.STA`` in the order of the table of travel times; onsets elsewhere are left out.
    phases : sequence of str

    Returns
    -------
    DifferentialTimes
    """
    rows = {name: number for number, name in enumerate(stations)}
    columns = {name: number for number, name in enumerate(phases)}
    shape = (len(detections), len(rows), len(columns))
    times, weights = np.full(shape, np.nan), np.zeros(shape)
    for number, detection in enumerate(detections):
        for arrival in detection.arrivals:
            if arrival.station in rows and arrival.phase in columns and arrival.weight > 0:
                place = number, rows[arrival.station], columns[arrival.phase]
                times[place], weights[place] = arrival.time - detection.time, arrival.weight
    parts = []
    for start in range(0, max(len(pairs), 1), max(1, _CHUNK // max(1, shape[1] * shape[2]))):
        block = pairs[start : start + max(1, _CHUNK // max(1, shape[1] * shape[2]))]
        first, second = block[:, 0], block[:, 1]
        difference = times[first] - times[second]
        row, station, phase = np.nonzero(np.isfinite(difference))
        weight = weights[first[row], station, phase] * weights[second[row], station, phase]
        time = difference[row, station, phase]
        plain = np.zeros(row.size, dtype=np.bool_)
        parts.append(DifferentialTimes(first[row], second[row], station, phase, time, weight, plain))
    return joined(*parts)


@dataclass(frozen=True)
class CorrelationConfig:
    """How differential times are measured on waveforms.

    Parameters
    ----------
    max_lag : float
        Largest lag in s by which the windows of two events may differ.
    min_correlation : float
        Least correlation at the best lag.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    max_lag: float = 0.25
    min_correlation: float = 0.7

    def __post_init__(self) -> None:
        if not self.max_lag > 0 or not 0 < self.min_correlation <= 1:
            raise InputError(
                f"max_lag = {self.max_lag:g} s must be positive and min_correlation = "
                f"{self.min_correlation:g} in 0 to 1"
            )


@dataclass(frozen=True, eq=False)
class PhaseWindows:
    """Windows about one phase of many events.

    Parameters
    ----------
    data : ndarray (n, ns, nc, m)
        Filtered waveforms of events, stations and the components that carry the phase.
    live : ndarray of bool (n, ns, nc)
        Which windows were recorded.
    moveouts : ndarray (n, ns)
        Time of the first sample in s after the origin time of the event.
    interval : float
        Sampling interval in s.
    phase : int
        Number of the phase in the table of travel times.
    """

    data: FloatArray
    live: BoolArray
    moveouts: FloatArray
    interval: float
    phase: int

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.live.shape != self.data.shape[:3]:
            raise InputError(
                f"windows have data {self.data.shape} and live {self.live.shape}; "
                "they must be (n, ns, nc, m) and (n, ns, nc)"
            )
        if self.moveouts.shape != self.data.shape[:2] or not self.interval > 0:
            raise InputError(
                f"windows have moveouts {self.moveouts.shape} and an interval of {self.interval:g} s; "
                f"they must be {self.data.shape[:2]} and positive"
            )


def differential_times(
    windows: PhaseWindows, pairs: IntArray, config: CorrelationConfig
) -> DifferentialTimes:
    """Differential times by cross-correlation of windows.

    At a station the correlations of the components that both events have are summed and divided by the energies of
    what overlaps at that lag, so that a lag is not drawn to zero by the ends of the windows. The top is a parabola
    through three samples, then a second one through exact values of the correlation (by its Fourier sum) a quarter of
    a sample apart about the first top. A maximum at the largest lag is not one and is left out.

    Parameters
    ----------
    windows : PhaseWindows
    pairs : ndarray of int (k, 2)
        As of ``neighbours``.
    config : CorrelationConfig

    Returns
    -------
    DifferentialTimes
        Weights are correlations.

    Raises
    ------
    InputError
        If the largest lag is longer than half of the windows, or shorter than two samples.
    """
    samples = windows.data.shape[3]
    lags = round(config.max_lag / windows.interval)
    if not 2 <= lags <= samples // 2:
        raise InputError(
            f"max_lag = {config.max_lag:g} s is {lags} samples; windows of {samples} samples need 2 to "
            f"{samples // 2}"
        )
    length = 2 * int(next_fast_len((samples + lags + 2) // 2, real=True))
    chunk = max(1, _CHUNK // (windows.data.shape[2] * (length // 2 + 1)))
    parts = []
    for station in range(windows.data.shape[1]):
        traces, energies = _prepared(windows, station)
        spectra = rfft(traces, length, axis=-1)
        common = windows.live[pairs[:, 0], station] & windows.live[pairs[:, 1], station]
        linked = pairs[common.any(axis=1)]
        for start in range(0, len(linked), chunk):
            block = linked[start : start + chunk]
            lag, value = _lags(spectra, energies, block, lags, samples)
            good = np.isfinite(lag) & (value >= config.min_correlation)
            first, second = block[good].T
            shift = windows.moveouts[first, station] - windows.moveouts[second, station]
            size = int(good.sum())
            parts.append(
                DifferentialTimes(
                    first,
                    second,
                    np.full(size, station),
                    np.full(size, windows.phase),
                    shift + lag[good] * windows.interval,
                    np.minimum(value[good], 1.0),
                    np.ones(size, dtype=np.bool_),
                )
            )
    none = np.zeros(0, dtype=np.int64)
    empty = DifferentialTimes(none, none, none, none, np.zeros(0), np.zeros(0), none.astype(np.bool_))
    return joined(empty, *parts)


def _prepared(windows: PhaseWindows, station: int) -> tuple[FloatArray, FloatArray]:
    """Traces (n, nc, m) of a station without mean and of unit energy in all, and running energies (n, nc, m + 1)."""
    live = windows.live[:, station, :, None]
    traces = np.where(live, windows.data[:, station].astype(np.float64), 0.0)
    traces -= traces.mean(axis=-1, keepdims=True)
    scale = np.sqrt((traces**2).sum(axis=(-1, -2), keepdims=True))
    traces = np.divide(traces, scale, out=np.zeros_like(traces), where=(scale > 0) & np.isfinite(scale))
    energies = np.zeros((*traces.shape[:2], traces.shape[2] + 1))
    np.cumsum(traces**2, axis=-1, out=energies[..., 1:])
    return traces, energies


def _norms(
    energies: FloatArray, pairs: IntArray, both: FloatArray, lags: IntArray, samples: int
) -> FloatArray:
    """Root of the product of the energies that overlap, shape (pairs, lags).

    At lag l the sample n of the second event meets n + l of the first.
    """
    low, high = np.maximum(lags, 0), samples + np.minimum(lags, 0)
    parts = []
    for events, start, end in ((pairs[:, 0], low, high), (pairs[:, 1], low - lags, high - lags)):
        rows = energies[events]
        parts.append(((rows[..., end] - rows[..., start]) * both[..., None]).sum(axis=1))
    result: FloatArray = np.sqrt(np.maximum(parts[0] * parts[1], 0.0))
    return result


def _lags(
    spectra: npt.NDArray[np.complex128], energies: FloatArray, pairs: IntArray, reach: int, samples: int
) -> tuple[FloatArray, FloatArray]:
    """Best lag in samples of the first event against the second, NaN at the ends, and the correlation there."""
    lags = np.arange(-reach, reach + 1)
    both = ((energies[pairs[:, 0], :, -1] > 0) & (energies[pairs[:, 1], :, -1] > 0)).astype(np.float64)
    cross = np.einsum("pcf,pcf,pc->pf", spectra[pairs[:, 0]], spectra[pairs[:, 1]].conj(), both)
    values = irfft(cross, 2 * (spectra.shape[-1] - 1), axis=-1)[:, lags]
    norms = _norms(energies, pairs, both, lags, samples)
    correlation = np.divide(values, norms, out=np.zeros_like(values), where=norms > _LEAST_NORM)
    peak = correlation.argmax(axis=1)
    inner = np.clip(peak, 1, 2 * reach - 1)
    rows = np.arange(len(pairs))
    near = np.stack([correlation[rows, inner + step] for step in (-1, 0, 1)], axis=1)
    place = inner - reach + _vertex(near)
    fine = np.stack([_between(cross, norms, place + step, reach) for step in (-_FINE, 0.0, _FINE)], axis=1)
    place = place + _FINE * _vertex(fine)
    place[(peak != inner) | (near[:, 1] <= 0)] = np.nan
    return place, np.maximum(fine[:, 1], near[:, 1])


def _between(
    cross: npt.NDArray[np.complex128], norms: FloatArray, place: FloatArray, reach: int
) -> FloatArray:
    """Correlation at lags between samples: Fourier sum of the cross-spectrum over an interpolated norm."""
    where = np.clip(place, -reach, reach)
    last = cross.shape[1] - 1
    share = np.full(last + 1, 1.0 / last)
    share[[0, last]] = 0.5 / last
    turn = np.exp(1j * np.pi / last * np.arange(last + 1)[None] * where[:, None])
    sums = ((cross * turn).real * share).sum(axis=1)
    below = np.clip(np.floor(where).astype(np.int64), -reach, reach - 1)
    part, rows = where - below, np.arange(len(where))
    norm = norms[rows, below + reach] * (1 - part) + norms[rows, below + 1 + reach] * part
    result: FloatArray = np.divide(sums, norm, out=np.zeros(len(where)), where=norm > _LEAST_NORM)
    return result


def _vertex(values: FloatArray) -> FloatArray:
    """Offset of the top of the parabola through three points, shape (n, 3) to (n,); within one step."""
    left, top, right = values.T
    bend = left - 2 * top + right
    offset = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    result: FloatArray = np.clip(offset, -1.0, 1.0)
    return result
