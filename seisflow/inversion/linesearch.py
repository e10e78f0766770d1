"""The length of a step, as a pure function of the trials made so far.

Every trial simulates all its events, so the search wants few: a first guess that is usually taken, a parabola
when it promises much more, and never the loss of a decrease that was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Literal, NamedTuple

from seisflow.errors import InputError
from seisflow.inversion.config import InversionConfig
from seisflow.inversion.directions import Direction
from seisflow.inversion.parameters import largest_change

__all__ = ["Accept", "Decision", "Fail", "LineSearch", "Next", "Strategy", "Trial"]

ARMIJO = 1e-4
"""Fraction of the fall of the tangent that is a sufficient decrease (Nocedal & Wright 2006, eq. 3.4)."""

WORTH = 1.3
"""Another trial is made if the parabola promises this many times the decrease that was found."""

GROWTH = 4.0
"""Longest next step over the longest tried."""

BACKTRACK = (0.1, 0.5)
"""Shortest and longest next step over the shortest tried, when none decreased (enough)."""

Strategy = Literal["bracket", "backtrack"]


class Trial(NamedTuple):
    """A step and the misfit there, over the same events and windows each time; infinite where it broke."""

    step: float
    misfit: float


@dataclass(frozen=True)
class Next:
    """Evaluate the misfit at this step."""

    step: float


@dataclass(frozen=True)
class Accept:
    """Take this step, one of the trials, and say why."""

    step: float
    misfit: float
    reason: str


@dataclass(frozen=True)
class Fail:
    """No trial decreased the misfit: restart with steepest descent; if it was that already, end the stage."""

    reason: str


Decision = Next | Accept | Fail


@dataclass(frozen=True)
class LineSearch:
    """A line search along one direction.

    Parameters
    ----------
    slope : float
        dJ/d(step) at step 0 of the misfit that the trials measure, negative.
    first : float
        First step to try.
    limit : float
        Longest step allowed.
    max_trials : int
        Trials, step 0 not counted, before the best decrease is taken.
    strategy : {"bracket", "backtrack"}
        ``bracket`` also goes further where a parabola promises much more. ``backtrack`` takes the first sufficient
        decrease and only ever goes shorter, by a parabola, then by a cubic through the last two trials.
    """

    slope: float
    first: float
    limit: float
    max_trials: int = 5
    strategy: Strategy = "bracket"

    def __post_init__(self) -> None:
        if not (isfinite(self.slope) and self.slope < 0):
            raise InputError(
                f"slope = {self.slope:g}: a line search needs a direction along which the misfit falls"
            )
        if not (0 < self.first <= self.limit and isfinite(self.limit)) or self.max_trials < 1:
            raise InputError(
                f"line search with first = {self.first:g}, limit = {self.limit:g}, max_trials = "
                f"{self.max_trials}: "
                "steps must be positive, the first within the limit, and one trial allowed"
            )
        if self.strategy not in ("bracket", "backtrack"):
            raise InputError(f"line search strategy {self.strategy!r} is not known; use bracket or backtrack")

    @classmethod
    def along(cls, direction: Direction, config: InversionConfig, slope: float | None = None) -> LineSearch:
        """Prepare the search along a direction of ``direction``.

        The first step is 1 for L-BFGS and conjugate gradients; for steepest descent that which changes a
        parameter by ``first_change``. Both are capped at ``max_change``. Give ``slope`` when the trials measure
        only some of the events.
        """
        change = largest_change(direction.values)
        limit = config.max_change / change
        first = config.first_change / change if direction.kind == "steepest descent" else min(1.0, limit)
        fall = direction.slope if slope is None else slope
        return cls(fall, first, limit, config.max_trials, config.line_search)

    def decide(self, trials: Sequence[Trial]) -> Decision:
        """Say what to do after these trials.

        The answer depends on nothing else, so a run that was killed replays the trials on disk and goes on.

        Parameters
        ----------
        trials : sequence of Trial
            In the order made; the first is step 0.

        Returns
        -------
        Next or Accept or Fail

        Raises
        ------
        InputError
            If step 0 is missing or its misfit is not finite.
        """
        if not trials or trials[0].step != 0 or not isfinite(trials[0].misfit):
            raise InputError(f"the first trial must be step 0 with a finite misfit, found {trials[:1]}")
        start = trials[0]
        tried = [trial if isfinite(trial.misfit) else Trial(trial.step, inf) for trial in trials[1:]]
        if not tried:
            return Next(self.first)
        best = min(tried, key=lambda trial: (trial.misfit, trial.step))
        last = len(tried) >= self.max_trials
        if self.strategy == "backtrack" and not last:
            return self._shorter(start, tried)
        if best.misfit < start.misfit:
            return self._improve(start, tried, best, last)
        if last:
            return Fail(
                f"none of {len(tried)} trials decreased the misfit {start.misfit:g}; the least is "
                f"{best.misfit:g} at "
                f"step {best.step:g}"
            )
        return Next(self._backtracked(start, tried))

    def _improve(self, start: Trial, tried: list[Trial], best: Trial, last: bool) -> Decision:
        gain = start.misfit - best.misfit
        percent = f"misfit {-100 * gain / abs(start.misfit):.3g} %"
        if last:
            return Accept(best.step, best.misfit, f"{percent}, the best of {len(tried)} trials")
        step, promised = self._promise(start, tried, best)
        enough = gain >= -ARMIJO * best.step * self.slope
        fresh = all(abs(step - trial.step) > 0.1 * max(step, trial.step) for trial in tried)
        if fresh and (not enough or promised > WORTH * gain):
            return Next(step)
        return Accept(best.step, best.misfit, f"{percent}, a parabola promises little more")

    def _shorter(self, start: Trial, tried: list[Trial]) -> Decision:
        """Accept the newest trial if it decreased the misfit enough, else go shorter."""
        newest = tried[-1]
        gain = start.misfit - newest.misfit
        if gain >= -ARMIJO * newest.step * self.slope:
            percent = f"misfit {-100 * gain / abs(start.misfit):.3g} %"
            return Accept(newest.step, newest.misfit, f"{percent}, a sufficient decrease")
        finite = [trial for trial in tried if trial.misfit < inf]
        if len(finite) < 2 or newest.misfit == inf:
            return Next(self._backtracked(start, tried))
        ratio = _least_of_cubic(start, self.slope, finite[-2], newest) / newest.step
        return Next(min(max(ratio, BACKTRACK[0]), BACKTRACK[1]) * newest.step)

    def _promise(self, start: Trial, tried: list[Trial], best: Trial) -> tuple[float, float]:
        """Find where a parabola around the best trial is least, and the decrease that it promises there."""
        points = sorted(trial for trial in [start, *tried] if isfinite(trial.misfit))
        number = points.index(best)
        longest = points[-1].step
        ceiling = min(self.limit, GROWTH * longest)
        broken = [trial.step for trial in tried if trial.misfit == inf]
        if broken:  # half-way, on a logarithmic scale, to where a trial broke
            ceiling = min(ceiling, sqrt(longest * min(broken)))
        if len(points) == 2:
            bend = (best.misfit - start.misfit - self.slope * best.step) / best.step**2
            tangent, origin = self.slope, start
        else:
            a, b, c = points[number - 1 : number + 2] if number + 1 < len(points) else points[-3:]
            left = (b.misfit - a.misfit) / (b.step - a.step)
            bend = ((c.misfit - b.misfit) / (c.step - b.step) - left) / (c.step - a.step)
            tangent, origin = left - bend * (b.step - a.step), a
        step = origin.step - tangent / (2 * bend) if bend > 0 else ceiling
        step = min(max(step, BACKTRACK[0] * best.step), ceiling)
        along = step - origin.step
        return step, start.misfit - (origin.misfit + tangent * along + max(bend, 0.0) * along**2)

    def _backtracked(self, start: Trial, tried: list[Trial]) -> float:
        shortest = min(tried, key=lambda trial: trial.step)
        if shortest.misfit == inf:
            return BACKTRACK[1] / 2 * shortest.step
        bend = shortest.misfit - start.misfit - self.slope * shortest.step
        ratio = -self.slope * shortest.step / (2 * bend)
        return min(max(ratio, BACKTRACK[0]), BACKTRACK[1]) * shortest.step


def _least_of_cubic(start: Trial, slope: float, first: Trial, second: Trial) -> float:
    """Where the cubic through start, its slope and two trials is least (Nocedal & Wright 2006, eq. 3.58).

    The half of the second step, where the cubic has no minimum.
    """
    rests = [(t.misfit - start.misfit - slope * t.step) / t.step**2 for t in (first, second)]
    cubic = (rests[1] - rests[0]) / (second.step - first.step)
    square = rests[0] - cubic * first.step
    inside = square**2 - 3 * cubic * slope
    if inside < 0:
        return second.step / 2
    bottom = square + sqrt(
        inside
    )  # -slope / bottom is (-square + sqrt(inside)) / (3 cubic), exact for cubic = 0
    return -slope / bottom if bottom > 0 else second.step / 2
