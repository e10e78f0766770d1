"""What a person sees on the terminal: progress on stderr, tables on stdout."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Terminal", "print_findings", "print_gain", "print_spread", "print_status", "print_taylor"]

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Terminal:
    """Progress with time left on a terminal, plain lines elsewhere; a ``Monitor`` of flows."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._guard = threading.Lock()
        self._progress: Progress | None = None
        self._done: dict[str, float] = {}
        self._title, self._began, self._said = "", 0.0, 0
        self._what = "events"

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self, title: str, names: Sequence[str]) -> None:
        """Work on these events begins."""
        with self._guard:
            self._done = dict.fromkeys(names, 0.0)
            self._title, self._began, self._said = title, time.monotonic(), 0
            days = all(_DAY.fullmatch(name) for name in names)
            self._what = "days" if days else "step" if list(names) == [title] else "events"
            if not self.console.is_terminal:
                return
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[events]} " + self._what),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._progress.add_task(title, total=float(len(names)), events=f"0/{len(names)}")
            self._progress.start()

    def advance(self, name: str, fraction: float) -> None:
        """So much of an event is done."""
        with self._guard:
            self._done[name] = max(self._done.get(name, 0.0), fraction)
            total, ready = sum(self._done.values()), sum(value >= 1 for value in self._done.values())
            if self._progress is not None:
                task = self._progress.task_ids[0]
                self._progress.update(task, completed=total, events=f"{ready}/{len(self._done)}")
            elif not self.console.is_terminal and ready > self._said and time.monotonic() - self._began > 5:
                self._said = ready
                left = (time.monotonic() - self._began) * (len(self._done) / total - 1)
                self._line(f"{self._title}: {ready}/{len(self._done)} {self._what}, {left:.0f} s left")

    def end(self) -> None:
        """The work has ended."""
        with self._guard:
            if self._progress is not None:
                self._progress.stop()
            self._progress = None

    def say(self, text: str) -> None:
        """Print a line."""
        self._line(text)

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns on a terminal, tabs in pipes."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(row))
        return
    if title:
        print(title)
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, ["-" * width for width in widths], *rows):
        first, *others = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _change(pair: Sequence[float] | None) -> str:
    return f"{100 * (pair[1] / pair[0] - 1):+.1f} %" if pair and pair[0] else "-"


def print_status(content: dict[str, Any]) -> None:
    """Print what ``steps.status.project_status`` found."""
    print(f"{content['name']}: {len(content['events'])} events, {len(content['held_out'])} held out")
    rows = []
    for row in content["iterations"]:
        before, after = row["misfit"] or (None, None)
        events = list(row["events"].values())
        done = sum(event["state"] == "done" for event in events)
        shortest, longest = row["periods"]
        rows.append(
            [
                str(row["iteration"]),
                f"{shortest:g}-{longest:g} s",
                "-" if row["state"] == "not started" else row["state"],
                f"{done}/{len(events)}",
                str(row["windows"] or "-"),
                _number(before),
                _number(after),
                _change(row["misfit"]),
                _change(row["held_out"]),
            ]
        )
    columns = ["iter", "periods", "state", "events", "windows", "misfit", "after", "change", "held out"]
    if rows:
        _table("", columns, rows)
    if content["detection"]:
        _print_detection(content["detection"])
    if found := content["by_hand"]:
        since = ", ".join(map(str, found["since"]))
        told = f"{found['entries']} entries, from iteration {since} on; `seisflow windows list` shows what they did"
        print(f"windows changed by hand: {found['fault'] or told}")
    for row in content["iterations"]:
        for event, found in row["events"].items():
            if found.get("windows") == 0:
                print(f"iteration {row['iteration']}, event {event}: no window")
        for step, reason in row["failures"].items():
            print(f"{step} failed: {reason}")
    if content["running"]:
        print(f"running now: {content['running']}")
    if content["queue"]:
        _print_queue(content["queue"])


def _print_queue(found: dict[str, Any]) -> None:
    """Print what is in the batch system."""
    driver = found["driver"]
    if driver is not None:
        more = f", job number {driver['jobs']} of it" if driver["jobs"] > 1 else ""
        why = f": {driver['reason']}" if driver["reason"] else ""
        code = f" (exit code {driver['code']})" if driver["code"] else ""
        print(f"submitted: {driver['command']}, job {driver['job']}{more}, {driver['state']}{code}{why}")
        print(f"  what it says: {driver['log']}")
    for row in found["rounds"]:
        print(
            f"  {row['title']}: {row['done']} of {row['elements']} done, {row['failed']} failed; jobs: "
            f"{row['running']} running, {row['waiting']} waiting"
        )


