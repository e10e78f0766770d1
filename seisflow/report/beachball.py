"""Focal mechanisms as small symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seisflow.domain import Event, FloatArray, MomentTensor
from seisflow.report.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_source", "radiation"]

_POINTS = 81


def radiation(tensor: MomentTensor, x: FloatArray, y: FloatArray) -> FloatArray:
    """P radiation on the lower focal hemisphere, in equal-area projection.

    Parameters
    ----------
    tensor : MomentTensor
    x, y : ndarray
        Place in the unit disc, east and north. The take-off angle from vertical is i = 2 asin(r / sqrt(2)).

    Returns
    -------
    ndarray
        n M n in N m of the direction n that leaves downwards there; positive is compression (Aki & Richards
        2002, equation 4.84).
    """
    radius = np.minimum(np.hypot(x, y), 1.0)
    azimuth = np.arctan2(x, y)
    takeoff = 2 * np.arcsin(radius / np.sqrt(2))
    ray = np.stack([np.sin(takeoff) * np.sin(azimuth), np.sin(takeoff) * np.cos(azimuth), np.cos(takeoff)])
    result: FloatArray = np.einsum("i...,ij,j...->...", ray, tensor.cartesian(), ray)
    return result


def plot_source(
    axes: Axes, event: Event, place: tuple[float, float], diameter: float, colour: str = ""
) -> None:
    """Put the mechanism of an event at a place of the axes.

    Parameters
    ----------
    axes : Axes
    event : Event
        A force is drawn as a star.
    place : tuple of 2 float
        Data coordinates.
    diameter : float
        In points.
    colour : str, optional
        Of the compressional quadrants.
    """
    from contourpy import contour_generator
    from matplotlib.patches import Circle, PathPatch
    from matplotlib.path import Path
    from matplotlib.transforms import Affine2D, ScaledTranslation

    colour = colour or COLOURS["compression"]
    if not isinstance(event.source, MomentTensor):
        axes.plot(*place, "*", color=colour, markersize=diameter * 0.9, markeredgecolor="black", zorder=5)
        return
    figure = axes.figure
    move = ScaledTranslation(*place, axes.transData)  # type: ignore[arg-type]
    transform = Affine2D().scale(diameter / 144) + figure.dpi_scale_trans + move
    disc = Circle((0, 0), 1, facecolor="white", edgecolor="none", transform=transform, zorder=5)
    axes.add_artist(disc)
    x, y = np.meshgrid(np.linspace(-1, 1, _POINTS), np.linspace(-1, 1, _POINTS))
    amplitude = radiation(event.source, x, y)
    scale = float(np.abs(amplitude).max()) or 1.0
    contours = contour_generator(x, y, amplitude / scale, fill_type="OuterCode").filled(0.0, 2.0)
    for points, code in zip(contours[0], contours[1], strict=True):
        if points is None:
            continue
        patch = PathPatch(
            Path(points, code), facecolor=colour, edgecolor="none", transform=transform, zorder=5
        )
        axes.add_artist(patch)
        patch.set_clip_path(Circle((0, 0), 1, transform=transform))
    edge = Circle(
        (0, 0), 1, facecolor="none", edgecolor="black", linewidth=0.6, transform=transform, zorder=5
    )
    axes.add_artist(edge)
