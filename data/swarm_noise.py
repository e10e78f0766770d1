"""Ground motion that is no local earthquake, for the example ``swarm``: noise, a teleseism, trains, steps.

All functions return velocities in m/s, components east, north, up, an hour at 100 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft, rfftfreq
from scipy.special import expit

from seisflow.domain import FloatArray

ComplexArray = npt.NDArray[np.complexfloating]

__all__ = ["SAMPLES", "RATE", "Site", "disturbances", "noise"]

RATE = 100.0
SAMPLES = 360_000
TIMES = np.arange(SAMPLES) / RATE
FREQUENCIES = rfftfreq(SAMPLES, 1 / RATE)
LOW = FREQUENCIES[: 5 * SAMPLES // int(RATE)]
"""Below 5 Hz: all that waves from afar have."""
MICROSEISM = 6e-7
"""Root mean square in m/s."""


@dataclass(frozen=True)
class Site:
    """What a station's surroundings do.

    Parameters
    ----------
    x, y, elevation : float
        m.
    background, cultural : float
        Root mean square of the noise at 2 to 20 Hz in m/s: of nature, and of people at five in the morning.
    kappa : float
        Absorption near the surface, s.
    amplification : float
    """

    x: float
    y: float
    elevation: float
    background: float
    cultural: float
    kappa: float
    amplification: float


def _white(rng: np.random.Generator, count: int, bins: int = FREQUENCIES.size) -> ComplexArray:
    """Spectra of white noise of unit variance, (count, bins)."""
    parts = rng.standard_normal((2, count, bins))
    return np.asarray(np.sqrt(SAMPLES / 2) * (parts[0] + 1j * parts[1]))


def _band(low: float, high: float) -> FloatArray:
    """Amplitude of a smooth band-pass."""
    f = FREQUENCIES
    return 1 / np.sqrt((1 + (low / np.maximum(f, 1e-6)) ** 8) * (1 + (f / high) ** 8))


def _scaled(shape: FloatArray, level: float, low: float = 2.0, high: float = 20.0) -> FloatArray:
    """An amplitude spectrum that gives white noise a root mean square between two frequencies."""
    f = FREQUENCIES[: shape.size]
    inside = (low <= f) & (high >= f)
    return np.asarray(shape * level / np.sqrt(2 * np.sum(shape[inside] ** 2) / SAMPLES))


def noise(rng: np.random.Generator, sites: list[Site]) -> FloatArray:
    """Noise of all stations, shape (stations, 3, samples)."""
    f = np.maximum(FREQUENCIES, 0.01)
    quiet = f**-0.6 / (1 + (0.6 / f) ** 4)
    # below the microseism: -165 dB (up) and -149 dB (level, by tilt) relative to 1 m2/s4/Hz
    slow = (
        np.array([6.0, 6.0, 1.0])[:, None]
        * 5.6e-9
        / (2 * np.pi * f)
        / (1 + (f / 0.2) ** 4)
        * np.sqrt(RATE / 2)
    )
    people = np.exp(-0.5 * (np.log(f / 7.0) / 0.55) ** 2) + 0.25 * np.exp(
        -0.5 * (np.log(f / 22.0) / 0.3) ** 2
    )
    far = _microseism(rng, sites)
    result = np.empty((len(sites), 3, SAMPLES))
    for number, site in enumerate(sites):
        sides = np.array([1.1, 1.1, 0.9])
        wander = _wander(rng, 90.0, 0.35)
        near = (_scaled(quiet, site.background) + slow) * _white(rng, 3)
        near[:, : LOW.size] += far[number]
        result[number] = irfft(near, SAMPLES)
        morning = (0.6 + 0.9 * TIMES / TIMES[-1]) * wander
        # corners of buildings and layers: each site has its own colour
        colour = people * np.exp(
            0.5 * np.interp(np.log(f), np.log(np.geomspace(1, 50, 9)), rng.normal(size=9))
        )
        cultural = irfft(_scaled(colour, site.cultural) * _white(rng, 3), SAMPLES)
        result[number] += sides[:, None] * morning * cultural
    return result


def _wander(rng: np.random.Generator, seconds: float, spread: float) -> FloatArray:
    """A slowly varying positive factor about 1."""
    knots = rng.normal(size=int(SAMPLES / RATE / seconds) + 2)
    walk = np.interp(TIMES, seconds * np.arange(knots.size), knots)
    return np.exp(spread * walk)


def _delayed(spectrum: ComplexArray, site: Site, slowness: float, azimuth: float) -> ComplexArray:
    """A plane wave below 5 Hz that travels towards an azimuth (radians), as it passes a site."""
    delay = slowness * (site.x * np.sin(azimuth) + site.y * np.cos(azimuth))
    return np.asarray(spectrum[: LOW.size] * np.exp(-2j * np.pi * LOW * delay))


def _rayleigh(spectrum: ComplexArray, azimuth: float, ratio: float = 0.7) -> ComplexArray:
    """East, north and up of a retrograde Rayleigh wave."""
    along = -1j * ratio * spectrum
    return np.stack([along * np.sin(azimuth), along * np.cos(azimuth), spectrum])


def _microseism(rng: np.random.Generator, sites: list[Site]) -> ComplexArray:
    """Spectra below 5 Hz of Rayleigh waves from the sea in the west, and of a part that each site has for itself."""
    f = np.maximum(LOW, 0.01)
    peak = np.exp(-0.5 * (np.log(f / 0.19) / 0.28) ** 2) + 0.25 * np.exp(-0.5 * (np.log(f / 0.5) / 0.4) ** 2)
    shape = _scaled(peak, MICROSEISM, 0.03, 2.0)
    azimuths = np.radians(rng.normal(80.0, 35.0, 6))
    waves = [shape * spectrum / np.sqrt(6) for spectrum in _white(rng, 6, LOW.size)]
    result = np.empty((len(sites), 3, LOW.size), dtype=np.complex128)
    for number, site in enumerate(sites):
        result[number] = 0.35 * shape * _white(rng, 3, LOW.size)
        for wave, azimuth in zip(waves, azimuths, strict=True):
            result[number] += _rayleigh(_delayed(wave, site, 1 / 2800.0, azimuth), azimuth)
    return result


def disturbances(rng: np.random.Generator, sites: dict[str, Site]) -> FloatArray:
    """Teleseism, trains, a pump and what people do, shape (stations, 3, samples)."""
    result = _teleseism(rng, list(sites.values()))
    names = list(sites)
    result[names.index("PLAT")] += _train(rng, 715.0, 3.0e-6)
    result[names.index("KAMA")] += _train(rng, 715.0 + 260.0, 1.4e-6)
    result[names.index("PLAT")] += _train(rng, 3030.0, 2.2e-6)
    pump = np.sin(2 * np.pi * 12.4 * TIMES + 2.0 * np.cumsum(_wander(rng, 20.0, 0.5) - 1) / RATE)
    on = expit((TIMES - 900) / 0.7) - expit((TIMES - 2500) / 0.7)
    result[names.index("LEFK")] += 6e-8 * np.array([1.0, 0.6, 0.8])[:, None] * pump * on
    for name in ("KAMA", "PLAT"):
        result[names.index(name)] += _people(rng, 9, 8 * sites[name].cultural)
    return result


def _burst(rng: np.random.Generator, low: float, high: float, envelope: FloatArray) -> FloatArray:
    """Noise of a band under an envelope, three components, greatest value about that of the envelope."""
    return envelope * irfft(_scaled(_band(low, high), 0.4, low, high) * _white(rng, 3), SAMPLES)


def _train(rng: np.random.Generator, middle: float, level: float) -> FloatArray:
    """A passing train: a minute of shaking with the beat of its wheels."""
    aside = (TIMES - middle) / 16.0
    envelope = level / np.cosh(aside) * (0.75 + 0.25 * np.sin(2 * np.pi * 0.9 * TIMES))
    return _burst(rng, 4.0, 19.0, envelope)


def _people(rng: np.random.Generator, count: int, level: float) -> FloatArray:
    """Short bursts at random times: steps, doors, cars."""
    envelope = np.zeros(SAMPLES)
    for middle, length in zip(rng.uniform(30, 3570, count), rng.uniform(0.2, 2.5, count), strict=True):
        envelope += level * rng.uniform(0.4, 1.5) * np.exp(-(((TIMES - middle) / length) ** 2))
    return _burst(rng, 6.0, 28.0, envelope)


def _teleseism(rng: np.random.Generator, sites: list[Site]) -> FloatArray:
    """P, S and Rayleigh waves of an earthquake 60 degrees away, from north-east."""
    azimuth = np.radians(228.0)
    radial = np.array([np.sin(azimuth), np.cos(azimuth), 0.0])
    across = np.array([np.cos(azimuth), -np.sin(azimuth), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    p = _phase(rng, 1060.0, (0.25, 1.3), 4.0e-6, 9.0)
    s = _phase(rng, 1550.0, (0.05, 0.25), 9.0e-6, 20.0)
    surface = rfft(_dispersed(rng, 2300.0, 1.1e-5))
    result = np.empty((len(sites), 3, SAMPLES))
    for number, site in enumerate(sites):
        wave = _delayed(p, site, 6.2e-5, azimuth)[None] * (0.93 * up + 0.37 * radial)[:, None]
        wave += _delayed(s, site, 1.13e-4, azimuth)[None] * (0.8 * across + 0.5 * radial + 0.2 * up)[:, None]
        wave += _rayleigh(_delayed(surface, site, 1 / 3600.0, azimuth), azimuth)
        result[number] = irfft(wave, SAMPLES)
    return result


def _phase(
    rng: np.random.Generator, onset: float, band: tuple[float, float], level: float, length: float
) -> ComplexArray:
    """Spectrum of a body wave of a distant earthquake: an emergent rupture and a long coda."""
    after = np.maximum(TIMES - onset, 0.0)
    envelope = (after / length) * np.exp(1 - after / length) + 0.12 * (after > 0) / (1 + after / 80.0) ** 2
    source = irfft(_scaled(_band(*band), 0.5, *band) * _white(rng, 1)[0], SAMPLES)
    return np.asarray(rfft(level * envelope * source) * _band(band[0] / 3, band[1] * 1.5))


def _dispersed(rng: np.random.Generator, onset: float, level: float) -> FloatArray:
    """A Rayleigh wave train: periods fall from 30 to 14 s in six minutes."""
    after = np.clip((TIMES - onset) / 360.0, 0.0, 3.0)
    frequency = 1 / 30.0 + (1 / 14.0 - 1 / 30.0) * np.minimum(after, 1.3)
    envelope = np.where(onset < TIMES, after**1.5 * np.exp(-((after - 0.35) ** 2) / 0.25), 0.0)
    return level * 4 * envelope * _wander(rng, 75.0, 0.3) * np.sin(2 * np.pi * np.cumsum(frequency) / RATE)