def _print_detection(found: dict[str, Any]) -> None:
    """Print what was searched and found."""
    rows = [
        [
            day,
            *("-" if row.get(key) is None else str(row[key]) for key in ("detections", "matches")),
            str(len(row.get("problems", []))),
        ]
        for day, row in found["days"].items()
    ]
    _table("", ["day", "backprojection", "matches", "problems"], rows)
    if found["catalog"]:
        print(f"catalog: {found['catalog']['events']} events")
    for step, reasons in found["stale"].items():
        print(f"{step} is out of date: {'; '.join(reasons[:3])}{'; ...' if reasons[3:] else ''}")
    if found["not_searched"]:
        first = found["not_searched"][:5]
        more = f" and {len(found['not_searched']) - 5} more days" if found["not_searched"][5:] else ""
        print(f"recorded but not searched: {', '.join(first)}{more}")
    for step, reason in found["failures"].items():
        print(f"{step} failed: {reason}")


def print_findings(found: Sequence[Any]) -> None:
    """What a machine has, and below it what to do for what it lacks."""
    marks = {"ok": "ok", "missing": "-", "broken": "broken"}
    width = max(len(each.name) for each in found)
    for each in found:
        print(f"{marks[each.state]:>6}  {each.name:<{width}}  {each.what}")
        if each.remedy and each.state != "ok":
            print(f"{'':>6}  {'':<{width}}  -> {each.remedy}")
    broken = [each.name for each in found if each.state == "broken"]
    print(f"does not work: {', '.join(broken)}" if broken else "all that is needed works; - is optional")


def print_taylor(rows: Sequence[Any]) -> bool:
    """Print a Taylor test; returns whether the gradient is exact (order 2 within 0.1 at the last halving)."""
    columns = ["parameter", "largest change", "remainder / misfit", "order", "finite difference / adjoint"]
    lines, good = [], True
    for row in rows:
        orders = ("", *(f"{order:.3f}" for order in row.orders))
        for number, (length, remainder) in enumerate(zip(row.lengths, row.remainders, strict=True)):
            last = number == len(row.lengths) - 1
            name = row.parameter if number == 0 or not sys.stdout.isatty() else ""
            lines.append(
                [
                    name,
                    f"{100 * length:.4g} %",
                    f"{remainder:.3e}",
                    orders[number],
                    f"{row.ratio:.7f}" if last else "",
                ]
            )
        good = good and abs(row.orders[-1] - 2) <= 0.1
    _table(
        "Taylor test: the remainder falls with the square of the change where the gradient is exact",
        columns,
        lines,
    )
    print("the gradient is exact" if good else "THE GRADIENT IS NOT EXACT: the order should be 2 +- 0.1")
    return good


def print_gain(content: dict[str, Any]) -> None:
    """Print what ``workflows.gain`` found."""
    shortest, longest = content["periods"]
    print(
        f"{content['name']}: m00 against m{content['model']:02d}, {shortest:g}-{longest:g} s, whole seismograms"
    )
    rows = []
    for label, key in (("events used", "used"), ("events held out", "held_out")):
        if content[key]:
            before, after = content[key]
            rows.append([label, _number(before), _number(after), f"{100 * (after / before - 1):+.1f} %"])
    _table("", ["residual energy / data energy", "m00", f"m{content['model']:02d}", "change"], rows)
    for name, found in content.get("truth", {}).items():
        print(
            f"{name}: correlation with the true perturbation {found['correlation']:.2f} where rays cross "
            f"({100 * found['share']:.0f} % of the nodes), amplitude recovered {100 * found['amplitude']:.0f} %"
        )


def print_spread(content: dict[str, Any]) -> None:
    """Print what ``workflows.resolution.spread`` found."""
    rows = []
    spot, found = content["spot"], content["response"]
    for number, name in enumerate(("x (east)", "y (north)", "z (down)")):
        widths = (spot["width"], found["width"], found["core"])
        moved = f"{found['centre'][number] - spot['centre'][number]:+.1f} km"
        rows.append([name, *(f"{width[number]:.3g} km" for width in widths), moved])
    _table("", ["width along", "spot", "response", "its core", "its centre moved"], rows)
    share = 100 * content["at_spot"] / abs(content["largest"])
    print(
        f"at the spot {share:.0f} % of the largest response; curvature of the misfit {content['curvature']:.3g}"
    )
    print(f"{content['path']}, {content['picture']}")
