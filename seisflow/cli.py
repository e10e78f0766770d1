"""The command line: arguments to configuration to one flow.

Results go to stdout, progress to stderr. Exit codes: 0 done, 1 the work failed, 2 wrong input, 75 stopped by a signal
(SIGTERM, as batch systems send it) and 130 interrupted by the keyboard; the same command then goes on.
Everything heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from seisflow import __version__
from seisflow.cluster_cli import add_cluster_commands
from seisflow.detection_cli import catalog, detect
from seisflow.errors import SeisflowError, Stopped
from seisflow.measurement_cli import query, report
from seisflow.picture_cli import export, plot
from seisflow.ranks_cli import event_step, lead, preprocess, ranks_of_this_run
from seisflow.resolution_cli import app as resolution
from seisflow.source_cli import source
from seisflow.windows_cli import app as windows

__all__ = ["app", "main"]

app = typer.Typer(
    name="seisflow",
    help="Seismic tomography from recordings to a model. Start with: seisflow init demo --example checkerboard",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(detect)
app.command()(query)
app.command()(report)
app.command()(plot)
app.command()(export)
app.command()(preprocess)
app.command("event-step", hidden=True)(event_step)
add_cluster_commands(app)
app.command()(source)
app.add_typer(catalog, name="catalog")
app.add_typer(resolution, name="resolution")
app.add_typer(windows, name="windows")

Folder = Annotated[Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path(".")
STOPPED, INTERRUPTED = 75, 130


def _version(wanted: bool) -> None:
    if wanted:
        print(f"seisflow {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    pass


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to make the project.")],
    example: Annotated[
        str | None, typer.Option(help="An example: checkerboard (tomography), swarm or germany (detection).")
    ] = None,
) -> None:
    """Make a project folder, empty or from an example."""
    from seisflow.steps.create import create_project, next_commands, what_was_made

    written = create_project(folder, example)
    print(f"made {folder}")
    if example:
        for line in what_was_made(folder, written):
            print(f"  {line}")
        for word, command in zip(("next:", "then:"), next_commands(folder, example), strict=False):
            print(f"{word} {command}")
    else:
        print(f"next: edit {folder / 'seisflow.yaml'}, then seisflow import FILES --project {folder}")


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders of any kind.")],
    project: Folder = HERE,
    replace: Annotated[bool, typer.Option(help="Replace what is there and differs.")] = False,
    event: Annotated[
        str | None, typer.Option(help="All recordings below PATHS belong to this event.")
    ] = None,
) -> None:
    """Bring in events, stations, recordings and a start model."""
    from seisflow.project import Project
    from seisflow.steps.importing import import_files

    found = Project.open(project)
    with found.lock():
        report = import_files(found, paths, replace=replace, event=event)
    for line in report.written:
        print(line)
    if report.same:
        print(f"{report.same} were there already")
    for line in report.remarks:
        print(f"note: {line}", file=sys.stderr)
    if report.problems:
        print(f"{len(report.problems)} left out:", file=sys.stderr)
        for line in report.problems:
            print(f"  {line}", file=sys.stderr)
    if not report.written and not report.same:
        raise typer.Exit(2)


@app.command()
def check(project: Folder = HERE, iteration: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Check configuration and data, and say what an iteration will take."""
    from seisflow.project import Project
    from seisflow.steps.frozen_windows import check_windows
    from seisflow.steps.inputs import check_project
    from seisflow.steps.sampling import sampling_lines

    found = Project.open(project)
    plans = check_project(found, iteration)
    check_windows(found, iteration)
    print(f"{found.config.name}: {len(found.used)} events to invert, {len(found.held_out)} held out")
    _print_plan(found, iteration, plans)
    print("\n".join(sampling_lines(found, iteration, plans)))


