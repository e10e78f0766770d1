"""One look for all figures: fonts, colours, colour scales, and how a figure becomes a file.

Colours are safe for the colour-blind (Okabe & Ito 2008, and diverging scales of ColorBrewer). Red is slow,
blue is fast.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seisflow.domain import FloatArray
from seisflow.io.atomic import publish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "SCALES",
    "nice_limit",
    "scale_bar_length",
    "styled",
    "new_figure",
    "png_base64",
    "write_png",
]

COLOURS = {
    "observed": "#000000",
    "synthetic": "#d4202c",
    "window": "#56b4e9",
    "used": "#0072b2",
    "held out": "#e69f00",
    "trial": "#7a7a7a",
    "station": "#009e73",
    "event": "#d55e00",
    "ray": "#4d4d4d",
    "compression": "#c8442c",
    "muted": "#6f6f6f",
    "no data": "#d9d9d9",
}
"""What is drawn in which colour."""

SCALES = {"absolute": "RdYlBu", "perturbation": "RdBu", "kernel": "PuOr"}
"""Colour maps by kind of field: slow is red in the first two; the third looks different on purpose."""

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.titlesize": 11,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.interpolation": "nearest",
    "axes.unicode_minus": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of seisflow inside this context; settings of the caller come back afterwards."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Make a figure of this size in inches that is drawn by Agg and known to no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def write_png(figure: Figure, path: str | os.PathLike[str], *, dots_per_inch: int = 140) -> None:
    """Write a figure to a PNG file, whole or not at all.

    Parameters
    ----------
    figure : Figure
        From one of the ``draw_...`` functions.
    path : path
    dots_per_inch : int
    """
    with styled(), publish(path) as temporary:
        engine = figure.get_layout_engine()
        if engine is not None:  # laid out once here; savefig would draw everything twice for it
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.savefig(temporary, format="png", dpi=dots_per_inch)


def png_base64(figure: Figure, *, dots_per_inch: int = 110) -> str:
    """The picture as base64 of a PNG, for a page that needs no other file."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()


def nice_limit(values: FloatArray, percentile: float = 99.5) -> float:
    """Choose a round limit (1, 1.5, 2, 3, 4, 5, 6, 8 x 10^n) of a symmetric scale that few values exceed."""
    finite = np.abs(values[np.isfinite(values)])
    wanted = float(np.percentile(finite, percentile)) if finite.size else 0.0
    if wanted == 0:
        wanted = float(finite.max(initial=0.0)) or 1.0
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(next(m for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * power >= wanted * (1 - 1e-9)) * power)


def scale_bar_length(span: float) -> float:
    """Choose a round length (1, 2 or 5 x 10^n) of about a fifth of a span, in its unit."""
    wanted = 0.25 * span
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(m for m in (1, 2, 5) if m * power <= wanted) * power)
