"""Pairs of stations that saw the same wave, and misfits that are sums over them (Yuan, Simons & Tromp 2016)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray
from seisflow.errors import InputError, PhysicsError
from seisflow.misfits.base import Comparison, Cut, check_positive, check_taper
from seisflow.misfits.correlation import Correlation
from seisflow.signal.taper import hann_taper

__all__ = ["PairDifference", "PairSettings", "PerPair", "Seen"]

EARTH_RADIUS = 6_371_000.0
"""m; distances of pairs need be no better than that."""


@dataclass(frozen=True)
class PairSettings:
    """Which pairs of windows are compared.

    Two windows of the same component at two stations make a pair if the stations are close enough, if one is among
    the nearest of the other, if a wave can pass both, and if the recordings are alike. Synthetics have no part in it.

    Parameters
    ----------
    taper : float
        Fraction of the window that both its tapered ends take together, 0 to 1.
    sigma : float
        Standard error of a difference of travel times in s; the misfit counts in units of it.
    max_distance : float, optional
        Largest distance of two stations in m; any, if left out.
    max_partners : int
        Number of nearest stations that each is paired with.
    min_velocity : float
        m/s. Windows lie further apart in time by no more than a wave of this speed takes from station to station, and
        half a window.
    min_similarity : float
        Smallest of the largest normalised correlations of the two recordings.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    taper: float = 0.3
    sigma: float = 1.0
    max_distance: float | None = None
    max_partners: int = 10
    min_velocity: float = 2000.0
    min_similarity: float = 0.7

    def __post_init__(self) -> None:
        check_taper(self.taper)
        check_positive(self, "sigma", "max_distance", "min_velocity", "min_similarity")
        if self.max_partners < 1:
            raise InputError(f"max_partners = {self.max_partners}: each station needs one at least")
        if self.min_similarity > 1:
            raise InputError(f"min_similarity = {self.min_similarity}: a correlation is 1 at most")


@dataclass(frozen=True)
class Seen:
    """How the recordings of a pair compare: ``lag`` in s by which the second comes later in its window; how alike."""

    lag: float
    similarity: float


@dataclass(frozen=True, eq=False)
class PairDifference:
    """What a pair says.

    Parameters
    ----------
    value : float
    sources : tuple of 2 ndarray
        Derivative of the value by the synthetic samples in either window, over the interval.
    """

    value: float
    sources: tuple[FloatArray, FloatArray]


