"""What the pages of Prefect show of a run: tables and pictures that need no other server to be seen."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisflow.project import Project, iteration_name
from seisflow.steps.status import project_status

__all__ = ["Exhibit", "of_catalog", "of_iteration"]

_MOST_BYTES = 6_000_000
"""Of the pictures of one exhibit; a database keeps them."""
_MOST_EVENTS = 50
_COLUMNS = {
    "time": 1,
    "latitude": 4,
    "longitude": 4,
    "depth_km": 1,
    "magnitude": 1,
    "method": None,
    "value": 2,
}
"""Of a catalog that are shown, and their digits."""
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Exhibit:
    """One page.

    Parameters
    ----------
    key : str
        Lower-case letters, digits and dashes; a later one of the same key takes its place.
    title : str
    text : str
        Markdown; pictures are in it.
    """

    key: str
    title: str
    text: str


def _key(*parts: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def clean(cell: str) -> str:
        return re.sub(r"\s+", " ", cell).replace("|", "\\|")

    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(clean(cell) for cell in line) + " |" for line in lines)


def _pictures(paths: Sequence[Path]) -> str:
    """Pictures within the text, as many as fit; the others are named."""
    parts, left, size = [], [], 0
    for path in paths:
        content = path.read_bytes()
        if size + len(content) > _MOST_BYTES:
            left.append(path.name)
            continue
        size += len(content)
        text = base64.b64encode(content).decode()
        parts.append(f"### {path.stem.replace('_', ' ')}\n\n![{path.stem}](data:image/png;base64,{text})")
    if left:
        parts.append(f"Not shown here, but in {paths[0].parent}: {', '.join(left)}")
    return "\n\n".join(parts)


def of_iteration(project: Project, iteration: int) -> list[Exhibit]:
    """The misfits of an iteration by event, its waveform pages, and sections of its model."""
    name, title = iteration_name(iteration), f"{project.config.name}, iteration {iteration}"
    folder = project.picture_folder(iteration)
    found = [
        Exhibit(_key(project.config.name, name, "misfits"), f"{title}: misfits", _misfits(project, iteration))
    ]
    groups = {
        "waveforms": ("waveforms_*.png",),
        "model": ("overview.png", "model_*.png", "change_*.png", "update_*.png"),
        "kernels": ("kernel_*.png", "map.png"),
    }
    for what, patterns in groups.items():
        paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
        if paths:
            text = f"# {title}: {what}\n\n{_pictures(paths)}"
            found.append(Exhibit(_key(project.config.name, name, what), f"{title}: {what}", text))
    return found


def _misfits(project: Project, iteration: int) -> str:
    row: dict[str, Any] = project_status(project)["iterations"][iteration - 1]
    lines = [f"# {project.config.name}, iteration {iteration}", ""]
    if row["misfit"]:
        before, after = row["misfit"]
        lines.append(f"Misfit a window {before:.4g} to {after:.4g} ({100 * (after / before - 1):+.1f} %), ")
        lines[-1] += f"{row['windows']} windows, periods {row['periods'][0]:g}-{row['periods'][1]:g} s."
    rows = []
    for event, each in row["events"].items():
        if each["state"] != "done":
            rows.append([event, each["state"], "", "", "", ""])
            continue
        windows = each["windows"]
        mean = f"{each['misfit'] / windows:.4g}" if windows else "-"
        kind = "held out" if event in project.held_out else "used"
        rows.append([event, kind, mean, str(windows), str(each["rejected"]), f"{each['seconds']:.1f}"])
    columns = ["event", "", "misfit a window", "windows", "rejected", "s"]
    lines += ["", _table(columns, rows[:_MOST_EVENTS])]
    if len(rows) > _MOST_EVENTS:
        lines.append(f"\nand {len(rows) - _MOST_EVENTS} more events: `seisflow status --json`")
    return "\n".join(lines)


def of_catalog(project: Project, results: dict[str, Any], page: Path) -> list[Exhibit]:
    """The numbers of a search and the pictures of its page."""
    title = f"{project.config.name}: catalog"
    lines = [f"# {title}", "", f"{results['events']} events, {results['beam']} by backprojection, "]
    lines[-1] += f"{results['template']} by templates alone."
    rows = _first_events(project.detection_folder / "catalog.csv")
    if rows:
        lines += ["", _table(rows[0], rows[1:])]
    found = [Exhibit(_key(project.config.name, "catalog"), title, "\n".join(lines))]
    if page.is_file():
        pictures, size = [], 0
        for number, match in enumerate(_PICTURE.finditer(page.read_text())):
            size += len(match[0])
            if size > _MOST_BYTES * 4 // 3:
                break
            pictures.append(f"![picture {number + 1}]({match[0]})")
        if pictures:
            text = f"# {title}, pictures\n\n" + "\n\n".join(pictures)
            found.append(Exhibit(_key(project.config.name, "catalog-pictures"), f"{title}, pictures", text))
    return found


def _first_events(path: Path) -> list[list[str]]:
    """The first events of a catalog with what fits on a page."""
    import csv

    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    except OSError:
        return []
    if not rows:
        return []
    columns = [name for name in _COLUMNS if name in rows[0]]
    return [columns, *([_short(row[name] or "", name) for name in columns] for row in rows[:_MOST_EVENTS])]


def _short(text: str, name: str) -> str:
    """A value with as many digits as a reader wants; the page is narrow."""
    if name == "time":
        return text[:21].replace("T", " ")
    digits = _COLUMNS[name]
    try:
        return text if digits is None else f"{float(text):.{digits}f}"
    except ValueError:
        return text
