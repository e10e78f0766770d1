"""Compare whole traces with their synthetics: for polarity, clocks and gains of stations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seisflow.domain import Event, FloatArray, Gather, TraceFit
from seisflow.fourier import irfft, next_fast_len, rfft
from seisflow.signal.alike import check_alike
from seisflow.signal.rotate import Rotate, outward_azimuths

__all__ = ["trace_fits"]

GEOGRAPHIC = ("E", "N", "Z")


def trace_fits(
    observed: Gather, synthetic: Gather, event: Event, longest: float, band: int = 0
) -> list[TraceFit]:
    """Correlate every live trace with its synthetic, turned back to E, N, Z.

    Parameters
    ----------
    observed, synthetic : Gather
        Treated alike.
    event : Event
    longest : float
        s; lags are searched up to it.
    band : int
        Number of the band, which the result carries.

    Returns
    -------
    list of TraceFit
        By station and component; traces without any energy are left out.
    """
    check_alike(observed, synthetic)
    reach = min(round(longest / observed.interval), observed.samples - 1)
    live = np.array(observed.live)
    both: list[FloatArray] = [np.asarray(gather.data, dtype=np.float64) for gather in (observed, synthetic)]
    if observed.components[:2] == ("R", "T"):
        turn = Rotate(outward_azimuths(event, observed.stations))
        both = [np.asarray(turn.transpose(data)) for data in both]
        live[:, :2] = live[:, :2].all(axis=1, keepdims=True)
    padded = int(next_fast_len(observed.samples + reach, real=True))
    lags = np.arange(-reach, reach + 1)
    found = []
    for number, station in enumerate(observed.stations):
        energies = [np.sum(data[number] ** 2, axis=-1) for data in both]
        size = np.sqrt(energies[0] * energies[1])
        spectra = [rfft(data[number], padded) for data in both]
        curves = irfft(spectra[0] * np.conj(spectra[1]), padded)[:, lags]
        for place in np.flatnonzero(live[number] & (size > 0)):
            found.append(
                TraceFit(
                    station.id,
                    GEOGRAPHIC[place],
                    band,
                    *_highest(curves[place] / size[place], lags, observed.interval),
                    *_highest(-curves[place] / size[place], lags, observed.interval),
                    dlna=0.5 * float(np.log(energies[0][place] / energies[1][place])),
                )
            )
    return found


def _highest(curve: FloatArray, lags: npt.NDArray[np.intp], interval: float) -> tuple[float, float]:
    """Largest value, and its lag (s) by the parabola through it and its neighbours."""
    best = int(np.argmax(curve))
    lag = float(lags[best])
    if 0 < best < len(curve) - 1:
        before, top, after = curve[best - 1 : best + 2]
        lag += 0.5 * float((before - after) / (before - 2 * top + after))
    return float(curve[best]), lag * interval
