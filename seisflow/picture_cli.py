"""The commands ``seisflow plot`` and ``seisflow export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export", "plot"]

HERE = Path(".")
Folder = Annotated[Path, typer.Option("--project", "-p", help="Project folder.", show_default="this folder")]


def plot(  # noqa: PLR0913 - the options of a command
    project: Folder = HERE,
    iteration: Annotated[
        int | None,
        typer.Option(min=0, help="Draw this iteration again, or sections after it; else the project."),
    ] = None,
    event: Annotated[
        str | None, typer.Option(help="Draw all waveform pages of this event of the iteration.")
    ] = None,
    line: Annotated[
        list[str] | None, typer.Option(help="Vertical section: LON1,LAT1,LON2,LAT2. May be repeated.")
    ] = None,
    depth: Annotated[str | None, typer.Option(help="Depth slices: KM[,KM...].")] = None,
    parameter: Annotated[str | None, typer.Option(help="vp, vs or rho.", show_default="vs")] = None,
    kind: Annotated[
        str | None, typer.Option(help="model, change, update or kernel.", show_default="change")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="For change: start, previous, or a NetCDF model.", show_default="start")
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Fade below this share of the largest illumination.",
            show_default="inversion.water_level",
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="PNG file of the sections.")] = None,
) -> None:
    """Draw the pictures of the project, of an iteration, of an event in it, or sections of a model."""
    from seisflow.errors import InputError
    from seisflow.project import Project

    found = Project.open(project)
    if any(each is not None for each in (line, depth, parameter, kind, against, coverage, to)):
        from seisflow.steps.slices import draw_slices, parse_slices

        if event is not None:
            raise InputError("seisflow plot --event draws waveforms; leave out the options of sections")
        wanted = parse_slices(line or (), depth, parameter=parameter, kind=kind, against=against)
        print(found.relative(draw_slices(found, wanted.of(iteration, coverage), to)))
        return
    from seisflow.steps.pictures import draw_event_pages, draw_iteration_pictures, draw_project

    if event is not None and not iteration:
        raise InputError("seisflow plot --event: say of which iteration, --iteration N")
    if not iteration:
        drawn = draw_project(found, found.root / "pictures")
    elif event is not None:
        drawn = draw_event_pages(found, iteration, event)
    else:
        found.stage_of(iteration)
        drawn = draw_iteration_pictures(found, iteration)
    for path in drawn:
        print(found.relative(path))


def export(
    to: Annotated[str, typer.Option(help="vtk (ParaView) or emc (NetCDF of the Earth Model Collaboration).")],
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it.", show_default="exports/m05.vti, exports/m05.nc")
    ] = None,
    project: Folder = HERE,
    number: Annotated[
        int | None, typer.Option("--model", min=0, help="Number of the model; the newest.")
    ] = None,
) -> None:
    """Write a model, its difference to the start and its coverage for other programs."""
    from seisflow.project import Project
    from seisflow.steps.slices import export_model

    found = Project.open(project)
    print(found.relative(export_model(found, to, number, file)))