def _print_plan(project: Any, iteration: int, plans: list[Any]) -> None:
    from seisflow.steps.pending import expected_seconds

    plan = max(plans, key=lambda each: each.gradient_work)
    at_once, threads = project.config.compute.share(len(plans))
    shape = " x ".join(map(str, plan.shape))
    print(
        f"simulation grid {shape} points of {plan.spacing:g} m, {plan.steps} steps of {plan.time_step:.4g} s"
    )
    ranks = f"{plan.ranks} ranks each, " if plan.ranks > 1 else ""
    print(
        f"memory {at_once * plan.ranks * plan.gradient_bytes / 1e9:.2g} GB at most ({at_once} events at once, {ranks}"
        f"{threads} threads each), "
        f"about {_duration(expected_seconds(project, iteration, plans))} for the iteration"
    )
    if plan.segments > 1:
        print(
            f"to stay below memory_gb = {project.config.solver.memory_gb:g}, forward runs are done twice, "
            f"the second time in {plan.segments} segments"
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@app.command()
def simulate(
    context: typer.Context,
    event: Annotated[str, typer.Option(help="Name of the event.")],
    project: Folder = HERE,
    model: Annotated[int, typer.Option(min=0, help="Number of the model.")] = 0,
    stage: Annotated[int, typer.Option(min=1, help="Whose period band sets the grid.")] = 1,
) -> None:
    """Simulate one event and write its seismograms. Under mpiexec all ranks share the simulation."""
    from seisflow.project import Project
    from seisflow.steps.simulate import simulate_event
    from seisflow.terminal import Terminal

    found = Project.open(project)
    found.config.signal(_stage_number(found, stage))
    with found.lock(), Terminal() as terminal:
        terminal.begin("simulate", [event])
        path, gather = simulate_event(
            found, event, model, stage - 1, lambda done: terminal.advance(event, done), context.obj
        )
        terminal.end()
    count = len(gather.stations)
    print(f"{found.relative(path)}: {count} stations, {gather.samples} samples of {gather.interval:.4g} s")


def _stage_number(project: Any, stage: int) -> int:
    from seisflow.errors import InputError

    if stage > len(project.config.stages):
        raise InputError(f"stage {stage}: seisflow.yaml has {len(project.config.stages)}")
    return stage - 1


@app.command()
def iterate(
    iteration: Annotated[int, typer.Option("--iteration", "-i", min=1, help="Which iteration.")],
    through: Annotated[int | None, typer.Option(min=1, help="Go on through this one.")] = None,
    project: Folder = HERE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run and why; run nothing.")
    ] = False,
) -> None:
    """Run iterations of the tomography. What is done already is not repeated."""
    from seisflow.errors import InputError
    from seisflow.project import Project

    last = iteration if through is None else through
    if last < iteration:
        raise InputError(f"--through {last} comes before --iteration {iteration}")
    found = Project.open(project)
    found.stage_of(last)
    if dry_run:
        _dry_run(found, iteration, last)
        return
    from seisflow.steps.pending import finished_iterations

    done = finished_iterations(found, iteration, last)
    if len(done) == last - iteration + 1:
        for number, gained in done.items():
            print(f"iteration {number} is done: {_gain(gained)}")
        found.save_hashes()
        return
    from seisflow.terminal import Terminal
    from seisflow.workflows.iterate import iterate as run

    with Terminal() as terminal:
        results = run(found.root, iteration, last, terminal)
    for number, gained in enumerate(results, iteration):
        print(f"iteration {number}: {_gain(gained)}")
    if found.config.pictures:
        print(f"pictures in {found.relative(found.picture_folder(last))}")


def _gain(gained: dict[str, Any]) -> str:
    before, after = gained["misfit"]
    text = f"misfit {before:.5g} -> {after:.5g} ({100 * (after / before - 1):+.1f} %)"
    if gained["held_out"]:
        held_before, held_after = gained["held_out"]
        text += f", held-out events {100 * (held_after / held_before - 1):+.1f} %"
    return text


def _dry_run(project: Any, first: int, last: int) -> None:
    from seisflow.steps.frozen_windows import check_windows
    from seisflow.steps.inputs import check_project
    from seisflow.steps.pending import what_would_run

    plans = check_project(project, first)
    check_windows(project, first)
    for number in range(first, last + 1):
        if number > first and not project.model_path(number - 1).is_file():
            print(f"iteration {number}: everything, after iteration {number - 1}")
            continue
        rows = what_would_run(project, number)
        print(f"iteration {number}: {len(rows)} steps would run")
        for name, reasons in rows:
            print(f"  {name}: {'; '.join(reasons)}")
    _print_plan(project, first, plans)


