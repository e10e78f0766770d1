"""Whether observed and synthetic agree well enough in a window to be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft

from seisflow.domain import FloatArray
from seisflow.windows.config import WindowConfig
from seisflow.windows.tally import Verdict

__all__ = ["Fits", "fits", "judge_fits", "signal_to_noise", "trace_quality"]

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Fits:
    """Lag (s, positive where observed is late), normalised correlation and ln amplitude of each window."""

    shift: FloatArray
    correlation: FloatArray
    dlna: FloatArray


def fits(
    observed: FloatArray, synthetic: FloatArray, interval: float, left: IntArray, right: IntArray
) -> Fits:
    """Measure each window (samples ``left`` to ``right``) by cross-correlation.

    The lag, to a sample, is that of the largest correlation within half a window length; the correlation
    is divided by the root of the product of both energies; dlna = 0.5 ln(energy observed / energy
    synthetic) (Maggi et al. 2009, eqs 12-14).
    """
    rows = []
    for first, last in zip(left, right, strict=True):
        d, s = observed[first : last + 1], synthetic[first : last + 1]
        energies = float(np.sum(d**2)), float(np.sum(s**2))
        if min(energies) == 0:
            rows.append((0.0, 0.0, np.inf))
            continue
        padded = int(next_fast_len(2 * len(d), real=True))
        correlation = irfft(np.conj(rfft(s, padded)) * rfft(d, padded), padded)
        reach = len(d) // 2
        lags = np.arange(-reach, reach + 1)
        best = int(np.argmax(correlation[lags]))
        height = float(correlation[lags[best]]) / np.sqrt(energies[0] * energies[1])
        rows.append((float(lags[best]) * interval, height, 0.5 * np.log(energies[0] / energies[1])))
    table = np.array(rows).reshape(-1, 3)
    return Fits(table[:, 0], table[:, 1], table[:, 2])


def judge_fits(found: Fits, config: WindowConfig, shortest_period: float) -> list[Verdict]:
    """Stage 13: limits on lag, amplitude and correlation, in this order."""
    largest = config.largest_shift(shortest_period)
    return [
        Verdict(
            "shift",
            np.abs(found.shift - config.shift_reference) < largest,
            found.shift,
            f"lag {{}} s, not within {largest:g} s of {config.shift_reference:g} s",
        ),
        Verdict(
            "amplitude",
            np.abs(found.dlna - config.dlna_reference) < config.max_dlna,
            found.dlna,
            f"dlnA {{}}, not within {config.max_dlna:g} of {config.dlna_reference:g}",
        ),
        Verdict(
            "correlation",
            found.correlation >= config.min_correlation,
            found.correlation,
            f"correlation {{}}, under {config.min_correlation:g}",
        ),
    ]


def signal_to_noise(
    observed: FloatArray, noise: FloatArray, config: WindowConfig, left: IntArray, right: IntArray
) -> Verdict:
    """Stage 12: observed signal in each window against noise; without noise samples all windows pass."""
    ratios = np.full(len(left), np.inf)
    for number, (first, last) in enumerate(zip(left, right, strict=True)):
        ratios[number] = _ratio(observed[first : last + 1], noise, config.signal_to_noise)
    text = f"signal to noise {{}}, under {config.min_signal_to_noise:g}"
    return Verdict("signal to noise", ratios >= config.min_signal_to_noise, ratios, text)


def trace_quality(signal: FloatArray, noise: FloatArray, config: WindowConfig) -> str | None:
    """Stage 4: why the whole trace is too noisy, or None."""
    for name, kind, least in (
        ("mean square", "energy", config.min_trace_energy_ratio),
        ("largest value", "amplitude", config.min_trace_peak_ratio),
    ):
        ratio = _ratio(signal, noise, kind)
        if ratio < least:
            return f"{name} of signal over noise is {ratio:.3g}, under {least:g}"
    return None


def _ratio(signal: FloatArray, noise: FloatArray, kind: str) -> float:
    if not len(noise) or not len(signal):
        return float(np.inf)
    if kind == "amplitude":
        above, below = float(np.abs(signal).max()), float(np.abs(noise).max())
    else:
        above, below = float(np.mean(signal**2)), float(np.mean(noise**2))
    return above / below if below > 0 else float(np.inf)
