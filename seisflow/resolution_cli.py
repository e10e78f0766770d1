"""The commands ``seisflow resolution ...``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seisflow.steps.patterns import Target

__all__ = ["app"]

app = typer.Typer(
    help="What the data can resolve: projects with a known answer, and point-spread functions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

HERE = Path(".")
Project_ = Annotated[
    Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The project to make; must be empty or new.")]
Number = Annotated[
    int | None,
    typer.Option("--model", min=0, help="Lay the pattern on this model.", show_default="the newest"),
]
Anomaly = Annotated[float, typer.Option(help="Largest relative change; negative is slow first.")]
Noise = Annotated[float, typer.Option(help="Noise over the median peak of an event's traces.")]
Parameters = Annotated[
    str | None,
    typer.Option("--parameter", help="What changes: vp,vs,rho.", show_default="what the inversion moves"),
]
AT = "Place: LON,LAT,DEPTH_KM."


@app.command()
def checkerboard(
    folder: Folder,
    project: Project_ = HERE,
    model: Number = None,
    cell: Annotated[
        str | None,
        typer.Option(help="Size of a cell: X,Y,Z in km.", show_default="two of the shortest S wavelengths"),
    ] = None,
    anomaly: Anomaly = 0.05,
    noise: Noise = 0.02,
    parameter: Parameters = None,
) -> None:
    """Make a project with a known checkerboard.

    Events, stations, coverage and settings are those of this project; the recordings are simulated.
    """
    from seisflow.steps.patterns import Checkerboard, Target

    size = None
    if cell is not None:
        x, y, z = (1000 * value for value in _numbers("cell", cell, "X,Y,Z in km"))
        size = (x, y, z)
    _make(folder, project, model, Target(Checkerboard(size), anomaly, noise, _names(parameter)))


@app.command()
def spike(
    folder: Folder,
    at: Annotated[list[str], typer.Option("--at", help=f"{AT} May be repeated.")],
    size: Annotated[float, typer.Option(help="Full width at half maximum in km.")],
    project: Project_ = HERE,
    model: Number = None,
    anomaly: Anomaly = 0.05,
    noise: Noise = 0.02,
    parameter: Parameters = None,
) -> None:
    """Make a project with known Gaussian anomalies.

    Events, stations, coverage and settings are those of this project; the recordings are simulated.
    """
    from seisflow.steps.patterns import Spikes, Target

    spikes = Spikes(tuple(_place(each) for each in at), 1000 * size)
    _make(folder, project, model, Target(spikes, anomaly, noise, _names(parameter)))


def _make(folder: Path, project: Path, model: int | None, target: Target) -> None:
    from seisflow.project import Project
    from seisflow.terminal import Terminal
    from seisflow.workflows.resolution import make_test

    found = Project.open(project)
    with Terminal() as terminal:
        test = make_test(found.root, folder, target, model, terminal)
    name = f"m{test.number or 0:02d} of {found.config.name}"
    print(
        f"made {folder}: {len(found.event_ids)} events simulated in {name} with the pattern, truth/model.nc"
    )
    print(f"next: seisflow iterate -p {folder} --iteration 1 --through {test.config.iterations}")
    print(f"then: seisflow gain -p {folder}")


@app.command()
def spread(
    iteration: Annotated[int, typer.Option("--iteration", "-i", min=1, help="Whose model and windows.")],
    at: Annotated[str, typer.Option("--at", help=AT)],
    project: Project_ = HERE,
    parameter: Annotated[str, typer.Option(help="vp, vs or rho.")] = "vs",
    size: Annotated[
        float | None,
        typer.Option(help="Full width at half maximum in km.", show_default="two node spacings"),
    ] = None,
    change: Annotated[float, typer.Option(help="Largest relative change.")] = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Point-spread function of an iteration.

    How the second derivative of the misfit smears a spot, by one more gradient.
    """
    from seisflow.project import Project
    from seisflow.steps.spread import Spot
    from seisflow.terminal import Terminal, print_spread
    from seisflow.workflows.resolution import spread as run

    found = Project.open(project)
    found.stage_of(iteration)
    spot = Spot(*_place(at), parameter, None if size is None else 1000 * size, change)
    with Terminal() as terminal:
        content = run(found.root, iteration, spot, terminal)
    content |= {name: found.relative(content[name]) for name in ("path", "picture")}
    if as_json:
        print(json.dumps(content))
    else:
        print_spread(content)


def _numbers(option: str, text: str, form: str) -> tuple[float, float, float]:
    from math import isfinite

    from seisflow.errors import InputError

    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != 3 or not all(isfinite(value) for value in found):
        raise InputError(f"--{option} {text}: give {form}")
    return found[0], found[1], found[2]


def _place(text: str) -> tuple[float, float, float]:
    """Longitude, latitude in degrees and depth in m."""
    from seisflow.errors import InputError

    longitude, latitude, depth = _numbers("at", text, "LON,LAT,DEPTH_KM")
    if abs(latitude) > 90:
        raise InputError(f"--at {text}: the latitude comes second and is {latitude:g}; give LON,LAT,DEPTH_KM")
    return longitude, latitude, 1000 * depth


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
