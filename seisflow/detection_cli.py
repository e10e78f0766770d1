"""The commands ``seisflow detect`` and ``seisflow catalog ...``."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["catalog", "detect"]

catalog = typer.Typer(
    help="Catalogs: compare, draw, give events to tomography.", no_args_is_help=True, rich_markup_mode=None
)

HERE = Path(".")
Project_ = Annotated[
    Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")
]
Found = Annotated[
    Path | None, typer.Option("--catalog", help="A catalog.", show_default="that of the project")
]


def detect(
    project: Project_ = HERE,
    first: Annotated[
        str | None, typer.Option("--from", help="First origin time, UTC.", show_default="the first recording")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="End of origin times, UTC.", show_default="the last recording")
    ] = None,
    day: Annotated[str | None, typer.Option(help="One day, YYYY-MM-DD, instead of --from and --to.")] = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="Earthquakes of each method that the page shows.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search continuous recordings for earthquakes and write a catalog."""
    from seisflow.terminal import Terminal
    from seisflow.workflows.detect import detect as flow

    with Terminal() as monitor:
        found = flow(project, _span(first, last, day), monitor, pictures)
    faults = {name: lines for name, lines in found.problems.items() if lines}
    if as_json:
        print(json.dumps({"catalog": str(found.catalog), "results": found.results, "problems": faults}))
        return
    for name, lines in faults.items():
        things = "1 thing" if len(lines) == 1 else f"{len(lines)} things"
        print(f"{name}: {things} not usable, or not as expected", file=sys.stderr)
        for line in lines[:20]:
            print(f"  {line}", file=sys.stderr)
        if len(lines) > 20:
            print(f"  and {len(lines) - 20} more: detection/{name}/beam.json lists them", file=sys.stderr)
    results = found.results
    print(
        f"{results['events']} events: {results['beam']} by backprojection, {results['template']} by templates alone"
    )
    for method, name in (("beam", "backprojection"), ("template", "templates alone")):
        expected, number = results["false"].get(method), results[method]
        if expected is not None and number:
            share = 100 * expected / number
            print(f"  expected false alarms among those of {name}: {expected:g} ({share:.2g} %)")
    if "relocated" in results:
        print(f"  {results['relocated']} relocated against each other")
    print(f"catalog: {found.catalog}, also as csv, parquet and xml (QuakeML)")
    if found.page.is_file():
        print(f"look at {found.page}")


def _span(first: str | None, last: str | None, day: str | None) -> tuple[float, float] | None:
    from seisflow.errors import InputError

    if day is not None:
        if first is not None or last is not None:
            raise InputError("--day stands for --from and --to; give it alone")
        start = _time("--day", day)
        return start, start + 86400
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise InputError("--from and --to belong together; give both, or neither for all recordings")
    start, end = _time("--from", first), _time("--to", last)
    if not start < end:
        raise InputError(f"--to {last} must follow --from {first}")
    return start, end


def _time(option: str, text: str) -> float:
    from seisflow.errors import InputError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text}: is no time; write 2009-01-21 or 2009-01-21T04:00:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@catalog.command()
def compare(
    reference: Annotated[Path, typer.Argument(help="A catalog: QuakeML, CSV or one of seisflow.")],
    project: Project_ = HERE,
    found: Found = None,
    time: Annotated[float, typer.Option(help="Largest difference of origin times in s.")] = 1.0,
    distance: Annotated[float, typer.Option(help="Largest horizontal distance in km.")] = 5.0,
    method: Annotated[
        str | None, typer.Option(help="Only detections of this method: beam or template.", show_default="all")
    ] = None,
    picture: Annotated[Path | None, typer.Option("--to", help="Write a picture (PNG).")] = None,
) -> None:
    """Compare the catalog with another one: what was found, what was missed, how they differ."""
    from seisflow.detection.compare import compare as compare_catalogs
    from seisflow.detection.compare import comparison_text
    from seisflow.errors import InputError
    from seisflow.io.catalog_files import read_catalog
    from seisflow.project import Project
    from seisflow.report import draw_catalog_comparison, write_png

    folder = Project.open(project)
    projection = folder.config.region.projection()
    mine = read_catalog(found or folder.detection_folder / "catalog.h5", projection)
    if method is not None:
        if method not in ("beam", "template"):
            raise InputError(f"--method {method}: beam or template")
        mine = mine.with_detections(tuple(each for each in mine if each.method == method))
    there = reference if reference.is_file() else folder.root / reference  # also relative to the project
    other = read_catalog(there if there.is_file() else reference, projection)
    comparison = compare_catalogs(mine, other, time, 1000 * distance)
    print(comparison_text(comparison))
    target = picture or folder.detection_folder / "comparison.png"
    write_png(draw_catalog_comparison(comparison, title=folder.config.name), target)
    print(f"look at {target}")


@catalog.command("to-project")
def to_project(
    project: Project_ = HERE,
    target: Annotated[
        Path | None, typer.Option("--to", help="Project that gets the events.", show_default="the same")
    ] = None,
    events: Annotated[
        list[str] | None, typer.Option("--event", help="Id of an event; may be repeated.")
    ] = None,
    magnitude: Annotated[float | None, typer.Option(help="Least magnitude.")] = None,
    error: Annotated[float | None, typer.Option(help="Largest horizontal error in km.")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="The strongest so many.")] = None,
) -> None:
    """Make events of the catalog events of a project for tomography, with their recordings."""
    from seisflow.project import Project
    from seisflow.steps.detect.feed import Choice, feed

    source = Project.open(project)
    goal = source if target is None else Project.open(target)
    choice = Choice(tuple(events or ()), magnitude, None if error is None else 1000 * error, most)
    with goal.lock():
        report = feed(source, goal, choice)
    for line in report.written:
        print(line)
    for line in report.problems:
        print(f"  {line}", file=sys.stderr)
    print(f"{len(report.events)} events in {goal.root}; recordings: `seisflow status --data`")
    print(
        "their mechanisms are not known: each has an isotropic source of the size of its magnitude; import moment "
        "tensors of the same ids before waveforms are inverted"
    )


@catalog.command()
def plot(
    events: Annotated[list[str], typer.Argument(help="Ids of events.")],
    project: Project_ = HERE,
    folder: Annotated[
        Path | None, typer.Option("--to", help="Folder for the pictures.", show_default="detection/pictures")
    ] = None,
) -> None:
    """Draw seismograms and the beam of some events."""
    from seisflow.errors import MissingError
    from seisflow.io.catalog_files import load_catalog
    from seisflow.project import Project
    from seisflow.steps.detect.page import write_events
    from seisflow.steps.detect.survey import Survey

    source = Project.open(project)
    catalog = {each.id: each for each in load_catalog(source.detection_folder / "catalog.h5")}
    unknown = [name for name in events if name not in catalog]
    if unknown:
        raise MissingError(f"{', '.join(unknown)}: no such event in detection/catalog.h5; its csv lists them")
    survey = Survey.open(source)
    target = folder or source.detection_folder / "pictures"
    for path in write_events(survey, [catalog[name] for name in events], target):
        print(path)
