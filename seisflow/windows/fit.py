"""Whether observed and synthetic agree well enough in windows to be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seisflow.domain import FloatArray
from seisflow.fourier import irfft, rfft
from seisflow.windows.config import WindowConfig
from seisflow.windows.ledger import IntArray

__all__ = ["Fits", "fits", "noise_level", "signal_to_noise", "trace_quality"]

CHUNK = 500_000
"""Samples that are transformed at once: more would not stay in the cache."""


@dataclass(frozen=True, eq=False)
class Fits:
    """Lag (s, positive where observed is late), normalised correlation and ln amplitude of each window."""

    shift: FloatArray
    correlation: FloatArray
    dlna: FloatArray


def fits(
    observed: FloatArray, synthetic: FloatArray, interval: float, first: IntArray, length: IntArray
) -> Fits:
    """Measure windows by cross-correlation.

    The lag, to a sample, is that of the largest correlation within half a window length; the correlation
    is divided by the root of the product of both energies; dlna = 0.5 ln(energy observed / energy
    synthetic) (Maggi et al. 2009, eqs 12-14).

    Parameters
    ----------
    observed, synthetic : ndarray
        All traces, one behind the other.
    interval : float
        s.
    first, length : ndarray of int (n,)
        First sample (place in the arrays) and number of samples of each window.

    Returns
    -------
    Fits
    """
    shift, correlation, dlna = np.zeros(len(first)), np.zeros(len(first)), np.full(len(first), np.inf)
    sizes = _padded(2 * length)
    for size in np.unique(sizes).tolist():
        same = np.flatnonzero(sizes == size)
        step = max(1, CHUNK // size)
        for rows in (same[n : n + step] for n in range(0, len(same), step)):
            parts = [_cut(trace, first[rows], length[rows]) for trace in (observed, synthetic)]
            energy = [np.einsum("ij,ij->i", part, part) for part in parts]
            good = np.flatnonzero((energy[0] > 0) & (energy[1] > 0))
            spectra = [rfft(part[good], size) for part in parts]
            lag, height = _highest(irfft(np.conj(spectra[1]) * spectra[0], size), length[rows[good]] // 2)
            above, below = energy[0][good], energy[1][good]
            shift[rows[good]] = lag * interval
            correlation[rows[good]] = height / np.sqrt(above * below)
            dlna[rows[good]] = 0.5 * np.log(above / below)
    return Fits(shift, correlation, dlna)


def _padded(samples: IntArray) -> IntArray:
    """Sizes of at least so many samples that transform fast, few different ones: 4, 5, 6 or 7 times a power of 2."""
    power = 2 ** np.maximum(np.floor(np.log2(np.maximum(samples, 8))).astype(np.intp) - 2, 1)
    return np.asarray(power * -(-samples // power), dtype=np.intp)


def _cut(trace: FloatArray, first: IntArray, length: IntArray) -> FloatArray:
    """Windows as rows, zeros behind the shorter ones."""
    along = np.arange(int(length.max()))
    inside = along < length[:, None]
    return np.where(inside, trace[np.minimum(first[:, None] + along, len(trace) - 1)], 0.0)


def _highest(correlation: FloatArray, reach: IntArray) -> tuple[IntArray, FloatArray]:
    """Lag in samples, at most ``reach`` either way, of the largest value, and that value."""
    most = int(reach.max()) if len(reach) else 0
    lags = np.arange(-most, most + 1)
    near = np.where(np.abs(lags) <= reach[:, None], correlation[:, lags], -np.inf)
    best = near.argmax(axis=1)
    return lags[best], near[np.arange(len(near)), best]


def signal_to_noise(
    signal: FloatArray, first: IntArray, length: IntArray, noise: FloatArray, kind: str
) -> FloatArray:
    """Ratio of the observed in windows to noise; infinite where there is no noise.

    Parameters
    ----------
    signal : ndarray
        All observed traces, one behind the other.
    first, length : ndarray of int (n,)
        First sample (place in the array) and number of samples of each window.
    noise : ndarray (n,)
        Level of noise of each window's trace: largest value or mean square.
    kind : {"amplitude", "energy"}
        Which of them.
    """
    if not len(first):
        return np.zeros(0)
    # reduceat takes all that lies between two numbers; every other result is a window
    borders = np.stack([first, first + length], axis=1).ravel()
    if kind == "amplitude":
        level = np.maximum.reduceat(np.append(np.abs(signal), 0.0), borders)[::2]
    else:
        level = np.add.reduceat(np.append(signal**2, 0.0), borders)[::2] / length
    return np.asarray(np.divide(level, noise, out=np.full(len(first), np.inf), where=noise > 0))


def noise_level(noise: FloatArray, kind: str) -> float:
    """Largest value or mean square of a stretch of noise; 0 without samples."""
    if not len(noise):
        return 0.0
    return float(np.abs(noise).max()) if kind == "amplitude" else float(np.mean(noise**2))


def trace_quality(signal: FloatArray, noise: FloatArray, config: WindowConfig) -> str | None:
    """Stage 4: why the whole trace is too noisy, or None."""
    for name, kind, least in (
        ("mean square", "energy", config.min_trace_energy_ratio),
        ("largest value", "amplitude", config.min_trace_peak_ratio),
    ):
        below = noise_level(noise, kind)
        if len(signal) and below > 0 and noise_level(signal, kind) / below < least:
            ratio = noise_level(signal, kind) / below
            return f"{name} of signal over noise is {ratio:.3g}, under {least:g}"
    return None
