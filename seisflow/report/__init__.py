"""Figures for people: every ``draw_...`` takes nouns and returns a figure, ``write_png`` writes it."""

from __future__ import annotations

from seisflow.report.catalog import draw_catalog, draw_magnitude_frequency, draw_seismicity
from seisflow.report.catalog_comparison import draw_catalog_comparison
from seisflow.report.catalog_page import CatalogPage, write_catalog_page
from seisflow.report.comparison import draw_comparison
from seisflow.report.detections import draw_beam, draw_beam_snapshot, draw_event_waveforms
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
from seisflow.report.iteration_page import (
    IterationPage,
    PageTable,
    WindowTraces,
    draw_window_traces,
    write_iteration_page,
)
from seisflow.report.maps import draw_map
from seisflow.report.misfit import MisfitRow, draw_misfit
from seisflow.report.sections import draw_sections
from seisflow.report.shifts import ShiftRow, draw_shift_histograms, draw_shift_map
from seisflow.report.style import write_png
from seisflow.report.waveforms import draw_waveforms, waveform_pages
from seisflow.report.weights import draw_weights
from seisflow.report.window_choice import TraceChoice, draw_window_choice

__all__ = [
    "TraceChoice",
    "draw_window_choice",
    "CatalogPage",
    "Field",
    "IterationPage",
    "Line",
    "MisfitRow",
    "Overlay",
    "PageTable",
    "ShiftRow",
    "WindowTraces",
    "coverage",
    "draw_beam",
    "draw_beam_snapshot",
    "draw_catalog",
    "draw_catalog_comparison",
    "draw_comparison",
    "draw_event_waveforms",
    "draw_iteration",
    "draw_magnitude_frequency",
    "draw_map",
    "draw_misfit",
    "draw_sections",
    "draw_seismicity",
    "draw_shift_histograms",
    "draw_shift_map",
    "draw_waveforms",
    "draw_weights",
    "draw_window_traces",
    "kernel_field",
    "model_field",
    "perturbation_field",
    "waveform_pages",
    "write_catalog_page",
    "write_iteration_page",
    "write_png",
]
