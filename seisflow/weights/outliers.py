"""Windows that stand apart from all others of their event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seisflow.domain import FloatArray, Rejection, Window
from seisflow.weights.config import QualityConfig

__all__ = ["median_and_scatter", "outliers"]

STAGE = "outlier"
NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
LEAST_SHIFT, LEAST_DLNA = 0.05, 0.05
"""Smallest standard deviations: shortest periods, and ln of the amplitude ratio."""


def median_and_scatter(values: FloatArray) -> tuple[float, float]:
    """Median, and the robust standard deviation: 1.4826 times the median absolute deviation from it."""
    middle = float(np.median(values))
    return middle, NORMAL * float(np.median(np.abs(values - middle)))


def outliers(
    windows: Sequence[Window], config: QualityConfig, shortest_period: float
) -> tuple[list[Window], list[Rejection]]:
    """Take out windows whose lag or amplitude stands apart from those of the event.

    Parameters
    ----------
    windows : sequence of Window
        Of one event and band.
    config : QualityConfig
    shortest_period : float
        s.

    Returns
    -------
    list of Window
        Those that stay.
    list of Rejection
        One for each of the others, with the value and the statistics that decided.
    """
    limits = (
        ("shift", "lag", "s", config.max_shift_deviation, LEAST_SHIFT * shortest_period),
        ("dlna", "dlnA", "", config.max_dlna_deviation, LEAST_DLNA),
    )
    reasons: dict[Window, str] = {}
    for name, word, unit, most, least in limits:
        if most is None or len(windows) < config.min_windows:
            continue
        values = np.array([getattr(window, name) for window in windows])
        middle, scatter = median_and_scatter(values)
        scatter = max(scatter, least)
        for window, value in zip(windows, values, strict=True):
            away = abs(value - middle) / scatter
            if away > most:
                reason = f"{word} {value:.4g} {unit}".rstrip()
                reasons.setdefault(
                    window,
                    f"{reason}, the event has {middle:.4g} +- {scatter:.3g}: {away:.1f} standard deviations off, "
                    f"over {most:g}",
                )
    lost = [
        Rejection(each.station, each.component, STAGE, reason, each.start, each.end, band=each.band)
        for each, reason in reasons.items()
    ]
    return [window for window in windows if window not in reasons], lost
