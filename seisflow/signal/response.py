"""From counts to ground motion: division by the instrument response."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from seisflow.domain import FloatArray
from seisflow.fourier import irfft, next_fast_len, rfft, rfftfreq
from seisflow.signal.config import SignalConfig
from seisflow.signal.quantity import ORDER
from seisflow.signal.recordings import Recording, Unusable

__all__ = ["faded", "ground_motion", "prefilter"]

MOTION = {"M", "M/S", "M/S**2", "M/S/S", "NM", "NM/S", "NM/S**2"}
"""Input units of responses that describe ground motion."""


_ONE_AT_A_TIME = threading.Lock()
"""The library behind evalresp keeps its state in the process: two threads get each other's gains, or crash."""


def prefilter(frequencies: FloatArray, band: tuple[float, float], nyquist: float) -> FloatArray:
    """Give the gain that is 1 from 3/4 of the lowest to four times the highest frequency of the band.

    Cosine flanks lead to 0 at half the lowest and eight times the highest. Long-period noise, which grows as
    counts become displacement, would leak into the band when the trace is tapered. What this filter takes off
    and the band-pass of three corners would have passed is 0.05 percent of the area under its gain.

    Parameters
    ----------
    frequencies : ndarray (n,)
        Hz.
    band : tuple of 2 float
        Shortest and longest period in s.
    nyquist : float
        Of the recording in Hz; the gain is 0 above 0.95 of it.
    """
    lowest, high = 1 / band[1], min(4 / band[0], 0.8 * nyquist)
    rise = np.clip((frequencies - 0.5 * lowest) / (0.25 * lowest), 0, 1)
    top = min(2 * high, 0.95 * nyquist)
    fall = np.clip((top - frequencies) / (top - high), 0, 1)
    return np.asarray(0.25 * (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall)))


def ground_motion(
    recording: Recording, response: Any, ramps: tuple[float, float], config: SignalConfig
) -> FloatArray:
    """Divide a recording by its response.

    The line is taken off and the ends fade (``faded``). The response to velocity is
    held up at the water level below its largest value within the pre-filter, so that the level does not
    depend on the quantity that is wanted.

    Parameters
    ----------
    recording : Recording
    response : obspy.core.inventory.Response
    ramps : tuple of 2 float
        Lengths in s over which the ends fade.
    config : SignalConfig

    Returns
    -------
    ndarray (n,)
        The quantity of the configuration in SI units, at the times of the recording.

    Raises
    ------
    Unusable
        If the response cannot be evaluated or is not one to ground motion.
    """
    samples, interval = recording.samples, recording.interval
    length = len(samples)
    tapered = faded(recording, ramps)
    padded = 2 * int(next_fast_len(length, real=True))
    frequencies = rfftfreq(padded, interval)
    gain = prefilter(frequencies, config.band, 0.5 / interval)
    passed = gain > 0
    velocity = _velocity_response(response, recording.channel, frequencies[passed])
    floor = np.abs(velocity).max() * 10 ** (-config.water_level / 20)
    small = np.abs(velocity) < floor
    with np.errstate(invalid="ignore", divide="ignore"):
        velocity[small] = np.where(
            velocity[small] == 0, floor, velocity[small] / np.abs(velocity[small]) * floor
        )
    power = ORDER[config.quantity] - ORDER["velocity"]
    factor = np.zeros(len(frequencies), dtype=np.complex128)
    factor[passed] = gain[passed] * (2j * np.pi * frequencies[passed]) ** power / velocity
    return np.asarray(irfft(rfft(tapered, padded) * factor, padded)[:length])


def faded(recording: Recording, ramps: tuple[float, float]) -> FloatArray:
    """Take the straight line off a recording and let its ends fade by half a Hann bell.

    Parameters
    ----------
    recording : Recording
    ramps : tuple of 2 float
        Lengths in s.

    Returns
    -------
    ndarray (n,)
    """
    place = np.arange(len(recording.samples))
    line = np.polynomial.Polynomial.fit(place, recording.samples, 1)
    widths = [ramp / recording.interval for ramp in ramps]
    return np.asarray((recording.samples - line(place)) * _ramps(len(place), widths))


def _ramps(length: int, widths: list[float]) -> FloatArray:
    place = np.arange(length)
    taper = np.ones(length)
    for width, distance in zip(widths, (place, length - 1 - place), strict=True):
        if width >= 1:
            taper *= 0.5 * (1 - np.cos(np.pi * np.clip(distance / width, 0, 1)))
    return taper


def _velocity_response(response: Any, channel: str, frequencies: FloatArray) -> Any:
    sensitivity = response.instrument_sensitivity
    units = str(sensitivity.input_units).upper() if sensitivity is not None else "none"
    if units not in MOTION:
        raise Unusable(f"{channel} has a response to {units}, not to ground motion")
    try:
        with _ONE_AT_A_TIME:
            values = response.get_evalresp_response_for_frequencies(frequencies, output="VEL")
    except Exception as error:  # evalresp raises whatever it pleases
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Unusable(f"{channel} has a response that cannot be evaluated: {reason}") from error
    if not np.all(np.isfinite(values)) or not np.any(values):
        raise Unusable(f"{channel} has a response that is zero or not finite")
    return np.array(values)
