"""From correlations of many templates to one list of matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seisflow.detection.threshold import ThresholdConfig
from seisflow.domain import FloatArray
from seisflow.errors import InputError

__all__ = [
    "Match",
    "MatchConfig",
    "match_covariance",
    "merge_matches",
    "same_place",
    "top_between_samples",
]


@dataclass(frozen=True)
class Match:
    """A place in time where a template fits.

    Parameters
    ----------
    time : float
        Origin time that the template implies, s since 1970-01-01 UTC.
    template : int
        Its number.
    value : float
        Network correlation.
    threshold : float
        That it had to pass.
    shift : float
        s from ``time``, a sample, to the top of the correlation.
    """

    time: float
    template: int
    value: float
    threshold: float
    shift: float = 0.0


def top_between_samples(values: FloatArray, place: int) -> float:
    """Offset in samples of the top of the parabola through a maximum and its neighbours; within half a sample.

    Parameters
    ----------
    values : ndarray (n,)
    place : int
        Of the maximum; at either end the offset is 0.

    Returns
    -------
    float
    """
    if not 0 < place < values.size - 1:
        return 0.0
    left, top, right = values[place - 1 : place + 2].astype(np.float64)
    bend = left - 2 * top + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def match_covariance(template: FloatArray, slowness: float, frequency: float) -> FloatArray:
    """Covariance of a match that has the place of its template.

    Waveforms are alike while sources are within a quarter of a wavelength (Geller & Mueller 1980). A match is as likely
    anywhere within that, so it is a quarter over the root of five away in each direction (variance of a ball), and in
    time what S takes for it; the errors of the template are added, because they are shared.

    Parameters
    ----------
    template : ndarray (4, 4)
        Of x, y, z in m and time in s.
    slowness : float
        Of S at the source in s/m.
    frequency : float
        Of the middle of the band in Hz.

    Returns
    -------
    ndarray (4, 4)
    """
    away = 0.25 / (slowness * frequency) / np.sqrt(5)
    spread = np.diag([away, away, away, slowness * away]) ** 2
    result: FloatArray = template + spread
    return result


@dataclass(frozen=True)
class MatchConfig:
    """What counts as a match, and which matches are one earthquake.

    Parameters
    ----------
    threshold : ThresholdConfig
        Of the network correlation of a template; where only a share of its weights is live, over the root of the share.
    separation : float
        Matches of a template are at least so far apart in s.
    same_time : float
        Matches of two templates are one earthquake if their origin times differ by at most this, in s, and ...
    same_distance : float
        ... the templates lie within this distance in m, or ...
    same_similarity : float
        ... the network correlation of the two templates exceeds this.
    max_shift : float
        Largest lag in s of a channel against the network, for arrivals and relocation.
    min_arrival : float
        Least correlation of a channel that gives an arrival.
    reversed_templates : bool
        Run every template reversed in time too: what that finds is no earthquake, and tells the rate of false alarms.
    shifted_stations : bool
        Run every template on stations that are shifted in time against each other too. Of two rates the larger counts.
        Each of the two takes as long as the search itself.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    separation: float = 1.0
    same_time: float = 1.0
    same_distance: float = 5000.0
    same_similarity: float = 0.3
    max_shift: float = 0.1
    min_arrival: float = 0.6
    reversed_templates: bool = True
    shifted_stations: bool = True

    def __post_init__(self) -> None:
        if min(self.separation, self.same_time, self.same_distance) < 0:
            raise InputError(
                f"separation = {self.separation:g} s, same_time = {self.same_time:g} s, same_distance = "
                f"{self.same_distance:g} m: none may be negative"
            )


def same_place(
    others: npt.NDArray[np.int64],
    template: int,
    places: FloatArray,
    similarity: FloatArray,
    config: MatchConfig,
) -> npt.NDArray[np.bool_]:
    """Whether templates are near one, or like it, so that matches at one time are one earthquake.

    Parameters
    ----------
    others : ndarray of int (n,)
        Numbers of templates.
    template : int
    places : ndarray (nt, 3)
        Of all templates in m.
    similarity : ndarray (nt, nt)
    config : MatchConfig

    Returns
    -------
    ndarray of bool (n,)
    """
    distance = np.linalg.norm(places[others] - places[template], axis=1)
    result: npt.NDArray[np.bool_] = (distance <= config.same_distance) | (
        similarity[others, template] >= config.same_similarity
    )
    return result


def merge_matches(
    matches: Sequence[Match], places: FloatArray, similarity: FloatArray, config: MatchConfig
) -> list[Match]:
    """One match for each earthquake: the best of those that are close in time and in place or in waveform.

    The best match of all is kept and takes away its like; then the best of the rest, until none is left. So no two that
    are kept are like each other, and the order of the input does not matter.

    Parameters
    ----------
    matches : sequence of Match
    places : ndarray (nt, 3)
        Of the templates in m.
    similarity : ndarray (nt, nt)
        Network correlation of the templates.
    config : MatchConfig

    Returns
    -------
    list of Match
        In the order of their times.
    """
    ordered = sorted(matches, key=lambda each: (each.time, each.template))
    times = np.array([each.time for each in ordered])
    numbers = np.array([each.template for each in ordered], dtype=np.int64)
    free = np.ones(len(ordered), dtype=bool)
    kept = []
    ranking = sorted(range(len(ordered)), key=lambda i: (-ordered[i].value, times[i], numbers[i]))
    for place in ranking:
        if not free[place]:
            continue
        kept.append(place)
        first = int(np.searchsorted(times, times[place] - config.same_time, "left"))
        end = int(np.searchsorted(times, times[place] + config.same_time, "right"))
        others, mine = numbers[first:end], numbers[place]
        free[first:end] &= ~same_place(others, int(mine), places, similarity, config)
    return [ordered[place] for place in sorted(kept)]
