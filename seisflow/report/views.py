"""A map with two vertical sections beside it on one scale: the look of all pictures of places at depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seisflow.domain import Detection, FloatArray, Projection, Station
from seisflow.io.ellipsoids import horizontal_ellipse
from seisflow.report.style import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Box", "Views", "box_of", "station_places", "three_views"]

_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 0.95, 0.2, 0.42, 0.62, 0.14
"""Inches around and between the panels."""
_LARGEST, _THINNEST, _THICKEST = 5.4, 1.85, 3.2
"""Inches: longer side of the map, and the depth of the sections."""


@dataclass(frozen=True)
class Box:
    """What three views show: west, east, south, north, top and bottom in km."""

    x: tuple[float, float]
    y: tuple[float, float]
    z: tuple[float, float]


@dataclass(frozen=True)
class Views:
    """A figure with a map, a section along y at its right and one along x below it; all axes in km.

    Parameters
    ----------
    figure : Figure
    plan : Axes
        x, y.
    along_y : Axes
        Depth, y.
    along_x : Axes
        x, depth.
    corner : tuple of 4 float
        Left, bottom, width, height of what is free at the lower right, in parts of the figure.
    """

    figure: Figure
    plan: Axes
    along_y: Axes
    along_x: Axes
    corner: tuple[float, float, float, float]

    def panels(self) -> list[tuple[Axes, int, int]]:
        """Axes and which of x, y, z their abscissa and ordinate are."""
        return [(self.plan, 0, 1), (self.along_y, 2, 1), (self.along_x, 0, 2)]

    def inset(self, part: tuple[float, float, float, float]) -> Axes:
        """Add axes to a part (left, bottom, width, height from 0 to 1) of the corner."""
        left, bottom, width, height = self.corner
        place = left + part[0] * width, bottom + part[1] * height, part[2] * width, part[3] * height
        return self.figure.add_axes(place)

    def plot_stations(self, places: FloatArray) -> None:
        """Plot stations, (n, 3) in km."""
        for axes, across, up in self.panels():
            axes.plot(
                places[:, across],
                places[:, up],
                "^",
                color=COLOURS["station"],
                markersize=6,
                markeredgecolor="black",
                markeredgewidth=0.5,
                zorder=6,
            )

    def plot_ellipses(self, detections: Sequence[Detection], **look: Any) -> None:
        """Plot the 68 % ellipse of each detection that has a covariance, as its outline."""
        from matplotlib.collections import EllipseCollection

        for axes, across, up in self.panels():
            shapes, centres = [], []
            for each in detections:
                if each.covariance is None:
                    continue
                ellipse = horizontal_ellipse(each.covariance[np.ix_([across, up], [across, up])])
                if ellipse is not None:
                    shapes.append((2 * ellipse[0] / 1e3, 2 * ellipse[1] / 1e3, 90 - ellipse[2]))
                    centres.append((each.place[across] / 1e3, each.place[up] / 1e3))
            if shapes:
                width, height, angle = np.array(shapes).T
                outlines = EllipseCollection(
                    width, height, angle, units="xy", offsets=centres, transOffset=axes.transData, **look
                )
                axes.add_collection(outlines, autolim=False)


def station_places(stations: Sequence[Station], projection: Projection) -> FloatArray:
    """x, y and depth below sea level of the sensors of stations in km, shape (n, 3)."""
    places = [
        (*projection.to_local(each.latitude, each.longitude), each.burial - each.elevation)
        for each in stations
    ]
    return np.array(places).reshape(-1, 3) / 1e3


def box_of(places: FloatArray, least: float = 1.0) -> Box:
    """Choose a box that holds places (n, 3) in km with a margin, and is at least so many km wide and half as deep."""
    if not len(places):
        return Box((-least, least), (-least, least), (0.0, least))
    low, high = places.min(axis=0), places.max(axis=0)
    middle = (low + high) / 2
    span = max(float(np.max(high[:2] - low[:2])), least)
    thinnest = [max(0.2 * span, least / 2), max(0.2 * span, least / 2), max(0.1 * span, least / 4)]
    half = np.maximum([0.55, 0.55, 0.6] * (high - low), thinnest)
    sides = [(float(a), float(b)) for a, b in zip(middle - half, middle + half, strict=True)]
    return Box(sides[0], sides[1], sides[2])


def three_views(box: Box, title: str) -> Views:
    """Make a map and two sections, the map at true scale, depths by another where they would not fit.

    Parameters
    ----------
    box : Box
    title : str

    Returns
    -------
    Views
        Axes have limits and labels.
    """
    wide, high, deep = (float(np.ptp(side)) for side in (box.x, box.y, box.z))
    scale = _LARGEST / max(wide, high)
    across, up = max(wide * scale, 2.2), max(high * scale, 2.2)
    depth = float(np.clip(deep * scale, _THINNEST, _THICKEST))
    width = _LEFT + across + _GAP + depth + _RIGHT
    height = _TOP + up + _GAP + depth + _BOTTOM
    figure = new_figure(width, height, layout=None)

    def add(left: float, bottom: float, size: tuple[float, float]) -> Axes:
        axes = figure.add_axes((left / width, bottom / height, size[0] / width, size[1] / height))
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        return axes

    lower = _BOTTOM + depth + _GAP
    plan = add(_LEFT, lower, (across, up))
    along_y = add(_LEFT + across + _GAP, lower, (depth, up))
    along_x = add(_LEFT, _BOTTOM, (across, depth))
    _label(plan, along_y, along_x, box, (across / wide, up / high, depth / deep))
    figure.text(_LEFT / width, 1 - 0.12 / height, title, ha="left", va="top", fontsize=11)
    corner = (
        (_LEFT + across + _GAP) / width,
        _BOTTOM / height,
        depth / width,
        (depth - 0.45) / height,
    )
    return Views(figure, plan, along_y, along_x, corner)


def _label(plan: Axes, along_y: Axes, along_x: Axes, box: Box, scales: tuple[float, float, float]) -> None:
    """Give the three axes their limits and labels; scales in inches a km along x, y and z."""
    from matplotlib.ticker import MaxNLocator

    plan.set_xlim(*_widen(box.x, scales[0], scales[1]))
    plan.set_ylim(*_widen(box.y, scales[1], scales[0]))
    plan.set_ylabel("y, north (km)")
    plan.tick_params(labelbottom=False)
    along_x.set_xlim(plan.get_xlim())
    along_x.set_ylim(box.z[1], box.z[0])
    along_x.set_xlabel("x, east (km)")
    enlarged = scales[2] / min(scales[0], scales[1])
    more = "" if abs(enlarged - 1) < 0.02 else f", × {enlarged:.2g}"
    along_x.set_ylabel(f"depth below\nsea level (km){more}")
    along_y.set_ylim(plan.get_ylim())
    along_y.set_xlim(*box.z)
    along_y.set_xlabel(f"depth (km){more}")
    along_y.tick_params(labelleft=False)
    for axes, counts in ((plan, (7, 7)), (along_y, (4, 7)), (along_x, (7, 4))):
        axes.xaxis.set_major_locator(MaxNLocator(counts[0], steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(counts[1], steps=[1, 2, 2.5, 5, 10]))


def _widen(side: tuple[float, float], scale: float, other: float) -> tuple[float, float]:
    """Limits of a side of the map that was given more inches than it needs, so that both have one scale."""
    middle, half = (side[0] + side[1]) / 2, (side[1] - side[0]) / 2
    half *= max(scale / min(scale, other), 1.0)
    return middle - half, middle + half
