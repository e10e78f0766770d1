"""Sections of models, changes, updates and kernels, along any line and at any depth; models for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError, MissingError
from seisflow.io.export import exported, write_emc, write_vtk
from seisflow.io.models import read_kernel
from seisflow.project import Project
from seisflow.solvers import Elastic3DConfig
from seisflow.solvers.regrid import Regrid
from seisflow.solvers.setup import box
from seisflow.steps.inputs import (
    event_of,
    model_of,
    recording_stations,
    simulation_of,
    solver_config,
    stations_of,
)

if TYPE_CHECKING:
    from seisflow.report import Field, Line, Overlay

__all__ = [
    "Kind",
    "Slices",
    "draw_slices",
    "kernel_path",
    "export_model",
    "node_volume",
    "overlay_of",
    "parse_slices",
    "places",
    "with_coverage",
]

Kind = Literal["model", "change", "update", "kernel"]
START, PREVIOUS = "start", "previous"


@dataclass(frozen=True)
class Slices:
    """What is to be drawn.

    Parameters
    ----------
    parameter : {"vp", "vs", "rho"}
    kind : {"model", "change", "update", "kernel"}, optional
        ``model`` as it is; ``change`` against another model; ``update`` against the model before; ``kernel`` the sum
        of the event kernels that led to the model. ``change`` if left out, ``model`` for the start model.
    number : int, optional
        Of the model; the newest if left out.
    against : str
        ``start``, ``previous``, or the path of a NetCDF model: the target.
    lines : tuple of (longitude, latitude, longitude, latitude)
        Degrees; two lines through the centre if left out. What lies outside the model is cut off.
    depths : tuple of float
        m; four if left out, one if there are lines.
    share : float, optional
        Of the largest illumination, below which changes, updates and kernels fade; the water level of the
        preconditioner if left out, 0 to fade nothing.
    """

    parameter: str = "vs"
    kind: Kind | None = None
    number: int | None = None
    against: str = START
    lines: tuple[tuple[float, float, float, float], ...] = ()
    depths: tuple[float, ...] = ()
    share: float | None = None

    def of(self, number: int | None, share: float | None) -> Slices:
        """The same of a model, with a share of the illumination."""
        return replace(self, number=number, share=share)


def parse_slices(
    lines: Sequence[str],
    depths: str | None,
    *,
    parameter: str | None = None,
    kind: str | None = None,
    against: str | None = None,
) -> Slices:
    """Understand what was typed.

    Parameters
    ----------
    lines : sequence of str
        ``LON1,LAT1,LON2,LAT2`` each.
    depths : str, optional
        ``KM[,KM...]``.
    parameter, kind, against : str, optional
        See ``Slices``.

    Raises
    ------
    InputError
        With what was found and what would do.
    """
    name = parameter or "vs"
    if name not in Model.PARAMETERS:
        raise InputError(f"--parameter {name}: use one of {', '.join(Model.PARAMETERS)}")
    if kind is not None and kind not in get_args(Kind):
        raise InputError(f"--kind {kind}: use one of {', '.join(get_args(Kind))}")
    if against is not None and kind not in (None, "change"):
        raise InputError(f"--against {against}: only a change has a reference, not --kind {kind}")
    ends = []
    for line in lines:
        numbers = _numbers("line", line, "LON1,LAT1,LON2,LAT2")
        if len(numbers) != 4 or max(abs(numbers[1]), abs(numbers[3])) > 90:
            raise InputError(f"--line {line}: give LON1,LAT1,LON2,LAT2 in degrees")
        ends.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    levels = tuple(1000 * value for value in _numbers("depth", depths, "KM[,KM...]")) if depths else ()
    return Slices(
        name, "change" if against else cast(Kind | None, kind), None, against or START, tuple(ends), levels
    )


def _numbers(option: str, text: str, form: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--{option} {text}: give {form}") from None
    if not np.all(np.isfinite(found)):
        raise InputError(f"--{option} {text}: give {form}")
    return found


def draw_slices(project: Project, wanted: Slices, target: Path | None = None) -> Path:
    """Draw depth slices and vertical sections.

    Parameters
    ----------
    project : Project
    wanted : Slices
    target : Path, optional
        PNG file; ``pictures/m05_change_vs.png`` and the like, if left out.

    Returns
    -------
    Path
        What was drawn.

    Raises
    ------
    MissingError
        If a model or a kernel is not there.
    InputError
        If a depth or a line is outside the model, or two models are on different grids.
    """
    from seisflow.report import draw_sections, write_png

    number = _newest(project) if wanted.number is None else wanted.number
    kind: Kind = wanted.kind or ("change" if number else "model")
    model = model_of(project.model_path(number))
    field, title = _field(project, replace(wanted, kind=kind, number=number), model)
    depths, lines = places(model.grid)
    if wanted.lines or wanted.depths:
        lines = [_line(model, ends) for ends in wanted.lines]
        depths = list(wanted.depths) or depths[1:2]  # shows where the lines are
    figure = draw_sections(
        field, depths, lines, overlay_of(project, model), f"{project.config.name}: {title}"
    )
    if target is None:
        stem = f"m{number:02d}_{kind}_{wanted.parameter}"
        if kind == "change":
            stem += f"_against_{_told(wanted.against, number)}"
        target = project.root / "pictures" / f"{stem}.png"
    write_png(figure, target)
    return target


def export_model(project: Project, to: str, number: int | None = None, target: Path | None = None) -> Path:
    """Write a model, its difference to the start model and the illumination, for other programs.

    Parameters
    ----------
    project : Project
    to : {"vtk", "emc"}
    number : int, optional
        Of the model; the newest if left out.
    target : Path, optional
        ``exports/m05.vti`` or ``exports/m05.nc``, if left out.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    InputError
        If there is no such format.
    MissingError
        If there is no such model.
    """
    if to not in ("vtk", "emc"):
        raise InputError(f"--to {to}: use vtk (ParaView) or emc (NetCDF of the Earth Model Collaboration)")
    number = _newest(project) if number is None else number
    model, light = model_of(project.model_path(number)), None
    path = project.iteration_folder(number) / "kernel.nc"
    if number and path.is_file():
        kernel = read_kernel(path)
        if kernel.illumination is not None and kernel.grid == model.grid:
            light = kernel.illumination / float(kernel.illumination.max())
    fields = exported(model, model_of(project.model_path(0)) if number else None, light)
    name = f"m{number:02d}"
    path = target or project.root / "exports" / f"{name}.{'vti' if to == 'vtk' else 'nc'}"
    if to == "vtk":
        write_vtk(path, model, fields)
    else:
        about = f"{project.config.name}: model after {number} iterations of adjoint waveform tomography"
        write_emc(path, model, fields, name=f"{project.config.name}_{name}", title=about)
    return path


def _newest(project: Project) -> int:
    number = 0
    while project.model_path(number + 1).is_file():
        number += 1
    return number


def _field(project: Project, wanted: Slices, model: Model) -> tuple[Field, str]:
    """What is drawn, and its title."""
    from seisflow.report import kernel_field, model_field, perturbation_field

    name, number = wanted.parameter, wanted.number or 0
    if wanted.kind == "model":
        return model_field(model, name), f"m{number:02d}"
    if number == 0 and (wanted.kind != "change" or wanted.against == PREVIOUS):
        raise InputError(f"m00 is the start model: it has no {wanted.kind}; ask for a later one")
    share = project.config.inversion.water_level if wanted.share is None else wanted.share
    if wanted.kind == "kernel":
        path = kernel_path(project, number)
        kernel, before = read_kernel(path), model_of(project.model_path(number - 1))
        field = kernel_field(kernel, before, name, node_volume(project, number, kernel.grid))
        return with_coverage(field, kernel, share), f"sum of event kernels at m{number - 1:02d}"
    other, told = _reference(project, wanted, number)
    what = f"{name} update" if wanted.kind == "update" else f"{name} against {told}"
    field = perturbation_field(model, other, name, what)
    if number and project.iteration_folder(number).joinpath("kernel.nc").is_file():
        field = with_coverage(field, read_kernel(kernel_path(project, number)), share)
    title = f"m{number - 1:02d} to m{number:02d}" if wanted.kind == "update" else f"m{number:02d}"
    return field, title


def _reference(project: Project, wanted: Slices, number: int) -> tuple[Model, str]:
    if wanted.kind == "update" or wanted.against == PREVIOUS:
        return model_of(project.model_path(number - 1)), _told(PREVIOUS, number)
    if wanted.against == START:
        return model_of(project.model_path(0)), _told(START, number)
    path = Path(wanted.against)
    if not path.is_file() and (project.root / path).is_file():
        path = project.root / path
    if not path.is_file():
        raise MissingError(
            f"--against {wanted.against}: there is no such file; give a NetCDF model, `{START}` or `{PREVIOUS}`"
        )
    return model_of(path), _told(wanted.against, number)


def _told(against: str, number: int) -> str:
    """Name of what a model is compared with; that of the folder, where the file is just called model."""
    path = Path(against)
    named = path.resolve().parent.name if path.stem == "model" else path.stem
    return {START: "m00", PREVIOUS: f"m{number - 1:02d}"}.get(against, named)


def kernel_path(project: Project, iteration: int) -> Path:
    """File of the summed kernel of an iteration.

    Raises
    ------
    MissingError
        If it is not there.
    """
    path = project.iteration_folder(iteration) / "kernel.nc"
    if not path.is_file():
        raise MissingError(
            f"{project.relative(path)} is not there; `seisflow iterate --iteration {iteration}` makes it"
        )
    return path


def with_coverage(field: Field, kernel: Kernel, share: float) -> Field:
    """The same field, fading where the illumination of a kernel is below a share of its maximum; 0: as it is."""
    from seisflow.report import coverage

    if share == 0 or kernel.grid != field.grid:
        return field
    return replace(field, coverage=coverage(kernel, share))


def node_volume(project: Project, iteration: int, grid: Grid) -> FloatArray | None:
    """Volume in m3 for which each node of the summed kernel of an iteration stands.

    The box of a simulation is larger than the model, and holds the values of the model's edge there: a node at the
    edge stands for that too. Mean over the events that are used.

    Returns
    -------
    ndarray (nx, ny, nz) or None
        None for a solver other than elastic3d.
    """
    config = solver_config(project, iteration)
    if not isinstance(config, Elastic3DConfig) or config.spacing is None:
        return None
    model = model_of(project.model_path(iteration - 1))
    stage, _ = project.stage_of(iteration)
    layouts = Counter(
        box(
            simulation_of(
                project.config, model, event_of(project, event), recording_stations(project, event), stage
            ),
            config.spacing,
            config.cpml_cells,
        )
        for event in project.used
    )
    total = np.zeros(grid.shape)
    for layout, count in layouts.items():
        inside = np.ones([part.stop - part.start for part in layout.inside])
        inside[:, :, 0] = 0.5  # the cell of the surface reaches down only
        total += count * Regrid(grid, layout).transpose(inside)
    volume: FloatArray = total * config.spacing**3 / len(project.used)
    return volume


def overlay_of(project: Project, model: Model) -> Overlay:
    """Events and stations of the project."""
    from seisflow.report import Overlay

    events = [event_of(project, event) for event in project.event_ids]
    return Overlay(model.projection, events, stations_of(project), frozenset(project.held_out))


def places(grid: Grid) -> tuple[list[float], list[Line]]:
    """Four depths from near the surface down, and two sections through the centre."""
    from seisflow.report import Line

    levels = [round(share * (len(grid.z) - 1)) for share in (0.06, 0.2, 0.4, 0.65)]
    depths = [float(grid.z[level]) for level in dict.fromkeys(levels)]
    middle = ((grid.origin[0] + grid.end[0]) / 2, (grid.origin[1] + grid.end[1]) / 2)
    lines = [
        Line((grid.origin[0], middle[1]), (grid.end[0], middle[1])),
        Line((middle[0], grid.origin[1]), (middle[0], grid.end[1])),
    ]
    return depths, lines


def _line(model: Model, ends: Sequence[float]) -> Line:
    from seisflow.report import Line

    lon1, lat1, lon2, lat2 = ends
    line = Line(model.projection.to_local(lat1, lon1), model.projection.to_local(lat2, lon2))
    if line.length == 0:
        raise InputError(f"--line {lon1:g},{lat1:g},{lon2:g},{lat2:g}: starts where it ends")
    try:
        return line.within(model.grid)
    except InputError:
        south, west = model.projection.to_geographic(*model.grid.origin[:2])
        north, east = model.projection.to_geographic(*model.grid.end[:2])
        raise InputError(
            f"--line {lon1:g},{lat1:g},{lon2:g},{lat2:g}: does not cross the model, which reaches from "
            f"{west:.3f},{south:.3f} to {east:.3f},{north:.3f} (longitude,latitude)"
        ) from None
