"""Windows and observed seismograms of event files that were used last."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from seisflow.io.event_file import EventFile, read_event
from seisflow.steps.bands import observed_tags

__all__ = ["MEMORY"]


class _Memory:
    """A line search needs them again and again.

    Parameters
    ----------
    most : int
        Bytes of seismograms that are kept; a round over more events than fit reads its files again.
    """

    def __init__(self, most: int = 256_000_000) -> None:
        self.most, self.guard = most, threading.Lock()
        self.found: dict[tuple[Path, int, int, int], EventFile] = {}

    def read(self, path: Path, bands: int) -> EventFile:
        """Content of a file of so many bands, from memory if it has not changed since."""
        with self.guard:
            known = self.found.get(self._stamp(path)) if path.is_file() else None
        if known is None:
            known = read_event(path, tags=observed_tags(bands))
        self.keep(path, known, bands)
        return known

    def keep(self, path: Path, content: EventFile, bands: int) -> None:
        """Remember what was read, or has just been written, and forget what was used longest ago."""
        gathers = {tag: content.gathers[tag] for tag in observed_tags(bands)}
        content = replace(content, gathers=gathers, adjoints={}, candidates={})
        with self.guard:
            stamp = self._stamp(path)
            self.found.pop(stamp, None)
            self.found[stamp] = content
            while sum(self._size(kept) for kept in self.found.values()) > self.most:
                del self.found[next(iter(self.found))]

    @staticmethod
    def _size(content: EventFile) -> int:
        return sum(gather.data.nbytes for gather in content.gathers.values())

    @staticmethod
    def _stamp(path: Path) -> tuple[Path, int, int, int]:
        stat = path.stat()
        return path, stat.st_mtime_ns, stat.st_size, stat.st_ino


MEMORY = _Memory()
