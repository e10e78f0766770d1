"""Point-spread functions: what the misfit's second derivative makes of a small spot in the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seisflow.domain import FloatArray, Grid, Kernel, Model
from seisflow.errors import InputError, PhysicsError
from seisflow.inversion import sum_kernels
from seisflow.io.models import read_kernel, write_kernel, write_model
from seisflow.project import Project, iteration_name
from seisflow.records import Task
from seisflow.steps.direction import direction_task
from seisflow.steps.event import EventStep
from seisflow.steps.event_run import Stage
from seisflow.steps.inputs import model_of
from seisflow.steps.objective import total_misfit
from seisflow.steps.patterns import gaussian, local_place, node_limit
from seisflow.steps.slices import kernel_path, node_volume, overlay_of

__all__ = ["Spot", "Spread"]

FULL_WIDTH = float(np.sqrt(8 * np.log(2)))
"""Full width at half maximum of a Gaussian over its standard deviation."""


@dataclass(frozen=True)
class Spot:
    """A Gaussian change of one parameter.

    Parameters
    ----------
    longitude, latitude : float
        Degrees.
    depth : float
        m.
    parameter : {"vp", "vs", "rho"}
    size : float, optional
        Full width at half of the maximum in m; twice the largest node spacing, if left out.
    change : float
        Largest relative change.
    """

    longitude: float
    latitude: float
    depth: float
    parameter: str = "vs"
    size: float | None = None
    change: float = 0.01

    def __post_init__(self) -> None:
        if self.parameter not in Model.PARAMETERS:
            raise InputError(f"--parameter {self.parameter}: use one of {', '.join(Model.PARAMETERS)}")
        if not 0 < abs(self.change) <= 0.05:
            raise InputError(
                f"--change {self.change:g}: the response is that of a small change, above 0 and at most 0.05"
            )


class Spread:
    """H dm of an iteration by one more gradient: g(m + dm) - g(m), in the windows of the iteration.

    Parameters
    ----------
    project : Project
    iteration : int
        Must be done: its summed kernel is g(m).
    spot : Spot
        Where dm is.

    Raises
    ------
    MissingError
        If the iteration has no summed kernel.
    InputError
        If the spot is outside the model or finer than its nodes, or the kernel is not that of today's settings.
    """

    def __init__(self, project: Project, iteration: int, spot: Spot) -> None:
        self.project, self.iteration = project, iteration
        self.kernel_path = kernel_path(project, iteration)
        self.before = project.model_path(iteration - 1)
        self.model = model_of(self.before)
        grid = self.model.grid
        self.size = spot.size or 2 * max(grid.spacing)
        self.spot = replace(spot, size=self.size)
        self.place = local_place(grid, self.model.projection, (spot.longitude, spot.latitude, spot.depth))
        node_limit(grid, "a spot", (self.size,))
        self._check_current()
        self.total = total_misfit(project, iteration, 0, project.used)

    def _check_current(self) -> None:
        """Refuse a kernel of other settings or files than those of today; g(m + dm) would not compare."""
        project, iteration = self.project, self.iteration
        tasks = [EventStep(project, iteration, 0, event).task for event in project.used]
        for task in (*tasks, direction_task(project, iteration, 0)):
            reasons = [why for why in project.why(task) if not why.startswith("the code changed")]
            if reasons:
                raise InputError(
                    f"{project.relative(self.kernel_path)}: is not of today's settings and files: {task.name}: "
                    f"{'; '.join(reasons)}; run `seisflow iterate --iteration {iteration}` first"
                )

    # ------------------------------------------------------------------ paths

    @property
    def name(self) -> str:
        """Of the files: ``vs_22.2_38.2_8km_10km``, parameter, place, depth and size."""
        spot = self.spot
        place = f"{spot.longitude:.6g}_{spot.latitude:.6g}_{spot.depth / 1e3:.4g}km"
        return f"{spot.parameter}_{place}_{self.size / 1e3:.4g}km"

    @property
    def folder(self) -> Path:
        """What belongs to this spot: the moved model, the event kernels."""
        return self.project.iteration_folder(self.iteration) / "spread" / self.name

    @property
    def path(self) -> Path:
        """H dm, as a kernel."""
        return self.folder.with_name(f"{self.name}.nc")

    @property
    def picture(self) -> Path:
        """Sections through the spot."""
        return self.folder.with_name(f"{self.name}.png")

    @property
    def model_path(self) -> Path:
        """The model m + dm."""
        return self.folder / "model.nc"

    def _record(self, name: str) -> str:
        return f"{iteration_name(self.iteration)}/spread/{self.name}{name}"

    @cached_property
    def events(self) -> tuple[str, ...]:
        """The events that have a kernel."""
        project = self.project
        return tuple(e for e in project.used if project.kernel_path(self.iteration, e).is_file())

    # ------------------------------------------------------------------ the parts

    @property
    def change(self) -> FloatArray:
        """The relative change dm / m of the parameter, shape (nx, ny, nz)."""
        return self.spot.change * gaussian(self.model.grid, self.place, self.size)

    def write_model(self) -> Path:
        """Write m + dm; nothing changes if it is there already.

        Raises
        ------
        InputError
            If no rock has such values.
        """
        name = self.spot.parameter
        values = np.asarray(self.model.fields()[name], np.float64) * (1 + self.change)
        moved = self.model.with_fields(**{name: values})
        moved.check(self.project.relative(self.model_path))
        write_model(self.model_path, moved)
        return self.model_path

    def gradient(
        self, event: str, stage: Stage, threads: int, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """Event kernel at m + dm in the windows of the iteration, unless it is there.

        Returns
        -------
        dict
            ``misfit``: sum over the windows.
        """
        project = self.project
        step = EventStep(project, self.iteration, 0, event, threads, progress)
        step.windows_from, step.model_path, step.with_kernel = self.iteration, self.model_path, True
        task = Task(self._record(f"/{event}"), step.task.inputs, step.task.settings)
        done = project.done(task)
        if done is None:
            begun = project.begin(task)
            stage("simulate", step.simulate)
            stage("select windows", step.select_windows)
            stage("measure", step.measure)
            stage("adjoint", step.adjoint)
            if step.kernel is None:
                raise PhysicsError(f"event {event}: no window in iteration {self.iteration}, so no kernel")
            path, done = self.folder / f"{event}.kernel.nc", {"misfit": step.misfit}
            write_kernel(path, step.kernel, self.model.projection)
            step.drop()
            project.record(task, [path], done, begun)
        progress(1.0)
        return done

    def collect(self) -> dict[str, Any]:
        """Sum the event kernels, take g(m) away, draw, and measure the width of the response.

        Returns
        -------
        dict
            ``path``, ``picture``; ``spot`` and ``response``, each with ``centre``, ``width`` and ``core`` along x, y, z
            in km; ``curvature``: <dm, H dm>; ``at_spot`` and ``largest``: the response per km3 there and its extreme.
        """
        project = self.project
        inputs = {"kernel": self.kernel_path, "model": self.before, "moved model": self.model_path}
        inputs |= {f"kernel {event}": self.folder / f"{event}.kernel.nc" for event in self.events}
        settings = {
            "spot": asdict(self.spot),
            "events": list(self.events),
            "windows": self.total.windows,
            "weight": self.total.weight,
        }
        task = Task(self._record(""), inputs, settings)
        done = project.done(task)
        if done is None:
            begun = project.begin(task)
            kernels = (
                (event, 1.0 / self.total.weight, read_kernel(inputs[f"kernel {event}"]))
                for event in self.events
            )
            moved, still = sum_kernels(kernels), read_kernel(self.kernel_path)
            fields = {name: values - still.fields()[name] for name, values in moved.fields().items()}
            response = Kernel(self.model.grid, **fields, source=None)
            write_kernel(self.path, response, self.model.projection)
            done = self._measured(response)
            self._draw(response)
            project.record(task, [self.path, self.picture], done, begun)
        return {"path": self.path, "picture": self.picture, **done}

    def _measured(self, response: Kernel) -> dict[str, Any]:
        grid, name = self.model.grid, self.spot.parameter
        volume = node_volume(project=self.project, iteration=self.iteration, grid=grid)
        ones = np.ones(grid.shape)
        cells = 1 / Kernel(grid, ones, ones, ones).density().vp
        values = np.asarray(self.model.fields()[name] * response.fields()[name])
        density = values / (cells if volume is None else volume)
        nearest = tuple(int(np.argmin(np.abs(grid.axis(number) - self.place[number]))) for number in range(3))
        moved = model_of(self.model_path)
        dm = np.asarray(moved.fields()[name], np.float64) - self.model.fields()[name]
        return {
            "spot": _moments(grid, self.change, cells),
            "response": _moments(grid, density, cells),
            "curvature": float(np.sum(dm * response.fields()[name])),
            "at_spot": 1e9 * float(density[nearest]),
            "largest": 1e9 * float(density.flat[np.argmax(np.abs(density))]),
        }

    def _draw(self, response: Kernel) -> None:
        from seisflow.report import Line, draw_sections, kernel_field, write_png

        grid, spot, (x, y, z) = self.model.grid, self.spot, self.place
        volume = node_volume(self.project, self.iteration, grid)
        field = kernel_field(response, self.model, spot.parameter, volume)
        symbol = {"rho": "density"}.get(spot.parameter, spot.parameter)
        field = replace(field, label=f"response: change of dJ/d ln {symbol} (1/km³)")
        lines = [
            Line((grid.origin[0], y), (grid.end[0], y)),
            Line((x, grid.origin[1]), (x, grid.end[1])),
        ]
        title = (
            f"{self.project.config.name}, m{self.iteration - 1:02d}: response to {100 * spot.change:g} % of {symbol}, "
            f"{self.size / 1e3:.3g} km wide, {z / 1e3:.3g} km deep"
        )
        figure = draw_sections(field, [z], lines, overlay_of(self.project, self.model), title)
        angle = np.linspace(0, 2 * np.pi, 73)
        across, up = self.size / 2e3 * np.cos(angle), self.size / 2e3 * np.sin(angle)
        centres = ((x, y), (x - grid.origin[0], z), (y - grid.origin[1], z))
        for axes, centre in zip(
            figure.axes[:3], centres, strict=True
        ):  # the spot, where it is half of its most
            for colour, width in (("white", 2.4), ("black", 1.0)):
                axes.plot(centre[0] / 1e3 + across, centre[1] / 1e3 + up, color=colour, linewidth=width)
        write_png(figure, self.picture)


def _moments(grid: Grid, values: FloatArray, cells: FloatArray) -> dict[str, list[float]]:
    """Centre, width, and width of the core of something along x, y, z in km.

    The width is the full width at half maximum of a Gaussian of the same second moment. Fichtner & Trampert (2011,
    Geophys. J. Int. 187, 1604) take moments of H dm itself; its side lobes make those of both signs, so the weight
    here is the absolute value times the volume. Far and faint tails count much in it. The core is where the value is
    above half of its largest: the diameters of the ellipsoid with the second moment of that region, which for a
    Gaussian is the same.

    Parameters
    ----------
    grid : Grid
    values : ndarray (nx, ny, nz)
        Per volume.
    cells : ndarray (nx, ny, nz)
        Volumes of the nodes.
    """
    size = np.abs(values)
    if not size.max() > 0:
        raise PhysicsError("the response is zero everywhere: no wave of the windows sees the spot")
    centre, spread = _second(grid, size * cells)
    _, core = _second(grid, (size >= 0.5 * size.max()) * cells)
    nodes = np.array(grid.spacing) ** 2 / 12  # the region is made of boxes, a node in the middle of each
    widths = {"width": FULL_WIDTH * np.sqrt(spread), "core": np.sqrt(20 * (core + nodes))}
    return {
        name: [float(each) / 1e3 for each in found] for name, found in {"centre": centre, **widths}.items()
    }


def _second(grid: Grid, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted mean (m) and variance (m2) of the coordinates of the nodes."""
    centre, variance = np.zeros(3), np.zeros(3)
    for number in range(3):
        axis = grid.axis(number)
        profile = weight.sum(axis=tuple(other for other in range(3) if other != number)) / weight.sum()
        centre[number] = np.sum(profile * axis)
        variance[number] = np.sum(profile * (axis - centre[number]) ** 2)
    return centre, variance
