"""Misfit windows and what is measured in them."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

from seisflow.domain.gather import Gather

__all__ = ["Measurement", "Measurements", "Rejection", "WeightFactors", "Window", "WindowEdit"]


@dataclass(frozen=True)
class WeightFactors:
    """What the weight of a window is the product of; 1 where it was not asked for.

    Parameters
    ----------
    source, receiver : float
        For how many others there are nearby.
    category : float
        Of its phase, component and band.
    signal_to_noise : float
    """

    source: float = 1.0
    receiver: float = 1.0
    category: float = 1.0
    signal_to_noise: float = 1.0

    @property
    def product(self) -> float:
        """The weight."""
        weight = 1.0
        for factor in astuple(self):
            weight *= factor
        return weight


@dataclass(frozen=True)
class Window:
    """A stretch of one trace in which observed and synthetic are compared.

    Parameters
    ----------
    station : str
        ``NET.STA``.
    component : str
    start, end : float
        s from the origin time, both on samples.
    correlation : float
        Largest normalised cross-correlation of observed and synthetic when it was selected.
    shift : float
        Its lag in s, positive where the observed comes late.
    dlna : float
        0.5 ln(energy observed / energy synthetic).
    weight : float
        Factor of its misfit in the sum.
    signal_to_noise : float, optional
        Of the observed, when it was selected; None where there is no noise before the first arrival.
    waves : str
        ``body`` or ``surface``; empty where no travel times tell.
    phases : tuple of str
        Arrivals that are expected in it, as ``P``.
    by_hand : str
        What was done to it by hand, who did it and why; empty for most.
    band : int
        Number of its band in the stage, from 0.
    factors : WeightFactors
        What the weight is made of.
    """

    station: str
    component: str
    start: float
    end: float
    correlation: float = 1.0
    shift: float = 0.0
    dlna: float = 0.0
    weight: float = 1.0
    signal_to_noise: float | None = None
    waves: str = ""
    phases: tuple[str, ...] = ()
    by_hand: str = ""
    band: int = 0
    factors: WeightFactors = WeightFactors()

    def weighted(self, **factors: float) -> Window:
        """The same window with some factors of its weight replaced."""
        found = replace(self.factors, **factors)
        return replace(self, factors=found, weight=found.product)


@dataclass(frozen=True)
class Rejection:
    """A candidate window, or a whole trace, that was not taken: the stage, and the value that decided.

    ``start`` and ``end`` are s from the origin time; ``count`` is how many candidates of the trace fell at that stage
    with this one as the example; ``band`` is the number of the band in the stage, from 0.
    """

    station: str
    component: str
    stage: str
    reason: str
    start: float | None = None
    end: float | None = None
    count: int = 1
    band: int = 0


@dataclass(frozen=True)
class Measurement:
    """The misfit of one window: ``value`` (weight included), and lag (s), amplitude and correlation where measured.

    ``error`` is the standard error of the lag in s, or of the amplitude if that is what the misfit compares, estimated
    from the window itself. It is told, and changes neither misfit nor adjoint source.
    """

    window: Window
    value: float
    shift: float | None = None
    dlna: float | None = None
    correlation: float | None = None
    error: float | None = None


@dataclass(frozen=True, eq=False)
class Measurements:
    """All measurements of one event.

    Parameters
    ----------
    rows : tuple of Measurement
    adjoint : Gather
        The adjoint source: dJ/d(synthetic sample) / interval, on the axes of the synthetic gather, forward time.
    rejections : tuple of Rejection
        Windows that could not be measured, and why.
    """

    rows: tuple[Measurement, ...]
    adjoint: Gather
    rejections: tuple[Rejection, ...] = ()

    @property
    def value(self) -> float:
        """The misfit of the event: the sum over windows, in the order of the rows."""
        return float(sum(row.value for row in self.rows))


@dataclass(frozen=True)
class WindowEdit:
    """What a person wants of the windows of some traces, whatever the selection finds.

    Parameters
    ----------
    station : str
        ``NET.STA``.
    component : str, optional
        All of the station, if left out.
    event : str, optional
        All events, if left out.
    drop : bool
        Whether windows are dropped; else ``span`` is a window.
    span : tuple of 2 float, optional
        s from the origin time; to drop: all windows, if left out.
    periods : tuple of 2 float, optional
        Only in the band of these periods.
    since : int
        Iteration from which it holds.
    why, by : str
        Told wherever it had an effect.
    """

    station: str
    component: str | None = None
    event: str | None = None
    drop: bool = True
    span: tuple[float, float] | None = None
    periods: tuple[float, float] | None = None
    since: int = 1
    why: str = ""
    by: str = ""

    @property
    def reason(self) -> str:
        """Why, and by whom."""
        return f"{self.why} ({self.by})" if self.by else self.why
