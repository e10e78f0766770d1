"""Velocity to displacement and to acceleration, and back."""

from __future__ import annotations

import numpy as np

from seisflow.domain import FloatArray
from seisflow.signal.config import TimeAxis
from seisflow.signal.stage import Stage

__all__ = ["Differentiate", "Integrate", "conversion"]

ORDER = {"displacement": 0, "velocity": 1, "acceleration": 2}


class Integrate:
    """Running sum times the interval: the value at the end of each sample's cell, half an interval later.

    Midpoint rule; the ground is at rest before the first sample. Relative
    error of the gain (omega dt)^2 / 24.

    Parameters
    ----------
    interval : float
        s.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval

    def apply(self, data: FloatArray) -> FloatArray:
        """Integrate along the last axis."""
        return np.asarray(np.cumsum(data, axis=-1) * self.interval)

    def transpose(self, data: FloatArray) -> FloatArray:
        """Sum from the end backwards."""
        return np.asarray(np.cumsum(data[..., ::-1], axis=-1)[..., ::-1] * self.interval)


class Differentiate:
    """Difference of neighbours over the interval: the value between them, half an interval earlier.

    The ground is at rest before the first sample. The gain departs from omega by (omega dt)^2 / 24.

    Parameters
    ----------
    interval : float
        s.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval

    def apply(self, data: FloatArray) -> FloatArray:
        """Difference to the sample before."""
        return np.asarray(np.diff(data, axis=-1, prepend=0.0) / self.interval)

    def transpose(self, data: FloatArray) -> FloatArray:
        """Minus the difference to the sample after."""
        return np.asarray(-np.diff(data, axis=-1, append=0.0) / self.interval)


def conversion(given: str, wanted: str, axis: TimeAxis) -> tuple[list[Stage], TimeAxis]:
    """Stages that turn one quantity into another, and the times of the samples that come out.

    Parameters
    ----------
    given, wanted : {"displacement", "velocity", "acceleration"}
    axis : TimeAxis
        Of the samples that go in.
    """
    steps = ORDER[wanted] - ORDER[given]
    stages: list[Stage] = []
    for _ in range(abs(steps)):
        stages.append(Integrate(axis.interval) if steps < 0 else Differentiate(axis.interval))
    return stages, TimeAxis(axis.start - steps * axis.interval / 2, axis.interval, axis.samples)
