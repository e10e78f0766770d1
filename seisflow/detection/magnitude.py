"""Magnitudes: local ones from amplitudes, relative ones from the gain against a template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seisflow.domain import Amplitudes, FloatArray, Magnitude
from seisflow.errors import InputError
from seisflow.fourier import rfft

__all__ = [
    "LocalMagnitudeConfig",
    "RelativeMagnitudeConfig",
    "StationMagnitudes",
    "local_magnitude",
    "relative_magnitude",
    "station_magnitudes",
]

BoolArray = npt.NDArray[np.bool_]

_MEDIAN = float(np.sqrt(np.pi / 2))
"""Standard error of a median over that of a mean, for normal errors."""

_SMALL = (0.0, 0.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)
"""Factors that free the median absolute deviation of 2 to 9 values of bias (Croux & Rousseeuw 1992, sec. 5)."""


@dataclass(frozen=True)
class LocalMagnitudeConfig:
    """Formula of a local magnitude, log10(A / A0) + slope log10(R / R0) + linear (R - R0) + M0 + correction.

    The defaults are those of southern California (Hutton & Boore 1987, eq. 2): a Wood-Anderson trace of 1 mm at 100 km
    is magnitude 3. With the magnification of 2080 they are the standard of IASPEI (2013). R is the hypocentral
    distance. The formula was fitted from 10 to 700 km; nearer than that it is an extrapolation.

    Parameters
    ----------
    slope : float
        Of the logarithm of distance.
    linear : float
        1/km.
    reference_distance : float
        R0 in m.
    reference_amplitude : float
        A0; m of trace, m/s or counts. Amplitudes in counts are over 1 count whatever it says.
    reference_magnitude : float
        M0.
    quantity : {"wood-anderson", "velocity"}
        That the formula is for. Amplitudes in counts give a relative magnitude (``Mrel``) with the same distance terms:
        it compares events at the same stations, and its zero means nothing.
    station_corrections : mapping of str to float
        By ``NET.STA``; added.
    min_signal_to_noise : float
        Amplitude over that of the noise before.
    min_stations : int
        That an event needs.
    scatter : float
        Standard deviation of the channels about the magnitude of an event, for those that the noise hides.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    slope: float = 1.11
    linear: float = 0.00189
    reference_distance: float = 100e3
    reference_amplitude: float = 1e-3
    reference_magnitude: float = 3.0
    quantity: Literal["wood-anderson", "velocity"] = "wood-anderson"
    station_corrections: Mapping[str, float] = field(default_factory=dict)
    min_signal_to_noise: float = 3.0
    min_stations: int = 2
    scatter: float = 0.3

    def __post_init__(self) -> None:
        if min(self.reference_distance, self.reference_amplitude) <= 0:
            raise InputError(
                f"reference_distance = {self.reference_distance:g} m, reference_amplitude = "
                f"{self.reference_amplitude:g}: must be positive"
            )
        if self.min_signal_to_noise < 1 or self.min_stations < 1 or self.scatter <= 0:
            raise InputError(
                f"min_signal_to_noise = {self.min_signal_to_noise:g}, min_stations = {self.min_stations}, scatter = "
                f"{self.scatter:g}: the first two must be at least 1, the last positive"
            )


@dataclass(frozen=True, eq=False)
class StationMagnitudes:
    """Magnitudes of one event at its stations.

    Parameters
    ----------
    values : ndarray (ns,)
        Mean over the usable channels; NaN without any.
    channels : ndarray (ns, nc)
        Of the usable channels; NaN for others.
    limits : ndarray (ns, nc)
        What the magnitude at a channel is below, where the event does not stand above the noise; NaN for others.
    left_out : dict of str to int
        Numbers of recorded channels that were not used, by reason.
    kind : str
        ``ML`` or ``Mrel``.
    """

    values: FloatArray
    channels: FloatArray
    limits: FloatArray
    left_out: dict[str, int]
    kind: str


