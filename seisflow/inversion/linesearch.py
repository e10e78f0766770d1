"""The length of a step, as a pure function of the trials made so far.

Every trial simulates all its events, so the search wants few: a first guess that is usually taken, a parabola
when it promises much more, and never the loss of a decrease that was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import NamedTuple

from seisflow.errors import InputError
from seisflow.inversion.config import InversionConfig
from seisflow.inversion.lbfgs import Direction
from seisflow.inversion.parameters import largest_change

__all__ = ["Accept", "Decision", "Fail", "LineSearch", "Next", "Trial"]

ARMIJO = 1e-4
"""Fraction of the fall of the tangent that is a sufficient decrease (Nocedal & Wright 2006, eq. 3.4)."""

WORTH = 1.3
"""Another trial is made if the parabola promises this many times the decrease that was found."""

GROWTH = 4.0
"""Longest next step over the longest tried."""

BACKTRACK = (0.1, 0.5)
"""Shortest and longest next step over the shortest tried, when none decreased."""


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
    """

    slope: float
    first: float
    limit: float
    max_trials: int = 5

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

    @classmethod
    def along(cls, direction: Direction, config: InversionConfig, slope: float | None = None) -> LineSearch:
        """Prepare the search along a direction of ``lbfgs.direction``.

        The first step is 1 for L-BFGS; for steepest descent that which changes a parameter by
        ``first_change``. Both are capped at ``max_change``. Give ``slope`` when the trials measure only some
        of the events.
        """
        change = largest_change(direction.values)
        limit = config.max_change / change
        first = min(1.0, limit) if direction.kind == "lbfgs" else config.first_change / change
        return cls(direction.slope if slope is None else slope, first, limit, config.max_trials)

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

    def _promise(self, start: Trial, tried: list[Trial], best: Trial) -> tuple[float, float]:
        """Find where a parabola around the best trial is least, and the decrease that it promises there."""
        points = sorted(trial for trial in [start, *tried] if isfinite(trial.misfit))
        number = points.index(best)
        longest = points[-1].step
        ceiling = min(self.limit, GROWTH * longest)
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
