"""Batch systems as a place where rounds are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisflow.records import DETECTION_CODE, code_version
from seisflow.schedulers.config import BatchRun
from seisflow.schedulers.order import Sent
from seisflow.schedulers.rounds import Asked, BatchRound

__all__ = ["BatchPlace"]


@dataclass
class BatchPlace:
    """A batch system; each round is an array of jobs.

    Parameters
    ----------
    run : BatchRun
    root : Path
        The project folder.
    """

    run: BatchRun
    root: Path

    def round(
        self, title: str, work: Sent, watch: Callable[[str, float], None]
    ) -> AbstractContextManager[Mapping[str, Future[Any]]]:
        """See ``Place``."""
        threads = self.run.resources.of(work.order.kind).cores or 1
        asked = Asked(title, work, threads, code_version(*DETECTION_CODE))
        return BatchRound(self.run, self.root, asked, watch)