def station_magnitudes(
    amplitudes: Amplitudes, distances: FloatArray, config: LocalMagnitudeConfig
) -> StationMagnitudes:
    """Local magnitude at each station.

    Parameters
    ----------
    amplitudes : Amplitudes
        Clipped channels and those too little above their noise are left out, and the square of the noise is taken off
        that of the others. A channel without noise is used as it is.
    distances : ndarray (ns,)
        Hypocentral distances in m.
    config : LocalMagnitudeConfig

    Returns
    -------
    StationMagnitudes

    Raises
    ------
    InputError
        If distances do not fit the stations or are not positive, or the amplitudes are of another quantity than the
        formula.
    """
    if distances.shape != (len(amplitudes.stations),) or not (distances > 0).all():
        raise InputError(
            f"distances of {len(amplitudes.stations)} stations must be positive; found {np.array2string(distances)} m"
        )
    counts = amplitudes.quantity == "counts"
    if not counts and amplitudes.quantity != config.quantity:
        raise InputError(
            f"amplitudes are {amplitudes.quantity}, the magnitude formula is for {config.quantity}; set quantity and "
            "the terms that belong to it"
        )
    values, noise = amplitudes.values, amplitudes.noise
    known = np.isfinite(values) & (values > 0)
    clipped = amplitudes.clipped
    noisy = known & ~clipped & (values < config.min_signal_to_noise * noise)
    usable = known & ~clipped & ~noisy
    unit = 1.0 if counts else config.reference_amplitude
    terms = (
        config.slope * np.log10(distances / config.reference_distance)
        + config.linear * (distances - config.reference_distance) / 1e3
        + config.reference_magnitude
        + np.array([config.station_corrections.get(name, 0.0) for name in amplitudes.stations])
    )[:, None]
    clean = np.sqrt(
        values**2 - np.where(np.isfinite(noise), noise, 0) ** 2, where=usable, out=np.ones(values.shape)
    )
    channels = np.where(usable, np.log10(clean / unit) + terms, np.nan)
    hidden = np.where(noisy, config.min_signal_to_noise * noise, unit)
    limits = np.where(noisy, np.log10(hidden / unit) + terms, np.nan)
    share = usable.sum(axis=1)
    sums = np.where(usable, channels, 0.0).sum(axis=1)
    mean = np.divide(sums, share, out=np.full(share.shape, np.nan), where=share > 0)
    left_out = {"clipped": int(clipped.sum()), "signal to noise": int(noisy.sum())}
    return StationMagnitudes(mean, channels, limits, left_out, "Mrel" if counts else "ML")


def local_magnitude(
    amplitudes: Amplitudes, distances: FloatArray, config: LocalMagnitudeConfig
) -> Magnitude | None:
    """Local magnitude of an event: the median of its channels, where each station has one vote.

    A small earthquake stands above the noise where its waves happen to be large, so the median of those stations alone
    is too large: by 0.2 where a quarter of them see it. Channels that the noise hides count too, as below the limit
    that it sets (Ringdal 1976, by the median instead of the mean; Efron 1967): the median is where as many votes are
    above as below, and a hidden channel is above by the chance that a normal distribution of ``config.scatter`` leaves
    under its limit.

    Parameters
    ----------
    amplitudes : Amplitudes
    distances : ndarray (ns,)
        Hypocentral distances in m.
    config : LocalMagnitudeConfig

    Returns
    -------
    Magnitude or None
        None with too few stations above the noise. The error is that of a median from the median absolute deviation of
        these stations; NaN with one.
    """
    found = station_magnitudes(amplitudes, distances, config)
    values = found.values[np.isfinite(found.values)]
    if values.size < config.min_stations:
        return None
    value = _median_with_hidden(found.channels, found.limits, config.scatter)
    return Magnitude(value, _median_error(values, value), found.kind, int(values.size))


def _median_with_hidden(values: FloatArray, limits: FloatArray, scatter: float) -> float:
    """Median of channels (ns, nc), of which some are only known to be below limits; each row has one vote."""
    from scipy.special import ndtr  # imported late, see ``seisflow.fourier``

    seen, hidden = np.isfinite(values), np.isfinite(limits)
    votes = np.repeat(1 / np.maximum((seen | hidden).sum(axis=1), 1)[:, None], values.shape[1], axis=1)
    known, of_known, below, of_below = values[seen], votes[seen], limits[hidden], votes[hidden]

    def above(middle: float) -> float:
        """Votes above a value less those below it."""
        room = np.maximum((below - middle) / scatter, 0.0)
        chance = np.where(below > middle, (ndtr(room) - 1) / ndtr(room), -1.0)
        return float((of_known * np.sign(known - middle)).sum() + (of_below * chance).sum())

    ends = []
    for slack in (1e-9, -1e-9):  # votes are even between two values
        low, high = float(known.min()) - 10 * scatter, float(known.max()) + scatter
        for _ in range(50):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if above(middle) > slack else (low, middle)
        ends.append(high)
    return 0.5 * (ends[0] + ends[1])


