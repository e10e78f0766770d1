"""What imports have left out, kept in the project."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from seisflow.io.atomic import publish
from seisflow.project import Project

__all__ = ["ImportLog"]


class ImportLog:
    """The file ``observed/import_log.json``: sentences by file, and by event and channel.

    A channel or a file that is imported well later loses its sentences. It says nothing about times, so that
    an import that brings nothing new leaves it as it is.

    Parameters
    ----------
    project : Project
    """

    def __init__(self, project: Project) -> None:
        self.path = project.root / "observed" / "import_log.json"
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}  # it is a report, no record: losing it loses no recording
        self.content: dict[str, Any] = found if isinstance(found, dict) else {}
        self.by_file: dict[str, list[str]] = dict(self.content.get("files", {}))
        self.general: list[str] = list(self.content.get("general", []))
        self.by_event: dict[str, dict[str, dict[str, str]]] = dict(self.content.get("events", {}))

    def channels(self, event: str, seen: Iterable[str], **kinds: dict[str, str]) -> None:
        """Note what became of the channels of an event that were looked at.

        Parameters
        ----------
        event : str
        seen : iterable of str
            ``NET.STA.LOC.CHA``; older sentences on them go.
        **kinds : dict of str to str
            ``left_out`` and ``waiting``: sentences by channel.
        """
        old = self.by_event.get(event, {})
        gone = set(seen)
        new = {}
        for kind in sorted(old.keys() | kinds.keys()):
            rows = {key: text for key, text in old.get(kind, {}).items() if key not in gone}
            rows |= kinds.get(kind, {})
            if rows:
                new[kind] = dict(sorted(rows.items()))
        self.by_event[event] = new
        if not new:
            del self.by_event[event]

    def of(self, event: str, kind: str) -> dict[str, str]:
        """Sentences on an event by channel: ``left_out`` or ``waiting`` (stored, but without response as yet)."""
        return self.by_event.get(event, {}).get(kind, {})

    def files(self, read: Sequence[str], problems: Sequence[str]) -> None:
        """Note what was wrong with the files that were read; those that are good now lose their sentences."""
        names = sorted(read, key=len, reverse=True)
        for name in names:
            self.by_file.pop(name, None)
        self.general = []
        channel = {
            text for kinds in self.by_event.values() for rows in kinds.values() for text in rows.values()
        }
        for text in problems:
            if text in channel:
                continue
            source = next((each for each in names if text.startswith(each)), None)
            if source is None:
                self.general.append(text)
            else:
                self.by_file.setdefault(source, []).append(text)

    def save(self) -> None:
        """Write the file if it changed; an empty log needs none."""
        new = {
            "files": dict(sorted(self.by_file.items())),
            "general": self.general,
            "events": dict(sorted(self.by_event.items())),
        }
        if new == self.content or (not self.content and not any(new.values())):
            return
        with publish(self.path) as path:
            path.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
