"""What the cases of the verification suite share: how traces are compared, and how a case is written down."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "physics"), str(ROOT / "tests" / "reference"), str(ROOT / "tests")]

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
TARGET, TARGET_TF = 1.0, 2.0
"""Percent: wanted relative L2 error, and wanted envelope and phase misfit."""


class Skipped(Exception):
    """A case cannot run here; the reason is its text."""


@dataclass
class Case:
    """What a case found: a table and a figure.

    ``headline`` says it in a sentence; ``worst`` is (L2, EM, PM) in percent of the rows that the aim is for.
    """

    headline: str
    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    figure: object = None


def misfits(found: np.ndarray, expected: np.ndarray, step: float, periods: tuple[float, float]):
    """Relative L2 error, envelope and phase misfit (Kristekova et al. 2006, 2009) in percent, and the amplitude ratio.

    Arrays (components, samples); the misfits are global ones of all components, between the periods given.
    """
    from obspy.signal.tf_misfit import em, pm

    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    every = max(1, int(periods[0] / 12 / step))
    a, b = found[:, ::every], expected[:, ::every]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"dt": every * step, "fmin": 1 / periods[1], "fmax": 1 / periods[0], "nf": 24, "w0": 6}
        norms = np.max(np.abs(expected), axis=1)
        keep = norms > 1e-3 * norms.max()  # components at a node of the radiation have no phase of their own
        envelope = np.max(np.abs(em(a[keep], b[keep], norm="global", **settings)))
        phase = np.max(np.abs(pm(a[keep], b[keep], norm="global", **settings)))
    amplitude = np.sum(found * expected) / np.sum(expected**2)
    return 100 * error, 100 * float(envelope), 100 * float(phase), float(amplitude)


def resampled(gather, station: int, times: np.ndarray) -> np.ndarray:
    """Components of a station at other times."""
    return CubicSpline(gather.times, gather.data[station], axis=1)(times)


def new_figure(width: float, height: float):
    """A figure in the style of the reports."""
    from seisflow.report.style import new_figure as make

    return make(width, height)


def draw_traces(axes, times, found, expected, labels, *, title=""):
    """Expected (black), found (red, thin) and ten times their difference (blue), a row each, over one another."""
    scale = np.max(np.abs(expected))
    for number, label in enumerate(labels):
        base = -2.2 * number
        axes.plot(times, base + expected[number] / scale, color="black", linewidth=1.6)
        axes.plot(times, base + found[number] / scale, color="#d62728", linewidth=0.7)
        axes.plot(
            times, base + 10 * (found[number] - expected[number]) / scale, color="#1f77b4", linewidth=0.6
        )
        axes.text(times[0], base + 0.35, label, fontsize=8)
    axes.set_yticks([])
    axes.set_xlabel("time (s)")
    axes.set_title(title, fontsize=9)


def legend(figure) -> None:
    """One legend for figures of ``draw_traces``."""
    from matplotlib.lines import Line2D

    kinds = (("black", "reference"), ("#d62728", "elastic3d"), ("#1f77b4", "difference x 10"))
    lines = [Line2D([], [], color=colour, label=label) for colour, label in kinds]
    figure.legend(handles=lines, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