def _median_error(values: FloatArray, middle: float) -> float:
    """Standard error of the median of values."""
    count = values.size
    if count < 2:
        return float("nan")
    small = _SMALL[count] if count < len(_SMALL) else count / (count - 0.8)
    spread = 1.4826 * small * float(np.median(np.abs(values - middle)))
    return (_MEDIAN if count > 2 else 1.0) * spread / float(np.sqrt(count))


@dataclass(frozen=True)
class RelativeMagnitudeConfig:
    """How the size of an event is measured against a template.

    Parameters
    ----------
    slope : float
        Magnitude per factor of ten in amplitude; 1 for a local magnitude, 2/3 for a moment magnitude of events whose
        spectra are flat in the band.
    min_signal_to_noise : float
        Gain over its error that a channel needs to be used by itself; the gain is that of the network, so that no
        channel is chosen because noise raised it.
    scatter : float
        Of log10 gains between channels without noise (mechanisms and places differ); keeps the best channels from
        having all the weight.
    min_channels : int
        That an event needs.
    min_total : float
        Gain of the network over its error that an event needs when no channel is good enough by itself.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    slope: float = 1.0
    min_signal_to_noise: float = 3.0
    scatter: float = 0.1
    min_channels: int = 3
    min_total: float = 3.0

    def __post_init__(self) -> None:
        if (
            min(self.slope, self.min_signal_to_noise, self.scatter, self.min_total) <= 0
            or self.min_channels < 1
        ):
            raise InputError(
                f"slope = {self.slope:g}, min_signal_to_noise = {self.min_signal_to_noise:g}, scatter = "
                f"{self.scatter:g}, min_total = {self.min_total:g}, min_channels = {self.min_channels}: "
                "must be positive"
            )


def relative_magnitude(
    windows: FloatArray,
    templates: FloatArray,
    live: BoolArray,
    noise: FloatArray,
    reference: Magnitude,
    config: RelativeMagnitudeConfig | None = None,
) -> Magnitude | None:
    """Magnitude of an event from its amplitude relative to a template.

    The gain of a channel is the signed projection of the window on the template, <d, t> / <t, t>, which noise does not
    raise on average (Schaff & Richards 2014, eq. 4). Its error is that of noise of the spectrum of the template. The
    gain of the network is the weighted median of the channels; those where it stands out from its error give a
    weighted robust mean (Huber) of log10 gains, weighted by 1 / (scatter^2 + error^2), corrected for what the
    logarithm does to noise. Where fewer than ``min_channels`` stand out, the logarithm of the mean gain is taken.
    Noise in the template itself lowers gains by 1 / (1 + 1 / r^2) for a ratio r of signal to noise: 0.05 of a magnitude
    at 3, 0.004 at 10. Windows that are clipped must not be called live.

    Parameters
    ----------
    windows, templates : ndarray (ns, nc, m)
        Data aligned with the template, and the template, in the same unit; zeros may follow a channel's own window.
    live : ndarray of bool (ns, nc)
        Which windows are complete.
    noise : ndarray (ns, nc)
        Mean square of the noise before the event; NaN where there is none. What the template does not explain in the
        window stands in for it, and for less of it.
    reference : Magnitude
        Of the template.
    config : RelativeMagnitudeConfig, optional

    Returns
    -------
    Magnitude or None
        Of kind ``Mrel``; None with too few channels or an event that does not stand out from noise. The error is the
        scatter between stations and the error of the reference.

    Raises
    ------
    InputError
        If shapes differ.
    """
    config = config or RelativeMagnitudeConfig()
    if windows.shape != templates.shape or windows.ndim != 3:
        raise InputError(
            f"windows are {windows.shape}, templates {templates.shape}; both must be (ns, nc, m)"
        )
    if not live.shape == noise.shape == windows.shape[:2]:
        raise InputError(f"live is {live.shape} and noise {noise.shape}; they must be {windows.shape[:2]}")
    gains, errors, stations = _gains(windows, templates, live, noise)
    if gains.size < config.min_channels:
        return None
    network = _weighted_median(gains, 1 / errors)
    good = (network > config.min_signal_to_noise * errors) & (gains > -3 * errors)
    if good.sum() >= config.min_channels:
        log, error, count = _log_mean(gains[good], errors[good], stations[good], network, config.scatter)
    else:
        weight = 1 / errors**2
        mean, spread = float((weight * gains).sum() / weight.sum()), float(1 / np.sqrt(weight.sum()))
        if not mean > config.min_total * spread:
            return None
        log, error, count = float(np.log10(mean)), spread / mean / np.log(10), int(np.unique(stations).size)
    total = np.hypot(config.slope * error, reference.error if np.isfinite(reference.error) else 0.0)
    return Magnitude(reference.value + config.slope * log, float(total), "Mrel", count)


def _gains(
    windows: FloatArray, templates: FloatArray, live: BoolArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """Gains of usable channels, their errors, and the numbers of their stations."""
    from scipy.ndimage import uniform_filter1d  # imported late, see ``seisflow.fourier``

    finite = np.isfinite(windows).all(axis=2) & np.isfinite(templates).all(axis=2)
    usable = live & finite & np.any(windows != 0, axis=2) & np.any(templates != 0, axis=2)
    data, shape = windows[usable].astype(np.float64), templates[usable].astype(np.float64)
    scale = np.abs(shape).max(axis=1, keepdims=True, initial=0.0)
    shape /= scale
    energy = (shape**2).sum(axis=1)
    gains = (data * shape).sum(axis=1) / energy
    length = shape.shape[1] - np.argmax(shape[:, ::-1] != 0, axis=1)  # zeros after a channel's own window
    inside = np.arange(shape.shape[1]) < length[:, None]
    rest = (inside * (data - gains[:, None] * shape) ** 2).sum(axis=1) / np.maximum(1, length - 1)
    before = noise[usable]
    power = np.maximum(rest, np.where(np.isfinite(before) & (before > 0), before, 0.0))
    spectrum = uniform_filter1d(np.abs(rfft(shape, axis=1)) ** 2, 5, axis=1, mode="nearest")
    spread = spectrum.shape[1] * (spectrum**2).sum(axis=1) / np.maximum(spectrum.sum(axis=1) ** 2, 1e-300)
    errors = np.sqrt(power * np.maximum(spread, 1.0) / energy)
    errors = np.maximum(errors, 1e-6 * np.abs(gains))
    positive = errors > 0
    factor = scale[positive, 0]
    return gains[positive] / factor, errors[positive] / factor, np.nonzero(usable)[0][positive]


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(weights[order])
    middle = int(np.searchsorted(sums, 0.5 * sums[-1]))
    return float(values[order][middle])


def _log_mean(
    gains: FloatArray, errors: FloatArray, stations: npt.NDArray[np.intp], network: float, scatter: float
) -> tuple[float, float, int]:
    """Robust mean of log10 gains, its standard error from the scatter between stations, and their number."""
    relative = errors / network
    logs = np.log10(np.maximum(gains, 0.1 * network)) + 0.5 * relative**2 / np.log(10)
    variance = scatter**2 + (relative / np.log(10)) ** 2
    centre = _weighted_median(logs, 1 / variance)
    spread = max(1.0, 1.4826 * float(np.median(np.abs(logs - centre) / np.sqrt(variance))))
    weights = 1 / variance
    for _ in range(20):
        distance = np.abs(logs - centre) / (spread * np.sqrt(variance))
        weights = np.minimum(1.0, 1.5 / np.maximum(distance, 1e-12)) / variance
        centre = float((weights * logs).sum() / weights.sum())
    names, number = np.unique(stations, return_inverse=True)
    total = float(weights.sum())
    least = float(np.sqrt((weights**2 * (relative / np.log(10)) ** 2).sum())) / total
    if names.size < 2:
        return centre, float(np.hypot(scatter, least)), 1
    sums = np.bincount(number, weights * (logs - centre))
    found = float(np.sqrt((sums**2).sum() * names.size / (names.size - 1))) / total
    return centre, max(found, least), int(names.size)
