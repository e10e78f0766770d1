"""Figures for people: every ``draw_...`` takes nouns and returns a figure, ``write_png`` writes it."""

from __future__ import annotations

from seisflow.report.comparison import draw_comparison
from seisflow.report.fields import (
    Field,
    Line,
    Overlay,
    coverage,
    kernel_field,
    model_field,
    perturbation_field,
)
from seisflow.report.iteration import draw_iteration
from seisflow.report.maps import draw_map
from seisflow.report.misfit import MisfitRow, draw_misfit
from seisflow.report.sections import draw_sections
from seisflow.report.shifts import ShiftRow, draw_shift_histograms, draw_shift_map
from seisflow.report.style import write_png
from seisflow.report.waveforms import draw_waveforms, waveform_pages

__all__ = [
    "Field",
    "Line",
    "MisfitRow",
    "Overlay",
    "ShiftRow",
    "coverage",
    "draw_comparison",
    "draw_iteration",
    "draw_map",
    "draw_misfit",
    "draw_sections",
    "draw_shift_histograms",
    "draw_shift_map",
    "draw_waveforms",
    "kernel_field",
    "model_field",
    "perturbation_field",
    "waveform_pages",
    "write_png",
]