class PerPair(ABC):
    """J = sum over windows of w times the mean over its partners of what the pair says.

    So a window weighs the same whether it has one partner or ten, and an event with many stations weighs no more a
    window than one with few. A window without partners is not measured.
    """

    def __init__(self, config: PairSettings) -> None:
        self.config = config

    @abstractmethod
    def compare(self, first: Cut, second: Cut, seen: Seen) -> PairDifference:
        """Measure a pair, weights not included.

        Raises
        ------
        PhysicsError
            If it cannot be measured.
        """

    def measure(self, cuts: Sequence[Cut]) -> list[Comparison | PhysicsError]:
        """See ``Misfit.measure``.

        Windows without partners and, one after another, those with most pairs that cannot be measured are left out, and
        pairs are chosen anew, until all can be. So the windows that are left make the same pairs when they come alone,
        as they do when they are frozen.
        """
        faults: dict[int, PhysicsError] = {}
        seen: dict[tuple[int, int], Seen | None] = {}
        known: dict[tuple[int, int], PairDifference | PhysicsError] = {}
        while True:
            pairs = self._pairs(cuts, [n for n in range(len(cuts)) if n not in faults], seen)
            for ends, alike in pairs.items():
                if ends not in known:
                    known[ends] = self._compared(cuts, ends, alike)
            partners = np.bincount(np.array([*pairs], dtype=int).ravel(), minlength=len(cuts))
            lost = self._lost(cuts, {ends: known[ends] for ends in pairs}, partners, faults)
            if not lost:
                break
            faults |= lost
        found = {ends: pair for ends in pairs if isinstance(pair := known[ends], PairDifference)}
        sums = self._summed(cuts, found, partners)
        return [faults.get(number, each) for number, each in enumerate(sums)]

    def _compared(
        self, cuts: Sequence[Cut], ends: tuple[int, int], seen: Seen
    ) -> PairDifference | PhysicsError:
        first, second = (cuts[end] for end in ends)
        try:
            pair = self.compare(first, second, seen)
        except PhysicsError as error:
            return error
        if not all(np.all(np.isfinite(part)) for part in (pair.value, *pair.sources)):
            return PhysicsError(f"double difference of {first.where} and {second.where} is not finite")
        return pair

    def _lost(
        self,
        cuts: Sequence[Cut],
        pairs: dict[tuple[int, int], PairDifference | PhysicsError],
        partners: npt.NDArray[np.intp],
        faults: dict[int, PhysicsError],
    ) -> dict[int, PhysicsError]:
        """Which windows have to go: the one with most pairs that failed, else those without any pair."""
        failed = {ends: error for ends, error in pairs.items() if isinstance(error, PhysicsError)}
        if failed:
            counts = np.bincount(np.array([*failed], dtype=int).ravel(), minlength=len(cuts))
            worst = int(counts.argmax())
            return {worst: next(error for ends, error in failed.items() if worst in ends)}
        alone = [number for number in range(len(cuts)) if number not in faults and not partners[number]]
        return {number: self._alone(cuts[number]) for number in alone}

    @staticmethod
    def _summed(
        cuts: Sequence[Cut], found: dict[tuple[int, int], PairDifference], partners: npt.NDArray[np.intp]
    ) -> list[Comparison]:
        values, sources = np.zeros(len(cuts)), [np.zeros(cut.samples) for cut in cuts]
        for ends, pair in found.items():
            share = [cuts[end].window.weight / partners[end] for end in ends]
            for end, part, source in zip(ends, share, pair.sources, strict=True):
                values[end] += part * pair.value
                sources[end] += sum(share) * source
        return [Comparison(float(value), source) for value, source in zip(values, sources, strict=True)]

    def _alone(self, cut: Cut) -> PhysicsError:
        config = self.config
        where = "" if config.max_distance is None else f" within {config.max_distance / 1e3:g} km"
        return PhysicsError(
            f"window {cut.where} has no partner: at none of the {config.max_partners} nearest stations{where} is a "
            f"recording like it (correlation {config.min_similarity:g}); take it out, or lower min_similarity"
        )

    def _pairs(
        self, cuts: Sequence[Cut], numbers: Sequence[int], seen: dict[tuple[int, int], Seen | None]
    ) -> dict[tuple[int, int], Seen]:
        """Choose pairs among some windows, in rising order of their numbers; ``seen`` keeps how recordings compare."""
        windows: dict[tuple[str, str], list[int]] = {}
        places: dict[str, dict[str, tuple[float, float]]] = {}
        for number in numbers:
            cut = cuts[number]
            if cut.station is None:
                raise InputError(
                    "a misfit of station pairs needs the stations; measure the windows of a gather"
                )
            windows.setdefault((cut.window.component, cut.station.id), []).append(number)
            place = cut.station.latitude, cut.station.longitude
            places.setdefault(cut.window.component, {})[cut.station.id] = place
        results: dict[tuple[int, int], Seen] = {}
        for component, stations in places.items():
            names = list(stations)
            for i, j, distance in self._neighbours(np.array(list(stations.values()))):
                choices = [
                    (min(pair), max(pair))
                    for pair in product(windows[component, names[i]], windows[component, names[j]])
                ]
                for ends in choices:
                    if ends not in seen:
                        seen[ends] = self._seen(cuts[ends[0]], cuts[ends[1]], distance)
                results |= _matched({ends: found for ends in choices if (found := seen[ends]) is not None})
        return {ends: results[ends] for ends in sorted(results)}

    def _neighbours(self, degrees: FloatArray) -> list[tuple[int, int, float]]:
        """Numbers of two stations and their distance in m, through the Earth."""
        from scipy.spatial import cKDTree  # imported late, see ``seisflow.fourier``

        latitude, longitude = np.radians(degrees.T)
        x = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
        count = min(self.config.max_partners + 1, len(degrees))
        if count < 2:
            return []
        reach = self.config.max_distance or np.inf
        lengths, others = cKDTree(EARTH_RADIUS * np.transpose(x)).query(
            EARTH_RADIUS * np.transpose(x), k=count, distance_upper_bound=reach
        )
        found = {
            (min(i, int(j)), max(i, int(j))): float(length)
            for i, row in enumerate(others)
            for j, length in zip(row, lengths[i], strict=True)
            if j != i and np.isfinite(length)
        }
        return [(*pair, found[pair]) for pair in sorted(found)]

    def _seen(self, first: Cut, second: Cut, distance: float) -> Seen | None:
        windows = first.window, second.window
        centres = [0.5 * (window.start + window.end) for window in windows]
        slack = 0.5 * min(window.end - window.start for window in windows)
        if abs(centres[0] - centres[1]) > distance / self.config.min_velocity + slack:
            return None
        parts = [hann_taper(cut.samples, self.config.taper / 2) * cut.observed for cut in (first, second)]
        norms = [float(np.linalg.norm(part)) for part in parts]
        if min(norms) == 0:
            return None
        parts = [part / norm for part, norm in zip(parts, norms, strict=True)]
        correlation = Correlation(parts[0], parts[1], first.interval)
        lag = correlation.best_lag()
        if lag is None:
            return None
        similarity = correlation.derivatives(lag)[0]
        return Seen(lag, similarity) if similarity >= self.config.min_similarity else None


def _matched(choices: dict[tuple[int, int], Seen]) -> dict[tuple[int, int], Seen]:
    """Of the windows of two stations, those most alike become a pair first, and each is in one such pair only."""
    taken: set[int] = set()
    results = {}
    for ends in sorted(choices, key=lambda ends: (-choices[ends].similarity, ends)):
        if not taken & {*ends}:
            taken |= {*ends}
            results[ends] = choices[ends]
    return results
