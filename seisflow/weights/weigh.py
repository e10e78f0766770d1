"""The weights of all windows of an event."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from seisflow.domain import Station, Window
from seisflow.weights.config import WeightConfig
from seisflow.weights.geographic import geographic_weights

__all__ = ["weigh"]

Key = TypeVar("Key", bound=Hashable)


def weigh(
    windows: Sequence[Window],
    stations: Mapping[str, Station],
    config: WeightConfig,
    source: float = 1.0,
    bands: Mapping[int, float] | None = None,
) -> tuple[Window, ...]:
    """Give windows their weights and the factors that they are products of.

    Source, receiver and category factors change what parts count against each other, not how much there is in all:
    receiver factors have the mean 1 over the windows of a band; with ``balance`` the category factors leave the sum of
    the weights of the event as it is.

    Parameters
    ----------
    windows : sequence of Window
        Of one event, all bands; those that are inverted, or those that are held out.
    stations : mapping of str to Station
        By ``NET.STA``.
    config : WeightConfig
    source : float
        Factor of the event.
    bands : mapping of int to float, optional
        Factor of each band by its number; 1 for what is not named.

    Returns
    -------
    tuple of Window
        In the same order.
    """
    receivers = _receivers(windows, stations, config)
    noise = [_noise(window, config.signal_to_noise) for window in windows]
    shares = {_category(window): _share(window, config, bands or {}) for window in windows}
    scale = dict.fromkeys(shares, 1.0)
    if config.balance and windows:
        sums = _sums(windows, [a * b for a, b in zip(receivers, noise, strict=True)], _category)
        scale = _balanced(sums, shares, config.balance_limit)
    return tuple(
        window.weighted(
            source=source,
            receiver=receiver,
            category=shares[_category(window)] * scale[_category(window)],
            signal_to_noise=quiet,
        )
        for window, receiver, quiet in zip(windows, receivers, noise, strict=True)
    )


def _balanced(sums: Mapping[Key, float], shares: Mapping[Key, float], limit: float) -> dict[Key, float]:
    """Factors that give each category its share of the sum of weights, none more than ``limit`` times the mean.

    Categories at the limit get what that allows; the others share what is left.
    """
    whole = sum(sums.values())
    most = limit * whole / sum(shares[key] * total for key, total in sums.items())
    found: dict[Key, float] = {}
    while True:
        free = [key for key in sums if key not in found]
        left = whole - sum(shares[key] * sums[key] * factor for key, factor in found.items())
        each = left / sum(shares[key] for key in free) if free else 0.0
        above = [key for key in free if each / sums[key] > most]
        if not above:
            return found | {key: each / sums[key] for key in free}
        found |= dict.fromkeys(above, most)


def _waves(window: Window) -> tuple[str, ...]:
    """Names of what passes in the window: its phases, then ``body`` or ``surface``."""
    return (*window.phases, window.waves)


def _category(window: Window) -> tuple[int, str, str]:
    """Band, component and what passes."""
    return window.band, window.component, " ".join(_waves(window))


def _share(window: Window, config: WeightConfig, bands: Mapping[int, float]) -> float:
    factor = bands.get(window.band, 1.0) * config.components.get(window.component, 1.0)
    named = [config.phases[name] for name in _waves(window) if name in config.phases]
    return factor * named[0] if named else factor


def _noise(window: Window, enough: float | None) -> float:
    """1 from enough signal to noise on, and where there is no noise to compare with."""
    if enough is None or window.signal_to_noise is None:
        return 1.0
    return min(1.0, window.signal_to_noise / enough)


def _receivers(
    windows: Sequence[Window], stations: Mapping[str, Station], config: WeightConfig
) -> list[float]:
    """Factors of the stations among those with windows in the band; the mean over its windows is 1."""
    if config.receivers is None:
        return [1.0] * len(windows)
    by_place: dict[tuple[int, str], float] = {}
    for band in sorted({window.band for window in windows}):
        names = sorted({window.station for window in windows if window.band == band})
        places = tuple((stations[name].latitude, stations[name].longitude) for name in names)
        for name, factor in zip(names, geographic_weights(places, config.receivers), strict=True):
            by_place[band, name] = factor
    found = [by_place[window.band, window.station] for window in windows]
    sums = _sums(windows, found, lambda window: window.band)
    counts = _sums(windows, [1.0] * len(windows), lambda window: window.band)
    return [
        factor * counts[window.band] / sums[window.band]
        for window, factor in zip(windows, found, strict=True)
    ]


def _sums(
    windows: Sequence[Window], values: Sequence[float], key: Callable[[Window], Key]
) -> dict[Key, float]:
    """Sum of values by the part that their windows belong to."""
    found: dict[Key, float] = {}
    for window, value in zip(windows, values, strict=True):
        found[key(window)] = found.get(key(window), 0.0) + value
    return found
