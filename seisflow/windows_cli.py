"""The commands ``seisflow windows``: what people change by hand, and how windows were chosen."""

from __future__ import annotations

import getpass
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["app"]

app = typer.Typer(help="Change windows by hand, and see how they were chosen.", no_args_is_help=True)
HERE = Path(".")
Folder = Annotated[Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")]
Span = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="START END", help="s from the origin time", show_default=False),
]


@app.command()
def edit(  # noqa: PLR0913 - the options of a command
    station: Annotated[str | None, typer.Argument(help="NET.STA. Without: open the file.")] = None,
    component: Annotated[str | None, typer.Argument(help="Such as Z.", show_default="all")] = None,
    project: Folder = HERE,
    event: Annotated[str | None, typer.Option(help="Only this event.", show_default="all events")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Drop all windows.")] = False,
    drop_span: Span = None,
    set_span: Span = None,
    why: Annotated[str, typer.Option(help="The reason, told wherever it has an effect.")] = "",
    by: Annotated[str | None, typer.Option(help="Who.", show_default="user and date")] = None,
    periods: Annotated[
        tuple[float, float] | None, typer.Option(metavar="SHORT LONG", help="Only in this band.")
    ] = None,
    since: Annotated[
        int | None,
        typer.Option("--from", min=1, help="From this iteration on.", show_default="the next to be measured"),
    ] = None,
) -> None:
    """Drop or set windows by hand, in windows.yaml; iterations that are done stay as they are."""
    from seisflow.domain import WindowEdit
    from seisflow.errors import InputError
    from seisflow.io.window_edits import add_edit, edit_text
    from seisflow.project import Project
    from seisflow.steps.by_hand import check_edits, checked_edits, next_iteration

    found = Project.open(project)
    path = found.window_edits_path
    if station is None:
        if not path.is_file():
            add_edit(path)
        _open_editor(path)
        check_edits(found)
        print(f"{found.relative(path)}: {len(checked_edits(found))} entries, all can be applied")
        return
    if [drop, drop_span is not None, set_span is not None].count(True) != 1:
        raise InputError("give one of --drop, --drop-span START END and --set-span START END")
    entry = WindowEdit(
        station=station,
        component=component,
        event=event,
        drop=set_span is None,
        span=set_span or drop_span,
        periods=periods,
        since=since or next_iteration(found),
        why=why,
        by=by if by is not None else f"{getpass.getuser()}, {datetime.now(UTC):%Y-%m-%d}",
    )
    checked_edits(found, entry)
    with found.lock():
        add_edit(path, [entry])
    print(f"{found.relative(path)}:\n{edit_text(entry)}", end="")


def _open_editor(path: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor and sys.stdin.isatty():
        subprocess.run([*shlex.split(editor), str(path)], check=True)


@app.command("list")
def list_(project: Folder = HERE) -> None:
    """List what was changed by hand, and in how many windows of the last iteration it had an effect."""
    from seisflow.project import Project
    from seisflow.steps.by_hand import check_edits, effects

    found = Project.open(project)
    check_edits(found)
    rows = effects(found)
    if not rows:
        print("no window was changed by hand; `seisflow windows edit` does it")
        return
    _table(("event", "station", "component", "what", "from", "effect", "why"), rows)


@app.command()
def show(
    event: Annotated[str, typer.Argument(help="Name of the event.")],
    station: Annotated[str | None, typer.Argument(help="NET.STA: draw it.")] = None,
    project: Folder = HERE,
    iteration: Annotated[
        int | None, typer.Option("--iteration", "-i", min=1, help="Which.", show_default="the last measured")
    ] = None,
    band: Annotated[int, typer.Option(min=1, help="Number of the band in the stage.")] = 1,
    to: Annotated[Path | None, typer.Option(help="PNG file of the picture.")] = None,
) -> None:
    """Show the windows of an event and what refused the other candidates; of one station as a picture."""
    from seisflow.project import Project
    from seisflow.steps.window_choice import chosen_windows, draw_choice

    found = Project.open(project)
    choice = chosen_windows(found, event, iteration, band)
    names = (
        "station",
        "component",
        "start",
        "end",
        "waves",
        "phases",
        "shift",
        "correlation",
        "dlna",
        "remark",
    )
    _table(names, choice.rows(station))
    if station is None:
        print("with a station behind it, a picture of all its candidates is drawn", file=sys.stderr)
    else:
        print(found.relative(draw_choice(found, choice, station, to)))


def _table(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if not sys.stdout.isatty():
        for row in (names, *rows):
            print("\t".join(map(str, row)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*names, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(str, row))
    Console(highlight=False, markup=False).print(table)
