"""Count what each stage of the selection takes away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from seisflow.domain import FloatArray, Rejection

__all__ = ["Tally", "Verdict"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a stage says about each candidate.

    Parameters
    ----------
    stage : str
    keep : ndarray of bool (n,)
    values : ndarray (n,)
        What was decided on.
    text : str
        Reason of a rejection, with ``{}`` for the value.
    """

    stage: str
    keep: npt.NDArray[np.bool_]
    values: FloatArray
    text: str


@dataclass
class Tally:
    """Rejections of one trace: one a stage, with the number of candidates and the first as the example."""

    station: str
    component: str
    start: float
    interval: float
    rows: dict[str, Rejection] = field(default_factory=dict)

    def trace(self, stage: str, reason: str) -> None:
        """Note that the whole trace is not used."""
        self.rows[stage] = Rejection(self.station, self.component, stage, reason)

    def note(self, verdict: Verdict, left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> None:
        """Count the candidates (first and last sample) that a stage does not keep."""
        lost = np.flatnonzero(~verdict.keep)
        if not len(lost):
            return
        if verdict.stage not in self.rows:
            example = lost[0]
            self.rows[verdict.stage] = Rejection(
                self.station,
                self.component,
                verdict.stage,
                verdict.text.format(f"{float(verdict.values[example]):.4g}"),
                self.start + self.interval * int(left[example]),
                self.start + self.interval * int(right[example]),
                0,
            )
        row = self.rows[verdict.stage]
        self.rows[verdict.stage] = replace(row, count=row.count + len(lost))