@app.command()
def why(
    step: Annotated[
        str, typer.Argument(help="Such as i05/s00/EVENT (see --dry-run) or detection/2009-01-21/beam.")
    ],
    project: Folder = HERE,
) -> None:
    """Say why a step would run again: which input changed."""
    from seisflow.project import Project
    from seisflow.steps.pending import reasons_for

    reasons = reasons_for(Project.open(project), step)
    print(f"{step}: {'is done, its record holds' if not reasons else 'would run'}")
    for reason in reasons:
        print(f"  {reason}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what this machine has (kernels, GPU, MPI, ...), and what to install for what is missing."""
    from seisflow.steps.doctor import examine

    found = examine()
    if as_json:
        print(json.dumps([each.plain() for each in found]))
    else:
        from seisflow.terminal import print_findings

        print_findings(found)
    if any(each.state == "broken" for each in found):
        raise typer.Exit(1)


@app.command()
def status(
    project: Folder = HERE,
    as_json: AsJson = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all files and compare them with their records.")
    ] = False,
    data: Annotated[
        bool, typer.Option("--data", help="Show recordings by event, what is left out, and why.")
    ] = False,
) -> None:
    """Show iterations, events and misfits, and what failed."""
    from seisflow.project import Project
    from seisflow.steps.status import project_status
    from seisflow.steps.status import verify as verify_files

    found = Project.open(project)
    if data:
        _data_status(found, as_json)
        return
    if verify:
        problems = verify_files(found)
        print(
            json.dumps(problems) if as_json else "\n".join(problems) or "all files are as their records say"
        )
        raise typer.Exit(1 if problems else 0)
    content = project_status(found)
    if as_json:
        print(json.dumps(content))
        return
    from seisflow.terminal import print_status

    print_status(content)


def _data_status(project: Any, as_json: bool) -> None:
    from seisflow.steps.datastatus import data_status, left_out_lines, table_rows

    content = data_status(project)
    if as_json:
        print(json.dumps(content))
        return
    columns, *rows = table_rows(content)
    lines = [("event", "what", "left out because"), *left_out_lines(content)]
    if not sys.stdout.isatty():
        for cells in [columns, *rows, *(lines if len(lines) > 1 else [])]:
            print("\t".join(cells))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    used = f"used in iteration {content['iteration']}" if content["iteration"] else "no event has run yet"
    table = Table(title=f"{content['name']}: {used}", box=box.SIMPLE_HEAD, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if 0 < number < 7 else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*cells, end_section=cells is rows[-2] if len(rows) > 1 else False)
    reasons = Table(*lines[0], box=box.SIMPLE_HEAD)
    for line in lines[1:]:
        reasons.add_row(*line)
    console = Console(highlight=False)
    console.print(table, *([reasons] if len(lines) > 1 else []))


@app.command("check-gradient")
def check_gradient(
    project: Folder = HERE,
    event: Annotated[str | None, typer.Option(help="The first event, if left out.")] = None,
    iteration: Annotated[int, typer.Option(min=1)] = 1,
    change: Annotated[float, typer.Option(help="Largest relative change of the model.")] = 0.01,
) -> None:
    """Compare the gradient with finite differences: the Taylor test, in double precision."""
    from seisflow.project import Project
    from seisflow.steps.gradient_check import check_gradient as run
    from seisflow.steps.inputs import check_project
    from seisflow.terminal import Terminal, print_taylor

    found = Project.open(project)
    check_project(found, iteration)
    with found.lock(), Terminal() as terminal:
        rows = run(found, event or found.used[0], iteration, change, terminal.say)
    good = print_taylor(rows)
    raise typer.Exit(0 if good else 1)


@app.command()
def gain(
    project: Folder = HERE,
    last: Annotated[
        int | None, typer.Option("--model", min=1, help="Compare m00 with this model; the newest.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="NetCDF file of the true model, where it is known.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the start model with a later one: misfits of used and held-out events, and the truth if known."""
    from seisflow.project import Project
    from seisflow.terminal import Terminal, print_gain
    from seisflow.workflows.gain import gain as run

    found = Project.open(project)
    with Terminal() as terminal:
        content = run(found.root, last, truth, terminal)
    if as_json:
        print(json.dumps(content))
    else:
        print_gain(content)


def main() -> None:
    """Run the command line; errors become one message and an exit code."""
    debug, stopped = "--debug" in sys.argv, False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    try:
        ranks = ranks_of_this_run()
        if ranks is None:
            app()
        else:
            lead(ranks, app)
    except (SeisflowError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more can be said there
            sys.exit(0)
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 1))
    except SystemExit as end:  # also what becomes of KeyboardInterrupt within an app
        if end.code != INTERRUPTED:
            raise
        what = "stopped" if stopped else "interrupted"
        print(f"{what}; run the same command again to go on", file=sys.stderr)
        sys.exit(STOPPED if stopped else INTERRUPTED)
