"""Which templates are alike: families of repeating earthquakes, in time and memory that are bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seisflow.detection.templates import TemplateConfig, unit
from seisflow.domain import FloatArray, Template

__all__ = ["STACKED", "Family", "families", "similarity"]

STACKED = 200
"""Members of a family that are stacked, the best; and to which a further one must be alike."""


def similarity(templates: Sequence[Template], max_lag: float) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Network correlation of all pairs of templates at their best lag.

    One lag holds for all channels; the channels that both have count, with equal weight.

    Parameters
    ----------
    templates : sequence of Template
        With the same stations, components and lengths.
    max_lag : float
        s.

    Returns
    -------
    ndarray (n, n)
        Correlation, 1 on the diagonal.
    ndarray of int (n, n)
        Samples by which the second lies behind the first at the best lag.
    """
    count = len(templates)
    result, lags = np.zeros((count, count)), np.zeros((count, count), dtype=np.int64)
    known = _Shapes(templates[0], max_lag)
    known.add(templates)
    for first in range(0, count, _BLOCK):
        some = _Shapes(templates[0], max_lag)
        some.add(templates[first : first + _BLOCK])
        result[:, first : first + _BLOCK], lags[:, first : first + _BLOCK] = known.against(some)
    upper = np.triu(result, 1)
    result = upper + upper.T + np.eye(count)
    lags = np.triu(lags, 1) - np.triu(lags, 1).T
    return result, lags


_BLOCK = 64
"""Templates that are compared with all others at once."""


class _Shapes:
    """Waveforms of templates, each channel of unit energy, in rows that can be multiplied."""

    def __init__(self, like: Template, max_lag: float) -> None:
        self.shape = like.waveforms.shape
        self.reach = round(max_lag / like.interval)
        self.rows = np.zeros((0, int(np.prod(self.shape))))
        self.flags = np.zeros((0, like.weights.size))
        self.count = 0

    def add(self, templates: Sequence[Template]) -> None:
        """Take more; room is doubled when it is used up."""
        wanted = self.count + len(templates)
        if wanted > len(self.rows):
            more = max(wanted, 2 * len(self.rows)) - len(self.rows)
            self.rows = np.concatenate([self.rows, np.zeros((more, self.rows.shape[1]))])
            self.flags = np.concatenate([self.flags, np.zeros((more, self.flags.shape[1]))])
        for number, each in enumerate(templates, self.count):
            used = each.weights > 0
            self.rows[number] = (unit(each.waveforms) * used[..., None]).reshape(-1)
            self.flags[number] = used.reshape(-1)
        self.count = wanted

    def against(self, others: _Shapes) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Correlation (n, m) at the best lag with others, and the samples that these lie behind."""
        rows, flags = self.rows[: self.count], self.flags[: self.count]
        theirs = others.rows[: others.count].reshape(others.count, *self.shape)
        best = np.full((self.count, others.count), -np.inf)
        lags = np.zeros(best.shape, dtype=np.int64)
        for lag in sorted(range(-self.reach, self.reach + 1), key=lambda each: (abs(each), each)):
            moved = np.zeros_like(theirs)
            length = max(0, moved.shape[-1] - abs(lag))
            moved[..., max(0, -lag) : max(0, -lag) + length] = theirs[..., max(0, lag) : max(0, lag) + length]
            sums = rows @ moved.reshape(others.count, -1).T
            better = sums > best
            best[better], lags[better] = sums[better], lag
        common = flags @ others.flags[: others.count].T
        return np.divide(best, common, out=np.zeros_like(best), where=common > 0), lags


@dataclass(frozen=True)
class Family:
    """Events that are alike.

    Parameters
    ----------
    members : list of int
        Their numbers, ascending; the first is the best.
    lags : list of int
        Samples by which each lies behind the first.
    """

    members: list[int]
    lags: list[int]


def families(
    templates: Sequence[Template],
    config: TemplateConfig,
    progress: Callable[[float], None] = lambda part: None,
) -> tuple[list[Family], int]:
    """Families of templates: each joins the one to whose members it is most like, or founds one.

    Templates come in one after the other, the best first. One joins a family if it is like all members of it that are
    stacked (complete linkage); of several families, the one whose least like member is most like it. It is compared
    with all first members at once, and with the other members only where it is like the first. So time and memory
    grow with the number of templates times ``most``, not with its square, and the result does not depend on how
    many are compared at once.

    Parameters
    ----------
    templates : sequence of Template
        Best first; with the same stations, components and lengths. Each is read a few times.
    config : TemplateConfig
        ``similarity``, ``max_lag`` and ``most`` count.
    progress : callable

    Returns
    -------
    list of Family
        In the order of their first members; at most ``most``.
    int
        Templates that are like none of them.
    """
    found: list[Family] = []
    if not templates:
        return found, 0
    first, left = _Shapes(templates[0], config.max_lag), 0
    for start in range(0, len(templates), _BLOCK):
        block = templates[start : start + _BLOCK]
        some = _Shapes(templates[0], config.max_lag)
        some.add(block)
        known, behind = first.against(some)
        full = len(found) >= config.most  # nobody of the block will found a family
        among, lags = (np.zeros((0, len(block))), behind[:0]) if full else some.against(some)
        founders: list[int] = []  # of this block
        for number, each in enumerate(block):
            alike = np.append(known[:, number], among[founders, number])
            least = _least_alike(each, templates, found, alike, config)
            best = int(least.argmax()) if least.size and config.similarity < 1 else -1
            if best >= 0 and least[best] > config.similarity:
                lag = behind[best, number] if best < len(known) else lags[founders[best - len(known)], number]
                found[best].members.append(start + number)
                found[best].lags.append(int(lag))
            elif len(found) < config.most:
                found.append(Family([start + number], [0]))
                founders.append(number)
            else:
                left += 1
        first.add([block[number] for number in founders])
        progress((start + len(block)) / len(templates))
    return found, left


def _least_alike(
    template: Template,
    templates: Sequence[Template],
    found: Sequence[Family],
    alike: FloatArray,
    config: TemplateConfig,
) -> FloatArray:
    """Correlation with the stacked member of each family that a template is least like.

    Where it is not like the first member, or less than like all of another family, the others do not matter.
    """
    result = alike.copy()
    if config.similarity >= 1:
        return result
    best = config.similarity
    for number in sorted(np.flatnonzero(alike > best).tolist(), key=lambda each: -alike[each]):
        if alike[number] < best:  # nor can any that follows be better
            break
        others = found[number].members[1:STACKED]
        if others:
            one, members = (_Shapes(template, config.max_lag) for _ in range(2))
            one.add([template])
            members.add([templates[other] for other in others])
            result[number] = min(alike[number], members.against(one)[0].min())
        best = max(best, result[number])
    return result
